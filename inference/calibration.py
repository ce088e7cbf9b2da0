"""Absolute fit, not only rank: are the intervals right, and does the model make such data?

Held-out individuals should fall where they were predicted: their predictive probabilities (PIT,
Dawid 1984, doi:10.2307/2981683) are uniform, and 90 % intervals hold 90 % of them. Posterior
predictive checks ask whether cohorts that the fit predicts show the genetic architecture that the
data show. The best of several formalizations can fail both.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray

from genomic_code.inference.posterior import Fit
from genomic_code.inference.signatures import MEANING, signatures
from genomic_code.inference.units import Units, unit_sums

__all__ = [
    "AbsoluteFit",
    "absolute_fit",
    "check_level",
    "coverage",
    "coverage_by_trait",
    "share_inside",
]

Array = NDArray[np.float64]

LEVELS = (0.5, 0.9)
"""Probabilities of the central intervals whose coverage is counted."""
SLACK = {0.5: 0.1, 0.9: 0.05}
"""Difference from the nominal coverage that is let pass, apart from 2 standard errors."""
ALARM, FAR = 0.01, 3.0
"""Tail probability, both sides together, and distance in predictive standard deviations, at which
a signature counts as not reproduced; both are asked for, since several signatures are looked at."""
FEWEST, MOST = 20, 5000
"""Individuals, beyond the covariates, that signatures need, and that they look at."""
WORK = 2**31
"""Multiplications that replicates may cost for each locus and individual."""


def coverage(pit: Array, level: float = 0.9, units: Units | None = None) -> tuple[float, float]:
    """Share of observed cells within the central interval, and its standard error.

    Args:
        pit: Predictive probabilities `(N, T)`, NaN where missing.
        level: Probability of the interval, above 0 and below 1.
        units: Group of each individual `(N,)`, from 0; None where each is a unit of its own.

    Returns:
        The coverage, and a standard error over units: the cells of one are not independent. For
        one trait, and individuals as units, it is the binomial error.
    """
    check_level(level)
    return share_inside(np.abs(pit - 0.5) <= level / 2, ~np.isnan(pit), units)


def check_level(level: float) -> None:
    """Refuse what is no probability of an interval."""
    if not 0 < level < 1:
        raise ValueError(f"level must be above 0 and below 1, got {level}")


def share_inside(
    inside: NDArray[np.bool_], observed: NDArray[np.bool_], units: Units | None
) -> tuple[float, float]:
    """Share of observed cells `(N, T)` that are inside, none of them missing, and its error."""
    count = int(observed.sum())
    if not count:
        return np.nan, np.nan
    share = inside.sum() / count
    apart = unit_sums(inside.sum(1) - share * observed.sum(1), units)
    scatter = np.square(apart).sum() / count**2
    if share in (0, 1):
        # nothing varies: Jeffreys' half a cell on each side
        scatter = 0.5 * (count + 0.5) / (count + 1) ** 2 / count
    return float(share), float(np.sqrt(scatter))


def coverage_by_trait(pit: xr.DataArray, units: Units | None = None) -> xr.Dataset:
    """Coverage of 50 and 90 % intervals, with errors, by trait (and formalization).

    Args:
        pit: Dimensions individual and trait, and formalization if any; as `Comparison.pit`.
        units: As for `coverage`.

    Returns:
        `cover50`, `cover50_se`, `cover90`, `cover90_se` over the dimensions but individual.
    """
    others = [str(dim) for dim in pit.dims if dim != "individual"]
    shape = [pit.sizes[dim] for dim in others]
    columns = pit.transpose(..., "individual").values.reshape(-1, pit.sizes["individual"])
    found = {}
    for level in LEVELS:
        pairs = np.array([coverage(column[:, None], level, units) for column in columns])
        for number, suffix in enumerate(("", "_se")):
            values = pairs[:, number].reshape(shape)
            found[f"cover{100 * level:.0f}{suffix}"] = (others, values)
    return xr.Dataset(found, {dim: pit[dim] for dim in others})


@dataclass(frozen=True, eq=False)
class AbsoluteFit:
    """Whether one formalization fits, whatever the others do."""

    name: str
    """Name of the formalization."""
    signatures: pd.DataFrame
    """A row for each signature: observed, predicted mean and sd, and p, the tail probability of the
    observed among the predicted, both sides together (conservative: the fit has seen the data)."""
    coverage: pd.DataFrame
    """A row for each level: coverage of held-out cells and its standard error; empty where nobody
    was held out."""
    reasons: list[str]
    """What fails, in words that follow the name; empty where it fits."""

    @property
    def fits(self) -> bool:
        """Whether nothing fails."""
        return not self.reasons

    def __str__(self) -> str:
        state = "fits" if self.fits else "does not fit: it " + " and ".join(self.reasons)
        tables = [self.signatures, *([self.coverage] if len(self.coverage) else [])]
        shown = "\n\n".join(table.to_string(float_format="{:.3g}".format) for table in tables)
        return f"{self.name} {state}.\n\n{shown}"


def absolute_fit(
    fit: Fit,
    pit: Array | None = None,
    replicates: int = 400,
    seed: int = 0,
    units: Units | None = None,
) -> AbsoluteFit:
    """Check a fit against the data by itself.

    Args:
        fit: A fit to all individuals.
        pit: Held-out predictive probabilities `(N, T)` of the same formalization, where known.
        replicates: Number of predicted cohorts, at least 20; fewer are taken of large cohorts.
        seed: Seed of the replicates.
        units: As for `coverage`.

    Raises:
        ValueError: There are too few replicates.
    """
    if replicates < 20:
        raise ValueError(f"replicates must be at least 20, got {replicates}")
    table = check_signatures(fit, replicates, seed)
    rows = {}
    if pit is not None and np.isfinite(pit).any():
        rows = {level: coverage(pit, level, units) for level in LEVELS}
    covered = pd.DataFrame.from_dict(rows, "index", columns=["coverage", "se"])
    covered.index.name = "level"
    return AbsoluteFit(fit.formalization.name, table, covered, misfits(table, covered))


def misfits(table: pd.DataFrame, covered: pd.DataFrame) -> list[str]:
    """What fails, in words that follow a name."""
    reasons = []
    for level, row in covered.iterrows():
        slack = SLACK[float(level)]  # type: ignore[arg-type]
        if abs(row["coverage"] - float(level)) > slack + 2 * row["se"]:  # type: ignore[arg-type]
            reasons.append(
                f"has {100 * float(level):.0f} % intervals that hold {row['coverage']:.0%} "  # type: ignore[arg-type]
                f"(+- {100 * row['se']:.1f} points) of held-out cells"
            )
    far = (table["observed"] - table["predicted"]).abs() > FAR * table["sd"]
    failed = table[(table["p"] < ALARM) & far]
    if len(failed):
        named = ", ".join(
            f"{MEANING[str(name)]} ({row['observed']:.3g}, predicted {row['predicted']:.3g} +- "
            f"{row['sd']:.2g})"
            for name, row in failed.iterrows()
        )
        reasons.append(f"does not reproduce the {named}")
    return reasons


def check_signatures(fit: Fit, replicates: int, seed: int) -> pd.DataFrame:
    """Signatures of the observed phenotype among those of replicates; empty for few individuals."""
    columns = ["observed", "predicted", "sd", "p"]
    rows = np.flatnonzero(fit.training)
    if len(rows) < FEWEST + fit.shape.environments:
        return pd.DataFrame(columns=columns, dtype=float)
    if len(rows) > MOST:
        rows = np.random.default_rng(seed).choice(rows, MOST, replace=False)
    some = np.zeros(len(fit.training), bool)
    some[rows] = True
    data = fit.scaler.data(fit.cohort)
    genotype, environment = (
        table.double().numpy()[some] for table in (data.genotype, data.environment)
    )
    measure = signatures(genotype, environment)
    observed = fit.data.observed.numpy()[some]
    phenotype = fit.standard_phenotype(fit.cohort).double().numpy()[some]
    affordable = WORK // (genotype.size + 2 * len(genotype) * min(genotype.shape))
    count = min(replicates, max(100, affordable))
    found = measure(np.where(observed, phenotype, 0.0)[None])
    parts = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for batch in fit.batches(count, seed, rows=some):
            for drawn in batch.noise.sample().double().numpy()[:, None]:
                parts.append(measure(np.where(observed, drawn, 0.0)))
    table = {}
    for name, (value,) in found.items():
        replicated = np.concatenate([part[name] for part in parts])
        if not (np.isfinite(value) and np.isfinite(replicated).all()):
            continue
        above, below = (replicated >= value).sum() + 1, (replicated <= value).sum() + 1
        p = min(1.0, 2 * min(above, below) / (len(replicated) + 1))
        table[name] = [float(value), replicated.mean(), replicated.std(ddof=1), p]
    return pd.DataFrame.from_dict(table, "index", columns=columns)
