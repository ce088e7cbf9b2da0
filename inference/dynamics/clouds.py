"""Clouds of mutants around one parent: evolution strategies, and what they estimate.

The fitness-weighted mean of the mutants (Price's selection differential) estimates Lande's
`G grad log E[W]`; the covariance of mutant and log fitness estimates the score-function gradient
of `E[log W]`, that is of the ELBO. The two climb different objectives. Wierstra et al. 2014, JMLR
15:949; Salimans et al. 2017, arXiv:1703.03864; Price 1970, doi:10.1038/227520a0.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from genomic_code.inference.genome import Genome, log_fitness
from genomic_code.inference.niche import Selection
from genomic_code.spec.validate import at_least_one, one_of

__all__ = ["Cloud", "EvolutionStrategy", "score_gradient", "selection_differential"]


def selection_differential(mutants: Tensor, log_fitness: Tensor, mean: Tensor) -> Tensor:
    """Change of the mean by selection, `sum_i w_i (x_i - m) / sum_i w_i`, shape `(D,)`.

    Args:
        mutants: `(n, D)`.
        log_fitness: `(n,)`, nats.
        mean: `(D,)` of the parent.
    """
    return log_fitness.softmax(0) @ (mutants - mean)


def score_gradient(
    mutants: Tensor, height: Tensor, mean: Tensor, scale: Tensor | float, baseline: bool = True
) -> Tensor:
    """Score-function gradient in the mean of E[height] for normal mutants, shape `(D,)`.

    `mean_i f_i (x_i - m) / scale^2`, the evolution-strategies estimator.

    Args:
        mutants: `(n, D)`, normal about `mean` with standard deviation `scale`.
        height: f, `(n,)`.
        mean: `(D,)`.
        scale: Standard deviation, one number or `(D,)`.
        baseline: Subtract the mean height: a fifth of the noise, and Price's covariance (with
            n - 1, so that the estimate stays unbiased).
    """
    count = len(mutants)
    if baseline:
        return (height - height.mean()) @ (mutants - mean) / scale**2 / max(count - 1, 1)
    return height @ (mutants - mean) / scale**2 / count


@dataclass(frozen=True, eq=False)
class Cloud:
    """The parent of a cloud of mutants."""

    mean: Tensor
    """`(D,)`"""
    seed: int = 0
    generation: int = 0


@dataclass(frozen=True, eq=False)
class EvolutionStrategy:
    """Mutants of fixed spread around a parent; the next parent is their selected mean."""

    genome: Genome
    mutants: int = 200
    """Number n of mutants a generation; at least 2."""
    scale: float = 0.1
    """Standard deviation of a mutant about its parent, in every coordinate; positive."""
    selection_on: Literal["log_mean", "mean_log"] = "log_mean"
    """`log_mean`: the fitness-weighted mean of the mutants. `mean_log`: the score-function step on
    the tempered ELBO."""
    nu: float | None = None
    """For `mean_log`: exponent of fitness against the prior; None for no prior."""

    def __post_init__(self) -> None:
        at_least_one(self, "mutants")
        one_of("selection_on", self.selection_on, ["log_mean", "mean_log"])
        for name in ("scale", "nu"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, got {value}")

    def sample(self, state: Cloud) -> Tensor:
        """The mutants `(n, D)` of this generation."""
        generator = torch.Generator().manual_seed(state.seed * 1_000_003 + state.generation)
        noise = torch.randn(self.mutants, len(state.mean), generator=generator)
        return state.mean + self.scale * noise.to(state.mean.dtype)

    def step(self, state: Cloud, niche: Selection) -> Cloud:
        """One generation."""
        mutants = self.sample(state)
        with torch.no_grad():
            height = log_fitness(self.genome, mutants, niche)
            if self.selection_on == "log_mean":
                change = selection_differential(mutants, height, state.mean)
            else:
                if self.nu is not None:
                    height = height + self.genome.log_prior(mutants) / self.nu
                gradient = score_gradient(mutants, height, state.mean, self.scale)
                change = self.scale**2 * gradient
        return replace(state, mean=state.mean + change, generation=state.generation + 1)

    def summary(self, state: Cloud, niche: Selection) -> dict[str, Tensor]:
        """What a `Lineage` records."""
        with torch.no_grad():
            mutants = self.sample(state)
            fitness = log_fitness(self.genome, mutants, niche)
            traits = self.genome.traits(mutants, niche)
            spread = traits - traits.mean(0)
            count = (self.mutants - 1) * niche.conditions
            return {
                "location": state.mean,
                "expected_log_fitness": fitness.mean(),
                "log_mean_fitness": fitness.logsumexp(0) - math.log(self.mutants),
                "mean_trait": traits.mean(0),
                "G": torch.einsum("smt,smu->tu", spread, spread) / count,
            }

    @property
    def conventions(self) -> dict[str, Any]:
        """What a `Lineage` states about itself."""
        return {
            "dynamics": "evolution strategy",
            "mutants": self.mutants,
            "mutation_scale": self.scale,
            "selection_on": self.selection_on,
        }
