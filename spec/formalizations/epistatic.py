"""Epistatic: direct encoding with pairwise interactions of loci, and no latents.

    eta_n = mu + E_n D + x_n B + sum_{(i,j) in P} x_ni x_nj C_ij
    B_lt = z_lt tau_t lam~_lt,       lam~^2 = c_t^2 lam^2 / (c_t^2 + tau_t^2 lam^2)
    C_ijt = z'_ijt tau'_t lam'~_ijt,  lam'~^2 from c'_t^2, tau'_t and lam' likewise
    z, z' ~ Normal(0, 1),  lam, lam' ~ HalfCauchy(1),  c^2, c'^2 ~ InvGamma(2, 0.2)
    tau_t ~ LogNormal(log(6 p0 / (L - p0) / sqrt(N)), 1),   p0 causal loci a trait
    tau'_t ~ LogNormal(log(6 q0 / (|P| - q0) / sqrt(N)), 1),  q0 causal pairs a trait

P holds all pairs of up to `paired_loci` loci. With L at most that (100 loci: 4,950 pairs) these are
all pairs there are. Above it P cannot be exhaustive (10,000 loci: 50 million pairs) and is fixed
beforehand: the pairs of `paired_loci` columns evenly spaced over the genotype, which along a map of
linked markers tag every region against every other; or of `candidates` that you name. Neither looks
at the phenotype: candidates chosen by it belong to the training rows only.

In the code B is `effects`, C is `pair_effects` and P is `pairs(L)`.

Sites: mu mean; D environment_effect; z effects; lam effects_local; tau effects_global;
c^2 effects_slab; z' pair_effects; lam' pair_effects_local; tau' pair_effects_global;
c'^2 pair_effects_slab
Source: Cockerham 1954 (additive-by-additive epistasis), doi:10.1093/genetics/39.6.859; Piironen &
Vehtari 2017, doi:10.1214/17-EJS1337SI.
Claims: nonlinear, but loci meet each other directly, pair by pair. The control that separates
"nonlinear" from "latent".  Rivals: `generative` says that interactions run through few latents.
Special case: C = 0 is `blueprint`, prior included.  Refuted by: latents that predict unseen
combinations better; a map in which additive effects do as well.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from genomic_code.spec.formalizations.blueprint import Blueprint
from genomic_code.spec.html import formalization_html
from genomic_code.spec.linear import project
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import Horseshoe, choose
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.selection import forward_selection
from genomic_code.spec.validate import known_priors, positive_fields

__all__ = ["Epistatic"]


@dataclass(frozen=True)
class Epistatic:
    """Sparse additive effects and sparse effects of pairs of loci."""

    name: ClassVar[str] = "epistatic"
    complexity: ClassVar[int] = 5
    rotatable: ClassVar[bool] = False
    direct: ClassVar[bool] = True
    _repr_html_ = formalization_html

    loci_per_trait: float = 8.0
    """Prior guess p0 of the number of causal loci of a trait; positive, taken as at most L/2."""
    pairs_per_trait: float = 8.0
    """Prior guess q0 of the number of causal pairs of a trait; positive, at most half of them."""
    paired_loci: int = 100
    """Number M of loci that form pairs, evenly spaced over the genotype; at least 2, all if M >= L.
    Cost and memory grow as M^2 N: 4,950 pairs at 100."""
    candidates: tuple[int, ...] = ()
    """Positions (from 0) of the loci that form pairs, instead of evenly spaced ones; all different,
    at least 2. Empty: evenly spaced."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: `effects`, `pair_effects`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        positive_fields(self, "loci_per_trait", "pairs_per_trait")
        known_priors(self.prior, "effects", "pair_effects")
        if not isinstance(self.paired_loci, int) or self.paired_loci < 2:
            raise ValueError(
                f"paired_loci must be an integer of at least 2, got {self.paired_loci}"
            )
        chosen = tuple(int(locus) for locus in self.candidates)
        if chosen and (min(chosen) < 0 or len(chosen) < 2 or len(set(chosen)) < len(chosen)):
            raise ValueError(
                f"candidates must be at least 2 different positions from 0, got {self.candidates}"
            )
        object.__setattr__(self, "candidates", chosen)

    @property
    def additive(self) -> Blueprint:
        """The `blueprint` formalization that this one becomes without pair effects."""
        prior = {name: self.prior[name] for name in ("effects",) if name in self.prior}
        return Blueprint(loci_per_trait=self.loci_per_trait, prior=prior)

    def pairs(self, loci: int) -> Tensor:
        """The pairs P `(2, number of pairs)`: positions of the two loci of each.

        Raises:
            ValueError: A candidate is not among the loci.
        """
        if self.candidates and max(self.candidates) >= loci:
            raise ValueError(
                f"candidates must be positions below the number of loci {loci}, "
                f"got {max(self.candidates)}"
            )
        spaced = torch.linspace(0, loci - 1, min(self.paired_loci, loci)).round().long()
        chosen = torch.tensor(self.candidates) if self.candidates else spaced
        first, second = torch.triu_indices(len(chosen), len(chosen), offset=1)
        return torch.stack((chosen[first], chosen[second]))

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`effects` (L, T) and, from 2 loci on, `pair_effects` (P, T), besides the baseline."""
        weights = self.additive.weights(shape)
        number = self.pairs(shape.loci).shape[-1]
        if number:
            sizes = {"pair": number, "trait": shape.traits}
            weights["pair_effects"] = self.pair_effects(shape)("pair_effects", sizes)
        return weights

    def pair_effects(self, shape: Shape) -> Prior:
        """Prior of the effects of pairs; there must be at least one."""
        number = self.pairs(shape.loci).shape[-1]
        causal = min(self.pairs_per_trait, number / 2)
        tau0 = causal / (number - causal) / math.sqrt(shape.individuals)
        return choose(self.prior, "pair_effects", Horseshoe(6 * tau0))

    def starts(self, data: Data, generator: torch.Generator) -> dict[str, Tensor]:
        """Start at the loci and pairs that forward selection takes, out of all together."""
        shape = data.shape
        if not self.pairs(shape.loci).shape[-1]:
            return self.additive.starts(data, generator)
        priors = {
            "effects": self.additive.effects(shape), "pair_effects": self.pair_effects(shape)
        }  # fmt: skip
        columns = torch.cat([data.genotype, self.products(data.genotype)], -1)
        chosen = forward_selection(data._replace(genotype=columns)).split(
            [shape.loci, columns.shape[-1] - shape.loci]
        )
        values: dict[str, Tensor] = {}
        for (name, prior), effects in zip(priors.items(), chosen, strict=True):
            if isinstance(prior, Horseshoe):
                values |= prior.sites(name, effects)
        return values

    def products(self, genotype: Tensor) -> Tensor:
        """Products `(..., N, P)` of the loci of each pair."""
        first, second = self.pairs(genotype.shape[-1]).to(genotype.device)
        rows = genotype.mT.contiguous()  # whole rows are gathered ten times as fast as columns
        return (rows.index_select(-2, first) * rows.index_select(-2, second)).mT

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        expected = self.additive.develop(weights, genotype, environment)
        if "pair_effects" not in weights:
            return expected
        return expected + project(self.products(genotype), weights["pair_effects"])

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
