"""The part of the Pyro model that all formalizations share: weights, development, noise."""

from typing import Any, cast

import pyro
import pyro.distributions as dist
from torch import Tensor

from genomic_code.spec.protocols import Data, Formalization, Weights

__all__ = ["noise_spread", "observation", "run"]


def run(formalization: Formalization, data: Data) -> Tensor:
    """Sample weights, develop the traits and observe the phenotype; missing cells are masked.

    Returns the expected traits `(..., N, T)`. With `data.phenotype` None the phenotype is sampled.
    """
    weights = formalization.weights(data.shape)
    parameters = formalization.noise.parameters(data.shape)
    expected = formalization.develop(weights, data.genotype, data.environment)
    noise = observation(formalization, weights, parameters, expected, data)
    with pyro.plate("individuals", data.shape.individuals, dim=-1):
        masked = noise.mask(data.observed).to_event(1)
        infer = cast(Any, {"dims": ("trait",)})
        pyro.sample("phenotype", masked, obs=data.phenotype, infer=infer)
    return expected


def observation(
    formalization: Formalization,
    weights: Weights,
    parameters: Weights,
    expected: Tensor,
    data: Data,
) -> dist.TorchDistribution:
    """Distribution of the phenotype, batch shape `(..., N, T)`, given expected traits.

    `noise_spread` `(..., N, T)` is among the parameters of continuous noise if the formalization
    decodes it from the genotype.
    """
    factor = noise_spread(formalization, weights, data.genotype, data.environment)
    if factor is not None:
        parameters = {**parameters, "noise_spread": factor}
    return formalization.noise.distribution(expected, parameters, data)


def noise_spread(
    formalization: Formalization, weights: Weights, genotype: Tensor, environment: Tensor
) -> Tensor | None:
    """Factor `(..., N, T)` of the scale of continuous noise, if the formalization decodes one."""
    spread = getattr(formalization, "spread", None)
    if spread is None or not formalization.noise.standardised:
        return None
    factor: Tensor | None = spread(weights, genotype, environment)
    return factor
