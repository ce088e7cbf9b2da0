"""Bits against closed forms and against each other; the curve's order, frontier and errors."""

import math

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from genomic_code.inference.distortion import bits, plot_rate_distortion, rate_distortion
from genomic_code.inference.flat import FlatModel
from genomic_code.inference.guides import MeanField
from genomic_code.inference.posterior import Fit
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations.bottleneck import Bottleneck
from genomic_code.spec.formalizations.null import Null
from genomic_code.spec.standardize import Scaler

mpl.use("Agg")


def unfitted(model, scale=0.1, location=0.3, heldout=0, seed=0):
    """A Fit with a guide set by hand; its ELBO is estimated with many draws."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(30, 5))
    cohort = Cohort(x, x[:, :2] + 0.3 * rng.normal(size=(30, 2)), rng.normal(size=(30, 1)))
    rows = np.arange(30) >= heldout
    scaler = Scaler.fit(cohort, rows)
    data = scaler.data(cohort, rows)
    flat = FlatModel(model, data.shape)
    generator = torch.Generator().manual_seed(seed)
    place = location * torch.randn(flat.dim, generator=generator)
    parameters = MeanField().start(place, scale)
    noise = torch.randn(1000, flat.dim, generator=generator)
    draws = MeanField().sample(parameters, torch.cat([noise, -noise]))
    gap = flat.log_joint(draws, data) - MeanField().log_density(parameters, draws)
    elbo, error = gap.double().mean(), gap.double().std() / 2000**0.5
    return Fit(
        model, cohort, rows, scaler, None, flat, data, MeanField(), parameters,
        float(elbo), float(error),
        np.zeros(1), np.zeros(1), True, seed,
    )  # fmt: skip


def test_bits_of_normal_and_lognormal_sites_are_exact_divergences():
    fit = unfitted(Null())
    table = bits(fit, draws=4000)
    location, log_scale = fit.parameters.chunk(2)
    priors = {"mean": (0.0, 1.0), "environment_effect": (0.0, 0.5), "noise_scale": (-0.5, 0.5)}
    for site in fit.flat.sites:
        part = slice(site.start, site.stop)
        q = Normal(location[part], log_scale[part].exp())
        wanted = float(kl_divergence(q, Normal(*priors[site.name])).sum()) / math.log(2)
        row = table.loc[site.name]
        assert abs(row["bits"] - wanted) <= 4 * row["se"] + 1e-4
        assert row["numbers"] == site.stop - site.start


def test_bits_of_genomic_weights_are_exact_without_draws():
    table = bits(unfitted(Bottleneck(genes=2, hidden=4)), draws=4)
    for name in ("encoder", "genome_hidden", "genome_bias", "genome_decoder"):
        assert table.loc[name, "se"] == 0


def test_sites_add_up_to_the_rate_of_the_whole_fit():
    fit = unfitted(Bottleneck(genes=2, hidden=4), scale=0.05)
    table = bits(fit, draws=2000)
    curve = rate_distortion({2: fit}, draws=2000)
    error = math.hypot(table["se"].pow(2).sum() ** 0.5, curve.loc[2, "bits_se"])
    assert abs(table["bits"].sum() - curve.loc[2, "bits"]) < 4 * error


def test_a_population_at_the_mutational_prior_holds_no_bits():
    table = bits(unfitted(Bottleneck(genes=2, hidden=4), scale=1.0, location=0.0), draws=4)
    genomic = table.loc[["encoder", "genome_hidden", "genome_bias", "genome_decoder"], "bits"]
    np.testing.assert_allclose(genomic, 0, atol=1e-6)


def test_rate_and_distortion_add_up_to_the_elbo():
    fit = unfitted(Null())
    row = rate_distortion({"null": fit}, draws=500).loc["null"]
    total = row["bits"] + row["distortion"] * fit.data.observed.sum().item()
    # The ELBO is from 2,000 draws, the distortion from 500: twice its standard error.
    error = math.hypot(fit.elbo_error, 2 * fit.elbo_error) / math.log(2)
    assert abs(total + fit.elbo / math.log(2)) < 4 * math.hypot(error, row["bits_se"])


def test_fidelity_is_the_share_of_variance_and_heldout_uses_other_individuals():
    fit = unfitted(Null(), scale=1e-4, location=0.0, heldout=10)
    row = rate_distortion({"null": fit}, draws=20).loc["null"]
    assert row["fidelity"] == pytest.approx(0, abs=1e-3)
    y = fit.cohort.phenotype.values
    out = (y[:10] - y[10:].mean(0)) / y[10:].std(0)
    residual = out - 1e-9
    assert row["heldout"] == pytest.approx(1 - (residual**2).sum() / (out**2).sum(), abs=2e-3)
    assert "heldout" not in rate_distortion({"null": unfitted(Null())}, draws=4)


def test_the_frontier_holds_settings_that_no_other_beats_in_both():
    fits = {
        "small": unfitted(Null(), location=0.0, scale=0.9),
        "wasteful": unfitted(Null(), location=1.5),
        "null": unfitted(Null(), location=0.0, scale=0.05),
    }
    curve = rate_distortion(fits, draws=200)
    assert curve["bits"].is_monotonic_increasing
    assert curve["frontier"].to_dict() == {"small": True, "null": True, "wasteful": False}
    assert (curve["fidelity_low"] <= curve["fidelity"]).all()
    assert (curve["fidelity"] <= curve["fidelity_high"]).all()


def test_several_fits_of_a_setting_give_the_error_of_their_mean():
    group = [unfitted(Null(), seed=seed) for seed in range(3)]
    alone = [rate_distortion({0: fit}, draws=50).loc[0, "bits"] for fit in group]
    row = rate_distortion({0: group}, draws=50).loc[0]
    assert row["fits"] == 3
    assert row["bits"] == pytest.approx(np.mean(alone))
    assert row["bits_se"] == pytest.approx(np.std(alone, ddof=1) / 3**0.5)


def test_the_plot_shows_both_fidelities_and_names_the_settings():
    fits = {m: unfitted(Bottleneck(genes=m, hidden=4), heldout=5) for m in (1, 2)}
    axes = plot_rate_distortion(rate_distortion(fits, draws=20))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["training", "held out"]
    assert {"1", "2"} <= {text.get_text() for text in axes.texts}
    assert "bits" in axes.get_xlabel()
    mpl.pyplot.close("all")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="at least one setting"):
        rate_distortion({})
    with pytest.raises(ValueError, match="at least one fit a setting, got none for 3"):
        rate_distortion({3: []})
    with pytest.raises(ValueError, match="draws must be at least 4, got 3"):
        bits(unfitted(Null()), draws=3)
    with pytest.raises(ValueError, match="interval must be between 0 and 1, got 1"):
        rate_distortion({1: unfitted(Null())}, interval=1)
