"""Response: how fast populations of evolved genomes reach targets that selection had not asked for.

Every population starts as a clone of one evolved genome with neutral alleles, and meets a target
as a finite, mutating population of whole individuals. Mutational steps are scaled so that the
founder's mutational variance, the trace of M, is the same for every genome: a head start can then
only come from the directions of mutation, not from their size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference.dynamics import GenomePopulation
from genomic_code.inference.genome import WeightGenome
from genomic_code.inference.lineage import Lineage
from genomic_code.inference.niche import Niche

__all__ = ["Response", "SeparateTargets", "respond"]

ALLELE_PROBES = 256
"""Random mutants that measure the trace of M of a founder."""


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
    mutational_trace: NDArray[np.float64]
    """Trace of M per generation, of the founder and of the final population's mean, `(2, R)`."""

    @property
    def half_time(self) -> NDArray[np.float64]:
        """First generation in which the distance is half of the founder's `(R,)`.

        Populations that have not come half-way count as the whole run.
        """
        reached = self.distance <= 0.25
        first = np.where(reached.any(0), reached.argmax(0), len(self.distance) - 1)
        return first.astype(float)


def founders(lineage: Lineage, count: int, seed: int) -> tuple[WeightGenome, Tensor]:
    """A genome for one condition, and `count` founders `(count, D)` with neutral alleles."""
    old = lineage.needed()
    draws = lineage.flat_draws(count, seed)
    niche = Niche(torch.zeros(1, old.shape.traits))
    genome = WeightGenome(
        old.formalization, niche, old.shape.loci, old.fixed, old.shape.individuals
    )
    vectors = torch.zeros(count, genome.size)
    for site in genome.flat.sites:
        if site.name != "alleles":
            vectors[:, site.start : site.stop] = draws[:, old.slice(site.name)]
    return genome, vectors


def mutational_covariance(
    genome: WeightGenome, vectors: Tensor, scale: Tensor, niche: SeparateTargets, seed: int
) -> Tensor:
    """Covariance `(R, T, T)` of the trait effects of one mutational step of genomes `(R, D)`."""
    noise = torch.randn(
        len(vectors), ALLELE_PROBES, genome.size, generator=torch.Generator().manual_seed(seed)
    )
    step = 1e-2 * scale * noise
    centre = vectors[:, None]
    with torch.no_grad():
        jump = genome.traits(centre + step, niche) - genome.traits(centre - step, niche)
    jump = jump[..., 0, :] / 2e-2
    return torch.einsum("rpt,rpu->rtu", jump, jump) / ALLELE_PROBES


def respond(
    lineage: Lineage,
    targets: Tensor,
    *,
    population_size: int = 200,
    generations: int = 150,
    width: float = 1.0,
    mutational_trace: float = 0.02,
    weight_mutation: float = 0.1,
    seed: int = 0,
) -> Response:
    """Let clones of an evolved genome respond to targets, one population a target.

    Args:
        lineage: What `evolve` made; founders are drawn from q of its last generation.
        targets: `(R, T)`, standard units.
        population_size: Individuals of a population.
        generations: Generations of the response.
        width: Width of the fitness peak.
        mutational_trace: Trace of M of every founder, squared trait units a generation.
        weight_mutation: Mutational step of a weight over that of an allele; 0 for none.
        seed: Seed of founders and populations.
    """
    if not (mutational_trace > 0 and weight_mutation >= 0):
        raise ValueError(
            "mutational_trace must be positive and weight_mutation not negative, got "
            f"{mutational_trace} and {weight_mutation}"
        )
    genome, vectors = founders(lineage, len(targets), seed)
    niche = SeparateTargets(targets, width)
    relative = torch.full((genome.size,), weight_mutation)
    relative[genome.slice("alleles")] = 1.0
    covariance = mutational_covariance(genome, vectors, relative, niche, seed)
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    scale = (mutational_trace / trace).sqrt()[:, None, None] * relative
    with torch.no_grad():
        origin = genome.traits(vectors, niche)[:, 0]
    direction = torch.nn.functional.normalize(targets - origin, dim=-1)
    towards = torch.einsum("rt,rtu,ru->r", direction, covariance, direction)
    rule = GenomePopulation(genome, population_size, scale, neutral_prior=False)
    state, distances = rule.start(vectors, seed), []
    start = (origin - targets).square().sum(-1)
    for generation in range(generations + 1):
        with torch.no_grad():
            mean = genome.traits(state.vectors, niche)[..., 0, :].mean(1)
        distances.append(((mean - targets).square().sum(-1) / start).double().numpy())
        if generation < generations:
            state = rule.step(state, niche)
    end = mutational_covariance(genome, state.vectors.mean(1), scale, niche, seed)
    traces = torch.stack(
        [torch.full((len(targets),), mutational_trace), end.diagonal(dim1=-2, dim2=-1).sum(-1)]
    )
    return Response(
        np.array(distances),
        (towards / trace * targets.shape[1]).double().numpy(),
        traces.double().numpy(),
    )


def pooled(responses: Sequence[Response]) -> Response:
    """Several responses side by side."""
    return Response(
        np.concatenate([r.distance for r in responses], 1),
        np.concatenate([r.evolvability for r in responses]),
        np.concatenate([r.mutational_trace for r in responses], 1),
    )
