"""What is claimed: cohorts, priors and the competing hypotheses as Pyro models."""

from genomic_code.spec import datasets, readers
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import (
    FORMALIZATIONS,
    Blueprint,
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
    "Blueprint",
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
    "datasets",
    "readers",
    "resolve",
    "simulate",
]
