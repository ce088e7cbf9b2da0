import numpy as np
import pytest
import torch

from genomic_code.spec import Cohort, simulate
from genomic_code.spec.standardize import Scaler


def test_training_rows_have_zero_mean_and_unit_variance():
    cohort = simulate("factor", individuals=60, loci=8, traits=3, missing=0.2, error=0.1, seed=1)
    rows = np.arange(60) % 3 > 0
    data = Scaler.fit(cohort, rows).data(cohort, rows)
    for table in (data.genotype[rows], data.environment[rows]):
        torch.testing.assert_close(table.mean(0), torch.zeros(table.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(table.var(0, correction=0), torch.ones(table.shape[1]))
    assert not data.observed[~rows].any()
    for trait in range(3):
        seen = data.phenotype[data.observed[:, trait], trait]
        assert abs(seen.mean()) < 1e-5
        assert seen.var(correction=0) == pytest.approx(1, abs=1e-5)


def test_only_training_rows_matter():
    cohort = simulate("factor", individuals=60, loci=8, traits=3, seed=1)
    rows = np.arange(60) < 40
    other = cohort.dataset.copy(deep=True)
    other["phenotype"][40:] += 100
    other["genotype"][40:] += 1
    one, two = Scaler.fit(cohort, rows), Scaler.fit(Cohort.from_dataset(other), rows)
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


def test_the_way_back_and_known_error():
    cohort = simulate("factor", individuals=60, loci=8, traits=3, error=0.2, missing=0.1, seed=1)
    scaler = Scaler.fit(cohort)
    data = scaler.data(cohort)
    back = (data.phenotype * scaler.phenotype[1] + scaler.phenotype[0]).numpy()
    seen = data.observed.numpy()
    np.testing.assert_allclose(back[seen], cohort.phenotype.values[seen], rtol=1e-4, atol=1e-5)
    assert (data.phenotype[~data.observed] == 0).all()
    error = (data.error * scaler.phenotype[1]).numpy()
    np.testing.assert_allclose(error[seen], cohort.error.values[seen], rtol=1e-5)


def test_a_locus_constant_among_the_training_rows_is_zero_there():
    genotype = np.zeros((20, 2))
    genotype[:, 0] = np.arange(20) % 3
    genotype[15:, 1] = 1
    cohort = Cohort(genotype, np.random.default_rng(0).normal(size=(20, 1)))
    rows = np.arange(20) < 15
    data = Scaler.fit(cohort, rows).data(cohort, rows)
    assert data.genotype.isfinite().all()
    assert (data.genotype[:15, 1] == 0).all()


def test_no_environment():
    cohort = simulate("factor", individuals=20, loci=4, traits=2, environments=0)
    data = Scaler.fit(cohort).data(cohort)
    assert data.environment.shape == (20, 0)
    assert data.shape.environments == 0


def test_follows_the_default_dtype():
    cohort = simulate("factor", individuals=20, loci=4, traits=2)
    torch.set_default_dtype(torch.float64)
    try:
        assert Scaler.fit(cohort).data(cohort).genotype.dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_trait_without_variation_in_training_is_refused():
    phenotype = np.random.default_rng(0).normal(size=(20, 2))
    phenotype[:10, 1] = 3.0
    cohort = Cohort(np.random.default_rng(1).normal(size=(20, 3)), phenotype)
    with pytest.raises(ValueError, match="among the training rows, trait 'trait_1' does not; use"):
        Scaler.fit(cohort, np.arange(20) < 10)
