"""Figures: their axes, their labels, the numbers they draw; on light and on dark paper."""

import functools

import matplotlib as mpl
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from genomic_code.inference.functionals.response import lande
from genomic_code.inference.plane import active_plane
from genomic_code.inference.plots_map import plot_map
from genomic_code.inference.plots_network import plot_network
from genomic_code.inference.plots_profiles import plot_profiles
from genomic_code.inference.plots_selection import ellipse, plot_ellipses, plot_response
from genomic_code.inference.plots_style import COLUMN, axes_for, ink
from genomic_code.inference.plots_trust import counts, plot_calibration, plot_confusion
from genomic_code.spec import Cohort, Generative, Null, Polygenic
from genomic_code.spec.standardize import Scaler
from genomic_code.spec.wiring import to_graph

mpl.use("Agg")
GENERATOR = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


class Prior:
    """Weights from the prior of a formalization on a random cohort, in place of a fit."""

    def __init__(self, formalization, individuals=80, loci=12, traits=3):
        self.formalization = formalization
        self.cohort = Cohort(
            GENERATOR.normal(size=(individuals, loci)), GENERATOR.normal(size=(individuals, traits))
        )
        self.scaler = Scaler.fit(self.cohort)

    def weights(self, draws=10, seed=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            one = self.formalization.weights(self.scaler.data(self.cohort).shape)
        return {name: value.expand(draws, *value.shape) for name, value in one.items()}


def matrices(draws=5, traits=3):
    root = GENERATOR.normal(size=(draws, traits, traits))
    dims = ("draw", "trait", "trait_other")
    names = [f"trait {i}" for i in range(traits)]
    one = (dims, root @ root.swapaxes(1, 2))
    return xr.Dataset({"G": one, "M": one}, {"trait": names, "trait_other": names})


def pit():
    return xr.DataArray(
        GENERATOR.uniform(size=(2, 30, 2)),
        {"formalization": ["factor", "polygenic"]},
        ("formalization", "individual", "trait"),
    )


def gap_genes():
    position = np.linspace(0.1, 0.9, 8)
    cohort = Cohort(np.eye(3), GENERATOR.uniform(size=(3, 16)), unit="common", name="embryos")
    cohort.dataset = cohort.dataset.assign_coords(
        gene=("trait", np.repeat(["Hb", "Kr"], 8)), position=("trait", np.tile(position, 2))
    )
    return cohort


def prediction(cohort):
    return xr.Dataset({"mean": cohort.phenotype, "sd": 0 * cohort.phenotype + 0.1})


@functools.cache
def drawings():
    """Every figure as a function of the axes, by name."""
    graph = to_graph(torch.randn(9, 4, 3), list("abcd"), list("xyz"), threshold=0.0)
    square = to_graph(torch.randn(9, 3, 3), list("abc"), list("abc"), threshold=0.0)
    both = matrices()
    path = lande(both["G"].values, [1.0, 0, 0], 4)
    table = pd.DataFrame([[3, 1], [0, 4]], list("ab"), list("ab"))
    embryos = gap_genes()
    plane = active_plane(Prior(Generative(latents=2)), draws=3, points=9)
    return {
        "network": lambda ax: plot_network(graph, "weights", ax),
        "circuit": lambda ax: plot_network(square, "regulation", ax),
        "map": lambda ax: plot_map(plane, ax=ax),
        "ellipses": lambda ax: plot_ellipses(both, ax=ax),
        "response": lambda ax: plot_response({"Lande": path, "again": path}, ax=ax),
        "calibration": lambda ax: plot_calibration(pit(), ax=ax),
        "confusion": lambda ax: plot_confusion(table, ax),
        "profiles": lambda ax: plot_profiles(embryos, "0", ax=ax),
        "predicted profiles": lambda ax: plot_profiles(embryos, "1", prediction(embryos), ax),
    }


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", list(drawings()))
def test_every_figure_takes_axes_and_returns_them(name, style):
    draw = drawings()[name]
    with plt.style.context(style):
        own = draw(None)
        assert own.get_figure().get_figwidth() == pytest.approx(COLUMN)
        own.figure.draw_without_rendering()
        given = plt.figure().subplots()
        assert draw(given) is given
        given.figure.draw_without_rendering()
    if own.axison:
        assert own.get_xlabel()
        assert own.get_ylabel()
        assert own.xaxis.label.get_color() == ("white" if style == "dark_background" else "black")


def test_calibration_leaves_out_baselines():
    some = pit()
    none = some.isel(formalization=[0]).assign_coords(formalization=["ridge"]) * np.nan
    ax = plot_calibration(xr.concat([some, none], "formalization"))
    shown = {text.get_text() for text in ax.get_legend().get_texts()}
    assert shown == {"factor", "polygenic"}
    with pytest.raises(ValueError, match="at least one observed cell"):
        plot_calibration(none)


def test_the_first_figure_may_turn_interaction_on(monkeypatch):
    """As it does in a notebook, which shows no later figure where it is off."""
    plain = plt.subplots

    def subplots(*arguments, **options):
        mpl.interactive(True)
        return plain(*arguments, **options)

    assert not mpl.is_interactive()
    monkeypatch.setattr(plt, "subplots", subplots)
    axes_for(None)
    assert mpl.is_interactive()
    mpl.interactive(False)


def test_new_axes_are_small_and_given_ones_are_left_alone():
    ax = axes_for(None)
    assert ax.xaxis.label.get_size() == 8
    assert not ax.spines["top"].get_visible()
    other = plt.figure().subplots()
    assert axes_for(other) is other
    assert other.spines["top"].get_visible()
    assert len(axes_for(None, ncols=2)) == 2


def test_ink_can_be_read():
    assert ink(["white", "black", "yellow", "#440154"]) == ["black", "white", "black", "white"]


def test_an_ellipse_is_one_standard_deviation():
    matrix = np.array([[2.0, 0.5], [0.5, 1.0]])
    points = ellipse(matrix)
    np.testing.assert_allclose(
        np.einsum("ip,ij,jp->p", points, np.linalg.inv(matrix), points), 1.0, rtol=1e-9
    )


def test_ellipses_refuse_what_is_not_there():
    both = matrices()
    with pytest.raises(ValueError, match="names must be among G, M, got 'P'"):
        plot_ellipses(both, names=("P",))
    with pytest.raises(ValueError, match="traits must be two of"):
        plot_ellipses(both, ("trait 0", "height"))
    with pytest.raises(ValueError, match="at least 2 traits"):
        plot_ellipses({"G": np.ones((3, 1, 1))}, names=("G",))


def test_responses_start_from_zero_and_show_the_trait_that_changes_most():
    path = lande(np.diag([1.0, 3.0]), [1.0, 1.0], 4) + 5.0
    ax = plot_response({"Lande": path})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 3.0 * np.arange(5))
    assert "trait 1" in ax.get_ylabel()
    with pytest.raises(ValueError, match="at least one"):
        plot_response({})
    with pytest.raises(ValueError, match="trait must be one of"):
        plot_response({"Lande": path}, "height")


