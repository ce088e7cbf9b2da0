"""Noise with a common factor and outliers: against quadrature, its limits, and in a fit."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from genomic_code import load
from genomic_code.inference import Settings, fit
from genomic_code.inference.cell_weights import cell_weights
from genomic_code.inference.flat import FlatModel
from genomic_code.spec import Blueprint, Cohort, Factor, simulate
from genomic_code.spec.noise import CommonFactor, CommonFactorT, StudentT
from genomic_code.spec.noise.common import CommonFactorNormal
from genomic_code.spec.noise.common_t import CommonFactorStudent
from genomic_code.spec.noise.support import cell_numbers
from genomic_code.spec.protocols import Data
from genomic_code.spec.standardize import Scaler

N, T = 5, 4
QUICK = Settings(restarts=1, screening=20, steps=300, cycles=4, elbo_draws=50)


def example(seed=0):
    """Means of three draws, loadings, scales, which are seen, degrees of freedom, and values."""
    generator = torch.Generator().manual_seed(seed)
    loc, loading = (torch.randn(*s, generator=generator).double() for s in [(3, N, T), (1, T)])
    loading, scale = 0.7 * loading, 0.7 + torch.rand(N, T, generator=generator).double()
    freedom = 2.5 + 5 * torch.rand(1, T, generator=generator).double()
    seen = torch.rand(N, T, generator=generator) < 0.7
    return loc, loading, scale, seen, freedom, torch.randn(N, T, generator=generator).double()


def test_observed_cells_add_up_to_the_integral_over_the_factor():
    *parts, value = example()
    loc, loading, scale, seen, freedom = parts
    found = torch.where(seen, CommonFactorStudent(*parts).log_prob(value), 0.0).sum(-1)
    for n in range(N):
        own = seen[n].numpy()

        def density(f, n=n, own=own):
            centre = (loc[1, n] + loading[0] * f)[own].numpy()
            cells = stats.t.pdf(
                value[n, own].numpy(), freedom[0, own].numpy(), centre, scale[n, own].numpy()
            )
            return stats.norm.pdf(f) * np.prod(cells)

        whole = integrate.quad(density, -9, 9, limit=400, epsabs=1e-14)[0]
        assert found[1, n] == pytest.approx(np.log(whole), abs=1e-5)


def test_order_of_traits_does_not_change_the_sum():
    *parts, value = example(1)
    order = torch.tensor([2, 0, 3, 1])
    there = [part[..., order] for part in parts]
    sums = [
        torch.where(own[3], CommonFactorStudent(*own).log_prob(y), 0.0).sum(-1)
        for own, y in ((parts, value), (there, value[..., order]))
    ]
    torch.testing.assert_close(*sums)


def test_without_loadings_it_is_student_t_and_without_tails_the_common_factor():
    loc, loading, scale, seen, freedom, value = example(2)
    plain = CommonFactorStudent(loc, 0 * loading, scale, seen, freedom).log_prob(value)
    torch.testing.assert_close(
        plain, torch.distributions.StudentT(freedom, loc, scale).log_prob(value)
    )
    light = CommonFactorStudent(loc, loading, scale, seen, torch.full_like(freedom, 1e7))
    normal = CommonFactorNormal(loc, loading, scale, seen)
    close = {"rtol": 1e-4, "atol": 1e-4}  # what the grid promises
    torch.testing.assert_close(light.log_prob(value), normal.log_prob(value), **close)
    torch.testing.assert_close(light.given_others(value), normal.given_others(value), **close)
    torch.testing.assert_close(light.variance, normal.variance, **close)


@pytest.mark.parametrize("traits", [2, 12, 46])
def test_the_grid_is_fine_enough(traits):
    """Joint densities against the normal's, with thrice the loadings that the prior expects."""
    torch.manual_seed(0)
    loading = 3**0.5 * torch.ones(1, traits).double()
    noise = CommonFactorNormal(torch.zeros(50, traits).double(), loading, 1.0 + 0 * loading,
                               torch.ones(50, traits, dtype=torch.bool))  # fmt: skip
    value = noise.sample()
    light = CommonFactorStudent(*noise.parts, torch.full_like(noise.loc, 1e9))
    gap = (light.log_prob(value) - noise.log_prob(value)).sum(-1)
    assert gap.abs().max() < 1e-3


def test_room_for_the_grid_is_reckoned_with():
    from genomic_code.inference.fit import plan

    noise = CommonFactorT()
    assert cell_numbers(StudentT(), (4, 3)) == 12
    assert cell_numbers(noise, (4, 3)) == 12 * noise.nodes(3)
    *parts, value = example()
    assert CommonFactorStudent(*parts).on_grid(value)[0].shape[0] == noise.nodes(T)
    large = simulate("factor", individuals=1000, loci=10, traits=40, seed=0)
    restarts, together = plan(Factor(2, noise=noise), large, Settings())
    assert restarts * together * 1000 * 40 * noise.nodes(40) <= 2 * 2**26


