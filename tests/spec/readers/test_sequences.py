"""Sequences: one-hot letters and words, against hand-made tables."""

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal

from genomic_code.spec import Cohort

TRAIT = [[1.0], [2.0], [3.0]]


def test_one_hot_keeps_all_letters_of_varying_positions():
    cohort = Cohort.from_sequences(["acg", "AGG", "TCG"], TRAIT)
    assert cohort.labels("locus") == ["A1", "T1", "C2", "G2"]
    assert_array_equal(cohort.genotype.values, [[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0]])
    assert cohort.labels("individual") == ["ACG", "AGG", "TCG"]


def test_words_are_counted_in_sequences_of_any_length():
    cohort = Cohort.from_sequences(["AAAC", "CAA", "ACAC"], TRAIT, encoding="k-mer", k=2)
    assert cohort.labels("locus") == ["AA", "AC", "CA"]
    assert_array_equal(cohort.genotype.values, [[2, 1, 0], [1, 0, 1], [0, 2, 1]])


def test_names_come_from_a_series_or_numbers():
    named = pd.Series(["AC", "AG", "AC"], index=["p", "q", "r"])
    assert Cohort.from_sequences(named, TRAIT).labels("individual") == ["p", "q", "r"]
    numbered = Cohort.from_sequences(list(named), TRAIT)
    assert numbered.labels("individual") == ["individual_0", "individual_1", "individual_2"]
    frame = pd.DataFrame({"t": [1.0, 2.0, 3.0]}, index=["u", "v", "w"])
    assert Cohort.from_sequences(list(named), frame).labels("individual") == ["u", "v", "w"]


def test_own_alphabet_and_stop_codons():
    assert Cohort.from_sequences(["0-", "1-", "10"], TRAIT, "01-").labels("locus") == [
        "01", "11", "-2", "02"
    ]  # fmt: skip
    protein = Cohort.from_sequences(["MK*", "MKW", "MR*"], TRAIT, "protein")
    assert protein.labels("locus") == ["K2", "R2", "*3", "W3"]


def test_one_hot_columns_of_a_position_sum_to_one():
    letters = np.random.default_rng(0).choice(list("ACGU"), (50, 6))
    cohort = Cohort.from_sequences(
        ["".join(row) for row in letters], np.arange(50.0)[:, None], "rna"
    )
    position = [label[1:] for label in cohort.labels("locus")]
    sums = cohort.genotype.to_pandas().T.groupby(position).sum()
    assert (sums == 1).all(axis=None)
