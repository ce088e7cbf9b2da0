"""A Pyro model as one pure function of one flat unconstrained vector.

The model runs once under a trace to find its sites, supports and shapes. The log joint then is a
function `(..., P) -> (...)` that any engine may differentiate, batch or capture.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import Transform, biject_to, constraints

from genomic_code.inference.coordinates import HalfCauchyQuantile, unconstrained
from genomic_code.spec.protocols import Data, Formalization, Shape, Weights

__all__ = ["FlatModel", "Site", "blank", "compose", "unvalidated"]


class Site(NamedTuple):
    """One latent site and its place in the flat vector."""

    name: str
    dims: tuple[str, ...]
    """Names of the dimensions of its values, as far as the prior gave them."""
    shape: torch.Size
    transform: Transform
    """From the unconstrained to the constrained space."""
    free_shape: torch.Size
    """Shape of the unconstrained value."""
    start: int
    stop: int
    isotropic: bool
    """Whether its entries are independent standard normal, so that a basis may be rotated."""
    real: bool
    """Whether the values are real numbers, so that the transform is the identity."""
    prior: torch.distributions.Distribution

    @property
    def quantile(self) -> bool:
        """Whether the unconstrained values are standard normal under the prior."""
        return isinstance(self.transform, HalfCauchyQuantile)


@contextmanager
def unvalidated() -> Iterator[None]:
    """Argument checks off: they cost a fifth of a step, and break tracing."""
    with pyro.validation_enabled(False):
        yield


def blank(shape: Shape) -> Data:
    """A cohort of zeros of this shape, to find sites with."""
    n, loci, environments, traits = shape
    cells = torch.zeros(n, traits)
    observed = torch.ones(n, traits, dtype=torch.bool)
    return Data(torch.zeros(n, loci), torch.zeros(n, environments), cells, observed, cells)


class FlatModel:
    """The log joint of a formalization over a flat unconstrained vector of length `dim`.

    Args:
        formalization: The Pyro model.
        shape: Sizes of the cohort.
        given: Sites held at these values instead of being inferred.

    Raises:
        ValueError: The model holds what has no flat density: `pyro.param`, or discrete latents.
    """

    def __init__(
        self, formalization: Formalization, shape: Shape, given: Mapping[str, Tensor] | None = None
    ) -> None:
        self.formalization = formalization
        self.given = dict(given or {})
        self.shape = shape
        with unvalidated(), poutine.block(), torch.no_grad(), torch.random.fork_rng(devices=[]):
            trace = poutine.trace(formalization).get_trace(blank(shape))
            again = poutine.trace(formalization).get_trace(blank(shape))
        self.sites: list[Site] = []
        stop = 0
        nodes: dict[str, Any] = dict(trace.nodes)
        for name, node in nodes.items():
            if node["type"] == "param":
                raise ValueError(
                    f"formalization must have no pyro.param, got {name!r}; give it a prior"
                )
            if node["type"] != "sample" or node["is_observed"] or subsample(node):
                continue
            if name in self.given:
                check_given(name, self.given[name], node["value"])
                continue
            if node["fn"].support.is_discrete:
                raise ValueError(
                    f"formalization must have continuous latent sites, got the discrete {name!r}; "
                    "marginalise it"
                )
            plain = isinstance(node["scale"], float) and node["scale"] == 1.0
            transform = unconstrained(node["fn"]) if plain else biject_to(node["fn"].support)
            shape_free = transform.inverse_shape(node["value"].shape)
            start, stop = stop, stop + shape_free.numel()
            infer = node["infer"]
            dims = infer.get("dims", tuple(f"{name}_{i}" for i in range(node["value"].dim())))
            isotropic = infer.get("isotropic", False)
            self.sites.append(
                Site(name, dims, node["value"].shape, transform, shape_free, start, stop,
                     isotropic, is_real(node["fn"].support), node["fn"])
            )  # fmt: skip
        self.dim = stop
        self.normal = NormalSites(self.sites, again)
        unknown = sorted(set(self.given) - set(nodes))
        if unknown:
            names = [site.name for site in self.sites]
            raise ValueError(f"given must name sites of the model {names}, got {unknown[0]!r}")

    def values(self, flat: Tensor) -> Iterator[tuple[Site, Tensor, Tensor]]:
        """Every site with its unconstrained and its constrained value."""
        parts = flat.split([site.stop - site.start for site in self.sites], -1)
        for site, part in zip(self.sites, parts, strict=True):
            free = part.reshape(flat.shape[:-1] + site.free_shape)
            yield site, free, site.transform(free)

    def unpack(self, flat: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Constrained values by site, and the log determinant `(...)` of the transforms."""
        values, log_det = dict(self.given), flat.new_zeros(flat.shape[:-1])
        for site, free, value in self.values(flat):
            values[site.name] = value
            if not site.real:
                change = site.transform.log_abs_det_jacobian(free, value)
                log_det = log_det + total(change, flat)
        return values, log_det

    def expected(self, flat: Tensor, data: Data) -> Tensor:
        """Expected traits `(S, N, T)` of flat vectors `(S, P)`, in standard units."""
        with torch.no_grad(), unvalidated():
            weights, _ = compose(self.formalization, self.unpack(flat)[0], data.shape)
            traits = self.formalization.develop(weights, data.genotype, data.environment)
        return traits.expand(len(flat), *data.observed.shape)

    def log_joint(self, flat: Tensor, data: Data, scale: float = 1.0) -> Tensor:
        """`log p(phenotype, sites) + log |d sites / d flat|`, shape `(...)`, in nats.

        `scale` multiplies the log-likelihood of the phenotype.
        """
        values, joint = dict(self.given), self.normal.log_density(flat)
        counted = set(self.given) | self.normal.names
        for site, free, value in self.values(flat):
            values[site.name] = value
            if not site.real and not site.quantile:
                change = site.transform.log_abs_det_jacobian(free, value)
                joint = joint + total(change, flat)
        with unvalidated():
            model = poutine.condition(self.formalization, data=values)
            trace = poutine.trace(model).get_trace(data)
            nodes: dict[str, Any] = dict(trace.nodes)
            for name, node in nodes.items():
                if node["type"] != "sample" or subsample(node) or name in counted:
                    continue
                log_prob = log_density(node["fn"], node["value"])
                if not isinstance(node["scale"], float) or node["scale"] != 1.0:
                    log_prob = log_prob * node["scale"]
                if scale != 1.0 and node["is_observed"] and name not in values:
                    log_prob = log_prob * scale
                plates = max([-frame.dim for frame in node["cond_indep_stack"]], default=0)
                own = log_prob.sum(tuple(range(-plates, 0))) if plates else log_prob
                joint = joint + own
        return joint


