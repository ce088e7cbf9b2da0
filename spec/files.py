"""Files: written whole or not at all, and read or refused with a reason."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic", "check_seal", "check_version", "existing", "reading", "sealed", "sha256"]

SEAL = b"\nsha256:"
"""What comes before the 64 digits at the end of a sealed file."""
CHUNK = 2**20
"""Bytes read at a time."""


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place once it is wholly written.

    Raises:
        ValueError: The folder is missing or cannot be written, or the disk is full.
    """
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
    except OSError as cause:
        raise ValueError(
            f"path must lie in a folder that can be written, got {str(target)!r} ({cause})"
        ) from None
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as cause:
        raise ValueError(
            f"path {str(target)!r} could not be written: {cause}; make room or choose another "
            "folder"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def existing(path: str | os.PathLike[str]) -> Path:
    """The path, if it is a file with something in it.

    Raises:
        ValueError: It is missing, no file, empty or unreadable.
    """
    file = Path(path)
    try:
        if not file.exists():
            raise ValueError(
                f"path must be an existing file, got {str(file)!r}; check the spelling"
            )
        if not file.is_file():
            raise ValueError(f"path must be a file, got {str(file)!r}, which is a folder")
        with file.open("rb") as handle:
            if not handle.read(1):
                raise ValueError(f"path must be a file with content, got {str(file)!r}, empty")
    except OSError as cause:
        raise ValueError(f"path {str(file)!r} could not be read: {cause}") from None
    return file


@contextmanager
def reading(path: Path, format: str) -> Iterator[None]:
    """Turn whatever a file library raises on damaged content into one ValueError.

    Raises:
        ValueError: The block failed; the message names the file and the format.
    """
    try:
        yield
    except Exception as cause:
        reason = " ".join(str(cause).split())[:300] or type(cause).__name__
        raise ValueError(f"{str(path)!r} could not be read as {format}: {reason}") from cause


def check_version(version: object, known: int, path: Path, oldest: int = 1) -> None:
    """Refuse a file whose layout is newer than what this version reads, or older.

    Raises:
        ValueError: It is, or its version is no number.
    """
    try:
        number = int(str(version))
    except ValueError:
        raise ValueError(f"{str(path)!r} states no layout version, got {version!r}") from None
    if number < oldest:
        raise ValueError(
            f"{str(path)!r} was written by an old version (layout {number}, this one reads "
            f"{oldest} to {known}); make it again"
        )
    if number > known:
        raise ValueError(
            f"{str(path)!r} was written by a newer version (layout {version}, this one reads up "
            f"to {known}); upgrade genomic-code"
        )


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sealed(content: bytes | memoryview) -> bytes:
    """The content of a file followed by its checksum; HDF5 does not read beyond its own end."""
    return b"".join([content, SEAL, hashlib.sha256(content).hexdigest().encode()])


def check_seal(path: Path) -> None:
    """Refuse a sealed file whose content has changed; one without a seal passes.

    The HDF5 library may loop for ever on a damaged file.

    Raises:
        ValueError: It has.
    """
    size = path.stat().st_size - len(SEAL) - 64
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        handle.seek(max(0, size))
        end = handle.read()
        if not end.startswith(SEAL):
            return
        handle.seek(0)
        for start in range(0, size, CHUNK):
            digest.update(handle.read(min(CHUNK, size - start)))
    if digest.hexdigest().encode() != end[len(SEAL) :]:
        raise ValueError(
            f"{str(path)!r} is damaged: its content is not that of its checksum; take a copy from "
            "before, or write it again"
        )
