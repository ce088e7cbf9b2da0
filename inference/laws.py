"""Laws over genotypes and traits: of populations, of posteriors, of quasispecies."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference.dynamics.bits import pack
from genomic_code.inference.dynamics.space import GenotypeSpace
from genomic_code.inference.dynamics.wright_fisher import Haploids, WrightFisher
from genomic_code.inference.genome import AlleleGenome, log_fitness
from genomic_code.inference.niche import Niche, Selection

__all__ = [
    "counts",
    "founders",
    "metropolis",
    "moments",
    "quasispecies",
    "selection_ratio",
    "total_variation",
]


def total_variation(one: NDArray[np.floating], two: NDArray[np.floating]) -> float:
    """Half the sum of absolute differences of two laws, between 0 and 1."""
    return float(0.5 * np.abs(np.asarray(one) - np.asarray(two)).sum())


def founders(rule: WrightFisher, replicates: int, seed: int) -> Haploids:
    """Monomorphic populations, one genotype each from neutral equilibrium."""
    rng = np.random.default_rng((seed, 2**32))
    chance = torch.as_tensor(rule.genome.bias).double().numpy()
    genotype = (rng.random((replicates, 1, rule.genome.loci)) < chance).astype(np.uint8)
    words = pack(genotype).repeat(rule.population_size, axis=1)
    return Haploids(words, rule.genome.loci, seed)


def counts(state: Haploids) -> NDArray[np.float64]:
    """Shares `(R, G)` of the genotypes in every population."""
    size = 2**state.loci
    rows, individuals = state.words.shape[:2]
    codes = state.words[..., 0].astype(np.int64) + size * np.arange(rows)[:, None]
    share = np.bincount(codes.ravel(), minlength=rows * size).reshape(rows, size)
    law: NDArray[np.float64] = share / individuals
    return law


def moments(state: Haploids, genome: AlleleGenome, niche: Selection) -> NDArray[np.float64]:
    """Mean traits `(R, M T)` of every population."""
    alleles = torch.from_numpy(state.alleles).to(torch.get_default_dtype())
    with torch.no_grad():
        traits = genome.traits(alleles, niche).double().mean(1)
    return traits.flatten(1).numpy()


def selection_ratio(covariance: Tensor, niche: Selection) -> float:
    """G / V of the most strongly selected trait; 0 without stabilising selection."""
    if not isinstance(niche, Niche):
        return 0.0
    width = torch.as_tensor(niche.width).double()
    return float((covariance.diagonal() / width.square()).max())


def quasispecies(
    space: GenotypeSpace, niche: Selection, mutation_rate: float
) -> NDArray[np.float64]:
    """Rest of the replicator-mutator `(G,)`, counted after mutation as `WrightFisher` counts.

    Powers of one generation by repeated squaring: 2^40 generations.
    """
    mutation = space.mutation(mutation_rate)
    fitness = space.log_fitness(niche)
    generation = (fitness - fitness.max()).exp()[:, None] * mutation
    for _ in range(40):
        generation = generation @ generation
        generation = generation / generation.max()
    law: NDArray[np.float64] = (generation[0] / generation[0].sum()).numpy()
    return law


def metropolis(
    genome: AlleleGenome, niche: Selection, nu: float, chains: int, seed: int, sweeps: int = 200
) -> Tensor:
    """Alleles `(chains, L)` from `prior * exp(nu log W)`: single flips, independent chains."""
    generator = torch.Generator().manual_seed(seed)
    bias = torch.as_tensor(genome.bias)
    kind = torch.get_default_dtype()
    alleles = (torch.rand(chains, genome.loci, generator=generator) < bias).to(kind)
    rows = torch.arange(chains)

    def height(values: Tensor) -> Tensor:
        return genome.log_prior(values) + nu * log_fitness(genome, values, niche)

    with torch.no_grad():
        now = height(alleles)
        for _ in range(sweeps * genome.loci):
            locus = torch.randint(genome.loci, (chains,), generator=generator)
            other = alleles.clone()
            other[rows, locus] = 1 - other[rows, locus]
            there = height(other)
            kept = torch.rand(chains, generator=generator).log() < there - now
            alleles = torch.where(kept[:, None], other, alleles)
            now = torch.where(kept, there, now)
    return alleles
