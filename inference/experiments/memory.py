"""Memory: does a genome that has met a niche before come back to it faster?

A lineage alternates between two niches. Alleles follow every switch; weights evolve more slowly and
keep what the niches have in common. At the end, in the second niche, populations of the evolved
genome meet the first niche again and, as far away, one that the lineage never met. Parter, Kashtan
& Alon 2008, doi:10.1371/journal.pcbi.1000206; Watson et al. 2014, doi:10.1111/evo.12337.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm.auto import tqdm

from genomic_code.inference.evolve import evolve
from genomic_code.inference.experiments.response import Response, respond
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
    """Lineages that alternated between two niches, and how their genomes respond."""

    half_times: NDArray[np.float64]
    """At each arrival in a niche, generations to half of the lost log fitness, `(seed, arrival)`;
    the first is that of the ancestor."""
    responses: dict[str, list[Response]]
    """Responses to the niche `met before` and to the one `never met`, one a seed."""
    lineages: list[Lineage]
    """The alternating lineages, one a seed."""

    @property
    def frame(self) -> pd.DataFrame:
        """Means over seeds and standard deviations between them, a row a niche.

        Columns, each followed by its `_sd`: `half_time` (generations to half the distance),
        `fitness_half_time` (to half the lost log fitness), `evolvability` (e_M towards the niche
        over its mean; 1 without memory).
        """
        rows = []
        for name, runs in self.responses.items():
            row: dict[str, str | float] = {"niche": name}
            for measure in ("half_time", "fitness_half_time", "evolvability"):
                values = [getattr(run, measure).mean() for run in runs]
                row[measure] = float(np.mean(values))
                row[f"{measure}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            rows.append(row)
        return pd.DataFrame(rows).set_index("niche")

    def plot(self, ax: "Sequence[Axes] | None" = None) -> "Sequence[Axes]":
        """Left, half-times over the switches; right, the two responses, mean and sd over seeds."""
        from genomic_code.inference.plots_style import (
            BLUE,
            GREY,
            ORANGE,
            axes_for,
            legend,
            spread,
            titled,
        )

        if ax is None:
            ax = list(axes_for(None, 2.8, 7.0, ncols=2))
        arrivals = range(self.half_times.shape[1])
        period = len(self.lineages[0]) // len(arrivals)
        for row in self.half_times:
            ax[0].plot(arrivals, row, color=BLUE, lw=0.8, alpha=0.35)
        ax[0].plot(arrivals, self.half_times.mean(0), "o-", color=BLUE, ms=3, lw=1.6)
        ax[0].axhline(period, ls=":", lw=1, color=GREY)
        ax[0].annotate("dotted: left before half-way", (arrivals[-1], period), (0, 3), ha="right",
                       textcoords="offset points", fontsize="small", color=GREY)  # fmt: skip
        ax[0].set(xlabel="arrival in a niche", ylim=(0, 1.15 * period))
        ax[0].set_ylabel("half-time of log fitness (generations)")
        titled(ax[0], "alternating lineages and their mean")
        for colour, (name, runs) in zip((BLUE, ORANGE), self.responses.items(), strict=True):
            curves = np.stack([run.distance.mean(1) for run in runs])
            spread(ax[1], curves, colour, name)
        ax[1].axhline(0.25, ls=":", lw=1, color=GREY)
        ax[1].set(xlabel="generation", xlim=(0, None), ylim=(0, None))
        ax[1].set_ylabel("squared distance to target (start = 1)")
        titled(ax[1], "populations that meet a niche")
        legend(ax[1])
        return ax


def memory(
    formalization: str | Formalization,
    one: Niche,
    other: Niche,
    unseen: Niche,
    *,
    seeds: Sequence[int] = range(4),
    cycles: int = 10,
    period: int = 50,
    population_size: int = 10,
    weight_rate: float = 0.1,
    ancestor_size: float = 1.0,
    replicates: int = 8,
    response_generations: int = 150,
    mutational_trace: float = 0.02,
    progress: bool = False,
    **options: Any,
) -> Memory:
    """Alternate lineages between two niches, then let populations meet the first and a third one.

    Args:
        formalization: A registry name or an instance.
        one: First niche, of one condition; populations return to it at the end.
        other: Second niche; the lineage ends in it.
        unseen: The control, as far from `other` as `one` is.
        seeds: One lineage a seed.
        cycles: How often both are met; at least 1.
        period: Generations in a niche; a few nu, for alleles take about nu generations to follow a
            switch. An arrival whose half-time is the period has not followed.
        population_size: Individuals that set nu of the lineage. Populations that respond have 200.
        weight_rate: Evolutionary rate of weights over that of alleles.
        ancestor_size: As in `evolve`; from small weights it takes much longer to learn to switch.
        replicates: Populations that respond, a niche and a seed.
        response_generations: Generations of the response.
        mutational_trace: Trace of M of every responding population.
        progress: Whether to show a progress bar.
        **options: Further arguments of `evolve`.

    Raises:
        ValueError: An argument is unfit.
    """
    for name, value in {"cycles": cycles, "replicates": replicates, "seeds": len(seeds)}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    apart = [float((niche.target - other.target).norm()) for niche in (one, unseen)]
    if one.conditions != 1 or abs(apart[0] - apart[1]) > 1e-3 * apart[0]:
        raise ValueError(
            "one and unseen must be niches of one condition, their targets equally far from that "
            f"of other; got {one.conditions} conditions and distances {apart[0]:.3g} and "
            f"{apart[1]:.3g}"
        )
    targets = {"met before": one.target, "never met": unseen.target}
    responses: dict[str, list[Response]] = {name: [] for name in targets}
    half_times, lineages = [], []
    for seed in tqdm(list(seeds), disable=not progress, leave=False):
        lineage = evolve(
            formalization, Schedule((one, other), period), population_size,
            2 * cycles * period, seed, weight_rate=weight_rate, ancestor_size=ancestor_size,
            progress=False, **options,
        )  # fmt: skip
        heights = lineage.dataset["expected_log_fitness"].values[:-1].reshape(-1, period)
        half_times.append([half_time(row) for row in heights])
        lineages.append(lineage)
        for name, target in targets.items():
            response = respond(
                lineage, target.expand(replicates, -1), generations=response_generations,
                mutational_trace=mutational_trace, alleles="evolved", seed=seed,
            )  # fmt: skip
            responses[name].append(response)
    return Memory(np.array(half_times), responses, lineages)
