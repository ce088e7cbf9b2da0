"""A guide in which the weights onto a latent are as if the latent had been measured.

Where the data meet the weights w of an encoder only in the latents x_n w, and w is standard normal
under the prior, the best normal distribution of the weights onto one latent, whatever the decoder
and the noise, is

    w ~ Normal(m, S^-1),   S = I + sum_n lam_n x_n x_n',   lam_n >= 0

as if the latent of each individual n had been measured with precision lam_n (Opper & Archambeau
2009, doi:10.1162/neco.2008.08-07-592; there lam_n may be negative). So N numbers a latent say what
the L (L + 1) / 2 of any covariance could, and are learnt in fewer steps.
"""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from genomic_code.inference.flat import FlatModel
from genomic_code.inference.guides import LOG_2PI, LocationScale, cut, folded
from genomic_code.spec.linear import project
from genomic_code.spec.protocols import Data

__all__ = ["MeasuredLatents"]

START = 30.0
"""Precision of each measurement at the start; latents of unit variance have prior precision 1."""


@dataclass(frozen=True)
class MeasuredLatents(LocationScale):
    """Mean field, but the weights onto one latent are jointly normal, with precision S.

    Parameters `(..., 2P + K N)` hold those of mean field, then log lam. The standard deviations of
    the encoder have no use but for the optimiser, whose steps they scale; they stay.
    """

    name: ClassVar[str] = "measuredlatents"

    dim: int
    """Length P of the flat vector."""
    first: int
    """Where the encoder `(L, K)` begins in it."""
    loci: int
    latents: int
    individuals: int
    genotype: Tensor | None = field(default=None, init=False, repr=False, compare=False)
    """Of the training individuals, 0 for others `(..., N, L)`, in units of the latents."""

    def bind(
        self, flat: FlatModel, data: Data, parameters: Tensor | None = None
    ) -> "MeasuredLatents":
        """The guide on a cohort `(..., N, L)`, or several training sets of it."""
        bound = replace(self)
        seen = data.observed.any(-1, keepdim=True)
        object.__setattr__(bound, "genotype", data.genotype * seen / math.sqrt(self.loci))
        return bound

    @property
    def measured(self) -> Tensor:
        """The genotype, once bound."""
        assert self.genotype is not None, "the guide must be bound to data"
        return self.genotype

    def mixing(self, location: Tensor) -> Tensor:
        """Where log lam starts `(..., K N)`."""
        number = self.latents * self.individuals
        return location.new_full((*location.shape[:-1], number), math.log(START))

    def start(self, location: Tensor, scale: float | Tensor = 0.05) -> Tensor:
        """Parameters around locations `(..., P)`; `scale` is that of the other sites."""
        plain = super().start(location, scale)
        if self.genotype is not None:
            entries = slice(self.dim + self.first, self.dim + self.first + self.loci * self.latents)
            deviation = (1 + START * self.genotype.square().sum(-2)).rsqrt()
            each = deviation.log()[..., None].expand(*deviation.shape, self.latents)
            plain[..., entries] = each.flatten(-2)
        return plain

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        before, _, after = self.cut(super().sample(parameters[..., : 2 * self.dim], noise))
        centre = self.cut(parameters[..., : self.dim])[1]
        spread = solve(self.factor(parameters).mT, self.cut(noise)[1], upper=True)
        return self.joined(before, centre + spread, after)

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""
        away = self.cut(flat - parameters[..., : self.dim])[1]
        image = project(self.measured, away.mT).square() * self.precision(parameters).mT
        square = away.square().sum((-1, -2)) + image.sum((-1, -2))
        return self.others(parameters, flat) + normal(self.factor(parameters), square)

    def draw(self, parameters: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """What `sample` gives, and its `log q` `(...)` with the parameters in it held fixed.

        Draws move with lam by -S^-1 dS (w - m) / 2, which changes their distribution as the
        derivative of the Cholesky factor would, but takes no derivative of it (Jankowiak &
        Obermeyer 2018, arXiv:1806.01851).
        """
        fixed = parameters.detach()
        factor = self.factor(fixed)
        before, _, after = self.cut(super().sample(parameters[..., : 2 * self.dim], noise))
        centre, unit = self.cut(parameters[..., : self.dim])[1], self.cut(noise)[1]
        away = solve(factor.mT, unit, upper=True)
        image = self.precision(parameters).mT * project(self.measured, away.mT)
        turned = project(self.measured.mT.contiguous(), image).mT
        moved = solve(factor.mT, solve(factor, turned, upper=False), upper=True)
        encoder = centre + away - 0.5 * (moved - moved.detach())
        flat = self.joined(before, encoder, after)
        # the slope of log q in w is -S (w - m), and w - m is C'^-1 of the noise
        slope = (factor @ unit[..., None])[..., 0] * (encoder - encoder.detach())
        density = normal(factor, unit.square().sum((-1, -2))) - slope.sum((-1, -2))
        return flat, self.others(fixed, flat) + density

    def precision(self, parameters: Tensor) -> Tensor:
        """The precisions lam `(..., K, N)`."""
        return folded(parameters[..., 2 * self.dim :], self.latents, self.individuals).exp()

    def factor(self, parameters: Tensor) -> Tensor:
        """The Cholesky factor C of S `(..., K, L, L)`."""
        each = self.measured[..., None, :, :]
        eye = torch.eye(self.loci, dtype=each.dtype, device=each.device)
        gram = (each * self.precision(parameters)[..., None]).mT @ each
        # weights that are not finite must give an ELBO that is not, which is detected
        factor: Tensor = torch.linalg.cholesky_ex(gram + eye)[0]
        return factor

    def others(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """Log density `(...)` of all sites but the encoder."""
        location, log_scale = parameters[..., : self.dim], parameters[..., self.dim : 2 * self.dim]
        unit = (flat - location) * (-log_scale).exp()
        before, _, after = self.cut(0.5 * unit.square() + log_scale + 0.5 * LOG_2PI)
        return -before.sum(-1) - after.sum(-1)

    def cut(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A flat vector before, in and after the encoder, the latter `(..., K, L)`."""
        before, encoder, after = cut(flat, self.first, self.loci, self.latents)
        return before, encoder.mT, after

    def joined(self, before: Tensor, encoder: Tensor, after: Tensor) -> Tensor:
        """The inverse of `cut`."""
        return torch.cat([before, encoder.mT.flatten(-2), after], -1)


def normal(factor: Tensor, square: Tensor) -> Tensor:
    """Log density `(...)` of weights with these Cholesky factors `(..., K, L, L)` of S.

    `square` is (w - m)' S (w - m), summed over latents.
    """
    latents, loci = factor.shape[-3:-1]
    stretch = factor.diagonal(0, -2, -1).log().sum((-1, -2))
    return stretch - 0.5 * (square + latents * loci * LOG_2PI)


def solve(factor: Tensor, vectors: Tensor, upper: bool) -> Tensor:
    """Inverse of triangular matrices `(..., K, L, L)` times vectors `(..., K, L)`.

    Vectors may have one more dimension, of draws, in front: then these are columns together.
    """
    if vectors.dim() < factor.dim():
        single: Tensor = torch.linalg.solve_triangular(factor, vectors[..., None], upper=upper)
        return single[..., 0]
    columns = vectors.movedim(0, -1)
    solved: Tensor = torch.linalg.solve_triangular(factor, columns, upper=upper)
    return solved.movedim(-1, 0)
