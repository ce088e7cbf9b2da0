"""Ensembles of most probable weights: optimum, mixture, what they learn and must not see."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from genomic_code.inference import DivergenceError, NetworkEnsemble
from genomic_code.spec import Cohort, Factor, Generative, Regulatory
from genomic_code.spec.noise import Normal, Poisson
from genomic_code.spec.standardize import Scaler

SMALL = Regulatory(outer=32, inner=16, latents=3)


def parity(individuals: int = 600, missing: float = 0.0) -> Cohort:
    """Two traits: parity of three loci, and one locus; a further locus doubles the noise."""
    rng = np.random.default_rng(5)
    x = rng.integers(0, 2, (individuals, 5)).astype(float)
    clean = np.stack([x[:, :3].sum(1) % 2, x[:, 3]], 1)
    noise = (0.1 + 0.2 * x[:, 4:]) * rng.normal(size=clean.shape)
    y = clean + noise
    y[rng.random(y.shape) < missing] = np.nan
    error = rng.uniform(0.01, 0.05, y.shape)
    return Cohort(x, y, environment=rng.normal(size=(individuals, 1)), error=error)


def folds(individuals: int, held: int) -> np.ndarray:
    return (np.arange(individuals) < individuals - held)[None]


def test_interactions_and_noise_are_learnt() -> None:
    """Held-out R2 of a parity, and predictive sd that follows the locus that sets the noise."""
    cohort = parity()
    rows = folds(600, 200)
    found = NetworkEnsemble(SMALL, members=2, steps=1500).predict(cohort, rows, progress=False)
    held = ~rows[0]
    y, mean = cohort.phenotype.values[held], found["mean"].values[held]
    r2 = 1 - ((y - mean) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)
    assert (r2 > 0.7).all()  # ceiling 0.83, of the noise
    sd, wide = found["predictive_sd"].values[held], cohort.genotype.values[held, 4] == 1
    assert (np.median(sd[wide], 0) > 1.8 * np.median(sd[~wide], 0)).all()
    inside = (np.abs(found["quantile"].values[held] - 0.5) < 0.45).mean()
    assert 0.8 < inside < 0.95  # points of weights are a little too sure where data are few


def test_weights_are_the_most_probable() -> None:
    """Whole batches: no small change of any weight raises the density by a thousandth of a nat."""
    cohort = parity(60)
    ensemble = NetworkEnsemble(Factor(latents=1), members=2, steps=3000, batch=60)
    data = Scaler.fit(cohort).data(cohort)
    from tqdm import tqdm

    with tqdm(disable=True) as bar:
        flat, free = ensemble.maximise(data, torch.Generator().manual_seed(0), bar)
    density = flat.log_joint(free, data)
    for seed in range(20):
        step = 1e-3 * torch.randn(free.shape, generator=torch.Generator().manual_seed(seed))
        assert (flat.log_joint(free + step, data) < density + 2e-3).all()
    assert float(density[0] - density[1]) == pytest.approx(0, abs=0.05)  # one mode but for signs


def test_members_are_mixed() -> None:
    """Mean, sd and density of the mixture of two members, from each member alone."""
    cohort = parity(80)
    ensemble = NetworkEnsemble(Generative(latents=2, hidden=4), members=2, steps=50)
    data = Scaler.fit(cohort).data(cohort)
    from tqdm import tqdm

    generator = torch.Generator().manual_seed(0)
    with tqdm(disable=True) as bar:
        flat, free = ensemble.maximise(data, generator, bar)
    some = data.take(torch.arange(10))
    both = ensemble.score(flat, free, some, generator)
    one, two = (ensemble.score(flat, free[i : i + 1], some, generator) for i in (0, 1))
    torch.testing.assert_close(both["mean"], (one["mean"] + two["mean"]) / 2)
    torch.testing.assert_close(both["sd"], (one["mean"] - two["mean"]).abs() / 2)
    second = sum(each["predictive_sd"] ** 2 + each["mean"] ** 2 for each in (one, two)) / 2
    torch.testing.assert_close(both["predictive_sd"] ** 2, second - both["mean"] ** 2)
    cells = some.phenotype.double().numpy()
    density = [norm.pdf(cells, e["mean"], e["predictive_sd"]) for e in (one, two)]
    np.testing.assert_allclose(both["log_predictive"], np.log(np.mean(density, 0)), rtol=1e-4)
    place = np.mean([norm.cdf(cells, e["mean"], e["predictive_sd"]) for e in (one, two)], 0)
    np.testing.assert_allclose(both["quantile"], place, atol=0.09)  # 4 standard errors, 800 draws


def test_held_out_phenotypes_are_not_seen() -> None:
    cohort = parity(120, missing=0.1)
    rows = folds(120, 40)
    ensemble = NetworkEnsemble(Regulatory(outer=8, inner=6), members=2, steps=60)
    first = ensemble.predict(cohort, rows, progress=False)
    other = cohort.dataset.copy(deep=True)
    held = other["phenotype"].values[~rows[0]]
    other["phenotype"].values[~rows[0]] = np.where(np.isnan(held), held, -7.0)
    second = ensemble.predict(Cohort.from_dataset(other), rows, progress=False)
    np.testing.assert_array_equal(first["mean"], second["mean"])
    again = ensemble.predict(cohort, rows, progress=False)
    assert first.identical(again)
    assert np.isnan(first["mean"].values[rows[0]]).all()
    missing = np.isnan(cohort.phenotype.values)
    assert (np.isnan(first["log_predictive"].values) == (missing | rows[0][:, None])).all()


def test_too_few_cells_for_the_weights_are_told() -> None:
    ensemble = NetworkEnsemble(SMALL, members=1, steps=5)
    with pytest.warns(UserWarning, match="regulatory: 80 observed cells are few for 832 weights"):
        ensemble.predict(parity(60), folds(60, 20), progress=False)


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="noise of continuous traits, got Poisson"):
        NetworkEnsemble(Generative(noise=Poisson()))
    with pytest.raises(ValueError, match=r"formalization must be one of .* did you mean"):
        NetworkEnsemble("generativ")
    assert NetworkEnsemble("generative").hypothesis == Generative()
    with pytest.raises(ValueError, match=r"for one fold give rows\[None\]"):
        NetworkEnsemble(SMALL).predict(parity(30), folds(30, 10)[0], progress=False)
    with pytest.raises(ValueError, match="steps must be an integer of at least 1"):
        NetworkEnsemble(steps=0)
    with pytest.raises(ValueError, match="at least 2 individuals in each fold, got 1"):
        NetworkEnsemble(SMALL).predict(parity(30), folds(30, 29), progress=False)
    wild = NetworkEnsemble(Generative(latents=1, hidden=2), rate=1e30, steps=30)
    with pytest.raises(DivergenceError, match="lower rate"):
        wild.predict(parity(60), folds(60, 20), progress=False)
    assert isinstance(SMALL.noise, Normal)
