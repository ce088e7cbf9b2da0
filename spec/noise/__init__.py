"""Measurement models: how observed traits scatter about what development expects.

Continuous traits are standardised; counts and categories stay as they are, and development then
gives eta on the scale of a link.
"""

from genomic_code.spec.noise.categories import Bernoulli, Ordinal
from genomic_code.spec.noise.common import CommonFactor
from genomic_code.spec.noise.common_t import CommonFactorT
from genomic_code.spec.noise.continuous import Normal, StudentT
from genomic_code.spec.noise.counts import NegativeBinomial, Poisson
from genomic_code.spec.protocols import Noise

__all__ = [
    "NOISES",
    "Bernoulli",
    "CommonFactor",
    "CommonFactorT",
    "NegativeBinomial",
    "Normal",
    "Ordinal",
    "Poisson",
    "StudentT",
]

NOISES: dict[str, type[Noise]] = {
    "normal": Normal,
    "student_t": StudentT,
    "common_factor": CommonFactor,
    "common_factor_t": CommonFactorT,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "bernoulli": Bernoulli,
    "ordinal": Ordinal,
}
"""Every measurement model by name."""
