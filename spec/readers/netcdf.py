"""Cohorts in netCDF: everything that the cohort holds, exactly."""

import os
from pathlib import Path
from typing import Any

import xarray as xr

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import atomic, check_version, existing, reading
from genomic_code.spec.tables import ROWS

__all__ = ["from_stored", "read_netcdf", "to_stored", "write_netcdf"]

SCHEMA = 1
"""Version of the layout; raised when an older reader would misread a file."""


def write_netcdf(cohort: Cohort, path: str | os.PathLike[str]) -> None:
    """Write the cohort; the file appears whole or not at all.

    Raises:
        ValueError: The file cannot be written, or a further variable has no place in netCDF.
    """
    dataset, encoding = to_stored(cohort)
    with atomic(path) as temporary:
        try:
            dataset.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
        except (TypeError, ValueError) as cause:
            raise ValueError(f"the cohort could not be written as netCDF: {cause}") from cause


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
    import h5py

    file = existing(path)
    with reading(file, "netCDF"):
        # h5netcdf writes on stderr about files that fail here
        with h5py.File(file, "r") as raw:
            raw.attrs.get("_nc3_strict")
        with xr.open_dataset(file, engine="h5netcdf") as opened:
            dataset = opened.load()
    return from_stored(dataset, file, name)


def from_stored(dataset: xr.Dataset, file: Path, name: str | None = None) -> Cohort:
    """The cohort in a dataset or group that `to_stored` made.

    Raises:
        ValueError: It holds no cohort, or is of a newer version.
    """
    version = dataset.attrs.pop("cohort_schema", SCHEMA)
    title = dataset.attrs.pop("cohort_name", file.stem)
    check_version(version, SCHEMA, file)
    return Cohort.from_dataset(dataset, str(title) if name is None else name)
