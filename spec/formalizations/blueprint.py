"""Blueprint: direct encoding, a few loci a trait, each trait with loci of its own.

    eta_n = mu + E_n D + x_n B
    B_lt = z_lt tau_t lam~_lt,   lam~^2 = c_t^2 lam^2 / (c_t^2 + tau_t^2 lam^2)
    z ~ Normal(0, 1),  lam ~ HalfCauchy(1),  c_t^2 ~ InvGamma(2, 0.2)
    tau_t ~ LogNormal(log(6 tau0), 1),  tau0 = p0 / (L - p0) / sqrt(N)

Sites: mu mean; D environment_effect; z effects; lam effects_local; tau effects_global; c^2
effects_slab
Source: the regularised horseshoe, Piironen & Vehtari 2017, doi:10.1214/17-EJS1337SI.
Claims: the map from loci to traits is sparse and direct.  Rivals: `polygenic` says dense, `factor`
says mediated by latents.  Special case: with a normal prior on the effects it is `polygenic` with
uncorrelated traits.  Refuted by: polygenicity; pleiotropy that latents explain better.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from genomic_code.spec.html import formalization_html
from genomic_code.spec.linear import project
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import Horseshoe, baseline, baseline_traits, choose
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.selection import forward_selection
from genomic_code.spec.validate import known_priors, positive_fields

__all__ = ["Blueprint"]


@dataclass(frozen=True)
class Blueprint:
    """Sparse additive effects, drawn separately for every trait."""

    name: ClassVar[str] = "blueprint"
    complexity: ClassVar[int] = 2
    rotatable: ClassVar[bool] = False
    direct: ClassVar[bool] = True
    shared: ClassVar[bool] = False
    _repr_html_ = formalization_html

    loci_per_trait: float = 8.0
    """Prior guess p0 of the number of causal loci of a trait; positive, taken as at most L/2."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: `effects`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        positive_fields(self, "loci_per_trait")
        known_priors(self.prior, "effects")

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`effects` (L, T), in trait sd per genotype sd, besides the baseline."""
        sizes = {"locus": shape.loci, "trait": shape.traits}
        return {**baseline(shape), "effects": self.effects(shape)("effects", sizes)}

    def effects(self, shape: Shape) -> Prior:
        """Prior of the effects."""
        causal = min(self.loci_per_trait, shape.loci / 2)
        tau0 = causal / (shape.loci - causal) / math.sqrt(shape.individuals)
        return choose(self.prior, "effects", Horseshoe(6 * tau0, shared=self.shared))

    def starts(self, data: Data, generator: torch.Generator) -> dict[str, Tensor]:
        """Start at the loci that forward selection takes."""
        prior = self.effects(data.shape)
        if not isinstance(prior, Horseshoe):
            return {}
        return prior.sites("effects", forward_selection(data))

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        return baseline_traits(weights, environment) + project(genotype, weights["effects"])

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
