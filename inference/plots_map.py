"""The genotype-phenotype map in two latents."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from genomic_code.inference.plots_style import MAP, axes_for, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_map"]


def plot_map(plane: xr.Dataset, trait: str | None = None, ax: "Axes | None" = None) -> "Axes":
    """Expected trait as colour over the active plane, its uncertainty as lines; dots: individuals.

    Args:
        plane: From `active_plane`.
        trait: Which trait; by default the one that varies most over the plane.
        ax: Axes to draw on; by default new ones.

    Returns:
        The axes.

    Raises:
        ValueError: There is no such trait.
    """
    names = [str(name) for name in plane["trait"].values]
    if trait is None:
        trait = names[int(plane["mean"].std(("first", "second")).values.argmax())]
    if trait not in names:
        raise ValueError(f"trait must be one of {', '.join(names[:6])}, got {trait!r}")
    ax = axes_for(ax, 2.9)
    surface = plane.sel(trait=trait)
    grid = surface["first"].values, surface["second"].values
    filled = ax.contourf(*grid, surface["mean"].values, levels=15, cmap=MAP)
    filled.set_edgecolor("face")
    bar = ax.figure.colorbar(filled, ax=ax)
    bar.set_label(f"expected {trait} (s.d.)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    spread = surface["sd"].values
    levels = np.unique(np.quantile(spread, [0.5, 0.9]).round(3))
    if len(levels) and np.ptp(spread) > 0:
        lines = ax.contour(
            *grid, spread, levels=levels, colors="white", linewidths=0.8, linestyles="--"
        )
        ax.clabel(lines, fontsize=6, fmt="± %.2g")
    ax.plot(
        *surface["position"].values.T, "o", ms=2.2, mfc="white", mec="black", mew=0.3, alpha=0.8
    )
    shares = surface["share"].values
    ax.set_xlabel(f"first latent direction (s.d.; {shares[0]:.0%} of gradient)")
    ax.set_ylabel(f"second (s.d.; {shares[1]:.0%})")
    titled(ax, f"{plane.attrs['formalization']}; dots: individuals")
    return ax
