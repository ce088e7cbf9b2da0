"""The Jacobian of development, summed up over individuals: mutational covariance and locus effects.

J_n = df/dx at individual n, `(T, L)`. From it, under each draw of the weights,

    M       = E_n[J_n Sigma J_n']     mutational covariance, Sigma = diag(mutation_scale^2)
    effects = E_n[J_n']               mean effect of a locus, whose square gives the additive G
    squared = E_n[(J_n')^2]           mean squared effect of a locus on a trait
    trace_n = tr J_n Sigma J_n'       sensitivity of one individual

With `mutation_scale` 1 every locus moves by one standard deviation of the cohort: M is then on the
scale of G, and equal to it for an additive map in linkage equilibrium.

Where not all individuals are affordable, every draw takes a random subset of its own, so that the
Monte-Carlo error shows in the interval and averages out of the posterior mean.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vjp, vmap
from tqdm.auto import tqdm

from genomic_code.inference.functionals.map import WORK, Map

__all__ = ["Sensitivity", "affordable", "jacobian", "sensitivity"]

ENTRIES = 5 * 10**8
"""Entries of Jacobians that are computed by default, over all draws and individuals."""
WEIGHTS_PER_ENTRY = 64
"""Weights that cost as much in a backward pass as an entry of the Jacobian (measured)."""
FEWEST = 16
"""Individuals that a draw uses at least."""


class Sensitivity(NamedTuple):
    """Averages over individuals of the Jacobian and its square, in float64 where small."""

    mutational: Tensor
    """M `(S, T, T)`."""
    effects: Tensor
    """Mean Jacobian of each half of the individuals `(2, S, L, T)`: independent estimates."""
    squared: Tensor
    """Mean squared Jacobian `(S, L, T)`."""
    traces: Tensor
    """tr J Sigma J' of each individual used `(S, n)`."""
    complete: bool
    """Whether all individuals were used."""


def jacobian(f: Map, genotype: Tensor) -> Tensor:
    """Jacobian `(T, S, N, L)` of the traits at `genotype` `(S, N, L)` or `(N, L)`, in one piece."""
    rows = genotype.expand(f.draws, *genotype.shape[-2:])
    traits, pull, *_ = vjp(f.develop, rows)
    count = traits.shape[-1]
    basis = torch.eye(count, dtype=traits.dtype)[:, None, None, :].expand(count, *traits.shape)
    gradient: Tensor = vmap(pull)(basis)[0]
    return gradient


def affordable(f: Map, entries: int = ENTRIES) -> int:
    """Number of individuals whose Jacobians fit into the work of `entries` numbers."""
    weights = sum(value[0].numel() for value in f.weights.values())
    each = f.draws * f.trait_count * max(f.loci, weights // WEIGHTS_PER_ENTRY)
    return int(min(len(f.genotype), max(FEWEST, entries // each)))


def sensitivity(
    f: Map,
    individuals: int | None = None,
    mutation_scale: Tensor | float = 1.0,
    seed: int = 0,
    progress: bool = False,
) -> Sensitivity:
    """The Jacobian summed up over the individuals of the population.

    Args:
        f: The map.
        individuals: How many individuals a draw uses, at least 2; by default as many as a fixed
            amount of work allows, all of them where the problem is small.
        mutation_scale: Standard deviation of a mutation `(L,)` or one for all loci, in genotype
            standard deviations.
        seed: Seed of the subsets of individuals.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: `individuals` is out of range.
    """
    n = len(f.genotype)
    count = affordable(f) if individuals is None else individuals
    if not 2 <= count <= n:
        raise ValueError(f"individuals must be between 2 and the population of {n}, got {count}")
    generator = torch.Generator().manual_seed(seed)
    total = blank(f, count)
    scale = torch.as_tensor(mutation_scale)
    with tqdm(total=f.draws, desc="jacobian", disable=not progress, leave=False) as bar:
        for part, some in f.pieces(count * f.loci * f.trait_count):
            orders = [torch.randperm(n, generator=generator) for _ in range(some.draws)]
            accumulate(some, torch.stack(orders)[:, :count], scale, total, part)
            bar.update(some.draws)
    return total


def blank(f: Map, count: int) -> Sensitivity:
    """Zeros to add up in."""
    shape = (f.draws, f.trait_count, f.loci)
    zeros = f.genotype.new_zeros
    return Sensitivity(
        torch.zeros(f.draws, shape[1], shape[1], dtype=torch.float64),
        zeros(2, *shape).mT,
        zeros(shape).mT,
        zeros(f.draws, count),
        count == len(f.genotype),
    )


def accumulate(f: Map, rows: Tensor, scale: Tensor, total: Sensitivity, part: slice) -> None:
    """Add the individuals `rows` `(s, n)` to the draws `part` of the totals."""
    draws, count = rows.shape
    traits, first = f.trait_count, 0
    effects, squared = total.effects.mT[:, part], total.squared.mT[part]
    for half, block in enumerate(rows.tensor_split(2, 1)):
        step = max(1, WORK // (draws * traits * f.loci))
        for start in range(0, block.shape[1], step):
            some = block[:, start : start + step]
            gradient = jacobian(f, f.genotype[some])
            effects[half] += gradient.sum(2).movedim(0, 1) / block.shape[1]
            square = gradient.square()
            squared += square.sum(2).movedim(0, 1) / count
            last = first + some.shape[1]
            total.traces[part, first:last] = (square * scale.square()).sum((0, 3))
            flat = (gradient * scale).movedim(0, 1).reshape(draws, traits, -1)
            total.mutational[part] += (flat @ flat.mT).double() / count
            first = last
