"""The comparison: what its numbers mean, what it says, what it refuses."""

from dataclasses import dataclass, replace
from typing import ClassVar

import arviz_stats
import numpy as np
import pytest
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference import Settings, compare, fit, guide_choice
from genomic_code.inference.compare import CANDIDATES, named, unfit
from genomic_code.inference.fit import fit_folds
from genomic_code.inference.folds import assign_folds
from genomic_code.inference.scores import stacking_weights
from genomic_code.inference.verdict import judge
from genomic_code.spec import Cohort, Factor, Null, Polygenic, Regulatory, simulate
from genomic_code.spec.noise import Bernoulli
from genomic_code.spec.protocols import Weights
from genomic_code.spec.transform import amounts

QUICK = Settings(restarts=3, screening=60, steps=200, elbo_draws=50)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # pandas, within arviz_stats.compare
def test_compare_end_to_end(cohort: Cohort) -> None:
    result = compare(["factor", "polygenic"], cohort, folds=3, settings=QUICK, progress=False)
    assert set(result.frame.index) == {"null", "ridge", "factor", "polygenic"}
    numbers = result.frame.drop(columns=["warning", "loo"]).drop(index="ridge")
    assert np.isfinite(numbers).all(axis=None)
    # sums of cells give the table, and missing cells count for nothing
    cells = result.cells.sel(formalization="factor")
    assert np.isnan(cells.values).sum() == np.isnan(cohort.phenotype.values).sum()
    assert float(cells.sum()) == pytest.approx(result.frame.loc["factor", "elpd"])
    best = result.cells.sel(formalization=result.frame.index[0])
    paired = (cells.fillna(0) - best.fillna(0)).sum("trait").values
    dse = paired.std(ddof=1) * np.sqrt(len(paired))
    assert dse == pytest.approx(result.frame.loc["factor", "dse"])
    assert result.winner in result.verdict
    traits = result.by_trait
    total = traits["elpd"].sum("trait").to_series()
    assert total.to_numpy() == pytest.approx(result.frame["elpd"][total.index].to_numpy())
    assert {"cover50", "cover90", "diff", "dse"} <= set(traits.data_vars)
    data = {name: result.elpd_data(name) for name in ("null", "factor", "polygenic")}
    ranked = arviz_stats.compare(data)
    found = result.frame["elpd"][["null", "factor", "polygenic"]].sort_values(ascending=False)
    assert list(ranked.index) == list(found.index)
    assert ranked["elpd"].to_numpy() == pytest.approx(found.to_numpy(), abs=1)
    again = compare(["polygenic", "factor"], cohort, folds=3, settings=QUICK, progress=False)
    assert again.frame.equals(result.frame), "the order of the formalizations changes nothing"


def test_predictions_of_another_method_are_paired_like_a_row(cohort: Cohort) -> None:
    """With the densities of a row as predictions: its lead, over groups, where some never are out.

    And `null` fitted by hand to the training rows that the comparison names is its row.
    """
    fold = np.where(np.arange(len(cohort)) < 60, np.arange(len(cohort)) % 3, -1)
    groups = np.arange(len(cohort)) % 12
    result = compare(["factor"], cohort, folds=fold, groups=groups, settings=QUICK, progress=False)
    row = result.cells.sel(formalization="factor")
    other = xr.Dataset({"log_predictive": row})
    assert result.ahead(other, "null") == pytest.approx(result.ahead("factor", "null"))
    assert result.ahead(other, "factor") == (0, 0)
    assert result.training.shape == (3, len(cohort))
    by_hand = np.full(cohort.phenotype.shape, np.nan)
    for rows in result.training:
        assert rows[60:].all()
        alone = fit_folds("null", cohort, rows[None], QUICK, 0, progress=False)[0]
        by_hand[~rows] = alone.log_predictive().values[~rows]
    gap, error = result.ahead(xr.Dataset({"log_predictive": row.copy(data=by_hand)}), "null")
    assert abs(gap) < 1, "other draws of the same posterior"
    assert error < 1
    assert result.ahead("factor", "null")[0] > 30


def test_predictions_must_cover_what_is_compared(cohort: Cohort) -> None:
    options = {"folds": 2, "settings": QUICK, "progress": False}
    result = compare(["null"], cohort, **options)
    cells = result.cells.sel(formalization="null")
    hole = cells.where(cells > cells.min())
    for wrong in (hole, cells[:-1]):
        with pytest.raises(ValueError, match="predict from the training rows of the comparison"):
            result.ahead(xr.Dataset({"log_predictive": wrong}), "null")
    with pytest.raises(ValueError, match="with log_predictive, got DataArray"):
        result.ahead(cells, "null")
    turned = xr.Dataset({"log_predictive": cells.transpose()})
    assert result.ahead(turned, "null") == (0, 0)
    twice = compare(["null"], cohort, repeats=2, **options)
    with pytest.raises(ValueError, match="first must be a row where folds are drawn 2 times"):
        twice.ahead(xr.Dataset({"log_predictive": cells}), "null")


