"""The map f under posterior draws, bound to the population on which it is summarised."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from genomic_code.inference.flat import compose, unvalidated
from genomic_code.inference.posterior import Fit
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.model import observation
from genomic_code.spec.protocols import Data, Formalization, Weights
from genomic_code.spec.standardize import Scaler

__all__ = ["Map", "Posterior", "posterior_map"]

WORK = 2**22
"""Numbers that one working array may hold: it stays in the cache."""


class Posterior(Protocol):
    """What is needed of a Fit, or of anything else with a posterior over the genomic weights."""

    @property
    def formalization(self) -> Formalization:
        """The hypothesis."""
        ...

    @property
    def cohort(self) -> Cohort:
        """The population on which the map is summarised."""
        ...

    @property
    def scaler(self) -> Scaler:
        """From the units of the cohort to standard units."""
        ...

    def weights(self, draws: int = ..., seed: int | None = ...) -> Weights:
        """Draws `(S, ...)` of the genomic weights, over loci."""
        ...


@dataclass(frozen=True)
class Map:
    """The map f from genotype and environment to expected traits, under S draws of its weights."""

    formalization: Formalization
    weights: Weights
    """Genomic weights, each `(S, ...)`, over loci."""
    genotype: Tensor
    """Population `(N, L)` in standard units."""
    environment: Tensor
    """Its environments `(N, C)` in standard units."""
    noise_variance: Tensor | None = None
    """Variance `(S, T)` of the traits of an individual about their expectation, if known."""
    unit: Tensor | float = 1.0
    """Size `(T,)` of a standard unit of each trait in the units of the results."""
    labels: Mapping[str, list[str]] = field(default_factory=dict)
    """Names along `locus`, `covariate` and `trait`, where they are known."""

    @property
    def draws(self) -> int:
        """Number of draws S."""
        return len(next(iter(self.weights.values())))

    @property
    def loci(self) -> int:
        """Number of loci L."""
        return int(self.genotype.shape[-1])

    def select(self, draws: slice | list[int]) -> "Map":
        """The map under some of the draws."""
        noise = None if self.noise_variance is None else self.noise_variance[draws]
        some = {name: value[draws] for name, value in self.weights.items()}
        return replace(self, weights=some, noise_variance=noise)

    def pieces(self, per_draw: int) -> Iterator[tuple[slice, "Map"]]:
        """The draws a few at a time, `per_draw` being the numbers that one draw works on."""
        step = max(1, WORK // max(1, per_draw))
        for start in range(0, self.draws, step):
            part = slice(start, min(start + step, self.draws))
            yield part, self.select(part)

    def develop(self, genotype: Tensor, environment: Tensor | None = None) -> Tensor:
        """Expected traits `(S, N, T)`, differentiable, in one piece.

        `genotype` is `(N, L)` or `(S, N, L)`. Without `environment` `(N, C)` the environment is
        the mean of the cohort, 0 in standard units.
        """
        if environment is None:
            environment = genotype.new_zeros(genotype.shape[-2], self.environment.shape[-1])
        expected = self.formalization.develop(self.weights, genotype, environment)
        return expected.expand(self.draws, genotype.shape[-2], -1) * self.unit

    def traits(self, genotype: Tensor | None = None, environment: Tensor | None = None) -> Tensor:
        """Expected traits `(S, N, T)` of `genotype` `(N, L)`, by default of the population."""
        rows = self.genotype if genotype is None else genotype
        with torch.no_grad():
            parts = [m.develop(rows, environment) for _, m in self.pieces(len(rows) * 64)]
        return torch.cat(parts)

    @property
    def trait_count(self) -> int:
        """Number of traits T."""
        with torch.no_grad():
            return int(self.select(slice(0, 1)).develop(self.genotype[:1]).shape[-1])

    def names(self, dimension: str) -> list[str]:
        """Labels along `locus`, `covariate` or `trait`; numbered where none were given."""
        if dimension in self.labels:
            return list(self.labels[dimension])
        sizes = {"locus": self.loci, "covariate": int(self.environment.shape[-1])}
        size = sizes[dimension] if dimension in sizes else self.trait_count
        return [f"{dimension}_{i}" for i in range(size)]

    def position(self, dimension: str, label: str | int) -> int:
        """Index of a label, or of a position, along `locus`, `covariate` or `trait`.

        Raises:
            ValueError: There is none such.
        """
        names = self.names(dimension)
        if isinstance(label, str):
            if label not in names:
                raise ValueError(
                    f"{dimension} must be one of {len(names)} names such as "
                    f"{', '.join(names[:3])}, got {label!r}"
                )
            return names.index(label)
        if not -len(names) <= label < len(names):
            raise ValueError(f"{dimension} must be below {len(names)}, got {label}")
        return label % len(names)


def posterior_map(
    posterior: Posterior,
    draws: int = 200,
    seed: int = 0,
    original_units: bool = False,
    flat: Tensor | None = None,
) -> Map:
    """The map of a posterior, on the cohort that it was fitted to.

    Args:
        posterior: A Fit, a Lineage, or anything with the same four attributes.
        draws: Number of posterior draws S.
        seed: Seed of the draws.
        original_units: Traits in the units of the cohort, instead of trait standard deviations.
        flat: Draws `(S, P)` to use in place of the guide's, for instance of `refine`.
    """
    data = posterior.scaler.data(posterior.cohort)
    noise = None
    with torch.no_grad():
        if isinstance(posterior, Fit):
            weights, noise = fit_draws(posterior, data, draws, seed, flat)
        else:
            weights = posterior.weights(draws, seed)
    unit = posterior.scaler.phenotype[1] if original_units else 1.0
    if noise is not None:
        noise = noise * torch.as_tensor(unit).square()
    labels = {
        name: posterior.cohort.labels(name)
        for name in ("locus", "covariate", "trait")
        if posterior.cohort.sizes[name]
    }
    inputs = data.genotype, data.environment
    return Map(posterior.formalization, weights, *inputs, noise, unit, labels)


def fit_draws(
    fit: Fit, data: Data, draws: int, seed: int, flat: Tensor | None
) -> tuple[Weights, Tensor | None]:
    """Genomic weights `(S, ...)` and noise variance `(S, T)`, composed a few draws at a time."""
    if flat is None:
        flat = fit.flat_draws(draws, seed)
    step = max(1, 4 * WORK // max(fit.flat.dim, fit.shape.loci * fit.shape.traits))
    parts, noises = [], []
    for start in range(0, len(flat), step):
        sites = fit.sites(flat[start : start + step], seed + start)
        weights, parameters = compose(fit.formalization, sites, fit.shape)
        parts.append(weights)
        noises.append(noise_variance(fit.formalization, weights, parameters, data))
    noise = [variance for variance in noises if variance is not None]
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return joined, torch.cat(noise) if noise else None


def noise_variance(
    formalization: Formalization, weights: Weights, parameters: Weights, data: Data
) -> Tensor | None:
    """Variance `(S, T)` of continuous noise, known error aside; None where there is a link.

    The mean over individuals, where the genotype decides how widely they scatter.
    """
    if not formalization.noise.standardised:
        return None
    some = data.take(slice(None if hasattr(formalization, "spread") else 1))
    nothing = torch.zeros_like(some.error)
    some = some._replace(phenotype=None, error=nothing)
    with unvalidated():
        noise = observation(formalization, weights, parameters, nothing, some)
    return noise.variance.mean(-2)
