"""`genomic-code certify`: what a verdict on a cohort would be worth."""

from pathlib import Path
from typing import Annotated

import typer

from genomic_code.inference.cli.comparing import DEFAULT
from genomic_code.inference.cli.shared import clear_errors, load

__all__ = ["certify"]


def certify(
    cohort: Annotated[
        str | None,
        typer.Argument(
            help="As for compare: a data set by name, or the path of a file.", show_default=False
        ),
    ] = None,
    formalizations: Annotated[
        str, typer.Option(help="Names, separated by commas, or all; each the truth in turn.")
    ] = DEFAULT,
    replicates: Annotated[
        int, typer.Option(help="Simulated cohorts of each formalization and size, at least 1.")
    ] = 6,
    sizes: Annotated[
        str,
        typer.Option(help="Multiples of the number of individuals, 1 among them, by commas."),
    ] = "0.5,1",
    folds: Annotated[int, typer.Option(help="Number of folds of held-out individuals.")] = 5,
    restarts: Annotated[int, typer.Option(help="Random starts of each fit.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the first replicate.")] = 0,
    jobs: Annotated[
        int, typer.Option(help="Processes; 0 for one a core. The numbers do not depend on it.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory with a JSON file a simulated cohort; a run broken off goes on there.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Say what a verdict on this cohort would be worth, by cohorts simulated like it."""
    # imports here keep --help fast
    import os

    import torch

    from genomic_code.inference.certify import certify as certify_cohort
    from genomic_code.inference.fit import Settings

    torch.set_num_threads(1)
    with clear_errors():
        if jobs < 0:
            raise ValueError(f"jobs must be at least 0, got {jobs}")
        data = load(cohort)
        typer.echo(repr(data))
        named = [name.strip() for name in formalizations.split(",") if name.strip()]
        certificate = certify_cohort(
            data, None if named == ["all"] else named, replicates=replicates,
            sizes=numbers("sizes", sizes), folds=folds, seed=seed,
            settings=Settings(restarts=restarts), out=out, jobs=jobs or os.cpu_count() or 1,
            progress=not quiet,
        )  # fmt: skip
        typer.echo(f"\n{certificate}")


def numbers(name: str, text: str) -> list[float]:
    """Numbers separated by commas."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ValueError(f"{name} must be numbers separated by commas, got {text!r}") from None
