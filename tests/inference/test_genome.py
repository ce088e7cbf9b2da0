"""Genomes: vectors with a prior and a development."""

import pytest
import torch

from genomic_code.inference.evolve import prior_draw
from genomic_code.inference.genome import AlleleGenome, TraitGenome, WeightGenome, log_fitness
from genomic_code.inference.niche import Niche
from genomic_code.spec import Blueprint, Generative, Polygenic
from genomic_code.spec.priors import Dense
from genomic_code.spec.protocols import Shape


def test_weights_and_alleles_are_one_vector() -> None:
    niche = Niche(torch.zeros(3, 2))
    genome = WeightGenome(Generative(latents=2, hidden=4), niche, loci=5)
    vectors = torch.randn(6, genome.size)
    weights, alleles = genome.weights(vectors)
    assert alleles is not None
    assert alleles.shape == (6, 3, 5)
    torch.testing.assert_close(vectors[:, genome.slice("alleles")].reshape(6, 3, 5), alleles)
    expected = genome.formalization.develop(weights, alleles, torch.zeros(3, 0))
    torch.testing.assert_close(genome.traits(vectors, niche), expected)


def test_a_batch_of_genomes_develops_as_each_alone() -> None:
    niche = Niche(torch.zeros(3, 2), genotype=torch.randn(3, 5), environment=torch.randn(3, 1))
    genome = WeightGenome(Blueprint(), niche, loci=5)
    vectors = torch.stack([prior_draw(genome, seed) for seed in range(4)])
    together = log_fitness(genome, vectors, niche)
    alone = torch.stack([log_fitness(genome, vector, niche) for vector in vectors])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    prior = torch.stack([genome.log_prior(vector) for vector in vectors])
    torch.testing.assert_close(genome.log_prior(vectors), prior, rtol=1e-4, atol=1e-3)


def test_fixed_sites_do_not_evolve() -> None:
    niche = Niche(torch.zeros(1, 3))
    effects = torch.randn(6, 3)
    model = Blueprint(prior={"effects": Dense()})
    genome = WeightGenome(model, niche, 6, {"effects": effects})
    assert genome.size == 3 + 6
    assert {site.name for site in genome.flat.sites} == {"mean", "alleles"}
    weights, _ = genome.weights(torch.zeros(4, 9))
    torch.testing.assert_close(weights["effects"], effects)
    normal = torch.distributions.Normal(0.0, 1.0)
    vector = torch.randn(9)
    torch.testing.assert_close(genome.log_prior(vector), normal.log_prob(vector).sum())


def test_alleles_are_standardised_at_neutral_equilibrium() -> None:
    bias = torch.tensor([0.5, 0.1, 0.7])
    weights = {"mean": torch.zeros(1), "effects": torch.eye(3)[:, :1]}
    genome = AlleleGenome(Polygenic(), weights, 3, bias)
    alleles = (torch.rand(200_000, 3) < bias).float()
    standard = genome.standardized(alleles)
    assert standard.mean(0).abs().max() < 4 / 200_000**0.5
    torch.testing.assert_close(standard.std(0), torch.ones(3), atol=0.01, rtol=0)
    expected = torch.distributions.Bernoulli(bias).log_prob(alleles[:50]).sum(1)
    torch.testing.assert_close(genome.log_prior(alleles[:50]), expected)


def test_environments_reach_development() -> None:
    shape = Shape(4, 3, 2, 2)
    model = Polygenic()
    weights = model.weights(shape)
    niche = Niche(torch.zeros(5, 2), environment=torch.randn(5, 2))
    genome = AlleleGenome(model, weights, 3)
    alleles = torch.randint(0, 2, (7, 3)).float()
    traits = genome.traits(alleles, niche)
    for row in range(5):
        surroundings = niche.environment[row].expand(7, 2)
        alone = model.develop(weights, genome.standardized(alleles), surroundings)
        torch.testing.assert_close(traits[:, row], alone)


def test_breeding_values_are_their_own_traits() -> None:
    values = torch.randn(5, 3)
    traits = TraitGenome(3).traits(values, Niche(torch.zeros(2, 3)))
    assert (traits == values[:, None]).all()


def test_what_does_not_fit_is_refused() -> None:
    niche = Niche(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="loci must be an integer of at least 1, got 0"):
        WeightGenome(Generative(), niche, 0)
    with pytest.raises(ValueError, match="fixed must name sites of generative"):
        WeightGenome(Generative(), niche, 4, {"effects": torch.zeros(4, 3)})
    genome = WeightGenome(Generative(), niche, 4)
    with pytest.raises(ValueError, match=r"niche must have .* \(2, 0, 3\).*got \(1, 0, 3\)"):
        genome.traits(torch.zeros(genome.size), Niche(torch.zeros(1, 3)))
    with pytest.raises(ValueError, match="site must be one of"):
        genome.slice("nothing")


def test_development_that_diverges_is_refused() -> None:
    niche = Niche([0.0])
    with pytest.raises(FloatingPointError, match="not a number for 1 genomes"):
        log_fitness(TraitGenome(1), torch.tensor([[0.0], [float("nan")]]), niche)


@pytest.mark.parametrize("genome", [TraitGenome(2), None])
def test_a_niche_that_imposes_a_genotype_is_refused_where_the_genome_evolves(
    genome: TraitGenome | None,
) -> None:
    weights = {"mean": torch.zeros(2), "effects": torch.ones(3, 2)}
    alleles = genome or AlleleGenome(Polygenic(), weights, 3)
    niche = Niche([0.0, 0.0], genotype=torch.zeros(1, 3), name="lab")
    with pytest.raises(ValueError, match="niche 'lab' must not impose a genotype"):
        alleles.traits(torch.zeros(5, alleles.size), niche)


def test_environments_must_be_those_of_the_weights() -> None:
    weights = {
        "mean": torch.zeros(2), "effects": torch.ones(3, 2), "environment_effect": torch.ones(1, 2)
    }  # fmt: skip
    genome = AlleleGenome(Polygenic(), weights, 3)
    assert genome.traits(torch.zeros(4, 3), Niche([0.0] * 2, environment=[1.0])).shape == (4, 1, 2)
    with pytest.raises(ValueError, match=r"niche must have 1 environments .* got 0"):
        genome.traits(torch.zeros(4, 3), Niche([0.0, 0.0]))


def test_genomes_are_drawn_from_the_prior() -> None:
    niche = Niche([0.0, 0.0], environment=[1.0])
    one, two, other = (AlleleGenome.draw("generative", niche, 4, seed=s) for s in (1, 1, 2))
    alleles = torch.ones(3, 4)
    torch.testing.assert_close(one.traits(alleles, niche), two.traits(alleles, niche))
    assert one.traits(alleles, niche).shape == (3, 1, 2)
    assert (one.traits(alleles, niche) != other.traits(alleles, niche)).any()
