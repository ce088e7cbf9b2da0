"""The verdict of a comparison: which formalization the data support, and whether they can tell.

The simplest formalization within 2 standard errors of the best wins (more where units are few, see
`units.reach`), the errors being those of the paired difference over individuals, or over groups
where individuals come in groups, and over repeats where the folds were drawn more than once. One
that another of them is clearly ahead of cannot win: close to a best that varies much, it may yet be
refuted by the next. Nor can one that does not fit, where another that is as close does; only `null`
may, since it claims nothing. That the data do not tell formalizations apart is a verdict too, and
so is that even the best of them does not fit. Where traits look like amounts, it adds that their
scale may decide it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genomic_code.inference.units import Units, count, reach, repeat_error, standard_error
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.protocols import Formalization
from genomic_code.spec.transform import amounts, spiked

__all__ = ["BASELINE", "WITHIN", "Paired", "Verdict", "about_scale", "judge"]

BASELINE = "ridge"
"""GBLUP trait by trait: no hypothesis of ours, but what any hypothesis should match."""
WITHIN = 2.0
"""Standard errors of the difference within which a simpler formalization is preferred, where units
are many."""

Scores = Mapping[str, NDArray[np.float64]]


class Paired(NamedTuple):
    """Held-out densities of the same individuals, which are compared in pairs."""

    individuals: Scores
    """Log predictive density of each individual `(n,)` by name."""
    units: Units | None = None
    """Group of each individual `(n,)`, from 0; None where each is a unit of its own."""
    totals: Scores | None = None
    """Sum over individuals of each repeat of the folds `(R,)` by name; None for a single one."""

    def squares(self, first: str, second: str) -> tuple[float, float]:
        """Squared errors of the difference of the sums, over units and over repeats."""
        over_units = standard_error(self.individuals[first] - self.individuals[second], self.units)
        if self.totals is None:
            return float(over_units**2), 0.0
        over_repeats = repeat_error(self.totals[first] - self.totals[second])
        return float(over_units**2), float(over_repeats**2)

    def ahead(self, first: str, second: str) -> tuple[float, float]:
        """Difference of the sums, and its paired standard error, in nats."""
        gap = float((self.individuals[first] - self.individuals[second]).sum())
        return gap, sum(self.squares(first, second)) ** 0.5

    def within(self, first: str, second: str) -> float:
        """Standard errors within which the two do not differ."""
        number = count(len(self.individuals[first]), self.units)
        over_units, over_repeats = self.squares(first, second)
        if self.totals is None or not over_repeats > 0:
            return reach(number, WITHIN)
        # Satterthwaite 1946, doi:10.2307/3002019: few repeats tell their own spread badly
        repeats = len(self.totals[first])
        freedom = (over_units + over_repeats) ** 2 / (
            over_units**2 / max(number - 1, 1) + over_repeats**2 / (repeats - 1)
        )
        return reach(freedom + 1, WITHIN)

    def clearly_ahead(self, first: str, second: str) -> bool:
        """Whether the first predicts better than the errors allow."""
        gap, error = self.ahead(first, second)
        return gap > self.within(first, second) * error


class Verdict(NamedTuple):
    """What the held-out densities say."""

    winner: str
    """Name of the simplest formalization within 2 standard errors of the best, and of each other
    that is; of these, of one that fits, if any does."""
    close: tuple[str, ...]
    """Those within 2 standard errors of the best, the winner among them, best first."""
    sentence: str
    """The verdict in plain words."""

    @property
    def decisive(self) -> bool:
        """Whether the winner alone is within 2 standard errors of the best."""
        return len(self.close) == 1


def judge(
    models: Mapping[str, Formalization],
    individuals: Scores,
    misfits: Mapping[str, list[str]] | None = None,
    units: Units | None = None,
    totals: Scores | None = None,
) -> Verdict:
    """The verdict of the formalizations that were scored.

    Args:
        models: Formalizations by name.
        individuals: Held-out log predictive density of each individual `(n,)` by name, of the
            same individuals; with the baseline, where there is one.
        misfits: What the data show that a formalization cannot, by name, empty where it fits.
        units: Group of each individual `(n,)`, from 0; None where each is a unit of its own.
        totals: Sum over individuals of each repeat of the folds `(R,)` by name.

    Returns:
        Winner, those close to it, and a sentence.
    """
    scored = [name for name in models if name in individuals]
    ranked = sorted(scored, key=lambda name: (-individuals[name].sum(), models[name].complexity))
    paired = Paired(individuals, units, totals)
    close = [name for name in ranked if not paired.clearly_ahead(ranked[0], name)]
    but = ruled_out(paired, close, misfits or {})
    winner = min(
        (name for name in close if name not in but),
        key=lambda name: (models[name].complexity, ranked.index(name)),
    )
    caveats = []
    if BASELINE in individuals and paired.clearly_ahead(BASELINE, winner):
        gap, error = paired.ahead(BASELINE, winner)
        caveats.append(
            f"the {BASELINE} baseline predicts better by {gap:.1f} +- {error:.1f} nats, "
            "so none of these formalizations is adequate"
        )
    caveats += reservations(winner, close, misfits or {})
    sentence = describe(paired, winner, close, ranked, but)
    if caveats:
        sentence += f"; but {'; and '.join(caveats)}"
    return Verdict(winner, tuple(close), sentence + ".")


def ruled_out(paired: Paired, close: list[str], misfits: Mapping[str, list[str]]) -> dict[str, str]:
    """Why some of those close to the best cannot win; never all of them."""
    but = {
        name: f"clearly behind {other}"
        for name in close
        for other in close[::-1]
        if paired.clearly_ahead(other, name)
    }
    left = [name for name in close if name not in but]
    wrong = [name for name in left if misfits.get(name) and name != "null"]
    if len(wrong) < len(left):
        but |= {name: f"it {' and '.join(misfits[name])}" for name in wrong}
    return but


def describe(
    paired: Paired, winner: str, close: list[str], ranked: list[str], but: Mapping[str, str]
) -> str:
    """Who wins, and by how much."""
    if winner == "null":
        return (
            "null: no formalization predicts held-out individuals better than the mean and "
            "the environment; no heritable signal at this sample size"
        )
    if len(ranked) == 1:
        return f"{winner}: the only formalization compared"
    if len(close) == 1:
        gap, error = paired.ahead(winner, ranked[1])
        return (
            f"{winner}: predicts held-out individuals better than every other formalization, "
            f"{gap:.1f} +- {error:.1f} nats ahead of {ranked[1]}"
        )
    others = []
    for name in close:
        if name != winner:
            gap, error = paired.ahead(name, winner)
            why = f", but {but[name]}" if name in but else ""
            others.append(f"{name} ({gap:+.1f} +- {error:.1f} nats{why})")
    widest = max(paired.within(close[0], name) for name in close[1:])
    return (
        f"{winner}: the simplest {'not ruled out ' * bool(but)}of those indistinguishable at this "
        "sample size; "
        f"within {round(widest, 1):g} standard errors of the best also {', '.join(others)}"
    )


def reservations(winner: str, close: list[str], misfits: Mapping[str, list[str]]) -> list[str]:
    """What the data show that the winner, or all of those close to the best, cannot."""
    wrong = misfits.get(winner)
    if not wrong:
        return []
    fitting = [name for name in close if name in misfits and not misfits[name]]
    if fitting:
        return [f"it {' and '.join(wrong)}, unlike {', '.join(fitting)}"]
    return [f"none of these fits: even {winner} {' and '.join(wrong)}"]


def about_scale(cohort: Cohort, models: Mapping[str, Formalization]) -> str:
    """What a verdict must add where traits look like amounts; empty where they do not."""
    if cohort.unit != "trait" or not all(m.noise.standardised for m in models.values()):
        return ""
    total, words = cohort.sizes["trait"], ""
    if wide := amounts(cohort):
        words += (
            f" The scale may decide it: {len(wide)} of {total} traits, {wide[0]} among them, are "
            "positive and span more than a factor of ten, as amounts do, on which effects "
            "multiply; compare on a log scale too (transform('log'), --transform log)."
        )
    if piled := spiked(cohort):
        words += (
            f" {len(piled)} of {total} traits, {piled[0]} among them, pile up at their smallest "
            "value, as amounts below a limit of detection do, which no noise model here knows of; "
            "ask apart what is detected (transform('detected'), Bernoulli noise) and how much "
            "(transform('quantified'))."
        )
    return words
