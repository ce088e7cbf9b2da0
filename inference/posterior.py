"""A Fit: the posterior of one formalization on one cohort, and what is read off it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference.basis import Basis
from genomic_code.inference.flat import FlatModel, compose, unvalidated
from genomic_code.inference.guides import Guide
from genomic_code.inference.modes import Modes
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.html import summary
from genomic_code.spec.model import observation
from genomic_code.spec.noise.support import cell_numbers
from genomic_code.spec.protocols import Data, Formalization, Shape, Weights
from genomic_code.spec.standardize import Scaler, phenotype_sd, tensor

__all__ = ["Draws", "Fit"]

CHUNK = 2**25
"""Numbers that one batch of draws may hold."""
DRAWN = 2**27
"""Numbers drawn at most for a held-out score."""


class Draws(NamedTuple):
    """Some posterior draws: flat vectors, and what they make of one set of individuals."""

    flat: Tensor
    """`(s, P)`, unconstrained, in the coordinates of the fit."""
    expected: Tensor
    """Expected traits `(s, N, T)` in standard units."""
    noise: torch.distributions.Distribution
    """Distribution of the traits, batch shape `(s, N, T)`, in standard units."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The posterior of one formalization on the training rows of one cohort."""

    formalization: Formalization
    cohort: Cohort
    training: NDArray[np.bool_]
    """Which individuals were fitted `(N,)`."""
    scaler: Scaler
    basis: Basis | None
    """Basis of the genotype in which the fit was made; None for the loci themselves."""
    flat: FlatModel
    data: Data
    """The cohort in standard units and in the basis of the fit."""
    guide: Guide
    parameters: Tensor
    """Guide parameters `(Q,)` of the best optimum."""
    elbo: float
    """Evidence lower bound in nats, of the phenotype in standard units; of the best optimum."""
    elbo_error: float
    """Monte-Carlo standard error of the ELBO."""
    restart_elbos: NDArray[np.floating]
    """ELBO of each restart after screening `(R,)`."""
    history: NDArray[np.floating]
    """One-draw ELBO at each step of the chosen restart."""
    converged: bool
    """Whether the stop rule was met."""
    seed: int
    modes: Modes | None = None
    """The optima from which draws are taken, if from more than the best."""

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return (
            f"Fit({self.formalization.name} on {self.cohort.name!r}: "
            f"ELBO {self.elbo:.1f} +- {self.elbo_error:.1f} nats, {state})"
        )

    def _repr_html_(self) -> str:
        rows = {
            "cohort": repr(self.cohort),
            "fitted individuals": f"{int(self.training.sum())} of {len(self.cohort)}",
            "ELBO": f"{self.elbo:.1f} +- {self.elbo_error:.1f} nats",
            "state": f"{'converged' if self.converged else 'not converged: do not rely on it'} "
            f"after {len(self.history)} steps",
            "guide": self.guide.name,
            "seed": self.seed,
        }
        if self.modes is not None:
            rows["optima"] = ", ".join(f"{share:.0%}" for share in self.modes.share) + " of draws"
        note = "predict, weights, log_predictive, to_datatree and save say more"
        return summary(f"Fit of {self.formalization!r}", rows, note)

    @property
    def shape(self) -> Shape:
        """Sizes of the cohort, over loci."""
        return self.cohort.shape

    @property
    def seen(self) -> Tensor:
        """Which cells of the cohort have a phenotype `(N, T)`, held-out ones too."""
        return torch.from_numpy(~np.isnan(self.cohort.phenotype.values))

    @property
    def scoring_draws(self) -> int:
        """Draws for a score of held-out individuals; fewer where the weights are very many."""
        return max(100, min(400, DRAWN // self.flat.dim))

    def flat_draws(self, draws: int, seed: int | None = None) -> Tensor:
        """Draws `(S, P)` from the guide, in antithetic pairs: means converge much faster."""
        return torch.cat(list(self.flat_parts(draws, CHUNK // max(self.guide.width, 1), seed)))

    def flat_parts(self, draws: int, size: int, seed: int | None = None) -> Iterator[Tensor]:
        """The same draws, at most `size` (made even) at a time."""
        seed = self.seed + 1 if seed is None else seed
        generator = torch.Generator().manual_seed(seed)
        pairs = max(1, size // 2)
        for first in range(0, draws, 2 * pairs):
            number = min(2 * pairs, draws - first)
            half = torch.stack(
                [torch.randn(self.flat.dim, generator=generator) for _ in range(0, number, 2)]
            )
            noise = torch.stack([half, -half], 1).flatten(0, 1)[:number]
            if self.modes is None:
                yield self.guide.sample(self.parameters, noise)
            else:
                yield self.modes.sample(self.guide, noise, first // 2, seed)

    def log_density(self, flat: Tensor) -> Tensor:
        """`log q` `(s,)` of flat vectors `(s, P)`, over all optima."""
        if self.modes is None:
            return self.guide.log_density(self.parameters, flat)
        return self.modes.log_density(self.guide, flat)

    def split(self) -> list["Fit"]:
        """A fit for each optimum, best first."""
        if self.modes is None:
            return [self]
        return [
            replace(self, parameters=one, elbo=float(elbo), modes=None)
            for one, elbo in zip(self.modes.parameters, self.modes.elbo, strict=True)
        ]

    def sites(self, flat: Tensor, seed: int = 0) -> dict[str, Tensor]:
        """Site values `(S, ...)` of flat draws `(S, P)`, over loci whatever the basis."""
        values, _ = self.flat.unpack(flat)
        if self.basis is None:
            return values
        generator = torch.Generator().manual_seed(seed)
        for site in self.flat.sites:
            if site.dims[0] == "locus":
                shape = (len(flat), self.shape.loci, *site.shape[1:])
                noise = torch.randn(shape, generator=generator)
                values[site.name] = self.basis.restore(values[site.name], noise)
        return values

    def weights(self, draws: int = 200, seed: int | None = None) -> Weights:
        """Posterior draws `(S, ...)` of the genomic weights, over loci, for `develop`."""
        sites = self.sites(self.flat_draws(draws, seed), self.seed if seed is None else seed)
        return compose(self.formalization, sites, self.shape)[0]

    def batches(
        self,
        draws: int,
        seed: int | None = None,
        cohort: Cohort | None = None,
        rows: NDArray[np.bool_] | None = None,
    ) -> Iterator[Draws]:
        """Posterior draws with the traits they predict, a few at a time.

        Without `cohort` for the individuals of the fit itself; `rows` `(N,)` selects among them.
        """
        own = cohort is None
        if cohort is None:
            # noise that traits share is told apart by the other traits, of held-out ones too
            data = self.data._replace(observed=self.seen)
        else:
            data = self.scaler.data(check_match(self.cohort, cohort))
        if rows is not None:
            data = data.take(torch.from_numpy(rows))
        shape = data.shape
        cells = cell_numbers(self.formalization.noise, (shape.individuals, shape.traits))
        largest = max(self.flat.dim, self.guide.width, cells)
        if not own and self.basis is not None:
            largest = max(largest, self.shape.loci * shape.traits)
        for number, part in enumerate(self.flat_parts(draws, CHUNK // largest, seed)):
            with torch.no_grad(), unvalidated():
                values = self.flat.unpack(part)[0] if own else self.sites(part, number)
                weights, parameters = compose(self.formalization, values, shape)
                expected = self.formalization.develop(weights, data.genotype, data.environment)
                expected = expected.expand(len(part), -1, -1)
                noise = observation(self.formalization, weights, parameters, expected, data)
                yield Draws(part, expected, noise)

    def predict(self, cohort: Cohort | None = None, draws: int = 200) -> xr.Dataset:
        """Posterior prediction of every trait, in the units of the phenotype.

        Args:
            cohort: New individuals with the same loci, environments and traits; by default those
                of the fit, held-out ones included.
            draws: Number of posterior draws.

        Returns:
            `mean`, `sd` (of the expected trait) and `predictive_sd` (noise included), each
            `(individual, trait)`.
        """
        from genomic_code.inference.predictive import predict

        return predict(self, cohort, draws)

    def intervals(
        self, cohort: Cohort | None = None, level: float = 0.9, draws: int = 400
    ) -> xr.Dataset:
        """Central predictive intervals of every trait, noise included, in units of the phenotype.

        Where a comparison has shown them to be too narrow, ask for `Comparison.honest_level`.

        Args:
            cohort: As for `predict`.
            level: Probability of the intervals, above 0 and below 1.
            draws: Number of posterior draws, at least 2; each predicts ten values.

        Returns:
            `lower` and `upper`, each `(individual, trait)`.

        Raises:
            ValueError: The level or the number of draws cannot be used.
        """
        from genomic_code.inference.predictive import intervals

        return intervals(self, cohort, level, draws)

    def log_predictive(self, cohort: Cohort | None = None, draws: int = 400) -> xr.DataArray:
        """Log posterior predictive density of every observed cell, `(individual, trait)`.

        In nats, of the phenotype in units of its standard deviation over the whole cohort of the
        fit, so that folds add up; of the phenotype itself where it is a count or a category. NaN
        where the phenotype is missing.
        """
        from genomic_code.inference.predictive import log_predictive

        return log_predictive(self, cohort, draws)

    def checked(self, density: Tensor, phenotype: NDArray[np.floating]) -> NDArray[np.float64]:
        """Log densities in units of the cohort, NaN where the phenotype is missing.

        Raises:
            FloatingPointError: The density of an observed cell is not finite.
        """
        values = density.numpy()
        if self.formalization.noise.standardised:
            unit = phenotype_sd(self.cohort)
            values = values + np.log(unit) - self.scaler.phenotype[1].double().log().numpy()
        observed = ~np.isnan(phenotype)
        if not np.isfinite(values[observed]).all():
            raise FloatingPointError(
                f"{self.formalization.name}: the log predictive density of an observed cell is "
                "not finite; check the phenotype for outliers"
            )
        return np.where(observed, values, np.nan)

    def to_datatree(self, draws: int = 200) -> xr.DataTree:
        """The fit as ArviZ groups; see `inference.datatree.to_datatree`."""
        from genomic_code.inference.datatree import to_datatree

        return to_datatree(self, draws)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write one netCDF file, from which `load` gives the same fit; see `inference.archive`.

        Raises:
            ValueError: The file cannot be written; nothing is left half-written.
        """
        from genomic_code.inference.archive import save_fit

        return save_fit(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str], formalization: Formalization | None = None) -> "Fit":
        """Read what `save` wrote: the same draws and predictions, to the last bit.

        Args:
            path: The file.
            formalization: The formalization itself, if it is a class of your own.

        Raises:
            ValueError: The file is missing, damaged, of a newer version, or holds no fit.
        """
        from genomic_code.inference.archive import load_fit

        return load_fit(path, formalization)

    def standard_phenotype(self, cohort: Cohort) -> Tensor:
        """Phenotype `(N, T)` in standard units, 0 where missing."""
        values = tensor(np.nan_to_num(cohort.phenotype.values))
        return (values - self.scaler.phenotype[0]) / self.scaler.phenotype[1]


def check_match(ours: Cohort, theirs: Cohort) -> Cohort:
    """Refuse new individuals whose loci, environments or traits are not those of the fit."""
    for dimension in ("locus", "covariate", "trait"):
        if ours.sizes[dimension] != theirs.sizes[dimension] or (
            ours.sizes[dimension] and ours.labels(dimension) != theirs.labels(dimension)
        ):
            raise ValueError(
                f"cohort must have the same {dimension} labels as the fit, in the same order: "
                f"expected {ours.sizes[dimension]}, got {theirs.sizes[dimension]}"
            )
    return theirs
