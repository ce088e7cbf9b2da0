"""The commonest mistakes with files and tables, and what is said about each."""

import gzip
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from genomic_code.spec import Cohort

GOOD = "individual,genotype:a,genotype:b,phenotype:t\nx,0,1,1.5\ny,1,0,2.5\nz,1,1,\n"
VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tx\ty\n"
SITE = "1\t5\trs1\tA\tG\t.\t.\t.\tGT\t"
TRAITS = pd.DataFrame({"t": [1.0, 2.0]}, index=["x", "y"])
BED = b"\x6c\x1b\x01"


def file(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        raw = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(raw)
        return folder / name

    return write


def table(content: str, name: str = "cohort.csv") -> Callable[[Path], Cohort]:
    return lambda folder: Cohort.read(file(name, content)(folder))


PLAIN = "plant,snp1,snp2,rain,height\nA,0,1,3.5,1.5\nB,1,0,2.5,\nC,,1,1,2\n"


def plain(content: str = PLAIN, **options: object) -> Callable[[Path], Cohort]:
    options = {"individual": "plant", "missing": "mean"} | options
    if "traits" not in options:
        options.pop("individual")
    return lambda folder: Cohort.read(file("plain.csv", content)(folder), **options)


def binary(name: str, content: bytes) -> Callable[[Path], Cohort]:
    return lambda folder: Cohort.read(file(name, content)(folder))


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns)


def vcf(content: str, **options: object) -> Callable[[Path], Cohort]:
    return lambda folder: Cohort.from_vcf(file("a.vcf", content)(folder), TRAITS, **options)


def plink(bed: bytes, fam: str = "f x 0 0 1 1\nf y 0 0 1 2\n") -> Callable[[Path], Cohort]:
    def load(folder: Path) -> Cohort:
        file("a.fam", fam)(folder)
        file("a.bim", "1 rs1 0 5 A G\n")(folder)
        return Cohort.from_plink(file("a.bed", bed)(folder))

    return load


def sequences(*texts: object, **options: object) -> Callable[[Path], Cohort]:
    return lambda _: Cohort.from_sequences(list(texts), [[1.0], [2.0]], **options)


def rqtl(content: str) -> Callable[[Path], Cohort]:
    return lambda folder: Cohort.from_rqtl(file("cross.csv", content)(folder))


def anndata(**options: object) -> Callable[[Path], Cohort]:
    data = SimpleNamespace(
        X=np.array([[0.0, 1.0], [1.0, 0.0]]),
        obs=pd.DataFrame({"height": [1.0, 2.0], "kind": ["u", "v"]}, index=["x", "y"]),
        obs_names=["x", "y"],
        var_names=["a", "b"],
        layers={},
        obsm={},
    )
    return lambda _: Cohort.from_anndata(data, **options)


MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    # files
    "no such file": (lambda folder: Cohort.read(folder / "no.csv"), "existing file.*spelling"),
    "a folder": (Cohort.read, "got .* which is a folder"),
    "empty file": (table(""), "file with content, got .*, empty"),
    "blank file": (table("\n\n"), "header and rows, got an empty file"),
    "header only": (table(GOOD.splitlines()[0]), "must have rows below its header"),
    "unknown extension": (table(GOOD, "cohort.dat"), r"end in \.csv.*rename"),
    "spreadsheet": (table(GOOD, "cohort.xlsx"), "save the sheet as CSV"),
    "pickle": (table(GOOD, "cohort.pkl"), "pickles are not read"),
    "genotype format given to read": (table(GOOD, "a.vcf"), "use Cohort.from_vcf"),
    "csv named parquet": (table(GOOD, "a.parquet"), "could not be read as Parquet"),
    "csv named netCDF": (table(GOOD, "a.nc"), "could not be read as netCDF"),
    "binary named csv": (binary("a.csv", b"\x89\x00\xff\n\x00"), "text table"),
    "cut gzip": (
        binary("a.csv.gz", gzip.compress(GOOD.encode())[:-12]),
        "could not be read as a text table",
    ),
    "unwritable folder": (
        lambda f: Cohort([[0], [1]], [[1], [2]]).to_netcdf(f / "no" / "a.nc"),
        "folder that can be written",
    ),
    # tables
    "plain header": (table("a,b\n1,2\n"), "column 'a' must follow the convention: name"),
    "no genotype": (table("individual,phenotype:t\nx,1\n"), "must have genotype columns"),
    "no phenotype": (table("individual,genotype:a\nx,1\n"), "must have phenotype columns"),
    "nameless column": (table("genotype:a,phenotype:t,\n1,2,\n"), "column 3 has no name"),
    "duplicate column": (
        table("genotype:a,genotype:a,phenotype:t\n1,2,3\n"), "unique, got 'genotype:a' twice"
    ),
    "duplicate individual": (table(GOOD.replace("y,", "x,")), "unique, got 'x' twice"),
    "short row": (table(GOOD + "w,1,0\n"), "Expected 4 columns, got 3"),
    "long row": (table(GOOD + "w,1,0,1,1\n"), "Expected 4 columns, got 5"),
    "text in a column": (
        table(GOOD.replace("1.5", "tall")),
        "column 'phenotype:t' must hold numbers, got 'tall' in row 2",
    ),
    "decimal comma": (
        table(GOOD.replace(",", ";").replace("1.5", "1,5")),
        "got '1,5' in row 2; write decimals with a point",
    ),
    "missing genotype": (
        table(GOOD.replace("x,0", "x,")),
        r'genotype must be complete, got 1 missing cells.*give missing="mean"',
    ),
    "unknown rule for missing": (
        lambda f: Cohort.read(file("a.csv", GOOD)(f), missing="meen"), "did you mean 'mean'"
    ),
    "plain: trait misspelt": (plain(traits=["hight"]), "did you mean 'height'"),
    "plain: covariate without traits": (plain(environment=["rain"]), "traits must be named"),
    "plain: only constant loci": (
        plain(PLAIN.replace("B,1,0", "B,0,1"), traits=["height"], environment=["rain"]),
        "vary in at least one locus, got 2 constant",
    ),
    "plain: letters for genotypes": (
        plain(PLAIN.replace("A,0", "A,AA"), traits=["height"], individual="plant"),
        "'snp1' must hold numbers, got 'AA' in row 2; write genotypes as numbers",
    ),
    "plain: a column of text": (
        plain(PLAIN.replace("A,", "rose,"), traits=["height"], individual=None),
        "got 'rose' in row 2; columns that are not named",
    ),
    "plain: netCDF": (
        lambda f: (
            Cohort([[0], [1]], [[1], [2]]).to_netcdf(f / "a.nc"),
            Cohort.read(f / "a.nc", traits=["t"]),
        ),
        "traits must be None for netCDF",
    ),
    "infinite phenotype": (table(GOOD.replace("1.5", "inf")), "phenotype must be finite or NaN"),
    "constant locus": (table(GOOD.replace("x,0", "x,1")), "genotype must vary in every locus.*'a'"),
    "constant trait": (table(GOOD.replace("1.5", "2.5")), "phenotype must vary in every trait"),
    "trait all missing": (
        table(GOOD.replace("1.5", "").replace("2.5", "NA")),
        "observed cells in every trait",
    ),
    "too large a number": (table(GOOD.replace("1.5", "1e300")), "below 3.4e38.*change the units"),
    "error for a part of the traits": (
        table("genotype:a,phenotype:t,phenotype:s,error:t\n0,1,2,0\n1,2,3,0\n"),
        "error columns must be those of the phenotype",
    ),
    "frame: unknown column": (
        lambda _: Cohort.from_dataframe(frame(a=[0, 1], t=[1, 2]), ["a"], ["height"]),
        "must have the column 'height'",
    ),
    "frame: one name for a list": (
        lambda _: Cohort.from_dataframe(frame(a=[0, 1], t=[1, 2]), "a", ["t"]),
        r"list of column names, got 'a'; use \['a'\]",
    ),
    "frame: genotype alone": (
        lambda _: Cohort.from_dataframe(frame(a=[0, 1]), ["a"]),
        "must both be given",
    ),
    "frame: categories as text": (
        lambda _: Cohort.from_dataframe(frame(a=["A", "T"], t=[1, 2]), ["a"], ["t"]),
        "column 'a' must hold numbers, got 'A' in row 1",
    ),
    "frame: no frame": (lambda _: Cohort.from_dataframe([[1]]), "pandas DataFrame, got list"),
    # sequences
    "wrong letter": (sequences("ACGT", "ACGN"), "letters ACGT, got 'N' at position 4 of row 1"),
    "RNA as DNA": (sequences("ACGU", "ACGA"), 'got \'U\'.*is it alphabet="rna"'),
    "unequal lengths": (sequences("ACGT", "ACG"), "one length for one-hot, got 3 in row 1.*k-mer"),
    "missing sequence": (sequences("ACGT", None), "text of at least one letter, got None in row 1"),
    "equal sequences": (sequences("ACGT", "ACGT"), "sequences must vary"),
    "unknown encoding": (sequences("A", "C", encoding="onehot"), "did you mean 'one-hot'"),
    "words too long": (sequences("AC", "CA", encoding="k-mer", k=3), "shortest sequence, 2, got 3"),
    "other number of sequences": (sequences("A", "C", "G"), "one row per individual"),
    # markers
    "vcf without header": (vcf(SITE + "0/0\t0/1\n"), "header line that starts with #CHROM"),
    "vcf with spaces": (vcf(VCF + SITE.replace("\t", " ") + "0/0 0/1\n"), "separated by tabs"),
    "vcf short row": (vcf(VCF + SITE + "0/0\n"), "11 columns separated by tabs, got 10 in line 3"),
    "vcf without GT": (vcf(VCF + SITE.replace("GT", "DP") + "1\t2\n"), "must have GT in FORMAT"),
    "vcf odd call": (vcf(VCF + SITE + "0/0\t0+1\n"), "GT must look like 0/1, got '0.1'"),
    "vcf unknown allele": (vcf(VCF + SITE + "0/0\t0/2\n"), "1 alternative alleles, got '0/2'"),
    "vcf missing call": (vcf(VCF + SITE + "0/0\t./.\n"), '1 missing cells.*missing="mean"'),
    "vcf other samples": (
        lambda f: Cohort.from_vcf(
            file("a.vcf", VCF + SITE + "0/0\t0/1\n")(f), TRAITS.set_axis(["p", "q"], axis=0)
        ),
        "indexed by the individuals of the genotype",
    ),
    "plink text": (plink(b"text"), "variant-major PLINK 1"),
    "plink of two filesets": (plink(BED + b"\x0e\x0e"), "must have 4 bytes.*got 5"),
    "plink without fam": (
        lambda f: Cohort.from_plink(file("a.bed", BED)(f)), r"existing file, got .*a\.fam"
    ),
    "plink short fam": (plink(BED + b"\x0e", "f x 0 0 1\n"), "6 columns, got 5 in row 1"),
    "plink without phenotype": (
        plink(BED + b"\x0e", "f x 0 0 1 -9\nf y 0 0 1 -9\n"), "phenotype must be given"
    ),
    "cross with other codes": (rqtl("t,m\n,1\n1,A\n2,X\n"), "codes A, H, B and -, got 'X'.*'m'"),
    "cross without chromosomes": (rqtl("t,m\n1,A\n2,B\n"), "second row nothing for phenotypes"),
    "cross with a ragged row": (rqtl("t,m\n,1\n1,A\n2\n"), "2 cells a row, got 1 in row 4"),
    "anndata: same table twice": (anndata(), "genotype and phenotype must differ"),
    "anndata: no such column": (anndata(phenotype=["weight"]), "columns of obs, got 'weight'"),
    "anndata: no such layer": (anndata(phenotype="layers/a"), "'layers/NAME'.*got 'layers/a'"),
    "anndata: text trait": (anndata(phenotype=["kind"]), "must hold numbers"),
    "anndata: other object": (lambda _: Cohort.from_anndata([1]), "an AnnData object, got list"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_has_a_clear_error(mistake: str, tmp_path: Path):
    act, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message) as caught:
        act(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_the_good_table_is_read(tmp_path: Path):
    cohort = table(GOOD)(tmp_path)
    assert cohort.name == "cohort"
    assert cohort.labels("individual") == ["x", "y", "z"]
    assert cohort.labels("locus") == ["a", "b"]
    assert cohort.labels("trait") == ["t"]
    np.testing.assert_array_equal(cohort.phenotype.values[:, 0], np.float32([1.5, 2.5, np.nan]))


def test_a_table_without_prefixes_keeps_its_labels(tmp_path: Path):
    options = {"traits": ["height"], "environment": ["rain"], "individual": "plant"}
    cohort = plain(**options)(tmp_path)
    assert cohort.labels("locus") == ["snp1", "snp2"]
    assert cohort.labels("individual") == ["A", "B", "C"]
    assert (cohort.labels("trait"), cohort.labels("covariate")) == (["height"], ["rain"])
    np.testing.assert_array_equal(cohort.genotype, [[0, 1], [1, 0], [0.5, 1]])
    assert cohort.dataset.attrs["loci_with_missing"] == 1
    dropped = plain(**options, missing="drop")(tmp_path)
    assert dropped.labels("locus") == ["snp2"]
    constant = plain(PLAIN.replace(",0,2.5", ",1,2.5"), **options)(tmp_path)
    assert constant.labels("locus") == ["snp1"]
    assert constant.dataset.attrs["constant_loci_dropped"] == 1
