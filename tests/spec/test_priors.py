import math

import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from genomic_code.spec import ARD, FORMALIZATIONS, Dense, Factor, Generative, Horseshoe, Shape
from genomic_code.spec.priors import correlation

SIZES = {"locus": 7, "trait": 3}


def trace_of(prior, sizes=SIZES, seed=0):
    torch.manual_seed(seed)
    return poutine.trace(lambda: prior("effects", sizes)).get_trace()


SHARED = Horseshoe(shared=True)


@pytest.mark.parametrize("prior", [Dense(), Horseshoe(), SHARED, ARD(), ARD(over="trait")])
def test_sites_carry_their_dimensions(prior):
    trace = trace_of(prior)
    assert trace.nodes["_RETURN"]["value"].shape == (7, 3)
    for name in trace.stochastic_nodes:
        node = trace.nodes[name]
        assert node["value"].shape == tuple(SIZES[dim] for dim in node["infer"]["dims"])


@pytest.mark.parametrize(
    ("prior", "isotropic"),
    [
        (Dense(), True),
        (Horseshoe(), False),
        (SHARED, False),
        (ARD(), False),
        (ARD(over="trait"), True),
    ],
)
def test_only_priors_that_treat_loci_alike_let_the_basis_turn(prior, isotropic):
    assert trace_of(prior).nodes["effects"]["infer"].get("isotropic", False) is isotropic


@pytest.mark.parametrize("prior", [Dense(0.5), Horseshoe(), SHARED, ARD(), ARD(over="trait")])
def test_leading_dimensions_are_a_loop(prior):
    draws = [trace_of(prior, seed=seed) for seed in range(4)]
    names = list(draws[0].stochastic_nodes)
    batch = {k: torch.stack([draw.nodes[k]["value"] for draw in draws]) for k in names}
    batch = {k: value.reshape(2, 2, *value.shape[1:]) for k, value in batch.items()}
    together = poutine.condition(prior, batch)("effects", SIZES)
    alone = torch.stack([draw.nodes["_RETURN"]["value"] for draw in draws])
    torch.testing.assert_close(together.flatten(0, 1), alone)


def test_ard_multiplies_rows_or_named_columns():
    z = torch.arange(1.0, 7.0).reshape(2, 3)
    for over, r, expected in (
        (None, torch.tensor([1.0, 10.0]), z * torch.tensor([[1.0], [10.0]])),
        ("trait", torch.tensor([1.0, 10.0, 100.0]), z * torch.tensor([1.0, 10.0, 100.0])),
    ):
        prior = poutine.condition(ARD(2.0, over), {"w": z, "w_relevance": r})
        torch.testing.assert_close(prior("w", {"locus": 2, "trait": 3}), 2 * expected)


def test_horseshoe_is_the_formula():
    prior = Horseshoe(tau=0.3)
    trace = trace_of(prior)
    z, lam, tau, slab = (
        trace.nodes["effects" + end]["value"] for end in ("", "_local", "_global", "_slab")
    )
    regularised = slab * lam**2 / (slab + tau**2 * lam**2)
    torch.testing.assert_close(
        trace.nodes["_RETURN"]["value"], z * tau * regularised.sqrt(), rtol=1e-5, atol=1e-7
    )
    assert trace.nodes["effects_global"]["fn"].base_dist.base_dist.loc.flatten()[0] == (
        pytest.approx(math.log(0.3))
    )


def test_a_shared_horseshoe_widens_whole_rows():
    trace = trace_of(SHARED)
    values = {name: trace.nodes[name]["value"] for name in trace.stochastic_nodes}
    local = values["effects_local"] * values.pop("effects_row")[:, None]
    alone = poutine.condition(Horseshoe(), values | {"effects_local": local})("effects", SIZES)
    torch.testing.assert_close(trace.nodes["_RETURN"]["value"], alone)


@pytest.mark.parametrize("prior", [Horseshoe(0.2), Horseshoe(0.2, shared=True)])
def test_a_horseshoe_finds_sites_that_make_given_weights(prior):
    weights = torch.tensor([[0.0, 0.3, -0.1], [0.02, -0.9, 0.0]])
    sites = prior.sites("effects", weights)
    made = poutine.condition(prior, sites)("effects", {"locus": 2, "trait": 3})
    kept = weights != 0
    torch.testing.assert_close(made[kept], weights[kept], rtol=1e-4, atol=1e-6)
    assert made[~kept].abs().max() == 0


def test_correlation_of_one_trait_is_one():
    assert correlation(Shape(5, 4, 0, 1), 1.5).tolist() == [[1.0]]


def test_users_priors_reach_their_sites():
    hypothesis = Generative(prior={"decoder": Horseshoe(0.1)})
    trace = poutine.trace(lambda: hypothesis.weights(Shape(9, 5, 0, 4))).get_trace()
    assert "decoder_local" in trace.nodes
    assert "encoder_local" not in trace.nodes


@pytest.mark.parametrize("name", [n for n, c in FORMALIZATIONS.items() if hasattr(c(), "prior")])
def test_unknown_prior_names_are_refused(name):
    with pytest.raises(ValueError, match=r"name in prior must be one of .*, got 'nonsense'"):
        FORMALIZATIONS[name](prior={"nonsense": Dense()})


def test_near_misses_are_named():
    with pytest.raises(ValueError, match="got 'decodr'; did you mean 'decoder'"):
        Factor(prior={"decodr": Dense()})


@pytest.mark.parametrize("value", [Horseshoe, 3.0, dist.Normal])
def test_what_is_no_prior_is_refused(value):
    with pytest.raises(ValueError, match=r"prior of 'decoder' must be an object such as Dense\(\)"):
        Factor(prior={"decoder": value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(0.0), "scale must be positive and finite, got 0"),
        (lambda: Dense(math.inf), "scale must be positive and finite, got inf"),
        (lambda: ARD(-1.0), "scale must be positive and finite, got -1"),
        (lambda: Horseshoe(tau=math.nan), "tau must be positive and finite, got nan"),
        (lambda: Horseshoe(slab=0.0), "slab must be positive and finite, got 0"),
        (lambda: ARD(over="gene")("w", SIZES), "over must be one of locus, trait, got 'gene'"),
    ],
)
def test_bad_hyperparameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
