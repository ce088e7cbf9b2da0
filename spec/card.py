"""The card of a formalization: everything needed to write the model on paper.

Equations and claims come from its docstring; sites, shapes, supports, plates and priors, the graph,
and the number of weights are read off the running model.
"""

import html
import io
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from pyro import poutine

from genomic_code.spec.dag import draw_graph, model_graph
from genomic_code.spec.example import example
from genomic_code.spec.formalizations import resolve
from genomic_code.spec.predictive import shares
from genomic_code.spec.protocols import Formalization, Shape
from genomic_code.spec.statement import Statement, field_notes, statement

__all__ = ["Card", "card"]

NOTATION = (
    "Notation: x genotype (N, L), E environment (N, C), Y phenotype (N, T), eta expected traits "
    "(N, T), for N individuals n, L loci l, C covariates c and T traits t; mu mean and D additive "
    "environment effects of the traits. All are standardised on the training rows, counts and "
    "categories excepted."
)
"""Symbols that all formalizations share."""
SIZES = Shape(individuals=100, loci=50, environments=2, traits=12)
"""Sizes of a card unless others are asked for."""
WIDTH = 96
"""Columns of the plain text."""
DRAWS = 100
"""Draws from the prior for the summary."""


@dataclass(frozen=True)
class Card:
    """A formalization in words, maths and tables; print it, or show it in a notebook."""

    name: str
    """Registry name."""
    statement: Statement
    """Title, equations and claims."""
    settings: pd.DataFrame
    """Hyperparameters: name, value, meaning."""
    priors: Mapping[str, Statement]
    """Statement of each prior that was set by name, by weights."""
    noise: Statement
    """Statement of the measurement model."""
    sites: pd.DataFrame
    """Sites: symbol, site, dimensions, shape, support, prior, plates."""
    shape: Shape
    """Sizes for which the table and the number of weights hold."""
    weights: int
    """Number of latent numbers: genomic weights with their scales, and noise parameters."""
    shares: pd.DataFrame
    """Prior quantiles of the explained and of the genetic share of a trait's variance."""
    graph: nx.DiGraph
    """What moves what."""

    def draw(self, axes: Axes | None = None) -> Axes:
        """Draw the graph."""
        return draw_graph(self.graph, axes)

    def __str__(self) -> str:
        blocks = []
        for heading, maths, text in self.sections():
            if heading:
                blocks.append(heading)
            if maths:
                blocks.append(textwrap.indent(text, "    "))
            else:
                blocks.append(textwrap.fill(text, WIDTH))
        for heading, table in self.tables():
            blocks += [heading, as_text(table)]
        return "\n\n".join([*blocks, "Graph", as_lines(self.graph)])

    def _repr_html_(self) -> str:
        parts = []
        for heading, maths, text in self.sections():
            if heading:
                parts.append(f"<h4>{html.escape(heading)}</h4>")
            tag = "pre" if maths else "p"
            parts.append(f"<{tag}>{html.escape(text)}</{tag}>")
        for heading, table in self.tables():
            parts += [f"<h4>{html.escape(heading)}</h4>", table.to_html(index=False, border=0)]
        return "\n".join([*parts, "<h4>Graph</h4>", as_svg(self.graph)])

    def sections(self) -> list[tuple[str, bool, str]]:
        """Heading (may be empty), whether maths, and text of each part before the tables."""
        parts = [("", False, self.statement.title)]
        parts += [("", maths, text) for maths, text in self.statement.body]
        parts += [("", False, NOTATION)]
        parts += [("", False, f"{label}: {text}") for label, text in self.statement.items.items()]
        stated = {f"Prior of {name}": prior for name, prior in self.priors.items()}
        for heading, own in {**stated, "Measurement": self.noise}.items():
            body = [("", maths, text) for maths, text in own.body]
            parts += [(heading, False, own.title), *body]
        return parts

    def tables(self) -> list[tuple[str, pd.DataFrame]]:
        """Heading and contents of each table."""
        n = self.shape
        sizes = f"{n.individuals} individuals, {n.loci} loci, {n.environments} covariates, "
        return [
            ("Hyperparameters", self.settings),
            (f"Sites, for {sizes}{n.traits} traits: {self.weights} numbers", self.sites),
            ("Prior share of variance, quantiles over draws and traits", self.shares),
        ]


