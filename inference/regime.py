"""Regime: where a population stands on the axes along which inference and evolution part.

| axis | stand-in is exact for | what breaks it |
|---|---|---|
| N U, mutation supply | N U -> 0 | many mutants segregate: selection acts as if nu were smaller |
| G / V, strength of selection | G / V -> 0 | log E[W] and E[log W] part: Lande/ELBO = V / (G + V) |
| recombination | 0 with a full joint q | recombination breaks up what a joint q keeps together |
"""

from dataclasses import dataclass

__all__ = ["Regime"]

RARE, COSTLY, DETERMINISTIC = 0.03, 0.1, 3.0
"""Mutation supply N U: good up to, a fifth of nu lost at, quasispecies from."""


@dataclass(frozen=True)
class Regime:
    """The numbers that decide whether a posterior may stand in for a population."""

    population_size: int
    genomic_mutation_rate: float
    """U, mutations per genome and generation at neutral equilibrium."""
    selection_ratio: float
    """G / V: variance of log-fitness-relevant traits over squared niche width, largest trait."""
    recombination: float
    """Probability of a crossover between neighbouring loci."""

    @property
    def mutation_supply(self) -> float:
        """N U, new mutants in the population per generation."""
        return self.population_size * self.genomic_mutation_rate

    @property
    def lande_over_elbo(self) -> float:
        """V / (G + V): a generation's response over the ELBO's step on the mean, G held."""
        return 1 / (1 + self.selection_ratio)

    def __str__(self) -> str:
        return (
            f"N U = {self.mutation_supply:.3g}, G/V = {self.selection_ratio:.2g}, "
            f"recombination = {self.recombination:g}"
        )

    @property
    def expectation(self) -> str:
        """What theory and earlier measurements lead one to expect here."""
        supply = self.mutation_supply
        if supply <= RARE:
            text = "mutation is rare enough for the tempered posterior"
        elif supply <= COSTLY:
            text = "mutation supply costs up to a fifth of nu"
        elif supply < DETERMINISTIC:
            text = "too many mutants segregate for the tempered posterior; lower nu"
        else:
            text = "the population is a quasispecies; use the replicator-mutator"
        if self.recombination and supply > COSTLY:
            text += "; recombination pulls it towards linkage equilibrium (mean field)"
        return text
