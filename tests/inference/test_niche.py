"""Niches and schedules: what they ask for, and what they refuse."""

import pytest
import torch

from genomic_code.inference.niche import Directional, Niche
from genomic_code.inference.schedule import Schedule, as_schedule, modular_targets


def test_stabilising_selection_is_a_normal_log_likelihood_up_to_a_constant() -> None:
    niche = Niche([[0.5, -1.0], [0.0, 2.0]], width=torch.tensor([0.5, 2.0]))
    traits = torch.randn(7, 2, 2)
    density = torch.distributions.Normal(niche.target, niche.width)
    best = density.log_prob(niche.target).sum()
    expected = density.log_prob(traits).sum((-2, -1)) - best
    torch.testing.assert_close(niche.log_fitness(traits), expected, atol=1e-5, rtol=1e-5)


def test_an_infinite_width_leaves_a_trait_alone() -> None:
    niche = Niche([0.0, 0.0], width=torch.tensor([1.0, torch.inf]))
    traits = torch.tensor([[[0.3, 1e6]]])
    assert float(niche.log_fitness(traits)) == pytest.approx(-0.045)


def test_fitness_far_from_the_optimum_does_not_underflow() -> None:
    values = Niche([1e4], width=0.01).log_fitness(torch.tensor([[[0.0]], [[1.0]]]))
    assert values.isfinite().all()
    assert values[1] > values[0]


def test_directional_selection_is_linear() -> None:
    niche = Directional([2.0, -1.0])
    assert float(niche.log_fitness(torch.tensor([[3.0, 4.0]]))) == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": torch.zeros(2, 3, 4)}, r"target must have shape \(conditions, traits\)"),
        ({"target": [float("nan")]}, "target must be finite, got 1 cells.*infinite width"),
        ({"target": [0.0], "width": 0.0}, "width must be one positive number"),
        ({"target": [0.0, 1.0], "width": torch.ones(3)}, "width must be .* or 2 of them"),
        ({"target": [0.0], "environment": torch.ones(2, 1)}, "expected 1, got 2"),
        ({"target": [0.0], "genotype": torch.ones(3, 5)}, "genotype must have one row per row"),
    ],
)
def test_bad_niches_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Niche(**arguments)  # type: ignore[arg-type]


def test_traits_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(\.\.\., 1, 2\).*got \(5, 1, 3\)"):
        Niche([0.0, 0.0]).log_fitness(torch.zeros(5, 1, 3))
    with pytest.raises(ValueError, match="niche 'directional' has"):
        Directional([0.0]).log_fitness(torch.zeros(5, 2, 1))


def test_schedules_switch_when_they_say() -> None:
    niches = [Niche([float(i)], name=str(i)) for i in range(3)]
    plan = Schedule(tuple(niches), period=2)
    assert [plan.at(g).name for g in range(8)] == ["0", "0", "1", "1", "2", "2", "0", "0"]
    assert as_schedule(niches[0]).at(99) is niches[0]
    assert [as_schedule(niches).at(g).name for g in range(4)] == ["0", "1", "2", "0"]
    random = Schedule(tuple(niches), 3, "random", seed=1)
    names = [random.at(g).name for g in range(300)]
    assert all(len(set(names[i : i + 3])) == 1 for i in range(0, 300, 3))
    assert set(names) == {"0", "1", "2"}
    assert names == [random.at(g).name for g in range(300)]


def test_impossible_schedules_are_refused() -> None:
    niche = Niche([0.0])
    with pytest.raises(ValueError, match="niches must hold at least one niche"):
        Schedule(())
    for period in (0, -2, 1.5):
        with pytest.raises(ValueError, match=f"period must be a whole number.*got {period}"):
            Schedule((niche,), period)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="order must be 'cycle' or 'random', got 'shuffle'"):
        Schedule((niche,), order="shuffle")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="niches must agree"):
        Schedule((niche, Niche([0.0, 1.0])))
    with pytest.raises(ValueError, match="generations must be at least 21 for 3 niches"):
        Schedule((niche, Niche([1.0]), Niche([2.0])), 10).check(20)


def test_a_target_is_not_a_niche() -> None:
    with pytest.raises(ValueError, match=r"niches must be a Niche.*got Tensor; .* Niche\(target\)"):
        as_schedule(torch.zeros(2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got list"):
        as_schedule([[0.0, 1.0]])  # type: ignore[list-item]


def test_modular_targets_are_all_combinations_of_blocks() -> None:
    family = modular_targets(3, 6, size=2.0)
    assert family.shape == (8, 6)
    assert len(family.unique(dim=0)) == 8
    assert (family[:, ::2] == family[:, 1::2]).all()
    assert (family.abs() == 2).all()
    with pytest.raises(ValueError, match="traits must be a multiple of modules=3, got 7"):
        modular_targets(3, 7)
