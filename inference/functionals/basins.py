"""Basins of attraction of recurrent development: how many end states, and how wide their basins.

A hook for formalizations that relax to a fixed point: anything with a method
`settle(weights, genotype, environment, start)` that carries start states to end states.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference.functionals.map import Map
from genomic_code.spec.protocols import Weights

__all__ = ["Basins", "Settles", "basin_volumes", "group_states"]


@runtime_checkable
class Settles(Protocol):
    """A formalization whose development can be started from any state."""

    def settle(
        self, weights: Weights, genotype: Tensor, environment: Tensor, start: Tensor
    ) -> Tensor:
        """End states `(..., N, H)` of start states `(..., N, H)`."""
        ...


class Basins(NamedTuple):
    """Attractors of one genotype under one draw, by decreasing volume."""

    attractors: NDArray[np.float64]
    """End states `(A, H)`."""
    volume: NDArray[np.float64]
    """Share of the start states that end in each `(A,)`."""

    @property
    def effective_number(self) -> float:
        """Exponential of the entropy of the volumes: 1 if all development ends in one state."""
        return float(np.exp(-(self.volume * np.log(self.volume)).sum()))


def basin_volumes(
    f: Map, individual: int, states: int, starts: int = 256, tolerance: float = 0.05, seed: int = 0
) -> list[Basins]:
    """Basins of one individual of the population, one result a draw.

    Args:
        f: A map whose formalization can `settle`.
        individual: Position in the population.
        states: Number of state variables H.
        starts: Start states, uniform in [-1, 1]^H; the standard error of a volume v is
            sqrt(v (1 - v) / starts).
        tolerance: End states nearer than this, in the largest coordinate, are one attractor.
        seed: Seed of the start states.

    Raises:
        ValueError: The formalization has no attractors.
    """
    formalization = f.formalization
    if not isinstance(formalization, Settles):
        raise ValueError(
            f"{f.formalization.name} has no attractors: it has no method "
            "`settle(weights, genotype, environment, start)`"
        )
    generator = torch.Generator().manual_seed(seed)
    start = torch.rand(starts, states, generator=generator) * 2 - 1
    genotype = f.genotype[individual].expand(starts, -1)
    environment = f.environment[individual].expand(starts, -1)
    with torch.no_grad():
        end = formalization.settle(f.weights, genotype, environment, start)
    return [group_states(one.double().numpy(), tolerance) for one in end.expand(f.draws, -1, -1)]


def group_states(states: NDArray[np.float64], tolerance: float) -> Basins:
    """Group end states `(B, H)` that lie within `tolerance` of the first of their group."""
    left, found = states, []
    while len(left):
        near = np.abs(left - left[0]).max(1) <= tolerance
        found.append((left[near].mean(0), near.sum() / len(states)))
        left = left[~near]
    found.sort(key=lambda item: -item[1])
    return Basins(np.stack([state for state, _ in found]), np.array([share for _, share in found]))
