"""The flat log joint against Pyro's own, and what it refuses."""

from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from genomic_code.inference.flat import FlatModel
from genomic_code.spec import FORMALIZATIONS, Cohort, Null
from genomic_code.spec.protocols import Shape
from genomic_code.spec.standardize import Scaler


@pytest.mark.parametrize("name", FORMALIZATIONS)
def test_log_joint_is_that_of_pyro(name: str, cohort: Cohort) -> None:
    model = FORMALIZATIONS[name]()
    data = Scaler.fit(cohort).data(cohort)
    try:
        flat = FlatModel(model, data.shape)
    except ValueError as refusal:  # gene_circuit develops spatial traits only
        pytest.skip(str(refusal))
    torch.manual_seed(1)
    point = 0.3 * torch.randn(flat.dim)
    values, log_det = flat.unpack(point)
    trace = poutine.trace(poutine.condition(model, data=values)).get_trace(data)
    expected = trace.log_prob_sum() + log_det
    torch.testing.assert_close(flat.log_joint(point, data), expected, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("name", ["null", "factor", "blueprint", "polygenic", "generative"])
def test_batch_equals_loop(name: str, cohort: Cohort) -> None:
    data = Scaler.fit(cohort).data(cohort)
    flat = FlatModel(FORMALIZATIONS[name](), data.shape)
    torch.manual_seed(2)
    points = 0.3 * torch.randn(2, 3, flat.dim)
    batch = flat.log_joint(points, type(data)(*(each[None, None] for each in data)))
    loop = torch.stack([torch.stack([flat.log_joint(p, data) for p in row]) for row in points])
    torch.testing.assert_close(batch, loop, rtol=1e-5, atol=1e-2)


def test_given_sites_are_conditioned_on(cohort: Cohort) -> None:
    data = Scaler.fit(cohort).data(cohort)
    free = FlatModel(FORMALIZATIONS["polygenic"](), data.shape)
    noise = torch.tensor([0.5, 0.6, 0.7])
    held = FlatModel(FORMALIZATIONS["polygenic"](), data.shape, {"noise_scale": noise})
    assert held.dim == free.dim - 3
    point = torch.zeros(held.dim)
    values, _ = held.unpack(point)
    assert values["noise_scale"] is noise
    whole = torch.zeros(free.dim)
    site = next(site for site in free.sites if site.name == "noise_scale")
    whole[site.start : site.stop] = noise.log()
    jacobian = noise.log().sum()
    prior = dist.LogNormal(-0.5, 0.5).log_prob(noise).sum()
    difference = free.log_joint(whole, data) - held.log_joint(point, data)
    torch.testing.assert_close(difference, jacobian + prior, rtol=0, atol=1e-3)


def test_given_is_checked(cohort: Cohort) -> None:
    shape = Shape(10, 4, 0, 3)
    with pytest.raises(ValueError, match=r"given\['noise_scale'\] must have shape \(3,\), got"):
        FlatModel(Null(), shape, {"noise_scale": torch.ones(2)})
    with pytest.raises(ValueError, match=r"given must name sites .* got 'nose'"):
        FlatModel(Null(), shape, {"nose": torch.ones(2)})


@dataclass(frozen=True)
class Learnt(Null):
    def weights(self, shape: Shape) -> dict[str, Tensor]:
        pyro.param("scale", torch.tensor(1.0))
        return super().weights(shape)


@dataclass(frozen=True)
class Discrete(Null):
    def weights(self, shape: Shape) -> dict[str, Tensor]:
        pyro.sample("switch", dist.Bernoulli(0.5))
        return super().weights(shape)


def test_refuses_what_has_no_flat_density() -> None:
    shape = Shape(10, 4, 0, 3)
    with pytest.raises(ValueError, match=r"must have no pyro.param, got 'scale'"):
        FlatModel(Learnt(), shape)
    with pytest.raises(ValueError, match="continuous latent sites, got the discrete 'switch'"):
        FlatModel(Discrete(), shape)
    pyro.clear_param_store()
