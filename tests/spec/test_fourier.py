"""The weight-space Gaussian process against the exact RBF kernel."""

import pytest
import torch

from genomic_code.spec.fourier import fourier_features, standard_normal_points


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def points(number, dimensions, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, dimensions, generator=generator) / dimensions**0.5


def exact(u, v):
    return torch.exp(-torch.cdist(u, v).square() / 2)


def error(dimensions, frequencies):
    u = points(400, dimensions)
    phi = fourier_features(u, frequencies)
    return (phi @ phi.mT - exact(u, u)).square().mean().sqrt()


@pytest.mark.parametrize(
    ("dimensions", "declared"), [(1, 0.01), (2, 0.02), (3, 0.02), (5, 0.03), (8, 0.03)]
)
def test_the_declared_error_of_the_kernel_holds(dimensions, declared):
    assert error(dimensions, 128) < declared
    assert error(dimensions, 1024) < 0.01


@pytest.mark.parametrize(("frequencies", "dimensions"), [(1, 1), (3, 5), (100, 3)])
def test_the_variance_is_one_everywhere(frequencies, dimensions):
    phi = fourier_features(3 * points(50, dimensions), frequencies)
    torch.testing.assert_close(phi.square().sum(-1), torch.ones(50), rtol=0, atol=1e-12)


def test_the_kernel_is_exact_to_second_order_at_zero_distance():
    u = torch.zeros(3, requires_grad=True)

    def kernel(v):
        return fourier_features(v[None], 128)[0] @ fourier_features(torch.zeros(1, 3), 128)[0]

    curvature = torch.autograd.functional.hessian(kernel, u)
    torch.testing.assert_close(curvature, -torch.eye(3), rtol=0, atol=1e-12)


def test_regression_agrees_with_the_exact_gaussian_process():
    """Posterior means differ by less than a tenth of the posterior's own standard deviation."""
    u, new = points(60, 3, seed=1), points(200, 3, seed=2)
    y = torch.sin(2 * u.sum(-1)) + 0.3 * torch.randn(60, generator=torch.Generator().manual_seed(3))
    phi, phi_new = fourier_features(u, 1000), fourier_features(new, 1000)
    noise = 0.3**2 * torch.eye(60)
    cross, gram = exact(new, u), exact(u, u) + noise
    mean = cross @ torch.linalg.solve(gram, y)
    spread = (1 - (cross * torch.linalg.solve(gram, cross.mT).mT).sum(-1)).sqrt()
    mean_weights = phi_new @ phi.mT @ torch.linalg.solve(phi @ phi.mT + noise, y)
    assert ((mean_weights - mean) / spread).square().mean().sqrt() < 0.1


def test_batches_of_points():
    u = points(24, 3).reshape(2, 3, 4, 3)
    torch.testing.assert_close(fourier_features(u, 7)[1, 2], fourier_features(u[1, 2], 7))


def test_frequencies_are_shared_and_cannot_be_overwritten():
    table = standard_normal_points(100, 3)
    assert table is standard_normal_points(100, 3)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0
