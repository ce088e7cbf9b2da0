"""Comparison of formalizations by held-out predictive density, with a verdict in one sentence.

The criterion is the expected log predictive density (elpd) of individuals that were not fitted:
for each of K folds every formalization is fitted to the others, and scores each observed cell of
the held-out individuals. Cells of an individual are added, since they are not independent; standard
errors run over individuals, or over groups where individuals come in groups. Vehtari, Gelman &
Gabry 2017, doi:10.1007/s11222-016-9696-4.

Formalizations that contain one another are also fitted from each other's posterior. The best starts
of each are refined to the end, and the fits that the training rows do not tell apart predict
together (see `modes`): neither a worse optimum nor the luck of a seed decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from genomic_code.inference.comparison import Comparison, summarise
from genomic_code.inference.fit import DivergenceError, Settings, fit_folds, plan
from genomic_code.inference.flat import FlatModel
from genomic_code.inference.folds import distinct, group_labels, repeated, training_sets
from genomic_code.inference.gather import Part, baseline, gather
from genomic_code.inference.heldout import HeldOut, held_out
from genomic_code.inference.modes import expected_likelihood
from genomic_code.inference.nested import Sites, has_relatives, pairs, posterior_sites, translate
from genomic_code.inference.sweep import sweep
from genomic_code.inference.verdict import BASELINE
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import Null, resolve
from genomic_code.spec.protocols import Formalization

__all__ = ["CANDIDATES", "Comparison", "compare", "named"]

CANDIDATES = (
    "null", "factor", "blueprint", "polygenic", "epistatic", "program", "generative",
    "disentangled", "attractor", "conditional",
)  # fmt: skip
"""What is compared where nothing is named; those that a cohort does not allow are left out."""
MODES = 3
"""Starts of which the fits predict together, if the settings do not say otherwise."""
LINEAR_ALGEBRA: type[Exception] = torch.linalg.LinAlgError  # type: ignore[attr-defined]


def compare(
    formalizations: Sequence[str | Formalization] | None,
    cohort: Cohort,
    *,
    folds: int | str | Sequence[int] | NDArray[Any] = 5,
    groups: str | ArrayLike | None = None,
    repeats: int = 1,
    seed: int = 0,
    settings: Settings | None = None,
    jobs: int | None = None,
    progress: bool = True,
    partial: str | PathLike[str] | None = None,
) -> Comparison:
    """Compare formalizations on one cohort.

    Args:
        formalizations: Registry names or instances; `null` is added where it is missing. None for
            all `CANDIDATES` that the cohort allows.
        cohort: The data; its groups, where it has them, are held out whole.
        folds: Number K of folds; `group` to leave out one group at a time, `individual` one
            individual, `split` the test part of the cohort's published split; or who is held out
            (booleans) or the fold (integers) of every individual.
        groups: Who is held out together, and counts as one in standard errors: labels, or the name
            of a variable of the cohort, of a covariate or of a locus, or `genotype` for individuals
            of the same genotype.
        repeats: How often folds at random are drawn, and all of them fitted, from other starts: the
            densities are means over repeats, and standard errors hold how far repeats differ.
            Everything else is of the first.
        seed: Seed of folds, starts and draws.
        settings: How to optimise.
        jobs: Processes; by default as `joblib.parallel_config` says, else 1. The result does not
            depend on it.
        progress: Whether to show progress bars.
        partial: Folder in which finished fits are kept: the same comparison, killed at any moment,
            goes on from there.

    Raises:
        ValueError: A formalization is unknown or named twice, or the folds do not fit the cohort.
        DivergenceError: `null` itself cannot be fitted.
    """
    models = named(CANDIDATES if formalizations is None else formalizations)
    skipped = unfit(models, cohort) if formalizations is None else {}
    models = {name: model for name, model in models.items() if name not in skipped}
    labels = group_labels(cohort, groups)
    draws = repeated(cohort, folds, seed, labels, repeats)
    grouped = None if labels is None else np.unique(labels, return_inverse=True)[1].reshape(-1)
    chosen = settings or Settings()
    chosen = replace(chosen, modes=chosen.modes or MODES)
    training = {again: training_sets(assigned) for again, assigned in draws.items()}
    everyone = np.concatenate([training[seed], np.ones((1, len(cohort)), bool)])
    to_fit = distinct(training | {seed: everyone})
    work = [
        (name, rows, again)
        for name, model in models.items()
        for again, sets in to_fit.items()
        for rows in parted(sets, plan(model, cohort, chosen)[1])
    ]
    shared = {"cohort": cohort, "labels": grouped}
    calls: list[dict[str, Any]] = [
        {"model": models[name], "training": rows, "settings": chosen, "seed": again, **shared}
        for name, rows, again in work
    ]
    folder = None if partial is None else Path(partial)
    options: dict[str, Any] = {"records": [Part, HeldOut], "jobs": jobs, "progress": progress}
    results = sweep(evaluate, calls, folder=folder, **options)
    first = [name for name, _, _ in work]
    further = offers(models, cohort, first, results, chosen)
    calls = [
        {"model": models[name], "training": rows, "settings": single(chosen), "starts": starts,
         "seed": seed, **shared}
        for name, rows, starts in further
    ]  # fmt: skip
    if calls:
        inner = None if folder is None else folder / "nested"
        results += sweep(evaluate, calls, folder=inner, **options)
    names = first + [name for name, _, _ in further]
    repeated_sets = list(training.values())
    scores, fits, failed = gather(cohort, names, results, repeated_sets, grouped)
    if "null" in failed:
        raise DivergenceError(failed["null"])
    if models["null"].noise.standardised:
        scores[BASELINE] = baseline(cohort, *repeated_sets)
    result = summarise(cohort, models, scores, fits, draws[seed], failed | skipped, grouped)
    return replace(result, seed=seed, settings=chosen)


def named(formalizations: Sequence[str | Formalization]) -> dict[str, Formalization]:
    """Formalizations by name, simplest first; `null`, with the noise of the others, among them."""
    models: dict[str, Formalization] = {}
    chosen = [resolve(given) for given in formalizations]
    standardised = {model.noise.standardised for model in chosen if model.name != "null"}
    if len(standardised) > 1:
        raise ValueError(
            "formalizations must all have a noise model of continuous traits, or none of them, "
            f"got {', '.join(type(model.noise).__name__ for model in chosen)}; densities and "
            "probabilities cannot be compared"
        )
    others = [model.noise for model in chosen if model.name != "null"]
    for given, model in [*zip(formalizations, chosen, strict=True), ("null", Null(*others[:1]))]:
        if model.name in models and given != "null":
            raise ValueError(
                f"formalizations must have different names, got {model.name!r} twice; give a "
                "variant a class of its own with another name"
            )
        models.setdefault(model.name, Null(*others[:1]) if given == "null" else model)
    return dict(sorted(models.items(), key=lambda item: item[1].complexity))


def unfit(models: Mapping[str, Formalization], cohort: Cohort) -> dict[str, str]:
    """Why formalizations do not apply to a cohort, by name; those that do are left out."""
    reasons = {}
    for name, model in models.items():
        try:
            FlatModel(model, cohort.shape)
        except ValueError as cause:
            reasons[name] = f"skipped: {cause}"
    return reasons


def evaluate(
    model: Formalization,
    cohort: Cohort,
    training: NDArray[np.bool_],
    settings: Settings,
    seed: int,
    progress: bool,
    labels: NDArray[Any] | None = None,
    starts: list[Sites] | None = None,
) -> Part:
    """Fit to training sets `(F, N)`, score who is held out; keep a fit that holds out nobody.

    A formalization that cannot be fitted is reported, and does not stop the others.
    """
    related = has_relatives(model)
    scored = []
    try:
        fits = fit_folds(
            model, cohort, training, settings, seed, progress, starts=starts, labels=labels
        )
        for fit in fits:
            if fit.training.all():
                continue
            for one in fit.split():
                found = held_out(one)
                if related or fit.modes is not None:  # others may come to the same rows
                    found = found._replace(likelihood=expected_likelihood(one, labels))
                scored.append(found)
    except (DivergenceError, FloatingPointError, LINEAR_ALGEBRA) as cause:
        return Part([], None, [], f"failed: {cause}")
    everyone = next((fit for fit in fits if fit.training.all()), None)
    wanted = starts is None and related
    sites = [(fit.training, posterior_sites(fit)) for fit in fits if wanted]
    return Part(scored, everyone, sites, "")


def parted(training: NDArray[np.bool_], together: int) -> list[NDArray[np.bool_]]:
    """Training sets `(F, N)` in parts of at most so many."""
    return np.array_split(training, -(-len(training) // together))


def single(settings: Settings) -> Settings:
    """The settings for a fit from one given start."""
    return replace(settings, restarts=1)


def offers(
    models: Mapping[str, Formalization],
    cohort: Cohort,
    names: list[str],
    parts: list[Part],
    settings: Settings,
) -> list[tuple[str, NDArray[np.bool_], list[Sites]]]:
    """Further fits to make: formalization, training sets, and a start for each from a relative."""
    found: dict[str, list[tuple[NDArray[np.bool_], Sites]]] = {}
    for name, part in zip(names, parts, strict=True):
        found.setdefault(name, []).extend(part.sites)
    again = []
    for source, target in pairs(models):
        known = found[source]
        if not known or not found[target]:
            continue
        starts = [translate(models[source], models[target], sites, cohort) for _, sites in known]
        together = plan(models[target], cohort, single(settings))[1]
        for first in range(0, len(known), together):
            rows = np.stack([rows for rows, _ in known[first : first + together]])
            again.append((target, rows, starts[first : first + together]))
    return again
