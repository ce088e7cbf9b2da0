"""Covariances between traits in the population: total G, additive G by two routes, P.

    G   = Cov_x f(x)                          all genetic covariance, at one environment
    G_A = Cov of the least-squares fit on x   additive part, residual on N - rank - 1 df
    G_A = E[J] Cov(x) E[J]'                   the same by Stein's lemma, exact for normal x
    P   = Cov_{x,e} f(x, e) + noise           phenotypic

The population is the cohort as it is, linkage included, so G has no sampling error of its own.
"""

import torch
from torch import Tensor

from genomic_code.inference.functionals.jacobian import Sensitivity
from genomic_code.inference.functionals.map import Map

__all__ = ["additive_least_squares", "additive_stein", "covariance", "phenotypic", "trace"]


def covariance(traits: Tensor) -> Tensor:
    """Covariance `(S, T, T)` over individuals of values `(S, N, T)`, in float64."""
    centred = traits.double() - traits.double().mean(-2, keepdim=True)
    return centred.mT @ centred / (traits.shape[-2] - 1)


def trace(matrices: Tensor) -> Tensor:
    """Trace `(...)` of matrices `(..., T, T)`."""
    return matrices.diagonal(dim1=-2, dim2=-1).sum(-1)


def additive_least_squares(traits: Tensor, genotype: Tensor) -> Tensor:
    """Additive covariance `(S, T, T)` of genetic values `(S, N, T)` regressed on `(N, L)`.

    The residual covariance is estimated on N - rank - 1 degrees of freedom and taken from the
    total, so that chance fit is not counted as additive. With few degrees of freedom the estimate
    may have negative eigenvalues.

    Raises:
        ValueError: No degrees of freedom are left: use `additive_stein`.
    """
    individuals = len(genotype)
    x = genotype.double() - genotype.double().mean(0)
    left, values, _ = torch.linalg.svd(x, full_matrices=False)
    keep = values > values[0] * individuals * 1e-9
    rank = int(keep.sum())
    freedom = individuals - rank - 1
    if freedom < 1:
        raise ValueError(
            f"genotype must have more individuals than its rank + 1 = {rank + 1}, got "
            f"{individuals}; use the route by Stein's lemma"
        )
    y = traits.double() - traits.double().mean(-2, keepdim=True)
    residual = y - left[:, keep] @ (left[:, keep].mT @ y)
    left_over: Tensor = residual.mT @ residual / freedom
    return covariance(traits) - left_over


def additive_stein(sensitivity: Sensitivity, genotype: Tensor) -> Tensor:
    """Additive covariance `(S, T, T)` from the mean Jacobian, exact for normal genotypes.

    Product of the two halves of the individuals: their Monte-Carlo errors are independent, so the
    estimate is unbiased, at the price of eigenvalues that may be slightly negative.
    """
    x = genotype - genotype.mean(0)
    total = []
    for start in range(0, sensitivity.effects.shape[1], 16):  # a few draws at a time
        half = sensitivity.effects[:, start : start + 16]
        scores = torch.einsum("nl,hslt->hsnt", x, half).double()
        cross = scores[0].mT @ scores[1] / (len(x) - 1)
        total.append((cross + cross.mT) / 2)
    return torch.cat(total)


def phenotypic(f: Map) -> Tensor:
    """P `(S, T, T)`: covariance of expected traits in the cohort's environments, plus noise.

    Raises:
        ValueError: The variance of the noise is not known.
    """
    if f.noise_variance is None:
        raise ValueError("P needs the variance of the noise, which this posterior does not give")
    expected = f.traits(environment=f.environment)
    return covariance(expected) + torch.diag_embed(f.noise_variance.double())
