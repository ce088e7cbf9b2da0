"""Simulation-based calibration: do fits of simulated cohorts know what they do not know?

Weights and phenotypes are drawn from a formalization's own prior, and fitted. If the guide were the
posterior, the truth would have a uniform rank among its draws. Talts et al. 2018, arXiv:1804.06788.
Ranks are taken of functionals of the map, since single weights are not identified.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from pyro import poutine
from scipy.stats import kstest
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.fit import Settings
from genomic_code.inference.flat import FlatModel, unvalidated
from genomic_code.inference.guide_choice import choose_guide
from genomic_code.inference.learn import learn
from genomic_code.inference.starts import starts
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.protocols import Data, Formalization
from genomic_code.spec.standardize import Scaler

__all__ = ["FUNCTIONALS", "Functional", "simulation_based_calibration"]

Functional = Callable[[Tensor], Tensor]
"""From expected traits `(S, N, T)` in standard units to `(S,)`."""


def explained_variance(expected: Tensor) -> Tensor:
    """Variance of the expected traits over individuals, mean over traits."""
    return expected.var(-2).mean(-1)


def dimensionality(expected: Tensor) -> Tensor:
    """Effective number of axes of the expected traits."""
    centred = expected - expected.mean(-2, keepdim=True)
    covariance = centred.mT @ centred
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    return trace.square() / covariance.square().sum((-2, -1))


def best_individual(expected: Tensor) -> Tensor:
    """Largest expected sum of traits among the individuals, in standard units."""
    return expected.sum(-1).amax(-1)


FUNCTIONALS: dict[str, Functional] = {
    "explained variance": explained_variance,
    "dimensionality": dimensionality,
    "best individual": best_individual,
}
"""Functionals of the map that are looked at unless others are named."""


def simulation_based_calibration(
    model: Formalization,
    cohort: Cohort,
    simulations: int = 100,
    functionals: Mapping[str, Functional] = FUNCTIONALS,
    settings: Settings | None = None,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Ranks of true functionals among draws of the guide, over cohorts drawn from the prior.

    Weights and phenotypes come from the model itself, on the genotypes, environments and missing
    cells of the cohort. All simulations are fitted in one batch.

    Returns:
        A row for each functional: `mean_rank` (0.5 if right; below, the guide is too high),
        `spread` (standard deviation of ranks over that of a uniform; above 1 the guide is too sure)
        and `p` (Kolmogorov-Smirnov).

    Raises:
        ValueError: There are fewer than 10 simulations.
    """
    if simulations < 10:
        raise ValueError(f"simulations must be at least 10, got {simulations}")
    chosen = settings or Settings()
    generator = torch.Generator().manual_seed(seed)
    blank = Scaler.fit(cohort, noise=model.noise).data(cohort)
    flat = FlatModel(model, blank.shape)
    folds, truths = [], []
    with torch.random.fork_rng(devices=[]), torch.no_grad(), unvalidated(), poutine.block():
        torch.manual_seed(seed)
        for _ in range(simulations):
            trace = poutine.trace(model).get_trace(blank._replace(phenotype=None))
            values: dict[str, Any] = {
                name: trace.nodes[name]["value"] for name in ("phenotype", "_RETURN")
            }
            folds.append(blank._replace(phenotype=values["phenotype"]))
            truths.append(values["_RETURN"].expand(blank.observed.shape))
    restarts = chosen.restarts
    location = torch.stack([starts(flat, fold, restarts, generator) for fold in folds])
    data = Data(*(torch.stack(tensors).unsqueeze(1) for tensors in zip(*folds, strict=True)))
    guide = choose_guide(flat, chosen.guide)
    with tqdm(
        total=chosen.least(restarts), desc="simulations", disable=not progress, leave=False
    ) as bar:
        guide, optimum = learn(flat, guide, location, data, chosen, generator, bar)
    ranks: dict[str, list[float]] = {name: [] for name in functionals}
    for fold, truth, parameters in zip(folds, truths, optimum.parameters[:, 0], strict=True):
        noise = torch.randn(400, flat.dim, generator=generator)
        draws = guide.bind(flat, fold, parameters).sample(parameters, noise)
        expected = flat.expected(draws, fold)
        for name, functional in functionals.items():
            low = (functional(expected) < functional(truth[None])).double().mean()
            ranks[name].append(float(low))
    rows = {
        name: {
            "mean_rank": float(np.mean(rank)),
            "spread": float(np.std(rank) * np.sqrt(12)),
            "p": float(kstest(rank, "uniform").pvalue),
        }
        for name, rank in ranks.items()
    }
    return pd.DataFrame.from_dict(rows, "index")
