"""All functionals of one map under draws, as labelled groups."""

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
from genomic_code.inference.functionals.map import Map
from genomic_code.inference.functionals.matrices import EPSILON, along_directions, matrix_metrics
from genomic_code.inference.functionals.mutations import Mutations, mutate
from genomic_code.inference.functionals.response import selectability, towards
from genomic_code.inference.functionals.robustness import (
    canalization,
    mutational_robustness,
    reaction_norms,
)

__all__ = ["evolvability_of_map"]

SPARE = 10
"""Degrees of freedom that the least-squares additive part needs besides those it uses."""
QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]


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
    """The groups that `evolvability` describes, for draws of a map; `allele` is its size `(L,)`."""
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
