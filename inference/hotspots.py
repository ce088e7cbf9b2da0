"""Sparse effects that share their loci over traits, and pairs of the leading loci: predictions.

What `hotspot` claims, with pairs besides: traits share where they look, but not what they find;
see `inference.hotspot_chain` for the model, whose sizes of effects are a mixture instead of a
horseshoe. Its sampler takes thousands of linked markers, for which the joint posterior of
`hotspot` is too dear and mean field would spread an effect over neighbours.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

from genomic_code.inference.heldout import check_folds
from genomic_code.inference.hotspot_chain import Chain
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.validate import positive_fields

__all__ = ["Hotspots", "prune"]

VARIANCES = (0.0, 3e-4, 1e-3, 4e-3, 2e-2, 1e-1)
"""Variances v_k of an effect, in trait variances per genotype standard deviation."""


@dataclass(frozen=True)
class Hotspots:
    """How to sample; call `predict` with a cohort and its folds."""

    classes: int = 4
    """Number of classes of loci; at least 1, where 1 lets traits share nothing."""
    leading: int = 30
    """Loci whose pairs are tried; 0 for additive effects alone."""
    linkage: float = 0.96
    """A locus is left out if its correlation with the last one kept is above; at most 1."""
    sweeps: int = 200
    """Sweeps over all effects, of which the first quarter is dropped."""
    variances: tuple[float, ...] = field(default=VARIANCES, repr=False)

    def __post_init__(self) -> None:
        positive_fields(self, "classes", "linkage", "sweeps")
        if self.leading < 0 or self.leading == 1:
            raise ValueError(f"leading must be 0 or at least 2, got {self.leading}")

    def predict(
        self, cohort: Cohort, training: NDArray[np.bool_], *, seed: int = 0, progress: bool = True
    ) -> xr.Dataset:
        """Predict, for every fold, the individuals that are not in its training rows.

        Args:
            cohort: The data, with continuous traits.
            training: Training rows `(F, N)`; every individual is held out of at most one fold.
            seed: Seed of the chain.
            progress: Whether to show a progress bar.

        Returns:
            `mean` and `predictive_sd` in units of the phenotype, `log_predictive` in nats of
            standard units and `quantile`, the predictive probability of a smaller value than the
            observed one, each `(individual, trait)`; NaN where nothing is held out or observed.

        Raises:
            ValueError: A fold trains on fewer than 20 individuals, or folds overlap.
        """
        training = check_folds(cohort, training)
        generator = torch.Generator().manual_seed(seed)
        kept = prune(cohort.genotype.values, self.linkage)
        chain = Chain(cohort, training, kept, self.classes, self.variances, generator)
        with tqdm(total=self.sweeps, desc="hotspots", disable=not progress, leave=False) as bar:
            for sweep in range(self.sweeps):
                chain.sweep()
                if self.leading and sweep == self.sweeps // 8:
                    chain.add_pairs(self.leading)
                if sweep >= self.sweeps // 4:
                    chain.score()
                bar.update()
        return chain.predictions()


def prune(genotype: NDArray[np.floating], linkage: float) -> NDArray[np.intp]:
    """Loci, in their order, whose absolute correlation with the last one kept is at most this."""
    centred = genotype - genotype.mean(0)
    scale = np.sqrt((centred**2).sum(0))
    standard = centred / np.where(scale > 0, scale, 1)
    kept = [0]
    for locus in range(1, genotype.shape[1]):
        if abs(float(standard[:, locus] @ standard[:, kept[-1]])) <= linkage and scale[locus] > 0:
            kept.append(locus)
    return np.array(kept)
