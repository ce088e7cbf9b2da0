"""Several optima of one fit: how much each counts, and what is drawn from them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from genomic_code import load
from genomic_code.inference import Settings, compare, fit, optimise
from genomic_code.inference.distortion import bits, rate_distortion
from genomic_code.inference.fit import fit_folds
from genomic_code.inference.heldout import blended, held_out
from genomic_code.inference.modes import Modes, expected_likelihood, mixed, shares
from genomic_code.inference.posterior import Fit
from genomic_code.spec import Cohort, simulate

QUICK = Settings(restarts=4, modes=3, screening=60, steps=60, cycles=1)
COHORT = simulate("generative", individuals=60, loci=12, traits=3, seed=0)


@pytest.fixture(scope="module")
def several() -> Fit:
    """A fit with three optima, of shares that are easy to tell apart."""
    with pytest.warns(UserWarning, match="raise cycles"):
        one = fit("generative", COHORT, settings=QUICK, progress=False)
    assert one.modes is not None
    share = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    return replace(one, modes=one.modes._replace(share=share))


def test_optima_that_data_cannot_tell_apart_share_by_a_closed_form() -> None:
    rng = np.random.default_rng(0)
    difference = rng.normal(size=2000)
    difference -= difference.mean()
    for gap, spread in [(0.0, 0.5), (-30.0, 1.0), (-60.0, 1.0)]:
        likelihoods = np.stack([np.zeros(2000), spread * difference])
        found = shares(likelihoods, np.array([0.0, gap]))
        error = spread * difference.std() * np.sqrt(2000)
        expected = expit(gap + error * rng.normal(size=200_000)).mean()
        assert found.sum() == pytest.approx(1)
        # 2,000 bootstraps: a standard error of at most .011
        assert found[1] == pytest.approx(expected, abs=0.045)


def test_what_is_plainly_worse_counts_for_nothing() -> None:
    likelihoods = np.random.default_rng(0).normal(size=(3, 400)) / 100
    found = shares(likelihoods, np.array([0.0, 0.0, -80.0]))
    np.testing.assert_allclose(found, [0.5, 0.5, 0.0], atol=0.06)


def test_the_order_of_optima_changes_nothing() -> None:
    likelihoods = np.random.default_rng(0).normal(size=(3, 50))
    elbos = np.array([0.0, 1.0, -2.0])
    backwards = shares(likelihoods[::-1], elbos[::-1])
    np.testing.assert_allclose(shares(likelihoods, elbos), backwards[::-1])


def test_draws_are_shared_out_evenly(several: Fit) -> None:
    each = [one.flat_draws(200) for one in several.split()]
    drawn = several.flat_draws(200)
    origin = torch.stack([(drawn == one).all(-1) for one in each])
    assert (origin.sum(0) == 1).all()
    np.testing.assert_allclose(origin.double().mean(1), [0.6, 0.3, 0.1], atol=0.02)
    assert (origin[:, 0::2] == origin[:, 1::2]).all(), "antithetic pairs stay together"


def test_single_draws_of_many_seeds_come_from_all_optima(several: Fit) -> None:
    each = [torch.cat([one.flat_draws(1, seed) for seed in range(60)]) for one in several.split()]
    drawn = torch.cat([several.flat_draws(1, seed) for seed in range(60)])
    share = torch.stack([(drawn == one).all(-1) for one in each]).double().mean(1)
    np.testing.assert_allclose(share, [0.6, 0.3, 0.1], atol=0.2)


def test_draws_do_not_depend_on_how_many_are_made_at_a_time(several: Fit) -> None:
    parts = torch.cat(list(several.flat_parts(50, 8)))
    assert torch.equal(parts, several.flat_draws(50))


def test_density_is_that_of_the_mixture(several: Fit) -> None:
    flat = several.flat_draws(20)
    assert several.modes is not None
    each = torch.stack([one.log_density(flat) for one in several.split()])
    expected = (each.exp().double() * several.modes.share[:, None]).sum(0).log()
    torch.testing.assert_close(several.log_density(flat), expected, rtol=1e-4, atol=1e-4)


def test_the_best_is_first(several: Fit) -> None:
    members = several.split()
    assert [one.elbo for one in members] == sorted((one.elbo for one in members), reverse=True)
    assert members[0].elbo == several.elbo
    assert torch.equal(members[0].parameters, several.parameters)
    assert all(one.modes is None for one in members)


def test_one_optimum_by_default() -> None:
    one = fit("generative", COHORT, settings=Settings(restarts=2), progress=False)
    assert one.modes is None
    assert one.split() == [one]


def test_mixing_joins_all_optima(several: Fit) -> None:
    again = mixed([several, several.split()[1]])
    assert again.modes is not None
    assert len(again.modes.share) == 4
    assert float(again.modes.share.sum()) == pytest.approx(1)
    assert again.modes.share[1] == pytest.approx(float(again.modes.share[2]), abs=1e-9)


def test_individuals_of_a_group_vary_together(several: Fit) -> None:
    family = np.arange(60) % 7
    each = expected_likelihood(several)
    expected = [each[family == k].sum() for k in range(7)]
    np.testing.assert_allclose(expected_likelihood(several, family), expected)
    apart = mixed(several.split(), np.arange(60)), mixed(several.split())
    together = mixed(several.split(), family)
    shares = [one.modes.share for one in (*apart, together) if one.modes is not None]
    assert torch.equal(shares[0], shares[1])
    assert not torch.equal(shares[1], shares[2])


def test_fits_and_comparisons_know_the_groups() -> None:
    grouped = Cohort(COHORT.genotype, COHORT.phenotype, groups=np.arange(60) // 6)
    labels = grouped.groups.values
    with pytest.warns(UserWarning, match="raise cycles"):
        one = fit("generative", grouped, settings=QUICK, progress=False)
    compared = compare(["generative"], grouped, settings=QUICK, folds=2, progress=False)
    for found in (one, compared.fits["generative"]):
        kinds = [found, mixed(found.split(), labels), mixed(found.split())]
        shares = [kind.modes.share for kind in kinds if kind.modes is not None]
        assert torch.equal(shares[0], shares[1])
        assert not torch.equal(shares[0], shares[2])


def test_saved_optima_give_the_same_draws(several: Fit, tmp_path) -> None:  # type: ignore[no-untyped-def]
    read = load(several.save(tmp_path / "several.nc"))
    assert torch.equal(read.flat_draws(30), several.flat_draws(30))
    assert isinstance(read.modes, Modes)
    for ours, theirs in zip(several.modes or (), read.modes, strict=True):
        assert torch.equal(ours, theirs)


def test_blending_is_the_predictive_density_of_the_mixture() -> None:
    training = np.arange(60)[None] >= 15
    settings = replace(QUICK, cycles=3)
    found = fit_folds("generative", COHORT, training, settings, 0, False)[0]
    members = [
        held_out(one, 4000)._replace(likelihood=expected_likelihood(one)) for one in found.split()
    ]
    whole, parts = held_out(found, 4000), blended(members)
    np.testing.assert_allclose(parts.density, whole.density, atol=0.05)
    np.testing.assert_allclose(parts.mean, whole.mean, atol=0.1)
    np.testing.assert_allclose(parts.pit, whole.pit, atol=0.05)
    assert blended(members[:1]) is members[0]


def test_expected_likelihood_is_what_the_elbo_has_beside_the_divergence() -> None:
    """Without weights to learn, given all sites, the ELBO is the expected log likelihood."""
    plain = fit("null", COHORT, progress=False)
    total = expected_likelihood(plain, draws=4000).sum()
    flat = plain.flat_draws(4000)
    with torch.no_grad():
        joint = plain.flat.log_joint(flat, plain.data)
        nothing = plain.data._replace(observed=torch.zeros_like(plain.data.observed))
        prior = plain.flat.log_joint(flat, nothing)
    assert total == pytest.approx(float((joint - prior).double().mean()), rel=1e-5)


def test_an_optimum_that_diverges_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = optimise.estimate_elbo

    def spoilt(*inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        elbo, error = real(*inputs)
        if elbo.shape[1] == 2:  # the two that are refined
            elbo[:, 1] = torch.nan
        return elbo, error

    monkeypatch.setattr(optimise, "estimate_elbo", spoilt)
    settings = Settings(restarts=3, modes=2)
    found = fit("generative", COHORT, settings=settings, progress=False)
    assert found.converged
    assert found.modes is None
    assert np.isfinite(found.elbo)


def test_bits_are_those_of_the_best() -> None:
    settings = Settings(restarts=3, modes=2, guide="meanfield")
    found = fit("generative", COHORT, settings=settings, progress=False)
    assert "of draws" in found._repr_html_()
    best = found.split()[0]
    pd.testing.assert_frame_equal(bits(found), bits(best))
    ours, theirs = (rate_distortion({1: one}) for one in (found, best))
    pd.testing.assert_frame_equal(ours, theirs)


def test_modes_must_be_a_number_of_starts() -> None:
    with pytest.raises(ValueError, match="modes must be an integer of at least 1, got 0"):
        Settings(modes=0)
