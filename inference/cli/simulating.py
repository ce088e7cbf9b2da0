"""`genomic-code simulate`: a cohort in which a formalization is true."""

from pathlib import Path
from typing import Annotated

import typer

from genomic_code.inference.cli.shared import (
    FormalizationArgument,
    SetOption,
    chosen,
    clear_errors,
)

__all__ = ["simulate"]


def simulate(
    formalization: FormalizationArgument = "generative",
    individuals: Annotated[int, typer.Option(help="Individuals, at least 2.")] = 300,
    loci: Annotated[int, typer.Option(help="Loci, at least 1.")] = 60,
    traits: Annotated[int, typer.Option(help="Traits, at least 1.")] = 8,
    environments: Annotated[int, typer.Option(help="Covariates, at least 0.")] = 2,
    heritability: Annotated[
        float, typer.Option(help="Genetic share of the variance, from 0 to below 1.")
    ] = 0.6,
    missing: Annotated[
        float, typer.Option(help="Share of missing traits, from 0 to below 1.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Same seed, same cohort.")] = 0,
    settings: SetOption = None,
    out: Annotated[
        Path, typer.Option(help="File to write: .csv, .parquet, or .nc, which keeps the truth.")
    ] = Path("cohort.csv"),
) -> None:
    """Make a cohort in which a formalization is true, and write it to a file."""
    with clear_errors():
        from genomic_code.spec.files import atomic
        from genomic_code.spec.simulate import simulate as make_cohort
        from genomic_code.spec.validate import one_of

        one_of("suffix of out", out.suffix, [".csv", ".parquet", ".nc"])
        with atomic(out) as temporary:
            cohort = make_cohort(
                chosen(formalization, settings), individuals, loci, traits, environments,
                heritability, missing, seed=seed,
            )  # fmt: skip
            if out.suffix == ".csv":
                cohort.to_dataframe().to_csv(temporary, index=False)
            elif out.suffix == ".parquet":
                cohort.to_dataframe().to_parquet(temporary)
            else:
                cohort.to_netcdf(temporary)
        typer.echo(f"{cohort!r}\ncohort in {out}")
