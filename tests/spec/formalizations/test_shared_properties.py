"""What holds for every hypothesis: labels, batching, gradients, precision, symmetries, sizes."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from genomic_code.spec.formalizations import (
    Conditional,
    Disentangled,
    Epistatic,
    Generative,
    Hotspot,
    Program,
)
from genomic_code.spec.protocols import Data, Shape

MODELS = {
    "hotspot": Hotspot(),
    "epistatic": Epistatic(),
    "program": Program(),
    "generative": Generative(),
    "generative_linear": Generative(decoder="linear"),
    "generative_gaussian_process": Generative(decoder="gaussian_process", frequencies=10),
    "disentangled": Disentangled(),
    "conditional": Conditional(),
}
every = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
SIZES = {"locus": 5, "covariate": 2, "trait": 3}


@every
def test_sites_are_labelled_with_their_dimensions(model, small_data, prior_sites):
    values, dims = prior_sites(model, small_data(), 1)
    for name, value in values.items():
        assert len(dims[name]) == value.dim() - 1
        for dim, size in zip(dims[name], value.shape[1:], strict=True):
            assert SIZES.get(dim, size) == size, (name, dim)


@every
def test_weights_that_read_the_genotype_are_where_the_fit_looks(model, small_data, prior_sites):
    _, dims = prior_sites(model, small_data(), 1)
    readers = {name for name, d in dims.items() if d[0] == "locus" and "_" not in name}
    assert readers == ({"encoder"} if model.rotatable else {"effects"})


@every
def test_gradients_are_finite_at_100_prior_draws(model, small_data, prior_sites, log_joint):
    data = small_data()
    values, _ = prior_sites(model, data, 100)
    for value in values.values():
        value.requires_grad_()
    total = log_joint(model, data, values)
    assert total.shape == (100,)
    assert total.isfinite().all()
    total.sum().backward()
    assert all(value.grad.isfinite().all() for value in values.values())


@every
@pytest.mark.usefixtures("double_precision")
def test_a_batch_of_draws_is_a_loop_over_draws(model, small_data, prior_sites, log_joint):
    data = small_data()
    values, _ = prior_sites(model, data, 6)
    loop = [log_joint(model, data, {k: v[i] for k, v in values.items()}) for i in range(6)]
    batch = {k: v.unflatten(0, (2, 3)) for k, v in values.items()}
    folds = Data(*(table.expand(2, 1, *table.shape) for table in data))
    together = log_joint(model, folds, batch)
    torch.testing.assert_close(together, torch.stack(loop).reshape(2, 3), rtol=1e-12, atol=1e-12)


@every
def test_single_precision_agrees_with_double(model, small_data, prior_sites, log_joint):
    data = small_data()
    values, _ = prior_sites(model, data, 20)
    single = log_joint(model, data, values)
    torch.set_default_dtype(torch.float64)
    try:
        wide = Data(*(t if t.dtype == torch.bool else t.double() for t in data))
        double = log_joint(model, wide, {k: v.double() for k, v in values.items()})
        size = sum(v[0].numel() for v in values.values()) + data.phenotype.numel()
    finally:
        torch.set_default_dtype(torch.float32)
    # rounding of `size` terms that add up, some of which cancel
    bound = torch.finfo(torch.float32).eps * size * (1 + double.abs())
    assert ((single.double() - double).abs() <= bound).all()


@every
@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("what", ["individual", "locus", "trait"])
def test_labels_do_not_matter(model, what, small_data, prior_sites, log_joint):
    data = small_data()
    values, dims = prior_sites(model, data, 4)
    size = {"individual": 9, **SIZES}[what]
    order = torch.randperm(size, generator=torch.Generator().manual_seed(3))
    orders = {what: order}
    if what == "locus" and isinstance(model, Epistatic):
        orders["pair"] = pair_order(model, size, order)
    axes = {"individual": (0, 0, 0, 0, 0), "locus": (1, None, None, None, None)}
    axes["trait"] = (None, None, 1, 1, 1)
    moved = Data(
        *(
            table if axis is None else table.index_select(axis, order)
            for table, axis in zip(data, axes[what], strict=True)
        )
    )
    relabelled = {name: relabel(value, dims[name], orders) for name, value in values.items()}
    before, after = log_joint(model, data, values), log_joint(model, moved, relabelled)
    torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-12)


def relabel(value, dims, orders):
    for axis, dim in enumerate(dims, start=1):
        if dim in orders:
            value = value.index_select(axis, orders[dim])
    return value


def pair_order(model, loci, order):
    """For each pair of relabelled loci, its position among the old pairs."""
    pairs = [frozenset(pair) for pair in model.pairs(loci).mT.tolist()]
    return torch.tensor([pairs.index(frozenset(int(order[i]) for i in pair)) for pair in pairs])


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(
    "model",
    [m for m in MODELS.values() if m.rotatable],
    ids=[k for k, m in MODELS.items() if m.rotatable],
)
def test_the_basis_of_the_genotype_does_not_matter(model, small_data, prior_sites, log_joint):
    data = small_data()
    values, _ = prior_sites(model, data, 4)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1))).Q
    turned = data._replace(genotype=data.genotype @ turn)
    before = log_joint(model, data, values)
    after = log_joint(model, turned, {**values, "encoder": turn.mT @ values["encoder"]})
    torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-12)


@every
def test_development_and_its_gradient_can_be_captured(model, small_data):
    data = small_data()
    first, second = (prior_weights(model, data, seed) for seed in (0, 1))

    def loss(weights):
        return model.develop(weights, data.genotype, data.environment).square().sum()

    captured = make_fx(torch.func.grad(loss))(first)
    for name, gradient in torch.func.grad(loss)(second).items():
        torch.testing.assert_close(captured(second)[name], gradient)


def prior_weights(model, data, seed):
    torch.manual_seed(seed)
    return dict(model.weights(data.shape))


@every
@pytest.mark.parametrize(
    "sizes",
    [
        {"loci": 1},
        {"traits": 1},
        {"individuals": 1},
        {"loci": 2, "traits": 1},
        {"loci": 300, "individuals": 4},
    ],
    ids=str,
)
def test_odd_sizes_develop(model, sizes, small_data, prior_sites, log_joint):
    data = small_data(**sizes)
    values, _ = prior_sites(model, data, 3)
    assert log_joint(model, data, values).isfinite().all()


@every
def test_without_environment(model, small_data, prior_sites, log_joint):
    data = small_data(environments=0)
    if isinstance(model, Conditional):
        with pytest.raises(ValueError, match="use 'generative'"):
            prior_sites(model, data, 1)
        return
    values, _ = prior_sites(model, data, 3)
    assert log_joint(model, data, values).isfinite().all()


@every
def test_20000_loci(model):
    shape = Shape(4, 20_000, 1, 2)
    torch.manual_seed(0)
    genotype, environment = torch.randn(4, 20_000), torch.randn(4, 1)
    assert model.develop(model.weights(shape), genotype, environment).isfinite().all()


@every
def test_priors_explain_between_5_and_95_percent(model):
    """None of 60 prior draws outside: above 95 % of all draws, at 95 % confidence."""
    generator = torch.Generator().manual_seed(0)
    frequency = 0.1 + 0.4 * torch.rand(100, generator=generator)
    genotype = torch.binomial(torch.full((500, 100), 2.0), frequency.expand(500, 100), generator)
    genotype = (genotype - genotype.mean(0)) / genotype.std(0)
    environment = torch.randn(500, 2, generator=generator)
    shape = Shape(500, 100, 2, 12)
    torch.manual_seed(2)
    for _ in range(60):
        weights = model.weights(shape)
        noise = model.noise.parameters(shape)["noise_scale"].square()
        still = {"environment_effect": torch.zeros(2, 12)}
        genetic = model.develop({**weights, **still}, genotype, environment).var(0)
        share = (genetic / (genetic + noise)).mean()
        assert 0.05 < share < 0.95
