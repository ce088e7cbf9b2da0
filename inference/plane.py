"""The genotype-phenotype map over the two directions that matter most: its active plane.

With whitened scores s of the genotype (its principal components, unit variance) and J = d f / d s
under posterior draws, the two leading eigenvectors w of E[J J'] are the directions in which traits
change most (active subspace: Constantine 2015, doi:10.1137/1.9781611973860). The plane shows the
traits expected of the genotypes that lie on it, all other directions at their mean. Where a
formalization has two latents the plane is theirs; the map is a functional, so rotation, sign and
order of latents do not matter.
"""

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from genomic_code.inference.functionals.jacobian import jacobian
from genomic_code.inference.functionals.map import Posterior, posterior_map

__all__ = ["active_plane"]

INDIVIDUALS = 64
"""Individuals whose Jacobian is averaged."""
RANK = 1e-6
"""Principal components below this share of the largest are taken as absent."""


def active_plane(
    posterior: Posterior, draws: int = 50, points: int = 41, reach: float = 1.1, seed: int = 0
) -> xr.Dataset:
    """Expected traits over the active plane of a posterior.

    Args:
        posterior: A `Fit`, or anything with `formalization`, `cohort`, `scaler` and `weights`.
        draws: Number of posterior draws.
        points: Grid points along each direction.
        reach: Edge of the plane, in units of the furthest individual.
        seed: Seed of the draws.

    Returns:
        `mean` and `sd` (trait, second, first), posterior mean and standard deviation of the
        expected traits in trait standard deviations, environment at its mean; `position`
        (individual, direction), in standard deviations over the cohort; `loading` (direction,
        locus), the genotype one unit along a direction; `share` (direction), of the squared
        gradient of all traits.

    Raises:
        ValueError: The genotype has fewer than two independent loci, or no trait depends on it.
    """
    f = posterior_map(posterior, draws, seed)
    x = f.genotype.double()
    centre = x.mean(0)
    left, size, axes = torch.linalg.svd(x - centre, full_matrices=False)
    keep = size > RANK * size[0]
    if int(keep.sum()) < 2:
        raise ValueError(
            f"posterior must be of a genotype with at least 2 independent loci, got "
            f"{int(keep.sum())}"
        )
    unit = (size[keep, None] / len(x) ** 0.5) * axes[keep]  # one unit of each score (r, L)
    moment = torch.zeros(len(unit), len(unit), dtype=torch.float64)
    step = max(1, len(x) // INDIVIDUALS)
    rows = f.genotype[::step][:INDIVIDUALS]
    for _, some in f.pieces(len(rows) * f.loci * f.trait_count):
        slope = (jacobian(some, rows).double() @ unit.mT).flatten(0, -2)
        moment += slope.mT @ slope
    values, vectors = torch.linalg.eigh(moment)
    if not values[-1] > 0:
        raise ValueError("posterior must have a trait that depends on the genotype, got none")
    chosen = vectors[:, [-1, -2]]
    chosen = chosen * torch.where(chosen.sum(0) < 0, -1.0, 1.0)
    loading = chosen.mT @ unit
    position = left[:, keep] @ chosen * len(x) ** 0.5
    edge = reach * position.abs().amax(0)
    first, second = (torch.linspace(-1, 1, points, dtype=torch.float64) * e for e in edge)
    genotype = centre + second[:, None, None] * loading[1] + first[:, None] * loading[0]
    traits = f.traits(genotype.flatten(0, 1).to(f.genotype))
    return (
        labelled(traits, position, loading, values, first, second, f.names("trait"))
        .assign_attrs(formalization=posterior.formalization.name, cohort=posterior.cohort.name)
        .assign_coords(
            individual=posterior.cohort.labels("individual"), locus=posterior.cohort.labels("locus")
        )
    )


def labelled(
    traits: Tensor,
    position: Tensor,
    loading: Tensor,
    values: Tensor,
    first: Tensor,
    second: Tensor,
    names: list[str],
) -> xr.Dataset:
    """The plane as a Dataset, of traits `(S, points^2, T)`."""
    grid = ("trait", "second", "first")
    points = len(first)

    def over_grid(moment: Tensor) -> np.ndarray:
        return moment.mT.reshape(-1, points, points).numpy()

    values = values.flip(0)
    return xr.Dataset(
        {
            "mean": (grid, over_grid(traits.mean(0))),
            "sd": (grid, over_grid(traits.std(0))),
            "position": (("individual", "direction"), position.numpy()),
            "loading": (("direction", "locus"), loading.numpy()),
            "share": ("direction", (values / values.sum())[:2].numpy()),
        },
        {
            "first": first.numpy(),
            "second": second.numpy(),
            "trait": names,
            "direction": ["first", "second"],
        },
    )
