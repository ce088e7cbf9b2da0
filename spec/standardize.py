"""Standardisation on training rows, and the way back to the units of the data."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.protocols import Data, Noise

__all__ = ["Scaler", "phenotype_sd"]


class Scaler(NamedTuple):
    """Means and standard deviations of the training rows."""

    genotype: tuple[Tensor, Tensor]
    """Mean and standard deviation, each `(L,)`; 1 for a locus constant in the training rows."""
    environment: tuple[Tensor, Tensor]
    """Mean and standard deviation, each `(C,)`."""
    phenotype: tuple[Tensor, Tensor]
    """Mean and standard deviation of the observed cells, each `(T,)`; 0 and 1 where the noise model
    takes the phenotype as it is; 0 and one number for all traits in a cohort of a common unit."""

    @classmethod
    def fit(
        cls, cohort: Cohort, rows: NDArray[np.bool_] | None = None, noise: Noise | None = None
    ) -> "Scaler":
        """Standardisation of the rows selected by the boolean mask `rows`, by default all.

        Args:
            cohort: The individuals.
            rows: Training rows.
            noise: Measurement model; by default one of continuous traits.

        Raises:
            ValueError: A trait has no two different observed values among the rows, or the noise
                model cannot give the phenotype or knows no measurement error.
        """
        if noise is not None:
            noise.check(cohort.phenotype.values)
            if cohort.error is not None and not noise.standardised:
                raise ValueError(
                    f"error must be None with {type(noise).__name__} noise, which has no "
                    "measurement error besides its own"
                )
        keep = np.ones(len(cohort), bool) if rows is None else rows
        phenotype = cohort.phenotype.values[keep].astype(np.float64)
        counts = (~np.isnan(phenotype)).sum(0)
        centre = np.nansum(phenotype, 0) / np.maximum(counts, 1)
        spread = np.sqrt(np.nansum((phenotype - centre) ** 2, 0) / np.maximum(counts, 1))
        flat = np.flatnonzero(~(spread > 0))
        if len(flat):
            raise ValueError(
                f"phenotype must vary in every trait among the training rows, trait "
                f"{cohort.labels('trait')[flat[0]]!r} does not; use fewer folds or drop the trait"
            )
        if noise is not None and not noise.standardised:
            centre, spread = np.zeros_like(centre), np.ones_like(spread)
        genotype = moments(cohort.genotype.values[keep])
        environment = moments(covariates(cohort)[keep])
        if cohort.unit == "common":
            genotype, environment = identity(genotype), identity(environment)
            if noise is None or noise.standardised:
                pooled = np.sqrt(np.average(spread**2, weights=counts))
                centre, spread = np.zeros_like(centre), np.full_like(spread, pooled)
        return cls(genotype, environment, (tensor(centre), tensor(spread)))

    def data(self, cohort: Cohort, rows: NDArray[np.bool_] | None = None) -> Data:
        """The cohort in standard units; cells outside the boolean mask `rows` are not observed."""
        phenotype = tensor(cohort.phenotype.values)
        observed = ~torch.isnan(phenotype)
        if rows is not None:
            observed &= torch.from_numpy(rows)[:, None]
        centre, spread = self.phenotype
        error = torch.zeros_like(phenotype)
        if cohort.error is not None:
            error = tensor(cohort.error.values) / spread
        return Data(
            *self.inputs(cohort.genotype.values, covariates(cohort)),
            torch.where(torch.isnan(phenotype), 0.0, (phenotype - centre) / spread),
            observed,
            error,
        )

    def inputs(
        self, genotype: NDArray[np.float32], environment: NDArray[np.float32]
    ) -> tuple[Tensor, Tensor]:
        """Genotype `(N, L)` and environment `(N, C)` in standard units."""
        return (
            (tensor(genotype) - self.genotype[0]) / self.genotype[1],
            (tensor(environment) - self.environment[0]) / self.environment[1],
        )


def phenotype_sd(cohort: Cohort) -> NDArray[np.float64]:
    """Standard deviation `(T,)` of each trait over the whole cohort, the unit of log densities.

    Folds have units of their own; in this one their densities add up.
    """
    sd: NDArray[np.float64] = np.nanstd(cohort.phenotype.values.astype(float), axis=0)
    return sd


def covariates(cohort: Cohort) -> NDArray[np.float32]:
    """Environment `(N, C)`, with C = 0 where the cohort has none."""
    if cohort.environment is None:
        return np.empty((len(cohort), 0), np.float32)
    values: NDArray[np.float32] = cohort.environment.values
    return values


def tensor(values: NDArray[np.floating]) -> Tensor:
    """Values as a tensor of the default dtype."""
    return torch.tensor(np.asarray(values), dtype=torch.get_default_dtype())


def identity(moment: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Zeros and ones in place of a mean and a standard deviation."""
    return torch.zeros_like(moment[0]), torch.ones_like(moment[1])


def moments(values: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column, the latter 1 where a column is constant."""
    centre = values.mean(0, dtype=np.float64)
    spread = values.std(0, dtype=np.float64)
    return tensor(centre), tensor(np.where(spread > 1e-6 * (1 + np.abs(centre)), spread, 1.0))
