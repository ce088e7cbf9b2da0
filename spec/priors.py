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
from genomic_code.spec.validate import one_of, positive_fields

__all__ = [
    "ARD",
    "Dense",
    "Horseshoe",
    "baseline",
    "baseline_traits",
    "choose",
    "correlation",
    "environment_effects",
    "positive",
    "standard_starts",
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
        positive_fields(self, "scale")

    def __call__(self, name: str, sizes: Sizes) -> Tensor:
        """Weights of shape `(..., *sizes)`."""
        return self.scale * sample(name, dist.Normal(0.0, 1.0), sizes, isotropic=True)


@dataclass(frozen=True)
class ARD:
    """Automatic relevance determination: what the data do not need is switched off together.

        w_ij = scale r_i z_ij,   z ~ Normal(0, 1),   r ~ HalfNormal(1)

    One relevance r for every row (locus, latent, hidden unit), or for every entry of the dimension
    named by `over`. MacKay 1992, doi:10.1162/neco.1992.4.3.448; Neal 1996,
    doi:10.1007/978-1-4612-0745-0.
    """

    scale: float = 1.0
    """Standard deviation of a weight of relevance 1; positive."""
    over: str | None = None
    """Dimension with one relevance an entry, for instance `latent`; by default the rows."""

    def __post_init__(self) -> None:
        positive_fields(self, "scale")

    def __call__(self, name: str, sizes: Sizes) -> Tensor:
        """Weights of shape `(..., *sizes)`."""
        names = list(sizes)
        over = names[0] if self.over is None else one_of("over", self.over, names)
        place = names.index(over)
        # Relevances of other dimensions leave the loci exchangeable under rotation.
        weights = sample(name, dist.Normal(0.0, 1.0), sizes, isotropic=place > 0)
        relevance = sample(f"{name}_relevance", dist.HalfNormal(1.0), {over: sizes[over]})
        others = [(None,) * count for count in (place, len(names) - 1 - place)]
        return self.scale * weights * relevance[(..., *others[0], slice(None), *others[1])]


@dataclass(frozen=True)
class Horseshoe:
    """Regularised horseshoe over the rows, one global scale a column: few non-zero weights.

        w_lt = z_lt tau_t lam~_lt,   lam~^2 = c_t^2 lam^2 / (c_t^2 + tau_t^2 lam^2)
        z ~ N(0, 1), lam ~ HalfCauchy(1), tau ~ LogNormal(log tau0, 1), c^2 ~ InvGamma(2, slab)

    Piironen & Vehtari 2017, doi:10.1214/17-EJS1337SI. The last dimension is the column.

    With `shared`, lam_lt is multiplied by eta_l ~ HalfCauchy(1), a scale of the row that all its
    columns share: weights that are not zero come in the same rows, with a size and sign of their
    own each. Ruffieux et al. 2020, doi:10.1214/20-AOAS1332 (there of inclusion, here of scale).
    """

    tau: float = 0.1
    """Prior median of the global scale tau0; positive."""
    slab: float = 0.2
    """Scale of the inverse-gamma prior of the squared slab width c^2; positive."""
    shared: bool = False
    """Whether each row has a scale that its columns share."""

    def __post_init__(self) -> None:
        positive_fields(self, "tau", "slab")

    def __call__(self, name: str, sizes: Sizes) -> Tensor:
        """Weights of shape `(..., *sizes)`."""
        *first, last = sizes.items()
        row, column = dict(first), dict([last])
        weights = sample(name, dist.Normal(0.0, 1.0), sizes)
        local = sample(f"{name}_local", dist.HalfCauchy(1.0), sizes)
        shrink = sample(f"{name}_global", dist.LogNormal(math.log(self.tau), 1.0), column)
        slab = sample(f"{name}_slab", dist.InverseGamma(2.0, self.slab), column)
        lead = (..., *(None,) * (len(sizes) - 1), slice(None))
        if self.shared:
            local = local * sample(f"{name}_row", dist.HalfCauchy(1.0), row)[..., None]
        wide = shrink[lead] * local
        return weights * wide * torch.rsqrt(1 + wide.square() / slab[lead])

    def sites(self, name: str, weights: Tensor) -> dict[str, Tensor]:
        """Site values that make these weights `(..., M)`, with column scales at their medians."""
        size = weights.abs()
        most = 0.9 * math.sqrt(0.6 * self.slab)  # 0.6 slab: median of the squared slab width
        within = size.clamp_max(most)
        wide = within * torch.rsqrt(1 - within.square() / (0.6 * self.slab))
        local = torch.where(size > 0, wide / self.tau, 1.0)
        column = weights.new_ones(weights.shape[-1])
        row = {f"{name}_row": weights.new_ones(weights.shape[:-1])} if self.shared else {}
        return row | {
            name: weights.sign() * torch.where(size > most, size / most, 1.0),
            f"{name}_local": local,
            f"{name}_global": self.tau * column,
            f"{name}_slab": 0.6 * self.slab * column,
        }


def choose(prior: Mapping[str, Prior], name: str, default: Prior) -> Prior:
    """The user's prior for the weights called `name`, else the formalization's default."""
    return prior.get(name, default)


def standard_starts(
    sizes: Mapping[str, Sizes], prior: Mapping[str, Prior], generator: torch.Generator
) -> dict[str, Tensor]:
    """Standard normal values of `Dense` sites by name, without those that have a user's prior."""
    return {
        name: torch.randn(tuple(dims.values()), generator=generator)
        for name, dims in sizes.items()
        if name not in prior
    }


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
    mean = sample("mean", dist.Normal(0.0, 1.0), {"trait": shape.traits})
    return {"mean": mean, **environment_effects(shape)}


def environment_effects(shape: Shape) -> dict[str, Tensor]:
    """Additive effects of the environment `environment_effect` (C, T), if there is any."""
    if not shape.environments:
        return {}
    sizes = {"covariate": shape.environments, "trait": shape.traits}
    return {"environment_effect": sample("environment_effect", dist.Normal(0.0, 0.5), sizes)}


def baseline_traits(weights: Weights, environment: Tensor) -> Tensor:
    """`mu + E D`, shape `(..., N, T)`."""
    expected = weights["mean"][..., None, :]
    if "environment_effect" in weights:
        expected = expected + environment @ weights["environment_effect"]
    return expected
