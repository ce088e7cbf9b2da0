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
from torch import Tensor

from genomic_code.inference.correspondence import correspondence
from genomic_code.inference.dynamics import (
    Drift,
    Gaussian,
    GenotypeSpace,
    Lande,
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


def landscapes(population_size: int, strength: float, seed: int = 0):
    """A rugged and an additive log fitness over 16 genotypes with N sd(log f) = strength."""
    code = additive_trait(2.0 ** torch.arange(4), BIAS)
    generator = torch.Generator().manual_seed(seed)
    rugged = torch.randn(16, generator=generator)
    node = torch.arange(16)[:, None] >> torch.arange(4) & 1
    additive = node.double() @ torch.tensor([1.0, 0.6, -0.8, 0.4])
    for name, table in {"rugged": rugged, "additive": additive}.items():
        height = strength / population_size * (table - table.mean()) / table.std()
        yield name, code, Landscape(lambda x, h=height: h[x.round().long()])


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
    heading("A normal population (Lande, with G changing) against the exact one, 30 generations")
    row("log W", ["mean", "exact mean", "variance", "exact variance"])
    row("---", ["---"] * 4)
    for name, surface in {
        "-.02 (x - 1)^4": lambda x: -0.02 * (x - 1) ** 4,
        "log(1 + .05 tanh x)": lambda x: torch.log(1 + 0.05 * torch.tanh(x)),
    }.items():
        state, rule = Gaussian(torch.zeros(1), torch.ones(1, 1)), Lande(TraitGenome(1))
        for _ in range(30):
            state = rule.step(state, Landscape(surface))
        x = torch.linspace(-12, 12, 20_001)
        q = (-0.5 * x**2 + 30 * surface(x)).softmax(0)
        mean = float(q @ x)
        row(name, [float(state.mean), mean, float(state.covariance), float(q @ (x - mean) ** 2)])


def diffusion() -> None:
    heading("Binomial Wright-Fisher fixation chain against prior * exp(nu log f): total variation")
    row("N", ["N sd(log f)", "landscape", "nu = 2(N - 1)", "nu = 2N"])
    row("---", ["---"] * 4)
    for size in (20, 100):
        for strength in (0.5, 2.0, 8.0):
            for name, genome, niche in landscapes(size, strength):
                space = GenotypeSpace.hypercube(genome)
                fitness = space.log_fitness(niche)
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
                tv = [
                    total_variation((space.log_prior + nu * fitness).softmax(0).numpy(), law)
                    for nu in (2 * (size - 1), 2 * size)
                ]
                row(str(size), [f"{strength:g}", name, *tv], ".1e")


def mutation_supply(quick: bool) -> None:
    size = 50
    heading(f"Individuals against the tempered posterior by N U (N = {size}, N sd(log f) = 2)")
    row("N U", ["landscape", "TV", "error", "effective nu / nu", "re-tempered TV",
                "TV to quasispecies", "may stand in"])  # fmt: skip
    row("---", ["---"] * 7)
    weight = float((4 * BIAS * (1 - BIAS)).sum())
    for supply in (0.03, 0.1, 0.3, 1.0, 3.0, 10.0) if quick else (0.01, 0.03, 0.1, 0.3, 1, 3, 10):
        for name, genome, niche in landscapes(size, 2.0):
            rate = supply / size / weight
            # A fixed budget of individuals' generations: rare mutation needs long runs.
            replicates = int(min(2000, max(100, (2e5 if quick else 6e5) * rate * 10)))
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
    heading("Evolution strategies: relative root mean square error of the gradient (d = 6)")
    row("mutants", ["raw", "less the mean fitness"])
    row("---", ["---"] * 2)
    scale, mean = 0.3, torch.zeros(6)
    niche = Niche(torch.full((6,), 0.5))
    truth = torch.full((6,), 0.5)
    generator = torch.Generator().manual_seed(0)
    for count in (100, 1000, 10_000, 100_000):
        errors: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(max(4, 40_000 // count)):
            mutants = mean + scale * torch.randn(count, 6, generator=generator)
            height = niche.log_fitness(mutants[:, None]) - 2.0
            for baseline, values in errors.items():
                estimate = score_gradient(mutants, height, mean, scale, baseline)
                values.append(float(((estimate - truth) ** 2).sum() / (truth**2).sum()))
        row(str(count), [math.sqrt(np.mean(errors[baseline])) for baseline in (False, True)], ".3f")


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
    strategy_noise()
    linkage(quick)
    mutation_supply(quick)
    print(f"\n{time.process_time() - start:.0f} CPU seconds; nu of a haploid population of 50 is "
          f"{Drift(50).nu:g}")  # fmt: skip


if __name__ == "__main__":
    main()
