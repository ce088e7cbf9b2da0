"""Response: how fast populations of evolved genomes reach targets that selection had not asked for.

Every population starts as a clone of one evolved genome and meets a target as a finite, mutating
population of whole individuals. In every generation the mutational steps are scaled so that the
mutational variance, the trace of M, is the same in every population: a head start can then only
come from the directions of mutation, not from their size.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference.dynamics import GenomePopulation
from genomic_code.inference.genome import WeightGenome
from genomic_code.inference.lineage import Lineage
from genomic_code.inference.niche import Niche
from genomic_code.spec.validate import one_of

__all__ = ["Response", "SeparateTargets", "respond"]

FOUNDER_PROBES = 256
"""Random mutants that measure M of a founder."""
PROBES = 64
"""Random mutants, one an individual, that measure the trace of M of a population."""


@dataclass(frozen=True, eq=False)
class SeparateTargets:
    """R populations, each with a target of its own: stabilising selection in one condition."""

    target: Tensor
    """`(R, T)`, standard units."""
    width: float = 1.0
    """Width of the fitness peak, trait units."""
    name: str = "separate targets"
    genotype: None = None
    conditions: int = 1

    @property
    def traits(self) -> int:
        """Number T of traits."""
        return self.target.shape[1]

    @property
    def environment(self) -> Tensor:
        """`(1, 0)`: no environment."""
        return self.target[:1, :0]

    def log_fitness(self, traits: Tensor) -> Tensor:
        """Log fitness `(R, P)` of traits `(R, P, 1, T)`."""
        distance = (traits[..., 0, :] - self.target[:, None]) / self.width
        return -0.5 * distance.square().sum(-1)


@dataclass(frozen=True, eq=False)
class Response:
    """Responses of R populations over time."""

    distance: NDArray[np.float64]
    """Squared distance of the population mean from its target, relative to the founder's,
    `(generation, R)`."""
    evolvability: NDArray[np.float64]
    """Mutational variance of the founder towards the target over its mean in all directions,
    `(R,)`: e_M(beta) / mean e_M; 1 without bias, at most T over the rank of M."""
    step: NDArray[np.float64]
    """Standard deviation of an allele's mutational step that gives the trace of M its value,
    `(generation, R)`; where it rises, development has become less sensitive to mutation."""

    def time_to(self, share: float) -> NDArray[np.float64]:
        """First generation `(R,)` in which the distance is at most `share` of the founder's.

        Populations that have not come so near count as the whole run.
        """
        reached = self.distance <= share**2
        first = np.where(reached.any(0), reached.argmax(0), len(self.distance) - 1)
        return first.astype(float)

    @property
    def half_time(self) -> NDArray[np.float64]:
        """Generations to half of the founder's distance `(R,)`."""
        return self.time_to(0.5)

    @property
    def fitness_half_time(self) -> NDArray[np.float64]:
        """Generations to half of the founder's squared distance, or lost log fitness, `(R,)`."""
        return self.time_to(0.5**0.5)


def founders(
    lineage: Lineage, count: int, seed: int, alleles: Literal["neutral", "evolved"]
) -> tuple[WeightGenome, Tensor]:
    """A genome for one condition, and `count` founders `(count, D)`."""
    old = lineage.needed()
    if alleles == "evolved" and old.rows > 1:
        raise ValueError(
            f"alleles must be 'neutral' where they evolved in more than one condition, got "
            f"'evolved' and {old.rows} conditions"
        )
    draws = lineage.flat_draws(count, seed)
    niche = Niche(torch.zeros(1, old.shape.traits))
    genome = WeightGenome(
        old.formalization, niche, old.shape.loci, old.fixed, old.shape.individuals
    )
    vectors = torch.zeros(count, genome.size)
    for site in genome.flat.sites:
        if site.name != "alleles" or alleles == "evolved":
            vectors[:, site.start : site.stop] = draws[:, old.slice(site.name)]
    return genome, vectors


def mutational_effects(
    genome: WeightGenome, vectors: Tensor, relative: Tensor, niche: SeparateTargets, seed: int
) -> Tensor:
    """Changes `(R, P, T)` of traits by a random mutation of each genome `(R, P, D)`, per step."""
    generator = torch.Generator().manual_seed(seed)
    step = 1e-2 * relative * torch.randn(vectors.shape, generator=generator)
    with torch.no_grad():
        jump = genome.traits(vectors + step, niche) - genome.traits(vectors - step, niche)
    return jump[..., 0, :] / 2e-2


def respond(
    lineage: Lineage,
    targets: Tensor,
    *,
    population_size: int = 200,
    generations: int = 150,
    width: float = 1.0,
    mutational_trace: float = 0.02,
    weight_mutation: float = 0.1,
    alleles: Literal["neutral", "evolved"] = "neutral",
    seed: int = 0,
) -> Response:
    """Let clones of an evolved genome respond to targets, one population a target.

    Args:
        lineage: What `evolve` made; founders are drawn from q of its last generation.
        targets: `(R, T)`, standard units.
        population_size: Individuals of a population.
        generations: Generations of the response.
        width: Width of the fitness peak.
        mutational_trace: Trace of M of every population, squared trait units a generation.
        weight_mutation: Mutational step of a weight over that of an allele; 0 for none.
        alleles: Founders start with `neutral` alleles, or with the `evolved` ones of a lineage of
            one condition.
        seed: Seed of founders and populations.

    Raises:
        ValueError: An argument is unfit.
    """
    one_of("alleles", alleles, ["neutral", "evolved"])
    if not (mutational_trace > 0 and weight_mutation >= 0):
        raise ValueError(
            "mutational_trace must be positive and weight_mutation not negative, got "
            f"{mutational_trace} and {weight_mutation}"
        )
    genome, vectors = founders(lineage, len(targets), seed, alleles)
    niche = SeparateTargets(targets, width)
    relative = torch.full((genome.size,), weight_mutation)
    relative[genome.slice("alleles")] = 1.0
    probes = vectors[:, None].expand(-1, FOUNDER_PROBES, -1)
    effects = mutational_effects(genome, probes, relative, niche, seed)
    with torch.no_grad():
        origin = genome.traits(vectors, niche)[:, 0]
    direction = torch.nn.functional.normalize(targets - origin, dim=-1)
    towards = torch.einsum("rpt,rt->rp", effects, direction).square().mean(1)
    bias = towards / effects.square().mean((1, 2))
    state = GenomePopulation(genome, population_size).start(vectors, seed)
    start = (origin - targets).square().sum(-1)
    distances, steps = [], []
    for generation in range(generations + 1):
        with torch.no_grad():
            mean = genome.traits(state.vectors, niche)[..., 0, :].mean(1)
        distances.append((mean - targets).square().sum(-1) / start)
        some = state.vectors[:, :PROBES]
        effects = mutational_effects(genome, some, relative, niche, seed + generation)
        steps.append((mutational_trace / effects.square().sum(-1).mean(1)).sqrt())
        if generation < generations:
            scale = steps[-1][:, None, None] * relative
            rule = GenomePopulation(genome, population_size, scale, neutral_prior=False)
            state = rule.step(state, niche)
    return Response(
        torch.stack(distances).double().numpy(),
        bias.double().numpy(),
        torch.stack(steps).double().numpy(),
    )
