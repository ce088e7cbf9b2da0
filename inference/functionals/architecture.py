"""The architecture of the map: who affects what, and in how many modules.

Every number rests on b_lt^2 = E_x[J_lt^2], the mean squared effect of locus l on trait t, so that
loci whose effects change sign over genetic backgrounds are counted in full.

    pleiotropy of a locus    (sum_t b^2)^2 / sum_t b^4    effective number of traits it affects
    polygenicity of a trait  (sum_l b^2)^2 / sum_l b^4    effective number of loci that affect it
    modularity               Newman's Q of the traits that share loci, for the communities that
                             NetworkX finds in the posterior mean (Newman 2006,
                             doi:10.1073/pnas.0601602103)
"""

from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["effective_number", "modularity", "modules", "pleiotropy_summary", "shared_loci"]


def effective_number(squares: Tensor, dim: int) -> Tensor:
    """Participation ratio `(sum b^2)^2 / sum b^4` of squared effects along `dim`; 0 if all 0."""
    total, fourth = squares.sum(dim), squares.square().sum(dim)
    return total.square() / fourth.clamp_min(1e-30)


def pleiotropy_summary(squares: Tensor) -> Tensor:
    """Mean pleiotropy `(S,)` of the loci of squared effects `(S, L, T)`, by their effect size."""
    weight = squares.sum(-1)
    return (effective_number(squares, -1) * weight).sum(-1) / weight.sum(-1)


def shared_loci(squares: Tensor) -> Tensor:
    """Cosine `(S, T, T)` between traits of their profiles of squared effects over loci."""
    norm = squares.square().sum(-2, keepdim=True).sqrt().clamp_min(1e-30)
    profile = squares / norm
    return profile.mT @ profile


def modules(similarity: NDArray[Any], seed: int = 0) -> NDArray[np.int64]:
    """Module `(T,)` of each trait: Louvain communities of a graph of similarities `(T, T)`.

    Blondel et al. 2008, doi:10.1088/1742-5468/2008/10/P10008. Numbered by decreasing size.
    """
    weights = np.asarray(similarity, float) * (1 - np.eye(len(similarity)))
    graph = nx.from_numpy_array(weights)
    found = nx.community.louvain_communities(graph, weight="weight", seed=seed)
    label = np.zeros(len(weights), np.int64)
    for number, community in enumerate(sorted(found, key=lambda c: (-len(c), min(c)))):
        label[list(community)] = number
    return label


def modularity(similarity: NDArray[Any], label: NDArray[np.int64]) -> NDArray[np.float64]:
    """Newman's Q `(...)` of similarities `(..., T, T)` under a partition `(T,)`.

    1 - 1/m for m equal modules that share nothing, 0 for one module. Without edges 0.
    """
    weights = np.asarray(similarity, float) * (1 - np.eye(len(label)))
    degree = weights.sum(-1)
    total = degree.sum(-1)
    same = label[:, None] == label[None, :]
    inside = (weights * same).sum((-1, -2))
    chance = (degree[..., :, None] * degree[..., None, :] * same).sum((-1, -2))
    safe = np.where(total > 0, total, 1.0)
    found = inside / safe - chance / safe**2
    return np.asarray(np.where(np.abs(found) < 1e-12, 0.0, found))
