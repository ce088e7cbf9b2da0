"""PLINK binary filesets: .bed, .bim and .fam."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import existing, reading
from genomic_code.spec.readers.loci import Missing, joined

__all__ = ["from_plink"]

MAGIC = b"\x6c\x1b\x01"
"""First bytes of a variant-major .bed file."""

COPIES = np.array([2, np.nan, 1, 0], np.float32)
"""Copies of the first allele by two-bit code."""


def from_plink(
    path: str | os.PathLike[str],
    phenotype: pd.DataFrame | pd.Series | None = None,
    environment: pd.DataFrame | None = None,
    error: pd.DataFrame | None = None,
    groups: pd.Series | None = None,
    split: pd.Series | None = None,
    missing: Missing = "refuse",
    name: str | None = None,
) -> Cohort:
    """A cohort from a PLINK fileset: copies (0, 1, 2) of the first allele of the .bim file.

    Loci that do not vary are dropped; chromosome and position (base pairs) become coordinates.

    Args:
        path: The .bed file, or the path without `.bed`; .bim and .fam lie beside it.
        phenotype: Traits indexed by individual; by default the sixth column of the .fam file,
            where -9 is missing, and 0 too if it only holds 0, 1 and 2 (case and control).
        environment: Covariates indexed by individual.
        error: Standard errors of the phenotype indexed by individual.
        groups: Group labels indexed by individual.
        split: Parts of a published split indexed by individual.
        missing: Missing genotypes: "refuse" them, fill with the "mean", or "drop" their loci.
        name: Name of the cohort, by default that of the file.

    Individuals are known by their second .fam column, joined to the first by `_` where the second
    alone is not unique.

    Raises:
        ValueError: A file is missing or damaged, or what it holds is no valid cohort.
    """
    stem = str(path).removesuffix(".bed")
    fam = columns(existing(f"{stem}.fam"), 6)
    bim = columns(existing(f"{stem}.bim"), 6)
    individuals = fam[1] if fam[1].is_unique else fam[0] + "_" + fam[1]
    plain = bim[0] + ":" + bim[3] + ":" + bim[4] + ":" + bim[5]
    loci = bim[1].where(bim[1] != ".", plain)
    genotype = pd.DataFrame(
        dosages(existing(f"{stem}.bed"), len(fam), len(bim)),
        index=pd.Index(individuals),
        columns=pd.Index(loci),
    )
    if phenotype is None:
        phenotype = family_phenotype(fam[5]).set_axis(genotype.index)
    with reading(Path(f"{stem}.bim"), "PLINK .bim"):
        position = bim[3].astype(np.int64)
    places = pd.DataFrame({"chromosome": bim[0].astype(str), "position": position})
    places.index = genotype.columns
    tables = {"environment": environment, "error": error, "groups": groups, "split": split}
    title = Path(stem).name if name is None else name
    return joined(genotype, phenotype, tables, missing, places, title)


def columns(file: Path, count: int) -> pd.DataFrame:
    """A table of text separated by blanks, without a header."""
    with reading(file, "text"):
        lines = file.read_text(encoding="utf-8").splitlines()
    rows: Sequence[list[str]] = [line.split() for line in lines if line.strip()]
    for number, row in enumerate(rows, 1):
        if len(row) != count:
            raise ValueError(
                f"{str(file)!r} must have {count} columns, got {len(row)} in row {number}"
            )
    if not rows:
        raise ValueError(f"{str(file)!r} must have rows, got none")
    return pd.DataFrame(rows, dtype=object)


def dosages(file: Path, individuals: int, loci: int) -> NDArray[np.float32]:
    """Copies of the first allele `(N, L)`, NaN where missing."""
    with reading(file, "PLINK .bed"):
        raw = file.read_bytes()
    if raw[:3] != MAGIC:
        raise ValueError(
            f"{str(file)!r} must be a variant-major PLINK 1 .bed file, got another header; "
            f"convert with plink --make-bed"
        )
    width = -(-individuals // 4)
    if len(raw) != 3 + width * loci:
        raise ValueError(
            f"{str(file)!r} must have {3 + width * loci} bytes for {individuals} individuals "
            f"and {loci} loci, got {len(raw)}; are .bed, .bim and .fam of one fileset?"
        )
    packed = np.frombuffer(raw, np.uint8, offset=3).reshape(loci, width)
    codes = np.stack([packed >> shift & 3 for shift in (0, 2, 4, 6)], -1)
    return np.ascontiguousarray(COPIES[codes.reshape(loci, -1)[:, :individuals]].T)


def family_phenotype(column: pd.Series) -> pd.DataFrame:
    """The sixth column of a .fam file as a trait."""
    values = pd.to_numeric(column, errors="coerce").astype(float)
    values = values.mask(values == -9)
    if set(values.dropna()) <= {0.0, 1.0, 2.0}:
        values = values.mask(values == 0)
    if values.isna().all():
        raise ValueError("phenotype must be given, the sixth column of the .fam file has none")
    return pd.DataFrame({"phenotype": values})
