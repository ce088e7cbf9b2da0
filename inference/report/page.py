"""The page: verdict, table, figures, trust, methods; in one file, light, dark or small."""

import json
import os
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from genomic_code.inference.compare import Comparison
from genomic_code.inference.plots import plot_differences, plot_elbo, plot_predictions
from genomic_code.inference.report.figures import embedded_png, svg
from genomic_code.inference.report.methods import COLUMNS, LIMITS, citations, methods
from genomic_code.inference.report.style import STYLE
from genomic_code.inference.report.trust import certificate, trust_light
from genomic_code.inference.results import load_comparison
from genomic_code.spec.files import atomic, reading
from genomic_code.spec.formalizations import FORMALIZATIONS

__all__ = ["page", "write_report"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load for the page: nothing."""


def write_report(
    directory: str | os.PathLike[str], out: str | os.PathLike[str] | None = None
) -> Path:
    """Write the page of a comparison that `compare --out` or `Comparison.save` wrote.

    Args:
        directory: Where the comparison is.
        out: The page; by default `report.html` in the directory.

    Raises:
        ValueError: The directory holds no comparison, or the page cannot be written.
    """
    folder = Path(directory)
    target = folder / "report.html" if out is None else Path(out)
    comparison = load_comparison(folder)
    with atomic(target) as temporary:
        temporary.write_text(page(comparison, folder), encoding="utf-8")
    return target


def page(comparison: Comparison, directory: Path) -> str:
    """The page as text."""
    file = directory / "comparison.json"
    with reading(file, "JSON"):
        record = json.loads(file.read_text(encoding="utf-8"))
    name = escape(comparison.cohort.name)
    parts = [
        f"<h1>{name}</h1>",
        f'<p class="verdict" id="verdict">{escape(comparison.verdict)}</p>',
        trust_light(directory),
        section("The formalizations, best first", table(comparison.frame, comparison.winner)),
        section("Figures", "".join(figures(comparison, directory))),
        certificate(directory),
        section("What this cannot say", listed([escape(limit) for limit in LIMITS])),
        section("Methods", f"<p>{escape(methods(comparison, record))}</p>"),
        section("The hypotheses compared", hypotheses(record)),
        section("Data, seeds and versions", provenance(record)),
        section("To cite", listed([citation(*each) for each in citations(record)])),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{name}: {escape(comparison.winner)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts)}\n</main>\n</body>\n</html>\n"
    )


def section(title: str, content: str) -> str:
    """A titled part of the page."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>\n"


def listed(items: list[str]) -> str:
    """A list of HTML items."""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def table(frame: pd.DataFrame, winner: str) -> str:
    """The table, the winner's row marked, with what its columns mean."""
    columns = [c for c in frame.columns if c != "warning" or frame[c].astype(bool).any()]
    head = "".join(f'<th scope="col">{escape(c.replace("_", " "))}</th>' for c in columns)
    rows = []
    for name, line in frame.iterrows():
        mark = ' class="winner"' if name == winner else ""
        cells = "".join(cell(line[c]) for c in columns)
        rows.append(f'<tr{mark}><th scope="row">{escape(str(name))}</th>{cells}</tr>')
    meanings = "".join(
        f"<dt>{escape(c.replace('_', ' '))}</dt><dd>{escape(COLUMNS.get(c, ''))}</dd>"
        for c in columns
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f"<details><summary>What the columns mean</summary><dl>{meanings}</dl></details>"
    )


def cell(value: Any) -> str:
    """A value of the table; numbers with two decimals, what is not a number as a dash."""
    if isinstance(value, str):
        return f'<td class="text">{escape(value)}</td>'
    return f"<td>{'–' if pd.isna(value) else f'{float(value):.2f}'.replace('-', '−')}</td>"


def figures(comparison: Comparison, directory: Path) -> list[str]:
    """Each figure with its caption."""
    plots: list[tuple[str, Callable[[], Any], str]] = [
        (
            "differences",
            partial(plot_differences, comparison),
            "Held-out log predictive density of each formalization below the best, with two paired "
            "standard errors. Orange: the verdict. Grey: the ridge baseline.",
        ),
        (
            "predictions",
            partial(plot_predictions, comparison),
            f"Traits of individuals that were not fitted, as {comparison.winner} predicts them and "
            "as they were observed, in standard deviations of each trait.",
        ),
        (
            "elbo",
            partial(plot_elbo, comparison),
            "Evidence lower bound along the optimisation of the fits to all individuals: flat at "
            "the end means settled. Heights are no evidence for or against a formalization.",
        ),
    ]
    parts = []
    for name, plot, caption in plots:
        try:
            image = svg(name, caption, plot)
        except ValueError:  # fits of a class of the user's own are not read
            path = directory / f"{name}.png"
            if not path.exists():
                continue
            image = embedded_png(path, caption)
        parts.append(f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>")
    return parts


def hypotheses(record: dict[str, Any]) -> str:
    """What each formalization says, and with which hyperparameters."""
    items = []
    for name, shown in record["formalizations"].items():
        kind = FORMALIZATIONS.get(name)
        says = (kind.__doc__ or "").strip().splitlines()[0] if kind else ""
        items.append(f"<dt>{escape(name)}</dt><dd>{escape(says)} <code>{escape(shown)}</code></dd>")
    return f"<dl>{''.join(items)}</dl>"


def provenance(record: dict[str, Any]) -> str:
    """What is needed to repeat the comparison."""
    cohort = record["cohort"]
    truth = cohort.get("simulated")
    rows = {
        "SHA-256 of the data": cohort["fingerprint"],
        "individuals": cohort["individual"],
        "loci": cohort["locus"],
        "covariates": cohort["covariate"],
        "traits": cohort["trait"],
        "licence of the data": cohort.get("licence"),
        "truth of the simulation": truth
        and f"{truth.get('formalization')}, heritability {truth.get('heritability')}",
        "folds": record["folds"],
        "repeats of the folds": record.get("repeats", 1),
        "seed": record["seed"],
        **{f"setting {key}": value for key, value in record["settings"].items()},
        **record["versions"],
    }
    shown = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td class="text">{escape(str(value))}</td></tr>'
        for key, value in rows.items()
        if value is not None
    )
    return f'<div class="wide" tabindex="0"><table>{shown}</table></div>'


def citation(text: str, doi: str) -> str:
    """A work, with a link to it where it has a DOI."""
    link = f' <a href="https://doi.org/{escape(doi)}">doi:{escape(doi)}</a>' if doi else ""
    return escape(text) + link
