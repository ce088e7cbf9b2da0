"""Normal populations: Lande's equation, and the natural-gradient step that it is.

With a normal population q = N(m, G) one generation of selection moves, for any fitness W,

    m' = m + G grad_m log E_q[W],      G' = G + G (hess_m log E_q[W]) G

(Lande 1976, doi:10.1111/j.1558-5646.1976.tb00911.x; Lande & Arnold 1983, doi:10.2307/2408842).
G is the inverse Fisher information of the mean, so this is a natural-gradient step on the log of
the mean fitness. Variational inference climbs the mean of the log fitness instead:

    Lambda' = (1 - rho) Lambda + rho (Lambda_0 - nu hess)
    m' = m + rho Lambda'^-1 (nu grad - Lambda_0 m)

with grad, hess of E_q[log W], Lambda = G^-1 and the prior N(0, Lambda_0^-1) (Khan & Rue 2023,
arXiv:2107.04562). For quadratic log W, rho nu = 1 and no relaxation to the prior both are Bayes'
rule; on the mean alone, with G held, they differ by the factor V / (G + V).
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from genomic_code.inference.genome import Genome, log_fitness
from genomic_code.inference.niche import Selection
from genomic_code.spec.validate import one_of

__all__ = ["Gaussian", "Lande", "NaturalGradient", "Quadrature"]

NODES = {1: 1537, 2: 193}
"""Points a dimension of the trapezoidal rule, by the number of dimensions."""
REACH = 16.0
"""How far they reach, in standard deviations of the population."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal population."""

    mean: Tensor
    """`(D,)`"""
    covariance: Tensor
    """`(D, D)`, positive definite."""
    generation: int = 0

    def __post_init__(self) -> None:
        size = len(self.mean)
        if self.covariance.shape != (size, size):
            raise ValueError(
                f"covariance must have shape ({size}, {size}), got {tuple(self.covariance.shape)}"
            )
        if not torch.linalg.eigvalsh(self.covariance).min() > 0:
            raise ValueError("covariance must be positive definite")


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Expectations under a normal: trapezoidal rule in one or two dimensions, else draws.

    The rule converges exponentially for smooth fitness, however narrow against the population;
    Gauss-Hermite does not. The draws are antithetic and the same in every call.
    """

    genome: Genome
    draws: int = 512
    """Draws where the rule would be too dear."""

    def nodes(self, size: int) -> tuple[Tensor, Tensor]:
        """Standard normal points `(S, D)` and their log weights `(S,)`."""
        kind = torch.get_default_dtype()
        if size in NODES:
            axis = torch.linspace(-REACH, REACH, NODES[size], dtype=kind)
            grid = torch.cartesian_prod(*[axis] * size).reshape(-1, size)
            return grid, (-0.5 * grid.square().sum(1)).log_softmax(0)
        half = torch.randn(self.draws // 2, size, generator=torch.Generator().manual_seed(0))
        points_drawn = torch.cat([half, -half]).to(kind)
        return points_drawn, torch.full((len(points_drawn),), -math.log(len(points_drawn)))

    def objective(self, mean: Tensor, covariance: Tensor, niche: Selection, which: str) -> Tensor:
        """`log E[W]` (`log_mean`) or `E[log W]` (`mean_log`) of the normal population, nats."""
        points, log_weight = self.nodes(len(mean))
        genomes = mean + points @ torch.linalg.cholesky(covariance).mT
        fitness = log_fitness(self.genome, genomes, niche)
        if which == "log_mean":
            return (log_weight + fitness).logsumexp(0)
        return (log_weight.exp() * fitness).sum()

    def slopes(
        self, state: Gaussian, niche: Selection, which: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Value, gradient `(D,)` and Hessian `(D, D)` of the objective in the mean."""

        def value(mean: Tensor) -> Tensor:
            return self.objective(mean, state.covariance, niche, which)

        mean = state.mean.detach().requires_grad_()
        height = value(mean)
        (gradient,) = torch.autograd.grad(height, mean)
        hessian: Tensor = torch.autograd.functional.hessian(value, state.mean.detach())
        return height.detach(), gradient, hessian

    def summary(self, state: Gaussian, niche: Selection) -> dict[str, Tensor]:
        """What a `Lineage` records."""
        points, log_weight = self.nodes(len(state.mean))
        genomes = state.mean + points @ torch.linalg.cholesky(state.covariance).mT
        weight = log_weight.exp()
        fitness = log_fitness(self.genome, genomes, niche)
        traits = self.genome.traits(genomes, niche)
        mean = torch.einsum("s,smt->mt", weight, traits)
        spread = traits - mean
        return {
            "location": state.mean,
            "covariance": state.covariance,
            "expected_log_fitness": (weight * fitness).sum(),
            "log_mean_fitness": (log_weight + fitness).logsumexp(0),
            "mean_trait": mean,
            "G": torch.einsum("s,smt,smu->tu", weight, spread, spread) / niche.conditions,
        }


