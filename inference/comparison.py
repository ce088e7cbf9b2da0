"""A Comparison: the table, the verdict, and what they rest on."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.utils import ELPDData
from numpy.typing import NDArray

from genomic_code.inference.calibration import AbsoluteFit, absolute_fit, coverage_by_trait
from genomic_code.inference.folds import training_sets
from genomic_code.inference.heldout import by_individual
from genomic_code.inference.intervals import honest_level
from genomic_code.inference.optimise import Settings
from genomic_code.inference.posterior import Fit
from genomic_code.inference.predictive import cell_labels
from genomic_code.inference.scores import GOOD_K, Score
from genomic_code.inference.table import table
from genomic_code.inference.units import Units, codes, standard_error
from genomic_code.inference.verdict import BASELINE, Paired, about_scale, judge
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.protocols import Formalization

__all__ = ["Comparison", "summarise"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The table, the verdict and what they rest on."""

    cohort: Cohort
    frame: pd.DataFrame
    """A row for each formalization and the baseline, best first. Columns, in nats unless said:

    elpd: held-out log predictive density, summed over individuals (higher is better);
    se: its standard error over individuals, or groups of them, and over repeats of the folds where
    there are several; not for comparing rows, use dse;
    diff: elpd minus that of the best row; dse: its paired standard error;
    weight: stacking weight, the share of a mixture that predicts best, not a probability of being
    true; weight_se: its standard deviation under the Bayesian bootstrap over units;
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
    """Name of the simplest formalization within 2 standard errors of the best, and of each other
    that is; of these, of one that fits, if any does."""
    cells: xr.DataArray
    """Held-out log predictive density `(formalization, individual, trait)`, mean over repeats of
    the folds; NaN where missing or never held out."""
    predictions: xr.DataArray
    """Held-out predictive mean `(formalization, individual, trait)` in units of the phenotype."""
    folds: NDArray[np.int64]
    """Fold of every individual `(N,)`, -1 where never held out."""
    fits: Mapping[str, Fit] = field(repr=False)
    """Fits to all individuals, by name."""
    groups: NDArray[np.int64] | None = None
    """Group of every individual `(N,)`, from 0: the unit of standard errors. None where individuals
    are."""
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
    totals: xr.DataArray | None = None
    """elpd of each repeat of the folds `(formalization, repeat)`."""

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
    def units(self) -> Units | None:
        """Group of each held-out individual `(n,)`; None where each is a unit of its own."""
        return codes(self.groups, self.folds >= 0)

    def honest_level(self, name: str = "", level: float = 0.9) -> tuple[float, float, float]:
        """The level to ask of `Fit.intervals` for intervals that hold `level` of new cells.

        Args:
            name: A formalization; by default the winner.
            level: Share of cells, above 0 and below 1.

        Returns:
            That level, the share that such intervals hold where it is learnt from other folds, and
            its standard error; see `inference.intervals`.

        Raises:
            ValueError: There is no such formalization, or it has no held-out probabilities.
        """
        known = [] if self.pit is None else [str(each) for each in self.pit["formalization"].values]
        known = [each for each in known if each != BASELINE]
        name = name or self.winner
        if name not in known:
            raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}")
        assert self.pit is not None
        held = self.folds >= 0
        pit = self.pit.sel(formalization=name).values[held]
        return honest_level(pit, self.folds[held], level, self.units)

    @property
    def training(self) -> NDArray[np.bool_]:
        """Training rows of each fold `(F, N)`: what a method of `ahead` may learn from."""
        return training_sets(self.folds)

    def ahead(self, first: str | xr.Dataset, second: str) -> tuple[float, float]:
        """How far the first is ahead of the second in elpd, and the error of that, in nats.

        Args:
            first: A row of the table; or what another method predicts of the same individuals from
                the same `training` rows, as `NetworkEnsemble.predict` and its like return it, with
                `log_predictive` `(individual, trait)` on the scale of `Fit.log_predictive`.
            second: A row of the table.

        Raises:
            ValueError: There is no such row; predictions lack a cell, or the folds that they are of
                were not the only ones.
        """
        rows = [first, second] if isinstance(first, str) else [second]
        densities = {name: self.elpd_data(name).elpd_i.values for name in rows}
        totals = None
        if self.totals is not None:
            totals = {name: self.totals.sel(formalization=name).values for name in rows}
        if isinstance(first, str):
            return Paired(densities, self.units, totals).ahead(first, second)
        if totals is not None and len(totals[second]) > 1:
            raise ValueError(
                f"first must be a row where folds are drawn {len(totals[second])} times, got "
                "predictions, which are of one draw; compare with repeats=1"
            )
        densities["predictions"] = by_individual(first, self.cohort, self.folds >= 0)
        return Paired(densities, self.units).ahead("predictions", second)

    @property
    def by_trait(self) -> xr.Dataset:
        """`elpd`, `se`, `diff` (to the best row of the table), `dse` and coverage by trait.

        Errors are over individuals alone, not over repeats of the folds.
        """
        cells = self.cells.isel(individual=self.folds >= 0)
        best = cells.sel(formalization=self.frame.index[0]).drop_vars("formalization")
        sums = xr.Dataset({"elpd": cells, "diff": cells - best})
        error = partial(standard_error, units=self.units)
        errors = xr.apply_ufunc(error, sums, input_core_dims=[["individual"]])
        errors = errors.rename(elpd="se", diff="dse")
        table = sums.sum("individual").merge(errors)[["elpd", "se", "diff", "dse"]]
        if self.pit is None:
            return table
        pit = self.pit.isel(individual=self.folds >= 0)
        return table.assign(coverage_by_trait(pit, self.units).data_vars)

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
        return ELPDData(
            kind="loo_kfold",
            elpd=float(self.frame["elpd"][name]),
            se=float(self.frame["se"][name]),
            p=np.nan,
            n_samples=0,
            n_data_points=int(individuals.size),
            scale="log",
            warning=bool(self.frame["warning"][name]),
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
    groups: NDArray[np.int64] | None = None,
) -> Comparison:
    """The table and the verdict of scored formalizations.

    Args:
        cohort: The data.
        models: Formalizations by name, simplest first.
        scores: What each predicts, by name, the baseline among them.
        fits: Fits to all individuals, by name.
        folds: Fold of every individual `(N,)`, -1 where never held out.
        failed: Why formalizations have no scores, by name.
        groups: Group of every individual `(N,)`, from 0, where individuals come in groups.
    """
    names = list(scores)
    held = folds >= 0
    units = codes(groups, held)
    cells = np.stack([scores[name].cells for name in names])
    individuals = np.nansum(cells, -1)[:, held]
    by_name = dict(zip(names, individuals, strict=True))
    totals = {name: scores[name].totals for name in names}
    first = judge(models, by_name, units=units, totals=totals)
    absolute = {
        name: absolute_fit(fits[name], scores[name].pit[held], units=units)
        for name in first.close
        if name in fits
    }
    misfits = {name: found.reasons for name, found in absolute.items()}
    verdict = judge(models, by_name, misfits, units, totals)
    frame = table(cohort, scores, individuals, folds, groups)
    for name, reason in (failed or {}).items():
        frame.loc[name, "warning"] = reason
    labels = cell_labels(cohort)

    def stacked(key: str) -> xr.DataArray:
        values = np.stack([getattr(scores[name], key) for name in names])
        coordinates = {"formalization": names, **labels}
        return xr.DataArray(values, coordinates, ("formalization", "individual", "trait"))

    lost = ", ".join(name for name, why in (failed or {}).items() if why.startswith("failed"))
    return Comparison(
        cohort=cohort,
        frame=frame,
        verdict=verdict.sentence
        + (f" Left out, since it could not be fitted: {lost}." * bool(lost))
        + about_scale(cohort, models),
        winner=verdict.winner,
        close=verdict.close,
        cells=stacked("cells"),
        predictions=stacked("means"),
        pit=stacked("pit"),
        folds=folds,
        groups=groups,
        fits=fits,
        absolute=absolute,
        totals=xr.DataArray(
            np.stack([*totals.values()]), {"formalization": names}, ("formalization", "repeat")
        ),
    )
