"""How far the optimiser stops from the best possible ELBO, seed by seed, in nats.

    python benchmarks/convergence.py                   # additive: against the exact log evidence
    python benchmarks/convergence.py --model generative --individuals 200 --loci 40 --traits 6

Additive: `polygenic` given its hyperparameters, traits uncorrelated; the best ELBO is the log
evidence, a determinant and a quadratic form for each trait. Others: the best of many long fits.
"""

import time
import warnings
from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
import typer

from genomic_code.inference import fit
from genomic_code.inference.fit import Settings
from genomic_code.spec import Cohort, simulate
from genomic_code.spec.standardize import Scaler


def log_evidence(cohort: Cohort, genetic: float, noise: float) -> float:
    """Log marginal density of all traits, each with its own independent effects."""
    data = Scaler.fit(cohort).data(cohort)
    assert data.phenotype is not None
    x, e, y = (table.double() for table in (data.genotype, data.environment, data.phenotype))
    n = len(x)
    covariance = genetic**2 * x @ x.mT / x.shape[1] + 1 + 0.25 * e @ e.mT
    covariance = covariance + noise**2 * torch.eye(n).double()
    normal = torch.distributions.MultivariateNormal(torch.zeros(n).double(), covariance)
    return float(normal.log_prob(y.mT).sum())


def additive(
    seeds: int, individuals: int, loci: int, traits: int, cycles: int
) -> Iterator[tuple[float, float, float]]:
    """Gap to the log evidence, its Monte-Carlo error, and CPU seconds, of each seed."""
    for seed in range(seeds):
        cohort = simulate(
            "polygenic", individuals=individuals, loci=loci, traits=traits, environments=0,
            seed=seed,
        )  # fmt: skip
        given = {
            "trait_scale": torch.full((traits,), 0.75),
            "trait_correlation": torch.eye(traits),
            "noise_scale": torch.full((traits,), 0.65),
        }
        began = time.process_time()
        found = fit("polygenic", cohort, given=given, seed=seed, cycles=cycles, progress=False)
        seconds = time.process_time() - began
        yield log_evidence(cohort, 0.75, 0.65) - found.elbo, found.elbo_error, seconds


def others(
    model: str, seeds: int, individuals: int, loci: int, traits: int, cycles: int, many: int
) -> Iterator[tuple[float, float, float]]:
    """Gap of the best of 10 restarts to the best of `many` restarts taken four times as far."""
    for seed in range(seeds):
        cohort = simulate(
            model, individuals=individuals, loci=loci, traits=traits, environments=0, seed=seed
        )
        began = time.process_time()
        found = fit(model, cohort, seed=seed, cycles=cycles, progress=False)
        seconds = time.process_time() - began
        long = Settings(restarts=many, screening=1000, steps=1000, cycles=12)
        best = fit(model, cohort, seed=1000 + seed, settings=long, progress=False)
        error = float(np.hypot(found.elbo_error, best.elbo_error))
        yield best.elbo - found.elbo, error, seconds


def main(
    model: Annotated[str, typer.Option(help="additive, or a formalization.")] = "additive",
    seeds: Annotated[int, typer.Option(help="Data sets.")] = 10,
    individuals: Annotated[int, typer.Option(help="N.")] = 1000,
    loci: Annotated[int, typer.Option(help="L.")] = 500,
    traits: Annotated[int, typer.Option(help="T.")] = 20,
    cycles: Annotated[int, typer.Option(help="Cycles of 500 steps after screening.")] = 2,
    many: Annotated[int, typer.Option(help="Restarts of the reference, if not additive.")] = 100,
) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # that the last cycle still gained is the point
    if model == "additive":
        rows = additive(seeds, individuals, loci, traits, cycles)
    else:
        rows = others(model, seeds, individuals, loci, traits, cycles, many)
    typer.echo(f"{model}: N = {individuals}, L = {loci}, T = {traits}, {500 * cycles} steps")
    typer.echo("| seed | gap, nats | its error | CPU s |\n|---|---|---|---|")
    gaps = []
    for seed, (gap, error, seconds) in enumerate(rows):
        typer.echo(f"| {seed} | {gap:.2f} | {error:.2f} | {seconds:.1f} |")
        gaps.append(gap)
    typer.echo(f"largest gap {max(gaps):.2f} nats, median {np.median(gaps):.2f}")


if __name__ == "__main__":
    typer.run(main)
