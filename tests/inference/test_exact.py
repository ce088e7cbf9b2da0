"""Closed forms, and the fitted polygenic formalization against its own."""

import tracemalloc

import numpy as np
import pytest
import torch

from genomic_code.inference import fit
from genomic_code.inference.exact import gblup, polygenic_posterior, ridge_predictions
from genomic_code.inference.fit import fit_folds
from genomic_code.inference.heldout import held_out
from genomic_code.inference.optimise import Settings
from genomic_code.spec import Cohort, Polygenic, simulate
from genomic_code.spec.standardize import Scaler

CORRELATION = torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 1.0]])
SCALE = torch.tensor([0.7, 0.9, 0.5])
NOISE = torch.tensor([0.6, 0.5, 0.8])


def known() -> dict[str, torch.Tensor]:
    factor = torch.linalg.cholesky(CORRELATION)
    return {"trait_scale": SCALE, "trait_correlation": factor, "noise_scale": NOISE}


def test_fitted_polygenic_is_its_closed_form() -> None:
    """Given the hyperparameters: elpd within 1 nat a fold, means within 1e-3 trait s.d."""
    cohort = simulate("polygenic", individuals=150, loci=40, traits=3, missing=0.1, seed=0)
    fold = np.arange(len(cohort)) % 3
    training = np.stack([fold != k for k in range(3)])
    genetic = CORRELATION * SCALE[:, None] * SCALE
    fits = fit_folds(Polygenic(), cohort, training, Settings(), 0, False, known())
    for fitted in fits:
        data = fitted.scaler.data(cohort, fitted.training)
        exact = polygenic_posterior(data, genetic, NOISE)
        centre, scale = (moment.double() for moment in fitted.scaler.phenotype)
        mean = (torch.tensor(fitted.predict(draws=2000)["mean"].values) - centre) / scale
        assert (mean - exact.mean).abs().max() < 1e-3
        variance = exact.variance + NOISE.double() ** 2
        held = torch.tensor(~fitted.training)[:, None] & ~torch.tensor(
            np.isnan(cohort.phenotype.values)
        )
        y = fitted.standard_phenotype(cohort).double()
        density = torch.distributions.Normal(exact.mean, variance.sqrt()).log_prob(y)
        unit = torch.tensor(np.nanstd(cohort.phenotype.values.astype(float), 0))
        expected = (density + unit.log() - scale.log())[held].sum()
        ours = np.nansum(held_out(fitted, draws=2000).density)
        assert abs(ours - float(expected)) < 1.0


def test_many_traits_reach_the_evidence_in_two_cycles() -> None:
    """Trait blocks have T^2 / 2 numbers a locus, which must not make the optimiser overshoot."""
    traits = 20
    cohort = simulate("polygenic", individuals=150, loci=60, traits=traits, environments=0, seed=0)
    given = {
        "trait_scale": torch.full((traits,), 0.75),
        "trait_correlation": torch.eye(traits),
        "noise_scale": torch.full((traits,), 0.65),
    }
    found = fit("polygenic", cohort, given=given, cycles=2, progress=False, tolerance=1e-3)
    data = Scaler.fit(cohort).data(cohort)
    assert data.phenotype is not None
    x, y = data.genotype.double(), data.phenotype.double()
    covariance = 0.75**2 * x @ x.mT / x.shape[1] + 1 + 0.65**2 * torch.eye(len(x)).double()
    normal = torch.distributions.MultivariateNormal(torch.zeros(len(x)).double(), covariance)
    assert found.elbo == pytest.approx(float(normal.log_prob(y.mT).sum()), abs=0.05)


def test_posterior_is_that_of_weights() -> None:
    """Cells given hyperparameters, against the posterior of the effects themselves."""
    cohort = simulate("polygenic", individuals=30, loci=5, traits=2, environments=1, seed=1)
    data = Scaler.fit(cohort).data(cohort)
    genetic = torch.tensor([[0.5, 0.2], [0.2, 0.4]]).double()
    noise = torch.tensor([0.6, 0.7]).double()
    ours = polygenic_posterior(data, genetic, noise)
    x, e, y = (each.double() for each in (data.genotype, data.environment, data.phenotype))
    design = torch.cat([torch.ones(30, 1).double(), e, x], 1)
    blocks = [torch.eye(2).double(), 0.25 * torch.eye(2).double(), *[genetic / 5] * 5]
    prior = torch.block_diag(*blocks)
    wide = torch.kron(design, torch.eye(2).double())
    weight = torch.diag(noise.repeat(30) ** -2)
    covariance = torch.linalg.inv(torch.linalg.inv(prior) + wide.mT @ weight @ wide)
    mean = wide @ covariance @ wide.mT @ weight @ y.reshape(-1)
    torch.testing.assert_close(ours.mean.reshape(-1), mean)
    variance = (wide @ covariance * wide).sum(1)
    torch.testing.assert_close(ours.variance.reshape(-1), variance)


