"""`genomic-code fit` and `genomic-code evolvability`: one posterior, and what it says."""

from pathlib import Path
from typing import Annotated

import typer

from genomic_code.inference.cli.shared import (
    CohortArgument,
    Columns,
    EnvironmentOption,
    FormalizationArgument,
    GroupsOption,
    IndividualOption,
    MissingOption,
    NoiseOption,
    PruneOption,
    QuietOption,
    SetOption,
    TraitsOption,
    TransformOption,
    chosen,
    clear_errors,
    load,
    to_json,
)

__all__ = ["evolvability", "fit"]


def fit(
    formalization: FormalizationArgument,
    cohort: CohortArgument = None,
    settings: SetOption = None,
    restarts: Annotated[
        int, typer.Option(help="Random starts; the one with the best ELBO goes on.")
    ] = 10,
    noise: NoiseOption = "normal",
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.")] = 0,
    out: Annotated[Path, typer.Option(help="File to write; `genomic_code.load` reads it.")] = Path(
        "fit.nc"
    ),
    traits: TraitsOption = None,
    environment: EnvironmentOption = None,
    individual: IndividualOption = None,
    groups: GroupsOption = None,
    missing: MissingOption = "refuse",
    transform: TransformOption = None,
    prune: PruneOption = None,
    quiet: QuietOption = False,
) -> None:
    """Fit one formalization to a cohort and write the posterior to a file."""
    with clear_errors():
        import torch

        from genomic_code.inference.archive import netcdf_path
        from genomic_code.inference.fit import Settings
        from genomic_code.inference.fit import fit as fit_cohort
        from genomic_code.inference.results import check_writable, made

        torch.set_num_threads(1)
        model = chosen(formalization, settings, noise)
        options = Settings(restarts=restarts)
        target = netcdf_path(out)
        check_writable(target.parent)
        data = load(
            cohort, Columns(traits, environment, individual, groups, missing), transform, prune
        )
        typer.echo(repr(data))
        fitted = fit_cohort(model, data, seed=seed, settings=options, progress=not quiet)
        made(target.parent)
        fitted.save(target)
        typer.echo(f"{fitted!r}\nfit in {target}")


def evolvability(
    fit: Annotated[Path, typer.Argument(help="A file that `genomic-code fit` wrote.")],
    draws: Annotated[int, typer.Option(help="Posterior draws, at least 2.")] = 200,
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="netCDF file for all draws, matrices included.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Evolvability, robustness and architecture of a fit: medians with 90 % intervals."""
    with clear_errors():
        import torch

        from genomic_code.inference.archive import load_fit, netcdf_path
        from genomic_code.inference.evolvability import evolvability as measure
        from genomic_code.inference.results import check_writable, made
        from genomic_code.spec.readers.netcdf import write_tree

        torch.set_num_threads(1)
        if out is not None:
            check_writable(netcdf_path(out).parent)
        fitted = load_fit(fit)
        tree = measure(fitted, draws=draws, seed=seed, progress=not quiet)
        metrics = tree["metrics"].to_dataset().quantile([0.05, 0.5, 0.95], "draw", skipna=True)
        rows = {str(name): metrics[name].values.tolist() for name in metrics}
        if as_json:
            keys = ("5%", "50%", "95%")
            typer.echo(to_json({n: dict(zip(keys, v, strict=True)) for n, v in rows.items()}))
        else:
            typer.echo(f"{fitted!r}\nin {tree.attrs['units']}: median (5 % to 95 %)\n")
            for name, (low, middle, high) in rows.items():
                typer.echo(f"{name:26} {middle:10.4g}   ({low:.4g} to {high:.4g})")
            if tree.attrs.get("warning"):
                typer.echo(f"\nwarning: {tree.attrs['warning']}")
        if out is not None:
            made(netcdf_path(out).parent)
            write_tree(tree, netcdf_path(out))
            if not as_json:
                typer.echo(f"draws in {netcdf_path(out)}")
