"""Program: development as a list of steps, each run only if all steps before it have run.

    z_n = x_n U / sqrt(L),  q_ns = sigmoid(3 z_ns + c_s),  U_ls ~ Normal(0, 1),  c_s ~ Normal(1, 1)
    P_ns = q_n1 q_n2 ... q_ns                                        step s is reached and passed
    eta_n = mu + E_n D + sum_s P_ns R_s,   R = Delta diag(s),  Delta_st ~ Normal(0, 1),
                                           s_t ~ HalfNormal(2)

Late steps vary little, being seldom reached, so that R needs no scaling by the number of steps S.
In the code U / sqrt(L) is `encoder`, c is `gate_bias`, R is `decoder` and s is `trait_scale`.

Sites: mu mean; D environment_effect; U encoder; c gate_bias; Delta decoder; s trait_scale
Source: the "genetic program" that Mitchell & Cheney 2025, doi:10.1016/j.tig.2025.01.008, hold the
genomic code against; the metaphor is Mayr's 1961, doi:10.1126/science.134.3489.1501.
Claims: loci switch steps; a step that fails silences all later ones (a masking, one-way epistasis),
nothing feeds back.  Rivals: `generative` decodes all latents at once, `attractor` feeds back.
Special cases: one step is `generative` with one latent and one hidden unit; gates that never close
(c to infinity) leave the genotype without effect.  Refuted by: feedback; effects of late steps that
show while early steps fail.
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

__all__ = ["Program"]

STEEPNESS = 3.0
"""Gain of a gate: a unit-variance input takes it from nearly closed to nearly open."""


@dataclass(frozen=True)
class Program:
    """Ordered steps behind cumulative gates, without feedback."""

    name: ClassVar[str] = "program"
    complexity: ClassVar[int] = 6
    rotatable: ClassVar[bool] = True
    _repr_html_ = formalization_html

    steps: int = 4
    """Number of steps S; at least 1."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: `encoder`, `decoder`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        known_priors(self.prior, "encoder", "decoder")
        at_least_one(self, "steps")

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`encoder` (L, S), `gate_bias` (S) and `decoder` (S, T), besides the baseline."""
        encoder = {"locus": shape.loci, "step": self.steps}
        decoder = {"step": self.steps, "trait": shape.traits}
        scale = trait_scale(shape, 2.0)[..., None, :]
        return {
            **baseline(shape),
            "encoder": choose(self.prior, "encoder", Dense())("encoder", encoder)
            / math.sqrt(shape.loci),
            "gate_bias": sample("gate_bias", dist.Normal(1.0, 1.0), {"step": self.steps}),
            "decoder": choose(self.prior, "decoder", Dense())("decoder", decoder) * scale,
        }

    def passed(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Degree P `(..., N, S)`, from 0 to 1, to which each step is reached and passed."""
        gates = (
            STEEPNESS * project(genotype, weights["encoder"]) + weights["gate_bias"][..., None, :]
        )
        # a sum of logarithms: the gradient of cumprod branches on zeros and cannot be traced
        return torch.nn.functional.logsigmoid(gates).cumsum(-1).exp()

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        genetic = self.passed(weights, genotype) @ weights["decoder"]
        return baseline_traits(weights, environment) + genetic

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
