"""Read a cohort from one file: CSV or TSV (also gzipped), Parquet, netCDF."""

import csv
import os
import re
from collections import Counter
from pathlib import Path

import pandas as pd

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import existing, reading
from genomic_code.spec.readers.frame import from_dataframe

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


def read(path: str | os.PathLike[str], name: str | None = None) -> Cohort:
    """A cohort from `.csv`, `.tsv`, `.txt` (each also `.gz`), `.parquet` or `.nc`.

    A table has one row per individual, a header, and columns named `genotype:LOCUS`,
    `phenotype:TRAIT`, optionally `environment:NAME`, `error:TRAIT`, `individual`, `groups` and
    `split`. Comma, tab and semicolon are told apart by the header. Missing phenotypes are empty
    cells or `NA`. netCDF files are those of `Cohort.to_netcdf`. For tables with other column
    names use `Cohort.from_dataframe`.

    Raises:
        ValueError: The file cannot be read, breaks the convention or holds no valid cohort.
    """
    file = existing(path)
    suffixes = [suffix.lower() for suffix in file.suffixes]
    suffix = suffixes[-1] if suffixes else ""
    if suffix == ".gz" and len(suffixes) > 1:
        suffix = suffixes[-2]
    title = file.name.removesuffix(".gz").rsplit(".", 1)[0] if name is None else name
    if suffix in (".csv", ".tsv", ".txt"):
        return from_dataframe(delimited(file), name=title)
    if suffix in (".parquet", ".pq"):
        with reading(file, "Parquet"):
            frame = pd.read_parquet(file)
        return from_dataframe(frame, name=title)
    if suffix in (".nc", ".netcdf"):
        from genomic_code.spec.readers.netcdf import read_netcdf

        return read_netcdf(file, name)
    remedy = ELSEWHERE.get(suffix, "rename the file, or read it yourself and use Cohort(...)")
    raise ValueError(
        f"path must end in .csv, .tsv, .txt, .parquet or .nc, got {file.name!r}; {remedy}"
    )


def delimited(file: Path) -> pd.DataFrame:
    """A text table with a header; numbers in the prefixed columns, text in the others."""
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
    types = {c: pa.float64() if ":" in c else pa.string() for c in columns}
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
            raise ValueError(explained(str(cause), columns)) from None
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


def explained(cause: str, columns: list[str]) -> str:
    """The parser's complaint, with the name of the column where it gives the number."""
    found = re.search(r"column #(\d+): (?:Row #(\d+): )?.*invalid value '(.*)'", cause, re.DOTALL)
    if not found:
        return cause
    column, row, value = found.groups()
    hint = "; write decimals with a point" if re.fullmatch(r"[-+]?\d+,\d+", value) else ""
    place = f" in row {row}" if row else ""
    return f"column {columns[int(column)]!r} must hold numbers, got {value!r}{place}{hint}"
