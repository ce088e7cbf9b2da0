"""Cohort: individuals with genotypes, environments and traits, validated and labelled."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from genomic_code.spec.tables import ROWS, Table, check_marks, validated

__all__ = ["Cohort"]


class Cohort:
    """Data of N individuals: what the hypotheses are fitted to.

    Args:
        genotype: `(N, L)` numbers, for instance allele counts; finite, every locus varies.
        phenotype: `(N, T)` numbers in units of your choice; NaN where missing, every trait varies.
        environment: `(N, C)` covariates with additive effects in every formalization.
        error: `(N, T)` known measurement error, a standard deviation in units of the phenotype.
        groups: `(N,)` labels of family, lineage or environment, for folds that keep groups whole.
        split: `(N,)` labels of a published split, such as train, validation and test.
        name: Name shown in tables and figures.

    Tables may be arrays or DataFrames; DataFrames keep their labels.

    Raises:
        ValueError: A table breaks a rule; the message names the table, the rule and the place.
    """

    dataset: xr.Dataset
    """The validated tables with their labels; dimensions individual, locus, covariate, trait.

    Further variables, coordinates and attributes (positions of loci, read depth, a citation, the
    truth of a simulated cohort) may be added; `select`, `from_dataset` and netCDF files keep them.
    """
    name: str
    """Name shown in tables and figures."""

    def __init__(
        self,
        genotype: Table,
        phenotype: Table,
        environment: Table = None,
        error: Table = None,
        groups: ArrayLike | None = None,
        split: ArrayLike | None = None,
        name: str = "cohort",
    ) -> None:
        given = {"genotype": genotype, "environment": environment}
        tables = validated({**given, "phenotype": phenotype, "error": error})
        data: dict[str, Any] = {
            key: (("individual", ROWS[key]), frame.to_numpy(np.float32))
            for key, frame in tables.items()
        }
        for key, marks in {"groups": groups, "split": split}.items():
            if marks is not None:
                data[key] = (("individual",), check_marks(key, marks, len(tables["genotype"])))
        labels = {ROWS[key]: frame.columns.astype(str) for key, frame in tables.items()}
        labels["individual"] = tables["genotype"].index.astype(str)
        self.dataset = xr.Dataset(data, labels)
        self.name = name

    @property
    def genotype(self) -> xr.DataArray:
        """Genotype `(N, L)`."""
        return self.dataset["genotype"]

    @property
    def phenotype(self) -> xr.DataArray:
        """Phenotype `(N, T)`, NaN where missing."""
        return self.dataset["phenotype"]

    @property
    def environment(self) -> xr.DataArray | None:
        """Environment `(N, C)`, if any."""
        return self.dataset.get("environment")

    @property
    def error(self) -> xr.DataArray | None:
        """Known measurement error `(N, T)`, if any."""
        return self.dataset.get("error")

    @property
    def groups(self) -> xr.DataArray | None:
        """Group labels `(N,)`, if any."""
        return self.dataset.get("groups")

    @property
    def split(self) -> xr.DataArray | None:
        """Parts of a published split `(N,)`, if any."""
        return self.dataset.get("split")

    def __len__(self) -> int:
        return int(self.dataset.sizes["individual"])

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of individuals, loci, covariates of the environment, and traits."""
        names = ("individual", "locus", "covariate", "trait")
        return {name: int(self.dataset.sizes.get(name, 0)) for name in names}

    def labels(self, dimension: str) -> list[str]:
        """Labels along `individual`, `locus`, `covariate` or `trait`."""
        return [str(label) for label in self.dataset[dimension].values]

    def __repr__(self) -> str:
        n = self.sizes
        missing = float(np.isnan(self.phenotype.values).mean())
        return (
            f"Cohort({self.name!r}: {n['individual']} individuals, {n['locus']} loci, "
            f"{n['covariate']} covariates, {n['trait']} traits, {missing:.1%} missing)"
        )

    def select(self, individuals: Sequence[int] | NDArray[Any]) -> "Cohort":
        """The cohort of these rows (positions or a boolean mask).

        Raises:
            ValueError: What is left is no valid cohort, for instance a locus without variation.
        """
        return Cohort.from_dataset(self.dataset.isel(individual=np.asarray(individuals)), self.name)

    @staticmethod
    def from_dataset(dataset: xr.Dataset, name: str = "cohort") -> "Cohort":
        """A cohort from a Dataset with the variables that `Cohort.dataset` has.

        Raises:
            ValueError: Genotype or phenotype is missing, or a table breaks a rule.
        """
        for key in ("genotype", "phenotype"):
            if key not in dataset:
                raise ValueError(f"dataset must have the variable {key!r}, got {list(dataset)}")
        tables = {key: dataset[key].to_pandas() for key in ROWS if key in dataset}
        marks = {key: dataset[key].values for key in ("groups", "split") if key in dataset}
        cohort = Cohort(**tables, **marks, name=name)
        further = dataset.drop_vars([*cohort.dataset.variables], errors="ignore")
        cohort.dataset = cohort.dataset.assign(further.variables).assign_attrs(dataset.attrs)
        return cohort

    def to_netcdf(self, path: str | os.PathLike[str]) -> None:
        """Write everything the cohort holds; `Cohort.read` gives it back exactly.

        Raises:
            ValueError: The file cannot be written; nothing is left half-written.
        """
        from genomic_code.spec.readers.netcdf import write_netcdf

        write_netcdf(self, path)

    @staticmethod
    def read(path: str | os.PathLike[str], name: str | None = None) -> "Cohort":
        """A cohort from a CSV, TSV, Parquet or netCDF file; see `readers.read`."""
        from genomic_code.spec.readers import read

        return read(path, name)
