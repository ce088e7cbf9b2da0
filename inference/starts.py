"""Where the optimiser starts: spectral for weights that read the genotype, small random elsewhere.

Prior draws as starts cost hundreds of nats. A ridge fit gives the leading axes along which the
genotype moves the traits; `encoder` sites start on these, randomly rotated in each restart, and
`effects` sites on the ridge solution itself. All other sites start at their prior median.

A formalization may know better: if it has a method `starts(data, generator)`, pure, each restart
begins at the site values it returns, and only sites that it leaves out start as said above.
"""

import torch
from torch import Tensor

from genomic_code.inference.flat import FlatModel, Site, compose
from genomic_code.spec.protocols import Data

__all__ = ["is_random", "start_scale", "starts"]

BASELINE = ("mean", "environment_effect")
"""Sites shared by all formalizations, which start at zero."""
NOISE = "noise_loading"
"""Starts away from zero, where its sign is open; other starts would find no other optimum."""
SPREAD_HIDDEN, SPREAD_OUTPUT = 0.4, 0.1
"""Standard deviation of the random starts of hidden weights, and of weights onto traits."""

NARROW, WIDE = 0.05, 0.3
"""Standard deviations of the guide at the start."""


def is_random(site: Site) -> bool:
    """Whether restarts start this site at different places."""
    if site.name in (*BASELINE, NOISE, "effects", "pair_effects"):
        return False
    return site.name == "encoder" or site.real


def starts(flat: FlatModel, data: Data, restarts: int, generator: torch.Generator) -> Tensor:
    """Locations `(R, P)` for one cohort `(N, ...)`, deterministic in the generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        median = {site.name: free_median(site) for site in flat.sites}
    effects = ridge(data)
    own = getattr(flat.formalization, "starts", None)
    out = torch.empty(restarts, flat.dim)
    given: dict[str, Tensor] = {}
    for r in range(restarts):
        given = own(data, generator) if own else {}
        for site in flat.sites:
            value = median[site.name]
            if site.name in given:
                value = site.transform.inv(given[site.name])
            elif site.name in BASELINE:
                value = torch.zeros(site.free_shape)
            elif site.name == "effects" and site.free_shape == effects.shape:
                value = effects / effects.square().mean().sqrt().clamp_min(1e-6)
            elif site.name == "encoder" and site.free_shape[0] == len(effects):
                value = spectral(data.genotype, effects, site.free_shape[1], generator, r > 0)
            elif site.name == NOISE or (site.real and is_random(site)):
                spread = SPREAD_OUTPUT if "trait" in site.dims else SPREAD_HIDDEN
                value = value + spread * torch.randn(site.free_shape, generator=generator)
            out[r, site.start : site.stop] = value.reshape(-1)
    return out if "effects" in given else rescale(flat, out, effects)


def start_scale(flat: FlatModel, cells: int) -> Tensor:
    """Standard deviations `(P,)` at the start.

    Where a site has more entries than there are observed cells, the data cannot narrow most of
    them: they start closer to their prior, from which they will hardly move.
    """
    scale = torch.full((flat.dim,), NARROW)
    for site in flat.sites:
        if site.stop - site.start > cells:
            scale[site.start : site.stop] = WIDE
    return scale


def rescale(flat: FlatModel, location: Tensor, effects: Tensor) -> Tensor:
    """Locations `(R, P)` whose composed effects are no larger than the ridge effects `(L, T)`.

    What a prior makes of its sites is known only to the formalization, so it is asked. Effects
    that its scales make smaller are left: sites beyond their own prior would take long to return.
    """
    for site in flat.sites:
        if site.name == "effects" and site.free_shape == effects.shape:
            values, _ = flat.unpack(location)
            with torch.no_grad():
                composed = compose(flat.formalization, values, flat.shape)[0].get("effects")
            if composed is None or composed.shape[1:] != effects.shape:
                continue
            size = (composed * effects).sum((1, 2)) / composed.square().sum((1, 2))
            entries = slice(site.start, site.stop)
            location[:, entries] *= torch.where(size > 0, size, 1.0).clamp_max(1.0)[:, None]
    return location


def free_median(site: Site) -> Tensor:
    """Median of the prior in the unconstrained space, by draws; one value for all entries."""
    entries = site.free_shape.numel()
    count = 101 if entries < 1000 else 1
    draws = site.transform.inv(site.prior.sample(torch.Size([count])))
    median: Tensor = draws.median().expand(site.free_shape)
    return median


def ridge(data: Data) -> Tensor:
    """Ridge effects `(L, T)` at an expected heritability of one half; missing cells count as 0."""
    assert data.phenotype is not None
    x = data.genotype.double()
    y = torch.where(data.observed, data.phenotype, 0.0).double()
    x = x * data.observed.any(-1, keepdim=True)
    n, loci = x.shape
    penalty = loci
    if n < loci:
        kernel = x @ x.mT + penalty * torch.eye(n, dtype=x.dtype)
        effects = x.mT @ torch.linalg.solve(kernel, y)
    else:
        gram = x.mT @ x + penalty * torch.eye(loci, dtype=x.dtype)
        effects = torch.linalg.solve(gram, x.mT @ y)
    single: Tensor = effects.to(data.genotype.dtype)
    return single


def spectral(
    genotype: Tensor, effects: Tensor, latents: int, generator: torch.Generator, rotate: bool
) -> Tensor:
    """Encoder `(L, K)` onto the leading axes of the fitted traits, with unit-variance scores."""
    fitted = genotype @ effects
    axes = torch.linalg.svd(fitted - fitted.mean(0), full_matrices=False).Vh.mT[:, :latents]
    encoder: Tensor = effects @ axes
    scores = (genotype @ encoder).std(0, correction=0)
    encoder = encoder / scores.clamp_min(1e-6 * scores.max().clamp_min(1e-6))
    encoder = encoder * len(effects) ** 0.5
    if encoder.shape[1] < latents:
        extra = torch.randn(len(effects), latents - encoder.shape[1], generator=generator)
        encoder = torch.cat([encoder, extra], 1)
    if rotate:
        random = torch.randn(latents, latents, generator=generator)
        encoder = encoder @ torch.linalg.qr(random).Q
    return encoder
