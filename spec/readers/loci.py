"""What readers of markers share: individuals matched by name, missing and constant loci, places."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.tables import as_text
from genomic_code.spec.validate import one_of

__all__ = ["Missing", "joined", "matched"]

Missing = Literal["refuse", "mean", "drop"]
"""What to do with missing genotypes: refuse them, fill them with the mean of the locus, or drop
the loci that have any."""


def joined(
    genotype: pd.DataFrame,
    phenotype: pd.DataFrame | pd.Series,
    tables: Mapping[str, Any],
    missing: Missing,
    places: pd.DataFrame | None,
    name: str,
) -> Cohort:
    """A cohort of the individuals that have both genotype and phenotype, matched by name.

    Loci that do not vary among them are dropped. How many individuals and loci were left out is
    in the attributes of `Cohort.dataset`; `places` (chromosome and position, indexed by locus)
    become its coordinates.
    """
    phenotype = matched("phenotype", phenotype)
    genotype = genotype.set_axis(as_text(genotype.index), axis=0)
    for key, frame in (("genotype", genotype), ("phenotype", phenotype)):
        if not frame.index.is_unique:
            twice = frame.index[frame.index.duplicated()][0]
            raise ValueError(f"individual names must be unique, got {twice!r} twice in {key}")
    both = genotype.index[genotype.index.isin(phenotype.index)]
    if not len(both):
        raise ValueError(
            f"phenotype must be indexed by the individuals of the genotype, got "
            f"{list(phenotype.index[:3])}, the genotype has {list(genotype.index[:3])}"
        )
    attributes = {
        "individuals_without_phenotype": len(genotype) - len(both),
        "individuals_without_genotype": len(phenotype) - len(both),
    }
    genotype, kept, attributes["loci_with_missing"] = complete(genotype.loc[both], missing)
    values = genotype.to_numpy()
    varying = values.max(0) > values.min(0)
    if not varying.any():
        raise ValueError(
            f"genotype must vary in at least one locus, got {values.shape[1]} constant loci"
        )
    attributes["constant_loci_dropped"] = int((~varying).sum())
    given: dict[str, Any] = {}
    for key, table in tables.items():
        if table is not None:
            frame = matched(key, table)
            lacking = both[~both.isin(frame.index)]
            if len(lacking):
                raise ValueError(f"{key} must have every individual, got none named {lacking[0]!r}")
            given[key] = frame.loc[both]
    for key in ("groups", "split"):
        if key in given:
            given[key] = given[key].iloc[:, 0].to_numpy(dtype=object)
    cohort = Cohort(genotype.loc[:, varying], phenotype.loc[both], name=name, **given)
    if places is not None:
        cohort.dataset = cohort.dataset.assign_coords(
            {key: ("locus", column.to_numpy()[kept][varying]) for key, column in places.items()}
        )
    attributes = {key: count for key, count in attributes.items() if count}
    cohort.dataset = cohort.dataset.assign_attrs(attributes)
    return cohort


def matched(key: str, table: Any) -> pd.DataFrame:
    """A table whose rows are known by the individuals' names."""
    if isinstance(table, pd.Series):
        table = table.to_frame()
    if not isinstance(table, pd.DataFrame):
        raise ValueError(
            f"{key} must be a DataFrame or Series indexed by individual, got "
            f"{type(table).__name__}; use pandas.read_csv(path, index_col=0)"
        )
    return table.set_axis(as_text(table.index), axis=0)


def complete(
    genotype: pd.DataFrame, missing: Missing
) -> tuple[pd.DataFrame, NDArray[np.bool_], int]:
    """Genotype without missing cells, which loci are kept, and how many had missing cells."""
    one_of("missing", missing, ["refuse", "mean", "drop"])
    values = genotype.to_numpy(dtype=np.float32)
    holes = np.isnan(values)
    lacking = holes.any(0)
    count = int(lacking.sum())
    if count and missing == "refuse":
        first = int(np.flatnonzero(lacking)[0])
        raise ValueError(
            f"genotype must be complete, got {int(holes.sum())} missing cells in {count} loci, the "
            f'first in {genotype.columns[first]!r}; give missing="mean" or missing="drop" '
            "(in the shell --missing), impute them, or name the column if it is no locus"
        )
    kept = ~lacking if missing == "drop" else ~holes.all(0)
    if not kept.any():
        raise ValueError(
            f"genotype must have complete loci for missing={missing!r}, got missing cells in all "
            f"{values.shape[1]}"
        )
    values, holes = values[:, kept], holes[:, kept]
    if count and missing == "mean":
        means = np.where(holes, 0, values).sum(0) / (~holes).sum(0)
        values = np.where(holes, means.astype(np.float32), values)
    return pd.DataFrame(values, genotype.index, genotype.columns[kept]), kept, count
