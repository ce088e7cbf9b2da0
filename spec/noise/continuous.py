"""Measurement models: how observed traits scatter about what development expects.

Continuous traits are standardised; counts and categories stay as they are, and development then
gives eta on the scale of a link. `NOISES` lists all by name.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from genomic_code.spec.priors import sample
from genomic_code.spec.protocols import Data, Noise, Shape, Weights

__all__ = ["NOISES", "Bernoulli", "NegativeBinomial", "Normal", "Ordinal", "Poisson", "StudentT"]

LOGISTIC_SCALE = math.pi / math.sqrt(3)
"""Standard deviation of the logistic distribution: times this, eta is a liability whose residual
has unit variance."""


@dataclass(frozen=True)
class Normal:
    """Normal noise, with a known measurement error where the cohort has one.

        Y_nt ~ Normal(eta_nt, sqrt(sigma_t^2 + error_nt^2)),   sigma_t ~ LogNormal(-0.5, 0.5)

    Sites: sigma noise_scale
    """

    standardised: ClassVar[bool] = True

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """`noise_scale` `(..., T)`, standard deviation in trait sd."""
        return {"noise_scale": noise_scale(shape)}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Normal of batch shape `(..., N, T)`."""
        return dist.Normal(expected, with_error(parameters["noise_scale"], data))

    def mean(self, expected: Tensor, parameters: Weights) -> Tensor:
        """The expected traits themselves."""
        return expected

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Any number will do."""


@dataclass(frozen=True)
class StudentT:
    """Heavy-tailed noise: outliers pull less.

        Y_nt ~ StudentT(nu_t, eta_nt, sqrt(sigma_t^2 + error_nt^2)),  sigma_t ~ LogNormal(-0.5, 0.5)
        nu_t = 2 + kappa_t,  kappa_t ~ Gamma(2, 0.1)

    The variance, sigma^2 nu / (nu - 2), is finite. A known error widens the scale, which is exact
    only for large nu.

    Sites: sigma noise_scale; kappa noise_tail
    """

    standardised: ClassVar[bool] = True

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """`noise_scale` and `noise_freedom` (degrees of freedom), each `(..., T)`."""
        tail = sample("noise_tail", dist.Gamma(2.0, 0.1), {"trait": shape.traits})
        return {"noise_scale": noise_scale(shape), "noise_freedom": 2 + tail}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Student-t of batch shape `(..., N, T)`."""
        freedom = parameters["noise_freedom"][..., None, :]
        return dist.StudentT(freedom, expected, with_error(parameters["noise_scale"], data))

    def mean(self, expected: Tensor, parameters: Weights) -> Tensor:
        """The expected traits themselves."""
        return expected

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Any number will do."""


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
        return dist.Poisson(self.mean(expected, parameters))

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
        return dist.NegativeBinomial(concentration, logits=log_mean - concentration.log())

    def mean(self, expected: Tensor, parameters: Weights) -> Tensor:
        """Expected count `(..., N, T)`."""
        return (expected + parameters["noise_level"][..., None, :]).exp()

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Refuse what is no count."""
        bad = (phenotype < 0) | (phenotype % 1 != 0)
        refuse(phenotype, bad, "counts 0, 1, 2, ...", "NegativeBinomial")


@dataclass(frozen=True)
class Bernoulli:
    """Binary traits: present where a liability passes a threshold (Wright 1934).

    Y_nt = 1 if eta_nt + e_nt > 0 else 0,   e_nt ~ Logistic(0, sqrt(3) / pi), of unit variance
    """

    standardised: ClassVar[bool] = False

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """None: the mean of eta sets the threshold."""
        return {}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Bernoulli of batch shape `(..., N, T)`."""
        return dist.Bernoulli(logits=LOGISTIC_SCALE * expected)

    def mean(self, expected: Tensor, parameters: Weights) -> Tensor:
        """Probability of presence `(..., N, T)`."""
        return torch.sigmoid(LOGISTIC_SCALE * expected)

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Refuse what is neither 0 nor 1."""
        refuse(phenotype, (phenotype != 0) & (phenotype != 1), "0 or 1", "Bernoulli")


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
        """Categorical of batch shape `(..., N, T)`."""
        return dist.Categorical(logits=self.log_probabilities(expected, parameters))

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
        weights = torch.arange(self.categories, dtype=expected.dtype)
        return self.log_probabilities(expected, parameters).exp() @ weights

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Refuse what is no category."""
        bad = (phenotype < 0) | (phenotype % 1 != 0) | (phenotype >= self.categories)
        refuse(phenotype, bad, f"categories 0 to {self.categories - 1}", "Ordinal")


NOISES: dict[str, type[Noise]] = {
    "normal": Normal,
    "student_t": StudentT,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "bernoulli": Bernoulli,
    "ordinal": Ordinal,
}
"""Every measurement model by name."""


def noise_scale(shape: Shape) -> Tensor:
    """Standard deviation `(..., T)` in trait sd."""
    return sample("noise_scale", dist.LogNormal(-0.5, 0.5), {"trait": shape.traits})


def noise_level(shape: Shape) -> Tensor:
    """Log of the typical count `(..., T)`: from 0.05 to 150 within two standard deviations."""
    return sample("noise_level", dist.Normal(1.0, 2.0), {"trait": shape.traits})


def with_error(scale: Tensor, data: Data) -> Tensor:
    """Noise and known error together `(..., N, T)`."""
    return (scale.square()[..., None, :] + data.error.square()).sqrt()


def refuse(phenotype: NDArray[np.floating], bad: NDArray[np.bool_], rule: str, noise: str) -> None:
    """Raise if a phenotype that is not missing breaks the rule."""
    places = np.argwhere(bad & ~np.isnan(phenotype))
    if len(places):
        row, column = places[0]
        raise ValueError(
            f"phenotype must hold {rule} with {noise} noise, got {phenotype[row, column]:g} in row "
            f"{row}, column {column} ({len(places)} such cells)"
        )
