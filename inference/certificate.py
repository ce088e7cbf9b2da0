"""A certificate: what a verdict is worth, from verdicts on cohorts whose truth is known.

A confusion matrix with binomial intervals, the number of individuals that would do, and both in
plain words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import binomtest

__all__ = ["Certificate", "confusion", "crossing", "interval"]

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
