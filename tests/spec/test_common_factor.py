"""Noise that traits share: its density against the textbook, and what it makes of a fit."""

import numpy as np
import pytest
import torch
from scipy import stats

from genomic_code import load
from genomic_code.inference import Settings, compare, fit
from genomic_code.inference.heldout import held_out
from genomic_code.spec import Blueprint, Cohort, Factor, Null, Polygenic, simulate
from genomic_code.spec.noise import CommonFactor, Normal
from genomic_code.spec.noise.common import CommonFactorNormal
from genomic_code.spec.protocols import Data

N, T = 6, 4
QUICK = Settings(restarts=1, screening=20, steps=300, cycles=4, elbo_draws=50)


def example(seed=0):
    """Means of three draws, loadings, scales, which cells are seen, and values."""
    generator = torch.Generator().manual_seed(seed)
    normal = [torch.randn(*size, generator=generator).double() for size in [(3, N, T), (1, T)]]
    scale = 0.3 + torch.rand(N, T, generator=generator).double()
    seen = torch.rand(N, T, generator=generator) < 0.7
    return *normal, scale, seen, torch.randn(N, T, generator=generator).double()


def test_observed_cells_add_up_to_the_textbook_density():
    loc, loading, scale, seen, value = example()
    cells = CommonFactorNormal(loc, loading, scale, seen).log_prob(value)
    found = torch.where(seen, cells, 0.0).sum(-1)
    for draw in range(3):
        for n in range(N):
            own = seen[n].numpy()
            if not own.any():
                continue
            covariance = np.outer(loading[0, own], loading[0, own]) + np.diag(scale[n, own] ** 2)
            expected = stats.multivariate_normal(loc[draw, n, own], covariance)
            assert found[draw, n] == pytest.approx(expected.logpdf(value[n, own]), abs=1e-10)


def test_order_of_traits_does_not_change_the_sum():
    loc, loading, scale, seen, value = example(1)
    order = torch.tensor([2, 0, 3, 1])
    sums = []
    for parts in ((loc, loading, scale, seen), [x[..., order] for x in example(1)[:4]]):
        own = parts[-1]
        cells = CommonFactorNormal(*parts).log_prob(value if own is seen else value[..., order])
        sums.append(torch.where(own, cells, 0.0).sum(-1))
    torch.testing.assert_close(*sums)


def test_without_loadings_cells_are_normal():
    loc, loading, scale, seen, value = example(2)
    found = CommonFactorNormal(loc, 0 * loading, scale, seen).log_prob(value)
    torch.testing.assert_close(found, torch.distributions.Normal(loc, scale).log_prob(value))


def test_draws_have_the_covariance():
    loc, loading, scale, seen, _ = example(3)
    noise = CommonFactorNormal(loc[0, :1], loading, scale[:1], seen[:1])
    torch.manual_seed(0)
    draws = noise.sample((40_000,))[:, 0]
    expected = loading.T @ loading + torch.diag(scale[0].square())
    torch.testing.assert_close(torch.cov(draws.T), expected, atol=0.06, rtol=0.06)
    torch.testing.assert_close(noise.variance[0], expected.diagonal())


def test_known_errors_widen_what_traits_do_not_share():
    data = Data(
        torch.zeros(N, 3), torch.zeros(N, 0), None, torch.ones(N, T, dtype=torch.bool),
        torch.full((N, T), 0.8),
    )  # fmt: skip
    parameters = {"noise_scale": torch.full((T,), 2.0), "noise_correlation": torch.full((T,), 0.6)}
    noise = CommonFactor().distribution(torch.zeros(N, T), parameters, data)
    torch.testing.assert_close(noise.variance, torch.full((N, T), 4 + 0.64))
    torch.testing.assert_close(noise.loading, torch.full((N, T), 1.2))


@pytest.fixture(scope="module")
def confounded() -> Cohort:
    """Polygenic traits, half of whose noise is one hidden variable."""
    plain = simulate("polygenic", individuals=150, loci=20, traits=5, seed=0, environments=0)
    generator = np.random.default_rng(0)
    sign = np.array([1.0, -1.0, 1.0, 1.0, -1.0])
    hidden = generator.standard_normal((150, 1)) * sign + generator.standard_normal((150, 5))
    noise = np.sqrt(0.2) * hidden
    noise[generator.random(noise.shape) < 0.1] = np.nan
    return Cohort(plain.genotype.values, plain.dataset["truth"].values + noise)


def test_the_loadings_are_found(confounded):
    plain = fit(Polygenic(), confounded, settings=QUICK, progress=False)
    found = fit(Polygenic(noise=CommonFactor()), confounded, settings=QUICK, progress=False)
    # known effects and all cells would give 150 log(1 / .1875) / 2 = 126 nats
    assert found.elbo > plain.elbo + 30
    with torch.no_grad():
        loading = found.sites(found.flat_draws(200))["noise_loading"].mean(0)
    correlation = (loading / (1 + loading.square()).sqrt()).numpy()
    sign = np.array([1.0, -1.0, 1.0, 1.0, -1.0])
    np.testing.assert_allclose(correlation * sign * np.sign(correlation[0]), 0.5**0.5, atol=0.2)


def test_held_out_traits_are_predicted_from_one_another(confounded):
    """The cells of an individual add up to its joint density, also where it was not fitted."""
    from genomic_code.inference.fit import fit_folds

    training = np.arange(150)[None] >= 75
    by_noise = {
        noise: fit_folds(Polygenic(noise=noise), confounded, training, QUICK, 0, False)[0]
        for noise in (Normal(), CommonFactor())
    }
    tables = {noise: held_out(one) for noise, one in by_noise.items()}
    total = {noise: np.nansum(table.density, 1) for noise, table in tables.items()}
    gain = total[CommonFactor()] - total[Normal()]
    assert gain.sum() > 2 * np.sqrt(len(gain)) * gain.std(ddof=1)
    table = tables[CommonFactor()]
    assert (np.isnan(table.density) == np.isnan(confounded.phenotype.values[:75])).all()
    density = by_noise[CommonFactor()].log_predictive().values[:75]
    np.testing.assert_allclose(table.density, density)


def test_what_traits_share_is_no_misfit_any_more(confounded):
    share = "correlation of traits"
    models = {noise: [Null(noise), Factor(2, noise=noise)] for noise in (Normal(), CommonFactor())}
    for noise, own in models.items():
        result = compare(own, confounded, folds=2, settings=QUICK, progress=False)
        reasons = " ".join(result.absolute["factor"].reasons)
        assert (share in reasons) == (noise == Normal()), reasons


def test_saved_fits_give_the_same_draws(confounded, tmp_path):
    for model in (Blueprint(noise=CommonFactor()), Factor(2, noise=CommonFactor())):
        own = fit(model, confounded, settings=QUICK, progress=False)
        read = load(own.save(tmp_path / f"{model.name}.nc"))
        assert torch.equal(read.flat_draws(20), own.flat_draws(20))
        np.testing.assert_array_equal(read.log_predictive(), own.log_predictive())
