"""Goodness of fit of draws to a log density or mass."""

import numpy as np
import pyro
import torch
from scipy import stats
from torch import Tensor

LEAST_P = 1e-4
"""Each goodness-of-fit test fails this often if all is well; seeds are fixed."""


def check_fit(draws: Tensor, log_density, support, name: str) -> None:
    """Draws against the distribution function that their log density or mass integrates to.

    Kolmogorov-Smirnov for numbers, chi-square for counts; `log_density` takes as many values as
    there are draws.
    """
    draws = draws.double()
    with pyro.validation_enabled(False):
        if (draws % 1 == 0).all():
            values = torch.arange(len(draws), dtype=torch.double)
            within = inside(support, values)
            density = log_density(torch.where(within, values, 0.0)).exp()
            density = torch.where(within, density, 0.0)
            total, chance = float(density.sum()), chi_square(draws, density)
        else:
            # Even steps in asinh reach far into heavy tails.
            steps = torch.linspace(-15, 15, len(draws), dtype=torch.double)
            values = steps.sinh()
            within = inside(support, values)
            # Outside the support a density may be anything, NaN included.
            density = log_density(torch.where(within, values, 1.0)).exp() * steps.cosh()
            density = torch.where(within, density, 0.0)
            cumulative = torch.cumulative_trapezoid(density, steps)
            total = float(cumulative[-1])
            place = np.interp(draws.asinh().numpy(), steps[1:].numpy(), cumulative.numpy())
            chance = stats.kstest(place, "uniform").pvalue
    assert abs(total - 1) < 0.01, f"the density of {name} integrates to {total:.3f}"
    assert chance > LEAST_P, f"draws of {name} do not follow its density, p = {chance:.1e}"


def inside(support, values: Tensor) -> Tensor:
    """Which single values the support holds."""
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support.check(values)


def chi_square(draws: Tensor, mass: Tensor) -> float:
    """p-value of counts against the mass of 0, 1, 2, ...; rare values are pooled."""
    counts = torch.bincount(draws.long(), minlength=len(mass)).double()[: len(mass)]
    wanted = mass.double() * len(draws)
    common = wanted >= 5
    hoped = torch.cat([wanted[common], (len(draws) - wanted[common].sum()).clamp(min=0)[None]])
    seen = torch.cat([counts[common], (len(draws) - counts[common].sum())[None]])
    if hoped[-1] < 1e-3:
        assert seen[-1] == 0, "draws of probability zero"
        hoped, seen = hoped[:-1], seen[:-1]
    if len(hoped) == 1:
        return 1.0
    return float(stats.chisquare(seen, hoped * seen.sum() / hoped.sum()).pvalue)
