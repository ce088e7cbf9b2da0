"""Normal noise that traits share: a hidden variable of each individual moves them together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pyro.distributions as dist
import torch
from torch import Size, Tensor
from torch.distributions import constraints

from genomic_code.spec.noise.continuous import Continuous, Normal, spread_scale
from genomic_code.spec.priors import sample
from genomic_code.spec.protocols import Data, Shape, Weights

__all__ = [
    "CommonFactor", "CommonFactorCells", "CommonFactorNormal", "divided", "noise_correlation",
    "others",
]  # fmt: skip


@dataclass(frozen=True)
class CommonFactor(Continuous):
    """Normal noise with a common factor: batch, age, or any environment that was not recorded.

        Y_nt = eta_nt + sigma_t (rho_t f_n + sqrt(1 - rho_t^2) e_nt) + error_nt
        f_n, e_nt ~ Normal(0, 1),   sigma_t ~ LogNormal(-0.5, 0.5)
        rho_t = l_t / sqrt(1 + l_t^2),   l_t ~ Normal(0, 1)

    so that the residual covariance of traits is one common factor and a variance each (factor
    analytic; Meyer 2009, doi:10.1186/1297-9686-41-21). f is integrated out: the density of a cell
    is that given the observed traits before it, and the sum over traits is the joint density.

    Sites: sigma noise_scale; l noise_loading
    """

    def parameters(self, shape: Shape) -> dict[str, Tensor]:
        """`noise_scale`, and `noise_correlation` rho with the common factor, each `(..., T)`."""
        return Normal().parameters(shape) | {"noise_correlation": noise_correlation(shape)}

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Normal of batch shape `(..., N, T)`, correlated over traits."""
        return CommonFactorNormal(expected, *divided(parameters, data), data.observed)


def noise_correlation(shape: Shape) -> Tensor:
    """Sample the correlations rho `(..., T)` of traits with the common factor."""
    loading = sample("noise_loading", dist.Normal(0.0, 1.0), {"trait": shape.traits})
    correlation: Tensor = loading / (1 + loading.square()).sqrt()
    return correlation


def divided(parameters: Weights, data: Data) -> tuple[Tensor, Tensor]:
    """What a unit of the common factor adds to cells `(..., N, T)`, and the scale of the rest."""
    scale = spread_scale(parameters)
    correlation = parameters["noise_correlation"][..., None, :]
    own = (scale.square() * (1 - correlation.square()) + data.error.square()).sqrt()
    return scale * correlation, own


class CommonFactorCells(dist.TorchDistribution):
    """Cells `(..., N, T)` that are correlated over the last dimension by one normal factor.

    Moments are those of each cell by itself. `log_prob` is that of each cell given the observed
    cells before it; its sum over observed cells is the joint log density.

    Args:
        loc: Means.
        loading: What a unit of the common factor adds.
        scale: Scales of the rest.
        observed: Which cells tell something of the common factor.
        further: What else the rest needs.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support = constraints.real
    has_rsample = True

    def __init__(
        self, loc: Tensor, loading: Tensor, scale: Tensor, observed: Tensor, *further: Tensor
    ) -> None:
        self.parts = torch.broadcast_tensors(loc, loading, scale, observed, *further)
        self.loc, self.loading, self.scale, self.observed = self.parts[:4]
        super().__init__(self.loc.shape, validate_args=False)

    @property
    def rest(self) -> dist.TorchDistribution:
        """What is left of the cells without the mean and the common factor."""
        raise NotImplementedError

    def given_others(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Offset from its mean, and variance, `(..., N, T)` of each cell given all other traits."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """The means."""
        mean: Tensor = self.loc
        return mean

    @property
    def variance(self) -> Tensor:
        """Variance of each cell by itself."""
        total: Tensor = self.loading.square() + self.rest.variance
        return total

    def expand(
        self, batch_shape: Size | list[int] | tuple[int, ...], _instance: Any = None
    ) -> Self:
        """The same over more dimensions in front."""
        return type(self)(*(part.expand(batch_shape) for part in self.parts))

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Reparameterised draws `(*sample_shape, ..., N, T)`."""
        shape = self._extended_shape(Size(sample_shape))
        factor = self.loc.new_empty(*shape[:-1], 1).normal_()
        draws: Tensor = self.loc + self.loading * factor + self.rest.rsample(Size(sample_shape))
        return draws


class CommonFactorNormal(CommonFactorCells):
    """Cells of which the rest is normal, with `scale` its standard deviation."""

    @property
    def rest(self) -> dist.TorchDistribution:
        """What is left of the cells without the mean and the common factor."""
        left: dist.TorchDistribution = dist.Normal(torch.zeros_like(self.scale), self.scale)
        return left

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density `(..., N, T)` of each cell given the observed ones before it."""
        offset, variance = self.given(value, before)
        density: Tensor = dist.Normal(self.loc + offset, variance.sqrt()).log_prob(value)
        return density

    def given_others(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Offset from its mean, and variance, `(..., N, T)` of each cell given all other traits."""
        return self.given(value, others)

    def given(self, value: Tensor, total: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Offset from its mean, and variance, `(..., N, T)` of each cell given others.

        `total` sums over these, the observed of those `before` it or of all `others`. Given them
        the factor is normal with precision 1 + sum l^2 / s^2 and mean sum (l r / s^2) / precision,
        with residuals r, loadings l and scales s.
        """
        weight = torch.where(self.observed, self.loading / self.scale.square(), 0.0)
        precision = 1 + total(weight * self.loading)
        mean = total(weight * (value - self.loc)) / precision
        return self.loading * mean, self.scale.square() + self.loading.square() / precision


def before(cells: Tensor) -> Tensor:
    """Sums over the cells `(..., T)` before each."""
    return cells.cumsum(-1) - cells


def others(cells: Tensor) -> Tensor:
    """Sums over all cells `(..., T)` but each."""
    return cells.sum(-1, keepdim=True) - cells
