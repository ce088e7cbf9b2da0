"""The check that counts and categories share."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["refuse"]


def refuse(phenotype: NDArray[np.floating], bad: NDArray[np.bool_], rule: str, noise: str) -> None:
    """Raise if a phenotype that is not missing breaks the rule."""
    places = np.argwhere(bad & ~np.isnan(phenotype))
    if len(places):
        row, column = places[0]
        raise ValueError(
            f"phenotype must hold {rule} with {noise} noise, got {phenotype[row, column]:g} in row "
            f"{row}, column {column} ({len(places)} such cells)"
        )
