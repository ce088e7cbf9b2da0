"""Optima that the data do not tell apart, and how much each of them counts.

A nonlinear formalization has many optima, and which has the highest ELBO may hang on a few
individuals: another seed then predicts otherwise. So the ELBO of each is taken over Bayesian
bootstraps of the individuals, or of whole groups of them (Rubin 1981, doi:10.1214/aos/1176345338),
in which their weights vary as if others had been sampled. An optimum counts by the mean of its
probability over these, as in bagged posteriors (Huggins & Miller 2023, doi:10.1214/21-BA1301) and
in the weights that Yao et al. 2018, doi:10.1214/17-BA1091, give to models: one that is clearly
worse counts for nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference.guides import Guide
from genomic_code.inference.units import codes, unit_sums

if TYPE_CHECKING:
    from genomic_code.inference.posterior import Fit

__all__ = ["Modes", "expected_likelihood", "mixed", "shares"]

Array = NDArray[np.float64]

BOOTSTRAPS, TOGETHER = 2000, 2**23
"""Bootstraps, and numbers held at once: fewer bootstraps of very many individuals, at least 100."""
GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it, modulo 1, are spread evenly however many are taken."""


class Modes(NamedTuple):
    """Several optima of one guide, best first."""

    parameters: Tensor
    """Guide parameters `(M, Q)`."""
    elbo: Tensor
    """`(M,)`, in nats."""
    share: Tensor
    """Share of the draws from each `(M,)`; they add up to 1."""

    def sample(self, guide: Guide, noise: Tensor, pair: int, seed: int) -> Tensor:
        """Draws of antithetic pairs of standard normal `noise` `(s, P)`, from number `pair` on."""
        turn = float(torch.rand((), generator=torch.Generator().manual_seed(seed)))
        pairs = torch.arange((len(noise) + 1) // 2, dtype=torch.float64)
        place = (turn + GOLDEN * pair + GOLDEN * pairs) % 1
        each = torch.searchsorted(self.share.cumsum(0)[:-1], place)
        member = each.repeat_interleave(2)[: len(noise)]
        out = torch.empty_like(noise)
        for number in member.unique():
            own = member == number
            out[own] = guide.sample(self.parameters[number], noise[own])
        return out

    def log_density(self, guide: Guide, flat: Tensor) -> Tensor:
        """`log q` `(s,)` of flat vectors `(s, P)`, over all optima."""
        each = [guide.log_density(one, flat) for one in self.parameters]
        return (torch.stack(each, -1) + self.share.log()).logsumexp(-1)


def expected_likelihood(fit: "Fit", labels: NDArray[Any] | None = None, draws: int = 100) -> Array:
    """Mean over the posterior of the log likelihood `(n,)` of the training individuals, in nats.

    Of each group, summed over its individuals, where labels `(N,)` say who belongs together.
    """
    rows = torch.from_numpy(fit.training)
    phenotype, observed = fit.standard_phenotype(fit.cohort)[rows], fit.data.observed[rows]
    total = torch.zeros(len(phenotype), dtype=torch.float64)
    for batch in fit.batches(draws, rows=fit.training):
        cells = torch.where(observed, batch.noise.log_prob(phenotype), 0.0).double()
        total += cells.sum((0, -1)) / draws
    return unit_sums(total.numpy(), codes(labels, fit.training))


def shares(likelihoods: Array, elbos: Array, seed: int = 0) -> Array:
    """Weights `(M,)` of optima, adding up to 1.

    Args:
        likelihoods: Expected log likelihoods of the same individuals, or groups, `(M, n)`.
        elbos: ELBO of each `(M,)`, in nats.
        seed: Seed of the bootstraps.
    """
    number = likelihoods.shape[1]
    bootstraps = max(100, min(BOOTSTRAPS, TOGETHER // number))
    weights = np.random.default_rng(seed).standard_exponential((bootstraps, number))
    weights *= number / weights.sum(1, keepdims=True)
    score = elbos + (weights - 1) @ likelihoods.T
    probability = np.exp(score - score.max(1, keepdims=True))
    mean: Array = (probability / probability.sum(1, keepdims=True)).mean(0)
    return mean


def mixed(fits: "Sequence[Fit]", labels: NDArray[Any] | None = None) -> "Fit":
    """The best of several fits to the same rows by the same guide, which draws from all of them.

    Labels `(N,)` of groups say whose weights vary together.
    """
    if len(fits) == 1:
        return fits[0]
    members = sorted((one for fit in fits for one in fit.split()), key=lambda one: -one.elbo)
    elbos = np.array([one.elbo for one in members])
    likelihoods = np.stack([expected_likelihood(one, labels) for one in members])
    share = shares(likelihoods, elbos, members[0].seed)
    parameters = torch.stack([one.parameters for one in members])
    modes = Modes(parameters, torch.from_numpy(elbos), torch.from_numpy(share))
    return replace(members[0], modes=modes)
