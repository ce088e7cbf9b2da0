"""PSIS-LOO and stacking against closed forms; what is refused."""

import numpy as np
import pytest
import torch

from genomic_code.inference.fit import fit_folds
from genomic_code.inference.optimise import Settings
from genomic_code.inference.scores import (
    check_equal_data,
    leave_one_out,
    loo_table,
    quick_look,
    stacking_bootstrap,
    stacking_weights,
)
from genomic_code.spec import Cohort, Null, Polygenic, simulate

QUICK = Settings(restarts=1, steps=300, cycles=2, elbo_draws=50)


def test_psis_against_the_closed_form() -> None:
    """Normal mean, known noise: leave-one-out densities are known."""
    rng = np.random.default_rng(0)
    n, draws = 60, 20_000
    y = rng.normal(size=n)
    precision = 1 + n
    theta = y.sum() / precision + rng.normal(size=draws) / np.sqrt(precision)
    log_likelihood = -0.5 * (y[:, None] - theta) ** 2 - 0.5 * np.log(2 * np.pi)
    found, k = leave_one_out(log_likelihood)
    mean, variance = (y.sum() - y) / (precision - 1), 1 + 1 / (precision - 1)
    exact = -0.5 * (y - mean) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    assert k.max() < 0.5
    # importance weights with relative variance v err by sqrt(v / S); v is below 1 here
    assert np.abs(found - exact).max() < 4 / np.sqrt(draws)


def test_quick_look_against_the_closed_form() -> None:
    """Two traits of 200 individuals, three loci: leave-one-out by linear algebra."""
    cohort = simulate("polygenic", individuals=200, loci=3, traits=2, environments=0, seed=0)
    scale, noise = torch.tensor([0.8, 0.6]), torch.tensor([0.6, 0.8])
    given = {"trait_scale": scale, "trait_correlation": torch.eye(2), "noise_scale": noise}
    everyone = np.ones((1, 200), bool)
    fit = fit_folds(Polygenic(), cohort, everyone, Settings(), 0, False, given)[0]
    look = quick_look(fit, draws=4000)
    data = fit.scaler.data(cohort)
    x = torch.cat([torch.ones(200, 1), data.genotype], 1).double()
    y = fit.standard_phenotype(cohort).double()
    exact = torch.zeros(200, dtype=torch.float64)
    for t in range(2):
        prior = torch.tensor([1.0, *[float(scale[t]) ** 2 / 3] * 3]).double()
        s2 = float(noise[t]) ** 2
        covariance = (x * prior) @ x.mT + s2 * torch.eye(200)
        inverse = torch.linalg.inv(covariance)
        variance = 1 / inverse.diagonal()
        mean = y[:, t] - (inverse @ y[:, t]) * variance
        exact += torch.distributions.Normal(mean, variance.sqrt()).log_prob(y[:, t])
    assert look.share_k == 0
    assert not look.refused
    assert look.elpd == pytest.approx(float(exact.sum()), abs=1.0)
    assert np.abs(look.individuals - exact.numpy()).max() < 0.1


def test_refusals() -> None:
    cohort = simulate("polygenic", individuals=60, loci=10, traits=2, seed=1)
    others = simulate("polygenic", individuals=60, loci=10, traits=2, seed=2)
    everyone = np.ones((1, 60), bool)
    a, b = (fit_folds(Null(), each, everyone, QUICK, 0, False)[0] for each in (cohort, others))
    with pytest.raises(ValueError, match="'b' was fitted to another phenotype"):
        check_equal_data({"a": a, "b": b})
    part = fit_folds(Null(), cohort, np.arange(60)[None] > 9, QUICK, 0, False)[0]
    with pytest.raises(ValueError, match="'part' was fitted to other training individuals"):
        loo_table({"a": a, "part": part})
    renamed = cohort.dataset.assign_coords(individual=[f"x{i}" for i in range(60)])
    c = fit_folds(Null(), Cohort.from_dataset(renamed), everyone, QUICK, 0, False)[0]
    with pytest.raises(ValueError, match="other individuals"):
        check_equal_data({"a": a, "c": c})


def test_quick_look_is_refused_above_a_tenth() -> None:
    cohort = simulate("polygenic", individuals=60, loci=60, traits=10, seed=1)
    everyone = np.ones((1, 60), bool)
    fits = {
        model.name: fit_folds(model, cohort, everyone, QUICK, 0, False)[0]
        for model in (Null(), Polygenic())
    }
    table = loo_table(fits)
    assert table.loc["polygenic", "share_k"] > 0.1
    assert np.isnan(table.loc["polygenic", "elpd"])
    assert "refused" in table.loc["polygenic", "warning"]
    assert np.isfinite(table.loc["null", "elpd"])


def test_stacking_bootstrap() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=300)
    twins = np.stack([base, base, base - 3])
    drawn = stacking_bootstrap(twins)
    np.testing.assert_allclose(drawn.sum(1), 1, rtol=1e-9)
    np.testing.assert_allclose(drawn[:, 0], drawn[:, 1], rtol=1e-9)
    mixed = np.stack([base + rng.normal(size=300), base + rng.normal(size=300)])
    whole, drawn = stacking_weights(mixed), stacking_bootstrap(mixed)
    assert abs(drawn.mean(0)[0] - whole[0]) < 3 * drawn.std(0)[0]
    assert 0.01 < drawn.std(0)[0] < 0.3
