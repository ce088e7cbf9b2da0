"""A comparison on disk: table, verdict, cohort, fits and figures; each written whole or not at all.

| file | holds |
|---|---|
| `comparison.json` | verdict, winner, seed, settings, versions, fingerprint of the cohort |
| `comparison.csv` | the table |
| `cohort.nc` | the data, as `Cohort.read` takes them |
| `heldout.nc` | log density and prediction of every cell, fold and group of every individual |
| `<formalization>.nc` | a fit: ArviZ groups, and what `genomic_code.load` needs |
| `*.png` | three figures |
"""

import dataclasses
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr

from genomic_code import __version__
from genomic_code.inference.archive import COHORT, fit_group, load_fit
from genomic_code.inference.calibration import AbsoluteFit
from genomic_code.inference.comparison import Comparison
from genomic_code.inference.fit import Settings
from genomic_code.inference.plots import plot_differences, plot_elbo, plot_predictions
from genomic_code.inference.posterior import Fit
from genomic_code.inference.units import count
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.files import atomic, check_version, existing, reading
from genomic_code.spec.protocols import Formalization
from genomic_code.spec.readers.netcdf import read_netcdf, read_tree, write_tree

__all__ = [
    "as_dict",
    "check_writable",
    "load_comparison",
    "made",
    "record",
    "save_comparison",
    "versions",
]

SCHEMA = 1
"""Version of the layout of a directory; raised when an older reader would misread it."""
LIBRARIES = ("torch", "pyro-ppl", "arviz-stats", "numpy", "xarray")
"""Packages on which the numbers depend."""


def check_writable(directory: Path) -> None:
    """See that the directory can be made and written to, before hours are spent; makes nothing.

    Raises:
        ValueError: It cannot be made or written to.
    """
    whole = directory.absolute()
    with refused(directory):
        nearest = next(path for path in (whole, *whole.parents) if path.exists())
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(bytes(2**16))
            probe.flush()
            os.fsync(probe.fileno())


def made(directory: Path) -> Path:
    """The directory, made where it is missing.

    Raises:
        ValueError: It cannot be made.
    """
    with refused(directory):
        directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def refused(directory: Path) -> Iterator[None]:
    """Errors of the disk as the error of the argument `out`."""
    try:
        yield
    except OSError as cause:
        raise ValueError(
            f"out must be a directory that can be written, got {str(directory)!r}: "
            f"{cause.strerror or cause}; choose another"
        ) from None


def save_comparison(comparison: Comparison, directory: Path) -> list[Path]:
    """Write a comparison to a directory; see this module. Returns the paths.

    Raises:
        ValueError: The directory cannot be written.
    """
    made(directory)
    paths = []

    def put(name: str, write: Callable[[Path], object]) -> None:
        with atomic(directory / name) as temporary:
            write(temporary)
        paths.append(directory / name)

    def put_tree(name: str, tree: xr.Dataset | xr.DataTree) -> None:
        write_tree(tree, directory / name)
        paths.append(directory / name)

    put("comparison.csv", comparison.frame.to_csv)
    put(COHORT, comparison.cohort.to_netcdf)
    cells = comparison.cells.to_dataset(name="log_predictive")
    cells["predicted"] = comparison.predictions
    if comparison.pit is not None:
        cells["pit"] = comparison.pit
    if comparison.totals is not None:
        cells["total"] = comparison.totals
    cells["fold"] = (("individual",), comparison.folds)
    if comparison.groups is not None:
        cells["group"] = (("individual",), comparison.groups)
    put_tree("heldout.nc", cells)
    for name, fit in comparison.fits.items():
        tree = fit.to_datatree()
        try:
            for group, dataset in fit_group(fit).items():
                tree[group] = xr.DataTree(dataset)
        except ValueError:
            pass  # a field that cannot be stored: the ArviZ groups are still of use
        put_tree(f"{name}.nc", tree)
    for name, plot in (
        ("differences.png", plot_differences),
        ("predictions.png", plot_predictions),
        ("elbo.png", plot_elbo),
    ):
        figure = plot(comparison).get_figure(root=True)
        assert figure is not None
        put(name, partial(figure.savefig, dpi=150, bbox_inches="tight", format="png"))
        plt.close(figure)
    text = json.dumps(record(comparison), indent=2, allow_nan=False) + "\n"
    put("comparison.json", lambda path: path.write_text(text, encoding="utf-8"))
    return paths


