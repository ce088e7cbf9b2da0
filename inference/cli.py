"""The shell: `genomic-code compare`, `genomic-code certify` and `genomic-code card`."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    name="genomic-code",
    help="Fit competing formalizations of the genome to a cohort, compare them, see the answer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

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
        str,
        typer.Option(help="Names, separated by commas, or all; null is always among them."),
    ] = DEFAULT,
    folds: Annotated[
        str,
        typer.Option(
            help="Number of folds of held-out individuals, at least 2; or group, individual, or "
            "split for the test part of a published split."
        ),
    ] = "5",
    groups: Annotated[
        str | None,
        typer.Option(
            help="Who is held out together: a label of individuals, a covariate, a locus, or "
            "genotype. By default the groups of the cohort, where it has them.",
            show_default=False,
        ),
    ] = None,
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
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
) -> None:
    """Compare formalizations by what they predict of individuals they have not seen."""
    try:
        run_compare(cohort, formalizations, folds, groups, restarts, seed, jobs, out, quiet)
    except (ValueError, FloatingPointError, RuntimeError) as error:
        fail(str(error))


@app.command()
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
    import os

    import torch

    from genomic_code.inference.certify import certify as certify_cohort
    from genomic_code.inference.fit import Settings

    torch.set_num_threads(1)
    try:
        if jobs < 0:
            raise ValueError(f"jobs must be at least 0, got {jobs}")
        data = load(cohort)
        typer.echo(repr(data))
        names = listed(formalizations)
        certificate = certify_cohort(
            data, names, replicates=replicates, sizes=numbers("sizes", sizes), folds=folds,
            seed=seed, settings=Settings(restarts=restarts), out=out,
            jobs=jobs or os.cpu_count() or 1, progress=not quiet,
        )  # fmt: skip
    except (ValueError, FloatingPointError, RuntimeError) as error:
        fail(str(error))
    typer.echo(f"\n{certificate}")


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
    folding: str,
    groups: str | None,
    restarts: int,
    seed: int,
    jobs: int,
    out: Path | None,
    quiet: bool,
) -> None:
    """Load, check everything that can be checked beforehand, compare, print and save."""
    # imports here keep --help fast
    import os

    import torch

    from genomic_code.inference.compare import CANDIDATES, named
    from genomic_code.inference.compare import compare as compare_cohort
    from genomic_code.inference.fit import Settings
    from genomic_code.inference.folds import assign_folds
    from genomic_code.inference.results import check_writable, save_comparison

    torch.set_num_threads(1)  # one a process: processes share the cores
    names = listed(formalizations)
    named(names or CANDIDATES)
    folds = int(folding) if folding.lstrip("-").isdigit() else folding
    settings = Settings(restarts=restarts)
    if jobs < 0:
        raise ValueError(f"jobs must be at least 0, got {jobs}")
    if out is not None:
        check_writable(out)
    data = load(source)
    assign_folds(data, folds, seed, groups)
    typer.echo(repr(data))
    if "formalization" in data.dataset.attrs:
        truth = data.dataset.attrs
        typer.echo(
            f"truth: {truth['formalization']}, heritability {truth['heritability']} "
            f"(simulated, seed {truth['seed']})"
        )
    processes = jobs or min(len(names or CANDIDATES), os.cpu_count() or 1)
    result = compare_cohort(
        names, data, folds=folds, groups=groups, seed=seed, settings=settings, jobs=processes,
        progress=not quiet,
    )  # fmt: skip
    typer.echo(f"\n{result}\n")
    typer.echo(
        f"held-out individuals, folds {folds}, seed {seed}; elpd and elbo in nats, traits in "
        "units of their standard deviation"
    )
    if out is not None:
        save_comparison(result, out)
        typer.echo(f"results in {out}")


def listed(formalizations: str) -> list[str] | None:
    """Names separated by commas; None for `all`."""
    if formalizations.strip() == "all":
        return None
    return [name.strip() for name in formalizations.split(",") if name.strip()]


def numbers(name: str, text: str) -> list[float]:
    """Numbers separated by commas."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ValueError(f"{name} must be numbers separated by commas, got {text!r}") from None


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