@dataclass(frozen=True, eq=False)
class Lande:
    """Selection in an infinite normal population, by Lande's equation on the genome."""

    genome: Genome
    mutation: float = 0.0
    """Variance that mutation adds to every coordinate each generation; not negative."""
    selection_on: Literal["log_mean", "mean_log"] = "log_mean"
    """Climb the log of the mean fitness, as populations do, or the mean of the log fitness."""
    fixed_covariance: bool = False
    """Whether G stays as it is."""

    def __post_init__(self) -> None:
        one_of("selection_on", self.selection_on, ["log_mean", "mean_log"])
        if not self.mutation >= 0:
            raise ValueError(f"mutation must not be negative, got {self.mutation}")

    def step(self, state: Gaussian, niche: Selection) -> Gaussian:
        """One generation: selection, then mutation."""
        rule = Quadrature(self.genome)
        _, gradient, hessian = rule.slopes(state, niche, self.selection_on)
        mean = state.mean + state.covariance @ gradient
        covariance = state.covariance
        if not self.fixed_covariance:
            covariance = covariance + covariance @ hessian @ covariance
            covariance = (covariance + covariance.mT) / 2
        covariance = covariance + self.mutation * torch.eye(len(mean), dtype=mean.dtype)
        return Gaussian(mean, covariance, state.generation + 1)

    def summary(self, state: Gaussian, niche: Selection) -> dict[str, Tensor]:
        """What a `Lineage` records."""
        return Quadrature(self.genome).summary(state, niche)

    @property
    def conventions(self) -> dict[str, Any]:
        """What a `Lineage` states about itself."""
        return {
            "dynamics": "Lande",
            "population_size": math.inf,
            "selection_on": self.selection_on,
            "mutation_variance": self.mutation,
        }


@dataclass(frozen=True, eq=False)
class NaturalGradient:
    """Variational inference with a full-rank normal, one step of length rho in natural parameters.

    The objective is the tempered ELBO `nu E[log W] - KL(q, prior)`, prior N(0, 1 / precision).
    """

    genome: Genome
    nu: float = 1.0
    """Exponent of fitness; positive."""
    rate: float = 1.0
    """Step length rho, in (0, 1]."""
    precision: float = 0.0
    """Precision of the normal prior of each coordinate; 0 for no relaxation towards one."""

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate must be in (0, 1], got {self.rate}")
        if not self.nu > 0:
            raise ValueError(f"nu must be positive, got {self.nu}")

    def step(self, state: Gaussian, niche: Selection) -> Gaussian:
        """One step; without a prior to relax to it adds to the natural parameters (Bayes' rule)."""
        rule = Quadrature(self.genome)
        _, gradient, hessian = rule.slopes(state, niche, "mean_log")
        forget = self.rate if self.precision else 0.0
        old = torch.linalg.inv(state.covariance)
        prior = self.precision * torch.eye(len(old), dtype=old.dtype)
        new = (1 - forget) * old + forget * prior - self.rate * self.nu * hessian
        covariance = torch.linalg.inv((new + new.mT) / 2)
        push = self.rate * (self.nu * gradient - self.precision * state.mean)
        return Gaussian(state.mean + covariance @ push, covariance, state.generation + 1)

    def summary(self, state: Gaussian, niche: Selection) -> dict[str, Tensor]:
        """What a `Lineage` records."""
        return Quadrature(self.genome).summary(state, niche)

    @property
    def conventions(self) -> dict[str, Any]:
        """What a `Lineage` states about itself."""
        return {
            "dynamics": "natural-gradient variational inference",
            "nu": self.nu,
            "rate": self.rate,
            "selection_on": "mean_log",
        }
