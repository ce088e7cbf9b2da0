"""What is claimed: cohorts, priors and the competing hypotheses as Pyro models."""

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import (
    FORMALIZATIONS,
    Attractor,
    Blueprint,
    Bottleneck,
    Factor,
    Generative,
    Null,
    Polygenic,
    resolve,
)
from genomic_code.spec.priors import Dense, Horseshoe
from genomic_code.spec.protocols import Data, Formalization, Shape
from genomic_code.spec.simulate import simulate

__all__ = [
    "FORMALIZATIONS",
    "Attractor",
    "Blueprint",
    "Bottleneck",
    "Cohort",
    "Data",
    "Dense",
    "Factor",
    "Formalization",
    "Generative",
    "Horseshoe",
    "Null",
    "Polygenic",
    "Shape",
    "resolve",
    "simulate",
]
