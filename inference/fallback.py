"""The step by Pyro's own `Trace_ELBO`: slow, and free of all that the engine asks of a model.

The guide is the engine's, written as a Pyro guide: one auxiliary draw of the flat vector, and each
site a function of it. Folds, restarts and draws are taken one after the other, so that the model
never meets batch dimensions. It is the reference for the engine, and the way out for a model that
the engine cannot take.
"""

from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.distributions import Delta
from pyro.infer import Trace_ELBO
from torch import Tensor

from genomic_code.inference.engine import Step
from genomic_code.inference.flat import FlatModel, unvalidated
from genomic_code.inference.guides import Guide
from genomic_code.spec.protocols import Data

__all__ = ["pyro_step"]


def pyro_step(flat: FlatModel, guide: Guide) -> Step:
    """`step(parameters, noise, *data) -> (slope, elbo)` as in `engine.make_step`."""
    model: Any = poutine.condition(flat.formalization, data=flat.given) if flat.given else None
    model = model or flat.formalization

    def sampler(data: Data, parameters: Tensor, noise: Tensor) -> None:
        draw, density = guide.draw(parameters, noise)
        auxiliary: Any = {"is_auxiliary": True}
        pyro.sample("flat", Delta(draw, density, event_dim=1), infer=auxiliary)
        for site in flat.sites:
            free = draw[site.start : site.stop].reshape(site.free_shape)
            value = site.transform(free)
            change = site.transform.log_abs_det_jacobian(free, value).sum()
            pyro.sample(site.name, Delta(value, -change, event_dim=value.dim()))

    def step(parameters: Tensor, noise: Tensor, *data: Tensor) -> tuple[Tensor, Tensor]:
        slope = torch.zeros_like(parameters)
        elbo = parameters.new_zeros(parameters.shape[:2])
        objective = Trace_ELBO()
        for fold in range(parameters.shape[0]):
            cohort = Data(*(table[min(fold, len(table) - 1), 0] for table in data))
            for restart in range(parameters.shape[1]):
                with torch.enable_grad(), unvalidated():
                    own = parameters[fold, restart].detach().requires_grad_()
                    draws = [
                        objective.differentiable_loss(
                            lambda cohort, *_: model(cohort), sampler, cohort, own, draw
                        )
                        for draw in noise[:, fold, restart]
                    ]
                    loss = torch.stack([torch.as_tensor(each) for each in draws]).mean()
                    (slope[fold, restart],) = torch.autograd.grad(loss, own)
                elbo[fold, restart] = -loss.detach()
        return slope, elbo

    return step
