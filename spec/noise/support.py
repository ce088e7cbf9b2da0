"""What noise models share: a check of counts and categories, and how much room they take."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["cell_numbers", "refuse"]


def cell_numbers(noise: object, cells: int, traits: int) -> int:
    """Numbers that the densities of so many cells take at once: their number, or a grid for each.

    A noise model that sums over a grid has a method `nodes(traits)`, the size of the grid.
    """
    nodes = getattr(noise, "nodes", None)
    return cells if nodes is None else cells * int(nodes(traits))


def refuse(phenotype: NDArray[np.floating], bad: NDArray[np.bool_], rule: str, noise: str) -> None:
    """Raise if a phenotype that is not missing breaks the rule."""
    places = np.argwhere(bad & ~np.isnan(phenotype))
    if len(places):
        row, column = places[0]
        raise ValueError(
            f"phenotype must hold {rule} with {noise} noise, got {phenotype[row, column]:g} in row "
            f"{row}, column {column} ({len(places)} such cells)"
        )
