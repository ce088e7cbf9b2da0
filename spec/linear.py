"""The one product that costs: genotype times weights."""

import torch
from torch import Tensor

__all__ = ["project"]


def project(genotype: Tensor, weights: Tensor) -> Tensor:
    """`genotype @ weights`: `(..., N, L)` by `(..., L, M)` gives `(..., N, M)`.

    Draws and restarts share one genotype matrix. einsum folds every batch dimension along which
    the genotype is absent or of size 1 into the columns of one wide product; matmul would copy
    the genotype for each. The few columns are the rows of the left factor, as the products of BLAS
    with a few columns on the right, forward and backward, take four times as long.
    """
    return torch.einsum("...lm,...nl->...mn", weights, genotype).mT
