"""Attractor: development relaxes to a fixed point of a recurrent network with an energy.

    u_n = x_n A / sqrt(L) + b,            A_li ~ Normal(0, 1),  b_i ~ Normal(0, 0.3)     drive
    h_n <- h_n + 0.4 (tanh(h_n W + u_n) - h_n),  20 times from h_n = 0                   state
    W = 1.2 / sqrt(K) (R + R') / 2 + diag(d),    R_ij ~ Normal(0, 1),  d_i ~ Normal(1.5, 0.5)
    eta_n = mu + E_n D + h_n V,   V_it = Delta_it s_t / sqrt(K),   Delta ~ Normal(0, 1),
                                  s_t ~ HalfNormal(0.8)

In the code A / sqrt(L) is `encoder`, b `bias`, W `recurrent` (from the sites R, also `recurrent`,
and d, `self_excitation`), V `decoder` and s `trait_scale`.

W is symmetric, so the relaxation goes downhill on the energy (Lyapunov function)

    F(h; u) = - h W h' / 2 - u h' + sum_i ((1 + h_i) log(1 + h_i) + (1 - h_i) log(1 - h_i)) / 2

whose stationary points are the fixed points h = tanh(h W + u). A step of size a never raises F if
the least eigenvalue w of W is at least 1 - 2 / a, here -4. Proof, with r = tanh(h W + u) - h: the
sum over i is 1-strongly convex, so the step lowers F, its first term made linear at h, by at least
a (2 - a) |r|^2 / 2; what the linear term leaves out, -a^2 r W r' / 2, is at most -w a^2 |r|^2 / 2.

Sites: mu mean; D environment_effect; A encoder; b bias; R recurrent; d self_excitation;
Delta decoder; s trait_scale
Source: Hopfield 1984, doi:10.1073/pnas.81.10.3088; the genome shapes a landscape, Waddington 1957;
Mitchell & Cheney 2025, doi:10.1016/j.tig.2025.01.008.
Claims: individuals fall into few developmental attractors; the genotype tilts the landscape.
Rivals: `generative` decodes in one pass.  Special case: with W = 0 it is `generative` without
hidden weights, h = (1 - 0.6^20) tanh(u).  Refuted by: one-pass decoders that predict as well.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor

from genomic_code.spec.html import formalization_html
from genomic_code.spec.linear import project
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import (
    Dense,
    baseline,
    baseline_traits,
    choose,
    sample,
    trait_scale,
)
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import at_least_one, known_priors

__all__ = ["Attractor"]

COUPLING = 1.2
"""Gain of the couplings between latents."""


@dataclass(frozen=True)
class Attractor:
    """Latents that relax on an energy landscape, tilted by the genotype."""

    name: ClassVar[str] = "attractor"
    complexity: ClassVar[int] = 9
    rotatable: ClassVar[bool] = True
    _repr_html_ = formalization_html

    latents: int = 4
    """Number of latents K, the units of the network; at least 1."""
    iterations: int = 20
    """Number of relaxation steps; at least 1."""
    step: float = 0.4
    """Share of the way to the next state taken in one step; above 0, at most 1."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: `encoder`, `recurrent`, `decoder`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        at_least_one(self, "latents", "iterations")
        known_priors(self.prior, "encoder", "recurrent", "decoder")
        if not 0 < self.step <= 1:
            raise ValueError(f"step must be above 0 and at most 1, got {self.step}")

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`encoder` (L, K), `recurrent` (K, K) symmetric, `bias` (K), `decoder` (K, T), baseline.

        The diagonal of `recurrent` holds the site `self_excitation` (K) as well.
        """
        encoder = {"locus": shape.loci, "latent": self.latents}
        latent = {"latent": self.latents}
        decoder = {"latent": self.latents, "trait": shape.traits}
        scale = trait_scale(shape, 0.8)[..., None, :] / math.sqrt(self.latents)
        coupling = {"latent": self.latents, "latent_other": self.latents}
        raw = choose(self.prior, "recurrent", Dense())("recurrent", coupling)
        excitation = sample("self_excitation", dist.Normal(1.5, 0.5), latent)
        return {
            **baseline(shape),
            "encoder": choose(self.prior, "encoder", Dense())("encoder", encoder)
            / math.sqrt(shape.loci),
            "recurrent": (raw + raw.mT) * (COUPLING / (2 * math.sqrt(self.latents)))
            + torch.diag_embed(excitation),
            "bias": Dense(0.3)("bias", latent),
            "decoder": choose(self.prior, "decoder", Dense())("decoder", decoder) * scale,
        }

    def drive(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Input u `(..., N, K)` that the genotype `(..., N, L)` gives to the latents."""
        return project(genotype, weights["encoder"]) + weights["bias"][..., None, :]

    def advance(self, weights: Weights, state: Tensor, drive: Tensor) -> Tensor:
        """State `(..., N, K)` after one relaxation step."""
        return state + self.step * self.force(weights, state, drive)

    def force(self, weights: Weights, state: Tensor, drive: Tensor) -> Tensor:
        """`tanh(h W + u) - h`, shape `(..., N, K)`; zero at a fixed point."""
        return torch.tanh(state @ weights["recurrent"] + drive) - state

    def encode(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Latents `(..., N, K)` after relaxation from 0, each within (-1, 1)."""
        drive = self.drive(weights, genotype)
        state = torch.zeros_like(drive)
        for _ in range(self.iterations):
            state = self.advance(weights, state, drive)
        return state

    def residual(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Distance from a fixed point when development ends, `(..., N)`: largest |tanh(.) - h|.

        Near 0 the state is an attractor; near a watershed it is still on its way, and more
        `iterations` bring it nearer. Over prior draws half of the individuals end below 0.002, and
        19 of 20 below 0.07 (N = 500, L = 100, default hyperparameters).
        """
        drive = self.drive(weights, genotype)
        return self.force(weights, self.encode(weights, genotype), drive).abs().amax(-1)

    def energy(self, weights: Weights, state: Tensor, drive: Tensor) -> Tensor:
        """Lyapunov function `(..., N)` of states `(..., N, K)` in [-1, 1]; 0 at the state 0."""
        quadratic = 0.5 * (state * (state @ weights["recurrent"])).sum(-1)
        entropy = torch.xlogy(1 + state, 1 + state) + torch.xlogy(1 - state, 1 - state)
        return 0.5 * entropy.sum(-1) - quadratic - (state * drive).sum(-1)

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        genetic = self.encode(weights, genotype) @ weights["decoder"]
        return baseline_traits(weights, environment) + genetic

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
