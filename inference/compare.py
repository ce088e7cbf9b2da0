"""Comparison of formalizations by held-out predictive density, with a verdict in one sentence.

The criterion is the expected log predictive density (elpd) of individuals that were not fitted:
for each of K folds every formalization is fitted to the others, and scores each observed cell of
the held-out individuals. Cells of an individual are added, since they are not independent; standard
errors run over individuals. Vehtari, Gelman & Gabry 2017, doi:10.1007/s11222-016-9696-4.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from genomic_code.inference.exact import ridge_predictions
from genomic_code.inference.fit import Settings, fit_folds, plan
from genomic_code.inference.folds import assign_folds
from genomic_code.inference.posterior import Fit
from genomic_code.inference.scores import GOOD_K, Score, pareto_k, stacking_weights
from genomic_code.inference.sweep import sweep
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import Null, resolve
from genomic_code.spec.protocols import Formalization

__all__ = ["BASELINE", "Comparison", "compare"]

BASELINE = "ridge"
"""GBLUP trait by trait: no hypothesis of ours, but what any hypothesis should match."""
WITHIN = 2.0
"""Standard errors of the difference within which a simpler formalization is preferred."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The table, the verdict and what they rest on."""

    cohort: Cohort
    frame: pd.DataFrame
    """A row for each formalization and the baseline, best first. Columns, in nats unless said:

    elpd: held-out log predictive density, summed over individuals (higher is better);
    se: its standard error over individuals; not for comparing rows, use dse;
    diff: elpd minus that of the best row; dse: its paired standard error; not to be trusted below
    100 individuals, nor where |diff| < 4; weight: stacking weight, the share of a mixture that
    predicts best, not a probability of being true; r2: held-out R2, mean over traits; elbo and
    elbo_se: on all individuals, no evidence by itself; share_k: share of individuals with Pareto
    k > 0.7, where leave-one-out by importance sampling would fail; warning: when not to trust the
    row.
    """
    verdict: str
    """One sentence."""
    winner: str
    """Name of the simplest formalization within 2 standard errors of the best."""
    cells: xr.DataArray
    """Held-out log predictive density `(formalization, individual, trait)`, NaN where missing."""
    predictions: xr.DataArray
    """Held-out predictive mean `(formalization, individual, trait)` in units of the phenotype."""
    folds: NDArray[np.int64]
    """Fold of every individual `(N,)`."""
    fits: Mapping[str, Fit] = field(repr=False)
    """Fits to all individuals, by name."""
    seed: int = 0
    """Seed of folds, starts and draws."""
    settings: Settings = field(default_factory=Settings)
    """How the fits were optimised."""

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


