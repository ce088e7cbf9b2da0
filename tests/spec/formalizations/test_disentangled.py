"""Disentangled: as a masked `generative`, near `factor`, and with a latent of its own a trait."""

import pytest
import torch
from pyro import poutine

from genomic_code.spec.formalizations import Disentangled, Factor, Generative

pytestmark = pytest.mark.usefixtures("double_precision")


def setup(model, data, seed=0):
    torch.manual_seed(seed)
    return model.weights(data.shape)


def develop(model, weights, data):
    return model.develop(weights, data.genotype, data.environment)


def test_it_is_generative_with_a_hidden_unit_for_each_latent_and_trait(small_data):
    data, model = small_data(), Disentangled(latents=4)
    weights = setup(model, data)
    latent, trait = torch.eye(4).repeat_interleave(3, 1), torch.eye(3).repeat(4, 1)
    masked = {
        **weights,
        "hidden_weight": latent * weights["slope"].flatten(),
        "hidden_bias": weights["threshold"].flatten(),
        "decoder": trait * weights["decoder"].flatten()[:, None],
    }
    torch.testing.assert_close(
        develop(model, weights, data), develop(Generative(4, 12), masked, data)
    )


def test_small_slopes_are_factor_up_to_second_order(small_data):
    """tanh(e u) / e differs from u by u^3 e^2 / 3: a tenth of e leaves a hundredth of the error."""
    data, model = small_data(), Disentangled()
    weights = setup(model, data)
    weights["threshold"] = torch.zeros_like(weights["threshold"])
    line = {**weights, "decoder": weights["slope"] * weights["decoder"]}
    straight = develop(Factor(6), line, data)

    def error(small):
        bent = {"slope": weights["slope"] * small, "decoder": weights["decoder"] / small}
        return (develop(model, {**weights, **bent}, data) - straight).abs().max()

    assert error(1e-3) < 1e-3
    assert error(1e-3) / error(1e-2) == pytest.approx(0.01, rel=0.01)


def test_one_latent_a_trait_lets_each_trait_move_alone(small_data):
    data, model = small_data(), Disentangled(latents=3)
    weights = setup(model, data)
    weights["decoder"] = torch.diag(weights["decoder"].diagonal())
    jacobian = torch.autograd.functional.jacobian(
        lambda z: model.decode(weights, z[None])[0], torch.randn(3)
    )
    assert (jacobian.diagonal() != 0).all()
    assert torch.equal(jacobian, torch.diag(jacobian.diagonal()))
    for trait in range(3):
        alone = {
            "mean": weights["mean"][trait : trait + 1],
            "environment_effect": weights["environment_effect"][:, trait : trait + 1],
            "encoder": weights["encoder"][:, trait : trait + 1],
            "hidden_weight": weights["slope"][trait, trait].reshape(1, 1),
            "hidden_bias": weights["threshold"][trait, trait].reshape(1),
            "decoder": weights["decoder"][trait, trait].reshape(1, 1),
        }
        single = develop(Generative(1, 1), alone, data)[:, 0]
        torch.testing.assert_close(develop(model, weights, data)[:, trait], single)


def test_a_latent_without_relevance_is_switched_off(small_data, prior_sites, log_joint):
    data, model = small_data(), Disentangled()
    values, _ = prior_sites(model, data, 4)
    values["relevance"] = values["relevance"].clone()
    values["relevance"][:, 2] = 0.0
    moved = {**values, "encoder": values["encoder"].clone()}
    moved["encoder"][..., 2] *= -1  # the normal prior is symmetric
    torch.testing.assert_close(log_joint(model, data, moved), log_joint(model, data, values))


def test_latents_are_identified_up_to_sign_and_order(small_data, prior_sites, log_joint):
    data, model = small_data(), Disentangled()
    values, dims = prior_sites(model, data, 4)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    swapped = {
        name: value.index_select(1 + dims[name].index("latent"), order)
        if "latent" in dims[name]
        else value
        for name, value in values.items()
    }
    before = log_joint(model, data, values)
    torch.testing.assert_close(log_joint(model, data, swapped), before)
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0, 1.0])
    flipped = {
        **values,
        "encoder": values["encoder"] * signs,
        "slope": values["slope"] * signs[:, None],
    }
    torch.testing.assert_close(log_joint(model, data, flipped), before)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0))).Q
    turned = {**values, "encoder": values["encoder"] @ turn}
    assert (log_joint(model, data, turned) - before).abs().min() > 1e-3


def test_the_slab_bounds_the_horseshoe(small_data, prior_sites):
    data, model = small_data(), Disentangled()
    values, _ = prior_sites(model, data, 1)
    values = {name: value[0] for name, value in values.items()}
    values["decoder_local"] = torch.full((6, 3), 1e6)
    weights = poutine.condition(model.weights, data=values)(data.shape)
    expected = 2 * values["decoder"] * values["relevance"][:, None]
    torch.testing.assert_close(weights["decoder"], expected)


def test_latents_are_checked():
    with pytest.raises(ValueError, match="latents must be an integer of at least 1, got 0"):
        Disentangled(latents=0)
