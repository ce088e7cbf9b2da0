"""Axes of the kinship of individuals, never at the size of individuals by individuals for few loci.

Kinship x x' / L has rank min(N, L) at most: what a mixed model needs of it are as many eigenvectors
and eigenvalues, from the smaller of the two sides.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["kinship_axes"]

Array = NDArray[np.float64]


def kinship_axes(genotype: Array) -> tuple[Array, Array]:
    """Orthonormal eigenvectors `(N, r)` and eigenvalues `(r,)` of kinship, r = min(N, L).

    Args:
        genotype: `(N, L)`, standardised.
    """
    n, loci = genotype.shape
    if n <= loci:
        values, vectors = np.linalg.eigh(genotype @ genotype.T / loci)
        return vectors, values.clip(0)
    vectors, singular, _ = np.linalg.svd(genotype, full_matrices=False)
    return vectors, singular**2 / loci
