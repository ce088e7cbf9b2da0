"""Attractor: energy, fixed points, symmetries, limits and the gradient through the relaxation."""

import pyro
import pytest
import torch
from pyro import poutine

from genomic_code.spec.formalizations.attractor import Attractor
from genomic_code.spec.protocols import Data, Shape

SHAPE = Shape(30, 10, 2, 5)


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def prior_weights(formalization, draws, seed=0, shape=SHAPE):
    pyro.set_rng_seed(seed)
    each = [formalization.weights(shape) for _ in range(draws)]
    return {name: torch.stack([w[name] for w in each]) for name in each[0]}


def inputs(seed=1, shape=SHAPE):
    generator = torch.Generator().manual_seed(seed)
    n, loci, environments, _ = shape
    return (
        torch.randn(n, loci, generator=generator),
        torch.randn(n, environments, generator=generator),
    )


def test_a_batch_of_draws_develops_as_each_draw_alone():
    model, (x, e) = Attractor(), inputs()
    batch = prior_weights(model, 7)
    together = model.develop(batch, x, e)
    for i in range(7):
        alone = model.develop({k: v[i] for k, v in batch.items()}, x, e)
        torch.testing.assert_close(together[i], alone, rtol=1e-12, atol=1e-12)


def test_sites_with_leading_dimensions_compose_and_run():
    model, (x, e) = Attractor(), inputs()
    seen = torch.ones(30, 5, dtype=torch.bool)
    data = Data(x, e, torch.zeros(30, 5), seen, torch.zeros(30, 5))
    sites = poutine.trace(model).get_trace(data)
    values = {
        name: torch.stack([sites.nodes[name]["value"]] * 6).unflatten(0, (2, 3))
        for name in sites.stochastic_nodes
        if name != "individuals"
    }
    lifted = Data(x.expand(2, 1, 30, 10), e.expand(2, 1, 30, 2), *data[2:])
    expected = poutine.condition(model, data=values)(lifted)
    assert expected.shape == (2, 3, 30, 5)
    torch.testing.assert_close(expected[1, 2], sites.nodes["_RETURN"]["value"])


def test_the_energy_never_rises_along_the_relaxation():
    """The proof needs the least eigenvalue of W above -4; rounding alone may lift the energy."""
    model = Attractor()
    weights = prior_weights(model, 100)
    drive = model.drive(weights, inputs()[0])
    assert torch.linalg.eigvalsh(weights["recurrent"]).min() > 1 - 2 / model.step
    state = 2 * torch.rand(100, 30, 4, generator=torch.Generator().manual_seed(2)) - 1
    energy = model.energy(weights, state, drive)
    for _ in range(60):
        state = model.advance(weights, state, drive)
        following = model.energy(weights, state, drive)
        assert (following - energy).max() < 1e-12
        energy = following


@pytest.mark.parametrize("step", [0.2, 0.4, 1.0])
def test_the_energy_bound_is_where_the_proof_puts_it(step):
    """One latent: at the bound the energy falls from every state, far beyond it one state rises."""
    model = Attractor(latents=1, step=step)
    states = torch.linspace(-0.999, 0.999, 2001)[:, None]
    drive = torch.zeros(2001, 1)

    def largest_rise(coupling):
        weights = {"recurrent": torch.full((1, 1), coupling)}
        after = model.energy(weights, model.advance(weights, states, drive), drive)
        return (after - model.energy(weights, states, drive)).max()

    assert largest_rise(1 - 2 / step) < 1e-12
    assert largest_rise(1.5 * (1 - 2 / step) - 1) > 1e-3


def test_the_force_vanishes_where_the_energy_is_stationary():
    model = Attractor(iterations=4000)
    weights = prior_weights(model, 5)
    x = inputs()[0]
    state = model.encode(weights, x).requires_grad_()
    drive = model.drive(weights, x)
    (slope,) = torch.autograd.grad(model.energy(weights, state, drive).sum(), state)
    assert model.residual(weights, x).max() < 1e-9
    assert slope.abs().max() < 1e-6


