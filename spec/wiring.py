"""Wiring: any graph as a prior over weights, and a posterior over weights as a graph.

A directed edge u -> v stands for the weight in row u and column v, as in `traits = latents @ W`;
its attribute `sign`, 1 or -1, is optional.  `spec.graphs` makes graphs and reads them from files.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.spec.priors import sample
from genomic_code.spec.validate import positive_fields

__all__ = ["Wired", "mask_and_sign", "to_graph"]


@dataclass(frozen=True)
class Wired:
    """Weights along the edges of a graph; all others are zero.

        w_uv = scale_v z_uv                 for a free edge,      z ~ Normal(0, 1)
        w_uv = scale_v sign_uv |z|_uv       for a signed edge,  |z| ~ HalfNormal(1)

    One site entry an edge, so that a sparse graph over many loci costs little. The dimension of a
    site is `<weights>_<rows>_edge`, for instance `encoder_locus_edge`.

    Example: `Factor(prior={"decoder": Wired(modular({"latent": 3, "trait": 12}))})`.
    """

    graph: nx.DiGraph
    """Edges lead from rows to columns; their attribute `sign` is 1, -1, or 0 or absent: free."""
    rows: Sequence[Any] | None = None
    """Node of each row, for instance `cohort.labels("locus")`; by default `locus_0`, `locus_1`, ...
    by the name of the dimension, or the graph's nodes in their order if the weights are square and
    the graph has that many nodes."""
    columns: Sequence[Any] | None = None
    """Node of each column, likewise."""
    scale: float = 1.0
    """Standard deviation of a weight in a fully wired column; positive."""
    balanced: bool = True
    """Whether the edges into a column share the prior variance that a fully wired column has."""

    def __post_init__(self) -> None:
        positive_fields(self, "scale")
        if not isinstance(self.graph, nx.DiGraph) or self.graph.is_multigraph():
            raise ValueError(f"graph must be a networkx.DiGraph, got {self.graph!r}")

    def nodes(self, sizes: Mapping[str, int]) -> tuple[list[Any], list[Any]]:
        """Nodes of the rows and of the columns.

        Raises:
            ValueError: The weights have not two dimensions, or sizes do not agree.
        """
        if len(sizes) != 2:
            raise ValueError(f"graph can wire weights of 2 dimensions, got {dict(sizes)}")
        square = len(set(sizes.values())) == 1 and len(self.graph) in sizes.values()
        sides = []
        for given, (name, size) in zip((self.rows, self.columns), sizes.items(), strict=True):
            nodes = list(given) if given is not None else [f"{name}_{i}" for i in range(size)]
            if given is None and square and not set(nodes) & set(self.graph):
                nodes = list(self.graph)
            if len(nodes) != size:
                raise ValueError(f"graph must have a node for each {name}={size}, got {len(nodes)}")
            sides.append(nodes)
        return sides[0], sides[1]

    def __call__(self, name: str, sizes: Mapping[str, int]) -> Tensor:
        """Weights of shape `(..., *sizes)`."""
        mask, sign = mask_and_sign(self.graph, *self.nodes(sizes))
        dims = f"{name}_{next(iter(sizes))}"
        free, signed = mask & (sign == 0), sign != 0
        rows, columns = mask.shape
        # Entry of the vector (free edges, signed edges, 0) that each weight takes.
        place = torch.full((rows * columns,), int(mask.sum()))
        parts = []
        if free.any():
            edges = {f"{dims}_edge": int(free.sum())}
            parts.append(sample(name, dist.Normal(0.0, 1.0), edges))
            place[free.flatten()] = torch.arange(int(free.sum()))
        if signed.any():
            edges = {f"{dims}_signed_edge": int(signed.sum())}
            strength = sample(f"{name}_signed", dist.HalfNormal(1.0), edges)
            parts.append(strength * sign[signed])
            place[signed.flatten()] = int(free.sum()) + torch.arange(int(signed.sum()))
        values = torch.cat([*parts, torch.zeros_like(parts[0][..., :1])], -1)
        weights = values[..., place.view(rows, columns)]
        if self.balanced:
            weights = weights * (rows / mask.sum(0).clamp(min=1)).sqrt()
        return self.scale * weights


def mask_and_sign(
    graph: nx.DiGraph, rows: Sequence[Any], columns: Sequence[Any]
) -> tuple[Tensor, Tensor]:
    """Which weights exist, and with which sign: boolean and -1, 0 (free) or 1, each `(R, C)`.

    Args:
        graph: The wiring; edges from a row to a column.
        rows: Node of each row; a node that the graph lacks has no edges.
        columns: Node of each column.

    Raises:
        ValueError: No edge leads from a row to a column, an edge has an end that is neither, or a
            sign is not 1, 0 or -1.
    """
    row = {node: place for place, node in enumerate(rows)}
    column = {node: place for place, node in enumerate(columns)}
    mask = torch.zeros(len(row), len(column), dtype=torch.bool)
    sign = torch.zeros(len(row), len(column))
    for source, target, attributes in graph.edges(data=True):
        for end, known, kind in ((source, row, "rows"), (target, column, "columns")):
            if end not in known:
                raise ValueError(
                    f"graph must lead from rows to columns, got the edge {source!r} -> {target!r} "
                    f"whose end {end!r} is not among the {kind} {shortened(known)}"
                )
        mask[row[source], column[target]] = True
        sign[row[source], column[target]] = checked_sign(source, target, attributes.get("sign"))
    if not mask.any():
        raise ValueError("graph must have at least one edge, got none")
    return mask, sign


def to_graph(
    draws: Tensor,
    rows: Sequence[Any],
    columns: Sequence[Any],
    threshold: float = 0.1,
    least: float = 0.5,
) -> nx.DiGraph:
    """Graph of a posterior over weights.

    Only an identified weight matrix has a graph worth reading: effects, wired weights, or latents
    whose signs and order were fixed first.

    Args:
        draws: Posterior draws `(S, R, C)` of a weight matrix.
        rows: Name of each row, for instance `cohort.labels("locus")`.
        columns: Name of each column.
        threshold: Weights smaller than this in size count as absent; in units of the weights.
        least: Smallest probability of presence with which an edge is drawn.

    Returns:
        A graph whose edges have `probability` = P(|w| > threshold), `sign` = 1 or -1, the more
        probable one, `sign_probability` = its probability, `strength` and `strength_sd` =
        posterior mean and standard deviation of w.

    Raises:
        ValueError: Shapes do not agree, or an argument is out of range.
    """
    if draws.dim() != 3 or draws.shape[1:] != (len(rows), len(columns)) or not len(draws):
        raise ValueError(
            f"draws must have shape (draws, rows={len(rows)}, columns={len(columns)}), "
            f"got {tuple(draws.shape)}"
        )
    if not threshold >= 0:
        raise ValueError(f"threshold must be at least 0, got {threshold}")
    values: NDArray[np.float64] = draws.detach().double().numpy()
    present = (np.abs(values) > threshold).mean(0)
    positive = (values > 0).mean(0)
    mean, spread = values.mean(0), values.std(0)
    graph = nx.DiGraph(threshold=threshold, draws=len(values))
    graph.add_nodes_from(rows, side="row")
    graph.add_nodes_from((node for node in columns if node not in graph), side="column")
    for i, j in np.argwhere(present >= least):
        graph.add_edge(
            rows[i],
            columns[j],
            probability=float(present[i, j]),
            sign=1 if positive[i, j] >= 0.5 else -1,
            sign_probability=float(max(positive[i, j], 1 - positive[i, j])),
            strength=float(mean[i, j]),
            strength_sd=float(spread[i, j]),
        )
    return graph


def checked_sign(source: Any, target: Any, sign: Any) -> float:
    """The sign of an edge as 1.0, -1.0 or 0.0 where it is free."""
    if sign is None:
        return 0.0
    if sign not in (-1, 0, 1):
        raise ValueError(f"sign must be 1, 0 or -1, got {sign!r} for {source!r} -> {target!r}")
    return float(sign)


def shortened(names: Iterable[Any]) -> str:
    """The first few names."""
    listed = [repr(name) for name in names]
    return ", ".join(listed[:3]) + (f", ... ({len(listed)} in all)" if len(listed) > 3 else "")
