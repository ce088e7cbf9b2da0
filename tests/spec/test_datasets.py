"""Data sets by name: the records, the errors without a network, and, with a mirror, the data."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pooch
import pytest

from genomic_code.spec import Cohort, datasets
from genomic_code.spec.datasets.fetch import fetch
from genomic_code.spec.datasets.record import File, Record

mirrored = pytest.mark.skipif(
    not os.environ.get(datasets.MIRROR), reason=f"{datasets.MIRROR} names no mirror"
)

CONTENT = b"individual,genotype:a,phenotype:t\n1,0,1.5\n2,1,2.5\n"


def record(name: str = "toy", source: str = "owner/repository@commit:toy.csv") -> Record:
    file = File("toy.csv", hashlib.sha256(CONTENT).hexdigest(), source)
    return Record(
        name=name,
        description="two individuals",
        sizes=(2, 1, 1),
        folder="toy",
        files=(file,),
        citation="Nobody 2020, doi:10.0/0",
        licence="none",
        build=lambda files: Cohort.read(files["toy.csv"]),
        package="" if source else "the Python package toy 1.0",
        module="" if source else "toy_package",
        module_folder="" if source else "data",
    )


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setitem(datasets.DATASETS, "toy", record())
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    (tmp_path / "toy").mkdir()
    return tmp_path / "toy" / "toy.csv"


def test_records_are_complete():
    table = datasets.list()
    assert {
        "bloom2013", "kinsler2020", "petkova2019", "mpsa", "amyloid", "tdp43", "smn1",
        "multitrait", "haber2016", "mallard"
    } <= set(table.index)  # fmt: skip
    assert table.index.is_unique
    assert table["citation"].str.contains("doi:10.").all()
    assert (table[["description", "licence", "origin"]] != "").all(axis=None)
    for entry in datasets.DATASETS.values():
        for file in entry.files:
            assert len(file.sha256) == 64
            assert bool(file.source) != bool(entry.package)
            if file.source:
                assert file.url.startswith("https://raw.githubusercontent.com/")
                assert len(file.source.partition("@")[2].partition(":")[0]) == 40


def test_load_from_the_mirror_carries_the_citation(toy: Path, capsys: pytest.CaptureFixture[str]):
    toy.write_bytes(CONTENT)
    cohort = datasets.load("toy")
    assert cohort.name == "toy"
    assert cohort.dataset.attrs["citation"] == "Nobody 2020, doi:10.0/0"
    assert cohort.phenotype.values[:, 0].tolist() == [1.5, 2.5]
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'bloom2013'"):
        datasets.load("bloom2014")


def test_missing_mirror_file(toy: Path):
    with pytest.raises(ValueError, match=r"'toy'.*no file 'toy\.csv'.*put it there.*or unset"):
        datasets.load("toy")


def test_wrong_checksum_in_the_mirror(toy: Path):
    toy.write_bytes(CONTENT + b"3,1,1\n")
    with pytest.raises(ValueError, match=r"'toy'.*'toy\.csv'.*SHA-256.*replace it"):
        datasets.load("toy")
    assert toy.exists()


def test_unreadable_mirror_file(toy: Path):
    toy.mkdir()
    with pytest.raises(ValueError, match=r"'toy'.*no file 'toy\.csv'"):
        datasets.load("toy")


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder served as upstream would, with an empty cache beside it."""
    served = tmp_path / "served"
    served.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(served))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.delenv(datasets.MIRROR, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "cache")
    monkeypatch.setattr(File, "url", property(lambda file: f"{address}/{file.name}"))
    yield served
    server.shutdown()
    server.server_close()


def test_download_is_checked_cached_and_silent(
    upstream: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    (upstream / "toy.csv").write_bytes(CONTENT)
    path = fetch(record())["toy.csv"]
    assert path == tmp_path / "cache" / "toy" / "toy.csv"
    assert path.read_bytes() == CONTENT
    (upstream / "toy.csv").unlink()
    assert fetch(record())["toy.csv"] == path
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def test_upstream_without_the_file(upstream: Path):
    with pytest.raises(ValueError, match=r"'toy'.*'toy\.csv' could not be downloaded.*404"):
        fetch(record())


def test_changed_upstream_is_refused_and_not_kept(upstream: Path, tmp_path: Path):
    (upstream / "toy.csv").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"'toy'.*'toy\.csv'.*upstream has changed.*removed"):
        fetch(record())
    assert not (tmp_path / "cache" / "toy" / "toy.csv").exists()


