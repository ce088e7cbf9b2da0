"""The Waddington surface of an attractor fit, with its attractors and what is not known of them."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from genomic_code.inference.plots_style import MAP, ORANGE, axes_for, legend, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_landscape"]

ABOVE = "#E69F00"
"""Colour of attractors."""


def plot_landscape(surface: xr.Dataset, ax: "Axes | None" = None) -> "Axes":
    """Mean energy, its posterior standard deviation, attractors of every draw, and individuals.

    On flat axes energy is colour and its standard deviation dashed lines; on axes with
    `projection="3d"` the mean is a surface, as Waddington drew it.

    Args:
        surface: From `landscape`.
        ax: Axes to draw on; by default new, flat ones.

    Returns:
        The axes.
    """
    ax = axes_for(ax, 3.0)
    energy = surface["energy"]
    mean, first, second = energy.mean("draw"), surface["first"].values, surface["second"].values
    whole = surface["settled"].values.reshape(-1, 2)
    inside = (np.abs(whole) <= [first.max(), second.max()]).all(1)
    rest = whole[inside]
    people = surface["position"].values
    spread = surface["spread"].values
    if ax.name == "3d":
        solid: Any = ax
        height = mean.interp
        solid.plot_surface(
            *np.meshgrid(first, second), mean.values, cmap=MAP, lw=0, alpha=0.85, rcount=60
        )
        for points, colour, size, label in (
            (people, ORANGE, 6, "individuals"),
            (rest, ABOVE, 14, "attractors"),
        ):
            where = {
                "first": xr.DataArray(points[:, 0]), "second": xr.DataArray(points[:, 1]),
            }  # fmt: skip
            z = height(where, kwargs={"fill_value": None}).values
            solid.scatter(*points.T, z + 0.02 * np.ptp(mean.values), s=size, c=colour, label=label)
        solid.set_zlabel("mean energy", fontsize=7, labelpad=-3)
        solid.set_xlabel("first direction", fontsize=7, labelpad=-5)
        solid.set_ylabel("second", fontsize=7, labelpad=-5)
        solid.tick_params(labelsize=6, pad=-1)
        solid.set_box_aspect(None, zoom=0.92)
        legend(solid, loc="upper left")
    else:
        filled = ax.contourf(first, second, mean.values, levels=20, cmap=MAP)
        filled.set_edgecolor("face")
        bar = ax.figure.colorbar(filled, ax=ax)
        bar.set_label("mean energy (0: undifferentiated)", fontsize=8)
        bar.ax.tick_params(labelsize=7)
        lines = ax.contour(
            first, second, energy.std("draw").values, levels=4,
            colors="white", linewidths=0.7, linestyles="--",
        )  # fmt: skip
        ax.clabel(lines, fontsize=6, fmt="± %.2g")
        ax.plot(*people.T, "o", ms=2.2, mfc=ORANGE, mec="white", mew=0.3, label="individuals")
        ax.plot(
            *rest.T, "x", ms=4, mew=0.9, color=ABOVE, alpha=0.6, ls="", label="attractors, by draw"
        )
        ax.set_xlabel(f"first direction of the latents ({spread[0]:.0%} of variance)")
        ax.set_ylabel(f"second ({spread[1]:.0%})")
        legend(ax, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncol=2)
    titled(ax, f"{surface.attrs['genotype']} genotype")
    return ax
