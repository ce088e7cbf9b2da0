"""Interventions on the map, and what they do."""

import matplotlib as mpl
import numpy as np
import pytest
import torch

from genomic_code.inference.functionals.counterfactual import (
    effect,
    in_environment,
    pleiotropy_map,
    plot_pleiotropy,
    without_edge,
    without_latent,
    without_locus,
)
from tests.inference.functionals.maps import additive_map, hypercube, prior_map

mpl.use("Agg")


@pytest.fixture
def additive():
    return additive_map(
        torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0)), hypercube(5)
    )


def test_knock_out_of_a_locus(additive):
    """From -1 or 1 to -1: half the individuals change by 2 b; the variance loses b^2."""
    found = effect(additive, without_locus(additive, 2))
    b = additive.weights["effects"][:, 2].numpy()
    np.testing.assert_allclose(found["shift"], -b, rtol=1e-4)
    np.testing.assert_allclose(found["magnitude"], np.abs(b) * 2**0.5, rtol=1e-4)
    total = additive.weights["effects"].square().sum(1).numpy()
    np.testing.assert_allclose(found["variance"], 1 - b**2 / total, rtol=1e-3)


def test_knock_out_of_an_edge_moves_one_trait(additive):
    found = effect(additive, without_edge(additive, "effects", (2, 1)))
    assert (found["magnitude"].values[:, [0, 2, 3]] == 0).all()
    b = additive.weights["effects"][:, 2, 1].abs().numpy()
    np.testing.assert_allclose(found["magnitude"].values[:, 1], b, rtol=1e-4)


def test_knock_out_of_all_canonical_latents_leaves_no_variance():
    f = prior_map("generative", covariates=0)
    changed = f
    for _ in range(3):
        changed = without_latent(changed, 0)
    np.testing.assert_allclose(effect(f, changed)["variance"], 0, atol=1e-4)


def test_canonical_latents_come_by_influence():
    f = prior_map("factor", traits=6)
    left = [effect(f, without_latent(f, k))["magnitude"].values ** 2 for k in range(3)]
    lost = [part.sum(1) for part in left]
    assert (lost[0] >= lost[1]).all()
    assert (lost[1] >= lost[2]).all()
    # in a linear map the canonical latents share out the variance
    variance = f.traits().double().var(1, correction=0).sum(1).numpy()
    mean = effect(f, without_latent(f, 0))["shift"].values
    np.testing.assert_allclose(mean, 0, atol=1e-5)
    np.testing.assert_allclose(sum(lost), variance, rtol=1e-3)


def test_latents_are_found_whatever_their_basis():
    f = prior_map("generative")
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    hidden = next(name for name in f.weights if name.startswith("hidden") and "bias" not in name)
    weights = dict(f.weights)
    weights["encoder"], weights[hidden] = f.weights["encoder"] @ turn, turn.mT @ f.weights[hidden]
    turned = type(f)(f.formalization, weights, f.genotype, f.environment)
    torch.testing.assert_close(turned.traits(), f.traits(), rtol=1e-4, atol=1e-5)
    first, second = (effect(m, without_latent(m, 1)) for m in (f, turned))
    np.testing.assert_allclose(first["magnitude"], second["magnitude"], rtol=1e-3, atol=1e-4)


def test_environment_shift():
    f = prior_map("polygenic")
    found = effect(f, in_environment(f, covariate_1=2.0))
    exact = 2 * f.weights["environment_effect"][:, 1].numpy()
    np.testing.assert_allclose(found["shift"], exact, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["variance"], 1, rtol=1e-4)


def test_pleiotropy_map_is_labelled(additive):
    changed = {f"locus {i}": without_locus(additive, i) for i in range(2)}
    found = pleiotropy_map(additive, changed)
    assert found["magnitude"].dims == ("intervention", "draw", "trait")
    assert found["intervention"].values.tolist() == ["locus 0", "locus 1"]
    with pytest.raises(ValueError, match="empty"):
        pleiotropy_map(additive, {})


@pytest.mark.parametrize(
    ("variable", "outlined"), [("shift", 4), ("variance", 4), ("magnitude", 0)]
)
def test_pleiotropy_map_as_a_picture(variable, outlined):
    """One locus moves all four traits in every draw, an environment without effects none."""
    f = additive_map(torch.ones(3, 5, 4), hypercube(5))
    found = pleiotropy_map(f, {"locus": without_locus(f, 0), "nothing": f})
    ax = plot_pleiotropy(found, variable)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["locus", "nothing"]
    assert len(ax.images[0].get_array()) == 2
    assert len(ax.patches) == outlined
    with pytest.raises(ValueError, match="variable must be one of magnitude, shift, variance"):
        plot_pleiotropy(found, "x")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: without_latent(f, 0), "no weights `encoder`"),
        (lambda f: without_latent(prior_map("factor"), 3), "latent must be from 0 to 2, got 3"),
        (lambda f: without_edge(f, "x", (0,)), "weight must be one of"),
        (lambda f: without_edge(f, "effects", (0, 9)), r"shape \(5, 4\), got \(0, 9\)"),
        (lambda f: without_locus(f, "snp"), "locus must be one of 5 names"),
        (lambda f: in_environment(f, salt=1.0), "covariate must be one of"),
    ],
)
def test_bad_input(additive, call, message):
    with pytest.raises(ValueError, match=message):
        call(additive)
