"""The whole of evolvability: labels, invariance, units, comparison, calibration."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
import xarray as xr

from genomic_code.inference.evolvability import evolvability
from genomic_code.inference.evolvability_calibrate import (
    calibrate_evolvability,
    simulate_from,
    transform,
    untransform,
)
from genomic_code.inference.evolvability_compare import compare_evolvability
from genomic_code.inference.evolve import evolve
from genomic_code.inference.fit import fit
from genomic_code.inference.functionals.map import Map
from genomic_code.inference.functionals.matrices import along_directions, matrix_metrics
from genomic_code.inference.functionals.summary import evolvability_of_map
from genomic_code.inference.lineage import Lineage
from genomic_code.inference.niche import Niche
from genomic_code.spec import FORMALIZATIONS, simulate
from tests.inference.functionals.maps import additive_map, hypercube, prior_map

ANY_SIZE = [name for name, kind in FORMALIZATIONS.items() if not hasattr(kind, "example_shape")]

mpl.use("Agg")


@pytest.fixture(scope="module")
def cohort():
    return simulate("factor", individuals=80, loci=10, traits=4, environments=1, seed=0)


@pytest.fixture(scope="module")
def fits(cohort):
    options = {"restarts": 2, "steps": 300, "progress": False}
    return {name: fit(name, cohort, seed=0, **options) for name in ("null", "factor")}


def quick(fit_, **options):
    return evolvability(fit_, draws=20, trajectories=0, progress=False, **options)


@pytest.mark.parametrize("name", ANY_SIZE)
def test_every_formalization_has_evolvability(name):
    f = prior_map(name, individuals=40)
    tree = evolvability_of_map(f, beta=np.eye(f.trait_count))
    metrics = tree["metrics"]
    assert {"tr_G", "tr_M", "e", "r", "c"} <= set(metrics.data_vars)
    for values in tree.subtree:
        for variable in values.data_vars.values():
            assert np.isfinite(variable.values).all(), variable.name
    if name != "null":
        assert {"a", "i", "additive_share", "robustness", "D_eff"} <= set(metrics.data_vars)
        np.testing.assert_allclose(metrics["e"], metrics["tr_G"] / f.trait_count, rtol=1e-10)
        along = tree["directions"]
        diagonal = tree["traits"]["genetic_variance"]
        np.testing.assert_allclose(along["e"], diagonal, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["factor", "generative"])
def test_metrics_are_functionals_of_the_map(name):
    """Rotation, sign and permutation of latents and hidden units change nothing, to 1e-5."""
    torch.set_default_dtype(torch.float64)
    try:
        f = prior_map(name, individuals=40, traits=4)
        generator = torch.Generator().manual_seed(5)
        turn = torch.linalg.qr(torch.randn(3, 3, generator=generator))[0]
        inner = "decoder" if name == "factor" else "hidden_weight"
        inner = inner if inner in f.weights else "hidden"
        changed = dict(f.weights)
        changed["encoder"], changed[inner] = f.weights["encoder"] @ turn, turn.mT @ f.weights[inner]
        if name == "generative":
            order = torch.randperm(8, generator=generator)
            sign = torch.tensor([1.0, -1] * 4)
            changed[inner] = changed[inner][..., order] * sign
            changed["hidden_bias"] = f.weights["hidden_bias"][..., order] * sign
            changed["decoder"] = f.weights["decoder"][:, order] * sign[:, None]
        turned = Map(f.formalization, changed, f.genotype, f.environment, f.noise_variance)
        first, second = evolvability_of_map(f), evolvability_of_map(turned)
    finally:
        torch.set_default_dtype(torch.float32)
    for group in ("metrics", "matrices", "traits", "loci", "mutations"):
        for key, values in first[group].data_vars.items():
            np.testing.assert_allclose(
                second[group][key], values, rtol=1e-5, atol=1e-9, err_msg=str(key)
            )


def test_golden_matrix_through_the_map():
    """G = 0.1 [[2,1,0],[1,2,1],[0,1,3]] as the effects of three independent loci."""
    G = 0.1 * np.array([[2.0, 1, 0], [1, 2, 1], [0, 1, 3]])
    effects = torch.tensor(np.linalg.cholesky(G).T[None], dtype=torch.float32)
    metrics = evolvability_of_map(additive_map(effects, hypercube(3).repeat(500, 1)))["metrics"]
    golden = {"e": 0.2333, "r": 0.2543, "c": 0.1830, "a": 0.7717}
    for name, value in golden.items():
        assert float(metrics[name][0]) == pytest.approx(value, rel=1.3e-3), name
    assert float(metrics["additive_share"][0]) == pytest.approx(1, rel=1e-5)
    assert float(metrics["roughness"][0]) == pytest.approx(1, rel=1e-3)
    assert metrics.attrs["subspace_dimensions"] == 3


def test_fewer_latents_than_traits():
    """c and a are those of the latent subspace, and do not feel a wider space around it."""
    small = np.diag([3.0, 1.0, 0.5])[None]
    wide = np.zeros((1, 5, 5))
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    wide[:, :3, :3] = small
    wide = turn @ wide @ turn.T
    first, second = matrix_metrics(small), matrix_metrics(wide)
    assert second.attrs["subspace_dimensions"] == 3
    assert second.attrs["epsilon"] == 1e-4
    for name in "cai":
        assert float(first[name][0]) == pytest.approx(float(second[name][0]), rel=1e-8)
    along = along_directions(wide, turn[:, [0, 4]].T, ["in", "out"])
    np.testing.assert_allclose(along["inside"][0], [1, 0], atol=1e-6)
    np.testing.assert_allclose(along["c"][0], [3, 0], atol=1e-8)


def test_no_genetic_variance_says_so():
    tree = evolvability_of_map(prior_map("null"))
    metrics = tree["metrics"]
    assert (metrics["tr_G"] == 0).all()
    assert (metrics["c"] == 0).all()
    assert "additive_share" not in metrics
    assert "no genetic variance" in metrics.attrs["omitted"]


def test_labels_and_attributes(fits, cohort):
    tree = quick(fits["factor"], targets=np.eye(4))
    assert tree["matrices"]["trait"].values.tolist() == cohort.labels("trait")
    assert tree["loci"]["locus"].values.tolist() == cohort.labels("locus")
    assert tree["metrics"].sizes["draw"] == 20
    assert tree.attrs["formalization"] == "factor"
    assert tree.attrs["trajectories"] == 0
    assert "draws of the guide" in tree.attrs["warning"]
    assert tree["targets"]["relative"].dims == ("draw", "target")


def test_original_units(fits, cohort):
    plain, original = quick(fits["factor"]), quick(fits["factor"], original_units=True)
    sd = fits["factor"].scaler.phenotype[1].numpy()
    both = plain["matrices"]["G"] * np.outer(sd, sd)
    np.testing.assert_allclose(original["matrices"]["G"], both, rtol=1e-4)
    np.testing.assert_allclose(
        original["traits"]["heritability"], plain["traits"]["heritability"], rtol=1e-4
    )


def test_chains_are_the_default_and_seeded(fits):
    runs = [
        evolvability(fits["factor"], draws=20, trajectories=8, progress=False) for _ in range(2)
    ]
    assert runs[0].attrs["trajectories"] == 8
    np.testing.assert_array_equal(runs[0]["metrics"]["tr_M"], runs[1]["metrics"]["tr_M"])


def test_saves_as_netcdf(fits, tmp_path):
    tree = quick(fits["factor"])
    tree.to_netcdf(tmp_path / "evolvability.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "evolvability.nc", engine="h5netcdf") as again:
        np.testing.assert_array_equal(again["metrics"]["e"], tree["metrics"]["e"])


def test_lineage_gives_metrics_by_generation():
    G = np.stack([np.diag([1.0, 2.0]), np.diag([3.0, 0.5])])

    M = G[::-1].copy()
    records = [
        (10 * i, "home", {"G": torch.tensor(G[i]), "M": torch.tensor(M[i])}) for i in range(2)
    ]
    lineage = Lineage.from_records(records, {"dynamics": "test"})
    metrics = evolvability(lineage)["metrics"]
    assert metrics["generation"].values.tolist() == [0, 10]
    np.testing.assert_allclose(metrics["e"], [1.5, 1.75])
    np.testing.assert_allclose(metrics["tr_M"], [3.5, 3])
    bare = Lineage(lineage.dataset.drop_vars("G"))
    with pytest.raises(ValueError, match="must have recorded G"):
        evolvability(bare)


def test_last_generation_of_a_lineage_on_a_population(cohort, fits):
    """All functionals of the map that evolved, M among them by the Jacobian."""
    x = torch.as_tensor(np.eye(10, dtype=np.float32)[:6])
    niche = Niche(np.zeros((6, 4)), environment=torch.zeros(6, 1), genotype=x)
    lineage = evolve("factor", niche, 50, 3, draws=8)
    tree = evolvability(lineage, population=cohort, draws=6, progress=False)
    assert tree["metrics"].sizes["draw"] == 6
    assert tree["generations"]["tr_G"].dims == ("generation",)
    weights = lineage.weights(6, 0)
    effects = (weights["encoder"] @ weights["decoder"]).double()
    trace = effects.square().sum((1, 2))
    np.testing.assert_allclose(tree["metrics"]["tr_M"], trace, rtol=1e-4)
    np.testing.assert_allclose(tree["metrics"]["additive_share"], 1, rtol=1e-4)
    with pytest.raises(ValueError, match="population must have the sizes of the lineage"):
        evolvability(lineage, population=simulate("factor", 20, 3, 4, 1))
    with pytest.raises(ValueError, match="population must be None for a fit"):
        evolvability(fits["factor"], population=cohort)


def test_comparison(fits):
    result = compare_evolvability(fits, draws=20, trajectories=0, progress=False)
    frame = result.frame
    assert frame.loc[("tr_G", "null"), "mean"] == 0
    assert frame.loc[("tr_G", "factor"), "difference_low"] > 0
    assert frame.loc[("tr_G", "factor"), "above"] == 1
    assert np.isnan(frame.loc[("tr_G", "null"), "difference"])
    assert ("additive_share", "null") not in frame.index
    assert np.isnan(result.metrics["additive_share"].sel(hypothesis="null")).all()
    assert "90% intervals; differences from null" in str(result)
    assert "factor: c, a, i in the 3 dimensions of G above epsilon=0.0001" in str(result)
    assert "null: draws of the guide" in str(result)
    assert len(result.plot(["tr_G", "e", "additive_share"])) == 3


def test_a_hypothesis_equals_itself(fits):
    twice = {"one": fits["factor"], "two": fits["factor"]}
    frame = compare_evolvability(twice, draws=20, trajectories=0, progress=False).frame
    assert (frame.xs("two", level="hypothesis")["difference"] == 0).all()
    assert (frame.xs("two", level="hypothesis")["above"] == 0.5).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fits": {}}, "at least 2"),
        ({"reference": "x"}, "reference must be one of null, factor"),
        ({"probability": 1.0}, "probability must be between 0 and 1"),
    ],
)
def test_bad_comparison(fits, change, message):
    with pytest.raises(ValueError, match=message):
        compare_evolvability(**{"fits": fits, **change})


def test_bad_draws(fits):
    with pytest.raises(ValueError, match="draws must be an integer of at least 2, got 1"):
        evolvability(fits["factor"], draws=1)
    with pytest.raises(ValueError, match=r"posterior must be a Fit, a Lineage.*got str"):
        evolvability("factor")


def test_replicates_resemble_the_cohort(fits, cohort):
    replicate, truth = simulate_from(fits["factor"], 3)
    np.testing.assert_array_equal(replicate.genotype, cohort.genotype)
    assert replicate.labels("trait") == cohort.labels("trait")
    ratio = replicate.phenotype.values.std(0) / cohort.phenotype.values.std(0)
    assert ((ratio > 0.6) & (ratio < 1.6)).all()
    assert truth.draws == 1


def test_calibration_of_an_honest_and_of_a_biased_refit(fits):
    """A refit that returns the fit itself leaves the errors of its draws: z is standard normal."""
    calibration = calibrate_evolvability(
        fits["factor"], lambda cohort, seed: fits["factor"], 12, progress=False,
        draws=40, trajectories=0,
    )  # fmt: skip
    z = calibration.errors["tr_G"]
    assert abs(z.mean()) < 4 / 12**0.5
    assert 0.4 < z.std() < 1.8
    table = calibration.table
    assert set(table.columns) == {"bias", "stretch", "coverage", "coverage_calibrated"}
    assert table.loc["tr_G", "coverage_calibrated"] > 0.6
    metrics = quick(fits["factor"])["metrics"].to_dataset()
    corrected = calibration.correct(metrics)
    assert corrected["additive_share"].max() <= 1
    assert corrected.attrs["calibrated"] == 12
    with pytest.raises(ValueError, match="replicates must be at least 4"):
        calibrate_evolvability(fits["factor"], lambda cohort, seed: fits["factor"], 2)


def test_transforms_are_inverse():
    for name, values in (("a", np.array([0.1, 0.9])), ("tr_G", np.array([0.2, 30.0]))):
        np.testing.assert_allclose(untransform(name, transform(name, values)), values, rtol=1e-9)
