"""Sphinx configuration; pages that follow from the package are written before each build."""

import importlib
import pkgutil
import re
import shutil
import sys
from pathlib import Path

import matplotlib as mpl

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "src"))
sys.path.insert(0, str(HERE))
mpl.use("Agg")

from docstrings import as_restructured_text  # noqa: E402

import genomic_code  # noqa: E402

project = "genomic-code"
author = "The genomic-code founders"
copyright = "2026, the genomic-code founders"
release = version = genomic_code.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"
"""The notebooks are shown with the outputs that are committed; the tests run them."""
html_theme = "furo"
html_title = "genomic-code"
default_role = "code"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
exclude_patterns = ["_build"]
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type", "ref.python"]
doctest_test_doctest_blocks = ""
"""The examples of docstrings are run by pytest."""
GENERATED = HERE / "generated"


def modules() -> list[str]:
    """Every module of the package that has public names, by its import name."""
    found = []
    for package in ("genomic_code.spec", "genomic_code.inference"):
        room = importlib.import_module(package)
        walked = pkgutil.walk_packages(room.__path__, f"{package}.")
        found += [one.name for one in walked if not one.ispkg]
    return sorted(name for name in found if getattr(importlib.import_module(name), "__all__", ()))


def write(name: str, text: str) -> None:
    """Write a generated page, unless it is there already."""
    page = GENERATED / name
    page.parent.mkdir(parents=True, exist_ok=True)
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


def write_reference() -> None:
    """A page a module, and tables of the names that are at hand from `import genomic_code`."""
    names = modules()
    for name in names:
        title = name.removeprefix("genomic_code.")
        body = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {name}\n   :members:\n"
        write(f"reference/{name}.rst", body)
    text = "# Reference\n\nWhat is at hand from `import genomic_code as gc`, and its home.\n"
    for room in ("spec", "inference"):
        module = importlib.import_module(f"genomic_code.{room}")
        text += f"\n## `gc.{room}`\n\n| name | what it is |\n|---|---|\n"
        for public in sorted(module.__all__):
            owner = getattr(module, public)
            home = getattr(owner, "__module__", None) or getattr(owner, "__name__", "")
            first = (getattr(owner, "__doc__", None) or "").strip().partition("\n")[0]
            if home not in names or isinstance(owner, dict | list | tuple):
                text += f"| `{public}` | {first if callable(owner) else ''} |\n"
                continue
            text += (
                f"| [`{public}`](reference/{home}.rst) | {first.replace('|', chr(92) + '|')} |\n"
            )
    for room in ("spec", "inference"):
        pages = "\n".join(f"reference/{n}" for n in names if n.startswith(f"genomic_code.{room}."))
        text += f"\n```{{toctree}}\n:caption: {room}\n:maxdepth: 1\n\n{pages}\n```\n"
    write("reference.md", text)


def write_gallery() -> None:
    """The card of every formalization, as a notebook shows it."""
    from genomic_code.spec import FORMALIZATIONS, card

    pages = []
    for name in FORMALIZATIONS:
        shown = re.sub(r"<(metadata)>.*?</\1>", "", card(name)._repr_html_(), flags=re.DOTALL)
        shown = shown.replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1)
        write(f"cards/{name}.md", f"# {name}\n\n```{{raw}} html\n{shown}\n```\n")
        pages.append(f"cards/{name}")
    text = (
        "# Gallery of hypotheses\n\nEach card is made from the running model: equations, sites, "
        "priors, graph, and what would refute it. `print(gc.spec.card(name))` shows it anywhere.\n"
    )
    write("gallery.md", text + "\n```{toctree}\n:maxdepth: 1\n\n" + "\n".join(pages) + "\n```\n")


def write_notebooks() -> None:
    """The notebooks, which Sphinx wants below its own folder."""
    (GENERATED / "notebooks").mkdir(parents=True, exist_ok=True)
    for path in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
        shutil.copy2(path, GENERATED / "notebooks" / path.name)
    pages = "\n".join(
        f"notebooks/{p.stem}" for p in sorted((GENERATED / "notebooks").glob("*.ipynb"))
    )
    text = "# Notebooks\n\nShown with the outputs of their last full run.\n"
    write("notebooks.md", text + f"\n```{{toctree}}\n:maxdepth: 1\n\n{pages}\n```\n")


def setup(app: object) -> None:
    """Write what follows from the package, and make docstrings what Sphinx expects."""
    write_reference()
    write_gallery()
    write_notebooks()
    app.connect("autodoc-process-docstring", as_restructured_text, priority=100)  # type: ignore[attr-defined]
