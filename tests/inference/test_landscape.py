"""Attractors, basins and energy surface against landscapes that are known."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pyro
import pytest
import torch

from genomic_code.inference.landscape import (
    attractors,
    landscape,
    match_latents,
    posterior,
    share,
)
from genomic_code.inference.plots_landscape import plot_landscape
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations.attractor import Attractor
from genomic_code.spec.formalizations.factor import Factor
from genomic_code.spec.protocols import Shape
from genomic_code.spec.standardize import Scaler

mpl.use("Agg")


def make_cohort(individuals=40, loci=6, traits=3):
    rng = np.random.default_rng(0)
    return Cohort(rng.normal(size=(individuals, loci)), rng.normal(size=(individuals, traits)))


def stub(model, weights, cohort):
    """What `landscape` needs of a Fit."""

    def draw(draws, seed=None):
        return {name: value[:draws] for name, value in weights.items()}

    return SimpleNamespace(
        formalization=model, cohort=cohort, scaler=Scaler.fit(cohort), weights=draw
    )


def prior_fit(model, draws=10, seed=0):
    cohort = make_cohort()
    pyro.set_rng_seed(seed)
    each = [model.weights(Shape(40, 6, 0, 3)) for _ in range(draws)]
    return stub(model, {k: torch.stack([w[k] for w in each]) for k in each[0]}, cohort)


def switches(coupling, bias, draws=1, loci=6, traits=3):
    """Independent self-exciting latents: 2 to the K attractors where the coupling is above 1."""
    latents = len(bias)
    return {
        "mean": torch.zeros(draws, traits),
        "encoder": torch.zeros(draws, loci, latents),
        "recurrent": (coupling * torch.eye(latents)).expand(draws, latents, latents),
        "bias": torch.tensor(bias).expand(draws, latents),
        "decoder": torch.ones(draws, latents, traits),
    }


def test_two_independent_switches_have_four_attractors_and_a_watershed():
    model = Attractor(latents=2)
    fit = stub(model, switches(2.0, [0.0, 0.01]), make_cohort())
    table = attractors(fit, starts=400, draws=1)
    watershed = table[table["share"] == 0]
    assert watershed["developed"].tolist() == [True]
    table = table[table["share"] > 0]
    assert len(table) == 4
    assert table["share"].sum() == pytest.approx(1)
    assert (np.abs(table["share"] - 0.25) < 4 * table["share_se"]).all()
    np.testing.assert_allclose(table["energy"], table["energy"].iloc[0], atol=0.03)


def test_fixed_points_energies_and_traits_are_those_of_one_switch():
    """h = tanh(2 h + .2) by bisection; energy by quadrature of atanh(h) - 2 h - .2 from 0."""
    from scipy.integrate import quad
    from scipy.optimize import brentq

    model, cohort = Attractor(latents=1), make_cohort()
    table = attractors(stub(model, switches(2.0, [0.2]), cohort), starts=400, draws=1)
    wanted = [brentq(lambda h: np.tanh(2 * h + 0.2) - h, *ends) for ends in ((0.5, 1), (-1, -0.6))]
    watershed = brentq(lambda h: np.tanh(2 * h + 0.2) - h, -0.5, 0.1)
    for row, state, basin in zip(
        table.itertuples(), wanted, ((1 - watershed) / 2, (1 + watershed) / 2), strict=True
    ):
        energy = quad(lambda h: np.arctanh(h) - 2 * h - 0.2, 0, state)[0]
        assert row.energy == pytest.approx(energy, abs=1e-7)
        assert abs(row.share - basin) < 4 * row.share_se
    scale, centre = cohort.phenotype.values.std(0)[0], cohort.phenotype.values.mean(0)[0]
    np.testing.assert_allclose(table["trait_0"], np.array(wanted) * scale + centre, rtol=1e-5)
    assert table["developed"].tolist() == [True, False]


def test_weak_coupling_leaves_one_attractor_with_an_error_of_its_share():
    fit = stub(Attractor(latents=2), switches(0.5, [0.1, -0.1], draws=3), make_cohort())
    table = attractors(fit, starts=100, draws=3)
    assert table.index.tolist() == [(0, "0"), (1, "0"), (2, "0")]
    assert (table["share"] == 1).all()
    assert (table["share_se"] > 0).all()
    assert table["developed"].all()


def test_starts_that_do_not_settle_are_counted():
    """At coupling 1 without bias the approach to 0 is algebraic: nothing settles in time."""
    fit = stub(Attractor(latents=1), switches(1.0, [0.0]), make_cohort())
    table = attractors(fit, starts=50, draws=1)
    assert table.loc[(0, "unsettled"), "share"] == 1
    assert table["share"].sum() == pytest.approx(1)


def test_standard_errors_of_shares_are_those_of_repeated_counts():
    rng = np.random.default_rng(0)
    shares = rng.binomial(200, 0.3, size=4000) / 200
    assert share(60, 200)["share_se"] == pytest.approx(shares.std(), rel=4 / np.sqrt(2 * 4000))


def test_the_individual_tilts_its_own_landscape():
    fit = prior_fit(Attractor(latents=2))
    ours, average = (attractors(fit, who, draws=3) for who in ("3", None))
    assert not ours["energy"].iloc[0] == average["energy"].iloc[0]
    with pytest.raises(ValueError, match=r"label of the cohort such as '0', got 'nobody'"):
        attractors(fit, "nobody")


def test_matching_undoes_permutations_and_reflections():
    model = Attractor()
    fit = prior_fit(model, draws=1)
    genotype = fit.scaler.data(fit.cohort).genotype.double()
    one = {k: v.double() for k, v in fit.weights(1).items()}
    turn = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]).double())[[3, 1, 0, 2]]
    turned = {
        **one,
        "encoder": one["encoder"] @ turn.mT,
        "bias": one["bias"] @ turn.mT,
        "recurrent": turn @ one["recurrent"] @ turn.mT,
        "decoder": turn @ one["decoder"],
    }
    both = {k: torch.cat([one[k], turned[k]]) for k in one}
    matched = match_latents(model, both, genotype)
    for name, value in matched.items():
        torch.testing.assert_close(value[1], one[name][0], msg=name)


def test_matching_leaves_development_as_it_is():
    model = Attractor()
    fit = prior_fit(model)
    genotype = fit.scaler.data(fit.cohort).genotype.double()
    weights = {k: v.double() for k, v in fit.weights(10).items()}
    nothing = torch.zeros(40, 0).double()
    before = model.develop(weights, genotype, nothing)
    after = model.develop(match_latents(model, weights, genotype), genotype, nothing)
    torch.testing.assert_close(after, before)


def test_the_surface_is_the_energy_of_the_states_that_it_names():
    model = Attractor()
    fit = prior_fit(model, draws=4)
    surface = landscape(fit, draws=4, points=5)
    weights = {k: v.double() for k, v in fit.weights(4).items()}
    genotype = fit.scaler.data(fit.cohort).genotype.double()
    weights = match_latents(model, weights, genotype)
    state = model.encode(weights, genotype)
    potential = (state @ weights["recurrent"] + model.drive(weights, genotype)).mean(0)
    axes = torch.from_numpy(surface["axes"].values)
    where = torch.tensor([surface["first"].values[4], surface["second"].values[1]])
    point = torch.tanh(potential.mean(0) + where @ axes)
    wanted = model.energy(weights, point.expand(4, 1, 4), weights["bias"][:, None])[:, 0]
    np.testing.assert_allclose(surface["energy"].values[:, 1, 4], wanted, rtol=1e-6)
    np.testing.assert_allclose(axes @ axes.mT, np.eye(2), atol=1e-9)
    assert 0 < surface["spread"].values.sum() <= 1 + 1e-9


def test_settled_states_are_fixed_points_of_the_plane_they_lie_in():
    fit = prior_fit(Attractor(latents=2))
    surface = landscape(fit, draws=1, points=5, starts=6)
    model, weights = posterior(fit, 1, 0)
    mean = surface["centre"].values + surface["settled"].values[0] @ surface["axes"].values
    state = torch.tanh(torch.from_numpy(mean))
    force = model.force(weights, state[None], weights["bias"][:, None])
    assert float(force.abs().max()) < 1e-6


def test_the_plot_is_labelled():
    surface = landscape(prior_fit(Attractor()), draws=10, points=11)
    axes = plot_landscape(surface)
    assert "first direction" in axes.get_xlabel()
    assert "average genotype" in axes.get_title()
    assert axes.figure.axes[1].get_ylabel().startswith("mean energy")
    other = mpl.pyplot.figure().subplots()
    assert plot_landscape(surface, ax=other) is other
    solid = mpl.pyplot.figure().add_subplot(projection="3d")
    assert plot_landscape(surface, ax=solid).get_zlabel() == "mean energy"
    mpl.pyplot.close("all")


def test_other_formalizations_and_single_latents_are_refused():
    other = SimpleNamespace(formalization=Factor())
    with pytest.raises(ValueError, match="must be of the attractor formalization, got factor"):
        attractors(other)
    with pytest.raises(ValueError, match="at least 2 latents"):
        landscape(prior_fit(Attractor(latents=1)))
