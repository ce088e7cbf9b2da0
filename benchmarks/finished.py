"""Rows of a benchmark, kept as they are done, so that a run goes on where it was stopped."""

from pathlib import Path

import pandas as pd

from genomic_code.spec.files import atomic


class Finished:
    """A CSV file of rows, each named by the values of some columns."""

    def __init__(self, path: Path, keys: list[str]) -> None:
        self.path = path
        self.rows = pd.DataFrame(columns=keys)
        if path.exists():  # `null` is the name of a formalization, not a missing value
            self.rows = pd.read_csv(path, keep_default_na=False, na_values=[""])
        self.done = set(map(tuple, self.rows[keys].to_numpy().tolist()))

    def add(self, row: dict[str, object]) -> None:
        """Keep one more row, at once."""
        new = pd.DataFrame([row])
        self.rows = pd.concat([self.rows, new], ignore_index=True) if len(self.rows) else new
        with atomic(self.path) as temporary:
            self.rows.to_csv(temporary, index=False)
