"""What `realdata.py` runs on each data set: its methods, one row of the table each."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logsumexp

from genomic_code.inference.calibration import coverage
from genomic_code.inference.ensemble import fit_ensemble
from genomic_code.inference.fit import Settings, fit_folds
from genomic_code.inference.folds import assign_folds, training_sets
from genomic_code.inference.gather import baseline
from genomic_code.inference.gaussian_process import GaussianProcess
from genomic_code.inference.heldout import held_out
from genomic_code.inference.hotspots import Hotspots
from genomic_code.inference.network import NetworkEnsemble
from genomic_code.inference.table import r_squared
from genomic_code.spec import (
    Cohort,
    GeneCircuit,
    Generative,
    Polygenic,
    PositionalInformation,
    Regulatory,
    datasets,
)
from genomic_code.spec.datasets.fetch import fetch
from genomic_code.spec.gapgenes import gap_gene_cohort
from genomic_code.spec.noise import Normal, StudentT
from genomic_code.spec.protocols import Formalization
from genomic_code.spec.standardize import phenotype_sd

Array = NDArray[np.float64]
Candidate = TypeVar("Candidate")

CANDIDATES: tuple[Formalization, ...] = (
    Polygenic(noise=StudentT()),
    Generative(noise=Normal()),
    Generative(noise=StudentT()),
    Generative(latents=5, hidden=16, noise=StudentT()),
)
PROCESSES = tuple(
    GaussianProcess(latents, kernel)
    for kernel in ("rbf", "matern32", "matern52")
    for latents in (5, 8, 12)
)


class Row(NamedTuple):
    """One line of the table."""

    method: str
    r2: float
    density: float
    coverage: float
    seconds: float


def undistributed(method: str, observed: Array, mean: Array, started: float) -> Row:
    """A row of a method that gives means `(n, T)` alone; its clock stops here."""
    seconds = time.process_time() - started
    return Row(method, r_squared(observed, mean), np.nan, np.nan, seconds)


def bloom_folds(seed: int) -> tuple[Cohort, NDArray[np.bool_]]:
    """The cross and its ten training sets `(10, N)`."""
    cohort = datasets.load("bloom2013")
    return cohort, training_sets(assign_folds(cohort, 10, seed))


def bloom(seed: int) -> Iterator[Row]:
    """Sparse pleiotropic effects and pairs; GBLUP."""
    cohort, training = bloom_folds(seed)
    observed = cohort.phenotype.values
    started = time.process_time()
    found = Hotspots().predict(cohort, training, seed=seed)
    yield Row(
        "hotspots and pairs",
        r_squared(observed, found["mean"].values),
        float(np.nanmean(found["log_predictive"])),
        coverage(found["quantile"].values, 0.9)[0],
        time.process_time() - started,
    )
    started = time.process_time()
    score = baseline(cohort, training)
    seconds = time.process_time() - started
    density = float(np.nanmean(score.cells))
    yield Row("GBLUP", r_squared(observed, score.means), density, np.nan, seconds)


def kinsler(seed: int) -> Iterator[Row]:
    """Candidates by cross-validation on the training mutants; the best of either kind."""
    cohort = datasets.load("kinsler2020")
    training = cohort.dataset["split"].values == "train"
    observed = cohort.phenotype.values[~training]
    unit = float(np.log(phenotype_sd(cohort)).mean())

    def row(method: str, mean: Array, density: Array, quantile: Array, started: float) -> Row:
        return Row(
            method,
            1 - ((observed - mean) ** 2).sum() / ((observed - observed.mean()) ** 2).sum(),
            float(density.mean()) - unit,
            coverage(quantile, 0.9)[0] if len(quantile) else np.nan,
            time.process_time() - started,
        )

    started = time.process_time()
    own = cohort.select(np.flatnonzero(training))
    five = np.stack([assign_folds(own, 5, seed) != k for k in range(5)])
    tables = [each.predict(own, five, progress=False) for each in PROCESSES]
    process = best(PROCESSES, [float(table["log_predictive"].mean()) for table in tables])
    found = process.predict(cohort, training[None], progress=False)
    scores = [found[name].values[~training] for name in ("mean", "log_predictive", "quantile")]
    yield row("Gaussian process", *scores, started)
    started = time.process_time()
    chosen = best(CANDIDATES, [validated(model, own, five, seed) for model in CANDIDATES])
    ensemble = fit_ensemble(chosen, cohort, members=12, training=training, seed=seed)
    parts = [held_out(fit) for fit in ensemble.fits]
    density = logsumexp([part.density for part in parts], axis=0) - np.log(len(parts))
    mean = np.mean([part.mean for part in parts], axis=0)
    quantile = np.mean([part.pit for part in parts], axis=0)
    yield row(f"{chosen.name}, 12 starts", mean, density, quantile, started)
    started = time.process_time()
    score = baseline(cohort, training[None])
    yield row("GBLUP", score.means[~training], score.cells[~training], np.array([]), started)


def tested(
    method: str, cohort: Cohort, test: NDArray[np.bool_], found: xr.Dataset, started: float
) -> Row:
    """Scores of the test rows `(N)`; densities in the unit of the phenotype."""
    mean, density, quantile = (
        found[name].values[test] for name in ("mean", "log_predictive", "quantile")
    )
    return Row(
        method,
        r_squared(cohort.phenotype.values[test], mean),
        float(density.mean()) - float(np.log(phenotype_sd(cohort)).mean()),
        coverage(quantile, 0.9)[0],
        time.process_time() - started,
    )


def scan(name: str, depth: bool, seed: int) -> Iterator[Row]:
    """Letters that interact before the latents, and letters that add up."""
    cohort = datasets.load(name)
    if depth:
        reads = np.log10(cohort.dataset["depth"].values)
        tables = cohort.genotype.to_pandas(), cohort.phenotype.to_pandas()
        cohort = Cohort(*tables, environment=reads[:, None], split=cohort.dataset["split"].values)
    split = cohort.dataset["split"].values
    test = split == "test"
    for model in (Regulatory(noise=StudentT()), Generative(latents=4, noise=StudentT())):
        started = time.process_time()
        ensemble = NetworkEnsemble(model)
        found = ensemble.predict(cohort, split[None] == "train", seed=seed, progress=False)
        yield tested(f"{model.name}, {ensemble.members} starts", cohort, test, found, started)


def landscape_rows(seed: int) -> tuple[Cohort, NDArray[np.bool_]]:
    """The genotypes of a draw, and which of them `(N)` are for training."""
    cohort = datasets.load("smn1")
    training = cohort.dataset["split"].values == "train"
    chosen = cohort.dataset["split"].values != "rest"
    if seed:
        draw = np.random.default_rng(seed).permutation(len(cohort))
        training, chosen = draw < 2000, draw < 4000
    return cohort.select(np.flatnonzero(chosen)), training[chosen]


def landscape(seed: int) -> Iterator[Row]:
    """Letters of few sites, all of whose interactions count; ridge regression."""
    cohort, training = landscape_rows(seed)
    observed = cohort.phenotype.values[~training]
    started = time.process_time()
    found = GaussianProcess(latents=None).predict(cohort, training[None], progress=False)
    yield tested("Gaussian process over loci", cohort, ~training, found, started)
    started = time.process_time()
    means = baseline(cohort, training[None]).means[~training]
    yield undistributed("ridge", observed, means, started)


def gap_genes(seed: int) -> Iterator[Row]:
    """Mutants whose patterns no formalization has seen, with and without `bcd_only`."""
    files = fetch(datasets.DATASETS["petkova2019"])
    for without in ((), ("bcd_only",)):
        cohort = gap_gene_cohort(files, 20, without)
        mutant = np.array(cohort.labels("individual")) != "wild_type"
        training = ~np.eye(len(cohort), dtype=bool)[mutant]
        observed = cohort.phenotype.values[mutant]
        gene = cohort.dataset["gene"].values
        centre = pd.DataFrame(observed.T).groupby(gene).transform("mean").mean(1).values
        spread = ((observed - centre) ** 2).sum()
        unit = float(np.log(phenotype_sd(cohort)).mean())
        note = f" without {without[0]}" if without else ""

        def row(
            method: str, mean: Array, density: float, cover: float, started: float,
            observed: Array = observed, spread: float = spread, note: str = note,
        ) -> Row:  # fmt: skip
            r2 = float(1 - ((observed - mean) ** 2).sum() / spread)
            return Row(method + note, r2, density, cover, time.process_time() - started)

        noise = Normal(shared=True, typical=0.2)
        for model, members in (
            (PositionalInformation.of(cohort, noise=noise), 48),
            (GeneCircuit.of(cohort, noise=noise), 24),
        ):
            started = time.process_time()
            ensemble = NetworkEnsemble(model, members=members, steps=600)
            found = ensemble.predict(cohort, training, seed=seed, progress=False)
            density = float(found["log_predictive"].values[mutant].mean()) - unit
            covered = coverage(found["quantile"].values[mutant], 0.9)[0]
            name = f"{model.name}, {members} starts"
            yield row(name, found["mean"].values[mutant], density, covered, started)
        started = time.process_time()
        means = [cohort.phenotype.values[rows].mean(0) for rows in training]
        yield row("mean of the others", np.stack(means), np.nan, np.nan, started)
        started = time.process_time()
        means = [nearest(cohort, rows) for rows in training]
        yield row("nearest genotypes", np.stack(means), np.nan, np.nan, started)
        started = time.process_time()
        yield row("ridge", baseline(cohort, training).means[mutant], np.nan, np.nan, started)


def nearest(cohort: Cohort, training: NDArray[np.bool_]) -> Array:
    """Mean phenotype `(T,)` of the training rows that differ from the other one in fewest loci."""
    genotype = cohort.genotype.values
    apart = np.abs(genotype - genotype[~training]).sum(1)
    alike: Array = cohort.phenotype.values[training & (apart == apart[training].min())].mean(0)
    return alike


def best(candidates: tuple[Candidate, ...], scores: list[float]) -> Candidate:
    """The candidate of the highest score; all are printed."""
    for candidate, score in zip(candidates, scores, strict=True):
        print(f"training mutants, five folds: {score:+.3f} nats a cell, {candidate}")
    chosen = candidates[int(np.argmax(scores))]
    print(f"chosen: {chosen}")
    return chosen


def validated(model: Formalization, cohort: Cohort, folds: NDArray[np.bool_], seed: int) -> float:
    """Mean log predictive density of what each of the folds `(F, N)` holds out."""
    fits = fit_folds(model, cohort, folds, Settings(), seed, False)
    cells = [fit.log_predictive().values[~rows] for fit, rows in zip(fits, folds, strict=True)]
    return float(np.nanmean(np.concatenate(cells)))


SETS: dict[str, Callable[[int], Iterator[Row]]] = {
    "bloom2013": bloom,
    "kinsler2020": kinsler,
    "mpsa": partial(scan, "mpsa", False),
    "mpsa_depth": partial(scan, "mpsa", True),
    "amyloid": partial(scan, "amyloid", False),
    "tdp43": partial(scan, "tdp43", False),
    "smn1": landscape,
    "petkova2019": gap_genes,
}
