"""Where inference and evolution part: every approximate correspondence with its measured size.

    python benchmarks/correspondence.py            # a few minutes on one core
    python benchmarks/correspondence.py --quick    # fewer replicates, larger Monte-Carlo errors

The exact correspondences are unit tests (tests/inference/dynamics/test_exact.py).
"""

import argparse
import math
import time

import numpy as np
import torch
from scipy.optimize import brentq, minimize_scalar
from torch import Tensor

from genomic_code.inference.correspondence import correspondence
from genomic_code.inference.dynamics import (
    Drift,
    FixationChain,
    Gaussian,
    GenotypeSpace,
    Lande,
    Replicator,
    WrightFisher,
    binomial_fixation,
    score_gradient,
)
from genomic_code.inference.genome import AlleleGenome, TraitGenome
from genomic_code.inference.laws import total_variation
from genomic_code.inference.niche import Niche
from genomic_code.spec import Polygenic


class Landscape:
    """Any log fitness of one trait."""

    name, genotype, conditions, traits = "landscape", None, 1, 1

    def __init__(self, function):
        self.function, self.environment = function, torch.zeros(1, 0)

    def log_fitness(self, traits: Tensor) -> Tensor:
        """Log fitness `(...)` of traits `(..., 1, 1)`."""
        return self.function(traits[..., 0, 0])


def additive_trait(effects: Tensor, bias: Tensor | float = 0.5) -> AlleleGenome:
    """Loci whose allele 1 adds `effects` to one trait that is 0 for allele 0 everywhere."""
    bias = torch.as_tensor(bias).expand(len(effects))
    scale = (bias * (1 - bias)).sqrt()
    weights = {"mean": (bias * effects).sum()[None], "effects": (scale * effects)[:, None]}
    return AlleleGenome(Polygenic(), weights, len(effects), bias)


BIAS = torch.tensor([0.5, 0.35, 0.6, 0.7])
APART = {"rugged": 0.44, "additive": 0.70}
"""Strength of selection of the ladder: total variation between prior and posterior."""


def tables() -> dict[str, Tensor]:
    """A rugged and an additive log fitness over 16 genotypes, mean 0 and standard deviation 1."""
    node = torch.arange(16)[:, None] >> torch.arange(4) & 1
    rugged = torch.randn(16, generator=torch.Generator().manual_seed(0))
    additive = node.double() @ torch.tensor([1.0, 0.6, -0.8, 0.4])
    return {
        name: (table - table.mean()) / table.std()
        for name, table in {"rugged": rugged, "additive": additive}.items()
    }


def looked_up(table: Tensor) -> tuple[AlleleGenome, Landscape]:
    """Four biased loci whose trait is the number of the genotype, and its log fitness."""
    code = additive_trait(2.0 ** torch.arange(4), BIAS)
    return code, Landscape(lambda x: table[x.round().long()])


def strength(table: Tensor, nu: float, distance: float) -> float:
    """Factor of a log fitness that puts prior and posterior this total variation apart."""
    space = GenotypeSpace.hypercube(looked_up(table)[0])

    def excess(factor: float) -> float:
        posterior = (space.log_prior + nu * factor * table).softmax(0)
        return total_variation(space.log_prior.exp().numpy(), posterior.numpy()) - distance

    return float(brentq(excess, 0, 20 / nu))


def heading(text: str) -> None:
    print(f"\n## {text}\n", flush=True)


def row(name: str, values, form: str = ".4g") -> None:
    cells = " | ".join(v if isinstance(v, str) else format(v, form) for v in values)
    print(f"| {name} | {cells} |", flush=True)


def lande_against_elbo() -> None:
    heading("Lande's response over the ELBO's natural-gradient step on the mean, G held (exact)")
    ratios = [0.001, 0.01, 0.1, 1.0, 10.0]
    row("G / V", ratios)
    row("---", ["---"] * 5)
    surfaces = {
        "normal W": lambda x: -0.5 * (x - 1) ** 2,
        "sigmoid W": lambda x: torch.nn.functional.logsigmoid(2 * x - 1),
        "bimodal W": lambda x: torch.logaddexp(-((x - 2) ** 2), -0.3 - (x + 1) ** 2),
    }
    row("V / (G + V)", [1 / (1 + g) for g in ratios])
    for name, surface in surfaces.items():
        steps = []
        for g in ratios:
            state = Gaussian(torch.zeros(1), torch.full((1, 1), g))
            moves = [
                Lande(TraitGenome(1), 0.0, on, True).step(state, Landscape(surface)).mean
                for on in ("log_mean", "mean_log")
            ]
            steps.append(float(moves[0] / moves[1]))
        row(name, steps)


