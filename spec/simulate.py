"""Cohorts in silico, drawn from a formalization's own prior, the truth kept beside the data."""

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import resolve
from genomic_code.spec.model import observation
from genomic_code.spec.protocols import Data, Formalization, Shape, Weights
from genomic_code.spec.standardize import moments, tensor
from genomic_code.spec.tables import Table
from genomic_code.spec.tables import table as as_table

__all__ = ["draw_genotype", "simulate"]

Array = NDArray[np.float64]

REDRAWS = 20
"""Times that counts or categories are drawn for a trait in which all individuals are alike."""


def simulate(
    formalization: str | Formalization = "generative",
    individuals: int = 500,
    loci: int = 100,
    traits: int = 12,
    environments: int = 2,
    heritability: float = 0.6,
    missing: float = 0.0,
    error: float = 0.0,
    linkage: float = 0.0,
    genotype: Table = None,
    environment: Table = None,
    seed: int = 0,
) -> Cohort:
    """A cohort in which the formalization is true.

        Y = E D + g + e,   g_t = a_t (f_t(x, E; W) - mean),   Var(g_t) = h2,  Var(e_t) = 1 - h2

    Weights W and environment effects D come from the formalization's prior, the shape of e from its
    noise model; a_t makes the genetic share of each trait, environment set aside, exactly the
    heritability among the individuals; where no locus moves a trait, Var(e_t) = 1.

    A noise model with a link (binary, ordered, counts) acts on eta = E D + g with
    Var(g_t) = h2 / (1 - h2): for binary and ordered traits h2 is the heritability of the liability;
    for counts it only sets the strength of the signal.

    Args:
        formalization: Name or object; `null` has no genetic part, whatever the heritability.
        individuals: N, at least 2; taken from `genotype` where given.
        loci: L, at least 1; taken from `genotype` where given.
        traits: T, at least 1.
        environments: C, at least 0; covariates are standard normal; taken from `environment` where
            given.
        heritability: From 0 to below 1.
        missing: Probability that a cell of the phenotype is missing, from 0 to below 1.
        error: Typical known measurement error in trait sd, at least 0; cells differ by a factor
            of up to 3. It adds to the noise, and is not counted in the heritability.
        linkage: Correlation between neighbouring loci along a haplotype, from 0 to below 1.
        genotype: `(N, L)` genotypes to use instead of drawn ones.
        environment: `(N, C)` covariates to use instead of drawn ones, of as many individuals.
        seed: Same seed, same cohort.

    Returns:
        The cohort. Its dataset also holds `truth` (N, T), the genetic values g, and `truth_scale`
        (T), the factors a; its attributes name formalization, heritability and seed.

    Raises:
        ValueError: An argument is out of range, or the formalization does not fit the sizes.
    """
    hypothesis = resolve(formalization)
    check_sizes(individuals=(individuals, 2), loci=(loci, 1), traits=(traits, 1))
    check_sizes(environments=(environments, 0), seed=(seed, 0))
    check_shares(heritability=heritability, missing=missing, linkage=linkage)
    if not (math.isfinite(error) and error >= 0):
        raise ValueError(f"error must be finite and at least 0, got {error}")
    if error and not hypothesis.noise.standardised:
        kind = type(hypothesis.noise).__name__
        raise ValueError(f"error must be 0 with {kind} noise, got {error}")
    generator = np.random.default_rng(seed)
    x = as_table("genotype", genotype)
    if x is None:
        x = pd.DataFrame(draw_genotype(individuals, loci, linkage, generator))
        x.columns = pd.Index([f"locus_{i}" for i in range(loci)])
    individuals = len(x)
    e = generator.standard_normal((individuals, environments)).astype(np.float32)
    given = as_table("environment", environment)
    if given is not None:
        e = given.to_numpy(np.float32)
        if len(e) != individuals:
            raise ValueError(
                f"environment must have a row for each of {individuals} individuals, got {len(e)}"
            )
    known = error * np.exp(generator.uniform(-0.5, 0.5, (individuals, traits)) * math.log(3))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        inputs = standard(x.to_numpy(np.float32)), standard(e)
        weights = hypothesis.weights(Shape(individuals, x.shape[1], e.shape[1], traits))
        genetic, scale, additive = draw_traits(hypothesis, weights, inputs, heritability)
        phenotype = observe(hypothesis, weights, genetic, additive, inputs)
    y: Array = phenotype.double().numpy() + known * generator.standard_normal(known.shape)
    y[generator.random(y.shape) < missing] = np.nan
    cohort = Cohort(
        x, y, environment=e, error=known if error else None, name=f"simulated {hypothesis.name}"
    )
    values = genetic.numpy().astype(np.float32)
    cohort.dataset["truth"] = (("individual", "trait"), values)
    cohort.dataset["truth_scale"] = (("trait",), scale.numpy().astype(np.float32))
    share = heritability if values.any() else 0.0
    cohort.dataset.attrs |= {"formalization": hypothesis.name, "heritability": share, "seed": seed}
    return cohort


