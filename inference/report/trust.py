"""The parts of a page that other commands write beside a comparison: certificate and trust light.

`certificate.json` holds a `sentence` and a confusion matrix `confusion`, truth to verdict to count
or share; `trust.json` a `light` (green, amber or red), a `sentence` and `checks`, pairs of a name
or colour and a sentence. Both are optional, and so is each of their entries.
"""

import json
from html import escape
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from genomic_code.spec.files import atomic, reading

__all__ = ["certificate", "trust_light", "write_certificate", "write_trust"]

LIGHTS = ("green", "amber", "red")


class Certified(Protocol):
    """What of a certificate is shown."""

    @property
    def sentence(self) -> str:
        """The certificate in plain words."""
        ...

    @property
    def confusion(self) -> pd.DataFrame:
        """Verdicts (columns) by truth (rows)."""
        ...

    @property
    def formalizations(self) -> list[str]:
        """The columns that are verdicts."""
        ...


class Trusted(Protocol):
    """What of a check of a fit is shown."""

    @property
    def light(self) -> str:
        """`green`, `amber` or `red`."""
        ...

    @property
    def reasons(self) -> list[str]:
        """Why."""
        ...

    @property
    def findings(self) -> list[tuple[str, str]]:
        """Colour and words of each finding."""
        ...


def write_certificate(certificate: Certified, directory: Path) -> Path:
    """Put a certificate beside a comparison, for its report."""
    table = certificate.confusion[certificate.formalizations]
    confusion = {
        str(truth): {str(verdict): float(value) for verdict, value in row.items()}
        for truth, row in table.iterrows()
    }
    return write(
        directory / "certificate.json",
        {"sentence": certificate.sentence, "confusion": confusion},
    )


def write_trust(report: Trusted, directory: Path) -> Path:
    """Put the check of the winner's fit beside a comparison, for its report."""
    known = {
        "light": report.light,
        "sentence": "; ".join(report.reasons),
        "checks": [list(finding) for finding in report.findings],
    }
    return write(directory / "trust.json", known)


def write(path: Path, known: dict[str, Any]) -> Path:
    """Write a JSON file, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is none.

    Raises:
        ValueError: The file is there and holds none.
    """
    if not path.is_file():
        return {}
    with reading(path, "JSON"):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def trust_light(directory: Path) -> str:
    """How far the fits can be trusted, if that was looked into."""
    known = read(directory / "trust.json")
    light = str(known.get("light", "")).lower()
    if light not in LIGHTS:
        return ""
    sentence = escape(str(known.get("sentence", "")))
    checks = known.get("checks") or {}
    pairs = checks.items() if isinstance(checks, dict) else [tuple(pair) for pair in checks]
    detail = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in pairs)
    more = f"<details><summary>Checks</summary><dl>{detail}</dl></details>" if detail else ""
    return (
        f'<div class="light {light}"><p><strong>Trust in the fits: {light}.</strong> {sentence}</p>'
        f"{more}</div>\n"
    )


def certificate(directory: Path) -> str:
    """Whether data of this size and noise can tell the formalizations apart, if that was tried."""
    known = read(directory / "certificate.json")
    if not known:
        return ""
    sentence = escape(str(known.get("sentence") or known.get("verdict") or ""))
    return (
        "<section><h2>Recovery certificate</h2>"
        f"<p>{sentence}</p>{confusion(known.get('confusion'))}</section>\n"
    )


def confusion(matrix: Any) -> str:
    """Truth in rows, verdict in columns; shares are shaded."""
    if not isinstance(matrix, dict) or not all(isinstance(row, dict) for row in matrix.values()):
        return ""
    columns = list(dict.fromkeys(str(name) for row in matrix.values() for name in row))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    rows = []
    for truth, row in matrix.items():
        values = {str(name): float(value) for name, value in row.items()}
        total = sum(values.values()) or 1.0
        cells = "".join(
            f'<td style="--share:{values.get(name, 0.0) / total:.3f}" class="share">'
            f"{values.get(name, 0.0):g}</td>"
            for name in columns
        )
        rows.append(f'<tr><th scope="row">{escape(str(truth))}</th>{cells}</tr>')
    return (
        '<div class="wide" tabindex="0"><table><caption>Simulated truth in rows, verdict in '
        f"columns</caption><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
        "</table></div>"
    )
