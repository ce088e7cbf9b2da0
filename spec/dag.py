"""The graph of a formalization, found by differentiating the running model.

An edge means that the one quantity moves the other: weights and their sites, latents, traits,
phenotype. What has no gradient at a draw from the prior has no edge.
"""

import statistics
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import networkx as nx
import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text
from pyro import poutine
from torch import Tensor

from genomic_code.spec.example import example
from genomic_code.spec.protocols import Data, Formalization

__all__ = ["draw_graph", "model_graph"]

COLOURS = {
    "data": "#d9d9d9",
    "site": "#ffffff",
    "weight": "#c6dbef",
    "development": "#fdd0a2",
    "noise": "#ffffff",
    "observed": "#c7e9c0",
}
"""Fill colour by kind of node."""


def model_graph(formalization: Formalization, data: Data | None = None) -> nx.DiGraph:
    """Graph of sites, weights, latents, traits and phenotype; nodes have `kind` and `dims`.

    A weight and the site of the same name are one node.
    """
    data = example(formalization) if data is None else data
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return differentiate(formalization, data)


def differentiate(formalization: Formalization, data: Data) -> nx.DiGraph:
    """The graph at one draw from the prior."""
    graph = nx.DiGraph(name=getattr(formalization, "name", type(formalization).__name__))
    with torch.no_grad():
        trace = poutine.trace(formalization).get_trace(data)
    sites: dict[str, Tensor] = {}
    dims: dict[str, tuple[str, ...]] = {}
    for name in trace.stochastic_nodes:
        node: Mapping[str, Any] = trace.nodes[name]
        if "dims" in (node["infer"] or {}):
            dims[name] = node["infer"]["dims"]
            if name != "phenotype":
                sites[name] = node["value"].detach().requires_grad_()
    with poutine.condition(data=sites):
        weights = dict(formalization.weights(data.shape))
        parameters = dict(formalization.noise.parameters(data.shape))
    graph.add_nodes_from(weights, kind="weight")
    connect(graph, weights, sites, "site")
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    genotype = data.genotype.detach().requires_grad_()
    environment = data.environment.detach().requires_grad_()
    inputs = {**leaves, "genotype": genotype, "environment": environment}
    cut = Cut(formalization)
    traits = cut.develop(leaves, genotype, environment).expand_as(data.error)
    if cut.latents is not None:
        connect(graph, {"latents": cut.source}, inputs, "data")
        inputs["latents"] = cut.latents
        graph.nodes["latents"]["kind"] = "development"
    connect(graph, {"traits": traits}, inputs, "data")
    graph.nodes["traits"].update(kind="development", dims=("individual", "trait"))
    connect(graph, {"phenotype": sum_of(parameters, traits)}, sites, "noise")
    graph.add_edge("traits", "phenotype")
    graph.nodes["phenotype"].update(kind="observed", dims=("individual", "trait"))
    for name, own in dims.items():
        if name in graph and name != "phenotype":
            graph.nodes[name]["dims"] = own
    return graph


class Cut:
    """A formalization whose latents, where it has any, are cut out of the gradient."""

    def __init__(self, formalization: Formalization) -> None:
        self.latents: Tensor | None = None
        self.source = torch.zeros(())
        kind = type(formalization)
        outer = self

        def encode(self: Any, *arguments: Any) -> Tensor:
            outer.source = kind.encode(self, *arguments)  # type: ignore[attr-defined]
            outer.latents = outer.source.detach().requires_grad_()
            return outer.latents

        members = {"encode": encode} if hasattr(kind, "encode") else {}
        copy: Formalization = object.__new__(type(kind.__name__, (kind,), members))
        vars(copy).update(vars(formalization))
        self.develop = copy.develop


def connect(
    graph: nx.DiGraph, outputs: Mapping[str, Tensor], inputs: Mapping[str, Tensor], kind: str
) -> None:
    """Add an edge from each input to each output that it moves; new nodes are of this kind."""
    for name, output in outputs.items():
        graph.add_node(name)
        if not output.requires_grad:
            continue
        # Random cotangents: no symmetry makes the derivative vanish.
        gradients = torch.autograd.grad(
            output,
            list(inputs.values()),
            torch.randn_like(output),
            retain_graph=True,
            allow_unused=True,
        )
        for source, gradient in zip(inputs, gradients, strict=True):
            if source != name and gradient is not None and bool((gradient != 0).any()):
                if source not in graph:
                    graph.add_node(source, kind=kind)
                graph.add_edge(source, name)


def sum_of(parameters: Mapping[str, Tensor], traits: Tensor) -> Tensor:
    """A number that every noise parameter moves."""
    return torch.stack([p.sum() for p in parameters.values()] or [traits.detach().sum()]).sum()


def draw_graph(graph: nx.DiGraph, axes: Axes | None = None) -> Axes:
    """Draw the graph from left to right: what moves development, then traits, then phenotype."""
    if axes is None:
        axes = plt.subplots(figsize=(10, 4.5), layout="constrained")[1]
    boxes: dict[str, Text] = {}
    for node, (x, y) in layout(graph).items():
        dims = ", ".join(graph.nodes[node].get("dims", ()))
        boxes[node] = axes.text(
            x,
            y,
            node.replace("_", " ") + (f"\n({dims})" if dims else ""),
            ha="center",
            va="center",
            fontsize=8,
            bbox={
                "boxstyle": "round",
                "facecolor": COLOURS[graph.nodes[node].get("kind", "site")],
                "edgecolor": "0.4",
            },
        )
    for source, target in graph.edges:
        axes.add_patch(
            FancyArrowPatch(
                boxes[source].get_position(),
                boxes[target].get_position(),
                patchA=boxes[source].get_bbox_patch(),
                patchB=boxes[target].get_bbox_patch(),
                arrowstyle="-|>",
                mutation_scale=9,
                color="0.4",
                # Above the boxes, which find their size when they are drawn.
                zorder=4,
            )
        )
    depth = max((x for x, _ in layout(graph).values()), default=0.0)
    axes.set(xlim=(-0.5, depth + 0.5), ylim=(-0.05, 1.05))
    axes.set_axis_off()
    return axes


def layout(graph: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Place of each node: by its longest path to the phenotype, and near what it moves."""
    columns = list(nx.topological_generations(graph.reverse(copy=True)))
    places: dict[str, tuple[float, float]] = {}
    for distance, column in enumerate(columns):
        height = {
            node: statistics.fmean([places[after][1] for after in graph.successors(node)] or [0.0])
            for node in sorted(column)
        }
        ordered = sorted(height, key=height.__getitem__)
        for rank, node in enumerate(ordered):
            places[node] = (len(columns) - 1.0 - distance, (rank + 0.5) / len(ordered))
    return places
