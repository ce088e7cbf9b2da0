"""Notebooks run clean at small size, and what is committed is the clean output of a full run.

At full size, outputs written back: `pytest --nbmake --overwrite notebooks` and then
`python -m tests.test_notebooks`, which strips what changes from run to run.
"""

import os
import re
from pathlib import Path
from unittest import mock

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
QUICK = {"01_first_fit", "07_your_own_data"}
"""Run by default; the others with `-m slow`."""
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""All the metadata that a committed notebook has."""
LARGEST = 600
"""KiB."""
BARRED = re.compile(r"/(home|root|opt|tmp|work|Users|var)/|Warning|Traceback")
"""What no output may show: a path of a machine, a warning, an error."""


def cells():
    return [
        pytest.param(path, marks=[] if path.stem in QUICK else [pytest.mark.slow], id=path.stem)
        for path in NOTEBOOKS
    ]


@pytest.mark.parametrize("path", cells())
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_it_runs_clean_at_small_size(path):
    from nbmake.nb_run import NotebookRun

    with mock.patch.dict(os.environ, {"GENOMIC_CODE_SMALL": "1", "MPLBACKEND": "agg"}):
        result = NotebookRun(path, 300).execute()
    assert result.error is None, result.error
    for cell in result.nb.cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", output["text"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_is_a_clean_run(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size < LARGEST * 1024
    assert notebook.metadata == KERNEL
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    pictures = 0
    for cell in notebook.cells:
        assert cell.metadata == {}
        pictured = any("image/png" in each.get("data", {}) for each in cell.get("outputs", []))
        assert pictured or not cell.source.endswith(";"), cell.source
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output["text"]
            data = output.get("data", {})
            pictures += "image/png" in data
            shown = output.get("text", "") + data.get("text/plain", "") + data.get("text/html", "")
            assert not BARRED.search(shown), shown
    assert pictures


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_says_what_the_data_cannot_say(path):
    notebook = nbformat.read(path, as_version=4)
    last = notebook.cells[-1]
    assert last.cell_type == "markdown"
    assert re.match(r"## What .*(cannot say|does not show|to watch|to keep in mind)", last.source)


def strip(path: Path) -> None:
    """Take out of an executed notebook what changes from run to run."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = nbformat.from_dict(KERNEL)
    for number, cell in enumerate(notebook.cells):
        cell.metadata = nbformat.from_dict({})
        cell["id"] = f"cell-{number:02d}"
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for notebook in NOTEBOOKS:
        strip(notebook)
