"""Forward selection of loci: where sparse formalizations start to look."""

import math

import torch
from torch import Tensor

from genomic_code.spec.protocols import Data

__all__ = ["forward_selection"]

MOST = 60
"""Loci selected for a trait at most."""


def forward_selection(data: Data) -> Tensor:
    """Sparse additive effects `(L, T)` of a cohort `(N, ...)` in standard units, trait by trait.

    In each round every trait takes the locus that explains most of its residual, and refits all it
    has taken by least squares (orthogonal matching pursuit, Pati et al. 1993,
    doi:10.1109/ACSSC.1993.342465). A trait is done when no locus reaches chi2 = 2 log L, which is
    what the best of L loci without effect is expected to reach. Missing cells are left out.
    """
    assert data.phenotype is not None
    genotype, seen = data.genotype, data.observed.to(data.genotype.dtype)
    phenotype = torch.where(data.observed, data.phenotype, 0.0)
    rows, traits = phenotype.shape
    counts = seen.sum(0)
    information = (genotype.square().mT @ seen).clamp_min(1e-6)
    residual = phenotype
    taken = torch.zeros(traits, 0, dtype=torch.long)
    active = torch.ones(traits, dtype=torch.bool)
    fitted = genotype.new_zeros(traits, 0)
    design = genotype.new_zeros(traits, rows, 0)
    for _ in range(min(MOST, rows // 10, genotype.shape[1])):
        variance = residual.square().sum(0) / (counts - 1 - taken.shape[1]).clamp_min(1)
        score = (genotype.mT @ residual).square() / information
        best, locus = score.max(0)
        active = active & (best > 2 * math.log(genotype.shape[1]) * variance)
        if not active.any():
            break
        taken = torch.cat([taken, locus[:, None]], 1)
        # a trait that is done carries columns of zeros, to which least squares gives nothing
        columns = genotype[:, locus].mT * active[:, None] * seen.mT
        design = torch.cat([design, columns[..., None]], -1)
        gram = design.mT @ design
        gram = gram + 1e-4 * rows * torch.eye(gram.shape[-1], dtype=gram.dtype)
        fitted = torch.linalg.solve(gram, design.mT @ phenotype.mT[..., None])[..., 0]
        residual = phenotype - (design @ fitted[..., None])[..., 0].mT
    effects = genotype.new_zeros(traits, genotype.shape[1])
    return effects.scatter_add(1, taken, fitted).mT
