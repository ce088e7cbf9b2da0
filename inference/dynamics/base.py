"""The one interface of all dynamics: `step(state, niche) -> state`, and a run that records it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.genome import WeightGenome
from genomic_code.inference.lineage import Lineage
from genomic_code.inference.niche import Niche, Selection
from genomic_code.inference.schedule import Schedule, as_schedule

__all__ = ["Dynamics", "run"]


class Timed(Protocol):
    """A state knows its generation."""

    @property
    def generation(self) -> int:
        """Steps taken."""
        ...


S = TypeVar("S", bound=Timed)


class Dynamics(Protocol[S]):
    """How a population changes in a generation."""

    def step(self, state: S, niche: Selection) -> S:
        """The next state; pure: the same state and niche give the same result."""
        ...

    def summary(self, state: S, niche: Selection) -> Mapping[str, Tensor]:
        """What a `Lineage` records of a state; names and dimensions as in `lineage.DIMENSIONS`."""
        ...

    @property
    def conventions(self) -> Mapping[str, Any]:
        """What must be said for the numbers to mean something: nu, ploidy, order of events."""
        ...


QUIET = 2.0
"""Seconds that a run may take before it shows a progress bar."""


def run(
    dynamics: Dynamics[S],
    state: S,
    niches: Selection | Sequence[Selection] | Schedule,
    generations: int,
    *,
    record_every: int = 1,
    progress: bool = False,
) -> tuple[S, Lineage]:
    """Let generations pass.

    Args:
        dynamics: The dynamics.
        state: Where to start, as the `start` of the dynamics gives it.
        niches: A niche, a sequence to alternate between, or a schedule.
        generations: Number of steps; at least 1.
        record_every: Generations between records; the first and the last are always recorded.
        progress: Whether to show a progress bar.

    Returns:
        The last state and the lineage.

    Raises:
        ValueError: The schedule cannot be met in so few generations, or a number is below 1.
    """
    for name, value in {"generations": generations, "record_every": record_every}.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    plan = as_schedule(niches)
    plan.check(generations)
    last = state

    def records() -> Iterator[tuple[int, str, Mapping[str, Tensor]]]:
        nonlocal last
        with tqdm(
            range(generations), "generations", disable=not progress, leave=False, delay=QUIET
        ) as bar:
            for number in bar:
                niche = plan.at(number)
                if number % record_every == 0:
                    now = dynamics.summary(last, niche)
                    if progress and "expected_log_fitness" in now:
                        fitness = float(now["expected_log_fitness"])
                        bar.set_postfix(log_fitness=f"{fitness:.2f}", refresh=False)
                    yield last.generation, niche.name, now
                last = dynamics.step(last, niche)
        niche = plan.at(generations - 1)
        yield last.generation, niche.name, dynamics.summary(last, niche)

    genome = getattr(dynamics, "genome", None)
    niche = plan.at(generations - 1)
    lineage = Lineage.from_records(
        records(),
        dynamics.conventions,
        genome=genome if isinstance(genome, WeightGenome) else None,
        niche=niche if isinstance(niche, Niche) else None,
    )
    return last, lineage
