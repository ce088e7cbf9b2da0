"""Variational families over the flat unconstrained vector: what a population can be."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from genomic_code.inference.flat import FlatModel

__all__ = ["GUIDES", "FullRank", "Guide", "LowRank", "MeanField", "TraitBlocks", "choose_guide"]

LOG_2PI = math.log(2 * math.pi)
LARGEST = 2**19
"""Largest number of entries of the blocks of one guide."""
GUIDES = ("auto", "meanfield", "lowrank", "fullrank")
"""What `Settings.guide` may be."""


class Guide(Protocol):
    """A family of distributions over flat vectors `(..., P)`, by flat parameters `(..., Q)`."""

    name: ClassVar[str]

    def start(self, location: Tensor, scale: float | Tensor = 0.05) -> Tensor:
        """Parameters around locations `(..., P)`, of standard deviations `(P,)` or one for all."""
        ...

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        ...

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""
        ...


@dataclass(frozen=True)
class MeanField:
    """Independent normals: parameters `(..., 2P)` hold locations, then log standard deviations."""

    name: ClassVar[str] = "meanfield"

    def start(self, location: Tensor, scale: float | Tensor = 0.05) -> Tensor:
        """Parameters `(..., 2P)` around locations `(..., P)`."""
        return torch.cat([location, torch.as_tensor(scale).log().expand_as(location)], -1)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        location, log_scale = parameters.chunk(2, -1)
        return location + log_scale.exp() * noise

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""
        location, log_scale = parameters.chunk(2, -1)
        standard = (flat - location) * (-log_scale).exp()
        return -(0.5 * standard.square() + log_scale + 0.5 * LOG_2PI).sum(-1)


@dataclass(frozen=True)
class TraitBlocks:
    """Mean field, but the effects of one locus on its T traits are jointly normal.

    In the basis in which training individuals are uncorrelated, this is the exact posterior of
    additive effects given their covariance between traits, where no cell is missing. A block is
    u = m + s * (I + A) noise with A strictly lower triangular; parameters `(..., 2P + r T T)` hold
    locations, log s, then the matrices A of r loci.
    """

    name: ClassVar[str] = "traitblocks"

    dim: int
    """Length P of the flat vector."""
    first: int
    """Where the effects begin in it."""
    loci: int
    traits: int

    def start(self, location: Tensor, scale: float | Tensor = 0.05) -> Tensor:
        """Parameters around locations `(..., P)`, without correlation."""
        mixing = location.new_zeros(*location.shape[:-1], self.loci * self.traits**2)
        return torch.cat([location, torch.as_tensor(scale).log().expand_as(location), mixing], -1)

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Locations and log scales `(..., P)`, and the matrices A `(..., r, T, T)`."""
        location, log_scale = parameters[..., : 2 * self.dim].chunk(2, -1)
        shape = (*parameters.shape[:-1], self.loci, self.traits, self.traits)
        return location, log_scale, parameters[..., 2 * self.dim :].reshape(shape).tril(-1)

    def block(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A flat vector before, in and after the effects, the latter `(..., r, T)`."""
        last = self.first + self.loci * self.traits
        effects = flat[..., self.first : last]
        shape = (*flat.shape[:-1], self.loci, self.traits)
        return flat[..., : self.first], effects.reshape(shape), flat[..., last:]

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        location, log_scale, mixing = self.split(parameters)
        before, effects, after = self.block(noise)
        mixed = effects + (mixing @ effects[..., None])[..., 0]
        return location + log_scale.exp() * torch.cat([before, mixed.flatten(-2), after], -1)

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""
        location, log_scale, mixing = self.split(parameters)
        before, effects, after = self.block((flat - location) * (-log_scale).exp())
        unmixed = torch.linalg.solve_triangular(
            mixing, effects[..., None], upper=False, unitriangular=True
        )
        standard = torch.cat([before, unmixed[..., 0].flatten(-2), after], -1)
        return -(0.5 * standard.square() + log_scale + 0.5 * LOG_2PI).sum(-1)


@dataclass(frozen=True)
class LowRank:
    """Normals with a covariance that is diagonal plus low rank.

        u = m + s * (noise + U U' noise),   cov(u) = S (I + U U')^2 S,   U of rank r

    This is every diagonal plus positive semidefinite matrix of rank r, and needs no noise besides
    the P numbers of the flat vector. Parameters `(..., 2P + P r)` hold m, log s, then U.
    """

    name: ClassVar[str] = "lowrank"

    dim: int
    """Length P of the flat vector."""
    rank: int = 10
    """Rank r of what mean field lacks; at least 1."""

    def start(self, location: Tensor, scale: float | Tensor = 0.05) -> Tensor:
        """Parameters around locations `(..., P)`; U starts small, as 0 would be a saddle point."""
        generator = torch.Generator().manual_seed(0)
        directions = torch.randn(self.dim * self.rank, generator=generator) * self.dim**-0.5
        directions = directions.to(location).expand(*location.shape[:-1], -1)
        spread = torch.as_tensor(scale).log().expand_as(location)
        return torch.cat([location, spread, directions], -1)

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Locations and log scales `(..., P)`, and U `(..., P, r)`."""
        location, log_scale = parameters[..., : 2 * self.dim].chunk(2, -1)
        shape = (*parameters.shape[:-1], self.dim, self.rank)
        return location, log_scale, parameters[..., 2 * self.dim :].reshape(shape)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        location, log_scale, directions = self.split(parameters)
        along = directions @ (directions.mT @ noise[..., None])
        return location + log_scale.exp() * (noise + along[..., 0])

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`, by the lemmas of Woodbury and of Sylvester."""
        location, log_scale, directions = self.split(parameters)
        scaled = ((flat - location) * (-log_scale).exp())[..., None]
        eye = torch.eye(self.rank, dtype=flat.dtype, device=flat.device)
        factor = torch.linalg.cholesky(eye + directions.mT @ directions)
        inner = torch.cholesky_solve(directions.mT @ scaled, factor)
        standard = (scaled - directions @ inner)[..., 0]
        stretch = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        density: Tensor = -(0.5 * standard.square() + log_scale + 0.5 * LOG_2PI).sum(-1) - stretch
        return density


@dataclass(frozen=True)
class FullRank:
    """One joint normal: u = m + s * (I + A) noise, A strictly lower triangular.

    Parameters `(..., 2P + P P)` hold m, log s, then A: for small models only.
    """

    name: ClassVar[str] = "fullrank"

    dim: int
    """Length P of the flat vector."""

    def __post_init__(self) -> None:
        if self.dim**2 > LARGEST:
            raise ValueError(
                f"guide='fullrank' takes at most {math.isqrt(LARGEST)} weights, got {self.dim}; "
                "use 'lowrank'"
            )

    def start(self, location: Tensor, scale: float | Tensor = 0.05) -> Tensor:
        """Parameters around locations `(..., P)`, without correlation."""
        mixing = location.new_zeros(*location.shape[:-1], self.dim**2)
        return torch.cat([location, torch.as_tensor(scale).log().expand_as(location), mixing], -1)

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Locations and log scales `(..., P)`, and A `(..., P, P)`."""
        location, log_scale = parameters[..., : 2 * self.dim].chunk(2, -1)
        shape = (*parameters.shape[:-1], self.dim, self.dim)
        return location, log_scale, parameters[..., 2 * self.dim :].reshape(shape).tril(-1)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        location, log_scale, mixing = self.split(parameters)
        return location + log_scale.exp() * (noise + (mixing @ noise[..., None])[..., 0])

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""
        location, log_scale, mixing = self.split(parameters)
        scaled = ((flat - location) * (-log_scale).exp())[..., None]
        standard = torch.linalg.solve_triangular(mixing, scaled, upper=False, unitriangular=True)
        density: Tensor = -(0.5 * standard[..., 0].square() + log_scale + 0.5 * LOG_2PI).sum(-1)
        return density


def choose_guide(flat: FlatModel, kind: str = "auto") -> Guide:
    """The guide of a kind in `GUIDES`.

    `auto`: trait blocks for dense additive effects of a size that allows it, else mean field.
    """
    if kind == "lowrank":
        return LowRank(flat.dim, min(10, flat.dim))
    if kind == "fullrank":
        return FullRank(flat.dim)
    if kind == "auto":
        for site in flat.sites:
            if site.name == "effects" and site.isotropic and site.dims == ("locus", "trait"):
                loci, traits = site.shape
                if traits > 1 and loci * traits**2 <= LARGEST:
                    return TraitBlocks(flat.dim, site.start, loci, traits)
    return MeanField()
