"""An orthogonal basis of the genotype in which training individuals have uncorrelated coordinates.

Where a formalization meets the genotype only in products `x W` with independent standard normal
entries of W, any orthogonal change of basis leaves the model as it is. In the basis of the
training rows the posterior of W is (nearly) uncorrelated, so mean field becomes accurate under
linkage, and L loci shrink to at most N coordinates without approximation.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Basis"]

LARGEST = 5000
"""Largest number of coordinates for which the eigendecomposition is worth its cost."""


class Basis(NamedTuple):
    """Orthonormal columns `vectors` `(L, r)`, zero-padded to a common r."""

    vectors: Tensor

    @classmethod
    def fit(cls, genotype: Tensor, training: Tensor) -> "Basis | None":
        """Basis of all rows of `genotype` `(N, L)`; the training rows are uncorrelated in it.

        Directions of held-out rows outside the span of the training rows follow as further
        columns: there the posterior is the prior. None where the basis would be too large.
        """
        if min(genotype.shape) > LARGEST:
            return None
        x = genotype.double()
        inside = principal(x[training])
        outside = x[~training] - (x[~training] @ inside) @ inside.mT
        vectors = inside
        if len(outside) and inside.shape[1] < x.shape[1]:
            vectors = torch.cat([inside, principal(outside)], 1)
        return cls(vectors.to(genotype.dtype))

    def pad(self, columns: int) -> "Basis":
        """The basis with zero columns appended."""
        extra = self.vectors.new_zeros(len(self.vectors), columns - self.vectors.shape[1])
        return Basis(torch.cat([self.vectors, extra], 1))

    def rotate(self, genotype: Tensor) -> Tensor:
        """Coordinates `(N, r)`, scaled so that weights keep the prior scale 1 / sqrt(r)."""
        loci, columns = self.vectors.shape
        rotated: Tensor = (genotype @ self.vectors) * (columns / loci) ** 0.5
        return rotated

    def restore(self, weights: Tensor, noise: Tensor) -> Tensor:
        """Site values `(..., L, M)` over loci from `(..., r, M)` over coordinates.

        `noise` `(..., L, M)` is standard normal: it fills the directions that no individual spans,
        where the posterior is the prior.
        """
        used = self.vectors.abs().sum(0) > 0
        span = self.vectors[:, used]
        return noise + span @ (weights[..., used, :] - span.mT @ noise)


def principal(rows: Tensor) -> Tensor:
    """Orthonormal basis `(L, k)` of the row space, by decreasing variance."""
    n, loci = rows.shape
    if n < loci:
        values, vectors = torch.linalg.eigh(rows @ rows.mT)
        keep = values > values[-1] * 1e-9
        vectors = rows.mT @ (vectors[:, keep] / values[keep].sqrt())
    else:
        values, vectors = torch.linalg.eigh(rows.mT @ rows)
    flipped: Tensor = vectors.flip(1)
    return flipped
