from dataclasses import replace

import numpy as np
import pytest
import torch

from genomic_code.spec import FORMALIZATIONS, Factor, Null, Polygenic, simulate
from genomic_code.spec.noise import NOISES
from genomic_code.spec.simulate import draw_genotype
from tests.conformance import cases

FREE = [name for name, case in cases().items() if not hasattr(case, "example_shape")]


@pytest.mark.parametrize("name", FREE)
def test_the_genetic_share_is_the_heritability(name):
    cohort = simulate(cases()[name], individuals=150, loci=20, traits=5, heritability=0.4, seed=2)
    truth = cohort.dataset["truth"].values
    wanted = 0.0 if name == "null" else 0.4
    np.testing.assert_allclose(truth.var(0), wanted, rtol=1e-4)
    assert cohort.dataset.attrs == {
        "formalization": name.split("-")[0],
        "heritability": wanted,
        "seed": 2,
    }


def test_variance_parts_add_up():
    cohort = simulate("polygenic", individuals=400, traits=8, environments=0, seed=0)
    residual = cohort.phenotype.values - cohort.dataset["truth"].values
    np.testing.assert_allclose(residual.var(0), 0.4, rtol=1e-4)
    np.testing.assert_allclose(residual.mean(0), 0, atol=1e-5)


def test_the_environment_comes_on_top():
    cohort = simulate("null", individuals=400, traits=200, environments=2, seed=0)
    # Each effect is Normal(0, 0.5): the environment adds 2 * 0.25 to a noise variance of 1.
    spread = cohort.phenotype.values.var(0)
    assert abs(spread.mean() - 1.5) < 4 * spread.std() / 200**0.5


@pytest.mark.parametrize("name", FREE)
def test_same_seed_same_cohort_and_no_trace_left_in_the_generator(name):
    state = torch.random.get_rng_state()
    sizes = {"individuals": 40, "loci": 6, "traits": 3, "missing": 0.1}
    first, again, other = (simulate(cases()[name], **sizes, seed=s) for s in (5, 5, 6))
    assert first.dataset.identical(again.dataset)
    assert not first.dataset.identical(other.dataset)
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_truth_of_an_additive_cohort_is_additive():
    cohort = simulate("polygenic", individuals=300, loci=30, traits=4, seed=1)
    x = cohort.genotype.values
    x = np.column_stack([np.ones(len(x)), x])
    truth = cohort.dataset["truth"].values
    fitted = x @ np.linalg.lstsq(x, truth, rcond=None)[0]
    np.testing.assert_allclose(fitted, truth, atol=1e-4)


def test_the_truth_of_a_factor_cohort_has_low_rank():
    cohort = simulate(Factor(latents=2), individuals=200, loci=30, traits=6, seed=1)
    values = np.linalg.svd(cohort.dataset["truth"].values, compute_uv=False)
    assert values[2] < 1e-4 * values[0]


def test_the_truth_survives_selection():
    cohort = simulate("generative", individuals=80, loci=10, traits=3, missing=0.1, seed=3)
    rows = np.arange(80) % 2 == 0
    part = cohort.select(rows)
    np.testing.assert_array_equal(part.dataset["truth"], cohort.dataset["truth"][rows])
    assert part.dataset.attrs == cohort.dataset.attrs


def test_missing_cells():
    cohort = simulate("factor", individuals=400, traits=10, missing=0.25, seed=0)
    share = np.isnan(cohort.phenotype.values).mean()
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5


def test_known_error_adds_its_variance():
    quiet = simulate("factor", individuals=2000, traits=4, seed=0)
    loud = simulate("factor", individuals=2000, traits=4, error=0.5, seed=0)
    added = loud.phenotype.values - quiet.phenotype.values
    ratio = (added / loud.error.values).var()
    assert abs(ratio - 1) < 4 * (2 / 8000) ** 0.5
    assert quiet.error is None
    assert 0.5 / 3**0.5 <= loud.error.values.min() < loud.error.values.max() <= 0.5 * 3**0.5


