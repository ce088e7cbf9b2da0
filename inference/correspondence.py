"""Correspondence: a posterior and a population of the same genomes in the same niche, side by side.

    genome = AlleleGenome.draw("generative", niche, loci=6)
    correspondence(genome, niche, population_size=50, mutation_rate=1e-4)

Inference is the tempered posterior `prior * exp(nu log W)` over alleles; evolution is an
individual-based Wright-Fisher population. Both start from monomorphic populations at neutral
equilibrium. Up to ten loci all genotypes are enumerated and the laws are compared by total
variation; beyond, a Metropolis sampler stands for the posterior and trait moments are compared.
"""

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.dynamics.drift import Drift
from genomic_code.inference.dynamics.fixation import FixationChain
from genomic_code.inference.dynamics.space import GenotypeSpace
from genomic_code.inference.dynamics.wright_fisher import WrightFisher
from genomic_code.inference.genome import AlleleGenome, log_fitness
from genomic_code.inference.laws import (
    counts,
    founders,
    metropolis,
    moments,
    quasispecies,
    selection_ratio,
    total_variation,
)
from genomic_code.inference.niche import Selection
from genomic_code.inference.regime import RARE, Regime

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Correspondence", "correspondence"]

ENUMERABLE = 10
"""Most loci for which laws over genotypes are compared."""
POINTS = 60
"""Records of a trajectory, and samples of the stationary law."""


