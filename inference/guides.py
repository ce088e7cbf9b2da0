"""Variational families over the flat unconstrained vector: what a population can be."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor

from genomic_code.inference.flat import FlatModel
from genomic_code.spec.protocols import Data

__all__ = [
    "LARGEST",
    "Family",
    "FullRank",
    "Guide",
    "LocationScale",
    "LowRank",
    "MeanField",
    "cut",
    "folded",
    "solve_unit",
]

LOG_2PI = math.log(2 * math.pi)
LARGEST = 2**19
"""Largest number of entries of the blocks of one guide."""


class Guide(Protocol):
    """A family of distributions over flat vectors `(..., P)`, by flat parameters `(..., Q)`."""

    name: ClassVar[str]

    @property
    def linear(self) -> bool:
        """Whether draws are linear in the noise, so that they are jointly normal."""
        ...

    @property
    def width(self) -> int:
        """Numbers that one draw takes besides the flat vector."""
        ...

    def start(self, location: Tensor, scale: float | Tensor = 0.05) -> Tensor:
        """Parameters around locations `(..., P)`, of standard deviations `(P,)` or one for all."""
        ...

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        ...

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""
        ...

    def draw(self, parameters: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """What `sample` gives, and its `log q` `(...)` with the parameters in it held fixed.

        Their slope there has mean 0 and only adds to the variance: sticking the landing, Roeder et
        al. 2017, arXiv:1703.09194.
        """
        ...

    def bind(self, flat: FlatModel, data: Data, parameters: Tensor | None = None) -> "Guide":
        """The guide on a cohort, or several training sets of it; itself if it needs no data.

        With the parameters `(..., Q)` that were learnt there, where there are some.
        """
        ...


class Family(ABC):
    """A guide that does not look at the data."""

    @abstractmethod
    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""

    @abstractmethod
    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""

    def draw(self, parameters: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """What `sample` gives, and its `log q` `(...)` with the parameters in it held fixed."""
        flat = self.sample(parameters, noise)
        return flat, self.log_density(parameters.detach(), flat)

    def bind(self, flat: FlatModel, data: Data, parameters: Tensor | None = None) -> Self:
        """The guide itself."""
        return self


class LocationScale(Family):
    """Draws u = m + s * mix(e) of standard normal e, where `mix` is linear with its own parameters.

    Parameters `(..., 2P + M)` hold the locations m, log s, then the M numbers of `mix`.
    """

    linear: ClassVar[bool] = True

    @property
    def width(self) -> int:
        """Nothing besides the flat vector."""
        return 0

    def mixing(self, location: Tensor) -> Tensor | None:
        """Where the numbers of `mix` start `(..., M)`; None where there are none."""
        return None

    def mix(self, mixing: Tensor, noise: Tensor) -> Tensor:
        """`mix(e)`, shape `(..., P)`."""
        return noise

    def unmix(self, mixing: Tensor, scaled: Tensor) -> tuple[Tensor, Tensor | None]:
        """The noise `(..., P)` of which `mix` makes `scaled`, and its log determinant, if not 0."""
        return scaled, None

    def start(self, location: Tensor, scale: float | Tensor = 0.05) -> Tensor:
        """Parameters around locations `(..., P)`."""
        further = self.mixing(location)
        parts = [location, torch.as_tensor(scale).log().expand_as(location)]
        return torch.cat(parts if further is None else [*parts, further], -1)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        location, log_scale, mixing = split(parameters, noise.shape[-1])
        return location + log_scale.exp() * self.mix(mixing, noise)

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""
        location, log_scale, mixing = split(parameters, flat.shape[-1])
        noise, stretch = self.unmix(mixing, (flat - location) * (-log_scale).exp())
        density: Tensor = -(0.5 * noise.square() + log_scale + 0.5 * LOG_2PI).sum(-1)
        return density if stretch is None else density - stretch


def split(parameters: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Locations and log scales `(..., P)`, and whatever follows."""
    rest = parameters.shape[-1] - 2 * dim
    if not rest:
        location, log_scale = parameters.chunk(2, -1)
        return location, log_scale, parameters[..., :0]
    location, log_scale, mixing = parameters.split([dim, dim, rest], -1)
    return location, log_scale, mixing


