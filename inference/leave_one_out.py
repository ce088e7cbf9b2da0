"""Predictive distributions corrected by what leaving out one individual at a time shows.

Normal intervals are too narrow where noise has heavy tails, or grows with the level of a trait. The
residuals of training individuals, each predicted from all others, say by how much. For all traits
together, in trait standard deviations about their means:

    z_nt = (y_nt - m_nt) / s_nt,   m, s the mean and standard deviation without individual n
    z_nt ~ StudentT(nu, 0, r_nt),   r_nt = exp(a + b tanh m_nt),   nu = 2 + exp(c)
    a ~ Normal(0, 0.5),   b ~ Normal(0, 0.5),   c ~ Normal(3, 1)

Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, section 5.4.2.
"""

from dataclasses import dataclass

import torch
from scipy.special import stdtr
from torch import Tensor
from torch.distributions import StudentT

from genomic_code.inference.descent import descend
from genomic_code.inference.optimise import DivergenceError

__all__ = ["Correction", "left_out"]


def left_out(lower: Tensor, target: Tensor, solved: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sd `(..., n)` of each value of a normal vector given all others.

    Args:
        lower: Cholesky factor `(..., n, n)` of the covariance.
        target: The vector `(..., n)`, of mean 0.
        solved: The inverse of the covariance times the vector.
    """
    identity = torch.eye(lower.shape[-1], dtype=lower.dtype).expand_as(lower)
    inverse = torch.linalg.solve_triangular(lower, identity, upper=False)
    precision = inverse.square().sum(-2)
    return target - solved / precision, precision.rsqrt()


@dataclass(frozen=True)
class Correction:
    """What replaces a normal density of given mean and standard deviation."""

    freedom: Tensor
    """Degrees of freedom nu, above 2."""
    level: Tensor
    """a: logarithm of the factor at mean 0."""
    slope: Tensor
    """b: how it changes with the mean."""

    @staticmethod
    def fit(value: Tensor, mean: Tensor, sd: Tensor) -> "Correction":
        """The most probable one given values and their left-out moments, all of one shape.

        Raises:
            DivergenceError: It is not finite.
        """
        free = torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
        centre, spread = free.detach().clone(), torch.tensor([1.0, 0.5, 0.5]).double()

        def loss() -> Tensor:
            prior = -0.5 * ((free - centre) / spread).square().sum()
            likelihood: Tensor = Correction.of(free).density(mean, sd).log_prob(value).sum()
            return -likelihood - prior

        descend(loss, [free], 100)
        if not free.isfinite().all():
            raise DivergenceError("leaving one out: the correction is not finite")
        return Correction.of(free.detach())

    @staticmethod
    def of(free: Tensor) -> "Correction":
        """From c, a and b."""
        return Correction(2 + free[0].exp(), free[1], free[2])

    def density(self, mean: Tensor, sd: Tensor) -> StudentT:
        """The density of values whose normal moments are these."""
        scale = sd * (self.level + self.slope * mean.tanh()).exp()
        return StudentT(self.freedom, mean, scale, validate_args=False)

    def predict(self, value: Tensor, mean: Tensor, sd: Tensor) -> dict[str, Tensor]:
        """Predictions of values from their normal moments; NaN where a value is missing."""
        density = self.density(mean, sd)
        place = ((value - mean) / density.scale).numpy()
        return {
            "mean": mean,
            "predictive_sd": density.stddev,
            "log_predictive": density.log_prob(value),
            "quantile": torch.from_numpy(stdtr(float(self.freedom), place)),
        }
