"""Gene circuit: the differential equation, its limits and symmetries, and where restarts begin."""

import math

import numpy as np
import pandas as pd
import pyro
import pytest
import torch
from pyro import poutine
from scipy.integrate import solve_ivp

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations.gene_circuit import GeneCircuit, curvature
from genomic_code.spec.maternal import FACTORS
from genomic_code.spec.protocols import Data, Shape
from genomic_code.spec.standardize import Scaler

SHAPE = Shape(4, 4, 0, 40)
DOSES = torch.tensor([[1, 1, 1, 1], [0, 1, 1, 1], [1, 0, 1, 1], [1, 0, 0, 0]])
NOTHING = torch.zeros(4, 0)


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def prior_weights(formalization, draws, seed=0, shape=SHAPE):
    pyro.set_rng_seed(seed)
    each = [formalization.weights(shape) for _ in range(draws)]
    return {name: torch.stack([w[name] for w in each]) for name in each[0]}


def one(formalization, seed=0, shape=SHAPE):
    return {name: value[0] for name, value in prior_weights(formalization, 1, seed, shape).items()}


def data_of(phenotype):
    seen = torch.ones(phenotype.shape, dtype=torch.bool)
    return Data(DOSES.double(), NOTHING, phenotype, seen, torch.zeros_like(phenotype))


def test_a_batch_of_draws_develops_as_each_draw_alone():
    model = GeneCircuit()
    batch = prior_weights(model, 5)
    together = model.develop(batch, DOSES.double(), NOTHING)
    assert together.shape == (5, 4, 40)
    for i in range(5):
        alone = model.develop({k: v[i] for k, v in batch.items()}, DOSES.double(), NOTHING)
        torch.testing.assert_close(together[i], alone, rtol=1e-12, atol=1e-12)


def test_sites_with_leading_dimensions_run():
    model = GeneCircuit()
    data = data_of(torch.rand(4, 40))
    sites = poutine.trace(model).get_trace(data)
    names = [n for n in sites.stochastic_nodes if n != "individuals"]
    lifted = {n: torch.stack([sites.nodes[n]["value"]] * 6).unflatten(0, (2, 3)) for n in names}
    folds = Data(*(value.expand(2, 1, *value.shape) for value in data))
    trace = poutine.trace(poutine.condition(model, data=lifted)).get_trace(folds)
    assert trace.nodes["phenotype"]["fn"].log_prob(folds.phenotype).shape == (2, 3, 4)
    expected = trace.nodes["_RETURN"]["value"]
    torch.testing.assert_close(expected[1, 2], sites.nodes["_RETURN"]["value"])


def test_without_regulation_or_diffusion_the_solution_is_exact():
    """g(1) = target (1 - exp(-lambda)), whatever the number of steps."""
    for steps in (1, 7, 20):
        model = GeneCircuit(hidden=0, steps=steps)
        weights = one(model)
        weights["regulation"] = torch.zeros(4, 4)
        weights["diffusion"] = torch.zeros(4)
        maternal = model.encode(weights, DOSES.double(), 10)
        inputs = maternal[..., :3] @ weights["maternal_input"].mT
        target = torch.sigmoid(inputs + weights["threshold"])
        wanted = target * (1 - torch.exp(-weights["rate"]))
        torch.testing.assert_close(model.express(weights, maternal), wanted)


def test_it_reaches_the_steady_state_of_a_fast_circuit():
    model = GeneCircuit(steps=4000)
    weights = one(model)
    weights["regulation"] = weights["regulation"] / 10
    weights["diffusion"] = torch.zeros(5)
    weights["rate"] = torch.full((5,), 200.0)
    maternal = model.encode(weights, DOSES.double(), 10)
    level = model.express(weights, maternal)
    drive = maternal[..., :3] @ weights["maternal_input"].mT + weights["threshold"]
    read = level.clone()
    read[..., 0] += weights["maternal_hunchback"] * maternal[..., 3]
    target = torch.sigmoid(read @ weights["regulation"].mT + drive)
    torch.testing.assert_close(level, target, rtol=0, atol=1e-8)


