"""Finite mutations: single alleles replaced one at a time, and what the traits do.

A mutation at locus l moves x_l by one allele, towards the inside of the range that the locus has
in the population: up from its least value, down from its greatest, either way in between. It makes
no use of derivatives, so it also holds where the map is rough at the scale of an allele.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.functionals.map import Map

__all__ = ["Mutations", "allele_step", "mutate"]

ROWS = 2000
"""Mutants that are developed by default."""


class Mutations(NamedTuple):
    """Effects of single mutations, each locus mutated in the same number of individuals."""

    locus: Tensor
    """Locus of each mutation `(F,)`."""
    step: Tensor
    """Size of each mutation `(F,)` in genotype standard deviations, with its sign."""
    effects: Tensor
    """Change of the expected traits `(S, F, T)`."""

    def covariance(self, mutation_scale: Tensor | float = 1.0) -> Tensor:
        """M `(S, T, T)` by finite differences: the secant version of the Jacobian's M.

        Sum over loci of the mean of d d', where d is the effect scaled to a mutation of size
        `mutation_scale` `(L,)`. Equal to M by the Jacobian for additive maps.
        """
        loci = int(self.locus.max()) + 1
        scale = torch.as_tensor(mutation_scale, dtype=self.step.dtype).expand(loci)
        factor = (scale[self.locus] / self.step)[:, None]
        total = []
        for start in range(0, len(self.effects), 16):  # a few draws at a time
            slope = self.effects[start : start + 16] * factor
            total.append((slope.mT @ slope).double())
        return torch.cat(total) * loci / len(self.locus)

    def squared(self) -> Tensor:
        """Squared length of the effect of each mutation, summed over traits `(S, F)`."""
        return self.effects.square().sum(-1)


def allele_step(genotype: Tensor, sd: Tensor) -> Tensor:
    """Size of one allele `(L,)` in standard units, from population `(N, L)` and locus sd `(L,)`.

    One unit of the cohort where all genotypes are whole numbers (allele counts, haploid calls);
    else one standard deviation.
    """
    counts = (genotype - genotype[:1]) * sd
    whole = (counts - counts.round()).abs().amax(0) < 1e-3
    return torch.where(whole, 1 / sd, torch.ones_like(sd))


def mutate(
    f: Map,
    step: Tensor | float = 1.0,
    mutations: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Mutations:
    """Develop mutants of individuals of the population, the same ones under every draw.

    Args:
        f: The map.
        step: Size of one allele `(L,)` in genotype standard deviations.
        mutations: Least number of mutants, at least 1; rounded up to a multiple of the number of
            loci. By default about 2,000, and no fewer than one a locus.
        seed: Seed of the choice of individuals and signs.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: `mutations` or `step` is out of range.
    """
    wanted = ROWS if mutations is None else mutations
    if wanted < 1:
        raise ValueError(f"mutations must be at least 1, got {wanted}")
    size = torch.as_tensor(step, dtype=f.genotype.dtype).expand(f.loci)
    if not (size > 0).all():
        raise ValueError(f"step must be positive at every locus, got {float(size.min())}")
    generator = torch.Generator().manual_seed(seed)
    repeats = -(-wanted // f.loci)
    locus = torch.arange(f.loci).repeat(repeats)
    parent = torch.randint(len(f.genotype), locus.shape, generator=generator)
    value = f.genotype[parent, locus]
    coin = torch.randint(2, locus.shape, generator=generator) * 2 - 1
    low, high = f.genotype.amin(0)[locus], f.genotype.amax(0)[locus]
    slack = size[locus] / 2
    up, down = value + slack < high, value - slack > low
    sign = torch.where(up & ~down, 1, torch.where(down & ~up, -1, coin))
    change = sign * size[locus]
    mutant = f.genotype[parent].scatter_add(1, locus[:, None], change[:, None])
    effects = f.genotype.new_zeros(f.draws, len(locus), f.trait_count)
    with tqdm(total=f.draws, desc="mutations", disable=not progress, leave=False) as bar:
        for part, some in f.pieces(len(locus) * 64):
            effects[part] = some.traits(mutant) - some.traits()[:, parent]
            bar.update(part.stop - part.start)
    return Mutations(locus, change, effects)
