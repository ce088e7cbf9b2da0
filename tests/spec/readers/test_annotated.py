"""AnnData objects: any object with the same parts will do."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix

from genomic_code.spec import Cohort

OBS = pd.DataFrame(
    {"guide": ["none", "g1", "g2"], "height": [1.0, 2.0, 4.0], "batch": ["p", "q", "p"]},
    index=["x", "y", "z"],
)
DATA = SimpleNamespace(
    X=csr_matrix([[0.0, 1.0, 5.0], [1.0, 0.0, 5.0], [2.0, 0.0, 5.0]]),
    obs=OBS,
    obs_names=OBS.index,
    var_names=["a", "b", "constant"],
    layers={"raw": np.array([[3, 1, 0], [1, 0, 1], [2, 0, 2]])},
    obsm={"traits": np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 0.0]])},
)


def test_genotype_matrix_with_traits_in_obs():
    cohort = Cohort.from_anndata(DATA, phenotype=["height"], environment=["batch"], groups="batch")
    assert cohort.labels("individual") == ["x", "y", "z"]
    assert cohort.labels("locus") == ["a", "b"]
    assert cohort.labels("covariate") == ["batch=q"]
    assert_array_equal(cohort.genotype.values, [[0, 1], [1, 0], [2, 0]])
    assert_array_equal(cohort.phenotype.values[:, 0], [1, 2, 4])


def test_perturbations_as_genotype():
    cohort = Cohort.from_anndata(DATA, genotype=["guide"], phenotype="X")
    assert cohort.labels("locus") == ["guide=g1", "guide=g2", "guide=none"]
    assert_array_equal(cohort.genotype.values, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert cohort.labels("trait") == ["a", "b"]


def test_layers_and_obsm():
    cohort = Cohort.from_anndata(DATA, genotype="layers/raw", phenotype="obsm/traits")
    assert_array_equal(cohort.genotype.values, DATA.layers["raw"])
    assert cohort.labels("trait") == ["traits_0", "traits_1"]


@pytest.mark.filterwarnings("ignore")
def test_real_file(tmp_path: Path):
    anndata = pytest.importorskip("anndata")
    obs = pd.DataFrame({"height": OBS["height"]}, index=OBS.index.astype(object))
    variables = pd.DataFrame(index=pd.Index(DATA.var_names, dtype=object))
    real = anndata.AnnData(DATA.X, obs=obs, var=variables)
    real.write_h5ad(tmp_path / "a.h5ad")
    cohort = Cohort.from_anndata(tmp_path / "a.h5ad", phenotype=["height"])
    assert_array_equal(cohort.genotype.values, [[0, 1], [1, 0], [2, 0]])


def test_file_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "anndata", None)
    (tmp_path / "a.h5ad").write_bytes(b"x")
    with pytest.raises(ValueError, match="needs the package anndata; install it"):
        Cohort.from_anndata(tmp_path / "a.h5ad", phenotype=["height"])
