"""The genomic bottleneck: how faithful a development the bits of a small genome buy.

A genome of M genes writes the weights of a network that is much larger. The wider the bottleneck,
the more bits may pass and the more faithful development may be; where the curve of held-out
fidelity levels off, further genes buy nothing. Shuvaev et al. 2024, doi:10.1073/pnas.2409160121.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from genomic_code.inference.distortion import plot_rate_distortion, rate_distortion
from genomic_code.inference.fit import Settings, fit_folds
from genomic_code.inference.folds import assign_folds
from genomic_code.inference.posterior import Fit
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import Bottleneck

__all__ = ["Compression", "bottleneck"]


@dataclass(frozen=True, eq=False)
class Compression:
    """Bits and fidelity by the number of genes."""

    curve: pd.DataFrame
    """As `rate_distortion` gives it: bits, fidelity and held-out fidelity with errors, a row a
    number of genes."""
    fits: dict[int, list[Fit]]
    """By number of genes, one a fold."""

    def plot(self, ax: Axes | None = None) -> Axes:
        """Fidelity against bits; the number of genes is written beside each point."""
        from genomic_code.inference.plots_style import titled

        ax = plot_rate_distortion(self.curve, ax)
        titled(ax, "number of genes beside each point")
        return ax


def bottleneck(
    cohort: Cohort,
    genes: Sequence[int] = (1, 2, 4, 8, 16),
    *,
    latents: int = 3,
    hidden: int = 32,
    folds: int = 3,
    draws: int = 200,
    seed: int = 0,
    settings: Settings | None = None,
    progress: bool = False,
    **options: int | float | str,
) -> Compression:
    """Fit genomes of several widths to a cohort and weigh their bits against their fidelity.

    Args:
        cohort: The data.
        genes: Numbers of genes M, each at most `hidden`; M = `hidden` is no bottleneck.
        latents: Number of latents of the network.
        hidden: Number of hidden units of the network.
        folds: Folds; each is held out once.
        draws: Posterior draws of each fit.
        seed: Seed of folds, starts and draws.
        settings: How to optimise.
        progress: Whether to show progress bars.
        **options: Fields of `Settings` to override.

    Raises:
        ValueError: An argument is unfit.
    """
    if not len(genes):
        raise ValueError("genes must hold at least one number of genes, got none")
    models = {number: Bottleneck(latents, number, hidden) for number in genes}
    fold = assign_folds(cohort, folds, seed)
    training = np.stack([fold != number for number in range(folds)])
    chosen = replace(settings or Settings(), **dict[str, Any](options))
    fits = {
        number: fit_folds(model, cohort, training, chosen, seed, progress)
        for number, model in models.items()
    }
    return Compression(rate_distortion(dict(fits.items()), draws), fits)
