"""Folds that are drawn more than once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genomic_code.inference import Comparison, Settings, compare
from genomic_code.inference.folds import repeated
from genomic_code.inference.report import write_report
from genomic_code.inference.units import standard_error
from genomic_code.inference.verdict import Paired
from genomic_code.spec import Cohort

QUICK = Settings(restarts=3, screening=60, steps=200, elbo_draws=50)


@pytest.fixture(scope="module")
def twice(cohort: Cohort) -> Comparison:
    return compare(["factor"], cohort, folds=2, repeats=2, settings=QUICK, progress=False)


def test_repeats_are_comparisons_of_their_own(twice: Comparison, cohort: Cohort) -> None:
    seeds = list(repeated(cohort, 2, 0, None, 2))
    assert seeds[0] == 0
    first, other = (
        compare(["factor"], cohort, folds=2, seed=seed, settings=QUICK, progress=False)
        for seed in seeds
    )
    assert twice.totals is not None
    for name in ("factor", "null", "ridge"):
        totals = twice.totals.sel(formalization=name).values
        assert twice.frame.loc[name, "elpd"] == pytest.approx(totals.mean())
        assert totals[0] == pytest.approx(first.frame.loc[name, "elpd"])
    # fits of other folds share a batch, thus their draws, with the fit to everyone, or do not
    assert totals[1] == pytest.approx(other.frame.loc["ridge", "elpd"])
    assert twice.folds.tolist() == first.folds.tolist()
    assert twice.frame["cover90"].equals(first.frame["cover90"][twice.frame.index])


def test_errors_hold_how_far_repeats_differ(twice: Comparison) -> None:
    best, other = twice.frame.index[:2]
    gap = twice.elpd_data(best).elpd_i.values - twice.elpd_data(other).elpd_i.values
    assert twice.totals is not None
    apart = twice.totals.sel(formalization=best) - twice.totals.sel(formalization=other)
    expected = np.hypot(standard_error(gap), apart.std(ddof=1) / np.sqrt(2))
    assert twice.frame.loc[other, "dse"] == pytest.approx(float(expected))
    assert twice.ahead(best, other) == pytest.approx((gap.sum(), float(expected)))
    assert twice.elpd_data(other).se == twice.frame.loc[other, "se"]


def test_repeats_are_kept_on_disk(twice: Comparison, tmp_path: Path) -> None:
    twice.save(tmp_path)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "averaged over 2 draws of them" in page
    again = Comparison.load(tmp_path)
    best, other = twice.frame.index[:2]
    assert again.ahead(best, other) == pytest.approx(twice.ahead(best, other))


def test_folds_that_come_again_are_fitted_once(cohort: Cohort) -> None:
    groups = np.arange(len(cohort)) % 3
    result = compare(
        ["factor"], cohort, folds=3, groups=groups, repeats=3, settings=QUICK, progress=False
    )
    assert result.totals is not None
    assert (np.ptp(result.totals.values, 1) == 0).all()
    once = compare(["factor"], cohort, folds=3, groups=groups, settings=QUICK, progress=False)
    pd.testing.assert_frame_equal(result.frame, once.frame)


@pytest.mark.parametrize("repeats", [2, 3, 5])
def test_false_alarms_where_folds_move_everyone(repeats: int) -> None:
    """Two rivals that are alike; each draw of folds favours one by as much as individuals do."""
    rng, declared = np.random.default_rng(0), 0.0228
    alarms = np.zeros((4000, 2))
    for alarm in alarms:
        shift = rng.normal(size=repeats) * np.sqrt(50)
        individuals = rng.normal(size=50)
        scores = {"a": individuals + shift.mean() / 50, "b": np.zeros(50)}
        totals = {"a": individuals.sum() + shift, "b": np.zeros(repeats)}
        one = {"a": individuals + shift[0] / 50, "b": np.zeros(50)}
        alarm[:] = (
            Paired(scores, totals=totals).clearly_ahead("a", "b"),
            Paired(one).clearly_ahead("a", "b"),
        )
    rate, naive = alarms.mean(0)
    # Satterthwaite is near, not exact: found 3.1 %, 2.7 % and 2.5 % for 2, 3 and 5 repeats
    assert rate < 1.5 * declared
    assert naive > 3 * declared


@pytest.mark.parametrize(
    ("folds", "repeats", "message"),
    [
        (2, 0, "repeats must be an integer of at least 1, got 0"),
        (2, True, "repeats must be an integer of at least 1, got True"),
        ("individual", 2, "repeats must be 1 where folds are not drawn at random, got 2"),
    ],
)
def test_bad_repeats(cohort: Cohort, folds: int | str, repeats: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(["factor"], cohort, folds=folds, repeats=repeats, progress=False)
