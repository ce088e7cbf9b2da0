"""Replicator and replicator-mutator: an infinite asexual population is a Bayesian filter.

    q <- q Q                 mutation: the transition of a hidden Markov model
    q <- q w / sum(q w)      selection: Bayes' rule, with the evidence as mean fitness

Exact for every landscape (Harper 2009, arXiv:0911.1763; Shalizi 2009, doi:10.1214/09-EJS485;
Akyildiz 2017, arXiv:1712.07879). Free fitness need not rise from generation to generation.
"""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from genomic_code.inference.dynamics.space import GenotypeSpace
from genomic_code.inference.niche import Selection

__all__ = ["Frequencies", "Replicator"]


@dataclass(frozen=True, eq=False)
class Frequencies:
    """A law over the genotypes of a space: a population, or the state of many populations."""

    log_frequency: Tensor
    """`(G,)`, float64, normalised."""
    log_evidence: float = 0.0
    """Sum over generations of the log mean fitness, nats."""
    generation: int = 0


@dataclass(frozen=True, eq=False)
class Replicator:
    """Mutation, then selection, in an infinite population of enumerable genomes."""

    space: GenotypeSpace
    """The genotypes."""
    mutation_rate: float = 0.0
    """Mutations per edge of rate 1 and generation; not negative."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mutation_rate) and self.mutation_rate >= 0):
            raise ValueError(f"mutation_rate must not be negative, got {self.mutation_rate}")
        matrix = self.space.mutation(self.mutation_rate).log() if self.mutation_rate else None
        object.__setattr__(self, "log_mutation", matrix)

    log_mutation: Tensor | None = None

    def start(self, frequency: Tensor | None = None) -> Frequencies:
        """A population with these frequencies `(G,)`; by default at neutral equilibrium."""
        if frequency is None:
            return Frequencies(self.space.log_prior)
        count = len(self.space.genomes)
        if frequency.shape != (count,) or not (frequency >= 0).all() or not frequency.sum() > 0:
            raise ValueError(
                f"frequency must be {count} numbers that are not negative and not all zero, "
                f"got shape {tuple(frequency.shape)}"
            )
        return Frequencies(frequency.double().log().log_softmax(0))

    def step(self, state: Frequencies, niche: Selection) -> Frequencies:
        """One generation."""
        log_frequency = state.log_frequency
        if self.log_mutation is not None:
            log_frequency = (log_frequency[:, None] + self.log_mutation).logsumexp(0)
        joint = log_frequency + self.space.log_fitness(niche)
        evidence = joint.logsumexp(0)
        if not evidence.isfinite():
            raise ValueError(
                f"niche {niche.name!r} must give a finite mean fitness, got log {float(evidence)}"
            )
        return Frequencies(
            joint - evidence, state.log_evidence + float(evidence), state.generation + 1
        )

    def summary(self, state: Frequencies, niche: Selection) -> dict[str, Tensor]:
        """What a `Lineage` records."""
        return self.space.moments(state.log_frequency, niche)

    @property
    def conventions(self) -> dict[str, Any]:
        """What a `Lineage` states about itself."""
        return {
            "dynamics": "replicator-mutator" if self.mutation_rate else "replicator",
            "population_size": math.inf,
            "mutation_rate": self.mutation_rate,
            "order": "mutation, then selection",
        }
