"""Who is held out together: by group, genotype, allele, published split, or as given."""

import numpy as np
import pytest

from genomic_code.inference.folds import assign_folds, group_labels
from genomic_code.spec import Cohort

GENOTYPE = np.array([[0, 1], [0, 1], [2, 0], [2, 0], [1, 1], [1, 2]], float)
PHENOTYPE = np.arange(6.0)[:, None]


def cohort(**tables: object) -> Cohort:
    return Cohort(GENOTYPE, PHENOTYPE, **tables)  # type: ignore[arg-type]


def test_leave_one_group_out() -> None:
    kin = cohort(groups=list("aabbcc"))
    assert assign_folds(kin, "group", 0).tolist() == [0, 0, 1, 1, 2, 2]
    assert assign_folds(cohort(), "individual", 0).tolist() == list(range(6))
    with pytest.raises(ValueError, match="the cohort has none"):
        assign_folds(cohort(), "group", 0)


def test_groups_by_name() -> None:
    fields = cohort(environment=np.array([[1.0], [1], [1], [2], [2], [2]]))
    name = fields.labels("covariate")[0]
    assert assign_folds(fields, "group", 0, name).tolist() == [0, 0, 0, 1, 1, 1]
    labels = assign_folds(fields, "group", 0, "genotype")
    assert len(set(labels)) == 4
    assert labels[0] == labels[1]
    locus = fields.labels("locus")[0]
    assert assign_folds(fields, "group", 0, locus).tolist() == [0, 0, 2, 2, 1, 1]
    fields.dataset["lineage"] = ("individual", list("xxyyyy"))
    assert group_labels(fields, "lineage").tolist() == list("xxyyyy")  # type: ignore[union-attr]
    whole = assign_folds(fields, 2, 0, list("xxyyyz"))
    assert len(set(whole[2:5])) == 1
    with pytest.raises(ValueError, match="groups must be 'genotype', a covariate, a locus or one"):
        assign_folds(fields, "group", 0, "tribe")
    with pytest.raises(ValueError, match="6 labels"):
        assign_folds(fields, "group", 0, [1, 2])


def test_published_split() -> None:
    split = cohort(split=["train", "train", "validation", "Test", "test", "train"])
    assert assign_folds(split, "split", 0).tolist() == [-1, -1, -1, 0, 0, -1]
    mask = np.array([0, 0, 0, 1, 1, 0], bool)
    assert assign_folds(split, mask, 0).tolist() == [-1, -1, -1, 0, 0, -1]
    assert assign_folds(split, [0, 0, 1, 1, -1, -1], 0).tolist() == [0, 0, 1, 1, -1, -1]
    with pytest.raises(ValueError, match="the cohort has none"):
        assign_folds(cohort(), "split", 0)
    with pytest.raises(ValueError, match="some individuals 'test'"):
        assign_folds(cohort(split=list("aabbcc")), "split", 0)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([0, 0, 2, 2, 0, 0], "without gaps"),
        ([0, 0, 0, 0, 0, 0], "leave individuals to be fitted"),
        ([-2, 0, 0, 0, 1, 1], "-1 for those never held out"),
        ([0, 1], "6 booleans or integers"),
        ("halves", "a number, 'group', 'individual', 'split'"),
        (True, "integer of at least 2"),
    ],
)
def test_bad_folds(folds: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        assign_folds(cohort(), folds, 0)  # type: ignore[arg-type]
