"""The shell: `genomic-code compare` and `genomic-code card`."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    name="genomic-code",
    help="Fit competing formalizations of the genome to a cohort, compare them, see the answer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

PARTIAL = ".partial"
"""Folder, within that of the results, of what is finished while a comparison runs."""
DEFAULT = "null,factor,blueprint,polygenic,generative"


@app.callback()
def main() -> None:
    """Competing formalizations of the genome as a generative model of the organism."""


@app.command()
def compare(
    cohort: Annotated[
        str | None,
        typer.Argument(
            help="A data set by name (multitrait, bloom2013; GENOMIC_CODE_DATA may name a local "
            "copy), or the path of a CSV, Parquet or netCDF file. Without it, an in-silico cohort "
            "whose truth is known.",
            show_default=False,
        ),
    ] = None,
    formalizations: Annotated[
        str, typer.Option(help="Names, separated by commas; null is always among them.")
    ] = DEFAULT,
    folds: Annotated[
        int, typer.Option(help="Number of folds of held-out individuals, at least 2.")
    ] = 5,
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
            "where missing.",
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
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
) -> None:
    """Compare formalizations by what they predict of individuals they have not seen."""
    try:
        run_compare(
            cohort, formalizations, folds, restarts, seed, jobs, out, quiet, scheduler
        )  # fmt: skip
    except (ValueError, FloatingPointError, RuntimeError) as error:
        fail(str(error))


@app.command()
def card(
    formalization: Annotated[
        str, typer.Argument(help="Name of a formalization, for instance generative.")
    ],
) -> None:
    """Print a hypothesis: equations, sites, priors, graph, claims and what would refute it."""
    from genomic_code.spec.card import card as make_card

    try:
        typer.echo(str(make_card(formalization)))
    except ValueError as error:
        fail(str(error))


def run_compare(
    source: str | None,
    formalizations: str,
    folds: int,
    restarts: int,
    seed: int,
    jobs: int,
    out: Path | None,
    quiet: bool,
    scheduler: str | None = None,
) -> None:
    """Load, check everything that can be checked beforehand, compare, print and save."""
    # imports here keep --help fast
    import os
    import shutil

    import torch

    from genomic_code.inference.compare import compare as compare_cohort
    from genomic_code.inference.compare import named
    from genomic_code.inference.fit import Settings
    from genomic_code.inference.folds import assign_folds
    from genomic_code.inference.results import check_writable, save_comparison

    torch.set_num_threads(1)  # one a process: processes share the cores
    names = [name.strip() for name in formalizations.split(",") if name.strip()]
    named(names)
    settings = Settings(restarts=restarts)
    if jobs < 0:
        raise ValueError(f"jobs must be at least 0, got {jobs}")
    if out is not None:
        check_writable(out)
    data = load(source)
    assign_folds(data, folds, seed)
    typer.echo(repr(data))
    if "formalization" in data.dataset.attrs:
        truth = data.dataset.attrs
        typer.echo(
            f"truth: {truth['formalization']}, heritability {truth['heritability']} "
            f"(simulated, seed {truth['seed']})"
        )
    processes = jobs or min(len(names), os.cpu_count() or 1)
    partial = None if out is None else out / PARTIAL
    with cluster(scheduler):
        result = compare_cohort(
            names, data, folds=folds, seed=seed, settings=settings, jobs=processes,
            progress=not quiet, partial=partial,
        )  # fmt: skip
    typer.echo(f"\n{result}\n")
    typer.echo(
        f"{folds}-fold held-out individuals, seed {seed}; elpd and elbo in nats, traits in "
        "units of their standard deviation"
    )
    if out is not None:
        save_comparison(result, out)
        shutil.rmtree(out / PARTIAL)
        typer.echo(f"results in {out}")


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


def load(source: str | None):  # type: ignore[no-untyped-def]
    """The cohort that the argument names."""
    from genomic_code.spec import datasets, readers
    from genomic_code.spec.simulate import simulate

    if source is None:
        return simulate("generative", individuals=300, loci=60, traits=8, seed=0)
    if source in datasets.DATASETS:
        return datasets.load(source)
    if not Path(source).exists() and not Path(source).suffix:
        from genomic_code.spec.validate import one_of

        one_of("cohort", source, list(datasets.DATASETS))
    return readers.read(Path(source))


def fail(message: str) -> NoReturn:
    """One line to the error stream, exit code 2."""
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(2)
