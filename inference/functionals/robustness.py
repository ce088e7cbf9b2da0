"""Robustness: how little the organism changes with mutations and with the environment.

mutational robustness     1 - E|f(x') - f(x)|^2 / (2 tr G), x' one mutation away from x.
                          2 tr G is the mean squared difference between two individuals: 1 if
                          no mutation matters, 0 if one is worth a change of individual.
                          An additive map of L equal loci has about 1 - 1/L.
canalization              coefficient of variation over individuals of tr J Sigma J': 0 if all
                          are equally sensitive to mutation, as in every additive map; large
                          if some genotypes are buffered and others exposed.
roughness                 tr M / tr G: 1 for an additive map in linkage equilibrium, never
                          less for normal genotypes (Poincare), larger the less smooth f is.
environmental robustness  share of V_G, plasticity of V_E and interaction of V_GE in the
                          variance V_G + V_E + V_GE of the expected traits, with genotypes and
                          environments combined at random.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from genomic_code.inference.functionals.map import Map
from genomic_code.inference.functionals.mutations import Mutations

__all__ = ["ReactionNorms", "canalization", "mutational_robustness", "reaction_norms"]


def mutational_robustness(mutations: Mutations, genetic_variance: Tensor) -> Tensor:
    """Mutational robustness `(S,)`, from effects of single alleles and tr G `(S,)`."""
    change = mutations.squared().double().mean(-1)
    return 1 - change / (2 * genetic_variance)


def canalization(traces: Tensor) -> Tensor:
    """Coefficient of variation `(S,)` of the sensitivities of individuals `(S, n)`."""
    each = traces.double()
    return each.std(-1, correction=0) / each.mean(-1)


class ReactionNorms(NamedTuple):
    """Variance components of the expected traits, each `(S, T)`; unbiased, so maybe below 0."""

    genotype: Tensor
    environment: Tensor
    interaction: Tensor

    def shares(self) -> dict[str, Tensor]:
        """Shares `(S,)` of the variance summed over traits, by the names used in the metrics."""
        parts = [component.sum(-1) for component in self]
        total = torch.stack(parts).sum(0)
        names = ("environmental_robustness", "plasticity", "interaction_share")
        return {name: part / total for name, part in zip(names, parts, strict=True)}


def reaction_norms(
    f: Map, genotypes: int = 64, environments: int = 16, seed: int = 0
) -> ReactionNorms:
    """Variance of genotypes crossed with environments, both taken at random from the population.

    Raises:
        ValueError: The population has no environment, or fewer than 2 of either are asked for.
    """
    if f.environment.shape[-1] == 0:
        raise ValueError("environment is needed for reaction norms, the cohort has none")
    if min(genotypes, environments) < 2:
        raise ValueError(
            f"genotypes and environments must be at least 2, got {genotypes} and {environments}"
        )
    n = len(f.genotype)
    rows, columns = min(genotypes, n), min(environments, n)
    generator = torch.Generator().manual_seed(seed)
    x = f.genotype[torch.randperm(n, generator=generator)[:rows]]
    e = f.environment[torch.randperm(n, generator=generator)[:columns]]
    y = f.traits(x.repeat_interleave(columns, 0), e.repeat(rows, 1)).double()
    y = y.reshape(len(y), rows, columns, -1)
    by_row, by_column = y.mean(2, keepdim=True), y.mean(1, keepdim=True)
    grand = y.mean((1, 2), keepdim=True)
    rest = (y - by_row - by_column + grand).square().sum((1, 2)) / ((rows - 1) * (columns - 1))
    between_rows = columns * (by_row - grand).square().sum((1, 2)) / (rows - 1)
    between_columns = rows * (by_column - grand).square().sum((1, 2)) / (columns - 1)
    return ReactionNorms((between_rows - rest) / columns, (between_columns - rest) / rows, rest)
