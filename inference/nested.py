"""Starts for formalizations that contain one another, from each other's posterior.

`factor` is `generative` in its linear range, `generative` is `conditional` without environment, and
`disentangled` gives latents curves of their own. Two optimisers may still end in unequal optima,
and the difference would pass for evidence. So each of a pair is also started at what the other has
found: the same map where the one contains the other, else the nearest that it can make.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from genomic_code.inference.basis import Basis
from genomic_code.inference.flat import FlatModel, compose
from genomic_code.inference.posterior import Fit
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import Conditional, Disentangled, Factor, Generative
from genomic_code.spec.formalizations.generative import STEEPNESS
from genomic_code.spec.protocols import Formalization, Shape

__all__ = ["PAIRS", "Sites", "has_relatives", "pairs", "place", "posterior_sites", "translate"]

Sites = dict[str, Tensor]
"""Values of sites, over loci."""

SAMPLES = 500
"""Points of the latent space at which decoders are matched."""
GAIN = 0.3
"""Input of a hidden unit, in standard deviations of a latent, in which tanh is nearly linear."""
FAINT = 0.05
"""Relevance of a covariate that `generative` does not have."""


def posterior_sites(fit: Fit) -> Sites:
    """Posterior means of the sites of a fit, over loci; directions that nobody spans are 0."""
    values, _ = fit.flat.unpack(fit.guide.sample(fit.parameters, torch.zeros(fit.flat.dim)))
    for site in fit.flat.sites:
        if fit.basis is not None and site.dims[0] == "locus":
            values[site.name] = fit.basis.vectors @ values[site.name]
    return {site.name: values[site.name].detach().clone() for site in fit.flat.sites}


def place(sites: Sites, flat: FlatModel, basis: Basis | None) -> Tensor:
    """Flat vector `(P,)` of site values over loci, in the coordinates of a fit."""
    out = torch.empty(flat.dim)
    for site in flat.sites:
        value = sites[site.name]
        if basis is not None and site.dims[0] == "locus":
            value = basis.vectors.mT @ value
        out[site.start : site.stop] = site.transform.inv(value).reshape(-1)
    return out


def pairs(models: Mapping[str, Formalization]) -> list[tuple[str, str]]:
    """Names of (source, target) between which there is a translation, among these models."""
    by_type = {type(model): name for name, model in models.items() if has_relatives(model)}
    return [
        (by_type[source], by_type[target])
        for source, target in PAIRS
        if source in by_type
        and target in by_type
        and alike(models[by_type[source]], models[by_type[target]])
    ]


def alike(source: Any, target: Any) -> bool:
    """Whether noise and, where the one contains the other as it is, sizes agree."""
    if type(source.noise) is not type(target.noise):
        return False
    if Conditional not in (type(source), type(target)):
        return True
    return bool((source.latents, source.hidden) == (target.latents, target.hidden))


def has_relatives(model: Formalization) -> bool:
    """Whether a model is of a type in `PAIRS`, with the sites that its default priors have."""
    kind: Any = type(model)
    if getattr(model, "prior", None) or kind not in {each for pair in PAIRS for each in pair}:
        return False
    if isinstance(model, Generative):
        return model.decoder == "tanh"
    return True


def translate(source: Formalization, target: Formalization, sites: Sites, cohort: Cohort) -> Sites:
    """Sites of the target whose map is that of the source's sites, or near it."""
    shape = cohort.shape
    carry = {
        name: value
        for name, value in sites.items()
        if name in ("mean", "environment_effect") or name.startswith("noise")
    }
    given = PAIRS[(type(source), type(target))]
    return carry | given(source, target, sites, shape)


def to_conditional(source: Any, target: Any, sites: Sites, shape: Shape) -> Sites:
    """`generative` with covariates that hardly matter; latents and units are made to fit."""
    size = (shape.environments, target.hidden)
    generator = torch.Generator().manual_seed(0)
    return own(sites, GENERATIVE) | {
        "environment_hidden": 0.1 * torch.randn(size, generator=generator),
        "environment_hidden_relevance": torch.full(size[:1], FAINT),
    }


def from_conditional(source: Any, target: Any, sites: Sites, shape: Shape) -> Sites:
    """`conditional` without what the environment does to hidden units."""
    return own(sites, GENERATIVE)


def factor_to_generative(source: Any, target: Any, sites: Sites, shape: Shape) -> Sites:
    """Hidden units in their linear range, each reading one latent."""
    encoder = resize(sites["encoder"], target.latents)
    weights = torch.zeros(target.latents, target.hidden)
    units = torch.arange(target.hidden)
    weights[units % target.latents, units] = GAIN
    return network(source, target, sites, encoder, weights, torch.zeros(target.hidden), shape)


def generative_to_factor(source: Any, target: Any, sites: Sites, shape: Shape) -> Sites:
    """The best linear decoder of the same latents."""
    composed = compose(source, sites, shape)[0]
    encoder = resize(sites["encoder"], target.latents)
    latents = sample_latents(sites["encoder"])
    traits = decode(source, composed, latents)
    loadings, offset = match(resize(latents, target.latents), traits)
    scale = traits.std(0).clamp_min(0.05)
    return {
        "mean": sites["mean"] + offset,
        "encoder": encoder,
        "trait_scale": scale,
        "decoder": loadings * math.sqrt(target.latents) / scale,
    }


