"""What every formalization must do; each function raises AssertionError naming what fails.

`cases` lists all registered formalizations with each choice of a `Literal` hyperparameter, so that
a newly registered one is covered without touching this file. A formalization of a user's own may be
passed to the functions as it is. Two optional attributes are read: `example_shape`, where only
certain sizes fit, and `positional = True`, where loci and traits have fixed places and traits have
no means of their own.
"""

import re
from dataclasses import fields, replace
from typing import Literal, get_args, get_origin, get_type_hints

import pyro
import torch
from pyro import poutine
from torch import Tensor

from genomic_code.spec import FORMALIZATIONS, Data, Formalization, Shape
from genomic_code.spec.example import example
from genomic_code.spec.noise import NOISES
from genomic_code.spec.statement import field_notes, statement
from tests.goodness import check_fit


def cases() -> dict[str, Formalization]:
    """Every registered formalization and its variants, by name."""
    found = {}
    for name, kind in FORMALIZATIONS.items():
        found[name] = kind()
        for field, hint in get_type_hints(kind).items():
            if get_origin(hint) is Literal:
                for value in get_args(hint):
                    if value != getattr(found[name], field):
                        found[f"{name}-{value}"] = replace(found[name], **{field: value})
    return found


def is_positional(formalization: Formalization) -> bool:
    return getattr(formalization, "positional", False)


def with_noise(formalization: Formalization, noise: str) -> Formalization:
    return replace(formalization, noise=NOISES[noise]())


# Running the model


