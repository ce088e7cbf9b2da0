"""The shell, one command a job; each is thin, and the numbers are those of the Python function."""

import typer

from genomic_code.inference.cli.certifying import certify
from genomic_code.inference.cli.comparing import compare
from genomic_code.inference.cli.describing import card
from genomic_code.inference.cli.evolving import evolve
from genomic_code.inference.cli.fitting import evolvability, fit
from genomic_code.inference.cli.reporting import report
from genomic_code.inference.cli.simulating import simulate

__all__ = ["app"]

app = typer.Typer(
    name="genomic-code",
    help="Fit competing formalizations of the genome to a cohort, compare them, see the answer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (compare, certify, report, fit, evolvability, simulate, evolve, card):
    app.command()(command)


@app.callback()
def main() -> None:
    """Competing formalizations of the genome as a generative model of the organism."""
