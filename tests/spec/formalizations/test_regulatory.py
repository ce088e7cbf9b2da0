"""Regulatory: layers that keep their variance, and noise that the genotype widens or narrows."""

import pytest
import torch
from pyro import poutine

from genomic_code.spec import Generative, Regulatory, Shape, simulate
from genomic_code.spec.model import observation
from genomic_code.spec.noise import Poisson, StudentT

pytestmark = pytest.mark.usefixtures("double_precision")


def weights_of(model, shape, seed=0):
    torch.manual_seed(seed)
    return model.weights(shape)


def test_layers_neither_fade_nor_grow():
    """Second moment of the latents over 40 prior draws."""
    model, x = Regulatory(), torch.randn(200, 30, generator=torch.Generator().manual_seed(1))
    moments = []
    for seed in range(40):
        weights = weights_of(model, Shape(200, 30, 0, 1), seed)
        moments.append(model.encode(weights, x).square().mean())
    assert 2.0 < float(torch.stack(moments).mean()) < 4.0


def test_the_decoder_is_that_of_generative():
    shape = Shape(50, 6, 2, 3)
    weights, latents = weights_of(Regulatory(), shape), torch.randn(50, 4)
    mine = Regulatory().decoder.decode(weights, latents)
    torch.testing.assert_close(mine, Generative(latents=4).decode(weights, latents))


def test_noise_is_scaled_cell_by_cell(small_data):
    """The observed density is that of a normal whose scale is sigma times the spread."""
    data, model = small_data(), Regulatory()
    weights = weights_of(model, data.shape)
    expected = model.develop(weights, data.genotype, data.environment)
    spread = model.spread(weights, data.genotype, data.environment)
    scale = torch.full((data.shape.traits,), 0.4)
    noise = observation(model, weights, {"noise_scale": scale}, expected, data)
    torch.testing.assert_close(noise.stddev, (scale**2 * spread**2 + data.error**2).sqrt())
    assert float(spread.std()) > 0.05
    assert spread.log().abs().max() < 3


def test_the_environment_widens_noise(small_data):
    data, model = small_data(), Regulatory()
    weights = {k: v.clone() for k, v in weights_of(model, data.shape).items()}
    weights["spread_latent"].zero_()
    weights["spread_environment"].zero_()
    still = model.spread(weights, data.genotype, data.environment)
    torch.testing.assert_close(still, torch.ones_like(still))
    weights["spread_environment"][0] = 0.1
    wider = model.spread(weights, data.genotype, data.environment)
    torch.testing.assert_close(wider.log()[:, 0], 3 * torch.tanh(0.1 * data.environment[:, 0] / 3))


def test_counts_have_no_spread(small_data):
    trace = poutine.trace(Regulatory(noise=Poisson())).get_trace(
        small_data()._replace(phenotype=None)
    )
    assert not {"spread_latent", "spread_environment"} & set(trace.nodes)


def test_simulated_noise_depends_on_the_genotype():
    """Squared residuals of 4,000 individuals differ between the halves of low and high spread."""
    model = Regulatory(noise=StudentT())
    cohort = simulate(model, individuals=4000, loci=8, traits=1, environments=0, seed=2)
    residual = (cohort.phenotype.values - cohort.dataset["truth"].values)[:, 0]
    size = torch.tensor(residual).abs().double()
    x = torch.tensor(cohort.genotype.values).double()
    x = torch.cat([x, x.square(), torch.ones(len(x), 1)], 1)
    fitted = x @ torch.linalg.lstsq(x[::2], size[::2, None]).solution
    wide = fitted[1::2, 0] > fitted[1::2, 0].median()
    assert size[1::2][wide].mean() > 1.2 * size[1::2][~wide].mean()
