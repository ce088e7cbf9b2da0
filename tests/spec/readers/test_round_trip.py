"""Any valid cohort survives its files exactly, and files are written whole or not at all."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from genomic_code.spec import Cohort

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6)
NUMBER = st.floats(-(2.0**100), 2.0**100, width=32)


@st.composite
def cohorts(draw: st.DrawFn) -> Cohort:
    """Small valid cohorts with every kind of table, label and missing cell."""
    individuals = draw(st.integers(2, 5))

    def labels(count: int) -> pd.Index:
        return pd.Index(draw(st.lists(TEXT, min_size=count, max_size=count, unique=True)))

    rows = labels(individuals)

    def table(columns: int, missing: bool = False) -> pd.DataFrame:
        cells = st.one_of(NUMBER, st.just(np.nan)) if missing else NUMBER
        values = [
            [draw(cells) for _ in range(individuals - 2)]
            + draw(st.lists(NUMBER, min_size=2, max_size=2, unique_by=np.float32))
            for _ in range(columns)
        ]
        return pd.DataFrame(np.array(values).T, rows, labels(columns))

    phenotype = table(draw(st.integers(1, 3)), missing=True)
    marks = st.one_of(
        st.none(), st.lists(TEXT, min_size=individuals, max_size=individuals).map(np.array)
    )
    cohort = Cohort(
        table(draw(st.integers(1, 3))),
        phenotype,
        table(draw(st.integers(1, 2))) if draw(st.booleans()) else None,
        phenotype.abs().fillna(0.0) if draw(st.booleans()) else None,
        groups=draw(marks),
        split=draw(marks),
        unit=draw(st.sampled_from(["trait", "common"])),
        name=draw(TEXT),
    )
    if draw(st.booleans()):
        cohort.dataset = cohort.dataset.assign_coords(
            position=("locus", np.arange(cohort.sizes["locus"]) * 0.1)
        ).assign_attrs(citation=draw(TEXT))
        cohort.dataset["depth"] = ("individual", np.arange(individuals))
    return cohort


@settings(max_examples=25, deadline=None)
@given(cohorts())
def test_netcdf_gives_back_everything(cohort: Cohort):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cohort.nc"
        cohort.to_netcdf(path)
        back = Cohort.read(path)
        assert [file.name for file in Path(folder).iterdir()] == ["cohort.nc"]
    xr.testing.assert_identical(back.dataset, cohort.dataset)
    assert back.name == cohort.name
    for key in ("genotype", "phenotype"):
        assert back.dataset[key].dtype == cohort.dataset[key].dtype


@settings(max_examples=25, deadline=None)
@given(cohorts(), st.sampled_from(["csv", "tsv", "csv.gz", "parquet"]))
def test_tables_give_back_the_cohort(cohort: Cohort, suffix: str):
    frame = cohort.to_dataframe()
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"cohort.{suffix}"
        if suffix == "parquet":
            frame.to_parquet(path)
        else:
            frame.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
        back = Cohort.read(path)
    for key in ("genotype", "phenotype", "environment", "error", "groups", "split"):
        assert (key in back.dataset) == (key in cohort.dataset)
        if key in cohort.dataset:
            expected = cohort.dataset[key].drop_vars("position", errors="ignore")
            xr.testing.assert_identical(back.dataset[key], expected.drop_attrs())


@settings(max_examples=25, deadline=None)
@given(cohorts(), st.data())
def test_selection_keeps_labels_and_cells_or_says_why_not(cohort: Cohort, data: st.DataObject):
    rows = data.draw(st.permutations(range(len(cohort))))
    rows = rows[: data.draw(st.integers(0, len(rows)))]
    kept = cohort.dataset.isel(individual=rows)
    tables = [
        kept[key].to_pandas() for key in ("genotype", "environment", "phenotype") if key in kept
    ]
    if all((table.nunique() > 1).all() for table in tables):
        part = cohort.select(rows)
        xr.testing.assert_identical(part.dataset, kept)
    else:
        with pytest.raises(ValueError, match="must"):
            cohort.select(rows)


def test_selection_drops_what_no_longer_varies():
    cohort = Cohort(
        [[0, 1], [1, 1], [0, 2]], [[1.0], [2.0], [3.0]], environment=[[0.0], [0.0], [1.0]]
    )
    with pytest.raises(ValueError, match="constant"):
        cohort.select([0, 1])
    part = cohort.select([0, 1], drop_constant=True)
    assert part.labels("locus") == cohort.labels("locus")[:1]
    assert part.environment is None
    with pytest.raises(ValueError, match="genotype must not be empty"):
        cohort.select([0, 0], drop_constant=True)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "cohort.nc"
    Cohort([[0], [1]], [[1], [2]]).to_netcdf(path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    with pytest.raises(ValueError, match=r"could not be written: .*No space left"):
        Cohort([[0], [1]], [[1], [3]]).to_netcdf(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=40)
@given(place=st.integers(0, 10**6), digit=st.integers(1, 255))
def test_a_changed_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, place: int, digit: int
) -> None:
    path = tmp_path_factory.mktemp("sealed") / "cohort.nc"
    Cohort([[0], [1]], [[1], [2]]).to_netcdf(path)
    content = bytearray(path.read_bytes())
    content[place % (len(content) - 72)] ^= digit
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged: its content is not that of its checksum"):
        Cohort.read(path)


def test_a_file_of_other_software_needs_no_checksum(tmp_path: Path) -> None:
    cohort = Cohort([[0], [1]], [[1], [2]])
    cohort.to_netcdf(tmp_path / "ours.nc")
    with xr.open_dataset(tmp_path / "ours.nc", engine="h5netcdf") as opened:
        opened.to_netcdf(tmp_path / "theirs.nc", engine="h5netcdf")
    assert b"sha256:" not in (tmp_path / "theirs.nc").read_bytes()
    assert Cohort.read(tmp_path / "theirs.nc").fingerprint == cohort.fingerprint


def test_a_newer_layout_is_refused(tmp_path: Path):
    cohort = Cohort([[0], [1]], [[1], [2]])
    cohort.dataset.assign_attrs(cohort_schema=99).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=r"newer version \(layout 99.*upgrade"):
        Cohort.read(tmp_path / "a.nc")


def test_a_named_index_does_not_become_a_dimension():
    rows = pd.Index(["x", "y"], name="strain")
    loci = pd.Index(["a"], name="marker")
    frame = pd.DataFrame([[0], [1]], rows, loci)
    cohort = Cohort(frame, frame.add_suffix("_t"))
    assert set(cohort.dataset.dims) == {"individual", "locus", "trait"}
    assert cohort.labels("individual") == ["x", "y"]


@pytest.mark.parametrize("rows", [[5], [-9], [True], [0.5], [[[0]]]])
def test_rows_that_the_cohort_has_not(rows: list[object]):
    with pytest.raises(ValueError, match=r"individuals must be positions below 2|must be"):
        Cohort([[0], [1]], [[1], [2]]).select(rows)  # type: ignore[arg-type]
