"""Bottleneck: the generated network, its special cases and its size."""

import math

import pyro
import pytest
import torch

from genomic_code.spec.formalizations.bottleneck import Bottleneck, expression
from genomic_code.spec.formalizations.generative import Generative
from genomic_code.spec.protocols import Shape

SHAPE = Shape(30, 10, 2, 5)


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def prior_weights(formalization, draws, seed=0, shape=SHAPE):
    pyro.set_rng_seed(seed)
    each = [formalization.weights(shape) for _ in range(draws)]
    return {name: torch.stack([w[name] for w in each]) for name in each[0]}


def inputs(seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(30, 10, generator=generator), torch.randn(30, 2, generator=generator)


def sites(formalization, seed=0):
    pyro.set_rng_seed(seed)
    trace = pyro.poutine.trace(formalization.weights).get_trace(SHAPE)
    return {name: trace.nodes[name]["value"] for name in trace.stochastic_nodes}


def test_expression_patterns_are_orthonormal_with_as_many_crossings_as_their_number():
    patterns = expression(32, 32)
    torch.testing.assert_close(patterns.mT @ patterns, torch.eye(32), rtol=0, atol=1e-13)
    crossings = (patterns[1:].sign() != patterns[:-1].sign()).sum(0)
    assert crossings.tolist() == list(range(32))


def test_a_batch_of_draws_develops_as_each_draw_alone():
    model, (x, e) = Bottleneck(), inputs()
    batch = prior_weights(model, 7)
    together = model.develop(batch, x, e)
    for i in range(7):
        alone = model.develop({k: v[i] for k, v in batch.items()}, x, e)
        torch.testing.assert_close(together[i], alone, rtol=1e-12, atol=1e-12)


def test_sites_with_leading_dimensions_compose():
    model = Bottleneck()
    each = [sites(model, seed) for seed in range(6)]
    lifted = {k: torch.stack([s[k] for s in each]).unflatten(0, (2, 3)) for k in each[0]}
    together = pyro.poutine.condition(model.weights, data=lifted)(SHAPE)
    last = pyro.poutine.condition(model.weights, data=each[5])(SHAPE)
    for name, value in last.items():
        torch.testing.assert_close(together[name][1, 2], value)


def test_as_many_genes_as_units_is_the_generative_formalization():
    """C is then a rotation, so the genome C' W of a generative network W has the same prior."""
    wide, rival, (x, e) = Bottleneck(genes=8, hidden=8), Generative(hidden=8), inputs()
    patterns = expression(8, 8)
    theirs = sites(rival)
    ours = {k: v for k, v in theirs.items() if k not in ("hidden_weight", "hidden_bias", "decoder")}
    ours["genome_hidden"] = patterns.mT @ theirs["hidden_weight"].mT
    ours["genome_bias"] = patterns.mT @ theirs["hidden_bias"]
    ours["genome_decoder"] = patterns.mT @ theirs["decoder"]
    weights = pyro.poutine.condition(wide.weights, data=ours)(SHAPE)
    wanted = pyro.poutine.condition(rival.weights, data=theirs)(SHAPE)
    torch.testing.assert_close(wide.develop(weights, x, e), rival.develop(wanted, x, e))
    squares = [sum(v.square().sum() for v in values.values()) for values in (ours, theirs)]
    torch.testing.assert_close(*squares)


def test_one_gene_is_one_hidden_unit():
    narrow, rival, (x, e) = Bottleneck(genes=1, hidden=16), Generative(hidden=1), inputs()
    ours = sites(narrow)
    theirs = {k: v for k, v in ours.items() if not k.startswith("genome")}
    theirs["hidden_weight"] = ours["genome_hidden"].mT
    theirs["hidden_bias"] = ours["genome_bias"]
    theirs["decoder"] = ours["genome_decoder"]
    weights = pyro.poutine.condition(narrow.weights, data=ours)(SHAPE)
    wanted = pyro.poutine.condition(rival.weights, data=theirs)(SHAPE)
    torch.testing.assert_close(narrow.develop(weights, x, e), rival.develop(wanted, x, e))


def test_the_genome_does_not_grow_with_the_network():
    """M (K + 1 + T) numbers in the genome against H (K + 1 + T) generated weights."""
    for hidden in (8, 64):
        model = Bottleneck(genes=4, hidden=hidden)
        genome = sum(v.numel() for k, v in sites(model).items() if k.startswith("genome"))
        weights = prior_weights(model, 1)
        network = sum(weights[k].numel() for k in ("hidden_weight", "hidden_bias", "decoder"))
        assert genome == 4 * (3 + 1 + 5)
        assert network == hidden * (3 + 1 + 5)


def test_a_finer_line_of_units_develops_the_same():
    """The network converges fast in H: a midpoint rule over smooth, evenly continued waves."""
    x, e = inputs()
    genome = sites(Bottleneck(hidden=64))
    traits = []
    for hidden in (32, 64, 128):
        model = Bottleneck(hidden=hidden)
        weights = pyro.poutine.condition(model.weights, data=genome)(SHAPE)
        traits.append(model.develop(weights, x, e))
    coarse, fine = (traits[0] - traits[1]).abs().max(), (traits[1] - traits[2]).abs().max()
    assert coarse < 1e-3
    assert fine < coarse / 100


def test_generated_weights_have_the_stated_scale():
    """Root mean square over units: 2.5 / sqrt(K) in, 1 for the bias; 3,000 draws, 3 % tolerance."""
    weights = prior_weights(Bottleneck(), 3000)
    assert weights["hidden_weight"].square().mean().sqrt() == pytest.approx(
        2.5 / math.sqrt(3), rel=0.03
    )
    assert weights["hidden_bias"].square().mean().sqrt() == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_at_prior_draws(dtype):
    model = Bottleneck()
    weights = {k: v.to(dtype).requires_grad_() for k, v in prior_weights(model, 100).items()}
    x, e = (value.to(dtype) for value in inputs())
    expected = model.develop(weights, x, e)
    assert expected.dtype == dtype
    for slope in torch.autograd.grad(expected.square().sum(), list(weights.values())):
        assert torch.isfinite(slope).all()


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"genes": 0}, "genes must be an integer of at least 1, got 0"),
        ({"genes": 9, "hidden": 8}, "genes must be at most hidden = 8, got 9"),
    ],
)
def test_bad_hyperparameters_are_named(fields, rule):
    with pytest.raises(ValueError, match=rule):
        Bottleneck(**fields)
