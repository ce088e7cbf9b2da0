"""Variational families over the flat unconstrained vector: what a population can be."""

import math

import torch
from torch import Tensor

__all__ = ["MeanField"]

LOG_2PI = math.log(2 * math.pi)


class MeanField:
    """Independent normals: parameters `(..., 2P)` hold locations, then log standard deviations."""

    name = "meanfield"

    def start(self, location: Tensor, scale: float = 0.05) -> Tensor:
        """Parameters `(..., 2P)` around locations `(..., P)`."""
        return torch.cat([location, torch.full_like(location, math.log(scale))], -1)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Reparameterised draws of standard normal `noise` `(..., P)`."""
        location, log_scale = parameters.chunk(2, -1)
        return location + log_scale.exp() * noise

    def log_density(self, parameters: Tensor, flat: Tensor) -> Tensor:
        """`log q(flat)`, shape `(...)`."""
        location, log_scale = parameters.chunk(2, -1)
        standard = (flat - location) * (-log_scale).exp()
        return -(0.5 * standard.square() + log_scale + 0.5 * LOG_2PI).sum(-1)
