"""Docstrings of the package as reStructuredText: maths as it stands, no accidental markup.

They are written to be read in a terminal: equations are indented, `*` is a product, `|z|` a size.
"""

import re
from typing import Any

__all__ = ["as_restructured_text", "converted"]

HEADER = re.compile(r"^(Args|Returns|Raises|Yields|Example|Examples|Note|Attributes):\s*$")
TABLE = re.compile(r"^\s*\|.*\|\s*$")


def as_restructured_text(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Handler of `autodoc-process-docstring`, before napoleon's."""
    lines[:] = converted(lines)


def converted(lines: list[str]) -> list[str]:
    """Lines with indented maths, examples and tables as literal blocks, and text escaped."""
    out: list[str] = []
    base = 0
    place = 0
    while place < len(lines):
        line = lines[place]
        depth = len(line) - len(line.lstrip())
        if not line.strip():
            out.append("")
            place += 1
            continue
        if HEADER.match(line):
            base = 4
            # napoleon knows these sections; others would end in a definition list
            out.append(line)
            place += 1
            continue
        if depth < base:
            base = 0
        fresh = not out or not out[-1].strip()
        if TABLE.match(line) or (fresh and depth >= base + 4):
            stop = place
            while stop < len(lines) and (
                not lines[stop].strip()
                or (TABLE.match(lines[stop]) if TABLE.match(line) else indent(lines[stop]) > base)
            ):
                stop += 1
            block = lines[place:stop]
            while block and not block[-1].strip():
                block.pop()
            if block[0].lstrip().startswith(">>>"):
                out += block
            else:
                out += ["", " " * base + "::", ""]
                out += [" " * (4 if TABLE.match(line) else 0) + part for part in block]
            out.append("")
            place = stop
            continue
        if line.lstrip().startswith(">>>"):
            while place < len(lines) and lines[place].strip():
                out.append(lines[place])
                place += 1
            continue
        out.append(escaped(line))
        place += 1
    return out


def indent(line: str) -> int:
    """Number of leading spaces."""
    return len(line) - len(line.lstrip())


def escaped(line: str) -> str:
    """A line of text without accidental markup; what stands between backticks is kept."""
    lead = re.match(r"\s*(?:\* )?", line)
    assert lead is not None
    start, rest = lead.group(), line[lead.end() :]
    parts = re.split(r"(`[^`]*`)", rest)
    for number in range(0, len(parts), 2):
        text = parts[number].replace("*", "\\*").replace("|", "\\|")
        parts[number] = re.sub(r"(\w)_(?=\W|$)", r"\1\\_", text)
    # literals in two backticks: napoleon then leaves the colons in them alone
    parts[1::2] = [f"`{part}`" for part in parts[1::2]]
    return start + "".join(parts)
