"""Genetic variance by order of interaction: additive, pairwise, higher; and Sobol indices.

With independent loci, f = sum over sets of loci of uncorrelated terms (Hoeffding 1948,
doi:10.1214/aoms/1177730196), and V_k is the variance of the terms of k loci. To tell the orders
apart without visiting all sets: take two random genotypes, throw the loci at random into B blocks,
and develop all 2^B hybrids that take each block from the one or the other. A contrast over s blocks
(Walsh coefficient) cancels every term that does not reach all s of them, so its mean square is a
known mixture of V_s, V_(s+1), ... and non-negative least squares gives V_1 .. V_B. The error is
relative to the interactions themselves, not to the total: an additive map has exactly none.

The population has the allele frequencies of the cohort but no linkage: with linkage a variance
has no unique orders. Loci with more than two alleles count dominance as part of V_1.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor

from genomic_code.inference.functionals.map import Map

__all__ = ["Orders", "orders", "sobol"]

BLOCKS = 5
"""Blocks of loci, and orders told apart."""
GENOTYPES = 2**22
"""Numbers in the genotypes that are developed by default."""


class Orders(NamedTuple):
    """Genetic variance of each trait by order of interaction, each `(S, T)`."""

    additive: NDArray[np.float64]
    pairwise: NDArray[np.float64]
    higher: NDArray[np.float64]

    def shares(self) -> dict[str, NDArray[np.float64]]:
        """Shares `(S,)` of the variance summed over traits; empty where there is none."""
        parts = {name: getattr(self, name).sum(-1) for name in self._fields}
        total = np.sum(list(parts.values()), axis=0)
        return {name: part / total for name, part in parts.items()} if total.min() > 0 else {}


def orders(f: Map, cubes: int | None = None, seed: int = 0) -> Orders:
    """Variance by order, in linkage equilibrium.

    Args:
        f: The map.
        cubes: Number of pairs of random genotypes, at least 2, the same under every draw. The
            shares of one nonlinear map have a Monte-Carlo error of about 0.5 / sqrt(cubes),
            and four times as much where a single pair of loci carries everything. By
            default 64 to 512, fewer with more loci.
        seed: Seed of the pairs and blocks.

    Raises:
        ValueError: `cubes` is below 2.
    """
    affordable = min(512, max(64, GENOTYPES // (2**BLOCKS * f.loci)))
    count = affordable if cubes is None else cubes
    if count < 2:
        raise ValueError(f"cubes must be at least 2, got {count}")
    corners = torch.tensor(list(itertools.product([False, True], repeat=BLOCKS)))
    points = hybrids(f.genotype, corners, count, torch.Generator().manual_seed(seed))
    rows = points.reshape(-1, f.loci)
    found = [squared_contrasts(some, rows, corners) for _, some in f.pieces(64 * len(rows))]
    squares = torch.cat(found, 1).numpy()
    variances = np.apply_along_axis(unmix, 0, squares)
    return Orders(variances[0], variances[1], variances[2:].sum(0))


def hybrids(genotype: Tensor, corners: Tensor, cubes: int, generator: torch.Generator) -> Tensor:
    """Genotypes `(2^B, cubes, L)` that take each block of loci from one of two random parents."""
    loci = genotype.shape[1]
    pick = torch.randint(len(genotype), (2, cubes, loci), generator=generator)
    first, second = genotype.gather(0, pick[0]), genotype.gather(0, pick[1])
    block = torch.randint(BLOCKS, (cubes, loci), generator=generator)
    return torch.where(corners[:, block], second, first)


def squared_contrasts(f: Map, rows: Tensor, corners: Tensor) -> Tensor:
    """Mean squared Walsh coefficients `(B, S, T)`, added up over contrasts of s = 1 .. B blocks."""
    with torch.no_grad():
        y = f.develop(rows).double()
    bits = corners.double()
    signs = (1 - 2 * ((bits @ bits.mT) % 2)) / len(corners)
    y = y.reshape(len(y), len(corners), -1, y.shape[-1])
    square = torch.einsum("hp,spct->shct", signs, y).square().mean(2)
    order = corners.sum(1)
    return torch.stack([square[:, order == s].sum(1) for s in range(1, BLOCKS + 1)])


def occupancy(balls: int) -> list[float]:
    """Probability that so many balls thrown into the B blocks occupy 0, 1, .. B of them."""
    chance = [1.0] + [0.0] * BLOCKS
    for _ in range(balls):
        new = [chance[j] * j / BLOCKS for j in range(BLOCKS + 1)]
        for j in range(BLOCKS):
            new[j + 1] += chance[j] * (BLOCKS - j) / BLOCKS
        chance = new
    return chance


MIXTURE = np.array(
    [
        [
            sum(p * math.comb(j, s) / 2**j for j, p in enumerate(occupancy(k)))
            for k in range(1, BLOCKS + 1)
        ]
        for s in range(1, BLOCKS + 1)
    ]
)
"""Weight of V_k in the squared contrasts of s blocks: k loci occupy j blocks, and averaging two
independent halves in each occupied block leaves half of the variance to each of 2^j contrasts."""
LEAST = 1e-2
"""Contrasts are fitted by relative error, but no finer than this share of their sum."""


def unmix(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variances V_1 .. V_B of squared contrasts `(B,)`."""
    total = squares.sum()
    if not total > 0:
        return np.zeros(BLOCKS)
    weight = 1 / (squares + LEAST * total)
    return np.asarray(nnls(MIXTURE * weight[:, None], squares * weight)[0])


