"""The collapsed guide: exact where everything else is known, and the right slope where not."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from genomic_code import load
from genomic_code.inference.cell_weights import cell_weights
from genomic_code.inference.collapsed import Collapsed
from genomic_code.inference.engine import make_step
from genomic_code.inference.fit import fit, fit_folds
from genomic_code.inference.flat import FlatModel, compose, unvalidated
from genomic_code.inference.guide_choice import choose_guide
from genomic_code.inference.optimise import Settings
from genomic_code.spec import Blueprint, Cohort, Epistatic, Hotspot, simulate
from genomic_code.spec.noise import CommonFactor, Normal, Poisson, StudentT
from genomic_code.spec.priors import ARD, Dense, sample
from genomic_code.spec.protocols import Data, Formalization, Noise, Shape
from genomic_code.spec.standardize import Scaler

CASES = {"complete": {}, "missing": {"missing": 0.2}, "known errors": {"error": 0.4}}
cases = pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())


@pytest.fixture
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def small(options: dict[str, float], environments: int = 2) -> Cohort:
    sizes = {"individuals": 30, "loci": 6, "traits": 3, "environments": environments}
    return simulate("epistatic", seed=2, **sizes, **options)  # type: ignore[arg-type]


def bound(model: Formalization, cohort: Cohort) -> tuple[FlatModel, Data, Collapsed]:
    data = Scaler.fit(cohort).data(cohort)
    flat = FlatModel(model, data.shape)
    guide = choose_guide(flat)
    assert isinstance(guide, Collapsed)
    return flat, data, guide.bind(flat, data)


def weights_at_a_point(flat: FlatModel, data: Data) -> tuple[Tensor, Tensor]:
    """A point, and the weights of the cells that a fit which is sure of it would give them."""
    torch.manual_seed(0)
    point = 0.3 * torch.randn(flat.dim)
    narrow = torch.cat([point, torch.full_like(point, -20.0)])
    return point, cell_weights(flat, data, narrow, torch.Generator().manual_seed(0))


@cases
@pytest.mark.usefixtures("double_precision")
def test_density_is_that_of_the_draws(options: dict[str, float]) -> None:
    flat, _, guide = bound(Blueprint(), small(options))
    torch.manual_seed(0)
    start = guide.start(torch.randn(flat.dim), 0.3)
    parameters = start + 0.1 * torch.randn(start.shape)
    noise = torch.randn(flat.dim)
    draw = guide.sample(parameters, noise)
    jacobian = torch.func.jacrev(lambda e: guide.sample(parameters, e))(noise)
    exact = dist.Normal(0.0, 1.0).log_prob(noise).sum() - jacobian.slogdet()[1]
    torch.testing.assert_close(guide.log_density(parameters, draw), exact)
    again, density = guide.draw(parameters, noise)
    torch.testing.assert_close(again, draw)
    torch.testing.assert_close(density, exact)
    many = guide.sample(parameters.expand(2, 3, -1), noise.expand(5, 2, 3, -1))
    torch.testing.assert_close(many[4, 1, 2], draw)


@cases
@pytest.mark.parametrize(
    "model", [Blueprint(), Hotspot(), Epistatic()], ids=lambda model: model.name
)
@pytest.mark.usefixtures("double_precision")
def test_the_short_way_to_the_slope_is_the_long_one(
    model: Formalization, options: dict[str, float]
) -> None:
    """Given everything else the integrand does not depend on the effects, so no way through them
    adds to the slope."""
    flat, data, plain = bound(model, small(options))
    tables = [each[None, None] for each in data if each is not None]
    guide = plain.bind(flat, Data(*tables))

    class Long:
        def draw(self, parameters: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
            drawn = guide.sample(parameters, noise)
            return drawn, guide.log_density(parameters.detach(), drawn)

    torch.manual_seed(1)
    parameters = guide.start(torch.randn(flat.dim), 0.3)[None, None]
    noise = torch.randn(2, 1, 1, flat.dim)
    short = make_step(flat, guide)(parameters, noise, *tables)
    long = make_step(flat, Long())(parameters, noise, *tables)  # type: ignore[arg-type]
    torch.testing.assert_close(short[1], long[1])
    torch.testing.assert_close(short[0], long[0])
    assert short[0].abs().max() > 1


@cases
@pytest.mark.parametrize("noise", [StudentT(), CommonFactor()], ids=["student_t", "common_factor"])
@pytest.mark.usefixtures("double_precision")
def test_effects_move_as_a_reparameterised_normal_does(
    noise: Noise, options: dict[str, float]
) -> None:
    """The slope of the mean of a quadratic form, by cubature of exact degree 3 (2n sigma points),
    along the way that `draw` takes and along that of the Cholesky factor in `sample`."""
    flat, data, plain = bound(Blueprint(noise=noise), small(options))
    point, cells = weights_at_a_point(flat, data)
    guide = plain.weighed(flat, data, cells)
    size = guide.loci * guide.traits
    where = slice(guide.first, guide.first + size)
    ends = size**0.5 * torch.eye(size)
    points = torch.randn(flat.dim).repeat(2 * size, 1)
    points[:, where] = torch.cat([ends, -ends])
    form = torch.randn(size, size)
    parameters = guide.start(point, 0.3).requires_grad_()

    def slope(drawn: Tensor) -> Tensor:
        effects = drawn[:, where]
        value = ((effects @ form) * effects).sum(-1).mean()
        return torch.autograd.grad(value, parameters)[0]

    short, long = guide.draw(parameters, points)[0], guide.sample(parameters, points)
    torch.testing.assert_close(short, long)
    found = slope(short)
    torch.testing.assert_close(found, slope(long))
    assert found.abs().max() > 0.1


@cases
def test_with_the_rest_known_the_elbo_is_the_evidence(options: dict[str, float]) -> None:
    """And effects have the closed-form posterior, trait by trait."""
    cohort = small(options, environments=0)
    sd = torch.tensor([0.5, 0.7, 0.9])
    given = {"mean": torch.zeros(3), "noise_scale": sd}
    fitted = fit(
        Blueprint(prior={"effects": Dense(0.4)}), cohort, given=given, progress=False, steps=20
    )
    assert fitted.guide.name == "collapsed"
    data = Scaler.fit(cohort).data(cohort)
    evidence, means, spreads = 0.0, [], []
    for trait in range(3):
        seen = data.observed[:, trait]
        x, y = data.genotype[seen].double(), data.phenotype[seen, trait].double()  # type: ignore[index]
        precision = 1 / (sd[trait] ** 2 + data.error[seen, trait].double() ** 2)
        covariance = 0.16 * x @ x.mT + (1 / precision).diag()
        normal = torch.distributions.MultivariateNormal(torch.zeros(len(y)).double(), covariance)
        evidence += float(normal.log_prob(y))
        inverse = torch.linalg.inv((x.mT * precision) @ x + torch.eye(6) / 0.16)
        means.append(inverse @ x.mT @ (precision * y))
        spreads.append(inverse.diagonal().sqrt())
    assert fitted.elbo == pytest.approx(evidence, abs=2e-3)
    assert fitted.elbo_error < 1e-3
    effects = fitted.weights(4000)["effects"].double()
    torch.testing.assert_close(effects.mean(0).mT, torch.stack(means), atol=1e-3, rtol=0)
    torch.testing.assert_close(effects.std(0).mT, torch.stack(spreads), atol=0, rtol=0.05)


def test_horseshoe_gains_in_fit_and_prediction() -> None:
    """Mean field keeps and drops effects; the posterior hedges, and predicts better."""
    cohort = simulate("blueprint", individuals=120, loci=40, traits=6, heritability=0.6, seed=1)
    training = np.stack([np.arange(120) % 3 != fold for fold in range(3)])
    elbo, held = {}, {}
    for kind in ("auto", "meanfield"):
        fits = fit_folds("blueprint", cohort, training, Settings(guide=kind), 0, False)
        elbo[kind] = np.array([each.elbo for each in fits])
        held[kind] = sum(
            float(np.nansum(each.log_predictive()[~rows]))
            for each, rows in zip(fits, training, strict=True)
        )
    assert (elbo["auto"] > elbo["meanfield"] + 20).all()
    assert held["auto"] > held["meanfield"] + 10


@pytest.mark.usefixtures("double_precision")
def test_weights_of_cells_are_those_of_a_scale_mixture() -> None:
    """At one point: (nu + 1) / (nu + r^2 / (sigma^2 + error^2)), which draws and densities use."""
    flat, data, guide = bound(Blueprint(noise=StudentT()), small(CASES["known errors"]))
    point, weights = weights_at_a_point(flat, data)
    values = flat.unpack(point)[0]
    residual = data.phenotype - flat.expected(point[None], data)[0]  # type: ignore[operator]
    freedom = 2 + values["noise_tail"]
    square = residual.square() / (values["noise_scale"].square() + data.error.square())
    torch.testing.assert_close(weights[0], (freedom + 1) / (freedom + square))
    weighed = guide.weighed(flat, data, weights)
    parameters = weighed.start(point, 0.3)
    noise = torch.randn(flat.dim)
    draw, density = weighed.draw(parameters, noise)
    jacobian = torch.func.jacrev(lambda e: weighed.sample(parameters, e))(noise)
    exact = dist.Normal(0.0, 1.0).log_prob(noise).sum() - jacobian.slogdet()[1]
    torch.testing.assert_close(density, exact)
    again = guide.bind(flat, data, parameters)
    torch.testing.assert_close(again.sample(parameters, noise), draw)


@pytest.mark.usefixtures("double_precision")
@cases
def test_cells_of_a_common_factor_are_given_the_other_traits(options: dict[str, float]) -> None:
    """Offset and variance of a cell against those of the joint normal of its individual."""
    flat, data, guide = bound(Blueprint(noise=CommonFactor()), small(options))
    point, cells = weights_at_a_point(flat, data)
    assert cells.shape == (2, 30, 3)
    with torch.no_grad(), unvalidated():
        values = flat.unpack(point[None])[0]
        weights, scatter = compose(flat.formalization, values, data.shape)
        expected = flat.formalization.develop(weights, data.genotype, data.environment)[0]
    loading = (scatter["noise_scale"] * scatter["noise_correlation"])[0]
    spread = scatter["noise_scale"][0].square()
    assert data.phenotype is not None
    for n in range(30):
        own = spread - loading.square() + data.error[n].square()
        covariance = torch.outer(loading, loading) + own.diag()
        for t in range(3):
            rest = [u for u in range(3) if u != t and data.observed[n, u]]
            gain = covariance[t, rest] @ torch.linalg.inv(covariance[rest][:, rest])
            offset = gain @ (data.phenotype - expected)[n, rest]
            variance = covariance[t, t] - gain @ covariance[rest, t]
            weight = (spread[t] + data.error[n, t].square()) / variance
            torch.testing.assert_close(cells[:, n, t], torch.stack([weight, offset]))
    weighed = guide.weighed(flat, data, cells)
    parameters = weighed.start(point, 0.3)
    noise = torch.randn(flat.dim)
    again = guide.bind(flat, data, parameters)
    torch.testing.assert_close(again.sample(parameters, noise), weighed.draw(parameters, noise)[0])


@pytest.mark.parametrize("noise", [StudentT(), CommonFactor()])
def test_other_noise_gains_too(noise: Noise) -> None:
    model = Blueprint(noise=noise)
    cohort = simulate(model, individuals=120, loci=40, traits=6, heritability=0.6, seed=1)
    everyone = np.ones((1, 120), bool)
    elbo = {
        kind: fit_folds(model, cohort, everyone, Settings(guide=kind), 0, False)[0].elbo
        for kind in ("auto", "meanfield")
    }
    assert elbo["auto"] > elbo["meanfield"] + 20


@dataclass(frozen=True)
class Cubed:
    """A prior whose weights are not their site times a factor."""

    def __call__(self, name: str, sizes: dict[str, int]) -> Tensor:
        return 0.1 * sample(name, dist.Normal(0.0, 1.0), sizes) ** 3


@pytest.mark.parametrize(
    ("model", "collapsed"),
    [
        (Blueprint(), True),
        (Epistatic(), True),
        (Blueprint(prior={"effects": ARD()}), True),
        (Blueprint(noise=StudentT()), True),
        (Blueprint(noise=Poisson()), False),
        (Blueprint(prior={"effects": Cubed()}), False),  # type: ignore[dict-item]
    ],
    ids=["blueprint", "epistatic", "ard", "heavy tails", "counts", "cubed"],
)
def test_which_models_get_it(model: Formalization, collapsed: bool) -> None:
    guide = choose_guide(FlatModel(model, Shape(30, 6, 2, 3)))
    assert (guide.name == "collapsed") == collapsed
    assert choose_guide(FlatModel(model, Shape(30, 6, 2, 3)), "meanfield").name == "meanfield"
    wide = FlatModel(Blueprint(), Shape(30, 1000, 0, 3))
    assert choose_guide(wide).name == "meanfield"  # 1000^3 multiplications a trait
    assert choose_guide(wide, "collapsed").name == "collapsed"


@pytest.mark.usefixtures("double_precision")
def test_scales_of_single_effects_start_as_wide_as_their_prior() -> None:
    flat, _, guide = bound(Blueprint(), small({}))
    _, spread = guide.start(torch.zeros(flat.dim), 0.05).exp().chunk(2, -1)
    found = {site.name: spread[site.start : site.stop].unique().tolist() for site in flat.sites}
    assert found["effects_local"] == pytest.approx([1.0])
    assert found["effects_global"] == pytest.approx([0.05])
    assert found["mean"] == pytest.approx([0.05])


@pytest.mark.parametrize("noise", [Normal(), StudentT()], ids=["normal", "student_t"])
def test_saved_fit_draws_the_same(noise: Noise, tmp_path: Path) -> None:
    fitted = fit(Blueprint(noise=noise), small({"missing": 0.2}), progress=False, steps=250)
    assert fitted.guide.name == "collapsed"
    again = load(fitted.save(tmp_path / "fit.nc"))
    torch.testing.assert_close(again.flat_draws(10), fitted.flat_draws(10), rtol=0, atol=0)
    parts = torch.cat(list(fitted.flat_parts(10, 4)))
    torch.testing.assert_close(parts, fitted.flat_draws(10))


def test_large_cohorts_with_known_errors_are_left_to_mean_field() -> None:
    _, data, guide = bound(Blueprint(), small(CASES["known errors"]))
    assert guide.affordable(data)
    many = 2**25 // guide.width + 1
    large = Data(*(each[:1].expand(many, -1) for each in data if each is not None))
    assert not guide.affordable(large)
    assert guide.affordable(large._replace(error=torch.zeros_like(large.error)))
