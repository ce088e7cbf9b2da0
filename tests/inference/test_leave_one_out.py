"""The correction by leaving one out against brute force and against known densities."""

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from genomic_code.inference.leave_one_out import Correction, left_out


def test_left_out_moments_are_those_of_the_rest() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(2, 7, 7))
    covariance = root @ root.swapaxes(1, 2) + np.eye(7)
    target = rng.normal(size=(2, 7))
    lower = torch.linalg.cholesky(torch.from_numpy(covariance))
    solved = torch.cholesky_solve(torch.from_numpy(target)[..., None], lower)[..., 0]
    mean, sd = left_out(lower, torch.from_numpy(target), solved)
    for t in range(2):
        for i in range(7):
            rest = np.arange(7) != i
            weights = np.linalg.solve(covariance[t][np.ix_(rest, rest)], covariance[t][rest, i])
            assert float(mean[t, i]) == pytest.approx(weights @ target[t, rest])
            variance = covariance[t, i, i] - weights @ covariance[t][rest, i]
            assert float(sd[t, i]) == pytest.approx(np.sqrt(variance))


def moments(number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(number, generator=generator).double()
    return mean, torch.rand(number, generator=generator).double() + 0.5


def test_normal_residuals_stay_as_they_are() -> None:
    mean, sd = moments(4000, 1)
    value = mean + sd * torch.randn(4000, generator=torch.Generator().manual_seed(2)).double()
    found = Correction.fit(value, mean, sd)
    # with 4,000 residuals their scale is known to 1 / sqrt(8000), its slope to somewhat less
    assert abs(float(found.level)) < 0.06
    assert abs(float(found.slope)) < 0.06
    assert float(found.freedom) > 15
    part = found.predict(value, mean, sd)
    assert abs(float((part["quantile"] < 0.05).double().mean()) - 0.05) < 0.015


@pytest.mark.parametrize("slope", [-0.5, 0.8])
def test_heavy_tails_that_grow_with_the_level_are_found(slope: float) -> None:
    mean, sd = moments(4000, 3)
    residual = torch.from_numpy(student.rvs(4, size=4000, random_state=5))
    value = mean + sd * torch.exp(0.3 + slope * mean.tanh()) * residual
    found = Correction.fit(value, mean, sd)
    assert float(found.freedom) == pytest.approx(4, abs=1)
    assert float(found.level) == pytest.approx(0.3, abs=0.1)
    assert float(found.slope) == pytest.approx(slope, abs=0.1)
    part = found.predict(value, mean, sd)
    for level in (0.05, 0.5, 0.95):
        # 4 standard errors of a share of 4,000
        error = 4 * np.sqrt(level * (1 - level) / 4000)
        assert abs(float((part["quantile"] < level).double().mean()) - level) < error


def test_predictions_are_a_student_t_and_missing_values_stay_missing() -> None:
    correction = Correction(*torch.tensor([6.0, -0.1, 0.4]).double())
    mean, sd = moments(5, 4)
    value = mean + 1
    value[2] = torch.nan
    part = correction.predict(value, mean, sd)
    scale = (sd * torch.exp(-0.1 + 0.4 * mean.tanh())).numpy()
    expected = student.logpdf(value.numpy(), 6, mean.numpy(), scale)
    np.testing.assert_allclose(part["log_predictive"].numpy(), expected)
    np.testing.assert_allclose(part["predictive_sd"].numpy(), scale * np.sqrt(6 / 4))
    expected = student.cdf(value.numpy(), 6, mean.numpy(), scale)
    np.testing.assert_allclose(part["quantile"].numpy(), expected)
    assert np.isnan(part["quantile"].numpy()[2])
