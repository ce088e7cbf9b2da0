"""Numbers that summarise a pair of covariance matrices: G of standing variation, M of mutations."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from genomic_code.inference.functionals.alignment import (
    krzanowski,
    leading_angle,
    random_skewers,
)
from genomic_code.inference.functionals.directions import unit
from genomic_code.inference.functionals.hansen_houle import (
    LONG_NAMES,
    along,
    averages,
    effective_dimensions,
    spectrum,
)

__all__ = ["along_directions", "matrix_metrics", "subspace_dimensions"]

Array = NDArray[np.float64]

EPSILON = 1e-4
"""Eigenvalues below this share of the largest are taken as no variation."""


def subspace_dimensions(values: Array, epsilon: float) -> int:
    """Dimensions of variation: eigenvalues `(S, T)` above `epsilon` of the largest, median draw."""
    above = values > epsilon * values.max(-1, keepdims=True)
    return max(1, int(np.median(above.sum(-1))))


def matrix_metrics(
    G: ArrayLike, M: ArrayLike | None = None, dim: str = "draw", epsilon: float = EPSILON
) -> xr.Dataset:
    """Metrics of draws of G `(S, T, T)`, and of how M `(S, T, T)` aligns with it.

    Conditional evolvability c and autonomy a are zero wherever G lacks a dimension, as it does
    with fewer latents than traits, and then measure the ridge that one adds. So they (and i) are
    taken in the subspace of the k leading eigenvectors, selection being uniform within it; k is in
    the attribute `subspace_dimensions`, `epsilon` beside it. All else refers to all traits.

    Args:
        G: Genetic covariances, positive semidefinite up to rounding.
        M: Mutational covariances of the same traits.
        dim: Name of the leading dimension.
        epsilon: Eigenvalues above this share of the largest count as variation, from 0 to below 1.

    Returns:
        One variable a metric, over `dim`. Without genetic variance only those that are defined;
        the attribute `omitted` says so.

    Raises:
        ValueError: `epsilon` is out of range, or a matrix is not finite.
    """
    if not 0 <= epsilon < 1:
        raise ValueError(f"epsilon must be from 0 to below 1, got {epsilon}")
    pair: dict[str, Array] = {"G": np.asarray(G, float)}
    if M is not None:
        pair["M"] = np.asarray(M, float)
    metrics: dict[str, Any] = {}
    attributes: dict[str, Any] = {"epsilon": epsilon}
    varies = {}
    for name, matrix in pair.items():
        if not np.isfinite(matrix).all():
            raise ValueError(f"{name} must be finite")
        values = np.linalg.eigvalsh(matrix).clip(0)
        metrics[f"tr_{name}"] = np.trace(matrix, axis1=-2, axis2=-1)
        varies[name] = bool(metrics[f"tr_{name}"].min() > 0)
        if name == "G":
            metrics |= conditional(values, epsilon, attributes) if varies["G"] else none(values)
        elif varies[name]:
            found = effective_dimensions(values)
            metrics |= {f"{key}_M": value for key, value in found.items()}
    if M is not None and all(varies.values()):
        metrics["random_skewers"] = random_skewers(pair["G"], pair["M"])
        metrics["krzanowski"] = krzanowski(pair["G"], pair["M"])
        metrics["leading_angle"] = leading_angle(pair["G"], pair["M"])
        metrics["roughness"] = metrics["tr_M"] / metrics["tr_G"]
    if not varies["G"]:
        attributes["omitted"] = "ratios are undefined: there is no genetic variance"
    result = xr.Dataset({key: ((dim,), value) for key, value in metrics.items()}, attrs=attributes)
    for key, text in LONG_NAMES.items():
        if key in result:
            result[key].attrs["long_name"] = text
    return result


def conditional(values: Array, epsilon: float, attributes: dict[str, Any]) -> dict[str, Any]:
    """Hansen-Houle averages and shape of G from its eigenvalues `(S, T)`, ascending."""
    k = subspace_dimensions(values, epsilon)
    attributes["subspace_dimensions"] = k
    whole = averages(np.maximum(values, values.max(-1, keepdims=True) * 1e-12))
    floor = epsilon * values[:, -1:]
    inside = averages(np.maximum(values[:, -k:], floor))
    chosen = {"e": whole["e"], "r": whole["r"]} | {name: inside[name] for name in "cai"}
    return {**chosen, **spectrum(values)}


def none(values: Array) -> dict[str, Any]:
    """What is left without genetic variance: no response at all."""
    return dict.fromkeys("erc", np.zeros(len(values)))


def along_directions(
    G: ArrayLike, beta: ArrayLike, labels: list[str], epsilon: float = EPSILON
) -> xr.Dataset:
    """e, r, c, a and i of draws of G `(S, T, T)` along directions `(D, T)`.

    c, a and i as in `matrix_metrics`: for the part of beta within the subspace, scaled to unit
    length; `inside` is the length of that part, 1 if beta lies in the subspace.
    """
    matrix = np.asarray(G, float)
    direction = unit(np.atleast_2d(np.asarray(beta, float)), matrix.shape[-1])
    values, vectors = np.linalg.eigh(matrix)
    values = values.clip(0)
    k = subspace_dimensions(values, epsilon)
    squares = np.square(direction @ vectors)  # (S, D, T)
    e = (squares * values[:, None]).sum(-1)
    r = np.sqrt((squares * values[:, None] ** 2).sum(-1))
    part = squares[..., -k:]
    inside = part.sum(-1, keepdims=True)
    safe = np.divide(part, inside, out=np.full_like(part, 1 / k), where=inside > 1e-12)
    lifted = np.maximum(values[:, -k:], np.maximum(epsilon * values[:, -1:], 1e-300))
    _, _, c, a = along(safe, lifted[:, None])
    reached = inside[..., 0] > 1e-12
    c, a = np.where(reached, c, 0.0), np.where(reached, a, 0.0)
    found = {"e": e, "r": r, "c": c, "a": a, "i": 1 - a, "inside": np.sqrt(inside[..., 0])}
    attributes = {"epsilon": epsilon, "subspace_dimensions": k}
    dims = ("draw", "direction")
    return xr.Dataset(
        {name: (dims, value) for name, value in found.items()},
        {"direction": labels},
        attributes,
    )
