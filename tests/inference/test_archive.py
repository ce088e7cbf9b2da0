"""Saved fits: the same numbers in a new process, and a clear refusal of anything else."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
import xarray as xr

import genomic_code
from genomic_code.inference import Fit, Lineage, Niche, Settings, evolve, fit
from genomic_code.inference.archive import build_fit, load_fit
from genomic_code.inference.heldout import held_out
from genomic_code.inference.identity import formalization_from_json, formalization_to_json
from genomic_code.spec import (
    FORMALIZATIONS,
    Cohort,
    Dense,
    Factor,
    Generative,
    Null,
    Wired,
    simulate,
)
from genomic_code.spec.protocols import Formalization
from tests.inference.test_own_formalization import Rectified

QUICK = Settings(restarts=2, screening=20, steps=40, cycles=1, elbo_draws=20)
IN_ANOTHER_PROCESS = """
import sys
import numpy as np
import torch
torch.set_num_threads(1)
import genomic_code
fit = genomic_code.load(sys.argv[1])
prediction = fit.predict(draws=30)
np.savez(
    sys.argv[2], draws=fit.flat_draws(20).numpy(), held=fit.log_predictive(draws=20).values,
    repr=repr(fit), **{f"predicted_{name}": prediction[name].values for name in prediction},
    **{f"weight_{name}": value.numpy() for name, value in fit.weights(5).items()},
    **{f"strangers_{name}": value for name, value in fit.predict(fit.cohort, 10).items()},
)
"""


def quick_fit(formalization: str | Formalization, cohort: Cohort, **options: Any) -> Fit:
    with pytest.warns(UserWarning, match="raise cycles"):
        return fit(formalization, cohort, settings=QUICK, progress=False, seed=5, **options)


def numbers(fitted: Fit) -> dict[str, Any]:
    prediction = fitted.predict(draws=30)
    return {
        "draws": fitted.flat_draws(20).numpy(),
        "held": fitted.log_predictive(draws=20).values,
        "repr": np.array(repr(fitted)),
        **{f"predicted_{name}": prediction[name].values for name in prediction},
        **{f"weight_{name}": value.numpy() for name, value in fitted.weights(5).items()},
        **{
            f"strangers_{name}": value.values
            for name, value in fitted.predict(fitted.cohort, 10).items()
        },
    }


@pytest.mark.parametrize(
    "formalization",
    [Factor(latents=2), "polygenic", Generative(latents=2, prior={"encoder": Dense(0.5)})],
    ids=["factor", "polygenic", "generative"],
)
def test_same_bits_in_another_process(
    formalization: str | Formalization, cohort: Cohort, tmp_path: Path
) -> None:
    fitted = quick_fit(formalization, cohort)
    path = fitted.save(tmp_path / "fitted")
    assert path == tmp_path / "fitted.nc"
    assert [file.name for file in tmp_path.iterdir()] == ["fitted.nc"]
    result = tmp_path / "result.npz"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, path, result], check=True, env=environment
    )
    theirs, ours = np.load(result, allow_pickle=False), numbers(fitted)
    assert set(theirs) == set(ours)
    for name, values in ours.items():
        np.testing.assert_array_equal(theirs[name], values, err_msg=name)


@pytest.mark.parametrize("name", sorted(FORMALIZATIONS))
def test_every_formalization_with_its_defaults(name: str) -> None:
    model = FORMALIZATIONS[name]()
    assert formalization_from_json(formalization_to_json(model)) == model


def test_held_out_rows_and_given_sites_are_kept(cohort: Cohort, tmp_path: Path) -> None:
    scale = torch.full((3,), 0.7)
    fitted = quick_fit("factor", cohort, given={"noise_scale": scale})
    loaded = Fit.load(fitted.save(tmp_path / "a.nc"))
    torch.testing.assert_close(loaded.flat.given["noise_scale"], scale, rtol=0, atol=0)
    part = dataclasses.replace(fitted, training=np.arange(len(cohort)) % 4 > 0)
    loaded = Fit.load(part.save(tmp_path / "b"))
    for ours, theirs in zip(held_out(part, 20), held_out(loaded, 20), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_no_environment_and_double_precision(tmp_path: Path) -> None:
    cohort = simulate("factor", individuals=40, loci=6, traits=2, environments=0, seed=1)
    try:
        torch.set_default_dtype(torch.float64)
        fitted = quick_fit("factor", cohort)
        ours = numbers(fitted)
        path = fitted.save(tmp_path / "double")
        torch.set_default_dtype(torch.float32)
        loaded = Fit.load(path)
        assert torch.get_default_dtype() == torch.float32
        assert loaded.parameters.dtype == loaded.data.genotype.dtype == torch.float64
        torch.set_default_dtype(torch.float64)
        for name, values in numbers(loaded).items():
            np.testing.assert_array_equal(ours[name], values, err_msg=name)
    finally:
        torch.set_default_dtype(torch.float32)


def test_nothing_of_a_fit_is_forgotten(cohort: Cohort, tmp_path: Path) -> None:
    """A field added to Fit must be stored, or be computed from what is."""
    fitted = quick_fit("null", cohort)
    loaded = Fit.load(fitted.save(tmp_path / "null"))
    for field in dataclasses.fields(Fit):
        ours, theirs = getattr(fitted, field.name), getattr(loaded, field.name)
        if field.name == "cohort":
            assert ours.dataset.identical(theirs.dataset)
        elif field.name in ("scaler", "data", "basis"):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
        elif field.name in ("flat",):
            assert ours.dim == theirs.dim
        elif isinstance(ours, np.ndarray | torch.Tensor):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype
        else:
            assert ours == theirs, field.name


def test_wired_priors_are_stored(tmp_path: Path) -> None:
    graph = nx.DiGraph()
    graph.add_edge("latent_0", "trait_0")
    graph.add_edge("latent_1", "trait_1")
    model = Factor(latents=2, prior={"decoder": Wired(graph)})
    cohort = simulate("factor", individuals=40, loci=6, traits=2, seed=1)
    fitted = quick_fit(model, cohort, backend="eager")
    loaded = Fit.load(fitted.save(tmp_path / "wired"))
    wired = loaded.formalization.prior["decoder"]
    assert list(wired.graph.edges.data()) == list(graph.edges.data())
    np.testing.assert_array_equal(loaded.flat_draws(9), fitted.flat_draws(9))
    graph.add_edge("latent_0", "trait_1", sign=-1)
    again = formalization_from_json(formalization_to_json(model))
    assert list(again.prior["decoder"].graph.edges.data()) == list(graph.edges.data())


def test_formalizations_of_ones_own(cohort: Cohort, tmp_path: Path) -> None:
    fitted = quick_fit(Rectified(), cohort)
    path = fitted.save(tmp_path / "mine")
    with pytest.raises(ValueError, match="pass your own instance to load"):
        genomic_code.load(path)
    loaded = genomic_code.load(path, Rectified())
    assert isinstance(loaded, Fit)
    np.testing.assert_array_equal(loaded.flat_draws(9), fitted.flat_draws(9))
    with pytest.raises(ValueError, match="polygenic has not the sites that were fitted"):
        genomic_code.load(path, FORMALIZATIONS["polygenic"]())


@pytest.fixture(scope="module")
def saved(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick_fit("null", cohort).save(tmp_path_factory.mktemp("saved") / "null")


def changed(path: Path, change: Callable[[xr.DataTree], object]) -> Path:
    with xr.open_datatree(path, engine="h5netcdf") as opened:
        tree = opened.load()
    change(tree)
    target = path.with_name("changed.nc")
    tree.to_netcdf(target, engine="h5netcdf")
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tree: tree["fit"].attrs.update(archive_schema=99),
            "newer version.*layout 99.*upgra",
        ),
        (
            lambda tree: tree["fit"].attrs.update(archive_schema=1),
            "old version.*layout 1.*make it again",
        ),
        (lambda tree: tree["fit"].attrs.pop("archive_schema"), "states no layout version"),
        (lambda tree: tree["fit"].attrs.update(dtype="no_such"), "not be read as a saved fit"),
        (
            lambda tree: tree["fit"].attrs.update(cohort_fingerprint="0" * 64),
            "fitted to, got another",
        ),
        (
            lambda tree: tree["fit"].attrs.update(formalization='{"class": "os:system"}'),
            "os:system",
        ),
        (lambda tree: tree["fit"].attrs.update(guide="not json"), "not be read as a saved fit"),
        (lambda tree: tree["cohort"].attrs.update(cohort_schema=99), "newer version"),
    ],
)
def test_unfit_files_are_refused(
    change: Callable[[xr.DataTree], object], message: str, saved: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        genomic_code.load(changed(saved, change))


@pytest.mark.parametrize(
    "path",
    ["genomic_code.spec.files:os", "genomic_code.spec.readers.file:read", "builtins:eval",
     "genomic_code.spec.card:Any", "genomic_code.spec.nosuch:Thing",
     "genomic_code.spec.cohort:Cohort"],
)  # fmt: skip
def test_files_can_name_nothing_but_dataclasses_of_ours(path: str) -> None:
    text = json.dumps({"class": path, "fields": {"path": "x"}})
    with pytest.raises(ValueError, match=r"formalization must be a class of|is no class that"):
        formalization_from_json(text)


def test_damaged_and_missing_files(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for name, content in {"cut": whole[:3000], "text": b"hello", "empty": b""}.items():
        file = tmp_path / f"{name}.nc"
        file.write_bytes(content)
        with pytest.raises(ValueError, match=name):
            genomic_code.load(file)
    with pytest.raises(ValueError, match="must be an existing file"):
        genomic_code.load(tmp_path / "nosuch")
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="must be a file with a fit, a lineage or a cohort"):
        genomic_code.load(tmp_path / "other")
    with pytest.raises(ValueError, match="must be a file with a fit"):
        load_fit(tmp_path / "other")


def test_a_fit_without_its_cohort(saved: Path, cohort: Cohort, tmp_path: Path) -> None:
    with xr.open_datatree(saved, engine="h5netcdf") as opened:
        tree = opened.load()
    del tree["cohort"]
    alone = tmp_path / "alone.nc"
    assert build_fit(tree, alone, Null(), cohort).cohort is cohort
    with pytest.raises(ValueError, match=r"cohort\.nc"):
        build_fit(tree, alone)
    cohort.to_netcdf(tmp_path / "cohort.nc")
    assert len(build_fit(tree, alone).cohort) == len(cohort)


def test_writes_are_whole_or_absent(cohort: Cohort, tmp_path: Path) -> None:
    fitted = quick_fit("null", cohort)
    with pytest.raises(ValueError, match="folder that can be written"):
        fitted.save(tmp_path / "nosuch" / "fit")
    if Path("/dev/full").exists() and os.access("/dev/full", os.W_OK):
        fitted.cohort.dataset.attrs["unstorable"] = {"a": 1}
        with pytest.raises(ValueError, match="could not be written"):
            fitted.save(tmp_path / "fit")
        del fitted.cohort.dataset.attrs["unstorable"]
    assert not list(tmp_path.iterdir())


def test_load_tells_what_it_finds(cohort: Cohort, tmp_path: Path) -> None:
    cohort.to_netcdf(tmp_path / "cohort.nc")
    assert isinstance(genomic_code.load(tmp_path / "cohort.nc"), Cohort)
    lineage = evolve("factor", Niche(torch.ones(1, 2)), 10, 2, loci=3)
    path = lineage.save(tmp_path / "lineage")
    loaded = genomic_code.load(path)
    assert isinstance(loaded, Lineage)
    assert loaded.dataset.identical(lineage.dataset)
    newer = changed(path, lambda tree: tree.attrs.update(archive_schema=2))
    with pytest.raises(ValueError, match="newer version"):
        genomic_code.load(newer)
    with pytest.raises(ValueError, match="must be a file with a lineage"):
        Lineage.load(tmp_path / "cohort.nc")


def test_fingerprints_follow_the_data(cohort: Cohort) -> None:
    same = Cohort(cohort.genotype, cohort.phenotype, cohort.environment, name="another name")
    assert same.fingerprint == cohort.fingerprint
    other = cohort.phenotype.copy()
    other[0, 0] += 1
    assert Cohort(cohort.genotype, other, cohort.environment).fingerprint != cohort.fingerprint
