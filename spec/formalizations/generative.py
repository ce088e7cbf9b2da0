"""Generative: the genome as a generative model of the organism, in its smallest form.

    z_n = x_n A / sqrt(L),   A_lk ~ Normal(0, 1)                                        latents
    eta_n = mu + E_n D + decode(z_n)

    tanh      decode(z) = h V,   h = tanh(2.5 z W / sqrt(K) + b),   W_kh, b_h ~ Normal(0, 1)
              V = Delta diag(s) sqrt(2 / H)
    linear    decode(z) = z V,   V = Delta diag(s) / sqrt(K)
    gaussian_process
              decode(z) = u V + phi(u) R,   u_k = z_k / l_k,   l_k ~ LogNormal(log(K) / 2, 0.5)
              V = Delta diag(s) / sqrt(2),   R = Delta' diag(s c) / sqrt(2),   c_t ~ HalfNormal(1)
              so that trait t is a Gaussian process over the latents with the kernel
              s_t^2 (u . u' + c_t^2 exp(-|u - u'|^2 / 2)) / 2, linear + RBF
    all       Delta, Delta' ~ Normal(0, 1),  s_t ~ HalfNormal(0.8)

The lengthscales l (ARD) let a latent matter less or more; the curvature c leaves or flattens the
RBF part, whose finite basis phi and its error are in `spec.fourier`.

In the code A / sqrt(L) is `encoder`, the scaled W `hidden_weight`, b `hidden_bias`, V `decoder`, s
`trait_scale`, l `lengthscale`, c `curvature` and R `curve`.

Sites: mu mean; D environment_effect; A encoder; W hidden_weight [decoder=tanh]; b hidden_bias
[decoder=tanh]; Delta decoder; s trait_scale; l lengthscale [decoder=gaussian_process]; c curvature
[decoder=gaussian_process]; Delta' curve [decoder=gaussian_process]
Source: Mitchell & Cheney 2025, doi:10.1016/j.tig.2025.01.008: the genome encodes the weights of a
connectionist network with a compressed latent space; development decodes it.
Claims: few latents, decoded nonlinearly.  Rivals: `factor` decodes linearly; `polygenic` has no
latents; `epistatic` is nonlinear without latents.  Special cases: `decoder="linear"` is `factor`;
a Gaussian process without curvature is `factor` with ARD.  Refuted by: a linear or an unstructured
map that predicts as well.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pyro.distributions as dist
import torch
from torch import Tensor

from genomic_code.spec.fourier import fourier_features
from genomic_code.spec.html import formalization_html
from genomic_code.spec.linear import project
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import (
    Dense,
    baseline,
    baseline_traits,
    choose,
    positive,
    sample,
    trait_scale,
)
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import at_least_one, known_priors, one_of

__all__ = ["Generative"]

STEEPNESS = 2.5
"""Gain of the hidden units: unit-variance latents reach the saturated part of tanh."""
DECODERS = {
    "tanh": ("encoder", "hidden_weight", "decoder"),
    "linear": ("encoder", "decoder"),
    "gaussian_process": ("encoder", "decoder", "curve"),
}
"""Decoders, and the weights of each whose prior may be set."""


@dataclass(frozen=True)
class Generative:
    """Latents decoded into traits by a tanh network, linearly or by a Gaussian process."""

    name: ClassVar[str] = "generative"
    complexity: ClassVar[int] = 7
    rotatable: ClassVar[bool] = True
    _repr_html_ = formalization_html

    latents: int = 3
    """Number of latents K; at least 1."""
    hidden: int = 8
    """Number of hidden units H of the tanh decoder; at least 1. Other decoders have none."""
    decoder: Literal["tanh", "linear", "gaussian_process"] = "tanh"
    """How latents become traits."""
    frequencies: int = 128
    """Number of frequencies M in the basis of the Gaussian process; at least 1. Its kernel errs by
    0.02 at K = 3 (see `spec.fourier`), less with more; a power of 2 spreads them best."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: those in `DECODERS`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        at_least_one(self, "latents", "hidden", "frequencies")
        one_of("decoder", self.decoder, list(DECODERS))
        known_priors(self.prior, *DECODERS[self.decoder])

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`encoder` (L, K) and the decoder's, besides the baseline.

        tanh: `hidden_weight` (K, H), `hidden_bias` (H), `decoder` (H, T).
        linear: `decoder` (K, T).
        gaussian_process: `lengthscale` (K), `decoder` (K, T), `curve` (2 M, T).
        """
        decoders = {"tanh": self.network, "linear": self.line, "gaussian_process": self.process}
        encoder = {"locus": shape.loci, "latent": self.latents}
        return {
            **baseline(shape),
            "encoder": choose(self.prior, "encoder", Dense())("encoder", encoder)
            / math.sqrt(shape.loci),
            **decoders[self.decoder](shape, trait_scale(shape, 0.8)[..., None, :]),
        }

    def network(self, shape: Shape, scale: Tensor) -> dict[str, Tensor]:
        """Weights of the tanh decoder."""
        hidden = {"latent": self.latents, "hidden": self.hidden}
        decoder = {"hidden": self.hidden, "trait": shape.traits}
        return {
            "hidden_weight": choose(self.prior, "hidden_weight", Dense())("hidden_weight", hidden)
            * (STEEPNESS / math.sqrt(self.latents)),
            "hidden_bias": Dense()("hidden_bias", {"hidden": self.hidden}),
            "decoder": choose(self.prior, "decoder", Dense())("decoder", decoder)
            * (scale * math.sqrt(2 / self.hidden)),
        }

    def line(self, shape: Shape, scale: Tensor) -> dict[str, Tensor]:
        """Weights of the linear decoder."""
        decoder = {"latent": self.latents, "trait": shape.traits}
        loadings = choose(self.prior, "decoder", Dense())("decoder", decoder)
        return {"decoder": loadings * (scale / math.sqrt(self.latents))}

    def process(self, shape: Shape, scale: Tensor) -> dict[str, Tensor]:
        """Weights of the Gaussian-process decoder."""
        decoder = {"latent": self.latents, "trait": shape.traits}
        curve = {"feature": 2 * self.frequencies, "trait": shape.traits}
        curvature = positive("curvature", {"trait": shape.traits}, 1.0)[..., None, :]
        lengthscale = dist.LogNormal(0.5 * math.log(self.latents), 0.5)
        half = scale / math.sqrt(2)
        return {
            "lengthscale": sample("lengthscale", lengthscale, {"latent": self.latents}),
            "decoder": choose(self.prior, "decoder", Dense())("decoder", decoder) * half,
            "curve": choose(self.prior, "curve", Dense())("curve", curve) * (half * curvature),
        }

    def encode(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Latents `(..., N, K)` of genotype `(..., N, L)`."""
        return project(genotype, weights["encoder"])

    def decode(self, weights: Weights, latents: Tensor) -> Tensor:
        """Genetic values `(..., N, T)` of latents `(..., N, K)`."""
        if self.decoder == "linear":
            return latents @ weights["decoder"]
        if self.decoder == "gaussian_process":
            scaled = latents / weights["lengthscale"][..., None, :]
            features = fourier_features(scaled, self.frequencies)
            return scaled @ weights["decoder"] + features @ weights["curve"]
        hidden = torch.tanh(
            latents @ weights["hidden_weight"] + weights["hidden_bias"][..., None, :]
        )
        return hidden @ weights["decoder"]

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        genetic = self.decode(weights, self.encode(weights, genotype))
        return baseline_traits(weights, environment) + genetic

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
