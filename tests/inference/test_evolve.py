"""evolve() and Lineage: against closed forms, and round trips."""

import math
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch

from genomic_code.inference.dynamics import Drift, Replicator, run
from genomic_code.inference.dynamics.space import GenotypeSpace
from genomic_code.inference.evolve import (
    FreeFitness,
    MeanFieldPopulation,
    bounded,
    evolve,
    prior_draw,
)
from genomic_code.inference.genome import AlleleGenome, WeightGenome
from genomic_code.inference.lineage import Lineage
from genomic_code.inference.niche import Niche
from genomic_code.inference.schedule import Schedule
from genomic_code.spec import Generative, Null, Polygenic
from genomic_code.spec.noise import Normal

mpl.use("Agg")


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
def test_a_step_is_bayes_rule_with_relaxation_for_quadratic_log_fitness() -> None:
    """The null formalization has only a mean per trait: log fitness is quadratic in the genome."""
    niche = Niche([[0.7, -1.2]], width=torch.tensor([0.8, 1.5]), genotype=torch.zeros(1, 1))
    genome = WeightGenome(Null(), niche, 1)
    rule = FreeFitness(genome, Drift(6), draws=20_000)
    state = MeanFieldPopulation(torch.tensor([0.3, 0.2]), torch.tensor([1.4, 2.0]))
    after = rule.step(state, niche)
    strength = 1 / torch.tensor([0.8, 1.5]) ** 2
    rate = 1 / 10
    precision = (1 - rate) * state.precision + rate + strength
    natural = (1 - rate) * state.precision * state.location + strength * niche.target[0]
    # The curvature is estimated from draws: its relative error is about sqrt(2 / 20,000).
    torch.testing.assert_close(after.precision, precision, rtol=0.04, atol=0)
    torch.testing.assert_close(after.location, natural / precision, rtol=0.04, atol=0.02)


@pytest.mark.parametrize(("process", "nu"), [("moran", 19), ("wright_fisher", 38)])
def test_evolution_rests_at_the_tempered_posterior(process: str, nu: float) -> None:
    niche = Niche([[0.7, -1.2]], width=2.0, genotype=torch.zeros(1, 1))
    lineage = evolve(Null(), niche, 20, 400, process=process, draws=512, record_every=100)  # type: ignore[arg-type]
    last = lineage.dataset.isel(generation=slice(-1, None)).mean("generation")
    precision = 1 + nu / 4
    np.testing.assert_allclose(last["scale"], precision**-0.5, rtol=0.05)
    expected = np.array([0.7, -1.2]) * nu / 4 / precision
    np.testing.assert_allclose(last["location"], expected, atol=0.05)
    nats = 0.5 * (2 / precision - 2 + 2 * math.log(precision) + (expected**2).sum())
    assert float(last["information"]) == pytest.approx(nats / math.log(2), rel=0.05)
    assert lineage.dataset.attrs["nu"] == nu


def test_slower_weights_move_less_and_alleles_as_before() -> None:
    niche = Niche(torch.ones(1, 3))
    genome = WeightGenome(Generative(latents=2, hidden=4), niche, 6)
    start = MeanFieldPopulation(prior_draw(genome, 0, 0.3), torch.full((genome.size,), 100.0))
    even, slow = (FreeFitness(genome, Drift(5000), weight_rate=rate) for rate in (1.0, 0.1))
    fast_move, slow_move = (rule.step(start, niche).location - start.location
                            for rule in (even, slow))  # fmt: skip
    alleles = genome.slice("alleles")
    torch.testing.assert_close(slow_move[alleles], fast_move[alleles])
    weights = torch.ones(genome.size, dtype=torch.bool)
    weights[alleles] = False
    # A tenth but for the change of precision within the step.
    torch.testing.assert_close(slow_move[weights], fast_move[weights] / 10, atol=1e-6, rtol=0.2)
    with pytest.raises(ValueError, match="weight_rate must be 1 where the niche imposes"):
        evolve("null", Niche([0.0], genotype=torch.zeros(1, 2)), 9, 2, weight_rate=0.5)


def test_a_generation_writes_at_most_log_n_nats() -> None:
    state = MeanFieldPopulation(torch.zeros(30), torch.ones(30))
    slope, curvature = 1e4 * torch.randn(30), 1e5 * torch.randn(30)
    location, precision = bounded(state, curvature, slope, 0.5, math.log(200))
    start = torch.distributions.Normal(torch.zeros(30), 1.0)
    end = torch.distributions.Normal(location, precision.rsqrt())
    nats = float(torch.distributions.kl_divergence(end, start).sum())
    assert 0 < nats <= math.log(200) * (1 + 1e-5)
    assert (precision > 0).all()


def test_free_fitness_of_a_genome_rises_in_a_fixed_niche() -> None:
    target = torch.tensor([[1.0, 1.0, -1.0, -1.0], [-1.0, -1.0, 1.0, 1.0]])
    lineage = evolve(Generative(latents=2, hidden=6), Niche(target), 50, 200, 1, loci=8)
    data = lineage.dataset
    free = data["free_fitness"].values
    assert free[0] / 2 < free[-1] < 0  # the log fitness is at most 0
    assert free[-20:].mean() > free[90:110].mean()
    assert data["expected_log_fitness"][-1] > -5
    assert len(lineage) == 201
    for name in ("G", "M"):
        values = data[name].values
        np.testing.assert_allclose(values, np.swapaxes(values, 1, 2), rtol=1e-3, atol=1e-5)
        assert np.linalg.eigvalsh(values).min() > -1e-3
    assert (data["log_mean_fitness"] >= data["expected_log_fitness"] - 1e-5).all()