def normal_closure() -> None:
    heading(
        "A normal population (Lande, G changing) against the exact one: 30 generations, N(.4, 1.3)"
    )
    row("log W", ["mean", "exact mean", "variance", "exact variance"])
    row("---", ["---"] * 4)
    for name, surface in {
        "-.02 (x - 1)^4": lambda x: -0.02 * (x - 1) ** 4,
        "log(1 + .05 tanh x)": lambda x: torch.log(1 + 0.05 * torch.tanh(x)),
    }.items():
        state = Gaussian(torch.full((1,), 0.4), torch.full((1, 1), 1.3))
        rule = Lande(TraitGenome(1))
        for _ in range(30):
            state = rule.step(state, Landscape(surface))
        x = torch.linspace(-12, 12, 20_001)
        q = (-0.5 * (x - 0.4) ** 2 / 1.3 + 30 * surface(x)).softmax(0)
        mean = float(q @ x)
        row(name, [float(state.mean), mean, float(state.covariance), float(q @ (x - mean) ** 2)])


def diffusion() -> None:
    heading("Binomial Wright-Fisher fixation chain against prior * exp(nu log f): total variation")
    row("N", ["N sd(log f)", "landscape", "nu = 2(N - 1)", "nu = 2N", "best nu / (N - 1)"])
    row("---", ["---"] * 5)
    for size in (20, 100):
        for height in (0.5, 2.0, 8.0):
            for name, table in tables().items():
                space = GenotypeSpace.hypercube(looked_up(table)[0])
                fitness = height / size * table
                source, target, _ = space.edges
                chances = [
                    binomial_fixation(float(s), size) for s in fitness[target] - fitness[source]
                ]
                rates = space.generator(torch.tensor(chances)).mT
                system = rates / rates.abs().max()
                system[-1] = 1
                right = torch.zeros(16)
                right[-1] = 1
                law = torch.linalg.solve(system, right).numpy()

                def apart(nu: float, space=space, fitness=fitness, law=law) -> float:
                    return total_variation((space.log_prior + nu * fitness).softmax(0).numpy(), law)

                best = minimize_scalar(apart, bounds=(size, 3 * size), method="bounded").x
                values = f"{apart(2 * (size - 1)):.1e}", f"{apart(2 * size):.1e}"
                row(str(size), [f"{height:g}", name, *values, f"{best / (size - 1):.3f}"])


def burn_in() -> None:
    heading("Too short a run: total variation of the fixation chain from its own rest (N = 50)")
    products = [0.1, 0.38, 1.0, 2.0, 4.0, 6.0, 10.0]
    row("mutation rate * generations", products, "g")
    row("---", ["---"] * len(products))
    for name, table in tables().items():
        genome, niche = looked_up(strength(table, 98, APART[name]) * table)
        space = GenotypeSpace.hypercube(genome)
        cells = []
        for product in products:
            chain = FixationChain(space, Drift(50), 1e-6, generations=product / 1e-6)
            law = chain.step(chain.start(), niche).log_frequency.exp()
            cells.append(total_variation(law.numpy(), chain.posterior(niche).exp().numpy()))
        row(f"{name}, from neutral equilibrium", cells, ".1e")


