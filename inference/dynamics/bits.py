"""Alleles packed 64 to a word: what makes ten thousand genomes of a thousand loci quick to breed.

Locus l is bit l % 64 of word l // 64.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["crossover", "flat_positions", "pack", "sample_parents", "unpack"]

Words = NDArray[np.uint64]
DENSE = 0.02
"""Chance of an event above which events are drawn cell by cell instead of by their gaps."""


def pack(alleles: NDArray[np.uint8]) -> Words:
    """Words `(..., W)` of alleles 0 and 1 `(..., L)`."""
    short = -alleles.shape[-1] % 64
    padded = np.pad(alleles, [(0, 0)] * (alleles.ndim - 1) + [(0, short)])
    packed = np.packbits(padded, axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words, loci: int) -> NDArray[np.uint8]:
    """Alleles `(..., L)` of words `(..., W)`."""
    octets = np.ascontiguousarray(words.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=loci, bitorder="little")


def flat_positions(cells: int, chance: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Cells among `cells` where an event of this chance happens, independently, in order."""
    if chance <= 0:
        return np.empty(0, np.int64)
    if chance > DENSE:
        return np.flatnonzero(rng.random(cells, dtype=np.float32) < chance)
    found = []
    last = -1
    while last < cells:
        expected = (cells - last) * chance
        gaps = rng.geometric(chance, int(expected + 4 * expected**0.5) + 8)
        found.append(last + np.cumsum(gaps))
        last = int(found[-1][-1])
    places = np.concatenate(found)
    return places[places < cells]


def crossover(
    shape: tuple[int, ...], loci: int, recombination: float, rng: np.random.Generator
) -> Words:
    """Masks `(*shape, W)` whose bits say which loci come from the first parent.

    Neighbouring loci come from different parents with probability `recombination`.
    """
    width = -(-loci // 64)
    if recombination == 0.5:
        return rng.integers(0, 2**64, (*shape, width), dtype=np.uint64)
    rows = int(np.prod(shape))
    switches = np.zeros((rows, width), np.uint64)
    places = flat_positions(rows * (loci - 1), recombination, rng)
    row, locus = places // max(loci - 1, 1), places % max(loci - 1, 1) + 1
    set_bits(switches, row, locus)
    switches[:, 0] ^= rng.integers(0, 2, rows, dtype=np.uint64)
    # A running parity over bits: doubling shifts inside a word, then the parity of earlier words.
    for shift in (1, 2, 4, 8, 16, 32):
        switches ^= switches << np.uint64(shift)
    odd = (switches >> np.uint64(63)).astype(bool)
    flipped = np.logical_xor.accumulate(odd, axis=1)[:, :-1]
    switches[:, 1:] ^= np.where(flipped, ~np.uint64(0), np.uint64(0))
    return switches.reshape(*shape, width)


def set_bits(words: Words, row: NDArray[np.int64], locus: NDArray[np.int64]) -> None:
    """Flip, in place, bit `locus` of `words[row]`; a place named twice is flipped twice."""
    bit = np.uint64(1) << (locus % 64).astype(np.uint64)
    np.bitwise_xor.at(words, (row, locus // 64), bit)


def sample_parents(log_fitness: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Parents `(R, P)` drawn with replacement in proportion to fitness, within each row.

    Works on log fitness less its largest value, so that no fitness underflows.

    Raises:
        ValueError: In some population every fitness is zero.
    """
    rows, size = log_fitness.shape
    best = log_fitness.max(1, keepdims=True)
    if not np.isfinite(best).all():
        raise ValueError("niche must give some genome a positive, finite fitness; none has it")
    if (log_fitness == best).all():
        return rng.integers(0, size, (rows, size))
    weight = np.exp(log_fitness - best).cumsum(1)
    weight /= weight[:, -1:]
    offset = np.arange(rows)[:, None]
    drawn = rng.random((rows, size)) + offset
    found = np.searchsorted((weight + offset).ravel(), drawn.ravel(), side="right")
    parents: NDArray[np.int64] = np.clip(found.reshape(rows, size) - size * offset, 0, size - 1)
    return parents
