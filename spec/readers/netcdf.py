"""netCDF files, each with a checksum; cohorts in them, with everything that they hold, exactly."""

import os
from pathlib import Path
from typing import Any

import xarray as xr

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import atomic, check_seal, check_version, existing, reading, sealed
from genomic_code.spec.tables import ROWS

__all__ = ["from_stored", "read_netcdf", "read_tree", "to_stored", "write_netcdf", "write_tree"]

SCHEMA = 1
"""Version of the layout; raised when an older reader would misread a file."""


def write_netcdf(cohort: Cohort, path: str | os.PathLike[str]) -> None:
    """Write the cohort; the file appears whole or not at all.

    Raises:
        ValueError: The file cannot be written, or a further variable has no place in netCDF.
    """
    dataset, encoding = to_stored(cohort)
    write_tree(dataset, path, encoding)


def to_stored(cohort: Cohort) -> tuple[xr.Dataset, dict[str, dict[str, Any]]]:
    """The cohort as one dataset or group of a netCDF file, and how to compress it."""
    dataset = cohort.dataset.assign_attrs(cohort_name=cohort.name, cohort_schema=SCHEMA)
    compressed = [key for key in ROWS if key in dataset and dataset[key].size]
    return dataset, {key: {"zlib": True, "complevel": 4} for key in compressed}


def read_netcdf(path: str | os.PathLike[str], name: str | None = None) -> Cohort:
    """A cohort from a netCDF file that `write_netcdf` wrote.

    Raises:
        ValueError: The file is damaged, holds no cohort, or is of a newer version.
    """
    file = existing(path)
    return from_stored(read_tree(file).to_dataset(), file, name)


def from_stored(dataset: xr.Dataset, file: Path, name: str | None = None) -> Cohort:
    """The cohort in a dataset or group that `to_stored` made.

    Raises:
        ValueError: It holds no cohort, or is of a newer version.
    """
    version = dataset.attrs.pop("cohort_schema", SCHEMA)
    title = dataset.attrs.pop("cohort_name", file.stem)
    check_version(version, SCHEMA, file)
    return Cohort.from_dataset(dataset, str(title) if name is None else name)


def write_tree(
    tree: xr.Dataset | xr.DataTree,
    path: str | os.PathLike[str],
    encoding: dict[str, Any] | None = None,
) -> None:
    """Write a dataset or groups of them as a sealed netCDF file; it appears whole or not at all.

    Raises:
        ValueError: The folder cannot be written, the disk is full, or netCDF has no place for it.
    """
    with atomic(path) as temporary:
        try:
            # through memory: HDF5 ends in a segmentation fault on a full disk
            content = tree.to_netcdf(engine="h5netcdf", encoding=encoding or {})
        except (TypeError, ValueError) as cause:
            raise ValueError(
                f"{Path(path).name} could not be written as netCDF: {cause}"
            ) from cause
        temporary.write_bytes(sealed(content))


def read_tree(file: Path) -> xr.DataTree:
    """The groups of a netCDF file, in memory.

    Raises:
        ValueError: It is damaged or no netCDF file.
    """
    import h5py

    check_seal(file)
    with reading(file, "netCDF"):
        # h5netcdf writes on stderr about files that fail here
        with h5py.File(file, "r") as raw:
            raw.attrs.get("_nc3_strict")
        with xr.open_datatree(file, engine="h5netcdf") as opened:
            return opened.load()
