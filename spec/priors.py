"""Priors over genomic weights: non-centred, so that no site's prior depends on another site.

Each prior is a callable `(name, sizes) -> weights`; see `spec.protocols.Prior`. Auxiliary sites
(`name_local`, `name_global`, `name_slab`) are independent a priori and combined by arithmetic that
accepts leading batch dimensions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from genomic_code.spec.protocols import Prior, Shape, Weights

__all__ = [
    "Dense",
    "Horseshoe",
    "baseline",
    "baseline_traits",
    "choose",
    "correlation",
    "positive",
    "trait_scale",
]

Sizes = Mapping[str, int]


def sample(name: str, prior: dist.TorchDistribution, sizes: Sizes, **infer: object) -> Tensor:
    """One site of independent `prior` entries, labelled with its dimensions."""
    full = prior.expand(torch.Size(sizes.values())).to_event(len(sizes))
    return site(name, full, dims=tuple(sizes), **infer)


def site(name: str, prior: dist.TorchDistribution, **infer: object) -> Tensor:
    """One Pyro site; `infer` holds its dimensions and what the fit should know about it."""
    return pyro.sample(name, prior, infer=cast(Any, infer))


@dataclass(frozen=True)
class Dense:
    """Independent normal weights, `scale * Normal(0, 1)`: every locus contributes a little."""

    scale: float = 1.0
    """Standard deviation of a weight; positive."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale must be positive and finite, got {self.scale}")

    def __call__(self, name: str, sizes: Sizes) -> Tensor:
        """Weights of shape `(..., *sizes)`."""
        return self.scale * sample(name, dist.Normal(0.0, 1.0), sizes, isotropic=True)


@dataclass(frozen=True)
class Horseshoe:
    """Regularised horseshoe over the rows, one global scale a column: few non-zero weights.

        w_lt = z_lt tau_t lam~_lt,   lam~^2 = c_t^2 lam^2 / (c_t^2 + tau_t^2 lam^2)
        z ~ N(0, 1), lam ~ HalfCauchy(1), tau ~ LogNormal(log tau0, 1), c^2 ~ InvGamma(2, slab)

    Piironen & Vehtari 2017, doi:10.1214/17-EJS1337SI. The last dimension is the column.
    """

    tau: float = 0.1
    """Prior median of the global scale tau0; positive."""
    slab: float = 0.2
    """Scale of the inverse-gamma prior of the squared slab width c^2; positive."""

    def __post_init__(self) -> None:
        for field in ("tau", "slab"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} must be positive, got {getattr(self, field)}")

    def __call__(self, name: str, sizes: Sizes) -> Tensor:
        """Weights of shape `(..., *sizes)`."""
        column = dict([list(sizes.items())[-1]])
        weights = sample(name, dist.Normal(0.0, 1.0), sizes)
        local = sample(f"{name}_local", dist.HalfCauchy(1.0), sizes)
        shrink = sample(f"{name}_global", dist.LogNormal(math.log(self.tau), 1.0), column)
        slab = sample(f"{name}_slab", dist.InverseGamma(2.0, self.slab), column)
        lead = (..., *(None,) * (len(sizes) - 1), slice(None))
        wide = shrink[lead] * local
        return weights * wide * torch.rsqrt(1 + wide.square() / slab[lead])


def choose(prior: Mapping[str, Prior], name: str, default: Prior) -> Prior:
    """The user's prior for the weights called `name`, else the formalization's default."""
    return prior.get(name, default)


def positive(name: str, sizes: Sizes, scale: float) -> Tensor:
    """Half-normal scales of shape `(..., *sizes)`."""
    return sample(name, dist.HalfNormal(scale), sizes)


def trait_scale(shape: Shape, scale: float) -> Tensor:
    """Half-normal standard deviation `(..., T)` of each trait's genetic value, in trait sd."""
    return positive("trait_scale", {"trait": shape.traits}, scale)


def correlation(shape: Shape, concentration: float) -> Tensor:
    """Cholesky factor `(..., T, T)` of a correlation matrix over traits, C ~ LKJ.

    Lewandowski, Kurowicka & Joe 2009, doi:10.1016/j.jmva.2009.04.008.
    """
    if shape.traits == 1:
        return torch.ones(1, 1)
    prior = dist.LKJCholesky(shape.traits, concentration)
    return site("trait_correlation", prior, dims=("trait", "trait_other"))


def baseline(shape: Shape) -> dict[str, Tensor]:
    """Weights that every formalization shares: mean (T) and additive environment effects (C, T)."""
    weights = {"mean": sample("mean", dist.Normal(0.0, 1.0), {"trait": shape.traits})}
    if shape.environments:
        sizes = {"covariate": shape.environments, "trait": shape.traits}
        weights["environment_effect"] = sample("environment_effect", dist.Normal(0.0, 0.5), sizes)
    return weights


def baseline_traits(weights: Weights, environment: Tensor) -> Tensor:
    """`mu + E D`, shape `(..., N, T)`."""
    expected = weights["mean"][..., None, :]
    if "environment_effect" in weights:
        expected = expected + environment @ weights["environment_effect"]
    return expected
