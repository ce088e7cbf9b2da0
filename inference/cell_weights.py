"""What each cell says of its trait where noise is not normal, but normal given something else.

Student's t is a normal whose precision has a gamma distribution: given the residual a cell weighs
E (nu + 1) / (nu + residual^2 / sigma^2). Noise with a common factor is normal given the other
traits: with precision p = 1 + sum l^2 / s^2 over them and m = sum (l r / s^2) / p, a cell has the
offset l m and the variance s^2 + l^2 / p. A fit by mean field says what the residuals are.
"""

import torch
from torch import Tensor

from genomic_code.inference.flat import FlatModel, compose, unvalidated
from genomic_code.inference.guides import MeanField
from genomic_code.spec.noise import CommonFactor, StudentT
from genomic_code.spec.protocols import Data, Weights

__all__ = ["CONDITIONALLY_NORMAL", "cell_weights"]

CONDITIONALLY_NORMAL = (StudentT, CommonFactor)
"""Noise that is normal given something else."""
DRAWS, TOGETHER = 100, 2**24
"""Draws for the weights of cells, and numbers held at once."""


def cell_weights(
    flat: FlatModel, data: Data, parameters: Tensor, generator: torch.Generator
) -> Tensor:
    """Weights of cells in units of sigma^-2, and maybe offsets, `(..., 1 or 2, N, T)`.

    Means over what mean field with these parameters `(..., 2 P)` makes of all sites.
    """
    largest = max(flat.dim, data.observed.numel())
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
            residual = data.phenotype - expected
            if isinstance(flat.formalization.noise, StudentT):
                cells = tails(residual, scatter, data)[..., None, :, :]
            else:
                cells = given_others(residual, scatter, data)
        total = total + cells.sum(0) / DRAWS
    return total


def tails(residual: Tensor, scatter: Weights, data: Data) -> Tensor:
    """Weights `(..., N, T)` of cells under Student's t."""
    freedom = scatter["noise_freedom"][..., None, :]
    variance = scatter["noise_scale"][..., None, :].square() + data.error.square()
    return (freedom + 1) / (freedom + residual.square() / variance)


def given_others(residual: Tensor, scatter: Weights, data: Data) -> Tensor:
    """Weights and offsets `(..., 2, N, T)` of cells under noise with a common factor."""
    scale = scatter["noise_scale"][..., None, :]
    loading = scale * scatter["noise_correlation"][..., None, :]
    error = data.error.square()
    own = scale.square() - loading.square() + error
    each = torch.where(data.observed, loading / own, 0.0)
    precision, score = each * loading, each * residual
    others = 1 + precision.sum(-1, keepdim=True) - precision
    offset = loading * (score.sum(-1, keepdim=True) - score) / others
    weight = (scale.square() + error) / (own + loading.square() / others)
    return torch.stack(torch.broadcast_tensors(weight, offset), -3)
