"""correspondence(): it accepts the regime where theory is exact, and refuses where it is not."""

import matplotlib as mpl
import numpy as np
import pytest
import torch

from genomic_code.inference.correspondence import correspondence
from genomic_code.inference.dynamics import GenotypeSpace, Replicator
from genomic_code.inference.genome import AlleleGenome
from genomic_code.inference.laws import metropolis, quasispecies, total_variation
from genomic_code.inference.niche import Niche
from genomic_code.inference.regime import Regime
from genomic_code.spec import Generative
from genomic_code.spec.protocols import Shape

mpl.use("Agg")


@pytest.fixture
def genome() -> AlleleGenome:
    torch.manual_seed(1)
    model = Generative(latents=2, hidden=6)
    return AlleleGenome(model, model.weights(Shape(5, 3, 0, 2)), 3, torch.tensor([0.5, 0.4, 0.6]))


@pytest.fixture
def niche() -> Niche:
    return Niche([0.5, -0.5], width=4.0)


def test_rare_mutation_is_accepted_and_frequent_mutation_refused(
    genome: AlleleGenome, niche: Niche
) -> None:
    common = {"population_size": 20, "replicates": 300, "seed": 1}
    rare = correspondence(genome, niche, mutation_rate=0.0005, **common)
    assert rare.allowed
    assert rare.distance < 0.03 + 3 * rare.error
    assert "may stand in for evolution here" in rare.verdict
    assert rare.nu == 38
    strong = Niche(niche.target, width=1.0)
    often = correspondence(genome, strong, mutation_rate=0.1, **common)
    assert not often.allowed
    assert often.effective_nu < 0.5 * often.nu
    assert often.retempered < often.distance
    assert "must not stand in" in often.verdict
    assert often.regime.mutation_supply == pytest.approx(20 * 0.1 * (1 + 0.96 + 0.96), rel=1e-3)
    for result in (rare, often):
        ax = result.plot()
        assert ax.get_xlabel() == "generation"
        for law in ("inference", "evolution"):
            assert float(result.laws[law].sum()) == pytest.approx(1, abs=1e-6)
    mpl.pyplot.close("all")


def test_many_loci_are_compared_by_trait_moments() -> None:
    torch.manual_seed(2)
    model = Generative()
    genome = AlleleGenome(model, model.weights(Shape(5, 12, 0, 2)), 12)
    result = correspondence(
        genome, Niche([0.5, 0.5], width=4.0), population_size=10, mutation_rate=0.01,
        replicates=100,
    )  # fmt: skip
    assert result.metric == "trait moments"
    assert result.laws.sizes["statistic"] == 2
    assert np.isfinite(result.distance)
    result.plot()
    mpl.pyplot.close("all")


def test_too_few_replicates_leave_it_undecided(genome: AlleleGenome, niche: Niche) -> None:
    result = correspondence(
        genome, niche, population_size=10, mutation_rate=0.01, replicates=10, tolerance=0.01
    )
    assert not result.decided
    assert not result.allowed
    assert "cannot be told here" in result.verdict
    assert "more replicates" in result.verdict


def test_a_formalization_is_not_a_genome(niche: Niche) -> None:
    with pytest.raises(ValueError, match=r"genome must be an AlleleGenome, got str"):
        correspondence("generative", niche, population_size=9, mutation_rate=0.1)  # type: ignore[arg-type]


def test_short_burn_in_is_refused(genome: AlleleGenome, niche: Niche) -> None:
    with pytest.raises(ValueError, match=r"burn_in must be at least 6 / mutation_rate = 600"):
        correspondence(genome, niche, population_size=10, mutation_rate=0.01, burn_in=100)
    with pytest.raises(ValueError, match="mutation_rate must be positive, got 0"):
        correspondence(genome, niche, population_size=10, mutation_rate=0)
    with pytest.raises(ValueError, match="replicates must be at least 10"):
        correspondence(genome, niche, population_size=10, mutation_rate=0.1, replicates=1)


def test_metropolis_samples_the_tempered_posterior(genome: AlleleGenome, niche: Niche) -> None:
    space = GenotypeSpace.hypercube(genome)
    expected = (space.log_prior + 20 * space.log_fitness(niche)).softmax(0)
    alleles = metropolis(genome, niche, 20.0, 20_000, seed=0, sweeps=30)
    codes = (alleles * 2 ** torch.arange(3)).sum(1).long()
    share = torch.bincount(codes, minlength=8) / 20_000
    error = (expected * (1 - expected) / 20_000).sqrt()
    assert ((share - expected).abs() < 4 * error + 1e-4).all()


def test_quasispecies_is_where_the_replicator_mutator_rests(
    genome: AlleleGenome, niche: Niche
) -> None:
    space = GenotypeSpace.hypercube(genome)
    rule = Replicator(space, 0.05)
    state = rule.start()
    for _ in range(2000):
        state = rule.step(state, niche)
    after_mutation = state.log_frequency.exp() @ space.mutation(0.05)
    assert total_variation(quasispecies(space, niche, 0.05), after_mutation.numpy()) < 1e-10


@pytest.mark.parametrize(
    ("rate", "text"),
    [(1e-4, "rare enough"), (1e-3, "a fifth of nu"), (1e-2, "too many"), (0.1, "quasispecies")],
)
def test_regimes_are_told_apart(rate: float, text: str) -> None:
    regime = Regime(100, rate, 1.0, 0.5)
    assert text in regime.expectation
    assert regime.lande_over_elbo == 0.5
    assert ("linkage equilibrium" in regime.expectation) == (rate >= 1e-2)
