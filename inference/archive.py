"""Fits on disk, exactly: netCDF with JSON in it, no pickle, nothing executed on reading.

A saved fit is a netCDF file with the group `fit` (parameters, standardisation, basis; formalization
and guide as JSON) and the group `cohort`. Everything else is computed from these as it was the
first time, so that a loaded fit gives the same draws and predictions to the last bit on the same
kind of machine. In the directory of a comparison the cohort is stored once, beside the fits.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from genomic_code.inference.fit import rebuild
from genomic_code.inference.identity import (
    decode,
    encode,
    formalization_from_json,
    formalization_to_json,
)
from genomic_code.inference.modes import Modes
from genomic_code.inference.posterior import Fit
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import check_version, existing, reading
from genomic_code.spec.protocols import Formalization
from genomic_code.spec.readers.netcdf import (
    from_stored,
    read_netcdf,
    read_tree,
    to_stored,
    write_tree,
)
from genomic_code.spec.standardize import Scaler

if TYPE_CHECKING:
    from genomic_code.inference.compare import Comparison
    from genomic_code.inference.lineage import Lineage

__all__ = ["fit_group", "load", "load_fit", "netcdf_path", "save_fit"]

SCHEMA, OLDEST = 4, 3
"""Version of the layout of the group `fit`, raised when an older reader would misread it, and the
oldest that is still read."""
COHORT = "cohort.nc"
"""Where the cohort of fits without one is found, beside them."""
GUIDES = "genomic_code.inference."
DTYPES = {"float32": torch.float32, "float64": torch.float64}
MOMENTS = ("genotype", "environment", "phenotype")


def save_fit(fit: Fit, path: str | os.PathLike[str]) -> Path:
    """Write a fit as one netCDF file; it appears whole or not at all.

    Returns:
        The path, with the suffix `.nc`.

    Raises:
        ValueError: The file cannot be written, or a field of the formalization cannot be stored.
    """
    target = netcdf_path(path)
    cohort, encoding = to_stored(fit.cohort)
    tree = xr.DataTree.from_dict({"cohort": cohort, **fit_group(fit)})
    write_tree(tree, target, {"/cohort": encoding})
    return target


def load(
    path: str | os.PathLike[str], formalization: Formalization | None = None
) -> "Fit | Lineage | Comparison | Cohort":
    """What was saved: a fit, a lineage or a cohort from its file, a comparison from its directory.

    Args:
        path: The file or the directory.
        formalization: The hypothesis itself, if it is a class of your own: files name classes of
            this package only.

    Raises:
        ValueError: The file is missing, damaged, of a newer version, or holds none of these.
    """
    if Path(path).is_dir():
        from genomic_code.inference.results import load_comparison

        return load_comparison(Path(path), [] if formalization is None else [formalization])
    file = saved_file(path)
    tree = read_tree(file)
    if "fit" in tree:
        return build_fit(tree, file, formalization)
    if "lineage" in tree:
        from genomic_code.inference.lineage import Lineage

        return Lineage.from_datatree(tree, file, formalization)
    if "genotype" in tree:
        return read_netcdf(file)
    raise ValueError(
        f"path must be a file with a fit, a lineage or a cohort, got {str(file)!r} with the groups "
        f"{sorted(tree.children)}"
    )


def load_fit(
    path: str | os.PathLike[str],
    formalization: Formalization | None = None,
    cohort: Cohort | None = None,
) -> Fit:
    """A fit that was saved; see `load`. `cohort` stands in for the stored one.

    Raises:
        ValueError: The file is missing, damaged, of a newer version, or holds no fit.
    """
    file = saved_file(path)
    return build_fit(read_tree(file), file, formalization, cohort)


def fit_group(fit: Fit) -> dict[str, xr.Dataset]:
    """The groups `fit` and `fit/given` of a netCDF file."""
    arrays: dict[str, Any] = {
        "training": (("training_row",), fit.training),
        "parameters": (("parameter",), fit.parameters.detach().cpu().numpy()),
        "restart_elbos": (("restart",), np.asarray(fit.restart_elbos)),
        "history": (("optimiser_step",), np.asarray(fit.history)),
    }
    if fit.modes is not None:
        sizes = {"parameters": ("mode", "parameter"), "elbo": ("mode",), "share": ("mode",)}
        for name, dims in sizes.items():
            arrays[f"mode_{name}"] = (dims, getattr(fit.modes, name).detach().cpu().numpy())
    for key in MOMENTS:
        for moment, values in zip(("mean", "sd"), getattr(fit.scaler, key), strict=True):
            if values.numel():  # netCDF would take an empty dimension for an unlimited one
                arrays[f"{key}_{moment}"] = ((f"{key}_column",), values.cpu().numpy())
    if fit.basis is not None:
        arrays["basis"] = (("genotype_column", "coordinate"), fit.basis.vectors.cpu().numpy())
    attributes = {
        "archive_schema": SCHEMA,
        "formalization": formalization_to_json(fit.formalization),
        "guide": json.dumps(encode(fit.guide)),
        "dtype": str(fit.parameters.dtype).removeprefix("torch."),
        "elbo": fit.elbo,
        "elbo_error": fit.elbo_error,
        "converged": int(fit.converged),
        "seed": fit.seed,
        "cohort_fingerprint": fit.cohort.fingerprint,
    }
    given = {
        name: (tuple(f"{name}_{i}" for i in range(value.dim())), value.cpu().numpy())
        for name, value in fit.flat.given.items()
    }
    return {"fit": xr.Dataset(arrays, attrs=attributes), "fit/given": xr.Dataset(given)}


def build_fit(
    tree: xr.DataTree,
    file: Path,
    formalization: Formalization | None = None,
    cohort: Cohort | None = None,
) -> Fit:
    """A fit from the groups of its file.

    Raises:
        ValueError: It is damaged, of a newer version, or its cohort is not the one it was made on.
    """
    if "fit" not in tree:
        raise ValueError(
            f"path must be a file with a fit, got {str(file)!r} with the groups "
            f"{sorted(tree.children)}; Fit.save writes one"
        )
    stored = tree["fit"].to_dataset()
    check_version(stored.attrs.get("archive_schema"), SCHEMA, file, oldest=OLDEST)
    if cohort is None:
        inside = "cohort" in tree
        cohort = (
            from_stored(tree["cohort"].to_dataset(), file)
            if inside
            else read_netcdf(file.with_name(COHORT))
        )
    with reading(file, "a saved fit"):
        expected = str(stored.attrs["cohort_fingerprint"])
    if cohort.fingerprint != expected:
        raise ValueError(
            f"cohort must be the one that {str(file)!r} was fitted to, got another one: "
            f"fingerprint {cohort.fingerprint[:12]}, expected {expected[:12]}"
        )
    model = formalization or formalization_from_json(str(stored.attrs["formalization"]))
    before = torch.get_default_dtype()
    try:
        with reading(file, "a saved fit"):
            torch.set_default_dtype(DTYPES[str(stored.attrs["dtype"])])
            return assemble(stored, tree, model, cohort)
    finally:
        torch.set_default_dtype(before)


def assemble(stored: xr.Dataset, tree: xr.DataTree, model: Formalization, cohort: Cohort) -> Fit:
    """The fit, computed from what is stored as it was after optimisation."""

    def array(name: str) -> Tensor:
        return torch.tensor(stored[name].values) if name in stored else torch.empty(0)

    pairs = [(array(f"{key}_mean"), array(f"{key}_sd")) for key in MOMENTS]
    scaler = Scaler(*pairs)
    given = tree["fit/given"].data_vars if "given" in tree["fit"].children else {}
    fit = rebuild(
        model,
        cohort,
        training=stored["training"].values.astype(bool),
        basis=array("basis") if "basis" in stored else None,
        given={str(name): torch.tensor(value.values) for name, value in given.items()},
        guide=decode(json.loads(stored.attrs["guide"]), GUIDES),
        scaler=scaler,
        parameters=array("parameters"),
        elbo=float(stored.attrs["elbo"]),
        elbo_error=float(stored.attrs["elbo_error"]),
        restart_elbos=stored["restart_elbos"].values,
        history=stored["history"].values,
        converged=bool(stored.attrs["converged"]),
        seed=int(stored.attrs["seed"]),
        modes=Modes(*(array(f"mode_{name}") for name in Modes._fields))
        if "mode_share" in stored
        else None,
    )
    if fit.guide.start(torch.zeros(fit.flat.dim)).shape != fit.parameters.shape:
        raise ValueError(
            f"{model.name} has not the sites that were fitted; install the version of "
            "genomic-code that wrote the file"
        )
    return fit


def netcdf_path(path: str | os.PathLike[str]) -> Path:
    """The path with `.nc` at its end."""
    given = Path(path)
    return given if given.suffix == ".nc" else given.with_name(f"{given.name}.nc")


def saved_file(path: str | os.PathLike[str]) -> Path:
    """The existing file of this name, with or without its suffix `.nc`."""
    given = Path(path)
    return existing(given if given.is_file() else netcdf_path(given))
