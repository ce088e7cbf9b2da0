"""`genomic-code evolve`: a genome in a niche, generation by generation."""

from pathlib import Path
from typing import Annotated

import typer

from genomic_code.inference.cli.shared import (
    FormalizationArgument,
    QuietOption,
    SetOption,
    chosen,
    clear_errors,
    numbers_in,
)

__all__ = ["evolve"]


def evolve(
    formalization: FormalizationArgument = "generative",
    target: Annotated[
        str,
        typer.Option(help="Optimum of each trait in prior standard units, separated by commas."),
    ] = "1,1,-1,-1",
    width: Annotated[
        float, typer.Option(help="Width of the fitness peak, a standard deviation in trait units.")
    ] = 1.0,
    population_size: Annotated[int, typer.Option(help="Individuals, at least 2.")] = 200,
    generations: Annotated[int, typer.Option(help="Generations, at least 1.")] = 300,
    loci: Annotated[int, typer.Option(help="Loci whose alleles evolve.")] = 20,
    seed: Annotated[int, typer.Option(help="Same seed, same lineage.")] = 0,
    settings: SetOption = None,
    out: Annotated[Path, typer.Option(help="File to write; `genomic_code.load` reads it.")] = Path(
        "lineage.nc"
    ),
    quiet: QuietOption = False,
) -> None:
    """Evolve a genome towards a target and write the lineage to a file."""
    with clear_errors():
        import torch

        from genomic_code.inference.archive import netcdf_path
        from genomic_code.inference.evolve import evolve as evolve_genome
        from genomic_code.inference.niche import Niche
        from genomic_code.inference.results import check_writable, made

        torch.set_num_threads(1)
        optimum = numbers_in("--target", target)
        path = netcdf_path(out)
        check_writable(path.parent)
        lineage = evolve_genome(
            chosen(formalization, settings), Niche(torch.tensor([optimum]), width),
            population_size, generations, seed, loci=loci, progress=not quiet,
        )  # fmt: skip
        made(path.parent)
        lineage.save(path)
        typer.echo(f"{lineage!r}\n")
        columns = ["expected_log_fitness", "free_fitness", "information"]
        rows = lineage.dataset[columns].to_dataframe()
        step = max(1, len(rows) // 10)
        typer.echo(rows.iloc[[*range(0, len(rows) - 1, step), -1]].to_string(float_format="%.3f"))
        typer.echo(f"\nfitness in nats, information in bits; lineage in {path}")
