"""A line of nuclei in an embryo: genes at even positions, driven by maternal factors.

Traits are levels of genes, one gene after another, each at the same positions; the genotype is the
mother's. Development is the same in every nucleus and knows its place by maternal gradients alone.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyro.distributions as dist
import torch
from torch import Tensor

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.maternal import FACTORS, maternal_inputs
from genomic_code.spec.priors import sample
from genomic_code.spec.protocols import Shape, Weights
from genomic_code.spec.validate import at_least_one

__all__ = ["Line"]


@dataclass(frozen=True)
class Line:
    """What formalizations of such traits share; see `spec.maternal` for the gradients."""

    name: ClassVar[str] = "line"
    positional: ClassVar[bool] = True
    """Traits are levels at positions and loci certain factors: neither can be relabelled."""
    example_shape: ClassVar[Shape] = Shape(individuals=8, loci=4, environments=2, traits=24)

    genes: int = 4
    """Number of observed zygotic genes, the first of them hunchback; at least 1. The traits are
    each gene's levels in all nuclei, gene after gene."""
    span: tuple[float, float] = (0.1, 0.9)
    """Ends of the line, in units of the embryo's length from the anterior; nuclei are centred in
    equal parts of it."""

    def check_line(self) -> None:
        """Refuse unfit fields.

        Raises:
            ValueError: There is no gene, or the span is no part of the embryo.
        """
        at_least_one(self, "genes")
        if not (len(self.span) == 2 and 0 <= self.span[0] < self.span[1] <= 1):
            raise ValueError(
                f"span must be two positions between 0 and 1, the smaller first, got {self.span}"
            )

    @classmethod
    def of(cls, cohort: Cohort, **hyperparameters: Any) -> Self:
        """The formalization with the genes and the span of a cohort, which is checked.

        Raises:
            ValueError: The cohort has no common unit, its loci are not the maternal factors, or its
                traits have no coordinates `gene` and `position` on one regular line of nuclei.
        """
        if cohort.unit != "common":
            raise ValueError(f"cohort must have the unit 'common', got {cohort.unit!r}")
        loci = cohort.labels("locus")
        if loci != list(FACTORS[: len(loci)]):
            raise ValueError(f"cohort must have the loci {FACTORS} in this order, got {loci}")
        if not {"gene", "position"} <= set(cohort.dataset.coords):
            raise ValueError("cohort must have the trait coordinates 'gene' and 'position'")
        genes, position = (cohort.dataset[key].values for key in ("gene", "position"))
        number = len(dict.fromkeys(genes.tolist()))
        lines = position.reshape(number, -1) if len(position) % number == 0 else position[:, None]
        half = (lines[0, -1] - lines[0, 0]) / max(lines.shape[1] - 1, 1) / 2
        regular = np.linspace(lines[0, 0], lines[0, -1], lines.shape[1])
        sorted_genes = np.repeat(list(dict.fromkeys(genes.tolist())), lines.shape[1])
        if len(sorted_genes) != len(genes) or not (
            (genes == sorted_genes).all() and np.allclose(lines, regular, atol=1e-6) and half > 0
        ):
            raise ValueError(
                "cohort must list traits gene after gene, each at the same evenly spaced positions"
            )
        span = (float(lines[0, 0] - half), float(lines[0, -1] + half))
        rounded = (round(span[0], 6), round(span[1], 6))
        return cls(**{"genes": number, "span": rounded, **hyperparameters})

    def nuclei(self, shape: Shape) -> int:
        """Number of nuclei P.

        Raises:
            ValueError: The traits are no multiple of the genes, or the loci no maternal factors.
        """
        if shape.traits % self.genes:
            raise ValueError(
                f"{self.name} needs traits that are a multiple of genes = {self.genes} "
                f"(genes x nuclei), got {shape.traits}"
            )
        if not 3 <= shape.loci <= len(FACTORS):
            raise ValueError(
                f"{self.name} needs a genotype of the columns {', '.join(FACTORS)}, the last of "
                f"which may be absent where it does not vary; got {shape.loci} loci"
            )
        return shape.traits // self.genes

    def levels(self, shape: Shape, median: float, spread: float) -> dict[str, Tensor]:
        """`level` (genes), log-normal in the unit of the fit, and `mean` (T), fixed at 0.

        Raises:
            ValueError: The cohort is no line of nuclei; see `nuclei`.
        """
        self.nuclei(shape)
        prior = dist.LogNormal(math.log(median), spread)
        level = sample("level", prior, {"gene_seen": self.genes})
        nothing = torch.zeros_like(level[..., :1]).expand(*level.shape[:-1], shape.traits)
        return {"mean": nothing, "level": level}

    def positions(self, nuclei: int) -> Tensor:
        """Centres `(P)` of the nuclei, in units of the embryo's length."""
        first, last = self.span
        return first + (last - first) * (torch.arange(nuclei) + 0.5) / nuclei

    def encode(self, weights: Weights, genotype: Tensor, nuclei: int) -> Tensor:
        """Maternal inputs `(..., N, P, 4)` of mothers' doses `(..., N, 3 or 4)`."""
        return maternal_inputs(weights, genotype, self.positions(nuclei))
