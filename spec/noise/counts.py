"""Noise of counts, which stay as they are: development gives the log of the mean, up to a level."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.spec.noise.support import refuse
from genomic_code.spec.priors import sample
from genomic_code.spec.protocols import Data, Shape, Weights

__all__ = ["NegativeBinomial", "Poisson"]


@dataclass(frozen=True)
class Poisson:
    """Counts whose variance is their mean.

        Y_nt ~ Poisson(exp(alpha_t + eta_nt)),   alpha_t ~ Normal(1, 2)

    Sites: alpha noise_level
    """

    standardised: ClassVar[bool] = False

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """`noise_level` `(..., T)`, log of the typical count."""
        return {"noise_level": noise_level(shape)}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Poisson of batch shape `(..., N, T)`."""
        noise: dist.TorchDistribution = dist.Poisson(self.mean(expected, parameters))
        return noise

    def mean(self, expected: Tensor, parameters: Weights) -> Tensor:
        """Expected count `(..., N, T)`."""
        return (expected + parameters["noise_level"][..., None, :]).exp()

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Refuse what is no count."""
        refuse(phenotype, (phenotype < 0) | (phenotype % 1 != 0), "counts 0, 1, 2, ...", "Poisson")


@dataclass(frozen=True)
class NegativeBinomial:
    """Counts that scatter more than Poisson.

        Y_nt ~ NegativeBinomial(mean m_nt = exp(alpha_t + eta_nt), variance m_nt + m_nt^2 / r_t)
        alpha_t ~ Normal(1, 2),   r_t ~ LogNormal(1, 1)

    Special case: r -> infinity is Poisson.

    Sites: alpha noise_level; r noise_concentration
    """

    standardised: ClassVar[bool] = False

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """`noise_level`, log of the typical count, and `noise_concentration`, each `(..., T)`."""
        prior = dist.LogNormal(1.0, 1.0)
        concentration = sample("noise_concentration", prior, {"trait": shape.traits})
        return {"noise_level": noise_level(shape), "noise_concentration": concentration}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Negative binomial of batch shape `(..., N, T)`."""
        concentration = parameters["noise_concentration"][..., None, :]
        log_mean = expected + parameters["noise_level"][..., None, :]
        logits = log_mean - concentration.log()
        noise: dist.TorchDistribution = dist.NegativeBinomial(concentration, logits=logits)
        return noise

    def mean(self, expected: Tensor, parameters: Weights) -> Tensor:
        """Expected count `(..., N, T)`."""
        return (expected + parameters["noise_level"][..., None, :]).exp()

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Refuse what is no count."""
        bad = (phenotype < 0) | (phenotype % 1 != 0)
        refuse(phenotype, bad, "counts 0, 1, 2, ...", "NegativeBinomial")


def noise_level(shape: Shape) -> Tensor:
    """Log of the typical count `(..., T)`: from 0.05 to 150 within two standard deviations."""
    return sample("noise_level", dist.Normal(1.0, 2.0), {"trait": shape.traits})
