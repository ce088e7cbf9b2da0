"""Traits on another scale, before anything is fitted.

What is additive on one scale is epistatic on another: a curve that bends all effects alike passes
for interaction of loci, or for a nonlinear decoder (Fisher 1918, doi:10.1017/S0080456800012163;
Sailer & Harms 2017, doi:10.1534/genetics.116.195214). So the scale is chosen by what was measured,
and a verdict that hangs on it is about the scale. `log` is for what spans decades (amounts,
intensities, growth rates), where effects multiply. `normal_scores` keeps only the order: Blom's
normal quantiles of the ranks, ties sharing their mean rank (Blom 1958; when it helps and when not:
Beasley, Erickson & Allison 2009, doi:10.1007/s10519-009-9281-0).

What could not be detected is often written down as the limit of detection, or 0. Such a spike is no
amount, and no curve spreads it out: whether there is any, and how much where there is some, are two
questions (two-part model; Broman 2003, doi:10.1093/genetics/163.3.1169). `detected` and
`quantified` make a cohort for each.
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

__all__ = ["TRANSFORMS", "amounts", "spiked", "transform"]

TRANSFORMS = ("log", "normal_scores", "detected", "quantified")
"""Scales that traits can be put on."""
PARTS = ("detected", "quantified")
"""The two parts of traits with a spike at their smallest value."""

SPAN = 10.0
"""Ratio of the 95 and 5 % quantiles above which a positive trait looks like an amount."""
FEWEST, SHARE, TIMES, DISTINCT = 5, 0.05, 3, 10
"""A spike at the smallest value holds at least so many individuals, this share of them, and so many
times as many as any of at least so many larger values."""

Array = NDArray[np.float64]


def transform(cohort: "Cohort", how: str, traits: Sequence[str] | None = None) -> "Cohort":
    """The cohort with these traits on another scale, see `Cohort.transform`."""
    if "," in how:
        for step in how.split(","):
            cohort = transform(cohort, step, traits)
        return cohort
    one_of("transform", how, list(TRANSFORMS))
    if cohort.unit != "trait":
        raise ValueError(
            "transform needs a cohort with unit='trait', got 'common': zero and the ratios of its "
            "traits mean something, which no other scale keeps"
        )
    columns = chosen(cohort, how, traits)
    phenotype = cohort.phenotype.values.astype(float)
    values, error = phenotype[:, columns], None
    if cohort.error is not None:
        error = cohort.error.values.astype(float)
    if how == "log":
        known = cohort.labels("trait")
        scaled = logs(values, [known[column] for column in columns])
        if error is not None:
            error[:, columns] /= values
    elif how == "normal_scores":
        if error is not None and error[:, columns].any():
            raise ValueError(
                "transform='normal_scores' needs traits without known measurement error, got a "
                "cohort with errors: ranks have none; take 'log', or leave the errors out"
            )
        scaled = normal_scores(values)
    else:
        above = values > np.nanmin(values, 0)
        scaled = np.where(above, values, np.nan)
        if how == "detected":
            scaled = np.where(np.isnan(values), np.nan, above)
    phenotype[:, columns] = scaled
    # genetic values and scales of a simulation are in the old units
    dataset = cohort.dataset.drop_vars(["truth", "truth_scale"], errors="ignore")
    dataset = dataset.assign(phenotype=(("individual", "trait"), phenotype))
    if error is not None:
        dataset = dataset.assign(error=(("individual", "trait"), error))
    if how == "detected":
        dataset = dataset.drop_vars("error", errors="ignore").isel(trait=columns)
    before = [part for part in [dataset.attrs.get("transform")] if part]
    note = how if traits is None else f"{how} of {', '.join(traits)}"
    dataset = dataset.assign_attrs(transform="; ".join([*before, note]))
    return type(cohort).from_dataset(dataset, cohort.name)


def chosen(cohort: "Cohort", how: str, traits: Sequence[str] | None) -> NDArray[np.intp]:
    """Positions of the traits that are put on another scale."""
    known = cohort.labels("trait")
    if isinstance(traits, str):
        raise ValueError(f"traits must be a list of names, got the text {traits!r}")
    if traits is None and how in PARTS:
        traits = spiked(cohort)
        if not traits:
            raise ValueError(
                f"transform={how!r} needs traits that pile up at their smallest value, as amounts "
                f"below a limit of detection do, got none in cohort {cohort.name!r}; name the "
                "traits whose smallest value stands for such a limit"
            )
    names = known if traits is None else [one_of("traits", name, known) for name in traits]
    return np.flatnonzero(np.isin(known, names))


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
            f"{names[column]!r} (row {row}; {int(low.sum())} such cells); make what is below "
            "the limit of detection missing by transform='quantified', name the traits to take, or "
            "use 'normal_scores'"
        )
    return np.log(values)


def normal_scores(values: Array) -> Array:
    """Normal quantiles `(N, T)` of (rank - 3/8) / (n + 1/4), trait by trait; NaN stays."""
    frame = pd.DataFrame(values)
    share = (frame.rank() - 0.375) / (frame.notna().sum() + 0.25)
    scores: Array = ndtri(share.to_numpy())
    return scores


def amounts(cohort: "Cohort") -> list[str]:
    """Traits that are positive and span more than a factor of ten: their scale may be a log one.

    None where all are logarithms already.
    """
    if "log" in str(cohort.dataset.attrs.get("transform")).split("; "):
        return []
    values = cohort.phenotype.values.astype(float)
    low, high = np.nanquantile(values, [0.05, 0.95], axis=0)
    wide = (np.nanmin(values, 0) > 0) & (high > SPAN * low)
    return [name for name, yes in zip(cohort.labels("trait"), wide, strict=True) if yes]


def spiked(cohort: "Cohort") -> list[str]:
    """Traits that pile up at their smallest value, as amounts below a limit of detection do."""
    found = []
    for name, column in zip(cohort.labels("trait"), cohort.phenotype.values.T, strict=True):
        seen = column[~np.isnan(column)]
        lowest, *others = np.unique(seen, return_counts=True)[1]
        enough = max(FEWEST, SHARE * len(seen), TIMES * max(others, default=0))
        if len(others) >= DISTINCT and lowest >= enough:
            found.append(name)
    return found
