"""Epistatic: pairs and nothing but pairs, at any number of loci."""

import itertools
import math

import pytest
import torch

from genomic_code.spec.formalizations import Blueprint, Epistatic
from genomic_code.spec.protocols import Shape

pytestmark = pytest.mark.usefixtures("double_precision")


def test_zero_pair_effects_are_blueprint(small_data, prior_sites, log_joint):
    data, model, blueprint = small_data(), Epistatic(), Blueprint()
    values, _ = prior_sites(model, data, 5)
    shared, _ = prior_sites(blueprint, data, 5)
    values["pair_effects"] = torch.zeros_like(values["pair_effects"])
    extra = values.keys() - shared.keys()
    assert extra == {f"pair_effects{suffix}" for suffix in ("", "_local", "_global", "_slab")}
    common = {name: values[name] for name in shared}
    both = log_joint(model, data, values) - log_joint(blueprint, data, common)
    torch.testing.assert_close(both, horseshoe_log_prior(values, pairs=10, individuals=9))


def horseshoe_log_prior(values, pairs, individuals):
    """The stated prior of the pair sites, written out."""
    local = values["pair_effects_local"]
    tau0 = 6 * (5 / (pairs - 5)) / math.sqrt(individuals)
    shrink, slab = values["pair_effects_global"], values["pair_effects_slab"]
    normal = torch.distributions.Normal(0.0, 1.0)
    terms = [
        normal.log_prob(values["pair_effects"]).sum((-1, -2)),
        (math.log(2 / math.pi) - torch.log1p(local.square())).sum((-1, -2)),
        (normal.log_prob(shrink.log() - math.log(tau0)) - shrink.log()).sum(-1),
        (2 * math.log(0.2) - 3 * slab.log() - 0.2 / slab).sum(-1),
    ]
    return torch.stack(terms).sum(0)


def test_products_against_a_double_loop(small_data):
    data, model = small_data(), Epistatic()
    torch.manual_seed(0)
    weights = model.weights(data.shape)
    expected = model.additive.develop(weights, data.genotype, data.environment)
    for pair, (i, j) in enumerate(itertools.combinations(range(5), 2)):
        product = data.genotype[:, i] * data.genotype[:, j]
        expected = expected + product[:, None] * weights["pair_effects"][pair]
    developed = model.develop(weights, data.genotype, data.environment)
    torch.testing.assert_close(developed, expected)


def test_interactions_stop_at_pairs(small_data):
    """The mixed second derivative is the pair's effect, everywhere; the third is 0."""
    data, model = small_data(), Epistatic()
    torch.manual_seed(0)
    weights = model.weights(data.shape)

    def trait(genotype):
        return model.develop(weights, genotype[None], data.environment[:1])[0, 1]

    for row in data.genotype[:2]:
        curvature = torch.autograd.functional.hessian(trait, row)
        first, second = model.pairs(5)
        expected = torch.zeros(5, 5)
        expected[first, second] = expected[second, first] = weights["pair_effects"][:, 1]
        torch.testing.assert_close(curvature, expected)


@pytest.mark.parametrize(("loci", "pairs"), [(1, 0), (2, 1), (3, 3), (100, 4950)])
def test_all_pairs_while_loci_are_few(loci, pairs):
    listed = Epistatic().pairs(loci).mT.tolist()
    assert [tuple(pair) for pair in listed] == list(itertools.combinations(range(loci), 2))
    assert len(listed) == pairs


@pytest.mark.parametrize("loci", [101, 10_000, 1_000_000])
def test_many_loci_are_paired_along_an_even_grid(loci):
    pairs = Epistatic().pairs(loci)
    grid = pairs.unique()
    assert pairs.shape == (2, 4950)
    assert (len(grid), int(grid[0]), int(grid[-1])) == (100, 0, loci - 1)
    spacing = (loci - 1) / 99
    assert (grid.diff() - spacing).abs().max() <= 1


def test_the_grid_tags_linked_regions():
    """Linkage that halves over a grid step: the nearest tag correlates with a pair by a half."""
    generator = torch.Generator().manual_seed(0)
    loci, keep = 1000, 0.5 ** (99 / 999)
    chain = torch.randn(4000, loci, generator=generator)
    for locus in range(1, loci):
        step = math.sqrt(1 - keep**2)
        chain[:, locus] = keep * chain[:, locus - 1] + step * chain[:, locus]
    first, second = Epistatic().pairs(loci)
    i, j = 300, 707
    near = (first - i).abs() + (second - j).abs()
    best = near.argmin()
    truth = chain[:, i] * chain[:, j]
    tag = chain[:, first[best]] * chain[:, second[best]]
    distance = float(near[best])
    assert distance <= 11
    assert abs(torch.corrcoef(torch.stack((truth, tag)))[0, 1] - keep**distance) < 0.1


def test_candidates_are_paired_instead(small_data):
    model = Epistatic(candidates=(4, 0, 3))
    assert model.pairs(5).mT.tolist() == [[4, 0], [4, 3], [0, 3]]
    data = small_data()
    torch.manual_seed(0)
    assert model.weights(data.shape)["pair_effects"].shape == (3, 3)
    with pytest.raises(ValueError, match="below the number of loci 4, got 4"):
        model.weights(Shape(9, 4, 0, 2))


def test_one_locus_has_no_pairs(small_data, prior_sites):
    data = small_data(loci=1)
    values, _ = prior_sites(Epistatic(), data, 1)
    assert values.keys() == prior_sites(Blueprint(), data, 1)[0].keys()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pairs_per_trait": 0.0}, "pairs_per_trait must be positive"),
        ({"loci_per_trait": -1.0}, "loci_per_trait must be positive"),
        ({"paired_loci": 1}, "paired_loci must be an integer of at least 2, got 1"),
        ({"candidates": (1, 1)}, "candidates must be at least 2 different positions"),
        ({"candidates": (3,)}, "candidates must be at least 2 different positions"),
        ({"candidates": (-1, 3)}, "candidates must be at least 2 different positions"),
    ],
)
def test_hyperparameters_are_checked(fields, message):
    with pytest.raises(ValueError, match=message):
        Epistatic(**fields)
