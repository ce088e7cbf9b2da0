"""Noise with outliers that traits share: a common factor of each individual, and heavy tails."""

import math
from dataclasses import dataclass

import pyro.distributions as dist
import torch
from torch import Tensor

from genomic_code.spec.noise.common import CommonFactorCells, divided, noise_correlation
from genomic_code.spec.noise.continuous import Continuous, StudentT, standard_t
from genomic_code.spec.protocols import Data, Shape, Weights

__all__ = ["CommonFactorStudent", "CommonFactorT"]

FARTHEST = 5.0
"""End of the grid over the common factor, in its standard deviations."""


@dataclass(frozen=True)
class CommonFactorT(Continuous):
    """Heavy-tailed noise with a common factor: a batch moves all traits, outliers single ones.

        Y_nt = eta_nt + sigma_t rho_t f_n + sqrt(sigma_t^2 (1 - rho_t^2) + error_nt^2) e_nt
        f_n ~ Normal(0, 1),   e_nt ~ StudentT(nu_t),   nu_t = 2 + kappa_t,  kappa_t ~ Gamma(2, 0.1)
        sigma_t ~ LogNormal(-0.5, 0.5),   rho_t = l_t / sqrt(1 + l_t^2),   l_t ~ Normal(0, 1)

    f is summed out on a grid: the density of a cell is that given the observed traits before it,
    and the sum over traits is the joint density. Time grows with T^1.5, and is a hundred times that
    of `common_factor` where T is 96. `common_factor` is the limit of large nu,
    `student_t` the case l = 0.

    Sites: sigma noise_scale; l noise_loading; kappa noise_tail
    """

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """`noise_scale`, `noise_correlation` rho and `noise_freedom` nu, each `(..., T)`."""
        return StudentT().parameters(shape) | {"noise_correlation": noise_correlation(shape)}

    def nodes(self, traits: int) -> int:
        """Number of values of the common factor that each density is summed over."""
        return 2 * reach(traits) + 1

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Student-t of batch shape `(..., N, T)`, correlated over traits."""
        freedom = parameters["noise_freedom"][..., None, :]
        return CommonFactorStudent(expected, *divided(parameters, data), data.observed, freedom)


class CommonFactorStudent(CommonFactorCells):
    """Cells of which the rest is Student's t, with degrees of freedom above 2 as its last part."""

    @property
    def freedom(self) -> Tensor:
        """Degrees of freedom of each cell."""
        freedom: Tensor = self.parts[4]
        return freedom

    @property
    def rest(self) -> dist.TorchDistribution:
        """What is left of the cells without the mean and the common factor."""
        left: dist.TorchDistribution = dist.StudentT(
            self.freedom, torch.zeros_like(self.scale), self.scale, validate_args=False
        )
        return left

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density `(..., N, T)` of each cell given the observed ones before it."""
        each, weight = self.on_grid(value)
        seen = torch.where(self.observed, each, 0.0)
        before = weight + seen.cumsum(-1) - seen
        density: Tensor = (before + each).logsumexp(0) - before.logsumexp(0)
        return density

    def on_grid(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Log densities `(Q, ..., N, T)` of cells given the factor, and log weights of its grid."""
        factor = grid(self.loc)
        factor = factor.reshape(-1, *(1,) * max(value.dim(), self.loc.dim()))
        residual = (value - self.loc - self.loading * factor) / self.scale
        weight = -0.5 * factor.square()
        return standard_t(residual, self.freedom) - self.scale.log(), weight - weight.logsumexp(0)

    def given_others(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Offset from its mean, and variance, `(..., N, T)` of the normal that a cell is nearly.

        Given the other observed traits the factor moves it by an offset and some variance; given
        all of them its own precision is (nu + 1) / (nu s^2 + r^2) on average.
        """
        each, weight = self.on_grid(value)
        seen = torch.where(self.observed, each, 0.0)
        together = weight + seen.sum(-1, keepdim=True)
        others, everything = (together - seen).softmax(0), together.softmax(0)
        moved = self.loading * grid(self.loc).reshape(-1, *(1,) * (each.dim() - 1))
        offset = (others * moved).sum(0)
        spread = (others * (moved - offset).square()).sum(0)
        residual = value - self.loc - moved
        precise = (self.freedom + 1) / (self.freedom * self.scale.square() + residual.square())
        return offset, 1 / (everything * precise).sum(0) + spread


def reach(traits: int) -> int:
    """Steps of the grid on either side of 0.

    The rule is exact to 1e-4 where the traits tell the factor within 1 / sqrt(1 + 3 T), three times
    as much as the prior of their loadings expects, and to 1e-2 where they tell seven times as much.
    """
    return math.ceil(FARTHEST * math.sqrt(1 + 3 * traits) / 1.5)


def grid(like: Tensor) -> Tensor:
    """Values `(Q,)` of the common factor, for cells `(..., T)`."""
    half = reach(like.shape[-1])
    return FARTHEST / half * torch.arange(-half, half + 1, dtype=like.dtype, device=like.device)
