"""The individual-based simulator: as fast as it must be, and right where theory is exact.

    python benchmarks/wright_fisher.py                     # about five minutes on one core
    python benchmarks/wright_fisher.py --generations 50    # speed scaled up from 50 generations

Speed is that of 10,000 haploid genomes of 1,000 loci under stabilising selection, in processor
seconds for 1,000 generations. Where fwdpy11 is installed, it evolves as many genomes with as many
mutations and crossovers beside it. The two differ in what they pay for: fwdpy11 for mutations that
segregate, additive on one trait; this simulator for loci, and any formalization develops them.
"""

import argparse
import time

import numpy as np
import torch
from numpy.typing import NDArray

from genomic_code.inference.dynamics import Drift, Haploids, WrightFisher, binomial_fixation
from genomic_code.inference.dynamics.bits import pack
from genomic_code.inference.genome import AlleleGenome
from genomic_code.inference.niche import Directional, Niche
from genomic_code.spec import Generative, Polygenic
from genomic_code.spec.protocols import Shape

GENOMES, LOCI, MUTATION, CROSSOVER = 10_000, 1_000, 1e-5, 1e-3


def additive(effect: float, loci: int) -> AlleleGenome:
    """Loci whose allele 1 adds `effect` to one trait, up to a constant."""
    weights = {"mean": torch.zeros(1), "effects": torch.full((loci, 1), effect / 2)}
    return AlleleGenome(Polygenic(), weights, loci)


def speed(generations: int) -> None:
    print("| simulator | development | recombination | CPU s per 1,000 generations |")
    print("|---|---|---|---|")
    for model in (Polygenic(), Generative()):
        torch.manual_seed(0)
        genome = AlleleGenome(model, model.weights(Shape(100, LOCI, 0, 4)), LOCI)
        niche = Niche(torch.full((4,), 1.0))
        for name, rate in {"none": 0.0, "linked": CROSSOVER, "free": 0.5}.items():
            rule = WrightFisher(genome, GENOMES, MUTATION, rate)
            state = rule.step(rule.start(seed=1), niche)
            start = time.process_time()
            for _ in range(generations):
                state = rule.step(state, niche)
            spent = (time.process_time() - start) * 1000 / generations
            print(f"| genomic-code | {model.name} | {name} | {spent:.1f} |", flush=True)
    try:
        spent = published(generations) * 1000 / generations
    except ImportError:
        print("\nfwdpy11 is not installed.")
    else:
        print(f"| fwdpy11 | additive, one trait | linked | {spent:.1f} |")


def published(generations: int) -> float:
    """CPU seconds of fwdpy11 for as many genomes, mutations and crossovers a generation."""
    import fwdpy11

    peak = fwdpy11.GaussianStabilizingSelection.single_trait(
        [fwdpy11.Optimum(optimum=1.0, VS=1.0, when=0)]
    )
    parameters = fwdpy11.ModelParams(
        sregions=[fwdpy11.GaussianS(0, LOCI, 1, 0.1)],
        recregions=[fwdpy11.PoissonInterval(0, LOCI, mean=CROSSOVER * (LOCI - 1))],
        gvalue=fwdpy11.Additive(scaling=2, gvalue_to_fitness=peak),
        rates=(0.0, MUTATION * LOCI, None),
        simlen=generations,
        prune_selected=False,
        demography=fwdpy11.ForwardDemesGraph.tubes(
            [GENOMES // 2], burnin=generations, burnin_is_exact=True
        ),
    )
    population = fwdpy11.DiploidPopulation(GENOMES // 2, float(LOCI))
    start = time.process_time()
    fwdpy11.evolvets(fwdpy11.GSLrng(1), population, parameters, 100, suppress_table_indexing=True)
    return time.process_time() - start


def report(name: str, values: NDArray[np.float64], expected: float, other: str = "") -> None:
    """A row: the mean of independent values, its standard error, theory, and how far off."""
    error = values.std(ddof=1) / len(values) ** 0.5
    off = (values.mean() - expected) / error
    print(f"| {name} | {values.mean():.5f} ± {error:.5f} | {expected:.5f}{other} | {off:+.1f} |")


def decay(replicates: int = 400) -> None:
    size, neutral = 50, Directional([0.0])
    rule = WrightFisher(additive(0.0, 64), size, recombination=0.5)
    state = rule.start(replicates, seed=1)
    first = state.alleles.mean(1)
    founding = 2 * first * (1 - first)
    for time_passed in (10, 40, 100):
        while state.generation < time_passed:
            state = rule.step(state, neutral)
        frequency = state.alleles.mean(1)
        left = (2 * frequency * (1 - frequency)).mean(1) / founding.mean(1)
        report(f"heterozygosity left, N = {size}, generation {time_passed}", left,
               (1 - 1 / size) ** time_passed)  # fmt: skip


def fixation(replicates: int = 40_000) -> None:
    size, niche = 40, Directional([1.0])
    for s in (-0.05, -0.02, 0.0, 0.02, 0.05, 0.15):
        rule = WrightFisher(additive(s, 1), size)
        alleles = np.zeros((replicates, size, 1), np.uint8)
        alleles[:, 0] = 1
        state, fixed = Haploids(pack(alleles), 1, seed=7), 0
        while len(state.words):
            state = rule.step(state, niche)
            count = state.alleles.sum((1, 2))
            fixed += int((count == size).sum())
            going = (count > 0) & (count < size)
            state = Haploids(state.words[going], 1, state.seed, state.generation)
        kimura = float(Drift(size).fixation(torch.tensor(s, dtype=torch.float64)))
        share = (np.arange(replicates) < fixed).astype(float)
        report(f"fixation, N = {size}, s = {s:g}", share, binomial_fixation(s, size),
               f" (Kimura {kimura:.5f})")  # fmt: skip


def balance(replicates: int = 8) -> None:
    rate, loci, size = 0.002, 40, 2000
    for s in (0.05, 0.1, 0.2):
        rule = WrightFisher(additive(-s, loci), size, rate, recombination=0.5)
        p = rate / s
        for _ in range(5000):
            p = p * np.exp(-s) / (1 - p + p * np.exp(-s))
            p = p * (1 - rate) + (1 - p) * rate
        state = rule.start(replicates, seed=2, frequency=p)
        niche, seen = Directional([1.0]), []
        for generation in range(600):
            state = rule.step(state, niche)
            if generation >= 200:
                seen.append(state.alleles.mean((1, 2)))
        report(f"deleterious allele, s = {s:g}, mutation {rate:g}", np.mean(seen, 0), p)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generations", type=int, default=1000, help="generations that are timed")
    generations = parser.parse_args().generations
    torch.set_num_threads(1)
    print("# Individual-based Wright-Fisher\n\n## Against theory\n")
    print("| quantity | simulated | theory | standard errors off |\n|---|---|---|---|")
    decay()
    fixation()
    balance()
    print(f"\n## Speed: {GENOMES:,} genomes of {LOCI:,} loci\n")
    speed(generations)


if __name__ == "__main__":
    main()
