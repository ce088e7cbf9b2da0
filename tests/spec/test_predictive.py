import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from genomic_code.spec import NOISES, Generative, Null, Polygenic, prior_predictive, simulate
from genomic_code.spec.example import example
from genomic_code.spec.predictive import plot_explained, shares
from genomic_code.spec.protocols import Shape
from tests.conformance import cases

COHORT = simulate("factor", individuals=40, loci=8, traits=3, missing=0.1, error=0.2, seed=0)


@pytest.mark.parametrize("name", list(cases()))
def test_default_priors_leave_room_for_signal_and_noise(name):
    """The share explained, averaged over traits, is in 5 to 95 % for at least 95 % of draws."""
    case = cases()[name]
    shape = None if hasattr(case, "example_shape") else Shape(100, 50, 2, 12)
    explained, genetic = shares(case, example(case, shape), 60, seed=1)
    average = explained.mean(1)
    assert ((average > 0.05) & (average < 0.95)).mean() >= 0.95
    assert (genetic >= 0).all()
    assert (genetic <= 1).all()
    assert (genetic == 0).all() == (name == "null")


def test_groups_and_labels():
    tree = prior_predictive("generative", COHORT, draws=5, seed=1)
    assert set(tree.children) == {
        "prior",
        "prior_predictive",
        "sample_stats_prior",
        "observed_data",
    }
    assert tree["prior/encoder"].dims == ("chain", "draw", "locus", "latent")
    assert tree["prior/encoder"]["locus"].values.tolist() == COHORT.labels("locus")
    assert tree["prior_predictive/phenotype"].shape == (1, 5, 40, 3)
    assert tree["sample_stats_prior/explained_share"].dims == ("chain", "draw", "trait")
    xr.testing.assert_equal(tree["observed_data/phenotype"], COHORT.phenotype)


def test_seeds():
    first, again, other = (prior_predictive("factor", COHORT, 3, seed=s) for s in (1, 1, 2))
    assert first.identical(again)
    assert not first.identical(other)


def test_stores_as_netcdf(tmp_path):
    tree = prior_predictive("conditional", COHORT, 3)
    tree.to_netcdf(tmp_path / "prior.nc", engine="h5netcdf")
    back = xr.open_datatree(tmp_path / "prior.nc", engine="h5netcdf")
    np.testing.assert_array_equal(
        back["prior_predictive/phenotype"].values, tree["prior_predictive/phenotype"].values
    )


def test_units_are_those_of_the_data():
    dataset = COHORT.dataset.copy(deep=True)
    dataset["phenotype"] = dataset["phenotype"] * 1000 + 5000
    dataset["error"] = dataset["error"] * 1000
    moved = prior_predictive("factor", type(COHORT).from_dataset(dataset), 4, seed=3)
    plain = prior_predictive("factor", COHORT, 4, seed=3)
    np.testing.assert_allclose(
        moved["prior_predictive/phenotype"].values,
        plain["prior_predictive/phenotype"].values * 1000 + 5000,
        rtol=1e-3,
    )


def test_share_of_the_null_is_the_formula():
    data = example(Null())
    explained, genetic = shares(Null(), data, 4, seed=2)
    tree = prior_predictive("null", simulate("null", individuals=60, loci=4, traits=4), 4)
    assert (genetic == 0).all()
    assert ((explained > 0) & (explained < 1)).all()
    prior = tree["prior"].dataset.isel(chain=0)
    effect, noise = prior["environment_effect"].values, prior["noise_scale"].values
    covariates = simulate("null", individuals=60, loci=4, traits=4).environment.values
    scaled = (covariates - covariates.mean(0)) / covariates.std(0)
    between = (scaled @ effect).var(1)
    np.testing.assert_allclose(
        tree["sample_stats_prior/explained_share"].values[0],
        between / (between + noise**2),
        rtol=1e-4,
    )


@pytest.mark.parametrize("noise", list(NOISES))
def test_every_noise(noise):
    model = NOISES[noise]()
    cohort = simulate(Polygenic(noise=model), individuals=40, loci=6, traits=3, seed=4)
    tree = prior_predictive(Generative(noise=model), cohort, 4)
    model.check(tree["prior_predictive/phenotype"].values[0, 0])
    share = tree["sample_stats_prior/explained_share"].values
    assert ((share >= 0) & (share <= 1)).all()


def test_plot():
    axes = plot_explained(prior_predictive("factor", COHORT, 5))
    assert axes.get_xlabel() == "share of explained variance"
    plt.close(axes.figure)


def test_bad_arguments():
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        prior_predictive("factor", COHORT, 0)
    with pytest.raises(ValueError, match=r"counts 0, 1, 2, ... with Poisson noise"):
        prior_predictive(Null(noise=NOISES["poisson"]()), COHORT, 1)
