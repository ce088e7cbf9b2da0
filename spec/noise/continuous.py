"""Noise of continuous traits, which are standardised.

A formalization may decode from the genotype how widely traits scatter: `noise_spread`, a factor
`(..., N, T)` of sigma.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from torch import Size, Tensor

from genomic_code.spec.priors import sample
from genomic_code.spec.protocols import Data, Shape, Weights
from genomic_code.spec.validate import positive_fields

__all__ = ["Continuous", "Normal", "StudentT", "Tailed", "spread_scale", "standard_t"]


class Continuous:
    """What the noise models of continuous traits have in common."""

    standardised: ClassVar[bool] = True

    def mean(self, expected: Tensor, parameters: Weights) -> Tensor:
        """The expected traits themselves."""
        return expected

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Any number will do."""


@dataclass(frozen=True)
class Normal(Continuous):
    """Normal noise, with a known measurement error where the cohort has one.

        Y_nt ~ Normal(eta_nt, sqrt(sigma_t^2 + error_nt^2)),   sigma_t ~ LogNormal(-0.5, 0.5)

    With `shared` all sigma_t are one number: few individuals of many traits cannot tell them apart.

    Sites: sigma noise_scale
    """

    shared: bool = False
    """Whether all traits have one scale."""
    typical: float = math.exp(-0.5)
    """Prior median of the scale, in the unit of the fit; positive."""

    def __post_init__(self) -> None:
        positive_fields(self, "typical")

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """`noise_scale` `(..., T)`, standard deviation in trait sd."""
        prior = dist.LogNormal(math.log(self.typical), 0.5)
        if self.shared:
            one = sample("noise_scale", prior, {})[..., None]
            return {"noise_scale": one.expand(*one.shape[:-1], shape.traits)}
        return {"noise_scale": sample("noise_scale", prior, {"trait": shape.traits})}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Normal of batch shape `(..., N, T)`."""
        return dist.Normal(expected, with_error(parameters, data))


@dataclass(frozen=True)
class StudentT(Continuous):
    """Heavy-tailed noise: outliers pull less.

        Y_nt ~ StudentT(nu_t, eta_nt, sqrt(sigma_t^2 + error_nt^2)),  sigma_t ~ LogNormal(-0.5, 0.5)
        nu_t = 2 + kappa_t,  kappa_t ~ Gamma(2, 0.1)

    The variance, sigma^2 nu / (nu - 2), is finite. A known error widens the scale, which is exact
    only for large nu.

    Sites: sigma noise_scale; kappa noise_tail
    """

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """`noise_scale` and `noise_freedom` (degrees of freedom), each `(..., T)`."""
        tail = sample("noise_tail", dist.Gamma(2.0, 0.1), {"trait": shape.traits})
        scale = sample("noise_scale", dist.LogNormal(-0.5, 0.5), {"trait": shape.traits})
        return {"noise_scale": scale, "noise_freedom": 2 + tail}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Student-t of batch shape `(..., N, T)`."""
        freedom = parameters["noise_freedom"][..., None, :]
        return Tailed(freedom, expected, with_error(parameters, data))


class Tailed(dist.StudentT):  # type: ignore[misc]
    """Student's t whose normalising constant is computed once a trait, not once a cell."""

    def __init__(self, df: Tensor, loc: Tensor, scale: Tensor) -> None:
        self.freedom = df
        super().__init__(df, loc, scale, validate_args=False)

    def expand(self, batch_shape: Size | list[int] | tuple[int, ...], _instance: Any = None) -> Any:
        """The same over more dimensions in front."""
        return Tailed(self.freedom, self.loc.expand(batch_shape), self.scale.expand(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density `(...)`."""
        standard: Tensor = (value - self.loc) / self.scale
        return standard_t(standard, self.freedom) - torch.log(self.scale)


def standard_t(value: Tensor, freedom: Tensor) -> Tensor:
    """Log density of Student's t of location 0 and scale 1.

    Gamma functions cost ten times as much as the rest, and torch takes them of every cell.
    """
    constant = torch.lgamma(0.5 * (freedom + 1)) - torch.lgamma(0.5 * freedom)
    constant = constant - 0.5 * (math.pi * freedom).log()
    density: Tensor = constant - 0.5 * (freedom + 1) * torch.log1p(value.square() / freedom)
    return density


def with_error(parameters: Weights, data: Data) -> Tensor:
    """Noise and known error together `(..., N, T)`."""
    return (spread_scale(parameters).square() + data.error.square()).sqrt()


def spread_scale(parameters: Weights) -> Tensor:
    """Standard deviation of the noise `(..., 1 or N, T)`, as the genotype widens it."""
    scale = parameters["noise_scale"][..., None, :]
    return scale * parameters["noise_spread"] if "noise_spread" in parameters else scale
