"""What a fit predicts of individuals: means, intervals, and the density of what was observed."""

import math

import numpy as np
import torch
import xarray as xr

from genomic_code.inference.calibration import check_level
from genomic_code.inference.posterior import Fit
from genomic_code.spec.cohort import Cohort

__all__ = ["cell_labels", "intervals", "log_predictive", "predict"]

REPEATS = 10
"""Values that each posterior draw predicts."""
SAMPLED = 2**25
"""Predicted values held at once."""
DIMS = ("individual", "trait")


def predict(fit: Fit, cohort: Cohort | None = None, draws: int = 200) -> xr.Dataset:
    """Posterior prediction of every trait; see `Fit.predict`."""
    target = fit.cohort if cohort is None else cohort
    total = torch.zeros(target.phenotype.shape, dtype=torch.float64)
    square, spread = total.clone(), total.clone()
    for batch in fit.batches(draws, cohort=cohort):
        expected = batch.noise.mean.double()
        total += expected.sum(0)
        square += expected.square().sum(0)
        spread += batch.noise.variance.double().sum(0)
    mean = total / draws
    variance = (square / draws - mean.square()).clamp_min(0) * draws / max(draws - 1, 1)
    centre, scale = (moment.double() for moment in fit.scaler.phenotype)
    tables = {
        "mean": mean * scale + centre,
        "sd": variance.sqrt() * scale,
        "predictive_sd": (variance + spread / draws).sqrt() * scale,
    }
    return xr.Dataset(
        {name: (DIMS, values.numpy()) for name, values in tables.items()}, cell_labels(target)
    )


def intervals(
    fit: Fit, cohort: Cohort | None = None, level: float = 0.9, draws: int = 400
) -> xr.Dataset:
    """Central predictive intervals `lower` and `upper`; see `Fit.intervals`."""
    check_level(level)
    if draws < 2:
        raise ValueError(f"draws must be at least 2, got {draws}")
    target = fit.cohort if cohort is None else cohort
    individuals, traits = target.phenotype.shape
    ends = np.empty((2, individuals, traits))
    tails = (1 - level) / 2, (1 + level) / 2
    together = max(1, SAMPLED // (draws * REPEATS * traits))
    centre, scale = (moment.double().numpy() for moment in fit.scaler.phenotype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fit.seed)
        for first in range(0, individuals, together):
            rows = np.zeros(individuals, bool)
            rows[first : first + together] = True
            values = [
                batch.noise.sample()
                for batch in fit.batches(draws, cohort=cohort, rows=rows)
                for _ in range(REPEATS)
            ]
            ends[:, rows] = np.quantile(torch.cat(values).numpy(), tails, 0) * scale + centre
    return xr.Dataset(
        {name: (DIMS, end) for name, end in zip(("lower", "upper"), ends, strict=True)},
        cell_labels(target),
    )


def log_predictive(fit: Fit, cohort: Cohort | None = None, draws: int = 400) -> xr.DataArray:
    """Log posterior predictive density of every observed cell; see `Fit.log_predictive`."""
    target = fit.cohort if cohort is None else cohort
    phenotype = fit.standard_phenotype(target)
    total = torch.full(phenotype.shape, -torch.inf, dtype=torch.float64)
    for batch in fit.batches(draws, cohort=cohort):
        total = torch.logaddexp(total, batch.noise.log_prob(phenotype).double().logsumexp(0))
    values = fit.checked(total - math.log(draws), target.phenotype.values)
    return xr.DataArray(values, cell_labels(target), DIMS)


def cell_labels(cohort: Cohort) -> dict[str, list[str]]:
    """Labels of individuals and traits."""
    return {dim: cohort.labels(dim) for dim in DIMS}
