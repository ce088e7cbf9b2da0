"""Genome: what mutates and is inherited, as one vector, and the traits that it develops into.

Inference and evolution meet here: both see a genome as a vector with a prior (the neutral
mutational equilibrium) and, in a niche, a log fitness (the log likelihood).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from pyro import poutine
from torch import Tensor

from genomic_code.inference.flat import FlatModel, unvalidated
from genomic_code.inference.niche import Selection
from genomic_code.spec.formalizations import resolve
from genomic_code.spec.priors import Dense
from genomic_code.spec.protocols import Data, Formalization, Shape, Weights

__all__ = ["AlleleGenome", "Genome", "TraitGenome", "WeightGenome", "log_fitness"]


class Genome(Protocol):
    """Vectors of length `size` with a neutral prior and a development."""

    @property
    def size(self) -> int:
        """Length of the vector."""
        ...

    def log_prior(self, genomes: Tensor) -> Tensor:
        """Log density `(...)` of genomes `(..., size)` at neutral mutational equilibrium."""
        ...

    def traits(self, genomes: Tensor, niche: Selection) -> Tensor:
        """Expected traits `(..., M, T)` of genomes `(..., size)` in the conditions of a niche."""
        ...


def log_fitness(genome: Genome, genomes: Tensor, niche: Selection) -> Tensor:
    """Log fitness `(...)` of genomes `(..., size)`.

    Raises:
        FloatingPointError: A genome develops traits that are not numbers.
    """
    values = niche.log_fitness(genome.traits(genomes, niche))
    if values.isnan().any():
        raise FloatingPointError(
            f"log fitness in the niche {niche.name!r} is not a number for "
            f"{int(values.isnan().sum())} genomes; their development diverged"
        )
    return values


def check_free(niche: Selection) -> None:
    """Refuse a niche that imposes alleles on a genome that is itself what evolves."""
    if niche.genotype is not None:
        raise ValueError(
            f"niche {niche.name!r} must not impose a genotype: the genome is what evolves here"
        )


@dataclass(frozen=True)
class TraitGenome:
    """Quantitative genetics without loci: the genome is the vector of breeding values itself."""

    size: int
    """Number of traits T."""
    scale: float = 1.0
    """Standard deviation of a trait at neutral equilibrium, trait units; positive."""

    def log_prior(self, genomes: Tensor) -> Tensor:
        """Independent normal."""
        constant = math.log(self.scale) + 0.5 * math.log(2 * math.pi)
        return -(0.5 * (genomes / self.scale).square() + constant).sum(-1)

    def traits(self, genomes: Tensor, niche: Selection) -> Tensor:
        """The genomes, the same in every condition: `(..., M, T)`.

        Raises:
            ValueError: The niche imposes a genotype.
        """
        check_free(niche)
        lead = genomes.shape[:-1]
        return genomes[..., None, :].expand(*lead, niche.conditions, genomes.shape[-1])


@dataclass(frozen=True, eq=False)
class AlleleGenome:
    """Alleles 0 and 1 at L loci of a haploid, developed by weights that do not change.

    The formalization meets them in standard units, `(allele - bias) / sqrt(bias (1 - bias))`:
    mean 0 and variance 1 at neutral equilibrium.
    """

    formalization: Formalization
    """The hypothesis that develops the alleles."""
    weights: Weights
    """One set of genomic weights by name, for instance a posterior draw, without batch."""
    loci: int
    """Number of loci L."""
    bias: float | Tensor = 0.5
    """Frequency of allele 1 at neutral mutational equilibrium, one number or `(L,)`, in (0, 1)."""

    def __post_init__(self) -> None:
        bias = torch.as_tensor(self.bias, dtype=torch.get_default_dtype())
        if bias.shape not in ((), (self.loci,)) or not ((bias > 0) & (bias < 1)).all():
            raise ValueError(
                f"bias must be one number or {self.loci} of them, strictly between 0 and 1, "
                f"got {bias.tolist()}"
            )
        for name in ("effects", "encoder"):
            if name in self.weights and self.weights[name].shape[-2] != self.loci:
                raise ValueError(
                    f"weights must be those of {self.loci} loci, got {name!r} of shape "
                    f"{tuple(self.weights[name].shape)}"
                )
        object.__setattr__(self, "bias", bias.expand(self.loci))

    @classmethod
    def draw(
        cls,
        formalization: str | Formalization,
        niche: Selection,
        loci: int,
        bias: float | Tensor = 0.5,
        seed: int = 0,
    ) -> "AlleleGenome":
        """A genome whose weights are a draw from the formalization's prior.

        Args:
            formalization: A registry name or an instance.
            niche: Gives the numbers of traits and environments.
            loci: Number of loci L.
            bias: Frequency of allele 1 at neutral mutational equilibrium.
            seed: Seed of the draw.
        """
        model = resolve(formalization)
        shape = Shape(niche.conditions, loci, niche.environment.shape[1], niche.traits)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(model, model.weights(shape), loci, bias)

    @property
    def size(self) -> int:
        """Number of loci."""
        return self.loci

    def standardized(self, alleles: Tensor) -> Tensor:
        """Genotype in standard units of alleles 0 and 1 `(..., L)`."""
        bias = torch.as_tensor(self.bias)
        scale = (bias * (1 - bias)).rsqrt()
        return torch.addcmul(-bias * scale, alleles, scale)

    def log_prior(self, genomes: Tensor) -> Tensor:
        """Independent loci at mutational equilibrium."""
        bias = torch.as_tensor(self.bias)
        return torch.where(genomes > 0.5, bias.log(), (-bias).log1p()).sum(-1)

    def traits(self, genomes: Tensor, niche: Selection) -> Tensor:
        """Develop alleles `(..., L)` into traits `(..., M, T)`.

        Raises:
            ValueError: The niche imposes a genotype, or has other environments than the weights.
        """
        check_free(niche)
        effect = self.weights.get("environment_effect")
        given = niche.environment.shape[1]
        if effect is not None and effect.shape[-2] != given:
            raise ValueError(
                f"niche must have {effect.shape[-2]} environments as the weights have, got {given}"
            )
        lead = genomes.shape[:-1]
        rows = self.standardized(genomes.reshape(-1, self.loci))
        surroundings = niche.environment[:, None, :].expand(-1, len(rows), -1)
        traits = self.formalization.develop(self.weights, rows, surroundings)
        traits = traits.expand(niche.conditions, len(rows), traits.shape[-1])
        return traits.movedim(0, -2).reshape(*lead, niche.conditions, traits.shape[-1])


@dataclass(frozen=True, eq=False)
class Heredity:
    """The sites of a genome as a Pyro model: the weights, and the alleles if they evolve."""

    formalization: Formalization
    alleles: Mapping[str, int] | None
    fixed: Mapping[str, Tensor]

    def __call__(self, data: Data) -> tuple[Weights, Tensor | None]:
        """Composed weights, and alleles `(..., M, L)` in standard units."""
        with poutine.block(hide=list(self.fixed)), poutine.condition(data=dict(self.fixed)):
            weights = self.formalization.weights(data.shape)
        return weights, Dense()("alleles", self.alleles) if self.alleles else None


class WeightGenome:
    """All genomic weights of a formalization as one unconstrained vector.

    Where the niche imposes no genotype, the alleles of each condition (a habitat, say) are part of
    the vector, in standard units with a standard normal prior: weights are shared by the
    conditions, alleles are not.

    Args:
        formalization: The hypothesis.
        niche: A niche that gives the sizes; `conditions` of it have alleles of their own.
        loci: Number of loci where the niche imposes no genotype.
        fixed: Sites that do not evolve, by name, with their values.
        individuals: Number N that priors may depend on; by default the number of conditions.

    Raises:
        ValueError: A fixed site does not exist.
    """

    def __init__(
        self,
        formalization: Formalization,
        niche: Selection,
        loci: int,
        fixed: Mapping[str, Tensor] | None = None,
        individuals: int | None = None,
    ) -> None:
        free = niche.genotype is None
        loci = loci if niche.genotype is None else niche.genotype.shape[1]
        if isinstance(loci, bool) or not isinstance(loci, int) or loci < 1:
            raise ValueError(f"loci must be an integer of at least 1, got {loci!r}")
        covariates = niche.environment.shape[1]
        self.formalization = formalization
        self.fixed = dict(fixed or {})
        self.shape = Shape(individuals or niche.conditions, loci, covariates, niche.traits)
        self.rows = niche.conditions
        sizes = {"condition": niche.conditions, "locus": loci} if free else None
        self.heredity = Heredity(formalization, sizes, self.fixed)
        everything: Any = replace(self.heredity, fixed={})
        known = {site.name: site.shape for site in FlatModel(everything, self.shape).sites}
        for name, value in self.fixed.items():
            if name not in known or value.shape[-len(known[name]) :] != known[name]:
                raise ValueError(
                    f"fixed must name sites of {formalization.name} with values of their shape "
                    f"({', '.join(f'{k} {tuple(v)}' for k, v in known.items())}), "
                    f"got {name!r} of shape {tuple(value.shape)}"
                )
        model: Any = self.heredity
        self.flat = FlatModel(model, self.shape)
        self.size = self.flat.dim
        zeros = torch.zeros(self.shape.individuals, 0)
        self.blank = Data(torch.zeros(self.shape.individuals, loci), *[zeros] * 4)
        self.blank = self.blank._replace(
            environment=torch.zeros(self.shape.individuals, covariates),
            observed=torch.ones(self.shape.individuals, niche.traits, dtype=torch.bool),
        )

    def slice(self, site: str) -> slice:
        """Where a site lies in the vector.

        Raises:
            ValueError: There is no such site.
        """
        for place in self.flat.sites:
            if place.name == site:
                return slice(place.start, place.stop)
        raise ValueError(
            f"site must be one of {[place.name for place in self.flat.sites]}, got {site!r}"
        )

    def log_prior(self, genomes: Tensor) -> Tensor:
        """Prior of the sites and log volume of the transforms, in nats."""
        return self.flat.log_joint(genomes, self.blank)

    def weights(self, genomes: Tensor) -> tuple[Weights, Tensor | None]:
        """Composed weights by name, and alleles `(..., M, L)` where they evolve."""
        values, _ = self.flat.unpack(genomes)
        with unvalidated(), poutine.block(), poutine.condition(data=values):
            return self.heredity(self.blank)

    def traits(self, genomes: Tensor, niche: Selection) -> Tensor:
        """Develop genomes `(..., size)` into traits `(..., M, T)`.

        Raises:
            ValueError: The niche has other sizes than the genome was made for.
        """
        given = (niche.conditions, niche.environment.shape[1], niche.traits)
        made = (self.rows, self.shape.environments, self.shape.traits)
        if given != made:
            raise ValueError(
                f"niche must have (conditions, environments, traits) {made} as the genome has, "
                f"got {given}"
            )
        weights, alleles = self.weights(genomes)
        genotype = alleles if niche.genotype is None else niche.genotype
        if genotype is None:
            raise ValueError("niche must impose a genotype, since the genome has no alleles")
        traits = self.formalization.develop(weights, genotype, niche.environment)
        return traits.expand(*genomes.shape[:-1], *traits.shape[-2:])
