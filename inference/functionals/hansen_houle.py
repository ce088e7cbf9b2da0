"""Evolvability of a covariance matrix along directions of selection (Hansen & Houle 2008).

For a unit selection gradient beta and a genetic covariance G the response is G beta, and

    e = beta' G beta          evolvability: response along beta
    r = |G beta|              respondability: length of the response
    c = 1 / (beta' G^-1 beta) conditional evolvability: response along beta, the rest held fixed
    a = c / e                 autonomy, between 0 and 1
    i = 1 - a                 integration

Source: Hansen & Houle 2008, doi:10.1111/j.1420-9101.2008.01573.x; flexibility e/r, Marroig et al.
2009, doi:10.1007/s11692-009-9051-1; effective dimensions, Kirkpatrick 2009,
doi:10.1007/s10709-008-9302-6.

The average over uniform directions depends on the eigenvalues of G alone. Exact: everything along
a given beta; the mean of e, tr G / T; any G proportional to the identity.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from genomic_code.inference.functionals.directions import random_directions, unit

__all__ = ["check_covariance", "effective_dimensions", "hansen_houle", "spectrum"]

Array = NDArray[np.float64]

LONG_NAMES = {
    "e": "evolvability",
    "r": "respondability",
    "c": "conditional evolvability",
    "a": "autonomy",
    "i": "integration",
}
SYMMETRY = 1e-6
"""Largest asymmetry accepted, relative to the largest entry."""


def check_covariance(matrix: ArrayLike, name: str = "G") -> Array:
    """A matrix `(..., T, T)` in float64, if it is a covariance matrix of full rank.

    Raises:
        ValueError: It is not square, finite, symmetric or positive definite.
    """
    values = np.asarray(matrix, float)
    if values.ndim < 2 or values.shape[-1] != values.shape[-2] or not values.size:
        raise ValueError(f"{name} must be square, (..., T, T), got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got {np.sum(~np.isfinite(values))} bad entries")
    symmetric = (values + np.swapaxes(values, -1, -2)) / 2
    eigenvalues = np.linalg.eigvalsh(symmetric)
    gap = np.abs(values - symmetric) * 2
    if gap.max() > SYMMETRY * np.abs(values).max():
        row, column = np.unravel_index(gap.argmax(), gap.shape)[-2:]
        raise ValueError(
            f"{name} must be symmetric, entries ({row}, {column}) and ({column}, {row}) differ by "
            f"{gap.max():.3g}; its symmetric part has smallest eigenvalue {eigenvalues.min():.4g}"
        )
    worst = eigenvalues[..., 0] / np.maximum(np.abs(eigenvalues).max(-1), np.finfo(float).tiny)
    if not worst.min() > values.shape[-1] * np.finfo(float).eps:
        raise ValueError(
            f"{name} must be positive definite, got the eigenvalue {eigenvalues.min():.4g}; "
            "drop redundant traits, or estimate it with a model that keeps it definite"
        )
    return np.asarray(symmetric)


def hansen_houle(
    G: ArrayLike,
    beta: ArrayLike | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> xr.Dataset:
    """Evolvability e, respondability r, conditional evolvability c, autonomy a, integration i.

    Args:
        G: Covariance matrix `(..., T, T)`, symmetric and positive definite, for instance one a
            posterior draw.
        beta: Direction of selection `(T,)` or several `(D, T)`, scaled to unit length. By default
            the average over uniformly random directions.
        draws: Number of random directions, rounded up to a power of two.
        seed: Seed of the random directions.

    Returns:
        Variables `e`, `r`, `c`, `a`, `i` with the leading dimensions of G, named `draw` if there
        is one, and `direction` if there are several; e, r and c in the units of G.

    Raises:
        ValueError: G is not symmetric or not positive definite (the message gives the
            eigenvalue), or `beta` has no direction.

    Example:
        >>> G = 0.1 * np.array([[2.0, 1, 0], [1, 2, 1], [0, 1, 3]])
        >>> result = hansen_houle(G)
        >>> print(f"{result.e:.4f} {result.c:.3f} {hansen_houle(G, beta=[0, 0, 1]).e:.1f}")
        0.2333 0.183 0.3
    """
    matrix = check_covariance(G)
    values, vectors = np.linalg.eigh(matrix)
    if beta is None:
        result = averages(values, draws, seed)
    else:
        direction = unit(beta, matrix.shape[-1])
        squares = np.square(direction @ vectors)  # (..., D, T), or (..., T) for one direction
        spread = values[..., None, :] if direction.ndim == 2 else values
        e, r, c, a = along(squares, spread)
        result = {"e": e, "r": r, "c": c, "a": a, "i": 1 - a}
    lead = matrix.ndim - 2
    dims = ("draw",) if lead == 1 else tuple(f"batch_{axis}" for axis in range(lead))
    extra = ("direction",) if beta is not None and np.ndim(beta) == 2 else ()
    return xr.Dataset(
        {
            name: ((*dims, *extra), np.asarray(value), {"long_name": LONG_NAMES[name]})
            for name, value in result.items()
        }
    )


def along(squares: Array, values: Array) -> tuple[Any, Any, Any, Any]:
    """e, r, c and a of directions with squared coordinates `(..., T)` on the eigenvectors."""
    e = (squares * values).sum(-1)
    r = np.sqrt((squares * values**2).sum(-1))
    c = 1 / (squares / values).sum(-1)
    return e, r, c, c / e


def averages(values: Array, draws: int = 10_000, seed: int = 0) -> dict[str, Any]:
    """Means of e, r, c, a and i over uniform directions, of positive eigenvalues `(..., T)`."""
    squares = random_directions(values.shape[-1], draws, seed) ** 2
    flat = values.reshape(-1, values.shape[-1])
    e = squares @ flat.T
    r = np.sqrt(squares @ flat.T**2)
    c = 1 / (squares @ (1 / flat.T))
    lead = values.shape[:-1]
    autonomy = (c / e).mean(0).reshape(lead)
    return {
        "e": values.mean(-1),
        "r": r.mean(0).reshape(lead),
        "c": c.mean(0).reshape(lead),
        "a": autonomy,
        "i": 1 - autonomy,
    }


def spectrum(values: Array, draws: int = 10_000, seed: int = 0) -> dict[str, Any]:
    """What the eigenvalues `(..., T)`, in any order and at least 0, say about responses.

    Returns:
        `flexibility`, mean cosine between beta and its response; `constraints`, mean absolute
        cosine between the response and the leading eigenvector; `D_eff` and `n_D`, effective
        dimensions.
    """
    squares = random_directions(values.shape[-1], draws, seed) ** 2
    flat = np.sort(values.reshape(-1, values.shape[-1]))
    r = np.sqrt(squares @ flat.T**2)
    first = np.sqrt(squares[:, -1:]) * flat[:, -1]
    lead = values.shape[:-1]
    return {
        "flexibility": (squares @ flat.T / r).mean(0).reshape(lead),
        "constraints": (first / r).mean(0).reshape(lead),
        **effective_dimensions(values),
    }


def effective_dimensions(values: Array) -> dict[str, Any]:
    """`D_eff = (sum l)^2 / sum l^2` and `n_D = sum l / max l` of eigenvalues `(..., T)`."""
    total = values.sum(-1)
    return {"D_eff": total**2 / (values**2).sum(-1), "n_D": total / values.max(-1)}