def traced(formalization, data, values=None, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = poutine.condition(formalization, values or {})
        return poutine.trace(model).get_trace(data)


def sites_of(trace) -> dict[str, dict]:
    """Latent sites and the phenotype, plates left out."""
    nodes = {name: trace.nodes[name] for name in trace.nodes}
    return {
        name: node
        for name, node in nodes.items()
        if node["type"] == "sample" and type(node["fn"]).__name__ != "_Subsample"
    }


def prior_draw(formalization, data, seed=0) -> dict[str, Tensor]:
    sites = sites_of(traced(formalization, data._replace(phenotype=None), seed=seed))
    return {name: node["value"] for name, node in sites.items() if name != "phenotype"}


def prior_draws(formalization, data, count, seed=0) -> dict[str, Tensor]:
    """Many draws at once: no prior depends on another site, as `check_sites` makes sure."""
    sites = sites_of(traced(formalization, data._replace(phenotype=None)))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return {
            name: node["fn"].sample((count,)) for name, node in sites.items() if name != "phenotype"
        }


def problem(formalization, shape: Shape | None = None, seed: int = 0) -> Data:
    """A cohort drawn from the formalization; a fifth of the cells missing, some error known."""
    data = example(formalization, shape, seed)
    if formalization.noise.standardised:
        generator = torch.Generator().manual_seed(seed)
        data = data._replace(error=0.3 * torch.rand(data.error.shape, generator=generator))
    phenotype = sites_of(traced(formalization, data, seed=seed + 77))["phenotype"]["value"]
    generator = torch.Generator().manual_seed(seed + 1)
    seen = torch.rand(data.error.shape, generator=generator) < 0.8
    phenotype = torch.where(seen, phenotype.to(data.genotype.dtype), 0.0)
    return data._replace(phenotype=phenotype, observed=seen)


def log_joint(formalization, values, data) -> Tensor:
    """Log joint density `(...)` of batched site values."""
    total = torch.zeros(())
    with pyro.validation_enabled(False):
        sites = sites_of(traced(formalization, data, values))
        for name, node in sites.items():
            log_prob = node["fn"].log_prob(node["value"])
            total = total + (log_prob.sum(-1) if name == "phenotype" else log_prob)
    return total


def expected(formalization, values, data) -> Tensor:
    with pyro.validation_enabled(False), poutine.condition(data=values):
        weights = formalization.weights(data.shape)
    traits = formalization.develop(weights, data.genotype, data.environment)
    return traits.expand(*traits.shape[:-2], *data.observed.shape[-2:])


# Checks


def check_sites(formalization) -> None:
    """Dimensions, shapes, dtypes, plates and independence of the sites."""
    data = problem(formalization)
    known = data.shape._asdict()
    sizes = {
        "individual": known["individuals"],
        "locus": known["loci"],
        "covariate": known["environments"],
        "trait": known["traits"],
    }
    trace = traced(formalization, data)
    sites = sites_of(trace)
    shared = {"environment_effect", "phenotype"}
    assert shared | ({"mean"} if not is_positional(formalization) else set()) <= set(sites)
    for name, node in sites.items():
        value, dims = node["value"], node["infer"].get("dims")
        assert dims is not None, f"{name} has no dims"
        assert name not in {dim for other in sites.values() for dim in other["infer"]["dims"]}, (
            f"{name} is both a site and a dimension; labelled data cannot hold that"
        )
        plates = [frame.name for frame in node["cond_indep_stack"]]
        if name == "phenotype":
            assert node["is_observed"]
            assert plates == ["individuals"]
            assert value.shape == data.observed.shape
            continue
        assert not node["is_observed"]
        assert plates == [], f"{name} is in plate {plates}"
        assert node["fn"].batch_shape == (), f"{name} lacks to_event"
        assert value.dtype == torch.get_default_dtype(), f"{name} is {value.dtype}"
        assert len(dims) == value.dim(), f"{name} has dims {dims} and shape {value.shape}"
        assert not node["fn"].support.is_discrete, f"{name} is discrete"
        assert node["fn"].support.check(value).all()
        for dim, size in zip(dims, value.shape, strict=True):
            assert sizes.setdefault(dim, size) == size, f"{name}: {dim} is {size}"
    assert not [name for name, node in trace.nodes.items() if node["type"] == "param"]
    one, other = (sites_of(traced(formalization, data, seed=seed)) for seed in (1, 2))
    for name, node in one.items():
        if name != "phenotype":
            a, b = (side[name]["fn"].log_prob(node["value"]) for side in (one, other))
            assert a == b, f"the prior of {name} depends on another site"


def check_seeds(formalization) -> None:
    """The same seed gives the same draw, another seed another one."""
    data = problem(formalization)
    first, again, other = (prior_draw(formalization, data, seed) for seed in (3, 3, 4))
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert not torch.equal(value, other[name]), f"{name} does not depend on the seed"
    free = data._replace(phenotype=None)
    draws = [sites_of(traced(formalization, free, seed=s))["phenotype"]["value"] for s in (5, 5)]
    assert torch.equal(*draws)


def check_development(formalization) -> None:
    """`develop` is a pure function: no sites, no random numbers, arguments left as they are."""
    data = problem(formalization)
    weights = formalization.weights(data.shape)
    copies = {name: weight.clone() for name, weight in weights.items()}
    before = torch.random.get_rng_state()
    trace = poutine.trace(formalization.develop).get_trace(weights, data.genotype, data.environment)
    assert torch.equal(before, torch.random.get_rng_state()), "develop draws random numbers"
    assert not sites_of(trace), "develop samples sites"
    assert all(torch.equal(copies[name], weights[name]) for name in weights)
    traits = trace.nodes["_RETURN"]["value"]
    assert traits.expand(data.observed.shape).dtype == torch.get_default_dtype()
    assert traits.isfinite().all()


def check_masks(formalization) -> None:
    """Missing cells weigh nothing, observed cells do."""
    data = problem(formalization)
    values = prior_draw(formalization, data)
    start = log_joint(formalization, values, data)
    assert start.isfinite()
    changed = torch.where(data.observed, data.phenotype, 1.0)
    assert log_joint(formalization, values, data._replace(phenotype=changed)) == start
    nothing = data._replace(observed=torch.zeros_like(data.observed))
    prior = sum(
        node["fn"].log_prob(node["value"])
        for name, node in sites_of(traced(formalization, data, values)).items()
        if name != "phenotype"
    )
    torch.testing.assert_close(log_joint(formalization, values, nothing), prior)
    row = data._replace(observed=data.observed & (torch.arange(len(data.observed)) > 0)[:, None])
    assert log_joint(formalization, values, row) != start


def check_gradients(formalization, draws: int = 100) -> None:
    """Log joint and gradient are finite at draws from the prior."""
    data = problem(formalization)
    values = prior_draws(formalization, data, draws)
    leaves = {name: value.requires_grad_() for name, value in values.items()}
    total = log_joint(formalization, leaves, data)
    assert total.shape == (draws,)
    assert total.isfinite().all(), "the log joint is not finite"
    for name, gradient in zip(
        leaves, torch.autograd.grad(total.sum(), list(leaves.values())), strict=True
    ):
        assert gradient.isfinite().all(), f"the gradient of {name} is not finite"


def check_batching(formalization) -> None:
    """Leading dimensions (2, 3), data (2, 1, ...), give what a loop gives."""
    folds = [problem(formalization, seed=seed) for seed in (0, 1)]
    draws = prior_draws(formalization, folds[0], 6)
    values = {name: value.unflatten(0, (2, 3)) for name, value in draws.items()}
    data = Data(*(torch.stack(parts)[:, None] for parts in zip(*folds, strict=True)))
    together = log_joint(formalization, values, data)
    traits = expected(formalization, values, data)
    assert together.shape == (2, 3)
    for f in range(2):
        for r in range(3):
            one = {name: value[f, r] for name, value in values.items()}
            alone = log_joint(formalization, one, folds[f])
            torch.testing.assert_close(together[f, r], alone, rtol=1e-4, atol=1e-3)
            wanted = expected(formalization, one, folds[f])
            torch.testing.assert_close(traits[f, r], wanted, rtol=1e-3, atol=1e-4)


def check_precision(formalization) -> None:
    """float64 runs, and float32 agrees with it."""
    data = problem(formalization)
    values = prior_draw(formalization, data)
    single = expected(formalization, values, data), log_joint(formalization, values, data)
    torch.set_default_dtype(torch.float64)
    try:
        data = Data(*(x if x.dtype == torch.bool else x.double() for x in data))
        values = {name: value.double() for name, value in values.items()}
        double = expected(formalization, values, data), log_joint(formalization, values, data)
        fresh = traced(formalization, data)
        assert all(n["value"].dtype == torch.float64 for n in sites_of(fresh).values())
    finally:
        torch.set_default_dtype(torch.float32)
    assert double[0].dtype == double[1].dtype == torch.float64
    torch.testing.assert_close(single[0].double(), double[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(single[1].double(), double[1], rtol=1e-4, atol=1e-2)


def check_relabelling(formalization) -> None:
    """The log joint does not depend on the order of individuals, loci or traits."""
    data = problem(formalization)
    values, dims = neutral(formalization, data)
    start = log_joint(formalization, values, data)
    traits = expected(formalization, values, data)
    generator = torch.Generator().manual_seed(0)
    kinds = {"individual": 0, "locus": 1, "trait": 2}
    if is_positional(formalization):
        del kinds["trait"], kinds["locus"]
    for kind, axis in kinds.items():
        size = (data.shape.individuals, data.shape.loci, data.shape.traits)[axis]
        order = torch.randperm(size, generator=generator)
        moved = {
            name: permuted(value, dims[name], kind, order, formalization)
            for name, value in values.items()
        }
        cells = {0: (-2,), 1: (), 2: (-1,)}[axis]
        changes = {
            name: getattr(data, name).index_select(dim, order)
            for dim in cells
            for name in ("phenotype", "observed", "error")
        }
        if kind == "individual":
            changes |= {k: getattr(data, k)[order] for k in ("genotype", "environment")}
        if kind == "locus":
            changes |= {"genotype": data.genotype[:, order]}
        there = data._replace(**changes)
        torch.testing.assert_close(
            log_joint(formalization, moved, there), start, rtol=1e-5, atol=1e-3, msg=kind
        )
        wanted = traits if not cells else traits.index_select(cells[0], order)
        torch.testing.assert_close(
            expected(formalization, moved, there), wanted, rtol=1e-3, atol=1e-4, msg=kind
        )


def neutral(formalization, data) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """A prior draw without correlation of traits, whose Cholesky factor depends on their order."""
    nodes = sites_of(traced(formalization, data))
    dims = {name: node["infer"]["dims"] for name, node in nodes.items() if name != "phenotype"}
    values = prior_draw(formalization, data)
    for name in values:
        if dims[name] == ("trait", "trait_other"):
            values[name] = torch.eye(data.shape.traits)
    return values, dims


def permuted(value, dims, kind, order, formalization) -> Tensor:
    """Entries along each dimension of a kind in their new order; pairs of loci follow theirs."""
    for axis, dim in enumerate(dims):
        if dim == kind and not (kind == "trait" and "trait_other" in dims):
            value = value.index_select(axis, order)
        if dim == "pair" and kind == "locus":
            pairs = formalization.pairs(len(order))
            place = {frozenset(pair): i for i, pair in enumerate(pairs.T.tolist())}
            new = [place[frozenset(order[pair].tolist())] for pair in pairs.T]
            value = value.index_select(axis, torch.tensor(new))
    return value


def check_goodness_of_fit(formalization, samples: int = 4001) -> None:
    """Draws of the phenotype follow its log density in a cell; the other cells are masked.

    All individuals are alike, so that their phenotypes are independent draws from one distribution.
    """
    shape = example(formalization).shape
    one = example(formalization, shape._replace(individuals=1))
    data = Data(*(None if x is None else x.expand(samples, -1) for x in one))
    data = data._replace(observed=torch.arange(shape.traits).expand(samples, -1) == 0)
    if formalization.noise.standardised:
        data = data._replace(error=torch.full(data.error.shape, 0.2))
    node = sites_of(traced(formalization, data, seed=2))["phenotype"]
    first = torch.arange(shape.traits) == 0

    def log_density(value):
        return node["fn"].log_prob(torch.where(first, value[:, None], 0.0))

    check_fit(node["value"][:, 0], log_density, node["fn"].support, "phenotype")


def check_priors(formalization, samples: int = 4001) -> None:
    """Draws of every site with independent entries follow its log density."""
    for name, node in sites_of(traced(formalization, example(formalization))).items():
        prior = node["fn"]
        while type(prior).__name__ == "Independent":
            prior = prior.base_dist
        if name == "phenotype" or prior.event_shape:
            continue
        many = prior.expand(torch.Size([samples, *prior.batch_shape]))
        torch.manual_seed(3)
        draws = many.sample().reshape(samples, -1)[:, 0]

        def log_density(value, prior=prior):
            wide = value.reshape(-1, *(1,) * len(prior.batch_shape)).expand(-1, *prior.batch_shape)
            return prior.log_prob(wide).reshape(len(value), -1)[:, 0]

        check_fit(draws, log_density, prior.support, name)


def check_statement(formalization) -> None:
    """Docstring and trace name the same sites, and the equations use every symbol."""
    found = statement(formalization)
    data = example(formalization)
    silent = set(sites_of(traced(formalization, data))) - {"phenotype"}
    noise = statement(formalization.noise)
    stated = set(found.symbols) | set(noise.symbols)
    assert stated == silent, (
        f"stated but not traced: {stated - silent}; not stated: {silent - stated}"
    )
    for one in (found, noise):
        for site, symbol in one.symbols.items():
            letters, _, power = symbol.partition("^")
            word = rf"(?<![A-Za-z]){re.escape(letters)}(_\w+)?" + (rf"\^{power}" if power else "")
            used = re.search(word + "(?![A-Za-z])", one.equations)
            assert used, f"no equation uses {symbol}, the site {site}"
    for label in ("Claims", "Rivals", "Refuted by"):
        assert found.items.get(label), f"the docstring lacks {label!r}"
    assert any(label.startswith("Special case") for label in found.items)


def check_size(formalization, shape: Shape) -> None:
    """A cohort of unusual sizes gives a finite log joint and gradient."""
    data = problem(formalization, shape)
    leaves = {k: v.requires_grad_() for k, v in prior_draw(formalization, data).items()}
    total = log_joint(formalization, leaves, data)
    assert total.isfinite()
    gradients = torch.autograd.grad(total, list(leaves.values()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert expected(formalization, leaves, data).shape == (shape.individuals, shape.traits)


def check_hyperparameters(formalization) -> None:
    """Every field is documented, and the object is frozen."""
    notes = {name: note for name, _, note in field_notes(formalization)}
    assert all(notes[field.name] for field in fields(formalization)), notes
    try:
        formalization.noise = None
    except AttributeError:
        return
    raise AssertionError("the dataclass is not frozen")
