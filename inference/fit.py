"""Fitting a formalization to a cohort: starts, screening of restarts, refinement, final ELBO."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.basis import Basis
from genomic_code.inference.engine import (
    BACKENDS,
    State,
    Step,
    capture,
    estimate_elbo,
    make_step,
    run,
)
from genomic_code.inference.flat import FlatModel
from genomic_code.inference.guides import MeanField
from genomic_code.inference.posterior import Fit
from genomic_code.inference.starts import is_random, starts
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import resolve
from genomic_code.spec.protocols import Data, Formalization, Shape
from genomic_code.spec.standardize import Scaler
from genomic_code.spec.validate import one_of

__all__ = ["DivergenceError", "Settings", "fit", "fit_folds"]

MEMORY = 2**26
"""Numbers that one batch of folds and restarts may hold per working array."""


class DivergenceError(RuntimeError):
    """No restart reached a finite ELBO."""


@dataclass(frozen=True)
class Settings:
    """How to optimise; the defaults are meant to be left alone."""

    restarts: int = 10
    """Random starts, of which the best ELBO on the training rows goes on; at least 1."""
    screening: int = 250
    """Steps that every restart takes."""
    steps: int = 750
    """Steps that the best restart takes in a cycle of the step size."""
    cycles: int = 4
    """Largest number of such cycles."""
    tolerance: float = 1.0
    """A cycle that improves the ELBO by less than this, in nats, is the last."""
    rate: float = 0.06
    """First step size, on the scale of the unconstrained weights."""
    elbo_draws: int = 200
    """Draws for the final ELBO."""
    backend: str = "traced"
    """`traced` records the step once; `eager` runs Pyro at each step."""

    def __post_init__(self) -> None:
        one_of("backend", self.backend, list(BACKENDS))
        for name in ("restarts", "screening", "steps", "cycles", "elbo_draws"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        for name in ("tolerance", "rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


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
    chosen = Settings(**{**vars(settings or Settings()), **options})  # type: ignore[arg-type]
    return fit_folds(formalization, cohort, everyone, chosen, seed, progress, given)[0]


def fit_folds(
    formalization: str | Formalization,
    cohort: Cohort,
    training: NDArray[np.bool_],
    settings: Settings,
    seed: int,
    progress: bool = True,
    given: Mapping[str, Tensor] | None = None,
) -> list[Fit]:
    """Fits to several training sets `(F, N)` of one cohort, as one batched computation.

    Standardisation, basis and starts use the training rows of each fold alone.

    Raises:
        DivergenceError: No restart of some fold reached a finite ELBO.
    """
    model = resolve(formalization)
    size = len(cohort) * max(cohort.sizes["trait"] * 4, cohort.sizes["locus"])
    n = cohort.sizes
    shape = Shape(n["individual"], n["locus"], n["covariate"], n["trait"])
    probe = FlatModel(model, shape, given)
    random = any(is_random(site) for site in probe.sites)
    restarts = settings.restarts if random else 1
    together = max(1, MEMORY // max(size, 4 * restarts * probe.dim))
    fits: list[Fit] = []
    total = settings.screening + settings.steps
    batches = -(-len(training) // together)
    with tqdm(total=batches * total, desc=model.name, disable=not progress, leave=False) as bar:
        for first in range(0, len(training), together):
            rows = training[first : first + together]
            fits += fit_batch(
                model, cohort, rows, restarts, settings, seed + 1000 * first, bar, given
            )
    return fits


def fit_batch(
    model: Formalization,
    cohort: Cohort,
    training: NDArray[np.bool_],
    restarts: int,
    settings: Settings,
    seed: int,
    bar: tqdm,
    given: Mapping[str, Tensor] | None = None,
) -> list[Fit]:
    """Fits to training sets that share one batch."""
    generator = torch.Generator().manual_seed(seed)
    scalers = [Scaler.fit(cohort, rows) for rows in training]
    folds = [scaler.data(cohort, rows) for scaler, rows in zip(scalers, training, strict=True)]
    bases = rotations(model, folds, training)
    if bases is not None:
        folds = [
            fold._replace(genotype=basis.rotate(fold.genotype))
            for fold, basis in zip(folds, bases, strict=True)
        ]
    flat = FlatModel(model, folds[0].shape, given)
    guide = MeanField()
    location = torch.stack([starts(flat, fold, restarts, generator) for fold in folds])
    state = State.start(guide.start(location))
    data = Data(*(torch.stack(tensors).unsqueeze(1) for tensors in zip(*folds, strict=True)))
    step = make_step(flat, guide)

    def recorded(state: State, draws: int) -> Step:
        noise = torch.randn(draws, *state.parameters.shape[:2], flat.dim, generator=generator)
        return capture(step, (*state, torch.tensor(0.0), noise, *data), settings.backend)

    start = recorded(state, 1)
    state, screening = run(start, state, data, settings.screening, settings.rate, 0, generator, bar)
    score, _ = estimate_elbo(flat, guide, state.parameters, data, 20, generator)
    best = choose_restarts(score, model.name)
    parameters = state.parameters.gather(
        1, best[:, None, None].expand(-1, 1, state.parameters.shape[-1])
    )
    chosen = screening.gather(2, best[None, :, None].expand(len(screening), -1, 1))
    histories = [chosen]
    state = State.start(parameters)
    refine = recorded(state, 2)
    elbo, error = estimate_elbo(flat, guide, state.parameters, data, 20, generator)
    rate = settings.rate / 2
    converged = False
    for cycle in range(settings.cycles):
        before = elbo
        if cycle:
            bar.total += settings.steps
        moved, history = run(refine, state, data, settings.steps, rate, 1, generator, bar)
        elbo, error = estimate_elbo(
            flat, guide, moved.parameters, data, settings.elbo_draws, generator
        )
        histories.append(history)
        state = State.start(moved.parameters)
        gain = (elbo - before).max()
        if gain < settings.tolerance + 2 * float(error.max()):
            converged = True
            break
        rate /= 2
    if not torch.isfinite(elbo).all():
        raise DivergenceError(
            f"{model.name}: the ELBO became {float(elbo.min())} in refinement; "
            f"lower rate={settings.rate} or check the cohort for outliers"
        )
    if not converged:
        warnings.warn(
            f"{model.name}: the ELBO still rose by {float(gain):.1f} nats in the last of "
            f"{settings.cycles} cycles; raise steps={settings.steps}",
            stacklevel=4,
        )
    history = torch.cat(histories)
    return [
        Fit(
            formalization=model,
            cohort=cohort,
            training=training[f],
            scaler=scalers[f],
            basis=None if bases is None else bases[f],
            flat=flat,
            data=folds[f],
            parameters=state.parameters[f, 0],
            elbo=float(elbo[f, 0]),
            elbo_error=float(error[f, 0]),
            restart_elbos=score[f].numpy(),
            history=history[:, f, 0].numpy(),
            converged=converged,
            seed=seed,
        )
        for f in range(len(training))
    ]


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


def choose_restarts(score: Tensor, name: str) -> Tensor:
    """Best restart `(F,)` of ELBOs `(F, R)`.

    Raises:
        DivergenceError: In some fold no restart is finite.
    """
    finite = torch.isfinite(score)
    if not finite.any(1).all():
        raise DivergenceError(
            f"{name}: none of {score.shape[1]} restarts reached a finite ELBO; lower rate, or "
            "check the cohort for outliers"
        )
    return torch.where(finite, score, -torch.inf).argmax(1)
