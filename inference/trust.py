"""How far to trust one fit: a traffic light, with its reasons in plain words.

A variational posterior can be wrong in three ways: the optimiser stopped short, it found one of
several optima, or the guide cannot have the shape of the posterior. Each leaves traces that can be
looked at without knowing the truth. What is checked are functionals of the map, since single
weights are not identified.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats

from genomic_code.inference.datatree import log_densities
from genomic_code.inference.findings import COLOURS, judge_chains, judge_fit, judge_ranks
from genomic_code.inference.fit import Settings, fit_folds
from genomic_code.inference.flat import FlatModel
from genomic_code.inference.guide_choice import choose_guide
from genomic_code.inference.guides import LARGEST
from genomic_code.inference.hamiltonian import refine
from genomic_code.inference.optimise import DivergenceError
from genomic_code.inference.posterior import Fit
from genomic_code.inference.simulation_calibration import (
    FUNCTIONALS,
    Functional,
    simulation_based_calibration,
)
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.protocols import Formalization

__all__ = ["TrustReport", "trust"]


@dataclass(frozen=True, eq=False)
class TrustReport:
    """What was checked of a fit, and the light it gets."""

    name: str
    """Name of the formalization."""
    k_hat: float
    """Pareto k of p / q over draws of the guide: above 0.7 the guide is not the posterior."""
    restarts: pd.Series
    """ELBO of each restart after screening, in nats below the best; empty for one."""
    converged: bool
    ladder: pd.DataFrame
    """ELBO and its error by guide, on a part of the cohort; then mean and sd of each functional."""
    reference: pd.DataFrame
    """Mean and sd of each functional by guide and by Hamiltonian chains, on that part; `shift` is
    the difference of means in sd of the chains, `width` the ratio of sd."""
    calibration: pd.DataFrame
    """Simulation-based calibration: for each functional the mean rank (0.5 if right), the spread of
    ranks relative to uniform (above 1: too sure) and p of uniformity; empty if not asked for."""
    findings: list[tuple[str, str]]
    """Colour and words of each finding, worst first."""

    @property
    def light(self) -> str:
        """`green`, `amber` or `red`: the worst of the findings."""
        return max((colour for colour, _ in self.findings), key=COLOURS.index, default="green")

    @property
    def reasons(self) -> list[str]:
        """Findings of the colour of the light."""
        return [words for colour, words in self.findings if colour == self.light]

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.light}"]
        lines += [f"  {colour}: {words}" for colour, words in self.findings]
        tables = {
            "Guides on a part of the cohort": self.ladder,
            "Guide against Hamiltonian chains": self.reference,
            "Simulation-based calibration": self.calibration,
        }
        for title, table in tables.items():
            if len(table):
                lines += ["", title, table.to_string(float_format="{:.3g}".format)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{colour}: {escape(words)}</li>" for colour, words in self.findings)
        tables = (self.ladder, self.reference, self.calibration)
        shown = "".join(t.to_html(float_format="{:.3g}".format) for t in tables if len(t))
        return f"<p><b>{escape(self.name)}: {self.light}</b></p><ul>{items}</ul>{shown}"


def trust(
    fit: Fit,
    *,
    individuals: int = 120,
    loci: int = 40,
    ladder: bool = True,
    reference: bool = True,
    simulations: int = 0,
    functionals: Mapping[str, Functional] = FUNCTIONALS,
    settings: Settings | None = None,
    seed: int = 0,
    progress: bool = True,
) -> TrustReport:
    """Check a fit, and say how far to trust it.

    Args:
        fit: The fit.
        individuals: Individuals of the part of the cohort on which guides are compared.
        loci: Loci of that part, at most; a formalization of fixed places keeps all.
        ladder: Whether to fit that part with mean field, low-rank and full-rank guides as well.
        reference: Whether to run Hamiltonian chains on it.
        simulations: Simulated cohorts of that size for simulation-based calibration: 0 for none,
            100 tell a bias of a third of a standard deviation.
        functionals: What the guides and chains are compared by, expected traits `(S, N, T)` in
            standard units to `(S,)`.
        settings: How to optimise the small fits.
        seed: Seed of the part, its fits, chains and simulations.
        progress: Whether to show progress bars.

    Raises:
        ValueError: A number is too small.
    """
    if individuals < 10 or loci < 1 or simulations < 0:
        raise ValueError(
            "individuals must be at least 10, loci at least 1 and simulations at least 0, got "
            f"{individuals}, {loci} and {simulations}"
        )
    chosen = settings or Settings()
    small = part(fit, individuals, loci, seed)
    rungs = pd.DataFrame()
    fits: dict[str, Fit] = {}
    if ladder or reference:
        fits = climb(fit.formalization, small, chosen, seed, progress, only_first=not ladder)
    if ladder:
        rungs = pd.DataFrame.from_dict(
            {name: rung(each, functionals, seed) for name, each in fits.items()}, "index"
        )
    chains = pd.DataFrame()
    drift = 0.0
    if reference and fits:
        chains, drift = against_chains(next(iter(fits.values())), functionals, seed, progress)
    ranks = pd.DataFrame()
    if simulations:
        ranks = simulation_based_calibration(
            fit.formalization, small, simulations, functionals, chosen, seed, progress
        )
    restarts = fit.restart_elbos[np.isfinite(fit.restart_elbos)]
    below = pd.Series(np.sort(restarts - restarts.max())[::-1]) if len(restarts) > 1 else None
    report: dict[str, Any] = {
        "k_hat": importance_k(fit),
        "restarts": pd.Series(dtype=float) if below is None else below,
        "converged": fit.converged,
        "ladder": rungs,
        "reference": chains,
        "calibration": ranks,
    }
    found = [*judge_fit(fit, **report), *judge_chains(chains, drift), *judge_ranks(ranks)]
    found.sort(key=lambda finding: -COLOURS.index(finding[0]))
    return TrustReport(fit.formalization.name, findings=found, **report)


def importance_k(fit: Fit, draws: int = 1000) -> float:
    """Pareto k of the importance weights p / q over draws of the guide."""
    densities = log_densities(fit, draws)
    ratio = (densities["log_p"] - densities["log_q"]).reshape(-1)
    if not np.isfinite(ratio).all():
        return np.inf
    # arviz-stats negates its input, and draws come in antithetic pairs of which one is taken
    return float(array_stats.psislw(-ratio[::2], axis=-1)[1])


def part(fit: Fit, individuals: int, loci: int, seed: int) -> Cohort:
    """A part of the training individuals and loci of a fit, small enough for dear methods."""
    generator = np.random.default_rng(seed)
    rows = np.flatnonzero(fit.training)
    if len(rows) > individuals:
        rows = np.sort(generator.choice(rows, individuals, replace=False))
    positional = getattr(fit.formalization, "positional", False)
    dataset = fit.cohort.select(rows, drop_constant=not positional).dataset
    if not positional:
        some = np.linspace(0, dataset.sizes["locus"] - 1, loci).astype(int)
        dataset = dataset.isel(locus=np.unique(some))
    return Cohort.from_dataset(dataset, f"part of {fit.cohort.name}")


def climb(
    model: Formalization,
    cohort: Cohort,
    settings: Settings,
    seed: int,
    progress: bool,
    only_first: bool,
) -> dict[str, Fit]:
    """Fits by guide: that of the settings, mean field, richer ones where the size allows them."""
    everyone = np.ones((1, len(cohort)), bool)
    flat = FlatModel(model, cohort.shape)
    fits: dict[str, Fit] = {}
    for kind in (settings.guide, "meanfield", "lowrank", "fullrank"):
        if fits and (only_first or (kind == "fullrank" and flat.dim**2 > LARGEST)):
            continue
        name = choose_guide(flat, kind).name
        if name in fits:
            continue
        own = replace(settings, guide=kind)
        try:
            fits[name] = fit_folds(model, cohort, everyone, own, seed, progress)[0]
        except DivergenceError:
            if not fits:
                raise
    return fits


def rung(fit: Fit, functionals: Mapping[str, Functional], seed: int) -> dict[str, float]:
    """ELBO of one guide, and what it says of the functionals."""
    expected = fit.flat.expected(fit.flat_draws(200, seed), fit.data)
    row = {"elbo": fit.elbo, "error": fit.elbo_error}
    for name, functional in functionals.items():
        values = functional(expected).double()
        row |= {name: float(values.mean()), f"{name} sd": float(values.std())}
    return row


def against_chains(
    fit: Fit, functionals: Mapping[str, Functional], seed: int, progress: bool
) -> tuple[pd.DataFrame, float]:
    """Functionals by the guide and by Hamiltonian chains, and the drift of the chains."""
    chains = refine(fit, 100, seed, trajectories=80, progress=progress)
    ours = fit.flat.expected(fit.flat_draws(400, seed), fit.data)
    theirs = fit.flat.expected(chains.flat, fit.data)
    rows = {}
    for name, functional in functionals.items():
        a, b = functional(ours).double(), functional(theirs).double()
        spread = float(b.std())
        rows[name] = {
            "guide": float(a.mean()), "guide sd": float(a.std()),
            "chains": float(b.mean()), "chains sd": spread,
            "shift": (float(a.mean()) - float(b.mean())) / spread,
            "width": float(a.std()) / spread,
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, "index"), chains.drift
