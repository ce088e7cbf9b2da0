"""The map, its Jacobian, and covariances derived from both."""

import numpy as np
import pytest
import torch

from genomic_code.inference.functionals.covariance import (
    additive_least_squares,
    additive_stein,
    covariance,
    phenotypic,
    trace,
)
from genomic_code.inference.functionals.jacobian import jacobian, sensitivity
from genomic_code.inference.functionals.mutations import allele_step, mutate
from genomic_code.spec import FORMALIZATIONS
from tests.inference.functionals.maps import additive_map, hypercube, prior_map, standard_genotype

ANY_SIZE = [name for name, kind in FORMALIZATIONS.items() if not hasattr(kind, "example_shape")]


@pytest.fixture
def effects():
    return torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ANY_SIZE)
def test_jacobian_is_the_slope_of_development(name):
    torch.set_default_dtype(torch.float64)
    try:
        f = prior_map(name, individuals=5, draws=2)
        found = jacobian(f, f.genotype)
        step = 1e-6
        for locus in (0, 4):
            shift = torch.zeros(f.loci)
            shift[locus] = step
            up, down = f.develop(f.genotype + shift), f.develop(f.genotype - shift)
            slope = ((up - down) / (2 * step)).movedim(-1, 0)
            torch.testing.assert_close(found[..., locus], slope, rtol=1e-5, atol=1e-7)
    finally:
        torch.set_default_dtype(torch.float32)


def test_additive_map_has_one_matrix(effects):
    """M = sum_l b b'; and G = G_A by both routes, equal to M where loci are uncorrelated."""
    f = additive_map(effects, hypercube(6))
    n = len(f.genotype)
    exact = (effects.mT @ effects).double()
    G = covariance(f.traits()) * (n - 1) / n
    local = sensitivity(f)
    torch.testing.assert_close(G, exact, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(local.mutational, exact, rtol=1e-5, atol=1e-5)
    stein = additive_stein(local, f.genotype) * (n - 1) / n
    torch.testing.assert_close(stein, exact, rtol=1e-5, atol=1e-5)
    total = covariance(f.traits())
    torch.testing.assert_close(
        additive_least_squares(f.traits(), f.genotype), total, rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(mutate(f, 0.5).covariance(), exact, rtol=1e-4, atol=1e-4)


def test_mutation_scale_weighs_the_loci(effects):
    f = additive_map(effects, hypercube(6))
    scale = torch.arange(6.0)
    exact = ((effects * scale[:, None]).mT @ (effects * scale[:, None])).double()
    local = sensitivity(f, mutation_scale=scale)
    torch.testing.assert_close(local.mutational, exact, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mutate(f).covariance(scale), exact, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(local.traces, trace(exact)[:, None].expand(3, 64), rtol=1e-5)


def test_pieces_do_not_matter(monkeypatch):
    f = prior_map("generative", individuals=40, draws=6)
    whole, traits = sensitivity(f), f.traits()
    monkeypatch.setattr("genomic_code.inference.functionals.map.WORK", 500)
    monkeypatch.setattr("genomic_code.inference.functionals.jacobian.WORK", 500)
    parts = sensitivity(f)
    torch.testing.assert_close(parts.mutational, whole.mutational, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(parts.squared, whole.squared, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(f.traits(), traits)


def test_additive_part_of_a_nonlinear_map_is_unbiased_on_few_rows():
    """Least squares counts no chance fit: pure interaction has no additive part on average."""
    genotype = standard_genotype(60, 8)
    found = []
    for seed in range(40):
        x = standard_genotype(60, 8, seed)
        traits = (x[:, :1] * x[:, 1:2])[None]
        found.append(float(trace(additive_least_squares(traits, x))))
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error
    with pytest.raises(ValueError, match=r"rank \+ 1 = 9.*Stein"):
        additive_least_squares(traits, genotype[:9])


def test_stein_is_exact_for_normal_genotypes():
    """One locus: E[f']^2 = E[f x]^2, here by Gauss-Hermite quadrature."""
    nodes, weight = np.polynomial.hermite_e.hermegauss(80)
    x = standard_genotype(20_000, 1)
    f = prior_map("generative", loci=1, covariates=0, traits=1, draws=1, genotype=x)
    y = f.traits(torch.tensor(nodes[:, None], dtype=torch.float32)).double().numpy()[0, :, 0]
    exact = (weight @ (y * nodes) / weight.sum()) ** 2
    local = sensitivity(f)
    slope = local.traces.double().sqrt()
    error = 2 * exact**0.5 * float(slope.std()) / len(x) ** 0.5
    assert float(additive_stein(local, x)) == pytest.approx(exact, abs=4 * error)


def test_phenotypic_adds_environment_and_noise():
    f = prior_map("polygenic", individuals=2000)
    total = covariance(f.traits(environment=f.environment))
    P = phenotypic(f)
    torch.testing.assert_close(P - total, torch.diag_embed(f.noise_variance.double()))
    with pytest.raises(ValueError, match="noise"):
        phenotypic(additive_map(torch.ones(1, 3, 1), hypercube(3)))


def test_subsets_of_individuals_are_unbiased():
    f = prior_map("generative", individuals=200, draws=1)
    every = float(trace(sensitivity(f).mutational))
    found = [float(trace(sensitivity(f, 20, seed=s).mutational)) for s in range(30)]
    assert np.mean(found) == pytest.approx(every, abs=4 * np.std(found) / 30**0.5)
    with pytest.raises(ValueError, match="between 2 and the population of 200, got 201"):
        sensitivity(f, 201)


def test_mutations_stay_within_the_range_of_the_population(effects):
    f = additive_map(effects, hypercube(6))
    flips = mutate(f, 2.0, mutations=600)
    assert len(flips.locus) == 600
    assert torch.bincount(flips.locus).tolist() == [100] * 6
    expected = effects[:, flips.locus] * flips.step[:, None]
    torch.testing.assert_close(flips.effects, expected, rtol=1e-4, atol=1e-4)


def test_allele_step():
    counts = torch.tensor([[0.0, 0.2], [1, 0.5], [2, 0.9]])
    sd = counts.std(0, correction=0)
    step = allele_step((counts - counts.mean(0)) / sd, sd)
    torch.testing.assert_close(step, torch.stack([1 / sd[0], torch.tensor(1.0)]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: mutate(f, mutations=0), "mutations must be at least 1"),
        (lambda f: mutate(f, step=0.0), "step must be positive"),
        (lambda f: f.position("trait", "x"), "trait must be one of 4 names"),
        (lambda f: f.position("locus", 9), "locus must be below 7, got 9"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(prior_map("polygenic"))
