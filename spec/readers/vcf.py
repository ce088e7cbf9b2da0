"""VCF text files, plain or gzipped: allele counts from the GT field."""

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import existing, reading
from genomic_code.spec.readers.loci import Missing, joined

__all__ = ["from_vcf"]

FIXED = 9
"""Columns before the samples: CHROM POS ID REF ALT QUAL FILTER INFO FORMAT."""

CALL = re.compile(r"(\.|\d+)([/|](\.|\d+))*")


def from_vcf(
    path: str | os.PathLike[str],
    phenotype: pd.DataFrame | pd.Series,
    environment: pd.DataFrame | None = None,
    error: pd.DataFrame | None = None,
    groups: pd.Series | None = None,
    split: pd.Series | None = None,
    missing: Missing = "refuse",
    name: str | None = None,
) -> Cohort:
    """A cohort from a VCF file: copies of each alternative allele, of any ploidy.

    A site with several alternative alleles becomes one locus each. Loci are called by their ID,
    or `CHROM:POS:REF:ALT` where it is missing or shared. Loci that do not vary are dropped;
    chromosome and position become coordinates. A call with any missing allele is missing.
    The whole file is held in memory: for more than about 10^8 calls, select loci first.

    Args:
        path: A `.vcf` or `.vcf.gz` file.
        phenotype: Traits indexed by sample.
        environment: Covariates indexed by sample.
        error: Standard errors of the phenotype indexed by sample.
        groups: Group labels indexed by sample.
        split: Parts of a published split indexed by sample.
        missing: Missing calls: "refuse" them, fill with the "mean", or "drop" their loci.
        name: Name of the cohort, by default that of the file.

    Raises:
        ValueError: The file is damaged, has no calls, or what it holds is no valid cohort.
    """
    file = existing(path)
    samples: list[str] = []
    calls: list[np.ndarray] = []
    labels: list[tuple[str, str]] = []
    places: list[tuple[str, int]] = []
    for number, line in lines(file):
        if line.startswith("##") or not line:
            continue
        fields = line.split("\t")
        if line.startswith("#CHROM"):
            samples = fields[FIXED:]
            if not samples:
                raise ValueError(f"{str(file)!r} must have samples, got none after FORMAT")
            continue
        if not samples:
            raise ValueError(
                f"{str(file)!r} must have a header line that starts with #CHROM before line "
                f"{number}; is it a VCF file?"
            )
        if len(fields) != FIXED + len(samples):
            raise ValueError(
                f"{str(file)!r} must have {FIXED + len(samples)} columns separated by tabs, "
                f"got {len(fields)} in line {number}"
            )
        chromosome, position, identifier, reference, alternative = fields[:5]
        if not (position.isascii() and position.isdigit() and len(position) < 18):
            raise ValueError(
                f"{str(file)!r}: POS must be a number, got {position!r} in line {number}"
            )
        if alternative == ".":
            continue
        alleles = alternative.split(",")
        counted = counts(file, number, fields[8], fields[FIXED:], len(alleles))
        for allele, copies in zip(alleles, counted, strict=True):
            single = identifier if len(alleles) == 1 else "."
            labels.append((single, f"{chromosome}:{position}:{reference}:{allele}"))
            places.append((chromosome, int(position)))
            calls.append(copies)
    if not calls:
        raise ValueError(f"{str(file)!r} must have sites with an alternative allele, got none")
    given = pd.Series([identifier for identifier, _ in labels], dtype=object)
    place = pd.Series([label for _, label in labels], dtype=object)
    loci = pd.Index(given.mask((given == ".") | given.duplicated(keep=False), place))
    genotype = pd.DataFrame(np.stack(calls, 1), index=pd.Index(samples), columns=loci)
    where = pd.DataFrame(places, columns=["chromosome", "position"], index=loci)
    tables = {"environment": environment, "error": error, "groups": groups, "split": split}
    title = file.name.removesuffix(".gz").removesuffix(".vcf") if name is None else name
    return joined(genotype, phenotype, tables, missing, where, title)


def lines(file: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a text file that may be gzipped."""
    with reading(file, "VCF"):
        raw = file.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        if raw[:3] == b"BCF":
            raise ValueError("it is a BCF file; convert it with bcftools view -Oz")
        text = raw.decode("utf-8")
    yield from (
        enumerate(text.split("\n"), 1) if "\r" not in text else enumerate(text.splitlines(), 1)
    )


def counts(
    file: Path, number: int, layout: str, samples: list[str], alternatives: int
) -> list[np.ndarray]:
    """Copies `(N,)` of each alternative allele at one site, NaN where the call is missing."""
    keys = layout.split(":")
    if "GT" not in keys:
        raise ValueError(f"{str(file)!r} must have GT in FORMAT, got {layout!r} in line {number}")
    at = keys.index("GT")
    copies = np.empty((alternatives, len(samples)), np.float32)
    known: dict[str, list[float]] = {}
    for column, sample in enumerate(samples):
        fields = sample.split(":", at + 1)
        call = fields[at] if at < len(fields) else "."
        if call not in known:
            known[call] = dosage(file, number, call, alternatives)
        copies[:, column] = known[call]
    return list(copies)


def dosage(file: Path, number: int, call: str, alternatives: int) -> list[float]:
    """Copies of each alternative allele in one call such as `0/1` or `2|.`."""
    if not CALL.fullmatch(call):
        raise ValueError(f"{str(file)!r}: GT must look like 0/1, got {call!r} in line {number}")
    alleles = re.split(r"[/|]", call)
    if "." in alleles:
        return [np.nan] * alternatives
    if any(len(allele) > 6 or int(allele) > alternatives for allele in alleles):
        raise ValueError(
            f"{str(file)!r}: GT must name one of {alternatives} alternative alleles, got {call!r} "
            f"in line {number}"
        )
    return [float(alleles.count(str(allele))) for allele in range(1, alternatives + 1)]
