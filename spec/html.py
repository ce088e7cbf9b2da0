"""Objects in a notebook: a title and a small table, in the notebook's own colours."""

import dataclasses
from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["formalization_html", "summary"]


def summary(title: str, rows: Mapping[str, object], note: str = "") -> str:
    """A title, a row for each fact, and a line below."""
    lines = "".join(
        f'<tr><th style="text-align:left">{escape(str(key))}</th>'
        f'<td style="text-align:left">{escape(str(value))}</td></tr>'
        for key, value in rows.items()
    )
    below = f'<div style="max-width:45em">{escape(note)}</div>' if note else ""
    return f"<div><strong>{escape(title)}</strong><table>{lines}</table>{below}</div>"


def formalization_html(formalization: Any) -> str:
    """Name, claim and hyperparameters; `card` says more."""
    lines = (type(formalization).__doc__ or "").strip().splitlines()
    fields = dataclasses.fields(formalization)
    rows = {field.name: getattr(formalization, field.name) for field in fields}
    return summary(
        f"Formalization {formalization.name}: {lines[0] if lines else ''}",
        {key: value for key, value in rows.items() if value != {}},
        f"genomic_code.spec.card({formalization.name!r}) shows equations, sites, priors and claims"
        if type(formalization).__module__.startswith("genomic_code.")
        else "",
    )
