"""Disentangled: latents that each steer few traits, so that selection can move them one by one.

    z_n = x_n A / sqrt(L),                              A_lk ~ Normal(0, 1)
    eta_nt = mu_t + E_n D_t + sum_k V_kt tanh(2 a_kt z_nk + b_kt),   a_kt, b_kt ~ Normal(0, 1)
    V_kt = w_kt lam~_kt r_k,   lam~^2 = 4 lam^2 / (4 + lam^2)
    w_kt ~ Normal(0, 1),  lam_kt ~ HalfCauchy(0.3),  r_k ~ HalfNormal(1)

The horseshoe lam~ (slab width 2) leaves a latent few traits; the relevance r_k (ARD) switches
needless latents off. Every latent has a response curve of its own to each trait and no two latents
meet in one curve, so the axes are identified up to sign and order.

In the code A / sqrt(L) is `encoder`, a `slope`, b `threshold`, w and V `decoder`, lam
`decoder_local` and r `relevance`.

Sites: mu mean; D environment_effect; A encoder; a slope; b threshold; w decoder; lam decoder_local;
r relevance
Source: independent selectability, Mitchell & Cheney 2025, doi:10.1016/j.tig.2025.01.008; horseshoe,
Piironen & Vehtari 2017, doi:10.1214/17-EJS1337SI; ARD, Neal 1996, doi:10.1007/978-1-4612-0745-0.
Claims: traits are multiplexed on sparse latents that add up, and can be selected independently.
Rivals: `generative` entangles all latents in every hidden unit.
Special cases: `generative` with K T hidden units, each reading one latent and serving one trait;
for slopes near 0, `factor`; a diagonal V gives every trait a latent of its own.
Refuted by: dense, entangled decoders that predict better.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor

from genomic_code.spec.html import formalization_html
from genomic_code.spec.linear import project
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import Dense, baseline, baseline_traits, choose, positive, sample
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import at_least_one, known_priors

__all__ = ["Disentangled"]

STEEPNESS = 2.0
"""Gain of a response curve: unit-variance latents reach the saturated part of tanh."""


@dataclass(frozen=True)
class Sparse:
    """Independent regularised horseshoe, `w lam~`, with known global scale and slab width."""

    scale: float = 0.3
    """Scale of the half-Cauchy local scales: prior median size of a weight; positive."""
    slab: float = 2.0
    """Width of the slab that bounds large weights; positive."""

    def __call__(self, name: str, sizes: Mapping[str, int]) -> Tensor:
        """Weights of shape `(..., *sizes)`."""
        weights = sample(name, dist.Normal(0.0, 1.0), sizes)
        local = sample(f"{name}_local", dist.HalfCauchy(self.scale), sizes)
        return weights * local * torch.rsqrt(1 + (local / self.slab).square())


@dataclass(frozen=True)
class Disentangled:
    """Few traits a latent, each by its own response curve."""

    name: ClassVar[str] = "disentangled"
    complexity: ClassVar[int] = 8
    rotatable: ClassVar[bool] = True
    _repr_html_ = formalization_html

    latents: int = 6
    """Number of latents K before needless ones are switched off; at least 1."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: `encoder`, `decoder`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        known_priors(self.prior, "encoder", "decoder")
        at_least_one(self, "latents")

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`encoder` (L, K); `slope`, `threshold` and `decoder` (K, T); besides the baseline."""
        encoder = {"locus": shape.loci, "latent": self.latents}
        decoder = {"latent": self.latents, "trait": shape.traits}
        relevance = positive("relevance", {"latent": self.latents}, 1.0)[..., :, None]
        return {
            **baseline(shape),
            "encoder": choose(self.prior, "encoder", Dense())("encoder", encoder)
            / math.sqrt(shape.loci),
            "slope": STEEPNESS * sample("slope", dist.Normal(0.0, 1.0), decoder),
            "threshold": sample("threshold", dist.Normal(0.0, 1.0), decoder),
            "decoder": choose(self.prior, "decoder", Sparse())("decoder", decoder) * relevance,
        }

    def encode(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Latents `(..., N, K)` of genotype `(..., N, L)`."""
        return project(genotype, weights["encoder"])

    def decode(self, weights: Weights, latents: Tensor) -> Tensor:
        """Genetic values `(..., N, T)` of latents `(..., N, K)`."""
        slope, threshold = weights["slope"][..., None, :, :], weights["threshold"][..., None, :, :]
        response = torch.tanh(latents[..., None] * slope + threshold)
        return (response * weights["decoder"][..., None, :, :]).sum(-2)

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        genetic = self.decode(weights, self.encode(weights, genotype))
        return baseline_traits(weights, environment) + genetic

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
