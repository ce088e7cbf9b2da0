"""One pure step of stochastic variational inference, and the loop around it.

The step draws from the guide, takes the gradient of the ELBO (sticking the landing, Roeder et al.
2017, arXiv:1703.09194, over antithetic pairs) and applies Adam to one flat parameter array of
leading shape `(F, R)`: folds by restarts. Captured once, it is replayed without Python.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from tqdm.auto import tqdm

from genomic_code.inference.flat import FlatModel
from genomic_code.inference.guides import Guide
from genomic_code.spec.protocols import Data

__all__ = ["BACKENDS", "State", "capture", "estimate_elbo", "make_step", "run"]

BACKENDS = ("traced", "eager")
DECAY_MEAN, DECAY_SQUARE, EPSILON = 0.9, 0.99, 1e-8
FINAL_RATE = 0.02
"""Last step size as a share of the first, under the cosine schedule."""


class State(NamedTuple):
    """What the next step needs."""

    parameters: Tensor
    """Guide parameters `(F, R, Q)`."""
    mean: Tensor
    """Adam's running mean of the gradient."""
    square: Tensor
    """Adam's running mean of the squared gradient."""
    taken: Tensor
    """Number of steps taken, a scalar."""

    @classmethod
    def start(cls, parameters: Tensor) -> "State":
        """A fresh optimiser at these parameters."""
        return cls(
            parameters, torch.zeros_like(parameters), torch.zeros_like(parameters), torch.zeros(())
        )


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `run`, with what was reached."""

    def __init__(self, state: State, history: Tensor) -> None:
        super().__init__()
        self.state = state
        self.history = history


Step = Callable[..., tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]


def make_step(flat: FlatModel, guide: Guide) -> Step:
    """`step(*state, rate, noise, *data) -> (*state, elbo)`; noise `(D, F, R, P)`, elbo `(F, R)`."""

    def loss(parameters: Tensor, noise: Tensor, data: Data) -> tuple[Tensor, Tensor]:
        draw = guide.sample(parameters, noise)
        gap = flat.log_joint(draw, data) - guide.log_density(parameters.detach(), draw)
        elbo = gap.mean(0)
        return -elbo.sum(), elbo.detach()

    gradient = torch.func.grad_and_value(loss, has_aux=True)

    def step(
        parameters: Tensor, mean: Tensor, square: Tensor, count: Tensor, rate: Tensor,
        noise: Tensor, *data: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        slope, (_, elbo) = gradient(parameters, noise, Data(*data))
        count = count + 1
        mean = DECAY_MEAN * mean + (1 - DECAY_MEAN) * slope
        square = DECAY_SQUARE * square + (1 - DECAY_SQUARE) * slope * slope
        unbiased = (square / (1 - DECAY_SQUARE**count)).sqrt() + EPSILON
        parameters = parameters - rate * (mean / (1 - DECAY_MEAN**count)) / unbiased
        return parameters, mean, square, count, elbo

    return step


def capture(step: Step, example: tuple[Tensor, ...], backend: str = "traced") -> Step:
    """The step without Pyro's Python: recorded once as a graph of tensor operations.

    A model whose Python branches on tensor values would be frozen on one branch, so the graph is
    compared with the step itself at other random points; where they differ, or where the model
    cannot be recorded, the step is returned as it is, with a warning.
    """
    if backend == "eager":
        return step
    # aliased inputs would be recorded as one
    example = tuple(value.clone() for value in example)
    try:
        graph = make_fx(step)(*example)
        with torch.no_grad():
            recorded = torch.jit.trace(graph, example, check_trace=False)
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as cause:
        warnings.warn(f"model cannot be recorded, running it eagerly: {cause}", stacklevel=2)
        return step
    generator = torch.Generator().manual_seed(0)
    for shift in (0.1, -1.0):
        probe = list(example)
        probe[0] = example[0] + shift * torch.randn(example[0].shape, generator=generator)
        theirs, ours = step(*probe)[-1], recorded(*probe)[-1]
        if not torch.allclose(theirs, ours, rtol=1e-3, atol=1e-2, equal_nan=True):
            warnings.warn(
                "model branches on tensor values: recorded and plain log joints differ by "
                f"{(theirs - ours).abs().max():.3g} nats; running it eagerly",
                stacklevel=2,
            )
            return step
    return recorded  # type: ignore[no-any-return]


def run(
    step: Step,
    state: State,
    data: Data,
    steps: int,
    rate: float,
    pairs: int,
    dim: int,
    generator: torch.Generator,
    progress: "tqdm[Any] | None" = None,
) -> tuple[State, Tensor]:
    """Take `steps` steps under a cosine step size.

    Args:
        step: From `make_step` or `capture`.
        state: Where to start.
        data: The cohort `(F, 1, N, ...)`.
        steps: Number of steps.
        rate: First step size.
        pairs: Antithetic pairs a step; 0 takes a single plain draw.
        dim: Length P of the flat vector.
        generator: Source of the noise.
        progress: Bar to advance.

    Returns:
        The last state and the ELBO estimates `(steps, F, R)`.

    Raises:
        Interrupted: Ctrl-C; with the state and the estimates so far.
    """
    history = torch.empty(steps, *state.parameters.shape[:2])
    tensors = [value for value in data if value is not None]
    i = 0
    try:
        with torch.no_grad():
            for i in range(steps):
                now = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * i / steps))
                noise = torch.randn(max(pairs, 1), *state.parameters.shape[:2], dim,
                                    generator=generator)  # fmt: skip
                noise = torch.cat([noise, -noise]) if pairs else noise
                *moved, elbo = step(*state, torch.tensor(rate * now), noise, *tensors)
                history[i] = elbo
                state = State(*moved)
                if progress is not None:
                    progress.update()
                    if i % 50 == 49:
                        progress.set_postfix(elbo=f"{float(elbo.max(-1).values.mean()):.1f}")
    except KeyboardInterrupt:
        raise Interrupted(state, history[:i]) from None
    return state, history


def estimate_elbo(
    flat: FlatModel, guide: Guide, parameters: Tensor, data: Data, draws: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """ELBO `(F, R)` by `draws` draws and its Monte-Carlo standard error, in nats."""
    values = []
    with torch.no_grad():
        for _ in range(draws):
            noise = torch.randn(*parameters.shape[:2], flat.dim, generator=generator)
            draw = guide.sample(parameters, noise)
            values.append(flat.log_joint(draw, data) - guide.log_density(parameters, draw))
    stacked = torch.stack(values).double()
    return stacked.mean(0), stacked.std(0) / math.sqrt(draws)
