"""Fits of many folds, made apart, as the scores of formalizations."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genomic_code.inference.exact import ridge_predictions
from genomic_code.inference.guide_choice import cautions
from genomic_code.inference.heldout import HeldOut, blended
from genomic_code.inference.modes import mixed
from genomic_code.inference.nested import Sites
from genomic_code.inference.posterior import Fit
from genomic_code.inference.scores import Score, quick_look
from genomic_code.spec.cohort import Cohort

__all__ = ["Part", "baseline", "gather"]


class Part(NamedTuple):
    """What one process reports of some folds of one formalization."""

    held_out: list[HeldOut]
    everyone: Fit | None
    """The fit to all individuals, where it is among them."""
    sites: list[tuple[NDArray[np.bool_], Sites]]
    """Training rows and posterior means of every fit, where another formalization may start
    there."""
    failed: str
    """Why there is no fit; empty where there is."""


def gather(
    cohort: Cohort,
    names: list[str],
    parts: list[Part],
    training: Sequence[NDArray[np.bool_]],
    labels: NDArray[Any] | None,
) -> tuple[dict[str, Score], dict[str, Fit], dict[str, str]]:
    """Scores and fits to all individuals by name, and why others failed.

    Several fits to the same training rows predict together.

    Args:
        cohort: The data.
        names: Formalization of each part.
        parts: Fits of some folds.
        training: Training sets `(K, N)` of each repeat.
        labels: Group of every individual `(N,)`.
    """
    scores, fits, failed = {}, {}, {}
    repeats = [[(~rows).tobytes() for rows in repeat] for repeat in training]
    for name in dict.fromkeys(names):
        own = [part for other, part in zip(names, parts, strict=True) if other == name]
        everyone = [part.everyone for part in own if part.everyone is not None]
        found: dict[bytes, list[HeldOut]] = {}
        for part in own:
            for fold in part.held_out:
                found.setdefault(fold.rows.tobytes(), []).append(fold)
        together = {rows: blended(members) for rows, members in found.items()}
        if not everyone or any(rows not in together for folds in repeats for rows in folds):
            failed[name] = next(part.failed for part in own if part.failed)
            continue
        fit = fits[name] = mixed(everyone, labels)
        stuck = sum(not fold.converged for fold in together.values()) + (not fit.converged)
        warnings = cautions(fit.flat, fit.guide)
        warnings += [f"{stuck} fits not converged"] if stuck else []
        look = quick_look(fit)
        scores[name] = tabled(cohort, ([together[rows] for rows in folds] for folds in repeats))
        scores[name] = scores[name]._replace(
            elbo=fit.elbo, elbo_error=fit.elbo_error, loo=look.elpd, share_k=look.share_k,
            warning="; ".join(warnings),
        )  # fmt: skip
    return scores, fits, failed


def tabled(cohort: Cohort, repeats: Iterable[list[HeldOut]]) -> Score:
    """What the folds of each repeat say, in tables of all individuals."""
    shape = cohort.phenotype.shape
    density: list[NDArray[np.float64]] = []
    for folds in repeats:
        tables = {key: np.full(shape, np.nan) for key in ("density", "mean", "pit")}
        for fold in folds:
            for key, table in tables.items():
                table[fold.rows] = getattr(fold, key)
        if not density:
            means, pit = tables["mean"], tables["pit"]
        density.append(tables["density"])
    totals = np.nansum(density, (1, 2))
    cells = np.mean(density, 0)
    return Score(cells, means, pit, np.nan, np.nan, np.nan, np.nan, "", totals)


def baseline(cohort: Cohort, *training: NDArray[np.bool_]) -> Score:
    """Score of GBLUP trait by trait, of the training sets `(K, N)` of each repeat."""
    none = np.full(cohort.phenotype.shape, np.nan)

    def fitted(rows: NDArray[np.bool_]) -> HeldOut:
        density, mean = ridge_predictions(cohort, rows)
        return HeldOut(~rows, density[~rows], mean[~rows], none[~rows], np.nan, True)

    return tabled(cohort, ([fitted(rows) for rows in repeat] for repeat in training))
