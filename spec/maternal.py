"""Maternal gradients of the fly embryo: what the mother's genes tell each nucleus of its place.

With the doses B, N, T, h of bicoid, nanos, torso and hunchback, at position x (0 anterior, 1
posterior); s is the logistic sigmoid:

    Bcd = B exp(-(x - .35) / l),   Cad = 1 / (1 + Bcd / c),   mHb = h (1 - N s((x - p) / w))
    Tsl = T (exp(-(x / r)^2 / 2) + a exp(-((1 - x) / r)^2 / 2))

The embryo's own hunchback makes the same protein, of which genes read the sum: Bicoid switches it
on beyond a threshold (Driever & Nusslein-Volhard 1989, doi:10.1038/337138a0), as steeply as a Hill
coefficient of five (Gregor et al. 2007, doi:10.1016/j.cell.2007.05.025):

    Hb = mHb + (1 - mHb) Bcd^v / (Bcd^v + k^v)
"""

import math
from collections.abc import Mapping

import pyro.distributions as dist
import torch
from torch import Tensor

from genomic_code.spec.priors import sample
from genomic_code.spec.protocols import Weights

__all__ = [
    "FACTORS", "INPUTS", "early_hunchback", "gradients", "hunchback_response", "maternal_inputs",
    "typical_gradients",
]  # fmt: skip

FACTORS = ("bicoid", "nanos", "torso", "hunchback")
"""Maternal factors: columns of the genotype, doses with 1 for the wild type and 0 for none."""
INPUTS = ("Bcd", "Cad", "Tsl", "mHb")
"""Maternal inputs that zygotic genes read."""
FAINT = 1e-6
"""No Bicoid, for its logarithm."""
BOUNDARY = (0.55, 0.1)
"""Prior mean and standard deviation of the boundary p of Nanos, in units of the embryo's length."""
POSITIVE = {
    "bicoid_length": (0.17, 0.15),
    "caudal_half": (1.0, 0.5),
    "nanos_width": (0.06, 0.4),
    "torso_length": (0.13, 0.25),
    "torso_posterior": (1.0, 0.3),
}
"""Prior median and log standard deviation of l, c, w, r and a; l, w, r in lengths of the embryo."""
RESPONSE = {"hunchback_half": (0.5, 0.3), "hunchback_hill": (5.0, 0.3)}
"""The same of k, in units of Bcd (it puts the wild type's boundary at .47), and of v."""


def gradients() -> dict[str, Tensor]:
    """Sample the numbers that shape the gradients, each `(...)`."""
    boundary = {"nanos_boundary": sample("nanos_boundary", dist.Normal(*BOUNDARY), {})}
    return {**boundary, **positive(POSITIVE)}


def hunchback_response() -> dict[str, Tensor]:
    """Sample the threshold k and the Hill coefficient v of hunchback's response, each `(...)`."""
    return positive(RESPONSE)


def positive(priors: Mapping[str, tuple[float, float]]) -> dict[str, Tensor]:
    """Sample log-normal numbers of given medians and log standard deviations."""
    return {
        name: sample(name, dist.LogNormal(math.log(median), spread), {})
        for name, (median, spread) in priors.items()
    }


def typical_gradients() -> dict[str, Tensor]:
    """The prior medians of these numbers."""
    medians = {"nanos_boundary": BOUNDARY[0]} | {key: value[0] for key, value in POSITIVE.items()}
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in medians.items()}


def maternal_inputs(weights: Weights, doses: Tensor, positions: Tensor) -> Tensor:
    """Inputs `(..., N, P, 4)` of mothers' doses `(..., N, 3 or 4)` at positions `(P)`.

    A missing fourth column means that maternal hunchback is there. Negative doses count as none,
    and Nanos represses no more than all hunchback.
    """
    x = positions.to(doses)
    dose = doses.clamp_min(0)[..., None, :]
    present = dose[..., 3] if doses.shape[-1] > 3 else torch.ones_like(dose[..., 0])
    at = {name: weights[name][..., None, None] for name in ("nanos_boundary", *POSITIVE)}
    bicoid = dose[..., 0] * torch.exp(-(x - 0.35) / at["bicoid_length"])
    repressed = torch.sigmoid((x - at["nanos_boundary"]) / at["nanos_width"])
    hunchback = present * (1 - dose[..., 1].clamp_max(1) * repressed)
    anterior = torch.exp(-0.5 * (x / at["torso_length"]).square())
    posterior = torch.exp(-0.5 * ((1 - x) / at["torso_length"]).square())
    torso = dose[..., 2] * (anterior + at["torso_posterior"] * posterior)
    caudal = 1 / (1 + bicoid / at["caudal_half"])
    inputs = (bicoid, caudal, torso, hunchback)
    full = torch.broadcast_shapes(*(value.shape for value in inputs))
    return torch.stack([value.expand(full) for value in inputs], -1)


def early_hunchback(weights: Weights, maternal: Tensor) -> Tensor:
    """All hunchback protein Hb `(..., N, P)` that maternal inputs `(..., N, P, 4)` make."""
    half, hill = (weights[name][..., None, None] for name in RESPONSE)
    bicoid, present = maternal[..., 0], maternal[..., 3]
    response = torch.sigmoid(hill * (bicoid.clamp_min(FAINT).log() - half.log()))
    return present + (1 - present) * response
