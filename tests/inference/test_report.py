"""The report: one page that says the verdict, loads nothing, and can be read by machines too."""

import dataclasses
import html
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import genomic_code
from genomic_code.inference import Comparison, Settings, compare
from genomic_code.inference.report import write_certificate, write_report, write_trust
from genomic_code.inference.units import standard_error
from genomic_code.spec import Cohort, simulate
from tests.inference.test_own_formalization import Rectified

QUICK = Settings(restarts=2, screening=20, steps=60, cycles=1, elbo_draws=20)
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Text by element, addresses, identifiers; unclosed elements are errors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[tuple[str, str]] = []
        self.identifiers: list[str] = []
        self.tags: list[str] = []
        self.by_id: dict[str, str] = {}
        self.inside = ""
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data", "poster"):
                self.addresses.append((tag, value or ""))
            if name == "id":
                self.inside = value or ""
                self.identifiers.append(self.inside)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.by_id[self.inside] = self.by_id.get(self.inside, "") + data


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    cohort = simulate("factor", individuals=60, loci=8, traits=3, missing=0.05, seed=2)
    cohort.name = "worms & <flies>"
    cohort.dataset.attrs["citation"] = 'Someone (2020) "On worms" & <flies>'
    return compare(["factor", "polygenic"], cohort, folds=2, settings=QUICK, progress=False)


