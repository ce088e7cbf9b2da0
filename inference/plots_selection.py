"""What selection can do: G and M as ellipses, and the response to selection over generations."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from genomic_code.inference.plots_style import CYCLE, axes_for, band, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_ellipses", "plot_response"]

SHOWN = 40
"""Draws whose ellipses are drawn."""


def plot_ellipses(
    matrices: xr.Dataset | Mapping[str, ArrayLike],
    traits: tuple[str, str] | None = None,
    names: tuple[str, ...] = ("G", "M"),
    ax: "Axes | None" = None,
) -> "Axes":
    """Covariance ellipses of two traits, thin for posterior draws and thick for their mean.

    Each kind of matrix is scaled so that its mean has a trace of 1 over the two traits: the figure
    compares directions and shapes, not sizes, which the labels give.

    Args:
        matrices: `evolvability(fit)["matrices"]`, or draws `(S, T, T)` by name.
        traits: Names of two traits; by default those of the largest mean variance in the first
            matrix.
        names: Which matrices.
        ax: Axes to draw on; by default new ones.

    Returns:
        The axes.

    Raises:
        ValueError: A matrix or trait is unknown, or there are fewer than two traits.
    """
    lacking = [name for name in names if name not in matrices]
    if lacking:
        raise ValueError(f"names must be among {', '.join(map(str, matrices))}, got {lacking[0]!r}")
    tables = {name: np.asarray(matrices[name], float) for name in names}
    size = tables[names[0]].shape[-1]
    if size < 2:
        raise ValueError(f"matrices must be of at least 2 traits, got {size}")
    labels = [f"trait_{i}" for i in range(size)]
    if hasattr(matrices, "coords") and "trait" in matrices.coords:
        labels = [str(label) for label in matrices.coords["trait"].values]
    if traits is None:
        variance = tables[names[0]].reshape(-1, size, size).mean(0).diagonal()
        traits = tuple(labels[i] for i in np.sort(np.argsort(-variance)[:2]))
    unknown = [trait for trait in traits if trait not in labels]
    if unknown or len(traits) != 2:
        raise ValueError(f"traits must be two of {', '.join(labels[:6])}, got {traits}")
    pair = [labels.index(trait) for trait in traits]
    ax = axes_for(ax, 3.2)
    for colour, name in zip(CYCLE, names, strict=False):
        draws = tables[name].reshape(-1, size, size)[:, pair][:, :, pair]
        mean = draws.mean(0)
        scale = float(np.trace(mean))
        for matrix in draws[:: max(1, len(draws) // SHOWN)]:
            ax.plot(*ellipse(matrix / scale), color=colour, lw=0.5, alpha=0.25)
        ax.plot(*ellipse(mean / scale), color=colour, lw=2, label=f"{name} (trace {scale:.3g})")
    ax.axhline(0, color=CYCLE[-1], lw=0.5)
    ax.axvline(0, color=CYCLE[-1], lw=0.5)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel(f"{traits[0]} (relative)")
    ax.set_ylabel(f"{traits[1]} (relative)")
    legend(ax, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=len(names))
    return ax


def ellipse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points `(2, 100)` one standard deviation from 0."""
    values, vectors = np.linalg.eigh(matrix)
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    points: NDArray[np.float64] = vectors @ (np.sqrt(values.clip(0))[:, None] * circle)
    return points


def plot_response(
    responses: Mapping[str, Any], trait: str | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Change of a trait mean over generations of selection: median and 90 % interval of draws.

    Args:
        responses: By name, what `lande` or `evolve_population` gave: `(draw, generation, trait)`,
            or a Dataset that holds it as `mean`.
        trait: Which trait; by default the one that changes most in the first response.
        ax: Axes to draw on; by default new ones.

    Returns:
        The axes.

    Raises:
        ValueError: There is no response, or no such trait.
    """
    if not responses:
        raise ValueError("responses must hold at least one, got none")
    paths = {
        name: given["mean"] if isinstance(given, xr.Dataset) else given
        for name, given in responses.items()
    }
    labels = next((p["trait"].values.tolist() for p in paths.values() if "trait" in p.coords), None)
    first = next(iter(paths.values()))
    change = first.mean("draw").isel(generation=-1) - first.mean("draw").isel(generation=0)
    number = int(np.abs(change.values).argmax())
    if trait is not None:
        if labels is None or trait not in labels:
            known = "unlabelled traits" if labels is None else ", ".join(map(str, labels[:6]))
            raise ValueError(f"trait must be one of {known}, got {trait!r}")
        number = labels.index(trait)
    ax = axes_for(ax)
    styles = ["-", "--", "-.", ":"]
    for place, (name, path) in enumerate(paths.items()):
        values = path.isel(trait=number).transpose("draw", "generation").values
        colour, style = CYCLE[place % len(CYCLE)], styles[place % len(styles)]
        band(ax, path["generation"].values, values - values[:, :1], colour, name, style)
    ax.axhline(0, color=CYCLE[-1], lw=0.5)
    ax.set_xlabel("generation")
    shown = trait if trait is not None else labels[number] if labels else f"trait {number}"
    ax.set_ylabel(f"change of mean {shown} (s.d.)")
    legend(ax)
    return ax
