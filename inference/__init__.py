"""What is learnt: fits, comparisons, evolution and evolvability."""

from genomic_code.inference.compare import Comparison, compare
from genomic_code.inference.fit import DivergenceError, Settings, fit
from genomic_code.inference.posterior import Fit

__all__ = ["Comparison", "DivergenceError", "Fit", "Settings", "compare", "fit"]
