"""Competing formalizations of the genome as a generative model of the organism.

`genomic_code.spec` states the hypotheses as Pyro models; `genomic_code.inference` fits them to a
cohort, compares them, and reads evolvability off the posterior.

Source of the hypothesis: Mitchell & Cheney, Trends in Genetics 2025, doi:10.1016/j.tig.2025.01.008.
"""

import warnings
from typing import TYPE_CHECKING

from genomic_code.lazy import lazy

if TYPE_CHECKING:
    from genomic_code import inference, spec
    from genomic_code.inference.archive import load

__version__ = "0.1.0"

__all__ = ["__version__", "inference", "load", "spec"]

# tqdm says this in notebooks without ipywidgets, where its bars of text do as well.
warnings.filterwarnings("ignore", message="IProgress not found")

__getattr__, __dir__ = lazy(__name__)
