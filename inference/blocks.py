"""Genotypes too large for memory, read in blocks of individuals from where they lie.

A source gives contiguous blocks: rows of a .npy file, of a zarr array or of any array that is read
when it is sliced, or the individuals of a PLINK .bed file, whose two bits a genotype stay packed on
disk. Only one block is in memory as numbers.
"""

import math
import os
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.spec.files import existing, reading
from genomic_code.spec.readers.plink import COPIES, MAGIC

__all__ = ["ArrayBlocks", "Blocks", "Moments", "PlinkBlocks", "moments", "open_blocks"]

QUADS = np.stack([COPIES[np.arange(256) >> shift & 3] for shift in (0, 2, 4, 6)], -1)
"""Copies of the first allele of the four individuals in each byte `(256, 4)`."""


class Blocks(Protocol):
    """Where genotypes are read from."""

    individuals: int
    loci: int
    grain: int
    """Blocks begin at multiples of it."""

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Genotype `(stop - start, L)`, NaN where missing; the caller may change it."""
        ...


class ArrayBlocks:
    """Rows of an array `(N, L)` that is read when it is sliced: numpy, memory map, zarr."""

    grain = 1

    def __init__(self, array: Any) -> None:
        self.array = array
        self.individuals, self.loci = array.shape

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Genotype `(stop - start, L)`, a copy."""
        return np.array(self.array[start:stop], np.float32)


class PlinkBlocks:
    """Individuals of a variant-major PLINK 1 .bed file, mapped into memory."""

    grain = 4

    def __init__(self, path: str | os.PathLike[str]) -> None:
        stem = str(path).removesuffix(".bed")
        file = existing(f"{stem}.bed")
        self.path = file
        with reading(file, "PLINK fileset"):
            self.individuals = lines(existing(f"{stem}.fam"))
            self.loci = lines(existing(f"{stem}.bim"))
        width = -(-self.individuals // 4)
        with file.open("rb") as handle:
            header = handle.read(3)
        expected = 3 + width * self.loci
        if header != MAGIC or file.stat().st_size != expected:
            raise ValueError(
                f"{str(file)!r} must be a variant-major .bed file of {expected} bytes, for "
                f"{self.individuals} individuals and {self.loci} loci; convert with --make-bed"
            )
        self.packed = np.memmap(file, np.uint8, "r", 3, (self.loci, width))

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Genotype `(stop - start, L)`, a transposed view: copies of the first allele."""
        first = start - start % self.grain
        codes = self.packed[:, first // 4 : -(-stop // 4)]
        wide = QUADS[codes].reshape(self.loci, -1)
        return wide[:, start - first : stop - first].T


def lines(file: Path) -> int:
    """Number of lines of a text file that are not blank."""
    with file.open("rb") as handle:
        return sum(bool(line.strip()) for line in handle)


def open_blocks(source: Any) -> Blocks:
    """Blocks of a path (.bed, .npy, .zarr) or of an array.

    Raises:
        ValueError: The path is none of these, or the array is not `(N, L)`.
    """
    if isinstance(source, str | os.PathLike):
        suffix = Path(source).suffix
        if suffix == ".bed":
            return PlinkBlocks(source)
        if suffix == ".npy":
            source = np.load(existing(source), mmap_mode="r", allow_pickle=False)
        elif suffix == ".zarr":
            try:
                import zarr
            except ImportError:
                raise ValueError(
                    "genotype in a .zarr array needs zarr; install it with: pip install zarr"
                ) from None
            source = zarr.open_array(str(source), mode="r")
        else:
            raise ValueError(f"genotype must be a .bed, .npy or .zarr path, got {str(source)!r}")
    if getattr(source, "ndim", 0) != 2:
        shape = getattr(source, "shape", ())
        raise ValueError(f"genotype must be an array (individuals, loci), got shape {shape}")
    return ArrayBlocks(source)


class Moments(NamedTuple):
    """What one pass over the genotypes tells."""

    mean: Tensor
    """`(L,)`, of the genotypes that are there."""
    sd: Tensor
    """`(L,)`; 1 for a locus that does not vary."""
    covariance: Tensor
    """Covariance `(L, T)` of standardised genotype with standardised phenotype, missing ones left
    out: where the optimiser starts."""


def moments(blocks: Blocks, phenotype: Tensor, size: int) -> Moments:
    """Means, deviations and covariances with the phenotype `(N, T)`, in blocks of `size`."""
    count = torch.zeros(blocks.loci, dtype=torch.float64)
    total, square = count.clone(), count.clone()
    product = torch.zeros(blocks.loci, phenotype.shape[1], dtype=torch.float64)
    beside = torch.zeros_like(product)  # sum of the phenotype where the genotype is missing
    for start in range(0, blocks.individuals, size):
        stop = min(start + size, blocks.individuals)
        x = torch.from_numpy(blocks.read(start, stop))
        gone = torch.isnan(x)
        x = x.nan_to_num_(0.0)
        if gone.any():
            beside += gone.to(phenotype.dtype).mT @ phenotype[start:stop]
        count += (stop - start) - gone.sum(0)
        total += x.sum(0)
        square += torch.linalg.vector_norm(x, dim=0).double().square()
        product += x.mT @ phenotype[start:stop]
    mean = total / count.clamp_min(1)
    variance = square / count.clamp_min(1) - mean.square()
    sd = torch.where(variance > 1e-9, variance, 1.0).sqrt()
    centred = product - mean[:, None] * (phenotype.double().sum(0) - beside)
    covariance = centred / sd[:, None] / blocks.individuals
    if not math.isfinite(float(covariance.sum())):
        raise ValueError("genotype must be finite numbers, NaN where missing, got infinity")
    dtype = torch.get_default_dtype()
    return Moments(mean.to(dtype), sd.to(dtype), covariance.to(dtype))