def test_mutational_covariance_of_an_additive_genome_is_that_of_its_effects() -> None:
    niche = Niche(torch.zeros(1, 2))
    scale = {"trait_scale": torch.ones(2), "trait_correlation": torch.eye(2)}
    effects = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    lineage = evolve(
        Polygenic(), niche, 20, 1, loci=9, fixed={"effects": effects, **scale}, draws=20_000
    )
    expected = effects.mT @ effects / 9 + torch.eye(2)  # alleles, and the mean itself
    np.testing.assert_allclose(lineage.dataset["M"][-1], expected, rtol=0.1, atol=0.05)


def test_same_seed_same_lineage() -> None:
    niche = Niche(torch.ones(1, 2))
    one, two, three = (evolve("generative", niche, 20, 5, seed, loci=4) for seed in (3, 3, 4))
    assert one.dataset.identical(two.dataset)
    assert not one.dataset.identical(three.dataset)


def test_lineages_survive_saving(tmp_path: Path) -> None:
    niches = Schedule((Niche(torch.ones(2, 3)), Niche(-torch.ones(2, 3), 0.7, name="b")), 3)
    model = Generative(latents=2, hidden=5)
    fixed = {"mean": torch.full((3,), 0.25)}
    lineage = evolve(model, niches, 30, 8, 2, loci=4, fixed=fixed)
    loaded = Lineage.load(lineage.save(tmp_path / "lineage"))
    assert loaded.dataset.identical(lineage.dataset)
    assert loaded.formalization == model
    for name, values in lineage.weights(5, seed=1).items():
        torch.testing.assert_close(loaded.weights(5, seed=1)[name], values)
    torch.testing.assert_close(lineage.weights(5)["mean"], torch.full((3,), 0.25))
    assert loaded.data.phenotype is not None
    assert loaded.data.genotype.shape == (2, 4)
    assert list(lineage.dataset["niche"].values[[0, 2, 3, 6]]) == ["niche", "niche", "b", "niche"]


def test_lineages_of_populations_survive_saving(tmp_path: Path) -> None:
    weights = {"mean": torch.zeros(1), "effects": torch.ones(3, 1)}
    space = GenotypeSpace.hypercube(AlleleGenome(Polygenic(), weights, 3))
    rule = Replicator(space, 0.01)
    _, lineage = run(rule, rule.start(), Niche([1.0]), 4)
    assert Lineage.load(lineage.save(tmp_path / "r")).dataset.identical(lineage.dataset)
    with pytest.raises(ValueError, match="lineage must be one of genomic weights"):
        lineage.weights(3)


def test_lineages_are_drawn() -> None:
    lineage = evolve("factor", Niche(torch.ones(1, 3)), 20, 4, loci=4)
    for name in ("information", "free_fitness", "G", "mean_trait"):
        ax = lineage.plot(name)
        assert ax.get_xlabel() == "generation"
    assert "bits" in lineage.plot("information").get_ylabel()
    for name in ("height", "niche"):
        with pytest.raises(ValueError, match="variable must be one of location"):
            lineage.plot(name)
    niches = Schedule((Niche(torch.ones(1, 3)), Niche(-torch.ones(1, 3), name="other")), 2)
    ax = evolve("factor", niches, 20, 4, loci=4).plot()
    assert ax.get_xlabel() == "generation (dotted: switch of niche)"
    assert "nats" in ax.get_ylabel()
    mpl.pyplot.close("all")


def test_own_priors_and_noise_are_saved(tmp_path: Path) -> None:
    lineage = evolve(Polygenic(noise=Normal()), Niche(torch.ones(1, 2)), 10, 2, loci=3)
    assert Lineage.load(lineage.save(tmp_path / "x")).formalization == Polygenic(noise=Normal())


@pytest.mark.parametrize("size", [0, -5, 1, 2.5])
def test_bad_population_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"population_size must be .*at least"):
        evolve("null", Niche([0.0]), size, 5)


def test_bad_arguments_are_refused() -> None:
    niche = Niche([0.0])
    with pytest.raises(ValueError, match="generations must be an integer of at least 1, got 0"):
        evolve("null", niche, 10, 0)
    with pytest.raises(ValueError, match="generations must be at least 11"):
        evolve("null", Schedule((niche, Niche([1.0])), 10), 10, 5)
    with pytest.raises(ValueError, match="start must be one of ancestor, neutral"):
        evolve("null", niche, 10, 5, start="adam")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"rate must be in \(0, 1\], got 2"):
        evolve("null", niche, 10, 5, rate=2.0)
    with pytest.raises(ValueError, match="draws must be even, got 3"):
        evolve("null", niche, 10, 5, draws=3)
    with pytest.raises(ValueError, match="formalization must be one of"):
        evolve("nothing", niche, 10, 5)
    with pytest.raises(ValueError, match="process must be one of moran, wright_fisher"):
        evolve("null", niche, 10, 5, process="fisher")  # type: ignore[arg-type]


def test_prior_draws_have_the_prior() -> None:
    genome = WeightGenome(Null(), Niche(torch.zeros(1, 4)), 2)
    draws = torch.stack([prior_draw(genome, seed) for seed in range(500)])
    assert draws.mean().abs() < 4 / draws.numel() ** 0.5
    assert float(draws.std()) == pytest.approx(1, abs=0.07)
