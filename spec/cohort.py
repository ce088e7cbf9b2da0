"""Cohort: individuals with genotypes, environments and traits, validated and labelled."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from genomic_code.spec.protocols import Shape
from genomic_code.spec.tables import ROWS, Table, as_text, check_marks, validated
from genomic_code.spec.validate import one_of

__all__ = ["Cohort"]

UNITS = ("trait", "common")
"""What fits may take as one unit of the phenotype."""


class Cohort:
    """Data of N individuals: what the hypotheses are fitted to.

    Args:
        genotype: `(N, L)` numbers, for instance allele counts; finite, every locus varies.
        phenotype: `(N, T)` numbers in units of your choice; NaN where missing, every trait varies.
        environment: `(N, C)` covariates with additive effects in every formalization.
        error: `(N, T)` known measurement error, a standard deviation in units of the phenotype.
        groups: `(N,)` labels of family, lineage or environment, for folds that keep groups whole.
        split: `(N,)` labels of a published split, such as train, validation and test.
        unit: What fits take as one unit of the phenotype. `trait`: the standard deviation of each
            trait, about its mean; genotype and environment are standardised too. `common`: one
            unit for all traits, zero and inputs as they are, for developmental models in which
            zero and the ratios of traits mean something.
        name: Name shown in tables and figures.

    Tables may be arrays or DataFrames; DataFrames keep their labels.

    Raises:
        ValueError: A table breaks a rule; the message names the table, the rule and the place.
    """

    dataset: xr.Dataset
    """The validated tables with their labels; dimensions individual, locus, covariate, trait.

    Further variables, coordinates and attributes may be added: positions of loci, read depth, a
    citation, the truth of a simulation. `select`, `from_dataset` and netCDF files keep them.
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
        unit: str = "trait",
        name: str = "cohort",
    ) -> None:
        one_of("unit", unit, list(UNITS))
        given = {"genotype": genotype, "environment": environment}
        tables = validated({**given, "phenotype": phenotype, "error": error})
        data: dict[str, Any] = {
            key: (("individual", ROWS[key]), frame.to_numpy()) for key, frame in tables.items()
        }
        for key, marks in {"groups": groups, "split": split}.items():
            if marks is not None:
                data[key] = (("individual",), check_marks(key, marks, len(tables["genotype"])))
        labels = {ROWS[key]: frame.columns for key, frame in tables.items()}
        labels["individual"] = tables["genotype"].index
        self.dataset = xr.Dataset(
            data,
            {key: (key, as_text(axis).to_numpy()) for key, axis in labels.items()},
            {} if unit == "trait" else {"unit": unit},
        )
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
    def unit(self) -> str:
        """What fits take as one unit of the phenotype: `trait` or `common`."""
        return one_of("unit", self.dataset.attrs.get("unit", "trait"), list(UNITS))

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of individuals, loci, covariates of the environment, and traits."""
        names = ("individual", "locus", "covariate", "trait")
        return {name: int(self.dataset.sizes.get(name, 0)) for name in names}

    @property
    def shape(self) -> Shape:
        """The same sizes as the priors take them."""
        return Shape(*self.sizes.values())

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the tables and labels: equal for equal data, whatever their file."""
        from genomic_code.spec.fingerprint import fingerprint

        return fingerprint(self.dataset)

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

    def _repr_html_(self) -> str:
        from genomic_code.spec.html import summary

        rows: dict[str, object] = {}
        for plural, dimension in (
            ("individuals", "individual"), ("loci", "locus"), ("covariates", "covariate"),
            ("traits", "trait"),
        ):  # fmt: skip
            size = self.sizes[dimension]
            names = self.labels(dimension)[:4] if size else []
            rows[plural] = f"{size} ({', '.join(names)}{', ...' if size > 4 else ''})" * bool(size)
        rows["missing traits"] = f"{float(np.isnan(self.phenotype.values).mean()):.1%}"
        for key in ("groups", "split"):
            if key in self.dataset:
                rows[key] = f"{len(np.unique(self.dataset[key].values))} different"
        for key in ("formalization", "heritability", "transform", "citation", "licence"):
            if key in self.dataset.attrs:
                rows[key] = self.dataset.attrs[key]
        return summary(f"Cohort {self.name}", {k: v for k, v in rows.items() if v != ""})

    def select(
        self, individuals: Sequence[int] | NDArray[Any], drop_constant: bool = False
    ) -> "Cohort":
        """The cohort of some individuals.

        Args:
            individuals: Positions, or a boolean mask.
            drop_constant: Whether to leave out loci and covariates in which these do not vary.

        Raises:
            ValueError: The rows are not those of the cohort, or what is left is no valid cohort,
                for instance a locus without variation.
        """
        rows = np.asarray(individuals)
        rows = np.arange(0) if not rows.size else rows
        try:
            part = self.dataset.isel(individual=np.arange(len(self))[rows])
        except (IndexError, ValueError) as cause:
            raise ValueError(
                f"individuals must be positions below {len(self)} or a mask of that length, "
                f"got {cause}"
            ) from None
        for table, dimension in ("genotype", "locus"), ("environment", "covariate"):
            if drop_constant and table in part:
                varies = part[table].min("individual") < part[table].max("individual")
                # no covariates at all are no environment; no loci are refused below
                none = table == "environment" and not varies.any()
                part = part.drop_dims(dimension) if none else part.isel({dimension: varies.values})
        return Cohort.from_dataset(part, self.name)

    def prune(self, correlation: float = 0.9, window: int = 50) -> "Cohort":
        """The cohort without loci that nearly repeat one before them, in the order they have.

        Phenotypes are not looked at, so that pruning beforehand takes nothing from held-out rows.

        Args:
            correlation: A locus stays if its absolute correlation with each of those that were kept
                last is at most this; between 0 and 1.
            window: How many kept loci it is compared with, at least 1.

        Returns:
            The cohort; `dataset.attrs["loci_pruned"]` says how many are gone.

        Raises:
            ValueError: An argument is unfit.
        """
        from genomic_code.spec.prune import prune

        return prune(self, correlation, window)

    def transform(self, how: str, traits: Sequence[str] | None = None) -> "Cohort":
        """The cohort with traits on another scale; `dataset.attrs["transform"]` says which.

        Densities on different scales cannot be compared, verdicts can: one that hangs on the scale
        is about the scale (`spec.transform`).

        Args:
            how: `log`, natural logarithm, and known errors relative to the value, which is right
                where they are small; `normal_scores`, normal quantiles of the ranks; `detected`, 1
                above the smallest value of a trait and 0 at it, other traits being left out (for
                `Bernoulli`); `quantified`, the amount, missing at the smallest value. Several one
                after another with commas: `quantified,log`.
            traits: Which; by default all, and for `detected` and `quantified` those that pile up at
                their smallest value. Missing cells stay missing.

        Raises:
            ValueError: `how` or a trait is unknown; `log` of a value that is not positive;
                `normal_scores` of a trait with known errors; `detected` or `quantified` where no
                trait piles up and none is named; the cohort has a common unit.
        """
        from genomic_code.spec.transform import transform

        return transform(self, how, traits)

    @staticmethod
    def from_dataset(dataset: xr.Dataset, name: str = "cohort") -> "Cohort":
        """A cohort from a Dataset with the variables that `Cohort.dataset` has.

        Raises:
            ValueError: Genotype or phenotype is missing, or a table breaks a rule.
        """
        for key in ("genotype", "phenotype"):
            if key not in dataset:
                raise ValueError(f"dataset must have the variable {key!r}, got {list(dataset)}")
        for key, second in ROWS.items():
            if key in dataset and dataset[key].dims != ("individual", second):
                raise ValueError(
                    f"dataset must have {key!r} with dimensions ('individual', {second!r}), "
                    f"got {dataset[key].dims}"
                )
        tables: dict[str, Any] = {key: dataset[key].to_pandas() for key in ROWS if key in dataset}
        marks = {key: dataset[key].values for key in ("groups", "split") if key in dataset}
        unit = str(dataset.attrs.get("unit", "trait"))
        cohort = Cohort(**tables, **dict[str, Any](marks), unit=unit, name=name)
        further = dataset.drop_vars([*cohort.dataset.variables], errors="ignore")
        kept = cohort.dataset.assign(further.data_vars).assign_coords(further.coords)
        cohort.dataset = kept.assign_attrs(dataset.attrs)
        return cohort

    def to_netcdf(self, path: str | os.PathLike[str]) -> None:
        """Write everything the cohort holds; `Cohort.read` gives it back exactly.

        Raises:
            ValueError: The file cannot be written; nothing is left half-written.
        """
        from genomic_code.spec.readers.netcdf import write_netcdf

        write_netcdf(self, path)

    def to_dataframe(self) -> pd.DataFrame:
        """The tables side by side; written as CSV or Parquet, `Cohort.read` gives them back."""
        from genomic_code.spec.readers.frame import to_dataframe

        return to_dataframe(self)

    @staticmethod
    def read(path: str | os.PathLike[str], name: str | None = None, **columns: Any) -> "Cohort":
        """A cohort from a CSV, TSV, Parquet or netCDF file; see `readers.read`."""
        from genomic_code.spec import readers

        return readers.read(path, name, **columns)

    @staticmethod
    def from_dataframe(frame: pd.DataFrame, *columns: Any, **options: Any) -> "Cohort":
        """A cohort from one table with named columns; see `readers.from_dataframe`."""
        from genomic_code.spec import readers

        return readers.from_dataframe(frame, *columns, **options)

    @staticmethod
    def from_plink(path: str | os.PathLike[str], *tables: Any, **options: Any) -> "Cohort":
        """A cohort from PLINK .bed, .bim and .fam files; see `readers.from_plink`."""
        from genomic_code.spec import readers

        return readers.from_plink(path, *tables, **options)

    @staticmethod
    def from_vcf(path: str | os.PathLike[str], *tables: Any, **options: Any) -> "Cohort":
        """A cohort from a VCF file; see `readers.from_vcf`."""
        from genomic_code.spec import readers

        return readers.from_vcf(path, *tables, **options)

    @staticmethod
    def from_anndata(data: Any, *sources: Any, **options: Any) -> "Cohort":
        """A cohort from an AnnData object or .h5ad file; see `readers.from_anndata`."""
        from genomic_code.spec import readers

        return readers.from_anndata(data, *sources, **options)

    @staticmethod
    def from_sequences(sequences: Iterable[str], *tables: Any, **options: Any) -> "Cohort":
        """A cohort from DNA, RNA or protein sequences; see `readers.from_sequences`."""
        from genomic_code.spec import readers

        return readers.from_sequences(sequences, *tables, **options)

    @staticmethod
    def from_rqtl(path: str | os.PathLike[str], *columns: Any, **options: Any) -> "Cohort":
        """A cohort from a cross of R/qtl; see `readers.from_rqtl`."""
        from genomic_code.spec import readers

        return readers.from_rqtl(path, *columns, **options)
