"""L-BFGS for losses of a few numbers without noise, such as exact marginal likelihoods.

Weights of a formalization are learnt by `inference.optimise`, from draws of a guide.
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["descend"]


def descend(loss: Callable[[], Tensor], free: list[Tensor], steps: int) -> None:
    """Move `free`, which the loss depends on, to a least loss by at most so many steps."""
    search = torch.optim.LBFGS(free, max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> float:
        search.zero_grad()
        value = loss()
        value.backward()
        return float(value.detach())

    with torch.enable_grad():
        search.step(closure)
