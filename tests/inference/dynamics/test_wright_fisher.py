"""The individual-based simulator against theory, within four standard errors; packed alleles."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from genomic_code.inference.dynamics import Drift, WrightFisher, binomial_fixation
from genomic_code.inference.dynamics.bits import (
    crossover,
    flat_positions,
    pack,
    sample_parents,
    unpack,
)
from genomic_code.inference.dynamics.wright_fisher import Haploids
from genomic_code.inference.genome import AlleleGenome
from genomic_code.inference.niche import Directional, Niche
from genomic_code.spec import Generative, Polygenic
from genomic_code.spec.protocols import Shape


def additive(effects: list[float], bias: float = 0.5) -> AlleleGenome:
    """Loci whose allele 1 adds `effects` to one trait, up to a constant."""
    scale = (bias * (1 - bias)) ** 0.5
    weights = {"mean": torch.zeros(1), "effects": scale * torch.tensor(effects)[:, None]}
    return AlleleGenome(Polygenic(), weights, len(effects), bias)


def standard_errors(values: np.ndarray, expected: float) -> float:
    """How many standard errors the mean of independent values is off."""
    error = values.std(ddof=1) / len(values) ** 0.5
    return float((values.mean() - expected) / error)


NEUTRAL = Directional([0.0])


@pytest.mark.parametrize("loci", [1, 63, 64, 65, 130])
def test_packing_is_undone_by_unpacking(loci: int) -> None:
    alleles = np.random.default_rng(0).integers(0, 2, (3, 5, loci), dtype=np.uint8)
    np.testing.assert_array_equal(unpack(pack(alleles), loci), alleles)


@pytest.mark.parametrize("recombination", [0.004, 0.1, 0.5])
def test_crossovers_happen_at_their_rate(recombination: float) -> None:
    rng = np.random.default_rng(1)
    mask = unpack(crossover((4000,), 130, recombination, rng), 130).astype(bool)
    switches = (mask[:, 1:] != mask[:, :-1]).mean(1)
    assert abs(standard_errors(switches, recombination)) < 4
    boundary = (mask[:, 64] != mask[:, 63]).astype(float)
    assert abs(standard_errors(boundary, recombination)) < 4
    assert abs(standard_errors(mask[:, 100].astype(float), 0.5)) < 4


@pytest.mark.parametrize("chance", [0.0, 0.001, 0.3])
def test_events_are_independent_and_at_their_rate(chance: float) -> None:
    rng = np.random.default_rng(2)
    counts = np.array([len(flat_positions(1000, chance, rng)) for _ in range(2000)])
    if not chance:
        assert not counts.any()
        return
    assert abs(standard_errors(counts, 1000 * chance)) < 4
    assert counts.var() == pytest.approx(1000 * chance * (1 - chance), rel=0.2)


def test_parents_are_drawn_in_proportion_to_fitness_however_small() -> None:
    fitness = np.tile(np.log([1.0, 2.0, 5.0]) - 1e5, (40_000, 1))
    parents = sample_parents(fitness, np.random.default_rng(3))
    for parent, share in enumerate([1 / 8, 2 / 8, 5 / 8]):
        assert abs(standard_errors((parents == parent).mean(1), share)) < 4


def test_neutral_heterozygosity_decays_by_one_over_n() -> None:
    rule = WrightFisher(additive([0.0] * 64), 50)
    state = rule.start(replicates=400, seed=1)
    before = state.alleles.mean(1)
    for _ in range(40):
        state = rule.step(state, NEUTRAL)
    after = state.alleles.mean(1)
    start, end = (2 * p * (1 - p) for p in (before, after))
    assert abs(standard_errors((end - start * (1 - 1 / 50) ** 40).mean(1), 0.0)) < 4


@pytest.mark.parametrize("s", [-0.02, 0.0, 0.05, 0.15])
def test_mutants_fix_as_kimura_says(s: float) -> None:
    size, replicates = 40, 20_000
    rule = WrightFisher(additive([s]), size)
    alleles = np.zeros((replicates, size, 1), np.uint8)
    alleles[:, 0] = 1
    state = Haploids(pack(alleles), 1, seed=7)
    niche = Directional([1.0])
    fixed, running = 0, state
    while len(running.words):
        running = rule.step(running, niche)
        count = running.alleles.sum((1, 2))
        fixed += int((count == size).sum())
        running = replace(running, words=running.words[(count > 0) & (count < size)])
    share = np.arange(replicates) < fixed
    exact = binomial_fixation(s, size)
    assert abs(standard_errors(share.astype(float), exact)) < 4
    kimura = float(Drift(size).fixation(torch.tensor(s, dtype=torch.float64)))
    assert kimura == pytest.approx(exact, rel=0.02 + 2 * abs(s))


def test_deleterious_alleles_rest_at_mutation_selection_balance() -> None:
    s, rate, loci = 0.1, 0.002, 40
    rule = WrightFisher(additive([-s] * loci), 2000, rate, recombination=0.5)
    state = rule.start(replicates=8, seed=2, frequency=rate / s)
    niche, seen = Directional([1.0]), []
    for generation in range(400):
        state = rule.step(state, niche)
        if generation >= 100:
            seen.append(state.alleles.mean((1, 2)))
    survive = np.exp(-s)
    # A locus alone: p -> p e^-s / (1 - p + p e^-s), then mutation both ways at `rate`.
    p = rate / s
    for _ in range(2000):
        p = p * survive / (1 - p + p * survive)
        p = p * (1 - rate) + (1 - p) * rate
    assert abs(standard_errors(np.mean(seen, 0), p)) < 4


def test_mutation_alone_rests_at_the_bias() -> None:
    rule = WrightFisher(additive([0.0] * 100, bias=0.2), 100, mutation_rate=0.02)
    state = rule.start(replicates=20, seed=3, frequency=0.9)
    for _ in range(300):
        state = rule.step(state, NEUTRAL)
    assert abs(standard_errors(state.alleles.mean((1, 2)), 0.2)) < 4


def test_many_loci_develop_as_the_formalization_says() -> None:
    torch.manual_seed(0)
    model = Generative()
    genome = AlleleGenome(model, model.weights(Shape(5, 200, 0, 3)), 200)
    rule = WrightFisher(genome, 30)
    state = rule.start(replicates=2, seed=4)
    niche = Niche([1.0, 0.0, -1.0])
    alleles = torch.tensor(state.alleles).float()
    traits = model.develop(genome.weights, 2 * alleles - 1, torch.zeros(2, 30, 0))
    expected = niche.log_fitness(traits[:, :, None])
    np.testing.assert_allclose(rule.log_fitness(state, niche), expected, rtol=1e-4, atol=1e-5)


def test_steps_are_reproducible_and_leave_the_state_alone() -> None:
    rule = WrightFisher(additive([0.1] * 70), 30, 0.01, 0.1)
    state, niche = rule.start(seed=5), Directional([1.0])
    before = state.words.copy()
    one, two = rule.step(state, niche), rule.step(state, niche)
    np.testing.assert_array_equal(one.words, two.words)
    np.testing.assert_array_equal(state.words, before)
    other = rule.step(rule.start(seed=6), niche)
    assert (one.words != other.words).any()


def test_clones_stay_what_they_are_and_others_are_bred() -> None:
    rule = WrightFisher(additive([0.1] * 70), 30, recombination=0.5)
    mixed = rule.start(seed=5)
    clone = np.repeat(mixed.words[:, :1], 30, axis=1)
    state = Haploids(np.concatenate([clone, mixed.words]), 70, seed=1)
    after = rule.step(state, Directional([1.0]))
    np.testing.assert_array_equal(after.words[0], clone[0])
    assert (after.words[1] != mixed.words[0]).any()


@pytest.mark.parametrize("size", [0, -3, 2.5])
def test_bad_population_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"population_size must be an integer.*got {size}"):
        WrightFisher(additive([0.1]), size)
    with pytest.raises(ValueError, match="population_size"):
        Drift(size)


def test_bad_rates_and_starts_are_refused() -> None:
    genome = additive([0.1])
    with pytest.raises(ValueError, match=r"mutation_rate must be between 0 and 0.5, got 0.7"):
        WrightFisher(genome, 10, 0.7)
    with pytest.raises(ValueError, match=r"recombination must be between 0 and 0.5, got -0.1"):
        WrightFisher(genome, 10, recombination=-0.1)
    with pytest.raises(ValueError, match="frequency must be between 0 and 1"):
        WrightFisher(genome, 10).start(frequency=1.5)
    with pytest.raises(ValueError, match=r"bias must be .* strictly between 0 and 1"):
        AlleleGenome(Polygenic(), genome.weights, 1, bias=1.0)
    with pytest.raises(ValueError, match="weights must be those of 3 loci"):
        AlleleGenome(Polygenic(), genome.weights, 3)


def test_a_population_without_fitness_is_refused() -> None:
    with pytest.raises(ValueError, match="positive, finite fitness; none has it"):
        sample_parents(np.full((1, 4), -np.inf), np.random.default_rng(0))
