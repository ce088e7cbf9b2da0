"""Results on disk: the table, the fits and the figures; written whole or not at all."""

import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt

from genomic_code.inference.compare import Comparison
from genomic_code.inference.plots import plot_differences, plot_elbo, plot_predictions

__all__ = ["check_writable", "save_comparison", "write_whole"]


def check_writable(directory: Path) -> Path:
    """Make the directory and see that it can be written to, before hours are spent.

    Raises:
        ValueError: It cannot be made or written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as cause:
        raise ValueError(
            f"out must be a directory that can be written, got {str(directory)!r}: "
            f"{cause.strerror or cause}; choose another"
        ) from None
    return directory


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` on a file beside `path`, then move it there in one step."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_comparison(comparison: Comparison, directory: Path) -> list[Path]:
    """Write table, verdict, fits and figures.

    `comparison.csv`, `verdict.json`, `heldout.nc` (densities and predictions of every cell),
    `<formalization>.nc` (a DataTree each) and three figures. Returns the paths.
    """
    check_writable(directory)
    paths = []

    def put(name: str, write: Callable[[Path], object]) -> None:
        write_whole(directory / name, write)
        paths.append(directory / name)

    put("comparison.csv", comparison.frame.to_csv)
    verdict = {
        "winner": comparison.winner,
        "decisive": comparison.decisive,
        "close": list(comparison.close),
        "misfits": {name: found.reasons for name, found in comparison.absolute.items()},
        "verdict": comparison.verdict,
    }
    put("verdict.json", lambda path: path.write_text(json.dumps(verdict, indent=2) + "\n"))
    cells = comparison.cells.to_dataset(name="log_predictive")
    cells["predicted"] = comparison.predictions
    cells["pit"] = comparison.pit
    cells["fold"] = (("individual",), comparison.folds)
    put("heldout.nc", lambda path: cells.to_netcdf(path, engine="h5netcdf"))
    for name, fit in comparison.fits.items():
        tree = fit.to_datatree()
        put(f"{name}.nc", partial(tree.to_netcdf, engine="h5netcdf"))
    for name, plot in (
        ("differences.png", plot_differences),
        ("predictions.png", plot_predictions),
        ("elbo.png", plot_elbo),
    ):
        figure = plot(comparison).get_figure(root=True)
        assert figure is not None
        put(name, partial(figure.savefig, dpi=150, bbox_inches="tight"))
        plt.close(figure)
    return paths
