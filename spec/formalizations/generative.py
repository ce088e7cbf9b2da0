"""Generative: the genome as a generative model of the organism, in its smallest form.

    z_n = x_n A / sqrt(L),                   A_lk ~ Normal(0, 1)            latents
    h_n = tanh(2.5 z_n W / sqrt(K) + b),     W_kh, b_h ~ Normal(0, 1)       decoder
    eta_n = mu + E_n D + h_n V sqrt(2 / H),  V_ht = Delta_ht s_t,  Delta ~ Normal(0, 1),
                                             s_t ~ HalfNormal(0.8)

Source: Mitchell & Cheney 2025, doi:10.1016/j.tig.2025.01.008: the genome encodes the weights of a
connectionist network with a compressed latent space; development decodes it.
Claims: few latents, decoded nonlinearly.  Rivals: `factor` decodes linearly; `polygenic` has no
latents; `epistatic` is nonlinear without latents.  Special case: `decoder="linear"` is `factor`.
Refuted by: a linear or an unstructured map that predicts as well.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from genomic_code.spec.linear import project
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import Dense, baseline, baseline_traits, choose, trait_scale
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import at_least_one, known_priors

__all__ = ["Generative"]

STEEPNESS = 2.5
"""Gain of the hidden units: unit-variance latents reach the saturated part of tanh."""


@dataclass(frozen=True)
class Generative:
    """Latents decoded into traits by a tanh network."""

    name: ClassVar[str] = "generative"
    complexity: ClassVar[int] = 6
    rotatable: ClassVar[bool] = True

    latents: int = 3
    """Number of latents K; at least 1."""
    hidden: int = 8
    """Number of hidden units H of the decoder; at least 1."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: `encoder`, `hidden`, `decoder`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        at_least_one(self, "latents", "hidden")
        known_priors(self.prior, "encoder", "hidden", "decoder")

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`encoder` (L, K), `hidden` (K, H), `hidden_bias` (H), `decoder` (H, T), baseline."""
        encoder = {"locus": shape.loci, "latent": self.latents}
        hidden = {"latent": self.latents, "hidden": self.hidden}
        decoder = {"hidden": self.hidden, "trait": shape.traits}
        scale = trait_scale(shape, 0.8)[..., None, :] * math.sqrt(2 / self.hidden)
        return {
            **baseline(shape),
            "encoder": choose(self.prior, "encoder", Dense())("encoder", encoder)
            / math.sqrt(shape.loci),
            "hidden": choose(self.prior, "hidden", Dense())("hidden", hidden)
            * (STEEPNESS / math.sqrt(self.latents)),
            "hidden_bias": Dense()("hidden_bias", {"hidden": self.hidden}),
            "decoder": choose(self.prior, "decoder", Dense())("decoder", decoder) * scale,
        }

    def encode(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Latents `(..., N, K)` of genotype `(..., N, L)`."""
        return project(genotype, weights["encoder"])

    def decode(self, weights: Weights, latents: Tensor) -> Tensor:
        """Genetic values `(..., N, T)` of latents `(..., N, K)`."""
        hidden = torch.tanh(latents @ weights["hidden"] + weights["hidden_bias"][..., None, :])
        return hidden @ weights["decoder"]

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        genetic = self.decode(weights, self.encode(weights, genotype))
        return baseline_traits(weights, environment) + genetic

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