def test_nuclei_are_independent_without_diffusion_and_not_with_it():
    model = GeneCircuit()
    weights = one(model)
    maternal = model.encode(weights, DOSES.double(), 10)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    alone = {**weights, "diffusion": torch.zeros(5)}
    permuted = model.express(alone, maternal[:, order])
    torch.testing.assert_close(permuted, model.express(alone, maternal)[:, order])
    mixed = model.express(weights, maternal[:, order])
    assert (mixed - model.express(weights, maternal)[:, order]).abs().max() > 1e-3


def test_it_converges_to_the_differential_equation_at_first_order():
    """Against an adaptive solver; D dt / dx^2 shrinks with the step so that D stays."""
    nuclei, coarse = 10, GeneCircuit(steps=50)
    weights = one(coarse, seed=2)
    maternal = coarse.encode(weights, DOSES[:1].double(), nuclei)
    w, e, theta = (weights[k].numpy() for k in ("regulation", "maternal_input", "threshold"))
    rate, mixing = weights["rate"].numpy(), weights["diffusion"].numpy() * 50
    inputs = maternal[0, :, :3].numpy() @ e.T + theta
    left = np.zeros((nuclei, 5))
    left[:, 0] = weights["maternal_hunchback"].item() * maternal[0, :, 3].numpy()

    def slope(_, flat):
        g = flat.reshape(nuclei, 5)
        padded = np.pad(g, ((1, 1), (0, 0)), mode="edge")
        target = 1 / (1 + np.exp(-((g + left) @ w.T + inputs)))
        flux = padded[2:] + padded[:-2] - 2 * g
        return (rate * (target - g) + mixing * flux).ravel()

    exact = solve_ivp(slope, (0, 1), np.zeros(nuclei * 5), method="LSODA", rtol=1e-9, atol=1e-10)
    exact = exact.y[:, -1].reshape(nuclei, 5)
    errors = []
    for factor in (4, 8):
        model = GeneCircuit(steps=50 * factor)
        finer = {**weights, "diffusion": weights["diffusion"] / factor}
        errors.append(np.abs(model.express(finer, maternal)[0].numpy() - exact).max())
    assert errors[1] < 0.02
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.15)


def test_levels_stay_between_zero_and_saturation():
    model = GeneCircuit()
    weights = prior_weights(model, 50)
    weights["diffusion"] = torch.full((50, 5), 0.45)
    weights["rate"] = weights["rate"] * 100
    maternal = model.encode(weights, DOSES.double(), 10)
    level = model.express(weights, maternal)
    assert level.min() >= 0
    assert level.max() <= 1


