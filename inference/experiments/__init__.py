"""Learning experiments of evolutionary biology, each one call and one figure."""

from genomic_code.inference.experiments.bottleneck import Compression, bottleneck
from genomic_code.inference.experiments.generalisation import (
    Generalisation,
    Organism,
    generalisation,
    organisms,
)
from genomic_code.inference.experiments.memory import Memory, memory
from genomic_code.inference.experiments.response import Response, respond

__all__ = [
    "Compression",
    "Generalisation",
    "Memory",
    "Organism",
    "Response",
    "bottleneck",
    "generalisation",
    "memory",
    "organisms",
    "respond",
]
