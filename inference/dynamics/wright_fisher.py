"""Wright-Fisher population of individuals: alleles, drift, mutation, recombination.

Each generation of P haploids: selection (two parents, or one without recombination, drawn in
proportion to fitness), crossing over, mutation. Many independent replicate populations run at once.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference.dynamics.bits import (
    Words,
    crossover,
    flat_positions,
    pack,
    sample_parents,
    set_bits,
    unpack,
)
from genomic_code.inference.genome import AlleleGenome, log_fitness
from genomic_code.inference.niche import Selection
from genomic_code.spec.validate import at_least_one

__all__ = ["Haploids", "WrightFisher"]

TABLE = 12
"""Most loci for which log fitness is looked up in a table of all genotypes."""
CELLS = 2**19
"""Alleles that are developed at a time: what stays in the cache is several times faster."""
SAMPLE = 2**12
"""Individuals, over all replicates, whose traits a summary looks at."""


@dataclass(frozen=True, eq=False)
class Haploids:
    """R replicate populations of P haploid genomes."""

    words: Words
    """Packed alleles `(R, P, W)`."""
    loci: int
    seed: int
    """Seed of the run; the step of generation g draws from (seed, g)."""
    generation: int = 0

    @property
    def alleles(self) -> NDArray[np.uint8]:
        """Alleles 0 and 1 `(R, P, L)`."""
        return unpack(self.words, self.loci)


@dataclass(frozen=True, eq=False)
class WrightFisher:
    """Individual-based haploid Wright-Fisher dynamics."""

    genome: AlleleGenome
    """What develops the alleles."""
    population_size: int
    """Number P of haploid individuals; at least 1."""
    mutation_rate: float = 0.0
    """Mutations per locus and generation: allele 0 becomes 1 with probability `2 rate bias`, 1
    becomes 0 with `2 rate (1 - bias)`, both `rate` without bias; at most 1/2."""
    recombination: float = 0.0
    """Probability of a crossover between neighbouring loci: 0 asexual, 1/2 free."""
    memory: WeakKeyDictionary[Selection, NDArray[np.float64]] = field(
        default_factory=WeakKeyDictionary, repr=False
    )

    def __post_init__(self) -> None:
        at_least_one(self, "population_size")
        for name in ("mutation_rate", "recombination"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise ValueError(f"{name} must be between 0 and 0.5, got {getattr(self, name)}")

    def start(
        self, replicates: int = 1, seed: int = 0, frequency: float | Tensor | None = None
    ) -> Haploids:
        """Populations at linkage equilibrium.

        Args:
            replicates: Number R of independent populations.
            seed: Seed of the whole run.
            frequency: Frequency of allele 1, one number or `(L,)`; by default the bias.
        """
        if replicates < 1:
            raise ValueError(f"replicates must be at least 1, got {replicates}")
        chance = torch.as_tensor(self.genome.bias if frequency is None else frequency)
        if not ((chance >= 0) & (chance <= 1)).all():
            raise ValueError(f"frequency must be between 0 and 1, got {chance.tolist()}")
        rng = np.random.default_rng((seed, 2**32))
        shape = (replicates, self.population_size, self.genome.loci)
        alleles = rng.random(shape, dtype=np.float32) < chance.numpy()
        return Haploids(pack(alleles.view(np.uint8)), self.genome.loci, seed)

    def log_fitness(self, state: Haploids, niche: Selection) -> NDArray[np.float64]:
        """Log fitness `(R, P)` of every individual."""
        if state.loci <= TABLE:
            if niche not in self.memory:
                codes = np.arange(2**state.loci, dtype=np.uint64)[:, None]
                self.memory[niche] = self.developed(unpack(codes, state.loci), niche)
            return self.memory[niche][state.words[..., 0].astype(np.intp)]
        count = state.words.shape[-1]
        genomes = state.words.reshape(-1, count)
        parts = np.array_split(genomes, -(-len(genomes) * state.loci // CELLS))
        values = [self.developed(unpack(part, state.loci), niche) for part in parts]
        return np.concatenate(values).reshape(state.words.shape[:2])

    def developed(self, alleles: NDArray[np.uint8], niche: Selection) -> NDArray[np.float64]:
        """Log fitness `(P,)` of alleles `(P, L)`."""
        with torch.no_grad():
            values = log_fitness(self.genome, floats(alleles), niche)
        result: NDArray[np.float64] = values.double().numpy()
        return result

    def step(self, state: Haploids, niche: Selection) -> Haploids:
        """One generation: selection, recombination, mutation."""
        rng = np.random.default_rng((state.seed, state.generation))
        words = state.words.copy()
        # The offspring of a clone are the clone: where mutation is rare, most populations are.
        mixed = (words != words[:, :1]).any((1, 2))
        if mixed.any():
            words[mixed] = self.offspring(replace(state, words=words[mixed]), niche, rng)
        self.mutate(words, rng)
        return Haploids(words, state.loci, state.seed, state.generation + 1)

    def offspring(self, state: Haploids, niche: Selection, rng: np.random.Generator) -> Words:
        """Genomes `(R, P, W)` of the next generation before they mutate."""
        fitness = self.log_fitness(state, niche)
        row = np.arange(len(fitness))[:, None]
        one = state.words[row, sample_parents(fitness, rng)]
        if not self.recombination:
            return one
        other = state.words[row, sample_parents(fitness, rng)]
        mask = crossover(fitness.shape, state.loci, self.recombination, rng)
        mixed: Words = other ^ ((one ^ other) & mask)
        return mixed

    def mutate(self, words: Words, rng: np.random.Generator) -> None:
        """Redraw alleles, in place, from the neutral equilibrium at rate `2 mutation_rate`."""
        loci = self.genome.loci
        flat = words.reshape(-1, words.shape[-1])
        places = flat_positions(len(flat) * loci, 2 * self.mutation_rate, rng)
        row, locus = places // loci, places % loci
        old = (flat[row, locus // 64] >> (locus % 64).astype(np.uint64)) & np.uint64(1)
        bias = torch.as_tensor(self.genome.bias).numpy()
        changed = (rng.random(len(places)) < bias[locus]) != old.astype(bool)
        set_bits(flat, row[changed], locus[changed])

    def summary(self, state: Haploids, niche: Selection) -> dict[str, Tensor]:
        """What a `Lineage` records: means over the replicates."""
        alleles = state.alleles
        fitness = torch.from_numpy(self.log_fitness(state, niche))
        frequency = torch.from_numpy(alleles.mean(1, dtype=np.float64))
        count = max(1, min(self.population_size, SAMPLE // len(alleles)))
        some = floats(alleles[:, :count])
        with torch.no_grad():
            traits = self.genome.traits(some, niche).double()
        spread = traits - traits.mean(1, keepdim=True)
        cells = len(alleles) * max(count - 1, 1) * niche.conditions
        return {
            "expected_log_fitness": fitness.mean(),
            "log_mean_fitness": (fitness.logsumexp(1) - math.log(self.population_size)).mean(),
            "mean_trait": traits.mean((0, 1)),
            "G": torch.einsum("rpmt,rpmu->tu", spread, spread) / cells,
            "M": self.mutational(some.reshape(-1, state.loci), niche),
            "allele_frequency": frequency.mean(0),
            "heterozygosity": (2 * frequency * (1 - frequency)).mean(),
        }

    def mutational(self, alleles: Tensor, niche: Selection) -> Tensor:
        """Covariance `(T, T)` of trait changes per unit of mutation rate, from random flips."""
        bias = torch.as_tensor(self.genome.bias)
        number = min(256, len(alleles))
        place = torch.arange(number) * len(alleles) // number
        generator = torch.Generator().manual_seed(0)
        locus = torch.randint(alleles.shape[1], (number,), generator=generator)
        before, after = alleles[place], alleles[place].clone()
        after[torch.arange(number), locus] = 1 - after[torch.arange(number), locus]
        one = before[torch.arange(number), locus]
        rate = 2 * torch.where(one > 0.5, 1 - bias[locus], bias[locus]) * alleles.shape[1] / number
        with torch.no_grad():
            jump = self.genome.traits(after, niche) - self.genome.traits(before, niche)
        jump = jump.double()
        return torch.einsum("p,pmt,pmu->tu", rate.double(), jump, jump) / niche.conditions

    @property
    def conventions(self) -> dict[str, Any]:
        """What a `Lineage` states about itself."""
        return {
            "dynamics": "individual-based Wright-Fisher",
            "ploidy": "haploid",
            "population_size": self.population_size,
            "mutation_rate": self.mutation_rate,
            "recombination": self.recombination,
            "order": "selection, recombination, mutation",
        }


def floats(alleles: NDArray[np.uint8]) -> Tensor:
    """Alleles as a tensor of the default dtype."""
    return torch.from_numpy(alleles).to(torch.get_default_dtype())
