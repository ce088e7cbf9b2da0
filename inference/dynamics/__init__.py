"""Reference dynamics of evolution, all with the interface `step(state, niche) -> state`.

| dynamics | population | exact correspondence |
|---|---|---|
| `Replicator` | infinite, asexual, enumerable genomes | Bayes' rule; hidden Markov filter |
| `FixationChain` | finite, rare mutation | tempered posterior, nu = N - 1 or 2 (N - 1) |
| `WrightFisher` | finite, alleles, recombination | none; measured by `correspondence` |
| `GenomePopulation` | finite, whole genomes | none |
| `Lande` | infinite, normal | natural-gradient step on log E[W] |
| `NaturalGradient` | a full-rank normal q | Bayes' rule for quadratic log fitness |
| `EvolutionStrategy` | mutants of one parent | score-function gradient |
"""

from genomic_code.inference.dynamics.base import Dynamics, run
from genomic_code.inference.dynamics.clouds import (
    Cloud,
    EvolutionStrategy,
    score_gradient,
    selection_differential,
)
from genomic_code.inference.dynamics.drift import Drift, binomial_fixation
from genomic_code.inference.dynamics.fixation import FixationChain
from genomic_code.inference.dynamics.gaussian import Gaussian, Lande, NaturalGradient
from genomic_code.inference.dynamics.population import GenomePopulation, Genomes
from genomic_code.inference.dynamics.replicator import Frequencies, Replicator
from genomic_code.inference.dynamics.space import GenotypeSpace
from genomic_code.inference.dynamics.wright_fisher import Haploids, WrightFisher

__all__ = [
    "Cloud",
    "Drift",
    "Dynamics",
    "EvolutionStrategy",
    "FixationChain",
    "Frequencies",
    "Gaussian",
    "GenomePopulation",
    "Genomes",
    "GenotypeSpace",
    "Haploids",
    "Lande",
    "NaturalGradient",
    "Replicator",
    "WrightFisher",
    "binomial_fixation",
    "run",
    "score_gradient",
    "selection_differential",
]
