"""Sequences of DNA, RNA or protein as genotypes: one-hot letters or k-mer counts."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.tables import Table, as_text
from genomic_code.spec.validate import one_of

__all__ = ["ALPHABETS", "from_sequences"]

ALPHABETS = {"dna": "ACGT", "rna": "ACGU", "protein": "ACDEFGHIKLMNPQRSTVWY*"}
"""Letters by kind of sequence; `*` is a stop codon."""


def from_sequences(
    sequences: Iterable[str],
    phenotype: Table,
    alphabet: str = "dna",
    encoding: Literal["one-hot", "k-mer"] = "one-hot",
    k: int = 3,
    environment: Table = None,
    error: Table = None,
    groups: ArrayLike | None = None,
    split: ArrayLike | None = None,
    name: str = "cohort",
) -> Cohort:
    """A cohort whose genotype encodes sequences.

    One-hot gives a locus for each letter seen at each position that varies, called `A1` for letter
    A at the first position. All letters seen are kept, none is a reference: priors then treat
    them alike (of two letters at a position, one locus mirrors the other). K-mer gives the count
    of each word of length k that is seen, for sequences of any length.

    Args:
        sequences: N sequences; lower case is read as upper case. A Series keeps its labels; else
            the sequences themselves are the individuals' names, if they are unique.
        phenotype: `(N, T)` traits, in the same order.
        alphabet: "dna", "rna", "protein" (with `*` for a stop), or the allowed letters themselves.
        encoding: "one-hot" for aligned sequences of one length, or "k-mer".
        k: Length of the words.
        environment: `(N, C)` covariates.
        error: `(N, T)` standard errors of the phenotype.
        groups: `(N,)` group labels.
        split: `(N,)` parts of a published split.
        name: Name of the cohort.

    Raises:
        ValueError: A letter is not in the alphabet, lengths differ, nothing varies, or the tables
            make no valid cohort.
    """
    one_of("encoding", encoding, ["one-hot", "k-mer"])
    texts = checked(sequences, alphabet)
    if encoding == "one-hot":
        genotype, loci = one_hot(texts)
    else:
        genotype, loci = words(texts, k)
    if not loci:
        raise ValueError("sequences must vary, got none that differs from another")
    if isinstance(sequences, pd.Series):
        individuals = as_text(sequences.index)
    elif isinstance(phenotype, pd.DataFrame):
        individuals = phenotype.index
    elif len(set(texts)) == len(texts):
        individuals = pd.Index(texts)
    else:
        individuals = pd.Index([f"individual_{i}" for i in range(len(texts))])
    frame = pd.DataFrame(genotype, columns=pd.Index(loci))
    if len(individuals) == len(frame):
        frame.index = individuals
    if isinstance(phenotype, pd.DataFrame | pd.Series):
        phenotype = pd.DataFrame(phenotype)
        phenotype = phenotype.set_axis(as_text(phenotype.index), axis=0)
        frame.index = as_text(frame.index)
    return Cohort(frame, phenotype, environment, error, groups, split, name=name)


def checked(sequences: Iterable[str], alphabet: str) -> list[str]:
    """Upper-case sequences whose letters are all in the alphabet."""
    if isinstance(sequences, str):
        raise ValueError("sequences must be a list of sequences, got one text; use [text]")
    if not isinstance(alphabet, str) or not alphabet:
        raise ValueError(
            f"alphabet must be one of {', '.join(ALPHABETS)} or letters, got {alphabet!r}"
        )
    letters = ALPHABETS.get(alphabet.lower(), alphabet.upper())
    texts = []
    for row, sequence in enumerate(sequences):
        if not isinstance(sequence, str) or not sequence:
            raise ValueError(
                f"sequences must be text of at least one letter, got {sequence!r} in row {row}"
            )
        texts.append(sequence.upper())
    if not texts:
        raise ValueError("sequences must not be empty, got none")
    strange = set(chain.from_iterable(texts)) - set(letters)
    if strange:
        letter = min(strange)
        row = next(i for i, text in enumerate(texts) if letter in text)
        hint = '; is it alphabet="rna"?' if letter == "U" and "T" in letters else ""
        raise ValueError(
            f"sequences must only have the letters {letters}, got {letter!r} at position "
            f"{texts[row].index(letter) + 1} of row {row}; clean them, or add it to the "
            f"alphabet{hint}"
        )
    return texts


def one_hot(texts: list[str]) -> tuple[NDArray[np.float32], list[str]]:
    """Letters by position `(N, L)`, and the names of the loci."""
    length = len(texts[0])
    odd = next((row for row, text in enumerate(texts) if len(text) != length), None)
    if odd is not None:
        raise ValueError(
            f"sequences must have one length for one-hot, got {len(texts[odd])} in row {odd} after "
            f'{length} in row 0; align them, or use encoding="k-mer"'
        )
    grid = np.array(texts, dtype=f"U{length}").view("U1").reshape(len(texts), length)
    columns = [
        (position, letter)
        for position in range(length)
        for letter, count in sorted(Counter(grid[:, position].tolist()).items())
        if count < len(texts)
    ]
    genotype = np.empty((len(texts), len(columns)), np.float32)
    for column, (position, letter) in enumerate(columns):
        genotype[:, column] = grid[:, position] == letter
    return genotype, [f"{letter}{position + 1}" for position, letter in columns]


def words(texts: list[str], k: int) -> tuple[NDArray[np.float32], list[str]]:
    """Counts of the words of length k `(N, L)`, and the words."""
    shortest = min(len(text) for text in texts)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= shortest:
        raise ValueError(
            f"k must be an integer from 1 to the shortest sequence, {shortest}, got {k!r}"
        )
    counted = [Counter(text[i : i + k] for i in range(len(text) - k + 1)) for text in texts]
    seen = sorted(set(chain.from_iterable(counted)))
    column = {word: position for position, word in enumerate(seen)}
    genotype = np.zeros((len(texts), len(seen)), np.float32)
    for row, count in enumerate(counted):
        for word, times in count.items():
            genotype[row, column[word]] = times
    varying = genotype.max(0) > genotype.min(0)
    return genotype[:, varying], [w for w, keep in zip(seen, varying, strict=True) if keep]
