"""What each cell says of its trait where noise is not normal, but normal given something else.

Student's t is a normal whose precision has a gamma distribution: given the residual a cell weighs
E (nu + 1) / (nu + residual^2 / sigma^2). Noise with a common factor is normal given the other
traits: with precision p = 1 + sum l^2 / s^2 over them and m = sum (l r / s^2) / p, a cell has the
offset l m and the variance s^2 + l^2 / p. Where it has heavy tails too, both hold nearly. A fit by
mean field says what the residuals are.
"""

import pyro.distributions as dist
import torch
from torch import Tensor

from genomic_code.inference.flat import FlatModel, compose, unvalidated
from genomic_code.inference.guides import MeanField
from genomic_code.spec.noise import CommonFactor, CommonFactorT, StudentT
from genomic_code.spec.noise.common import CommonFactorCells
from genomic_code.spec.noise.support import cell_numbers
from genomic_code.spec.protocols import Data

__all__ = ["CONDITIONALLY_NORMAL", "cell_weights"]

CONDITIONALLY_NORMAL = (StudentT, CommonFactor, CommonFactorT)
"""Noise that is normal given something else."""
DRAWS, TOGETHER = 100, 2**24
"""Draws for the weights of cells, and numbers held at once."""


def cell_weights(
    flat: FlatModel, data: Data, parameters: Tensor, generator: torch.Generator
) -> Tensor:
    """Weights of cells in units of sigma^-2, and maybe offsets, `(..., 1 or 2, N, T)`.

    Means over what mean field with these parameters `(..., 2 P)` makes of all sites.
    """
    largest = max(flat.dim, cell_numbers(flat.formalization.noise, data.observed.shape))
    together = max(1, TOGETHER // largest)
    total = torch.zeros((), device=parameters.device)
    for first in range(0, DRAWS, together):
        number = min(together, DRAWS - first)
        noise = parameters.new_empty(number, *parameters.shape[:-1], flat.dim)
        draw = MeanField().sample(parameters, noise.normal_(generator=generator))
        with torch.no_grad(), unvalidated():
            weights, scatter = compose(flat.formalization, flat.unpack(draw)[0], data.shape)
            expected = flat.formalization.develop(weights, data.genotype, data.environment)
            assert data.phenotype is not None
            cell = flat.formalization.noise.distribution(expected, scatter, data)
            if isinstance(cell, CommonFactorCells):
                offset, variance = cell.given_others(data.phenotype)
                unit = cell.loading.square() + cell.scale.square()  # known errors included
                cells = torch.stack([unit / variance, offset], -3)
            else:
                cells = tails(cell, data.phenotype)[..., None, :, :]
        total = total + cells.sum(0) / DRAWS
    return total


def tails(noise: dist.StudentT, phenotype: Tensor) -> Tensor:
    """Weights `(..., N, T)` of cells under Student's t."""
    square = ((phenotype - noise.loc) / noise.scale).square()
    weights: Tensor = (noise.df + 1) / (noise.df + square)
    return weights
