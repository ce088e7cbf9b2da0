"""What is claimed: cohorts, priors and the competing hypotheses as Pyro models."""

from typing import TYPE_CHECKING

from genomic_code.lazy import lazy

if TYPE_CHECKING:
    from genomic_code.spec import datasets, readers
    from genomic_code.spec.card import card
    from genomic_code.spec.cohort import Cohort
    from genomic_code.spec.formalizations import (
        FORMALIZATIONS,
        Attractor,
        Blueprint,
        Bottleneck,
        Conditional,
        Disentangled,
        Epistatic,
        Factor,
        GeneCircuit,
        Generative,
        Hotspot,
        Null,
        Polygenic,
        PositionalInformation,
        Program,
        Regulatory,
        resolve,
    )
    from genomic_code.spec.noise import NOISES
    from genomic_code.spec.predictive import plot_explained, prior_predictive
    from genomic_code.spec.priors import ARD, Dense, Horseshoe
    from genomic_code.spec.protocols import Data, Formalization, Shape
    from genomic_code.spec.simulate import simulate
    from genomic_code.spec.wiring import Wired

__all__ = [
    "ARD",
    "FORMALIZATIONS",
    "NOISES",
    "Attractor",
    "Blueprint",
    "Bottleneck",
    "Cohort",
    "Conditional",
    "Data",
    "Dense",
    "Disentangled",
    "Epistatic",
    "Factor",
    "Formalization",
    "GeneCircuit",
    "Generative",
    "Horseshoe",
    "Hotspot",
    "Null",
    "Polygenic",
    "PositionalInformation",
    "Program",
    "Regulatory",
    "Shape",
    "Wired",
    "card",
    "datasets",
    "plot_explained",
    "prior_predictive",
    "readers",
    "resolve",
    "simulate",
]

__getattr__, __dir__ = lazy(__name__)
