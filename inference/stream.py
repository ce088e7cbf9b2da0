"""Fits to genotypes larger than memory: minibatches of contiguous blocks, bounded memory.

Each epoch takes the blocks in a new order and from a new offset. Blocks are read from disk, put in
standard units and dropped; nothing of the size of the genotype is ever held. Individuals must not
be sorted in the file by what they have in common: a block should resemble the whole.

Hoffman et al. 2013, jmlr.org/papers/v14/hoffman13a.html.

Cost, by `benchmarks/scale.py` on one core, 20 traits: 0.08 s a step of 1,024 individuals and 10,000
loci, 1.2 times reading and matrix products alone; an epoch grows as N^(1.06 +- 0.02) from 1,000 to
100,000 individuals and tenfold from 1,000 to 10,000 loci (below, what a step costs besides loci
shows). 100,000 x 10,000 takes 8 s an epoch and 1.2 GiB at its peak. On paper, by these slopes,
500,000 x 1,000,000 is 500 times that: 1.1 hours of one core an epoch, so 11 core-hours for ten
epochs of one fit. Genotypes are 125 GB on disk; in memory a block of 256 individuals is 1 GB, and
20 million weights with their gradient, Adam's two averages and two draws some 3 GB. A .bed file
lies locus by locus, so that a block of few individuals reads every page: keep it in the page cache
of the machine (128 GB), or convert it to .npy or zarr rows. One fit runs on one machine; `compare`
does not stream yet; nine formalizations x 5 folds x 3 seeds would be 135 such fits, one a worker of
a cluster, about 1,500 core-hours. No fit of that size has been made.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.blocks import Blocks, Moments, moments, open_blocks
from genomic_code.inference.engine import State, capture, make_step
from genomic_code.inference.engine import run as take_steps
from genomic_code.inference.flat import FlatModel, compose, unvalidated
from genomic_code.inference.guides import MeanField
from genomic_code.inference.optimise import DivergenceError
from genomic_code.spec.formalizations import resolve
from genomic_code.spec.model import noise_spread, run
from genomic_code.spec.protocols import Data, Formalization, Noise, Shape, Weights

__all__ = ["StreamFit", "fit_stream"]


@dataclass(frozen=True)
class Whole:
    """A formalization that meets a batch, with the priors of the whole cohort."""

    name: ClassVar[str] = "whole"
    complexity: ClassVar[int] = 0
    rotatable: ClassVar[bool] = False

    formalization: Formalization
    individuals: int

    @property
    def noise(self) -> Noise:
        """Measurement model."""
        return self.formalization.noise

    def weights(self, shape: Shape) -> Weights:
        """Weights from their priors: these may depend on how many individuals there are."""
        return self.formalization.weights(shape._replace(individuals=self.individuals))

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., B, T)`."""
        return self.formalization.develop(weights, genotype, environment)

    def spread(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor | None:
        """Factor `(..., B, T)` of the scale of the noise, if the formalization decodes one."""
        return noise_spread(self.formalization, weights, genotype, environment)

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)


@dataclass(frozen=True, eq=False)
class StreamFit:
    """A posterior of weights, learnt from blocks of individuals."""

    formalization: Formalization
    blocks: Blocks
    genotype: Moments
    """How genotypes are standardised."""
    phenotype: tuple[Tensor, Tensor]
    """Mean and standard deviation `(T,)` of the traits."""
    environment: Tensor
    """`(N, C)` in standard units."""
    flat: FlatModel
    parameters: Tensor
    """Of the mean-field guide `(2 P,)`."""
    elbo: float
    """Evidence lower bound in nats, of the phenotype in standard units, over all individuals."""
    elbo_error: float
    history: NDArray[np.float32]
    """ELBO estimated by each batch."""
    seconds: float
    """CPU time of a step, reading included."""
    seed: int

    def weights(self, draws: int = 200, seed: int | None = None) -> Weights:
        """Posterior draws `(S, ...)` of the genomic weights, for `develop`."""
        generator = torch.Generator().manual_seed(self.seed + 1 if seed is None else seed)
        noise = torch.randn(draws, self.flat.dim, generator=generator)
        values, _ = self.flat.unpack(MeanField().sample(self.parameters, noise))
        return compose(self.flat.formalization, values, self.flat.shape)[0]

    def predict(self, start: int, stop: int, draws: int = 20) -> NDArray[np.float32]:
        """Mean of the expected traits `(stop - start, T)` of some individuals, in their units."""
        weights = self.weights(draws)
        x = standard(self.blocks.read(start, stop), self.genotype)
        with torch.no_grad(), unvalidated():
            expected = self.formalization.develop(weights, x, self.environment[start:stop]).mean(0)
        centre, scale = self.phenotype
        predicted: NDArray[np.float32] = (expected * scale + centre).numpy()
        return predicted


