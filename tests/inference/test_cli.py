"""The shell: what a newcomer runs, and one clear line for what is wrong."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import genomic_code
from genomic_code.inference import Fit, Lineage
from genomic_code.inference.cli import app
from genomic_code.spec import FORMALIZATIONS, Cohort, Factor, simulate
from genomic_code.spec.readers.frame import to_dataframe

FAST = ["--quiet", "--jobs", "1", "--folds", "2", "--restarts", "2"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """With the names of the individuals as its index, as pandas users have it."""
    cohort = simulate("factor", individuals=40, loci=5, traits=2, seed=0)
    table = to_dataframe(cohort).set_index("individual")
    table.index.name = None
    return table


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_compare_writes_results(table: pd.DataFrame, tmp_path: Path) -> None:
    source = tmp_path / "mine.csv"
    table.to_csv(source)
    out = tmp_path / "results"
    code, stdout, stderr = run(
        "compare", str(source), *FAST, "--formalizations", "factor", "--out", str(out)
    )
    assert code == 0, stderr
    assert "40 individuals, 5 loci" in stdout
    assert "elpd" in stdout
    assert "ridge" in stdout
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted(
        ["cohort.nc", "comparison.csv", "comparison.json", "differences.png", "elbo.png",
         "factor.nc", "heldout.nc", "null.nc", "predictions.png"]
    )  # fmt: skip
    frame = pd.read_csv(out / "comparison.csv", index_col=0)
    assert np.isfinite(frame["elpd"]).all()
    tree = xr.open_datatree(out / "factor.nc", engine="h5netcdf")
    groups = {"posterior", "posterior_predictive", "log_likelihood", "sample_stats",
              "observed_data", "constant_data"}  # fmt: skip
    assert groups <= set(tree.children)
    assert {"log_p", "log_q"} <= set(tree["sample_stats"].data_vars)
    tree.close()
    code, stdout, stderr = run("report", str(out))
    assert code == 0, stderr
    assert stdout == f"report in {out / 'report.html'}\n"


def test_groups_are_held_out_whole_with_heavy_tails(table: pd.DataFrame, tmp_path: Path) -> None:
    source = tmp_path / "mine.csv"
    table.assign(groups=np.arange(len(table)) % 3).to_csv(source)
    out = tmp_path / "results"
    code, stdout, stderr = run(
        "compare", str(source), "--folds", "group", "--noise", "student_t", "--restarts", "1",
        "--formalizations", "null", "--out", str(out), "--quiet", "--transform", "normal_scores",
        "--prune", "0.2",
    )  # fmt: skip
    assert code == 0, stderr
    assert "transform: normal_scores\n" in stdout
    gone = json.loads((out / "comparison.json").read_text())["cohort"]["loci_pruned"]
    assert f"loci pruned: {gone}\n" in stdout
    report = (out / "report.html") if run("report", str(out))[0] == 0 else None
    assert report is not None
    assert f"{gone} loci that nearly repeated" in report.read_text()
    assert json.loads((out / "comparison.json").read_text())["cohort"]["transform"]
    with xr.open_dataset(out / "heldout.nc", engine="h5netcdf") as held_out:
        assert held_out["fold"].values.tolist() == [i % 3 for i in range(len(table))]
    with xr.open_datatree(out / "null.nc", engine="h5netcdf") as tree:
        assert "StudentT" in tree["fit"].attrs["formalization"]


def test_scheduler_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, stderr = run("compare", *FAST, "--scheduler", "tcp://127.0.0.1:1")
    assert code == 2
    assert "pip install 'genomic-code[cluster]'" in stderr


def broken(table: pd.DataFrame, how: str) -> pd.DataFrame:
    bad = table.copy()
    genotype = next(name for name in bad if name.startswith("genotype:"))
    phenotype = next(name for name in bad if name.startswith("phenotype:"))
    column, value = {
        "constant locus": (genotype, 1.0),
        "constant trait": (phenotype, 2.0),
        "all-missing trait": (phenotype, np.nan),
    }.get(how, (None, None))
    if column is not None:
        bad[column] = value
    elif how == "infinite genotype":
        bad.loc[bad.index[3], genotype] = np.inf
    elif how == "missing genotype":
        bad.loc[bad.index[3], genotype] = np.nan
    elif how == "duplicate names":
        bad.index = pd.Index([*bad.index[:-1], bad.index[0]], name=bad.index.name)
    return bad


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("constant locus", "genotype must vary in every locus"),
        ("constant trait", "phenotype must vary in every trait"),
        ("all-missing trait", "phenotype must have observed cells in every trait"),
        ("infinite genotype", "genotype must be finite"),
        ("missing genotype", "genotype must be complete"),
        ("duplicate names", "individual names must be unique"),
    ],
)
def test_bad_cohorts(how: str, message: str, table: pd.DataFrame, tmp_path: Path) -> None:
    source = tmp_path / "bad.csv"
    broken(table, how).to_csv(source)
    out = tmp_path / "out"
    code, _, stderr = run("compare", str(source), *FAST, "--out", str(out))
    assert code == 2
    assert message in stderr
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert "Traceback" not in stderr
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuchdata"], "cohort must be one of"),
        (["nosuch.csv"], "nosuch.csv"),
        (["--formalizations", "polygenik"], "did you mean 'polygenic'"),
        (["--folds", "1"], "folds must be an integer of at least 2"),
        (["--folds", "thirds"], "folds must be a number, 'group', 'individual', 'split'"),
        (["--folds", "group"], "needs groups, and the cohort has none"),
        (["--noise", "student"], "did you mean 'student_t'"),
        (["--transform", "log,sqrt"], "transform='log' needs positive traits"),
        (["--transform", "normal_scores,sqrt"], "transform must be one of log, normal_scores"),
        (["--transform", "log"], "transform='log' needs positive traits"),
        (["--folds", "1000"], "folds must be at most the number of individuals 300"),
        (["--restarts", "0"], "restarts must be an integer of at least 1"),
        (["--jobs", "-1"], "jobs must be at least 0"),
        (["--traits", "a"], "--traits is about the columns of a file, but the cohort is None"),
    ],
)
def test_bad_arguments(arguments: list[str], message: str) -> None:
    code, _, stderr = run("compare", *arguments, "--quiet")
    assert code == 2
    assert message in stderr
    assert stderr.count("\n") == 1


def test_empty_file(tmp_path: Path) -> None:
    source = tmp_path / "empty.csv"
    source.touch()
    code, _, stderr = run("compare", str(source))
    assert code == 2
    assert "empty" in stderr


def test_unwritable_output_is_found_before_the_work(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a directory")
    code, _, stderr = run("compare", "--quiet", "--out", str(blocker / "results"))
    assert code == 2
    assert "out must be a directory that can be written" in stderr


@pytest.mark.parametrize(
    "command",
    [
        ("compare", "{table}", "--transform", "sqrt", "--out", "{out}"),
        ("certify", "{table}", "--transform", "sqrt", "--out", "{out}"),
        ("fit", "factor", "{table}", "--transform", "sqrt", "--out", "{out}/fit.nc"),
        ("evolvability", "{table}.nc", "--out", "{out}/draws.nc"),
        ("evolve", "factor", "--target", "1,x", "--out", "{out}/lineage.nc"),
        ("evolve", "factor", "--population-size", "0", "--out", "{out}/lineage.nc"),
    ],
)
def test_refused_command_leaves_no_folder(
    table: pd.DataFrame, tmp_path: Path, command: tuple[str, ...]
) -> None:
    table.to_csv(tmp_path / "cohort.csv")
    out = tmp_path / "new" / "results"
    names = {"table": str(tmp_path / "cohort.csv"), "out": str(out)}
    code, _, stderr = run(*(part.format(**names) for part in command))
    assert code == 2, stderr
    assert not out.parent.exists()


def test_help_explains_every_option() -> None:
    code, stdout, _ = run("compare", "--help")
    assert code == 0
    for option in ("--formalizations", "--folds", "--restarts", "--seed", "--jobs", "--out"):
        assert option in stdout


def test_truth_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    small: Cohort = simulate("factor", individuals=40, loci=5, traits=2, seed=0)
    monkeypatch.setattr(
        "genomic_code.inference.cli.comparing.load", lambda source, columns, transform, prune: small
    )
    code, stdout, stderr = run("compare", *FAST, "--formalizations", "null")
    assert code == 0, stderr
    assert "truth: factor, heritability 0.6" in stdout


def test_plain_columns_by_option_and_json(table: pd.DataFrame, tmp_path: Path) -> None:
    """A table as people have it: no prefixes."""
    plain = table.rename(columns=lambda name: name.partition(":")[2] or name)
    plain.insert(0, "plot", [f"p{i % 7}" for i in range(len(plain))])
    plain.rename_axis("id").to_csv(tmp_path / "mine.csv")
    columns = ["--traits", "trait_0, trait_1", "--environment", "covariate_0,covariate_1",
               "--individual", "id", "--groups", "plot"]  # fmt: skip
    source = str(tmp_path / "mine.csv")
    code, stdout, stderr = run(
        "compare", source, *columns, *FAST, "--json", "--formalizations", "null"
    )
    assert code == 0, stderr
    result = json.loads(stdout)
    assert result["winner"] == "null"
    assert (result["cohort"]["locus"], result["cohort"]["covariate"]) == (5, 2)
    assert {row["formalization"] for row in result["table"]} == {"null", "ridge"}
    assert result["cohort"]["fingerprint"] != ""
    forgotten = plain.assign(plot=range(len(plain)))
    forgotten.rename_axis("id").to_csv(tmp_path / "forgotten.csv")
    code, stdout, stderr = run(
        "compare", str(tmp_path / "forgotten.csv"), *columns[:6], *FAST, "--formalizations", "null"
    )
    assert code == 0, stderr
    assert "taken as loci, though not 0, 1 or 2 as the others: plot\n" in stdout
    code, _, stderr = run("compare", source, "--traits", "trait_9", "--quiet")
    assert code == 2
    assert "did you mean 'trait_" in stderr
    code, _, stderr = run("compare", source, "--quiet")
    assert code == 2
    assert "in the shell --traits" in stderr


def test_simulate_fit_evolvability(tmp_path: Path) -> None:
    source, saved = tmp_path / "cohort.csv", tmp_path / "fit.nc"
    sizes = ["--individuals", "40", "--loci", "5", "--traits", "2", "--out", str(source)]
    code, stdout, stderr = run("simulate", "factor", "--set", "latents=2", *sizes)
    assert code == 0, stderr
    assert "40 individuals, 5 loci" in stdout
    assert Cohort.read(source).sizes["trait"] == 2
    quick = ["--restarts", "1", "--quiet", "--out", str(saved)]
    code, stdout, stderr = run("fit", "factor", str(source), "--set", "latents=1", *quick)
    assert code == 0, stderr
    assert f"fit in {saved}" in stdout
    fitted = genomic_code.load(saved)
    assert isinstance(fitted, Fit)
    assert fitted.formalization == Factor(latents=1)
    draws = tmp_path / "draws.nc"
    asked = ["--draws", "20", "--quiet", "--out", str(draws)]
    code, stdout, stderr = run("evolvability", str(saved), *asked, "--json")
    assert code == 0, stderr
    assert set(json.loads(stdout)["tr_G"]) == {"5%", "50%", "95%"}
    assert "metrics" in xr.open_datatree(draws, engine="h5netcdf")


def test_evolve(tmp_path: Path) -> None:
    out = tmp_path / "lineage.nc"
    small = ["--generations", "3", "--loci", "4", "--population-size", "20", "--quiet"]
    code, stdout, stderr = run("evolve", "factor", "--target", "1,-1", *small, "--out", str(out))
    assert code == 0, stderr
    assert "expected_log_fitness" in stdout
    assert len(Lineage.load(out)) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "generativ"], "did you mean 'generative'"),
        (["fit", "generative", "--set", "latent=3"], "did you mean 'latents'"),
        (["fit", "generative", "--set", "latents"], "--set must be key=value"),
        (["fit", "generative", "--set", "latents=many"], "latents must be an integer"),
        (["fit", "null", "--set", "a=1"], "null has no hyperparameters to set"),
        (["fit", "factor", "nosuch.csv"], "nosuch.csv"),
        (["simulate", "factor", "--out", "cohort.xls"], "suffix of out must be one of"),
        (["simulate", "factor", "--out", "nosuch/cohort.csv"], "folder that can be written"),
        (["evolve", "--target", "1,b"], "--target must be numbers"),
        (["evolvability", "nosuch.nc"], "existing file"),
        (["report", "nosuch"], "nosuch"),
        (["card", "generativ"], "did you mean 'generative'"),
    ],
)
def test_mistakes_in_other_commands(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, stderr = run(*arguments)
    assert code == 2
    assert message in stderr
    assert stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_every_command_has_help() -> None:
    code, stdout, _ = run("--help")
    assert code == 0
    for command in ("compare", "report", "fit", "evolvability", "simulate", "evolve", "card"):
        assert command in stdout
        code, own, _ = run(command, "--help")
        assert code == 0
        assert "Usage" in own


def test_completion_knows_the_formalizations() -> None:
    from genomic_code.inference.cli.shared import complete_formalizations, registered

    assert registered() == sorted(FORMALIZATIONS)
    assert complete_formalizations("null,gen") == ["null,gene_circuit", "null,generative"]
