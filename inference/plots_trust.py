"""Whether to trust it: calibration of held-out predictions, and what a sample can tell apart."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from genomic_code.inference.plots_style import CYCLE, GREY, MAP, axes_for, ink, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_calibration", "plot_confusion"]

RESAMPLES = 200
"""Cohorts resampled for the band."""


def plot_calibration(
    pit: xr.DataArray | ArrayLike,
    formalizations: list[str] | None = None,
    ax: "Axes | None" = None,
    seed: int = 0,
) -> "Axes":
    """How far held-out predictive probabilities are from uniform, with 90 % bands.

    For each level p the curve shows the share of cells below their predicted p-quantile, less p.
    0 is calibrated; above 0 left of the middle and below it on the right, predictions are too
    narrow; the other way round, too wide. Bands resample whole individuals, whose cells are not
    independent.

    Args:
        pit: Predictive probabilities `(individual, trait)`, with the dimension `formalization` in
            front for several; NaN where missing.
        formalizations: Which formalizations, by default all that have any (baselines have none).
        ax: Axes to draw on; by default new ones.
        seed: Seed of the resampling.

    Returns:
        The axes.

    Raises:
        ValueError: There are no probabilities, or some lie outside 0 and 1.
    """
    tables: dict[str, NDArray[np.float64]] = {"": np.asarray(pit, float)}
    if isinstance(pit, xr.DataArray) and "formalization" in pit.dims:
        known = [str(name) for name in pit["formalization"].values]
        some = pit.notnull().any([dim for dim in pit.dims if dim != "formalization"]).values
        chosen = formalizations
        if chosen is None:
            chosen = [name for name, own in zip(known, some, strict=True) if own] or known
        lacking = [name for name in chosen if name not in known]
        if lacking:
            raise ValueError(f"formalizations must be among {', '.join(known)}, got {lacking[0]!r}")
        whole = pit.transpose("formalization", "individual", "trait")
        tables = {name: whole.sel(formalization=name).values for name in chosen}
    ax = axes_for(ax)
    level = np.linspace(0, 1, 101)
    generator = np.random.default_rng(seed)
    for colour, (name, table) in zip(CYCLE * 3, tables.items(), strict=False):
        below, count = counts(table, level)
        share = below.sum(0) / count.sum() - level
        rows = generator.integers(len(below), size=(RESAMPLES, len(below)))
        drawn = np.stack([below[i].sum(0) / count[i].sum() for i in rows]) - level
        low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
        ax.plot(level, share, color=colour, lw=1.4, label=name or None)
        ax.fill_between(level, low, high, color=colour, alpha=0.2, lw=0)
    ax.axhline(0, color=GREY, lw=1, ls=":")
    ax.set_xlim(0, 1)
    ax.set_xlabel("predicted probability p")
    ax.set_ylabel("share observed below, less p")
    if tables.keys() != {""}:
        legend(ax)
    return ax


def counts(
    pit: NDArray[np.float64], level: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells of each individual at or below each level `(N, levels)`, and all of them `(N,)`."""
    table = pit.reshape(len(pit), -1)
    observed = ~np.isnan(table)
    if not observed.any():
        raise ValueError("pit must have at least one observed cell, got none")
    seen = table[observed]
    if seen.min() < 0 or seen.max() > 1:
        raise ValueError(f"pit must be from 0 to 1, got {seen.min():.3g} to {seen.max():.3g}")
    filled = np.where(observed, table, np.inf)
    below = np.stack([(filled <= value).sum(1) for value in level], 1)
    return below, observed.sum(1)


def plot_confusion(table: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Confusion matrix of a recovery certificate: verdicts (columns) by truth (rows), as counts.

    Args:
        table: Counts, formalizations on both sides, as `certify(...).confusion`; its columns
            `share`, `low` and `high` are not drawn.
        ax: Axes to draw on; by default new ones.

    Returns:
        The axes.

    Raises:
        ValueError: The table is empty or holds something else than counts.
    """
    table = table.drop(columns=["share", "low", "high"], errors="ignore")
    values = table.to_numpy(float)
    if not values.size or not np.isfinite(values).all() or values.min() < 0:
        raise ValueError("table must hold counts of verdicts by truth, of at least one truth")
    ax = axes_for(ax, 0.28 * len(table) + 1.3)
    share = values / np.maximum(values.sum(1, keepdims=True), 1)
    image = ax.imshow(share, cmap=MAP, vmin=0, vmax=1, aspect="auto")
    colours = ink([image.cmap(value) for value in share.ravel()])
    for (row, column), colour in zip(np.ndindex(share.shape), colours, strict=True):
        number = f"{values[row, column]:g}"
        ax.text(column, row, number, ha="center", va="center", color=colour, fontsize=7)
    ax.set_xticks(range(table.shape[1]), map(str, table.columns), rotation=35, ha="right")
    ax.set_yticks(range(len(table)), map(str, table.index))
    ax.spines[:].set_visible(False)
    ax.set_xlabel("verdict")
    ax.set_ylabel("truth")
    bar = ax.figure.colorbar(image, ax=ax, ticks=[0, 0.5, 1], format="{x:.0%}")
    bar.set_label("share of the truth's cohorts", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return ax
