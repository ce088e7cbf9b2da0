"""From a guide to its optimum: in one go, or after a fit by mean field that weighs the cells."""

from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.cell_weights import CONDITIONALLY_NORMAL, cell_weights
from genomic_code.inference.collapsed import Collapsed
from genomic_code.inference.flat import FlatModel
from genomic_code.inference.guides import Guide, MeanField
from genomic_code.inference.optimise import Optimum, Settings, optimise
from genomic_code.spec.protocols import Data

__all__ = ["learn"]


def learn(
    flat: FlatModel,
    guide: Guide,
    location: Tensor,
    data: Data,
    settings: Settings,
    generator: torch.Generator,
    bar: "tqdm[Any]",
    keep: bool = False,
) -> tuple[Guide, Optimum]:
    """The guide of the fit and its optimum; arguments and errors as of `optimise`.

    With `keep`, Ctrl-C during the fit by mean field ends with that.
    """
    if isinstance(guide, Collapsed) and not guide.affordable(data):
        guide = MeanField()
    inputs = (location, data, settings, generator, bar, keep)
    indirect = isinstance(flat.formalization.noise, CONDITIONALLY_NORMAL)
    if not (isinstance(guide, Collapsed) and indirect):
        return guide, optimise(flat, guide.bind(flat, data), *inputs)
    first = optimise(flat, MeanField(), *inputs)
    if first.interrupted:
        return MeanField(), first
    bar.total = (bar.total or 0) + settings.least(location.shape[1])
    known = first.parameters[:, :1].to(location.device)
    cells = cell_weights(flat, data, known, generator)
    return guide, optimise(flat, guide.weighed(flat, data, cells), *inputs)