@pytest.fixture(scope="module")
def directory(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    comparison.save(folder)
    return folder


def test_the_page_says_it_all_and_loads_nothing(comparison: Comparison, directory: Path) -> None:
    path = write_report(directory)
    assert path == directory / "report.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.by_id["verdict"] == comparison.verdict
    assert all(
        address.startswith(("#", "data:"))
        or (tag == "a" and address.startswith("https://doi.org/"))
        for tag, address in page.addresses
    )
    assert "script" not in page.tags
    assert "url(http" not in text
    assert "@import" not in text
    assert "<flies>" not in text
    assert page.tags.count("figure") == page.tags.count("svg") == 3
    assert len(page.identifiers) == len(set(page.identifiers))
    targets = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert targets <= set(page.identifiers)
    assert "currentColor" in text
    assert "#010203" not in text
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    words = html.unescape(re.sub(r"<[^>]+>", " ", text))
    for fact in (comparison.cohort.fingerprint, "Seed 0", "torch", "60 individuals, 8 loci",
                 "On worms", "10.1016/j.tig.2025.01.008", "ridge", "cannot say"):  # fmt: skip
        assert fact in words, fact


def test_the_same_directory_gives_the_same_page(directory: Path, tmp_path: Path) -> None:
    one = write_report(directory, tmp_path / "one.html").read_bytes()
    assert one == write_report(directory, tmp_path / "two.html").read_bytes()


@pytest.mark.skipif(
    not (shutil.which("chromium") or shutil.which("google-chrome")), reason="needs a browser"
)
def test_a_browser_reads_the_verdict_without_an_error(
    comparison: Comparison, directory: Path, tmp_path: Path
) -> None:
    path = write_report(directory, tmp_path / "page.html")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser is not None
    run = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert html.escape(comparison.verdict, quote=False) in run.stdout
    assert "CONSOLE" not in run.stderr


def test_certificate_and_trust_light_are_shown(directory: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    shutil.copytree(directory, folder)
    confusion = pd.DataFrame({"factor": [9, 0], "null": [1, 10]}, ["factor", "null"])
    certificate = SimpleNamespace(
        sentence="Data of this size tell them apart.",
        confusion=confusion.assign(right=[0.9, 1.0]),
        formalizations=["factor", "null"],
    )
    write_certificate(certificate, folder)
    findings = [("amber", "k-hat is 0.8"), ("green", "restarts agree")]
    light = SimpleNamespace(light="amber", reasons=["One check failed"], findings=findings)
    write_trust(light, folder)
    text = write_report(folder).read_text(encoding="utf-8")
    Page(text)
    for fact in ("Data of this size", "Trust in the fits: amber", "One check failed", "k-hat"):
        assert fact in text
    (folder / "trust.json").write_text("no json")
    with pytest.raises(ValueError, match=r"trust\.json"):
        write_report(folder)


def test_comparisons_survive_saving(comparison: Comparison, directory: Path) -> None:
    loaded = genomic_code.load(directory)
    assert isinstance(loaded, Comparison)
    pd.testing.assert_frame_equal(loaded.frame, comparison.frame)
    for field in dataclasses.fields(Comparison):
        ours, theirs = getattr(comparison, field.name), getattr(loaded, field.name)
        if field.name in ("cells", "predictions", "pit", "totals"):
            np.testing.assert_array_equal(ours.values, theirs.values)
            assert ours.dims == theirs.dims
        elif field.name == "folds":
            np.testing.assert_array_equal(ours, theirs)
        elif field.name == "cohort":
            assert ours.fingerprint == theirs.fingerprint
        elif field.name == "fits":
            assert list(ours) == list(theirs)
            np.testing.assert_array_equal(
                ours["factor"].flat_draws(7), theirs["factor"].flat_draws(7)
            )
            with pytest.raises(KeyError):
                theirs["nosuch"]
        elif field.name == "absolute":
            assert list(ours) == list(theirs)
            for name, found in ours.items():
                assert str(found) == str(theirs[name])
                pd.testing.assert_frame_equal(found.signatures, theirs[name].signatures)
                pd.testing.assert_frame_equal(found.coverage, theirs[name].coverage)
        elif field.name != "frame":
            assert ours == theirs, field.name
    assert str(loaded) == str(comparison)


def test_groups_are_the_unit_of_errors(cohort: Cohort, tmp_path: Path) -> None:
    families = np.arange(len(cohort)) % 9
    options: dict[str, Any] = {"settings": QUICK, "progress": False, "groups": families}
    result = compare(["factor"], cohort, folds=3, **options)
    assert all(len(set(result.folds[families == family])) == 1 for family in range(9))
    scores = result.cells.sum("trait")
    gap = (scores.sel(formalization="null") - scores.sel(formalization="factor")).values
    assert result.frame.index[0] == "factor"
    assert result.frame.loc["null", "dse"] == pytest.approx(standard_error(gap, families))
    assert "only 9 groups: dse too small" in " ".join(result.frame["warning"])
    one = compare(["factor"], cohort, folds=families == 0, **options)
    assert one.units is None
    assert one.frame["warning"].str.contains("one group held out").all()
    result.save(tmp_path)
    loaded = Comparison.load(tmp_path)
    assert loaded.groups is not None
    assert loaded.groups.tolist() == families.tolist()
    for name, values in result.by_trait.items():
        np.testing.assert_array_equal(loaded.by_trait[name], values)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "differences are paired over groups" in page


def test_a_formalization_of_ones_own_is_reported(tmp_path: Path) -> None:
    cohort = simulate("factor", individuals=40, loci=5, traits=2, seed=0)
    mine = compare([Rectified()], cohort, folds=2, settings=QUICK, progress=False)
    mine.save(tmp_path)
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert page.tags.count("figure") == 3
    assert page.tags.count("img") == 1
    with pytest.raises(ValueError, match="pass your own instance"):
        Comparison.load(tmp_path).fits["rectified"]
    loaded = Comparison.load(tmp_path, [Rectified()])
    assert loaded.fits["rectified"].elbo == mine.fits["rectified"].elbo


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "comparison.json").unlink(), "comparison.json"),
        (lambda folder: (folder / "comparison.json").write_text("{}"), "schema"),
        (
            lambda folder: (folder / "comparison.json").write_text('{"schema": 99}'),
            "newer version",
        ),
        (lambda folder: (folder / "comparison.csv").write_text(""), "comparison.csv"),
        (lambda folder: (folder / "heldout.nc").unlink(), "heldout.nc"),
        (lambda folder: (folder / "cohort.nc").write_bytes(b"x"), "cohort.nc"),
    ],
)
def test_damaged_directories_are_refused(
    change: object, message: str, directory: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    shutil.copytree(directory, folder)
    change(folder)  # type: ignore[operator]
    with pytest.raises(ValueError, match=message):
        write_report(folder)


def test_a_directory_without_results(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"comparison\.json"):
        write_report(tmp_path)


def test_reprs_for_notebooks(comparison: Comparison, cohort: Cohort) -> None:
    shown = comparison._repr_html_()
    assert html.escape(comparison.verdict) in shown
    assert "<flies>" not in shown
    assert "worms &amp; &lt;flies&gt;" in comparison.cohort._repr_html_()
    fit = comparison.fits["factor"]
    assert "ELBO" in fit._repr_html_()
    assert "latents" in fit.formalization._repr_html_()  # type: ignore[attr-defined]
    for text in (shown, cohort._repr_html_(), fit._repr_html_()):
        Page(text)
    assert repr(comparison).startswith("Comparison on 'worms & <flies>'")