@dataclass(frozen=True, eq=False)
class Correspondence:
    """What a posterior says and what a population did."""

    metric: str
    """`total variation` of laws over genotypes, or `trait moments`: root mean square difference of
    trait means in posterior standard deviations."""
    distance: float
    """Between posterior and population, in the metric."""
    error: float
    """Monte-Carlo error of the distance, from replicate populations: what it would be on average
    if the two laws were equal."""
    tolerance: float
    """Distance up to which the posterior may stand in."""
    nu: float
    """Exponent of fitness in the posterior."""
    effective_nu: float
    """Exponent with which the posterior would be nearest to the population; NaN if not computed."""
    retempered: float
    """Distance of that posterior; NaN if not computed."""
    quasispecies: float
    """Distance of the population from the replicator-mutator's rest; NaN if not computed."""
    regime: Regime
    laws: xr.Dataset
    """`inference` and `evolution` over `genotype`, or over `statistic`."""
    trajectory: xr.Dataset
    """Expected log fitness over `generation`: `inference` (NaN if not enumerable), `evolution` and
    its standard error."""

    @property
    def decided(self) -> bool:
        """Whether the Monte-Carlo error is small enough to tell."""
        return self.error <= self.tolerance

    @property
    def allowed(self) -> bool:
        """Whether the posterior may stand in for this population."""
        return self.decided and self.distance <= self.tolerance + self.error

    @property
    def verdict(self) -> str:
        """One plain sentence."""
        measured = (
            f"{self.metric} {self.distance:.3f} (Monte-Carlo error {self.error:.3f}, tolerance "
            f"{self.tolerance:g}), {self.regime}"
        )
        if not self.decided:
            return (
                f"Whether the posterior may stand in for evolution cannot be told here: {measured};"
                " take more replicates or a longer sampling."
            )
        if self.allowed:
            rare = self.regime.mutation_supply <= RARE
            reason = self.regime.expectation if rare else "mutants segregate, but it hardly shows"
            return f"The posterior may stand in for evolution here: {measured}; {reason}."
        remedy = ""
        if self.effective_nu / self.nu < 0.95:
            remedy = (
                f" A posterior tempered with nu = {self.effective_nu:.3g} instead of "
                f"{self.nu:.3g} comes to {self.retempered:.3f}."
            )
        if self.quasispecies < min(self.distance, self.tolerance):
            remedy += f" The replicator-mutator comes to {self.quasispecies:.3f}."
        return (
            f"The posterior must not stand in for evolution here: {measured}; "
            f"{self.regime.expectation}.{remedy}"
        )

    def __repr__(self) -> str:
        return f"Correspondence({self.verdict})"

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Expected log fitness of inference and of evolution over the generations."""
        from genomic_code.inference.plots_style import BLUE, ORANGE, axes_for, legend, titled

        ax = axes_for(ax)
        path = self.trajectory
        time, mean, error = path["generation"], path["evolution"], path["evolution_error"]
        low, high = mean - 2 * error, mean + 2 * error
        ax.plot(time, mean, color=BLUE, lw=1.2, label="evolution: individuals (± 2 s.e.)")
        ax.fill_between(time, low, high, color=BLUE, alpha=0.2, lw=0)
        if np.isfinite(path["inference"]).all():
            label = "inference: fixation chain to the posterior"
            ax.plot(time, path["inference"], "--", color=ORANGE, label=label)
        else:
            height = float(self.laws.attrs["log_fitness"])
            ax.axhline(height, ls="--", color=ORANGE, label="inference: posterior")
        ax.set(xlabel="generation", ylabel="expected log fitness (nats)")
        titled(ax, textwrap.fill(str(self.regime), 52))
        legend(ax)
        return ax


def correspondence(
    genome: AlleleGenome,
    niche: Selection,
    *,
    population_size: int,
    mutation_rate: float,
    recombination: float = 0.0,
    burn_in: int | None = None,
    sampling: int | None = None,
    replicates: int = 200,
    tolerance: float = 0.05,
    seed: int = 0,
    progress: bool = False,
) -> Correspondence:
    """Compare the tempered posterior with an evolving population.

    Args:
        genome: Alleles of a haploid and the weights that develop them.
        niche: What selects.
        population_size: Number N of haploid individuals; nu = 2 (N - 1).
        mutation_rate: Per locus and generation, as in `WrightFisher`; positive.
        recombination: Probability of a crossover between neighbouring loci.
        burn_in: Generations before sampling; at least 6 / mutation_rate, the default: a shorter run
            looks like a failure of the correspondence.
        sampling: Generations of sampling; by default 2 / mutation_rate.
        replicates: Independent populations; at least 10.
        tolerance: Distance up to which the posterior may stand in.
        seed: Seed of the populations.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: An argument is unfit, in particular a burn-in that is too short.
    """
    if not isinstance(genome, AlleleGenome):
        raise ValueError(
            f"genome must be an AlleleGenome, got {type(genome).__name__}; for instance "
            "AlleleGenome.draw('generative', niche, loci=6)"
        )
    if not mutation_rate > 0:
        raise ValueError(f"mutation_rate must be positive, got {mutation_rate}")
    if replicates < 10:
        raise ValueError(f"replicates must be at least 10 to tell an error, got {replicates}")
    need = math.ceil(6 / mutation_rate)
    burn_in = need if burn_in is None else burn_in
    if burn_in < need:
        raise ValueError(
            f"burn_in must be at least 6 / mutation_rate = {need} generations, got {burn_in}: "
            "mutation would not have had the time to reach its equilibrium"
        )
    sampling = math.ceil(2 / mutation_rate) if sampling is None else sampling
    rule = WrightFisher(genome, population_size, mutation_rate, recombination)
    drift = Drift(population_size)
    small = genome.loci <= ENUMERABLE
    state = founders(rule, replicates, seed)
    every = max(1, burn_in // POINTS), max(1, sampling // POINTS)
    path: list[tuple[int, NDArray[np.float64]]] = []
    samples: list[NDArray[np.float64]] = []
    spread: list[Tensor] = []
    for generation in tqdm(range(burn_in + sampling), disable=not progress, leave=False):
        if generation < burn_in and generation % every[0] == 0:
            path.append((generation, rule.log_fitness(state, niche).mean(1)))
        if generation >= burn_in and (generation - burn_in) % every[1] == 0:
            samples.append(counts(state) if small else moments(state, genome, niche))
            if len(spread) < 10:
                spread.append(rule.summary(state, niche)["G"])
        state = rule.step(state, niche)
    evolved = np.mean(samples, 0)
    bias = torch.as_tensor(genome.bias)
    supply = float((4 * mutation_rate * bias * (1 - bias)).sum())
    regime = Regime(
        population_size, supply, selection_ratio(torch.stack(spread).mean(0), niche), recombination
    )
    common = {"tolerance": tolerance, "nu": drift.nu, "regime": regime}
    if small:
        return enumerated(genome, niche, drift, mutation_rate, evolved, path, seed, common)
    return sampled(genome, niche, drift, evolved, path, seed, common)


def enumerated(
    genome: AlleleGenome,
    niche: Selection,
    drift: Drift,
    mutation_rate: float,
    evolved: NDArray[np.float64],
    path: list[tuple[int, NDArray[np.float64]]],
    seed: int,
    common: Mapping[str, object],
) -> Correspondence:
    """Compare laws over all genotypes."""
    space = GenotypeSpace.hypercube(genome)
    step = float(path[1][0]) if len(path) > 1 else 1.0
    chain = FixationChain(space, drift, mutation_rate, generations=step)
    fitness, prior = space.log_fitness(niche), space.log_prior
    posterior = chain.posterior(niche).exp().numpy()
    law = evolved.mean(0)

    def tempered(nu: float) -> float:
        return total_variation((prior + nu * fitness).softmax(0).numpy(), law)

    scales = drift.nu * np.concatenate([np.linspace(0, 1.5, 151)])
    fits = [tempered(float(nu)) for nu in scales]
    best = int(np.argmin(fits))
    rng = np.random.default_rng(seed)
    resampled = rng.integers(len(evolved), size=(200, len(evolved)))
    error = np.mean([total_variation(evolved[rows].mean(0), law) for rows in resampled])
    state, expected = chain.start(), []
    for _ in path:
        expected.append(float(state.log_frequency.exp() @ fitness))
        state = chain.step(state, niche)
    labels = [format(node, f"0{genome.loci}b")[::-1] for node in range(len(law))]
    return Correspondence(
        metric="total variation",
        distance=total_variation(posterior, law),
        error=float(error),
        effective_nu=float(scales[best]),
        retempered=fits[best],
        quasispecies=total_variation(quasispecies(space, niche, mutation_rate), law),
        laws=xr.Dataset(
            {"inference": ("genotype", posterior), "evolution": ("genotype", law)},
            {"genotype": labels},
            {"log_fitness": float(posterior @ fitness.numpy())},
        ),
        trajectory=trajectory(path, np.array(expected)),
        **common,  # type: ignore[arg-type]
    )


def sampled(
    genome: AlleleGenome,
    niche: Selection,
    drift: Drift,
    evolved: NDArray[np.float64],
    path: list[tuple[int, NDArray[np.float64]]],
    seed: int,
    common: Mapping[str, object],
) -> Correspondence:
    """Compare trait means with those of posterior genotypes drawn by a Metropolis sampler."""
    alleles = metropolis(genome, niche, drift.nu, len(evolved), seed)
    with torch.no_grad():
        traits = genome.traits(alleles, niche).double().flatten(1).numpy()
        height = float(log_fitness(genome, alleles, niche).mean())
    spread = traits.std(0, ddof=1)
    gap = (evolved.mean(0) - traits.mean(0)) / spread
    noise = (evolved.var(0, ddof=1) / spread**2 + 1) / len(evolved)
    labels = [f"trait mean {number}" for number in range(traits.shape[1])]
    nan = float("nan")
    return Correspondence(
        metric="trait moments",
        distance=float(np.sqrt(np.mean(gap**2))),
        error=float(np.sqrt(np.mean(noise))),
        effective_nu=nan,
        retempered=nan,
        quasispecies=nan,
        laws=xr.Dataset(
            {
                "inference": ("statistic", traits.mean(0)),
                "evolution": ("statistic", evolved.mean(0)),
            },
            {"statistic": labels},
            {"log_fitness": height},
        ),
        trajectory=trajectory(path, np.full(len(path), nan)),
        **common,  # type: ignore[arg-type]
    )


def trajectory(
    path: list[tuple[int, NDArray[np.float64]]], inference: NDArray[np.float64]
) -> xr.Dataset:
    """Expected log fitness over the generations of the burn-in."""
    values = np.stack([row for _, row in path])
    return xr.Dataset(
        {
            "inference": ("generation", inference),
            "evolution": ("generation", values.mean(1)),
            "evolution_error": (
                "generation",
                values.std(1, ddof=1) / values.shape[1] ** 0.5,
            ),
        },
        {"generation": [time for time, _ in path]},
    )
