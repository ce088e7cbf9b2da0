"""`genomic-code card`: a hypothesis in full."""

import typer

from genomic_code.inference.cli.shared import FormalizationArgument, clear_errors

__all__ = ["card"]


def card(formalization: FormalizationArgument) -> None:
    """Print a hypothesis: equations, sites, priors, graph, claims and what would refute it."""
    with clear_errors():
        from genomic_code.spec.card import card as make_card

        typer.echo(str(make_card(formalization)))
