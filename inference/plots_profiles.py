"""Gene profiles along an embryo: observed, and predicted with its uncertainty."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from genomic_code.inference.plots_style import CYCLE, axes_for, legend, titled
from genomic_code.spec.cohort import Cohort

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_profiles"]


def plot_profiles(
    cohort: Cohort,
    individual: str,
    prediction: xr.Dataset | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Levels of every gene along the embryo of one genotype.

    Args:
        cohort: Its traits have the coordinates `gene` and `position`, as those of the data set
            `petkova2019`.
        individual: Label of the genotype.
        prediction: From `predict`, of a Fit or an Ensemble: mean as a line, and 90 % of what is
            not known of it as a band; observed levels are then dots.
        ax: Axes to draw on; by default new ones.

    Returns:
        The axes.

    Raises:
        ValueError: The traits have no positions, or the individual is unknown.
    """
    if not {"gene", "position"} <= set(cohort.dataset.coords):
        raise ValueError("cohort must have the trait coordinates 'gene' and 'position'")
    labels = cohort.labels("individual")
    if individual not in labels:
        raise ValueError(f"individual must be one of {', '.join(labels[:8])}, got {individual!r}")
    ax = axes_for(ax, 2.0)
    gene, position = (cohort.dataset[name].values for name in ("gene", "position"))
    observed = cohort.phenotype.sel(individual=individual).values
    for colour, name in zip(CYCLE, dict.fromkeys(gene.tolist()), strict=False):
        own = gene == name
        if prediction is None:
            ax.plot(position[own], observed[own], color=colour, lw=1.5, label=name)
            continue
        few = np.flatnonzero(own)[:: max(1, int(own.sum()) // 40)]
        ax.plot(position[few], observed[few], "o", ms=2, color=colour, alpha=0.7)
        mean, spread = (
            prediction[key].sel(individual=individual).values[own] for key in ("mean", "sd")
        )
        ax.plot(position[own], mean, color=colour, lw=1.4, label=name)
        ax.fill_between(
            position[own], mean - 1.645 * spread, mean + 1.645 * spread,
            color=colour, alpha=0.2, lw=0,
        )  # fmt: skip
    ax.set_xlabel("position (share of embryo length from the anterior)")
    ax.set_ylabel("level (wild-type range)")
    titled(ax, individual.replace("_", " "))
    legend(ax, ncol=4, loc="upper center", columnspacing=1.0)
    shown = [np.nanmax(line.get_ydata()) for line in ax.lines]
    ax.set_ylim(top=max(ax.get_ylim()[1], 1.25 * max(shown)))  # room for the legend
    return ax
