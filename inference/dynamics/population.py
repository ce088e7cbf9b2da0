"""Wright-Fisher population of whole genomes: every individual has weights and alleles of its own.

The genome is the unconstrained vector of a formalization. Mutation is a normal step, accepted as
Metropolis would under the prior, so that without selection the population's lineages have exactly
the prior as their equilibrium, whatever its shape.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genomic_code.inference.dynamics.bits import sample_parents
from genomic_code.inference.genome import Genome, log_fitness
from genomic_code.inference.niche import Selection
from genomic_code.spec.validate import at_least_one

__all__ = ["GenomePopulation", "Genomes"]


@dataclass(frozen=True, eq=False)
class Genomes:
    """R replicate populations of P genomes."""

    vectors: Tensor
    """`(R, P, D)`, unconstrained."""
    seed: int = 0
    generation: int = 0


@dataclass(frozen=True, eq=False)
class GenomePopulation:
    """Individual-based haploid Wright-Fisher dynamics of continuous genomes."""

    genome: Genome
    population_size: int
    """Number P of individuals; at least 1."""
    mutation_scale: float | Tensor = 0.05
    """Standard deviation of a mutational step: one number, one a coordinate `(D,)`, or, where
    populations differ, `(R, 1, D)`; 0 for none."""
    recombination: bool = False
    """Whether each coordinate comes from either of two parents (free recombination)."""
    neutral_prior: bool = True
    """Whether mutation is biased so that the prior is its equilibrium; else it is a random walk."""

    def __post_init__(self) -> None:
        at_least_one(self, "population_size")
        scale = torch.as_tensor(self.mutation_scale, dtype=torch.get_default_dtype())
        own = scale.dim() == 0 or scale.shape[-1] == self.genome.size
        if not own or scale.dim() not in (0, 1, 3) or not (scale >= 0).all():
            raise ValueError(
                f"mutation_scale must be one number or {self.genome.size} of them, none negative, "
                f"got shape {tuple(scale.shape)}"
            )
        object.__setattr__(self, "mutation_scale", scale)

    def start(self, founder: Tensor, seed: int = 0) -> Genomes:
        """Populations that are clones of founders `(R, D)` or `(D,)`."""
        founders = founder.reshape(-1, 1, self.genome.size)
        return Genomes(founders.repeat(1, self.population_size, 1), seed)

    def step(self, state: Genomes, niche: Selection) -> Genomes:
        """One generation: selection, recombination, mutation."""
        rng = np.random.default_rng((state.seed, state.generation))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        with torch.no_grad():
            fitness = log_fitness(self.genome, state.vectors, niche).double().numpy()
            vectors = self.parents(state, fitness, rng)
            if self.recombination:
                other = self.parents(state, fitness, rng)
                coin = torch.rand(vectors.shape, generator=generator) < 0.5
                vectors = torch.where(coin, vectors, other)
            vectors = self.mutate(vectors, generator)
        return Genomes(vectors, state.seed, state.generation + 1)

    def parents(self, state: Genomes, fitness: Any, rng: np.random.Generator) -> Tensor:
        """Genomes `(R, P, D)` of parents drawn in proportion to fitness."""
        chosen = torch.from_numpy(sample_parents(fitness, rng))
        return state.vectors[torch.arange(len(chosen))[:, None], chosen]

    def mutate(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        """Normal steps, accepted by the ratio of priors."""
        noise = torch.randn(vectors.shape, generator=generator)
        moved = vectors + torch.as_tensor(self.mutation_scale) * noise
        if not self.neutral_prior:
            return moved
        ratio = self.genome.log_prior(moved) - self.genome.log_prior(vectors)
        kept = torch.rand(ratio.shape, generator=generator).log() < ratio
        return torch.where(kept[..., None], moved, vectors)

    def summary(self, state: Genomes, niche: Selection) -> dict[str, Tensor]:
        """What a `Lineage` records: means over the replicates."""
        with torch.no_grad():
            fitness = log_fitness(self.genome, state.vectors, niche)
            traits = self.genome.traits(state.vectors, niche)
            spread = traits - traits.mean(1, keepdim=True)
            cells = len(traits) * max(self.population_size - 1, 1) * niche.conditions
            return {
                "location": state.vectors.mean((0, 1)),
                "expected_log_fitness": fitness.mean(),
                "log_mean_fitness": fitness.logsumexp(1).mean() - math.log(self.population_size),
                "mean_trait": traits.mean((0, 1)),
                "G": torch.einsum("rpmt,rpmu->tu", spread, spread) / cells,
            }

    @property
    def conventions(self) -> dict[str, Any]:
        """What a `Lineage` states about itself."""
        return {
            "dynamics": "individual-based Wright-Fisher of whole genomes",
            "ploidy": "haploid",
            "population_size": self.population_size,
            "recombination": 0.5 if self.recombination else 0.0,
            "order": "selection, recombination, mutation",
        }
