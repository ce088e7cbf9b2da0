"""The exact process against the textbook's formulas, and what it must not see."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from genomic_code.inference import GaussianProcess
from genomic_code.inference.exact import ridge_predictions
from genomic_code.inference.gaussian_process import KERNELS, Numbers, Points
from genomic_code.inference.leave_one_out import Correction
from genomic_code.spec import Cohort

RNG = np.random.default_rng(4)


def curved(individuals: int = 160, loci: int = 5, missing: float = 0.0) -> Cohort:
    """Two traits that bend over two directions of the genotype, measured with known errors."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(individuals, loci))
    z = x @ rng.normal(size=(loci, 2)) / math.sqrt(loci)
    traits = np.stack([np.sin(2 * z[:, 0]), z[:, 0] * z[:, 1]], 1)
    error = rng.uniform(0.05, 0.3, traits.shape)
    y = traits + error * rng.normal(size=traits.shape) + 0.1 * rng.normal(size=traits.shape)
    y[rng.random(y.shape) < missing] = np.nan
    return Cohort(x, y, environment=rng.normal(size=(individuals, 1)), error=error)


def test_predictions_are_the_textbooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given its numbers, the posterior of one trait after the other, of its observed cells only.

    Then the correction, given its own numbers.
    """
    cohort = curved(60, missing=0.2)
    rows = np.arange(60) < 45
    numbers = Numbers(*(torch.tensor(RNG.normal(-0.5, 0.3, n)) for n in (3, 2, 2, 2)))
    monkeypatch.setattr(
        "genomic_code.inference.gaussian_process.minimise", lambda *arguments: numbers
    )
    correction = Correction(*torch.tensor([5.0, 0.3, -0.2]).double())
    monkeypatch.setattr(Correction, "fit", lambda *moments: correction)
    model = GaussianProcess(latents=3, kernel="rbf")
    found = model.predict(cohort, rows[None], progress=False)
    x = cohort.genotype.values.astype(float)
    x = (x - x[rows].mean(0)) / x[rows].std(0)
    axes = np.linalg.svd(x[rows], full_matrices=False)[2][:3].T
    u = x @ axes / (x[rows] @ axes).std(0) / np.exp(numbers.lengthscale.numpy())
    e = cohort.environment.values.astype(float)
    e = (e - e[rows].mean(0)) / e[rows].std(0)
    square = ((u[:, None] - u[None]) ** 2).sum(-1)
    for t in range(2):
        y = cohort.phenotype.values[:, t].astype(float)
        known = rows & ~np.isnan(y)
        centre, unit = y[known].mean(), y[known].std()
        scale, bend, noise = (float(each[t].exp()) ** 2 for each in numbers[1:])
        kernel = scale * (u @ u.T + bend * np.exp(-square / 2)) / 2 + 1 + 0.25 * e @ e.T
        own = noise + (cohort.error.values[:, t] / unit) ** 2
        inverse = np.linalg.inv(kernel[np.ix_(known, known)] + np.diag(own[known]))
        cross = kernel[np.ix_(~rows, known)]
        mean = cross @ inverse @ ((y[known] - centre) / unit)
        variance = np.diag(kernel)[~rows] - (cross @ inverse * cross).sum(1) + own[~rows]
        np.testing.assert_allclose(
            found["mean"].values[~rows, t], mean * unit + centre, rtol=1e-4, atol=1e-5
        )
        scale = np.sqrt(variance) * unit * np.exp(0.3 - 0.2 * np.tanh(mean))
        sd = found["predictive_sd"].values[~rows, t]
        np.testing.assert_allclose(sd, scale * math.sqrt(5 / 3), rtol=1e-4)
        density = student.logpdf(y[~rows], 5, mean * unit + centre, scale) + np.log(np.nanstd(y))
        np.testing.assert_allclose(
            found["log_predictive"].values[~rows, t], density, rtol=1e-3, atol=1e-3
        )


def test_the_optimum_is_one() -> None:
    """No step of any number from the optimum raises the marginal likelihood times the prior."""
    cohort = curved(50)
    model, captured = GaussianProcess(latents=2), {}
    from genomic_code.inference import gaussian_process as module

    minimise = module.minimise

    def spy(loss, latents, traits):  # type: ignore[no-untyped-def]
        captured["loss"], captured["found"] = loss, minimise(loss, latents, traits)
        return captured["found"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "minimise", spy)
        model.predict(cohort, (np.arange(50) < 40)[None], progress=False)
    loss, found = captured["loss"], captured["found"]
    free = [each.clone().requires_grad_() for each in found]
    slopes = torch.autograd.grad(loss(Numbers(*free)), free)
    assert max(float(slope.abs().max()) for slope in slopes) < 1e-2
    assert found.noise.shape == (2,)
    assert found.lengthscale.shape == (2,)


def test_marginal_likelihood_of_the_prior() -> None:
    """The covariance is that of the weights' prior: of many draws with Fourier features."""
    model = GaussianProcess(latents=2, kernel="rbf")
    numbers = Numbers(*(torch.zeros(n).double() for n in (2, 1, 1, 1)))
    points = Points(torch.tensor(RNG.normal(size=(6, 2))), torch.zeros(6, 0).double())
    covariance = model.covariance(numbers, points, points)[0]
    np.testing.assert_allclose(covariance.diagonal(), model.variance(numbers, points)[0])
    rng = np.random.default_rng(0)
    u = points.scores.numpy()
    draws, features = 40_000, 32
    w = rng.normal(size=(draws, features, 2))
    angle = np.einsum("nk,dfk->dnf", u, w)
    curve = (
        np.cos(angle) * rng.normal(size=(draws, 1, features))
        + np.sin(angle) * rng.normal(size=(draws, 1, features))
    ).sum(-1) / math.sqrt(features)
    line = rng.normal(size=(draws, 2)) @ u.T
    values = (line + curve) / math.sqrt(2) + rng.normal(size=(draws, 1))
    sd = np.sqrt(np.outer(values.var(0), values.var(0)) * 2 / draws)
    assert (np.abs(np.cov(values.T) - covariance.numpy()) < 5 * sd).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_are_one_at_zero_and_fall(kernel: str) -> None:
    values = KERNELS[kernel](torch.linspace(0, 9, 50).double())
    assert float(values[0]) == pytest.approx(1, abs=1e-5)
    assert (values.diff() < 0).all()


