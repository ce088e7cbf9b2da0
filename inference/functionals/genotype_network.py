"""Genotype networks of enumerable genomes: robustness and evolvability of genotypes and phenotypes.

Every genotype is a node, two that differ by one mutation are neighbours. For a genotype g and a
phenotype p, the set of genotypes that develop it:

    genotype robustness      share of neighbours of g with its phenotype
    genotype evolvability    number of other phenotypes among the neighbours of g
    phenotype robustness     mean robustness of the genotypes of p
    phenotype evolvability   number of other phenotypes among all neighbours of all genotypes of p
    networks                 connected components of the genotypes of p, and the largest of them

Wagner 2008, doi:10.1098/rspb.2007.1137: phenotypes can be robust and evolvable at once, genotypes
cannot.
"""

import itertools
from collections.abc import Hashable, Sequence
from typing import Any

import networkx as nx
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

__all__ = ["discretise", "enumerate_genotypes", "genotype_networks", "neighbours"]

LARGEST = 2**16
"""Genotypes that may be enumerated."""


def enumerate_genotypes(alleles: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """All genotypes `(M, L)` of these alleles at each locus; the last locus varies fastest.

    Raises:
        ValueError: There are more than 65,536 of them, or a locus without alleles.
    """
    sizes = [len(options) for options in alleles]
    total = int(np.prod(sizes, dtype=float))
    if not 1 <= total <= LARGEST:
        raise ValueError(
            f"alleles must give between 1 and {LARGEST} genotypes, got {total}; take fewer loci"
        )
    return np.array(list(itertools.product(*alleles)), float)


def neighbours(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Index of the neighbours `(M, D)` of each genotype, `sizes` alleles at each locus."""
    position = np.indices(sizes).reshape(len(sizes), -1)
    stride = np.array([int(np.prod(sizes[i + 1 :])) for i in range(len(sizes))])
    index = np.arange(position.shape[1])
    found = []
    for locus, size in enumerate(sizes):
        for shift in range(1, size):
            other = (position[locus] + shift) % size
            found.append(index + (other - position[locus]) * stride[locus])
    return np.stack(found, axis=1) if found else np.empty((len(index), 0), np.int64)


def discretise(traits: ArrayLike, width: float) -> NDArray[np.int64]:
    """Phenotype `(M,)` of each genotype: traits `(M, T)` rounded to steps of `width`, numbered.

    Raises:
        ValueError: `width` is not positive, or a trait is not finite.
    """
    values = np.asarray(traits, float)
    if not width > 0:
        raise ValueError(f"width must be positive, got {width}")
    if not np.isfinite(values).all():
        raise ValueError("traits must be finite")
    steps = np.rint(values.reshape(len(values), -1) / width)
    return np.asarray(np.unique(steps, axis=0, return_inverse=True)[1], np.int64).reshape(-1)


def genotype_networks(phenotypes: Sequence[Hashable] | NDArray[Any], sizes: Sequence[int]) -> Any:
    """Robustness and evolvability of every genotype and phenotype.

    Args:
        phenotypes: Phenotype `(M,)` of every genotype, in the order of `enumerate_genotypes`.
        sizes: Number of alleles at each locus `(L,)`; M is their product.

    Returns:
        Dataset with the variables of the module's table, over `genotype` and `phenotype`.

    Raises:
        ValueError: The number of phenotypes is not the number of genotypes.
    """
    total = int(np.prod(sizes))
    if len(phenotypes) != total or total > LARGEST:
        raise ValueError(
            f"phenotypes must be given for all {total} genotypes (at most {LARGEST}), "
            f"got {len(phenotypes)}"
        )
    names, code = np.unique(np.asarray(phenotypes), return_inverse=True)
    code = code.reshape(-1)
    near = neighbours(sizes)
    around = code[near]
    same = around == code[:, None]
    distinct = np.sort(np.where(same, -1, around), axis=1)
    first = np.ones_like(distinct, bool)
    first[:, 1:] = distinct[:, 1:] != distinct[:, :-1]
    evolvability = (first & (distinct >= 0)).sum(1)
    robustness = same.mean(1) if near.shape[1] else np.ones(total)
    count = np.bincount(code)
    pairs = np.unique(np.stack([np.repeat(code, near.shape[1]), around.reshape(-1)]), axis=1)
    others = np.bincount(pairs[0, pairs[0] != pairs[1]], minlength=len(names))
    networks, largest = components(code, near, same, len(names))
    of_genotype, of_phenotype = ("genotype",), ("phenotype",)
    return xr.Dataset(
        {
            "genotype_robustness": (of_genotype, robustness),
            "genotype_evolvability": (of_genotype, evolvability),
            "phenotype_of": (of_genotype, code),
            "genotypes": (of_phenotype, count),
            "phenotype_robustness": (of_phenotype, np.bincount(code, robustness) / count),
            "phenotype_evolvability": (of_phenotype, others),
            "networks": (of_phenotype, networks),
            "largest_network": (of_phenotype, largest),
        },
        {"phenotype": names},
    )


def components(
    code: NDArray[np.int64], near: NDArray[np.int64], same: NDArray[np.bool_], phenotypes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of neutral networks of each phenotype, and the size of the largest."""
    graph = nx.Graph()
    graph.add_nodes_from(range(len(code)))
    row, column = np.nonzero(same)
    graph.add_edges_from(zip(row.tolist(), near[row, column].tolist(), strict=True))
    networks, largest = np.zeros(phenotypes, np.int64), np.zeros(phenotypes, np.int64)
    for component in nx.connected_components(graph):
        phenotype = code[next(iter(component))]
        networks[phenotype] += 1
        largest[phenotype] = max(largest[phenotype], len(component))
    return networks, largest
