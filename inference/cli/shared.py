"""What the commands share: the cohort argument, common options, errors of one line, JSON."""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

if TYPE_CHECKING:
    from genomic_code.spec.cohort import Cohort
    from genomic_code.spec.protocols import Formalization

__all__ = [
    "CohortArgument",
    "Columns",
    "EnvironmentOption",
    "FormalizationArgument",
    "GroupsOption",
    "IndividualOption",
    "MissingOption",
    "NoiseOption",
    "PruneOption",
    "QuietOption",
    "SetOption",
    "TraitsOption",
    "TransformOption",
    "chosen",
    "clear_errors",
    "complete_formalizations",
    "fail",
    "folds_in",
    "load",
    "names_in",
    "numbers_in",
    "odd_loci",
    "processes",
    "to_json",
]

SUFFIXES = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".pq", ".nc")


def registered() -> list[str]:
    """Names of the formalizations, from their files: completion must not wait for torch."""
    folder = Path(__file__).parents[2] / "spec" / "formalizations"
    return sorted(file.stem for file in folder.glob("[a-z]*.py"))


def complete_formalizations(incomplete: str) -> list[str]:
    """The names that may follow, after the last comma."""
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in registered() if name.startswith(last)]


def complete_cohorts(incomplete: str) -> list[str]:
    """Data sets by name, and files that may hold a cohort."""
    from genomic_code.spec.datasets import DATASETS

    files = [str(path) for path in Path().glob(f"{incomplete}*") if path.suffix in SUFFIXES]
    return sorted(name for name in DATASETS if name.startswith(incomplete)) + sorted(files)


