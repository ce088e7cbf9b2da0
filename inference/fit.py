"""Fitting a formalization to a cohort, or to several training sets of it at once."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.basis import Basis
from genomic_code.inference.flat import FlatModel
from genomic_code.inference.folds import group_labels
from genomic_code.inference.guide_choice import cautions, choose_guide
from genomic_code.inference.guides import Guide
from genomic_code.inference.learn import learn
from genomic_code.inference.modes import mixed
from genomic_code.inference.nested import Sites, place
from genomic_code.inference.optimise import DivergenceError, Settings
from genomic_code.inference.posterior import Fit
from genomic_code.inference.starts import is_random, starts
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import resolve
from genomic_code.spec.noise.support import cell_numbers
from genomic_code.spec.protocols import Data, Formalization
from genomic_code.spec.standardize import Scaler

__all__ = ["DivergenceError", "Settings", "fit", "fit_folds", "plan", "rebuild"]

BATCH = 2**23
"""Numbers in the largest array of a batch of folds; beyond it batching gains nothing."""


def fit(
    formalization: str | Formalization,
    cohort: Cohort,
    *,
    seed: int = 0,
    given: Mapping[str, Tensor] | None = None,
    settings: Settings | None = None,
    progress: bool = True,
    **options: int | float | str,
) -> Fit:
    """Fit one formalization to all individuals of a cohort by variational inference.

    Ctrl-C ends the optimisation and returns the best so far, with a warning and not converged.

    Args:
        formalization: A registry name or an instance.
        cohort: The data.
        seed: Seed of starts and draws; the same seed gives the same numbers.
        given: Sites held at known values, in standard units, instead of being inferred.
        settings: How to optimise.
        progress: Whether to show a progress bar.
        **options: Fields of `Settings` to override, for instance `restarts=20`.

    Returns:
        The posterior, with its ELBO in nats.

    Raises:
        ValueError: A name, a setting or the cohort is unfit.
        DivergenceError: No restart reached a finite ELBO.
    """
    everyone = np.ones((1, len(cohort)), bool)
    chosen = replace(settings or Settings(), **dict[str, Any](options))
    fitted = fit_folds(
        formalization, cohort, everyone, chosen, seed, progress, given, keep=True
    )[0]  # fmt: skip
    for caution in cautions(fitted.flat, fitted.guide, chosen.guide):
        warnings.warn(f"{fitted.formalization.name}: {caution}", stacklevel=2)
    if not fitted.converged:
        name, taken = fitted.formalization.name, len(fitted.history)
        least = chosen.least(len(fitted.restart_elbos))
        most = least + (chosen.cycles - 1) * chosen.steps
        if taken < most:
            reason = f"interrupted after {taken} steps; this is the best so far, not converged: "
            reason += "fit again before you rest anything on it"
        else:
            reason = f"the ELBO still rose in the last of cycles={chosen.cycles}; raise cycles or "
            reason += f"steps={chosen.steps}"
        warnings.warn(f"{name}: {reason}", stacklevel=2)
    return fitted


def fit_folds(
    formalization: str | Formalization,
    cohort: Cohort,
    training: NDArray[np.bool_],
    settings: Settings,
    seed: int,
    progress: bool = True,
    given: Mapping[str, Tensor] | None = None,
    keep: bool = False,
    starts: Sequence[Sites] | None = None,
    labels: NDArray[Any] | None = None,
) -> list[Fit]:
    """Fits to several training sets `(F, N)` of one cohort, as one batched computation.

    Standardisation, basis and starts use the training rows of each fold alone. With `keep`, Ctrl-C
    ends the optimisation with the best so far instead of the whole computation. `starts` gives the
    values of all sites, over loci, at which the only restart of each training set begins; `labels`
    `(N,)` the groups of individuals, by default the cohort's, whose weights vary together where
    optima are mixed.

    Raises:
        DivergenceError: No restart of some fold reached a finite ELBO.
    """
    model = resolve(formalization)
    restarts, together = plan(model, cohort, settings, given)
    if labels is None:
        labels = group_labels(cohort)
    total = settings.least(restarts)
    parts = [training[i : i + together] for i in range(0, len(training), together)]
    fits: list[Fit] = []
    with tqdm(
        total=len(parts) * total, desc=model.name, disable=not progress, leave=False,
        mininterval=0.5,
    ) as bar:  # fmt: skip
        for rows in parts:
            own = None if starts is None else starts[len(fits) : len(fits) + len(rows)]
            batch = fit_batch(model, cohort, rows, restarts, settings, seed, bar, given, keep, own)
            fits += [mixed(optima, labels) for optima in batch]
    return fits


def plan(
    model: Formalization,
    cohort: Cohort,
    settings: Settings,
    given: Mapping[str, Tensor] | None = None,
) -> tuple[int, int]:
    """Number of restarts, 1 where all would start at the same place, and of folds in a batch."""
    shape = cohort.shape
    flat = FlatModel(model, shape, given)
    restarts = settings.restarts if any(is_random(site) for site in flat.sites) else 1
    guide = choose_guide(flat, settings.guide)
    parameters = guide.start(torch.zeros(flat.dim)).numel()
    cells = cell_numbers(model.noise, (shape.individuals, shape.traits))
    per_restart = max(cells, parameters // 2, guide.width)
    return restarts, max(1, BATCH // max(shape.individuals * shape.loci, restarts * per_restart))


def fit_batch(
    model: Formalization,
    cohort: Cohort,
    training: NDArray[np.bool_],
    restarts: int,
    settings: Settings,
    seed: int,
    bar: "tqdm[Any]",
    given: Mapping[str, Tensor] | None = None,
    keep: bool = False,
    own: Sequence[Sites] | None = None,
) -> list[list[Fit]]:
    """Optima for training sets `(F, N)` in one batch: screen the restarts, refine the best."""
    generator = torch.Generator().manual_seed(seed)
    scalers = [Scaler.fit(cohort, rows, model.noise) for rows in training]
    folds = [scaler.data(cohort, rows) for scaler, rows in zip(scalers, training, strict=True)]
    bases = rotations(model, folds, training)
    if bases is not None:
        folds = [
            fold._replace(genotype=basis.rotate(fold.genotype))
            for fold, basis in zip(folds, bases, strict=True)
        ]
    flat = FlatModel(model, folds[0].shape, given)
    if own is None:
        location = torch.stack([starts(flat, fold, restarts, generator) for fold in folds])
    else:
        rotated: Sequence[Basis | None] = bases or [None] * len(folds)
        placed = [place(sites, flat, basis) for sites, basis in zip(own, rotated, strict=True)]
        location = torch.stack(placed)[:, None]
    data = Data(*(torch.stack(tensors).unsqueeze(1) for tensors in zip(*folds, strict=True)))
    guide = choose_guide(flat, settings.guide)
    if settings.device == "cpu":
        guide, optimum = learn(flat, guide, location, data, settings, generator, bar, keep)
    else:
        device = torch.device(settings.device)
        seeded = torch.Generator(device).manual_seed(seed)
        tables = Data(*(table.to(device) for table in data if table is not None))
        known = {name: value.to(device) for name, value in (given or {}).items()}
        with device:  # what the model makes itself, it makes there
            there = FlatModel(model, folds[0].shape, known)
            start = location.to(device)
            guide, optimum = learn(there, guide, start, tables, settings, seeded, bar, keep)

    def made(f: int, mode: int) -> Fit:
        parameters = optimum.parameters[f, mode]
        return Fit(
            formalization=model,
            cohort=cohort,
            training=training[f],
            scaler=scalers[f],
            basis=None if bases is None else bases[f],
            flat=flat,
            data=folds[f],
            guide=guide.bind(flat, folds[f], parameters),
            parameters=parameters,
            elbo=float(optimum.elbo[f, mode]),
            elbo_error=float(optimum.error[f, mode]),
            restart_elbos=optimum.restarts[f].numpy(),
            history=optimum.history[:, f].numpy(),
            converged=optimum.converged,
            seed=seed,
        )

    usable = optimum.elbo.isfinite()
    return [[made(f, int(mode)) for mode in usable[f].nonzero()] for f in range(len(training))]


def rebuild(
    model: Formalization,
    cohort: Cohort,
    *,
    training: NDArray[np.bool_],
    basis: Tensor | None,
    given: Mapping[str, Tensor],
    guide: Guide,
    scaler: Scaler | None = None,
    **results: Any,
) -> Fit:
    """A fit to the rows `training` `(N,)`, made again from what came of it."""
    scaler = scaler or Scaler.fit(cohort, training, model.noise)
    data = scaler.data(cohort, training)
    rotation = None if basis is None else Basis(basis)
    if rotation is not None:
        data = data._replace(genotype=rotation.rotate(data.genotype))
    flat = FlatModel(model, data.shape, given)
    return Fit(
        formalization=model,
        cohort=cohort,
        training=training,
        scaler=scaler,
        basis=rotation,
        flat=flat,
        data=data,
        guide=guide.bind(flat, data, results["parameters"]),
        **results,
    )


def rotations(
    model: Formalization, folds: list[Data], training: NDArray[np.bool_]
) -> list[Basis] | None:
    """A basis for each fold, padded to one width; None where the model forbids rotation."""
    if not model.rotatable:
        return None
    sites = FlatModel(model, folds[0].shape).sites
    # Wired weights have one dimension of edges, such as `encoder_locus_edge`.
    if any("locus" in " ".join(site.dims) and not site.isotropic for site in sites):
        return None
    bases = []
    for fold, rows in zip(folds, training, strict=True):
        basis = Basis.fit(fold.genotype, torch.from_numpy(rows))
        if basis is None:
            return None
        bases.append(basis)
    width = max(basis.vectors.shape[1] for basis in bases)
    return [basis.pad(width) for basis in bases]
