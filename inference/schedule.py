"""Schedule: which niche selects in which generation, and families of modular targets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from genomic_code.inference.niche import Selection

__all__ = ["Schedule", "as_schedule", "modular_targets"]


@dataclass(frozen=True, eq=False)
class Schedule:
    """Which niche selects in which generation: fixed, alternating or at random."""

    niches: tuple[Selection, ...]
    """The niches; all ask for the same traits in the same number of conditions."""
    period: int = 1
    """Generations spent in a niche before the next switch; at least 1."""
    order: Literal["cycle", "random"] = "cycle"
    """After a switch: the next niche in turn, or one drawn at random."""
    seed: int = 0
    """Seed of the random order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "niches", tuple(self.niches))
        if not self.niches:
            raise ValueError("niches must hold at least one niche, got none")
        if isinstance(self.period, bool) or not isinstance(self.period, int) or self.period < 1:
            raise ValueError(
                f"period must be a whole number of generations of at least 1, got {self.period!r}"
            )
        if self.order not in ("cycle", "random"):
            raise ValueError(f"order must be 'cycle' or 'random', got {self.order!r}")
        first = sizes(self.niches[0])
        for niche in self.niches[1:]:
            if sizes(niche) != first:
                raise ValueError(
                    f"niches must agree in (conditions, traits, environments, loci): "
                    f"{self.niches[0].name!r} has {first}, {niche.name!r} has {sizes(niche)}"
                )

    def at(self, generation: int) -> Selection:
        """The niche of this generation."""
        switch = generation // self.period
        if self.order == "cycle":
            return self.niches[switch % len(self.niches)]
        return self.niches[np.random.default_rng((self.seed, switch)).integers(len(self.niches))]

    def check(self, generations: int) -> None:
        """Refuse a run that ends before a cycle has met every niche.

        Raises:
            ValueError: It does.
        """
        need = self.period * (len(self.niches) - 1) + 1
        if self.order == "cycle" and generations < need:
            raise ValueError(
                f"generations must be at least {need} for {len(self.niches)} niches of "
                f"{self.period} generations each, got {generations}"
            )


def sizes(niche: Selection) -> tuple[int, int, int, int | None]:
    """Conditions, traits, environments and loci of a niche."""
    loci = None if niche.genotype is None else niche.genotype.shape[1]
    return niche.conditions, niche.traits, niche.environment.shape[1], loci


def as_schedule(niches: Selection | Sequence[Selection] | Schedule) -> Schedule:
    """A schedule as given; a niche stays for ever; a sequence alternates every generation.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(niches, Schedule):
        return niches
    listed = tuple(niches) if isinstance(niches, Sequence) else (niches,)
    for niche in listed:
        if not hasattr(niche, "log_fitness"):
            raise ValueError(
                "niches must be a Niche, a sequence of them or a Schedule, got "
                f"{type(niche).__name__}; for a target write Niche(target)"
            )
    return Schedule(listed)


def modular_targets(modules: int, traits: int, size: float = 1.0) -> Tensor:
    """All sign combinations of equal blocks of traits: the family `(2^modules, traits)`.

    Goals that share subgoals; Parter, Kashtan & Alon 2008, doi:10.1371/journal.pcbi.1000206.

    Raises:
        ValueError: The traits do not divide into the modules.
    """
    if modules < 1 or traits < modules or traits % modules:
        raise ValueError(f"traits must be a multiple of modules={modules}, got {traits}")
    if not (math.isfinite(size) and size > 0):
        raise ValueError(f"size must be positive and finite, got {size}")
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * modules).reshape(-1, modules)
    return size * signs.to(torch.get_default_dtype()).repeat_interleave(traits // modules, 1)
