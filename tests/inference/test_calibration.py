"""Coverage and predictive checks, against closed forms and against models known to be wrong."""

import numpy as np
import pytest
import torch
import xarray as xr

from genomic_code.inference.calibration import (
    absolute_fit,
    coverage,
    coverage_by_trait,
)
from genomic_code.inference.exact import polygenic_posterior
from genomic_code.inference.fit import fit_folds
from genomic_code.inference.heldout import held_out
from genomic_code.inference.optimise import Settings
from genomic_code.inference.signatures import signatures
from genomic_code.spec import Cohort, Factor, Polygenic, simulate

QUICK = Settings(restarts=2, screening=60, steps=300, cycles=2, elbo_draws=50)
SCALE, NOISE = torch.tensor([0.8, 0.6]), torch.tensor([0.6, 0.8])


def test_coverage_and_its_error() -> None:
    rng = np.random.default_rng(0)
    pit = rng.random((4000, 1))
    share, error = coverage(pit, 0.9)
    assert abs(share - 0.9) < 4 * np.sqrt(0.09 / 4000)
    assert error == pytest.approx(np.sqrt(share * (1 - share) / 4000), rel=1e-9)
    # cells of one individual that always agree count once
    share, error = coverage(np.repeat(pit, 10, 1), 0.9)
    assert error == pytest.approx(np.sqrt(share * (1 - share) / 4000), rel=1e-9)
    pit[:1000] = np.nan
    assert coverage(pit, 0.5)[1] == pytest.approx(np.sqrt(0.25 / 3000), rel=0.01)
    assert np.isnan(coverage(np.full((3, 2), np.nan))).all()
    with pytest.raises(ValueError, match="above 0 and below 1, got 90"):
        coverage(pit, 90)


def test_coverage_by_trait() -> None:
    values = np.array([[0.5, 0.01], [0.5, 0.99], [np.nan, 0.5]])
    pit = xr.DataArray(values, {"trait": ["a", "b"]}, ("individual", "trait"))
    found = coverage_by_trait(pit)
    assert found["cover90"].sel(trait="a") == 1
    assert found["cover90"].sel(trait="b") == pytest.approx(1 / 3)
    assert found["cover90_se"].sel(trait="a") > 0, "one or two cells leave doubt"


def test_pit_is_that_of_the_closed_form() -> None:
    """The conjugate model given its hyperparameters: PIT cell by cell, and coverage."""
    cohort = simulate("polygenic", individuals=120, loci=20, traits=2, missing=0.1, seed=0)
    training = np.arange(len(cohort)) % 3 > 0
    given = {"trait_scale": SCALE, "trait_correlation": torch.eye(2), "noise_scale": NOISE}
    fit = fit_folds(Polygenic(), cohort, training[None], Settings(), 0, False, given)[0]
    draws = 4000
    pit = held_out(fit, draws).pit
    data = fit.scaler.data(cohort, training)
    exact = polygenic_posterior(data, SCALE.square().diag(), NOISE)
    spread = (exact.variance + NOISE.double().square()).sqrt()
    y = fit.standard_phenotype(cohort).double()
    theirs = torch.distributions.Normal(exact.mean, spread).cdf(y).numpy()[~training]
    observed = ~np.isnan(cohort.phenotype.values[~training])
    assert np.isnan(pit[~observed]).all()
    # ranks among independent draws err by sqrt(u (1 - u) / S) at most 1 / (2 sqrt S)
    assert np.abs(pit - theirs)[observed].max() < 5 * 0.5 / np.sqrt(draws)
    inside = np.abs(theirs - 0.5)[observed] < 0.45
    assert abs(coverage(pit)[0] - inside.mean()) < 3 / observed.sum()


def test_signatures_of_known_cohorts() -> None:
    rng = np.random.default_rng(0)
    n, loci, traits = 400, 30, 6
    x = rng.normal(size=(n, loci))
    e = rng.normal(size=(n, 1))
    measure = signatures(x, e)
    one_axis = x @ rng.normal(size=(loci, 1)) @ rng.normal(size=(1, traits)) / np.sqrt(loci)
    many = x @ rng.normal(size=(loci, traits)) / np.sqrt(loci)
    sparse = np.zeros((loci, traits))
    sparse[rng.permutation(loci)[:traits], range(traits)] = 1.0
    noise = 0.3 * rng.normal(size=(n, traits))
    tails = 0.3 * rng.standard_t(3, (n, traits))
    shared = rng.normal(size=(n, 1)) * np.ones(traits)
    cases = np.stack(
        [one_axis + noise, many + noise, x @ sparse + noise, many + tails, many + noise + shared,
         one_axis + 0.5 * one_axis**2 + noise, one_axis * (1 + e) + noise]
    )  # fmt: skip
    found = measure(cases)
    assert all(values.shape == (7,) for values in found.values())
    assert found["dimensionality"][0] < 1.5 < 3 < found["dimensionality"][1]
    assert found["polygenicity"][2] < 4 < 10 < found["polygenicity"][1]
    assert found["pleiotropy"][2] < 2 < found["pleiotropy"][0]
    assert found["tails"][3] > 1 > found["tails"][1]
    assert found["residual_correlation"][4] > 5 * found["residual_correlation"][1]
    assert found["epistasis"][5] > 5 * found["epistasis"][0]
    assert found["interaction"][6] > 5 * found["interaction"][0]
    # units, signs and order of traits and loci change nothing
    turned = signatures(-x[:, ::-1], e)(cases[:, :, ::-1] * -1)
    for name, values in found.items():
        np.testing.assert_allclose(turned[name], values, rtol=1e-6, atol=1e-9)


def fitted(phenotype: np.ndarray, cohort: Cohort):  # type: ignore[no-untyped-def]
    changed = Cohort(cohort.genotype.values, phenotype, environment=cohort.environment)
    everyone = np.ones((1, len(cohort)), bool)
    return fit_folds(Factor(), changed, everyone, QUICK, 0, False)[0]


def test_absolute_fit() -> None:
    cohort = simulate("factor", individuals=250, loci=20, traits=5, seed=4)
    right = fitted(cohort.phenotype.values, cohort)
    found = absolute_fit(right)
    assert found.fits, str(found)
    rng = np.random.default_rng(0)
    genetic = cohort.dataset["truth"].values
    tails = rng.standard_t(2.5, genetic.shape) * 0.5
    found = absolute_fit(fitted(genetic + tails, cohort))
    assert not found.fits
    assert "heavy tails" in " ".join(found.reasons)
    confounder = rng.normal(size=(len(cohort), 1)) * 0.6
    found = absolute_fit(fitted(cohort.phenotype.values + confounder, cohort))
    assert "correlation of traits that the genotype leaves" in str(found)
    narrow = np.where(rng.random((250, 5)) < 0.3, 0.01, 0.5)
    found = absolute_fit(right, narrow)
    assert "90 % intervals that hold" in str(found)
    with pytest.raises(ValueError, match="at least 20, got 5"):
        absolute_fit(right, replicates=5)
