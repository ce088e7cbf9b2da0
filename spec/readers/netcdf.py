"""Cohorts in netCDF: everything that the cohort holds, exactly."""

import os
from pathlib import Path

import xarray as xr

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import atomic, existing, reading
from genomic_code.spec.tables import ROWS

__all__ = ["read_netcdf", "write_netcdf"]

SCHEMA = 1
"""Version of the layout; raised when an older reader would misread a file."""


def write_netcdf(cohort: Cohort, path: str | os.PathLike[str]) -> None:
    """Write the cohort; the file appears whole or not at all.

    Raises:
        ValueError: The file cannot be written, or a further variable has no place in netCDF.
    """
    dataset = cohort.dataset.assign_attrs(cohort_name=cohort.name, cohort_schema=SCHEMA)
    encoding = {
        key: {"zlib": True, "complevel": 4} for key in ROWS if key in dataset and dataset[key].size
    }
    with atomic(path) as temporary:
        try:
            dataset.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
        except (TypeError, ValueError) as cause:
            raise ValueError(f"the cohort could not be written as netCDF: {cause}") from cause


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
    version = dataset.attrs.pop("cohort_schema", SCHEMA)
    title = dataset.attrs.pop("cohort_name", Path(file).stem)
    if version > SCHEMA:
        raise ValueError(
            f"{str(file)!r} was written by a newer version (layout {version}, this one reads up "
            f"to {SCHEMA}); upgrade genomic-code"
        )
    return Cohort.from_dataset(dataset, str(title) if name is None else name)
