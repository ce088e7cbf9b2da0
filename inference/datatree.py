"""A Fit as an ArviZ DataTree: what other tools read, and what is stored."""

from typing import Any

import arviz_base
import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference.flat import compose
from genomic_code.inference.posterior import Fit
from genomic_code.spec.noise.support import cell_numbers

__all__ = ["to_datatree"]

LARGEST = 2**24
"""Numbers a variable of the posterior group may hold; larger ones are left out and named."""


def to_datatree(fit: Fit, draws: int = 200) -> xr.DataTree:
    """The posterior of a fit as ArviZ groups, with one chain of independent draws.

    * `posterior`: genomic weights by name, over loci, and noise parameters, in standard units;
      weights too large to store are named in the attribute `left_out` (`fit.weights` draws them).
    * `posterior_predictive`: `phenotype` (chain, draw, individual, trait) in its own units.
    * `log_likelihood`: `phenotype` (chain, draw, individual), summed over the observed traits of
      an individual, in nats of the phenotype in standard units.
    * `sample_stats`: `log_p` (log joint) and `log_q` (log guide density) of each draw in the
      unconstrained space, as `arviz_stats.loo_approximate_posterior` wants them.
    * `observed_data`: `phenotype`. `constant_data`: genotype, environment, error, training rows
      and the standardisation. `fit_history`: one-draw ELBO at each step.
    """
    groups: dict[str, dict[str, Any]] = {
        "posterior": {},
        "posterior_predictive": {"phenotype": predictive(fit, draws)},
        "log_likelihood": {"phenotype": log_likelihood(fit, draws)},
        "sample_stats": log_densities(fit, draws),
        "observed_data": {"phenotype": fit.cohort.phenotype.values},
    }
    dims: dict[str, list[str]] = {"phenotype": ["individual", "trait"]}
    left_out = []
    known = {site.name: site for site in fit.flat.sites}
    for name, values in posterior(fit, draws).items():
        if values is None:
            left_out.append(name)
            continue
        groups["posterior"][name] = values.numpy()[None]
        if name in known and len(known[name].dims) == values.dim() - 1:
            dims[name] = list(known[name].dims)
    coords = {
        dim: fit.cohort.labels(dim)
        for dim in ("individual", "locus", "covariate", "trait")
        if dim in fit.cohort.dataset.sizes
    }
    likelihood = {"log_likelihood": groups.pop("log_likelihood")}
    tree: xr.DataTree = arviz_base.from_dict(groups, coords=coords, dims=dims)
    pointwise = arviz_base.from_dict(likelihood, coords=coords, dims={"phenotype": ["individual"]})
    tree["log_likelihood"] = pointwise["log_likelihood"]
    tree["constant_data"] = xr.DataTree(constants(fit))
    history = {"elbo": (("step",), fit.history.astype(np.float32))}
    tree["fit_history"] = xr.DataTree(xr.Dataset(history))
    tree["posterior"].attrs |= {"left_out": left_out}
    tree.attrs |= {
        "formalization": fit.formalization.name,
        "hyperparameters": repr(fit.formalization),
        "cohort": fit.cohort.name,
        "elbo": fit.elbo,
        "elbo_error": fit.elbo_error,
        "converged": int(fit.converged),
        "seed": fit.seed,
        "guide": fit.guide.name,
        "schema": 1,
    }
    return tree


def posterior(fit: Fit, draws: int) -> dict[str, Tensor | None]:
    """Draws `(S, ...)` of weights and noise parameters by name; None where they are too large."""

    def composed(flat: Tensor, number: int) -> dict[str, Tensor]:
        weights, noise = compose(fit.formalization, fit.sites(flat, fit.seed + number), fit.shape)
        return {**weights, **noise}

    with torch.no_grad():
        example = composed(fit.flat_draws(1), 0)
        small = {name for name, value in example.items() if value.numel() * draws <= LARGEST}
        parts: dict[str, list[Tensor]] = {name: [] for name in small}
        size = LARGEST // max(value.numel() for value in example.values())
        for number, part in enumerate(fit.flat_parts(draws if small else 0, size)):
            values = composed(part, number)
            for name in small:
                parts[name].append(values[name].expand(len(part), *example[name].shape[1:]))
    return {name: torch.cat(parts[name]) if name in small else None for name in example}


def predictive(fit: Fit, draws: int) -> NDArray[np.float32]:
    """Replicated phenotypes `(1, S, N, T)` in their own units."""
    centre, scale = fit.scaler.phenotype
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(fit.seed)
        parts = [batch.noise.sample() for batch in fit.batches(draws)]
    values: NDArray[np.float32] = (torch.cat(parts) * scale + centre).float().numpy()
    return values[None]


def log_likelihood(fit: Fit, draws: int) -> NDArray[np.float64]:
    """Log likelihood `(1, S, N)` of each individual, over its observed traits."""
    phenotype = fit.standard_phenotype(fit.cohort)
    parts = [
        torch.where(fit.seen, batch.noise.log_prob(phenotype), 0.0).double().sum(-1)
        for batch in fit.batches(draws)
    ]
    return torch.cat(parts).numpy()[None]


def log_densities(fit: Fit, draws: int) -> dict[str, NDArray[np.float64]]:
    """`log_p` and `log_q` `(1, S)` of the draws."""
    log_p, log_q = [], []
    with torch.no_grad():
        cells = cell_numbers(fit.formalization.noise, fit.data.observed.shape)
        largest = max(fit.flat.dim, fit.guide.width, cells)
        for part in fit.flat_parts(draws, LARGEST // largest):
            log_p.append(fit.flat.log_joint(part, fit.data).double())
            log_q.append(fit.log_density(part).double())
    return {"log_p": torch.cat(log_p).numpy()[None], "log_q": torch.cat(log_q).numpy()[None]}


def constants(fit: Fit) -> xr.Dataset:
    """What the fit was given: inputs, training rows and standardisation."""
    keep = [key for key in ("genotype", "environment", "error") if key in fit.cohort.dataset]
    data = fit.cohort.dataset[keep].copy()
    data["training"] = (("individual",), fit.training)
    for key, dim in (("genotype", "locus"), ("environment", "covariate"), ("phenotype", "trait")):
        centre, scale = getattr(fit.scaler, key)
        if dim in data.dims or key == "phenotype":
            data[f"{key}_mean"] = ((dim,), centre.numpy())
            data[f"{key}_sd"] = ((dim,), scale.numpy())
    return data
