"""Public names of a package that are imported when first asked for.

A package says what it offers in one place: the `if TYPE_CHECKING:` block of its `__init__.py`,
which type checkers follow. At run time `lazy` reads the same block, and imports a name's module
when the name is first used (PEP 562), so that `import genomic_code` and `genomic-code --help` do
not wait for torch, Pyro and ArviZ.
"""

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["lazy"]


class LazyPackage(ModuleType):
    """A package whose public names win over its modules of the same name.

    `inference.fit` is the function, although importing the module `inference/fit.py` would bind
    the module to that name.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        place = self.__dict__.get("__lazy__", {}).get(name, self.__name__)
        if isinstance(value, ModuleType) and place != self.__name__:
            return
        super().__setattr__(name, value)


def lazy(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` for a package, from its `if TYPE_CHECKING:` block."""
    module = sys.modules[package]
    assert module.__file__ is not None
    places = declared(Path(module.__file__).read_text(encoding="utf-8"))
    module.__dict__["__lazy__"] = places
    module.__class__ = LazyPackage

    def getattr_(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if places[name] == package:
            value: Any = importlib.import_module(f"{package}.{name}")
        else:
            value = getattr(importlib.import_module(places[name]), name)
        module.__dict__[name] = value
        return value

    def dir_() -> list[str]:
        return sorted({*module.__dict__, *places})

    return getattr_, dir_


def declared(source: str) -> dict[str, str]:
    """The module that each name is imported from; the package itself for its own modules."""
    places: dict[str, str] = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            for line in statement.body:
                if isinstance(line, ast.ImportFrom) and line.module is not None:
                    places |= {alias.name: line.module for alias in line.names}
    return places