def fit_stream(
    formalization: str | Formalization,
    genotype: Any,
    phenotype: ArrayLike,
    environment: ArrayLike | None = None,
    *,
    batch: int = 1024,
    steps: int = 1000,
    rate: float = 0.1,
    elbo_draws: int = 16,
    seed: int = 0,
    progress: bool = True,
) -> StreamFit:
    """Fit a formalization to genotypes on disk.

    Args:
        formalization: A registry name or an instance.
        genotype: Path of a PLINK .bed fileset, a .npy or a .zarr array `(N, L)`, or such an array;
            missing genotypes count as the mean of their locus.
        phenotype: `(N, T)` numbers, NaN where missing.
        environment: `(N, C)` covariates.
        batch: Individuals in a block, a multiple of 4.
        steps: Number of steps, each of one block and an antithetic pair of draws.
        rate: First step size, as in `Settings`; it falls to zero on a cosine.
        elbo_draws: Draws for the final ELBO, over all individuals.
        seed: Seed of starts, order of blocks and draws.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: The tables do not fit each other.
        DivergenceError: The ELBO became infinite.
    """
    model = resolve(formalization)
    blocks = open_blocks(genotype)
    y, observed, units = traits(phenotype, blocks.individuals)
    e = covariates(environment, blocks.individuals)
    size = min(batch, blocks.individuals) // 4 * 4
    if size < 4:
        raise ValueError(f"batch must be at least 4 of at least 4 individuals, got {batch}")
    scales = moments(blocks, y, size)
    shape = Shape(size, blocks.loci, e.shape[1], y.shape[1])
    flat = FlatModel(Whole(model, blocks.individuals), shape)
    guide = MeanField()
    generator = torch.Generator().manual_seed(seed)
    state = State.start(guide.start(beginning(flat, scales, generator))[None, None])

    def data(start: int) -> Data:
        rows = slice(start, start + size)
        x = standard(blocks.read(start, min(start + size, blocks.individuals)), scales)
        return Data(x, e[rows], y[rows], observed[rows], torch.zeros_like(y[rows]))

    def tables(start: int) -> list[Tensor]:
        return [table[None, None] for table in data(start) if table is not None]

    noise = torch.randn(2, 1, 1, flat.dim, generator=generator)
    scale = blocks.individuals / size
    step = capture(make_step(flat, guide, scale), (state.parameters, noise, *tables(0)))
    order = epochs(blocks, size, generator)

    def following(parameters: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The step on the block that comes next."""
        return step(parameters, noise, *tables(next(order)))

    began = time.process_time()
    with tqdm(total=steps, desc=model.name, disable=not progress) as bar:
        history = take_steps(following, state, steps, rate, 1, flat.dim, generator, bar)[:, 0, 0]
    seconds = (time.process_time() - began) / steps
    total, error = whole_elbo(flat, state.parameters[0, 0], blocks, data, size, elbo_draws, seed)
    if not math.isfinite(total):
        raise DivergenceError(f"{model.name}: the ELBO became {total}; lower rate={rate}")
    return StreamFit(
        model, blocks, scales, units, e, flat, state.parameters[0, 0], total, error,
        history.numpy(), seconds, seed,
    )  # fmt: skip


def standard(genotype: NDArray[np.float32], scales: Moments) -> Tensor:
    """Genotype in standard units, 0 where it is missing."""
    x = torch.from_numpy(genotype).to(scales.mean.dtype)
    return x.sub_(scales.mean).div_(scales.sd).nan_to_num_(0.0)


def traits(phenotype: ArrayLike, individuals: int) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Phenotype in standard units, 0 where missing; which cells are observed; the units."""
    table = np.asarray(phenotype, np.float64)
    if table.ndim != 2 or len(table) != individuals:
        raise ValueError(
            f"phenotype must have shape ({individuals}, T) as the genotype, got {table.shape}"
        )
    centre, spread = np.nanmean(table, 0), np.nanstd(table, 0)
    if not (spread > 0).all():
        raise ValueError(f"phenotype must vary in every trait, got {spread.min()} for one")
    dtype = torch.get_default_dtype()
    units = torch.tensor(centre, dtype=dtype), torch.tensor(spread, dtype=dtype)
    values = torch.tensor(np.nan_to_num((table - centre) / spread), dtype=dtype)
    return values, torch.from_numpy(~np.isnan(table)), units


def covariates(environment: ArrayLike | None, individuals: int) -> Tensor:
    """Environment `(N, C)` in standard units; C = 0 where there is none."""
    dtype = torch.get_default_dtype()
    if environment is None:
        return torch.zeros(individuals, 0, dtype=dtype)
    table = np.asarray(environment, np.float64)
    if table.ndim != 2 or len(table) != individuals or not np.isfinite(table).all():
        raise ValueError(
            f"environment must be finite, of shape ({individuals}, C), got shape {table.shape}"
        )
    return torch.tensor((table - table.mean(0)) / table.std(0).clip(1e-12), dtype=dtype)


def beginning(flat: FlatModel, scales: Moments, generator: torch.Generator) -> Tensor:
    """Location `(P,)`: weights that read the genotype begin along the marginal effects."""
    location = torch.zeros(flat.dim)
    for site in flat.sites:
        value = 0.1 * torch.randn(site.free_shape, generator=generator)
        if not site.real or site.name in ("mean", "environment_effect", "effects"):
            value = torch.zeros(site.free_shape)
        elif site.name == "encoder" and site.free_shape[0] == len(scales.mean):
            value = axes(scales.covariance, site.free_shape[1], generator)
        location[site.start : site.stop] = value.reshape(-1)
    return location


def axes(covariance: Tensor, latents: int, generator: torch.Generator) -> Tensor:
    """Encoder `(L, K)` onto the leading axes of the marginal effects, then at random."""
    found = torch.linalg.svd(covariance, full_matrices=False).U[:, :latents]
    encoder = torch.randn(len(covariance), latents, generator=generator)
    encoder[:, : found.shape[1]] = found * len(covariance) ** 0.5
    return encoder


def epochs(blocks: Blocks, size: int, generator: torch.Generator) -> Iterator[int]:
    """First individuals of blocks, without end: each epoch in a new order, from a new offset."""
    count, spare = divmod(blocks.individuals, size)
    while True:
        offset = int(torch.randint(spare // blocks.grain + 1, (), generator=generator))
        for each in torch.randperm(count, generator=generator):
            yield offset * blocks.grain + int(each) * size


def whole_elbo(
    flat: FlatModel, parameters: Tensor, blocks: Blocks, data: Any, size: int, draws: int, seed: int
) -> tuple[float, float]:
    """ELBO over all individuals and its Monte-Carlo error, by antithetic draws."""
    guide = MeanField()
    half = torch.randn(max(1, draws // 2), flat.dim, generator=torch.Generator().manual_seed(seed))
    draw = guide.sample(parameters, torch.cat([half, -half]))
    with torch.no_grad():
        few = data(0).take(slice(4))
        prior = flat.log_joint(draw, few, 0.0).double()
        total = prior - guide.log_density(parameters, draw).double()
        for start in range(0, blocks.individuals, size):
            total += flat.log_joint(draw, data(start)).double() - prior
    pairs = total.reshape(2, -1).mean(0)
    error = float(pairs.std()) / math.sqrt(len(pairs)) if len(pairs) > 1 else math.nan
    return float(total.mean()), error
