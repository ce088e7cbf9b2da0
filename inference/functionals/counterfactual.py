"""Counterfactuals: the same cohort under a changed map, and what that does to the traits.

An intervention turns a map into a map: without a locus, without an edge (one weight), without a
latent, or in another environment. `effect` compares the two, individual by individual.

Raw latents are not identified, so a latent to be knocked out is a *canonical* one: with z = x A,
C = Cov(z) and D = df/dz, the eigenvectors u_k of C^1/2 E[D D'] C^1/2, by decreasing share of the
trait variance that they carry to first order. Knock-out k replaces A by A (1 - C^1/2 u u' C^-1/2),
which silences that latent and keeps the uncorrelated others; it does not depend on the rotation,
the sign or the order of the latents.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from torch import Tensor

from genomic_code.inference.functionals.jacobian import jacobian
from genomic_code.inference.functionals.map import Map

__all__ = [
    "effect",
    "in_environment",
    "pleiotropy_map",
    "plot_pleiotropy",
    "without_edge",
    "without_latent",
    "without_locus",
]

INDIVIDUALS = 64
"""Individuals over which the Jacobian of canonical latents is averaged."""


MEANINGS = {
    "magnitude": "root mean squared change of an individual",
    "shift": "mean change",
    "variance": "variance after over before",
}


def without_locus(f: Map, locus: str | int, allele: float | None = None) -> Map:
    """The map on a cohort in which every individual carries the same allele at `locus`.

    Args:
        f: The map.
        locus: Label or position.
        allele: Genotype in standard units; by default the least in the cohort, for instance the
            homozygote without the counted allele.
    """
    column = f.position("locus", locus)
    genotype = f.genotype.clone()
    genotype[:, column] = genotype[:, column].min() if allele is None else allele
    return replace(f, genotype=genotype)


def without_edge(f: Map, weight: str, index: tuple[int, ...]) -> Map:
    """The map with one weight set to zero under every draw.

    Meaningful where the weight is identified, for instance `effects` `(locus, trait)`; single
    weights of rotatable latents are not.

    Raises:
        ValueError: There is no such weight.
    """
    if weight not in f.weights:
        raise ValueError(f"weight must be one of {', '.join(f.weights)}, got {weight!r}")
    value = f.weights[weight].clone()
    shape = tuple(value.shape[1:])
    if len(index) != len(shape) or any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError(f"index of {weight} must be within its shape {shape}, got {index}")
    value.flatten(1)[:, int(np.ravel_multi_index(index, shape))] = 0
    return replace(f, weights={**f.weights, weight: value})


def without_latent(f: Map, latent: int) -> Map:
    """The map without its canonical latent number `latent`, 0 being the most influential.

    Raises:
        ValueError: The formalization has no `encoder`, or fewer latents.
    """
    if "encoder" not in f.weights:
        raise ValueError(
            f"{f.formalization.name} has no latents to knock out: it has no weights `encoder`, "
            f"only {', '.join(f.weights)}"
        )
    encoder = f.weights["encoder"]
    latents = encoder.shape[-1]
    if not 0 <= latent < latents:
        raise ValueError(f"latent must be from 0 to {latents - 1}, got {latent}")
    into, out = canonical_axes(f)
    silenced = encoder.double() @ into[..., latent : latent + 1] @ out[..., latent : latent + 1, :]
    return replace(f, weights={**f.weights, "encoder": encoder - silenced.to(encoder.dtype)})


def canonical_axes(f: Map) -> tuple[Tensor, Tensor]:
    """`C^1/2 U`-type axes `(S, K, K)`: columns into the canonical latents, and rows back out."""
    encoder = f.weights["encoder"].double()
    x = f.genotype.double()
    scores = torch.einsum("nl,slk->snk", x - x.mean(0), encoder)
    spread = scores.mT @ scores / (len(x) - 1)
    root, inverse = roots(spread)
    latents = encoder.shape[-1]
    total = torch.zeros(f.draws, latents, latents, dtype=torch.float64)
    for part, some in f.pieces(INDIVIDUALS * f.loci * f.trait_count):
        gradient = jacobian(some, f.genotype[:INDIVIDUALS]).double()
        pull = torch.linalg.pinv(encoder[part], rtol=1e-5)  # (s, K, L)
        sensitivity = torch.einsum("skl,tsnl->sktn", pull, gradient).flatten(2)
        total[part] = sensitivity @ sensitivity.mT
    vectors = torch.linalg.eigh(root @ total @ root)[1].flip(-1)
    return inverse @ vectors, vectors.mT @ root


def roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric square root and its (pseudo-)inverse of covariances `(S, K, K)`."""
    values, vectors = torch.linalg.eigh(matrix)
    values = values.clamp_min(0)
    keep = values > values.amax(-1, keepdim=True) * 1e-10
    root = torch.where(keep, values.sqrt(), 0.0)
    inverse = torch.where(keep, values.clamp_min(1e-300).rsqrt(), 0.0)
    scaled = [vectors * diagonal[..., None, :] @ vectors.mT for diagonal in (root, inverse)]
    return scaled[0], scaled[1]


