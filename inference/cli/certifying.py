"""`genomic-code certify`: what a verdict on a cohort would be worth."""

from pathlib import Path
from typing import Annotated

import typer

from genomic_code.inference.cli.comparing import DEFAULT
from genomic_code.inference.cli.shared import (
    CohortArgument,
    Columns,
    EnvironmentOption,
    GroupsOption,
    IndividualOption,
    MissingOption,
    PruneOption,
    QuietOption,
    TraitsOption,
    TransformOption,
    clear_errors,
    complete_formalizations,
    load,
    names_in,
    numbers_in,
    processes,
)

__all__ = ["certify"]


def certify(
    cohort: CohortArgument = None,
    formalizations: Annotated[
        str,
        typer.Option(
            help="Names, separated by commas, or all; each the truth in turn.",
            autocompletion=complete_formalizations,
        ),
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
    traits: TraitsOption = None,
    environment: EnvironmentOption = None,
    individual: IndividualOption = None,
    groups: GroupsOption = None,
    missing: MissingOption = "refuse",
    transform: TransformOption = None,
    prune: PruneOption = None,
    quiet: QuietOption = False,
) -> None:
    """Say what a verdict on this cohort would be worth, by cohorts simulated like it."""
    # imports here keep --help fast
    import torch

    from genomic_code.inference.certify import certify as certify_cohort
    from genomic_code.inference.fit import Settings

    torch.set_num_threads(1)
    with clear_errors():
        count = processes(jobs)
        data = load(
            cohort, Columns(traits, environment, individual, groups, missing), transform, prune
        )
        typer.echo(repr(data))
        names = names_in(formalizations)
        certificate = certify_cohort(
            data, None if names == ["all"] else names, replicates=replicates,
            sizes=numbers_in("sizes", sizes), folds=folds, seed=seed,
            settings=Settings(restarts=restarts), out=out, jobs=count, progress=not quiet,
        )  # fmt: skip
        typer.echo(f"\n{certificate}")
