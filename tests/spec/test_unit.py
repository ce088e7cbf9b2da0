"""What fits take as one unit of the phenotype: each trait's spread, or one for all traits."""

import numpy as np
import pytest
import torch

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.noise import Bernoulli
from genomic_code.spec.standardize import Scaler

RNG = np.random.default_rng(0)
X, E = RNG.integers(0, 2, (30, 3)), RNG.normal(3, 2, (30, 1))
Y = RNG.normal(size=(30, 4)) * [1, 2, 3, 4] + [0, 5, 10, 20]


def test_a_common_unit_keeps_zero_ratios_and_inputs():
    cohort = Cohort(X, Y, E, unit="common")
    scaler = Scaler.fit(cohort)
    data = scaler.data(cohort)
    pooled = np.sqrt(((Y - Y.mean(0)) ** 2).mean())
    np.testing.assert_allclose(data.phenotype, Y / pooled, rtol=1e-5)
    np.testing.assert_allclose(data.genotype, X)
    np.testing.assert_allclose(data.environment, E, rtol=1e-6)


def test_missing_cells_and_heldout_rows_do_not_enter_the_common_unit():
    y = Y.copy()
    y[:4, 1] = np.nan
    rows = np.arange(30) < 20
    scaler = Scaler.fit(Cohort(X, y, unit="common"), rows)
    centred = y[:20] - np.nanmean(y[:20], 0)
    wanted = np.sqrt(np.nanmean(centred**2))
    np.testing.assert_allclose(scaler.phenotype[1], np.full(4, wanted), rtol=1e-5)


def test_errors_are_in_the_common_unit():
    cohort = Cohort(X, Y, error=np.full((30, 4), 0.5), unit="common")
    scaler = Scaler.fit(cohort)
    assert torch.allclose(scaler.data(cohort).error, 0.5 / scaler.phenotype[1])


def test_the_unit_survives_selection_and_is_by_default_each_trait():
    assert Cohort(X, Y).unit == "trait"
    assert Cohort(X, Y, unit="common").select(np.arange(20)).unit == "common"
    with pytest.raises(
        ValueError, match=r"unit must be one of trait, common, got 'comon'.*'common'"
    ):
        Cohort(X, Y, unit="comon")


def test_categories_stay_as_they_are():
    binary = (Y > Y.mean(0)).astype(float)
    cohort = Cohort(X, binary, unit="common")
    scaler = Scaler.fit(cohort, noise=Bernoulli())
    np.testing.assert_allclose(scaler.data(cohort).phenotype, binary)


def test_coordinates_stay_coordinates():
    cohort = Cohort(X, Y)
    cohort.dataset = cohort.dataset.assign_coords(position=("trait", np.arange(4.0)))
    cohort.dataset["depth"] = ("individual", np.arange(30))
    kept = cohort.select(np.arange(20))
    assert "position" in kept.dataset.coords
    assert "depth" in kept.dataset.data_vars
