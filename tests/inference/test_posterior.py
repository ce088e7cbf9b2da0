"""A Fit: predictions, held-out densities and the DataTree."""

import arviz_stats
import numpy as np
import pytest
import torch

from genomic_code.inference import Fit, Settings, fit
from genomic_code.spec import Cohort, Generative, simulate

QUICK = Settings(restarts=3, screening=60, steps=300, elbo_draws=50)


@pytest.fixture(scope="module")
def fitted(cohort: Cohort) -> Fit:
    return fit("factor", cohort, settings=QUICK, progress=False)


def test_prediction_is_that_of_the_weights(fitted: Fit, cohort: Cohort) -> None:
    """Weights over loci develop into the predictions made in the rotated basis."""
    weights = fitted.weights(draws=4000, seed=fitted.seed + 1)
    data = fitted.scaler.data(cohort)
    expected = fitted.formalization.develop(weights, data.genotype, data.environment)
    centre, scale = fitted.scaler.phenotype
    theirs = (expected.mean(0) * scale + centre).numpy()
    ours = fitted.predict(draws=4000)
    np.testing.assert_allclose(ours["mean"].values, theirs, atol=1e-4)
    assert list(ours["trait"].values) == cohort.labels("trait")
    assert (ours["predictive_sd"] > ours["sd"]).all()


def test_new_individuals_are_predicted_as_old_ones(fitted: Fit, cohort: Cohort) -> None:
    own = fitted.predict()["mean"]
    new = fitted.predict(cohort)["mean"]
    np.testing.assert_allclose(own, new, atol=1e-4)
    with pytest.raises(ValueError, match=r"same locus labels as the fit.*expected 12, got 11"):
        fitted.predict(Cohort(cohort.genotype[:, 1:], cohort.phenotype, cohort.environment))


def test_more_loci_than_individuals() -> None:
    """Directions that no individual spans keep their prior: new individuals are uncertain."""
    cohort = simulate("polygenic", individuals=30, loci=80, traits=2, environments=0, seed=0)
    strangers = simulate("polygenic", individuals=30, loci=80, traits=2, environments=0, seed=1)
    fitted = fit("polygenic", cohort, settings=QUICK, progress=False)
    assert fitted.basis is not None
    assert fitted.basis.vectors.shape == (80, 29)
    own, new = fitted.predict()["sd"].mean(), fitted.predict(strangers)["sd"].mean()
    assert float(new) > float(own)


def test_log_predictive(fitted: Fit, cohort: Cohort) -> None:
    density = fitted.log_predictive()
    assert np.array_equal(np.isnan(density), np.isnan(cohort.phenotype.values))
    prediction = fitted.predict(draws=400)
    normal = torch.distributions.Normal(
        *(torch.tensor(prediction[name].values) for name in ("mean", "predictive_sd"))
    )
    rough = normal.log_prob(torch.tensor(np.nan_to_num(cohort.phenotype.values))).numpy()
    rough = rough + np.log(np.nanstd(cohort.phenotype.values.astype(float), 0))
    assert np.nanmax(np.abs(density - rough)) < 0.5
    assert abs(np.nanmean(density - rough)) < 0.02


def test_outliers_beyond_computation_are_reported(fitted: Fit, cohort: Cohort) -> None:
    phenotype = cohort.phenotype.values.copy()
    phenotype[0, 0] = 1e30
    absurd = Cohort(cohort.genotype, phenotype, environment=cohort.environment)
    with pytest.raises(FloatingPointError, match="factor: the log predictive density"):
        fitted.log_predictive(absurd)


def test_datatree(fitted: Fit, cohort: Cohort) -> None:
    tree = fitted.to_datatree(draws=50)
    posterior = tree["posterior"]
    assert posterior["encoder"].dims == ("chain", "draw", "locus", "latent")
    assert list(posterior["locus"].values) == cohort.labels("locus")
    assert tree["posterior_predictive"]["phenotype"].dims == (
        "chain", "draw", "individual", "trait"
    )  # fmt: skip
    assert tree["log_likelihood"]["phenotype"].dims == ("chain", "draw", "individual")
    stats = tree["sample_stats"]
    # the ELBO is the mean of log p - log q
    gap = (stats["log_p"] - stats["log_q"]).values
    error = gap.std(ddof=1) / np.sqrt(gap.size)
    assert abs(gap.mean() - fitted.elbo) < 4 * (error + fitted.elbo_error)
    assert tree.attrs["formalization"] == "factor"
    with pytest.warns(UserWarning, match="Estimated shape parameter"):
        assert np.isfinite(arviz_stats.loo(tree).elpd)


def test_no_weight_is_lost_from_the_tree(cohort: Cohort) -> None:
    """xarray drops a variable that shares the name of a dimension."""
    fitted = fit(Generative(latents=2, hidden=3), cohort, settings=QUICK, progress=False)
    names = set(fitted.to_datatree(draws=10)["posterior"].data_vars)
    assert set(fitted.weights(draws=2)) <= names


def test_large_weights_are_left_out_by_name(fitted: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genomic_code.inference.datatree.LARGEST", 200)
    tree = fitted.to_datatree(draws=50)
    assert "encoder" in tree["posterior"].attrs["left_out"]
    assert "encoder" not in tree["posterior"].data_vars
