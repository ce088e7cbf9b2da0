"""Generative: its decoders against `factor` and against the exact Gaussian process."""

import pytest
import torch
from pyro import poutine

from genomic_code.spec.formalizations import Factor, Generative
from genomic_code.spec.priors import Horseshoe

pytestmark = pytest.mark.usefixtures("double_precision")


def develop(model, weights, data):
    return model.develop(weights, data.genotype, data.environment)


def test_a_linear_decoder_is_factor(small_data, prior_sites, log_joint):
    data, linear, factor = small_data(), Generative(latents=2, decoder="linear"), Factor(latents=2)
    values, dims = prior_sites(linear, data, 5)
    factor_values, factor_dims = prior_sites(factor, data, 5)
    assert dims == factor_dims
    assert values.keys() == factor_values.keys()
    assert torch.equal(log_joint(linear, data, values), log_joint(factor, data, values))


def test_a_linear_decoder_develops_as_factor(small_data):
    data, linear, factor = small_data(), Generative(decoder="linear"), Factor()
    torch.manual_seed(0)
    weights = factor.weights(data.shape)
    assert torch.equal(develop(linear, weights, data), develop(factor, weights, data))


def test_a_gaussian_process_without_curvature_is_factor_with_relevant_latents(small_data):
    data, process = small_data(), Generative(decoder="gaussian_process")
    torch.manual_seed(0)
    weights = process.weights(data.shape)
    flat = {**weights, "curve": torch.zeros_like(weights["curve"])}
    line = {**weights, "decoder": weights["decoder"] / weights["lengthscale"][:, None]}
    torch.testing.assert_close(develop(process, flat, data), develop(Factor(), line, data))


def test_the_prior_over_decoders_is_the_stated_gaussian_process(small_data):
    """Covariance of 4,000 prior decoders, given scale and lengthscales, against the kernel."""
    model, draws = Generative(latents=2, decoder="gaussian_process"), 4000
    generator = torch.Generator().manual_seed(0)
    lengthscale, scale, curvature = torch.tensor([1.0, 2.0]), 0.7, 1.3
    weights = {
        "lengthscale": lengthscale,
        "decoder": torch.randn(draws, 2, 1, generator=generator) * scale / 2**0.5,
        "curve": torch.randn(draws, 256, 1, generator=generator) * scale * curvature / 2**0.5,
    }
    latents = torch.randn(6, 2, generator=generator)
    values = model.decode(weights, latents)[..., 0]
    u = latents / lengthscale
    kernel = u @ u.mT + curvature**2 * torch.exp(-torch.cdist(u, u).square() / 2)
    kernel = kernel * scale**2 / 2
    # standard error of a covariance of normals, and the declared error of the RBF kernel
    variance = kernel.diagonal()
    error = ((kernel.square() + variance[:, None] * variance) / draws).sqrt()
    allowed = 4 * error + 0.06 * curvature**2 * scale**2 / 2
    assert ((values.mT @ values / draws - kernel).abs() < allowed).all()


def test_composed_weights_scale_the_curve_by_curvature(small_data, prior_sites):
    data, model = small_data(), Generative(decoder="gaussian_process", frequencies=5)
    values, dims = prior_sites(model, data, 1)
    assert dims["lengthscale"] == ("latent",)
    weights = poutine.condition(model.weights, data=values)(data.shape)
    expected = values["curve"] * (values["trait_scale"] * values["curvature"])[:, None] / 2**0.5
    torch.testing.assert_close(weights["curve"], expected)
    torch.testing.assert_close(weights["lengthscale"], values["lengthscale"])


@pytest.mark.parametrize("decoder", ["tanh", "linear"])
def test_turned_latents_develop_the_same(decoder, small_data):
    data, model = small_data(), Generative(latents=3, decoder=decoder)
    torch.manual_seed(0)
    weights = model.weights(data.shape)
    turn = torch.linalg.qr(torch.randn(3, 3)).Q
    reader = "hidden_weight" if decoder == "tanh" else "decoder"
    turned = {**weights, "encoder": weights["encoder"] @ turn, reader: turn.mT @ weights[reader]}
    torch.testing.assert_close(develop(model, turned, data), develop(model, weights, data))


def test_unknown_decoder():
    with pytest.raises(ValueError, match="did you mean 'linear'"):
        Generative(decoder="liner")


def test_priors_of_another_decoder_are_refused():
    Generative(decoder="gaussian_process", prior={"curve": Horseshoe()})
    with pytest.raises(ValueError, match="curve"):
        Generative(decoder="tanh", prior={"curve": Horseshoe()})


@pytest.mark.parametrize("field", ["latents", "hidden", "frequencies"])
def test_counts_are_checked(field):
    with pytest.raises(ValueError, match=f"{field} must be an integer of at least 1, got 0"):
        Generative(**{field: 0})
