"""Could this cohort tell the formalizations apart, if one of them were true?

Cohorts are simulated from each formalization on the user's own genotypes, environments, missing
cells, groups and heritability, and compared as the real one would be. What comes out is a
`Certificate`: what a verdict on the real cohort is worth.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from tqdm.auto import tqdm

from genomic_code.inference.certificate import Certificate
from genomic_code.inference.compare import CANDIDATES, compare, named, unfit
from genomic_code.inference.exact import trait_gblups
from genomic_code.inference.fit import Settings
from genomic_code.inference.sweep import workers_may_retire
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import atomic
from genomic_code.spec.protocols import Formalization
from genomic_code.spec.simulate import simulate
from genomic_code.spec.standardize import Scaler, phenotype_sd

__all__ = ["certify", "twin"]


def certify(
    cohort: Cohort,
    formalizations: Sequence[str | Formalization] | None = None,
    *,
    replicates: int = 6,
    sizes: Sequence[float] = (0.5, 1.0),
    heritability: float | None = None,
    folds: int = 5,
    seed: int = 0,
    settings: Settings | None = None,
    out: Path | str | None = None,
    jobs: int = 1,
    progress: bool = True,
) -> Certificate:
    """Simulate cohorts like this one from each formalization, and compare all on each.

    Args:
        cohort: Gives individuals, genotypes (linkage and relatedness with them), environments,
            missing cells, known errors, groups and the heritability.
        formalizations: Names or instances; by default all that the cohort allows. Every one of
            them is in turn the truth.
        replicates: Simulated cohorts of each formalization and size, at least 1.
        sizes: Numbers of individuals as multiples of the cohort's, 1 among them; beyond 1
            individuals are drawn again, with their genotypes.
        heritability: Of the simulated traits; by default the cohort's own by REML, mean over
            traits. REML sees additive variance, so it is rather low where much is epistatic.
        folds: Number of folds of each comparison.
        seed: Seed of the first replicate.
        settings: How to optimise.
        out: Directory with one JSON a simulated cohort; a run that was broken off resumes.
        jobs: Processes; the result does not depend on it.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: An argument is out of range, or `out` holds the results of other arguments.
    """
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 1:
        raise ValueError(f"replicates must be an integer of at least 1, got {replicates!r}")
    if 1.0 not in [float(size) for size in sizes] or min(sizes) <= 0:
        raise ValueError(f"sizes must be positive multiples with 1 among them, got {list(sizes)}")
    models = named(CANDIDATES if formalizations is None else formalizations)
    if formalizations is None:
        skipped = unfit(models, cohort)
        models = {name: model for name, model in models.items() if name not in skipped}
    share = estimate(cohort) if heritability is None else heritability
    chosen = settings or Settings()
    task = {
        "cohort": cohort.fingerprint, "formalizations": [repr(model) for model in models.values()],
        "heritability": round(share, 6), "folds": folds, "settings": asdict(chosen),
    }  # fmt: skip
    directory = None if out is None else prepare(Path(out), task)
    work = [
        (truth, max(2, round(size * len(cohort))), seed + number)
        for number in range(replicates)
        for size in sizes
        for truth in models
    ]
    done = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(one)(models, cohort, truth, count, own, share, folds, chosen, directory)
        for truth, count, own in work
    )
    bar = tqdm(done, total=len(work), desc="certify", disable=not progress)
    with workers_may_retire():
        records = pd.DataFrame(list(bar))
    return Certificate(cohort.name, cohort.sizes, share, records, list(models))


def one(
    models: Mapping[str, Formalization],
    cohort: Cohort,
    truth: str,
    individuals: int,
    seed: int,
    share: float,
    folds: int,
    settings: Settings,
    directory: Path | None,
) -> dict[str, Any]:
    """One simulated cohort and its verdict, read from disk where it is there."""
    path = None if directory is None else directory / f"{truth}-{individuals}-{seed}.json"
    if path is not None and path.exists():
        stored: dict[str, Any] = json.loads(path.read_text())
        return stored
    simulated = twin(cohort, models[truth], share, seed, individuals)
    result = compare(
        list(models.values()), simulated, folds=folds, seed=seed, settings=settings, progress=False
    )
    known = truth in result.frame.index
    record = {
        "truth": truth,
        "individuals": individuals,
        "seed": seed,
        "winner": result.winner,
        "decisive": result.decisive,
        "close": list(result.close),
        "cover90": float(result.frame["cover90"][truth]) if known else np.nan,
        "verdict": result.verdict,
    }
    if path is not None:
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(record) + "\n")
    return record


def prepare(directory: Path, task: dict[str, Any]) -> Path:
    """The directory, which must be empty or hold results of the same task."""
    from genomic_code.inference.results import made

    made(directory)
    path = directory / "task.json"
    text = json.dumps(task, indent=2, sort_keys=True) + "\n"
    if path.exists() and path.read_text() != text:
        raise ValueError(
            f"out must hold results of the same cohort, formalizations and settings, "
            f"{str(directory)!r} holds others; choose another directory"
        )
    if not path.exists():
        with atomic(path) as temporary:
            temporary.write_text(text)
    return directory


def twin(
    cohort: Cohort, truth: str | Formalization, heritability: float, seed: int, individuals: int
) -> Cohort:
    """A cohort like this one in which a formalization is true.

    Fewer individuals are a random part of the cohort; more are all of them and others drawn again,
    each with its genotype, environment, missing cells and group. Loci and covariates that no longer
    vary are left out.
    """
    generator = np.random.default_rng([seed, individuals])
    n = len(cohort)
    rows = np.arange(n)
    if individuals < n:
        rows = np.sort(generator.choice(n, individuals, replace=False))
    elif individuals > n:
        rows = np.concatenate([rows, generator.choice(n, individuals - n)])
    genotype = varying(cohort.genotype.values[rows])
    environment = None if cohort.environment is None else varying(cohort.environment.values[rows])
    if environment is not None and not environment.size:
        environment = None
    simulated = simulate(
        truth, individuals=len(rows), loci=genotype.shape[1], traits=cohort.sizes["trait"],
        environment=environment, environments=0, heritability=heritability,
        genotype=genotype, seed=seed,
    )  # fmt: skip
    phenotype = simulated.phenotype.values.astype(float)
    error = None
    if cohort.error is not None:
        error = cohort.error.values[rows] / phenotype_sd(cohort)
        phenotype = phenotype + error * generator.standard_normal(error.shape)
    phenotype[np.isnan(cohort.phenotype.values[rows])] = np.nan
    groups = None if cohort.groups is None else cohort.groups.values[rows]
    return Cohort(
        simulated.genotype.values, phenotype, environment=environment, error=error, groups=groups,
        unit=cohort.unit, name=f"{cohort.name}, as if {simulated.dataset.attrs['formalization']}",
    )  # fmt: skip


def varying(values: NDArray[Any]) -> NDArray[Any]:
    """The columns that are not constant."""
    return values[:, np.ptp(values, axis=0) > 0]


def estimate(cohort: Cohort) -> float:
    """Heritability by REML, mean over traits, within 0.05 and 0.95."""
    data = Scaler.fit(cohort).data(cohort)
    shares = [each.heritability for each in trait_gblups(data, np.ones(len(cohort), bool))]
    return float(np.clip(np.mean(shares), 0.05, 0.95))