def test_diffusion_keeps_the_amount_and_a_flat_profile():
    state = torch.rand(3, 10, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(curvature(state).sum(-2), torch.zeros(3, 2), rtol=0, atol=1e-14)
    assert (curvature(torch.ones(1, 10, 2)) == 0).all()
    assert (curvature(torch.ones(1, 1, 2)) == 0).all()


def test_maternal_inputs_are_those_of_the_equations():
    model = GeneCircuit()
    weights = one(model)
    x = model.positions(10).numpy()
    np.testing.assert_allclose(x, np.arange(0.14, 0.9, 0.08))
    inputs = model.encode(weights, DOSES.double(), 10).numpy()
    v = {name: value.item() for name, value in weights.items() if value.dim() == 0}
    bicoid = np.exp(-(x - 0.35) / v["bicoid_length"])
    nanos = 1 / (1 + np.exp(-(x - v["nanos_boundary"]) / v["nanos_width"]))
    torso = np.exp(-0.5 * (x / v["torso_length"]) ** 2)
    torso += v["torso_posterior"] * np.exp(-0.5 * ((1 - x) / v["torso_length"]) ** 2)
    caudal = 1 / (1 + bicoid / v["caudal_half"])
    wild = np.stack([bicoid, caudal, torso, 1 - nanos], -1)
    np.testing.assert_allclose(inputs[0], wild)
    zero, full = np.zeros(10), np.ones(10)
    np.testing.assert_allclose(inputs[1], np.stack([zero, full, torso, 1 - nanos], -1))
    np.testing.assert_allclose(inputs[2], np.stack([bicoid, caudal, torso, full], -1))
    np.testing.assert_allclose(inputs[3], np.stack([bicoid, caudal, zero, zero], -1))


def test_maternal_hunchback_acts_as_hunchback_does():
    """A gene that hunchback does not regulate does not see the mother's either."""
    model = GeneCircuit()
    weights = one(model)
    weights["regulation"][:, 0] = 0
    maternal = model.encode(weights, DOSES.double(), 10)
    without = maternal.clone()
    without[..., 3] = 0
    torch.testing.assert_close(model.express(weights, without), model.express(weights, maternal))


def test_without_a_hunchback_column_it_is_present():
    model = GeneCircuit()
    weights = one(model)
    three = model.encode(weights, DOSES[:3, :3].double(), 10)
    torch.testing.assert_close(three, model.encode(weights, DOSES[:3].double(), 10))


def test_relabelling_later_genes_relabels_the_traits():
    model = GeneCircuit()
    weights = one(model)
    order = torch.tensor([0, 2, 3, 1, 4])
    other = {
        **weights,
        "regulation": weights["regulation"][order][:, order],
        **{k: weights[k][order] for k in ("maternal_input", "threshold", "rate", "diffusion")},
        "level": weights["level"][order[:4]],
    }
    ours = model.develop(weights, DOSES.double(), NOTHING).unflatten(-1, (4, 10))
    theirs = model.develop(other, DOSES.double(), NOTHING).unflatten(-1, (4, 10))
    torch.testing.assert_close(theirs, ours[:, order[:4]])


def test_hidden_genes_without_effect_change_nothing():
    plain, wider = GeneCircuit(hidden=0), GeneCircuit(hidden=2)
    weights = one(wider)
    weights["regulation"][:4, 4:] = 0
    fewer = {
        **weights,
        "regulation": weights["regulation"][:4, :4],
        **{k: weights[k][:4] for k in ("maternal_input", "threshold", "rate", "diffusion")},
    }
    torch.testing.assert_close(
        plain.develop(fewer, DOSES.double(), NOTHING),
        wider.develop(weights, DOSES.double(), NOTHING),
    )


def test_no_trait_has_a_mean_of_its_own():
    model = GeneCircuit()
    trace = poutine.trace(model.weights).get_trace(SHAPE)
    assert "mean" not in trace.nodes
    assert (one(model)["mean"] == 0).all()
    assert prior_weights(model, 3)["mean"].shape == (3, 40)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_at_prior_draws(dtype):
    model = GeneCircuit()
    drawn = prior_weights(model, 100)
    weights = {k: v.to(dtype).detach().requires_grad_() for k, v in drawn.items()}
    expected = model.develop(weights, DOSES.to(dtype), NOTHING.to(dtype))
    assert expected.dtype == dtype
    for slope in torch.autograd.grad(expected.square().sum(), list(weights.values())):
        assert torch.isfinite(slope).all()


def test_regression_starts_are_nearer_to_the_data_than_prior_draws():
    """Of circuits drawn from the prior; squared error relative to that of prior draws."""
    model = GeneCircuit()
    ratios = []
    for seed in range(12):
        truth = one(model, seed)
        phenotype = model.develop(truth, DOSES.double(), NOTHING)
        generator = torch.Generator().manual_seed(seed)
        pyro.set_rng_seed(100 + seed)
        start = model.starts(data_of(phenotype), generator)
        begun = poutine.condition(model.weights, data=start)(SHAPE)
        error = [
            (model.develop(weights, DOSES.double(), NOTHING) - phenotype).square().mean()
            for weights in (begun, one(model, 100 + seed))
        ]
        ratios.append(float(error[0] / error[1]))
    assert np.median(ratios) < 0.5


def test_starts_are_reproducible_differ_between_restarts_and_skip_heldout_rows():
    model = GeneCircuit()
    data = data_of(model.develop(one(model), DOSES.double(), NOTHING))
    first, again = (model.starts(data, torch.Generator().manual_seed(1)) for _ in range(2))
    other = model.starts(data, torch.Generator().manual_seed(2))
    seen = data.observed.clone()
    seen[3] = False
    spoilt = data.phenotype.clone()
    hidden = [
        model.starts(data._replace(phenotype=y, observed=seen), torch.Generator().manual_seed(1))
        for y in (spoilt, spoilt.index_fill(0, torch.tensor([3]), 9.0))
    ]
    sites = poutine.trace(model.weights).get_trace(SHAPE)
    for name, value in first.items():
        assert value.shape == sites.nodes[name]["value"].shape
        assert torch.equal(value, again[name])
        assert torch.equal(hidden[0][name], hidden[1][name])
    assert not torch.equal(first["regulation"], other["regulation"])


def labelled(genes=("Hb", "Kr"), positions=(0.1, 0.3, 0.5), loci=FACTORS, unit="common"):
    rng = np.random.default_rng(0)
    x = pd.DataFrame([[1, 1, 1, 1], [0, 1, 1, 1], [1, 0, 1, 1], [1, 0, 0, 0]], columns=list(loci))
    cohort = Cohort(x, rng.random((4, len(genes) * len(positions))), unit=unit)
    cohort.dataset = cohort.dataset.assign_coords(
        gene=("trait", np.repeat(genes, len(positions))),
        position=("trait", np.tile(positions, len(genes))),
    )
    return cohort


def test_a_cohort_gives_genes_and_span():
    model = GeneCircuit.of(labelled(), hidden=2)
    assert (model.genes, model.hidden, model.span) == (2, 2, (0.0, 0.6))
    torch.testing.assert_close(model.positions(3), torch.tensor([0.1, 0.3, 0.5]))
    scaler = Scaler.fit(labelled())
    genotype = scaler.data(labelled()).genotype
    torch.testing.assert_close(genotype, DOSES.double())


def without_coordinates(cohort):
    cohort.dataset = cohort.dataset.drop_vars(["gene", "position"])
    return cohort


@pytest.mark.parametrize(
    ("cohort", "rule"),
    [
        (lambda: labelled(unit="trait"), "must have the unit 'common', got 'trait'"),
        (lambda: labelled(loci=("a", "b", "c", "d")), "must have the loci"),
        (lambda: without_coordinates(labelled()), "trait coordinates 'gene' and 'position'"),
        (lambda: labelled(positions=(0.1, 0.2, 0.5)), "evenly spaced"),
        (lambda: labelled(positions=(0.5, 0.3, 0.1)), "evenly spaced"),
    ],
)
def test_cohorts_that_do_not_fit_are_refused(cohort, rule):
    with pytest.raises(ValueError, match=rule):
        GeneCircuit.of(cohort())


@pytest.mark.parametrize(
    ("shape", "rule"),
    [
        (Shape(4, 4, 0, 10), "gene_circuit needs traits that are a multiple of genes = 4.*got 10"),
        (Shape(4, 100, 0, 12), "bicoid, nanos, torso, hunchback.*got 100 loci"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shape, rule):
    with pytest.raises(ValueError, match=rule):
        GeneCircuit().weights(shape)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"genes": 0}, "genes must be an integer of at least 1, got 0"),
        ({"hidden": -1}, "hidden must be an integer of at least 0, got -1"),
        ({"steps": 0}, "steps must be"),
        ({"span": (0.9, 0.1)}, "span must be two positions between 0 and 1"),
    ],
)
def test_bad_hyperparameters_are_named(fields, rule):
    with pytest.raises(ValueError, match=rule):
        GeneCircuit(**fields)


def test_environments_add_to_the_traits():
    shape = Shape(4, 4, 2, 40)
    model = GeneCircuit()
    weights = one(model, shape=shape)
    environment = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    difference = model.develop(weights, DOSES.double(), environment) - model.develop(
        weights, DOSES.double(), torch.zeros(4, 2)
    )
    torch.testing.assert_close(difference, environment @ weights["environment_effect"])
    assert math.isclose(weights["mean"].abs().max().item(), 0)
