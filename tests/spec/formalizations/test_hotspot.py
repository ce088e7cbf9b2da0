"""Hotspot: blueprint, but for the scale that the traits of a locus share."""

import math

import pytest
import torch
from pyro import poutine

from genomic_code.spec import Blueprint, Dense, Horseshoe, Hotspot, Shape

pytestmark = pytest.mark.usefixtures("double_precision")


def test_loci_that_are_alike_are_blueprint(small_data, prior_sites, log_joint):
    data = small_data()
    values, _ = prior_sites(Hotspot(), data, 5)
    row = torch.ones_like(values["effects_row"])
    common = {name: value for name, value in values.items() if name != "effects_row"}
    alike = log_joint(Hotspot(), data, common | {"effects_row": row})
    density = row.shape[-1] * (math.log(2 / math.pi) - math.log(2))  # half-Cauchy at 1
    torch.testing.assert_close(alike - density, log_joint(Blueprint(), data, common))


def test_traits_share_the_sizes_of_a_locus():
    """Of the variance of log |z eta lam|, 1.23 + 2.47 + 2.47, eta has 0.4."""
    torch.manual_seed(0)
    sizes = {"locus": 20_000, "trait": 2}
    for prior, expected in ((Horseshoe(slab=1e9, shared=True), 0.4), (Horseshoe(slab=1e9), 0.0)):
        size = prior("effects", sizes).abs().log()
        found = torch.corrcoef(size.mT)[0, 1]
        assert float(found) == pytest.approx(expected, abs=5 / math.sqrt(20_000))


def test_a_prior_of_the_users_is_taken_as_it_is():
    shape = Shape(individuals=9, loci=5, environments=0, traits=3)
    model = Hotspot(prior={"effects": Dense(0.1)})
    trace = poutine.trace(lambda: model.weights(shape)).get_trace()
    assert set(trace.stochastic_nodes) == {"mean", "effects"}
