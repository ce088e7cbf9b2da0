"""Alignment of two covariance matrices, for instance M of mutations and G of standing variation.

Each function takes matrices `(..., T, T)` that broadcast, so that draws give posteriors. The
definitions are exact and tested, since programs differ in them:

* random skewers: mean over uniform unit beta of cos(A beta, B beta), Cheverud & Marroig 2007,
  doi:10.1590/S1415-47572007000300026;
* Krzanowski: (1/k) sum of the k squared cosines of the principal angles between the spans of the
  k leading eigenvectors, Krzanowski 1979, doi:10.1080/01621459.1979.10481674;
* leading angle: between the first eigenvectors, g_max and m_max, in degrees from 0 to 90.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genomic_code.inference.functionals.directions import random_directions

__all__ = ["krzanowski", "leading_angle", "random_skewers", "random_skewers_null"]

Array = NDArray[np.float64]


def random_skewers(first: ArrayLike, second: ArrayLike, draws: int = 1000, seed: int = 0) -> Any:
    """Mean correlation `(...)` of the responses of two matrices to the same random selection.

    Between -1 and 1; 1 for proportional matrices.

    Raises:
        ValueError: The shapes do not match, or a matrix is zero.
    """
    a, b = checked(first, second)
    beta = random_directions(a.shape[-1], draws, seed)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(x, lead + x.shape[-2:]).reshape(-1, *x.shape[-2:]) for x in (a, b))
    cosines = []
    for one, other in zip(a, b, strict=True):  # one draw at a time: (D, T) numbers each
        left, right = beta @ one, beta @ other
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        dots = (left * right).sum(1)
        cosines.append(np.mean(dots[lengths > 0] / lengths[lengths > 0]))
    return np.asarray(cosines).reshape(lead)[()]


def random_skewers_null(traits: int, level: float = 0.95) -> float:
    """Cosine that two random vectors of this length exceed with probability `1 - level`.

    Not a test of equality: a mean above it says that the responses are more alike than chance.
    From the exact law (1 + cos)/2 ~ Beta((T-1)/2, (T-1)/2).
    """
    from scipy.stats import beta

    if traits < 2:
        raise ValueError(f"traits must be at least 2, got {traits}")
    half = (traits - 1) / 2
    return float(2 * beta.ppf(level, half, half) - 1)


def krzanowski(first: ArrayLike, second: ArrayLike, dimensions: int | None = None) -> Any:
    """Shared share `(...)` of the k leading dimensions, between 0 (none) and 1 (the same space).

    Args:
        first: Matrix `(..., T, T)`.
        second: Matrix `(..., T, T)`.
        dimensions: k, between 1 and T; by default T // 2, at least 1. Random k-spaces share k/T.

    Raises:
        ValueError: The shapes do not match, or k is out of range.
    """
    a, b = checked(first, second)
    traits = a.shape[-1]
    k = max(1, traits // 2) if dimensions is None else dimensions
    if not 1 <= k <= traits:
        raise ValueError(f"dimensions must be between 1 and traits={traits}, got {k}")
    left, right = (np.linalg.eigh(matrix)[1][..., -k:] for matrix in (a, b))
    overlap = np.swapaxes(left, -1, -2) @ right
    return (overlap**2).sum((-1, -2)) / k


def leading_angle(first: ArrayLike, second: ArrayLike) -> Any:
    """Angle `(...)` in degrees, 0 to 90, between the leading eigenvectors.

    Raises:
        ValueError: The shapes do not match.
    """
    a, b = checked(first, second)
    left, right = (np.linalg.eigh(matrix)[1][..., -1] for matrix in (a, b))
    cosine = np.abs((left * right).sum(-1))
    sine = np.linalg.norm(left - right * np.sign((left * right).sum(-1))[..., None], axis=-1)
    # arccos loses half of the digits for small angles, the chord does not
    small = 2 * np.degrees(np.arcsin(np.clip(sine / 2, 0, 1)))
    return np.where(cosine > 0.9, small, np.degrees(np.arccos(np.clip(cosine, 0, 1))))[()]


def checked(first: ArrayLike, second: ArrayLike) -> tuple[Array, Array]:
    """Both matrices as float64, square, of one size, symmetric, not zero."""
    pair = []
    for name, values in (("first", first), ("second", second)):
        matrix = np.asarray(values, float)
        if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
            raise ValueError(f"{name} must be square, (..., T, T), got shape {matrix.shape}")
        if not np.isfinite(matrix).all():
            raise ValueError(f"{name} must be finite")
        if not np.abs(matrix).max((-1, -2)).min() > 0:
            raise ValueError(f"{name} must not be zero: it gives no response to compare")
        pair.append((matrix + np.swapaxes(matrix, -1, -2)) / 2)
    if pair[0].shape[-1] != pair[1].shape[-1]:
        raise ValueError(
            f"first and second must have the same traits, got {pair[0].shape[-1]} and "
            f"{pair[1].shape[-1]}"
        )
    return pair[0], pair[1]
