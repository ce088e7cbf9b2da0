"""Graphs to wire weights with: random, modular, scale-free, feed-forward, or read from a file.

Layered graphs name their nodes by dimension and position (`latent_0`, `trait_3`), as cohorts made
from arrays name theirs; recurrent graphs number them. No node is joined to itself.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain, pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import networkx as nx
import numpy as np

__all__ = ["feed_forward", "modular", "random", "read_graph", "scale_free"]

Nodes = int | Mapping[str, int]
"""Number of nodes of a recurrent graph, or sizes of the layers of a layered one, in order."""

HUB_EXPONENT = 2.5
"""Exponent of the degree distribution of scale-free graphs; regulatory networks have 2 to 3."""

SIGNS = {"1": 1, "+1": 1, "+": 1, "-1": -1, "-": -1, "0": 0, "?": 0}
"""Spellings of a sign in an edge list."""


def random(
    nodes: Nodes, density: float = 0.2, inhibitory: float | None = None, seed: int = 0
) -> nx.DiGraph:
    """Every possible edge exists with probability `density` (Erdos and Renyi).

    Args:
        nodes: Number of nodes, or `{layer: size}`; layers join only to the next layer.
        density: Probability of an edge, from 0 to 1.
        inhibitory: Share of edges of sign -1, the others having 1; None leaves signs free.
        seed: Same seed, same graph.

    Raises:
        ValueError: An argument is out of range.
    """
    probability("density", density)
    layers = named_layers(nodes)
    return draw(layers, lambda pair: density, inhibitory, seed)


def modular(
    nodes: Nodes,
    modules: int = 3,
    within: float = 0.8,
    between: float = 0.05,
    inhibitory: float | None = None,
    seed: int = 0,
) -> nx.DiGraph:
    """Edges are likely within a module and rare between modules (stochastic block model).

    Each layer is cut into `modules` equal runs of nodes; `within` and `between` are the
    probabilities of an edge. Other arguments and errors as for `random`.
    """
    probability("within", within)
    probability("between", between)
    layers = named_layers(nodes)
    smallest = min(len(layer) for layer in layers)
    if not 1 <= modules <= smallest:
        raise ValueError(f"modules must be between 1 and nodes={smallest}, got {modules}")
    module = {
        name: place * modules // len(layer) for layer in layers for place, name in enumerate(layer)
    }
    graph = draw(
        layers,
        lambda pair: within if module[pair[0]] == module[pair[1]] else between,
        inhibitory,
        seed,
    )
    nx.set_node_attributes(graph, module, "module")
    return graph


def scale_free(
    nodes: Nodes, density: float = 0.2, inhibitory: float | None = None, seed: int = 0
) -> nx.DiGraph:
    """A few hubs regulate many targets: out-degrees follow a power law.

    Node of rank i sends edges with probability proportional to i^(-1 / (g - 1)), g = 2.5 (Chung
    and Lu 2002, doi:10.1073/pnas.252631999), at most 1, `density` on average before that cut;
    ranks are drawn at random. Arguments and errors as for `random`.
    """
    probability("density", density)
    layers = named_layers(nodes)
    generator = np.random.default_rng(seed)
    reach: dict[Any, float] = {}
    for layer in layers:
        weight = np.arange(1, len(layer) + 1) ** (-1 / (HUB_EXPONENT - 1))
        share = generator.permutation(np.minimum(1.0, density * weight / weight.mean()))
        reach |= dict(zip(layer, share.tolist(), strict=True))
    return draw(layers, lambda pair: reach[pair[0]], inhibitory, seed)


def feed_forward(
    nodes: Nodes, density: float = 1.0, inhibitory: float | None = None, seed: int = 0
) -> nx.DiGraph:
    """A graph without cycles: edges run only from earlier nodes or layers to later ones.

    Arguments and errors as for `random`; a number of nodes gives an order among them, layers join
    only to the next layer.
    """
    probability("density", density)
    layers = named_layers(nodes)
    order = {name: place for place, name in enumerate(chain(*layers))}
    return draw(
        layers, lambda pair: density if order[pair[0]] < order[pair[1]] else 0.0, inhibitory, seed
    )


def read_graph(path: str | Path) -> nx.DiGraph:
    """A graph from a file.

    `.graphml` files may give edges the attribute `sign`. Any other file is an edge list: a line
    holds source, target and, if you like, the sign (`+`, `-`, `1`, `-1`; `0` or `?` is free), set
    apart by commas, tabs or spaces; `#` starts a comment. Nodes are named by text.

    Raises:
        ValueError: The file is missing, empty, undirected or cannot be read; the message names the
            line.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"path must be a file, got {str(path)!r}")
    if path.suffix.lower() == ".graphml":
        graph = read_graphml(path)
    else:
        graph = read_edges(path)
    if not graph.number_of_edges():
        raise ValueError(f"path must hold at least one edge, got none in {str(path)!r}")
    return graph


