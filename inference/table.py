"""The table of a comparison: what each row holds, and when not to trust it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genomic_code.inference.calibration import coverage
from genomic_code.inference.intervals import honest_level
from genomic_code.inference.scores import (
    GOOD_K,
    MOST_BAD,
    Score,
    stacking_bootstrap,
    stacking_weights,
)
from genomic_code.inference.units import Units, codes, count, repeat_error, standard_error
from genomic_code.spec.cohort import Cohort

__all__ = ["r_squared", "table"]

FEW = 100
"""Individuals, or groups, below which the error of a difference is itself unsure."""
SMALL = 4.0
"""Nats below which a difference is no difference; Sivula et al. 2020, arXiv:2008.10296."""
ALONE = "one group held out: errors are over its individuals"
HONEST = (0.87, 0.93)
"""Coverage of 90 % intervals that needs no warning."""


def table(
    cohort: Cohort,
    scores: Mapping[str, Score],
    individuals: NDArray[np.float64],
    folds: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
) -> pd.DataFrame:
    """Columns as in `Comparison.frame`, best first; `individuals` `(M, n)` are those held out."""
    names = list(scores)
    held = folds >= 0
    units = codes(groups, held)
    elpd = individuals.sum(1)
    best = int(elpd.argmax())
    differences = individuals - individuals[best]
    totals = np.stack([scores[name].totals for name in names])
    phenotype = cohort.phenotype.values.astype(float)[held]
    covered = {
        level: [coverage(scores[name].pit[held], level, units) for name in names]
        for level in (0.5, 0.9)
    }
    frame = pd.DataFrame(
        {
            "elpd": elpd,
            "se": np.hypot(standard_error(individuals, units), repeat_error(totals)),
            "diff": differences.sum(1),
            "dse": np.hypot(
                standard_error(differences, units), repeat_error(totals - totals[best])
            ),
            "weight": stacking_weights(individuals),
            "weight_se": stacking_bootstrap(individuals, units).std(0, ddof=1),
            "r2": [r_squared(phenotype, scores[name].means[held]) for name in names],
            "cover50": [share for share, _ in covered[0.5]],
            "cover90": [share for share, _ in covered[0.9]],
            "elbo": [scores[name].elbo for name in names],
            "elbo_se": [scores[name].elbo_error for name in names],
            "loo": [scores[name].loo for name in names],
            "share_k": [scores[name].share_k for name in names],
        },
        index=pd.Index(names, name="formalization"),
    )
    number, what = count(len(individuals.T), units), "individuals" if units is None else "groups"
    alone = groups is not None and units is None
    frame["warning"] = [
        "; ".join(
            [
                *warn(scores[str(name)], row, number, what),
                *honesty(scores[str(name)].pit[held], folds[held], shares, units),
                *([ALONE] if alone else []),
            ]
        )
        for (name, row), shares in zip(frame.iterrows(), covered[0.9], strict=True)
    ]
    return frame.sort_values("elpd", ascending=False, kind="stable")


def warn(score: Score, row: "pd.Series[float]", number: int, what: str) -> list[str]:
    """When not to trust a row, in plain words."""
    words = [score.warning] if score.warning else []
    if score.share_k > MOST_BAD:
        words.append(f"quick look refused, k > {GOOD_K} in {score.share_k:.0%}")
    if row["diff"] < 0 and -row["diff"] < SMALL:
        words.append(f"less than {SMALL:.0f} nats from the best: no difference")
    elif row["diff"] < 0 and number < FEW:
        words.append(f"only {number} {what}: dse too small")
    return words


def honesty(
    pit: NDArray[np.float64],
    folds: NDArray[np.int64],
    covered: tuple[float, float],
    units: Units | None,
) -> list[str]:
    """Whether intervals are too narrow or too wide, and which level to ask for instead."""
    (low, high), (share, error) = HONEST, covered
    if not (share + 2 * error < low or share - 2 * error > high):
        return []
    asked, holds, _ = honest_level(pit, folds, units=units)
    words = f"too {'sure' if share < low else 'cautious'}: 90 % intervals hold {share:.0%}"
    return [words + (f", {asked:.1%} intervals {holds:.0%}" if np.isfinite(holds) else "")]


def r_squared(phenotype: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Mean over traits of 1 - SSE / SST on the observed cells that were predicted."""
    observed = np.where(np.isnan(predicted), np.nan, phenotype)
    residual = np.nansum((observed - predicted) ** 2, 0)
    total = np.nansum((observed - np.nanmean(observed, 0)) ** 2, 0)
    return float((1 - residual / total).mean())
