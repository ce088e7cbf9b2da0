"""Importing is quick, and what is offered is there when asked for."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import genomic_code
import genomic_code.inference
import genomic_code.inference.functionals
import genomic_code.spec
from genomic_code.lazy import declared

PACKAGES = (
    genomic_code,
    genomic_code.spec,
    genomic_code.inference,
    genomic_code.inference.functionals,
)
HEAVY = {"torch", "pyro", "arviz_base", "xarray", "pandas", "matplotlib", "scipy", "joblib"}


def imported_by(command: str) -> set[str]:
    """Modules that a fresh interpreter has after a command."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    script = f"{command}\nimport sys\nprint(*sys.modules, sep='\\n')"
    run = subprocess.run(
        [sys.executable, "-c", script], check=True, env=environment, capture_output=True, text=True
    )
    return set(run.stdout.split())


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_what_is_offered_is_there(package: ModuleType) -> None:
    assert package.__file__ is not None
    places = declared(Path(package.__file__).read_text(encoding="utf-8"))
    assert set(package.__all__) - {"__version__"} == set(places)
    for name in package.__all__:
        assert getattr(package, name) is getattr(package, name)
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute"):
        package.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    "command", ["import genomic_code, genomic_code.spec, genomic_code.inference",
                "import genomic_code.inference.cli"]
)  # fmt: skip
def test_nothing_heavy_is_imported_unasked(command: str) -> None:
    assert not imported_by(command) & HEAVY


@pytest.mark.parametrize("name", ["fit", "compare", "evolve", "evolvability", "landscape"])
def test_functions_win_over_modules_of_their_name(name: str) -> None:
    importlib.import_module(f"genomic_code.inference.{name}")
    assert isinstance(getattr(genomic_code.inference, name), FunctionType)
    assert sys.modules[f"genomic_code.inference.{name}"].__name__.endswith(name)


def test_modules_that_are_offered_stay_modules() -> None:
    assert isinstance(genomic_code.spec.datasets, ModuleType)
    assert isinstance(genomic_code.spec.readers, ModuleType)
    assert isinstance(genomic_code.spec.card, FunctionType)
