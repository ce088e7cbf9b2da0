"""A guide whose direct effects have their exact posterior given everything else.

Where the expected traits are `rest(u) + x B` with B_lt = z_lt r_lt(u), z standard normal under the
prior, u all other sites, and the noise is normal, the effects of a trait are normal given u:

    z_t | u, Y ~ Normal(S^-1 h, S^-1),   S = I + R X' P X R,   h = R X' P (y - rest)

with R = diag(r_t) and P the precisions of the cells. Only u is left to be learnt, by mean field:
the effects are integrated out (collapsed, or Rao-Blackwellised, variational inference; Bishop 2006,
section 3.3, for the normal part). Mean field of z and r instead takes them for independent of each
other and of the effects of other loci. It finds effects more certain than they are, keeps some
whole and drops others, where the posterior hedges.

Other noise may be normal given more: Student's t given a precision for each cell, noise with a
common factor given the other traits. The guide then has a weight of each cell in P, and an offset
of its trait, which a fit by mean field has found (`inference.cell_weights`): given u the effects
are those of a normal model near by.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from genomic_code.inference.flat import FlatModel, compose, unvalidated
from genomic_code.inference.guides import LOG_2PI, LocationScale, cut, folded
from genomic_code.spec.protocols import Data

__all__ = ["Collapsed"]

WEIGHED = 2**25
"""Most multiplications for X' P X of one training set, where it is needed at each step."""
UNBOUND = "the guide must be bound to data"


