"""Which restarts go on, and what noise they see."""

import pytest
import torch
from torch import Tensor

from genomic_code.inference import DivergenceError, Settings, fit
from genomic_code.inference.engine import State, run
from genomic_code.inference.optimise import choose
from genomic_code.spec import Cohort


def test_the_best_go_on_and_what_diverged_does_not() -> None:
    nan, low = float("nan"), float("-inf")
    score = torch.tensor([[1.0, nan, 3.0, 2.0], [nan, low, nan, -5.0]])
    assert choose(score, 3, "factor")[0].tolist() == [2, 3, 0]
    assert choose(score, 1, "factor").tolist() == [[2], [3]]
    with pytest.raises(DivergenceError, match="factor: none of 2 restarts"):
        choose(torch.tensor([[1.0, 2.0], [nan, low]]), 1, "factor")


def test_a_single_draw_is_followed_by_its_opposite() -> None:
    seen: list[Tensor] = []

    def step(parameters: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(noise.clone())
        return torch.zeros_like(parameters), torch.zeros(parameters.shape[:2])

    run(step, State.start(torch.zeros(1, 2, 6)), 5, 0.1, 0, 3, torch.Generator().manual_seed(0))
    first, second, third, fourth, _ = seen
    assert torch.equal(second, -first)
    assert torch.equal(fourth, -third)
    assert not torch.equal(first.abs(), third.abs())
    seen.clear()
    run(step, State.start(torch.zeros(1, 2, 6)), 2, 0.1, 1, 3, torch.Generator().manual_seed(0))
    assert all(torch.equal(pair[0], -pair[1]) for pair in seen)
    assert not torch.equal(seen[0].abs(), seen[1].abs())


@pytest.mark.parametrize(("restarts", "least"), [(1, 40), (2, 100), (5, 100)])
def test_history_is_that_of_the_best(restarts: int, least: int, cohort: Cohort) -> None:
    """One value for each step that the best restart took; tolerance 1e9 ends after two cycles."""
    settings = Settings(
        restarts=restarts, screening=30, steps=40, cycles=2, elbo_draws=20, tolerance=1e9
    )
    assert settings.least(restarts) == least
    fitted = fit("factor", cohort, settings=settings, progress=False)
    assert len(fitted.history) == least + 40
    assert len(fitted.restart_elbos) == restarts
