"""Predictive intervals, and the level to ask for where they are too narrow."""

import numpy as np
import pytest
from scipy.stats import norm

from genomic_code.inference import Settings, compare, fit
from genomic_code.inference.intervals import honest_level
from genomic_code.spec import Cohort, simulate

QUICK = Settings(restarts=2, screening=60, steps=300, elbo_draws=50)


def test_intervals_of_normal_noise(cohort: Cohort) -> None:
    fitted = fit("factor", cohort, settings=QUICK, progress=False)
    table = fitted.predict()
    found = fitted.intervals(level=0.9)
    half = norm.ppf(0.95) * table["predictive_sd"]
    slack = float(table["predictive_sd"].mean())
    np.testing.assert_allclose(found["upper"], table["mean"] + half, atol=0.2 * slack)
    np.testing.assert_allclose(found["lower"], table["mean"] - half, atol=0.2 * slack)
    assert abs(float((found["upper"] - table["mean"] - half).mean())) < 0.03 * slack
    new = cohort.select(np.arange(20))
    np.testing.assert_allclose(
        fitted.intervals(new)["upper"], found["upper"][:20], atol=0.3 * slack
    )
    assert (fitted.intervals(level=0.5)["upper"] < found["upper"]).all()
    for wrong in ({"level": 90.0}, {"draws": 1}):
        with pytest.raises(ValueError, match=r"must be (above 0|at least 2)"):
            fitted.intervals(**wrong)  # type: ignore[arg-type]


def test_honest_level_undoes_what_is_too_narrow() -> None:
    rng = np.random.default_rng(0)
    folds = np.arange(600) % 5
    for narrow in (0.7, 1.0, 1.4):
        pit = norm.cdf(rng.normal(size=(600, 3)) / narrow)
        pit[rng.random(pit.shape) < 0.1] = np.nan
        asked, holds, error = honest_level(pit, folds)
        assert asked == pytest.approx(2 * norm.cdf(1.645 / narrow) - 1, abs=0.015)
        assert abs(holds - 0.9) < 3 * error


def test_without_other_folds_or_probabilities() -> None:
    pit = np.random.default_rng(0).random((50, 2))
    asked, holds, _ = honest_level(pit, np.zeros(50, int))
    assert 0.8 < asked < 1
    assert np.isnan(holds)
    assert np.isnan(honest_level(np.full((4, 2), np.nan), np.arange(4))).all()
    with pytest.raises(ValueError, match="level must be above 0 and below 1, got 90"):
        honest_level(pit, np.arange(50) % 5, 90)


def test_new_individuals_are_held_as_promised() -> None:
    made = simulate("factor", individuals=700, loci=20, traits=4, seed=5)
    genotype, phenotype = made.genotype.values, made.phenotype.values
    claimed = np.broadcast_to(phenotype.std(0), phenotype.shape)  # far more than the truth
    both = Cohort(genotype, phenotype, error=claimed)
    old, new = both.select(np.arange(300)), both.select(np.arange(300, 700))
    result = compare(["factor"], old, settings=QUICK, progress=False)
    assert result.frame.loc["factor", "cover90"] > 0.95
    assert "too cautious: 90 % intervals hold" in result.frame.loc["factor", "warning"]
    asked, holds, _ = result.honest_level("factor")
    assert asked < 0.85
    assert holds == pytest.approx(0.9, abs=0.02)
    found = result.fits["factor"].intervals(new, asked)
    values = new.phenotype
    inside = (found["lower"] <= values) & (values <= found["upper"])
    assert float(inside.mean()) == pytest.approx(0.9, abs=0.03)
    with pytest.raises(ValueError, match="name must be one of null, factor, got 'ridge'"):
        result.honest_level("ridge")
