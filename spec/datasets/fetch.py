"""Files of a data set: from the mirror, a package, the cache or upstream; always checked."""

import os
from importlib.util import find_spec
from pathlib import Path

from genomic_code.spec.datasets.record import File, Record
from genomic_code.spec.files import sha256

__all__ = ["MIRROR", "fetch"]

MIRROR = "GENOMIC_CODE_DATA"
"""Environment variable that names a folder with one subfolder a data set, used offline."""


def fetch(record: Record) -> dict[str, Path]:
    """Local paths of the files of a data set, by file name; each has the expected checksum.

    Raises:
        ValueError: A file is missing, cannot be downloaded, or has another checksum; the message
            names the data set, the file and the remedy.
    """
    return {file.name: locate(record, file) for file in record.files}


def locate(record: Record, file: File) -> Path:
    """The local path of one file."""
    mirror = os.environ.get(MIRROR)
    if mirror:
        path = Path(mirror).expanduser() / record.folder / file.name
        if not path.is_file():
            raise ValueError(
                f"data set {record.name!r}: the mirror has no file {file.name!r}, looked for "
                f"{str(path)!r}; put it there ({origin(record, file)}) or unset {MIRROR}"
            )
        return checked(record, file, path, f"replace it ({origin(record, file)})")
    if not file.source:
        path = installed(record, file)
        return checked(record, file, path, f"install {record.package}, that very version")
    return download(record, file)


def installed(record: Record, file: File) -> Path:
    """The path of a file inside an installed Python package."""
    module = find_spec(record.module) if record.module else None
    for folder in (module.submodule_search_locations or []) if module else []:
        path = Path(folder) / record.module_folder / file.name
        if path.is_file():
            return path
    remedy = f"install {record.package}, or " if record.module else ""
    raise ValueError(
        f"data set {record.name!r}: the file {file.name!r} is not downloaded, it comes with "
        f"{record.package}; {remedy}set {MIRROR} to a folder that has "
        f"{record.folder}/{file.name}"
    )


def download(record: Record, file: File) -> Path:
    """The path of a file in the cache, downloaded when it is not there yet."""
    import pooch

    folder = Path(pooch.os_cache("genomic-code")) / record.folder
    logger = pooch.get_logger()
    level = logger.level
    offline = f"or set {MIRROR} to a folder that has {record.folder}/{file.name}"
    try:
        logger.setLevel("WARNING")
        path = pooch.retrieve(file.url, known_hash=None, fname=file.name, path=folder)
    except Exception as cause:
        reason = " ".join(str(cause).split())[:200] or type(cause).__name__
        raise ValueError(
            f"data set {record.name!r}: the file {file.name!r} could not be downloaded from "
            f"{file.url} ({reason}); check the network, {offline}"
        ) from cause
    finally:
        logger.setLevel(level)
    remedy = (
        "the transfer was cut or upstream has changed; the copy was removed, so load again, "
        + offline
    )
    try:
        return checked(record, file, Path(path), remedy)
    except ValueError:
        Path(path).unlink(missing_ok=True)
        raise


def checked(record: Record, file: File, path: Path, remedy: str) -> Path:
    """The path, if its content has the expected checksum."""
    try:
        found = sha256(path)
    except OSError as cause:
        raise ValueError(
            f"data set {record.name!r}: the file {str(path)!r} could not be read "
            f"({cause}); {remedy}"
        ) from None
    if found != file.sha256:
        raise ValueError(
            f"data set {record.name!r}: the file {path.name!r} must have the SHA-256 "
            f"{file.sha256[:12]}..., got {found[:12]}...; {remedy}"
        )
    return path


def origin(record: Record, file: File) -> str:
    """Where a file comes from, in words."""
    return f"from {file.url}" if file.source else f"from {record.package}"
