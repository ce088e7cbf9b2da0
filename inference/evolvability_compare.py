"""Evolvability of several hypotheses side by side: differences with intervals, and one figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from genomic_code.inference.evolvability import evolvability
from genomic_code.inference.plots_style import BLUE, ORANGE, axes_for, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["HEADLINES", "EvolvabilityComparison", "compare_evolvability"]

HEADLINES = ("tr_G", "tr_M", "e", "r", "c", "a", "additive_share", "D_eff", "robustness")
"""Metrics that are shown by default."""
TITLES = {
    "tr_G": "genetic variance tr G",
    "tr_M": "mutational variance tr M",
    "e": "evolvability e",
    "r": "respondability r",
    "c": "conditional evolvability c",
    "a": "autonomy a",
    "i": "integration i",
    "D_eff": "effective dimensions of G",
    "robustness": "mutational robustness",
}
TIE = 1e-6
"""Differences below this share of the metric are rounding."""


@dataclass(frozen=True, eq=False)
class EvolvabilityComparison:
    """Metrics of several hypotheses, and their differences from a reference."""

    trees: dict[str, xr.DataTree]
    """What `evolvability` gave for each hypothesis."""
    reference: str
    """The hypothesis that the others are compared with."""
    probability: float
    """Probability of the intervals."""

    @property
    def metrics(self) -> xr.Dataset:
        """All metrics over `hypothesis` and `draw`; NaN where one is undefined for a hypothesis."""
        sets = [tree["metrics"].to_dataset() for tree in self.trees.values()]
        joined = xr.concat(sets, "hypothesis", join="outer", data_vars="all", combine_attrs="drop")
        return joined.assign_coords(hypothesis=list(self.trees))

    @property
    def frame(self) -> pd.DataFrame:
        """One row a hypothesis and metric: `mean`, `low`, `high`, and the same of the difference.

        Columns `difference`, `difference_low` and `difference_high` are hypothesis minus reference,
        and `above` the posterior probability that the hypothesis is above the reference; missing
        for the reference itself and where a metric is undefined. Fits are independent posteriors,
        so draws are paired at random.
        """
        tail = (1 - self.probability) / 2
        base = self.trees[self.reference]["metrics"]
        rows = []
        for hypothesis, tree in self.trees.items():
            for name, values in tree["metrics"].data_vars.items():
                row: dict[str, Any] = {"hypothesis": hypothesis, "metric": str(name)}
                row |= summary(values.values, tail, "")
                if hypothesis != self.reference and name in base:
                    change = values.values - base[str(name)].values
                    change = np.where(np.abs(change) <= TIE * np.abs(values.values), 0.0, change)
                    row |= summary(change, tail, "difference")
                    row["above"] = float((change > 0).mean() + (change == 0).mean() / 2)
                rows.append(row)
        return pd.DataFrame(rows).set_index(["metric", "hypothesis"])

    def __str__(self) -> str:
        frame = self.frame
        shown = [name for name in HEADLINES if name in frame.index.get_level_values("metric")]
        table = frame.loc[shown].to_string(float_format="{:.3f}".format, na_rep="")
        notes = [f"{self.probability:.0%} intervals; differences from {self.reference}"]
        for name, tree in self.trees.items():
            if "subspace_dimensions" in tree.attrs:
                notes.append(
                    f"{name}: c, a, i in the {tree.attrs['subspace_dimensions']} dimensions of G "
                    f"above epsilon={tree.attrs['epsilon']:g} of the largest"
                )
            if "warning" in tree.attrs:
                notes.append(f"{name}: {tree.attrs['warning']}")
        return "\n".join([table, "", *notes])

    def plot(self, metrics: Sequence[str] = HEADLINES, axes: Any = None) -> Any:
        """Draw mean and interval of every hypothesis, one panel a metric; returns the axes.

        Args:
            metrics: Which metrics; those that no hypothesis has are left out.
            axes: As many axes as metrics, by default of a new figure.

        Raises:
            ValueError: No hypothesis has any of the metrics, or there are too few axes.
        """
        frame = self.frame
        known = frame.index.get_level_values("metric")
        shown = [name for name in metrics if name in known]
        if not shown:
            raise ValueError(f"metrics must be among {', '.join(sorted(set(known)))}")
        if axes is None:
            columns = min(3, len(shown))
            rows = -(-len(shown) // columns)
            size = rows * (0.2 * len(self.trees) + 0.55) + 0.2, 1.0 + 2.0 * columns
            grid = axes_for(None, *size, nrows=rows, ncols=columns, squeeze=False, sharey=True)
            grid[0, 0].get_figure(root=True).suptitle(
                f"Posterior mean and {self.probability:.0%} interval; reference: {self.reference}",
                fontsize=8,
            )
            axes = list(grid.flat)
            for spare in axes[len(shown) :]:
                spare.remove()
        panels = list(np.atleast_1d(axes))[: len(shown)]
        if len(panels) < len(shown):
            raise ValueError(f"axes must be {len(shown)}, one a metric, got {len(panels)}")
        for axis, name in zip(panels, shown, strict=True):
            self.panel(axis, frame.loc[[name]].droplevel("metric"), name)
        return panels

    def panel(self, axis: "Axes", table: pd.DataFrame, name: str) -> None:
        """One metric of all hypotheses."""
        names = list(self.trees)
        for row, hypothesis in enumerate(names):
            if hypothesis not in table.index:
                continue
            line = table.loc[hypothesis]
            colour = ORANGE if hypothesis == self.reference else BLUE
            bars = [[line["mean"] - line["low"]], [line["high"] - line["mean"]]]
            axis.errorbar(line["mean"], row, xerr=bars, fmt="o", ms=4, color=colour, capsize=2)
        axis.locator_params(axis="x", nbins=5)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.4, -0.6)
        titled(axis, TITLES.get(name, name.replace("_", " ")))


def compare_evolvability(
    fits: Mapping[str, Any],
    reference: str | None = None,
    probability: float = 0.9,
    **options: Any,
) -> EvolvabilityComparison:
    """Compare what several hypotheses say about evolvability.

    Args:
        fits: Fits, or whatever `evolvability` takes, by name; of one cohort, since the metrics are
            in units of its traits. Trees that `evolvability` returned are taken as they are.
        reference: Name of the hypothesis to compare with; the first by default.
        probability: Probability of the intervals, between 0 and 1.
        **options: Arguments of `evolvability`.

    Raises:
        ValueError: There are fewer than two hypotheses, or the reference is not among them, or
            they are of different cohorts or numbers of draws.
    """
    if len(fits) < 2:
        raise ValueError(f"fits must be at least 2, got {len(fits)}")
    base = next(iter(fits)) if reference is None else reference
    if base not in fits:
        raise ValueError(f"reference must be one of {', '.join(fits)}, got {base!r}")
    if not 0 < probability < 1:
        raise ValueError(f"probability must be between 0 and 1, got {probability}")
    trees = {
        name: fit if isinstance(fit, xr.DataTree) else evolvability(fit, **options)
        for name, fit in fits.items()
    }
    for attribute in ("cohort", "units"):
        found = {name: tree.attrs.get(attribute) for name, tree in trees.items()}
        if len(set(found.values())) > 1:
            raise ValueError(f"fits must have the same {attribute}, got {found}")
    sizes = {name: tree["metrics"].sizes["draw"] for name, tree in trees.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"fits must have the same number of draws, got {sizes}")
    return EvolvabilityComparison(trees, base, probability)


def summary(values: Any, tail: float, prefix: str) -> dict[str, float]:
    """Mean and interval of draws, with names that begin with `prefix`."""
    low, high = np.quantile(values, [tail, 1 - tail])
    stem = f"{prefix}_" if prefix else ""
    return {prefix or "mean": float(np.mean(values)), f"{stem}low": low, f"{stem}high": high}
