"""Scores of held-out individuals, and when not to trust them."""

from typing import NamedTuple

import numpy as np
from arviz_stats.base.array import array_stats
from numpy.typing import NDArray

from genomic_code.inference.posterior import Fit

__all__ = ["Score", "pareto_k", "stacking_weights"]

GOOD_K = 0.7
"""Above it, importance sampling fails; Vehtari et al. 2024, jmlr.org/papers/v25/19-556.html."""
TAIL_DRAWS = 400


class Score(NamedTuple):
    """How one formalization predicts individuals that it was not fitted to."""

    cells: NDArray[np.float64]
    """Log predictive density `(N, T)` of observed held-out cells in nats, NaN where missing."""
    means: NDArray[np.float64]
    """Predictive mean `(N, T)` in units of the phenotype."""
    elbo: float
    elbo_error: float
    share_k: float
    """Share of individuals with Pareto k above 0.7 in leave-one-out by importance sampling."""
    warning: str


def pareto_k(fit: Fit) -> NDArray[np.float64]:
    """Pareto k `(N,)` of the leave-one-out importance weights of each individual."""
    phenotype = fit.standard_phenotype(fit.cohort)
    parts = []
    for batch in fit.batches(TAIL_DRAWS):
        log_prob = batch.noise.log_prob(phenotype)
        parts.append(np.where(fit.data.observed, log_prob, 0.0).sum(-1))
    log_likelihood = np.concatenate(parts).T.astype(float)
    varies = log_likelihood.std(1) > 0
    k = np.zeros(len(log_likelihood))
    if varies.any():
        # arviz-stats takes the log likelihood itself and negates it
        k[varies] = array_stats.psislw(log_likelihood[varies], axis=-1)[1]
    return k


def stacking_weights(
    individuals: NDArray[np.float64], iterations: int = 2000
) -> NDArray[np.float64]:
    """Weights `(M,)` of the mixture of M predictive densities `(M, N)` with the highest elpd.

    Expectation-maximisation; Yao et al. 2018, doi:10.1214/17-BA1091.
    """
    density = np.exp(individuals - individuals.max(0))
    weights = np.full(len(density), 1 / len(density))
    for _ in range(iterations):
        mixture = weights[:, None] * density
        weights = (mixture / mixture.sum(0)).mean(1)
    return weights
