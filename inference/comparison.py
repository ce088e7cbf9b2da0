"""A Comparison: the table, the verdict, and what they rest on."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.utils import ELPDData
from numpy.typing import NDArray

from genomic_code.inference.calibration import (
    AbsoluteFit,
    absolute_fit,
    coverage,
    coverage_by_trait,
)
from genomic_code.inference.optimise import Settings
from genomic_code.inference.posterior import Fit
from genomic_code.inference.scores import (
    GOOD_K,
    MOST_BAD,
    Score,
    stacking_bootstrap,
    stacking_weights,
)
from genomic_code.inference.verdict import judge
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.protocols import Formalization

__all__ = ["Comparison", "summarise"]

FEW = 100
"""Individuals below which the error of a difference is itself unsure."""
SMALL = 4.0
"""Nats below which a difference is no difference; Sivula et al. 2020, arXiv:2008.10296."""
HONEST = (0.87, 0.93)
"""Coverage of 90 % intervals that needs no warning."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The table, the verdict and what they rest on."""

    cohort: Cohort
    frame: pd.DataFrame
    """A row for each formalization and the baseline, best first. Columns, in nats unless said:

    elpd: held-out log predictive density, summed over individuals (higher is better);
    se: its standard error over individuals; not for comparing rows, use dse;
    diff: elpd minus that of the best row; dse: its paired standard error;
    weight: stacking weight, the share of a mixture that predicts best, not a probability of being
    true; weight_se: its standard deviation under the Bayesian bootstrap over individuals;
    r2: held-out R2, mean over traits;
    cover50, cover90: share of held-out cells within their central 50 and 90 % intervals;
    elbo and elbo_se: on all individuals, no evidence by itself;
    loo: leave-one-out by importance sampling on the fit to all, a quick look, NaN where refused;
    share_k: share of individuals with Pareto k above 0.7, where that fails, refused above 10 %;
    warning: in words, when not to trust the row; a formalization that failed or was skipped has
    only this.
    """
    verdict: str
    """One sentence."""
    winner: str
    """Name of the simplest formalization within 2 standard errors of the best."""
    cells: xr.DataArray
    """Held-out log predictive density `(formalization, individual, trait)`, NaN where missing or
    never held out."""
    predictions: xr.DataArray
    """Held-out predictive mean `(formalization, individual, trait)` in units of the phenotype."""
    folds: NDArray[np.int64]
    """Fold of every individual `(N,)`, -1 where never held out."""
    fits: Mapping[str, Fit] = field(repr=False)
    """Fits to all individuals, by name."""
    seed: int = 0
    """Seed of folds, starts and draws."""
    settings: Settings = field(default_factory=Settings)
    """How the fits were optimised."""
    close: tuple[str, ...] = ()
    """Formalizations within 2 standard errors of the best; the winner alone is decisive."""
    pit: xr.DataArray | None = None
    """Held-out predictive probability `(formalization, individual, trait)` of a lower value."""
    absolute: Mapping[str, AbsoluteFit] = field(default_factory=dict, repr=False)
    """Absolute fit of the formalizations close to the best, by name."""

    def __repr__(self) -> str:
        return f"Comparison on {self.cohort.name!r}: {self.verdict}"

    def _repr_html_(self) -> str:
        table = self.frame.to_html(float_format="{:.2f}".format, border=0, na_rep="")
        name, verdict = escape(self.cohort.name), escape(self.verdict)
        return f"<div><strong>Comparison on {name}</strong><p>{verdict}</p>{table}</div>"

    def save(self, directory: str | os.PathLike[str]) -> list[Path]:
        """Write table, verdict, cohort, fits and figures; see `inference.results`.

        Raises:
            ValueError: The directory cannot be written.
        """
        from genomic_code.inference.results import save_comparison

        return save_comparison(self, Path(directory))

    @staticmethod
    def load(
        directory: str | os.PathLike[str], formalizations: Sequence[Formalization] = ()
    ) -> "Comparison":
        """Read what `save` wrote; each fit is read when it is first asked for.

        Args:
            directory: Where the comparison was saved.
            formalizations: Those among the compared ones that are classes of your own.

        Raises:
            ValueError: The directory holds no comparison, or one of a newer version.
        """
        from genomic_code.inference.results import load_comparison

        return load_comparison(Path(directory), formalizations)

    def __str__(self) -> str:
        return f"{self.frame.to_string(float_format='{:.2f}'.format)}\n\n{self.verdict}"

    @property
    def decisive(self) -> bool:
        """Whether one formalization alone is within 2 standard errors of the best."""
        return len(self.close) == 1

    @property
    def by_trait(self) -> xr.Dataset:
        """`elpd`, `se`, `diff` (to the best row of the table), `dse` and coverage by trait."""
        cells = self.cells.isel(individual=self.folds >= 0)
        best = cells.sel(formalization=self.frame.index[0]).drop_vars("formalization")
        seen = cells.notnull().sum("individual")
        gap = cells - best
        found = {
            "elpd": cells.sum("individual"),
            "se": cells.std("individual", ddof=1) * np.sqrt(seen),
            "diff": gap.sum("individual"),
            "dse": gap.std("individual", ddof=1) * np.sqrt(seen),
        }
        table = xr.Dataset(found)
        return table if self.pit is None else table.assign(coverage_by_trait(self.pit).data_vars)

    def elpd_data(self, name: str) -> ELPDData:
        """The held-out densities of one row as an ArviZ object, for `arviz_stats.compare`.

        Raises:
            ValueError: There is no such row.
        """
        known = [str(each) for each in self.cells["formalization"].values]
        if name not in known:
            raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}")
        cells = self.cells.sel(formalization=name).isel(individual=self.folds >= 0)
        individuals = cells.sum("trait").drop_vars("formalization")
        elpd = float(individuals.sum())
        look = self.frame.loc[name]
        return ELPDData(
            kind="loo_kfold",
            elpd=elpd,
            se=float(individuals.std(ddof=1) * np.sqrt(individuals.size)),
            p=np.nan,
            n_samples=0,
            n_data_points=int(individuals.size),
            scale="log",
            warning=bool(look["warning"]),
            good_k=GOOD_K,
            elpd_i=individuals,
            n_folds=int(self.folds.max()) + 1,
        )


