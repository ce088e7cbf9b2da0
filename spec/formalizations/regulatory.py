"""Regulatory: loci interact in hidden layers on their way to the latents.

    p_n = 1.5 silu(x_n B / sqrt(L) + c),   q_n = 1.5 silu(p_n W1 / sqrt(H1) + c1)
    z_n = q_n A / sqrt(H2)                                                         latents
    eta_n = mu + E_n D + h_n V,   h_n = tanh(2.5 z_n W / sqrt(K) + b)
    V = Delta diag(s) sqrt(2 / H)
    Y_nt scatters by sigma_t exp(lam_nt),   lam_n = 3 tanh((z_n S / sqrt(K) + E_n S') / 3)

with silu(v) = v / (1 + exp(-v)), a smoothed threshold; s_t ~ HalfNormal(0.8), S and S' ~
Normal(0, 0.5) and all other weights ~ Normal(0, 1). What loci contribute depends on their
neighbours, as of letters in a splice site or a promoter. The latents set how much traits vary as
well as where: canalisation is decoded too (for noise of continuous traits).

In the code B / sqrt(L) is `encoder`, c `encoder_bias`, W1 / sqrt(H1) `inner`, c1 `inner_bias`,
A / sqrt(H2) `latent_weight`, S / sqrt(K) `spread_latent` and S' `spread_environment`; W, b, V and s
as in `generative`. With the factor 1.5 layers neither fade nor grow: the latents have a second
moment of 2 to 4 under the prior.

A mean-field guide prunes the layers: fits by variational inference then say little more than
`null`, whatever the truth. `inference.NetworkEnsemble` does not, and is how to predict with this.

Sites: mu mean; D environment_effect; B encoder; c encoder_bias; W1 inner; c1 inner_bias; A
latent_weight; W hidden_weight; b hidden_bias; Delta decoder; s trait_scale; S spread_latent; S'
spread_environment
Source: sequence to latents to readout, Tareen et al. 2022, doi:10.1186/s13059-022-02661-7;
canalisation under genetic control, Waddington 1942, doi:10.1038/150563a0; priors of layers, Neal
1996, doi:10.1007/978-1-4612-0745-0.
Claims: interactions among loci of any order, few latents, noise that the genotype sets.
Rivals: `generative`, whose loci add up in each latent; `epistatic`, whose pairs need no latents.
Special case: without W1, where every unit is the locus it reads, `generative` with noise that the
latents set.
Refuted by: additive latents that predict as well.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor

from genomic_code.spec.formalizations.generative import Generative
from genomic_code.spec.html import formalization_html
from genomic_code.spec.linear import project
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import (
    Dense,
    baseline,
    baseline_traits,
    choose,
    sample,
    standard_starts,
    trait_scale,
)
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import at_least_one, known_priors

__all__ = ["Regulatory"]

GAIN = 1.5
"""Factor of a hidden unit."""
WIDEST = 3.0
"""Largest logarithm of the factor by which the genotype widens or narrows the noise."""


@dataclass(frozen=True)
class Regulatory:
    """Two hidden layers from genotype to latents, a tanh decoder, and noise decoded with it."""

    name: ClassVar[str] = "regulatory"
    complexity: ClassVar[int] = 13
    rotatable: ClassVar[bool] = True
    caution: ClassVar[str] = "a mean-field guide prunes its layers: see NetworkEnsemble"
    _repr_html_ = formalization_html

    outer: int = 64
    """Number of units H1 of the layer that reads the genotype; at least 1."""
    inner: int = 32
    """Number of units H2 of the layer that latents read; at least 1."""
    latents: int = 4
    """Number of latents K; at least 1."""
    hidden: int = 8
    """Number of hidden units H of the decoder; at least 1."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name: `encoder`, `inner`, `latent_weight`, `hidden_weight`, `decoder`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        at_least_one(self, "outer", "inner", "latents", "hidden")
        known_priors(self.prior, "encoder", "inner", "latent_weight", "hidden_weight", "decoder")

    @property
    def decoder(self) -> Generative:
        """The `generative` formalization whose decoder this one has."""
        names = ("hidden_weight", "decoder")
        prior = {name: self.prior[name] for name in names if name in self.prior}
        return Generative(latents=self.latents, hidden=self.hidden, prior=prior)

    def layers(self, loci: int) -> dict[str, dict[str, int]]:
        """Dimensions of the weights between genotype and latents."""
        outer, inner = {"outer": self.outer}, {"inner_unit": self.inner}
        return {
            "encoder": {"locus": loci, **outer},
            "encoder_bias": outer,
            "inner": {**outer, **inner},
            "inner_bias": inner,
            "latent_weight": {**inner, "latent": self.latents},
        }

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`encoder` (L, H1), `inner` (H1, H2), `latent_weight` (H2, K) and their biases.

        Besides the baseline and the decoder of `generative`, and for noise of continuous traits
        `spread_latent` (K, T) and `spread_environment` (C, T).
        """
        weights = baseline(shape)
        inputs = {"encoder": shape.loci, "inner": self.outer, "latent_weight": self.inner}
        for name, sizes in self.layers(shape.loci).items():
            weight = choose(self.prior, name, Dense())(name, sizes)
            weights[name] = weight / math.sqrt(inputs.get(name, 1))
        weights |= self.decoder.network(shape, trait_scale(shape, 0.8)[..., None, :])
        if self.noise.standardised:
            spread = dist.Normal(0.0, 0.5)
            sizes = {"latent": self.latents, "trait": shape.traits}
            weights["spread_latent"] = sample("spread_latent", spread, sizes)
            weights["spread_latent"] = weights["spread_latent"] / math.sqrt(self.latents)
            if shape.environments:
                sizes = {"covariate": shape.environments, "trait": shape.traits}
                weights["spread_environment"] = sample("spread_environment", spread, sizes)
        return weights

    def encode(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Latents `(..., N, K)` of genotype `(..., N, L)`."""
        outer = project(genotype, weights["encoder"]) + weights["encoder_bias"][..., None, :]
        outer = GAIN * torch.nn.functional.silu(outer)
        inner = outer @ weights["inner"] + weights["inner_bias"][..., None, :]
        return GAIN * torch.nn.functional.silu(inner) @ weights["latent_weight"]

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        genetic = self.decoder.decode(weights, self.encode(weights, genotype))
        return baseline_traits(weights, environment) + genetic

    def spread(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Factor `(..., N, T)` of the scale of continuous noise."""
        log = self.encode(weights, genotype) @ weights["spread_latent"]
        if "spread_environment" in weights:
            log = log + environment @ weights["spread_environment"]
        return (WIDEST * torch.tanh(log / WIDEST)).exp()

    def starts(self, data: Data, generator: torch.Generator) -> dict[str, Tensor]:
        """Draws from the prior for what lies between genotype and decoder.

        From small weights the layers would learn nothing but what they share.
        """
        latent, hidden = {"latent": self.latents}, {"hidden": self.hidden}
        layers = {
            **self.layers(data.shape.loci),
            "hidden_weight": {**latent, **hidden},
            "hidden_bias": hidden,
        }
        return standard_starts(layers, self.prior, generator)

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