def read_graphml(path: Path) -> nx.DiGraph:
    """A directed GraphML file; parallel edges are refused."""
    try:
        graph = nx.read_graphml(path)
    except (ParseError, nx.NetworkXError, KeyError, UnicodeDecodeError, ValueError) as cause:
        raise ValueError(f"path must be a GraphML file, {str(path)!r} is not: {cause}") from None
    if not graph.is_directed() or graph.is_multigraph():
        kind = "parallel edges" if graph.is_multigraph() else "undirected edges"
        raise ValueError(f"path must hold a directed graph, {str(path)!r} has {kind}")
    return graph


def read_edges(path: Path) -> nx.DiGraph:
    """An edge list as `read_graph` describes it."""
    graph = nx.DiGraph()
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"path must be a text file, {str(path)!r} is not") from None
    for number, line in enumerate(lines, 1):
        fields = line.split("#")[0].replace(",", " ").split()
        if not fields:
            continue
        if len(fields) > 3 or len(fields) < 2 or (len(fields) == 3 and fields[2] not in SIGNS):
            raise ValueError(
                f"path must list edges as source, target and sign, got {line.strip()!r} in line "
                f"{number} of {str(path)!r}"
            )
        source, target = fields[:2]
        if graph.has_edge(source, target):
            raise ValueError(
                f"path must list each edge once, got {source!r} -> {target!r} again in line "
                f"{number} of {str(path)!r}"
            )
        graph.add_edge(source, target, **({"sign": SIGNS[fields[2]]} if fields[2:] else {}))
    return graph


def named_layers(nodes: Nodes) -> list[list[Any]]:
    """Node names layer by layer; a recurrent graph has one layer of numbers."""
    sizes = {"nodes": nodes} if isinstance(nodes, int) else dict(nodes)
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"nodes must be integers of at least 1, got {name}={size!r}")
    if isinstance(nodes, int):
        return [list(range(nodes))]
    if len(sizes) < 2:
        raise ValueError(f"nodes must name at least 2 layers, got {list(sizes)}")
    return [[f"{name}_{i}" for i in range(size)] for name, size in sizes.items()]


def draw(
    layers: list[list[Any]],
    chance: Callable[[tuple[Any, Any]], float],
    inhibitory: float | None,
    seed: int,
) -> nx.DiGraph:
    """Graph of independent edges, each with its own chance."""
    graph = nx.DiGraph()
    for level, layer in enumerate(layers):
        graph.add_nodes_from(layer, layer=level)
    steps: Iterable[tuple[list[Any], list[Any]]] = pairwise(layers)
    if len(layers) == 1:
        steps = [(layers[0], layers[0])]
    generator = np.random.default_rng(seed)
    pairs = [(u, v) for sources, targets in steps for u in sources for v in targets if u != v]
    kept = [pair for pair in pairs if generator.random() < chance(pair)]
    graph.add_edges_from(kept)
    if inhibitory is not None:
        probability("inhibitory", inhibitory)
        signs = np.where(generator.random(len(kept)) < inhibitory, -1, 1)
        nx.set_edge_attributes(graph, dict(zip(kept, signs.tolist(), strict=True)), "sign")
    return graph


def probability(name: str, value: float) -> None:
    """Refuse what is no probability."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be between 0 and 1, got {value}")
