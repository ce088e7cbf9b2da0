"""AnnData: perturbation screens and other tables of observations by variables."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import existing, reading
from genomic_code.spec.tables import as_text

__all__ = ["from_anndata"]

Source = str | Sequence[str]
"""Where a table lies: "X", "layers/NAME", "obsm/NAME", or names of columns of `obs`."""


def from_anndata(
    data: Any,
    genotype: Source = "X",
    phenotype: Source = "X",
    environment: Source | None = None,
    error: Source | None = None,
    groups: str | None = None,
    split: str | None = None,
    name: str = "cohort",
) -> Cohort:
    """A cohort from an AnnData object, individuals being its observations.

    Columns of text or categories are made numbers by one locus (covariate) a category, called
    `column=category`; for covariates the first category is the reference. A perturbation screen
    is `from_anndata(data, genotype=["perturbation"], phenotype="X")`, a genotype matrix with
    traits `from_anndata(data, genotype="X", phenotype=["height", "weight"])`.

    Args:
        data: An AnnData object, or the path of an `.h5ad` file (needs the package anndata).
        genotype: Where the genotype lies; constant columns are dropped.
        phenotype: Where the traits lie; constant columns are dropped.
        environment: Where covariates lie.
        error: Where the standard errors of the phenotype lie.
        groups: Column of `obs` with group labels.
        split: Column of `obs` with the parts of a published split.
        name: Name of the cohort.

    Raises:
        ValueError: A table is missing or holds no numbers, or the tables make no valid cohort.
    """
    if isinstance(data, str | os.PathLike):
        data = opened(data)
    lacking = [part for part in ("X", "obs", "obs_names", "var_names") if not hasattr(data, part)]
    if lacking:
        raise ValueError(f"data must be an AnnData object, got {type(data).__name__}")
    if genotype == phenotype:
        raise ValueError(f"genotype and phenotype must differ, got {genotype!r} for both")
    traits = table(data, "phenotype", phenotype)
    varying = traits.nunique() > 1
    tables: dict[str, Any] = {"phenotype": traits.loc[:, varying]}
    loci = table(data, "genotype", genotype, encode=True)
    tables["genotype"] = loci.loc[:, loci.nunique() > 1]
    for key in ("genotype", "phenotype"):
        if not tables[key].shape[1]:
            raise ValueError(f"{key} must have a column that varies, got only constant ones")
    if environment is not None:
        tables["environment"] = table(data, "environment", environment, encode=True, reference=True)
    if error is not None:
        errors = table(data, "error", error)
        if errors.shape[1] != len(varying):
            raise ValueError(
                f"error must have one column per trait: expected {len(varying)}, "
                f"got {errors.shape[1]}"
            )
        tables["error"] = errors.loc[:, varying.to_numpy()]
    for key, column in {"groups": groups, "split": split}.items():
        if column is not None:
            tables[key] = observed(data, key, [column]).iloc[:, 0].to_numpy(dtype=object)
    return Cohort(**tables, name=name)


def opened(path: str | os.PathLike[str]) -> Any:
    """The AnnData object in an `.h5ad` file."""
    file = existing(path)
    try:
        import anndata
    except ImportError:
        raise ValueError(
            f"{str(file)!r} needs the package anndata; install it, or give tables to Cohort(...)"
        ) from None
    with reading(file, "AnnData"):
        return anndata.read_h5ad(file)


def table(
    data: Any, key: str, source: Source, encode: bool = False, reference: bool = False
) -> pd.DataFrame:
    """One table of an AnnData object, rows called by its observations."""
    rows = as_text(pd.Index(data.obs_names))
    if not isinstance(source, str):
        frame = observed(data, key, list(source))
        if encode:
            text = [c for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c])]
            frame = pd.get_dummies(frame, columns=text, prefix_sep="=", drop_first=reference)
        return frame.set_axis(rows, axis=0)
    place, _, label = source.partition("/")
    if source == "X":
        values = data.X
    elif place in ("layers", "obsm") and label in getattr(data, place, {}):
        values = getattr(data, place)[label]
    else:
        raise ValueError(
            f"{key} must be 'X', 'layers/NAME', 'obsm/NAME' or a list of obs columns, "
            f"got {source!r}"
        )
    if isinstance(values, pd.DataFrame):
        return values.set_axis(rows, axis=0)
    if values is None:
        raise ValueError(f"{key} must be given, {source!r} is empty")
    if hasattr(values, "toarray"):
        values = values.toarray()
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ValueError(f"{key} must be a table of numbers, got {source!r} of {array.dtype}")
    names = data.var_names if place in ("X", "layers") else range(array.shape[1])
    labels = [str(n) if place in ("X", "layers") else f"{label}_{n}" for n in names]
    return pd.DataFrame(array, index=rows, columns=pd.Index(labels))


def observed(data: Any, key: str, columns: list[str]) -> pd.DataFrame:
    """Columns of `obs`."""
    frame: pd.DataFrame = data.obs
    lacking = [column for column in columns if column not in frame.columns]
    if lacking:
        raise ValueError(f"{key} must be columns of obs, got {lacking[0]!r}, not in {list(frame)}")
    return frame[columns]
