import numpy as np
import pandas as pd
import pytest
import xarray as xr

from genomic_code.spec import Cohort

N, L, C, T = 10, 4, 2, 3
LABELS = [f"line{i}" for i in range(N)]


def tables(seed=0):
    generator = np.random.default_rng(seed)
    return {
        "genotype": generator.integers(0, 3, (N, L)).astype(float),
        "phenotype": generator.normal(size=(N, T)),
        "environment": generator.normal(size=(N, C)),
        "error": generator.random((N, T)),
    }


def frame(values, labels=LABELS, kind="x"):
    return pd.DataFrame(values, labels, [f"{kind}{i}" for i in range(values.shape[1])])


def changed(table, cells, value):
    values = tables()[table]
    values[cells] = value
    return {**tables(), table: values}


def test_arrays_get_labels():
    cohort = Cohort(**tables(), groups=["a"] * 5 + ["b"] * 5)
    assert cohort.sizes == {"individual": N, "locus": L, "covariate": C, "trait": T}
    assert len(cohort) == N
    assert cohort.labels("trait") == ["trait_0", "trait_1", "trait_2"]
    assert cohort.genotype.dims == ("individual", "locus")
    assert cohort.environment.dims == ("individual", "covariate")
    assert cohort.error.dims == cohort.phenotype.dims == ("individual", "trait")
    assert cohort.groups.values.tolist() == ["a"] * 5 + ["b"] * 5
    assert "10 individuals, 4 loci" in repr(cohort)


def test_frames_keep_theirs_and_label_the_arrays():
    values = tables()
    cohort = Cohort(values["genotype"], frame(values["phenotype"], kind="trait "))
    assert cohort.labels("individual") == LABELS
    assert cohort.labels("trait") == ["trait 0", "trait 1", "trait 2"]
    assert cohort.environment is cohort.error is cohort.groups is None


def test_missing_cells_stay_missing_and_need_no_error():
    values = changed("phenotype", (0, 0), np.nan)
    values["error"][0, 0] = np.nan
    cohort = Cohort(**values)
    assert np.isnan(cohort.phenotype.values[0, 0])
    assert cohort.error.values[0, 0] == 0


def test_an_empty_environment_is_none():
    assert Cohort(**{**tables(), "environment": np.empty((N, 0))}).environment is None


def test_select_keeps_everything():
    cohort = Cohort(**tables(), groups=np.arange(N), name="flies")
    part = cohort.select(np.arange(N) < 6)
    assert len(part) == 6
    assert part.name == "flies"
    assert part.labels("individual") == cohort.labels("individual")[:6]
    np.testing.assert_array_equal(part.error.values, cohort.error.values[:6])
    assert part.groups.values.tolist() == [str(i) for i in range(6)]


def test_dataset_round_trip():
    cohort = Cohort(**tables(), groups=np.arange(N))
    assert Cohort.from_dataset(cohort.dataset).dataset.identical(cohort.dataset)


def test_the_arguments_are_left_alone():
    values = {key: frame(value) for key, value in tables().items()}
    before = {key: value.copy() for key, value in values.items()}
    Cohort(**values)
    for key, value in values.items():
        pd.testing.assert_frame_equal(value, before[key])


