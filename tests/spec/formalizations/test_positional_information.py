"""Positional information: one local rule, which knows its place by maternal gradients alone."""

import pyro
import pytest
import torch

from genomic_code.spec import PositionalInformation, Shape
from genomic_code.spec.gapgenes import GENES
from genomic_code.spec.maternal import early_hunchback
from genomic_code.spec.noise import Normal

pytestmark = pytest.mark.usefixtures("double_precision")

SHAPE = Shape(4, 4, 0, 4 * 30)
DOSES = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 1], [1, 0, 0, 0], [1, 1, 0, 1]])
NOTHING = torch.zeros(4, 0)


def drawn(model, seed=0):
    pyro.set_rng_seed(seed)
    return model.weights(SHAPE)


def levels(model, weights, doses=DOSES):
    """Levels `(N, genes, P)`."""
    expected = model.develop(weights, doses.double(), NOTHING[: len(doses)])
    return expected.unflatten(-1, (len(GENES), 30))


def test_without_gradients_every_nucleus_is_alike():
    """Embryos of mothers without bicoid, nanos and torso have no position: flat patterns."""
    for seed in range(5):
        flat = levels(PositionalInformation(), drawn(PositionalInformation(), seed))[1]
        torch.testing.assert_close(flat, flat[:, :1].expand_as(flat))


def test_levels_are_bounded_and_vary():
    weights = drawn(PositionalInformation())
    found = levels(PositionalInformation(), weights)
    assert (found >= 0).all()
    assert (found <= weights["level"][:, None]).all()
    assert found[0].std() > 0.01


def test_the_rule_is_local():
    """Nuclei with equal maternal inputs have equal levels, whatever their place and genotype."""
    model = PositionalInformation()
    weights = drawn(model)
    maternal = model.encode(weights, DOSES.double(), 30)
    shuffled = torch.randperm(30)
    decoded = model.decode(weights, maternal)
    torch.testing.assert_close(model.decode(weights, maternal[:, shuffled]), decoded[:, shuffled])
    torch.testing.assert_close(decoded.mT.flatten(-2), levels(model, weights).flatten(-2))


def test_hunchback_of_the_mother_and_of_the_embryo_are_one_protein():
    """Where Bicoid is plenty nobody misses the mother's; without Bicoid there is no other."""
    model = PositionalInformation()
    weights = drawn(model)
    maternal = model.encode(weights, DOSES.double(), 30)
    bicoid, mothers = maternal[..., 0], maternal[..., 3]
    power = (bicoid / weights["hunchback_half"]) ** weights["hunchback_hill"]
    found = early_hunchback(weights, maternal)
    torch.testing.assert_close(found, mothers + (1 - mothers) * power / (1 + power))
    torch.testing.assert_close(found[1], mothers[1])
    plenty = torch.tensor([[1e3, 0, 0, 0], [1e3, 0, 0, 1]]).double()
    decoded = model.decode(weights, plenty[None])
    torch.testing.assert_close(decoded[:, 0], decoded[:, 1])
    stacked = {name: torch.stack([value, value]) for name, value in weights.items()}
    torch.testing.assert_close(early_hunchback(stacked, maternal)[1], found)


def test_one_latent_of_bicoid_alone_is_monotone_in_its_place():
    """With one hidden unit that reads bicoid alone, levels rise or fall along the embryo."""
    model = PositionalInformation(latents=1, hidden=1)
    weights = {name: value.clone() for name, value in drawn(model).items()}
    weights["latent_input"][1:] = 0
    steps = levels(model, weights, DOSES[:1])[0].diff(dim=-1)
    assert ((steps >= 0).all(-1) | (steps <= 0).all(-1)).all()


def test_starts_differ_and_fit(small_data):
    model = PositionalInformation()
    data = small_data()._replace(genotype=torch.rand(7, 4))
    generator = torch.Generator().manual_seed(0)
    first, second = (model.starts(data, generator) for _ in range(2))
    assert {name: tuple(value.shape) for name, value in first.items()} == {
        name: tuple(sizes.values()) for name, sizes in model.sizes().items()
    }
    assert all(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"latents": 0}, "latents must be"),
        ({"genes": 0}, "genes must be"),
        ({"span": (0.5, 0.2)}, "span must be"),
    ],
)
def test_unfit_fields_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        PositionalInformation(**fields)


def test_shared_noise_is_one_number():
    torch.manual_seed(0)
    scale = Normal(shared=True, typical=0.2).parameters(SHAPE)["noise_scale"]
    assert scale.shape == (120,)
    assert (scale == scale[0]).all()
    many = torch.stack(
        [Normal(shared=True, typical=0.2).parameters(SHAPE)["noise_scale"][0] for _ in range(400)]
    )
    assert many.median().item() == pytest.approx(0.2, rel=0.13)  # four standard errors
    with pytest.raises(ValueError, match="typical must be positive"):
        Normal(typical=0)
