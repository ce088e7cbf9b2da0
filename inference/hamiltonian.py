"""Posterior draws made exact: short Hamiltonian chains, one from each draw of the guide.

Mean field ignores how weights trade off against each other. It then makes functionals of the map
wrong in both directions: what the data fix by compensation (the genetic variance) gets too wide
an interval, what they fix less (the curvature of the map) is pulled to smooth maps, with too narrow
an interval. Chains that start at draws of the guide have only this to mend, so a few dozen
trajectories do. They stay in the mode that the fit found: rotated, mirrored and permuted latents
are the same map.

Duane et al. 1987, doi:10.1016/0370-2693(87)91197-X; Neal 2011, arXiv:1206.1901. Masses are
those of the guide; the step size aims at 80 % acceptance during the first half, then stays.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.engine import capture
from genomic_code.inference.posterior import Fit
from genomic_code.spec.noise.support import cell_numbers
from genomic_code.spec.protocols import Data

__all__ = ["TRAJECTORIES", "Chains", "affordable", "refine"]

TRAJECTORIES = 40
LEAPS = 10
TARGET = 0.8
WORK = 2**24
"""Numbers that one gradient of all draws may touch for chains to be run unasked."""
TOGETHER = 2**22
"""Numbers that one gradient of a batch of chains may touch."""


class Chains(NamedTuple):
    """Where the chains ended, and how well they went."""

    flat: Tensor
    """Last states `(S, P)`, unconstrained, in the coordinates of the fit: independent draws."""
    acceptance: float
    """Share of proposals accepted in the second half."""
    gain: float
    """Rise of the mean log density over the guide's draws, where these are normal, in nats."""
    drift: float
    """Its change over the last quarter, in standard deviations over chains: near 0 if settled."""


def size(fit: Fit) -> int:
    """Numbers that the log joint of one draw touches."""
    data = fit.data
    cells = cell_numbers(fit.formalization.noise, data.observed.shape)
    return int(fit.flat.dim + data.genotype.numel() + cells)


def affordable(fit: Fit, draws: int) -> bool:
    """Whether chains cost seconds rather than minutes."""
    return draws * size(fit) <= WORK


def refine(
    fit: Fit,
    draws: int = 200,
    seed: int = 0,
    trajectories: int = TRAJECTORIES,
    progress: bool = False,
) -> Chains:
    """Draws from the posterior around a fit, by Hamiltonian chains from draws of its guide.

    Args:
        fit: The fit.
        draws: Number of draws S, each the end of a chain of its own.
        seed: Seed of the starts, momenta and acceptance.
        trajectories: Length of the chains, at least 4.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: `draws` or `trajectories` is too small.
        FloatingPointError: Not one proposal was accepted.
    """
    if draws < 2 or trajectories < 4:
        raise ValueError(
            f"draws must be at least 2 and trajectories at least 4, got {draws} and {trajectories}"
        )
    target = Target(fit)
    step = max(2, TOGETHER // size(fit))
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(draws, fit.flat.dim, generator=generator)
    parts = []
    total = -(-draws // step) * trajectories
    with tqdm(total=total, desc="chains", disable=not progress, leave=False) as bar:
        for first in range(0, draws, step):
            position = start[first : first + step]
            parts.append(run_chains(target, fit.data, position, trajectories, generator, bar))
    ends, acceptances, gains, drifts = zip(*parts, strict=True)
    weight = [len(end) / draws for end in ends]
    mean = [
        sum(w * value for w, value in zip(weight, values, strict=True))
        for values in (acceptances, gains, drifts)
    ]
    if not mean[0] > 0:
        raise FloatingPointError(
            f"{fit.formalization.name}: no proposal was accepted; check the fit for convergence"
        )
    return Chains(fit.guide.sample(fit.parameters, torch.cat(ends)), *mean)


class Target:
    """Log joint density and its gradient in coordinates where the guide is standard normal.

    Guides that map them linearly change the density by a constant only, which is left out.
    """

    def __init__(self, fit: Fit) -> None:
        parameters = fit.parameters.detach()

        def log_joint(position: Tensor, *data: Tensor) -> tuple[Tensor, Tensor]:
            flat = fit.guide.sample(parameters, position)
            value = fit.flat.log_joint(flat, Data(*data))
            if not fit.guide.linear:
                normal = -0.5 * position.square().sum(-1)
                value = value + normal - fit.guide.log_density(parameters, flat)
            return value.sum(), value.detach()

        self.raw = torch.func.grad_and_value(log_joint, has_aux=True)
        self.recorded: dict[int, object] = {}

    def step(self, position: Tensor, *data: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient `(s, P)` and log joint `(s,)`."""
        slope, (_, value) = self.raw(position, *data)
        return slope, value

    def __call__(self, position: Tensor, data: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        chains = len(position)
        if chains not in self.recorded:
            self.recorded[chains] = capture(self.step, (position, *data))
        with torch.no_grad():
            return self.recorded[chains](position, *data)  # type: ignore[operator, no-any-return]


def run_chains(
    target: Target,
    cohort: Data,
    position: Tensor,
    trajectories: int,
    generator: torch.Generator,
    bar: "tqdm[Any]",
) -> tuple[Tensor, float, float, float]:
    """Ends of chains from `position` `(s, P)`, acceptance, gain and drift."""
    data = tuple(value for value in cohort if value is not None)
    slope, value = target(position, data)
    length = 0.5 * position.shape[-1] ** -0.25
    history, rates = [value], []
    for round_ in range(trajectories):
        momentum = torch.randn(position.shape, generator=generator)
        jitter = 0.8 + 0.4 * torch.rand(len(position), 1, generator=generator)
        move = leapfrog(target, data, position, momentum, slope, length * jitter)
        energy = move[3] - value - (move[1].square() - momentum.square()).sum(-1) / 2
        chance = energy.clamp_max(0).exp().nan_to_num(0.0)
        accept = torch.rand(len(position), generator=generator) < chance
        position = torch.where(accept[:, None], move[0], position)
        slope = torch.where(accept[:, None], move[2], slope)
        value = torch.where(accept, move[3], value)
        history.append(value)
        rates.append(float(chance.mean()))
        if round_ < trajectories // 2:
            length *= float(torch.tensor((rates[-1] - TARGET) / (1 + round_) ** 0.5).exp())
        bar.update(1)
    trace = torch.stack(history).double()
    late = trajectories // 4
    drift = (trace[-1].mean() - trace[-1 - late].mean()) / trace[-1].std()
    gain = float(trace[-1].mean() - trace[0].mean())
    half = rates[trajectories // 2 :]
    return position, sum(half) / len(half), gain, float(drift)


def leapfrog(
    target: Target,
    data: tuple[Tensor, ...],
    position: Tensor,
    momentum: Tensor,
    slope: Tensor,
    length: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Position, momentum, slope and log joint after a trajectory."""
    value = slope[:, 0]
    for _ in range(LEAPS):
        momentum = momentum + length / 2 * slope
        position = position + length * momentum
        slope, value = target(position, data)
        momentum = momentum + length / 2 * slope
    return position, momentum, slope, value
