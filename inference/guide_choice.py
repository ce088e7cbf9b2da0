"""Which variational family a model gets."""

import math

import torch

from genomic_code.inference.block_guides import LatentBlocks, PartlyCentred, TraitBlocks
from genomic_code.inference.cell_weights import CONDITIONALLY_NORMAL
from genomic_code.inference.collapsed import Collapsed
from genomic_code.inference.flat import FlatModel, Site, blank, compose
from genomic_code.inference.guides import LARGEST, FullRank, Guide, LowRank, MeanField
from genomic_code.inference.measured import MeasuredLatents
from genomic_code.spec.noise import Normal

__all__ = ["GUIDES", "cautions", "choose_guide"]

GUIDES = ("auto", "collapsed", "meanfield", "centred", "lowrank", "fullrank")
"""What `Settings.guide` may be."""

WORK = 2**31
"""Most multiplications for the factors of the effects in one draw, a tenth of a second, unless they
are asked for."""
MEASURED = 2**25
"""Most multiplications for the precisions of an encoder."""


def choose_guide(flat: FlatModel, kind: str = "auto") -> Guide:
    """The guide of a kind in `GUIDES`.

    `auto`: where their size allows it, for direct effects under noise of continuous traits
    `Collapsed`, for an encoder that is decoded nonlinearly `MeasuredLatents` or latent blocks, for
    dense additive effects trait blocks; else mean field.
    `collapsed`: these, and direct effects have theirs whatever it costs.
    `centred`: these, partly centred where traits have the scales and correlations of `spec.priors`;
    better where the model is true, but slower to converge, and not yet where traits have outliers.
    """
    if kind == "lowrank":
        return LowRank(flat.dim, min(10, flat.dim))
    if kind == "fullrank":
        return FullRank(flat.dim)
    sites = {site.name: site for site in flat.sites}
    effects = sites.get("effects")
    most = math.inf if kind == "collapsed" else WORK
    usual = kind in ("auto", "collapsed")
    if usual and effects is not None and direct(flat, effects, most):
        return Collapsed(effects.start, *effects.shape)
    encoder = sites.get("encoder")
    joint = latent_guide(flat, encoder) if usual and encoder is not None else None
    if joint is not None:
        return joint
    if not (usual or kind == "centred") or effects is None or not dense(effects):
        return MeanField()
    loci, traits = effects.shape
    if loci * traits**2 > LARGEST:
        return MeanField()
    blocks = TraitBlocks(flat.dim, effects.start, loci, traits)
    scale, correlation = sites.get("trait_scale"), sites.get("trait_correlation")
    if usual or scale is None or correlation is None:
        return blocks
    if (*scale.free_shape, *correlation.free_shape) != (traits, traits * (traits - 1) // 2):
        return blocks  # these names mean something else here
    return PartlyCentred(blocks, scale.start, correlation.start)


def cautions(flat: FlatModel, guide: Guide, kind: str = "auto") -> list[str]:
    """When not to trust a fit by this guide, chosen for a kind, in words."""
    words = [str(getattr(flat.formalization, "caution", ""))]
    better = kind == "auto" and guide.name == "meanfield" and choose_guide(flat, "collapsed")
    if better and better.name == "collapsed":
        words.append("effects by mean field, which does less well on linked loci: prune them")
    return [each for each in words if each]


def direct(flat: FlatModel, effects: Site, most: float) -> bool:
    """Whether the effects are normal given all others, in no more than `most` multiplications."""
    formalization = flat.formalization
    known = isinstance(formalization.noise, (Normal, *CONDITIONALLY_NORMAL))
    if not (getattr(formalization, "direct", False) and known):
        return False
    loci, traits = effects.shape
    entries = slice(effects.start, effects.stop)
    location, precision = flat.normal.location[entries], flat.normal.precision[entries]
    if traits * loci**3 > most or (location != 0).any() or (precision != 1).any():
        return False
    # a prior of the user's may make anything of its sites: the weights must be z times a factor
    probe = torch.full((2, flat.dim), 0.1)
    z = torch.linspace(-2, 2, effects.stop - effects.start)
    probe[0, entries], probe[1, entries] = 1.0, z
    one, other = compose(formalization, flat.unpack(probe)[0], flat.shape)[0]["effects"]
    return one.shape == effects.shape and torch.allclose(other, one * z.reshape(effects.shape))


def bent(flat: FlatModel, encoder: Site) -> bool:
    """Whether an encoder is decoded nonlinearly."""
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(1, flat.dim, generator=generator).repeat(3, 1)
    probe[:, encoder.start : encoder.stop] *= torch.tensor([0.0, 1.0, 2.0])[:, None]
    few = blank(flat.shape._replace(individuals=5))
    genotype = torch.randn(few.genotype.shape, generator=generator)
    none, once, twice = flat.expected(probe, few._replace(genotype=genotype)).unbind()
    return not torch.allclose(twice - once, once - none, rtol=1e-2, atol=1e-3)


def latent_guide(flat: FlatModel, encoder: Site) -> Guide | None:
    """The weights onto a latent jointly normal, if their size allows it and it is of any use."""
    if not encoder.isotropic or encoder.dims[0] != "locus" or len(encoder.shape) != 2:
        return None
    loci, latents = encoder.shape
    individuals = flat.shape.individuals
    measured = latents * individuals * loci**2 <= MEASURED
    if loci < 2 or not (measured or latents * loci**2 <= LARGEST) or not bent(flat, encoder):
        return None
    if measured:
        return MeasuredLatents(flat.dim, encoder.start, loci, latents, individuals)
    return LatentBlocks(flat.dim, encoder.start, loci, latents)


def dense(effects: Site) -> bool:
    """Whether effects are standard normal under the prior, of loci on several traits."""
    return effects.isotropic and effects.dims == ("locus", "trait") and effects.shape[1] > 1
