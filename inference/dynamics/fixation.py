"""Fixation chain: a population so small in mutation supply that it is nearly always monomorphic.

Mutants arise one at a time and fix or vanish before the next; the population's genotype walks on
the graph at rate `copies * mutation * phi(log fitness difference)`. With reversible mutation the
stationary law is `prior * exp(nu * log fitness)`, Bayes' posterior with the likelihood raised to
nu; free fitness `E log f - KL(p, prior) / nu` never falls on the way. Sella & Hirsh 2005,
doi:10.1073/pnas.0501865102; Iwasa 1988, doi:10.1016/S0022-5193(88)80243-1.
"""

import math
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from genomic_code.inference.dynamics.drift import Drift
from genomic_code.inference.dynamics.replicator import Frequencies
from genomic_code.inference.dynamics.space import GenotypeSpace
from genomic_code.inference.niche import Selection

__all__ = ["FixationChain"]


@dataclass(frozen=True, eq=False)
class FixationChain:
    """The rare-mutation limit of a finite population, as a master equation over genotypes."""

    space: GenotypeSpace
    """The genotypes; their mutation must be reversible."""
    drift: Drift
    """Population size and conventions."""
    mutation_rate: float = 1e-4
    """Mutations per edge of rate 1, gene copy and generation; positive."""
    generations: float = 100.0
    """Generations that one step takes; positive."""
    memory: WeakKeyDictionary[Selection, Tensor] = field(
        default_factory=WeakKeyDictionary, repr=False
    )

    def __post_init__(self) -> None:
        for name in ("mutation_rate", "generations"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, got {value}")

    def start(self, frequency: Tensor | None = None) -> Frequencies:
        """Populations with these genotypes `(G,)`; by default at neutral equilibrium."""
        if frequency is None:
            return Frequencies(self.space.log_prior)
        return Frequencies(frequency.double().log().log_softmax(0))

    def rates(self, niche: Selection) -> Tensor:
        """Rate matrix `(G, G)` per generation."""
        fitness = self.space.log_fitness(niche)
        source, target, _ = self.space.edges
        supply = self.mutation_rate * self.drift.copies
        return self.space.generator(self.drift.fixation(fitness[target] - fitness[source])) * supply

    def posterior(self, niche: Selection) -> Tensor:
        """Tempered posterior `(G,)`: log of prior times fitness to the nu, normalised."""
        return (self.space.log_prior + self.drift.nu * self.space.log_fitness(niche)).log_softmax(0)

    def stationary(self, niche: Selection) -> Tensor:
        """Stationary law `(G,)` of the chain, from its rates alone."""
        rates = self.rates(niche)
        rates = rates / rates.diagonal().abs().max()
        system = rates.mT.clone()
        system[-1] = 1.0
        right = torch.zeros(len(rates), dtype=rates.dtype)
        right[-1] = 1.0
        law: Tensor = torch.linalg.solve(system, right)
        return law

    def step(self, state: Frequencies, niche: Selection) -> Frequencies:
        """Let `generations` generations pass."""
        if niche not in self.memory:
            self.memory[niche] = torch.linalg.matrix_exp(self.rates(niche) * self.generations)
        law = state.log_frequency.exp() @ self.memory[niche]
        return Frequencies(
            law.clamp_min(0).log().log_softmax(0), state.log_evidence, state.generation + 1
        )

    def summary(self, state: Frequencies, niche: Selection) -> dict[str, Tensor]:
        """What a `Lineage` records."""
        values = self.space.moments(state.log_frequency, niche)
        cost = values["information"] * math.log(2) / self.drift.nu
        return {**values, "free_fitness": values["expected_log_fitness"] - cost}

    @property
    def conventions(self) -> dict[str, Any]:
        """What a `Lineage` states about itself."""
        return {
            "dynamics": "fixation chain",
            **vars(self.drift),
            "nu": self.drift.nu,
            "mutation_rate": self.mutation_rate,
            "generations_per_step": self.generations,
        }
