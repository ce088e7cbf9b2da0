"""Checks that turn arrays and DataFrames into labelled tables, or say what is wrong with them."""

import re
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

__all__ = ["ROWS", "validated"]

ROWS = {"genotype": "locus", "environment": "covariate", "phenotype": "trait", "error": "trait"}
"""Second dimension of each table; the first is `individual`."""

Table = ArrayLike | pd.DataFrame | xr.DataArray | None


def validated(values: dict[str, Table]) -> dict[str, pd.DataFrame]:
    """The tables that were given, checked one by one and against each other.

    Raises:
        ValueError: A table breaks a rule; the message names the table, the rule and the place.
    """
    given = {key: table(key, values[key]) for key in ROWS}
    tables = {key: frame for key, frame in given.items() if frame is not None}
    for key in ("genotype", "phenotype"):
        if key not in tables:
            raise ValueError(f"{key} is required, got None")
    align(tables)
    unique_labels(tables)
    for key in ("genotype", "environment"):
        if key in tables:
            finite(key, tables[key])
            varies(key, ROWS[key], tables[key])
    check_phenotype(tables["phenotype"])
    if "error" in tables:
        check_error(tables["error"], tables["phenotype"])
    return tables


def table(name: str, values: Table) -> pd.DataFrame | None:
    """Values as a labelled table of numbers, or None."""
    if values is None:
        return None
    if isinstance(values, xr.DataArray):
        if values.ndim != 2:
            raise ValueError(
                f"{name} must have 2 dimensions (individual, {ROWS[name]}), got {values.dims}"
            )
        values = values.to_pandas()
    if isinstance(values, pd.Series):
        values = values.to_frame()
    labelled = isinstance(values, pd.DataFrame)
    if not isinstance(values, pd.DataFrame):
        try:
            array = np.asarray(values)
            if np.iscomplexobj(array):
                raise TypeError("complex numbers")
            array = array.astype(float)
        except (TypeError, ValueError, OverflowError) as cause:
            raise ValueError(f"{name} must hold numbers, got {cause}") from None
        if array.ndim != 2:
            raise ValueError(
                f"{name} must have 2 dimensions (individual, {ROWS[name]}), "
                f"got shape {array.shape}; reshape a single column with [:, None]"
            )
        values = pd.DataFrame(array)
        values.columns = pd.Index([f"{ROWS[name]}_{i}" for i in range(array.shape[1])])
    text = [str(c) for c, kind in values.dtypes.items() if not real(kind)]
    if text:
        raise ValueError(
            f"{name} must hold numbers, got text in column {text[0]!r}; "
            f"encode categories with pandas.get_dummies"
        )
    if min(values.shape) == 0 and not (name == "environment" and len(values)):
        raise ValueError(f"{name} must not be empty, got shape {values.shape}")
    if values.shape[1] == 0:
        return None
    frame = pd.DataFrame(single(name, values), values.index, values.columns, copy=False)
    frame.attrs["labelled"] = labelled
    return frame


def single(name: str, values: pd.DataFrame) -> NDArray[np.float32]:
    """Values in single precision, which is how a cohort holds them."""
    if all(kind == np.float32 for kind in values.dtypes):
        return values.to_numpy(copy=True)
    given = values.to_numpy(dtype=float, na_value=np.nan)
    with np.errstate(over="ignore"):
        array = given.astype(np.float32)
    large = np.argwhere(np.isinf(array) & np.isfinite(given))
    if len(large):
        raise ValueError(
            f"{name} must be below 3.4e38 in size, got {given[tuple(large[0])]:g}; change the units"
        )
    return array


def real(kind: Any) -> bool:
    """Whether a column type holds real numbers."""
    types = pd.api.types
    return bool(types.is_numeric_dtype(kind)) and not types.is_complex_dtype(kind)