def compare(
    formalizations: Sequence[str | Formalization],
    cohort: Cohort,
    *,
    folds: int = 5,
    seed: int = 0,
    settings: Settings | None = None,
    jobs: int | None = None,
    progress: bool = True,
    partial: str | os.PathLike[str] | None = None,
) -> Comparison:
    """Compare formalizations on one cohort.

    Args:
        formalizations: Registry names or instances; `null` is added where it is missing.
        cohort: The data; its groups, where it has them, are held out whole.
        folds: Number K of folds.
        seed: Seed of folds, starts and draws.
        settings: How to optimise.
        jobs: Processes; by default as `joblib.parallel_config` says, else 1. The result does not
            depend on it.
        progress: Whether to show progress bars.
        partial: Folder in which finished fits are kept: the same comparison, killed at any moment,
            goes on from there.

    Raises:
        ValueError: A formalization is unknown or named twice, or the folds do not fit the cohort.
    """
    models = named(formalizations)
    assigned = assign_folds(cohort, folds, seed)
    training = np.stack([assigned != k for k in range(folds)] + [np.ones(len(cohort), bool)])
    chosen = settings or Settings()
    work = [
        (name, rows)
        for name, model in models.items()
        for rows in np.array_split(training, -(-len(training) // plan(model, cohort, chosen)[1]))
    ]
    calls = [
        {"model": models[name], "cohort": cohort, "training": rows, "settings": chosen,
         "seed": seed}
        for name, rows in work
    ]  # fmt: skip
    folder = None if partial is None else Path(partial)
    results = sweep(
        evaluate, calls, records=[Part], jobs=jobs, progress=progress, folder=folder
    )  # fmt: skip
    scores, fits = gather(cohort, [name for name, _ in work], results)
    if models["null"].noise.standardised:
        scores[BASELINE] = baseline(cohort, training[:-1])
    result = summarise(cohort, models, scores, fits, assigned)
    return replace(result, seed=seed, settings=chosen)


def named(formalizations: Sequence[str | Formalization]) -> dict[str, Formalization]:
    """Formalizations by name, simplest first; `null`, with the noise of the others, among them."""
    models: dict[str, Formalization] = {}
    chosen = [resolve(given) for given in formalizations]
    standardised = {model.noise.standardised for model in chosen if model.name != "null"}
    if len(standardised) > 1:
        raise ValueError(
            "formalizations must all have a noise model of continuous traits, or none of them, "
            f"got {', '.join(type(model.noise).__name__ for model in chosen)}; densities and "
            "probabilities cannot be compared"
        )
    others = [model.noise for model in chosen if model.name != "null"]
    for given, model in [*zip(formalizations, chosen, strict=True), ("null", Null(*others[:1]))]:
        if model.name in models and given != "null":
            raise ValueError(
                f"formalizations must have different names, got {model.name!r} twice; give a "
                "variant a class of its own with another name"
            )
        models.setdefault(model.name, Null(*others[:1]) if given == "null" else model)
    return dict(sorted(models.items(), key=lambda item: item[1].complexity))


class Part(NamedTuple):
    """What one process reports of some folds of one formalization."""

    held_out: list[tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]]
    """Held-out rows `(N,)` of each fold, their log density and their mean `(n, T)`."""
    everyone: Fit | None
    """The fit to all individuals, where it is among them."""
    stuck: int
    """Number of fits that did not converge."""


def evaluate(
    model: Formalization,
    cohort: Cohort,
    training: NDArray[np.bool_],
    settings: Settings,
    seed: int,
    progress: bool,
) -> Part:
    """Fit to training sets `(F, N)`, score who is held out; keep a fit that holds out nobody."""
    fits = fit_folds(model, cohort, training, settings, seed, progress)
    held_out = [(~fit.training, *fit.held_out()) for fit in fits if not fit.training.all()]
    everyone = next((fit for fit in fits if fit.training.all()), None)
    return Part(held_out, everyone, sum(not fit.converged for fit in fits))


def gather(
    cohort: Cohort, names: list[str], parts: list[Part]
) -> tuple[dict[str, Score], dict[str, Fit]]:
    """Scores and fits to all individuals by name."""
    scores, fits = {}, {}
    for name in dict.fromkeys(names):
        own = [part for other, part in zip(names, parts, strict=True) if other == name]
        cells = np.full(cohort.phenotype.shape, np.nan)
        means = cells.copy()
        for part in own:
            for rows, density, mean in part.held_out:
                cells[rows], means[rows] = density, mean
        fit = fits[name] = next(part.everyone for part in own if part.everyone is not None)
        stuck = sum(part.stuck for part in own)
        warning = f"{stuck} fits not converged" if stuck else ""
        share = float((pareto_k(fit) > GOOD_K).mean())
        scores[name] = Score(cells, means, fit.elbo, fit.elbo_error, share, warning)
    return scores, fits


def baseline(cohort: Cohort, training: NDArray[np.bool_]) -> Score:
    """Score of GBLUP trait by trait."""
    cells = np.full(cohort.phenotype.shape, np.nan)
    means = cells.copy()
    for rows in training:
        log_density, mean = ridge_predictions(cohort, rows)
        cells[~rows], means[~rows] = log_density[~rows], mean[~rows]
    return Score(cells, means, np.nan, np.nan, np.nan, "")


def summarise(
    cohort: Cohort,
    models: dict[str, Formalization],
    scores: dict[str, Score],
    fits: dict[str, Fit],
    folds: NDArray[np.int64],
) -> Comparison:
    """The table and the verdict of scored formalizations."""
    names = list(scores)
    cells = np.stack([scores[name].cells for name in names])
    individuals = np.nansum(cells, -1)
    elpd = individuals.sum(1)
    n = individuals.shape[1]
    best = int(elpd.argmax())
    differences = individuals - individuals[best]
    phenotype = cohort.phenotype.values.astype(float)
    frame = pd.DataFrame(
        {
            "elpd": elpd,
            "se": individuals.std(1, ddof=1) * np.sqrt(n),
            "diff": differences.sum(1),
            "dse": differences.std(1, ddof=1) * np.sqrt(n),
            "weight": stacking_weights(individuals),
            "r2": [r_squared(phenotype, scores[name].means) for name in names],
            "elbo": [scores[name].elbo for name in names],
            "elbo_se": [scores[name].elbo_error for name in names],
            "share_k": [scores[name].share_k for name in names],
            "warning": [scores[name].warning for name in names],
        },
        index=pd.Index(names, name="formalization"),
    ).sort_values("elpd", ascending=False, kind="stable")
    by_name = dict(zip(names, individuals, strict=True))
    winner, verdict = judge(models, by_name)
    labels = {dim: cohort.labels(dim) for dim in ("individual", "trait")}
    dims = ("formalization", "individual", "trait")
    means = np.stack([scores[name].means for name in names])
    return Comparison(
        cohort=cohort,
        frame=frame,
        verdict=verdict,
        winner=winner,
        cells=xr.DataArray(cells, {"formalization": names, **labels}, dims),
        predictions=xr.DataArray(means, {"formalization": names, **labels}, dims),
        folds=folds,
        fits=fits,
    )


def judge(
    models: dict[str, Formalization], individuals: dict[str, NDArray[np.float64]]
) -> tuple[str, str]:
    """Name of the simplest formalization within 2 standard errors of the best, and a sentence."""

    def ahead(first: str, second: str) -> tuple[float, float]:
        difference = individuals[first] - individuals[second]
        return float(difference.sum()), float(difference.std(ddof=1) * np.sqrt(len(difference)))

    ranked = sorted(models, key=lambda name: -individuals[name].sum())
    best = ranked[0]
    close = [name for name in ranked if ahead(best, name)[0] <= WITHIN * ahead(best, name)[1]]
    winner = min(close, key=lambda name: (models[name].complexity, ranked.index(name)))
    if winner == "null":
        sentence = "null: no formalization predicts held-out individuals better than the mean and "
        sentence += "the environment; no heritable signal at this sample size"
    elif len(close) == 1 and len(ranked) > 1:
        gap, error = ahead(winner, ranked[1])
        sentence = f"{winner}: predicts held-out individuals better than every other formalization,"
        sentence += f" {gap:.1f} +- {error:.1f} nats ahead of {ranked[1]}"
    elif len(close) == 1:
        sentence = f"{winner}: the only formalization compared"
    else:
        others = ", ".join(
            f"{name} ({ahead(name, winner)[0]:+.1f} +- {ahead(name, winner)[1]:.1f} nats)"
            for name in close
            if name != winner
        )
        sentence = f"{winner}: the simplest of those indistinguishable at this sample size; "
        sentence += f"within {WITHIN:.0f} standard errors of the best also {others}"
    gap, error = ahead(BASELINE, winner) if BASELINE in individuals else (0.0, 0.0)
    if gap > WITHIN * error:
        sentence += f"; but the {BASELINE} baseline predicts better by {gap:.1f} +- {error:.1f}"
        sentence += " nats, so none of these formalizations is adequate"
    return winner, sentence + "."


def r_squared(phenotype: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Mean over traits of 1 - SSE / SST on the observed cells."""
    residual = np.nansum((phenotype - predicted) ** 2, 0)
    total = np.nansum((phenotype - np.nanmean(phenotype, 0)) ** 2, 0)
    return float((1 - residual / total).mean())
