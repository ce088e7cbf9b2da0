"""Pruning keeps what is new, and says what is gone."""

import numpy as np
import pytest

from genomic_code.spec import Cohort


def chains(individuals=200, chains=3, length=40, crossover=0.05, seed=0):
    """Markers of a backcross, chromosome after chromosome, with a label and a place each."""
    rng = np.random.default_rng(seed)
    cross = rng.random((individuals, chains, length)) < crossover
    cross[..., 0] = rng.random((individuals, chains)) < 0.5
    genotype = (cross.cumsum(-1) % 2).reshape(individuals, -1)
    cohort = Cohort(genotype, rng.normal(size=(individuals, 2)))
    place = np.arange(chains * length)
    cohort.dataset = cohort.dataset.assign_coords(place=("locus", place))
    return cohort


@pytest.mark.parametrize("correlation", [0.95, 0.7, 0.3])
def test_what_is_kept_is_new_and_what_is_gone_is_not(correlation):
    cohort = chains()
    pruned = cohort.prune(correlation, window=1000)
    kept = pruned.dataset["place"].values
    r = np.abs(np.corrcoef(cohort.genotype.values.T))
    among = r[np.ix_(kept, kept)] - np.eye(len(kept))
    assert among.max() <= correlation + 1e-6
    for gone in np.setdiff1d(cohort.dataset["place"], kept):
        assert r[gone, kept[kept < gone]].max() > correlation - 1e-6
    assert pruned.dataset.attrs["loci_pruned"] == 120 - len(kept)
    assert pruned.labels("locus") == [cohort.labels("locus")[i] for i in kept]


def test_repeats_are_pruned_in_either_coding_and_the_phenotype_stays():
    cohort = chains(chains=1, length=5, crossover=0.4)
    x = cohort.genotype.values
    doubled = Cohort(np.concatenate([x, x, 1 - x], 1), cohort.phenotype.values)
    pruned = doubled.prune(0.99)
    np.testing.assert_array_equal(pruned.genotype.values, x)
    np.testing.assert_array_equal(pruned.phenotype.values, doubled.phenotype.values)
    assert pruned.prune(0.99).dataset.attrs["loci_pruned"] == 10


def test_a_window_forgets():
    x = chains(chains=1, length=6, crossover=0.5).genotype.values
    again = Cohort(np.concatenate([x, x], 1), np.arange(200.0)[:, None])
    assert again.prune(0.99, window=3).shape.loci == 12
    assert again.prune(0.99, window=6).shape.loci == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"correlation": 1.0}, "correlation must lie between 0 and 1, such as 0.9, got 1.0"),
        ({"correlation": float("nan")}, "correlation must lie between 0 and 1"),
        ({"window": 0}, "window must be an integer of at least 1, got 0"),
    ],
)
def test_unfit_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        chains().prune(**arguments)
