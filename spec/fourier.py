"""A Gaussian process in weight space: a finite basis whose normal weights draw smooth functions.

A stationary kernel is the mean of a cosine over its spectral density (Bochner). For the RBF kernel
that density is standard normal, so for M frequencies w_m spread as a standard normal

    exp(-|u - v|^2 / 2)  ~  phi(u) . phi(v),   phi(u) = (cos(w_m . u), sin(w_m . u)) / sqrt(M)

and f(u) = phi(u) . R with R ~ Normal(0, 1) is, exactly, a Gaussian process with the kernel on the
right (Rahimi & Recht 2007, NeurIPS 20). No matrix is inverted, so draws, restarts and folds batch.

The frequencies are quasi-random (Avron et al. 2016, JMLR 17:120) and always the same; this makes
the error smaller than random ones would. Root mean squared error of the kernel between points
u ~ Normal(0, 1/K) in K dimensions, as measured in the tests, with 128 frequencies: below 0.01 for
K = 1, 0.02 up to K = 3 and 0.03 up to K = 8; with 1,024, below 0.01 throughout.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc
from torch import Tensor

__all__ = ["fourier_features"]


def fourier_features(points: Tensor, frequencies: int) -> Tensor:
    """Basis phi `(..., N, 2 M)` at points `(..., N, K)` in lengthscales, for M frequencies."""
    table = standard_normal_points(frequencies, points.shape[-1])
    angle = points @ torch.tensor(table, dtype=points.dtype, device=points.device).mT
    return torch.cat((angle.cos(), angle.sin()), -1) / math.sqrt(frequencies)


@lru_cache
def standard_normal_points(number: int, dimensions: int) -> NDArray[np.float64]:
    """Points `(number, dimensions)` spread as a standard normal, with covariance exactly 1.

    A shifted Sobol sequence through the normal quantile, then whitened where there are enough
    points, which makes the kernel exact to second order near 0.
    """
    uniform = qmc.Sobol(dimensions, scramble=False).random_base2((number - 1).bit_length())
    shift = np.random.default_rng(0).random(dimensions)
    points: NDArray[np.float64] = ndtri((uniform[:number] + shift) % 1)
    if number > dimensions:
        points = points @ np.linalg.inv(np.linalg.cholesky(points.T @ points / number)).T
    points.setflags(write=False)
    return points
