"""The engine against a conjugate posterior, its own eager form, and failures."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from genomic_code.inference import DivergenceError, Settings, fit
from genomic_code.inference.engine import STRIDE, State, advance, capture, make_step
from genomic_code.inference.fallback import pyro_step
from genomic_code.inference.flat import FlatModel
from genomic_code.inference.graph import tidy
from genomic_code.inference.guides import MeanField
from genomic_code.spec import FORMALIZATIONS, Cohort, Null, simulate
from genomic_code.spec.protocols import Weights
from genomic_code.spec.standardize import Scaler

QUICK = Settings(restarts=3, screening=50, steps=300, elbo_draws=50)


def example(name: str, cohort: Cohort) -> tuple[FlatModel, tuple[Tensor, ...]]:
    data = Scaler.fit(cohort).data(cohort)
    flat = FlatModel(FORMALIZATIONS[name](), data.shape)
    torch.manual_seed(0)
    parameters = MeanField().start(0.1 * torch.randn(1, 2, flat.dim))
    noise = torch.randn(2, 1, 2, flat.dim)
    tensors = [each[None, None] for each in data if each is not None]
    return flat, (parameters, noise, *tensors)


@pytest.mark.parametrize("name", ["blueprint", "polygenic", "generative"])
def test_recorded_step_equals_plain_step(name: str, cohort: Cohort) -> None:
    flat, inputs = example(name, cohort)
    step = make_step(flat, MeanField())
    recorded = capture(step, inputs)
    assert recorded is not step
    for plain, replayed in zip(step(*inputs), recorded(*inputs), strict=True):
        torch.testing.assert_close(plain, replayed, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", sorted(FORMALIZATIONS))
def test_step_is_that_of_pyro(name: str) -> None:
    """ELBO and gradient equal those of Pyro's Trace_ELBO with the same draws, in double precision.

    With given sites and without, folds and restarts and draws one by one.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        kind = FORMALIZATIONS[name]
        sizes = getattr(kind, "example_shape", None)
        if sizes is not None:
            pytest.skip("fits fixed shapes only")
        cohort = simulate("factor", individuals=12, loci=6, traits=3, missing=0.1, seed=3)
        flat, (parameters, noise, *tensors) = example(name, cohort)
        ours = make_step(flat, MeanField())(parameters, noise, *tensors)
        theirs = pyro_step(flat, MeanField())(parameters, noise, *tensors)
        for own, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(own, other, rtol=1e-8, atol=1e-8)
    finally:
        torch.set_default_dtype(before)