def test_an_outlier_weighs_little():
    loc, loading, scale, seen, freedom, value = example(3)
    everyone = torch.ones_like(seen)
    far = value.clone()
    far[0, 0] = 50.0
    noise = CommonFactorStudent(loc, loading, scale, everyone, freedom)
    assert (noise.given_others(far)[1][:, 0, 0] > 20 * noise.given_others(value)[1][:, 0, 0]).all()
    # nor does it move the others as far as a normal would
    moved = (noise.given_others(far)[0] - noise.given_others(value)[0])[:, 0, 1:].abs().max()
    normal = CommonFactorNormal(loc, loading, scale, everyone)
    there, here = normal.given_others(far)[0], normal.given_others(value)[0]
    assert moved < 0.1 * (there - here)[:, 0, 1:].abs().max()


def test_draws_have_the_covariance():
    loc, loading, scale, seen, freedom, _ = example(4)
    freedom = freedom + 4  # so that variances of draws have one
    noise = CommonFactorStudent(loc[0, :1], loading, scale[:1], seen[:1], freedom)
    torch.manual_seed(0)
    draws = noise.sample((80_000,))[:, 0]
    expected = loading.T @ loading
    expected = expected + torch.diag(scale[0].square() * (freedom / (freedom - 2))[0])
    torch.testing.assert_close(torch.cov(draws.T), expected, atol=0.06, rtol=0.06)
    torch.testing.assert_close(noise.variance[0], expected.diagonal())


def test_known_errors_widen_what_traits_do_not_share():
    data = Data(
        torch.zeros(N, 3), torch.zeros(N, 0), None, torch.ones(N, T, dtype=torch.bool),
        torch.full((N, T), 0.8),
    )  # fmt: skip
    names = ("noise_scale", "noise_correlation", "noise_freedom")
    parameters = {n: torch.full((T,), x) for n, x in zip(names, (2.0, 0.6, 6.0), strict=True)}
    noise = CommonFactorT().distribution(torch.zeros(N, T), parameters, data)
    torch.testing.assert_close(noise.loading, torch.full((N, T), 1.2))
    torch.testing.assert_close(noise.scale.square(), torch.full((N, T), 4 * 0.64 + 0.64))


@pytest.fixture(scope="module")
def confounded() -> Cohort:
    """Traits of few loci, half of whose noise is one hidden variable, with wild cells."""
    plain = simulate("blueprint", individuals=150, loci=20, traits=5, seed=0, environments=0)
    generator = np.random.default_rng(0)
    own = generator.standard_t(2.5, (150, 5)) / 5**0.5
    noise = np.sqrt(0.2) * (generator.standard_normal((150, 1)) + own)
    noise[generator.random(noise.shape) < 0.1] = np.nan
    return Cohort(plain.genotype.values, plain.dataset["truth"].values + noise)


def test_it_fits_where_both_are_needed(confounded, tmp_path):
    elbo = {}
    for noise in (StudentT(), CommonFactor(), CommonFactorT()):
        own = fit(Blueprint(noise=noise), confounded, settings=QUICK, progress=False)
        elbo[noise] = own.elbo
    assert own.guide.name == "collapsed"
    assert elbo[CommonFactorT()] > max(elbo[StudentT()], elbo[CommonFactor()]) + 20
    read = load(own.save(tmp_path / "fit.nc"))
    assert torch.equal(read.flat_draws(20), own.flat_draws(20))
    np.testing.assert_array_equal(read.log_predictive(), own.log_predictive())


def test_cells_weigh_as_under_normal_noise_where_tails_are_light():
    """Known errors too; at the same weights, with degrees of freedom of 1e6."""
    cohort = simulate("blueprint", individuals=30, loci=6, traits=3, error=0.4, seed=2)
    data = Scaler.fit(cohort).data(cohort)
    found = []
    for noise in (CommonFactor(), CommonFactorT()):
        flat = FlatModel(Blueprint(noise=noise), data.shape)
        location = torch.zeros(flat.dim)
        for site in flat.sites:
            if site.name == "noise_loading":
                location[site.start : site.stop] = 1.0
            if site.name == "noise_tail":
                location[site.start : site.stop] = np.log(1e6)
        known = torch.cat([location, torch.full_like(location, -20.0)])
        found.append(cell_weights(flat, data, known, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)


def test_latents_fit_too(confounded):
    model = Factor(2, noise=CommonFactorT())
    found = fit(model, confounded, settings=QUICK, progress=False)
    with torch.no_grad():
        loading = found.sites(found.flat_draws(200))["noise_loading"].mean(0)
    assert (loading * loading[0].sign() > 0.3).all()