def test_a_verdict_on_amounts_asks_for_the_log_scale(cohort: Cohort) -> None:
    dataset = cohort.dataset.assign(phenotype=np.exp(cohort.phenotype))
    raw = Cohort.from_dataset(dataset)
    options = {"folds": 2, "settings": QUICK, "progress": False}
    result = compare(["factor"], raw, **options)
    assert f"The scale may decide it: {len(amounts(raw))} of" in result.verdict
    logged = compare(["factor"], raw.transform("log"), **options)
    assert "scale" not in logged.verdict
    assert logged.frame["elpd"].to_numpy() == pytest.approx(
        compare(["factor"], cohort, **options).frame["elpd"].to_numpy(), abs=1e-3
    )


def test_a_verdict_on_what_was_not_detected_says_so(cohort: Cohort) -> None:
    values = cohort.phenotype.values.copy()
    limit = np.nanquantile(values[:, 0], 0.3)
    values[:, 0] = np.maximum(values[:, 0], limit)
    raw = Cohort.from_dataset(cohort.dataset.assign(phenotype=(("individual", "trait"), values)))
    options = {"folds": 2, "settings": QUICK, "progress": False}
    words = f"1 of {cohort.sizes['trait']} traits, {cohort.labels('trait')[0]} among them, pile up"
    assert words in compare(["factor"], raw, **options).verdict
    assert "pile up" not in compare(["factor"], raw.transform("quantified"), **options).verdict
    there = Factor(noise=Bernoulli())
    assert "pile up" not in compare([there], raw.transform("detected"), **options).verdict


def test_processes_change_nothing(cohort: Cohort) -> None:
    one = compare(["factor"], cohort, folds=2, settings=QUICK, progress=False)
    two = compare(["factor"], cohort, folds=2, settings=QUICK, jobs=2, progress=False)
    assert one.frame.equals(two.frame)


@dataclass(frozen=True)
class Twin(Factor):
    name: ClassVar[str] = "twin"


def test_the_same_model_twice_gets_equal_weight(cohort: Cohort) -> None:
    result = compare([Factor(), Twin()], cohort, folds=2, settings=QUICK, progress=False)
    rows = result.frame.loc[["factor", "twin"]]
    assert rows["elpd"].nunique() == rows["weight"].nunique() == 1


@dataclass(frozen=True)
class Exploding(Factor):
    name: ClassVar[str] = "exploding"

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        return super().develop(weights, genotype, environment) * torch.inf


def test_one_that_diverges_does_not_stop_the_others(cohort: Cohort) -> None:
    result = compare([Exploding(), "factor"], cohort, folds=2, settings=QUICK, progress=False)
    row = result.frame.loc["exploding"]
    assert row["warning"].startswith("failed: exploding")
    assert row.drop("warning").isna().all()
    assert result.frame.index[-1] == "exploding"
    assert "could not be fitted: exploding" in result.verdict
    assert result.winner in ("factor", "null")


def test_what_a_cohort_does_not_allow_is_skipped() -> None:
    bare = simulate("factor", individuals=30, loci=5, traits=2, environments=0, seed=0)
    reasons = unfit(named(CANDIDATES), bare)
    assert list(reasons) == ["conditional"]
    assert "needs at least 1 environment" in reasons["conditional"]
    with pytest.raises(ValueError, match="needs at least 1 environment"):
        compare(["conditional"], bare, progress=False)


def test_published_split_scores_the_test_part_only() -> None:
    plain = simulate("factor", individuals=60, loci=8, traits=2, seed=0)
    split = np.where(np.arange(60) < 40, "train", "test")
    cohort = Cohort(plain.genotype, plain.phenotype, split=split)
    result = compare(["factor"], cohort, folds="split", settings=QUICK, progress=False)
    assert np.isnan(result.cells.values[:, :40]).all()
    elpd = float(result.cells.sel(formalization="factor").sum())
    assert elpd == pytest.approx(result.frame.loc["factor", "elpd"])
    assert result.folds.tolist() == [-1] * 40 + [0] * 20


def density(rng: np.random.Generator, mean: float) -> NDArray[np.float64]:
    return -100 + mean + rng.normal(size=200)


def test_verdict_prefers_the_simplest_within_two_errors() -> None:
    rng = np.random.default_rng(0)
    models = named(["factor", "polygenic", "generative"])
    base = density(rng, 0)
    scores = {
        "null": base - 1,
        "factor": base - 0.1 * np.sign(rng.normal(size=200)) * rng.random(200),
        "polygenic": base - 0.5,
        "generative": base,
        "ridge": base - 0.5,
    }
    winner, close, sentence = judge(models, scores)
    assert winner == "factor"
    assert set(close) == {"factor", "generative"}
    assert "indistinguishable at this sample size" in sentence
    scores["factor"] = base - 0.5
    winner, _, sentence = judge(models, scores)
    assert winner == "generative"
    assert "better than every other" in sentence
    scores["ridge"] = base + 1 + 0.1 * rng.normal(size=200)
    assert "none of these formalizations is adequate" in judge(models, scores).sentence
    flat = dict.fromkeys(scores, base)
    winner, _, sentence = judge(models, flat)
    assert winner == "null"
    assert "no heritable signal" in sentence


