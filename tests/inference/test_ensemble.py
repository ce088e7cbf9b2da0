"""Ensembles over restarts: different starts, mixture moments, weights."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from genomic_code.inference.ensemble import Ensemble, fit_ensemble
from genomic_code.inference.fit import Settings
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations.factor import Factor


def member(elbo, mean, sd=0.3, noise=0.4):
    def predict(cohort, draws):
        values = {"mean": mean, "sd": sd, "predictive_sd": np.hypot(sd, noise)}
        dims = ("individual", "trait")
        return xr.Dataset({key: (dims, np.full((2, 1), value)) for key, value in values.items()})

    return SimpleNamespace(elbo=elbo, predict=predict)


def test_the_mixture_has_the_moments_of_its_members():
    """Two normals at -1 and 1: variance within plus variance between."""
    predicted = Ensemble([member(-10.0, -1.0), member(-50.0, 1.0)]).predict()
    np.testing.assert_allclose(predicted["mean"], 0, atol=1e-12)
    np.testing.assert_allclose(predicted["between_sd"], 1)
    np.testing.assert_allclose(predicted["sd"], np.hypot(0.3, 1))
    np.testing.assert_allclose(predicted["predictive_sd"], np.sqrt(0.3**2 + 0.4**2 + 1))


def test_the_temperature_sets_the_weights():
    fits = [member(-10.0, -1.0), member(-30.0, 1.0)]
    np.testing.assert_allclose(Ensemble(fits).shares, [0.5, 0.5])
    np.testing.assert_allclose(Ensemble(fits, 20.0).shares, np.array([np.e, 1]) / (np.e + 1))
    np.testing.assert_allclose(Ensemble(fits, 1e-3).predict()["mean"], -1)


def test_members_start_at_different_places_and_see_only_the_training_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 4))
    y = x[:, :2] + 0.5 * rng.normal(size=(30, 2))
    rows = np.arange(30) < 20
    brief = Settings(screening=1, steps=20, cycles=1, elbo_draws=10)
    ensemble = fit_ensemble(
        Factor(latents=1), Cohort(x, y), members=3, training=rows, settings=brief, progress=False
    )
    starts = [fit.history[0] for fit in ensemble.fits]
    assert len(set(starts)) == 3
    assert ensemble.elbos.shape == (3,)
    assert all((fit.training == rows).all() for fit in ensemble.fits)
    assert ensemble.predict(draws=4)["mean"].shape == (30, 2)


def test_bad_arguments_are_named():
    cohort = Cohort(np.eye(4), np.eye(4))
    with pytest.raises(ValueError, match="members must be an integer of at least 1, got 0"):
        fit_ensemble("factor", cohort, members=0)
    with pytest.raises(ValueError, match=r"training must select among 4 .* got shape \(3,\)"):
        fit_ensemble("factor", cohort, training=np.ones(3, bool))
    with pytest.raises(ValueError, match="at least one fit"):
        Ensemble([])
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        Ensemble([member(0.0, 0.0)], 0.0)