def generative_to_disentangled(source: Any, target: Any, sites: Sites, shape: Shape) -> Sites:
    """A latent for each of the strongest hidden units, with one curve for all traits."""
    composed = compose(source, sites, shape)[0]
    strength = composed["decoder"].square().sum(1)
    order = strength.argsort(descending=True)[: target.latents]
    axes = sites["encoder"] @ composed["hidden_weight"][:, order]
    spread = (axes / math.sqrt(len(axes))).norm(dim=0).clamp_min(1e-3)
    encoder = resize(axes / spread, target.latents)
    slope = resize(spread[None] / 2, target.latents)[0]
    bias = resize(composed["hidden_bias"][order][None], target.latents)[0]
    latents = sample_latents(sites["encoder"])
    traits = decode(source, composed, latents)
    inner = latents @ composed["hidden_weight"][:, order] + composed["hidden_bias"][order]
    decoder, offset = match(torch.tanh(inner), traits)
    decoder = resize(decoder.mT, target.latents).mT
    return {"mean": sites["mean"] + offset} | responses(encoder, slope, bias, decoder)


def disentangled_to_generative(source: Any, target: Any, sites: Sites, shape: Shape) -> Sites:
    """The latents that move the traits most, read by hidden units at several thresholds."""
    composed = compose(source, sites, shape)[0]
    strength = composed["decoder"].square().sum(1)
    order = strength.argsort(descending=True)[: target.latents]
    encoder = resize(sites["encoder"][:, order], target.latents)
    weights = torch.zeros(target.latents, target.hidden)
    units = torch.arange(target.hidden)
    weights[units % target.latents, units] = 1.5
    bias = ((units // target.latents) - (target.hidden - 1) // target.latents / 2.0).to(encoder)
    return network(source, target, sites, encoder, weights, bias, shape)


def network(
    source: Any, target: Any, sites: Sites, encoder: Tensor, weights: Tensor, bias: Tensor,
    shape: Shape,
) -> Sites:  # fmt: skip
    """Sites of a tanh network over `encoder` whose output is matched to the source's decoder.

    `weights` `(K, H)` are the inputs of hidden units in standard deviations of a latent.
    """
    composed = compose(source, sites, shape)[0]
    latents = sample_latents(torch.cat([sites["encoder"], encoder], 1))
    theirs, ours = latents.split([sites["encoder"].shape[1], encoder.shape[1]], 1)
    traits = decode(source, composed, theirs)
    inputs = weights / ours.std(0).clamp_min(1e-3)[:, None]
    decoder, offset = match(torch.tanh(ours @ inputs + bias), traits)
    scale = traits.std(0).clamp_min(0.05)
    return {
        "mean": sites["mean"] + offset,
        "encoder": encoder,
        "hidden_weight": inputs * (math.sqrt(target.latents) / STEEPNESS),
        "hidden_bias": bias,
        "trait_scale": scale,
        "decoder": decoder / (scale * math.sqrt(2 / target.hidden)),
    }


def responses(encoder: Tensor, slope: Tensor, bias: Tensor, decoder: Tensor) -> Sites:
    """Sites of `disentangled` in which all traits share the curve of a latent."""
    latents, traits = decoder.shape
    # lam = 1 and r = 1 make w lam~ r = w / sqrt(1 + 1 / 4)
    return {
        "encoder": encoder,
        "slope": slope[:, None].expand(latents, traits).clone(),
        "threshold": bias[:, None].expand(latents, traits).clone(),
        "decoder": decoder * math.sqrt(1.25),
        "decoder_local": torch.ones(latents, traits),
        "relevance": torch.ones(latents),
    }


def decode(source: Any, composed: Mapping[str, Tensor], latents: Tensor) -> Tensor:
    """Genetic values `(S, T)` of latents `(S, K)`."""
    if isinstance(source, Factor):
        return latents @ composed["decoder"]
    traits: Tensor = source.decode(composed, latents)
    return traits


def sample_latents(encoder: Tensor) -> Tensor:
    """Latents `(S, K)` as uncorrelated standard loci give them."""
    latents = encoder.shape[1]
    covariance = (encoder.mT @ encoder / len(encoder)).double()
    values, vectors = torch.linalg.eigh(covariance)
    normal = torch.randn(SAMPLES, latents, generator=torch.Generator().manual_seed(0)).double()
    sampled: Tensor = (normal * values.clamp_min(0).sqrt()) @ vectors.mT
    return sampled.to(encoder.dtype)


def match(features: Tensor, traits: Tensor) -> tuple[Tensor, Tensor]:
    """Weights `(F, T)` and constant `(T,)` by which features `(S, F)` predict traits `(S, T)`."""
    x, y = features.double(), traits.double()
    spread = x - x.mean(0)
    penalty = 1e-3 * spread.square().sum(0).mean() * torch.eye(x.shape[1], dtype=x.dtype)
    weights = torch.linalg.solve(spread.mT @ spread + penalty, spread.mT @ (y - y.mean(0)))
    offset = (y - x @ weights).mean(0)
    return weights.to(traits.dtype), offset.to(traits.dtype)


def resize(columns: Tensor, count: int) -> Tensor:
    """The first `count` columns; faint random ones where there are fewer."""
    missing = count - columns.shape[1]
    if missing <= 0:
        return columns[:, :count]
    generator = torch.Generator().manual_seed(0)
    extra = 0.1 * torch.randn(len(columns), missing, generator=generator)
    return torch.cat([columns, extra.to(columns)], 1)


def own(sites: Sites, names: Iterable[str]) -> Sites:
    """The named sites."""
    return {name: sites[name] for name in names}


GENERATIVE = ("encoder", "hidden_weight", "hidden_bias", "decoder", "trait_scale")
PAIRS: dict[tuple[type, type], Callable[[Any, Any, Sites, Shape], Sites]] = {
    (Generative, Conditional): to_conditional,
    (Conditional, Generative): from_conditional,
    (Factor, Generative): factor_to_generative,
    (Generative, Factor): generative_to_factor,
    (Generative, Disentangled): generative_to_disentangled,
    (Disentangled, Generative): disentangled_to_generative,
}
"""How to get from the posterior of one formalization to a start of another."""
