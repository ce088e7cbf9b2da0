"""Which individuals are held out together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genomic_code.spec.cohort import Cohort

__all__ = ["assign_folds", "distinct", "group_labels", "repeated", "training_sets"]

HELD_OUT = ("test", "held-out", "held_out", "heldout")
"""Labels of a published split that mean: not to be fitted."""

Folds = int | str | Sequence[int] | NDArray[Any]


def assign_folds(
    cohort: Cohort, folds: Folds, seed: int, groups: str | ArrayLike | None = None
) -> NDArray[np.int64]:
    """Fold `(N,)` of every individual; -1 for those that are never held out.

    Args:
        cohort: The data.
        folds: Number of folds, at random and of equal sizes; groups are kept whole, each going to
            the smallest fold, the largest groups first. `group`: each group is a fold.
            `individual`: each individual is. `split`: the part of the cohort's published split that
            is labelled test is the only fold. A boolean `(N,)` mask: True is held out. Integers
            `(N,)`: the folds themselves.
        seed: Seed of random folds.
        groups: See `group_labels`; by default the cohort's own, where it has them.

    Raises:
        ValueError: The folds do not fit the cohort.
    """
    if isinstance(folds, str):
        return named_folds(cohort, folds, groups)
    if not isinstance(folds, int | np.integer):
        return given_folds(cohort, np.asarray(folds))
    if isinstance(folds, bool) or folds < 2:
        raise ValueError(f"folds must be an integer of at least 2, got {folds!r}")
    labels = group_labels(cohort, groups)
    generator = np.random.default_rng(seed)
    if labels is None:
        if len(cohort) < folds:
            raise ValueError(
                f"folds must be at most the number of individuals {len(cohort)}, got {folds}"
            )
        return generator.permutation(np.arange(len(cohort)) % folds)
    names, members, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(names) < folds:
        raise ValueError(f"folds must be at most the number of groups {len(names)}, got {folds}")
    order = generator.permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    fold_of_group = np.empty(len(names), int)
    filled = np.zeros(folds)
    for group in order:
        smallest = int(np.argmin(filled))
        fold_of_group[group] = smallest
        filled[smallest] += counts[group]
    return fold_of_group[members]


def repeated(
    cohort: Cohort, folds: Folds, seed: int, groups: str | ArrayLike | None, repeats: int
) -> dict[int, NDArray[np.int64]]:
    """Folds `(N,)` as `assign_folds` gives them, by seed, that of the first repeat as given.

    Raises:
        ValueError: The folds do not fit the cohort, or repeats would all have the same.
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int | np.integer) or repeats < 1:
        raise ValueError(f"repeats must be an integer of at least 1, got {repeats!r}")
    first = assign_folds(cohort, folds, seed, groups)
    if repeats > 1 and not isinstance(folds, int | np.integer):
        raise ValueError(
            f"repeats must be 1 where folds are not drawn at random, got {repeats}; give folds= a "
            "number"
        )
    others = np.random.default_rng(seed).choice(2**31, repeats - 1, replace=False)
    return {seed: first} | {
        int(other): assign_folds(cohort, folds, int(other), groups) for other in others
    }