def align(tables: dict[str, pd.DataFrame]) -> None:
    """Check row counts and, where two tables have labels, that the labels agree."""
    genotype = tables["genotype"]
    for key, frame in tables.items():
        if len(frame) != len(genotype):
            raise ValueError(
                f"{key} must have one row per individual as genotype has: "
                f"expected {len(genotype)} rows, got {len(frame)}"
            )
        if frame.attrs["labelled"] and genotype.attrs["labelled"]:
            differ = np.flatnonzero(as_text(frame.index) != as_text(genotype.index))
            if len(differ):
                row = int(differ[0])
                raise ValueError(
                    f"{key} must list the individuals in the order of genotype: row {row} is "
                    f"{frame.index[row]!r}, genotype has {genotype.index[row]!r}; use .reindex"
                )
    labels = [frame for frame in tables.values() if frame.attrs["labelled"]]
    if labels and not genotype.attrs["labelled"]:
        genotype.index = labels[0].index
    if "error" in tables:
        error, phenotype = tables["error"], tables["phenotype"]
        if error.shape != phenotype.shape:
            raise ValueError(
                f"error must have the shape of phenotype {phenotype.shape}, got {error.shape}"
            )
        error.columns = phenotype.columns


def as_text(axis: pd.Index) -> pd.Index:
    """Labels as text, whatever they are."""
    return pd.Index([str(label) for label in axis], dtype=object)


UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and lone surrogates: files cannot hold them."""


def unique_labels(tables: dict[str, pd.DataFrame]) -> None:
    """Refuse duplicate, empty or unprintable names."""
    for key, frame in tables.items():
        for axis, kind in ((frame.index, "individual"), (frame.columns, ROWS[key])):
            names = as_text(axis)
            if not names.is_unique:
                twice = names[names.duplicated()][0]
                raise ValueError(f"{kind} names must be unique, got {twice!r} twice in {key}")
            odd = [label for label in names if UNPRINTABLE.search(label or "\0")]
            if odd:
                raise ValueError(
                    f"{kind} names must have at least one character and no control characters, "
                    f"got {odd[0]!r} in {key}"
                )


def finite(name: str, frame: pd.DataFrame) -> None:
    """Refuse NaN and infinite entries."""
    bad = np.argwhere(~np.isfinite(frame.to_numpy()))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"{name} must be finite, got {frame.to_numpy()[row, column]} for individual "
            f"{frame.index[row]!r}, {ROWS[name]} {frame.columns[column]!r} "
            f"({len(bad)} such entries); impute or drop them"
        )


def varies(name: str, kind: str, frame: pd.DataFrame) -> None:
    """Refuse constant columns."""
    values = frame.to_numpy()
    constant = np.flatnonzero(values.max(0) == values.min(0))
    if len(constant):
        first = constant[0]
        raise ValueError(
            f"{name} must vary in every {kind}, got the constant {values[0, first]:g} for "
            f"{kind} {frame.columns[first]!r} ({len(constant)} such columns); drop them"
        )


def check_phenotype(frame: pd.DataFrame) -> None:
    """Refuse infinite entries, and traits that are all missing or constant."""
    values = frame.to_numpy()
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        row, column = infinite[0]
        raise ValueError(
            f"phenotype must be finite or NaN, got {values[row, column]} for individual "
            f"{frame.index[row]!r}, trait {frame.columns[column]!r}; mark missing cells with NaN"
        )
    for trait, column in zip(frame.columns, values.T, strict=True):
        seen = column[~np.isnan(column)]
        if not len(seen):
            raise ValueError(
                f"phenotype must have observed cells in every trait, got none for "
                f"trait {trait!r}; drop it"
            )
        if seen.max() == seen.min():
            raise ValueError(
                f"phenotype must vary in every trait, got the constant {seen[0]:g} "
                f"for trait {trait!r}; drop it"
            )


def check_error(error: pd.DataFrame, phenotype: pd.DataFrame) -> None:
    """Refuse errors that are missing, infinite or negative where the phenotype is observed."""
    values = error.to_numpy()
    bad = np.argwhere(~(np.isfinite(values) & (values >= 0)) & phenotype.notna().to_numpy())
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"error must be finite and at least 0 where the phenotype is observed, got "
            f"{values[row, column]} for individual {phenotype.index[row]!r}, trait "
            f"{phenotype.columns[column]!r}; give 0 where it is unknown"
        )
    error.mask(phenotype.isna(), 0.0, inplace=True)


def check_marks(name: str, marks: ArrayLike, individuals: int) -> NDArray[np.str_]:
    """Groups or split as labels."""
    labels = np.asarray(marks)
    if labels.shape != (individuals,):
        raise ValueError(
            f"{name} must have one label per individual: expected shape "
            f"({individuals},), got {labels.shape}"
        )
    if pd.isna(labels).any():
        raise ValueError(f"{name} must have a label for every individual, got a missing one")
    return labels.astype(str)
