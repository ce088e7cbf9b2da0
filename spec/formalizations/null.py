"""Null: the phenotype is not in the genome.

    eta_n = mu + E_n D
    mu_t ~ Normal(0, 1),  D_ct ~ Normal(0, 0.5)

The measurement model, by default Y_nt ~ Normal(eta_nt, sigma_t), is in `spec.noise`; mu, D and it
are the same in every formalization.

Sites: mu mean; D environment_effect
Claims: no heritable variation beyond the shared environment.  Rivals: every other formalization.
Special case of: all of them, with zero genomic weights.  Refuted by: any heritable signal.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from genomic_code.spec.html import formalization_html
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import baseline, baseline_traits
from genomic_code.spec.protocols import Data, Noise, Shape, Weights

__all__ = ["Null"]


@dataclass(frozen=True)
class Null:
    """No genomic weights: mean and additive environment only."""

    name: ClassVar[str] = "null"
    complexity: ClassVar[int] = 0
    rotatable: ClassVar[bool] = True
    _repr_html_ = formalization_html

    noise: Noise = Normal()
    """Measurement model."""

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """`mean` (T), `environment_effect` (C, T)."""
        return baseline(shape)

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`; the genotype gives only the number of rows."""
        return baseline_traits(weights, environment) + genotype[..., :1] * 0

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)
