"""What is claimed: cohorts, priors and the competing hypotheses as Pyro models."""

from genomic_code.spec import datasets, readers
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import (
    FORMALIZATIONS,
    Blueprint,
    Conditional,
    Disentangled,
    Epistatic,
    Factor,
    Generative,
    Null,
    Polygenic,
    Program,
    resolve,
)
from genomic_code.spec.priors import ARD, Dense, Horseshoe
from genomic_code.spec.protocols import Data, Formalization, Shape
from genomic_code.spec.simulate import simulate
from genomic_code.spec.wiring import Wired

__all__ = [
    "ARD",
    "FORMALIZATIONS",
    "Blueprint",
    "Cohort",
    "Conditional",
    "Data",
    "Dense",
    "Disentangled",
    "Epistatic",
    "Factor",
    "Formalization",
    "Generative",
    "Horseshoe",
    "Null",
    "Polygenic",
    "Program",
    "Shape",
    "Wired",
    "datasets",
    "readers",
    "resolve",
    "simulate",
]
