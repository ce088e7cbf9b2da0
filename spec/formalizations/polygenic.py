"""Polygenic: the infinitesimal model, every locus has a small effect on every trait.

    eta_n = mu + E_n D + x_n B
    B = Z chol(C)' diag(s) / sqrt(L),   Z_lt ~ Normal(0, 1)
    C ~ LKJ(1.5),  s_t ~ HalfNormal(0.8)

so that, marginally, the genetic values are matrix normal with covariance x x' / L between
individuals and G = diag(s) C diag(s) between traits: multi-trait GBLUP.

Sites: mu mean; D environment_effect; Z effects; chol(C) trait_correlation; s trait_scale
Source: Fisher 1918, doi:10.1017/S0080456800012163; VanRaden 2008, doi:10.3168/jds.2007-0980.
Claims: additive, dense, no bottleneck.  Rivals: `blueprint` says sparse, `factor` says few latents.
Special case: C = I and a common s is ridge regression.  Refuted by: epistasis; a latent bottleneck.
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
from genomic_code.spec.priors import (
    Dense,
    baseline,
    baseline_traits,
    choose,
    correlation,
    trait_scale,
)
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import known_priors, positive_fields

__all__ = ["Polygenic"]


@dataclass(frozen=True)
class Polygenic:
    """Dense additive effects, correlated over traits."""

    name: ClassVar[str] = "polygenic"
    complexity: ClassVar[int] = 4
    rotatable: ClassVar[bool] = True
    _repr_html_ = formalization_html

    concentration: float = 1.5
    """LKJ concentration of the genetic correlation; 1 is uniform, larger is nearer to none."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: `effects`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        positive_fields(self, "concentration")
        known_priors(self.prior, "effects")

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`effects` (L, T), in trait sd per genotype sd, besides the baseline."""
        sizes = {"locus": shape.loci, "trait": shape.traits}
        effects = choose(self.prior, "effects", Dense())("effects", sizes)
        scale = trait_scale(shape, 0.8)
        mixing = correlation(shape, self.concentration).mT * scale[..., None, :]
        return {**baseline(shape), "effects": effects @ mixing / math.sqrt(shape.loci)}

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        return baseline_traits(weights, environment) + project(genotype, weights["effects"])

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
