"""Noise of binary and ordered traits: development gives a liability."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from genomic_code.spec.noise.support import refuse
from genomic_code.spec.priors import sample
from genomic_code.spec.protocols import Data, Shape, Weights

__all__ = ["Bernoulli", "Ordinal"]

LOGISTIC_SCALE = math.pi / math.sqrt(3)
"""Standard deviation of the logistic distribution: times this, eta is a liability whose residual
has unit variance."""


@dataclass(frozen=True)
class Bernoulli:
    """Binary traits: present where a liability passes a threshold.

        Y_nt = 1 if eta_nt + e_nt > 0 else 0,   e_nt ~ Logistic(0, sqrt(3) / pi), of unit variance

    The mean of eta sets how many pass. Wright 1934, doi:10.1093/genetics/19.6.506.
    """

    standardised: ClassVar[bool] = False

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """None: the mean of eta sets the threshold."""
        return {}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Bernoulli of batch shape `(..., N, T)`."""
        noise: dist.TorchDistribution = dist.Bernoulli(logits=LOGISTIC_SCALE * expected)
        return noise

    def mean(self, expected: Tensor, parameters: Weights) -> Tensor:
        """Probability of presence `(..., N, T)`."""
        return torch.sigmoid(LOGISTIC_SCALE * expected)

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Refuse what is neither 0 nor 1."""
        refuse(phenotype, (phenotype != 0) & (phenotype != 1), "0 or 1", "Bernoulli")


class Ordered(dist.Categorical):
    """Categorical whose mean and variance are those of the category number."""

    @property
    def mean(self) -> Tensor:
        """Expected category."""
        return self.moment(1)

    @property
    def variance(self) -> Tensor:
        """Variance of the category."""
        return self.moment(2) - self.mean.square()

    def moment(self, power: int) -> Tensor:
        """Expected power of the category number."""
        number = torch.arange(self.logits.shape[-1], dtype=self.logits.dtype)
        return self.logits.exp() @ number**power


@dataclass(frozen=True)
class Ordinal:
    """Ordered categories 0, 1, ..., M - 1: how many thresholds a liability passes.

        Y_nt = #{m: eta_nt + e_nt > c_mt},   e_nt ~ Logistic(0, sqrt(3) / pi), of unit variance
        c_{m+1,t} - c_mt = g_mt,   the c_t centred at 0,   log g_mt ~ Normal(log(2 / (M - 1)), 1)

    Special case: M = 2 is Bernoulli.

    Sites: g noise_gap
    """

    categories: int = 3
    """Number of categories M; at least 2."""

    standardised: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.categories < 2:
            raise ValueError(f"categories must be at least 2, got {self.categories}")

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """`noise_threshold` `(..., M - 1, T)`, in residual sd of the liability."""
        if self.categories == 2:
            return {"noise_threshold": torch.zeros(1, shape.traits)}
        prior = dist.LogNormal(math.log(2 / (self.categories - 1)), 1.0)
        sizes = {"gap": self.categories - 2, "trait": shape.traits}
        upper = pad(sample("noise_gap", prior, sizes).cumsum(-2), (0, 0, 1, 0))
        return {"noise_threshold": upper - upper[..., -1:, :] / 2}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Categories of batch shape `(..., N, T)`."""
        return Ordered(logits=self.log_probabilities(expected, parameters))

    def log_probabilities(self, expected: Tensor, parameters: Weights) -> Tensor:
        """Log probability `(..., N, T, M)` of each category, without cancellation in the tails."""
        threshold = parameters["noise_threshold"].mT[..., None, :, :]
        # P(a < e < b) = F(b) F(-a) (1 - exp(a - b)) for the logistic distribution function F.
        above = LOGISTIC_SCALE * (expected[..., None] - threshold)
        gap = LOGISTIC_SCALE * threshold.diff(dim=-1)
        inside = torch.log(-torch.expm1(-gap))
        below_next, above_own = logsigmoid(-above), logsigmoid(above)
        middle = below_next[..., 1:] + above_own[..., :-1] + inside
        return torch.cat([below_next[..., :1], middle, above_own[..., -1:]], -1)

    def mean(self, expected: Tensor, parameters: Weights) -> Tensor:
        """Expected category `(..., N, T)`."""
        return Ordered(logits=self.log_probabilities(expected, parameters)).mean

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Refuse what is no category."""
        bad = (phenotype < 0) | (phenotype % 1 != 0) | (phenotype >= self.categories)
        refuse(phenotype, bad, f"categories 0 to {self.categories - 1}", "Ordinal")
