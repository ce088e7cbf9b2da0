"""Guides for effects on many traits at once, which mean field would take for independent."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions.transforms import CorrCholeskyTransform

from genomic_code.inference.guides import Family, LocationScale, folded, solve_unit

__all__ = ["PartlyCentred", "TraitBlocks"]

LITTLE = -2.0
"""Where the logits of w start: from 0 the way to rows without information is longer than a fit."""


@dataclass(frozen=True)
class TraitBlocks(LocationScale):
    """Mean field, but the effects of one locus on its T traits are jointly normal.

    In the basis in which training individuals are uncorrelated, this is the exact posterior of
    additive effects given their covariance between traits, where no cell is missing. A block is
    mixed by I + A / sqrt(T), with the A strictly lower triangular matrices `(r, T, T)` of r loci.
    """

    name: ClassVar[str] = "traitblocks"

    dim: int
    """Length P of the flat vector."""
    first: int
    """Where the effects begin in it."""
    loci: int
    traits: int

    def mixing(self, location: Tensor) -> Tensor:
        """No correlation."""
        return location.new_zeros(*location.shape[:-1], self.loci * self.traits**2)

    def matrices(self, mixing: Tensor) -> Tensor:
        """The matrices A / sqrt(T) `(..., r, T, T)`.

        Without the root a step of the optimiser moves T entries at once and overshoots.
        """
        lower = folded(mixing, self.loci, self.traits, self.traits).tril(-1)
        return lower / math.sqrt(self.traits)

    def cut(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A flat vector before, in and after the effects, the latter `(..., r, T)`."""
        last = self.first + self.loci * self.traits
        effects = folded(flat[..., self.first : last], self.loci, self.traits)
        return flat[..., : self.first], effects, flat[..., last:]

    def mix(self, mixing: Tensor, noise: Tensor) -> Tensor:
        """The effects of each locus mixed by I + A / sqrt(T)."""
        before, effects, after = self.cut(noise)
        mixed = effects + (self.matrices(mixing) @ effects[..., None])[..., 0]
        return torch.cat([before, mixed.flatten(-2), after], -1)

    def unmix(self, mixing: Tensor, scaled: Tensor) -> tuple[Tensor, Tensor | None]:
        """The inverse of `mix`; determinant 1."""
        before, effects, after = self.cut(scaled)
        noise = solve_unit(self.matrices(mixing), effects)
        return torch.cat([before, noise.flatten(-2), after], -1), None


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
