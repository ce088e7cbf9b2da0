"""Crosses in the formats of R/qtl: its `csv` tables and RData files with a cross object."""

import csv
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import existing, reading
from genomic_code.spec.readers.loci import joined

__all__ = ["from_rqtl"]

CODES = {"A": 1.0, "H": 2.0, "B": 3.0}
"""Genotype codes of the text format, as R/qtl numbers them."""

UNKNOWN = {"-", "NA", "", "C", "D"}
"""Missing genotypes; C and D (not AA, not BB) are known in part and taken as missing."""


class Cross(NamedTuple):
    """A cross as read."""

    genotype: pd.DataFrame
    """`(N, L)` classes 1 (AA), 2 (AB) and 3 (BB), NaN where missing."""
    phenotype: pd.DataFrame
    """`(N, T)` columns of any type, rows called as in `genotype`."""
    chromosome: list[str]
    """Chromosome of each locus."""
    position: NDArray[np.floating]
    """Position of each locus on the genetic map, in cM."""


def from_rqtl(
    path: str | os.PathLike[str], phenotype: Sequence[str] | None = None, name: str | None = None
) -> Cohort:
    """A cohort from a cross of R/qtl.

    Genotypes are numbered by the classes seen: 0 and 1 for backcrosses and recombinant inbred
    lines, 0, 1 and 2 for intercrosses. Missing markers are interpolated on the genetic map
    between the observed ones on either side of the same chromosome. Markers that do not vary are
    dropped; chromosome and position (cM) become coordinates. A phenotype column called `id`
    names the individuals.

    Args:
        path: A `.csv` file in the R/qtl format "csv" (first row names, second row chromosomes,
            optional third row positions; codes A, H, B and `-`), or an RData file with one cross.
        phenotype: Names of the traits, by default all columns of numbers.
        name: Name of the cohort, by default that of the file.

    Raises:
        ValueError: The file cannot be read, holds no cross, or the cross is no valid cohort.
    """
    file = existing(path)
    suffix = file.suffix.lower()
    if suffix in (".rdata", ".rda"):
        cross = from_rdata(file)
    elif suffix == ".csv":
        cross = from_csv(file)
    else:
        raise ValueError(f"path must end in .csv, .RData or .rda, got {file.name!r}")
    traits = cross.phenotype
    if phenotype is None:
        traits = traits.select_dtypes("number")
    else:
        lacking = [trait for trait in phenotype if trait not in traits.columns]
        if lacking:
            raise ValueError(
                f"the cross must have the phenotype {lacking[0]!r}, got {list(traits.columns[:6])}"
            )
        traits = traits[list(phenotype)]
    classes = np.unique(cross.genotype.to_numpy()[cross.genotype.notna().to_numpy()])
    if not set(classes) <= {1.0, 2.0, 3.0}:
        raise ValueError(
            f"the cross must have two alleles (classes AA, AB and BB), got the classes {classes}"
        )
    steps = cross.genotype.replace({seen: float(step) for step, seen in enumerate(classes)})
    filled = steps.to_numpy(dtype=float, copy=True)
    chromosomes = np.array(cross.chromosome)
    for chromosome in dict.fromkeys(cross.chromosome):
        here = chromosomes == chromosome
        filled[:, here] = interpolated(filled[:, here], cross.position[here])
    genotype = pd.DataFrame(filled, steps.index, steps.columns)
    places = pd.DataFrame(
        {"chromosome": cross.chromosome, "position": cross.position}, index=genotype.columns
    )
    title = file.name.split(".")[0] if name is None else name
    return joined(genotype, traits, {}, "refuse", places, title)


def from_rdata(file: Path) -> Cross:
    """The one cross object in an RData file."""
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
        traits: pd.DataFrame = crosses[0]["pheno"]
        parts: dict[str, Any] = crosses[0]["geno"]
        tables = [
            pd.DataFrame(
                np.asarray(part["data"], float),
                columns=pd.Index([str(label) for label in part["data"].coords["dim_1"].values]),
            )
            for part in parts.values()
        ]
        genotype = pd.concat(tables, axis=1).set_axis(traits.index, axis=0)
        chromosome = [str(key) for key, t in zip(parts, tables, strict=True) for _ in t.columns]
        position = np.concatenate([np.asarray(part["map"], float) for part in parts.values()])
    return Cross(genotype.where(genotype < 4), traits, chromosome, position)