@dataclass(frozen=True)
class MeanField(LocationScale):
    """Independent normals: `mix` changes nothing."""

    name: ClassVar[str] = "meanfield"


@dataclass(frozen=True)
class LowRank(LocationScale):
    """Normals with a covariance that is diagonal plus low rank.

        mix(e) = e + U U' e,   cov(u) = S (I + U U')^2 S,   U = V / sqrt(P) of rank r

    This is every diagonal plus positive semidefinite matrix of rank r, and needs no noise besides
    the P numbers of the flat vector.
    """

    name: ClassVar[str] = "lowrank"

    dim: int
    """Length P of the flat vector."""
    rank: int = 10
    """Rank r of what mean field lacks; at least 1."""

    def mixing(self, location: Tensor) -> Tensor:
        """V starts at random, as 0 would be a saddle point."""
        generator = torch.Generator().manual_seed(0)
        directions = torch.randn(self.dim * self.rank, generator=generator)
        expanded: Tensor = directions.to(location).expand(*location.shape[:-1], -1)
        return expanded

    def mix(self, mixing: Tensor, noise: Tensor) -> Tensor:
        """`e + U U' e`."""
        directions = self.directions(mixing)
        return noise + (directions @ (directions.mT @ noise[..., None]))[..., 0]

    def unmix(self, mixing: Tensor, scaled: Tensor) -> tuple[Tensor, Tensor | None]:
        """The inverse of `mix` by the lemma of Woodbury, its determinant by that of Sylvester."""
        directions, column = self.directions(mixing), scaled[..., None]
        eye = torch.eye(self.rank, dtype=scaled.dtype, device=scaled.device)
        # weights that are not finite must give an ELBO that is not, which is detected
        factor = torch.linalg.cholesky_ex(eye + directions.mT @ directions)[0]
        inner = torch.cholesky_solve(directions.mT @ column, factor)
        stretch = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return (column - directions @ inner)[..., 0], stretch

    def directions(self, mixing: Tensor) -> Tensor:
        """U `(..., P, r)`."""
        return folded(mixing, self.dim, self.rank) / math.sqrt(self.dim)


@dataclass(frozen=True)
class FullRank(LocationScale):
    """One joint normal, mixed by I + A / sqrt(P), A strictly lower triangular: for small models."""

    name: ClassVar[str] = "fullrank"

    dim: int
    """Length P of the flat vector."""

    def __post_init__(self) -> None:
        if self.dim**2 > LARGEST:
            raise ValueError(
                f"guide='fullrank' takes at most {math.isqrt(LARGEST)} weights, got {self.dim}; "
                "use 'lowrank'"
            )

    def mixing(self, location: Tensor) -> Tensor:
        """No correlation."""
        return location.new_zeros(*location.shape[:-1], self.dim**2)

    def mix(self, mixing: Tensor, noise: Tensor) -> Tensor:
        """`(I + A / sqrt(P)) e`."""
        return noise + (self.matrix(mixing) @ noise[..., None])[..., 0]

    def unmix(self, mixing: Tensor, scaled: Tensor) -> tuple[Tensor, Tensor | None]:
        """The inverse of `mix`; determinant 1."""
        return solve_unit(self.matrix(mixing), scaled), None

    def matrix(self, mixing: Tensor) -> Tensor:
        """`A / sqrt(P)` `(..., P, P)`."""
        return folded(mixing, self.dim, self.dim).tril(-1) / math.sqrt(self.dim)


def folded(values: Tensor, *sizes: int) -> Tensor:
    """The last dimension of values in several of these sizes."""
    return values.reshape(*values.shape[:-1], *sizes)


def cut(flat: Tensor, first: int, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """A flat vector before, in and after a site, the latter `(..., rows, columns)`."""
    last = first + rows * columns
    return flat[..., :first], folded(flat[..., first:last], rows, columns), flat[..., last:]


def solve_unit(lower: Tensor, values: Tensor) -> Tensor:
    """`(I + lower)^-1 values` for strictly lower triangular matrices `(..., K, K)`."""
    solved: Tensor = torch.linalg.solve_triangular(
        lower, values[..., None], upper=False, unitriangular=True
    )
    return solved[..., 0]
