"""Genotype networks worked out by hand, and basins of attraction."""

import numpy as np
import pandas as pd
import pytest
import torch

from genomic_code.inference.functionals.basins import summarise
from genomic_code.inference.functionals.genotype_network import (
    discretise,
    enumerate_genotypes,
    genotype_networks,
    neighbours,
)
from tests.inference.functionals.maps import prior_map


def test_enumeration_and_neighbours():
    x = enumerate_genotypes([[0, 1], [0, 1, 2]])
    assert x.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    near = neighbours([2, 3])
    assert near.shape == (6, 3)
    for genotype, others in zip(x, near, strict=True):
        assert ((x[others] != genotype).sum(1) == 1).all()
        assert len(set(others)) == 3


def test_three_loci_by_hand():
    """The cube 000..111 with A A A B B C C A: 001-000-010 are a network, all others alone."""
    found = genotype_networks(list("AAABBCCA"), [2, 2, 2])
    thirds = np.array([2, 1, 1, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(found["genotype_robustness"] * 3, thirds)
    assert found["genotype_evolvability"].values.tolist() == [1, 2, 2, 1, 2, 2, 2, 2]
    of = found.sel(phenotype="A")
    assert int(of["genotypes"]) == 4
    assert float(of["phenotype_robustness"]) == pytest.approx(4 / 12)
    assert found["phenotype_evolvability"].values.tolist() == [2, 2, 2]
    assert found["networks"].values.tolist() == [2, 2, 2]
    assert found["largest_network"].values.tolist() == [3, 1, 1]


def test_one_phenotype_is_fully_robust():
    found = genotype_networks(np.zeros(16, int), [2] * 4)
    assert (found["genotype_robustness"] == 1).all()
    assert float(found["phenotype_evolvability"][0]) == 0
    assert float(found["largest_network"][0]) == 16


def test_parity_is_not_robust_at_all():
    parity = enumerate_genotypes([[0, 1]] * 4).sum(1) % 2
    found = genotype_networks(parity, [2] * 4)
    assert (found["genotype_robustness"] == 0).all()
    assert found["networks"].values.tolist() == [8, 8]


def test_a_fitted_map_on_enumerated_genotypes():
    f = prior_map("generative", loci=6, covariates=0)
    genotypes = torch.tensor(enumerate_genotypes([[-1, 1]] * 6), dtype=torch.float32)
    traits = f.traits(genotypes)
    found = genotype_networks(discretise(traits[0], width=1.0), [2] * 6)
    assert found["genotypes"].sum() == 64
    assert ((found["genotype_robustness"] >= 0) & (found["genotype_robustness"] <= 1)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: genotype_networks([0, 1, 2], [2, 2]), "all 4 genotypes.*got 3"),
        (lambda: enumerate_genotypes([[0, 1]] * 20), "take fewer loci"),
        (lambda: enumerate_genotypes([[0, 1], []]), "got 0"),
        (lambda: discretise([[1.0]], 0), "width must be positive"),
        (lambda: discretise([[np.inf]], 1), "finite"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_basins():
    """Two draws: two equal basins, and one with a start that never settled."""
    rows = [(0, "0", 0.5, True), (0, "1", 0.5, False), (1, "0", 0.9, False), (1, "1", 0.0, True)]
    rows.append((1, "unsettled", 0.1, None))
    table = pd.DataFrame(rows, columns=["draw", "attractor", "share", "developed"])
    found = summarise(table.set_index(["draw", "attractor"]))
    assert found["attractors"].values.tolist() == [2, 1]
    assert found["effective_attractors"].values[0] == pytest.approx(2)
    assert found["largest_basin"].values.tolist() == [0.5, 0.9]
    assert found["developed_basin"].values.tolist() == [0.5, 0]