def monotone(runs: int = 200) -> None:
    heading(f"Runs of {runs} in which free fitness falls at some step, on random landscapes")
    space = GenotypeSpace.hypercube(looked_up(torch.zeros(16))[0])
    drift = Drift(50)
    # A step of the replicator is Bayes' rule: nu = 1. The chain selects nu times as strongly.
    dynamics = {
        "replicator-mutator": (Replicator(space, 0.05), 1.0),
        "fixation chain": (FixationChain(space, drift, 1e-4, generations=1000), drift.nu),
    }
    generator = torch.Generator().manual_seed(0)
    fallen = dict.fromkeys(dynamics, 0)
    for _ in range(runs):
        table, start = torch.randn(16, generator=generator), torch.rand(16, generator=generator)
        for name, (rule, nu) in dynamics.items():
            niche = looked_up(table / nu)[1]
            state, heights = rule.start(start), []
            for _ in range(100):
                values = rule.summary(state, niche)
                cost = values["information"] * math.log(2) / nu
                heights.append(float(values["expected_log_fitness"] - cost))
                state = rule.step(state, niche)
            fallen[name] += bool((np.diff(heights) < -1e-12).any())
    row("dynamics", ["runs with a fall"])
    row("---", ["---"])
    for name, number in fallen.items():
        row(name, [f"{number} / {runs}"])


def mutation_supply(quick: bool) -> None:
    size = 50
    heading(f"Individuals against the tempered posterior by N U (N = {size}, 16 genotypes, "
            f"prior to posterior {APART['rugged']} and {APART['additive']})")  # fmt: skip
    row("N U", ["landscape", "TV", "error", "effective nu / nu", "re-tempered TV",
                "TV to quasispecies", "may stand in"])  # fmt: skip
    row("---", ["---"] * 7)
    weight = float((4 * BIAS * (1 - BIAS)).sum())
    for supply in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0):
        for name, table in tables().items():
            genome, niche = looked_up(strength(table, Drift(size).nu, APART[name]) * table)
            rate = supply / size / weight
            # Rare mutation needs long runs: fewer replicates there.
            replicates = int(min(1000, (100 if quick else 400) * max(1, supply / 0.02)))
            result = correspondence(
                genome, niche, population_size=size, mutation_rate=rate,
                replicates=replicates, seed=1,
            )  # fmt: skip
            row(
                f"{supply:g}",
                [name, f"{result.distance:.3f}", f"{result.error:.3f}",
                 f"{result.effective_nu / result.nu:.2f}", f"{result.retempered:.3f}",
                 f"{result.quasispecies:.3f}", "yes" if result.allowed else "no"],
            )  # fmt: skip


