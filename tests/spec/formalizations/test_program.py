"""Program: one step, gates that never close, and silence after a closed gate."""

import pytest
import torch

from genomic_code.spec.formalizations import Generative, Program

pytestmark = pytest.mark.usefixtures("double_precision")


def setup(model, data, seed=0):
    torch.manual_seed(seed)
    return model.weights(data.shape)


def test_one_step_is_generative_with_one_latent_and_one_hidden_unit(small_data):
    """sigmoid(a) = (1 + tanh(a / 2)) / 2."""
    data, model = small_data(), Program(steps=1)
    weights = setup(model, data)
    same = {
        "mean": weights["mean"] + weights["decoder"][0] / 2,
        "environment_effect": weights["environment_effect"],
        "encoder": weights["encoder"],
        "hidden_weight": torch.full((1, 1), 3 / 2),
        "hidden_bias": weights["gate_bias"] / 2,
        "decoder": weights["decoder"] / 2,
    }
    torch.testing.assert_close(
        model.develop(weights, data.genotype, data.environment),
        Generative(latents=1, hidden=1).develop(same, data.genotype, data.environment),
        rtol=1e-12,
        atol=1e-12,
    )


def test_gates_are_cumulative_products(small_data):
    data, model = small_data(), Program()
    weights = setup(model, data)
    gates = torch.sigmoid(3 * data.genotype @ weights["encoder"] + weights["gate_bias"])
    torch.testing.assert_close(model.passed(weights, data.genotype), gates.cumprod(-1))


def test_gates_that_never_close_leave_the_genotype_without_effect(small_data):
    data, model = small_data(), Program()
    weights = {**setup(model, data), "gate_bias": torch.full((4,), 100.0)}
    bare = data.environment @ weights["environment_effect"] + weights["mean"]
    expected = bare + weights["decoder"].sum(0)
    developed = model.develop(weights, data.genotype, data.environment)
    torch.testing.assert_close(developed, expected, rtol=1e-12, atol=1e-12)


def test_a_closed_gate_silences_itself_and_all_later_steps(small_data):
    data, model = small_data(), Program()
    weights = setup(model, data)
    shut = {**weights, "gate_bias": weights["gate_bias"] - torch.tensor([0.0, 200.0, 0.0, 0.0])}
    passed, before = model.passed(shut, data.genotype), model.passed(weights, data.genotype)
    assert torch.equal(passed[:, 0], before[:, 0])
    assert (passed[:, 1:] < 1e-60).all()


def test_masking_runs_one_way(small_data):
    """Loci of a later step move no earlier one."""
    data, model = small_data(), Program()
    weights = setup(model, data)
    jacobian = torch.autograd.functional.jacobian(
        lambda encoder: model.passed({**weights, "encoder": encoder}, data.genotype).sum(0),
        weights["encoder"],
    )
    influence = jacobian.abs().sum(1)
    assert (influence.triu(1) == 0).all()
    assert (influence.tril().diagonal() > 0).all()


def test_near_zero_effects_are_linear(small_data):
    """Slope of step s: 3 P_s times the sum over gates j <= s of (1 - q_j) u_j."""
    data, model, small = small_data(), Program(), 1e-5
    weights = setup(model, data)
    open_ = torch.sigmoid(weights["gate_bias"])
    slope = 3 * (weights["encoder"] * (1 - open_)).cumsum(-1) * open_.cumprod(-1)
    change = model.develop(weights, small * data.genotype, data.environment) - model.develop(
        weights, 0 * data.genotype, data.environment
    )
    expected = data.genotype @ slope @ weights["decoder"]
    torch.testing.assert_close(change / small, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("bias", [-1e4, 1e4])
def test_saturated_gates_have_finite_gradients(bias, small_data):
    data, model = small_data(), Program()
    weights = setup(model, data)
    shift = torch.full((4,), bias, requires_grad=True)
    passed = model.passed({**weights, "gate_bias": shift}, data.genotype)
    passed.sum().backward()
    assert shift.grad.isfinite().all()


def test_steps_are_checked():
    with pytest.raises(ValueError, match="steps must be an integer of at least 1, got 0"):
        Program(steps=0)
