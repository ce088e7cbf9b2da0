"""PLINK, VCF and R/qtl: exact genotypes, labels and matching of individuals."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from genomic_code.spec import Cohort
from genomic_code.spec.readers.rqtl import interpolated

TRAITS = pd.DataFrame({"height": [1.0, 2.0, 4.0]}, index=["x", "y", "z"])


def write_plink(folder: Path, copies: np.ndarray, fam: str) -> Path:
    code = {2: 0, -1: 1, 1: 2, 0: 3}
    raw = bytearray(b"\x6c\x1b\x01")
    for locus in copies.T:
        for start in range(0, len(locus), 4):
            raw.append(sum(code[int(c)] << 2 * i for i, c in enumerate(locus[start : start + 4])))
    loci = range(copies.shape[1])
    (folder / "a.bed").write_bytes(bytes(raw))
    (folder / "a.bim").write_text("".join(f"1 rs{i} 0 {100 + i} A G\n" for i in loci))
    (folder / "a.fam").write_text(fam)
    return folder / "a.bed"


def fam(*phenotypes: object) -> str:
    return "".join(f"f i{i} 0 0 1 {p}\n" for i, p in enumerate(phenotypes))


@pytest.mark.parametrize("individuals", [3, 4, 5, 9])
def test_plink_copies_are_those_written(tmp_path: Path, individuals: int):
    copies = np.random.default_rng(individuals).integers(0, 3, (individuals, 7))
    copies[:3] = [[0] * 7, [1] * 7, [2] * 7]
    path = write_plink(tmp_path, copies, fam(*np.arange(individuals) + 0.5))
    for given in (path, tmp_path / "a"):
        cohort = Cohort.from_plink(given)
        assert_array_equal(cohort.genotype.values, copies)
        assert cohort.labels("individual") == [f"i{i}" for i in range(individuals)]
        assert cohort.labels("locus")[:2] == ["rs0", "rs1"]
        assert_array_equal(cohort.dataset["position"].values, 100 + np.arange(7))
        assert_array_equal(cohort.phenotype.values[:, 0], np.arange(individuals) + 0.5)


def test_plink_missing_genotypes(tmp_path: Path):
    copies = np.array([[0, -1, 2], [1, 0, 2], [2, 1, 2]])
    path = write_plink(tmp_path, copies, fam(1, 2, 3))
    with pytest.raises(ValueError, match="1 missing cells in 1 loci, the first in 'rs1'"):
        Cohort.from_plink(path)
    filled = Cohort.from_plink(path, missing="mean")
    assert filled.labels("locus") == ["rs0", "rs1"]
    assert_array_equal(filled.genotype.values, [[0, 0.5], [1, 0], [2, 1]])
    assert filled.dataset.attrs == {"loci_with_missing": 1, "constant_loci_dropped": 1}
    dropped = Cohort.from_plink(path, missing="drop")
    assert dropped.labels("locus") == ["rs0"]
    assert_array_equal(dropped.dataset["position"].values, [100])


def test_plink_phenotype_codes(tmp_path: Path):
    copies = np.array([[0], [1], [2], [0]])
    cases = Cohort.from_plink(write_plink(tmp_path, copies, fam(1, 2, 0, -9)))
    assert_array_equal(cases.phenotype.values[:, 0], [1, 2, np.nan, np.nan])
    scores = Cohort.from_plink(write_plink(tmp_path, copies, fam(1, 2.5, 0, -9)))
    assert_array_equal(scores.phenotype.values[:, 0], np.float32([1, 2.5, 0, np.nan]))


VCF = """##fileformat=VCFv4.2
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tz\ty\tx\tnobody
1\t5\trs1\tA\tG\t.\tPASS\t.\tGT:DP\t0/0:3\t0|1:4\t1/1\t./.:0
1\t9\t.\tC\tT,CA\t.\t.\t.\tDP:GT\t3:1/2\t4:0/2\t5:0/0\t.:.
2\t1\trs3\tA\t.\t.\t.\t.\tGT\t0/0\t0/0\t0/0\t0/0
X\t7\trs4\tA\tC\t.\t.\t.\tGT\t1\t0\t0\t0
"""


@pytest.mark.parametrize("name", ["a.vcf", "a.vcf.gz"])
def test_vcf_dosages(tmp_path: Path, name: str):
    raw = VCF.encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    groups = pd.Series(["a", "b", "a"], index=["x", "y", "z"])
    cohort = Cohort.from_vcf(tmp_path / name, TRAITS, groups=groups)
    assert cohort.name == "a"
    assert cohort.labels("individual") == ["z", "y", "x"]
    assert cohort.labels("locus") == ["rs1", "1:9:C:T", "1:9:C:CA", "rs4"]
    assert_array_equal(cohort.genotype.values.T, [[0, 1, 2], [1, 0, 0], [1, 1, 0], [1, 0, 0]])
    assert_array_equal(cohort.phenotype.values[:, 0], [4, 2, 1])
    assert cohort.groups is not None
    assert cohort.groups.values.tolist() == ["a", "b", "a"]
    assert cohort.dataset["chromosome"].values.tolist() == ["1", "1", "1", "X"]
    assert cohort.dataset.attrs == {"individuals_without_phenotype": 1}


CROSS = """id,weight,sex,m1,m2,m3
,,,1,1,2
,,,0,10,3
a,1.5,f,A,-,B
b,-,m,B,B,A
c,3,f,H,A,D
"""


def test_rqtl_csv(tmp_path: Path):
    (tmp_path / "cross.csv").write_text(CROSS)
    cohort = Cohort.from_rqtl(tmp_path / "cross.csv")
    assert cohort.labels("individual") == ["a", "b", "c"]
    assert cohort.labels("trait") == ["weight"]
    assert_array_equal(cohort.genotype.values, [[0, 0, 2], [2, 2, 0], [1, 0, 1]])
    assert_array_equal(cohort.dataset["position"].values, [0, 10, 3])
    assert_array_equal(cohort.phenotype.values[:, 0], np.float32([1.5, np.nan, 3]))


def test_rqtl_two_classes_are_zero_and_one(tmp_path: Path):
    (tmp_path / "cross.csv").write_text("t,m\n,1\n1,A\n2,B\n3,A\n")
    assert_array_equal(Cohort.from_rqtl(tmp_path / "cross.csv").genotype.values, [[0], [1], [0]])


def test_interpolation_follows_the_map_and_not_the_order_of_columns():
    nan = np.nan
    genotype = np.array([[0, nan, 1, nan], [nan, nan, 1, 0], [nan, nan, nan, nan], [1, 1, 1, 1]])
    filled = interpolated(genotype, np.array([0.0, 30.0, 10.0, 40.0]))
    assert_array_equal(filled[0], [0, 1, 1, 1])
    np.testing.assert_allclose(filled[1], [1, 1 / 3, 1, 0])
    np.testing.assert_allclose(filled[2], filled[[0, 1, 3]].mean(0))
    assert_array_equal(filled[3], 1)