def from_csv(file: Path) -> Cross:
    """The cross in a table of the R/qtl format "csv"."""
    with reading(file, "R/qtl csv"), file.open(encoding="utf-8-sig", newline="") as handle:
        rows = [[cell.strip() for cell in row] for row in csv.reader(handle) if any(row)]
    if len(rows) < 3:
        raise ValueError(
            f"{str(file)!r} must have names, chromosomes and individuals, got {len(rows)} rows"
        )
    names, chromosomes = rows[:2]
    width = len(names)
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise ValueError(
                f"{str(file)!r} must have {width} cells a row, got {len(row)} in row {number}"
            )
    traits = next((i for i, cell in enumerate(chromosomes) if cell), width)
    if not 0 < traits < width or not all(chromosomes[traits:]):
        raise ValueError(
            f"{str(file)!r} must have in its second row nothing for phenotypes, then a chromosome "
            f"for every marker"
        )
    position = np.arange(width - traits, dtype=float)
    body = rows[2:]
    if not any(body[0][:traits]):
        with reading(file, "R/qtl csv, the third row with positions in cM"):
            position = np.array([float(cell) for cell in body[0][traits:]])
        body = body[1:]
        if not np.isfinite(position).all() or not body:
            raise ValueError(f"{str(file)!r} must have finite positions and individuals")
    phenotype = pd.DataFrame([row[:traits] for row in body], columns=pd.Index(names[:traits]))
    called = [label for label in phenotype.columns if label.lower() == "id"]
    rows_index = pd.Index(phenotype.pop(called[0])) if called else phenotype.index
    for column in phenotype.columns.unique():
        values = phenotype[column]
        if isinstance(values, pd.Series):
            blank = values.isin(["-", "NA", ""])
            parsed = pd.to_numeric(values.mask(blank), errors="coerce")
            if (parsed.notna() | blank).all():
                phenotype[column] = parsed.astype(float)
    return Cross(
        pd.DataFrame(
            coded(file, names, [row[traits:] for row in body], traits),
            rows_index,
            pd.Index(names[traits:]),
        ),
        phenotype.set_axis(rows_index, axis=0),
        chromosomes[traits:],
        position,
    )


def coded(file: Path, names: list[str], rows: list[list[str]], traits: int) -> NDArray[np.floating]:
    """Genotype classes from the letters of the text format."""
    values = {**CODES, **dict.fromkeys(UNKNOWN, np.nan)}
    try:
        return np.array([[values[cell] for cell in row] for row in rows])
    except KeyError:
        number, column = next(
            (i, j) for i, row in enumerate(rows) for j, c in enumerate(row) if c not in values
        )
        raise ValueError(
            f"{str(file)!r} must have the genotype codes A, H, B and -, got "
            f"{rows[number][column]!r} for marker {names[traits + column]!r}, "
            f"individual {number + 1}"
        ) from None


def interpolated(
    genotype: NDArray[np.floating], positions: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Genotype `(N, L)` of one chromosome with missing cells filled from the markers beside them.

    Linear in map position (cM) between the nearest observed markers, constant beyond the ends;
    an individual with no observed marker gets the mean of the others.
    """
    order = np.argsort(positions, kind="stable")
    sorted_positions, values = positions[order], genotype[:, order].copy()
    seen = ~np.isnan(values)
    for row in np.flatnonzero(seen.any(1) & ~seen.all(1)):
        known = seen[row]
        values[row] = np.interp(sorted_positions, sorted_positions[known], values[row, known])
    empty = ~seen.any(1)
    if empty.any() and not empty.all():
        values[empty] = values[~empty].mean(0)
    filled = np.empty_like(values)
    filled[:, order] = values
    return filled
