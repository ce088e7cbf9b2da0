"""Networks with thousands of weights: an ensemble of most probable weights, one for each start.

A mean-field guide of such a network prunes what the data would use. Its modes are many and alike,
and a single one is too sure of itself: a mixture over starts predicts better than any
(Lakshminarayanan et al. 2017, arXiv:1612.01474). The weights are those of highest posterior density
in the unconstrained space of the sites, by Adam over minibatches under a cosine step size. Points
leave out what is not known of the weights: 90 % intervals hold .87 to .91 of new splice sites where
there are 6 to 18 observed cells a weight, .64 to .85 at half a cell to three, .48 to .59 at a fifth
and below, where the density is worth nothing. Below a half a warning says so.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.engine import Step, capture
from genomic_code.inference.flat import FlatModel, compose, unvalidated
from genomic_code.inference.heldout import check_folds, held_out_cells
from genomic_code.inference.optimise import DivergenceError
from genomic_code.inference.starts import starts
from genomic_code.inference.stream import Whole
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import Regulatory, resolve
from genomic_code.spec.model import observation
from genomic_code.spec.noise import StudentT
from genomic_code.spec.protocols import Data, Formalization
from genomic_code.spec.standardize import Scaler
from genomic_code.spec.validate import at_least_one, positive_fields

__all__ = ["NetworkEnsemble"]

WARM = 0.1
"""Share of the steps over which the step size rises."""
DRAWS = 400
"""Draws of the noise of each member, to rank an observed cell among."""
TOGETHER = 2**24
"""Numbers drawn together at most."""
FEW = 0.5
"""Observed cells a weight below which points of weights are far too sure."""


@dataclass(frozen=True)
class NetworkEnsemble:
    """How to fit; call `predict` with a cohort and its folds."""

    formalization: str | Formalization = field(default_factory=lambda: Regulatory(noise=StudentT()))
    """A registry name or an instance, with continuous noise."""
    members: int = 4
    """Number of starts, of which all are kept; at least 1."""
    steps: int = 4500
    """Steps, of a minibatch each; at least 1."""
    batch: int = 512
    """Individuals in a minibatch, fewer where there are fewer; at least 1."""
    rate: float = 0.05
    """Largest step size, in prior standard deviations of a weight."""

    def __post_init__(self) -> None:
        at_least_one(self, "members", "steps", "batch")
        positive_fields(self, "rate")
        noise = self.hypothesis.noise
        if not noise.standardised:
            raise ValueError(
                "formalization must have noise of continuous traits, got "
                f"{type(noise).__name__}; use fit instead"
            )

    @property
    def hypothesis(self) -> Formalization:
        """The formalization itself."""
        return resolve(self.formalization)

    def predict(
        self, cohort: Cohort, training: NDArray[np.bool_], *, seed: int = 0, progress: bool = True
    ) -> xr.Dataset:
        """Predict, for every fold, the individuals that are not in its training rows.

        Args:
            cohort: The data, with continuous traits; cells may be missing, errors be known.
            training: Training rows `(F, N)`; every individual is held out of at most one fold.
            seed: Seed of starts, minibatches and draws.
            progress: Whether to show a progress bar.

        Returns:
            `mean`, `sd` (of the expected trait, over members) and `predictive_sd` in units of the
            phenotype, `log_predictive` on the scale of `Fit.log_predictive` and `quantile`, the
            predictive probability of a smaller value than the observed one, each `(individual,
            trait)`; NaN where nothing is held out or observed.

        Raises:
            ValueError: A fold trains on fewer than 2 individuals, or folds overlap.
            DivergenceError: The density of a member is not finite.
        """
        training = check_folds(cohort, training, 2)
        generator = torch.Generator().manual_seed(seed)
        total = len(training) * self.steps
        self.warn_of_few(cohort, training)
        scalers = [Scaler.fit(cohort, rows, self.hypothesis.noise) for rows in training]
        with tqdm(total=total, desc="networks", disable=not progress, leave=False) as bar:
            parts = [
                self.fold(scaler.data(cohort), rows, generator, bar)
                for scaler, rows in zip(scalers, training, strict=True)
            ]
        return held_out_cells(cohort, training, scalers, parts)

    def warn_of_few(self, cohort: Cohort, training: NDArray[np.bool_]) -> None:
        """Warn where a fold has too few observed cells for so many weights."""
        seen = ~np.isnan(cohort.phenotype.values)
        cells = min(int(seen[rows].sum()) for rows in training)
        weights = FlatModel(self.hypothesis, cohort.shape).dim
        if cells < FEW * weights:
            warnings.warn(
                f"{self.hypothesis.name}: {cells} observed cells are few for {weights} weights; "
                "intervals will be far too narrow, and log_predictive too low: take a smaller "
                "network, or fit",
                stacklevel=3,
            )

    def fold(
        self, data: Data, rows: NDArray[np.bool_], generator: torch.Generator, bar: "tqdm[Any]"
    ) -> dict[str, Tensor]:
        """Predictions `(n, T)` of the n others from the training rows `(N)`, in standard units."""
        chosen = torch.from_numpy(rows)
        flat, free = self.maximise(data.take(chosen), generator, bar)
        few = max(1, TOGETHER // (DRAWS * self.members * data.shape.traits))
        each = [
            self.score(flat, free, data.take(some), generator)
            for some in torch.nonzero(~chosen)[:, 0].split(few)
        ]
        return {name: torch.cat([part[name] for part in each]) for name in each[0]}

    def maximise(
        self, data: Data, generator: torch.Generator, bar: "tqdm[Any]"
    ) -> tuple[FlatModel, Tensor]:
        """The most probable weights `(R, P)` from each start.

        Raises:
            DivergenceError: The density of a member is not finite.
        """
        individuals = data.shape.individuals
        size = min(self.batch, individuals)
        flat = FlatModel(Whole(self.hypothesis, individuals), data.shape._replace(individuals=size))
        whole = FlatModel(self.hypothesis, data.shape)
        free = starts(whole, data, self.members, generator)
        step = density_slope(flat, individuals)
        order = minibatches(individuals, size, generator)

        def tables() -> list[Tensor]:
            return [table for table in data.take(next(order)) if table is not None]

        step = capture(step, (free, *tables()))
        free.requires_grad_()
        adam = torch.optim.Adam([free], self.rate, betas=(0.9, 0.99), fused=True)
        for i in range(self.steps):
            done = i / self.steps
            now = min(1.0, done / WARM + 0.01) * 0.5 * (1 + math.cos(math.pi * done))
            adam.param_groups[0]["lr"] = self.rate * now
            with torch.no_grad():
                free.grad, density = step(free, *tables())
            adam.step()
            bar.update()
            if i % 100 == 99:
                bar.set_postfix(density=f"{float(density.max()) / individuals:.3f}")
        free = free.detach()
        if not (free.isfinite().all() and density.isfinite().all()):
            raise DivergenceError(
                f"{self.hypothesis.name}: the density became {float(density.min())}; lower "
                f"rate={self.rate} or check the cohort for outliers"
            )
        return flat, free

    def score(
        self, flat: FlatModel, free: Tensor, data: Data, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The mixture of all members, about cells `(n, T)` in standard units."""
        assert data.phenotype is not None
        with torch.no_grad(), unvalidated(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            values, _ = flat.unpack(free)
            weights, parameters = compose(flat.formalization, values, flat.shape)
            expected = flat.formalization.develop(weights, data.genotype, data.environment)
            noise = observation(flat.formalization, weights, parameters, expected, data)
            density = noise.log_prob(data.phenotype).double()
            below = (noise.sample((DRAWS,)) < data.phenotype).double().mean((0, 1))
            each, variance = noise.mean.double(), noise.variance.double()
        between = each.var(0, correction=0)
        return {
            "mean": each.mean(0),
            "sd": between.sqrt(),
            "predictive_sd": (variance.mean(0) + between).sqrt(),
            "log_predictive": density.logsumexp(0) - math.log(len(free)),
            "quantile": below,
        }


def density_slope(flat: FlatModel, individuals: int) -> Step:
    """`step(free, *data) -> (slope, density)` of the negative log joint density `(R)`."""
    scale = individuals / flat.shape.individuals

    def loss(free: Tensor, data: Data) -> tuple[Tensor, Tensor]:
        density = flat.log_joint(free, data, scale)
        return -density.sum() / individuals, density

    gradient = torch.func.grad_and_value(loss, has_aux=True)

    def step(free: Tensor, *data: Tensor) -> tuple[Tensor, Tensor]:
        slope, (_, density) = gradient(free, Data(*data))
        return slope, density.detach()

    return step


def minibatches(individuals: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Numbers of individuals, without end: each epoch in a new order, its last batch filled up."""
    while True:
        order = torch.randperm(individuals, generator=generator)
        spare = -individuals % size
        yield from torch.cat([order, order[:spare]]).split(size)
