"""What noise models share: a check of counts and categories, and how much room they take."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["cell_numbers", "refuse"]


def cell_numbers(noise: object, shape: Sequence[int]) -> int:
    """Numbers that densities of cells `(..., T)` take at once: one a cell, or a grid for each.

    A noise model that sums over a grid has a method `nodes(traits)`, the size of the grid.
    """
    nodes = getattr(noise, "nodes", None)
    return math.prod(shape) * (1 if nodes is None else int(nodes(shape[-1])))


def refuse(phenotype: NDArray[np.floating], bad: NDArray[np.bool_], rule: str, noise: str) -> None:
    """Raise if a phenotype that is not missing breaks the rule."""
    places = np.argwhere(bad & ~np.isnan(phenotype))
    if len(places):
        row, column = places[0]
        raise ValueError(
            f"phenotype must hold {rule} with {noise} noise, got {phenotype[row, column]:g} in row "
            f"{row}, column {column} ({len(places)} such cells)"
        )
