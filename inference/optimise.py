"""From starts to an optimum: restarts are screened twice, the best is refined until it settles."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.engine import (
    BACKENDS,
    Interrupted,
    State,
    Step,
    capture,
    estimate_elbo,
    make_step,
    run,
)
from genomic_code.inference.fallback import pyro_step
from genomic_code.inference.flat import FlatModel
from genomic_code.inference.guide_choice import GUIDES
from genomic_code.inference.guides import Guide
from genomic_code.inference.starts import start_scale
from genomic_code.spec.protocols import Data
from genomic_code.spec.validate import one_of

__all__ = ["DivergenceError", "Optimum", "Settings", "optimise"]

SCREENING_DRAWS = 20
"""Draws for the ELBO by which restarts are first ranked; they differ by tens of nats."""
FINALISTS = 3
"""Restarts that go on, at least, until they differ by more than the noise of that ranking."""

PAIRED = 2**18
"""Longest flat vector whose refinement takes antithetic pairs of draws, unless these are dear."""
DRAWN = 2**26
"""Numbers drawn for a final ELBO at most; its error is small where there are many weights."""


class DivergenceError(RuntimeError):
    """No restart reached a finite ELBO."""


@dataclass(frozen=True)
class Settings:
    """How to optimise; the defaults are meant to be left alone."""

    restarts: int = 10
    """Random starts, of which the best ELBO on the training rows goes on; at least 1."""
    modes: int | None = None
    """Restarts that are refined to the end. Those that the data do not tell apart predict together,
    see `inference.modes`. By default 1 in a fit, and 3 in a comparison."""
    screening: int = 250
    """Steps that every restart takes, and then the best three again."""
    steps: int = 500
    """Steps that the best restart takes in a cycle of the step size."""
    cycles: int = 12
    """Largest number of such cycles."""
    tolerance: float = 2e-4
    """A cycle is the last if it improves the ELBO by less, in nats per observed cell; five times as
    much per weight, as most weights of a large model have little to do with the data."""
    rate: float = 0.05
    """First step size of the log standard deviations; locations take 20 times as much, in standard
    deviations. Restarts take it whole, the best then a half, and an eighth in further cycles."""
    elbo_draws: int = 200
    """Draws for the final ELBO; fewer where the weights are very many."""
    guide: str = "auto"
    """Variational family: `auto` takes the best that the model and its size allow (see
    `guide_choice`); `collapsed` takes the exact posterior of direct effects whatever it costs;
    `centred` also centres dense additive effects as far as the data ask; `meanfield`, `lowrank`
    (rank 10) or `fullrank` (small models)."""
    backend: str = "traced"
    """`traced` records the step once; `inductor` compiles it too, which pays from some ten thousand
    steps on, and from hundreds under `CommonFactorT` with tens of traits; `eager` runs the model at
    each step; `pyro` leaves the step to Pyro's Trace_ELBO, a draw at a time, for models that the
    engine cannot take."""
    device: str = "cpu"
    """Where to compute: `cpu`, `cuda`, `cuda:1`, `mps`; the fit comes back to the CPU."""

    def __post_init__(self) -> None:
        one_of("guide", self.guide, list(GUIDES))
        check_device(self.device)
        one_of("backend", self.backend, list(BACKENDS))
        for name in ("restarts", "modes", "screening", "steps", "cycles", "elbo_draws"):
            value = getattr(self, name)
            if name == "modes" and value is None:
                continue
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        for name in ("tolerance", "rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    def least(self, restarts: int) -> int:
        """Steps of the shortest fit from so many starts: both rounds of screening and a cycle."""
        return 2 * self.screening * (restarts > 1) + self.steps


def check_device(name: str) -> None:
    """Refuse a device that torch does not know or this machine does not have.

    Raises:
        ValueError: It is one of these.
    """
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as cause:
        reason = str(cause).splitlines()[0]
        raise ValueError(
            f"device must be one of this machine, such as 'cpu', got {name!r}: {reason}"
        ) from None


class Optimum(NamedTuple):
    """The best restarts of each fold, best first."""

    parameters: Tensor
    """Guide parameters `(F, M, Q)`."""
    elbo: Tensor
    """`(F, M)`, in nats."""
    error: Tensor
    """Monte-Carlo standard error of the ELBO `(F, M)`."""
    restarts: Tensor
    """ELBO of every restart after screening `(F, R)`; NaN where there was but one."""
    history: Tensor
    """One-draw ELBO at each step of the best restart `(steps, F)`."""
    converged: bool
    interrupted: bool
    """Whether Ctrl-C ended it."""


def optimise(
    flat: FlatModel,
    guide: Guide,
    location: Tensor,
    data: Data,
    settings: Settings,
    generator: torch.Generator,
    bar: "tqdm[Any]",
    keep: bool = False,
) -> Optimum:
    """Maximise the ELBO from locations `(F, R, P)` on data `(F, 1, N, ...)`.

    With `keep`, Ctrl-C ends the optimisation with the best so far, not converged.

    Raises:
        DivergenceError: In some fold no restart reached a finite ELBO.
    """
    own = settings.backend == "pyro"
    step = pyro_step(flat, guide) if own else make_step(flat, guide)
    folds, restarts = location.shape[:2]
    cells = int(data.observed.sum((-1, -2)).max())
    state = State.start(guide.start(location, start_scale(flat, cells)))

    tensors = [value for value in data if value is not None]

    def bound(parameters: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return step(parameters, noise, *tensors)

    def recorded(draws: int) -> Step:
        noise = state.parameters.new_empty(draws, *state.parameters.shape[:2], flat.dim)
        example = (state.parameters, noise.normal_(generator=generator))
        return capture(bound, example, settings.backend)

    interrupted = False

    def taken(step: Step, steps: int, rate: float, pairs: int) -> Tensor:
        nonlocal interrupted
        try:
            return run(step, state, steps, rate, pairs, flat.dim, generator, bar)
        except Interrupted as stop:
            if not keep:
                raise
            interrupted = True
            return stop.history

    histories: list[Tensor] = []

    def select(number: int, draws: int) -> Tensor:
        """Go on with the best restarts; the ELBO of all of them."""
        nonlocal state
        score, _ = estimate_elbo(flat, guide, state.parameters, data, draws, generator)
        best = choose(score, number, flat.formalization.name).to(state.parameters.device)
        state = State.start(state.parameters.take_along_dim(best[..., None], 1))
        histories[:] = [history.take_along_dim(best[None], 2) for history in histories]
        return score

    pairs = int(flat.dim <= PAIRED and guide.width == 0)
    draws = max(SCREENING_DRAWS, min(settings.elbo_draws, DRAWN // flat.dim))
    score = torch.full((folds, 1), torch.nan)
    modes = min(settings.modes or 1, restarts)
    if restarts > 1:
        histories.append(taken(recorded(1), settings.screening, settings.rate, 0))
        score = select(min(max(FINALISTS, modes), restarts), SCREENING_DRAWS)
        if not interrupted:
            histories.append(taken(recorded(1 + pairs), settings.screening, settings.rate, pairs))
        select(modes, draws)
    refine = None if interrupted else recorded(1 + pairs)
    tolerance = settings.tolerance * (cells + 5 * flat.dim)
    before = torch.full((folds, modes), -torch.inf, dtype=torch.float64)
    spread, highest = torch.full_like(before, torch.nan), before[:, 0]
    converged = False
    for cycle in range(settings.cycles):
        rate = settings.rate / (2 if cycle == 0 else 8)
        if cycle:
            bar.total = (bar.total or 0) + settings.steps
        reached = state.parameters.clone()
        if refine is not None:
            histories.append(taken(refine, settings.steps, rate, pairs))
            state = State.start(state.parameters)
        elbo, error = estimate_elbo(flat, guide, state.parameters, data, draws, generator)
        best = elbo.nan_to_num(-torch.inf, -torch.inf).amax(1)
        if not torch.isfinite(best).all():
            raise DivergenceError(
                f"{flat.formalization.name}: the ELBO became {float(elbo.min())}; lower "
                f"rate={settings.rate} or check the cohort for outliers"
            )
        if interrupted:
            # half way through a cycle the step size is large: the end of the last may be better
            worse = elbo < before
            earlier = worse[..., None].to(reached.device)
            state = State.start(torch.where(earlier, reached, state.parameters))
            elbo, error = torch.where(worse, before, elbo), torch.where(worse, spread, error)
            break
        spread = error
        gain = float((best - highest).max())
        before, highest = elbo, best
        if gain < tolerance + 2 * float(error.nan_to_num(0.0).max()):
            converged = True
            break
    order = choose(elbo, modes, flat.formalization.name)
    history = torch.cat(histories).cpu()
    return Optimum(
        state.parameters.cpu().take_along_dim(order[..., None], 1),
        elbo.take_along_dim(order, 1),
        error.take_along_dim(order, 1),
        score,
        history.take_along_dim(order[None, :, :1], 2)[..., 0],
        converged,
        interrupted,
    )


def choose(score: Tensor, number: int, name: str) -> Tensor:
    """The best restarts `(F, number)` of ELBOs `(F, R)`, best first.

    Raises:
        DivergenceError: In some fold no restart is finite.
    """
    finite = torch.isfinite(score)
    if not finite.any(1).all():
        raise DivergenceError(
            f"{name}: none of {score.shape[1]} restarts reached a finite ELBO; lower rate, or "
            "check the cohort for outliers"
        )
    return torch.where(finite, score, -torch.inf).topk(number, 1).indices
