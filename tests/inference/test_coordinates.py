"""Half-Cauchy sites in the coordinates of their prior quantiles."""

import torch
from torch.distributions import HalfCauchy, Normal

from genomic_code.inference.coordinates import HalfCauchyQuantile


def test_prior_is_standard_normal() -> None:
    transform = HalfCauchyQuantile(torch.tensor(0.7).double())
    u = torch.linspace(-5.9, 5.9, 49).double()
    value = transform(u)
    log_prob = HalfCauchy(transform.scale).log_prob(value) + transform.log_abs_det_jacobian(
        u, value
    )
    torch.testing.assert_close(log_prob, Normal(0.0, 1.0).log_prob(u).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(transform.inv(value), u, rtol=1e-9, atol=1e-9)
    slope = torch.func.vmap(torch.func.grad(lambda x: transform(x).log()))(u)
    numeric = (transform(u + 1e-6).log() - transform(u - 1e-6).log()) / 2e-6
    torch.testing.assert_close(slope, numeric, rtol=1e-5, atol=1e-8)


def test_single_precision_is_finite_far_out() -> None:
    transform = HalfCauchyQuantile(torch.tensor(1.0))
    u = torch.tensor([-80.0, -3.0, 0.0, 3.0, 80.0], requires_grad=True)
    value = transform(u)
    total = (HalfCauchy(1.0).log_prob(value) + transform.log_abs_det_jacobian(u, value)).sum()
    (gradient,) = torch.autograd.grad(total, u)
    assert value.isfinite().all()
    torch.testing.assert_close(gradient, -u.detach(), rtol=1e-3, atol=1e-3)
