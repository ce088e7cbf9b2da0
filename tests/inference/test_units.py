"""Standard errors where individuals come in groups."""

import numpy as np
import pytest

from genomic_code.inference.calibration import coverage
from genomic_code.inference.compare import named
from genomic_code.inference.scores import stacking_bootstrap
from genomic_code.inference.units import codes, reach, standard_error
from genomic_code.inference.verdict import Paired, judge


def test_individuals_as_units() -> None:
    values = np.random.default_rng(0).normal(size=(3, 50))
    expected = values.std(1, ddof=1) * np.sqrt(50)
    assert standard_error(values) == pytest.approx(expected)
    assert standard_error(values, np.arange(50)) == pytest.approx(expected)
    values[0, :10] = np.nan
    seen = values[0, 10:]
    assert standard_error(values)[0] == pytest.approx(seen.std(ddof=1) * np.sqrt(40))


def test_groups_of_equal_size_are_units_of_their_sums() -> None:
    values = np.random.default_rng(0).normal(size=60)
    units = np.tile(np.arange(12), 5)
    sums = values.reshape(5, 12).sum(0)
    assert standard_error(values, units) == pytest.approx(sums.std(ddof=1) * np.sqrt(12))


def test_one_unit_tells_no_error() -> None:
    assert np.isnan(standard_error(np.arange(5.0), np.zeros(5, int)))
    labels, held = np.array(["a", "a", "b", "b"]), np.array([True, True, False, False])
    assert codes(labels, held) is None
    assert codes(None, held) is None
    found = codes(labels, np.array([False, True, True, True]))
    assert found is not None
    assert found.tolist() == [0, 1, 1]


def test_repeating_every_individual_adds_no_evidence() -> None:
    once = np.random.default_rng(0).normal(0.3, 1, 40)
    again, units = np.repeat(once, 7), np.repeat(np.arange(40), 7)
    assert standard_error(again, units) == pytest.approx(7 * standard_error(once))
    inside = np.where(np.random.default_rng(1).random((40, 3)) < 0.8, 0.5, 0.99)
    share, error = coverage(np.repeat(inside, 7, 0), 0.9, units)
    assert (share, error) == pytest.approx(coverage(inside, 0.9))
    scores = np.stack([once, np.zeros(40)])
    expected = stacking_bootstrap(scores)
    drawn = stacking_bootstrap(np.repeat(scores, 7, 1), units)
    assert drawn == pytest.approx(expected)


def test_false_alarms_are_as_rare_as_declared() -> None:
    rng = np.random.default_rng(2)
    for groups in (6, 40):
        declared, alarms, naive = 0.0228, 0, 0
        for _ in range(2000):
            sizes = rng.integers(3, 12, groups)
            units = np.repeat(np.arange(groups), sizes)
            gaps = 0.7 * rng.normal(size=groups)[units] + rng.normal(size=len(units))
            paired = Paired({"a": gaps, "b": np.zeros_like(gaps)}, units)
            alarms += paired.clearly_ahead("a", "b")
            naive += Paired(paired.individuals).clearly_ahead("a", "b")
        # unequal sizes and the 2,000 draws leave some slack around the declared rate
        assert abs(alarms / 2000 - declared) < 0.012
        assert naive / 2000 > 3 * declared


def test_reach() -> None:
    assert reach(10**6) == pytest.approx(2, abs=1e-4)
    assert [round(reach(count), 1) for count in (5, 10, 100)] == [2.9, 2.3, 2.0]


def test_verdict_of_groups() -> None:
    rng = np.random.default_rng(3)
    gaps = np.repeat(rng.normal(0.3, 1.0, 20), 30)
    scores = {"null": np.zeros(600) - 9, "factor": np.zeros(600), "generative": gaps}
    models = named(["factor", "generative"])
    assert judge(models, scores).decisive
    verdict = judge(models, scores, units=np.repeat(np.arange(20), 30))
    assert not verdict.decisive
    assert verdict.winner == "factor"
    assert "within 2.1 standard errors" in verdict.sentence
