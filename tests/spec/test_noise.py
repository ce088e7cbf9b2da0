import math

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from scipy import stats

from genomic_code.spec import Cohort, Data, Null
from genomic_code.spec.noise import (
    NOISES,
    Bernoulli,
    NegativeBinomial,
    Normal,
    Ordinal,
    Poisson,
    StudentT,
)
from genomic_code.spec.noise.categories import LOGISTIC_SCALE
from genomic_code.spec.standardize import Scaler

N, T = 30, 3


def inputs(error=0.0, individuals=N, traits=T):
    cells = torch.zeros(individuals, traits)
    seen = torch.ones(individuals, traits, dtype=torch.bool)
    return Data(torch.zeros(individuals, 4), torch.zeros(individuals, 0), None, seen, cells + error)


def drawn(noise, seed=0):
    torch.manual_seed(seed)
    data = inputs()
    return noise.parameters(data.shape), torch.randn(N, T), data


def test_heavy_tails_are_those_of_student_t():
    torch.manual_seed(0)
    freedom, scale = 2 + 5 * torch.rand(4, 1, T), 0.5 + torch.rand(N, T)
    loc, value = torch.randn(4, N, T), 3 * torch.randn(N, T)
    ours = StudentT().distribution(
        loc,
        {"noise_freedom": freedom[:, 0], "noise_scale": torch.ones(T)},
        inputs()._replace(error=(scale.square() + 1).sqrt()),
    )
    theirs = dist.StudentT(freedom, loc, (scale.square() + 2).sqrt())
    torch.testing.assert_close(ours.log_prob(value), theirs.log_prob(value))
    torch.testing.assert_close(ours.variance, theirs.variance)
    wider = ours.expand((2, 4, N, T))
    assert wider.log_prob(value).shape == wider.sample().shape == (2, 4, N, T)


@pytest.mark.parametrize("noise", [make() for make in NOISES.values()], ids=list(NOISES))
class TestEvery:
    def test_mean_is_the_mean_of_the_distribution(self, noise):
        parameters, expected, data = drawn(noise)
        fn = noise.distribution(expected, parameters, data)
        torch.testing.assert_close(noise.mean(expected, parameters), fn.mean.expand(N, T))
        assert fn.variance.shape == (N, T)
        assert (fn.variance > 0).all()

    def test_draws_have_the_mean_and_pass_the_check(self, noise):
        parameters, expected, data = drawn(noise)
        fn = noise.distribution(expected, parameters, data)
        torch.manual_seed(1)
        draws = fn.sample((4000,))
        error = (fn.variance.sum() / 4000).sqrt()
        assert (draws.double().mean(0) - fn.mean).sum().abs() < 4 * error
        noise.check(draws[0].numpy())

    def test_missing_cells_pass_the_check_and_weigh_nothing(self, noise):
        noise.check(np.full((2, 2), np.nan))
        parameters, expected, data = drawn(noise)
        seen = torch.rand(N, T) < 0.5
        phenotype = noise.distribution(expected, parameters, data).sample()
        data = data._replace(observed=seen)
        sites = {"mean": torch.zeros(T)}
        trace = poutine.trace(Null(noise=noise)).get_trace(data)
        sites |= {name: trace.nodes[name]["value"] for name in trace.stochastic_nodes}
        sites.pop("phenotype")
        total = []
        for other in (0.0, 1.0):
            data = data._replace(phenotype=torch.where(seen, phenotype, other))
            trace = poutine.trace(poutine.condition(Null(noise=noise), sites)).get_trace(data)
            total.append(trace.log_prob_sum())
        assert total[0] == total[1]


def test_normal_adds_the_known_error():
    fn = Normal().distribution(
        torch.zeros(N, T), {"noise_scale": torch.tensor([3.0, 3.0, 1.0])}, inputs(error=4.0)
    )
    torch.testing.assert_close(fn.stddev[0], torch.tensor([5.0, 5.0, math.sqrt(17.0)]))


def test_student_t_is_the_textbook_density_and_normal_at_large_freedom():
    value = torch.linspace(-4, 4, N)[:, None].expand(N, T)
    parameters = {"noise_scale": torch.full((T,), 0.7), "noise_freedom": torch.full((T,), 3.5)}
    fn = StudentT().distribution(torch.full((N, T), 0.2), parameters, inputs(error=0.3))
    scale = math.sqrt(0.49 + 0.09)
    np.testing.assert_allclose(
        fn.log_prob(value).numpy(), stats.t.logpdf(value, 3.5, 0.2, scale), rtol=1e-5
    )
    parameters["noise_freedom"] = torch.full((T,), 1e4)
    fn = StudentT().distribution(torch.full((N, T), 0.2), parameters, inputs(error=0.3))
    torch.testing.assert_close(
        fn.log_prob(value), dist.Normal(0.2, scale).log_prob(value), rtol=1e-2, atol=0
    )


def test_student_t_degrees_of_freedom_exceed_two():
    parameters, _, _ = drawn(StudentT())
    assert (parameters["noise_freedom"] > 2).all()


def test_poisson_is_the_textbook_mass():
    count = torch.arange(float(N))[:, None].expand(N, T)
    expected = torch.full((N, T), 0.5)
    fn = Poisson().distribution(expected, {"noise_level": torch.full((T,), 1.5)}, inputs())
    np.testing.assert_allclose(
        fn.log_prob(count).numpy(), stats.poisson.logpmf(count, math.exp(2.0)), rtol=1e-4
    )