def record(comparison: Comparison) -> dict[str, Any]:
    """What a reader of the results must know to trust and repeat them."""
    cohort, units = comparison.cohort, comparison.units
    truth = {
        key: plain(cohort.dataset.attrs[key])
        for key in ("formalization", "heritability", "seed")
        if key in cohort.dataset.attrs
    }
    return {
        "schema": SCHEMA,
        "winner": comparison.winner,
        "verdict": comparison.verdict,
        "close": list(comparison.close),
        "absolute": {
            name: {
                "reasons": found.reasons,
                "signatures": split(found.signatures),
                "coverage": split(found.coverage),
            }
            for name, found in comparison.absolute.items()
        },
        "formalizations": {name: repr(fit.formalization) for name, fit in comparison.fits.items()},
        "folds": int(comparison.folds.max()) + 1,
        "repeats": 1 if comparison.totals is None else comparison.totals.sizes["repeat"],
        "groups": None if units is None else count(len(units), units),
        "seed": comparison.seed,
        "settings": dataclasses.asdict(comparison.settings),
        "cohort": {
            "name": cohort.name,
            "fingerprint": cohort.fingerprint,
            **cohort.sizes,
            "transform": plain(cohort.dataset.attrs.get("transform")),
            "loci_pruned": plain(cohort.dataset.attrs.get("loci_pruned")),
            "citation": plain(cohort.dataset.attrs.get("citation")),
            "licence": plain(cohort.dataset.attrs.get("licence")),
            "simulated": truth or None,
        },
        "versions": versions(),
    }


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Verdict, provenance and table of a comparison in plain values."""
    rows = comparison.frame.reset_index().to_dict(orient="records")
    return {**record(comparison), "table": rows}


def split(frame: pd.DataFrame) -> dict[str, Any]:
    """A table of numbers as JSON can hold it."""
    values = frame.astype(object).where(frame.notna(), None).to_dict(orient="split")
    return {**values, "name": frame.index.name}


def joined(values: dict[str, Any]) -> pd.DataFrame:
    """The table that `split` took apart."""
    frame = pd.DataFrame(values["data"], values["index"], values["columns"], dtype=float)
    return frame.rename_axis(values["name"])


def plain(value: Any) -> Any:
    """An attribute as JSON can hold it."""
    return value.item() if hasattr(value, "item") else value


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of the libraries the numbers depend on."""
    found = {"genomic-code": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class SavedFits(Mapping[str, Fit]):
    """Fits in the directory of a comparison, each read when it is first asked for."""

    def __init__(
        self, directory: Path, names: list[str], cohort: Cohort, own: Sequence[Formalization]
    ) -> None:
        self.directory, self.names, self.cohort = directory, names, cohort
        self.own = {formalization.name: formalization for formalization in own}
        self.read: dict[str, Fit] = {}

    def __getitem__(self, name: str) -> Fit:
        if name not in self.names:
            raise KeyError(name)
        if name not in self.read:
            path = self.directory / f"{name}.nc"
            self.read[name] = load_fit(path, self.own.get(name), self.cohort)
        return self.read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def load_comparison(directory: Path, own: Sequence[Formalization] = ()) -> Comparison:
    """Read what `save_comparison` wrote; each fit is read when it is first asked for.

    Raises:
        ValueError: The directory holds no comparison, a damaged one, or one of a newer version.
    """
    file = existing(directory / "comparison.json")
    with reading(file, "JSON"):
        known = json.loads(file.read_text(encoding="utf-8"))
        version = known["schema"]
    check_version(version, SCHEMA, file)
    with reading(file, "a comparison"):
        winner, verdict, seed = str(known["winner"]), str(known["verdict"]), int(known["seed"])
        names = [str(name) for name in known["formalizations"]]
        settings = Settings(**known["settings"])
        close = tuple(str(name) for name in known["close"])
        absolute = {
            str(name): AbsoluteFit(
                name, joined(found["signatures"]), joined(found["coverage"]), found["reasons"]
            )
            for name, found in known["absolute"].items()
        }
    cohort = read_netcdf(directory / COHORT)
    table = existing(directory / "comparison.csv")
    with reading(table, "CSV"):
        frame = pd.read_csv(table, index_col=0, dtype=str, keep_default_na=False)
        for column in frame.columns.drop("warning"):
            frame[column] = frame[column].replace("", "nan").astype(float)  # exact, unlike read_csv
    cells = read_tree(existing(directory / "heldout.nc")).to_dataset()
    with reading(directory / "heldout.nc", "a comparison"):
        return Comparison(
            cohort=cohort,
            frame=frame,
            verdict=verdict,
            winner=winner,
            cells=cells["log_predictive"],
            predictions=cells["predicted"],
            folds=cells["fold"].values,
            groups=cells["group"].values if "group" in cells else None,
            fits=SavedFits(directory, names, cohort, own),
            seed=seed,
            settings=settings,
            close=close,
            pit=cells.get("pit"),
            absolute=absolute,
            totals=cells.get("total"),
        )
