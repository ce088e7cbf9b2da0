"""What the checks of a fit say of it: a colour, and words, for each finding."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from genomic_code.inference.posterior import Fit
from genomic_code.inference.scores import GOOD_K

__all__ = ["COLOURS", "judge_chains", "judge_fit", "judge_ranks"]

COLOURS = ("green", "amber", "red")
NEAR = 10.0
"""Nats within which a restart counts as having found the best optimum."""
SETTLED = 0.3
"""Drift of the chains, in standard deviations, above which they are no reference."""


def judge_fit(
    fit: Fit,
    k_hat: float,
    restarts: "pd.Series[float]",
    converged: bool,
    ladder: pd.DataFrame,
    reference: pd.DataFrame,
    calibration: pd.DataFrame,
) -> Iterator[tuple[str, str]]:
    """What optimiser and guide give away."""
    if not converged:
        yield "red", "the ELBO still rose when the optimiser stopped: raise cycles or steps"
    agrees = len(reference) > 0 and bool((reference["shift"].abs() < 1).all())
    if k_hat <= GOOD_K:
        yield "green", f"the guide is close to the posterior (k-hat of p/q {k_hat:.2f})"
    elif agrees:
        yield (
            "green",
            (
                f"the guide is not the posterior of the {fit.flat.dim} weights (k-hat of p/q "
                f"{k_hat:.1f}: never importance-correct), but its functionals are the chains'"
            ),
        )
    else:
        yield (
            "amber",
            (
                f"the guide is not the posterior of the {fit.flat.dim} weights (k-hat of p/q "
                f"{k_hat:.1f}): intervals may be too narrow, and must not be importance-corrected"
            ),
        )
    if len(restarts):
        near = int((restarts > -NEAR).sum())
        word = f"{near} of {len(restarts)} restarts came within {NEAR:.0f} nats of the best"
        colour = "amber" if near == 1 else "green"
        yield colour, word + (": another run may find a better optimum" if near == 1 else "")
    if len(ladder) > 1:
        own, others = str(ladder.index[0]), ladder.iloc[1:]
        best = str(others["elbo"].idxmax())
        gain = float(ladder["elbo"][best] - ladder["elbo"][own])
        error = float(np.hypot(ladder["error"][best], ladder["error"][own]))
        yield (
            "green",
            (
                f"on a part of the cohort the best other guide, {best}, changes the ELBO of {own} "
                f"by {gain:+.1f} +- {error:.1f} nats"
            ),
        )


def judge_chains(reference: pd.DataFrame, drift: float) -> Iterator[tuple[str, str]]:
    """What Hamiltonian chains say of the guide."""
    if not len(reference):
        return
    if abs(drift) > SETTLED:
        yield (
            "amber",
            (
                f"the Hamiltonian chains had not settled (drift {drift:+.1f} sd), so the error "
                "may be larger than they show"
            ),
        )
    for name, row in reference.iterrows():
        shift, width = float(row["shift"]), float(row["width"])
        colour = "red" if abs(shift) > 3 else "amber" if abs(shift) > 1 or width < 0.5 else "green"
        words = f"{name}: the guide is {shift:+.1f} sd of the chains off"
        yield colour, words + f", its interval {width:.0%} as wide as theirs"


def judge_ranks(calibration: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """What simulation-based calibration says."""
    for name, row in calibration.iterrows():
        p = float(row["p"])
        colour = "red" if p < 1e-3 and abs(row["mean_rank"] - 0.5) > 0.2 else "amber"
        words = (
            f"{name}: over simulated cohorts the truth has mean rank {row['mean_rank']:.2f} and "
            f"{row['spread']:.1f} times the spread it should have (p {p:.2g})"
        )
        yield ("green" if p >= 0.01 else colour), words
