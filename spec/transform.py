"""Traits on another scale, before anything is fitted.

What is additive on one scale is epistatic on another: a curve that bends all effects alike passes
for interaction of loci, or for a nonlinear decoder (Fisher 1918, doi:10.1017/S0080456800012163;
Sailer & Harms 2017, doi:10.1534/genetics.116.195214). So the scale is chosen by what was measured,
and a verdict that hangs on it is about the scale. `log` is for what spans decades (amounts,
intensities, growth rates), where effects multiply. `normal_scores` keeps only the order: Blom's
normal quantiles of the ranks, ties sharing their mean rank (Blom 1958; when it helps and when not:
Beasley, Erickson & Allison 2009, doi:10.1007/s10519-009-9281-0).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from genomic_code.spec.validate import one_of

if TYPE_CHECKING:
    from genomic_code.spec.cohort import Cohort

__all__ = ["TRANSFORMS", "amounts", "transform"]

TRANSFORMS = ("log", "normal_scores")
"""Scales that traits can be put on."""

SPAN = 10.0
"""Ratio of the 95 and 5 % quantiles above which a positive trait looks like an amount."""

Array = NDArray[np.float64]


def transform(cohort: "Cohort", how: str, traits: Sequence[str] | None = None) -> "Cohort":
    """The cohort with these traits on another scale, see `Cohort.transform`."""
    one_of("transform", how, list(TRANSFORMS))
    if cohort.unit != "trait":
        raise ValueError(
            "transform needs a cohort with unit='trait', got 'common': zero and the ratios of its "
            "traits mean something, which no other scale keeps"
        )
    known = cohort.labels("trait")
    if isinstance(traits, str):
        raise ValueError(f"traits must be a list of names, got the text {traits!r}")
    chosen = known if traits is None else [one_of("traits", name, known) for name in traits]
    columns = np.isin(known, chosen)
    phenotype = cohort.phenotype.values.astype(float)
    values, error = phenotype[:, columns], None
    if cohort.error is not None:
        error = cohort.error.values.astype(float)
    if how == "log":
        scaled = logs(values, [name for name in known if name in chosen])
        if error is not None:
            error[:, columns] /= values
    else:
        if error is not None and error[:, columns].any():
            raise ValueError(
                "transform='normal_scores' needs traits without known measurement error, got a "
                "cohort with errors: ranks have none; take 'log', or leave the errors out"
            )
        scaled = normal_scores(values)
    phenotype[:, columns] = scaled
    # genetic values and scales of a simulation are in the old units
    dataset = cohort.dataset.drop_vars(["truth", "truth_scale"], errors="ignore")
    dataset = dataset.assign(phenotype=(("individual", "trait"), phenotype))
    if error is not None:
        dataset = dataset.assign(error=(("individual", "trait"), error))
    before = [part for part in [dataset.attrs.get("transform")] if part]
    note = how if traits is None else f"{how} of {', '.join(chosen)}"
    dataset = dataset.assign_attrs(transform="; ".join([*before, note]))
    return type(cohort).from_dataset(dataset, cohort.name)


def logs(values: Array, names: list[str]) -> Array:
    """Natural logarithms of traits `(N, T)`; NaN stays.

    Raises:
        ValueError: A value is not positive.
    """
    low = ~(values > 0) & ~np.isnan(values)
    if low.any():
        row, column = np.argwhere(low)[0]
        raise ValueError(
            f"transform='log' needs positive traits, got {values[row, column]:g} in trait "
            f"{names[column]!r} (row {row}; {int(low.sum())} such cells); set what is below the "
            "limit of detection to that limit, name the traits to take, or use 'normal_scores'"
        )
    return np.log(values)


def normal_scores(values: Array) -> Array:
    """Normal quantiles `(N, T)` of (rank - 3/8) / (n + 1/4), trait by trait; NaN stays."""
    frame = pd.DataFrame(values)
    share = (frame.rank() - 0.375) / (frame.notna().sum() + 0.25)
    scores: Array = ndtri(share.to_numpy())
    return scores


def amounts(cohort: "Cohort") -> list[str]:
    """Traits that are positive and span more than a factor of ten: their scale may be a log one."""
    values = cohort.phenotype.values.astype(float)
    low, high = np.nanquantile(values, [0.05, 0.95], axis=0)
    wide = (np.nanmin(values, 0) > 0) & (high > SPAN * low)
    return [name for name, yes in zip(cohort.labels("trait"), wide, strict=True) if yes]
