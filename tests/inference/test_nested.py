"""Starts from a relative: the same map where the one contains the other, a near one elsewhere."""

import numpy as np
import pytest
import torch

from genomic_code.inference.compare import CANDIDATES, named
from genomic_code.inference.fit import fit_folds
from genomic_code.inference.flat import FlatModel, compose
from genomic_code.inference.nested import PAIRS, pairs, place, posterior_sites, translate
from genomic_code.inference.optimise import Settings
from genomic_code.spec import Cohort, Conditional, Factor, Generative, simulate
from genomic_code.spec.noise import StudentT
from genomic_code.spec.protocols import Formalization
from genomic_code.spec.standardize import Scaler

QUICK = Settings(restarts=2, screening=60, steps=200, cycles=1, elbo_draws=50)


@pytest.fixture(scope="module")
def grown() -> Cohort:
    return simulate("generative", individuals=150, loci=20, traits=4, seed=2)


def traits(model: Formalization, sites: dict[str, torch.Tensor], cohort: Cohort) -> torch.Tensor:
    data = Scaler.fit(cohort).data(cohort)
    flat = FlatModel(model, data.shape)
    values, _ = flat.unpack(place(sites, flat, None))
    return model.develop(compose(model, values, data.shape)[0], data.genotype, data.environment)


@pytest.mark.parametrize("kinds", PAIRS, ids=lambda pair: f"{pair[0].name}-{pair[1].name}")
def test_maps_are_carried_over(kinds: tuple[type, type], grown: Cohort) -> None:
    source, target = kinds[0](), kinds[1]()
    everyone = np.ones((1, len(grown)), bool)
    fit = fit_folds(source, grown, everyone, QUICK, 0, False)[0]
    sites = posterior_sites(fit)
    theirs = traits(source, sites, grown)
    ours = traits(target, translate(source, target, sites, grown), grown)
    left = (ours - ours.mean(0) - theirs + theirs.mean(0)).var() / theirs.var()
    # what the target contains is the same but for faint extras; else the nearest that it can make
    contained = {("generative", "conditional"): 0.01, ("factor", "generative"): 0.02}
    assert float(left) < contained.get((source.name, target.name), 0.35)


def test_rotated_fits_come_back(grown: Cohort) -> None:
    """Sites over loci, placed again in the basis of the fit, are where the fit was."""
    rows = np.arange(150)[None] % 5 > 0
    fit = fit_folds(Factor(), grown, rows, QUICK, 0, False)[0]
    assert fit.basis is not None
    location = fit.guide.sample(fit.parameters, torch.zeros(fit.flat.dim))
    again = place(posterior_sites(fit), fit.flat, fit.basis)
    torch.testing.assert_close(again, location, rtol=1e-4, atol=1e-4)


def test_a_start_at_the_optimum_stays_there(grown: Cohort) -> None:
    everyone = np.ones((1, len(grown)), bool)
    settings = Settings(restarts=2, screening=60, steps=400, cycles=2, elbo_draws=100)
    fit = fit_folds(Factor(), grown, everyone, settings, 0, False)[0]
    single = Settings(restarts=1, steps=400, cycles=1, elbo_draws=100)
    again = fit_folds(
        Factor(), grown, everyone, single, 1, False, starts=[posterior_sites(fit)]
    )[0]  # fmt: skip
    assert again.elbo > fit.elbo - 10


def test_pairs_need_known_relatives() -> None:
    assert set(pairs(named(CANDIDATES))) == {
        ("generative", "conditional"), ("conditional", "generative"), ("factor", "generative"),
        ("generative", "factor"), ("generative", "disentangled"), ("disentangled", "generative"),
    }  # fmt: skip
    assert pairs(named(["factor", "polygenic"])) == []
    assert pairs({"f": Factor(), "g": Generative(decoder="linear")}) == []
    assert pairs({"c": Conditional(latents=4), "g": Generative()}) == []
    assert pairs({"f": Factor(noise=StudentT()), "g": Generative()}) == []
