"""Conditional: the genome as a conditional generative model, whose decoder reads the environment.

    z_n = x_n A / sqrt(L)
    h_n = tanh(2.5 (z_n W / sqrt(K) + E_n diag(r) J / sqrt(K + C)) + b)
    eta_n = mu + E_n D + h_n V,   V = Delta diag(s) sqrt(2 / H)
    A_lk, W_kh, J_ch, b_h, Delta_ht ~ Normal(0, 1),  r_c ~ HalfNormal(1),  s_t ~ HalfNormal(0.8)

Where the environment moves a hidden unit along its tanh, it changes the effects of loci: plasticity
with genotype-by-environment interaction. The relevance r (ARD) lets needless covariates go.

In the code diag(r) J 2.5 / sqrt(K + C) is `environment_hidden` and r is
`environment_hidden_relevance`.

Sites: mu mean; D environment_effect; A encoder; W hidden_weight; b hidden_bias;
J environment_hidden; r environment_hidden_relevance; Delta decoder; s trait_scale
Source: conditional variational autoencoder, Sohn, Lee & Yan 2015 (NeurIPS 28); Mitchell & Cheney
2025, doi:10.1016/j.tig.2025.01.008.
Claims: one genome encodes a norm of reaction, not a trait.  Rivals: every other formalization has
the additive environment effects D only.  Special case: r = 0 is `generative`, prior included.
Without environments there is nothing to condition on: the model refuses, since it would be
`generative` under another name.  Refuted by: additive environment effects that predict as well.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from genomic_code.spec.formalizations.generative import DECODERS, STEEPNESS, Generative
from genomic_code.spec.html import formalization_html
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import ARD, baseline_traits, choose
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import at_least_one, known_priors

__all__ = ["Conditional"]


@dataclass(frozen=True)
class Conditional:
    """Latents and environment decoded together by a tanh network."""

    name: ClassVar[str] = "conditional"
    complexity: ClassVar[int] = 10
    rotatable: ClassVar[bool] = True
    _repr_html_ = formalization_html

    latents: int = 3
    """Number of latents K; at least 1."""
    hidden: int = 8
    """Number of hidden units H of the decoder; at least 1."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name: `encoder`, `hidden_weight`, `environment_hidden`, `decoder`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        at_least_one(self, "latents", "hidden")
        known_priors(self.prior, "environment_hidden", *DECODERS["tanh"])

    @property
    def unconditional(self) -> Generative:
        """The `generative` formalization that this one becomes where no environment matters."""
        prior = {name: self.prior[name] for name in DECODERS["tanh"] if name in self.prior}
        return Generative(latents=self.latents, hidden=self.hidden, prior=prior)

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`environment_hidden` (C, H), besides the weights of `generative`.

        Raises:
            ValueError: The cohort has no environment.
        """
        environments = shape.environments
        if environments == 0:
            raise ValueError(
                "conditional needs at least 1 environment covariate to condition development on, "
                "got 0; give the cohort its environment, or use 'generative', which this would be"
            )
        sizes = {"covariate": environments, "hidden": self.hidden}
        scale = STEEPNESS / math.sqrt(self.latents + environments)
        inputs = choose(self.prior, "environment_hidden", ARD())("environment_hidden", sizes)
        return {**self.unconditional.weights(shape), "environment_hidden": inputs * scale}

    def encode(self, weights: Weights, genotype: Tensor) -> Tensor:
        """Latents `(..., N, K)` of genotype `(..., N, L)`."""
        return self.unconditional.encode(weights, genotype)

    def decode(self, weights: Weights, latents: Tensor, environment: Tensor) -> Tensor:
        """Genetic values `(..., N, T)` of latents `(..., N, K)` in environments `(..., N, C)`."""
        inputs = latents @ weights["hidden_weight"] + environment @ weights["environment_hidden"]
        return torch.tanh(inputs + weights["hidden_bias"][..., None, :]) @ weights["decoder"]

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`."""
        genetic = self.decode(weights, self.encode(weights, genotype), environment)
        return baseline_traits(weights, environment) + genetic

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
