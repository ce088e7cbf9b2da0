"""Basins of attraction of an attractor fit, in three numbers: how many, how wide, how robust."""

import numpy as np
import pandas as pd
import xarray as xr

from genomic_code.inference.landscape import attractors
from genomic_code.inference.posterior import Fit

__all__ = ["basin_volumes", "summarise"]


def basin_volumes(
    fit: Fit, individual: str | None = None, starts: int = 200, draws: int = 20, seed: int = 0
) -> xr.Dataset:
    """Number and width of the basins of attraction of one genotype, over `landscape_draw`.

    Args:
        fit: Posterior of an `Attractor`.
        individual: Label of the individual; by default the average genotype.
        starts: Random initial states in each draw.
        draws: Number of draws of the guide.
        seed: Seed of draws and states.

    Returns:
        `attractors`, how many states development can end in; `effective_attractors`, exp of the
        entropy of their volumes; `largest_basin`, share of the states that end in the widest; and
        `developed_basin`, in the one that development from 0 reaches: its robustness to a
        perturbed state.

    Raises:
        ValueError: The fit has no attractors, or the individual is unknown.
    """
    return summarise(attractors(fit, individual, starts, draws, seed))


def summarise(table: pd.DataFrame) -> xr.Dataset:
    """The same of a table with columns `share` and `developed`, rows `(draw, attractor)`."""
    rows = []
    for _, part in table.groupby(level="draw"):
        found = part[part.index.get_level_values("attractor") != "unsettled"]
        volume = found["share"].to_numpy(float)
        positive = volume[volume > 0]
        rows.append(
            {
                "attractors": len(positive),
                "effective_attractors": float(np.exp(-(positive * np.log(positive)).sum())),
                "largest_basin": volume.max(initial=0.0),
                "developed_basin": volume[found["developed"].to_numpy(bool)].sum(),
            }
        )
    frame = pd.DataFrame(rows)
    return xr.Dataset({name: ("landscape_draw", frame[name].to_numpy()) for name in frame})
