"""Measurement models: how observed traits scatter about what development expects."""

from dataclasses import dataclass
from typing import ClassVar

import pyro.distributions as dist
from torch import Tensor

from genomic_code.spec.priors import sample
from genomic_code.spec.protocols import Data, Shape, Weights

__all__ = ["Normal"]


@dataclass(frozen=True)
class Normal:
    """Normal noise with a known measurement error where the cohort has one.

    Y_nt ~ Normal(eta_nt, sqrt(sigma_t^2 + error_nt^2)),   sigma_t ~ LogNormal(-0.5, 0.5)
    """

    standardised: ClassVar[bool] = True

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """`noise_scale` `(..., T)`, standard deviation in trait sd."""
        prior = dist.LogNormal(-0.5, 0.5)
        return {"noise_scale": sample("noise_scale", prior, {"trait": shape.traits})}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Normal of batch shape `(..., N, T)`."""
        variance = parameters["noise_scale"].square()[..., None, :] + data.error.square()
        return dist.Normal(expected, variance.sqrt())