def test_null_data_give_null() -> None:
    cohort = simulate("null", individuals=120, loci=15, traits=3, seed=0)
    result = compare(["factor", "polygenic"], cohort, settings=QUICK, progress=False)
    assert result.winner == "null"


def test_held_out_individuals_do_not_leak() -> None:
    """Absurd phenotypes in one fold leave the predictions for that fold as they were."""
    cohort = simulate("polygenic", individuals=60, loci=8, traits=2, seed=1)
    fold = assign_folds(cohort, 2, 0)
    phenotype = cohort.phenotype.values.copy()
    phenotype[fold == 0] = 50 + 10 * phenotype[fold == 0]
    changed = Cohort(cohort.genotype, phenotype, environment=cohort.environment)
    once = replace(QUICK, cycles=1)  # folds of one batch end together, when the last has converged
    results = [
        compare(["polygenic"], each, folds=2, settings=once, progress=False)
        for each in (cohort, changed)
    ]
    for name in ("polygenic", "ridge"):
        first, second = (r.predictions.sel(formalization=name).values[fold == 0] for r in results)
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-4)


def test_folds() -> None:
    genotype = np.random.default_rng(0).binomial(2, 0.5, (20, 3))
    phenotype = np.random.default_rng(1).normal(size=(20, 1))
    fold = assign_folds(Cohort(genotype, phenotype), 3, 0)
    assert sorted(np.bincount(fold)) == [6, 7, 7]
    groups = np.repeat(list("abcdefg"), [6, 4, 3, 3, 2, 1, 1])
    kin = Cohort(genotype, phenotype, groups=groups)
    fold = assign_folds(kin, 3, 0)
    assert all(len(set(fold[groups == g])) == 1 for g in "abcdefg")
    assert sorted(np.bincount(fold)) == [6, 7, 7]
    with pytest.raises(ValueError, match="at most the number of individuals 20, got 21"):
        assign_folds(Cohort(genotype, phenotype), 21, 0)
    with pytest.raises(ValueError, match="at most the number of groups 7, got 8"):
        assign_folds(kin, 8, 0)
    with pytest.raises(ValueError, match="integer of at least 2, got 1"):
        assign_folds(kin, 1, 0)


def test_names_must_differ(cohort: Cohort) -> None:
    with pytest.raises(ValueError, match="different names, got 'polygenic' twice"):
        compare([Polygenic(), Polygenic(concentration=3.0)], cohort)
    with pytest.raises(ValueError, match="did you mean 'polygenic'"):
        compare(["polygenik"], cohort)
    assert list(named(["generative", Null()])) == ["null", "generative"]


def test_stacking_finds_the_better_predictor() -> None:
    rng = np.random.default_rng(0)
    good, bad = density(rng, 0), density(rng, -3)
    assert stacking_weights(np.stack([good, bad]))[0] > 0.95
    assert stacking_weights(np.stack([good, good])) == pytest.approx([0.5, 0.5])


def test_a_formalization_that_the_guide_prunes_says_so():
    small = Settings(restarts=1, screening=5, steps=20, cycles=2, tolerance=100, elbo_draws=4)
    few = simulate("factor", individuals=40, loci=4, traits=2, seed=0)
    pruned = Regulatory(outer=4, inner=3, latents=1, hidden=2)
    with pytest.warns(UserWarning, match=r"regulatory: a mean-field guide prunes"):
        fit(pruned, few, settings=small, progress=False)
    table = compare(["null", pruned], few, folds=2, settings=small, progress=False).frame
    assert "see NetworkEnsemble" in table.loc["regulatory", "warning"]
    assert "NetworkEnsemble" not in table.loc["null", "warning"]


def test_effects_by_mean_field_for_want_of_time_say_so(monkeypatch):
    monkeypatch.setattr(guide_choice, "WORK", 0)
    small = Settings(restarts=1, screening=5, steps=20, cycles=2, tolerance=100, elbo_draws=4)
    few = simulate("factor", individuals=40, loci=4, traits=2, seed=0)
    table = compare(["null", "blueprint"], few, folds=2, settings=small, progress=False).frame
    assert "effects by mean field" in table.loc["blueprint", "warning"]
    assert "mean field" not in table.loc["null", "warning"]
    with pytest.warns(UserWarning, match="blueprint: effects by mean field.*prune them"):
        fit("blueprint", few, settings=small, progress=False)
    fit("blueprint", few, settings=replace(small, guide="meanfield"), progress=False)
