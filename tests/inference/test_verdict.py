"""What the verdict says, of whom, and what it keeps quiet about."""

import numpy as np
from numpy.typing import NDArray

from genomic_code.inference.compare import named
from genomic_code.inference.verdict import judge

MODELS = named(["factor", "polygenic", "generative"])


def scores(**gaps: float) -> dict[str, NDArray[np.float64]]:
    """Densities with a given lead in every individual, and differences of sd 1."""
    rng = np.random.default_rng(0)
    noise = {name: rng.normal(size=200) for name in gaps}
    return {name: gap + noise[name] - noise[name].mean() for name, gap in gaps.items()}


def test_order_changes_nothing() -> None:
    found = scores(null=-1, factor=-0.05, polygenic=-0.5, generative=0.0)
    backwards = dict(reversed(found.items()))
    models = dict(reversed(MODELS.items()))
    assert judge(MODELS, found) == judge(models, backwards)


def test_a_tie_is_no_victory() -> None:
    found = scores(null=-1, factor=-0.05, polygenic=-0.5, generative=0.0)
    verdict = judge(MODELS, found)
    assert verdict.winner == "factor"
    assert verdict.close == ("generative", "factor")
    assert not verdict.decisive
    clear = judge(MODELS, scores(null=-2, factor=-1, polygenic=-2, generative=0.0))
    assert clear.decisive
    assert clear.winner == "generative"


def test_none_of_these_fits() -> None:
    found = scores(null=-2, factor=-1, polygenic=-2, generative=0.0)
    wrong = ["does not reproduce the heavy tails"]
    verdict = judge(MODELS, found, {"generative": wrong})
    assert verdict.winner == "generative"
    assert "none of these fits: even generative does not reproduce" in verdict.sentence
    assert "none of these" not in judge(MODELS, found, {"generative": []}).sentence


def test_what_does_not_fit_cannot_win_where_another_does() -> None:
    wrong = ["does not reproduce the heavy tails"]
    close = scores(null=-2, factor=-0.05, polygenic=-2, generative=0.0)
    verdict = judge(MODELS, close, {"factor": wrong, "generative": []})
    assert verdict.winner == "generative"
    assert verdict.close == ("generative", "factor")
    assert "the simplest not ruled out of those" in verdict.sentence
    assert ", but it does not reproduce the heavy tails)" in verdict.sentence
    neither = judge(MODELS, close, {"factor": wrong, "generative": wrong})
    assert neither.winner == "factor"
    assert "none of these fits: even factor does not" in neither.sentence


def test_null_claims_nothing_and_may_win_though_it_does_not_fit() -> None:
    wrong = ["does not reproduce the heavy tails"]
    close = scores(null=-0.05, factor=-2, polygenic=-2, generative=0.0)
    verdict = judge(MODELS, close, {"null": wrong, "generative": []})
    assert verdict.winner == "null"
    assert "but it does not reproduce the heavy tails, unlike generative" in verdict.sentence


def test_two_caveats_are_one_sentence() -> None:
    found = scores(null=-2, factor=-1, polygenic=-2, generative=0.0, ridge=1.0)
    wrong = ["does not reproduce the heavy tails"]
    sentence = judge(MODELS, found, {"generative": wrong}).sentence
    assert "; but the ridge baseline predicts better by " in sentence
    assert sentence.endswith(
        "so none of these formalizations is adequate; and none of these fits: even generative "
        "does not reproduce the heavy tails."
    )


def test_formalizations_without_scores_are_left_out() -> None:
    verdict = judge(MODELS, scores(null=-2, factor=-0.05, generative=0.0))
    assert "polygenic" not in verdict.sentence


def test_what_another_refutes_cannot_win() -> None:
    # the best varies so much that `factor` is close to it, yet `polygenic` is plainly ahead
    rng = np.random.default_rng(0)
    base, wild = rng.normal(size=200), 12 * rng.normal(size=200)
    found = {
        "null": base - 9,
        "factor": base,
        "polygenic": base + 0.5 + 0.1 * rng.normal(size=200),
        "generative": base + 1.2 + wild - wild.mean(),
    }
    verdict = judge(MODELS, found)
    assert verdict.winner == "polygenic"
    assert verdict.close == ("generative", "polygenic", "factor")
    assert not verdict.decisive
    assert "factor (-100.1 +- 1.4 nats" in verdict.sentence
    assert "but clearly behind polygenic)" in verdict.sentence
