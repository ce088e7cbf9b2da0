"""Hotspot: direct encoding by few loci, which the traits share.

    eta_n = mu + E_n D + x_n B
    B_lt = z_lt tau_t lam~_lt,   lam~^2 = c_t^2 (eta lam)^2 / (c_t^2 + tau_t^2 (eta lam)^2)
    z ~ Normal(0, 1),  lam_lt ~ HalfCauchy(1),  eta_l ~ HalfCauchy(1),  c_t^2 ~ InvGamma(2, 0.2)
    tau_t ~ LogNormal(log(6 tau0), 1),  tau0 = p0 / (L - p0) / sqrt(N)

Sites: mu mean; D environment_effect; z effects; lam effects_local; eta effects_row; tau
effects_global; c^2 effects_slab
Source: loci that control many traits, Ruffieux et al. 2020, doi:10.1214/20-AOAS1332, under the
regularised horseshoe, Piironen & Vehtari 2017, doi:10.1214/17-EJS1337SI.
Claims: the same few places of the genome act on many traits, on each with a size and sign of its
own: pleiotropy without latents.  Rivals: `blueprint` says that each trait has places of its own,
`factor` that what a locus does to all traits lies along few axes.  Special case: with every eta_l
alike it is `blueprint`; of one trait eta_l only makes the tails heavier.  Refuted by: loci that are
no more alike over traits than chance has it; few latents that predict as well.
"""

from dataclasses import dataclass
from typing import ClassVar

from genomic_code.spec.formalizations.blueprint import Blueprint

__all__ = ["Hotspot"]


@dataclass(frozen=True)
class Hotspot(Blueprint):
    """Sparse additive effects of loci that the traits share."""

    name: ClassVar[str] = "hotspot"
    complexity: ClassVar[int] = 3
    shared: ClassVar[bool] = True
