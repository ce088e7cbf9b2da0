"""A small cohort of standard numbers, to run a formalization on when no data are at hand."""

import torch

from genomic_code.spec.protocols import Data, Formalization, Shape

__all__ = ["EXAMPLE", "example"]

EXAMPLE = Shape(individuals=60, loci=12, environments=2, traits=4)
"""Sizes of the example; a formalization that needs others has an attribute `example_shape`."""


def example(formalization: Formalization, shape: Shape | None = None, seed: int = 0) -> Data:
    """Standard normal genotype and environment; the phenotype is left to be sampled.

    Args:
        formalization: May have an attribute `example_shape`, where it fits only certain sizes.
        shape: Sizes instead of these.
        seed: Same seed, same numbers.
    """
    own: Shape = getattr(formalization, "example_shape", EXAMPLE)
    sizes = own if shape is None else shape
    generator = torch.Generator().manual_seed(seed)
    genotype = torch.randn(sizes.individuals, sizes.loci, generator=generator)
    environment = torch.randn(sizes.individuals, sizes.environments, generator=generator)
    cells = torch.zeros(sizes.individuals, sizes.traits)
    return Data(genotype, environment, None, torch.ones_like(cells, dtype=torch.bool), cells)
