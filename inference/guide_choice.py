"""Which variational family a model gets."""

from genomic_code.inference.flat import FlatModel, Site
from genomic_code.inference.guides import LARGEST, FullRank, Guide, LowRank, MeanField
from genomic_code.inference.trait_guides import PartlyCentred, TraitBlocks

__all__ = ["GUIDES", "choose_guide"]

GUIDES = ("auto", "meanfield", "centred", "lowrank", "fullrank")
"""What `Settings.guide` may be."""


def choose_guide(flat: FlatModel, kind: str = "auto") -> Guide:
    """The guide of a kind in `GUIDES`.

    `auto`: for dense additive effects trait blocks, where their size allows it; else mean field.
    `centred`: these, partly centred where traits have the scales and correlations of `spec.priors`;
    better where the model is true, but slower to converge, and not yet where traits have outliers.
    """
    if kind == "lowrank":
        return LowRank(flat.dim, min(10, flat.dim))
    if kind == "fullrank":
        return FullRank(flat.dim)
    sites = {site.name: site for site in flat.sites}
    effects = sites.get("effects")
    if kind not in ("auto", "centred") or effects is None or not dense(effects):
        return MeanField()
    loci, traits = effects.shape
    if loci * traits**2 > LARGEST:
        return MeanField()
    blocks = TraitBlocks(flat.dim, effects.start, loci, traits)
    scale, correlation = sites.get("trait_scale"), sites.get("trait_correlation")
    if kind == "auto" or scale is None or correlation is None:
        return blocks
    if (*scale.free_shape, *correlation.free_shape) != (traits, traits * (traits - 1) // 2):
        return blocks  # these names mean something else here
    return PartlyCentred(blocks, scale.start, correlation.start)


def dense(effects: Site) -> bool:
    """Whether effects are standard normal under the prior, of loci on several traits."""
    return effects.isotropic and effects.dims == ("locus", "trait") and effects.shape[1] > 1
