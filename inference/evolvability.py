"""Evolvability: what a posterior says about variation, robustness and response to selection.

All numbers are functionals of the map f and its Jacobian under posterior draws, so that they mean
something although weights and latents are not identified. Definitions: the modules of
`genomic_code.inference.functionals`.
"""

from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor

from genomic_code.inference.functionals.architecture import (
    effective_number,
    modularity,
    modules,
    pleiotropy_summary,
    shared_loci,
)
from genomic_code.inference.functionals.covariance import (
    additive_least_squares,
    additive_stein,
    covariance,
    phenotypic,
    trace,
)
from genomic_code.inference.functionals.decomposition import orders
from genomic_code.inference.functionals.jacobian import Sensitivity, sensitivity
from genomic_code.inference.functionals.map import Map, Posterior, posterior_map
from genomic_code.inference.functionals.matrices import EPSILON, along_directions, matrix_metrics
from genomic_code.inference.functionals.mutations import Mutations, allele_step, mutate
from genomic_code.inference.functionals.response import selectability, towards
from genomic_code.inference.functionals.robustness import (
    canalization,
    mutational_robustness,
    reaction_norms,
)

__all__ = ["evolvability", "evolvability_of_map"]

SPARE = 10
"""Degrees of freedom that the least-squares additive part needs besides those it uses."""
QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]


