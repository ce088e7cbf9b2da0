"""Cohorts from files and from the objects of other libraries."""

from genomic_code.spec.readers.file import read
from genomic_code.spec.readers.frame import from_dataframe, to_dataframe
from genomic_code.spec.readers.netcdf import read_netcdf, write_netcdf

__all__ = ["from_dataframe", "read", "read_netcdf", "to_dataframe", "write_netcdf"]
