"""The certificate: cohorts like the user's, binomial intervals, resuming, plain words."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from genomic_code.inference import Settings, certify
from genomic_code.inference.certificate import Certificate, confusion, crossing, interval
from genomic_code.inference.certify import twin
from genomic_code.inference.cli.certifying import certify as shell
from genomic_code.spec import Cohort, simulate

QUICK = Settings(restarts=2, screening=40, steps=120, cycles=1, elbo_draws=20)


def test_wilson() -> None:
    low, high = interval(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert interval(0, 0) == (0, 1)


@pytest.fixture
def cohort() -> Cohort:
    plain = simulate("factor", individuals=50, loci=8, traits=3, missing=0.1, error=0.2, seed=0)
    groups = np.repeat(np.arange(10), 5)
    return Cohort(
        plain.genotype, plain.phenotype, environment=plain.environment, error=plain.error,
        groups=groups,
    )  # fmt: skip


def test_twins_are_like_the_cohort(cohort: Cohort) -> None:
    own = twin(cohort, "generative", 0.5, 0, 50)
    np.testing.assert_array_equal(own.genotype, cohort.genotype)
    np.testing.assert_array_equal(own.environment, cohort.environment)
    np.testing.assert_array_equal(np.isnan(own.phenotype), np.isnan(cohort.phenotype))
    np.testing.assert_array_equal(own.groups, cohort.groups)
    assert own.error is not None
    assert not np.array_equal(own.phenotype, twin(cohort, "generative", 0.5, 1, 50).phenotype)
    np.testing.assert_array_equal(own.phenotype, twin(cohort, "generative", 0.5, 0, 50).phenotype)
    assert len(twin(cohort, "factor", 0.5, 0, 25)) == 25
    large = twin(cohort, "factor", 0.5, 0, 120)
    assert len(large) == 120
    np.testing.assert_array_equal(large.genotype[:50], cohort.genotype)


def test_a_covariate_that_no_longer_varies_is_left_out() -> None:
    plain = simulate("factor", individuals=40, loci=6, traits=2, environments=0, seed=0)
    rare = np.zeros((40, 1))
    rare[7] = 1
    cohort = Cohort(plain.genotype.values, plain.phenotype.values, environment=rare)
    assert twin(cohort, "factor", 0.5, 0, 40).environment is not None
    halves = [twin(cohort, "factor", 0.5, seed, 20) for seed in range(6)]
    assert {half.environment is None for half in halves} == {True, False}


def test_resumes(cohort: Cohort, tmp_path: Path) -> None:
    options = {"replicates": 1, "sizes": (1.0,), "folds": 2, "settings": QUICK, "progress": False}
    first = certify(cohort, ["null", "factor"], out=tmp_path, **options)  # type: ignore[arg-type]
    files = sorted(tmp_path.glob("*-50-0.json"))
    assert [path.name for path in files] == ["factor-50-0.json", "null-50-0.json"]
    # what is on disk is not done again
    record = json.loads(files[0].read_text())
    files[0].write_text(json.dumps(record | {"winner": "null", "decisive": True}))
    files[1].unlink()
    second = certify(cohort, ["null", "factor"], out=tmp_path, **options)  # type: ignore[arg-type]
    assert second.confusion.loc["factor", "null"] == 1
    assert second.misleading == (1, 2)
    null = first.records["truth"] == "null"
    assert first.records[null].equals(second.records[null])
    with pytest.raises(ValueError, match="holds others"):
        certify(cohort, ["null", "polygenic"], out=tmp_path, **options)  # type: ignore[arg-type]


def records(shares: dict[int, int]) -> pd.DataFrame:
    rows = [
        {"truth": "factor", "winner": "factor" if i < right else "null", "decisive": i % 2 == 0,
         "individuals": n}
        for n, right in shares.items()
        for i in range(10)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def certificate(shares: dict[int, int]) -> Certificate:
    sizes = {"individual": 200, "locus": 10, "covariate": 0, "trait": 2}
    return Certificate("mine", sizes, 0.5, records(shares), ["null", "factor"])


def test_words_and_numbers() -> None:
    found = certificate({100: 5, 200: 8})
    assert found.recovered == (8, 10)
    assert found.misleading == (1, 10)
    assert found.by_size["share"].tolist() == [0.5, 0.8]
    size, how = found.needed
    assert size is not None
    assert 200 < size < 1000
    assert "extrapolated" in how
    assert "8 of 10 simulated cohorts (80%, 95 % interval 49% to 94%)" in found.sentence
    assert found.sentence in str(found)
    assert "<table" in found._repr_html_()
    assert certificate({100: 9, 200: 10}).needed == (100, "measured at this size")
    assert certificate({200: 5}).needed[0] is None
    assert "Mostly missed: factor (taken for null)" in certificate({200: 1}).sentence
    table = confusion(records({200: 8}), ["null", "factor"])
    assert table.loc["factor", ["null", "factor"]].tolist() == [2, 8]
    assert np.isnan(table.loc["null", "share"])


def test_curve_crosses_where_it_should() -> None:
    """Shares of a logistic curve in log N with many cohorts give its crossing back."""
    size = np.array([50, 100, 200, 400])
    share = 1 / (1 + np.exp(-1.5 * (np.log(size) - np.log(150))))
    table = pd.DataFrame({"recovered": 1e5 * share, "cohorts": 1e5}, index=size)
    exact = 150 * 9 ** (1 / 1.5)
    assert crossing(table) == pytest.approx(exact, rel=0.01)


def test_mistakes(cohort: Cohort) -> None:
    with pytest.raises(ValueError, match="replicates must be an integer of at least 1, got 0"):
        certify(cohort, replicates=0)
    with pytest.raises(ValueError, match="multiples with 1 among them"):
        certify(cohort, sizes=(0.5, 2.0))


def test_shell(cohort: Cohort, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(shell)
    source = tmp_path / "mine.nc"
    cohort.to_netcdf(source)
    options = ["--quiet", "--jobs", "1", "--formalizations", "null", "--sizes", "1"]
    options += ["--folds", "2", "--restarts", "1"]
    found = CliRunner().invoke(
        app, [str(source), *options, "--replicates", "2", "--out", str(tmp_path / "twins")]
    )
    assert found.exit_code == 0, found.stderr
    assert "the verdict was the truth in 2 of 2 simulated cohorts" in found.stdout
    assert len(list((tmp_path / "twins").glob("null-50-*.json"))) == 2
    for wrong, message in (
        (["--sizes", "half"], "sizes must be numbers"),
        (["--sizes", "0.5"], "1 among them"),
        (["--replicates", "0"], "replicates must be an integer of at least 1"),
        (["--jobs", "-1"], "jobs must be at least 0"),
    ):
        found = CliRunner().invoke(app, [str(source), "--quiet", *wrong])
        assert found.exit_code == 2
        assert message in found.stderr