def draw_genotype(
    individuals: int, loci: int, linkage: float, generator: np.random.Generator
) -> Array:
    """Allele counts `(N, L)`: x ~ Binomial(2, p), p ~ U(0.1, 0.5); every locus varies.

    Each of the two haplotypes thresholds a stationary Gaussian chain whose neighbours correlate by
    `linkage`, so that linkage decays geometrically along the genome.
    """
    threshold = ndtri(generator.uniform(0.1, 0.5, loci))
    counts: Array = np.zeros((individuals, loci))
    todo = np.arange(loci)
    while len(todo):
        chain = generator.standard_normal((2, individuals, loci))
        for locus in range(1, loci):
            step = math.sqrt(1 - linkage**2) * chain[..., locus]
            chain[..., locus] = linkage * chain[..., locus - 1] + step
        counts[:, todo] = (chain < threshold).sum(0)[:, todo]
        todo = todo[np.ptp(counts[:, todo], axis=0) == 0]
    return counts


def standard(values: NDArray[np.float32]) -> Tensor:
    """Columns with zero mean and unit variance."""
    centre, spread = moments(values)
    return (tensor(values) - centre) / spread


def draw_traits(
    hypothesis: Formalization, drawn: Weights, inputs: tuple[Tensor, Tensor], heritability: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Genetic values `(N, T)`, their factors `(T)` and the additive environment `(N, T)`."""
    genotype, environment = inputs
    traits = drawn["mean"].shape[-1]
    weights = {**drawn, "mean": torch.zeros_like(drawn["mean"])}
    additive = torch.zeros(len(genotype), traits)
    if "environment_effect" in weights:
        additive = environment @ weights["environment_effect"]
        weights["environment_effect"] = torch.zeros_like(weights["environment_effect"])
    developed = hypothesis.develop(weights, genotype, environment).expand(len(genotype), traits)
    if not developed.isfinite().all():
        raise ValueError(f"{hypothesis.name} develops traits that are not finite; try another seed")
    centred = developed.double() - developed.double().mean(0)
    spread = centred.std(0, correction=0)
    link = not hypothesis.noise.standardised
    variance = heritability / (1 - heritability) if link else heritability
    # A trait that no locus moves keeps zero genetic value: rounding errors are no signal.
    moved = spread > 1e-6 * (1e-6 + developed.double().abs().amax(0))
    scale = torch.where(moved, math.sqrt(variance) / spread.clamp(min=1e-300), 0.0)
    return (centred * scale).to(developed.dtype), scale, additive


def observe(
    hypothesis: Formalization,
    weights: Weights,
    genetic: Tensor,
    additive: Tensor,
    inputs: tuple[Tensor, Tensor],
) -> Tensor:
    """Phenotype `(N, T)` from the noise model, without the known error."""
    noise = hypothesis.noise
    seen = torch.ones_like(genetic, dtype=torch.bool)
    data = Data(*inputs, None, seen, torch.zeros_like(genetic))
    if not noise.standardised:
        phenotype = torch.zeros_like(genetic)
        for _ in range(REDRAWS):
            drawn = noise.distribution(genetic + additive, noise.parameters(data.shape), data)
            flat = phenotype.amax(0) == phenotype.amin(0)
            phenotype = torch.where(flat, drawn.sample().to(phenotype.dtype), phenotype)
        return phenotype
    parameters = noise.parameters(data.shape)
    nothing = torch.zeros_like(genetic)
    residual = observation(hypothesis, weights, parameters, nothing, data).sample()
    residual = residual - residual.mean(0)
    scale = (1 - genetic.var(0, correction=0)).clamp(min=0).sqrt() / residual.std(0, correction=0)
    return genetic + additive + residual * scale


def check_sizes(**sizes: tuple[Any, int]) -> None:
    """Refuse what is no integer of at least the smallest value."""
    for name, (value, least) in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def check_shares(**shares: float) -> None:
    """Refuse what is not from 0 to below 1."""
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be from 0 to below 1, got {value}")