def training_sets(assigned: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Who is fitted while each fold is held out `(K, N)`."""
    return np.stack([assigned != k for k in range(assigned.max() + 1)])


def distinct(training: Mapping[int, NDArray[np.bool_]]) -> dict[int, NDArray[np.bool_]]:
    """Training sets `(F, N)` by seed, without those of an earlier seed: few groups come to few."""
    seen: set[bytes] = set()
    left = {}
    for seed, sets in training.items():
        new = np.array([rows.tobytes() not in seen for rows in sets])
        if new.any():
            left[seed] = sets[new]
        seen |= {rows.tobytes() for rows in sets}
    return left


def named_folds(
    cohort: Cohort, folds: str, groups: str | ArrayLike | None = None
) -> NDArray[np.int64]:
    """Folds that follow from the cohort itself."""
    if folds == "individual":
        return np.arange(len(cohort))
    if folds == "group":
        labels = group_labels(cohort, groups)
        if labels is None:
            raise ValueError(
                "folds='group' needs groups, and the cohort has none; give groups= a name or labels"
            )
        members: NDArray[np.int64] = np.unique(labels, return_inverse=True)[1]
        if members.max() < 1:
            raise ValueError("folds='group' needs at least 2 groups, got 1")
        return members
    if folds != "split":
        raise ValueError(
            "folds must be a number, 'group', 'individual', 'split' or one entry an individual, "
            f"got {folds!r}"
        )
    if cohort.split is None:
        raise ValueError("folds='split' needs a published split, and the cohort has none")
    parts = np.char.lower(cohort.split.values.astype(str))
    held = np.isin(parts, HELD_OUT)
    if held.all() or not held.any():
        raise ValueError(
            f"split must label some individuals 'test' and others not, got {sorted(set(parts))}; "
            "give folds= a boolean mask instead"
        )
    return np.where(held, 0, -1)


def given_folds(cohort: Cohort, folds: NDArray[Any]) -> NDArray[np.int64]:
    """Folds given one by one, checked."""
    if folds.shape != (len(cohort),) or folds.dtype.kind not in "biu":
        raise ValueError(
            f"folds must be a number, a name, or {len(cohort)} booleans or integers, got shape "
            f"{folds.shape} of {folds.dtype}"
        )
    assigned: NDArray[np.int64] = (
        np.where(folds, 0, -1) if folds.dtype.kind == "b" else folds.astype(np.int64)
    )
    held = np.unique(assigned[assigned >= 0])
    if assigned.min() < -1 or not np.array_equal(held, np.arange(len(held))) or not len(held):
        raise ValueError(
            "folds must be numbered from 0 without gaps, -1 for those never held out, "
            f"got {sorted(set(assigned.tolist()))[:10]}"
        )
    if len(held) == 1 and (assigned == 0).all():
        raise ValueError("folds must leave individuals to be fitted, got all in one fold")
    return assigned


def group_labels(cohort: Cohort, groups: str | ArrayLike | None = None) -> NDArray[Any] | None:
    """Group label `(N,)` of every individual, None where there are no groups.

    Args:
        cohort: The data.
        groups: Labels `(N,)`, or a name: of a variable or coordinate of the cohort over
            individuals (`groups`, `family`, `lineage`), a covariate of its environment, a locus
            (its alleles are the groups), or `genotype`: individuals alike at all loci. By default
            the cohort's groups.

    Raises:
        ValueError: There are no such groups.
    """
    if groups is None:
        return None if cohort.groups is None else cohort.groups.values
    if not isinstance(groups, str):
        labels = np.asarray(groups)
        if labels.shape != (len(cohort),):
            raise ValueError(
                f"groups must be a name or {len(cohort)} labels, got shape {labels.shape}"
            )
        return labels
    if groups == "genotype":
        alike: NDArray[Any] = np.unique(cohort.genotype.values, axis=0, return_inverse=True)[1]
        return alike.reshape(-1)
    dataset = cohort.dataset
    if groups in dataset.variables and dataset[groups].dims == ("individual",):
        named: NDArray[Any] = dataset[groups].values
        return named
    for table, dimension in ((cohort.environment, "covariate"), (cohort.genotype, "locus")):
        if table is not None and groups in cohort.labels(dimension):
            column: NDArray[Any] = table.values[:, cohort.labels(dimension).index(groups)]
            return column
    known = [
        str(name) for name, value in dataset.variables.items() if value.dims == ("individual",)
    ]
    raise ValueError(
        f"groups must be 'genotype', a covariate, a locus or one of {', '.join(sorted(known))}, "
        f"got {groups!r}"
    )