def test_genotypes_are_binomial():
    counts = draw_genotype(4000, 50, 0.0, np.random.default_rng(0))
    assert set(np.unique(counts)) == {0, 1, 2}
    p = counts.mean(0) / 2
    assert (p > 0.08).all()
    assert (p < 0.52).all()
    ratio = counts.var(0) / (2 * p * (1 - p))
    assert (np.abs(ratio - 1) < 0.15).all()
    correlation = np.corrcoef(counts.T)[np.triu_indices(50, 1)]
    assert np.abs(correlation).max() < 5 / 4000**0.5


def test_linkage_decays_along_the_genome():
    counts = draw_genotype(4000, 40, 0.9, np.random.default_rng(0))
    correlation = np.corrcoef(counts.T)
    near, far = (np.diagonal(correlation, d).mean() for d in (1, 10))
    assert near > 0.5
    assert far < 0.5 * near
    assert np.diagonal(correlation, 39).max() < 5 / 4000**0.5


def test_every_locus_varies_in_small_cohorts():
    assert simulate("factor", individuals=2, loci=30, traits=1, environments=0).sizes["locus"] == 30


def test_genotypes_of_ones_own():
    own = simulate("factor", individuals=30, loci=7, traits=2).genotype
    cohort = simulate("polygenic", traits=2, genotype=own, seed=9)
    np.testing.assert_array_equal(cohort.genotype.values, own.values)
    assert cohort.labels("locus") == [str(label) for label in own["locus"].values]


@pytest.mark.parametrize("noise", list(NOISES))
def test_every_noise(noise):
    model = NOISES[noise]()
    cohort = simulate(replace(Polygenic(), noise=model), individuals=200, loci=10, traits=3, seed=4)
    model.check(cohort.phenotype.values)
    wanted = 0.6 if model.standardised else 1.5
    np.testing.assert_allclose(cohort.dataset["truth"].values.var(0), wanted, rtol=1e-4)


@pytest.mark.parametrize("noise", ["poisson", "bernoulli", "ordinal"])
def test_every_trait_varies(noise):
    hypothesis = replace(Factor(), noise=NOISES[noise]())
    cohort = simulate(hypothesis, individuals=25, loci=10, traits=40, seed=4)
    assert (np.ptp(cohort.phenotype.values, axis=0) > 0).all()


def test_heavy_tails_show():
    normal = simulate(Null(), individuals=4000, traits=6, environments=0).phenotype.values
    heavy = simulate(
        Null(noise=NOISES["student_t"]()), individuals=4000, traits=6, environments=0, seed=1
    ).phenotype.values
    kurtosis = [((y / y.std(0)) ** 4).mean(0) for y in (normal, heavy)]
    assert (kurtosis[1].max() - 3) > 10 * np.abs(kurtosis[0] - 3).max()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formalization": "linear"}, "formalization must be one of null, .*, got 'linear'"),
        ({"individuals": 1}, "individuals must be an integer of at least 2, got 1"),
        ({"loci": 0}, "loci must be an integer of at least 1, got 0"),
        ({"traits": 2.5}, "traits must be an integer of at least 1, got 2.5"),
        ({"environments": -1}, "environments must be an integer of at least 0, got -1"),
        ({"heritability": 1.0}, "heritability must be from 0 to below 1, got 1"),
        ({"heritability": float("nan")}, "heritability must be from 0 to below 1, got nan"),
        ({"missing": -0.1}, "missing must be from 0 to below 1, got -0.1"),
        ({"linkage": 1}, "linkage must be from 0 to below 1, got 1"),
        ({"error": -1}, "error must be finite and at least 0, got -1"),
        ({"seed": -3}, "seed must be an integer of at least 0, got -3"),
        (
            {"formalization": Null(noise=NOISES["poisson"]()), "error": 0.5},
            "error must be 0 with Poisson noise, got 0.5",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate(**{"formalization": "factor", **arguments})


def test_registry_is_covered():
    assert set(FREE) <= set(cases())
    assert {name.split("-")[0] for name in cases()} == set(FORMALIZATIONS)
