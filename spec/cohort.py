"""Cohort: individuals with genotypes, environments and traits, validated and labelled."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from genomic_code.spec.tables import ROWS, Table, check_groups, validated

__all__ = ["Cohort"]


class Cohort:
    """Data of N individuals: what the hypotheses are fitted to.

    Args:
        genotype: `(N, L)` numbers, for instance allele counts; finite, every locus varies.
        phenotype: `(N, T)` numbers in units of your choice; NaN where missing, every trait varies.
        environment: `(N, C)` covariates with additive effects in every formalization.
        error: `(N, T)` known measurement error, a standard deviation in units of the phenotype.
        groups: `(N,)` labels of family, lineage or environment, for folds that keep groups whole.
        name: Name shown in tables and figures.

    Tables may be arrays or DataFrames; DataFrames keep their labels.

    Raises:
        ValueError: A table breaks a rule; the message names the table, the rule and the place.
    """

    dataset: xr.Dataset
    """The validated tables with their labels; dimensions individual, locus, covariate, trait.

    A simulated cohort also holds its truth, in variables whose names begin so.
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
        name: str = "cohort",
    ) -> None:
        given = {"genotype": genotype, "environment": environment}
        tables = validated({**given, "phenotype": phenotype, "error": error})
        data: dict[str, Any] = {
            key: (("individual", ROWS[key]), frame.to_numpy(np.float32))
            for key, frame in tables.items()
        }
        if groups is not None:
            data["groups"] = (("individual",), check_groups(groups, len(tables["genotype"])))
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
        groups = dataset["groups"].values if "groups" in dataset else None
        cohort = Cohort(**tables, groups=groups, name=name)
        truth = {key: dataset[key].variable for key in dataset if str(key).startswith("truth")}
        cohort.dataset = cohort.dataset.assign(truth).assign_attrs(dataset.attrs)
        return cohort
