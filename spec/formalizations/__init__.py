"""The competing hypotheses, one file each, and the one registry of them."""

from genomic_code.spec.formalizations.attractor import Attractor
from genomic_code.spec.formalizations.blueprint import Blueprint
from genomic_code.spec.formalizations.bottleneck import Bottleneck
from genomic_code.spec.formalizations.conditional import Conditional
from genomic_code.spec.formalizations.disentangled import Disentangled
from genomic_code.spec.formalizations.epistatic import Epistatic
from genomic_code.spec.formalizations.factor import Factor
from genomic_code.spec.formalizations.gene_circuit import GeneCircuit
from genomic_code.spec.formalizations.generative import Generative
from genomic_code.spec.formalizations.hotspot import Hotspot
from genomic_code.spec.formalizations.null import Null
from genomic_code.spec.formalizations.polygenic import Polygenic
from genomic_code.spec.formalizations.positional_information import PositionalInformation
from genomic_code.spec.formalizations.program import Program
from genomic_code.spec.formalizations.regulatory import Regulatory
from genomic_code.spec.protocols import Formalization
from genomic_code.spec.validate import one_of

__all__ = [
    "FORMALIZATIONS",
    "Attractor",
    "Blueprint",
    "Bottleneck",
    "Conditional",
    "Disentangled",
    "Epistatic",
    "Factor",
    "GeneCircuit",
    "Generative",
    "Hotspot",
    "Null",
    "Polygenic",
    "PositionalInformation",
    "Program",
    "Regulatory",
    "resolve",
]

FORMALIZATIONS: dict[str, type[Formalization]] = {
    "null": Null,
    "factor": Factor,
    "blueprint": Blueprint,
    "hotspot": Hotspot,
    "polygenic": Polygenic,
    "epistatic": Epistatic,
    "program": Program,
    "generative": Generative,
    "disentangled": Disentangled,
    "attractor": Attractor,
    "conditional": Conditional,
    "bottleneck": Bottleneck,
    "gene_circuit": GeneCircuit,
    "regulatory": Regulatory,
    "positional_information": PositionalInformation,
}
"""Every formalization by name, simplest first."""


def resolve(formalization: str | Formalization) -> Formalization:
    """A formalization by name, with default hyperparameters, or as given.

    Raises:
        ValueError: The name is unknown.
    """
    if isinstance(formalization, str):
        one_of("formalization", formalization, list(FORMALIZATIONS))
        return FORMALIZATIONS[formalization]()
    return formalization
