"""Forward selection finds what is there, and nothing where nothing is."""

import numpy as np
import torch

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations import Blueprint
from genomic_code.spec.priors import Dense, Horseshoe
from genomic_code.spec.selection import forward_selection
from genomic_code.spec.standardize import Scaler


def standard(genotype, phenotype):
    cohort = Cohort(genotype, phenotype)
    return Scaler.fit(cohort).data(cohort)


def test_finds_the_causal_loci_of_each_trait_in_spite_of_missing_cells():
    rng = np.random.default_rng(1)
    genotype = rng.integers(0, 3, (400, 80)).astype(float)
    effects = np.zeros((80, 3))
    effects[[3, 40, 77], 0] = 1.0, -0.8, 0.6
    effects[40, 1] = 1.0
    phenotype = genotype @ effects + rng.normal(0, 0.3, (400, 3))
    phenotype[rng.random((400, 3)) < 0.2] = np.nan
    found = forward_selection(standard(genotype, phenotype))
    # chi2 = 2 log 80 is passed by chance in a trait without effects at most every third time
    assert set(np.flatnonzero(found[:, 0])) >= {3, 40, 77}
    assert ((found != 0).sum(0) <= torch.tensor([5, 3, 2])).all()
    signs = found[[3, 40, 77], 0].sign()
    assert signs.tolist() == [1, -1, 1]


def test_least_squares_on_the_selected_loci():
    rng = np.random.default_rng(2)
    genotype = rng.normal(size=(300, 10))
    phenotype = genotype[:, [0, 1]] @ [[1.0], [0.5]] + rng.normal(0, 0.5, (300, 1))
    data = standard(genotype, phenotype)
    found = forward_selection(data)
    taken = found[:, 0] != 0
    expected = torch.linalg.lstsq(data.genotype[:, taken], data.phenotype).solution[:, 0]
    torch.testing.assert_close(found[taken, 0], expected, atol=1e-3, rtol=1e-3)


def test_horseshoe_sites_compose_to_the_weights_they_were_asked_for():
    weights = torch.tensor([[0.0, 0.02], [-0.3, 0.9], [1.5, 0.0]])
    sites = Horseshoe(0.01).sites("effects", weights)
    wide = sites["effects_local"] * sites["effects_global"]
    composed = sites["effects"] * wide * torch.rsqrt(1 + wide.square() / sites["effects_slab"])
    torch.testing.assert_close(composed, weights, atol=1e-6, rtol=1e-5)


def test_a_prior_of_the_user_starts_as_any_other():
    rng = np.random.default_rng(3)
    data = standard(rng.normal(size=(50, 4)), rng.normal(size=(50, 2)))
    assert Blueprint(prior={"effects": Dense()}).starts(data, torch.Generator()) == {}
