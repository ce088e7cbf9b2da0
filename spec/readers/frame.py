"""One table that holds a whole cohort, and the convention that names its columns.

| column | holds |
|---|---|
| `individual` | name of the individual; a first column without a name is taken for it |
| `genotype:LOCUS` | genotype, numbers, none missing |
| `phenotype:TRAIT` | trait, empty where missing |
| `environment:NAME` | covariate, optional |
| `error:TRAIT` | known standard error of the trait, optional; then for every trait |
| `groups` | family, lineage or place, optional |
| `split` | part of a published split, such as train and test, optional |
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from numbers import Number
from typing import Any

import pandas as pd

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.tables import ROWS, as_text

__all__ = ["from_dataframe", "to_dataframe"]

SINGLE = ("individual", "groups", "split")
"""Columns without a prefix."""

CONVENTION = (
    "name the columns 'genotype:LOCUS', 'phenotype:TRAIT', optionally 'environment:NAME', "
    "'error:TRAIT', 'individual', 'groups' and 'split'"
)

Columns = Iterable[str] | None


def from_dataframe(
    frame: pd.DataFrame,
    genotype: Columns = None,
    phenotype: Columns = None,
    environment: Columns = None,
    error: Columns | Mapping[str, str] = None,
    individual: str | None = None,
    groups: str | None = None,
    split: str | None = None,
    unit: str = "trait",
    name: str = "cohort",
) -> Cohort:
    """A cohort from one table with a row per individual.

    Without `genotype` and `phenotype` the columns are told apart by their prefixes
    (`genotype:`, `phenotype:`, `environment:`, `error:`), see the table above.

    Args:
        frame: One row per individual.
        genotype: Names of the columns with loci.
        phenotype: Names of the columns with traits.
        environment: Names of the columns with covariates.
        error: Columns with standard errors, in the order of `phenotype`, or trait to column.
        individual: Column with the individuals' names; by default the index of the frame.
        groups: Column with group labels.
        split: Column with the parts of a published split.
        unit: What fits take as one unit of the phenotype, `trait` or `common`; see `Cohort`.
        name: Name of the cohort.

    Raises:
        ValueError: A column is missing, named twice, or holds text; or the cohort is not valid.
    """
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"frame must be a pandas DataFrame, got {type(frame).__name__}")
    names = as_text(frame.columns)
    if not names.is_unique:
        raise ValueError(f"column names must be unique, got {names[names.duplicated()][0]!r} twice")
    frame = frame.set_axis(names, axis=1)
    if genotype is None and phenotype is None:
        if any(given is not None for given in (environment, error, individual, groups, split)):
            raise ValueError(
                "genotype and phenotype must be given where other columns are; "
                f"or leave all out and {CONVENTION}"
            )
        return prefixed(frame, unit, name)
    if genotype is None or phenotype is None:
        raise ValueError("genotype and phenotype must both be given, or neither")
    chosen = {
        "genotype": listed("genotype", genotype),
        "phenotype": listed("phenotype", phenotype),
        "environment": listed("environment", environment),
    }
    traits = chosen["phenotype"]
    if isinstance(error, Mapping):
        lacking = [trait for trait in traits if trait not in error]
        if lacking:
            raise ValueError(
                f"error must name a column for every trait, got none for {lacking[0]!r}"
            )
        chosen["error"] = [str(error[trait]) for trait in traits]
    else:
        chosen["error"] = listed("error", error)
    single = {"individual": individual, "groups": groups, "split": split}
    wanted = [column for columns in chosen.values() for column in columns]
    wanted += [column for column in single.values() if column is not None]
    lacking = [column for column in wanted if column not in frame.columns]
    if lacking:
        near = get_close_matches(lacking[0], list(frame.columns), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"frame must have the column {lacking[0]!r}, got {shown(frame.columns)}{hint}"
        )
    for key, columns in chosen.items():
        if len(set(columns)) < len(columns):
            raise ValueError(f"{key} must name each column once, got {columns}")
        if not columns and key in ("genotype", "phenotype"):
            raise ValueError(f"{key} must name at least one column, got none")
    return assemble(frame, chosen, single, unit, name)


def prefixed(frame: pd.DataFrame, unit: str, name: str) -> Cohort:
    """A cohort from a table whose columns follow the convention."""
    chosen: dict[str, list[str]] = {key: [] for key in ROWS}
    for column in frame.columns:
        prefix, colon, label = column.partition(":")
        if colon and prefix in ROWS and label:
            chosen[prefix].append(column)
        elif column not in SINGLE:
            raise ValueError(
                f"column {column!r} must follow the convention: {CONVENTION}; or name the traits "
                "and let all other columns be loci: Cohort.read(path, traits=[...]), in the shell "
                "--traits"
            )
    for key in ("genotype", "phenotype"):
        if not chosen[key]:
            raise ValueError(
                f"the table must have {key} columns, got {shown(frame.columns)}; {CONVENTION}"
            )
    if chosen["error"]:
        errors = [f"error:{column.partition(':')[2]}" for column in chosen["phenotype"]]
        lacking = [column for column in errors if column not in frame.columns]
        surplus = [column for column in chosen["error"] if column not in errors]
        if lacking or surplus:
            raise ValueError(
                f"the error columns must be those of the phenotype, "
                f"{'missing' if lacking else 'surplus'}: {(lacking or surplus)[0]!r}"
            )
        chosen["error"] = errors
    single = {key: key if key in frame.columns else None for key in SINGLE}
    return assemble(frame, chosen, single, unit, name, strip=True)


def assemble(
    frame: pd.DataFrame,
    chosen: dict[str, list[str]],
    single: Mapping[str, str | None],
    unit: str,
    name: str,
    strip: bool = False,
) -> Cohort:
    """The cohort of the chosen columns."""
    rows = frame.index
    if single["individual"] is not None:
        labels = frame[single["individual"]]
        if labels.isna().any():
            raise ValueError(f"column {single['individual']!r} must name every individual")
        rows = pd.Index(labels.astype(str))
    tables = {}
    for key, columns in chosen.items():
        if columns:
            part = frame[columns].set_axis(rows, axis=0)
            numbers(part)
            if strip:
                part = part.set_axis([column.partition(":")[2] for column in columns], axis=1)
            tables[key] = part
    if "error" in tables and tables["error"].shape[1] != tables["phenotype"].shape[1]:
        raise ValueError(
            f"error must have one column per trait: expected {tables['phenotype'].shape[1]}, "
            f"got {tables['error'].shape[1]}"
        )
    marks = {
        key: None if single[key] is None else frame[single[key]].to_numpy(dtype=object)
        for key in ("groups", "split")
    }
    return Cohort(**dict[str, Any](tables), **dict[str, Any](marks), unit=unit, name=name)


def numbers(frame: pd.DataFrame) -> None:
    """Refuse columns of text, and show the first one that is none."""
    for column in frame.columns:
        values = frame[column]
        if not pd.api.types.is_numeric_dtype(values):
            bad = [row for row, value in enumerate(values) if not isinstance(value, Number)]
            place = f", got {brief(values.iloc[bad[0]])} in row {bad[0] + 1}" if bad else ""
            raise ValueError(f"column {column!r} must hold numbers{place}")


def to_dataframe(cohort: Cohort) -> pd.DataFrame:
    """The cohort as one table that follows the convention; write it as CSV or Parquet.

    Further variables of `Cohort.dataset` are not in the table; netCDF keeps them.
    """
    parts = [pd.DataFrame({"individual": cohort.labels("individual")})]
    for key in ("groups", "split"):
        if key in cohort.dataset:
            parts.append(pd.DataFrame({key: cohort.dataset[key].values}))
    for key in ROWS:
        if key in cohort.dataset:
            table = cohort.dataset[key]
            columns = [f"{key}:{label}" for label in cohort.labels(ROWS[key])]
            parts.append(pd.DataFrame(table.values, columns=pd.Index(columns)))
    return pd.concat(parts, axis=1)


def listed(argument: str, columns: Columns) -> list[str]:
    """Column names as a list."""
    if isinstance(columns, str):
        raise ValueError(
            f"{argument} must be a list of column names, got {columns!r}; use [{columns!r}]"
        )
    return [] if columns is None else [str(column) for column in columns]


def shown(columns: Iterable[str], most: int = 6) -> str:
    """The first few names."""
    names = list(columns)
    return f"{names[:most]}{' ...' if len(names) > most else ''}"


def brief(value: object) -> str:
    """A value in one short line."""
    return " ".join(repr(value).split())[:60]
