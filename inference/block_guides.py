"""Guides that know which entries of a site depend on each other."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions.transforms import CorrCholeskyTransform

from genomic_code.inference.guides import Family, LocationScale, cut, folded, solve_unit

__all__ = ["Blocks", "LatentBlocks", "PartlyCentred", "TraitBlocks"]

LITTLE = -2.0
"""Where the logits of w start: from 0 the way to rows without information is longer than a fit."""


class Blocks(LocationScale):
    """Mean field, but within each of several blocks of a site the entries are jointly normal.

    A block is mixed by I + A / sqrt(m), with the A strictly lower triangular matrices `(b, m, m)`
    of b blocks of m entries.
    """

    by_row: ClassVar[bool]
    """Whether rows of the site are the blocks, not columns."""
    first: int

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the site."""

    @property
    def sizes(self) -> tuple[int, int]:
        """Number b of blocks, and m of the entries of each."""
        rows, columns = self.shape
        return (rows, columns) if self.by_row else (columns, rows)

    def cut(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A flat vector before, in and after the site, the latter in blocks `(..., b, m)`."""
        before, site, after = cut(flat, self.first, *self.shape)
        return before, site if self.by_row else site.mT, after

    def joined(self, before: Tensor, blocks: Tensor, after: Tensor) -> Tensor:
        """The inverse of `cut`."""
        site = blocks if self.by_row else blocks.mT
        return torch.cat([before, site.flatten(-2), after], -1)

    def mixing(self, location: Tensor) -> Tensor:
        """No correlation."""
        number, size = self.sizes
        return location.new_zeros(*location.shape[:-1], number * size**2)

    def matrices(self, mixing: Tensor) -> Tensor:
        """The matrices A / sqrt(m) `(..., b, m, m)`.

        Without the root a step of the optimiser moves m entries at once and overshoots.
        """
        number, size = self.sizes
        return folded(mixing, number, size, size).tril(-1) / math.sqrt(size)

    def mix(self, mixing: Tensor, noise: Tensor) -> Tensor:
        """Each block mixed by I + A / sqrt(m)."""
        before, blocks, after = self.cut(noise)
        mixed = blocks + (self.matrices(mixing) @ blocks[..., None])[..., 0]
        return self.joined(before, mixed, after)

    def unmix(self, mixing: Tensor, scaled: Tensor) -> tuple[Tensor, Tensor | None]:
        """The inverse of `mix`; determinant 1."""
        before, blocks, after = self.cut(scaled)
        return self.joined(before, solve_unit(self.matrices(mixing), blocks), after), None


@dataclass(frozen=True)
class TraitBlocks(Blocks):
    """The effects of one locus on its T traits are jointly normal.

    In the basis in which training individuals are uncorrelated, this is the exact posterior of
    additive effects given their covariance between traits, where no cell is missing.
    """

    name: ClassVar[str] = "traitblocks"
    by_row: ClassVar[bool] = True

    dim: int
    """Length P of the flat vector."""
    first: int
    """Where the effects `(L, T)` begin in it."""
    loci: int
    traits: int

    @property
    def shape(self) -> tuple[int, int]:
        """Of the effects."""
        return self.loci, self.traits


@dataclass(frozen=True)
class LatentBlocks(Blocks):
    """The weights from all L loci onto one latent are jointly normal.

    Where latents are decoded nonlinearly some individuals say more of them than others, so that in
    no basis the weights are uncorrelated.
    """

    name: ClassVar[str] = "latentblocks"
    by_row: ClassVar[bool] = False

    dim: int
    """Length P of the flat vector."""
    first: int
    """Where the encoder `(L, K)` begins in it."""
    loci: int
    latents: int

    @property
    def shape(self) -> tuple[int, int]:
        """Of the encoder."""
        return self.loci, self.latents


@dataclass(frozen=True)
class PartlyCentred(Family):
    """Effects on correlated traits, centred row by row as far as the data ask.

    Effects are z M, with z standard normal under the prior and M the mixing of traits, which has
    weights of its own: M = R' diag(s) of a Cholesky factor R and scales s. Of a row (a locus, or an
    axis of the basis) of which the data say much they fix z M, whatever M is; of one of which they
    say little z stays at its prior. Independent z and M are wrong about the former, independent z M
    and M about the latter. In between,

        z = v ((1 - w) I + w M^-1),   0 < w < 1

    with v and all other sites as in `blocks`, and w of each row learnt with them.
    Papaspiliopoulos, Roberts & Skold 2007, doi:10.1214/088342307000000014; Gorinova, Moore &
    Hoffman 2020, arXiv:1906.03028.
    """

    name: ClassVar[str] = "partlycentred"
    linear: ClassVar[bool] = False

    blocks: TraitBlocks
    scales: int
    """Where the logarithms of the T scales begin."""
    correlations: int
    """Where the T (T - 1) / 2 unconstrained numbers of the Cholesky factor begin."""

    @property
    def width(self) -> int:
        """The kernels `(r, T, T)` of a draw."""
        return self.blocks.loci * self.blocks.traits**2

    def start(self, location: Tensor, scale: float | Tensor = 0.05) -> Tensor:
        """Parameters around locations `(..., P)`; `scale` is that of v and the other sites."""
        logits = location.new_full((*location.shape[:-1], self.blocks.loci), LITTLE)
        plain, _ = self.uncentre(logits, location)
        return torch.cat([self.blocks.start(plain, scale), logits], -1)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        inner, logits = self.split(parameters)
        plain = self.blocks.sample(inner, noise)
        before, v, after = self.blocks.cut(plain)
        share = logits.sigmoid()[..., None]
        effects = (1 - share) * v + (share * v) @ self.inverse(plain)
        return torch.cat([before, effects.flatten(-2), after], -1)

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""
        inner, logits = self.split(parameters)
        plain, stretch = self.uncentre(logits, flat)
        return self.blocks.log_density(inner, plain) - stretch

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters of the inner guide, and the logits `(..., r)` of w."""
        return parameters[..., : -self.blocks.loci], parameters[..., -self.blocks.loci :]

    def inverse(self, flat: Tensor) -> Tensor:
        """M^-1 `(..., T, T)`, upper triangular."""
        traits = self.blocks.traits
        logs = flat[..., self.scales : self.scales + traits]
        count = traits * (traits - 1) // 2
        free = flat[..., self.correlations : self.correlations + count]
        factor = CorrCholeskyTransform()(free)
        eye = torch.eye(traits, dtype=flat.dtype, device=flat.device).expand_as(factor)
        whole: Tensor = torch.linalg.solve_triangular(factor.mT, eye, upper=True)
        return (-logs).exp()[..., None] * whole

    def uncentre(self, logits: Tensor, flat: Tensor) -> tuple[Tensor, Tensor]:
        """The flat vector with v instead of z, and the log determinant `(...)` of z by v."""
        before, effects, after = self.blocks.cut(flat)
        share = logits.sigmoid()[..., None, None]
        eye = torch.eye(self.blocks.traits, dtype=flat.dtype, device=flat.device)
        kernel = (1 - share) * eye + share * self.inverse(flat)[..., None, :, :]
        v: Tensor = torch.linalg.solve_triangular(
            kernel, effects[..., None, :], upper=True, left=False
        )
        plain = torch.cat([before, v[..., 0, :].flatten(-2), after], -1)
        return plain, kernel.diagonal(0, -2, -1).log().sum((-1, -2))
