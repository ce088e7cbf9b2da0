"""Pruning: leaving out loci that nearly repeat one before them.

Neighbouring markers of a cross, or of a chromosome, tell nearly the same of an individual. What is
left of them keeps the signal at a fraction of the cost, and a joint posterior of effects becomes
affordable (`inference.guide_choice`). As PLINK's `--indep-pairwise`, on the correlation itself.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from genomic_code.spec.cohort import Cohort

__all__ = ["prune"]


def prune(cohort: "Cohort", correlation: float = 0.9, window: int = 50) -> "Cohort":
    """The cohort without loci that nearly repeat others; arguments as of `Cohort.prune`."""
    from genomic_code.spec.cohort import Cohort

    if isinstance(correlation, bool) or not 0 < correlation < 1:
        raise ValueError(f"correlation must lie between 0 and 1, such as 0.9, got {correlation!r}")
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise ValueError(f"window must be an integer of at least 1, got {window!r}")
    loci = cohort.genotype.values.T.astype(np.float32)
    loci -= loci.mean(1, keepdims=True)
    loci /= np.linalg.norm(loci, axis=1, keepdims=True)
    recent = np.zeros((window, loci.shape[1]), np.float32)
    kept: list[int] = []
    for place, locus in enumerate(loci):
        if np.abs(recent @ locus).max() <= correlation:
            recent[len(kept) % window] = locus
            kept.append(place)
    pruned = Cohort.from_dataset(cohort.dataset.isel(locus=kept), cohort.name)
    before = int(cohort.dataset.attrs.get("loci_pruned", 0))
    pruned.dataset.attrs["loci_pruned"] = before + len(loci) - len(kept)
    return pruned
