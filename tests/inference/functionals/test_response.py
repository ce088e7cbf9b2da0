"""Response to selection: Lande's equation against populations, and directions never met."""

import numpy as np
import pytest
import torch

from genomic_code.inference.functionals.covariance import covariance
from genomic_code.inference.functionals.response import (
    directional,
    evolve_population,
    lande,
    selectability,
    stabilising,
    towards,
)
from tests.inference.functionals.maps import additive_map, prior_map, standard_genotype


def test_lande_is_linear_in_time():
    G = np.stack([np.diag([1.0, 2.0]), np.array([[1.0, 0.5], [0.5, 1.0]])])
    change = lande(G, [0.1, 0.2], generations=3)
    assert change.dims == ("draw", "generation", "trait")
    np.testing.assert_allclose(change[0, 3], [0.3, 1.2])
    np.testing.assert_allclose(change[1, 1], [0.2, 0.25])
    np.testing.assert_allclose(change[:, 0], 0)


def test_population_follows_lande_for_one_generation():
    """Many loci, weak selection: the mean changes by G beta, within 4 standard errors."""
    generator = torch.Generator().manual_seed(0)
    effects = torch.randn(8, 40, 3, generator=generator) / 40**0.5
    f = additive_map(effects, standard_genotype(500, 40))
    beta = np.array([0.3, -0.2, 0.0])
    size = 4000
    G = covariance(f.traits()).numpy()
    result = evolve_population(f, directional(beta), generations=1, population=size)
    change = np.diff(result["mean"].values, axis=1)[:, 0]
    predicted = lande(G, beta, 1).values[:, 1]
    error = np.sqrt(np.diagonal(G, axis1=1, axis2=2) / size)
    # the founders' G has a relative error of sqrt(2 / size) of its own
    assert (
        np.abs(change - predicted) < 4 * error + 4 * np.abs(predicted) * (2 / size) ** 0.5
    ).all()


def test_selection_raises_fitness_and_neutrality_does_not():
    f = prior_map("generative", individuals=100, loci=30, draws=4)
    better = evolve_population(f, stabilising(np.full(4, 2.0), 2.0), 8, 300, mutation_rate=0.01)
    assert (better["log_fitness"][:, -1] > better["log_fitness"][:, 0]).all()
    neutral = evolve_population(f, directional(np.zeros(4)), 1, 2000)
    drift = np.abs(np.diff(neutral["mean"].values, axis=1))[:, 0]
    spread = f.traits().double().std(1).numpy()
    # recombination breaks combinations, so a nonlinear mean may move a little
    assert (drift < 0.25 * spread + 4 * spread / 2000**0.5).all()


def test_same_seed_same_population():
    f = prior_map("program")
    runs = [evolve_population(f, directional(np.ones(4)), 2, 30, 0.1, seed=3) for _ in range(2)]
    np.testing.assert_array_equal(runs[0]["mean"], runs[1]["mean"])


def test_towards():
    """K of T dimensions used alike: T/K inside the family, 0 outside."""
    G = np.diag([1.0, 1.0, 0, 0])
    found = towards(G, [[3, 4, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0]])
    np.testing.assert_allclose(found["relative"][0], [2, 0, 1])
    np.testing.assert_allclose(found["cosine"][0], [1, 0, 2**-0.5])
    moved = towards(G, [[3, 4, 0, 0]], start=[3, 4, -1, 0])
    np.testing.assert_allclose(moved["relative"], 0)


def test_selectability():
    matrix = np.array([[3.0, 4.0], [4.0, 6.0]])
    np.testing.assert_allclose(selectability(matrix), [0.6, 6 / 52**0.5])
    np.testing.assert_allclose(selectability(np.diag([1.0, 0.0])), [1, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lande(np.eye(2), [1.0]), "beta must have 2 entries"),
        (lambda: lande(np.eye(2), [1.0, 0], 0), "generations must be at least 1"),
        (lambda: towards(np.zeros((2, 2)), [[1, 0]]), "G must not be zero"),
        (lambda: towards(np.eye(2), [[0, 0]]), "targets - start must not be the zero"),
        (lambda: stabilising([0.0], 0.0), "width must be positive"),
        (lambda: evolve_population(prior_map("null"), directional([1.0]), 0), "generations"),
        (
            lambda: evolve_population(prior_map("null"), directional([1.0]), mutation_rate=2.0),
            "mutation_rate must be from 0 to 1",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
