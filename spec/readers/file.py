"""Read a cohort from one file: CSV or TSV (also gzipped), Parquet, netCDF."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import existing, reading
from genomic_code.spec.readers.frame import from_dataframe, numbers
from genomic_code.spec.readers.loci import Missing, complete
from genomic_code.spec.validate import one_of

__all__ = ["read"]

ELSEWHERE = {
    ".bed": "use Cohort.from_plink",
    ".bim": "use Cohort.from_plink",
    ".fam": "use Cohort.from_plink",
    ".vcf": "use Cohort.from_vcf",
    ".h5ad": "use Cohort.from_anndata",
    ".rdata": "use Cohort.from_rqtl",
    ".rda": "use Cohort.from_rqtl",
    ".rds": "use Cohort.from_rqtl",
    ".xlsx": "save the sheet as CSV",
    ".xls": "save the sheet as CSV",
    ".pkl": "pickles are not read, since they can run code; write CSV, Parquet or netCDF",
}
"""What to do with formats that do not hold a whole cohort."""

DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon"}


def read(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    traits: Iterable[str] | None = None,
    environment: Iterable[str] = (),
    individual: str | None = None,
    groups: str | None = None,
    missing: Missing = "refuse",
) -> Cohort:
    """A cohort from `.csv`, `.tsv`, `.txt` (each also `.gz`), `.parquet` or `.nc`.

    A table has one row per individual, a header, and columns named `genotype:LOCUS`,
    `phenotype:TRAIT`, optionally `environment:NAME`, `error:TRAIT`, `individual`, `groups` and
    `split`. Comma, tab and semicolon are told apart by the header. Missing phenotypes are empty
    cells or `NA`. netCDF files are those of `Cohort.to_netcdf`.

    Args:
        path: The file.
        name: Name of the cohort; by default that of the file.
        traits: Columns with traits, for a table whose names follow no convention; all columns
            that no argument names then are loci.
        environment: Columns with covariates, likewise.
        individual: Column with the names of the individuals, likewise; a first column without a
            name is taken for it.
        groups: Column with group labels, likewise.
        missing: What to do with missing genotypes of a table: `refuse` them, fill them with the
            `mean` of the locus, or `drop` the loci that have any.

    With `traits`, loci that do not vary are left out; how many is in the attributes of
    `Cohort.dataset`.

    Raises:
        ValueError: The file cannot be read, breaks the convention or holds no valid cohort.
    """
    file = existing(path)
    suffixes = [suffix.lower() for suffix in file.suffixes]
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".gz" and len(suffixes) > 1:
        suffix = suffixes[-2]
    title = file.name.removesuffix(".gz").rsplit(".", 1)[0] if name is None else name
    if traits is None and any([*environment, individual, groups]):
        raise ValueError(
            "traits must be named where other columns are; or leave all out and name the columns "
            "'genotype:LOCUS', 'phenotype:TRAIT', ..."
        )
    if suffix in (".csv", ".tsv", ".txt", ".parquet", ".pq"):
        if suffix in (".csv", ".tsv", ".txt"):
            named = [*(traits or ()), *environment, individual, groups]
            frame = delimited(file, None if traits is None else named, [individual, groups])
        else:
            with reading(file, "Parquet"):
                frame = pd.read_parquet(file)
        if traits is None:
            loci = [column for column in map(str, frame.columns) if column.startswith("genotype:")]
            return from_dataframe(filled(frame, loci, missing)[0], name=title)
        return remaining(frame, list(traits), list(environment), individual, groups, missing, title)
    if suffix in (".nc", ".netcdf"):
        if traits is not None:
            raise ValueError(f"traits must be None for netCDF, got {list(traits)}")
        from genomic_code.spec.readers.netcdf import read_netcdf

        return read_netcdf(file, name)
    remedy = ELSEWHERE.get(suffix, "rename the file, or read it yourself and use Cohort(...)")
    raise ValueError(
        f"path must end in .csv, .tsv, .txt, .parquet or .nc, got {file.name!r}; {remedy}"
    )


def remaining(
    frame: pd.DataFrame,
    traits: list[str],
    environment: list[str],
    individual: str | None,
    groups: str | None,
    missing: Missing,
    name: str,
) -> Cohort:
    """A cohort in which the columns that are named nowhere are loci."""
    frame = frame.set_axis(frame.columns.astype(str), axis=1)
    if individual is None and "individual" in frame.columns:
        individual = "individual"
    named = [*traits, *environment, *(c for c in (individual, groups) if c is not None)]
    for column in named:
        one_of("column", column, list(frame.columns))
    loci = [column for column in frame.columns if column not in named]
    frame, dropped = filled(frame, loci, missing)
    genotype = frame[[column for column in loci if column in frame.columns]]
    varying = genotype.columns[(genotype.max() > genotype.min()) | genotype.isna().any()]
    if loci and not len(varying):
        raise ValueError(f"genotype must vary in at least one locus, got {len(loci)} constant loci")
    cohort = from_dataframe(
        frame, varying, traits, environment, individual=individual, groups=groups, name=name
    )
    counts = {
        "loci_with_missing": dropped,
        "constant_loci_dropped": genotype.shape[1] - len(varying),
    }
    cohort.dataset.attrs |= {key: count for key, count in counts.items() if count}
    return cohort


def filled(frame: pd.DataFrame, loci: list[str], missing: Missing) -> tuple[pd.DataFrame, int]:
    """The table without missing genotypes, and in how many loci there were any."""
    one_of("missing", missing, ["refuse", "mean", "drop"])
    if not loci:
        return frame, 0
    numbers(frame[loci])
    holes = frame[loci].isna().to_numpy().any()
    if not holes:
        return frame, 0
    genotype, _, count = complete(frame[loci], missing)
    return pd.concat([frame.drop(columns=loci), genotype], axis=1)[
        [column for column in frame.columns if column not in loci or column in genotype.columns]
    ], count


def delimited(
    file: Path, named: list[str | None] | None = None, text: Sequence[str | None] = ()
) -> pd.DataFrame:
    """A text table with a header.

    Columns hold numbers where they are prefixed; or, if `named` is given, all but those of `text`.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    with reading(file, "a text table"):
        with pa.input_stream(str(file)) as stream:
            raw = stream.read()
        first = raw.split(b"\n", 1)[0].decode("utf-8-sig").rstrip("\r")
        delimiter = max(DELIMITERS, key=first.count)
        columns = next(csv.reader([first], delimiter=delimiter), [])
    if not raw.strip():
        raise ValueError(f"{str(file)!r} must have a header and rows, got an empty file")
    if columns and columns[0] == "" and "individual" not in columns:
        columns[0] = "individual"  # pandas and R write row names so
    check_header(file, columns)
    if not raw.partition(b"\n")[2].strip():
        raise ValueError(f"{str(file)!r} must have rows below its header, got none")
    for column in named or []:
        if column is not None:
            one_of("column", column, columns)
    words = [c for c in columns if ":" not in c] if named is None else [*text, "individual"]
    types = {c: pa.string() if c in words else pa.float64() for c in columns}
    with reading(file, f"a table separated by {DELIMITERS[delimiter]}"):
        try:
            table = arrow.read_csv(
                pa.BufferReader(raw),
                read_options=arrow.ReadOptions(
                    block_size=min(max(len(raw), 1 << 20), (1 << 31) - 1),
                    use_threads=False,
                    column_names=columns,
                    skip_rows=1,
                ),
                parse_options=arrow.ParseOptions(delimiter=delimiter),
                convert_options=arrow.ConvertOptions(column_types=types),
            )
        except pa.ArrowInvalid as cause:
            loci = "; columns that are not named are loci: name it, or delete it"
            raise ValueError(
                explained(str(cause), columns, "" if named is None else loci)
            ) from None
        frame: pd.DataFrame = table.to_pandas()
    return frame


def check_header(file: Path, columns: list[str]) -> None:
    """Refuse a header with nameless or repeated columns."""
    if "" in columns:
        raise ValueError(
            f"{str(file)!r} must have a name for every column, column {columns.index('') + 1} has "
            f"no name; name or delete it"
        )
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(f"column names must be unique, got {twice[0]!r} twice in {str(file)!r}")


def explained(cause: str, columns: list[str], remedy: str = "") -> str:
    """The parser's complaint, with the name of the column where it gives the number."""
    found = re.search(r"column #(\d+): (?:Row #(\d+): )?.*invalid value '(.*)'", cause, re.DOTALL)
    if not found:
        return cause
    column, row, value = found.groups()
    hint = "; write decimals with a point" if re.fullmatch(r"[-+]?\d+,\d+", value) else ""
    if re.fullmatch(r"[ACGTN]{1,2}|[ACGTN0-9][/|][ACGTN0-9]", value):
        hint = "; write genotypes as numbers, copies of one allele: 0, 1, 2"
    place = f" in row {row}" if row else ""
    return (
        f"column {columns[int(column)]!r} must hold numbers, got {value!r}{place}{hint or remedy}"
    )