def sobol(
    f: Map, groups: list[str] | None = None, samples: int = 256, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Sobol indices of loci, or of groups of loci, through SALib (an optional dependency).

    Args:
        f: The map; use few draws, each costs `samples * (groups + 2)` developments.
        groups: Group of each locus `(L,)`, for instance its chromosome; by default every locus.
        samples: Base samples, a power of two.
        seed: Seed of the Sobol sequence.

    Returns:
        `first` and `total` indices `(S, groups, T)`, in linkage equilibrium, and the `groups`.

    Raises:
        ValueError: `groups` does not name every locus, or `samples` is no power of two.
        ImportError: SALib is not installed.
    """
    try:
        from SALib.analyze import sobol as analysis
        from SALib.sample import sobol as sampling
    except ImportError as cause:
        raise ImportError("sobol needs SALib: pip install SALib") from cause
    names = [f"locus_{i}" for i in range(f.loci)] if groups is None else list(groups)
    if len(names) != f.loci:
        raise ValueError(f"groups must name each of {f.loci} loci, got {len(names)} names")
    if samples < 2 or samples & (samples - 1):
        raise ValueError(f"samples must be a power of two of at least 2, got {samples}")
    problem = {"num_vars": f.loci, "names": [f"locus_{i}" for i in range(f.loci)]}
    problem |= {"bounds": [[0.0, 1.0]] * f.loci, "groups": names}
    uniform = sampling.sample(problem, samples, calc_second_order=False, seed=seed)
    order = f.genotype.sort(0).values
    index = torch.from_numpy((uniform * len(order)).astype(np.int64)).clamp(max=len(order) - 1)
    values = f.traits(order.gather(0, index)).double().numpy()
    labels = list(dict.fromkeys(names))
    result = {key: np.zeros((f.draws, len(labels), values.shape[-1])) for key in ("first", "total")}
    for draw, trait in np.ndindex(f.draws, values.shape[-1]):
        column = values[draw, :, trait]
        if not np.ptp(column) > 0:
            continue  # no genetic variance, hence no share of it
        rng = {"seed": seed, "num_resamples": 2}
        found = analysis.analyze(problem, column, calc_second_order=False, **rng)
        result["first"][draw, :, trait] = found["S1"]
        result["total"][draw, :, trait] = found["ST"]
    return {**result, "groups": np.array(labels)}