def test_negative_binomial_is_the_textbook_mass_and_poisson_in_the_limit():
    count = torch.arange(float(N))[:, None].expand(N, T)
    expected = torch.full((N, T), 0.5)
    parameters = {
        "noise_level": torch.full((T,), 1.5),
        "noise_concentration": torch.full((T,), 2.0),
    }
    fn = NegativeBinomial().distribution(expected, parameters, inputs())
    mean = math.exp(2.0)
    np.testing.assert_allclose(
        fn.log_prob(count).numpy(), stats.nbinom.logpmf(count, 2.0, 2.0 / (2.0 + mean)), rtol=1e-4
    )
    torch.testing.assert_close(fn.variance[0, 0], torch.tensor(mean + mean**2 / 2))
    with torch.no_grad():
        parameters["noise_concentration"] = torch.full((T,), 1e4)
        close = NegativeBinomial().distribution(expected, parameters, inputs()).log_prob(count)
    poisson = Poisson().distribution(expected, parameters, inputs()).log_prob(count)
    torch.testing.assert_close(close, poisson, rtol=1e-2, atol=1e-2)


def test_ordinal_of_two_categories_is_bernoulli():
    expected = torch.linspace(-30, 30, N)[:, None].expand(N, T)
    ordinal = Ordinal(2)
    fn = ordinal.distribution(expected, ordinal.parameters(inputs().shape), inputs())
    other = Bernoulli().distribution(expected, {}, inputs())
    for value in (torch.zeros(N, T), torch.ones(N, T)):
        torch.testing.assert_close(fn.log_prob(value), other.log_prob(value))


def test_ordinal_is_the_difference_of_logistic_distribution_functions():
    noise = Ordinal(5)
    parameters, expected, _ = drawn(noise)
    with_ends = np.pad(
        parameters["noise_threshold"].numpy(), ((1, 1), (0, 0)), constant_values=(-np.inf, np.inf)
    )
    with_ends[0] = -np.inf
    cumulative = stats.logistic.cdf(
        LOGISTIC_SCALE * (with_ends[None] - expected.numpy()[:, None, :]).astype(float)
    )
    probability = noise.log_probabilities(expected, parameters).exp().numpy()
    np.testing.assert_allclose(probability, np.diff(cumulative, axis=1).swapaxes(1, 2), atol=1e-6)
    np.testing.assert_allclose(probability.sum(-1), 1, rtol=1e-5)


def test_ordinal_has_finite_gradients_in_the_tails():
    noise = Ordinal(4)
    parameters, _, data = drawn(noise)
    expected = torch.tensor([[-60.0, 0.0, 60.0]]).repeat(N, 1).requires_grad_()
    value = torch.tensor([[3.0, 1.0, 0.0]]).repeat(N, 1)
    noise.distribution(expected, parameters, data).log_prob(value).sum().backward()
    assert expected.grad is not None
    assert expected.grad.isfinite().all()
    assert (expected.grad[:, 0] > 1).all()
    assert (expected.grad[:, 2] < -1).all()


def test_liability_has_a_residual_of_unit_variance():
    assert stats.logistic(scale=1 / LOGISTIC_SCALE).var() == pytest.approx(1)


@pytest.mark.parametrize("noise", [make() for make in NOISES.values()], ids=list(NOISES))
def test_only_continuous_traits_are_standardised(noise):
    generator = np.random.default_rng(0)
    cohort = Cohort(generator.normal(size=(40, 3)), generator.integers(0, 2, (40, 2)))
    scaler = Scaler.fit(cohort, noise=noise)
    data = scaler.data(cohort)
    if noise.standardised:
        torch.testing.assert_close(data.phenotype.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    else:
        np.testing.assert_array_equal(data.phenotype.numpy(), cohort.phenotype.values)


@pytest.mark.parametrize(
    ("noise", "value", "message"),
    [
        (Poisson(), 0.5, r"counts 0, 1, 2, ... with Poisson noise, got 0.5 in row 3, column 1"),
        (Poisson(), -1, r"counts 0, 1, 2, ... with Poisson noise, got -1"),
        (NegativeBinomial(), 2.5, "counts 0, 1, 2, ... with NegativeBinomial noise, got 2.5"),
        (Bernoulli(), 2, "0 or 1 with Bernoulli noise, got 2"),
        (Ordinal(), 3, "categories 0 to 2 with Ordinal noise, got 3"),
        (Ordinal(), 0.5, "categories 0 to 2 with Ordinal noise, got 0.5"),
        (Ordinal(4), -1, "categories 0 to 3 with Ordinal noise, got -1"),
    ],
)
def test_impossible_phenotypes(noise, value, message):
    generator = np.random.default_rng(0)
    phenotype = generator.integers(0, 2, (40, 2)).astype(float)
    phenotype[0, 0] = np.nan
    phenotype[3, 1] = value
    cohort = Cohort(generator.normal(size=(40, 3)), phenotype)
    with pytest.raises(ValueError, match=message):
        Scaler.fit(cohort, noise=noise)


def test_counts_have_no_known_error():
    generator = np.random.default_rng(0)
    phenotype = generator.integers(0, 5, (40, 2)).astype(float)
    cohort = Cohort(generator.normal(size=(40, 3)), phenotype, error=np.ones((40, 2)))
    with pytest.raises(ValueError, match="error must be None with Poisson noise"):
        Scaler.fit(cohort, noise=Poisson())


def test_ordinal_needs_two_categories():
    with pytest.raises(ValueError, match="categories must be at least 2, got 1"):
        Ordinal(1)
