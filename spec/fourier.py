"""A Gaussian process in weight space: a finite basis whose normal weights draw smooth functions.

A stationary kernel is the mean of a cosine over its spectral density (Bochner). For the RBF kernel
that density is standard normal, so for M frequencies w_m spread as a standard normal

    exp(-|u - v|^2 / 2)  ~  phi(u) . phi(v),   phi(u) = (cos(w_m . u), sin(w_m . u)) / sqrt(M)

and f(u) = phi(u) . R with R ~ Normal(0, 1) is, exactly, a Gaussian process with the kernel on the
right (Rahimi & Recht 2007, NeurIPS 20). No matrix is inverted, so draws, restarts and folds batch.

The frequencies are quasi-random, not random (Avron et al. 2016, JMLR 17:120): hence no seed, and a
smaller error. Root mean squared error of the kernel at 100 frequencies between points
u ~ Normal(0, 1/K) in K dimensions, as measured in the tests: below 0.01 for K = 1, 0.02 to K = 3
and 0.035 to K = 8.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
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

    Multiples of the generalised golden ratio modulo 1, through the normal quantile; then whitened
    where there are enough of them, which makes the kernel exact to second order near 0.
    """
    ratio = 2.0
    for _ in range(64):  # fixed point of ratio^(dimensions + 1) = ratio + 1
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1)
    points = ndtri((0.5 + np.outer(np.arange(1, number + 1), steps)) % 1)
    if number > dimensions:
        points = points @ np.linalg.inv(np.linalg.cholesky(points.T @ points / number)).T
    points.setflags(write=False)
    return np.asarray(points)
