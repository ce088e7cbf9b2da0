"""`genomic-code report`: the results of a comparison as one page."""

from pathlib import Path
from typing import Annotated

import typer

from genomic_code.inference.cli.shared import clear_errors

__all__ = ["report"]


def report(
    directory: Annotated[
        Path, typer.Argument(help="A directory that `genomic-code compare --out` wrote.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The page; by default report.html in the directory.", show_default=False),
    ] = None,
) -> None:
    """Turn a comparison into one HTML page: verdict, table, figures, methods."""
    with clear_errors():
        from genomic_code.inference.report import write_report

        typer.echo(f"report in {write_report(directory, out)}")
