"""Gaussian-process decoder over principal latents, integrated out exactly: predictions.

`generative` with `decoder="gaussian_process"`, whose latents here are the leading principal axes
of the training genotypes, or the loci themselves. Given K lengthscales and three numbers a trait,
its decoder weights have a closed form, so that only these few numbers are optimised; with
individuals in the hundreds a mean-field guide of hundreds of weights loses more than it learns.

    u_nk = p_nk / l_k,   p principal scores of unit variance,   l_k ~ LogNormal(log(K) / 2, 0.5)
    y_nt = mu_t + f_t(u_n) + (E_n D)_t + e_nt,   e_nt ~ Normal(0, sigma_t^2 + error_nt^2)
    cov f_t = s_t^2 (u . u' + c_t^2 k(|u - u'|)) / 2,   s_t ~ HalfNormal(0.8),  c_t ~ HalfNormal(1)
    mu_t ~ Normal(0, 1),   D ~ Normal(0, 0.5),   sigma_t ~ LogNormal(-1, 1)

in trait standard deviations; where the measurement error is known, little may be left for sigma.
Leaving training individuals out one by one then corrects the normal density (`Correction`).
Rasmussen & Williams 2006, Gaussian Processes for Machine Learning,
chapters 2, 4 and 5.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.descent import descend
from genomic_code.inference.heldout import check_folds, held_out_cells
from genomic_code.inference.leave_one_out import Correction, left_out
from genomic_code.inference.optimise import DivergenceError
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.protocols import Data
from genomic_code.spec.standardize import Scaler
from genomic_code.spec.validate import at_least_one, one_of

__all__ = ["GaussianProcess"]

LARGEST = 2**28
"""Numbers in the covariance matrices of all traits, at most: 2 GiB, and as much again twice."""

LEAST = 1e-6
"""Least variance of the noise, in trait variances."""

FAILED = 1e10
"""Loss where the covariance has no Cholesky factor: the line search turns back from it."""


def matern32(square: Tensor) -> Tensor:
    """Matern kernel of squared distances, whose draws have one derivative."""
    root = (3 * square + 1e-12).sqrt()  # without the constant the slope at 0 is infinite
    return (1 + root) * torch.exp(-root)


def matern52(square: Tensor) -> Tensor:
    """Matern kernel of squared distances, whose draws have two derivatives."""
    root = (5 * square + 1e-12).sqrt()
    return (1 + root + root.square() / 3) * torch.exp(-root)


def rbf(square: Tensor) -> Tensor:
    """Squared exponential of squared distances: infinitely smooth draws."""
    return torch.exp(-0.5 * square)


KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "rbf": rbf,
    "matern32": matern32,
    "matern52": matern52,
}


class Points(NamedTuple):
    """Individuals as the process sees them."""

    scores: Tensor
    """Principal scores `(N, K)`."""
    environment: Tensor
    """Covariates `(N, C)`."""


class Numbers(NamedTuple):
    """Logarithms of what is optimised."""

    lengthscale: Tensor
    """`(K)`"""
    scale: Tensor
    """`(T)`"""
    curvature: Tensor
    """`(T)`"""
    noise: Tensor
    """`(T)`"""

    def noise_variance(self) -> Tensor:
        """sigma^2 `(T, 1)`, kept from 0: traits without noise leave no covariance to invert."""
        return (2 * self.noise).exp()[:, None] + LEAST

    def log_prior(self) -> Tensor:
        """Log density of the logarithms, up to a constant."""
        centre = 0.5 * math.log(len(self.lengthscale))
        normal = ((self.lengthscale - centre) / 0.5).square().sum()
        normal = normal + (self.noise + 1).square().sum()
        half = (2 * self.scale).exp() / 0.8**2 - 2 * self.scale
        half = half + (2 * self.curvature).exp() - 2 * self.curvature
        return -0.5 * (normal + half.sum())


@dataclass(frozen=True)
class GaussianProcess:
    """How to fit; call `predict` with a cohort and its folds."""

    latents: int | None = 12
    """Number of principal axes K, at most those that the training genotypes have; at least 1.

    None compresses nothing: each locus is an axis, with a lengthscale that says how much it
    matters. For sequences, whose letters are few and do not depend on each other.
    """
    kernel: Literal["rbf", "matern32", "matern52"] = "matern52"
    """Form of k: how smooth the nonlinear part is."""

    def __post_init__(self) -> None:
        if self.latents is not None:
            at_least_one(self, "latents")
        one_of("kernel", self.kernel, list(KERNELS))

    def predict(
        self, cohort: Cohort, training: NDArray[np.bool_], *, progress: bool = True
    ) -> xr.Dataset:
        """Predict, for every fold, the individuals that are not in its training rows.

        Args:
            cohort: The data, with continuous traits; cells may be missing, errors be known.
            training: Training rows `(F, N)`; every individual is held out of at most one fold.
            progress: Whether to show a progress bar.

        Returns:
            `mean` and `predictive_sd` in units of the phenotype, `log_predictive` on the scale of
            `Fit.log_predictive` and `quantile`, the predictive probability of a smaller value than
            the observed one, each `(individual, trait)`; NaN where nothing is held out or observed.

        Raises:
            ValueError: A fold trains on fewer than 20 individuals or too many, or folds overlap;
                without compression there are more loci than training individuals.
            DivergenceError: The optimum is not finite.
        """
        training = check_folds(cohort, training)
        size = int(training.sum(1).max()) ** 2 * cohort.shape.traits
        if size > LARGEST:
            raise ValueError(
                f"cohort must have at most {math.isqrt(LARGEST // cohort.shape.traits)} training "
                f"individuals with {cohort.shape.traits} traits, got {training.sum(1).max()}; "
                "use fit('generative') instead"
            )
        loci, least = cohort.shape.loci, training.sum(1).min()
        if self.latents is None and loci > least:
            raise ValueError(
                f"latents must be a number where loci outnumber training individuals, got None for "
                f"{loci} loci and {least} training individuals; use latents=12"
            )
        scalers = [Scaler.fit(cohort, rows) for rows in training]
        folds = tqdm(training, desc="gaussian process", disable=not progress, leave=False)
        parts = [
            self.fold(scaler.data(cohort), rows)
            for scaler, rows in zip(scalers, folds, strict=True)
        ]
        return held_out_cells(cohort, training, scalers, parts)

    def fold(self, data: Data, rows: NDArray[np.bool_]) -> dict[str, Tensor]:
        """Predictions `(n, T)` of the n others from the training rows `(N)`, in standard units."""
        assert data.phenotype is not None
        phenotype, error = data.phenotype.double(), data.error.double().square().mT
        scores = self.scores(data.genotype.double(), rows)
        points = Points(scores, data.environment.double())
        chosen = torch.from_numpy(rows)
        known, new = (Points(*(table[part] for table in points)) for part in (chosen, ~chosen))
        seen = data.observed[chosen].mT
        target = torch.where(seen, phenotype[chosen].mT, 0.0)

        def factor(numbers: Numbers) -> tuple[Tensor, Tensor, Tensor]:
            """Cholesky factors `(T, n, n)`, the solution `(T, n)` for the phenotype, failures."""
            noise = numbers.noise_variance() + error[:, chosen]
            both = seen[:, :, None] & seen[:, None]  # a missing cell is alone, with variance 1
            covariance = self.covariance(numbers, known, known) + torch.diag_embed(noise)
            covariance = torch.where(both, covariance, torch.eye(len(known.scores)).double())
            lower, failed = torch.linalg.cholesky_ex(covariance)
            return lower, torch.cholesky_solve(target[..., None], lower)[..., 0], failed

        def loss(numbers: Numbers) -> Tensor:
            lower, solved, failed = factor(numbers)
            if failed.any() or not lower.isfinite().all():
                return 0 * numbers.noise.sum() + FAILED
            likelihood = -0.5 * (target * solved).sum() - lower.diagonal(0, -2, -1).log().sum()
            return -likelihood - numbers.log_prior()

        numbers = minimise(loss, points.scores.shape[1], target.shape[0])
        with torch.no_grad():
            lower, solved, _ = factor(numbers)
            cross = self.covariance(numbers, new, known) * seen[:, None]
            mean = (cross @ solved[..., None])[..., 0]
            explained = torch.linalg.solve_triangular(lower, cross.mT, upper=False).square().sum(1)
            variance = self.variance(numbers, new) - explained
            variance = variance + numbers.noise_variance() + error[:, ~chosen]
            left_mean, left_sd = left_out(lower, target, solved)
        correction = Correction.fit(target[seen], left_mean[seen], left_sd[seen])
        return correction.predict(phenotype[~chosen], mean.mT, variance.sqrt().mT)

    def scores(self, genotype: Tensor, rows: NDArray[np.bool_]) -> Tensor:
        """Scores `(N, K)` on principal axes of the training rows, where their variance is 1."""
        if self.latents is None:
            return genotype
        own = genotype[torch.from_numpy(rows)]
        centre = own.mean(0)
        _, size, axes = torch.linalg.svd(own - centre, full_matrices=False)
        number = min(self.latents, int((size > 1e-6 * size[0]).sum()))
        on_axes: Tensor = (genotype - centre) @ axes[:number].mT / size[:number]
        return on_axes * math.sqrt(len(own))

    def covariance(self, numbers: Numbers, first: Points, second: Points) -> Tensor:
        """Covariance `(T, N, M)` of the traits of two sets of individuals, without noise."""
        u, v = (points.scores / numbers.lengthscale.exp() for points in (first, second))
        product = u @ v.mT
        square = u.square().sum(1)[:, None] + v.square().sum(1) - 2 * product
        curve = KERNELS[self.kernel](square.clamp_min(0))
        both = product + (2 * numbers.curvature).exp()[:, None, None] * curve
        shared = 1 + 0.25 * first.environment @ second.environment.mT
        return 0.5 * (2 * numbers.scale).exp()[:, None, None] * both + shared

    def variance(self, numbers: Numbers, points: Points) -> Tensor:
        """The diagonal `(T, N)` of the covariance of individuals with themselves."""
        length = (points.scores / numbers.lengthscale.exp()).square().sum(1)
        both = length + (2 * numbers.curvature).exp()[:, None]
        shared = 1 + 0.25 * points.environment.square().sum(1)
        return 0.5 * (2 * numbers.scale).exp()[:, None] * both + shared


def minimise(loss: Callable[[Numbers], Tensor], latents: int, traits: int) -> Numbers:
    """The numbers of least loss, by L-BFGS from their prior medians.

    Raises:
        DivergenceError: The loss there is not finite.
    """
    medians = (0.5 * math.log(latents), math.log(0.54), math.log(0.67), -1.0)
    sizes = (latents, traits, traits, traits)
    free = [
        torch.full((n,), value, dtype=torch.float64, requires_grad=True)
        for n, value in zip(sizes, medians, strict=True)
    ]
    numbers = Numbers(*free)
    descend(lambda: loss(numbers), free, 300)
    found = Numbers(*(each.detach() for each in free))
    if not loss(found) < FAILED:
        raise DivergenceError("gaussian process: the marginal likelihood is not finite")
    return found