def in_environment(f: Map, **shifts: float) -> Map:
    """The map with covariates moved by so many standard deviations, for instance `salt=1.0`.

    Raises:
        ValueError: There is no such covariate.
    """
    environment = f.environment.clone()
    for covariate, shift in shifts.items():
        environment[:, f.position("covariate", covariate)] += shift
    return replace(f, environment=environment)


def effect(before: Map, after: Map) -> xr.Dataset:
    """What an intervention does to the expected traits of the cohort, in its own environments.

    Returns:
        `shift`, mean change; `magnitude`, root mean squared change of an individual; and
        `variance`, that of the trait after over before (missing for a trait without variance
        before). Each `(draw, trait)`.
    """
    old = before.traits(environment=before.environment).double()
    new = after.traits(environment=after.environment).double()
    change = new - old
    var_old, var_new = old.var(1).numpy(), new.var(1).numpy()
    ratio = np.full_like(var_old, np.nan)
    np.divide(var_new, var_old, out=ratio, where=var_old > 0)
    found = {
        "shift": change.mean(1).numpy(),
        "magnitude": change.square().mean(1).sqrt().numpy(),
        "variance": ratio,
    }
    dims = ("draw", "trait")
    return xr.Dataset(
        {name: (dims, values) for name, values in found.items()}, {"trait": before.names("trait")}
    )


def pleiotropy_map(before: Map, interventions: Mapping[str, Map]) -> xr.Dataset:
    """Effects of several interventions side by side, along the dimension `intervention`.

    Example:
        `pleiotropy_map(f, {f"latent {k}": without_latent(f, k) for k in range(3)})`

    Raises:
        ValueError: There is no intervention.
    """
    if not interventions:
        raise ValueError("interventions must not be empty")
    found = [effect(before, after) for after in interventions.values()]
    return xr.concat(found, dim="intervention").assign_coords(intervention=list(interventions))


def plot_pleiotropy(
    effects: xr.Dataset, variable: str = "magnitude", ax: Axes | None = None
) -> Axes:
    """Draw a pleiotropy map, interventions by traits, posterior means; returns the axes.

    Of `shift` and `variance`, cells whose 90 % interval excludes no change are outlined.

    Args:
        effects: What `pleiotropy_map` returned.
        variable: `magnitude`, `shift` or `variance`.
        ax: Axes to draw on, by default of a new figure.

    Raises:
        ValueError: There is no such variable.
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    if variable not in MEANINGS:
        raise ValueError(f"variable must be one of {', '.join(MEANINGS)}, got {variable!r}")
    draws = effects[variable].transpose("draw", "intervention", "trait").values
    values = draws.mean(0)
    rows, columns = values.shape
    if ax is None:
        size = (2.6 + 0.45 * columns, 1.3 + 0.3 * rows)
        ax = plt.figure(figsize=size, layout="constrained").subplots()
    neutral = float(variable == "variance")
    reach = max(float(np.nanmax(np.abs(values - neutral), initial=0.0)), 1e-12)
    if variable == "magnitude":
        image = ax.imshow(values, cmap="cividis", vmin=0, vmax=reach, aspect="auto")
    else:
        low, high = neutral - reach, neutral + reach
        image = ax.imshow(values, cmap="PuOr", aspect="auto", vmin=low, vmax=high)
    if variable != "magnitude":
        least, most = np.quantile(draws, [0.05, 0.95], axis=0)
        for row, column in np.argwhere((least > neutral) | (most < neutral)):
            box = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, color="black")
            ax.add_patch(box)
    ax.set_xticks(range(columns), effects["trait"].values, rotation=90)
    ax.set_yticks(range(rows), effects["intervention"].values)
    ax.set_title(MEANINGS[variable], fontsize="medium")
    ax.figure.colorbar(image, ax=ax)
    return ax