def test_no_network(upstream: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(File, "url", property(lambda _: "http://127.0.0.1:9/toy.csv"))
    with pytest.raises(ValueError, match=r"'toy'.*'toy\.csv' could not be downloaded.*network, or"):
        fetch(record())


def test_packaged_file_is_found_in_the_installed_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv(datasets.MIRROR, raising=False)
    packaged = record(source="")
    with pytest.raises(ValueError, match=r"'toy'.*'toy\.csv'.*install the Python package toy 1\.0"):
        fetch(packaged)
    folder = tmp_path / "toy_package" / "data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    (folder / "toy.csv").write_bytes(CONTENT)
    assert fetch(packaged)["toy.csv"] == folder / "toy.csv"
    (folder / "toy.csv").write_bytes(b"another version")
    with pytest.raises(ValueError, match="that very version"):
        fetch(packaged)


def test_package_without_module_needs_the_mirror(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(datasets.MIRROR, raising=False)
    with pytest.raises(ValueError, match=r"comes with the .*set GENOMIC_CODE_DATA"):
        fetch(replace(datasets.DATASETS["multitrait"]))


@mirrored
@pytest.mark.parametrize(
    "name", [n for n in datasets.DATASETS if n not in ("tdp43", "amyloid", "smn1")]
)
def test_load(name: str):
    cohort = datasets.load(name)
    sizes = cohort.sizes
    expected = datasets.DATASETS[name].sizes
    assert (sizes["individual"], sizes["locus"], sizes["trait"]) == expected
    assert "doi:10." in cohort.dataset.attrs["citation"]


@mirrored
@pytest.mark.slow
@pytest.mark.parametrize("name", ["tdp43", "amyloid"])
def test_load_large(name: str):
    test_load(name)


@mirrored
def test_bloom_labels_and_missing_cells():
    cohort = datasets.load("bloom2013")
    assert cohort.labels("individual")[:2] == ["A01_01", "A01_02"]
    assert cohort.labels("trait")[0] == "Cadmium_Chloride"
    assert cohort.dataset["chromosome"].values[0] == "chr01"
    assert int(cohort.dataset["position"].values[-1]) == 931944
    missing = np.isnan(cohort.phenotype.values)
    assert 0.40 < missing.mean(0).max() < 0.41
    assert int(missing.all(1).sum()) == 1
    assert set(np.unique(cohort.genotype.values)) == {0.0, 1.0}


@mirrored
def test_kinsler_split():
    cohort = datasets.load("kinsler2020")
    assert cohort.split is not None
    assert cohort.error is not None
    assert (cohort.split == "train").sum() == 60
    assert (cohort.split == "test").sum() == 232
    assert cohort.dataset["genotype_error"].dims == ("individual", "locus")
    train = cohort.select(cohort.split.values == "train")
    assert train.sizes["individual"] == train.dataset["mutation_type"].size == 60


@mirrored
def test_mpsa_readout_is_the_count_formula():
    cohort = datasets.load("mpsa")
    assert cohort.split is not None
    assert [int((cohort.split == part).sum()) for part in ("train", "validation", "test")] == [
        18469, 5936, 6078
    ]  # fmt: skip
    depth = cohort.dataset["depth"].values
    included = 10 ** (cohort.phenotype.values[:, 0].astype(float) - 1.0087) * (depth + 1) - 1
    assert np.abs(included - np.round(included)).max() < 2e-3 * included.max()
    assert cohort.labels("individual")[0] == "GGAGUGAUG"


@mirrored
def test_multitrait_genotypes_are_parents_or_interpolated():
    values = datasets.load("multitrait").genotype.values
    inner = (values > 0) & (values < 1)
    assert values.min() == 0
    assert values.max() == 1
    assert inner.sum() < 77