def evolvability(
    posterior: Any,
    *,
    beta: ArrayLike | None = None,
    targets: ArrayLike | None = None,
    draws: int = 200,
    individuals: int | None = None,
    epsilon: float = EPSILON,
    original_units: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> xr.DataTree:
    """Evolvability, robustness and architecture of a posterior, with draws and labels.

    Args:
        posterior: A `Fit`, or anything with `formalization`, `cohort`, `scaler` and `weights`; or
            a `Lineage`, whose recorded G and M give the matrix metrics along its generations.
        beta: Directions of selection `(T,)` or `(D, T)`; the group `directions` is about them.
        targets: Trait values `(D, T)` never met; the group `targets` is about evolving to them.
        draws: Number of posterior draws S.
        individuals: Individuals whose Jacobian is averaged under each draw; by default all, or as
            many as a fixed amount of work allows.
        epsilon: Eigenvalues of G above this share of the largest count as variation, for c and a.
        original_units: Traits in the units of the cohort instead of their standard deviations.
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
        * `directions`, `targets`: where asked for.

        The attributes say what was computed how. Shrinkage biases tr_M and additive_share, and
        their intervals are too narrow: see `calibrate_evolvability`.

    Raises:
        ValueError: An argument is out of range.
    """
    recorded = getattr(posterior, "dataset", None)
    if isinstance(recorded, xr.Dataset) and "generation" in recorded.dims:
        return evolvability_of_lineage(recorded, epsilon)
    if not isinstance(draws, int) or draws < 2:
        raise ValueError(f"draws must be an integer of at least 2, got {draws!r}")
    source: Posterior = posterior
    f = posterior_map(source, draws, seed, original_units)
    sd = source.scaler.genotype[1]
    tree = evolvability_of_map(
        f, allele_step(f.genotype, sd), beta, targets, individuals, epsilon, seed, progress
    )
    tree.attrs |= {
        "formalization": source.formalization.name,
        "cohort": source.cohort.name,
        "units": "units of the cohort" if original_units else "trait standard deviations",
        "seed": seed,
    }
    return tree


def evolvability_of_map(
    f: Map,
    allele: Tensor | float = 1.0,
    beta: ArrayLike | None = None,
    targets: ArrayLike | None = None,
    individuals: int | None = None,
    epsilon: float = EPSILON,
    seed: int = 0,
    progress: bool = False,
) -> xr.DataTree:
    """The same for draws of a map, `allele` being the size of one allele `(L,)`."""
    traits = f.traits()
    G = covariance(traits)
    local = sensitivity(f, individuals, seed=seed, progress=progress)
    flips = mutate(f, allele, seed=seed, progress=progress)
    additive, method = additive_part(f, traits, local)
    matrices = {
        "G": G,
        "G_additive": additive,
        "M": local.mutational,
        "M_flips": flips.covariance(),
    }
    if f.noise_variance is not None:
        matrices["P"] = phenotypic(f)
    metrics = matrix_metrics(G, local.mutational, epsilon=epsilon)
    metrics = metrics.assign(scalars(f, matrices, local, flips, seed))
    label = modules(shared_loci(local.squared).double().mean(0).numpy(), seed)
    if "omitted" not in metrics.attrs:
        metrics["modularity"] = ("draw", modularity(shared_loci(local.squared).numpy(), label))
    names = f.names("trait")
    groups = {
        "metrics": metrics,
        "matrices": labelled_matrices(matrices, names),
        "traits": trait_table(f, matrices, local, label),
        "loci": locus_table(f, local),
        "mutations": effect_sizes(flips),
    }
    if beta is not None:
        labels = [f"direction_{i}" for i in range(len(np.atleast_2d(np.asarray(beta))))]
        groups["directions"] = along_directions(G, beta, labels, epsilon)
    if targets is not None:
        groups["targets"] = xr.merge(
            [
                towards(G, targets),
                towards(local.mutational, targets).rename(relative="relative_M", cosine="cosine_M"),
            ]
        )
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= {
        "additive_method": method,
        "individuals": int(local.traces.shape[1]),
        "all_individuals": int(local.complete),
        **metrics.attrs,
    }
    return tree


def additive_part(f: Map, traits: Tensor, local: Sensitivity) -> tuple[Tensor, str]:
    """Additive covariance: by least squares where the population allows, else by Stein's lemma."""
    if len(f.genotype) - f.loci - 1 >= SPARE:
        return additive_least_squares(traits, f.genotype), "least squares"
    return additive_stein(local, f.genotype), "Stein's lemma"


def scalars(
    f: Map, matrices: dict[str, Tensor], local: Sensitivity, flips: Mutations, seed: int
) -> dict[str, Any]:
    """Metrics that are not functions of G and M alone, each `(draw,)`."""
    total = trace(matrices["G"])
    found: dict[str, Any] = {"tr_M_flips": trace(matrices["M_flips"])}
    if "P" in matrices:
        found["tr_P"] = trace(matrices["P"])
    if f.environment.shape[-1]:
        shares = reaction_norms(f, seed=seed).shares()
        found |= {name: share for name, share in shares.items() if bool(share.isfinite().all())}
    if bool(total.min() > 0):
        found["additive_share"] = trace(matrices["G_additive"]) / total
        found["robustness"] = mutational_robustness(flips, total)
        found["canalization"] = canalization(local.traces)
        found["pleiotropy"] = pleiotropy_summary(local.squared)
        found["polygenicity"] = pleiotropy_summary(local.squared.mT)
        found |= orders(f, seed=seed).shares()
    return {name: ("draw", np.asarray(value, float)) for name, value in found.items()}


def labelled_matrices(matrices: dict[str, Tensor], names: list[str]) -> xr.Dataset:
    """Matrices with the labels of the traits on both sides."""
    dims = ("draw", "trait", "trait_other")
    return xr.Dataset(
        {name: (dims, matrix.numpy()) for name, matrix in matrices.items()},
        {"trait": names, "trait_other": names},
    )


def trait_table(f: Map, matrices: dict[str, Tensor], local: Sensitivity, label: Any) -> xr.Dataset:
    """What concerns each trait."""
    diagonal = {name: m.diagonal(dim1=-2, dim2=-1).numpy() for name, m in matrices.items()}
    both = ("draw", "trait")
    found: dict[str, Any] = {
        "genetic_variance": (both, diagonal["G"]),
        "additive_variance": (both, diagonal["G_additive"]),
        "mutational_variance": (both, diagonal["M"]),
        "selectability": (both, selectability(matrices["G"])),
        "polygenicity": (both, effective_number(local.squared, -2).numpy()),
        "module": (("trait",), label),
    }
    if "P" in diagonal:
        found["heritability"] = (both, diagonal["G"] / diagonal["P"])
    return xr.Dataset(found, {"trait": f.names("trait")})


def locus_table(f: Map, local: Sensitivity) -> xr.Dataset:
    """What concerns each locus; effects in trait units per genotype standard deviation."""
    mean = local.effects.mean(0)
    both = ("locus", "trait")
    return xr.Dataset(
        {
            "pleiotropy": (("draw", "locus"), effective_number(local.squared, -1).numpy()),
            "mean_effect": (both, mean.mean(0).numpy()),
            "mean_effect_sd": (both, mean.std(0, correction=0).numpy()),
            "effect_size": (both, local.squared.mean(0).sqrt().numpy()),
        },
        {"locus": f.names("locus"), "trait": f.names("trait")},
    )


def effect_sizes(flips: Mutations) -> xr.Dataset:
    """Distribution of the size of the effect of one mutation: root of its square over traits."""
    size = flips.squared().sqrt()
    quantiles = torch.quantile(size, torch.tensor(QUANTILES, dtype=size.dtype), dim=1)
    return xr.Dataset(
        {
            "size": (("draw", "quantile"), quantiles.mT.numpy()),
            "mean_size": ("draw", size.double().mean(1).numpy()),
        },
        {"quantile": QUANTILES},
    )


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
