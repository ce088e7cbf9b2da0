"""Memory: does a genome that has met a niche before come back to it faster?

A lineage alternates between two niches; at every switch the half-time is the number of generations
in which the expected log fitness closes half of its gap to the optimum. At the end the same lineage
meets, from the same niche, one it has seen and one it has not. Parter, Kashtan & Alon 2008,
doi:10.1371/journal.pcbi.1000206; Watson et al. 2014, doi:10.1111/evo.12337.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from genomic_code.inference.evolve import MeanFieldPopulation, evolve
from genomic_code.inference.lineage import Lineage
from genomic_code.inference.niche import Niche
from genomic_code.inference.schedule import Schedule
from genomic_code.spec.protocols import Formalization

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Memory", "half_time", "memory"]


def half_time(log_fitness: NDArray[np.floating]) -> float:
    """Generations until a log fitness (at most 0) is half of its first value, linearly between.

    The length of the record if it never is.
    """
    goal = 0.5 * log_fitness[0]
    reached = np.flatnonzero(log_fitness >= goal)
    if not len(reached):
        return float(len(log_fitness))
    after = int(reached[0])
    if after == 0:
        return 0.0
    before = log_fitness[after - 1]
    return float(after - 1 + (goal - before) / (log_fitness[after] - before))


@dataclass(frozen=True, eq=False)
class Memory:
    """Half-times of a lineage that alternates between two niches."""

    half_times: NDArray[np.float64]
    """At each switch, the first arrival included, generations."""
    seen: float
    """Half-time of the last return to a niche that was met before."""
    unseen: float
    """Half-time, from the same population, to a niche that was not."""
    lineage: Lineage
    """The alternating lineage."""

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Half-times over the switches; dashed, the niche that was not seen."""
        from genomic_code.inference.plots_style import BLUE, ORANGE, axes_for, legend

        ax = axes_for(ax)
        times = [*self.half_times, self.seen]
        ax.plot(range(len(times)), times, "o-", ms=3, color=BLUE, label="niches seen in turn")
        ax.axhline(self.unseen, ls="--", color=ORANGE, label="niche not seen before")
        ax.set(xlabel="switch", ylabel="half-time (generations)")
        legend(ax)
        return ax


def memory(
    formalization: str | Formalization,
    one: Niche,
    other: Niche,
    unseen: Niche,
    *,
    cycles: int = 10,
    period: int = 20,
    population_size: int = 200,
    seed: int = 0,
    **options: Any,
) -> Memory:
    """Alternate a lineage between two niches, then test it on one of them and on a third.

    Args:
        formalization: A registry name or an instance.
        one: First niche; the lineage returns to it at the end.
        other: Second niche.
        unseen: The control, best as far from `other` as `one` is.
        cycles: How often both are met.
        period: Generations in a niche.
        population_size: Number of individuals.
        seed: Seed.
        **options: Further arguments of `evolve`.

    Raises:
        ValueError: An argument is unfit.
    """
    if cycles < 1:
        raise ValueError(f"cycles must be at least 1, got {cycles}")
    plan = Schedule((one, other), period)
    common: dict[str, Any] = {"population_size": population_size, "seed": seed, **options}
    lineage = evolve(formalization, plan, generations=2 * cycles * period, **common)
    fitness = lineage.dataset["expected_log_fitness"].values[:-1].reshape(2 * cycles, period)
    state = last_population(lineage.dataset, seed)
    ends = [
        evolve(formalization, niche, generations=10 * period, start=state, **common)
        for niche in (one, unseen)
    ]
    seen, new = (half_time(end.dataset["expected_log_fitness"].values) for end in ends)
    return Memory(np.array([half_time(row) for row in fitness]), seen, new, lineage)


def last_population(dataset: xr.Dataset, seed: int) -> MeanFieldPopulation:
    """The population of the last record, to go on with."""
    last = dataset.isel(generation=-1)
    location, scale = (torch.tensor(last[name].values) for name in ("location", "scale"))
    return MeanFieldPopulation(location, scale**-2, seed, int(last["generation"]))
