"""Many fits, spread over processes or machines, that go on where they were killed.

joblib makes the calls of a sweep: in this process, in several (`jobs`), or on a cluster within
`joblib.parallel_config("dask")`. Wherever a call was made, its result comes back as the same arrays
and JSON, and is written to a folder in one step as soon as it is there. A later sweep takes what
it finds of the same calls: same formalization, cohort, training sets, settings and seed.
"""

import json
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from genomic_code.inference.parcel import SCHEMA, Parcel, call_digest, pack, unpack
from genomic_code.spec.files import atomic

__all__ = ["sweep", "workers_may_retire"]

ALONE = threading.Lock()
"""Pyro's handlers and the recorder of graphs are global to a process: one call at a time in it."""


def sweep(
    work: Callable[..., Any],
    calls: Sequence[Mapping[str, Any]],
    *,
    records: Sequence[type[Any]] = (),
    jobs: int | None = None,
    progress: bool = True,
    folder: Path | None = None,
) -> list[Any]:
    """Call `work(**call, progress=progress)` for every call, in any order and anywhere.

    Args:
        work: A pure function of the call, but for what it shows.
        calls: Keyword arguments, among them `model` and `cohort`.
        records: Named tuples that results may hold, besides fits of that model to that cohort,
            arrays, numbers and texts.
        jobs: Processes; by default as `joblib.parallel_config` says, else 1. The results do not
            depend on it.
        progress: Whether to show progress.
        folder: Where finished calls are kept, and looked for.

    Returns:
        The results, in the order of the calls.

    Raises:
        ValueError: The folder cannot be written to.
    """
    done: dict[int, Parcel] = {}
    paths: list[Path] = []
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise ValueError(f"folder {str(folder)!r} cannot be made: {cause}") from None
        paths = [folder / f"{call['model'].name}-{call_digest(work, call)}.npz" for call in calls]
        done = {i: parcel for i, path in enumerate(paths) if (parcel := read(path)) is not None}
        if progress:
            announce(folder, paths, len(done))
    todo = [i for i in range(len(calls)) if i not in done]
    waiting = (delayed(run)(i, work, calls[i], progress) for i in todo)
    with workers_may_retire():
        for i, parcel in Parallel(n_jobs=jobs, return_as="generator_unordered")(waiting):
            if folder is not None:
                with atomic(paths[i]) as temporary, temporary.open("wb") as handle:
                    np.savez(handle, **parcel)
            done[i] = parcel
    return [unpack(done[i], call["model"], call["cohort"], records) for i, call in enumerate(calls)]


@contextmanager
def workers_may_retire() -> Iterator[None]:
    """No warning where joblib replaces a process whose memory has grown; no call is lost by it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        yield


def run(
    number: int, work: Callable[..., Any], call: Mapping[str, Any], progress: bool
) -> tuple[int, Parcel]:
    """One call, in one thread: the same sums in the same order everywhere."""
    with ALONE:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return number, pack(work(**call, progress=progress))
        finally:
            torch.set_num_threads(threads)


def announce(folder: Path, paths: list[Path], done: int) -> None:
    """One line on what is found in a folder."""
    others = len(set(folder.glob("*.npz")) - set(paths))
    if done:
        tqdm.write(f"resuming: {done} of {len(paths)} parts are finished in {folder}")
    elif others:
        tqdm.write(
            f"starting anew: the {others} parts in {folder} are of another command, cohort, seed, "
            "settings or version"
        )


def read(path: Path) -> Parcel | None:
    """A stored parcel; None where there is none, or one that a crash of the machine cut short."""
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            parcel = {name: file[name] for name in file.files}
        return parcel if json.loads(str(parcel["layout"]))["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