def test_it_bends_and_covers() -> None:
    """Better than ridge regression on curved traits, with intervals that hold what they say."""
    cohort = curved(240, missing=0.1)
    fold = np.arange(240) % 4
    training = np.stack([fold != k for k in range(4)])
    found = GaussianProcess(latents=5).predict(cohort, training, progress=False)
    ridge = sum(
        np.where(~rows[:, None], ridge_predictions(cohort, rows)[0], 0) for rows in training
    )
    assert float(found["log_predictive"].mean()) > float(np.nanmean(ridge)) + 0.5
    quantile = found["quantile"].values
    missing = np.isnan(cohort.phenotype.values)
    assert np.isnan(quantile[missing]).all()
    assert np.isfinite(found["mean"].values).all()
    inside = ((quantile > 0.05) & (quantile < 0.95))[~missing].mean()
    # some 430 cells at .90: 4 standard errors are .058
    assert abs(inside - 0.9) < 0.058


def test_loci_that_do_nothing_get_long_lengthscales(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without compression, each locus has a lengthscale: short where it bends the trait."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(120, 6))
    y = np.sin(2 * x[:, :1]) + x[:, 1:2] ** 2 + 0.1 * rng.normal(size=(120, 1))
    cohort, found = Cohort(x, y), []
    from genomic_code.inference import gaussian_process as module

    minimise = module.minimise
    monkeypatch.setattr(module, "minimise", lambda *a: found.append(minimise(*a)) or found[0])
    rows = np.arange(120) < 100
    table = GaussianProcess(latents=None).predict(cohort, rows[None], progress=False)
    length = found[0].lengthscale
    assert float(length[:2].max()) + math.log(3) < float(length[2:].min())
    error = table["mean"].values[~rows] - y[~rows]
    assert 1 - (error**2).sum() / y[~rows].var(0).sum() / 20 > 0.9


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("seed", range(3))
def test_traits_without_noise_are_fitted(kernel: str, seed: int) -> None:
    """Replicates of a genotype that agree make covariances hard to factor."""
    rng = np.random.default_rng(seed)
    x = np.repeat(rng.integers(0, 3, (40, 6)), 4, 0).astype(float)
    cohort = Cohort(x, x @ rng.normal(size=(6, 2)))
    rows = np.arange(160) % 4 != 0
    found = GaussianProcess(4, kernel).predict(cohort, rows[None], progress=False)  # type: ignore[arg-type]
    error = (found["mean"] - cohort.phenotype).values[~rows]
    assert np.abs(error).max() < 1e-3


def test_held_out_phenotypes_are_not_seen() -> None:
    cohort = curved(80)
    rows = np.arange(80) % 4 != 0
    other = cohort.phenotype.values.copy()
    other[~rows] = 7.0 + np.arange((~rows).sum())[:, None]
    changed = Cohort(
        cohort.genotype.values, other, environment=cohort.environment, error=cohort.error
    )
    means = [
        GaussianProcess(3).predict(each, rows[None], progress=False)["mean"].values[~rows]
        for each in (cohort, changed)
    ]
    np.testing.assert_array_equal(*means)


def test_bad_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="latents must be"):
        GaussianProcess(latents=0)
    with pytest.raises(ValueError, match="kernel must be"):
        GaussianProcess(kernel="cubic")  # type: ignore[arg-type]
    wide = Cohort(RNG.normal(size=(60, 50)), RNG.normal(size=(60, 1)))
    with pytest.raises(ValueError, match=r"latents must be a number.*50 loci.*40 training"):
        GaussianProcess(latents=None).predict(wide, (np.arange(60) < 40)[None])
    cohort = curved(60)
    with pytest.raises(ValueError, match="at least 20 individuals"):
        GaussianProcess().predict(cohort, (np.arange(60) < 10)[None])
    monkeypatch.setattr("genomic_code.inference.gaussian_process.LARGEST", 2 * 30**2)
    with pytest.raises(ValueError, match=r"at most 30 training individuals.*generative"):
        GaussianProcess().predict(cohort, (np.arange(60) < 40)[None])