@dataclass(frozen=True)
class Collapsed(LocationScale):
    """Mean field of all sites but the effects, which follow from these and the data.

    Parameters are those of mean field; the locations and scales of the effects have no use.
    """

    name: ClassVar[str] = "collapsed"
    linear: ClassVar[bool] = False

    first: int
    """Where the effects begin in the flat vector."""
    loci: int
    traits: int
    evidence: "Evidence | None" = field(default=None, init=False, repr=False, compare=False)
    """What the data say, once bound."""

    @property
    def width(self) -> int:
        """The Cholesky factors `(T, L, L)` of a draw."""
        return self.traits * self.loci**2

    def affordable(self, data: Data) -> bool:
        """Whether a step is cheap: with known errors it weighs all cells anew."""
        return not data.error.any() or self.width * data.observed.shape[-2] <= WEIGHED

    def bind(self, flat: FlatModel, data: Data, parameters: Tensor | None = None) -> "Collapsed":
        """The guide on a cohort `(..., N, L)`, or several training sets of it."""
        cells = None
        if parameters is not None and parameters.shape[-1] > 2 * flat.dim:
            cells = folded(parameters[..., 2 * flat.dim :], -1, *data.observed.shape[-2:])
        return self.weighed(flat, data, cells)

    def weighed(self, flat: FlatModel, data: Data, cells: Tensor | None) -> "Collapsed":
        """The guide with these weights, and maybe offsets, `(..., 1 or 2, N, T)` of the cells."""
        bound = replace(self)
        object.__setattr__(bound, "evidence", Evidence(flat, data, cells))
        return bound

    def start(self, location: Tensor, scale: float | Tensor = 0.05) -> Tensor:
        """Parameters around locations `(..., P)`, and what the cells have, which stays.

        Scales that are of one effect each start as wide as their prior, near which most stay.
        """
        if self.evidence is None:
            return super().start(location, scale)
        wide = self.evidence.prior_scale(self.loci * self.traits).to(location)
        plain = super().start(location, torch.where(wide > 0, wide, scale))
        cells = self.evidence.cells
        if cells is None:
            return plain
        return torch.cat([plain, cells.flatten(-3).expand(*plain.shape[:-1], -1)], -1)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        plain = super().sample(parameters[..., : 2 * noise.shape[-1]], noise)
        factor, half = solved(*self.system(plain))
        return self.joined(plain, upper(factor, half + self.effects(noise)))

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""
        factor, half = solved(*self.system(flat))
        normal = (factor.mT @ self.effects(flat)[..., None])[..., 0] - half
        return self.others(parameters, flat) + conditional(factor, normal)

    def draw(self, parameters: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """What `sample` gives, and its `log q` `(...)` with the parameters in it held fixed.

        The slope of log q = (log |S| - (z - m)' S (z - m)) / 2, with m = S^-1 h, needs none of the
        factor of S, which would cost several times the factor itself. Under normal noise log p -
        log q given u is the same whatever z is, so z is held fixed. Under other noise z moves with
        u along dz = S^-1 (dh - dS (z + m) / 2), on which the density of N(m, S^-1) is carried as by
        its factor (pathwise gradients: Jankowiak & Obermeyer 2018, arXiv:1806.01851) and the
        quadratic form in log q stays what it is.
        """
        assert self.evidence is not None, UNBOUND
        plain = super().sample(parameters, noise)
        gram, scale, linear = self.system(plain)
        normal = self.effects(noise)
        factor, half = solved(gram.detach(), scale.detach(), linear.detach())
        z, mean = upper(factor, half + normal), upper(factor, half)
        slope = 0.5 * quadratic(gram * torch.cholesky_inverse(factor), scale)
        density = self.others(parameters.detach(), plain) + conditional(factor, normal)
        if self.evidence.cells is None:
            fit = quadratic(gram, mean * scale) - quadratic(gram, z * scale)
            slope = slope + 0.5 * fit + ((z - mean) * linear).sum((-1, -2))
        else:
            middle = (z + mean) / 2
            way = linear - middle - scale * image(gram, scale * middle)
            z = z + torch.cholesky_solve((way - way.detach())[..., None], factor)[..., 0]
        return self.joined(plain, z), density + (slope - slope.detach())

    def system(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """G `(..., T or 1, L, L)`, r and h `(..., T, L)` of S = I + R G R, given the others."""
        assert self.evidence is not None, UNBOUND
        unit = flat.new_ones(*flat.shape[:-1], self.traits, self.loci)
        return self.evidence(self.joined(flat, unit))

    def others(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """Log density `(...)` of all sites but the effects."""
        dim = flat.shape[-1]
        location, log_scale = parameters[..., :dim], parameters[..., dim : 2 * dim]
        noise = (flat - location) * (-log_scale).exp()
        entries = 0.5 * noise.square() + log_scale + 0.5 * LOG_2PI
        before, _, after = self.cut(entries)
        return -before.sum(-1) - after.sum(-1)

    def cut(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A flat vector before, in and after the effects, the latter `(..., L, T)`."""
        return cut(flat, self.first, self.loci, self.traits)

    def effects(self, flat: Tensor) -> Tensor:
        """The effects `(..., T, L)` in a flat vector."""
        return self.cut(flat)[1].mT

    def joined(self, flat: Tensor, effects: Tensor) -> Tensor:
        """The flat vector with these effects `(..., T, L)`."""
        before, _, after = self.cut(flat)
        return torch.cat([before, effects.mT.flatten(-2), after], -1)


class Evidence:
    """What a cohort says of direct effects, given all other sites."""

    def __init__(self, flat: FlatModel, data: Data, cells: Tensor | None = None) -> None:
        self.flat, self.data, self.cells = flat, data, cells
        self.seen = data.observed.to(data.genotype.dtype)
        self.phenotype = data.phenotype
        if cells is not None:
            self.seen = self.seen * cells[..., 0, :, :]
            if cells.shape[-3] > 1 and data.phenotype is not None:
                self.phenotype = data.phenotype - cells[..., 1, :, :]
        self.known_errors = bool(data.error.any())
        self.gram = torch.empty(0)
        if self.known_errors:
            return  # the weights of cells, and so X' P X, change with the noise
        if bool((self.seen == self.seen[..., :1]).all()):
            self.gram = ((data.genotype * self.seen[..., :1]).mT @ data.genotype)[..., None, :, :]
        else:
            self.gram = weighted(data.genotype, self.seen)

    def prior_scale(self, entries: int) -> Tensor:
        """Prior standard deviation `(P,)` of normal sites of so many entries, 0 elsewhere."""
        precision = self.flat.normal.precision
        alike = torch.zeros_like(precision)
        for site in self.flat.sites:
            if site.stop - site.start == entries:
                alike[site.start : site.stop] = 1.0
        return torch.where(precision > 0, alike * precision.rsqrt(), 0.0)

    def __call__(self, flat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `Collapsed.system`, of flat vectors `(..., P)` in which all effects are 1.

        Where all cells of a trait are equally precise the precision is part of r, not of G.
        """
        data, formalization = self.data, self.flat.formalization
        weights, parameters = compose(formalization, self.flat.unpack(flat)[0], data.shape)
        scale = weights["effects"].mT
        without = {**weights, "effects": torch.zeros_like(weights["effects"])}
        with unvalidated():
            rest = formalization.develop(without, data.genotype, data.environment)
        assert self.phenotype is not None
        left, sd = self.seen * (self.phenotype - rest), parameters["noise_scale"]
        if self.known_errors:
            variance = sd[..., None, :].square() + data.error.square()
            linear = scale * (data.genotype.mT @ (left / variance)).mT
            return weighted(data.genotype, self.seen / variance), scale, linear
        scale = scale / sd[..., None]
        return self.gram, scale, scale * (data.genotype.mT @ left).mT / sd[..., None]


def weighted(genotype: Tensor, weights: Tensor) -> Tensor:
    """X' W X `(..., T, L, L)` of genotype `(..., N, L)` under weights `(..., N, T)`."""
    grams = [(genotype * column[..., None]).mT @ genotype for column in weights.unbind(-1)]
    return torch.stack(grams, -3)


def solved(gram: Tensor, scale: Tensor, linear: Tensor) -> tuple[Tensor, Tensor]:
    """The Cholesky factor C of S = I + R G R `(..., T, L, L)`, and C^-1 h `(..., T, L)`."""
    eye = torch.eye(scale.shape[-1], dtype=scale.dtype, device=scale.device)
    precision = torch.addcmul(eye, gram * scale[..., :, None], scale[..., None, :])
    # weights that are not finite must give an ELBO that is not, which is detected
    factor = torch.linalg.cholesky_ex(precision)[0]
    return factor, torch.linalg.solve_triangular(factor, linear[..., None], upper=False)[..., 0]


def upper(factor: Tensor, right: Tensor) -> Tensor:
    """C'^-1 times vectors `(..., T, L)`."""
    found: Tensor = torch.linalg.solve_triangular(factor.mT, right[..., None], upper=True)
    return found[..., 0]


def image(gram: Tensor, vectors: Tensor) -> Tensor:
    """`G v` of vectors `(..., T, L)`."""
    if gram.shape[-3] == 1:
        return vectors @ gram[..., 0, :, :]
    return (gram @ vectors[..., None])[..., 0]


def quadratic(gram: Tensor, vectors: Tensor) -> Tensor:
    """`v' G v` `(...)` of vectors `(..., T, L)`, summed over traits."""
    return (image(gram, vectors) * vectors).sum((-1, -2))


def conditional(factor: Tensor, normal: Tensor) -> Tensor:
    """Log density `(...)` of effects that standard normal `(..., T, L)` have made."""
    stretch = factor.diagonal(0, -2, -1).log().sum((-1, -2))
    return stretch - 0.5 * (normal.square() + LOG_2PI).sum((-1, -2))
