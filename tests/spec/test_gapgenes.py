"""Gap-gene cohort from slides made here, whose profiles are known."""

import numpy as np
import pytest
from scipy.io import savemat

from genomic_code.spec.formalizations.gene_circuit import GeneCircuit
from genomic_code.spec.gapgenes import GENES, MUTANTS, gap_gene_cohort

PIXEL = (np.arange(1000) + 0.5) / 1000


def write_slide(folder, mutant, profile, background, gain, embryos=5):
    """Siblings have the level 1 - x between .1 and .9, mutants `profile`; stain in each its own."""
    rng = np.random.default_rng(len(mutant))
    kinds = np.repeat([1, 2], embryos)
    records = np.zeros(2 * embryos, dtype=[("genotype", object), *((g, object) for g in GENES)])
    for record, kind in zip(records, kinds, strict=True):
        record["genotype"] = int(kind)
        for gene in GENES:
            level = 1 - PIXEL if kind == 1 else profile(PIXEL)
            noisy = background + gain * (level + 0.01 * rng.normal())
            noisy[[0, -1]] = np.nan
            record[gene] = noisy
    savemat(folder / MUTANTS[mutant][0], {"data": records})


@pytest.fixture
def folder(tmp_path):
    write_slide(tmp_path, "osk", lambda x: 0.5 + 0 * x, background=100, gain=30)
    write_slide(tmp_path, "bcdE1", lambda x: x, background=7, gain=2)
    return tmp_path


def test_levels_are_relative_to_the_siblings_on_the_same_slide(folder):
    cohort = gap_gene_cohort(folder, positions=80)
    assert cohort.labels("individual") == ["wild_type", "osk", "bcdE1"]
    assert cohort.labels("locus") == ["bicoid", "nanos"]
    assert cohort.genotype.values.tolist() == [[1, 1], [1, 0], [0, 1]]
    assert cohort.dataset["embryos"].values.tolist() == [10, 5, 5]
    x = cohort.dataset["position"].values[:80]
    np.testing.assert_allclose(x, np.arange(0.105, 0.9, 0.01))
    wild = (0.895 - x) / 0.79
    for row, level in enumerate((wild, (0.5 - 0.105) / 0.79 + 0 * x, (x - 0.105) / 0.79)):
        for gene in range(4):
            values = cohort.phenotype.values[row, 80 * gene : 80 * (gene + 1)]
            np.testing.assert_allclose(values, level, atol=0.03)


def test_traits_carry_gene_and_position_and_survive_selection(folder):
    cohort = gap_gene_cohort(folder)
    assert cohort.labels("trait")[0] == "Hb@0.105"
    assert cohort.labels("trait")[-1] == "Kni@0.895"
    kept = cohort.select([0, 1, 2])
    assert kept.unit == "common"
    for key in ("gene", "position", "embryos"):
        assert (kept.dataset.coords[key] == cohort.dataset.coords[key]).all()
    assert cohort.dataset["gene"].values[80] == "Kr"


def test_the_error_is_the_standard_error_over_embryos(folder):
    """Embryos differ by .01 of a level, of which the siblings' range is .79."""
    error = gap_gene_cohort(folder).error.values
    assert error[1].mean() == pytest.approx(0.01 / 0.79 / 5**0.5, rel=0.5)


def test_files_may_be_given_by_name_and_mutants_left_out(folder):
    files = {path.name: path for path in folder.iterdir()}
    cohort = gap_gene_cohort(files, positions=8, without=("osk",))
    assert cohort.labels("individual") == ["wild_type", "bcdE1"]
    assert cohort.labels("locus") == ["bicoid"]
    assert cohort.sizes["trait"] == 32


def test_the_gene_circuit_takes_the_span_from_the_cohort(folder):
    write_slide(folder, "etsl", lambda x: x**2, background=0, gain=1)
    assert GeneCircuit.of(gap_gene_cohort(folder)).span == (0.1, 0.9)
    assert GeneCircuit.of(gap_gene_cohort(folder, positions=8)).span == (0.1, 0.9)


def test_bad_arguments_and_files_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match="positions must be a positive divisor of 800, got 7"):
        gap_gene_cohort(folder, positions=7)
    with pytest.raises(ValueError, match=r"without must name mutants among osk, .* got 'oskar'"):
        gap_gene_cohort(folder, without=("oskar",))
    with pytest.raises(ValueError, match="at least one mutant's file, such as gap_data"):
        gap_gene_cohort({})
    savemat(folder / MUTANTS["osk"][0], {"other": 1})
    with pytest.raises(ValueError, match="must be a slide of gap-gene profiles"):
        gap_gene_cohort(folder)
