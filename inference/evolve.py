"""Evolve: a genome in its niches, by natural-gradient variational inference of free fitness.

The population is a mean-field normal q over the unconstrained genome, its neutral mutational
equilibrium the prior pi, its fitness the likelihood. Free fitness

    F[q] = E_q[log W] - KL(q, pi) / nu

is the ELBO tempered by drift (nu = 2 (N - 1) for haploid Wright-Fisher; see `dynamics.drift`).
One generation is a natural-gradient step of length rho in natural parameters,

    Lambda' = (1 - rho) Lambda + rho (1 - nu E_q[d^2 log W])          precision
    m' = m + rho Lambda'^-1 (nu E_q[d log W] - m)                     mean, for a N(0, 1) prior

and by default rho = 1 / nu: selection then acts once a generation with its full strength (for
quadratic log fitness the step is Bayes' rule, that is the replicator equation on each coordinate)
while the population relaxes to neutral equilibrium at rate 1 / nu.

What may be read into it. The resting point is the mean-field approximation of the law
`pi exp(nu log W)` over many populations with rare mutation: exact in the limit of rare mutation and
independent coordinates. The path is that of an infinite, freely recombining population under weak
selection. `correspondence` measures how far a population is from either.
Khan & Rue 2023, arXiv:2107.04562; Iwasa 1988, doi:10.1016/S0022-5193(88)80243-1.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from genomic_code.inference.dynamics.base import run
from genomic_code.inference.dynamics.drift import Drift
from genomic_code.inference.genome import WeightGenome, log_fitness
from genomic_code.inference.lineage import Lineage
from genomic_code.inference.niche import Selection
from genomic_code.inference.schedule import Schedule, as_schedule
from genomic_code.spec.formalizations import resolve
from genomic_code.spec.protocols import Formalization
from genomic_code.spec.validate import at_least_one, one_of

__all__ = ["FreeFitness", "MeanFieldPopulation", "evolve", "prior_draw"]

STEP = 1e-3
"""Size of the mutational steps that measure M, in prior standard deviations."""


@dataclass(frozen=True, eq=False)
class MeanFieldPopulation:
    """Independent normals over the unconstrained genome."""

    location: Tensor
    """`(D,)`"""
    precision: Tensor
    """`(D,)`, positive."""
    seed: int = 0
    generation: int = 0

    @property
    def scale(self) -> Tensor:
        """Standard deviations `(D,)`."""
        return self.precision.rsqrt()


@dataclass(frozen=True, eq=False)
class FreeFitness:
    """The natural-gradient flow of free fitness, as a dynamics."""

    genome: WeightGenome
    drift: Drift
    """Population size and the conventions that turn it into nu."""
    rate: float | None = None
    """Step length rho in natural parameters, in (0, 1]; None for 1 / nu, a generation."""
    weight_rate: float = 1.0
    """Step length of weights over that of alleles, in (0, 1]: below 1 development evolves more
    slowly than the alleles it reads. The resting point stays the same, the path does not."""
    draws: int = 64
    """Antithetic draws of q that estimate a step; even."""

    def __post_init__(self) -> None:
        at_least_one(self, "draws")
        if self.draws % 2:
            raise ValueError(f"draws must be even, got {self.draws}")
        if self.rate is not None and not 0 < self.rate <= 1:
            raise ValueError(f"rate must be in (0, 1], got {self.rate}")
        if not 0 < self.weight_rate <= 1:
            raise ValueError(f"weight_rate must be in (0, 1], got {self.weight_rate}")
        pace = torch.full((self.genome.size,), float(self.weight_rate))
        if self.genome.heredity.alleles:
            pace[self.genome.slice("alleles")] = 1.0
        elif self.weight_rate < 1:
            raise ValueError(
                f"weight_rate must be 1 where the niche imposes the alleles, got {self.weight_rate}"
            )
        object.__setattr__(self, "pace", pace)

    pace: Tensor = field(init=False, repr=False)
    """Relative step length of each coordinate `(D,)`."""

    def sample(self, state: MeanFieldPopulation, stream: int) -> tuple[Tensor, Tensor]:
        """Genomes `(S, D)` and the standard normal noise that made them."""
        key = (state.seed * 1_000_003 + state.generation) * 8 + stream
        generator = torch.Generator().manual_seed(key)
        half = torch.randn(self.draws // 2, self.genome.size, generator=generator)
        noise = torch.cat([half, -half]).to(state.location.dtype)
        return state.location + state.scale * noise, noise

    def prior_remainder(self, genomes: Tensor) -> Tensor:
        """Log prior `(...)` less that of a standard normal: 0 for standard normal sites."""
        normal = 0.5 * (genomes.square().sum(-1) + self.genome.size * math.log(2 * math.pi))
        return self.genome.log_prior(genomes) + normal

    def step(self, state: MeanFieldPopulation, niche: Selection) -> MeanFieldPopulation:
        """One generation."""
        nu = self.drift.nu
        rho = (self.rate or 1 / nu) * self.pace
        genomes, noise = self.sample(state, 0)
        genomes.requires_grad_()
        height = nu * log_fitness(self.genome, genomes, niche) + self.prior_remainder(genomes)
        (slopes,) = torch.autograd.grad(height.sum(), genomes)
        if not slopes.isfinite().all():
            raise FloatingPointError(
                f"evolution diverged in generation {state.generation} of the niche "
                f"{niche.name!r}: a fitness slope is not finite; widen the niche"
            )
        curvature = 1 - (slopes * noise).mean(0) / state.scale
        target = curvature - state.precision, slopes.mean(0) - state.location
        location, precision = bounded(state, *target, rho, math.log(self.drift.population_size))
        return MeanFieldPopulation(location, precision, state.seed, state.generation + 1)

    def summary(self, state: MeanFieldPopulation, niche: Selection) -> dict[str, Tensor]:
        """What a `Lineage` records."""
        with torch.no_grad():
            genomes, _ = self.sample(state, 1)
            fitness = log_fitness(self.genome, genomes, niche)
            traits = self.genome.traits(genomes, niche)
            spread = traits - traits.mean(0)
            # Closed form against a standard normal, draws only for what the prior differs by.
            variance = 1 / state.precision
            nats = 0.5 * (variance + state.location.square() - 1 + state.precision.log()).sum()
            nats = nats - self.prior_remainder(genomes).mean()
            step = STEP * self.sample(state, 2)[1]
            jump = self.genome.traits(genomes + step, niche)
            jump = (jump - self.genome.traits(genomes - step, niche)) / (2 * STEP)
            return {
                "location": state.location,
                "scale": state.scale,
                "expected_log_fitness": fitness.mean(),
                "log_mean_fitness": fitness.logsumexp(0) - math.log(self.draws),
                "information": nats / math.log(2),
                "free_fitness": fitness.mean() - nats / self.drift.nu,
                "mean_trait": traits.mean(0),
                "G": torch.einsum("smt,smu->tu", spread, spread)
                / ((self.draws - 1) * niche.conditions),
                "M": torch.einsum("smt,smu->tu", jump, jump) / (self.draws * niche.conditions),
            }

    @property
    def conventions(self) -> dict[str, Any]:
        """What a `Lineage` states about itself."""
        return {
            "dynamics": "variational evolution (natural-gradient flow of free fitness)",
            "formalization": self.genome.formalization.name,
            **vars(self.drift),
            "nu": self.drift.nu,
            "rate": self.rate or 1 / self.drift.nu,
            "weight_rate": self.weight_rate,
            "selection_on": "mean_log",
            "draws": self.draws,
        }


def bounded(
    state: MeanFieldPopulation, curvature: Tensor, slope: Tensor, rate: float | Tensor, limit: float
) -> tuple[Tensor, Tensor]:
    """Natural-gradient step to `(location, precision)`, shortened until `KL(q', q) <= limit`."""
    while True:
        change = rate * curvature
        bent = state.precision.square() / (4 * change.abs().clamp_min(1e-30))
        gentle = state.precision + change
        precision = torch.where(change > -0.5 * state.precision, gentle, bent)
        move = rate * slope / precision
        ratio = state.precision / precision
        nats = 0.5 * (ratio - 1 - ratio.log() + state.precision * move.square()).sum()
        if nats <= limit:
            return state.location + move, precision
        rate = rate * (float((limit / nats).sqrt().clamp(1e-3, 0.9)) if nats.isfinite() else 1e-3)


def prior_draw(genome: WeightGenome, seed: int, size: float = 1.0) -> Tensor:
    """One genome `(D,)` from the prior, unconstrained, its real-valued sites times `size`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = [
            site.transform.inv(site.prior.sample()).reshape(-1) * (size if site.real else 1.0)
            for site in genome.flat.sites
        ]
    return torch.cat(parts)