def strategy_noise() -> None:
    heading("Evolution strategies: relative root mean square error of the gradient (theory)")
    row("mutants", ["raw", "less the mean fitness"])
    row("---", ["---"] * 2)
    size, scale, offset = 6, 0.3, 1.0
    truth = torch.full((size,), 0.5)
    niche, mean = Niche(truth), torch.zeros(size)
    slope = float(truth.square().sum())
    top = -0.5 * slope - offset

    def expected(height: float, count: int) -> float:
        """Of f = height + scale slope . e - (scale |e|)^2 / 2, by the moments of |e|^2."""
        two, three = size * (size + 2), size * (size + 2) * (size + 4)
        second = height**2 * size + scale**2 * slope * (size + 2)
        second += scale**4 * three / 4 - height * scale**2 * two
        return math.sqrt((second / scale**2 - slope) / count / slope)

    generator = torch.Generator().manual_seed(0)
    for count in (100, 1000, 10_000, 100_000):
        errors: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(max(20, 100_000 // count)):
            mutants = mean + scale * torch.randn(count, size, generator=generator)
            height = niche.log_fitness(mutants[:, None]) - offset
            for baseline, values in errors.items():
                estimate = score_gradient(mutants, height, mean, scale, baseline)
                values.append(float((estimate - truth).square().sum() / slope))
        cells = []
        for baseline, values in errors.items():
            square, count_of = float(np.mean(values)), len(values) ** 0.5
            error = np.std(values, ddof=1) / count_of / 2 / square**0.5
            theory = expected(0.5 * scale**2 * size if baseline else top, count)
            cells.append(f"{square**0.5:.4f} ± {error:.4f} ({theory:.4f})")
        row(str(count), cells)


def linkage(quick: bool) -> None:
    heading("Mean field and free recombination: 10 loci, one selected trait, T generations")
    loci, size, replicates = 10, 20_000 if quick else 100_000, 4
    effects = torch.exp(0.3 * torch.randn(loci, generator=torch.Generator().manual_seed(1)))
    effects = effects / (effects.square().sum() / 4).sqrt()  # genic variance 1
    genome = additive_trait(effects)
    nodes = (torch.arange(2**loci)[:, None] >> torch.arange(loci) & 1).double()
    trait = nodes @ effects
    best, precision = float(effects.sum() / 2 + 1.0), 1.2
    total = -0.5 * precision * (trait - best) ** 2

    def disequilibrium(law: Tensor) -> float:
        p = law @ nodes
        genic = float((effects**2 * p * (1 - p)).sum())
        mean = law @ trait
        return float(law @ (trait - mean) ** 2) / genic - 1

    def product(logit: Tensor) -> Tensor:
        p = logit.sigmoid()
        return torch.where(nodes > 0.5, p.log(), (-p).log1p()).sum(1).softmax(0)

    def slope(law: Tensor, height: Tensor) -> Tensor:
        """E[height | allele 1] - E[height | allele 0] at each locus: the natural gradient."""
        one = law[:, None] * nodes
        zero = law[:, None] - one
        return (height @ one) / one.sum(0) - (height @ zero) / zero.sum(0)

    posterior = total.softmax(0)
    elbo = torch.zeros(loci)
    for _ in range(500):
        for locus in range(loci):
            elbo[locus] = slope(product(elbo), total)[locus]
    flow = torch.zeros(loci)
    for _ in range(4096):
        flow = flow + slope(product(flow), total) / 4096
    print(f"full posterior LD {disequilibrium(posterior):.3f}; mean-field ELBO optimum LD 0\n")
    row("T", ["LD asexual", "LD free recombination", "freq. RMSE asexual - Bayes",
              "LE recursion - mean-field flow", "LE recursion - ELBO optimum"])  # fmt: skip
    row("---", ["---"] * 5)
    for generations in (1, 4, 16) if quick else (1, 4, 16, 64):
        niche = Niche([best], width=(generations / precision) ** 0.5)
        logit = torch.zeros(loci)
        for _ in range(generations):
            after = (product(logit).log() + total / generations).softmax(0) @ nodes
            logit = after.logit()
        cells = []
        for recombination in (0.0, 0.5):
            rule = WrightFisher(genome, size, 0.0, recombination)
            state = rule.start(replicates, seed=3)
            for _ in range(generations):
                state = rule.step(state, niche)
            laws = [
                torch.bincount(torch.from_numpy(word.astype(np.int64)), minlength=2**loci) / size
                for word in state.words[..., 0]
            ]
            values = [disequilibrium(law.double()) for law in laws]
            cells.append(f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / 2:.3f}")
            if not recombination:
                gaps = [float(((law @ nodes - posterior @ nodes) ** 2).mean().sqrt())
                        for law in laws]  # fmt: skip
        rmse = [float(((logit.sigmoid() - other.sigmoid()) ** 2).mean().sqrt())
                for other in (flow, elbo)]  # fmt: skip
        row(str(generations), [*cells, f"{np.mean(gaps):.4f}", *(f"{v:.4f}" for v in rmse)])
    heading("The same loci at rest: linkage equilibrium with relaxation to the prior at rate rho")
    rates = [0.5, 0.2, 0.05, 0.01]
    row("rho", rates, "g")
    row("---", ["---"] * len(rates))
    cells = []
    for rate in rates:
        logit = torch.zeros(loci)
        for _ in range(int(20 / rate)):
            after = (product((1 - rate) * logit).log() + rate * total).softmax(0) @ nodes
            logit = after.logit()
        cells.append(float((logit.sigmoid() - elbo.sigmoid()).square().mean().sqrt()))
    row("allele frequencies, RMSE to the ELBO optimum", cells, ".4f")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer replicates")
    quick = parser.parse_args().quick
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    start = time.process_time()
    print("# Evolution and inference: the approximate correspondences")
    lande_against_elbo()
    normal_closure()
    diffusion()
    burn_in()
    monotone()
    strategy_noise()
    linkage(quick)
    mutation_supply(quick)
    print(f"\n{time.process_time() - start:.0f} CPU seconds; nu of a haploid population of 50 is "
          f"{Drift(50).nu:g}")  # fmt: skip


if __name__ == "__main__":
    main()
