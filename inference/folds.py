"""Which individuals are held out together."""

import numpy as np
from numpy.typing import NDArray

from genomic_code.spec.cohort import Cohort

__all__ = ["assign_folds"]


def assign_folds(cohort: Cohort, folds: int, seed: int) -> NDArray[np.int64]:
    """Fold `(N,)` of every individual, at random and of equal sizes.

    Groups of the cohort, where it has them, are kept whole: each goes to the smallest fold, the
    largest groups first.

    Raises:
        ValueError: There are fewer individuals, or groups, than folds.
    """
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise ValueError(f"folds must be an integer of at least 2, got {folds!r}")
    generator = np.random.default_rng(seed)
    if cohort.groups is None:
        if len(cohort) < folds:
            raise ValueError(
                f"folds must be at most the number of individuals {len(cohort)}, got {folds}"
            )
        return generator.permutation(np.arange(len(cohort)) % folds)
    labels, members, counts = np.unique(
        cohort.groups.values, return_inverse=True, return_counts=True
    )
    if len(labels) < folds:
        raise ValueError(f"folds must be at most the number of groups {len(labels)}, got {folds}")
    order = generator.permutation(len(labels))
    order = order[np.argsort(-counts[order], kind="stable")]
    fold_of_group = np.empty(len(labels), int)
    filled = np.zeros(folds)
    for group in order:
        smallest = int(np.argmin(filled))
        fold_of_group[group] = smallest
        filled[smallest] += counts[group]
    return fold_of_group[members]
