"""Positional information: each nucleus reads maternal gradients through latents, on its own.

Maternal inputs m at position x (0 anterior, 1 posterior) of an embryo whose mother has the doses B,
N, T, h of bicoid, nanos, torso and hunchback; s is the logistic sigmoid:

    Bcd = B exp(-(x - .35) / l)         l ~ LogNormal(log .17, .15)
    Cad = 1 / (1 + Bcd / c)             c ~ LogNormal(0, .5)
    mHb = h (1 - N s((x - p) / w))      p ~ Normal(.55, .1),  w ~ LogNormal(log .06, .4)
    Hb  = mHb + (1 - mHb) Bcd^v / (Bcd^v + k^v)
                                        k ~ LogNormal(log .5, .3),  v ~ LogNormal(log 5, .3)
    Tsl = T (exp(-(x / r)^2 / 2) + a exp(-((1 - x) / r)^2 / 2))
                                        r ~ LogNormal(log .13, .25),  a ~ LogNormal(0, .3)

The same decoder of m = (Bcd, Cad, Tsl, Hb) in every nucleus:

    z = 3 (m U + u)                     latents: positional values
    q = tanh(3 z W / sqrt(K) + 1.5 b)
    eta_n,(i,x) = G_i s(8 (q V)_i / sqrt(H) + 1.5 theta_i) + (E_n D)_(i,x)
    U, u, W, b, V, theta ~ Normal(0, 1),   G_i ~ LogNormal(log 1.25, .3)

The prior of the levels G is low: patterns then come from saturated thresholds, which extrapolate
better than half-open ones. Hunchback is read as one protein, whether the mother left it or Bicoid
switched it on; no other gene regulates another, and nuclei do not talk to each other: position acts
through m alone. Traits are genes x nuclei, one gene after another; none has a mean of its own. The
cohort must have a common unit, for zero and the ratios of traits mean something.

In the code the scaled U is `latent_input`, u `latent_bias`, W `hidden_weight`, b `hidden_bias` and
V `decoder`.

Sites: D environment_effect; l bicoid_length; c caudal_half; p nanos_boundary; w nanos_width;
r torso_length; a torso_posterior; k hunchback_half; v hunchback_hill; U latent_input;
u latent_bias; W hidden_weight; b hidden_bias; V decoder; theta threshold; G level
Source: Wolpert 1969, doi:10.1016/S0022-5193(69)80016-0; latents as few numbers that tell a nucleus
its place, Petkova et al. 2019, doi:10.1016/j.cell.2019.01.007.
Claims: a place in the embryo is a point in a latent space, decoded locally.
Rivals: `gene_circuit`, where genes regulate each other; `generative`, which knows no positions.
Special cases: one latent is a single morphogen gradient.
Refuted by: mutants whose pattern needs interactions among genes or between nuclei.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from genomic_code.spec.html import formalization_html
from genomic_code.spec.line import Line
from genomic_code.spec.maternal import INPUTS, early_hunchback, gradients, hunchback_response
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import (
    Dense,
    baseline_traits,
    choose,
    environment_effects,
    standard_starts,
)
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import at_least_one, known_priors

__all__ = ["PositionalInformation"]

SHARP = {
    "latent_input": 3.0, "latent_bias": 3.0, "hidden_weight": 3.0, "hidden_bias": 1.5,
    "decoder": 8.0, "threshold": 1.5,
}  # fmt: skip
"""Standard deviations of weights, the fan-in of later layers aside: boundaries are a few per cent
of the embryo's length, gradients a fifth."""


@dataclass(frozen=True)
class PositionalInformation(Line):
    """Latents of maternal gradients, decoded in each nucleus by a tanh network."""

    name: ClassVar[str] = "positional_information"
    complexity: ClassVar[int] = 14
    rotatable: ClassVar[bool] = False
    _repr_html_ = formalization_html

    latents: int = 4
    """Number of latents K; at least 1."""
    hidden: int = 32
    """Number of hidden units H of the decoder; at least 1."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name: `latent_input`, `hidden_weight`, `decoder`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        self.check_line()
        at_least_one(self, "latents", "hidden")
        known_priors(self.prior, "latent_input", "hidden_weight", "decoder")

    def sizes(self) -> dict[str, dict[str, int]]:
        """Dimensions of the decoder's weights."""
        latent, hidden = {"latent": self.latents}, {"hidden": self.hidden}
        gene = {"gene_seen": self.genes}
        return {
            "latent_input": {"maternal": len(INPUTS), **latent},
            "latent_bias": latent,
            "hidden_weight": {**latent, **hidden},
            "hidden_bias": hidden,
            "decoder": {**hidden, **gene},
            "threshold": gene,
        }

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """Decoder, levels and the shapes of the maternal gradients.

        `latent_input` (4, K), `latent_bias` (K), `hidden_weight` (K, H), `hidden_bias` (H),
        `decoder` (H, genes); `threshold` and `level` (genes); eight numbers for the gradients;
        `mean` (T), fixed at 0.
        """
        weights = {**self.levels(shape, 1.25, 0.3), **gradients(), **hunchback_response()}
        for name, sizes in self.sizes().items():
            inputs = {"hidden_weight": self.latents, "decoder": self.hidden}.get(name, 1)
            weight = choose(self.prior, name, Dense())(name, sizes)
            weights[name] = weight * (SHARP[name] / math.sqrt(inputs))
        return weights | environment_effects(shape)

    def decode(self, weights: Weights, maternal: Tensor) -> Tensor:
        """Levels `(..., N, P, genes)` of maternal inputs `(..., N, P, 4)`."""

        def layer(inputs: Tensor, weight: str, bias: str) -> Tensor:
            return inputs @ weights[weight][..., None, :, :] + weights[bias][..., None, None, :]

        hunchback = early_hunchback(weights, maternal)[..., None]
        inputs = torch.cat([maternal[..., :-1], hunchback], -1)
        latents = layer(inputs, "latent_input", "latent_bias")
        hidden = torch.tanh(layer(latents, "hidden_weight", "hidden_bias"))
        share = torch.sigmoid(layer(hidden, "decoder", "threshold"))
        return share * weights["level"][..., None, None, :]

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`: levels of the genes along the line."""
        nuclei = weights["mean"].shape[-1] // self.genes
        levels = self.decode(weights, self.encode(weights, genotype, nuclei))
        return baseline_traits(weights, environment) + levels.mT.flatten(-2)

    def starts(self, data: Data, generator: torch.Generator) -> dict[str, Tensor]:
        """Prior draws of the decoder: from small weights all would start at one flat pattern."""
        return standard_starts(self.sizes(), self.prior, generator)

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
