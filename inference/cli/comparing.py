"""`genomic-code compare`: the main job."""

import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from genomic_code.inference.cli.shared import (
    CohortArgument,
    Columns,
    EnvironmentOption,
    GroupsOption,
    IndividualOption,
    MissingOption,
    NoiseOption,
    PruneOption,
    QuietOption,
    TraitsOption,
    TransformOption,
    chosen,
    clear_errors,
    complete_formalizations,
    folds_in,
    load,
    names_in,
    odd_loci,
    processes,
    to_json,
)

__all__ = ["compare"]

PARTIAL = ".partial"
"""Folder, within that of the results, of what is finished while a comparison runs."""
DEFAULT = "null,factor,blueprint,polygenic,generative"


def compare(
    cohort: CohortArgument = None,
    formalizations: Annotated[
        str,
        typer.Option(
            help="Names, separated by commas; null is always among them.",
            autocompletion=complete_formalizations,
        ),
    ] = DEFAULT,
    folds: Annotated[
        str,
        typer.Option(
            help="Number of folds of held-out individuals, at least 2; or group (one group at a "
            "time), individual (one at a time) or split (the test part of the published split)."
        ),
    ] = "5",
    repeats: Annotated[
        int,
        typer.Option(
            help="Draws of the folds, all of them fitted: errors then hold what other folds would "
            "change."
        ),
    ] = 1,
    noise: NoiseOption = "normal",
    restarts: Annotated[
        int, typer.Option(help="Random starts of each fit; the best on its training rows goes on.")
    ] = 10,
    seed: Annotated[
        int, typer.Option(help="Seed of folds, starts and draws: same seed, same numbers.")
    ] = 0,
    jobs: Annotated[
        int, typer.Option(help="Processes; 0 for one a core. The numbers do not depend on it.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory for the table (CSV), the fits (netCDF) and the figures (PNG); made "
            "where missing. `genomic-code report` makes a page of it.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a dask scheduler, such as tcp://host:8786: its workers do the fits, "
            "with the same numbers. Needs the extra [cluster].",
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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print verdict, table and settings as JSON.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Compare formalizations by what they predict of individuals they have not seen."""
    columns = Columns(traits, environment, individual, groups, missing)
    with clear_errors():
        run_compare(
            cohort,
            columns,
            transform,
            prune,
            formalizations,
            folds,
            repeats,
            noise,
            restarts,
            seed,
            jobs,
            out,
            as_json,
            quiet,
            scheduler,
        )


def run_compare(
    source: str | None,
    columns: Columns,
    transform: str | None,
    prune: float | None,
    formalizations: str,
    folds: str,
    repeats: int,
    noise: str,
    restarts: int,
    seed: int,
    jobs: int,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    scheduler: str | None = None,
) -> None:
    """Load, check everything that can be checked beforehand, compare, print and save."""
    # imports here keep --help fast
    import torch

    from genomic_code.inference.compare import compare as compare_cohort
    from genomic_code.inference.compare import named
    from genomic_code.inference.fit import Settings
    from genomic_code.inference.folds import group_labels, repeated
    from genomic_code.inference.results import as_dict, check_writable, save_comparison

    torch.set_num_threads(1)  # one a process: processes share the cores
    models = [chosen(name, noise=noise) for name in names_in(formalizations)]
    named(models)
    settings = Settings(restarts=restarts)
    count = processes(jobs, len(models))
    if out is not None:
        check_writable(out)
    data = load(source, columns, transform, prune)
    held_out = folds_in(folds)
    repeated(data, held_out, seed, group_labels(data), repeats)
    if not as_json:
        typer.echo(repr(data))
        for key in ("loci_with_missing", "constant_loci_dropped", "loci_pruned", "transform"):
            if key in data.dataset.attrs:
                typer.echo(f"{key.replace('_', ' ')}: {data.dataset.attrs[key]}")
        if columns.traits is not None and (note := odd_loci(data)):
            typer.echo(note)
        if "formalization" in data.dataset.attrs:
            truth = data.dataset.attrs
            typer.echo(
                f"truth: {truth['formalization']}, heritability {truth['heritability']} "
                f"(simulated, seed {truth['seed']})"
            )
    partial = None if out is None else out / PARTIAL
    with cluster(scheduler):
        result = compare_cohort(
            models, data, folds=held_out, repeats=repeats, seed=seed, settings=settings,
            jobs=count, progress=not quiet, partial=partial,
        )  # fmt: skip
    if as_json:
        typer.echo(to_json(as_dict(result)))
    else:
        unit = "individuals" if result.units is None else "groups of individuals"
        times = f"drawn {repeats} times, " if repeats > 1 else ""
        typer.echo(f"\n{result}\n")
        typer.echo(
            f"held-out {unit}, folds: {folds}, {times}seed {seed}; elpd and elbo in nats, traits "
            "in units of their standard deviation"
        )
    if out is not None:
        save_comparison(result, out)
        shutil.rmtree(out / PARTIAL, ignore_errors=True)
        if not as_json:
            typer.echo(f"results in {out}; a page of them: genomic-code report {out}")


def cluster(address: str | None) -> AbstractContextManager[object]:
    """Whatever joblib runs within goes to the dask scheduler at this address, if one is given.

    Raises:
        ValueError: dask is missing, or nothing answers at the address.
    """
    if address is None:
        return nullcontext()
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            "scheduler needs dask.distributed; install it with: pip install 'genomic-code[cluster]'"
        ) from None
    from joblib import parallel_config

    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as cause:
        raise ValueError(
            f"scheduler must be the address of a running dask scheduler, got {address!r}: {cause}"
        ) from None
    context: AbstractContextManager[object] = parallel_config("dask", client=client)
    return context
