"""Evolvability: what a posterior says about variation, robustness and response to selection.

All numbers are functionals of the map f and its Jacobian under posterior draws, so that they mean
something although weights and latents are not identified. Definitions: the modules of
`genomic_code.inference.functionals`.
"""

from dataclasses import dataclass
from typing import Any

import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor

from genomic_code.inference.functionals.basins import basin_volumes
from genomic_code.inference.functionals.map import Posterior, posterior_map
from genomic_code.inference.functionals.matrices import EPSILON, matrix_metrics
from genomic_code.inference.functionals.mutations import allele_step
from genomic_code.inference.functionals.summary import evolvability_of_map
from genomic_code.inference.hamiltonian import TRAJECTORIES, affordable, refine
from genomic_code.inference.lineage import Lineage
from genomic_code.inference.posterior import Fit
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations.attractor import Attractor
from genomic_code.spec.protocols import Formalization, Weights
from genomic_code.spec.standardize import Scaler

__all__ = ["evolvability"]

OF_GUIDE = (
    "draws of the guide: tr_M, c too low, robustness, additive_share too high, their intervals too "
    "narrow, that of tr_G too wide; ask for trajectories=40"
)


def evolvability(
    posterior: Any,
    *,
    beta: ArrayLike | None = None,
    targets: ArrayLike | None = None,
    draws: int = 200,
    trajectories: int | None = None,
    individuals: int | None = None,
    epsilon: float = EPSILON,
    original_units: bool = False,
    population: Cohort | None = None,
    seed: int = 0,
    progress: bool = True,
) -> xr.DataTree:
    """Evolvability, robustness and architecture of a posterior, with draws and labels.

    Args:
        posterior: A `Fit`, or anything with `formalization`, `cohort`, `scaler` and `weights`; or
            a `Lineage`, whose recorded G and M give the matrix metrics along its generations, and
            with a `population` all the others for its last generation.
        beta: Directions of selection `(T,)` or `(D, T)`; the group `directions` is about them.
        targets: Trait values `(D, T)` never met; the group `targets` is about evolving to them.
        draws: Number of posterior draws S.
        trajectories: Length of the Hamiltonian chains that make the draws of a fit exact (see
            `genomic_code.inference.hamiltonian`); 0 for the draws of the guide as they are. By
            default 40 where that takes seconds, else 0.
        individuals: Individuals whose Jacobian is averaged under each draw; by default all, or as
            many as a fixed amount of work allows.
        epsilon: Eigenvalues of G above this share of the largest count as variation, for c and a.
        original_units: Traits in the units of the cohort instead of their standard deviations.
        population: Individuals whose genotypes and environments the last generation of a lineage
            is to develop; their phenotype is not read. Only for a lineage.
        seed: Seed of draws, individuals and mutations; the same for several fits to one cohort
            makes their differences sharper.
        progress: Whether to show progress bars.

    Returns:
        Groups, each a Dataset over `draw`:

        * `metrics`: tr_G, tr_M, tr_M_flips, tr_P; e, r, c, a, i, flexibility, constraints (of G
          averaged over random directions; c, a and i in the subspace that G spans); D_eff, n_D,
          D_eff_M, n_D_M; random_skewers, krzanowski, leading_angle (of G and M); additive_share,
          and additive, pairwise, higher (shares, in linkage equilibrium); robustness,
          canalization, roughness; environmental_robustness, plasticity, interaction_share;
          pleiotropy, polygenicity, modularity.
        * `matrices`: G, G_additive, M, M_flips, P `(draw, trait, trait_other)`.
        * `traits`: heritability, genetic_variance, additive_variance, selectability, polygenicity
          and module of each trait.
        * `loci`: pleiotropy of each locus, and the posterior mean and sd of its effects.
        * `mutations`: quantiles of the size of the effect of one mutation.
        * `directions`, `targets`: where asked for. `basins`: of an attractor fit.
        * `generations`: of a lineage with a `population`, the matrix metrics over `generation`.

        The attributes say what was computed how. With `trajectories` 0 the draws are those of a
        mean-field guide: then tr_M and c are too low, robustness and additive_share too high, with
        intervals too narrow, and that of tr_G too wide (the attribute `warning` says so).

        Coverage of 90 % intervals over 40 cohorts simulated from `generative` (300 individuals, 40
        loci, 6 traits; benchmarks/evolvability_coverage.py; standard error 5 points):

                               tr_G  tr_M   e    r  additive_share  D_eff  robustness
            chains               92    88  92   92              78     80          85
            chains, calibrated   88    88  88   85              88     90          88
            guide                98    48  98  100              52     82          48
            guide, calibrated    90    88  90   80              85     95          85

        So additive_share and D_eff remain too narrow with chains: their errors have no bias, but
        1.2 times the posterior sd. Calibrated: shifted and stretched by the errors of 20 other
        cohorts. `calibrate_evolvability` does that for one fit, from cohorts simulated from it.

    Raises:
        ValueError: An argument is out of range.
    """
    recorded = getattr(posterior, "dataset", None)
    generations = None
    if isinstance(recorded, xr.Dataset) and "generation" in recorded.dims:
        generations = evolvability_of_lineage(recorded, epsilon)
        if population is None:
            return generations
        posterior = Evolved.on(posterior, population)
    elif population is not None:
        raise ValueError("population must be None for a fit, which has a cohort of its own")
    if not isinstance(draws, int) or draws < 2:
        raise ValueError(f"draws must be an integer of at least 2, got {draws!r}")
    needed = ("formalization", "cohort", "scaler", "weights")
    if not all(hasattr(posterior, name) for name in needed):
        raise ValueError(
            f"posterior must be a Fit, a Lineage or have {', '.join(needed)}, got "
            f"{type(posterior).__name__}; fit a formalization first"
        )
    source: Posterior = posterior
    flat, sampling = None, {"trajectories": 0}
    if isinstance(source, Fit):
        flat, sampling = posterior_draws(source, draws, trajectories, seed, progress)
    f = posterior_map(source, draws, seed, original_units, flat)
    sd = source.scaler.genotype[1]
    tree = evolvability_of_map(
        f, allele_step(f.genotype, sd), beta, targets, individuals, epsilon, seed, progress
    )
    tree.attrs |= {
        "formalization": source.formalization.name,
        "cohort": source.cohort.name,
        "units": "units of the cohort" if original_units else "trait standard deviations",
        "seed": seed,
        **sampling,
    }
    if generations is not None:
        tree["generations"] = xr.DataTree(generations["metrics"].to_dataset())
    if isinstance(source, Fit) and isinstance(source.formalization, Attractor):
        tree["basins"] = xr.DataTree(basin_volumes(source, seed=seed))
    return tree