BAD = {
    "rows differ": (
        {**tables(), "phenotype": np.zeros((9, T))},
        "phenotype must have one row per individual as genotype has: expected 10 rows, got 9",
    ),
    "one dimension": (
        {**tables(), "phenotype": np.zeros(N)},
        r"phenotype must have 2 dimensions \(individual, trait\), got shape \(10,\)",
    ),
    "text": (
        {**tables(), "genotype": np.full((N, L), "AA")},
        "genotype must hold numbers, got could not convert",
    ),
    "text column": (
        {**tables(), "genotype": frame(tables()["genotype"]).assign(sex="f")},
        "genotype must hold numbers, got text in column 'sex'",
    ),
    "ragged": ({**tables(), "genotype": [[1, 2], [1]]}, "genotype must hold numbers"),
    "no genotype": ({**tables(), "genotype": None}, "genotype is required, got None"),
    "no phenotype": ({**tables(), "phenotype": None}, "phenotype is required, got None"),
    "no loci": (
        {**tables(), "genotype": np.empty((N, 0))},
        r"genotype must not be empty, got shape \(10, 0\)",
    ),
    "no individuals": (
        {**tables(), "genotype": np.empty((0, L))},
        r"genotype must not be empty, got shape \(0, 4\)",
    ),
    "all-missing trait": (
        changed("phenotype", (slice(None), 1), np.nan),
        "phenotype must have observed cells in every trait, got none for trait 'trait_1'",
    ),
    "constant trait": (
        changed("phenotype", (slice(None), 2), 5.0),
        "phenotype must vary in every trait, got the constant 5 for trait 'trait_2'",
    ),
    "trait with one observed cell": (
        changed("phenotype", (slice(1, None), 0), np.nan),
        "phenotype must vary in every trait, got the constant .* for trait 'trait_0'",
    ),
    "infinite phenotype": (
        changed("phenotype", (3, 1), np.inf),
        "phenotype must be finite or NaN, got inf for individual 3, trait 'trait_1'",
    ),
    "constant locus": (
        changed("genotype", (slice(None), 3), 2.0),
        "genotype must vary in every locus, got the constant 2 for locus 'locus_3'",
    ),
    "NaN genotype": (
        changed("genotype", (4, 1), np.nan),
        "genotype must be finite, got nan for individual 4, locus 'locus_1'",
    ),
    "infinite genotype": (
        changed("genotype", (4, 1), -np.inf),
        "genotype must be finite, got -inf for individual 4, locus 'locus_1'",
    ),
    "NaN environment": (
        changed("environment", (0, 0), np.nan),
        "environment must be finite, got nan for individual 0, covariate 'covariate_0'",
    ),
    "constant environment": (
        changed("environment", (slice(None), 0), 1.0),
        "environment must vary in every covariate, got the constant 1",
    ),
    "duplicate individuals": (
        {
            "genotype": frame(tables()["genotype"], [*LABELS[:-1], "line0"]),
            "phenotype": tables()["phenotype"],
        },
        "individual names must be unique, got 'line0' twice in genotype",
    ),
    "duplicate traits": (
        {
            "genotype": tables()["genotype"],
            "phenotype": pd.DataFrame(tables()["phenotype"], columns=["a", "b", "a"]),
        },
        "trait names must be unique, got 'a' twice in phenotype",
    ),
    "other order": (
        {
            "genotype": frame(tables()["genotype"]),
            "phenotype": frame(tables()["phenotype"], LABELS[::-1]),
        },
        "phenotype must list the individuals in the order of genotype: row 0 is 'line9'",
    ),
    "error of another shape": (
        {**tables(), "error": np.zeros((N, 2))},
        r"error must have the shape of phenotype \(10, 3\), got \(10, 2\)",
    ),
    "negative error": (
        changed("error", (2, 0), -0.1),
        "error must be finite and at least 0 .* got -0.1",
    ),
    "groups too short": (
        {**tables(), "groups": ["a", "b"]},
        r"groups must have one label per individual: expected shape \(10,\), got \(2,\)",
    ),
    "missing group": (
        {**tables(), "groups": [None] + ["a"] * 9},
        "groups must have a label for every individual, got a missing one",
    ),
    "one individual": (
        {key: value[:1] for key, value in tables().items()},
        "genotype must vary in every locus",
    ),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input(case):
    arguments, message = BAD[case]
    with pytest.raises(ValueError, match=message) as caught:
        Cohort(**arguments)
    assert "\n" not in str(caught.value)


def test_a_selection_without_variation_is_refused():
    cohort = Cohort(**tables())
    with pytest.raises(ValueError, match="genotype must vary"):
        cohort.select([0])


def test_a_dataset_needs_its_tables():
    with pytest.raises(ValueError, match="dataset must have the variable 'phenotype'"):
        Cohort.from_dataset(xr.Dataset({"genotype": Cohort(**tables()).genotype}))
