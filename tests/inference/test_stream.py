"""Genotypes on disk: what is read, and fits to blocks against the fit to everything."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from genomic_code.inference.blocks import PlinkBlocks, moments, open_blocks
from genomic_code.inference.engine import make_step
from genomic_code.inference.flat import FlatModel
from genomic_code.inference.guides import MeanField
from genomic_code.inference.stream import Whole, epochs, fit_stream
from genomic_code.spec import Blueprint, Polygenic, simulate
from genomic_code.spec.standardize import Scaler


def write_bed(stem: Path, genotype: NDArray[np.float32]) -> Path:
    """A PLINK fileset of copies 0, 1, 2 or NaN `(N, L)`."""
    codes = np.select([genotype == 2, genotype == 1, genotype == 0], [0, 2, 3], 1).astype(np.uint8)
    padded = np.pad(codes, ((0, -len(codes) % 4), (0, 0))).T.reshape(genotype.shape[1], -1, 4)
    packed = (padded << np.array([0, 2, 4, 6], np.uint8)).sum(-1).astype(np.uint8)
    path = stem.with_suffix(".bed")
    path.write_bytes(b"\x6c\x1b\x01" + packed.tobytes())
    stem.with_suffix(".fam").write_text("".join(f"f i{i} 0 0 0 -9\n" for i in range(len(codes))))
    loci = genotype.shape[1]
    stem.with_suffix(".bim").write_text("".join(f"1 s{j} 0 {j} A C\n" for j in range(loci)))
    return path


@pytest.fixture
def genotype() -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    table = rng.binomial(2, 0.4, (43, 7)).astype(np.float32)
    table[rng.random(table.shape) < 0.1] = np.nan
    return table


def test_blocks_are_rows_whatever_the_format(genotype: NDArray[np.float32], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", genotype)
    sources = [write_bed(tmp_path / "x", genotype), tmp_path / "x.npy", genotype]
    for source in sources:
        blocks = open_blocks(source)
        assert (blocks.individuals, blocks.loci) == genotype.shape
        for start, stop in ((0, 43), (8, 24), (40, 43), (5, 11)):
            np.testing.assert_array_equal(blocks.read(start, stop), genotype[start:stop])


def test_zarr_blocks(genotype: NDArray[np.float32], tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.save_array(str(tmp_path / "x.zarr"), genotype)
    np.testing.assert_array_equal(open_blocks(tmp_path / "x.zarr").read(3, 9), genotype[3:9])


def test_bed_is_read_as_bed_reader_does(genotype: NDArray[np.float32], tmp_path: Path) -> None:
    reader = pytest.importorskip("bed_reader")
    path = write_bed(tmp_path / "x", genotype)
    with reader.open_bed(path, count_A1=True) as bed:
        np.testing.assert_array_equal(PlinkBlocks(path).read(0, 43), bed.read(dtype="float32"))


def test_moments_are_those_of_the_whole(genotype: NDArray[np.float32]) -> None:
    y = np.random.default_rng(1).normal(size=(43, 2))
    y -= y.mean(0)
    found = moments(open_blocks(genotype), torch.tensor(y, dtype=torch.float32), 8)
    np.testing.assert_allclose(found.mean, np.nanmean(genotype, 0), rtol=1e-5)
    np.testing.assert_allclose(found.sd, np.nanstd(genotype, 0), rtol=1e-4)
    z = np.nan_to_num((genotype - np.nanmean(genotype, 0)) / np.nanstd(genotype, 0))
    np.testing.assert_allclose(found.covariance, z.T @ y / 43, rtol=1e-3, atol=1e-4)


def test_batches_add_up_to_the_whole_gradient() -> None:
    """Mean over the blocks of an epoch of the scaled gradient is the gradient; in double."""
    torch.set_default_dtype(torch.float64)
    try:
        cohort = simulate("polygenic", individuals=48, loci=6, traits=3, missing=0.1, seed=0)
        data = Scaler.fit(cohort).data(cohort)
        guide, size = MeanField(), 12
        for model in (Polygenic(), Blueprint()):
            whole = FlatModel(model, data.shape)
            part = FlatModel(Whole(model, 48), data.shape._replace(individuals=size))  # type: ignore[arg-type]
            torch.manual_seed(0)
            parameters = guide.start(0.1 * torch.randn(1, 1, whole.dim))
            noise = torch.randn(2, 1, 1, whole.dim)
            tables = [table[None, None] for table in data if table is not None]
            slope, elbo = make_step(whole, guide)(parameters, noise, *tables)
            step = make_step(part, guide, 48 / size)
            pieces = [
                step(parameters, noise, *(table[..., i : i + size, :] for table in tables))
                for i in range(0, 48, size)
            ]
            torch.testing.assert_close(torch.stack([each[0] for each in pieces]).mean(0), slope)
            torch.testing.assert_close(torch.stack([each[1] for each in pieces]).mean(0), elbo)
    finally:
        torch.set_default_dtype(torch.float32)


def test_epochs_take_every_block_once(genotype: NDArray[np.float32]) -> None:
    blocks = open_blocks(genotype)
    starts = epochs(blocks, 8, torch.Generator().manual_seed(0))
    for _ in range(3):
        first = sorted(next(starts) for _ in range(5))
        assert np.all(np.diff(first) == 8)
        assert 0 <= first[0] <= 3


def test_stream_learns_what_there_is(tmp_path: Path) -> None:
    """Prediction from a .bed file, in small batches, comes near the truth; reproducible."""
    rng = np.random.default_rng(0)
    x = rng.binomial(2, 0.5, (400, 10)).astype(np.float32)
    expected = (x - 1) @ rng.normal(size=(10, 2)) + 5
    y = expected + 0.5 * rng.normal(size=expected.shape)
    y[rng.random(y.shape) < 0.1] = np.nan
    path = write_bed(tmp_path / "x", x)
    fits = [
        fit_stream("polygenic", path, y, batch=64, steps=200, seed=1, progress=False)
        for _ in range(2)
    ]
    predicted = fits[0].predict(0, 400)
    assert np.corrcoef(predicted[:, 0], expected[:, 0])[0, 1] > 0.98
    assert abs((predicted - expected).mean()) < 0.1
    assert fits[0].elbo == fits[1].elbo
    assert fits[0].history[-20:].mean() > fits[0].history[:20].mean()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phenotype": np.zeros((3, 1))}, r"phenotype must have shape \(43, T\)"),
        ({"phenotype": np.ones((43, 1))}, "phenotype must vary in every trait"),
        ({"environment": np.ones((2, 1))}, r"environment must be finite, of shape \(43, C\)"),
        ({"genotype": "x.csv"}, r"genotype must be a .bed, .npy or .zarr path, got 'x\.csv'"),
        ({"genotype": np.zeros(3)}, "genotype must be an array"),
        ({"batch": 2}, "batch must be at least 4"),
    ],
)
def test_bad_tables(change: dict[str, object], message: str, genotype: NDArray[np.float32]) -> None:
    call = {"genotype": genotype, "phenotype": np.arange(43.0)[:, None], **change}
    with pytest.raises(ValueError, match=message):
        fit_stream("null", progress=False, **call)  # type: ignore[arg-type]
