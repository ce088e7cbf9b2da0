"""A posterior over weights, drawn as the network that it is."""

from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np

from genomic_code.inference.plots_style import BLUE, GREY, ORANGE, axes_for, legend, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_network"]

WIDEST = 3.0
"""Width of the strongest edge, points."""


def plot_network(graph: nx.DiGraph, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """Draw the graph of a posterior over weights, as `spec.wiring.to_graph` makes it.

    Width is the size of the posterior mean, opacity the probability that the weight is there,
    colour and line its sign. Rows that lead to other columns stand on the left; a square matrix
    (regulation, couplings) stands on a circle. Nodes without an edge are left out.

    Args:
        graph: Edges with `strength`, `probability` and `sign`.
        title: What the weights are, with their unit.
        ax: Axes to draw on; by default new ones.

    Returns:
        The axes.

    Raises:
        ValueError: The graph has no edges, or they have no posterior.
    """
    from matplotlib.lines import Line2D

    edges = list(graph.edges(data=True))
    if not edges or not all("strength" in values for *_, values in edges):
        raise ValueError(
            f"graph must have edges with a strength, as to_graph makes them, got {len(edges)} "
            "edges; lower its threshold or least probability"
        )
    joined = graph.edge_subgraph(graph.edges)
    layered = all(joined.nodes[node].get("side") for node in joined) and not any(
        joined.in_degree(node) and joined.out_degree(node) for node in joined
    )
    place = columns(joined) if layered else nx.circular_layout(joined)
    tallest = max(sum(1 for x, _ in place.values() if x == side) for side in (0.0, 1.0))
    height = min(6.0, max(2.6, 0.17 * tallest)) if layered else 3.2
    ax = axes_for(ax, height)
    largest = max(abs(values["strength"]) for *_, values in edges)
    text = ax.xaxis.label.get_color()
    for sign, colour, style in ((1, BLUE, "-"), (-1, ORANGE, (0, (4, 1.5)))):
        own = [(u, v, d) for u, v, d in edges if d["sign"] == sign]
        nx.draw_networkx_edges(
            joined, place, ax=ax, edgelist=[(u, v) for u, v, _ in own],
            width=[0.4 + WIDEST * abs(d["strength"]) / largest for *_, d in own],
            alpha=[max(0.15, d["probability"]) for *_, d in own],
            edge_color=colour, style=style, arrows=True,
            arrowstyle="-" if layered else "-|>", arrowsize=9,
            node_size=0 if layered else 420,
            connectionstyle="arc3" if layered else "arc3,rad=0.18",
        )  # fmt: skip
    for node, (x, y) in place.items():
        side: dict[str, Any] = {"ha": "center", "va": "center"}
        if layered:
            side["ha"] = "right" if x == 0 else "left"
            x += -0.02 if x == 0 else 0.02
        else:
            side["bbox"] = {"boxstyle": "circle,pad=0.35", "fc": ax.get_facecolor(), "ec": GREY}
        ax.text(x, y, str(node), fontsize=7, color=text, **side)
    handles = [
        Line2D([], [], color=BLUE, lw=1.5, label="raises"),
        Line2D([], [], color=ORANGE, lw=1.5, ls=(0, (4, 1.5)), label="lowers"),
    ]
    legend(ax, handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=2)
    titled(ax, title)
    ax.margins(0.22 if layered else 0.2, 0.05 if layered else 0.2)
    ax.set_axis_off()
    return ax


def columns(graph: nx.DiGraph) -> dict[Any, tuple[float, float]]:
    """Rows on the left and columns on the right, each where its neighbours are."""
    right = [node for node in graph if graph.in_degree(node)]
    height = {node: 1 - place / max(1, len(right) - 1) for place, node in enumerate(right)}
    left = [node for node in graph if graph.out_degree(node)]
    left.sort(key=lambda node: -np.mean([height[after] for after in graph.successors(node)]))
    places = {node: (1.0, height[node]) for node in right}
    spread = {node: (0.0, 1 - i / max(1, len(left) - 1)) for i, node in enumerate(left)}
    return {**spread, **places}
