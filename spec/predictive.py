"""Prior predictive checks: what a formalization expects of a cohort before it sees it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray
from pyro import poutine
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import resolve
from genomic_code.spec.model import observation
from genomic_code.spec.protocols import Data, Formalization
from genomic_code.spec.standardize import Scaler

__all__ = ["plot_explained", "prior_predictive", "shares"]

GENOTYPE_FREE = ("mean", "environment_effect")
"""Weights whose part of the traits is not genetic."""


class Draw(NamedTuple):
    """One draw from the prior and what it predicts."""

    sites: dict[str, Tensor]
    dims: dict[str, tuple[str, ...]]
    phenotype: Tensor
    """`(N, T)` in the units of the model."""
    explained: Tensor
    """`(T)` share of the variance that genotype and environment explain."""
    genetic: Tensor
    """`(T)` share of the variance, environment set aside, that the genotype explains."""


def prior_predictive(
    formalization: str | Formalization,
    cohort: Cohort,
    draws: int = 200,
    seed: int = 0,
    progress: bool = False,
) -> xr.DataTree:
    """Draws of weights and phenotypes from the prior, on the genotypes of a cohort.

    Args:
        formalization: Name or object.
        cohort: Gives genotype, environment, known error and the units of the phenotype.
        draws: Number of draws, at least 1.
        seed: Same seed, same draws.
        progress: Whether to show a progress bar.

    Returns:
        Groups as ArviZ names them: `prior` (sites), `prior_predictive` (`phenotype`, in the units
        of the data), `sample_stats_prior` (`explained_share` and `genetic_share` by trait) and
        `observed_data`.

    Raises:
        ValueError: `draws` is below 1, or the noise model cannot give the phenotype.
    """
    hypothesis = resolve(formalization)
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    scaler = Scaler.fit(cohort, noise=hypothesis.noise)
    taken = list(
        tqdm(
            draw(hypothesis, scaler.data(cohort), draws, seed),
            total=draws,
            desc=hypothesis.name,
            disable=not progress,
            leave=False,
        )
    )
    centre, spread = scaler.phenotype
    trait = ("trait",)
    sites = {k: stack([one.sites[k] for one in taken], taken[0].dims[k]) for k in taken[0].sites}
    phenotype = [one.phenotype * spread + centre for one in taken]
    groups = {
        "prior": sites,
        "prior_predictive": {"phenotype": stack(phenotype, ("individual", "trait"))},
        "sample_stats_prior": {
            "explained_share": stack([one.explained for one in taken], trait),
            "genetic_share": stack([one.genetic for one in taken], trait),
        },
    }
    labels = {
        dim: cohort.labels(dim)
        for dim in ("individual", "locus", "covariate", "trait")
        if cohort.sizes[dim]
    }
    tree = {name: labelled(group, labels) for name, group in groups.items()}
    tree["observed_data"] = xr.Dataset({"phenotype": cohort.phenotype})
    return xr.DataTree.from_dict(tree, name=hypothesis.name)


def shares(
    formalization: Formalization, data: Data, draws: int = 200, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Explained and genetic shares of variance, each `(S, T)`, in draws from the prior."""
    taken = list(draw(formalization, data, draws, seed))
    explained, genetic = (
        torch.stack([getattr(one, name) for one in taken]).double().numpy()
        for name in ("explained", "genetic")
    )
    return explained, genetic


def draw(formalization: Formalization, data: Data, draws: int, seed: int) -> Iterator[Draw]:
    """Draws from the prior, one by one; the phenotype of `data` is not looked at."""
    data = data._replace(phenotype=None)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        # Each draw has a seed of its own: a generator may be left half way.
        seeds = torch.randint(2**31, (draws,)).tolist()
    for own in seeds:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), poutine.block():
            torch.manual_seed(own)
            trace = poutine.trace(formalization).get_trace(data)
            nodes: dict[str, Any] = {
                name: trace.nodes[name] for name in trace.stochastic_nodes if name != "phenotype"
            }
            nodes = {name: node for name, node in nodes.items() if not is_plate(node)}
            sites = {name: node["value"] for name, node in nodes.items()}
            dims = {name: node["infer"]["dims"] for name, node in nodes.items()}
            values: dict[str, Any] = {k: trace.nodes[k]["value"] for k in ("phenotype", "_RETURN")}
            parts = split(formalization, data, sites, values["_RETURN"])
            yield Draw(sites, dims, values["phenotype"], *parts)


def split(
    formalization: Formalization, data: Data, sites: Mapping[str, Tensor], expected: Tensor
) -> tuple[Tensor, Tensor]:
    """Explained and genetic shares of the variance `(T)`."""
    noise = formalization.noise
    with poutine.condition(data=dict(sites)):
        weights = dict(formalization.weights(data.shape))
        parameters = noise.parameters(data.shape)
    genetic = weights | {k: torch.zeros_like(weights[k]) for k in GENOTYPE_FREE if k in weights}
    developed = formalization.develop(genetic, data.genotype, data.environment)
    pair = []
    for values in (expected, developed.expand_as(expected)):
        between = noise.mean(values, parameters).double().var(-2, correction=0)
        within = observation(formalization, weights, parameters, values, data)
        pair.append(between / (between + within.variance.double().mean(-2)))
    return pair[0], pair[1]


def plot_explained(tree: xr.DataTree, axes: Axes | None = None) -> Axes:
    """Histogram of the share of explained variance over draws and traits; the band is 5 to 95 %."""
    if axes is None:
        axes = plt.subplots()[1]
    values = np.ravel(tree["sample_stats_prior"].dataset["explained_share"])
    axes.axvspan(0.05, 0.95, color="0.92", label="5 to 95 %")
    axes.hist(values, np.linspace(0, 1, 41).tolist(), density=True, color="C0", label=tree.name)
    axes.set(xlabel="share of explained variance", ylabel="prior density", xlim=(0, 1))
    axes.legend()
    return axes


def is_plate(node: Mapping[str, Any]) -> bool:
    """Whether a node of a trace is the index of a plate."""
    return type(node["fn"]).__name__ == "_Subsample"


def stack(values: list[Tensor], dims: tuple[str, ...]) -> xr.Variable:
    """Draws with the dimensions chain and draw in front."""
    return xr.Variable(("chain", "draw", *dims), torch.stack(values)[None].numpy())


def labelled(group: Mapping[str, xr.Variable], labels: Mapping[str, list[str]]) -> xr.Dataset:
    """Variables with the labels of their dimensions."""
    dataset = xr.Dataset(dict(group))
    known = {dim: names for dim, names in labels.items() if dim in dataset.dims}
    return dataset.assign_coords(known | {"chain": [0], "draw": np.arange(dataset.sizes["draw"])})
