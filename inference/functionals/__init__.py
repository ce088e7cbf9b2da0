"""Functionals of the map f from genotype to traits, and of its Jacobian.

Raw weights and latents are not identified (rotation, sign, permutation); everything here is a
function of f alone, so its posterior means something.

`posterior_map(fit)` binds the map to the population that it was fitted to; the other functions take
that map, or draws of the matrices that `evolvability` returns.
"""

from typing import TYPE_CHECKING

from genomic_code.lazy import lazy

if TYPE_CHECKING:
    from genomic_code.inference.functionals.alignment import (
        krzanowski,
        leading_angle,
        random_skewers,
        random_skewers_null,
    )
    from genomic_code.inference.functionals.basins import basin_volumes
    from genomic_code.inference.functionals.counterfactual import (
        effect,
        in_environment,
        pleiotropy_map,
        plot_pleiotropy,
        without_edge,
        without_latent,
        without_locus,
    )
    from genomic_code.inference.functionals.decomposition import orders, sobol
    from genomic_code.inference.functionals.genotype_network import (
        discretise,
        enumerate_genotypes,
        genotype_networks,
    )
    from genomic_code.inference.functionals.hansen_houle import hansen_houle
    from genomic_code.inference.functionals.map import Map, posterior_map
    from genomic_code.inference.functionals.response import (
        directional,
        evolve_population,
        lande,
        selectability,
        stabilising,
        towards,
    )

__all__ = [
    "Map",
    "basin_volumes",
    "directional",
    "discretise",
    "effect",
    "enumerate_genotypes",
    "evolve_population",
    "genotype_networks",
    "hansen_houle",
    "in_environment",
    "krzanowski",
    "lande",
    "leading_angle",
    "orders",
    "pleiotropy_map",
    "plot_pleiotropy",
    "posterior_map",
    "random_skewers",
    "random_skewers_null",
    "selectability",
    "sobol",
    "stabilising",
    "towards",
    "without_edge",
    "without_latent",
    "without_locus",
]

__getattr__, __dir__ = lazy(__name__)
