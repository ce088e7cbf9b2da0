"""A formalization that knows where to begin is asked."""

from dataclasses import dataclass

import numpy as np
import torch

from genomic_code.inference.flat import FlatModel
from genomic_code.inference.starts import is_random, starts
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.formalizations.epistatic import Epistatic
from genomic_code.spec.formalizations.null import Null
from genomic_code.spec.priors import Dense
from genomic_code.spec.standardize import Scaler


@dataclass(frozen=True)
class Knowing(Null):
    def starts(self, data, generator):
        noise = 1 + torch.rand(data.shape.traits, generator=generator)
        return {"noise_scale": noise}


def test_given_sites_begin_there_and_others_as_usual():
    rng = np.random.default_rng(0)
    cohort = Cohort(rng.normal(size=(20, 3)), rng.normal(size=(20, 2)))
    data = Scaler.fit(cohort).data(cohort)
    flat = FlatModel(Knowing(), data.shape)
    ours = starts(flat, data, 3, torch.Generator().manual_seed(0))
    sites, _ = flat.unpack(ours)
    assert (sites["noise_scale"] > 1).all()
    assert (sites["noise_scale"] < 2).all()
    assert not torch.equal(sites["noise_scale"][0], sites["noise_scale"][1])
    assert (sites["mean"] == 0).all()
    plain = starts(FlatModel(Null(), data.shape), data, 1, torch.Generator().manual_seed(0))
    usual = FlatModel(Null(), data.shape).unpack(plain)[0]
    assert not torch.equal(usual["noise_scale"], sites["noise_scale"][:1])


def test_what_needs_one_restart_starts_alike_in_all():
    rng = np.random.default_rng(0)
    cohort = Cohort(rng.normal(size=(20, 3)), rng.normal(size=(20, 2)))
    data = Scaler.fit(cohort).data(cohort)
    for model in (Epistatic(), Epistatic(prior={"pair_effects": Dense(0.1)})):
        flat = FlatModel(model, data.shape)
        assert not any(is_random(site) for site in flat.sites)
        ours = starts(flat, data, 3, torch.Generator().manual_seed(0))
        torch.testing.assert_close(ours, ours[:1].expand_as(ours), rtol=0, atol=0)
