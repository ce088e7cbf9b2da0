"""The energy landscape of an attractor fit: its attractors, their basins, and a surface to look at.

Latents of different draws or fits may be permuted and mirrored copies of each other, which develop
the same traits. Draws are matched to the first one before anything is averaged over latents.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from genomic_code.inference.posterior import Fit
from genomic_code.spec.formalizations.attractor import Attractor
from genomic_code.spec.protocols import Weights

__all__ = ["attractors", "landscape", "match_latents"]

TOLERANCE = 1e-8
"""Largest residual of a state that counts as settled."""
APART = 1e-2
"""Least distance, in the largest coordinate, between two attractors."""
LONGEST = 5000
"""Relaxation steps after which a start that has not settled is given up."""


def attractors(
    fit: Fit, individual: str | None = None, starts: int = 200, draws: int = 20, seed: int = 0
) -> pd.DataFrame:
    """Attractors of a genotype, with the share of states that end up in each.

    Args:
        fit: Posterior of an `Attractor`.
        individual: Label of the individual whose genotype tilts the landscape; by default the
            average genotype.
        starts: Number of random initial states, uniform in (-1, 1)^K, in each draw.
        draws: Number of posterior draws.
        seed: Seed of draws and initial states.

    Returns:
        One row for each draw and attractor, largest basin first: `share` of the starts with its
        standard error `share_se` (posterior under Jeffreys' prior, so not 0 at a share of 1),
        `energy` (0 at the undifferentiated state), `developed` (whether development, which starts
        at 0, goes there) and the developed traits in the units of the data, environment at its
        mean. A share of 0 is a watershed on which development itself stops. A row `unsettled`
        counts the starts that reach no fixed point, if there are any.

    Raises:
        ValueError: The fit is of another formalization, or the individual is unknown.
    """
    model, weights = posterior(fit, draws, seed)
    drive = tilt(fit, model, weights, individual)
    generator = torch.Generator().manual_seed(seed)
    random = 2 * torch.rand(starts, model.latents, generator=generator, dtype=torch.float64) - 1
    initial = torch.cat([torch.zeros(1, model.latents, dtype=torch.float64), random])
    state = settle(model, weights, initial, drive)
    settled = model.force(weights, state, drive).abs().amax(-1) < TOLERANCE
    energy = model.energy(weights, state, drive)
    centre, spread = (moment.double() for moment in fit.scaler.phenotype)
    traits = (weights["mean"][:, None] + state @ weights["decoder"]) * spread + centre
    labels = fit.cohort.labels("trait")
    rows: list[dict[str, Any]] = []
    for draw in range(draws):
        kind = distinct(state[draw].numpy(), settled[draw].numpy())
        count = np.bincount(kind[1:][kind[1:] >= 0], minlength=kind.max() + 1)
        for order, label in enumerate(np.argsort(-count, kind="stable")):
            member = int(np.flatnonzero(kind == label)[0])
            rows.append(
                {
                    "draw": draw,
                    "attractor": str(order),
                    **share(int(count[label]), starts),
                    "energy": float(energy[draw, member]),
                    "developed": bool(kind[0] == label),
                    **dict(zip(labels, traits[draw, member].tolist(), strict=True)),
                }
            )
        lost = int((kind[1:] < 0).sum())
        if lost:
            rows.append({"draw": draw, "attractor": "unsettled", **share(lost, starts)})
    return pd.DataFrame(rows).set_index(["draw", "attractor"])


def landscape(
    fit: Fit,
    individual: str | None = None,
    draws: int = 50,
    points: int = 41,
    seed: int = 0,
    starts: int = 30,
) -> xr.Dataset:
    """Energy over the two directions in which the individuals' latents differ most.

    The plane goes through the mean potential (the argument of tanh) of the individuals along their
    first two principal axes; a point of the plane stands for the state tanh(potential).

    Args:
        fit: Posterior of an `Attractor` with at least two latents.
        individual: Label of the individual whose genotype tilts the landscape; by default the
            average genotype.
        draws: Number of posterior draws.
        points: Grid points along each direction.
        seed: Seed of the draws and of the random states.
        starts: Number of random states, uniform in (-1, 1)^K, that relax in each draw.

    Returns:
        `energy` (draw, second, first), 0 at the undifferentiated state of each draw; `position`
        (individual, direction) of the developed individuals, posterior mean; `settled` (draw,
        start, direction), where each of `starts` random states comes to rest: the attractors, and
        by their spread over draws what is not known of them; `axes` (direction, latent) and
        `centre` (latent) of the plane; `spread`, the share of variance along each direction.

    Raises:
        ValueError: The fit is of another formalization or has one latent, or the individual is
            unknown.
    """
    model, weights = posterior(fit, draws, seed)
    if model.latents < 2:
        raise ValueError("fit must have at least 2 latents to draw a surface, got 1")
    genotype = loci(fit)
    weights = match_latents(model, weights, genotype)
    drive = model.drive(weights, genotype)
    potential = model.encode(weights, genotype) @ weights["recurrent"] + drive
    mean = potential.mean(0)
    centre = mean.mean(0)
    _, values, axes = torch.linalg.svd(mean - centre, full_matrices=False)
    axes = axes[:2] * axes[:2].sum(1, keepdim=True).sign()
    position = (mean - centre) @ axes.mT
    reach = 1.2 * position.abs().amax(0).clamp_min(1e-3)
    first, second = (torch.linspace(-1, 1, points, dtype=torch.float64) * r for r in reach)
    plane = second[:, None, None] * axes[1] + first[:, None] * axes[0] + centre
    state = torch.tanh(plane).flatten(0, 1)
    tilted = tilt(fit, model, weights, individual)
    energy = model.energy(weights, state, tilted)
    generator = torch.Generator().manual_seed(seed)
    random = 2 * torch.rand(starts, model.latents, generator=generator, dtype=torch.float64) - 1
    rest = settle(model, weights, random, tilted) @ weights["recurrent"] + tilted
    settled = (rest - centre) @ axes.mT
    return xr.Dataset(
        {
            "energy": (("draw", "second", "first"), energy.reshape(-1, points, points).numpy()),
            "position": (("individual", "direction"), position.numpy()),
            "settled": (("draw", "start", "direction"), settled.numpy()),
            "axes": (("direction", "latent"), axes.numpy()),
            "centre": ("latent", centre.numpy()),
            "spread": ("direction", (values.square() / values.square().sum())[:2].numpy()),
        },
        {
            "first": first.numpy(),
            "second": second.numpy(),
            "individual": fit.cohort.labels("individual"),
            "direction": ["first", "second"],
        },
        {"genotype": "average" if individual is None else individual},
    )


def match_latents(model: Attractor, weights: Weights, genotype: Tensor) -> dict[str, Tensor]:
    """Draws `(S, ...)` with latents permuted and mirrored so as to agree with the first draw.

    The matching maximises the summed |inner product| of the latents' states over individuals; it
    leaves development and energy as they are.
    """
    states = model.encode(weights, genotype)
    overlap = states[:1].mT @ states
    turn = torch.zeros_like(overlap)
    for draw, table in enumerate(overlap):
        ours, theirs = linear_sum_assignment(-table.abs().numpy())
        turn[draw, ours, theirs] = torch.where(table[ours, theirs] < 0, -1.0, 1.0).to(table.dtype)
    return {
        **weights,
        "encoder": weights["encoder"] @ turn.mT,
        "bias": (turn @ weights["bias"][..., None])[..., 0],
        "recurrent": turn @ weights["recurrent"] @ turn.mT,
        "decoder": turn @ weights["decoder"],
    }


def posterior(fit: Fit, draws: int, seed: int) -> tuple[Attractor, dict[str, Tensor]]:
    """Formalization and posterior draws, in double precision."""
    model = fit.formalization
    if not isinstance(model, Attractor):
        raise ValueError(f"fit must be of the attractor formalization, got {model.name}")
    return model, {name: value.double() for name, value in fit.weights(draws, seed).items()}


def loci(fit: Fit) -> Tensor:
    """Genotypes `(N, L)` of the cohort in standard units."""
    return fit.scaler.data(fit.cohort).genotype.double()


def tilt(fit: Fit, model: Attractor, weights: Weights, individual: str | None) -> Tensor:
    """Drive `(S, 1, K)` of one individual, or of the average genotype."""
    if individual is None:
        return weights["bias"][..., None, :]
    labels = fit.cohort.labels("individual")
    if str(individual) not in labels:
        raise ValueError(
            f"individual must be a label of the cohort such as {labels[0]!r}, got {individual!r}"
        )
    row = labels.index(str(individual))
    return model.drive(weights, loci(fit)[row : row + 1])


def settle(model: Attractor, weights: Weights, state: Tensor, drive: Tensor) -> Tensor:
    """States `(S, starts, K)` after relaxation until all have settled, or long enough."""
    for done in range(LONGEST):
        force = model.force(weights, state, drive)
        if done % 50 == 0 and force.abs().max() < TOLERANCE / 10:
            break
        state = state + model.step * force
    return state


def distinct(states: NDArray[Any], settled: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Number of the attractor of each state `(starts, K)`; -1 where it has not settled."""
    kind = np.full(len(states), -1)
    while (left := settled & (kind < 0)).any():
        near = np.abs(states - states[left][0]).max(1) < APART
        kind[left & near] = kind.max() + 1
    return kind


def share(count: int, total: int) -> dict[str, float]:
    """Share and its standard error, the standard deviation of Beta(count + 1/2, rest + 1/2)."""
    mean = (count + 0.5) / (total + 1)
    return {"share": count / total, "share_se": (mean * (1 - mean) / (total + 2)) ** 0.5}
