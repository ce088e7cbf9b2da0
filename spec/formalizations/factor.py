"""Factor: compressed but linear, K latents between loci and traits.

    eta_n = mu + E_n D + z_n V
    z_n = x_n A / sqrt(L),   A_lk ~ Normal(0, 1)
    V = Delta diag(s) / sqrt(K),   Delta_kt ~ Normal(0, 1),  s_t ~ HalfNormal(0.8)

The genetic covariance between traits has rank K. The control that separates "compressed" from
"nonlinear".

Sites: mu mean; D environment_effect; A encoder; Delta decoder; s trait_scale
Source: factor-analytic G, Kirkpatrick & Meyer 2004, doi:10.1534/genetics.104.029181.
Claims: pleiotropy runs through few latents.  Rivals: `polygenic` has no bottleneck, `generative`
decodes nonlinearly.  Special case: `generative` with a linear decoder.  Refuted by: epistasis; a
genetic covariance of high rank.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from genomic_code.spec.html import formalization_html
from genomic_code.spec.linear import project
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import Dense, baseline, baseline_traits, choose, trait_scale
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import at_least_one, known_priors

__all__ = ["Factor"]


@dataclass(frozen=True)
class Factor:
    """Linear latents: a genetic covariance of low rank."""

    name: ClassVar[str] = "factor"
    complexity: ClassVar[int] = 1
    rotatable: ClassVar[bool] = True
    _repr_html_ = formalization_html

    latents: int = 3
    """Number of latents K; at least 1."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: `encoder`, `decoder`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        at_least_one(self, "latents")
        known_priors(self.prior, "encoder", "decoder")

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`encoder` (L, K) and `decoder` (K, T), besides the baseline."""
        encoder = {"locus": shape.loci, "latent": self.latents}
        decoder = {"latent": self.latents, "trait": shape.traits}
        scale = trait_scale(shape, 0.8)[..., None, :] / math.sqrt(self.latents)
        return {
            **baseline(shape),
            "encoder": choose(self.prior, "encoder", Dense())("encoder", encoder)
            / math.sqrt(shape.loci),
            "decoder": choose(self.prior, "decoder", Dense())("decoder", decoder) * scale,
        }

    def encode(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Latents `(..., N, K)` of genotype `(..., N, L)`."""
        return project(genotype, weights["encoder"])

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        genetic = self.encode(weights, genotype) @ weights["decoder"]
        return baseline_traits(weights, environment) + genetic

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
