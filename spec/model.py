"""The part of the Pyro model that all formalizations share: weights, development, noise."""

from typing import Any, cast

import pyro
from torch import Tensor

from genomic_code.spec.protocols import Data, Formalization

__all__ = ["run"]


def run(formalization: Formalization, data: Data) -> Tensor:
    """Sample weights, develop the traits and observe the phenotype; missing cells are masked.

    Returns the expected traits `(..., N, T)`. With `data.phenotype` None the phenotype is sampled.
    """
    weights = formalization.weights(data.shape)
    parameters = formalization.noise.parameters(data.shape)
    expected = formalization.develop(weights, data.genotype, data.environment)
    noise = formalization.noise.distribution(expected, parameters, data)
    with pyro.plate("individuals", data.shape.individuals, dim=-1):
        masked = noise.mask(data.observed).to_event(1)
        infer = cast(Any, {"dims": ("trait",)})
        pyro.sample("phenotype", masked, obs=data.phenotype, infer=infer)
    return expected
