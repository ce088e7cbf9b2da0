"""Scores of held-out individuals, and when not to trust them."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats
from numpy.typing import NDArray
from scipy.special import logsumexp

from genomic_code.inference.folds import group_labels
from genomic_code.inference.posterior import Fit
from genomic_code.inference.units import Units, codes, count, standard_error
from genomic_code.spec.standardize import phenotype_sd

__all__ = ["Score", "check_equal_data", "quick_look", "stacking_bootstrap", "stacking_weights"]

GOOD_K = 0.7
"""Above it, importance sampling fails; Vehtari et al. 2024, jmlr.org/papers/v25/19-556.html."""
MOST_BAD = 0.1
"""Share of individuals with Pareto k above 0.7 from which the quick look is refused."""


class Score(NamedTuple):
    """How one formalization predicts individuals that it was not fitted to."""

    cells: NDArray[np.float64]
    """Log predictive density `(N, T)` of observed held-out cells in nats, mean over repeats of the
    folds; NaN where missing."""
    means: NDArray[np.float64]
    """Predictive mean `(N, T)` in units of the phenotype, of the first repeat, as `pit`."""
    pit: NDArray[np.float64]
    """Predictive probability `(N, T)` of a lower value than the observed, NaN where missing."""
    elbo: float
    elbo_error: float
    loo: float
    """elpd by importance sampling on the fit to all; NaN where it is refused."""
    share_k: float
    """Share of individuals with Pareto k above 0.7 in leave-one-out by importance sampling."""
    warning: str
    totals: NDArray[np.float64]
    """Held-out log predictive density of each repeat of the folds `(R,)`, whose mean is the sum of
    `cells`."""


class QuickLook(NamedTuple):
    """Leave-one-out by Pareto-smoothed importance sampling (PSIS-LOO), one fit for all."""

    individuals: NDArray[np.float64]
    """Estimated held-out log density `(N,)` in nats."""
    pareto_k: NDArray[np.float64]
    """Pareto k `(N,)` of the importance weights of each individual."""

    @property
    def share_k(self) -> float:
        """Share of individuals whose estimate fails."""
        return float((self.pareto_k > GOOD_K).mean())

    @property
    def refused(self) -> bool:
        """Whether too many fail for the sum to mean anything."""
        return self.share_k > MOST_BAD

    @property
    def elpd(self) -> float:
        """Sum over individuals; NaN where it is refused."""
        return np.nan if self.refused else float(self.individuals.sum())


def quick_look(fit: Fit, draws: int | None = None) -> QuickLook:
    """PSIS-LOO of a fit, over the individuals it was fitted to.

    Where more than a tenth of the individuals have k above 0.7 the elpd is NaN: refit with
    held-out individuals instead. Vehtari, Gelman & Gabry 2017, doi:10.1007/s11222-016-9696-4.
    """
    phenotype = fit.standard_phenotype(fit.cohort)
    observed = fit.data.observed.numpy()
    parts = []
    for batch in fit.batches(draws or fit.scoring_draws):
        log_prob = batch.noise.log_prob(phenotype).double().numpy()
        parts.append(np.where(observed, log_prob, 0.0).sum(-1))
    unit = np.zeros(observed.shape[1])
    if fit.formalization.noise.standardised:
        unit = np.log(phenotype_sd(fit.cohort))
        unit -= fit.scaler.phenotype[1].double().log().numpy()
    log_likelihood = np.concatenate(parts).T[fit.training]
    individuals, k = leave_one_out(log_likelihood)
    return QuickLook(individuals + (observed * unit).sum(1)[fit.training], k)


def leave_one_out(
    log_likelihood: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """PSIS-LOO log densities and Pareto k, each `(N,)`, of log likelihoods `(N, S)`."""
    count = log_likelihood.shape[1]
    varies = log_likelihood.std(1) > 0
    k = np.zeros(len(log_likelihood))
    weights = np.full_like(log_likelihood, -np.log(count))
    if varies.any():
        # arviz-stats takes the log likelihood itself and negates it
        weights[varies], k[varies] = array_stats.psislw(log_likelihood[varies], axis=-1)
    weights = weights - logsumexp(weights, axis=1, keepdims=True)
    return np.asarray(logsumexp(weights + log_likelihood, axis=1)), k


def check_equal_data(fits: dict[str, Fit]) -> None:
    """Refuse fits to different data, whose densities cannot be compared.

    Raises:
        ValueError: A fit differs from the first in individuals, traits, observed cells, phenotype
            or kind of noise; the message names both.
    """
    names = list(fits)
    first = fits[names[0]]
    for name in names[1:]:
        other = fits[name]
        ours, theirs = first.cohort.phenotype, other.cohort.phenotype
        if first.formalization.noise.standardised != other.formalization.noise.standardised:
            wrong = "a noise model of another kind"
        elif list(ours["individual"].values) != list(theirs["individual"].values):
            wrong = "other individuals"
        elif list(ours["trait"].values) != list(theirs["trait"].values):
            wrong = "other traits"
        elif not np.array_equal(ours.values, theirs.values, equal_nan=True):
            wrong = "another phenotype or other missing cells"
        elif not np.array_equal(first.training, other.training):
            wrong = "other training individuals"
        else:
            continue
        raise ValueError(
            f"fits must be to the same data, but {name!r} was fitted to {wrong} than {names[0]!r}; "
            "fit both to one cohort"
        )


def loo_table(fits: dict[str, Fit]) -> pd.DataFrame:
    """PSIS-LOO of several fits to the same data, best first; no verdict rests on it.

    Columns: elpd (NaN where refused), se, share_k, warning.

    Raises:
        ValueError: The fits are not to the same data.
    """
    check_equal_data(fits)
    rows = {}
    for name, fit in fits.items():
        look = quick_look(fit)
        error = standard_error(look.individuals, codes(group_labels(fit.cohort), fit.training))
        warning = ""
        if look.refused:
            warning = (
                f"refused: {look.share_k:.0%} of individuals have Pareto k above {GOOD_K}; "
                "use compare, which refits without them"
            )
        rows[name] = [look.elpd, np.nan if look.refused else error, look.share_k, warning]
    frame = pd.DataFrame.from_dict(rows, "index", columns=["elpd", "se", "share_k", "warning"])
    return frame.sort_values("elpd", ascending=False, kind="stable")


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


def stacking_bootstrap(
    individuals: NDArray[np.float64],
    units: Units | None = None,
    draws: int = 100,
    seed: int = 0,
    iterations: int = 300,
) -> NDArray[np.float64]:
    """Stacking weights `(B, M)` under the Bayesian bootstrap over individuals, or groups `(n,)`.

    Rubin 1981, doi:10.1214/aos/1176345338: units get Dirichlet weights, which says how far the
    stacking weights depend on who happened to be sampled.
    """
    density = np.exp(individuals - individuals.max(0))
    models, n = density.shape
    share = np.random.default_rng(seed).dirichlet(np.ones(count(n, units)), draws)
    if units is not None:
        share = share[:, units] / share[:, units].sum(1, keepdims=True)
    weights = np.full((draws, models), 1 / models)
    for _ in range(iterations):
        # E and M step in one: w_m <- w_m sum_i share_i p_im / sum_j w_j p_ij
        weights = weights * ((share / (weights @ density)) @ density.T)
    return weights
