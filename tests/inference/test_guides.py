"""Guides: densities integrate to the covariance they claim, and reach the exact posterior."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.block_guides import LatentBlocks, PartlyCentred, TraitBlocks
from genomic_code.inference.fit import fit_folds
from genomic_code.inference.flat import FlatModel, blank
from genomic_code.inference.guide_choice import choose_guide
from genomic_code.inference.guides import FullRank, Guide, LowRank, MeanField
from genomic_code.inference.measured import MeasuredLatents
from genomic_code.inference.optimise import Settings, optimise
from genomic_code.spec import Attractor, Factor, Generative, Polygenic, simulate
from genomic_code.spec.protocols import Data, Formalization, Shape
from genomic_code.spec.standardize import Scaler

DIM = 5


def measured(individuals: int = 7) -> MeasuredLatents:
    """Two latents of two loci, after one other weight, bound to a genotype."""
    torch.manual_seed(1)
    guide = MeasuredLatents(DIM, first=1, loci=2, latents=2, individuals=individuals)
    data = blank(Shape(individuals, 2, 0, 1))
    return guide.bind(FACTOR, data._replace(genotype=torch.randn(individuals, 2).double()))


FACTOR = FlatModel(Factor(), Shape(7, 2, 0, 1))
GUIDES: list[Guide] = [
    MeanField(),
    LowRank(DIM, 2),
    FullRank(DIM),
    TraitBlocks(DIM, first=1, loci=2, traits=2),
    LatentBlocks(DIM, first=1, loci=2, latents=2),
    measured(),
]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_density_is_that_of_the_draws(guide: Guide) -> None:
    """The map from noise is linear, so the density follows from its matrix."""
    torch.manual_seed(0)
    start = guide.start(torch.randn(3, DIM, dtype=torch.float64), 0.5)
    parameters = start + 0.3 * torch.randn(start.shape, dtype=torch.float64)
    zero = guide.sample(parameters, torch.zeros(3, DIM, dtype=torch.float64))
    eye = torch.eye(DIM, dtype=torch.float64)[:, None].expand(DIM, 3, DIM)
    matrix = (guide.sample(parameters, eye) - zero).permute(1, 2, 0)
    exact = torch.distributions.MultivariateNormal(zero, matrix @ matrix.mT)
    flat = guide.sample(parameters, torch.randn(7, 3, DIM, dtype=torch.float64))
    torch.testing.assert_close(guide.log_density(parameters, flat), exact.log_prob(flat))


def test_low_rank_family_is_diagonal_plus_low_rank() -> None:
    guide = LowRank(DIM, 1)
    torch.manual_seed(0)
    start = guide.start(torch.zeros(DIM, dtype=torch.float64), 0.5)
    parameters = start + 0.3 * torch.randn(start.shape, dtype=torch.float64)
    matrix = guide.sample(parameters, torch.eye(DIM, dtype=torch.float64))
    matrix = matrix - guide.sample(parameters, torch.zeros(DIM, DIM, dtype=torch.float64))
    covariance = matrix.mT @ matrix
    scale = parameters[DIM : 2 * DIM].exp()
    rest = covariance / scale / scale[:, None] - torch.eye(DIM)
    values = torch.linalg.eigvalsh(rest)
    assert values[:-1].abs().max() < 1e-10 < values[-1]


def test_richer_guides_reach_the_exact_evidence() -> None:
    """Correlated loci, no rotation: mean field falls short of log p(y), full rank does not."""
    cohort = simulate("polygenic", individuals=40, loci=4, traits=1, linkage=0.95, seed=0)

    class Fixed(Polygenic):
        rotatable = False

    given = {"trait_scale": torch.tensor([0.8]), "noise_scale": torch.tensor([0.5])}
    data = Scaler.fit(cohort).data(cohort)
    x, e, y = (each.double() for each in (data.genotype, data.environment, data.phenotype))
    covariance = 1 + e @ e.mT / 4 + 0.64 / 4 * x @ x.mT + 0.25 * torch.eye(40)
    normal = torch.distributions.MultivariateNormal(torch.zeros(40).double(), covariance)
    evidence = float(normal.log_prob(y[:, 0]))
    # slack of the best independent normals to a normal of precision P: log(|diag P| / |P|) / 2
    design = torch.cat([torch.ones(40, 1), e, 0.4 * x], 1).double()
    precision = torch.tensor([1.0, 4, 4, 1, 1, 1, 1]).double().diag() + 4 * design.mT @ design
    slack = float(precision.diagonal().log().sum() - precision.logdet()) / 2
    assert slack > 0.5
    elbo = {}
    for kind in ("meanfield", "lowrank", "fullrank"):
        settings = Settings(guide=kind, restarts=1, steps=500, cycles=2)
        everyone = np.ones((1, 40), bool)
        fit = fit_folds(Fixed(), cohort, everyone, settings, 0, False, given)[0]
        assert fit.guide.name == kind
        elbo[kind] = fit.elbo
    assert elbo["fullrank"] == pytest.approx(evidence, abs=0.1)
    assert elbo["lowrank"] == pytest.approx(evidence, abs=0.3)
    assert elbo["meanfield"] == pytest.approx(evidence - slack, abs=0.2)


def test_low_rank_holds_its_own_with_thousands_of_weights() -> None:
    """Steps on the directions do not grow with the number of weights, whatever that is."""
    cohort = simulate("polygenic", individuals=60, loci=25, traits=30, seed=1)
    everyone = np.ones((1, 60), bool)
    fits = [
        fit_folds("polygenic", cohort, everyone, Settings(guide=kind), 0, False)[0]
        for kind in ("meanfield", "lowrank")
    ]
    assert fits[1].flat.dim > 1000
    assert fits[1].converged
    assert fits[1].elbo > fits[0].elbo - 4 * math.hypot(*(fit.elbo_error for fit in fits))


CENTRED = PartlyCentred(TraitBlocks(1 + 12 + 3 + 3, first=1, loci=4, traits=3), 13, 16)
"""4 rows of effects on 3 traits, after one other weight and before scales and correlations."""


def test_partly_centred_density_is_that_of_the_draws() -> None:
    guide = CENTRED
    torch.manual_seed(0)
    location = torch.randn(19, dtype=torch.float64)
    start = guide.start(location, 0.3)
    zero = torch.zeros(19, dtype=torch.float64)
    torch.testing.assert_close(guide.sample(start, zero), location)
    parameters = start + 0.5 * torch.randn(start.shape, dtype=torch.float64)
    noise = torch.randn(19, dtype=torch.float64)
    flat = guide.sample(parameters, noise)
    jacobian = torch.func.jacrev(lambda e: guide.sample(parameters, e))(noise)
    exact = torch.distributions.Normal(zero, 1).log_prob(noise).sum() - jacobian.slogdet()[1]
    torch.testing.assert_close(guide.log_density(parameters, flat), exact)
    many = guide.sample(parameters.expand(2, 3, -1), noise.expand(5, 2, 3, -1))
    torch.testing.assert_close(many[4, 1, 2], flat)
    density = guide.log_density(parameters.expand(2, 3, -1), many)
    torch.testing.assert_close(density, exact.expand(5, 2, 3))


def test_partly_centred_has_both_ends() -> None:
    """With w = 0 it is the inner guide; with w = 1 effects do not depend on how traits mix."""
    guide = CENTRED
    torch.manual_seed(0)
    inner = guide.blocks.start(torch.randn(19, dtype=torch.float64), 0.3)
    noise = torch.randn(19, dtype=torch.float64)
    none = torch.cat([inner, torch.full((4,), -40.0, dtype=torch.float64)])
    torch.testing.assert_close(guide.sample(none, noise), guide.blocks.sample(inner, noise))
    whole = torch.cat([inner, torch.full((4,), 40.0, dtype=torch.float64)])
    noise = noise.expand(2, -1).clone()
    noise[1, 13:] += 1  # other scales and correlations, the same effects
    flat = guide.sample(whole, noise)
    mixing = torch.linalg.inv(guide.inverse(flat))
    effects = flat[:, 1:13].reshape(2, 4, 3) @ mixing
    assert (mixing[0] - mixing[1]).abs().max() > 0.1
    torch.testing.assert_close(effects[0], effects[1])


def test_centring_gains_where_traits_are_many() -> None:
    cohort = simulate("polygenic", individuals=150, loci=60, traits=12, heritability=0.6, seed=1)
    everyone = np.ones((1, 150), bool)
    fits = {
        kind: fit_folds("polygenic", cohort, everyone, Settings(guide=kind), 0, False)[0]
        for kind in ("centred", "meanfield")
    }
    assert fits["centred"].guide.name == "partlycentred"
    assert fits["centred"].converged
    gain = fits["centred"].elbo - fits["meanfield"].elbo
    assert gain > 10 + 4 * math.hypot(*(fit.elbo_error for fit in fits.values()))


def test_blocks_hold_the_weights_of_one_latent_or_one_locus() -> None:
    for guide, within in (
        (LatentBlocks(DIM, first=1, loci=2, latents=2), [(1, 3), (2, 4)]),
        (TraitBlocks(DIM, first=1, loci=2, traits=2), [(1, 2), (3, 4)]),
    ):
        start = guide.start(torch.zeros(DIM))
        start[2 * DIM :] = 1.0
        matrix = guide.sample(start, torch.eye(DIM))
        joint = (matrix.mT @ matrix).fill_diagonal_(0)
        assert sorted(map(tuple, joint.triu().nonzero().tolist())) == within


def test_measured_latents_are_exact_where_traits_are_linear_in_one_latent() -> None:
    """The ELBO is the evidence, although the loci are correlated and none is rotated."""
    cohort = simulate("generative", individuals=30, loci=6, traits=2, linkage=0.9, seed=0)
    model = Generative(decoder="linear", latents=1)
    loadings = torch.tensor([[1.5, -0.7]])
    given = {
        "decoder": loadings, "trait_scale": torch.ones(2), "noise_scale": torch.tensor([0.6, 0.8])
    }  # fmt: skip
    data = Scaler.fit(cohort).data(cohort)._replace(environment=torch.zeros(30, 0))
    flat = FlatModel(model, data.shape, given)
    encoder = next(site for site in flat.sites if site.name == "encoder")
    guide = MeasuredLatents(flat.dim, encoder.start, 6, 1, 30)
    batch = Data(*(table[None, None] for table in data if table is not None))
    optimum = optimise(
        flat, guide.bind(flat, batch), torch.zeros(1, 1, flat.dim), batch, Settings(),
        torch.Generator().manual_seed(0), tqdm(disable=True),
    )  # fmt: skip
    x, y = data.genotype.double(), torch.as_tensor(data.phenotype).double()
    latent = torch.kron(x @ x.mT / 6, (loadings.mT @ loadings).double())
    own = torch.kron(torch.eye(30), torch.tensor([0.6, 0.8]).square().diag()).double()
    mean = torch.kron(torch.ones(30, 30), torch.eye(2)).double()
    normal = torch.distributions.MultivariateNormal(torch.zeros(60).double(), latent + own + mean)
    assert float(optimum.elbo) == pytest.approx(float(normal.log_prob(y.flatten())), abs=0.05)
    precision = guide.bind(flat, data).precision(optimum.parameters[0, 0])
    exact = (loadings / torch.tensor([0.6, 0.8])).square().sum()
    torch.testing.assert_close(precision.mean(), exact, rtol=0.1, atol=0.0)


def test_measured_latents_move_as_the_derivative_of_the_factor_would() -> None:
    """In the mean over draws, for any function of the weights."""
    guide = measured()
    parameters = guide.start(torch.randn(DIM).double(), 0.4)
    parameters = parameters + 0.3 * torch.randn(parameters.shape).double()
    noise, turn = torch.randn(200_000, DIM).double(), torch.randn(DIM, DIM).double()

    def slope(cheap: bool) -> tuple[Tensor, Tensor]:
        """Mean over antithetic draws, and its error."""
        own = parameters.expand(100, -1).clone().requires_grad_()
        parts = noise.view(100, -1, DIM).unbind()
        draws = [
            (guide.draw(one, e)[0] if cheap else guide.sample(one, e))
            for one, e in zip(own.unbind(), parts, strict=True)
        ]
        value = torch.stack([(flat @ turn).sin().sum(-1).mean() for flat in draws]).sum()
        each = torch.autograd.grad(value, own)[0]
        return each.mean(0), each.std(0) / 10

    (ours, error), (exact, other) = slope(True), slope(False)
    assert float(exact[2 * DIM :].abs().max()) > 20 * float(error[2 * DIM :].max())
    assert bool(((ours - exact).abs() <= 5 * (error.square() + other.square()).sqrt()).all())
    flat, density = guide.draw(parameters, noise[:10])
    torch.testing.assert_close(density, guide.log_density(parameters, flat))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Attractor(), "measuredlatents"),
        (Generative(), "measuredlatents"),
        (Generative(decoder="linear"), "meanfield"),
        (Factor(), "meanfield"),
        (Polygenic(), "traitblocks"),
    ],
    ids=["attractor", "generative", "linear", "factor", "polygenic"],
)
def test_which_models_get_blocks(model: Formalization, name: str) -> None:
    assert choose_guide(FlatModel(model, Shape(200, 100, 2, 12))).name == name
    many = choose_guide(FlatModel(model, Shape(4000, 100, 2, 12)))
    assert many.name == ("latentblocks" if name == "measuredlatents" else name)
    wide = choose_guide(FlatModel(model, Shape(200, 4000, 2, 12)))
    assert wide.name == ("meanfield" if name == "measuredlatents" else wide.name)


@pytest.mark.slow
def test_joint_latents_gain_where_latents_switch() -> None:
    cohort = simulate("attractor", individuals=200, loci=100, traits=12, seed=1)
    everyone = np.ones((1, 200), bool)
    settings = {kind: Settings(guide=kind, restarts=3) for kind in ("auto", "meanfield")}
    fits = {
        kind: fit_folds("attractor", cohort, everyone, each, 0, False)[0]
        for kind, each in settings.items()
    }
    gain = fits["auto"].elbo - fits["meanfield"].elbo
    assert gain > 5 + 4 * math.hypot(*(fit.elbo_error for fit in fits.values()))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_weights_that_are_not_finite_give_no_finite_density(guide: Guide) -> None:
    zero = torch.zeros(DIM, dtype=torch.float64)
    parameters = torch.full_like(guide.start(zero), torch.nan)
    assert not guide.log_density(parameters, zero).isfinite()


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="guide must be one of auto, collapsed, meanfield"):
        Settings(guide="diagonal")
    with pytest.raises(ValueError, match="takes at most 724 weights, got 1000"):
        FullRank(1000)
    assert math.isqrt(2**19) == 724
