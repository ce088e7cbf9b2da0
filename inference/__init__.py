"""What is learnt: fits, comparisons, evolution and evolvability."""

from genomic_code.inference.compare import Comparison, compare
from genomic_code.inference.evolvability import evolvability
from genomic_code.inference.evolvability_compare import compare_evolvability
from genomic_code.inference.evolve import evolve
from genomic_code.inference.fit import DivergenceError, Settings, fit
from genomic_code.inference.functionals.hansen_houle import hansen_houle
from genomic_code.inference.lineage import Lineage
from genomic_code.inference.niche import Niche
from genomic_code.inference.plots import plot_differences, plot_elbo, plot_predictions
from genomic_code.inference.posterior import Fit

__all__ = [
    "Comparison",
    "DivergenceError",
    "Fit",
    "Lineage",
    "Niche",
    "Settings",
    "compare",
    "compare_evolvability",
    "evolvability",
    "evolve",
    "fit",
    "hansen_houle",
    "plot_differences",
    "plot_elbo",
    "plot_predictions",
]
