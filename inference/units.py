"""Standard errors of sums over individuals, who may come in groups.

Relatives, or replicates of one line, share more than any formalization knows of them: their scores
are not independent, and the group is the unit of sampling. With d_g the sum over a group of n_g
individuals, m the mean over all and G groups, the error of the sum is

    sqrt(G / (G - 1) sum_g (d_g - n_g m)^2)

Cluster-robust, Liang & Zeger 1986, doi:10.1093/biomet/73.1.13. Where each individual is a group it
is the familiar sd sqrt(n). It is too small for few groups, for which `reach` asks more.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

__all__ = ["codes", "count", "reach", "repeat_error", "standard_error", "unit_sums"]

Array = NDArray[np.float64]
Units = NDArray[np.int64]


def codes(labels: NDArray[Any] | None, held: NDArray[np.bool_]) -> Units | None:
    """Group `(n,)`, numbered from 0, of the individuals of which `held` `(N,)` is true.

    None where each is a unit of its own: without groups, or with all in one, which tells nothing
    of how groups differ.
    """
    if labels is None:
        return None
    found: Units = np.unique(labels[held], return_inverse=True)[1].reshape(-1)
    return found if len(found) and found.max() > 0 else None


def count(individuals: int, units: Units | None) -> int:
    """Number of units among so many individuals."""
    return individuals if units is None else int(units.max()) + 1


def unit_sums(values: Array, units: Units | None) -> Array:
    """Sums over units `(..., G)` of values `(..., n)`."""
    if units is None:
        return values
    sums = np.zeros((*values.shape[:-1], count(values.shape[-1], units)))
    np.add.at(sums.T, units, values.T)
    return sums


def standard_error(values: Array, units: Units | None = None) -> Array:
    """Standard error `(...)` of the sum of values `(..., n)`, NaN where missing.

    NaN where there is but one unit.

    Args:
        values: One score of each individual.
        units: Group of each individual `(n,)`, from 0; None where each is a unit of its own.
    """
    seen = ~np.isnan(values)
    mean = np.nansum(values, -1, keepdims=True) / np.maximum(seen.sum(-1, keepdims=True), 1)
    apart = unit_sums(np.where(seen, values - mean, 0.0), units)
    number = (unit_sums(seen.astype(float), units) > 0).sum(-1)
    spread = np.square(apart).sum(-1) * number / np.maximum(number - 1, 1)
    return np.where(number > 1, np.sqrt(spread), np.nan)


def repeat_error(totals: Array) -> Any:
    """Standard error `(...)` of the mean of totals `(..., R)` over repeats; 0 for a single one.

    Folds and starts that are drawn anew move all individuals of a fold together, which errors over
    individuals do not see.
    """
    repeats = totals.shape[-1]
    return totals.std(-1, ddof=min(repeats - 1, 1)) / np.sqrt(repeats)


def reach(number: float, errors: float = 2.0) -> float:
    """Standard errors that are as improbable with so many units as `errors` are with very many.

    The tails of Student's t: 2.0 errors from 100 units on, 2.3 for 10, 2.9 for 5.
    """
    return float(stdtrit(max(number - 1, 1.0), float(ndtr(errors))))
