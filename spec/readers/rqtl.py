"""Crosses in the formats of R/qtl: its `csv` tables and RData files with a cross object."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import existing, reading

__all__ = ["from_rqtl"]


def from_rqtl(
    path: str | os.PathLike[str], phenotype: Sequence[str] | None = None, name: str | None = None
) -> Cohort:
    """A cohort from a cross of R/qtl.

    Genotypes are counted in steps from the first class: 0 and 1 for backcrosses and recombinant
    inbred lines, 0, 1 and 2 for intercrosses. Missing markers are interpolated on the genetic map
    between the observed ones on either side of the same chromosome.

    Args:
        path: An RData file with one cross object.
        phenotype: Names of the traits, by default all columns of numbers.
        name: Name of the cohort, by default that of the file.

    Raises:
        ValueError: The file cannot be read, holds no cross, or the cross is no valid cohort.
    """
    file = existing(path)
    cross = from_rdata(file)
    genotype, traits = cross
    if phenotype is not None:
        lacking = [trait for trait in phenotype if trait not in traits.columns]
        if lacking:
            raise ValueError(f"the cross must have the phenotype {lacking[0]!r}")
        traits = traits[list(phenotype)]
    else:
        traits = traits.select_dtypes("number")
    return Cohort(genotype, traits, name=file.name.split(".")[0] if name is None else name)


def from_rdata(file: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Genotype and phenotype of the one cross object in an RData file."""
    import rdata

    with reading(file, "RData"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        objects = rdata.read_rda(file)
    crosses = [x for x in objects.values() if isinstance(x, dict) and {"geno", "pheno"} <= set(x)]
    if len(crosses) != 1:
        raise ValueError(
            f"{str(file)!r} must hold one cross object of R/qtl, got {len(crosses)} "
            f"among {[str(key) for key in objects]}"
        )
    with reading(file, "a cross of R/qtl"):
        chromosomes = [chromosome(entry) for entry in crosses[0]["geno"].values()]
        traits = crosses[0]["pheno"]
        genotype = pd.concat(chromosomes, axis=1).set_axis(traits.index, axis=0)
    return genotype - genotype.min().min(), traits


def chromosome(entry: Any) -> pd.DataFrame:
    """Genotypes of one chromosome, missing ones interpolated."""
    data = entry["data"]
    markers = [str(marker) for marker in data.coords["dim_1"].values]
    positions = np.asarray(entry["map"], float)
    values = np.asarray(data, float)
    return pd.DataFrame(interpolated(values, positions), columns=pd.Index(markers))


def interpolated(
    genotype: NDArray[np.floating], positions: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Genotype `(N, L)` of one chromosome with missing cells filled from the markers beside them.

    Linear in map position (cM) between the nearest observed markers, constant beyond the ends;
    an individual with no observed marker gets the mean of each.
    """
    filled = genotype.copy()
    means = np.nanmean(genotype, 0)
    for row in np.flatnonzero(np.isnan(genotype).any(1)):
        seen = ~np.isnan(genotype[row])
        filled[row] = (
            np.interp(positions, positions[seen], genotype[row, seen]) if seen.any() else means
        )
    return filled
