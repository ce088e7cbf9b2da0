"""Traits on another scale: what is kept, what is refused, and what a curve does to a verdict."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genomic_code.spec import Cohort, simulate
from genomic_code.spec.transform import amounts, normal_scores, spiked

RNG = np.random.default_rng(0)
X = RNG.integers(0, 3, (40, 3)).astype(float)
Y = np.exp(RNG.normal(size=(40, 3)))
SINGLE = 1e-6
"""Cohorts hold single precision."""
NAMED = pd.DataFrame(Y, columns=["height", "yield", "oil"])


def with_gaps() -> np.ndarray:
    y = Y.copy()
    y[3, 1] = y[7, 2] = np.nan
    return y


def test_logarithms_and_missing_cells() -> None:
    y = with_gaps()
    cohort = Cohort(X, y, groups=np.arange(40) // 4, name="crop")
    other = cohort.transform("log")
    np.testing.assert_allclose(other.phenotype.values, np.log(y), rtol=SINGLE, atol=SINGLE)
    np.testing.assert_allclose(cohort.phenotype.values, y, SINGLE)
    np.testing.assert_array_equal(other.groups, cohort.groups)
    assert (other.name, other.dataset.attrs["transform"]) == ("crop", "log")
    assert other.fingerprint != cohort.fingerprint
    assert "transform" in other._repr_html_()


def test_some_traits_one_after_another() -> None:
    cohort = Cohort(X, NAMED).transform("log", ["oil"]).transform("normal_scores", ["height"])
    np.testing.assert_allclose(cohort.phenotype.sel(trait="oil"), np.log(Y[:, 2]), SINGLE, SINGLE)
    np.testing.assert_allclose(cohort.phenotype.sel(trait="yield"), Y[:, 1], SINGLE)
    assert cohort.dataset.attrs["transform"] == "log of oil; normal_scores of height"


def test_normal_scores_keep_the_order_and_share_ties() -> None:
    y = with_gaps()
    y[:10, 0] = 0.01
    scores = Cohort(X, y).transform("normal_scores").phenotype.values
    assert (np.isnan(scores) == np.isnan(y)).all()
    for own, before in zip(scores.T, y.T, strict=True):
        seen = ~np.isnan(before)
        assert stats.spearmanr(own[seen], before[seen]).statistic == pytest.approx(1)
    assert len(np.unique(scores[:10, 0])) == 1
    clean = scores[~np.isnan(scores[:, 1]), 1]
    assert abs(clean.mean()) < SINGLE
    assert stats.shapiro(clean).pvalue > 0.99
    # Blom's quantiles of 39 ranks
    np.testing.assert_allclose(clean.max(), stats.norm.ppf((39 - 0.375) / 39.25), SINGLE)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30, unique=True))
@settings(max_examples=50, deadline=None)
def test_normal_scores_do_not_know_the_scale(values: list[float]) -> None:
    table = np.array(values)[:, None]
    np.testing.assert_array_equal(normal_scores(table), normal_scores(table.argsort(0).argsort(0)))


def test_known_errors_become_relative() -> None:
    y, error = with_gaps(), np.full((40, 3), 0.02)
    error[np.isnan(y)] = np.nan
    other = Cohort(X, y, error=error).transform("log")
    seen = ~np.isnan(y)
    np.testing.assert_allclose(other.error.values[seen], 0.02 / y[seen], SINGLE)  # type: ignore[union-attr]


def test_the_truth_of_a_simulation_is_on_the_old_scale_and_goes() -> None:
    cohort = simulate("factor", individuals=30, loci=4, traits=3, seed=0)
    assert "truth" in cohort.dataset
    other = cohort.transform("normal_scores")
    assert not {"truth", "truth_scale"} & set(other.dataset)
    assert other.dataset.attrs["formalization"] == "factor"


def test_what_looks_like_an_amount() -> None:
    wide = np.column_stack([np.exp(1.5 * np.log(Y[:, 0])), 20 + np.log(Y[:, 1]), np.log(Y[:, 2])])
    wide[5, 0] = np.nan
    cohort = Cohort(X, pd.DataFrame(wide, columns=["peak", "height", "score"]))
    assert amounts(cohort) == ["peak"]
    assert amounts(cohort.transform("log", ["peak"])) == []
    # logarithms of large numbers can be positive and span a factor of ten themselves
    assert amounts(Cohort(X, np.exp(wide)).transform("log")) == []


def below_detection() -> Cohort:
    """Two amounts in parts below the limit of detection, one always above it, and a class."""
    y = pd.DataFrame(np.column_stack([Y, Y[:, 0] > 1]), columns=["peak", "trace", "whole", "class"])
    y.loc[:9, "peak"], y.loc[20:, "trace"] = 0.01, 0.0
    y.loc[[10, 30], "peak"] = np.nan
    return Cohort(X, y, error=np.full(y.shape, 0.02), name="extract")


def test_a_spike_at_the_smallest_value_has_two_parts() -> None:
    cohort = below_detection()
    y = cohort.phenotype.values
    assert spiked(cohort) == ["peak", "trace"]
    there = cohort.transform("detected")
    assert there.labels("trait") == ["peak", "trace"]
    assert there.error is None
    assert (np.isnan(there.phenotype.values) == np.isnan(y[:, :2])).all()
    assert there.phenotype.sum("individual").values.tolist() == [28, 20]
    much = cohort.transform("quantified")
    kept = there.phenotype.values == 1
    np.testing.assert_array_equal(much.phenotype.values[:, :2], np.where(kept, y[:, :2], np.nan))
    np.testing.assert_array_equal(much.phenotype.values[:, 2:], y[:, 2:])
    assert spiked(much) == []
    one = much.transform("log", ["trace"])
    assert one.dataset.attrs["transform"] == "quantified; log of trace"
    np.testing.assert_allclose(one.phenotype.values[:20, 1], np.log(Y[:20, 1]), SINGLE, SINGLE)
    both = cohort.transform("quantified,log", ["trace"]).phenotype.values
    np.testing.assert_array_equal(both[:, 1], one.phenotype.values[:, 1])
    named = cohort.transform("detected", ["whole"])
    assert float(named.phenotype.sum()) == 39


@pytest.mark.parametrize(("below", "found"), [(4, []), (5, ["trait_0"])])
def test_a_few_equal_values_are_no_spike(below: int, found: list[str]) -> None:
    y = Y.copy()
    y[:below, 0] = 0.01
    assert spiked(Cohort(X, y)) == found
    # whole numbers of which each comes often are classes
    assert spiked(Cohort(X, np.arange(120).reshape(40, 3) % 9)) == []


def test_files_keep_the_scale(tmp_path) -> None:
    Cohort(X, NAMED).transform("log", ["oil"]).to_netcdf(tmp_path / "c.nc")
    assert Cohort.read(tmp_path / "c.nc").dataset.attrs["transform"] == "log of oil"


def test_mistakes() -> None:
    cohort = Cohort(X, NAMED)
    with pytest.raises(ValueError, match=r"must be one of log, .* got 'lgo'; did you mean 'log'"):
        cohort.transform("lgo")
    with pytest.raises(ValueError, match="did you mean 'yield'"):
        cohort.transform("log", ["yeild"])
    with pytest.raises(ValueError, match="must be a list of names"):
        cohort.transform("log", "oil")
    with pytest.raises(ValueError, match=r"got -0\.5 in trait 'oil' \(row 2; 1 such cells\)"):
        Cohort(X, NAMED.assign(oil=np.where(np.arange(40) == 2, -0.5, Y[:, 2]))).transform("log")
    with pytest.raises(ValueError, match="without known measurement error"):
        Cohort(X, Y, error=np.full((40, 3), 0.1)).transform("normal_scores")
    with pytest.raises(ValueError, match=r"pile up at their smallest value.* got none"):
        cohort.transform("quantified")
    with pytest.raises(ValueError, match="unit='trait', got 'common'"):
        Cohort(X, Y, unit="common").transform("log")
