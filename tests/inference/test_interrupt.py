"""Ctrl-C: a fit keeps the best so far, says so, and is marked; a comparison stops."""

import itertools
from typing import Any

import numpy as np
import pytest

from genomic_code.inference import Settings, compare, fit
from genomic_code.inference.engine import capture
from genomic_code.spec import Cohort

QUICK = Settings(restarts=2, screening=30, steps=40, cycles=3, elbo_draws=50, tolerance=1e-9)


def ctrl_c_at(step_number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt the optimisation once, at this step."""
    counter = itertools.count(1)

    def interrupting(*arguments: Any) -> Any:
        step = capture(*arguments)

        def stepped(*state: Any) -> Any:
            if next(counter) == step_number:
                raise KeyboardInterrupt
            return step(*state)

        return stepped

    monkeypatch.setattr("genomic_code.inference.optimise.capture", interrupting)


@pytest.mark.parametrize(("number", "taken"), [(1, 0), (11, 10), (46, 45), (90, 89), (130, 129)])
def test_the_best_so_far_is_kept(
    number: int, taken: int, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctrl_c_at(number, monkeypatch)
    with pytest.warns(
        UserWarning, match=rf"factor: interrupted after {taken} steps.*not converged"
    ):
        fitted = fit("factor", cohort, settings=QUICK, progress=False)
    assert not fitted.converged
    assert len(fitted.history) == taken
    assert "not converged" in repr(fitted)
    assert np.isfinite([fitted.elbo, fitted.elbo_error]).all()
    assert np.isfinite(fitted.predict(draws=10)["mean"]).all()


def test_a_worse_end_does_not_replace_a_better_one(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step into the second cycle, the fit is the one that the first cycle ended with."""
    one = Settings(**{**vars(QUICK), "cycles": 1})
    with pytest.warns(UserWarning, match="raise cycles"):
        first = fit("factor", cohort, settings=one, progress=False)
    ctrl_c_at(2 * 30 + 40 + 2, monkeypatch)
    with pytest.warns(UserWarning, match="interrupted after 101 steps"):
        second = fit("factor", cohort, settings=QUICK, progress=False)
    assert second.elbo >= first.elbo


def test_a_comparison_stops(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    ctrl_c_at(5, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        compare(["factor"], cohort, folds=2, settings=QUICK, progress=False)
