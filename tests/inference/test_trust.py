"""The traffic light: green where the posterior is known, red where the fit is spoilt."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from genomic_code.inference import Fit, Settings, trust
from genomic_code.inference.fit import fit_folds
from genomic_code.inference.simulation_calibration import simulation_based_calibration
from genomic_code.spec import Polygenic, simulate

QUICK = Settings(restarts=2, screening=60, steps=300, cycles=3, elbo_draws=50)


@pytest.fixture(scope="module")
def fit() -> Fit:
    cohort = simulate("polygenic", individuals=80, loci=8, traits=2, seed=0)
    return fit_folds(Polygenic(), cohort, np.ones((1, 80), bool), Settings(), 0, False)[0]


def test_a_good_fit(fit: Fit) -> None:
    report = trust(fit, individuals=60, loci=6, settings=QUICK, progress=False)
    assert report.light in ("green", "amber"), str(report)
    assert list(report.ladder.index) == ["traitblocks", "meanfield", "lowrank", "fullrank"]
    assert (report.reference["shift"].abs() < 1).all()
    assert "polygenic: " in str(report)
    assert "<li>" in report._repr_html_()


def test_a_spoilt_fit(fit: Fit) -> None:
    stopped = replace(fit, converged=False)
    report = trust(stopped, ladder=False, reference=False, progress=False)
    assert report.light == "red"
    assert "ELBO still rose" in report.reasons[0]
    moved = replace(fit, parameters=fit.parameters + 0.5)
    report = trust(moved, ladder=False, reference=False, progress=False)
    assert report.k_hat > 0.7
    assert report.light == "amber"
    lonely = replace(fit, restart_elbos=np.array([-100.0, -150.0, -300.0]))
    report = trust(lonely, ladder=False, reference=False, progress=False)
    assert "1 of 3 restarts" in " ".join(report.reasons)
    with pytest.raises(ValueError, match="individuals must be at least 10"):
        trust(fit, individuals=3)


@pytest.mark.slow
def test_calibrated_where_the_guide_is_exact() -> None:
    """Given the hyperparameters polygenic is conjugate, so ranks are uniform."""
    cohort = simulate("polygenic", individuals=50, loci=5, traits=2, seed=0)
    with torch.random.fork_rng():
        ranks = simulation_based_calibration(
            Polygenic(), cohort, 60, settings=QUICK, progress=False
        )  # fmt: skip
    assert (ranks["p"] > 1e-4).all(), str(ranks)
