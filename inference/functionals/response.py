"""Response to selection: Lande's equation with the posterior G, and populations of the fitted map.

Lande 1979, doi:10.1111/j.1558-5646.1979.tb04694.x: the mean changes by G beta a generation, beta
being the gradient of log mean fitness. Exact for normal traits and W = exp(beta' z); G is taken as
constant. The simulation drops both: individuals of the cohort reproduce in proportion to their
fitness, free recombination copies each locus from one of two parents (the haploid convention),
mutation brings back alleles of the cohort, and traits develop anew by the map.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.functionals.directions import unit
from genomic_code.inference.functionals.map import Map

__all__ = ["directional", "evolve_population", "lande", "selectability", "stabilising", "towards"]

Array = NDArray[np.float64]


def lande(G: ArrayLike, beta: ArrayLike, generations: int = 10) -> xr.DataArray:
    """Predicted change of the trait means under constant selection.

    Args:
        G: Additive covariance `(T, T)`, or draws of it `(S, T, T)`.
        beta: Selection gradient `(T,)`, in 1 / unit of the traits; not scaled to unit length.
        generations: Number of generations, at least 1.

    Returns:
        `(draw, generation, trait)`, from 0 at generation 0, in the units of the traits.
    """
    matrix = np.asarray(G, float)
    matrix = matrix[None] if matrix.ndim == 2 else matrix
    gradient = np.asarray(beta, float)
    if gradient.shape != matrix.shape[-1:]:
        raise ValueError(f"beta must have {matrix.shape[-1]} entries, got shape {gradient.shape}")
    if generations < 1:
        raise ValueError(f"generations must be at least 1, got {generations}")
    time = np.arange(generations + 1)
    change = time[:, None] * (matrix @ gradient)[:, None, :]
    return xr.DataArray(change, {"generation": time}, ("draw", "generation", "trait"))


def towards(G: ArrayLike, targets: ArrayLike, start: ArrayLike | None = None) -> xr.Dataset:
    """How well a population with covariance G evolves towards targets that it has never met.

    Args:
        G: Covariance `(T, T)` or `(S, T, T)`; M for the supply by mutation.
        targets: Trait values `(D, T)` to be reached.
        start: Trait means `(T,)` now; 0, the mean of the cohort, by default.

    Returns:
        `relative`, evolvability towards the target over that in a random direction, e / (tr G / T):
        1 for no bias, up to T, or T / K with K dimensions used alike; `cosine` between the response
        and the way to the target. Each `(draw, target)`.
    """
    matrix = np.asarray(G, float)
    matrix = matrix[None] if matrix.ndim == 2 else matrix
    traits = matrix.shape[-1]
    origin = np.zeros(traits) if start is None else np.asarray(start, float)
    direction = unit(np.atleast_2d(np.asarray(targets, float)) - origin, traits, "targets - start")
    response = direction @ matrix
    e = (response * direction).sum(-1)
    mean = np.trace(matrix, axis1=1, axis2=2)[:, None] / traits
    if not mean.min() > 0:
        raise ValueError("G must not be zero: nothing responds")
    length = np.linalg.norm(response, axis=-1)
    cosine = np.divide(e, length, out=np.zeros_like(e), where=length > 0)
    dims = ("draw", "target")
    return xr.Dataset({"relative": (dims, e / mean), "cosine": (dims, cosine)})


def selectability(G: ArrayLike) -> Array:
    """Independent selectability `(..., T)`: cosine of trait axis and response to it.

    G_tt / |G e_t|, between 0 and 1: 1 if the trait responds alone, small if selection on it mostly
    moves others. It needs no inverse, so it also stands where traits outnumber latents. 0 for a
    trait without variance.
    """
    matrix = np.asarray(G, float)
    own = np.diagonal(matrix, axis1=-2, axis2=-1)
    length = np.linalg.norm(matrix, axis=-2)
    return np.asarray(np.divide(own, length, out=np.zeros_like(length), where=length > 0))


Fitness = Callable[[Tensor], Tensor]
"""Log fitness `(S, N)` of traits `(S, N, T)`."""


def directional(beta: ArrayLike) -> Fitness:
    """Log fitness beta' z: Lande's equation then holds exactly for normal traits."""
    gradient = torch.as_tensor(np.asarray(beta), dtype=torch.get_default_dtype())
    return lambda traits: traits @ gradient


def stabilising(target: ArrayLike, width: float = 1.0) -> Fitness:
    """Log fitness -|z - target|^2 / (2 width^2); `width` in the units of the traits."""
    if not width > 0:
        raise ValueError(f"width must be positive, got {width}")
    centre = torch.as_tensor(np.asarray(target), dtype=torch.get_default_dtype())
    return lambda traits: -(traits - centre).square().sum(-1) / (2 * width**2)


def evolve_population(
    f: Map,
    fitness: Fitness,
    generations: int = 20,
    population: int = 200,
    mutation_rate: float = 0.0,
    seed: int = 0,
    progress: bool = False,
) -> xr.Dataset:
    """Evolve a population of genotypes under each draw of the fitted map.

    Args:
        f: The map; a few dozen draws are enough for intervals (`f.select`).
        fitness: Log fitness of traits: `directional(beta)`, `stabilising(target)` or your own.
        generations: Number of generations, at least 1.
        population: Number of individuals, at least 2, drawn from the cohort to begin with.
        mutation_rate: Probability that a locus takes the allele of a random individual of the
            cohort, per generation, from 0 to 1.
        seed: Seed of the draws of parents; all populations start alike.
        progress: Whether to show a progress bar.

    Returns:
        `mean` `(draw, generation, trait)` and `log_fitness` `(draw, generation)`, the mean over
        individuals; generation 0 is before selection.
    """
    if generations < 1 or population < 2:
        raise ValueError(
            f"generations must be at least 1 and population at least 2, got {generations} "
            f"and {population}"
        )
    if not 0 <= mutation_rate <= 1:
        raise ValueError(f"mutation_rate must be from 0 to 1, got {mutation_rate}")
    generator = torch.Generator().manual_seed(seed)
    founders = torch.randint(len(f.genotype), (population,), generator=generator)
    genomes = f.genotype[founders].expand(f.draws, -1, -1)
    means, fitnesses = [], []
    for step in tqdm(range(generations + 1), desc="selection", disable=not progress, leave=False):
        with torch.no_grad():
            traits = f.develop(genomes)
        log_fitness = fitness(traits)
        means.append(traits.double().mean(1))
        fitnesses.append(log_fitness.double().mean(1))
        if step < generations:
            genomes = offspring(f, genomes, log_fitness, mutation_rate, generator)
    coords: dict[str, Any] = {"generation": np.arange(generations + 1), "trait": f.names("trait")}
    return xr.Dataset(
        {
            "mean": (("draw", "generation", "trait"), torch.stack(means, 1).numpy()),
            "log_fitness": (("draw", "generation"), torch.stack(fitnesses, 1).numpy()),
        },
        coords,
    )


def offspring(
    f: Map, genomes: Tensor, log_fitness: Tensor, mutation_rate: float, generator: torch.Generator
) -> Tensor:
    """The next generation `(S, N, L)`: selection, free recombination, mutation."""
    draws, count, loci = genomes.shape
    chance = torch.softmax(log_fitness, -1)
    parents = torch.multinomial(chance, 2 * count, replacement=True, generator=generator)
    copies = genomes.gather(1, parents[..., None].expand(-1, -1, loci))
    mother, father = copies[:, :count], copies[:, count:]
    coin = torch.rand(draws, count, loci, generator=generator) < 0.5
    child = torch.where(coin, mother, father)
    if mutation_rate == 0:
        return child
    source = torch.randint(len(f.genotype), (draws, count, loci), generator=generator)
    alleles = f.genotype.gather(0, source.reshape(-1, loci)).reshape(draws, count, loci)
    hit = torch.rand(draws, count, loci, generator=generator) < mutation_rate
    return torch.where(hit, alleles, child)
