"""The fingerprint of a cohort: the same data give the same text, whatever the file they came in."""

import hashlib

import numpy as np
import xarray as xr

from genomic_code.spec.tables import ROWS

__all__ = ["fingerprint"]


def fingerprint(dataset: xr.Dataset) -> str:
    """SHA-256, in hexadecimal, of all that a fit depends on: tables, labels, groups, split, unit.

    Names of cohorts, positions of loci and the truth of a simulation do not count.
    """
    digest = hashlib.sha256()

    def add(*words: object) -> None:
        digest.update("\x1f".join(map(str, words)).encode() + b"\x1e")

    add("cohort", 1, dataset.attrs.get("unit", "trait"))
    for key in ROWS:
        if key not in dataset:
            continue
        values = np.ascontiguousarray(dataset[key].values, "<f4")
        missing = np.isnan(values)
        add(key, *values.shape)
        digest.update(np.where(missing, np.float32(0), values).tobytes())
        digest.update(np.packbits(missing).tobytes())
    for key in ("individual", *dict.fromkeys(ROWS.values()), "groups", "split"):
        if key in dataset:
            add(key, *dataset[key].values)
    return digest.hexdigest()
