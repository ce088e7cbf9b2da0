"""Bottleneck: a small genome writes the weights of a large developmental network.

    z_n = x_n A / sqrt(L),                  A_lk ~ Normal(0, 1)                          latents
    h_n = tanh(2.5 z_n W / sqrt(K) + b),    eta_n = mu + E_n D + h_n V                   network

The H hidden units stand on a line; M genes are expressed along it in cosine patterns, column m of
the orthonormal C (H, M), and a unit's connections are the sum of what its genes ask for:

    W = sqrt(H / M) (C Theta)',   b = sqrt(H / M) C beta,   V = sqrt(2 / H) C Delta diag(s)
    Theta_mk, beta_m, Delta_mt ~ Normal(0, 1),   s_t ~ HalfNormal(0.8)

Genome: M (K + 1 + T) numbers. Network: H (K + 1 + T) weights, however large H is.
In the code A / sqrt(L) is `encoder`; the genome is Theta `genome_hidden`, beta `genome_bias` and
Delta `genome_decoder`; the network is the scaled W `hidden_weight`, b `hidden_bias`, V `decoder`;
s is `trait_scale`.

Sites: mu mean; D environment_effect; A encoder; Theta genome_hidden; beta genome_bias;
Delta genome_decoder; s trait_scale
Source: genomic bottleneck, Shuvaev et al. 2024, doi:10.1073/pnas.2409160121; weights as functions
of unit positions, Stanley, D'Ambrosio & Gauci 2009, doi:10.1162/artl.2009.15.2.15202.
Claims: the genome is much smaller than the network that it generates; its bits are
KL(q, prior) / ln 2 (see `inference.distortion`).  Rivals: `generative` writes every weight.
Special cases: M = H is `generative` with the same H in law (C is then a rotation); M = 1 is
`generative` with one hidden unit.  Refuted by: no compression at equal fidelity.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from genomic_code.spec.html import formalization_html
from genomic_code.spec.linear import project
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import Dense, baseline, baseline_traits, choose, trait_scale
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import at_least_one, known_priors

__all__ = ["Bottleneck", "expression"]

STEEPNESS = 2.5
"""Gain of the hidden units: unit-variance latents reach the saturated part of tanh."""


@dataclass(frozen=True)
class Bottleneck:
    """A hypernetwork: genes, expressed along a line of hidden units, wire the network."""

    name: ClassVar[str] = "bottleneck"
    complexity: ClassVar[int] = 11
    rotatable: ClassVar[bool] = True
    _repr_html_ = formalization_html

    latents: int = 3
    """Number of latents K; at least 1."""
    genes: int = 4
    """Number of genes M, the width of the bottleneck; at least 1, at most `hidden`."""
    hidden: int = 32
    """Number of hidden units H of the network that the genome generates; at least 1."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: `encoder`, `genome_hidden`, `genome_decoder`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        at_least_one(self, "latents", "genes", "hidden")
        known_priors(self.prior, "encoder", "genome_hidden", "genome_decoder")
        if self.genes > self.hidden:
            raise ValueError(
                f"genes must be at most hidden = {self.hidden}, got {self.genes}; a genome larger "
                "than its network is no bottleneck"
            )

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """The generated network: `hidden_weight` (K, H), `hidden_bias` (H), `decoder` (H, T).

        Besides `encoder` (L, K) and the baseline. The genome is in the sites `genome_hidden`
        (M, K), `genome_bias` (M) and `genome_decoder` (M, T).
        """
        encoder = {"locus": shape.loci, "latent": self.latents}
        incoming = {"gene": self.genes, "latent": self.latents}
        outgoing = {"gene": self.genes, "trait": shape.traits}
        reads = choose(self.prior, "genome_hidden", Dense())("genome_hidden", incoming)
        bias = Dense()("genome_bias", {"gene": self.genes})
        writes = choose(self.prior, "genome_decoder", Dense())("genome_decoder", outgoing)
        patterns = expression(self.hidden, self.genes)
        gain = math.sqrt(self.hidden / self.genes)
        scale = trait_scale(shape, 0.8)[..., None, :] * math.sqrt(2 / self.hidden)
        return {
            **baseline(shape),
            "encoder": choose(self.prior, "encoder", Dense())("encoder", encoder)
            / math.sqrt(shape.loci),
            "hidden_weight": (patterns @ reads).mT * (gain * STEEPNESS / math.sqrt(self.latents)),
            "hidden_bias": (patterns @ bias[..., None])[..., 0] * gain,
            "decoder": patterns @ writes * scale,
        }

    def encode(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Latents `(..., N, K)` of genotype `(..., N, L)`."""
        return project(genotype, weights["encoder"])

    def decode(self, weights: Weights, latents: Tensor) -> Tensor:
        """Genetic values `(..., N, T)` of latents `(..., N, K)`."""
        hidden = torch.tanh(
            latents @ weights["hidden_weight"] + weights["hidden_bias"][..., None, :]
        )
        return hidden @ weights["decoder"]

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        genetic = self.decode(weights, self.encode(weights, genotype))
        return baseline_traits(weights, environment) + genetic

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)


def expression(units: int, genes: int) -> Tensor:
    """Expression patterns `(H, M)` of genes along a line of units: orthonormal cosines (DCT-II).

    Gene 0 is on everywhere; gene m has m zero crossings.
    """
    place = (torch.arange(units) + 0.5) / units
    waves = torch.cos(math.pi * torch.arange(genes) * place[:, None])
    return waves / waves.square().sum(0).sqrt()