def test_counts_of_cells_below_each_level():
    below, count = counts(np.array([[0.1, np.nan], [0.5, 0.9]]), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(below, [[0, 1, 1], [0, 1, 2]])
    np.testing.assert_array_equal(count, [1, 2])


def test_calibration_shows_the_share_below_less_the_level():
    table = (np.arange(100) + 0.5)[:, None] / 100
    ax = plot_calibration(table**0.5)
    level = np.linspace(0, 1, 101)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), level**2 - level, atol=0.011)
    with pytest.raises(ValueError, match="from 0 to 1"):
        plot_calibration(table + 1)
    with pytest.raises(ValueError, match="at least one observed"):
        plot_calibration(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="formalizations must be among"):
        plot_calibration(pit(), ["generative"])


def test_confusion_writes_the_counts():
    table = pd.DataFrame([[3, 1], [0, 4]], list("ab"), list("ab"))
    ax = plot_confusion(table)
    assert [text.get_text() for text in ax.texts] == ["3", "1", "0", "4"]
    with_shares = table.assign(share=[0.75, 1.0], low=[0.2, 0.4], high=[1.0, 1.0])
    assert len(plot_confusion(with_shares).texts) == 4
    with pytest.raises(ValueError, match="counts of verdicts"):
        plot_confusion(table - 2)


def test_networks_need_edges_with_a_posterior():
    with pytest.raises(ValueError, match="edges with a strength"):
        plot_network(nx.DiGraph([("a", "b")]))
    with pytest.raises(ValueError, match="lower its threshold"):
        plot_network(to_graph(torch.zeros(3, 2, 2), list("ab"), list("xy")))


def test_rows_stand_left_and_columns_right():
    ax = plot_network(to_graph(torch.ones(3, 2, 3), list("ab"), list("xyz")))
    place = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert max(place[n] for n in "ab") < min(place[n] for n in "xyz")


def test_profiles_need_positions():
    with pytest.raises(ValueError, match="coordinates 'gene' and 'position'"):
        plot_profiles(Prior(Polygenic()).cohort, "0")
    with pytest.raises(ValueError, match="individual must be one of"):
        plot_profiles(gap_genes(), "osk")


def test_the_plane_of_two_latents_is_the_latents():
    prior = Prior(Generative(latents=2))
    plane = active_plane(prior, draws=3, points=9)
    assert plane["share"].sum() == pytest.approx(1, abs=1e-6)
    latents = prior.formalization.encode(
        prior.weights(1), prior.scaler.data(prior.cohort).genotype
    )[0].double()
    latents = latents - latents.mean(0)
    position = torch.from_numpy(plane["position"].values)
    rest = latents - position @ torch.linalg.lstsq(position, latents).solution
    assert rest.abs().max() < 1e-4
    np.testing.assert_allclose(plane["position"].std("individual"), 1.0, rtol=1e-6)


def test_the_surface_is_the_map_of_the_genotypes_on_the_plane():
    prior = Prior(Generative(latents=2))
    plane = active_plane(prior, draws=2, points=5)
    data = prior.scaler.data(prior.cohort)
    place = plane["first"].values[3], plane["second"].values[1]
    genotype = data.genotype.double().mean(0) + torch.from_numpy(
        np.asarray(place) @ plane["loading"].values
    )
    traits = prior.formalization.develop(
        prior.weights(1), genotype.float()[None], data.environment[:1]
    )
    np.testing.assert_allclose(plane["mean"].values[:, 1, 3], traits[0, 0], atol=1e-5)
    np.testing.assert_allclose(plane["sd"], 0.0, atol=1e-6)


def test_an_additive_map_is_a_slope_on_its_plane():
    plane = active_plane(Prior(Polygenic()), draws=2, points=5)
    np.testing.assert_allclose(plane["mean"].diff("first").diff("first"), 0.0, atol=1e-5)
    with pytest.raises(ValueError, match="trait must be one of"):
        plot_map(plane, "height")


def test_a_plane_needs_two_loci_and_an_effect():
    with pytest.raises(ValueError, match="at least 2 independent loci"):
        active_plane(Prior(Polygenic(), loci=1), draws=2)
    with pytest.raises(ValueError, match="depends on the genotype"):
        active_plane(Prior(Null()), draws=2)
