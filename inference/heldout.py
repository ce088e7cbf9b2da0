"""What a fit says of the individuals that were not fitted."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from torch import Tensor

from genomic_code.inference.modes import shares
from genomic_code.inference.posterior import Fit
from genomic_code.inference.predictive import cell_labels
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.standardize import Scaler, phenotype_sd

__all__ = ["HeldOut", "blended", "by_individual", "check_folds", "held_out", "held_out_cells"]

Array = NDArray[np.float64]


class HeldOut(NamedTuple):
    """Predictions of n individuals that were not fitted, and how the fit ended."""

    rows: NDArray[np.bool_]
    """Who was held out `(N,)`."""
    density: Array
    """Log predictive density `(n, T)`, in units of the cohort as in `Fit.log_predictive`; NaN where
    missing."""
    mean: Array
    """Predictive mean `(n, T)`, in units of the phenotype."""
    pit: Array
    """Predictive probability `(n, T)` of a value below that observed: the rank among as many
    predicted values as there are draws, ties broken at random, which is uniform for any noise
    model, also of counts, where the prediction is right. NaN where missing."""
    elbo: float
    """Training ELBO of the fit."""
    converged: bool
    likelihood: Array | None = None
    """`modes.expected_likelihood` of the fit, which `blended` asks of several."""


def held_out(fit: Fit, draws: int | None = None) -> HeldOut:
    """Score the individuals outside `fit.training`, by default with `fit.scoring_draws` draws.

    Raises:
        FloatingPointError: The density of an observed cell is not finite.
    """
    draws = draws or fit.scoring_draws
    rows = ~fit.training
    phenotype = fit.standard_phenotype(fit.cohort)[torch.from_numpy(rows)]
    density = torch.full(phenotype.shape, -torch.inf, dtype=torch.float64)
    mean = torch.zeros_like(density)
    below, equal = torch.zeros_like(phenotype), torch.zeros_like(phenotype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fit.seed)
        for batch in fit.batches(draws, rows=rows):
            log_prob = batch.noise.log_prob(phenotype).double()
            density = torch.logaddexp(density, log_prob.logsumexp(0))
            mean += batch.noise.mean.double().sum(0)
            sampled = batch.noise.sample()
            below += (sampled < phenotype).sum(0)
            equal += (sampled == phenotype).sum(0)
        place = below + torch.rand(phenotype.shape) * (equal + 1)
    centre, scale = (moment.double() for moment in fit.scaler.phenotype)
    values = fit.cohort.phenotype.values[rows]
    return HeldOut(
        rows,
        fit.checked(density - math.log(draws), values),
        (mean / draws * scale + centre).numpy(),
        np.where(~np.isnan(values), (place / (draws + 1)).double().numpy(), np.nan),
        fit.elbo,
        fit.converged,
    )


def blended(members: Sequence[HeldOut]) -> HeldOut:
    """What fits to the same rows say together: the best, and others that the data allow."""
    if len(members) == 1:
        return members[0]
    best = max(members, key=lambda one: one.elbo)
    likelihoods = np.stack([one.likelihood for one in members if one.likelihood is not None])
    share = shares(likelihoods, np.array([one.elbo for one in members]))
    weight = share[:, None, None]
    return best._replace(
        density=logsumexp([one.density for one in members], 0, weight),
        mean=(weight * [one.mean for one in members]).sum(0),
        pit=(weight * [one.pit for one in members]).sum(0),
    )


def check_folds(cohort: Cohort, training: ArrayLike, least: int = 20) -> NDArray[np.bool_]:
    """Training rows `(F, N)`, refused if a fold has fewer than `least` or folds overlap.

    Raises:
        ValueError: The rows cannot be used; the message says why.
    """
    rows = np.asarray(training)
    if rows.ndim != 2 or rows.shape[1] != len(cohort) or rows.dtype != bool:
        raise ValueError(
            f"training must be booleans of shape (folds, {len(cohort)}), got {rows.dtype} of shape "
            f"{rows.shape}; for one fold give rows[None]"
        )
    fewest = int(rows.sum(1).min(initial=len(cohort)))
    if fewest < least:
        raise ValueError(
            f"training must hold at least {least} individuals in each fold, got {fewest}"
        )
    if (~rows).sum(0).max() > 1:
        raise ValueError("training must hold out every individual in at most one fold")
    return rows


def held_out_cells(
    cohort: Cohort,
    training: NDArray[np.bool_],
    scalers: Sequence[Scaler],
    parts: Sequence[Mapping[str, Tensor]],
) -> xr.Dataset:
    """What each fold says of the rows that it held out, as one table `(individual, trait)`.

    Args:
        cohort: The data.
        training: Training rows `(F, N)`.
        scalers: Units of each fold.
        parts: For each fold `mean`, `sd`, `predictive_sd`, `log_predictive` or `quantile` `(n, T)`
            of the n individuals held out, in standard units.

    Returns:
        The same in units of the phenotype, densities on the scale of `Fit.log_predictive`; NaN
        where no fold held a row out, and in `log_predictive` and `quantile` where the phenotype is
        missing.
    """
    missing = np.isnan(cohort.phenotype.values)
    unit = torch.from_numpy(phenotype_sd(cohort))
    out = {name: np.full(missing.shape, np.nan) for name in parts[0]}
    for rows, scaler, part in zip(training, scalers, parts, strict=True):
        centre, spread = (moment.double() for moment in scaler.phenotype)
        for name, table in part.items():
            if name == "mean":
                table = table * spread + centre
            elif name in ("sd", "predictive_sd"):
                table = table * spread
            elif name == "log_predictive":
                table = table + (unit / spread).log()
            out[name][~rows] = table.numpy()
    for name in {"log_predictive", "quantile"} & set(out):
        out[name][missing] = np.nan
    labels = cell_labels(cohort)
    return xr.Dataset({name: (tuple(labels), table) for name, table in out.items()}, labels)


def by_individual(predictions: xr.Dataset, cohort: Cohort, held: NDArray[np.bool_]) -> Array:
    """Held-out log predictive density `(n,)` of the n individuals `held` `(N,)`, of their cells.

    Raises:
        ValueError: A cell that was observed has no prediction.
    """
    if not isinstance(predictions, xr.Dataset) or "log_predictive" not in predictions:
        raise ValueError(
            "first must be the name of a row, or an xarray.Dataset with log_predictive, got "
            f"{type(predictions).__name__}"
        )
    density: Array = predictions["log_predictive"].transpose("individual", "trait").values
    wanted = ~np.isnan(cohort.phenotype.values) & held[:, None]
    if density.shape != wanted.shape or not np.isfinite(density[wanted]).all():
        raise ValueError(
            f"first must have a finite log_predictive of shape {wanted.shape} in every observed "
            f"cell that is held out, got shape {density.shape}; predict from the training rows of "
            "the comparison"
        )
    found: Array = np.where(wanted, density, 0.0).sum(1)[held]
    return found
