"""Drift: how finite a population is, and the conventions on which nu depends.

A mutant whose log fitness differs by s fixes with probability

    phi(s) = (1 - e^{-a s}) / (1 - e^{-a m s}),      phi(s) / phi(-s) = e^{a (m - 1) s}

with m gene copies. On a graph of genotypes with reversible mutation the rare-mutation law is
therefore prior * exp(nu * log fitness) with nu = a (m - 1): a tempered posterior.

| process       | ploidy  | log fitness is that of | a   | m   | nu           |
|---------------|---------|------------------------|-----|-----|--------------|
| moran         | haploid | individual             | 1   | N   | N - 1        |
| wright_fisher | haploid | individual             | 2   | N   | 2 (N - 1)    |
| wright_fisher | diploid | individual (homozygote)| 1   | 2 N | 2 N - 1      |
| wright_fisher | diploid | allele                 | 2   | 2 N | 2 (2 N - 1)  |
| moran         | diploid | individual (homozygote)| 1/2 | 2 N | (2 N - 1) / 2|
| moran         | diploid | allele                 | 1   | 2 N | 2 N - 1      |

Diploid fitness is multiplicative. Moran's formula is exact for the Moran process; for the
Wright-Fisher process this is Kimura's diffusion, with s the difference of log fitness.
Sella & Hirsh 2005, doi:10.1073/pnas.0501865102; Kimura 1962.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binom
from torch import Tensor

from genomic_code.spec.validate import at_least_one, one_of

__all__ = ["Drift", "binomial_fixation"]


@dataclass(frozen=True)
class Drift:
    """A finite population, with its conventions."""

    population_size: int
    """Number N of individuals; at least 2."""
    process: Literal["moran", "wright_fisher"] = "wright_fisher"
    """Overlapping generations, or discrete ones."""
    ploidy: Literal["haploid", "diploid"] = "haploid"
    """Gene copies of an individual: 1 or 2."""
    fitness_of: Literal["individual", "allele"] = "individual"
    """Whose log fitness a niche gives: a (homozygous) individual's, or one gene copy's."""

    def __post_init__(self) -> None:
        at_least_one(self, "population_size")
        if self.population_size < 2:
            raise ValueError(f"population_size must be at least 2, got {self.population_size}")
        one_of("process", self.process, ["moran", "wright_fisher"])
        one_of("ploidy", self.ploidy, ["haploid", "diploid"])
        one_of("fitness_of", self.fitness_of, ["individual", "allele"])

    @property
    def copies(self) -> int:
        """Gene copies m in the population."""
        return self.population_size * (2 if self.ploidy == "diploid" else 1)

    @property
    def intensity(self) -> float:
        """Factor a of the log fitness in the fixation probability."""
        shared = self.ploidy == "diploid" and self.fitness_of == "individual"
        return (2.0 if self.process == "wright_fisher" else 1.0) * (0.5 if shared else 1.0)

    @property
    def nu(self) -> float:
        """Exponent of fitness in the rare-mutation law; 1 / nu is its temperature."""
        return self.intensity * (self.copies - 1)

    def fixation(self, log_ratio: Tensor) -> Tensor:
        """Probability that one mutant fixes, by its log fitness less the resident's."""
        size = self.intensity * log_ratio.abs()
        upward = torch.expm1(-size) / torch.expm1(-size * self.copies)
        upward = torch.where(size > 0, upward, 1 / self.copies)
        return upward * torch.exp((self.nu * log_ratio).clamp(max=0))


def binomial_fixation(log_ratio: float, population_size: int) -> float:
    """Fixation probability of one mutant in the haploid Wright-Fisher chain itself, no diffusion.

    Solves the absorption equations of binomial sampling; the cost grows as N^3.
    """
    count: NDArray[np.float64] = np.arange(1, population_size, dtype=float)
    weight = count * np.exp(log_ratio)
    chance = weight / (weight + population_size - count)
    step = binom.pmf(np.arange(population_size + 1), population_size, chance[:, None])
    inner = np.eye(population_size - 1) - step[:, 1:-1]
    return float(np.linalg.solve(inner, step[:, -1])[0])
