"""Closed forms for linear-Gaussian formalizations: the polygenic posterior, and GBLUP.

With traits correlated by G and noise independent, the expected traits of all cells are jointly
normal given the hyperparameters, so their posterior is one Cholesky solve. GBLUP is the same for a
single trait with variance components by restricted maximum likelihood (Patterson & Thompson 1971,
doi:10.1093/biomet/58.3.545); it is the `ridge` baseline of every comparison.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit
from torch import Tensor

from genomic_code.inference.kinship import kinship_axes
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.protocols import Data
from genomic_code.spec.standardize import Scaler, phenotype_sd

__all__ = ["Normals", "gblup", "polygenic_posterior", "ridge_predictions"]

LARGEST = 20_000
"""Largest number of observed cells for the dense solve (3 GB)."""


class Normals(NamedTuple):
    """Independent statements about cells: a mean and a variance of the expected trait for each."""

    mean: Tensor
    """`(N, T)` in standard units."""
    variance: Tensor
    """`(N, T)` in squared standard units, noise excluded."""


def polygenic_posterior(data: Data, genetic: Tensor, noise: Tensor) -> Normals:
    """Exact posterior of the expected traits under `polygenic`, given its hyperparameters.

    Args:
        data: The cohort; cells that are not observed are predicted.
        genetic: G `(T, T)`, covariance of the genetic values between traits.
        noise: Noise standard deviation `(T,)`.

    Raises:
        ValueError: There are too many observed cells for a dense solve.
    """
    assert data.phenotype is not None
    cells = int(data.observed.sum())
    if cells > LARGEST:
        raise ValueError(f"data must have at most {LARGEST} observed cells, got {cells}")
    x, e = data.genotype.double(), data.environment.double()
    n, traits = data.observed.shape
    kinship = x @ x.mT / x.shape[-1]
    # prior of the baseline: mean ~ N(0, 1), environment effects ~ N(0, 0.5)
    shared = torch.ones(n, n, dtype=x.dtype) + 0.25 * e @ e.mT
    eye = torch.eye(traits, dtype=x.dtype)
    prior = torch.kron(kinship, genetic.double()) + torch.kron(shared, eye)
    seen = data.observed.reshape(-1).nonzero()[:, 0]
    variance = noise.double().square().expand(n, traits) + data.error.double().square()
    covariance = prior[seen][:, seen] + variance.reshape(-1)[seen].diag()
    factor = torch.linalg.cholesky(covariance)
    half = torch.linalg.solve_triangular(factor, prior[seen], upper=False)
    y = data.phenotype.double().reshape(-1)[seen, None]
    mean = half.mT @ torch.linalg.solve_triangular(factor, y, upper=False)
    left = prior.diagonal() - half.square().sum(0)
    return Normals(mean.reshape(n, traits), left.reshape(n, traits))


class GBLUP(NamedTuple):
    """Prediction of one trait for all individuals."""

    mean: NDArray[np.float64]
    """`(N,)` in standard units."""
    variance: NDArray[np.float64]
    """`(N,)` predictive variance, noise included."""
    heritability: float
    """Share of the variance that the genotype explains, by REML."""


def gblup(
    genotype: NDArray[np.float64],
    fixed: NDArray[np.float64],
    phenotype: NDArray[np.float64],
    observed: NDArray[np.bool_],
) -> list[GBLUP]:
    """Best linear unbiased prediction, trait by trait, variance components by REML.

    Time and memory grow with the smaller of individuals and loci: all is said in the axes of
    kinship, outside of which the covariance is that of the noise.

    Args:
        genotype: `(N, L)`, standardised; kinship is x x' / L.
        fixed: `(N, C + 1)` covariates with a column of ones.
        phenotype: `(N, T)`; read where `observed`.
        observed: `(N,)`, of all these traits.
    """
    x, f = genotype[observed], fixed[observed]
    vectors, values = kinship_axes(x)
    cross = genotype @ (x.T @ vectors) / x.shape[1]
    diagonal = np.square(genotype).mean(1)
    n, rank = vectors.shape
    c = f.shape[1]
    degrees = n - c

    def predict(y: NDArray[np.float64]) -> GBLUP:
        known = np.column_stack([f, y])
        inside = vectors.T @ known
        outside = known - vectors @ inside
        beyond = outside.T @ outside

        def moments(share: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            """Covariates and trait against each other, weighed; the spectrum of the axes."""
            spectrum = share * values + (1 - share)
            return inside.T @ (inside / spectrum[:, None]) + beyond / (1 - share), spectrum

        def explained(weighed: NDArray[np.float64]) -> tuple[NDArray[Any], float]:
            """Effects of the covariates, and the weighed squares that they leave."""
            effects = np.linalg.solve(weighed[:c, :c], weighed[:c, c])
            return effects, float(weighed[c, c] - weighed[c, :c] @ effects)

        def deviance(logit: float) -> float:
            weighed, spectrum = moments(expit(logit))
            squares = explained(weighed)[1]
            determinant = np.log(spectrum).sum() + (n - rank) * np.log(1 - expit(logit))
            information = np.linalg.slogdet(weighed[:c, :c])[1]
            return float(degrees * np.log(squares / degrees) + determinant + information)

        share = expit(minimize_scalar(deviance, bounds=(-7.0, 7.0), method="bounded").x)
        weighed, spectrum = moments(share)
        effects, squares = explained(weighed)
        total = squares / degrees
        weights = share * cross / spectrum
        mean = fixed @ effects + weights @ (inside[:, c] - inside[:, :c] @ effects)
        left = share * (diagonal - (weights * cross).sum(1))
        slack = fixed - weights @ inside[:, :c]
        uncertain = (slack * np.linalg.solve(weighed[:c, :c], slack.T).T).sum(1)
        return GBLUP(mean, total * (left.clip(0) + uncertain + 1 - share), float(share))

    return [predict(column[observed]) for column in phenotype.T]


def trait_gblups(data: Data, training: NDArray[np.bool_]) -> list[GBLUP]:
    """GBLUP of each trait on the training rows `(N,)`, the environment as covariates."""
    x = data.genotype.double().numpy()
    fixed = np.column_stack([np.ones(len(x)), data.environment.double().numpy()])
    assert data.phenotype is not None
    phenotype = data.phenotype.double().numpy()
    seen, alike = np.unique(data.observed.numpy() & training[:, None], axis=1, return_inverse=True)
    found: dict[int, GBLUP] = {}
    for number, rows in enumerate(seen.T):  # traits measured in the same individuals share axes
        traits = np.flatnonzero(alike.reshape(-1) == number)
        found |= zip(traits, gblup(x, fixed, phenotype[:, traits], rows), strict=True)
    return [found[trait] for trait in range(phenotype.shape[1])]


def ridge_predictions(
    cohort: Cohort, training: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prediction of every cell by GBLUP on the training rows, trait by trait.

    Returns:
        Log predictive density `(N, T)` of the observed cells, on the scale of
        `Fit.log_predictive`, and predictive mean `(N, T)` in units of the phenotype.
    """
    scaler = Scaler.fit(cohort, training)
    data = scaler.data(cohort)
    assert data.phenotype is not None
    phenotype, seen = data.phenotype.double().numpy(), data.observed.numpy()
    fitted = trait_gblups(data, training)
    mean = np.column_stack([each.mean for each in fitted])
    variance = np.column_stack([each.variance for each in fitted])
    log_density = -0.5 * (np.log(2 * np.pi * variance) + (phenotype - mean) ** 2 / variance)
    centre, spread = (moment.double().numpy() for moment in scaler.phenotype)
    density = log_density + np.log(phenotype_sd(cohort) / spread)
    return np.where(seen, density, np.nan), mean * spread + centre