def test_fit_by_pyro_agrees(cohort: Cohort) -> None:
    settings = Settings(restarts=1, screening=20, steps=40, cycles=1, elbo_draws=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = fit("null", cohort, settings=settings, progress=False)
        theirs = fit("null", cohort, settings=settings, backend="pyro", progress=False)
    assert abs(ours.elbo - theirs.elbo) < 0.05


def devices() -> list[str]:
    found = ["cpu"]
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


@pytest.mark.parametrize("device", devices())
@pytest.mark.parametrize("name", ["polygenic", "blueprint", "generative"])
def test_devices_agree(name: str, device: str, cohort: Cohort) -> None:
    """Other devices draw other noise: the ELBO agrees within its Monte-Carlo error."""
    here = fit(name, cohort, settings=QUICK, progress=False)
    there = fit(name, cohort, settings=QUICK, device=device, progress=False)
    assert there.parameters.device.type == "cpu"
    assert abs(here.elbo - there.elbo) < 5 * (here.elbo_error + there.elbo_error) + 2
    assert np.isfinite(there.predict(draws=4)["mean"]).all()


def test_tidy_keeps_values_and_drops_work() -> None:
    def function(x: Tensor) -> Tensor:
        constant = torch.full((3,), 2.0).log() + 1
        unused = x.exp()
        del unused
        return (x * constant).detach() + (x * constant)

    x = torch.arange(3.0)
    graph = make_fx(function)(x)
    before = sum(node.op == "call_function" for node in graph.graph.nodes)
    expected = function(x)
    small = tidy(graph)
    after = [node.target for node in small.graph.nodes if node.op == "call_function"]
    assert len(after) == 2 < before
    assert torch.equal(small(x), expected)


def test_tidy_keeps_what_is_computed_twice_of_the_data_once() -> None:
    data = torch.arange(3.0)

    def function(x: Tensor) -> Tensor:
        return (x * data.square()).exp() + (x * data.square()).exp()

    x = torch.arange(3.0)
    small = tidy(make_fx(function)(x))
    assert [len(buffer) for buffer in small.buffers()].count(3) <= 2  # the data, and their square
    assert sum(node.op == "call_function" for node in small.graph.nodes) == 3
    assert torch.equal(small(x), function(x))


def test_tidy_leaves_alone_what_is_written_to() -> None:
    def function(x: Tensor) -> Tensor:
        ones, twos = torch.empty_like(x).fill_(1.0), torch.empty_like(x).fill_(2.0)
        total = torch.zeros(1, 3)
        total[0].add_(ones.mul_(x))
        return total[0] + twos.mul_(x)

    x = torch.arange(3.0)
    small = tidy(make_fx(function)(x))
    for _ in range(2):
        assert torch.equal(small(x), function(x))


def test_advance_is_adam_with_locations_in_standard_deviations() -> None:
    torch.manual_seed(0)
    start = torch.randn(2, 3, 5)
    state = State.start(start)
    parameter = torch.nn.Parameter(start.clone())
    reference = torch.optim.Adam([parameter], lr=0.03, betas=(0.9, 0.99))
    location = start[..., :2].clone()
    for _ in range(5):
        scale, before = parameter.data[..., 2:4].exp(), parameter.data[..., :2].clone()
        slope = torch.randn(2, 3, 5)
        advance(state, slope, 0.03, 2)
        parameter.grad = slope
        reference.step()
        location += STRIDE * scale * (parameter.data[..., :2] - before)
    torch.testing.assert_close(state.parameters[..., :2], location)
    torch.testing.assert_close(state.parameters[..., 2:], parameter.data[..., 2:])


@dataclass(frozen=True)
class Branching(Null):
    """Branches on a tensor value: recording it would freeze one branch."""

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        expected = super().develop(weights, genotype, environment)
        return expected + 5 if bool(weights["mean"].detach().sum() > 0) else expected


def test_branching_models_are_run_plainly_with_a_warning(cohort: Cohort) -> None:
    data = Scaler.fit(cohort).data(cohort)
    flat = FlatModel(Branching(), data.shape)
    parameters = MeanField().start(torch.full((1, 1, flat.dim), 0.05))
    noise = torch.zeros(1, 1, 1, flat.dim)
    tensors = [each[None, None] for each in data if each is not None]
    step = make_step(flat, MeanField())
    with pytest.warns(UserWarning, match="cannot be recorded|branches on tensor values"):
        assert capture(step, (parameters, noise, *tensors)) is step


def test_posterior_of_the_mean_is_conjugate() -> None:
    """`null` with noise held known: the posterior of the mean is normal in closed form."""
    generator = np.random.default_rng(0)
    y = generator.normal(3.0, 2.0, (60, 2))
    cohort = Cohort(generator.binomial(2, 0.4, (60, 3)), y)
    noise = torch.tensor([0.8, 1.2])
    fitted = fit("null", cohort, given={"noise_scale": noise}, progress=False)
    standard = fitted.standard_phenotype(cohort).double()
    precision = 1 + 60 / noise.double() ** 2
    mean = standard.sum(0) / noise.double() ** 2 / precision
    site = fitted.flat.sites[0]
    location, log_scale = fitted.parameters.double().chunk(2)
    torch.testing.assert_close(location[site.start : site.stop], mean, rtol=0, atol=1e-4)
    torch.testing.assert_close(log_scale.exp(), precision.rsqrt(), rtol=2e-2, atol=0)
    evidence = sum(
        torch.distributions.MultivariateNormal(
            torch.zeros(60).double(), torch.ones(60, 60).double() + s**2 * torch.eye(60).double()
        ).log_prob(column)
        for s, column in zip(noise.double(), standard.mT, strict=True)
    )
    assert abs(fitted.elbo - float(evidence)) < 4 * fitted.elbo_error + 0.01


def test_same_seed_same_numbers(cohort: Cohort) -> None:
    first = fit("generative", cohort, settings=QUICK, seed=4, progress=False)
    second = fit("generative", cohort, settings=QUICK, seed=4, progress=False)
    other = fit("generative", cohort, settings=QUICK, seed=5, progress=False)
    assert torch.equal(first.parameters, second.parameters)
    assert first.elbo == second.elbo != other.elbo


def test_eager_backend_agrees(cohort: Cohort) -> None:
    settings = Settings(restarts=1, screening=20, steps=40, cycles=1, elbo_draws=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = fit("factor", cohort, settings=settings, progress=False)
        eager = fit("factor", cohort, settings=settings, backend="eager", progress=False)
    assert abs(traced.elbo - eager.elbo) < 0.05


def test_divergence_is_reported_not_returned(cohort: Cohort) -> None:
    @dataclass(frozen=True)
    class Broken(Null):
        def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
            return super().develop(weights, genotype, environment) * math.nan

    with pytest.raises(DivergenceError, match=r"the ELBO became nan; lower rate"):
        fit(Broken(), cohort, settings=QUICK, progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"restarts": 0}, "restarts must be an integer of at least 1, got 0"),
        ({"rate": -1.0}, r"rate must be positive, got -1\.0"),
        ({"device": "cdua"}, "device must be one of this machine, such as 'cpu', got 'cdua'"),
        ({"backend": "eger"}, "backend must be one of .* did you mean 'eager'"),
    ],
)
def test_bad_settings(options: dict[str, Any], message: str, cohort: Cohort) -> None:
    with pytest.raises(ValueError, match=message):
        fit("null", cohort, progress=False, **options)


def test_minimal_data_works() -> None:
    """One locus, one trait, no environment, more latents than traits."""
    generator = np.random.default_rng(0)
    cohort = Cohort(generator.binomial(2, 0.4, (20, 1)), generator.normal(size=(20, 1)))
    for name in ("null", "factor", "blueprint", "polygenic", "generative"):
        fitted = fit(name, cohort, settings=QUICK, progress=False)
        assert math.isfinite(fitted.elbo)
        assert np.isfinite(fitted.predict()["mean"]).all()
