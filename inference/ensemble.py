"""An ensemble over restarts, for posteriors with many modes that the data do not tell apart.

A spatial circuit fitted to a handful of genotypes has many optima of nearly the same ELBO that
extrapolate differently. Keeping the best one hides this; an ensemble keeps the fit of every start
and predicts with their mixture, by default an equal one: where individuals are enough to tell
optima apart, `modes` weighs the best of them by the data.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from genomic_code.inference.fit import Settings, fit_folds
from genomic_code.inference.posterior import Fit
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.protocols import Formalization

__all__ = ["Ensemble", "fit_ensemble"]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Fits of one formalization to the same individuals from different starts."""

    fits: list[Fit]
    temperature: float = math.inf
    """Weights are proportional to exp(ELBO / temperature), in nats; infinite for equal weights. 1
    would trust the ELBO as evidence, which slack in the guide forbids."""

    def __post_init__(self) -> None:
        if not self.fits:
            raise ValueError("fits must hold at least one fit, got none")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")

    @property
    def elbos(self) -> NDArray[np.float64]:
        """ELBO of each member, in nats."""
        return np.array([fit.elbo for fit in self.fits])

    @property
    def shares(self) -> NDArray[np.float64]:
        """Weight of each member in the mixture; they add up to 1."""
        excess = np.exp((self.elbos - self.elbos.max()) / self.temperature)
        share: NDArray[np.float64] = excess / excess.sum()
        return share

    def predict(self, cohort: Cohort | None = None, draws: int = 100) -> xr.Dataset:
        """Prediction of every trait by the mixture, in the units of the phenotype.

        Args:
            cohort: New individuals; by default those of the fits, held-out ones included.
            draws: Posterior draws of each member.

        Returns:
            As of a `Fit`: `mean`, `sd` and `predictive_sd`, each `(individual, trait)`; and
            `between_sd`, the part of `sd` that lies between members: where it is large, the data
            leave the prediction open.
        """
        each = xr.concat([fit.predict(cohort, draws) for fit in self.fits], "member")
        share = xr.DataArray(self.shares, dims="member")
        mean = (each["mean"] * share).sum("member")
        between = ((each["mean"] - mean) ** 2 * share).sum("member")
        within = {key: (each[key] ** 2 * share).sum("member") for key in ("sd", "predictive_sd")}
        return xr.Dataset(
            {
                "mean": mean,
                "sd": np.sqrt(within["sd"] + between),
                "predictive_sd": np.sqrt(within["predictive_sd"] + between),
                "between_sd": np.sqrt(between),
            }
        )


def fit_ensemble(
    formalization: str | Formalization,
    cohort: Cohort,
    *,
    members: int = 24,
    training: NDArray[np.bool_] | None = None,
    temperature: float = math.inf,
    seed: int = 0,
    settings: Settings | None = None,
    progress: bool = True,
) -> Ensemble:
    """Fit from many starts at once, and keep all of them.

    Args:
        formalization: A registry name or an instance.
        cohort: The data.
        members: Number of starts; 12 or more for a gene circuit.
        training: Which individuals to fit `(N,)`, by default all.
        temperature: See `Ensemble`.
        seed: Seed of starts and draws.
        settings: How to optimise; its `restarts` are not used.
        progress: Whether to show a progress bar.

    Returns:
        The ensemble.

    Raises:
        ValueError: An argument is unfit.
        DivergenceError: Some member reached no finite ELBO.
    """
    if isinstance(members, bool) or not isinstance(members, int) or members < 1:
        raise ValueError(f"members must be an integer of at least 1, got {members!r}")
    rows = np.ones(len(cohort), bool) if training is None else np.asarray(training, bool)
    if rows.shape != (len(cohort),) or not rows.any():
        raise ValueError(
            f"training must select among {len(cohort)} individuals, got shape {rows.shape} with "
            f"{int(rows.sum())} selected"
        )
    single = replace(settings or Settings(), restarts=1)
    same = np.repeat(rows[None], members, 0)
    return Ensemble(fit_folds(formalization, cohort, same, single, seed, progress), temperature)
