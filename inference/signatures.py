"""Signatures of genetic architecture: numbers that the data show and a good model reproduces.

Each is computed from genotype, environment and phenotype alone, in the same way for the observed
phenotype and for replicates that a fit predicts (posterior predictive checks, Gelman, Meng & Stern
1996). They need no model: only ridge scores of the genotype, so they favour no formalization.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from genomic_code.inference.kinship import kinship_axes

__all__ = ["MEANING", "signatures"]

Array = NDArray[np.float64]

AXES = 3
"""Leading axes of the ridge scores among which products are looked at."""
LOCI = 2000
"""Loci, evenly spaced, from which sizes of effects are read."""

MEANING = {
    "dimensionality": "dimensionality of G",
    "pleiotropy": "pleiotropy",
    "polygenicity": "polygenicity",
    "epistasis": "epistatic share",
    "interaction": "genotype-by-environment share",
    "residual_correlation": "correlation of traits that the genotype leaves",
    "tails": "heavy tails",
}
"""What the signatures are called in sentences."""


def signatures(genotype: Array, environment: Array) -> Callable[[Array], dict[str, Array]]:
    """A function from phenotypes `(R, N, T)`, missing cells 0, to signatures `(R,)` by name.

    * dimensionality: effective number of axes (tr C)^2 / tr C^2 of the covariance C of ridge scores
    * pleiotropy: effective number of traits a locus moves, mean over loci by size of effect
    * polygenicity: effective number of loci that move a trait, mean over traits
    * epistasis: share of what ridge leaves of a trait that squares and products of the 3 leading
      scores explain, mean over traits
    * interaction: the same for products of these scores with covariates; absent without covariates
    * residual_correlation: mean squared correlation between traits of what ridge leaves; absent for
      one trait
    * tails: excess kurtosis of what ridge leaves, mean over traits

    Args:
        genotype: `(N, L)`, standardised.
        environment: `(N, C)`, standardised.
    """
    n = len(genotype)
    fixed = np.linalg.qr(np.column_stack([np.ones(n), environment]))[0]
    x = genotype - fixed @ (fixed.T @ genotype)
    vectors, values = kinship_axes(x)
    # ridge at a heritability of one half: smoother = half @ half.T
    half = vectors * np.sqrt(values / (values + values.sum() / n))
    some = x[:, np.unique(np.linspace(0, x.shape[1] - 1, LOCI).astype(int))]

    def measure(phenotype: Array) -> dict[str, Array]:
        y = phenotype - fixed @ (fixed.T @ phenotype)
        scores = half @ (half.T @ y)
        rest = y - scores
        rest = rest - rest.mean(-2, keepdims=True)
        rest = rest / rest.std(-2, keepdims=True).clip(1e-9)
        covariance = np.swapaxes(scores, -1, -2) @ scores / n
        power = (np.swapaxes(some, -1, -2) @ y / n) ** 2
        size = power.sum(-1)
        traits = (size / (power**2).sum(-1).clip(1e-300)) * size
        found = {
            "dimensionality": np.trace(covariance, axis1=-2, axis2=-1) ** 2
            / (covariance**2).sum((-2, -1)),
            "pleiotropy": (traits * size).sum(-1) / size.sum(-1),
            "polygenicity": (power.sum(-2) ** 2 / (power**2).sum(-2)).mean(-1),
            "tails": (rest**4).mean((-2, -1)) - 3,
        }
        axes = scores @ np.linalg.eigh(covariance)[1][..., -AXES:]
        axes = axes / axes.std(-2, keepdims=True).clip(1e-9)
        rows, columns = np.triu_indices(axes.shape[-1])
        found["epistasis"] = explained(rest, axes[..., rows] * axes[..., columns])
        if environment.shape[1]:
            both = axes[..., :, None] * environment[:, None, :]
            found["interaction"] = explained(rest, both.reshape(*axes.shape[:-1], -1))
        if y.shape[-1] > 1:
            correlation = np.swapaxes(rest, -1, -2) @ rest / n
            others = y.shape[-1] * (y.shape[-1] - 1)
            diagonal = np.diagonal(correlation, axis1=-2, axis2=-1) ** 2
            found["residual_correlation"] = (
                (correlation**2).sum((-2, -1)) - diagonal.sum(-1)
            ) / others
        return found

    return measure


def explained(rest: Array, features: Array) -> Array:
    """Share of `rest` `(R, N, T)` that `features` `(R, N, F)` explain, mean over traits `(R,)`."""
    basis = np.linalg.qr(features - features.mean(-2, keepdims=True))[0]
    inside = (np.swapaxes(basis, -1, -2) @ rest) ** 2
    share: Array = (inside.sum(-2) / (rest**2).sum(-2).clip(1e-300)).mean(-1)
    return share
