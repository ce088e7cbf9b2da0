"""The gradient of the ELBO as one pure function, captured once, and the loop around it.

The step draws from the guide and takes the gradient of the ELBO (sticking the landing, Roeder et
al. 2017, arXiv:1703.09194, over antithetic pairs) for one flat parameter array of leading shape
`(F, R)`: folds by restarts. Captured once, it is replayed without Python; Adam, with locations in
units of their standard deviations, then changes the parameters in place.
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
from genomic_code.inference.graph import tidy
from genomic_code.inference.guides import Guide
from genomic_code.spec.noise.support import cell_numbers
from genomic_code.spec.protocols import Data

__all__ = ["BACKENDS", "State", "advance", "capture", "estimate_elbo", "make_step", "run"]

BACKENDS = ("traced", "inductor", "eager", "pyro")
DECAY_MEAN, DECAY_SQUARE, EPSILON = 0.9, 0.99, 1e-8
TOGETHER = 2**22
"""Numbers in the largest array of draws that are evaluated together."""
STRIDE = 20.0
"""Step of a location in its standard deviations, as a multiple of that of the log deviation."""
FINAL_RATE = 0.02
"""Last step size as a share of the first, under the cosine schedule."""


class State(NamedTuple):
    """What the optimiser changes in place."""

    parameters: Tensor
    """Guide parameters `(F, R, Q)`."""
    mean: Tensor
    """Adam's running mean of the gradient."""
    square: Tensor
    """Adam's running mean of the squared gradient."""
    move: Tensor
    """The last step."""
    taken: Tensor
    """Number of steps taken, a scalar."""

    @classmethod
    def start(cls, parameters: Tensor) -> "State":
        """A fresh optimiser at a copy of these parameters."""
        own = parameters.clone(memory_format=torch.contiguous_format)
        taken = torch.zeros((), device=own.device)
        mean, square, move = (torch.zeros_like(own) for _ in range(3))
        return cls(own, mean, square, move, taken)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `run`; the state is where it was."""

    def __init__(self, history: Tensor) -> None:
        super().__init__()
        self.history = history
        """ELBO estimates so far `(steps taken, F, R)`."""


Step = Callable[..., tuple[Tensor, Tensor]]


def make_step(flat: FlatModel, guide: Guide, scale: float = 1.0) -> Step:
    """`step(parameters, noise, *data) -> (slope, elbo)`.

    Parameters and the slope of the negative ELBO are `(F, R, Q)`, noise `(D, F, R, P)` for D draws,
    the ELBO `(F, R)`. `scale` multiplies the log-likelihood: N / B for batches of B individuals.
    """

    def loss(parameters: Tensor, noise: Tensor, data: Data) -> tuple[Tensor, Tensor]:
        draw, density = guide.draw(parameters, noise)
        elbo = (flat.log_joint(draw, data, scale) - density).mean(0)
        return -elbo.sum(), elbo.detach()

    gradient = torch.func.grad_and_value(loss, has_aux=True)

    def step(parameters: Tensor, noise: Tensor, *data: Tensor) -> tuple[Tensor, Tensor]:
        slope, (_, elbo) = gradient(parameters, noise, Data(*data))
        return slope, elbo

    return step


def advance(state: State, slope: Tensor, rate: float, dim: int) -> None:
    """One step of Adam (Kingma & Ba 2015, arXiv:1412.6980), in place.

    The first `dim` parameters are locations, the next their log standard deviations. A location
    moves by shares of its standard deviation, which is the metric of the natural gradient (Khan et
    al. 2018, arXiv:1806.04854): weights that the data have settled take small steps, vague ones
    large.
    """
    state.taken.add_(1)
    move = state.move.zero_()
    torch._fused_adam_(
        [move], [slope.contiguous()], [state.mean], [state.square], [], [state.taken],
        lr=rate, beta1=DECAY_MEAN, beta2=DECAY_SQUARE, weight_decay=0.0, eps=EPSILON,
        amsgrad=False, maximize=False,
    )  # fmt: skip
    location, rest = state.parameters[..., :dim], state.parameters[..., dim:]
    location.addcmul_(move[..., :dim], rest[..., :dim].exp(), value=STRIDE)
    rest.add_(move[..., dim:])


def capture(step: Step, example: tuple[Tensor, ...], backend: str = "traced") -> Step:
    """The step without Pyro's Python: recorded once as a graph of tensor operations.

    A model whose Python branches on tensor values would be frozen on one branch, so the graph is
    compared with the step itself at other random points; where they differ, or where the model
    cannot be recorded, the step is returned as it is, with a warning. `inductor` compiles the
    graph: a third faster, after seconds to minutes, or one second where it did so before.
    """
    if backend in ("eager", "pyro"):
        return step
    # aliased inputs would be recorded as one
    example = tuple(value.clone() for value in example)
    try:
        graph = tidy(make_fx(step)(*example))
        with torch.no_grad():
            if backend == "inductor":
                recorded = compiled(graph)
                recorded(*example)
            else:
                recorded = torch.jit.trace(graph, example, check_trace=False)
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as cause:
        warnings.warn(f"model cannot be recorded, running it eagerly: {cause}", stacklevel=2)
        return step
    generator = torch.Generator().manual_seed(0)
    for shift in (0.1, -1.0):
        probe = list(example)
        moved = shift * torch.randn(example[0].shape, generator=generator, device="cpu")
        probe[0] = example[0] + moved.to(example[0])
        theirs, ours = step(*probe)[-1], recorded(*probe)[-1]
        if not torch.allclose(theirs, ours, rtol=1e-3, atol=1e-2, equal_nan=True):
            warnings.warn(
                "model branches on tensor values: recorded and plain log joints differ by "
                f"{(theirs - ours).abs().max():.3g} nats; running it eagerly",
                stacklevel=2,
            )
            return step
    return recorded


def compiled(graph: torch.fx.GraphModule) -> Step:
    """The graph as machine code; on a CPU its wrapper too, which saves a fifth of a small step.

    One graph meets tensors of one shape and kind only, so that looking for this at every call,
    another twentieth, is left out where torch can.
    """
    options: Any = {} if torch.cuda.is_available() else {"cpp_wrapper": True}
    unguarded = getattr(torch.compiler, "skip_all_guards_unsafe", None)
    if unguarded is not None:
        options["guard_filter_fn"] = unguarded
    fast: Step = torch.compile(graph, fullgraph=True, dynamic=False, options=options)
    return fast


def run(
    step: Step,
    state: State,
    steps: int,
    rate: float,
    pairs: int,
    dim: int,
    generator: torch.Generator,
    progress: "tqdm[Any] | None" = None,
) -> Tensor:
    """Take `steps` steps under a cosine step size.

    Args:
        step: `step(parameters, noise)`, bound to its data.
        state: Where to start; changed in place.
        steps: Number of steps.
        rate: First step size.
        pairs: Antithetic pairs a step; 0 takes one draw, and its opposite in the step after.
        dim: Length P of the flat vector.
        generator: Source of the noise, on the device of the state.
        progress: Bar to advance.

    Returns:
        The ELBO estimates `(steps, F, R)`.

    Raises:
        Interrupted: Ctrl-C.
    """
    lead = state.parameters.shape[:2]
    history = state.parameters.new_empty(steps, *lead)
    noise = state.parameters.new_empty(2 * pairs or 1, *lead, dim)
    first, second = noise[: pairs or 1], noise[pairs or 1 :]
    i = 0
    try:
        with torch.no_grad():
            for i in range(steps):
                now = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * i / steps))
                if pairs or i % 2 == 0:
                    first.normal_(generator=generator)
                else:
                    torch.neg(first, out=first)
                if pairs:
                    torch.neg(first, out=second)
                slope, elbo = step(state.parameters, noise)
                advance(state, slope, rate * now, dim)
                history[i] = elbo
                if progress is not None:
                    progress.update()
                    if i % 50 == 49:
                        progress.set_postfix(elbo=f"{float(elbo.max(-1).values.mean()):.1f}")
    except KeyboardInterrupt:
        raise Interrupted(history[:i]) from None
    return history


def estimate_elbo(
    flat: FlatModel, guide: Guide, parameters: Tensor, data: Data, draws: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """ELBO `(F, R)` by `draws` draws and its Monte-Carlo standard error, in nats."""
    values = []
    lead = parameters.shape[:2]
    cells = cell_numbers(flat.formalization.noise, data.observed.shape[-2:])
    largest = max(flat.dim, guide.width, cells)
    together = max(1, TOGETHER // (lead.numel() * largest))
    with torch.no_grad():
        for first in range(0, draws, together):
            noise = parameters.new_empty(min(together, draws - first), *lead, flat.dim)
            draw, density = guide.draw(parameters, noise.normal_(generator=generator))
            values.append(flat.log_joint(draw, data) - density)
    stacked = torch.cat(values).cpu().double()
    return stacked.mean(0), stacked.std(0) / math.sqrt(draws)
