"""Niche: what selection asks of traits in silico.

A niche turns traits into log fitness. An organism may meet several conditions (rows) in it, each
with its own target and environment; its fitness is the product over the conditions, so that the
log fitness is a sum. Everything stays in logarithms: no fitness underflows.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from numpy.typing import ArrayLike
from torch import Tensor

__all__ = ["Directional", "Niche", "Selection"]


class Selection(Protocol):
    """What a dynamics needs of a niche: sizes, environments, and log fitness of traits."""

    @property
    def name(self) -> str:
        """Name in tables and figures."""
        ...

    @property
    def conditions(self) -> int:
        """Number M of conditions that an organism meets."""
        ...

    @property
    def traits(self) -> int:
        """Number T of traits under selection."""
        ...

    @property
    def environment(self) -> Tensor:
        """`(M, C)`; C may be 0."""
        ...

    @property
    def genotype(self) -> Tensor | None:
        """Alleles `(M, L)` in standard units that each condition imposes; None to evolve them."""
        ...

    def log_fitness(self, traits: Tensor) -> Tensor:
        """Log fitness `(...)` of traits `(..., M, T)`."""
        ...


def table(argument: str, values: ArrayLike | Tensor, columns: str, rows: int | None) -> Tensor:
    """Finite numbers of shape `(M, columns)`; one row may come as a vector."""
    tensor = torch.as_tensor(values, dtype=torch.get_default_dtype())
    if tensor.dim() == 1:
        tensor = tensor[None]
    if tensor.dim() != 2 or 0 in tensor.shape:
        raise ValueError(
            f"{argument} must have shape (conditions, {columns}), got {tuple(tensor.shape)}"
        )
    if not tensor.isfinite().all():
        raise ValueError(
            f"{argument} must be finite, got {int((~tensor.isfinite()).sum())} cells that are not; "
            "for a trait that is not selected give an infinite width"
        )
    if rows is not None and len(tensor) != rows:
        raise ValueError(
            f"{argument} must have one row per row of target: expected {rows}, got {len(tensor)}"
        )
    return tensor


@dataclass(frozen=True, eq=False)
class Niche:
    """Stabilising selection: `log W = -1/2 sum_mt ((y_mt - target_mt) / width_t)^2`."""

    target: Tensor
    """Optimum of each trait in each condition `(M, T)`, standard units; a vector is one row."""
    width: float | Tensor = 1.0
    """Width of the fitness peak, a standard deviation in trait units; one number or `(T,)`,
    positive, infinite for a trait that is not selected. V = width^2 in the literature."""
    environment: Tensor = None  # type: ignore[assignment]
    """Environment of each condition `(M, C)`, standard units; none by default."""
    genotype: Tensor | None = None
    """Alleles that each condition imposes `(M, L)`, standard units; None to let them evolve."""
    name: str = "niche"
    """Name in tables and figures."""

    def __post_init__(self) -> None:
        target = table("target", self.target, "traits", None)
        rows, traits = target.shape
        width = torch.as_tensor(self.width, dtype=target.dtype)
        if width.shape not in ((), (traits,)) or not (width > 0).all():
            raise ValueError(
                f"width must be one positive number or {traits} of them (one a trait), "
                f"got {width.tolist()}"
            )
        environment = target.new_zeros(rows, 0)
        if self.environment is not None:
            environment = table("environment", self.environment, "environments", rows)
        values = {"target": target, "width": width, "environment": environment}
        if self.genotype is not None:
            values["genotype"] = table("genotype", self.genotype, "loci", rows)
        for key, value in values.items():
            object.__setattr__(self, key, value)

    @property
    def conditions(self) -> int:
        """Number M of conditions."""
        return len(self.target)

    @property
    def traits(self) -> int:
        """Number T of traits."""
        return self.target.shape[1]

    def log_fitness(self, traits: Tensor) -> Tensor:
        """Log fitness `(...)` of traits `(..., M, T)`; 0 at the optimum.

        Raises:
            ValueError: The traits have another shape than the target.
        """
        check_traits(self, traits)
        return -0.5 * ((traits - self.target) / self.width).square().sum((-2, -1))


@dataclass(frozen=True, eq=False)
class Directional:
    """Exponential selection without an optimum: `log W = sum_mt gradient_mt y_mt`.

    With one condition, one trait and gradient 1 the trait is the log fitness itself.
    """

    gradient: Tensor
    """Selection gradient `(M, T)`, nats per trait sd; a vector is one row."""
    name: str = "directional"
    """Name in tables and figures."""
    genotype: None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "gradient", table("gradient", self.gradient, "traits", None))

    @property
    def conditions(self) -> int:
        """Number M of conditions."""
        return len(self.gradient)

    @property
    def traits(self) -> int:
        """Number T of traits."""
        return self.gradient.shape[1]

    @property
    def environment(self) -> Tensor:
        """`(M, 0)`: no environment."""
        return self.gradient[:, :0]

    def log_fitness(self, traits: Tensor) -> Tensor:
        """Log fitness `(...)` of traits `(..., M, T)`.

        Raises:
            ValueError: The traits have another shape than the gradient.
        """
        check_traits(self, traits)
        return (self.gradient * traits).sum((-2, -1))


def check_traits(niche: Selection, traits: Tensor) -> None:
    """Refuse traits that the niche does not fit."""
    if traits.shape[-2:] != (niche.conditions, niche.traits):
        raise ValueError(
            f"traits must have shape (..., {niche.conditions}, {niche.traits}) as the niche "
            f"{niche.name!r} has, got {tuple(traits.shape)}"
        )