def summarise(
    cohort: Cohort,
    models: Mapping[str, Formalization],
    scores: Mapping[str, Score],
    fits: dict[str, Fit],
    folds: NDArray[np.int64],
    failed: Mapping[str, str] | None = None,
) -> Comparison:
    """The table and the verdict of scored formalizations.

    Args:
        cohort: The data.
        models: Formalizations by name, simplest first.
        scores: What each predicts, by name, the baseline among them.
        fits: Fits to all individuals, by name.
        folds: Fold of every individual `(N,)`, -1 where never held out.
        failed: Why formalizations have no scores, by name.
    """
    names = list(scores)
    held = folds >= 0
    cells = np.stack([scores[name].cells for name in names])
    individuals = np.nansum(cells, -1)[:, held]
    by_name = dict(zip(names, individuals, strict=True))
    first = judge(models, by_name)
    absolute = {
        name: absolute_fit(fits[name], scores[name].pit) for name in first.close if name in fits
    }
    misfits = {name: found.reasons for name, found in absolute.items()}
    verdict = judge(models, by_name, misfits)
    frame = table(cohort, scores, individuals, held)
    for name, reason in (failed or {}).items():
        frame.loc[name, "warning"] = reason
    labels = {dim: cohort.labels(dim) for dim in ("individual", "trait")}

    def stacked(key: str) -> xr.DataArray:
        values = np.stack([getattr(scores[name], key) for name in names])
        coordinates = {"formalization": names, **labels}
        return xr.DataArray(values, coordinates, ("formalization", "individual", "trait"))

    lost = ", ".join(name for name, why in (failed or {}).items() if why.startswith("failed"))
    return Comparison(
        cohort=cohort,
        frame=frame,
        verdict=verdict.sentence
        + (f" Left out, since it could not be fitted: {lost}." * bool(lost)),
        winner=verdict.winner,
        close=verdict.close,
        cells=stacked("cells"),
        predictions=stacked("means"),
        pit=stacked("pit"),
        folds=folds,
        fits=fits,
        absolute=absolute,
    )


def table(
    cohort: Cohort,
    scores: Mapping[str, Score],
    individuals: NDArray[np.float64],
    held: NDArray[np.bool_],
) -> pd.DataFrame:
    """Columns as in `Comparison.frame`, best first; `individuals` `(M, n)` are those held out."""
    names = list(scores)
    elpd = individuals.sum(1)
    n = individuals.shape[1]
    differences = individuals - individuals[int(elpd.argmax())]
    dse = differences.std(1, ddof=1) * np.sqrt(n)
    phenotype = cohort.phenotype.values.astype(float)[held]
    covered = {
        level: [coverage(scores[name].pit, level)[0] for name in names] for level in (0.5, 0.9)
    }
    frame = pd.DataFrame(
        {
            "elpd": elpd,
            "se": individuals.std(1, ddof=1) * np.sqrt(n),
            "diff": differences.sum(1),
            "dse": dse,
            "weight": stacking_weights(individuals),
            "weight_se": stacking_bootstrap(individuals).std(0, ddof=1),
            "r2": [r_squared(phenotype, scores[name].means[held]) for name in names],
            "cover50": covered[0.5],
            "cover90": covered[0.9],
            "elbo": [scores[name].elbo for name in names],
            "elbo_se": [scores[name].elbo_error for name in names],
            "loo": [scores[name].loo for name in names],
            "share_k": [scores[name].share_k for name in names],
        },
        index=pd.Index(names, name="formalization"),
    )
    frame["warning"] = [warn(scores[str(name)], row, n) for name, row in frame.iterrows()]
    return frame.sort_values("elpd", ascending=False, kind="stable")


def warn(score: Score, row: "pd.Series[float]", n: int) -> str:
    """When not to trust a row, in plain words."""
    words = [score.warning] if score.warning else []
    if score.share_k > MOST_BAD:
        words.append(f"quick look refused, k > {GOOD_K} in {score.share_k:.0%}")
    if row["diff"] < 0 and -row["diff"] < SMALL:
        words.append(f"less than {SMALL:.0f} nats from the best: no difference")
    elif row["diff"] < 0 and n < FEW:
        words.append(f"only {n} individuals: dse too small")
    low, high = HONEST
    share, error = coverage(score.pit, 0.9)
    if share + 2 * error < low:
        words.append(f"too sure: 90 % intervals hold {share:.0%}")
    elif share - 2 * error > high:
        words.append(f"too cautious: 90 % intervals hold {share:.0%}")
    return "; ".join(words)


def r_squared(phenotype: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Mean over traits of 1 - SSE / SST on the observed cells that were predicted."""
    observed = np.where(np.isnan(predicted), np.nan, phenotype)
    residual = np.nansum((observed - predicted) ** 2, 0)
    total = np.nansum((observed - np.nanmean(observed, 0)) ** 2, 0)
    return float((1 - residual / total).mean())
