"""Directions of selection: unit vectors, uniform on the sphere."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from scipy.stats import qmc

__all__ = ["random_directions", "unit"]

Array = NDArray[np.float64]


def random_directions(dimensions: int, draws: int, seed: int) -> Array:
    """At least `draws` unit vectors `(D, dimensions)`, uniform on the sphere.

    Quasi-random: a scrambled Sobol sequence mapped to normals and scaled to unit length, D being
    the next power of two. Averages over them converge faster than over independent directions.

    Raises:
        ValueError: `dimensions` or `draws` is below 1.
    """
    for name, value in (("dimensions", dimensions), ("draws", draws)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    sobol = qmc.Sobol(dimensions, rng=np.random.default_rng(seed))
    uniform = sobol.random_base2(int(np.ceil(np.log2(draws))))
    normal = ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))
    lengths = np.linalg.norm(normal, axis=1, keepdims=True)
    return np.asarray(normal / np.where(lengths > 0, lengths, 1.0))


def unit(beta: ArrayLike, traits: int, name: str = "beta") -> Array:
    """`beta` `(..., T)` scaled to unit length.

    Raises:
        ValueError: It is not finite, of another length than `traits`, or a zero vector.
    """
    vector = np.asarray(beta, float)
    if vector.ndim == 0 or vector.shape[-1] != traits:
        raise ValueError(f"{name} must have {traits} entries, one a trait, got {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} must be finite, got {vector}")
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    if not (length > 0).all():
        raise ValueError(f"{name} must not be the zero vector: it has no direction")
    return np.asarray(vector / length)