def card(formalization: str | Formalization, shape: Shape | None = None) -> Card:
    """The card of a formalization.

    Args:
        formalization: Name or object.
        shape: Sizes for shapes, the number of weights and the prior shares of variance.

    Raises:
        ValueError: The name is unknown, or the formalization does not fit the sizes.
    """
    hypothesis = resolve(formalization)
    own: Shape = getattr(hypothesis, "example_shape", SIZES)
    sizes = own if shape is None else shape
    stated, noise = statement(hypothesis), statement(hypothesis.noise)
    prior: Mapping[str, Any] = getattr(hypothesis, "prior", {})
    sites = trace_sites(hypothesis, sizes)
    symbols = {**stated.symbols, **noise.symbols, "phenotype": "Y"}
    sites.insert(0, "symbol", [symbols.get(name, "") for name in sites["site"]])
    explained, genetic = shares(hypothesis, example(hypothesis, sizes), DRAWS)
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    table = pd.DataFrame(
        [np.quantile(values, quantiles).round(2) for values in (explained, genetic)],
        columns=[f"{q:.0%}" for q in quantiles],
    )
    table.insert(0, "share", ["genotype and environment", "genotype, environment set aside"])
    return Card(
        name=hypothesis.name,
        statement=stated,
        settings=pd.DataFrame(field_notes(hypothesis), columns=["name", "value", "meaning"]),
        priors={name: statement(value) for name, value in prior.items()},
        noise=noise,
        sites=sites,
        shape=sizes,
        weights=int(sum(np.prod(s) for s in sites.pop("size") if s is not None)),
        shares=table,
        graph=model_graph(hypothesis),
    )


def trace_sites(formalization: Formalization, shape: Shape) -> pd.DataFrame:
    """Table of the sites of one run of the model; `size` is None for the phenotype."""
    data = example(formalization, shape)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), poutine.block():
        torch.manual_seed(0)
        trace = poutine.trace(formalization).get_trace(data)
    rows = []
    for name in trace.stochastic_nodes:
        node: Mapping[str, Any] = trace.nodes[name]
        if "dims" not in (node["infer"] or {}):
            continue
        plates = [frame.name for frame in node["cond_indep_stack"]]
        observed = name == "phenotype"
        dims = ("individual",) * observed + tuple(node["infer"]["dims"])
        value = node["value"]
        rows.append(
            {
                "site": name,
                "dimensions": ", ".join(dims),
                "shape": " x ".join(str(size) for size in value.shape),
                "support": support_name(node["fn"].support),
                "prior": "see Measurement" if observed else prior_name(node["fn"]),
                "plates": ", ".join(plates) or "none",
                "size": None if observed else tuple(value.shape),
            }
        )
    return pd.DataFrame(rows)


def prior_name(prior: Any) -> str:
    """A distribution with its parameters, wrappers taken off, as `HalfNormal(0.8)`."""
    while type(prior).__name__ in ("Independent", "MaskedDistribution", "ExpandedDistribution"):
        prior = prior.base_dist
    values = []
    for name in prior.arg_constraints:
        value = getattr(prior, name)
        low, high = float(value.min()), float(value.max())
        values.append(f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}")
    return f"{type(prior).__name__}({', '.join(values)})"


def support_name(support: Any) -> str:
    """A constraint in words."""
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    text = str(support)
    known = {
        "Real()": "real",
        "GreaterThan(lower_bound=0.0)": "positive",
        "GreaterThanEq(lower_bound=0.0)": "at least 0",
        "Boolean()": "0 or 1",
        "IntegerGreaterThan(lower_bound=0)": "counts",
    }
    return known.get(text, text.removesuffix("()"))


def as_text(table: pd.DataFrame) -> str:
    """A table in columns, its last column wrapped."""
    rows = [[str(value) for value in row] for row in [list(table.columns), *table.to_numpy()]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    indent = 4 + sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        last = textwrap.wrap(row[-1], max(24, WIDTH - indent)) or [""]
        lines.append("    " + "  ".join([*cells, last[0]]))
        lines += [" " * indent + more for more in last[1:]]
    return "\n".join(line.rstrip() for line in lines)


def as_lines(graph: nx.DiGraph) -> str:
    """A graph as lines `latents <- encoder, genotype`, in the order of computation."""
    lines = []
    for node in nx.lexicographical_topological_sort(graph):
        if graph.in_degree(node):
            start = f"    {node} <- "
            inputs = ", ".join(sorted(graph.predecessors(node)))
            indent = " " * len(start)
            lines.append(
                textwrap.fill(inputs, WIDTH, initial_indent=start, subsequent_indent=indent)
            )
    return "\n".join(lines)


def as_svg(graph: nx.DiGraph) -> str:
    """The drawn graph as an SVG element."""
    figure, axes = plt.subplots(figsize=(10, 4.5), layout="constrained")
    draw_graph(graph, axes)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
