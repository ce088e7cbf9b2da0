"""What is known of a data set before it is loaded: address, checksum, citation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from genomic_code.spec.cohort import Cohort

__all__ = ["File", "Record"]


@dataclass(frozen=True)
class File:
    """One file of a data set."""

    name: str
    """File name in the mirror and in the cache."""
    sha256: str
    """SHA-256 that the file must have, in hexadecimal."""
    source: str = ""
    """Upstream address `owner/repository@commit:path`; empty where a package holds the file."""

    @property
    def url(self) -> str:
        """Address of the raw file, pinned to its commit."""
        place, _, path = self.source.partition(":")
        repository, _, commit = place.partition("@")
        return f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"


@dataclass(frozen=True)
class Record:
    """One data set."""

    name: str
    """Name for `load`."""
    description: str
    """What it is, in one line."""
    sizes: tuple[int, int, int]
    """Individuals, loci and traits of the cohort."""
    folder: str
    """Folder in the mirror and in the cache."""
    files: tuple[File, ...]
    """What is needed to build the cohort."""
    citation: str
    """Whom to cite, with the DOI."""
    licence: str
    """What upstream says about reuse."""
    build: Callable[[Mapping[str, Path]], Cohort]
    """From the files by name to the cohort."""
    package: str = ""
    """Software package with version that holds the files, where no address is given."""
    module: str = ""
    """Importable module whose `module_folder` holds the files, if the package is in Python."""
    module_folder: str = ""
    """Folder of the files inside the module."""
