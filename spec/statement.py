"""What a docstring states: maths, claims and the sites that its symbols stand for.

The docstring of a formalization's module (or of the class, where that holds the maths) opens with a
title, indents its equations by four spaces, and ends with labelled items: `Sites`, `Source`,
`Claims`, `Rivals`, `Special case`, `Refuted by`. The item

    Sites: mu mean; A encoder; l lengthscale [decoder=gaussian_process]

says that the symbol A of the equations is the Pyro site `encoder`, and so on; a bracket names the
hyperparameter on which a site depends. A test compares this list with the traced model.
"""

import ast
import inspect
import re
import sys
import textwrap
from dataclasses import fields
from itertools import pairwise
from typing import Any, NamedTuple

__all__ = ["Statement", "field_notes", "statement"]

LABEL = re.compile(
    r"(?:^|(?<=\s))(Sites|Source|Claims|Rivals|Special cases?(?: of)?|Refuted by):\s+"
)
SYMBOL = re.compile(r"^(?P<symbol>\S+)\s+(?P<site>\w+)(?:\s+\[(?P<field>\w+)=(?P<value>\w+)\])?$")


class Statement(NamedTuple):
    """A parsed docstring."""

    title: str
    """First line."""
    body: tuple[tuple[bool, str], ...]
    """Paragraphs in order, each with whether it is maths."""
    items: dict[str, str]
    """Labelled items: Source, Claims, Rivals, Special case, Refuted by."""
    symbols: dict[str, str]
    """Symbol of the equations by site."""

    @property
    def equations(self) -> str:
        """The maths alone."""
        return "\n\n".join(text for maths, text in self.body if maths)


def statement(owner: object) -> Statement:
    """What the docstring of an object's class, or of its module, states.

    Raises:
        ValueError: The item `Sites` cannot be read.
    """
    kind = type(owner)
    own = inspect.cleandoc(kind.__doc__ or "")
    module = inspect.cleandoc(getattr(sys.modules.get(kind.__module__), "__doc__", None) or "")
    text = own if "\n    " in own or not LABEL.search(module) else module
    found = parse(text)
    return found._replace(symbols=symbols(found.items.pop("Sites", ""), owner))


def parse(text: str) -> Statement:
    """Title, paragraphs and labelled items of a cleaned docstring."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    title, _, rest = paragraphs[0].partition("\n")
    body: list[tuple[bool, str]] = []
    items: dict[str, str] = {}
    for paragraph in [rest, *paragraphs[1:]]:
        for maths, part in split_maths(paragraph):
            pieces = [part] if maths else LABEL.split(part)
            if pieces[0].strip():
                body.append((maths, pieces[0] if maths else " ".join(pieces[0].split())))
            for label, value in zip(pieces[1::2], pieces[2::2], strict=True):
                items[label] = " ".join(value.split())
    return Statement(title, tuple(body), items, {})


def split_maths(paragraph: str) -> list[tuple[bool, str]]:
    """Runs of indented and of plain lines."""
    runs: list[tuple[bool, list[str]]] = []
    for line in paragraph.splitlines():
        maths = line.startswith("    ")
        if not runs or runs[-1][0] != maths:
            runs.append((maths, []))
        runs[-1][1].append(line)
    return [
        (maths, textwrap.dedent("\n".join(lines)) if maths else "\n".join(lines))
        for maths, lines in runs
    ]


def symbols(text: str, owner: object) -> dict[str, str]:
    """Symbol by site, of the sites that the owner's hyperparameters give."""
    found = {}
    for part in filter(None, (part.strip().rstrip(".") for part in text.split(";"))):
        match = SYMBOL.match(part)
        if match is None:
            raise ValueError(
                f"Sites of {type(owner).__name__} must list 'symbol site' or 'symbol site "
                f"[field=value]' between semicolons, got {part!r}"
            )
        wanted = match["value"]
        if wanted is None or str(getattr(owner, match["field"])) == wanted:
            found[match["site"]] = match["symbol"]
    return found


def field_notes(owner: Any) -> list[tuple[str, str, str]]:
    """Name, value and docstring of each field of a dataclass, inherited ones included."""
    notes: dict[str, str] = {}
    for kind in reversed(type(owner).__mro__):
        notes |= attribute_notes(kind)
    return [
        (field.name, repr(getattr(owner, field.name)), notes.get(field.name, ""))
        for field in fields(owner)
    ]


def attribute_notes(kind: type) -> dict[str, str]:
    """Docstrings of the annotated attributes in a class's own source, where there is one."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    except (OSError, TypeError, SyntaxError):
        return {}
    return {
        line.target.id: " ".join(str(after.value.value).split())
        for line, after in pairwise(tree.body if isinstance(tree, ast.ClassDef) else [])
        if isinstance(line, ast.AnnAssign)
        and isinstance(line.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    }