CohortArgument = Annotated[
    str | None,
    typer.Argument(
        help="A data set by name (multitrait, bloom2013; GENOMIC_CODE_DATA may name a local "
        "copy), or the path of a CSV, Parquet or netCDF file. Without it, an in-silico cohort "
        "whose truth is known.",
        show_default=False,
        autocompletion=complete_cohorts,
    ),
]
FormalizationArgument = Annotated[
    str,
    typer.Argument(
        help="Name of a formalization, for instance generative.",
        autocompletion=complete_formalizations,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A hyperparameter of the formalization, for instance latents=4; may be repeated.",
        show_default=False,
    ),
]
NoiseOption = Annotated[
    str,
    typer.Option(
        help="Measurement model: normal, student_t (traits with outliers), common_factor "
        "(something unrecorded moves all traits of an individual), common_factor_t (both), "
        "poisson, negative_binomial, bernoulli or ordinal (3 categories)."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
TraitsOption = Annotated[
    str | None,
    typer.Option(
        help="Columns of the file with traits, separated by commas, where they have no prefix "
        "'phenotype:'. All columns not named by an option then are loci.",
        show_default=False,
    ),
]
EnvironmentOption = Annotated[
    str | None,
    typer.Option(help="Columns with covariates, likewise.", show_default=False),
]
IndividualOption = Annotated[
    str | None,
    typer.Option(help="Column with the names of the individuals, likewise.", show_default=False),
]
GroupsOption = Annotated[
    str | None,
    typer.Option(
        help="Column with families or lineages, likewise; they are held out whole.",
        show_default=False,
    ),
]


MissingOption = Annotated[
    str,
    typer.Option(
        help="Missing genotypes of a file: refuse, mean (of the locus) or drop (the locus)."
    ),
]

TransformOption = Annotated[
    str | None,
    typer.Option(
        "--transform",
        help="Scale of the traits: log (amounts, intensities, rates; positive), normal_scores "
        "(ranks as normal quantiles), detected (0 or 1, with --noise bernoulli) or quantified "
        "(missing below the limit of detection), with commas where several; by default as they "
        "are.",
        show_default=False,
    ),
]


PruneOption = Annotated[
    float | None,
    typer.Option(
        "--prune",
        help="Leave out loci whose correlation with one of the 50 kept before exceeds this, such "
        "as 0.9: neighbouring markers tell the same.",
        show_default=False,
    ),
]


class Columns(NamedTuple):
    """Which columns of a file hold what, where their names do not say so."""

    traits: str | None = None
    environment: str | None = None
    individual: str | None = None
    groups: str | None = None
    missing: str = "refuse"


def load(
    source: str | None,
    columns: Columns = Columns(),  # noqa: B008
    transform: str | None = None,
    prune: float | None = None,
) -> "Cohort":
    """The cohort that the arguments name.

    Raises:
        ValueError: There is none of this name, the file is unfit, or columns make no sense here.
    """
    cohort = found(source, columns)
    cohort = cohort if prune is None else cohort.prune(prune)
    return cohort if transform is None else cohort.transform(transform)


def found(source: str | None, columns: Columns) -> "Cohort":
    """The cohort as it is where it lies."""
    from genomic_code.spec import datasets, readers
    from genomic_code.spec.simulate import simulate

    is_file = source is not None and (Path(source).exists() or bool(Path(source).suffix))
    given = [name for name, value in columns._asdict().items() if value not in (None, "refuse")]
    if given and not is_file:
        raise ValueError(
            f"--{given[0]} is about the columns of a file, but the cohort is {source!r}"
        )
    if source is None:
        return simulate("generative", individuals=300, loci=60, traits=8, seed=0)
    if source in datasets.DATASETS:
        return datasets.load(source)
    if not is_file:
        from genomic_code.spec.validate import one_of

        one_of("cohort", source, list(datasets.DATASETS))
    return readers.read(
        Path(source),
        traits=None if columns.traits is None else names_in(columns.traits),
        environment=names_in(columns.environment or ""),
        individual=columns.individual,
        groups=columns.groups,
        missing=columns.missing,  # type: ignore[arg-type]
    )


def odd_loci(data: "Cohort") -> str:
    """Columns that are not 0, 1 or 2 where most loci are: perhaps no loci; empty if none are."""
    import numpy as np

    counts = np.isin(data.genotype.values, (0, 1, 2)).all(0)
    if counts.all() or counts.mean() < 0.5:
        return ""
    names = data.genotype["locus"].values[~counts].tolist()
    shown = ", ".join(names[:5]) + ", ..." * (len(names) > 5)
    return f"taken as loci, though not 0, 1 or 2 as the others: {shown}"


def chosen(name: str, settings: list[str] | None = None, noise: str = "normal") -> "Formalization":
    """A formalization by name, with a measurement model and hyperparameters as `key=value`.

    Raises:
        ValueError: The name, a key or a value is unknown or unfit.
    """
    import dataclasses

    from genomic_code.spec.formalizations import FORMALIZATIONS
    from genomic_code.spec.noise import NOISES
    from genomic_code.spec.validate import one_of

    kind = FORMALIZATIONS[one_of("formalization", name, list(FORMALIZATIONS))]
    measured = NOISES[one_of("noise", noise, list(NOISES))]()
    values: dict[str, Any] = {} if noise == "normal" else {"noise": measured}
    known = [
        field.name
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
        if field.name not in ("prior", "noise")
    ]
    for setting in settings or []:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set must be key=value, got {setting!r}")
        if not known:
            raise ValueError(f"{name} has no hyperparameters to set, got {setting!r}")
        one_of(f"hyperparameter of {name}", key.strip(), known)
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text.strip()
        values[key.strip()] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**values)
    except TypeError as cause:
        raise ValueError(f"--set gives {name} a value of the wrong kind: {cause}") from None


def names_in(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers_in(name: str, text: str) -> list[float]:
    """Numbers separated by commas.

    Raises:
        ValueError: One of them is none; `name` is the option.
    """
    try:
        return [float(part) for part in names_in(text)]
    except ValueError:
        raise ValueError(f"{name} must be numbers separated by commas, got {text!r}") from None


def folds_in(text: str) -> int | str:
    """Folds as `compare` takes them: a number or a name."""
    return int(text) if text.strip().lstrip("-").isdigit() else text.strip()


def processes(jobs: int, work: int = sys.maxsize) -> int:
    """Number of processes that `--jobs` asks for; 0: one a core, if there is work for it.

    Raises:
        ValueError: It is negative.
    """
    if jobs < 0:
        raise ValueError(f"jobs must be at least 0, got {jobs}")
    return jobs or min(work, os.cpu_count() or 1)


def to_json(value: Any) -> str:
    """JSON text; numbers that are not finite become null."""

    def plain(item: Any) -> Any:
        if isinstance(item, dict):
            return {str(key): plain(part) for key, part in item.items()}
        if isinstance(item, list | tuple):
            return [plain(part) for part in item]
        item = item.item() if hasattr(item, "item") else item
        return None if isinstance(item, float) and not math.isfinite(item) else item

    return json.dumps(plain(value), indent=2, allow_nan=False)


@contextmanager
def clear_errors() -> Iterator[None]:
    """What a user can mend ends in one line and exit code 2; Ctrl-C in exit code 130."""
    try:
        yield
    except (ValueError, FloatingPointError, RuntimeError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)


def fail(message: str) -> NoReturn:
    """One line to the error stream, exit code 2."""
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(2)