def log_density(prior: torch.distributions.Distribution, value: Tensor) -> Tensor:
    """`prior.log_prob(value)`, in half as many operations for masked normal cells."""
    masked = getattr(prior, "base_dist", None)
    if isinstance(masked, pyro.distributions.MaskedDistribution) and len(prior.event_shape) == 1:
        cells = masked.base_dist
        if type(cells) is pyro.distributions.Normal and isinstance(masked._mask, Tensor):
            standard = (value - cells.loc) / cells.scale
            density = -0.5 * (standard.square() + 2 * cells.scale.log() + math.log(2 * math.pi))
            return torch.where(masked._mask, density, 0.0).sum(-1)
    return prior.log_prob(value)


def total(change: Tensor, flat: Tensor) -> Tensor:
    """Sum over all but the batch dimensions of the flat vector."""
    return change.reshape(*flat.shape[:-1], -1).sum(-1)


class NormalSites:
    """The sites whose prior is a normal that is the same whatever the other sites are.

    Most weights are such; so are quantile sites, whose prior and determinant together are standard
    normal. Their log densities are one expression in the flat vector, where one a site would cost a
    dozen operations each.

    Args:
        sites: All sites, with priors of one run of the model.
        again: The trace of another run: what differs there depends on other sites.
    """

    def __init__(self, sites: list[Site], again: poutine.Trace) -> None:
        self.names: set[str] = set()
        dim = sites[-1].stop if sites else 0
        self.location, self.precision = torch.zeros(dim), torch.zeros(dim)
        constant = 0.0
        for site in sites:
            entries = slice(site.start, site.stop)
            if site.quantile:
                self.precision[entries] = 1.0
                constant -= 0.5 * (site.stop - site.start) * math.log(2 * math.pi)
                self.names.add(site.name)
                continue
            node: Any = again.nodes[site.name]
            first, second = normal(site.prior), normal(node["fn"])
            plain = not node["cond_indep_stack"] and node["scale"] == 1 and site.real
            if first is None or second is None or not plain:
                continue
            if not all(torch.equal(a, b) for a, b in zip(first, second, strict=True)):
                continue
            location, scale = (part.expand(site.shape).reshape(-1) for part in first)
            self.location[entries] = location
            self.precision[entries] = scale**-2
            constant -= float(scale.double().log().sum()) + 0.5 * len(scale) * math.log(2 * math.pi)
            self.names.add(site.name)
        self.constant = constant

    def log_density(self, flat: Tensor) -> Tensor:
        """Sum of their log densities `(...)`."""
        if not self.names:
            return flat.new_zeros(flat.shape[:-1])
        square = (flat - self.location.to(flat)).square()
        return self.constant - 0.5 * (square * self.precision.to(flat)).sum(-1)


def normal(prior: torch.distributions.Distribution) -> tuple[Tensor, Tensor] | None:
    """Location and scale of independent normal entries; None for what is something else."""
    base = prior
    while isinstance(base, torch.distributions.Independent):
        base = base.base_dist
    return (base.loc, base.scale) if type(base) is pyro.distributions.Normal else None


def compose(
    formalization: Formalization, values: Mapping[str, Tensor], shape: Shape
) -> tuple[Weights, Weights]:
    """Genomic weights and noise parameters that the formalization makes of site values."""
    with unvalidated(), poutine.block(), poutine.condition(data=dict(values)):
        return formalization.weights(shape), formalization.noise.parameters(shape)


def check_given(name: str, value: Tensor, example: Tensor) -> None:
    """Refuse a given value of the wrong shape."""
    if value.shape != example.shape:
        raise ValueError(
            f"given[{name!r}] must have shape {tuple(example.shape)}, got {tuple(value.shape)}"
        )


def is_real(support: constraints.Constraint) -> bool:
    """Whether a support is all real arrays."""
    return getattr(support, "base_constraint", support) is constraints.real


def subsample(node: Mapping[str, object]) -> bool:
    """Whether a trace node is the bookkeeping site of a plate."""
    return type(node["fn"]).__name__ == "_Subsample"
