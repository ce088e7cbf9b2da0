"""Figures of a comparison; each takes `ax=` and returns the axes."""

from typing import TYPE_CHECKING

import numpy as np

from genomic_code.inference.plots_style import BLUE, CYCLE, GREY, ORANGE, axes_for, legend, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from genomic_code.inference.compare import Comparison

__all__ = ["plot_differences", "plot_elbo", "plot_predictions"]


def plot_differences(comparison: "Comparison", ax: "Axes | None" = None) -> "Axes":
    """Held-out elpd of each row below the best, with 2 paired standard errors."""
    frame = comparison.frame.iloc[::-1]
    ax = axes_for(ax, 0.28 * len(frame) + 1.1)
    rows = np.arange(len(frame))
    for row, (name, line) in zip(rows, frame.iterrows(), strict=True):
        colour = ORANGE if name == comparison.winner else BLUE
        if name == "ridge":
            colour = GREY
        ax.errorbar(line["diff"], row, xerr=2 * line["dse"], fmt="o", ms=4, color=colour, capsize=2)
    ax.axvline(0, color=GREY, lw=1, ls=":")
    ax.set_yticks(rows, [f"{name} (baseline)" if name == "ridge" else name for name in frame.index])
    ax.set_ylim(-0.6, len(frame) - 0.4)
    ax.set_xlabel("held-out elpd below the best (nats, ± 2 s.e.)")
    ax.locator_params(axis="x", nbins=6)
    titled(ax, f"{comparison.cohort.name}; verdict: {comparison.winner}")
    return ax


def plot_predictions(
    comparison: "Comparison", formalization: str | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Observed against predicted traits of held-out individuals, in trait standard deviations."""
    name = formalization or comparison.winner
    ax = axes_for(ax, 3.2)
    observed = comparison.cohort.phenotype.values.astype(float)
    centre, scale = np.nanmean(observed, 0), np.nanstd(observed, 0)
    x = (comparison.predictions.sel(formalization=name).values - centre) / scale
    y = (observed - centre) / scale
    ax.scatter(x, y, s=4, color=BLUE, alpha=min(1.0, 3000 / x.size), lw=0, rasterized=True)
    span = float(np.nanpercentile(np.abs(y), 99.8))
    ax.plot([-span, span], [-span, span], color=GREY, lw=1, ls=":")
    ax.set(xlim=(-span, span), ylim=(-span, span), aspect="equal")
    ax.set_xlabel("predicted, held out (trait s.d.)")
    ax.set_ylabel("observed (trait s.d.)")
    r2 = float(comparison.frame["r2"][name])
    titled(ax, f"{name}: mean R² = {r2:.2f}")
    return ax


def plot_elbo(comparison: "Comparison", ax: "Axes | None" = None) -> "Axes":
    """ELBO of the fits to all individuals along the optimisation, smoothed over 25 steps."""
    ax = axes_for(ax)
    window = np.ones(25) / 25
    finals = []
    for colour, (name, fit) in zip(CYCLE * 3, comparison.fits.items(), strict=False):
        smooth = np.convolve(fit.history, window, "valid")
        ax.plot(np.arange(len(smooth)) + 13, smooth, label=name, color=colour, lw=1.2)
        finals.append(fit.elbo)
    span = max(finals) - min(finals)
    ax.set_ylim(min(finals) - 0.3 * span - 50, max(finals) + 0.1 * span + 10)
    ax.set_xlabel("step")
    ax.set_ylabel("ELBO (nats)")
    legend(ax)
    return ax