@pytest.mark.parametrize("loci", [12, 60, 90])
def test_gblup_is_the_dense_solution(loci: int) -> None:
    """Both sides of kinship, at the share of variance that it chose; and no other is likelier."""
    generator = np.random.default_rng(loci)
    x, training = generator.normal(size=(60, loci)), np.arange(60) % 4 != 0
    fixed = np.column_stack([np.ones(60), generator.normal(size=60)])
    y = fixed @ [1.0, 0.5] + x @ generator.normal(size=loci) / np.sqrt(loci)
    y += generator.normal(size=60)
    (fitted,) = gblup(x, fixed, np.where(training, y, np.nan)[:, None], training)
    kinship, f, seen = x @ x.T / loci, fixed[training], y[training]

    def solved(share: float) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Inverse covariance with the covariates in, effects, variance, REML deviance."""
        covariance = share * kinship[np.ix_(training, training)] + (1 - share) * np.eye(45)
        inverse = np.linalg.inv(covariance)
        effects = np.linalg.solve(f.T @ inverse @ f, f.T @ inverse @ seen)
        total = float((seen - f @ effects) @ inverse @ (seen - f @ effects)) / 43
        determinants = [np.linalg.slogdet(each)[1] for each in (covariance, f.T @ inverse @ f)]
        return inverse, effects, total, 43 * np.log(total) + sum(determinants)

    share = fitted.heritability
    inverse, effects, total, deviance = solved(share)
    cross = share * kinship[:, training]
    np.testing.assert_allclose(
        fitted.mean, fixed @ effects + cross @ inverse @ (seen - f @ effects)
    )
    slack = fixed - cross @ inverse @ f
    variance = share * kinship.diagonal() - (cross @ inverse * cross).sum(1) + 1 - share
    variance += (slack @ np.linalg.inv(f.T @ inverse @ f) * slack).sum(1)
    np.testing.assert_allclose(fitted.variance, total * variance)
    assert all(solved(other)[-1] > deviance - 1e-6 for other in np.linspace(0.01, 0.99, 50))


def test_gblup_of_many_individuals_stays_small() -> None:
    """A matrix of individuals by individuals would take 3.2 GB here."""
    generator = np.random.default_rng(0)
    x, fixed = generator.normal(size=(20_000, 20)), np.ones((20_000, 1))
    genetic = 0.3 * x @ generator.normal(size=20)
    y = (genetic + generator.normal(size=20_000))[:, None]
    training = np.arange(20_000) % 5 != 0
    tracemalloc.start()
    (fitted,) = gblup(x, fixed, y, training)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert (fitted.mean - genetic)[~training].std() < 0.1


def test_traits_measured_in_different_individuals_are_each_their_own() -> None:
    cohort = simulate("polygenic", individuals=80, loci=20, traits=4, environments=1, seed=4)
    values = cohort.phenotype.values.copy()
    values[:10, [0, 2]] = np.nan
    values[20:25, 3] = np.nan
    cohort = Cohort(cohort.genotype, values, environment=cohort.environment)
    training = np.arange(80) % 4 != 0
    mean = ridge_predictions(cohort, training)[1]
    for trait in range(4):
        alone = Cohort(cohort.genotype, values[:, [trait]], environment=cohort.environment)
        np.testing.assert_allclose(ridge_predictions(alone, training)[1][:, 0], mean[:, trait])


def test_gblup_finds_the_heritability() -> None:
    generator = np.random.default_rng(0)
    shares = []
    for _ in range(12):
        x = generator.normal(size=(400, 60))
        g = x @ generator.normal(size=60) / np.sqrt(60)
        y = np.sqrt(0.5) * g + np.sqrt(0.5) * generator.normal(size=400)
        (fitted,) = gblup(x, np.ones((400, 1)), y[:, None], np.ones(400, bool))
        shares.append(fitted.heritability)
    error = np.std(shares, ddof=1) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - 0.5) < 4 * error


def test_gblup_intervals_cover() -> None:
    """90 % intervals of held-out cells; binomial 4-sigma band."""
    generator = np.random.default_rng(1)
    x = generator.normal(size=(400, 50))
    training = np.arange(400) % 4 != 0
    g = x @ generator.normal(size=(50, 10)) / np.sqrt(50)
    y = np.sqrt(0.6) * g + np.sqrt(0.4) * generator.normal(size=(400, 10))
    inside = [
        np.abs(column - fitted.mean)[~training] < 1.645 * np.sqrt(fitted.variance[~training])
        for column, fitted in zip(y.T, gblup(x, np.ones((400, 1)), y, training), strict=True)
    ]
    covered = np.concatenate(inside)
    assert abs(covered.mean() - 0.9) < 4 * np.sqrt(0.09 / covered.size)


def test_baseline_predicts_what_it_was_not_shown() -> None:
    cohort = simulate("polygenic", individuals=200, loci=20, traits=2, missing=0.1, seed=2)
    training = np.arange(200) % 4 != 0
    density, mean = ridge_predictions(cohort, training)
    observed = ~np.isnan(cohort.phenotype.values)
    assert np.array_equal(np.isfinite(density), observed)
    changed = cohort.phenotype.values.copy()
    changed[~training] = 100.0
    unseen = Cohort(cohort.genotype, changed, environment=cohort.environment)
    np.testing.assert_allclose(ridge_predictions(unseen, training)[1], mean)


def test_too_many_cells_are_refused() -> None:
    cohort = simulate("polygenic", individuals=30, loci=5, traits=2, seed=1)
    data = Scaler.fit(cohort).data(cohort)
    wide = data._replace(
        phenotype=torch.zeros(30, 1000), observed=torch.ones(30, 1000, dtype=torch.bool)
    )
    with pytest.raises(ValueError, match="at most 20000 observed cells, got 30000"):
        polygenic_posterior(wide, torch.eye(1000), torch.ones(1000))


def test_fit_leaves_no_trace_in_global_state() -> None:
    """Pyro's parameter store and the global generator are untouched by a fit."""
    import pyro

    cohort = simulate("null", individuals=20, loci=3, traits=2, seed=0)
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    fit("factor", cohort, restarts=2, screening=50, steps=300, progress=False)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not list(pyro.get_param_store())
