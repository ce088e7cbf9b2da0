"""A hypothesis of a user's own: one class, written in a notebook, gets fit, comparison and card."""

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
import pytest
import torch

from genomic_code.inference.compare import compare
from genomic_code.inference.fit import fit
from genomic_code.inference.optimise import Settings
from genomic_code.spec import NOISES, Data, Factor, Shape, card, simulate
from genomic_code.spec.linear import project
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import baseline, baseline_traits, sample, trait_scale
from genomic_code.spec.protocols import Noise
from tests import conformance

QUICK = Settings(restarts=2, screening=60, steps=120, cycles=2)


@dataclass(frozen=True)
class Rectified:
    """Rectified: one latent that acts above a threshold only.

        z_n = x_n a / sqrt(L),   a_l ~ Normal(0, 1)
        eta_n = mu + E_n D + max(z_n, 0) s v,   v_t ~ Normal(0, 1),   s_t ~ HalfNormal(0.8)

    Sites: mu mean; D environment_effect; a encoder; v decoder; s trait_scale
    Claims: genes act only beyond a threshold.  Rivals: `factor`.  Special case: none.
    Refuted by: effects on both sides.
    """

    name: ClassVar[str] = "rectified"
    complexity: ClassVar[int] = 6
    rotatable: ClassVar[bool] = True

    noise: Noise = Normal()
    """Measurement model."""

    def weights(self, shape: Shape) -> dict[str, torch.Tensor]:
        normal = dist.Normal(0.0, 1.0)
        sizes = {"locus": shape.loci, "latent": 1}
        encoder = sample("encoder", normal, sizes, isotropic=True)
        decoder = sample("decoder", normal, {"latent": 1, "trait": shape.traits})
        scale = trait_scale(shape, 0.8)[..., None, :]
        return {
            **baseline(shape),
            "encoder": encoder / math.sqrt(shape.loci),
            "decoder": decoder * scale,
        }

    def develop(self, weights, genotype, environment) -> torch.Tensor:
        latent = torch.relu(project(genotype, weights["encoder"]))
        return baseline_traits(weights, environment) + latent @ weights["decoder"]

    def __call__(self, data: Data) -> torch.Tensor:
        return run(self, data)


def test_conforms():
    for check in (
        conformance.check_sites,
        conformance.check_seeds,
        conformance.check_development,
        conformance.check_masks,
        conformance.check_gradients,
        conformance.check_batching,
        conformance.check_precision,
        conformance.check_relabelling,
        conformance.check_statement,
        conformance.check_hyperparameters,
    ):
        check(Rectified())


def test_has_a_card():
    text = str(card(Rectified()))
    assert "max(z_n, 0)" in text
    assert "latents" not in card(Rectified()).graph


@pytest.mark.filterwarnings("ignore:.*ELBO still rose")
def test_compares_without_touching_the_package():
    cohort = simulate(Rectified(), individuals=150, loci=12, traits=3, heritability=0.7, seed=1)
    table = compare([Rectified(), "factor"], cohort, folds=3, settings=QUICK, progress=False)
    assert {"rectified", "factor", "null"} <= set(table.frame.index)
    assert np.isfinite(table.frame.loc["rectified", "elpd"])
    assert table.frame.loc["rectified", "elpd"] > table.frame.loc["null", "elpd"]


SLOW = set(NOISES) - {"poisson", "ordinal"}


@pytest.mark.parametrize(
    "noise",
    [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NOISES],
)
def test_every_noise_fits_with_missing_cells(noise):
    hypothesis = Factor(latents=2, noise=NOISES[noise]())
    cohort = simulate(hypothesis, individuals=120, loci=10, traits=3, missing=0.1, seed=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ELBO still rose")
        result = fit(hypothesis, cohort, settings=QUICK, progress=False)
    predicted = result.predict(draws=40)
    assert np.isfinite(predicted.to_array().values).all()
    observed = ~np.isnan(cohort.phenotype.values)
    assert np.isfinite(result.log_predictive(draws=40).values[observed]).all()
    residual = np.where(observed, cohort.phenotype.values - predicted["mean"].values, 0)
    spread = np.where(observed, predicted["predictive_sd"].values, 1)
    # Calibrated residuals have a mean size of 0.8 (normal); fitting shrinks those of training rows.
    assert 0.3 < np.abs(residual / spread)[observed].mean() < 1.1
