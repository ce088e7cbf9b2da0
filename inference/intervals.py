"""Which level of predictive intervals to ask for, so that they hold what they should.

A guide that is too narrow, or noise that is not as the model has it, makes intervals too narrow (or
too wide). With u = |2 PIT - 1|, the level of the central interval on whose edge a held-out cell
lies, the level to ask for is the quantile of u at the level that is wanted: conformal prediction
over folds, without a further assumption on the noise. Vovk, Gammerman & Shafer 2005,
doi:10.1007/b106715; Vovk 2015, doi:10.1007/s10472-013-9368-4.
"""

import numpy as np
from numpy.typing import NDArray

from genomic_code.inference.calibration import check_level, share_inside
from genomic_code.inference.units import Units

__all__ = ["honest_level"]

PARTS = 10
"""Largest number of parts of the folds in which the outcome is counted."""


def honest_level(
    pit: NDArray[np.float64],
    folds: NDArray[np.int64],
    level: float = 0.9,
    units: Units | None = None,
) -> tuple[float, float, float]:
    """The level to ask for, and what its intervals hold where it is learnt from other folds.

    Args:
        pit: Predictive probabilities `(n, T)`, NaN where missing.
        folds: Fold `(n,)` in which each individual was held out.
        level: Share of cells that intervals should hold, above 0 and below 1.
        units: Group of each individual `(n,)`, from 0; None where each is a unit of its own.

    Returns:
        The level of central intervals that hold `level` of all held-out cells; the share that
        they hold of each part of the folds if learnt from the others, and its standard error, NaN
        where there is one fold. As an individual is held out but once, the share is not of cells
        that the level has seen.
    """
    check_level(level)
    edge = np.abs(2 * pit - 1)
    if not np.isfinite(edge).any():
        return np.nan, np.nan, np.nan
    asked = quantile(edge, level)
    parts = np.unique(folds, return_inverse=True)[1] % PARTS
    if parts.max() == 0:
        return asked, np.nan, np.nan
    inside = np.zeros(edge.shape, bool)
    for part in range(int(parts.max()) + 1):
        own = parts == part
        inside[own] = edge[own] <= quantile(edge[~own], level)
    return asked, *share_inside(inside, ~np.isnan(edge), units)


def quantile(edge: NDArray[np.float64], level: float) -> float:
    """The smallest of the values `(n, T)` below or at which a share `level` of n + 1 lies."""
    known = np.sort(edge[np.isfinite(edge)])
    place = int(np.ceil(level * (len(known) + 1))) - 1
    return float(known[min(place, len(known) - 1)])