def evolve(
    formalization: str | Formalization,
    niches: Selection | Sequence[Selection] | Schedule,
    population_size: int,
    generations: int,
    seed: int = 0,
    *,
    loci: int = 20,
    process: Literal["moran", "wright_fisher"] = "wright_fisher",
    ploidy: Literal["haploid", "diploid"] = "haploid",
    fitness_of: Literal["individual", "allele"] = "individual",
    fixed: Mapping[str, Tensor] | None = None,
    start: Literal["ancestor", "neutral"] | MeanFieldPopulation = "ancestor",
    ancestor_size: float = 0.3,
    ancestor_spread: float = 0.1,
    rate: float | None = None,
    weight_rate: float = 1.0,
    draws: int = 64,
    record_every: int = 1,
    progress: bool = True,
) -> Lineage:
    """Evolve the genomic weights of a formalization in silico.

    Args:
        formalization: A registry name or an instance.
        niches: A niche, a sequence to alternate between every generation, or a `Schedule`.
        population_size: Number N of individuals; with the three conventions it gives nu.
        generations: Number of generations.
        seed: Seed of the start and of all draws.
        loci: Number of loci where the niche imposes no genotype, so that alleles evolve too.
        process: Discrete generations (`wright_fisher`) or overlapping ones (`moran`).
        ploidy: Haploid or diploid.
        fitness_of: Whether log fitness is an individual's or a gene copy's.
        fixed: Values of sites that do not evolve, by name.
        start: A population descended from one simple `ancestor`, or at `neutral` equilibrium
            (symmetric: a network may never leave it), or one given.
        ancestor_size: Size of the ancestor's weights over that of a draw from the prior. Small
            weights make development nearly linear; what evolves from them generalises better.
        ancestor_spread: Standard deviation of the population about its ancestor, positive.
        rate: Step length; None for a generation, 1 / nu.
        weight_rate: Step length of weights over that of alleles, in (0, 1]; below 1 development
            evolves more slowly than the alleles that it reads.
        draws: Draws that estimate a step.
        record_every: Generations between records.
        progress: Whether to show a progress bar where it takes more than 2 seconds.

    Returns:
        The lineage: q, expected log fitness, bits, free fitness, G and M of each record.

    Raises:
        ValueError: An argument is unfit, or the schedule cannot be met in so few generations.
        FloatingPointError: Evolution diverged.
    """
    plan = as_schedule(niches)
    genome = WeightGenome(resolve(formalization), plan.niches[0], loci, fixed)
    drift = Drift(population_size, process, ploidy, fitness_of)
    rule = FreeFitness(genome, drift, rate, weight_rate, draws)
    if isinstance(start, str):
        one_of("start", start, ["ancestor", "neutral"])
        if not (ancestor_size >= 0 and ancestor_spread > 0):
            raise ValueError(
                "ancestor_size must not be negative and ancestor_spread positive, got "
                f"{ancestor_size} and {ancestor_spread}"
            )
        neutral = start == "neutral"
        founder = prior_draw(genome, seed, 0.1 if neutral else ancestor_size)
        scale = 1.0 if neutral else ancestor_spread
        start = MeanFieldPopulation(founder, torch.full_like(founder, scale**-2), seed)
    _, lineage = run(rule, start, plan, generations, record_every=record_every, progress=progress)
    return lineage
