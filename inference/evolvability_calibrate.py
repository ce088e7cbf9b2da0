"""Calibration of evolvability by parametric bootstrap: what the intervals are worth, and a cure.

Cohorts are simulated from draws of a fit, with its own genotypes, environments, noise and missing
cells, and fitted again. Their true metrics are known, so the error of the refitted posterior is:

    z_b = (truth_b - mean_b) / sd_b,   for replicate b

Calibrated draws stretch and shift the fit's own by the mean and the standard deviation of z. What
is left to say about coverage comes from leaving each replicate out of its own calibration. Logs are
taken of what must be positive and logits of shares, so that corrected draws remain possible values.

Efron & Tibshirani 1993; for variational posteriors Giordano, Broderick & Jordan 2018,
arXiv:1709.02536. It costs a refit a replicate, and holds as far as the fit resembles the truth:
a wrong formalization stays wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

from genomic_code.inference.evolvability import evolvability
from genomic_code.inference.flat import compose, unvalidated
from genomic_code.inference.functionals.map import Map, posterior_map
from genomic_code.inference.functionals.mutations import allele_step
from genomic_code.inference.functionals.summary import evolvability_of_map
from genomic_code.inference.posterior import Fit
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.model import observation

__all__ = ["Calibration", "calibrate_evolvability", "simulate_from"]

Array = NDArray[np.float64]

SHARES = {
    "a", "i", "additive_share", "additive", "pairwise", "higher", "robustness", "plasticity",
    "environmental_robustness", "krzanowski", "random_skewers", "flexibility", "constraints",
}  # fmt: skip
"""Metrics between 0 and 1; the others are positive."""
EDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Calibration:
    """Errors of the metrics of refits to cohorts with known truth."""

    errors: pd.DataFrame
    """z of each replicate (row) and metric (column), on the transformed scale."""
    probability: float
    """Probability of the intervals whose coverage is counted."""
    inside: pd.DataFrame
    """Whether the plain interval of each replicate held the truth."""

    @property
    def table(self) -> pd.DataFrame:
        """For each metric: `bias` in posterior sd, `stretch`, `coverage` before and after."""
        z = self.errors
        normal = -float(
            torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor((1 - self.probability) / 2))
        )
        others = len(z) - 1
        mean = (z.sum() - z) / others
        spread = np.sqrt(((z**2).sum() - z**2 - others * mean**2).clip(lower=0) / (others - 1))
        # predicting one more replicate from few costs sqrt(1 + 1/n)
        after = ((z - mean).abs() <= normal * spread * np.sqrt(1 + 1 / others)).mean()
        found = {"bias": -z.mean(), "stretch": z.std(), "coverage": self.inside.mean()}
        return pd.DataFrame({**found, "coverage_calibrated": after})

    def correct(self, metrics: xr.Dataset) -> xr.Dataset:
        """Calibrated draws of the metrics of the fit; metrics without errors are left out."""
        kept = {}
        for name in self.errors:
            if name not in metrics:
                continue
            draws = transform(str(name), metrics[name].values)
            z = self.errors[name]
            scaled = (draws - draws.mean()) * z.std() + draws.mean() + z.mean() * draws.std(ddof=1)
            kept[str(name)] = (metrics[name].dims, untransform(str(name), scaled))
        return xr.Dataset(kept, attrs={**metrics.attrs, "calibrated": len(self.errors)})


def calibrate_evolvability(
    fit: Fit,
    refit: Callable[[Cohort, int], Fit],
    replicates: int = 20,
    probability: float = 0.9,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> Calibration:
    """Calibrate the metrics of a fit by cohorts that are simulated from it.

    Args:
        fit: The fit.
        refit: Fits a cohort with a seed, for instance
            `lambda cohort, seed: gc.inference.fit(model, cohort, seed=seed, progress=False)`.
        replicates: Number of simulated cohorts, at least 4; 20 tell a coverage to about 7 points.
        probability: Probability of the intervals whose coverage is counted.
        seed: Seed of the first replicate.
        progress: Whether to show a progress bar.
        **options: Arguments of `evolvability`, the same that the fit's own metrics were made with.

    Raises:
        ValueError: There are too few replicates.
    """
    if replicates < 4:
        raise ValueError(f"replicates must be at least 4, got {replicates}")
    tail = (1 - probability) / 2
    errors, inside = [], []
    for number in tqdm(range(replicates), desc="bootstrap", disable=not progress):
        cohort, truth = simulate_from(fit, seed + number)
        again = refit(cohort, seed + number)
        metrics = evolvability(again, progress=False, **options)["metrics"].to_dataset()
        exact = true_metrics(truth, again)
        shared = [str(name) for name in metrics.data_vars if name in exact]
        rows: dict[str, float] = {}
        covered: dict[str, bool] = {}
        for name in shared:
            draws = transform(name, metrics[name].values)
            value = transform(name, exact[name].values)[0]
            spread = draws.std(ddof=1)
            if spread > 0 and np.isfinite(value):
                rows[name] = (value - draws.mean()) / spread
                low, high = np.quantile(draws, [tail, 1 - tail])
                covered[name] = bool(low <= value <= high)
        errors.append(rows)
        inside.append(covered)
    complete = pd.DataFrame(errors).dropna(axis=1)
    return Calibration(complete, probability, pd.DataFrame(inside)[complete.columns].astype(bool))


def simulate_from(fit: Fit, seed: int) -> tuple[Cohort, Map]:
    """A cohort simulated from one posterior draw, and the map that made it, in the cohort's units.

    Genotypes, environments, known errors, groups and missing cells are those of the fit's cohort.
    """
    data = fit.scaler.data(fit.cohort)
    flat = fit.flat_draws(1, seed)
    with torch.no_grad(), unvalidated(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights, parameters = compose(fit.formalization, fit.sites(flat, seed), fit.shape)
        expected = fit.formalization.develop(weights, data.genotype, data.environment)
        noise = observation(fit.formalization, weights, parameters, expected, data)
        sampled = noise.sample()[0]
    centre, scale = fit.scaler.phenotype
    values = (sampled * scale + centre).double().numpy()
    original = fit.cohort.dataset
    values = np.where(np.isnan(original["phenotype"].values), np.nan, values)
    dataset = original.assign(phenotype=(original["phenotype"].dims, values.astype(np.float32)))
    cohort = Cohort.from_dataset(dataset, f"{fit.cohort.name}, replicate {seed}")
    return cohort, posterior_map(fit, 1, seed, original_units=True, flat=flat)


def true_metrics(truth: Map, again: Fit) -> xr.Dataset:
    """Metrics of the true map, traits in the standard units of the refit."""
    unit = torch.as_tensor(truth.unit) / again.scaler.phenotype[1]
    allele = allele_step(truth.genotype, again.scaler.genotype[1])
    metrics = evolvability_of_map(replace(truth, unit=unit, noise_variance=None), allele)["metrics"]
    return metrics.to_dataset()


def transform(name: str, values: Array) -> Array:
    """Logit of shares, log of what is positive."""
    if name in SHARES:
        share = np.clip(values, EDGE, 1 - EDGE)
        return np.asarray(np.log(share / (1 - share)))
    return np.asarray(np.log(np.maximum(values, EDGE**2)))


def untransform(name: str, values: Array) -> Array:
    """The inverse of `transform`."""
    return np.asarray(1 / (1 + np.exp(-values)) if name in SHARES else np.exp(values))
