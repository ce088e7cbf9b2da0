"""The sampler against ridge regression, and what it must not see."""

import numpy as np
import pytest

from genomic_code.inference.hotspots import Hotspots, prune
from genomic_code.spec.cohort import Cohort


def cohort_and_folds(traits=3, loci=12, individuals=200, missing=0.0):
    rng = np.random.default_rng(5)
    genotype = rng.integers(0, 2, (individuals, loci)).astype(float)
    effects = rng.normal(0, 0.4, (loci, traits))
    phenotype = genotype @ effects + rng.normal(0, 1.0, (individuals, traits))
    phenotype[rng.random(phenotype.shape) < missing] = np.nan
    fold = np.arange(individuals) % 4
    return Cohort(genotype, phenotype), np.stack([fold != k for k in range(4)])


def test_one_size_of_effects_is_ridge_regression():
    cohort, training = cohort_and_folds()
    chain = Hotspots(classes=1, leading=0, sweeps=1200, variances=(0.05, 0.05))
    found = chain.predict(cohort, training, progress=False)
    for rows in training:
        x, y = cohort.genotype.values, cohort.phenotype.values
        x = (x - x[rows].mean(0)) / x[rows].std(0)
        centre, unit = y[rows].mean(0), y[rows].std(0)
        for t in range(3):
            target = (y[rows, t] - centre[t]) / unit[t]
            noise = 0.7
            for _ in range(20):  # the posterior mean of the noise, near enough for the mean
                gram = x[rows].T @ x[rows] + noise / 0.05 * np.eye(x.shape[1])
                ridge = np.linalg.solve(gram, x[rows].T @ target)
                noise = ((target - x[rows] @ ridge) ** 2).sum() / (rows.sum() - x.shape[1])
            expected = (x[~rows] @ ridge) * unit[t] + centre[t]
            ours = found["mean"].values[~rows, t]
            # 900 draws of a posterior of sd near sqrt(12 noise / 150) = 0.25: 4 standard errors
            assert np.abs(ours - expected).max() < 4 * 0.25 * unit[t] / np.sqrt(900)


def test_held_out_phenotypes_are_not_seen():
    cohort, training = cohort_and_folds(missing=0.1)
    other = cohort.phenotype.values.copy()
    other[~training[1]] = 7.0 + np.arange((~training[1]).sum())[:, None]
    changed = Cohort(cohort.genotype.values, other)
    settings = Hotspots(leading=4, sweeps=16)
    rows = ~training[1]
    means = [
        settings.predict(each, training[[1]], progress=False)["mean"].values[rows]
        for each in (cohort, changed)
    ]
    np.testing.assert_array_equal(*means)


def test_pairs_of_leading_loci_are_found():
    rng = np.random.default_rng(8)
    genotype = rng.integers(0, 2, (400, 30)).astype(float)
    sign = 2 * genotype - 1
    signal = sign[:, 3] + sign[:, 9] + 1.5 * sign[:, 3] * sign[:, 9]
    phenotype = np.stack([signal + rng.normal(0, 1, 400), signal + rng.normal(0, 1, 400)], 1)
    fold = np.arange(400) % 4
    training = np.stack([fold != k for k in range(4)])
    cohort = Cohort(genotype, phenotype)
    errors = [
        np.nanmean(
            (Hotspots(leading=leading, sweeps=60).predict(cohort, training, progress=False)["mean"]
             - phenotype) ** 2
        )
        for leading in (0, 4)
    ]  # fmt: skip
    assert errors[0] > 3.0  # the product is out of reach: variance 2.25 + 1
    assert errors[1] < 1.2


def test_intervals_cover_and_missing_cells_stay_missing():
    cohort, training = cohort_and_folds(traits=6, missing=0.1)
    found = Hotspots(sweeps=120, leading=0).predict(cohort, training, progress=False)
    quantile = found["quantile"].values
    missing = np.isnan(cohort.phenotype.values)
    assert np.isnan(quantile[missing]).all()
    inside = (quantile > 0.05) & (quantile < 0.95)
    # 1,080 cells at .90: 4 standard errors are .037
    assert abs(inside[~missing].mean() - 0.9) < 0.037
    assert np.isfinite(found["mean"]).all()


def test_same_seed_same_numbers():
    cohort, training = cohort_and_folds()
    twice = [
        Hotspots(sweeps=8).predict(cohort, training, seed=3, progress=False)["mean"].values
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*twice)


def test_prune_keeps_the_first_of_linked_loci():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 100))
    genotype = np.stack([first, first, second, 0 * second, second + 1e-3 * first], 1)
    np.testing.assert_array_equal(prune(genotype, 0.96), [0, 2])


def test_refusals():
    cohort, training = cohort_and_folds()
    with pytest.raises(ValueError, match="leading must be 0 or at least 2, got 1"):
        Hotspots(leading=1)
    with pytest.raises(ValueError, match=r"training must be booleans of shape \(folds, 200\)"):
        Hotspots().predict(cohort, training[:, :5])
    with pytest.raises(ValueError, match="at most one fold"):
        Hotspots().predict(cohort, training[[0, 0]])
    with pytest.raises(ValueError, match="at least 20 individuals"):
        Hotspots().predict(cohort, np.arange(200)[None] < 10)