def test_the_residual_falls_with_the_number_of_iterations():
    x = inputs()[0]
    weights = prior_weights(Attractor(), 50)
    medians = [Attractor(iterations=i).residual(weights, x).median() for i in (5, 20, 80)]
    assert medians[0] > 5 * medians[1] > 25 * medians[2]


def test_unrolled_and_implicit_gradients_agree_at_the_fixed_point():
    """dh = (I - D W)^-1 D (dW h + du), D = diag(1 - h^2), by the implicit function theorem."""
    model = Attractor(iterations=3000)
    weights = {k: v[0] for k, v in prior_weights(model, 1, seed=3).items()}
    x = inputs()[0][:6]
    target = torch.randn(6, 4, generator=torch.Generator().manual_seed(4))
    leaves = {k: weights[k].clone().requires_grad_() for k in ("encoder", "recurrent", "bias")}
    state = model.encode(leaves, x)
    assert model.residual(leaves, x).max() < 1e-12
    unrolled = torch.autograd.grad((state * target).sum(), list(leaves.values()))

    fixed = state.detach()
    slope = 1 - fixed.square()
    jacobian = torch.eye(4) - slope[:, :, None] * weights["recurrent"]
    adjoint = torch.linalg.solve(jacobian.mT, target[..., None])[..., 0] * slope
    implicit = (x.mT @ adjoint, fixed.mT @ adjoint, adjoint.sum(0))
    for got, wanted in zip(unrolled, implicit, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-8, atol=1e-10)


def test_without_recurrence_it_decodes_in_one_pass():
    model, (x, e) = Attractor(), inputs()
    weights = prior_weights(model, 3)
    weights["recurrent"] = torch.zeros(3, 4, 4)
    share = 1 - 0.6**20
    state = share * torch.tanh(model.drive(weights, x))
    wanted = weights["mean"][:, None] + e @ weights["environment_effect"]
    torch.testing.assert_close(model.develop(weights, x, e), wanted + state @ weights["decoder"])


def test_permuting_and_flipping_latents_changes_nothing():
    model, (x, e) = Attractor(), inputs()
    weights = {k: v[0] for k, v in prior_weights(model, 1).items()}
    flip = torch.diag(torch.tensor([1.0, -1.0, 1.0, -1.0]))[torch.tensor([2, 0, 3, 1])]
    other = {
        **weights,
        "encoder": weights["encoder"] @ flip.mT,
        "bias": flip @ weights["bias"],
        "recurrent": flip @ weights["recurrent"] @ flip.mT,
        "decoder": flip @ weights["decoder"],
    }
    torch.testing.assert_close(model.develop(weights, x, e), model.develop(other, x, e))


def test_recurrent_weights_are_symmetric_with_the_stated_moments():
    """10,000 draws: standard errors are sd / 100 for means and sd^2 sqrt(2) / 100 for variances."""
    recurrent = prior_weights(Attractor(latents=2), 10_000, shape=Shape(2, 1, 0, 1))["recurrent"]
    assert torch.equal(recurrent, recurrent.mT)
    diagonal, off = recurrent[:, 0, 0], recurrent[:, 0, 1]
    for values, mean, variance in ((diagonal, 1.5, 0.25 + 0.72), (off, 0.0, 0.36)):
        assert abs(values.mean() - mean) < 4 * variance**0.5 / 100
        assert abs(values.var() - variance) < 4 * variance * 2**0.5 / 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_at_prior_draws(dtype):
    model = Attractor()
    weights = {k: v.to(dtype).requires_grad_() for k, v in prior_weights(model, 100).items()}
    x, e = (value.to(dtype) for value in inputs())
    expected = model.develop(weights, x, e)
    assert expected.dtype == dtype
    for slope in torch.autograd.grad(expected.square().sum(), list(weights.values())):
        assert torch.isfinite(slope).all()


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"latents": 0}, "latents must be an integer of at least 1, got 0"),
        ({"iterations": 2.5}, "iterations must be an integer"),
        ({"step": 0.0}, "step must be above 0 and at most 1, got 0.0"),
        ({"step": 1.5}, "got 1.5"),
    ],
)
def test_bad_hyperparameters_are_named(fields, rule):
    with pytest.raises(ValueError, match=rule):
        Attractor(**fields)