def posterior_draws(
    fit: Fit, draws: int, trajectories: int | None, seed: int, progress: bool
) -> tuple[Tensor | None, dict[str, Any]]:
    """Draws by Hamiltonian chains, None for those of the guide; and what to say about them."""
    length = trajectories
    if length is None:
        length = TRAJECTORIES if affordable(fit, draws) else 0
    if length == 0:
        return None, {"trajectories": 0, "warning": OF_GUIDE}
    chains = refine(fit, draws, seed, length, progress)
    found: dict[str, Any] = {"trajectories": length, "acceptance": chains.acceptance}
    found["drift"] = chains.drift
    if chains.acceptance < 0.5 or abs(chains.drift) > 0.5:
        found["warning"] = (
            f"chains have not settled (acceptance {chains.acceptance:.2f}, drift "
            f"{chains.drift:+.2f} sd): raise trajectories={length}"
        )
    return chains.flat, found


@dataclass(frozen=True)
class Evolved:
    """The last generation of a lineage on a population of genotypes, as if it were a posterior."""

    lineage: Lineage
    cohort: Cohort
    scaler: Scaler

    @classmethod
    def on(cls, lineage: Lineage, population: Cohort) -> "Evolved":
        """Bind them.

        Raises:
            ValueError: The population has other numbers of loci, covariates or traits.
        """
        shape, sizes = lineage.needed().shape, population.sizes
        theirs = {name: sizes[name] for name in ("locus", "covariate", "trait")}
        ours = {"locus": shape.loci, "covariate": shape.environments, "trait": shape.traits}
        if theirs != ours:
            raise ValueError(f"population must have the sizes of the lineage, {ours}, got {theirs}")
        return cls(lineage, population, Scaler.fit(population))

    @property
    def formalization(self) -> Formalization:
        """The hypothesis that evolved."""
        return self.lineage.formalization

    def weights(self, draws: int = 200, seed: int | None = None) -> Weights:
        """Draws `(S, ...)` from q of the last generation."""
        return self.lineage.weights(draws, seed or 0)


def evolvability_of_lineage(recorded: xr.Dataset, epsilon: float) -> xr.DataTree:
    """Matrix metrics of a lineage along its generations, from the G and M that it recorded."""
    if "G" not in recorded:
        raise ValueError(
            f"lineage must have recorded G, it has {', '.join(map(str, recorded.data_vars))}"
        )
    mutational = recorded["M"].values if "M" in recorded else None
    metrics = matrix_metrics(recorded["G"].values, mutational, "generation", epsilon)
    metrics = metrics.assign_coords(generation=recorded["generation"].values)
    kept = [name for name in ("G", "M") if name in recorded]
    return xr.DataTree.from_dict({"metrics": metrics, "matrices": recorded[kept]})
