"""A certificate: could this cohort tell the formalizations apart, if one of them were true?

Cohorts are simulated from each formalization on the user's own genotypes, environments, missing
cells, groups and heritability, and compared as the real one would be. What comes out is a confusion
matrix, with binomial intervals: what a verdict on the real cohort is worth.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import binomtest
from tqdm.auto import tqdm

from genomic_code.inference.compare import CANDIDATES, compare, named, unfit
from genomic_code.inference.exact import trait_gblups
from genomic_code.inference.fit import Settings
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import atomic
from genomic_code.spec.protocols import Formalization
from genomic_code.spec.simulate import simulate
from genomic_code.spec.standardize import Scaler, phenotype_sd

__all__ = ["Certificate", "certify", "confusion", "interval", "twin"]

GOAL = 0.9
"""Share recovered for which the needed number of individuals is given."""
FARTHEST = 100
"""Multiples of the cohort beyond which no number of individuals is extrapolated."""


def interval(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion; Wilson 1927, doi:10.2307/2276774."""
    if trials == 0:
        return 0.0, 1.0
    found = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def confusion(records: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Verdicts by truth, with the share recovered and its 95 % interval.

    Args:
        records: A row for each comparison with the columns `truth` and `winner`.
        names: Formalizations, in the order of rows and columns.
    """
    counts = pd.crosstab(records["truth"], records["winner"])
    counts = counts.reindex(index=list(names), columns=list(names), fill_value=0)
    right, total = np.diag(counts), counts.sum(axis=1).to_numpy()
    ends = [interval(int(k), int(n)) for k, n in zip(right, total, strict=True)]
    table = counts.assign(
        share=np.where(total, right / np.maximum(total, 1), np.nan),
        low=[low for low, _ in ends],
        high=[high for _, high in ends],
    )
    return table.rename_axis(index="truth", columns="verdict")


@dataclass(frozen=True, eq=False)
class Certificate:
    """What a comparison on cohorts like this one is worth."""

    name: str
    """Name of the cohort."""
    sizes: dict[str, int]
    """Numbers of individuals, loci, covariates and traits of the cohort."""
    heritability: float
    """Mean heritability of the simulated traits."""
    records: pd.DataFrame
    """A row for each simulated cohort: truth, individuals, seed, winner, decisive (the winner alone
    within 2 errors), close, cover90 (of the true formalization) and verdict."""
    formalizations: list[str]
    """Names, simplest first."""

    @property
    def here(self) -> pd.DataFrame:
        """The records at the cohort's own number of individuals."""
        own = self.records["individuals"] == self.sizes["individual"]
        return self.records[own]

    @property
    def confusion(self) -> pd.DataFrame:
        """Verdicts (columns) by truth (rows) at the cohort's size; see `confusion`."""
        return confusion(self.here, self.formalizations)

    @property
    def recovered(self) -> tuple[int, int]:
        """Cohorts in which the verdict was the truth, and all, at the cohort's size."""
        return int((self.here["truth"] == self.here["winner"]).sum()), len(self.here)

    @property
    def misleading(self) -> tuple[int, int]:
        """Cohorts with a wrong verdict that was not "indistinguishable", and all."""
        wrong = (self.here["truth"] != self.here["winner"]) & self.here["decisive"]
        return int(wrong.sum()), len(self.here)

    @property
    def by_size(self) -> pd.DataFrame:
        """Recovered cohorts, all, and the share with its interval by number of individuals."""
        right = (self.records["truth"] == self.records["winner"]).groupby(
            self.records["individuals"]
        )
        table = pd.DataFrame({"recovered": right.sum(), "cohorts": right.count()})
        pairs = zip(table["recovered"], table["cohorts"], strict=True)
        ends = [interval(int(k), int(n)) for k, n in pairs]
        table["share"] = table["recovered"] / table["cohorts"]
        return table.assign(low=[low for low, _ in ends], high=[high for _, high in ends])

    @property
    def needed(self) -> tuple[int | None, str]:
        """Smallest number of individuals that recovers 90 %, and how it is known.

        Measured, where some simulated size reaches it. Otherwise by a logistic curve in log N
        through all sizes; None where this leads beyond 100 times the cohort, or where there is but
        one size.
        """
        table = self.by_size
        enough = table.index[table["share"] >= GOAL]
        if len(enough):
            return int(enough[0]), "measured at this size"
        if len(table) < 2:
            return None, "unknown from one size; give sizes="
        size = crossing(table)
        limit = FARTHEST * self.sizes["individual"]
        if size is None or size > limit:
            return None, f"a curve fitted to {len(table)} sizes does not reach it below {limit}"
        return size, f"extrapolated by a curve fitted to {len(table)} sizes"

    @property
    def sentence(self) -> str:
        """The certificate in plain words."""
        right, total = self.recovered
        low, high = interval(right, total)
        wrong, _ = self.misleading
        worst = interval(wrong, total)[1]
        n = self.sizes
        text = (
            f"With {n['individual']} individuals, {n['locus']} loci and {n['trait']} traits of "
            f"heritability {self.heritability:.2f}, the verdict was the truth in {right} of "
            f"{total} simulated cohorts ({right / max(total, 1):.0%}, 95 % interval {low:.0%} to "
            f"{high:.0%}), and wrong without saying so in {wrong} (at most {worst:.0%})."
        )
        size, how = self.needed
        if size is None:
            text += f" How many individuals would recover {GOAL:.0%} is open: {how}."
        else:
            text += f" {size} individuals recover {GOAL:.0%} ({how})."
        table = self.confusion[self.formalizations]
        lost = []
        for truth in self.formalizations:
            row = table.loc[truth]
            if row.sum() and row[truth] < row.sum() / 2:
                lost.append(f"{truth} (taken for {row.drop(truth).idxmax()})")
        if lost:
            text += f" Mostly missed: {', '.join(lost)}."
        return text

    def __str__(self) -> str:
        shown = self.confusion.to_string(float_format="{:.2f}".format)
        return (
            f"{shown}\n\n{self.by_size.to_string(float_format='{:.2f}'.format)}\n\n{self.sentence}"
        )

    def _repr_html_(self) -> str:
        tables = (self.confusion, self.by_size)
        shown = "".join(table.to_html(float_format="{:.2f}".format) for table in tables)
        return f"<p><b>{escape(self.name)}</b>: {escape(self.sentence)}</p>{shown}"


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
    from genomic_code.inference.results import check_writable

    check_writable(directory)
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
    each with its genotype, environment, missing cells and group. Loci that no longer vary are left
    out.
    """
    generator = np.random.default_rng([seed, individuals])
    n = len(cohort)
    rows = np.arange(n)
    if individuals < n:
        rows = np.sort(generator.choice(n, individuals, replace=False))
    elif individuals > n:
        rows = np.concatenate([rows, generator.choice(n, individuals - n)])
    genotype = cohort.genotype.values[rows]
    genotype = genotype[:, np.ptp(genotype, axis=0) > 0]
    environment = None if cohort.environment is None else cohort.environment.values[rows]
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


def estimate(cohort: Cohort) -> float:
    """Heritability by REML, mean over traits, within 0.05 and 0.95."""
    data = Scaler.fit(cohort).data(cohort)
    shares = [each.heritability for each in trait_gblups(data, np.ones(len(cohort), bool))]
    return float(np.clip(np.mean(shares), 0.05, 0.95))


def crossing(table: pd.DataFrame) -> int | None:
    """Number of individuals at which a logistic curve in log N reaches the goal; None if never.

    Maximum likelihood with a normal prior of scale 2 on the slope, cut at 0.
    """
    size = np.log(table.index.to_numpy(float))
    centre = size.mean()
    right, total = table["recovered"].to_numpy(float), table["cohorts"].to_numpy(float)

    def loss(curve: NDArray[np.float64]) -> float:
        score = curve[0] + np.exp(curve[1]) * (size - centre)
        fit = total * np.logaddexp(0, score) - right * score
        return float(fit.sum() + np.exp(2 * curve[1]) / 8 - curve[1] + 1e-3 * curve[0] ** 2)

    curve = minimize(loss, np.array([0.0, 0.0])).x
    reached = centre + (np.log(GOAL / (1 - GOAL)) - curve[0]) / np.exp(curve[1])
    return int(np.ceil(np.exp(reached))) if reached < 30 else None
