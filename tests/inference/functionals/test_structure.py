"""Orders of interaction, architecture and robustness: enumeration, limits, symmetries."""

import itertools

import numpy as np
import pytest
import torch

from genomic_code.inference.functionals.architecture import (
    effective_number,
    modularity,
    modules,
    pleiotropy_summary,
    shared_loci,
)
from genomic_code.inference.functionals.covariance import covariance, trace
from genomic_code.inference.functionals.decomposition import orders, sobol
from genomic_code.inference.functionals.jacobian import sensitivity
from genomic_code.inference.functionals.mutations import mutate
from genomic_code.inference.functionals.robustness import (
    canalization,
    mutational_robustness,
    reaction_norms,
)
from genomic_code.spec import Epistatic
from tests.inference.functionals.maps import additive_map, hypercube, prior_map


def enumerated(f):
    """Variance of each order by the Walsh transform over all haploid genotypes, `(L, S, T)`."""
    x = f.genotype.double().numpy()
    y = f.traits().double().numpy()
    found = np.zeros((x.shape[1], y.shape[0], y.shape[2]))
    for order in range(1, x.shape[1] + 1):
        for loci in itertools.combinations(range(x.shape[1]), order):
            found[order - 1] += np.mean(x[:, loci].prod(1)[:, None] * y, axis=1) ** 2
    return found


def test_orders_match_enumeration():
    f = prior_map("generative", loci=7, covariates=0, genotype=hypercube(7))
    exact = enumerated(f)
    total = exact.sum((0, 2))
    shares = orders(f, cubes=4096).shares()
    truth = {
        "additive": exact[0].sum(-1) / total,
        "pairwise": exact[1].sum(-1) / total,
        "higher": exact[2:].sum((0, 2)) / total,
    }
    for name, value in truth.items():
        np.testing.assert_allclose(shares[name], value, atol=4 * 0.5 / 4096**0.5)
    assert sum(shares.values()) == pytest.approx(1)


def test_additive_map_has_no_interaction():
    f = additive_map(torch.randn(2, 9, 3), torch.randn(50, 9))
    shares = orders(f, cubes=64).shares()
    np.testing.assert_allclose(shares["additive"], 1, atol=1e-10)


def test_product_of_two_loci_is_pairwise():
    model = Epistatic()
    genotype = hypercube(5)
    f = prior_map(model, loci=5, covariates=0, traits=1, draws=1, genotype=genotype)
    weights = {name: torch.zeros_like(value) for name, value in f.weights.items()}
    weights["pair_effects"][:, 0] = 1.0
    shares = orders(type(f)(model, weights, genotype, f.environment), cubes=4096).shares()
    # a fifth of the cubes tells: both loci differ (1/4) and lie in different blocks (4/5)
    error = (4 / 4096) ** 0.5
    assert shares["pairwise"][0] == pytest.approx(1, abs=4 * error)


def test_orders_without_variance_are_absent():
    assert orders(prior_map("null"), cubes=8).shares() == {}


def test_sobol_indices_of_an_additive_map():
    pytest.importorskip("SALib")
    effects = torch.tensor([[[1.0], [2.0], [3.0]]])
    f = additive_map(effects, hypercube(3))
    found = sobol(f, samples=512)
    np.testing.assert_allclose(found["first"][0, :, 0], np.array([1, 4, 9]) / 14, atol=0.05)
    grouped = sobol(f, groups=["a", "a", "b"], samples=512)
    assert grouped["groups"].tolist() == ["a", "b"]
    np.testing.assert_allclose(grouped["total"][0, :, 0], [5 / 14, 9 / 14], atol=0.05)
    with pytest.raises(ValueError, match="power of two"):
        sobol(f, samples=100)
    with pytest.raises(ValueError, match="each of 3 loci"):
        sobol(f, groups=["a"])


def test_effective_numbers():
    squares = torch.tensor([[[1.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]])
    assert effective_number(squares, -1).tolist() == [[2, 1, 0]]
    assert pleiotropy_summary(squares).item() == pytest.approx((2 * 2 + 1) / 3)


def test_modules_of_a_modular_map():
    squares = torch.zeros(1, 6, 6)
    squares[0, :3, :3] = 1
    squares[0, 3:, 3:] = 1
    shared = shared_loci(squares).numpy()
    label = modules(shared[0])
    assert label.tolist() == [0, 0, 0, 1, 1, 1]
    assert modularity(shared, label)[0] == pytest.approx(0.5)
    assert modularity(shared, np.zeros(6, int))[0] == pytest.approx(0)
    assert modularity(np.zeros((3, 3)), np.arange(3)) == 0


def test_robustness_of_equal_loci():
    """One flip of one of L equal haploid loci: 4 b^2 of 2 L b^2."""
    f = additive_map(torch.full((2, 8, 1), 0.3), hypercube(8))
    n = len(f.genotype)
    variance = trace(covariance(f.traits())) * (n - 1) / n
    found = mutational_robustness(mutate(f, 2.0), variance)
    np.testing.assert_allclose(found, 1 - 4 / (2 * 8), rtol=1e-5)


def test_additive_maps_are_not_canalized():
    f = additive_map(torch.randn(2, 5, 3), torch.randn(30, 5))
    np.testing.assert_allclose(canalization(sensitivity(f).traces), 0, atol=1e-5)
    assert (canalization(sensitivity(prior_map("generative")).traces) > 0.1).all()


def test_reaction_norms_of_additive_environments():
    f = prior_map("polygenic", individuals=800, covariates=2)
    norms = reaction_norms(f, 400, 400)
    effect = f.weights["environment_effect"].double()
    np.testing.assert_allclose(norms.interaction, 0, atol=1e-9)
    e = f.environment.double()
    centred = e - e.mean(0)
    exact = effect.mT @ (centred.mT @ centred / (len(e) - 1)) @ effect
    # 400 of 800 environments: the error of a variance is sqrt(2 / 400), and half of it is left
    np.testing.assert_allclose(norms.environment, exact.diagonal(dim1=1, dim2=2), rtol=0.25)
    assert sum(norms.shares().values()).numpy() == pytest.approx(1)
    with pytest.raises(ValueError, match="has none"):
        reaction_norms(prior_map("polygenic", covariates=0))


def test_conditional_development_has_interaction():
    shares = reaction_norms(prior_map("conditional")).shares()
    assert (shares["interaction_share"] > 0.001).all()
