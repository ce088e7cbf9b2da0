"""The hypothesis on trial: which formalization do real data support, and does another seed agree?

    GENOMIC_CODE_DATA=mirror python benchmarks/trial.py --out trial.csv

Protocol, fixed before fitting: Student-t noise, as real traits have outliers; amounts of
metabolites (`multitrait`) in logarithms, so too inclusion of an exon (`smn1`) where there is any (a
sixth is 0), other traits as measured; five folds, of whole groups where the data set names them
(genotypes, lineages), else of individuals; every seed draws the folds and the starts anew, and of a
data set with more than `--most` individuals as many at random, with the loci that vary among them,
of more than `--loci` loci as many, evenly spaced; direct effects have their joint posterior,
whatever it costs; the verdict is that of `compare`. One row is written for each data set and seed
as soon as it is done, and every fit in a folder beside it (`trial.partial`): a run goes on where it
was stopped, and one with more rivals fits only those.
`margin` is how far the best is ahead of the next formalization, in nats of held-out density; `fits`
says whether the winner passes the absolute checks (held-out coverage, signatures of genetic
architecture); `seconds` is the CPU time of the run that made the row.

A variational fit prunes the layers of `regulatory` (see its card), so that a row of the table would
not be its own: `--network regulatory` asks an ensemble of networks instead, on the same folds, and
`network_margin` is how far that is ahead of the best row.

The logarithm was not in the first protocol: with amounts as measured, which `--transform
as_measured` still gives, `generative` won and no rival passed the checks. Nor were `hotspot` and
`program` among the first rivals: they came when the crosses and the splice sites had been seen. For
`smn1` normal scores were written here before, which its known errors, in percent, cannot follow; no
fit had been made.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from finished import Finished

from genomic_code.inference import Comparison, NetworkEnsemble, Settings, compare
from genomic_code.inference.calibration import coverage
from genomic_code.inference.cli.shared import chosen, names_in
from genomic_code.inference.table import r_squared
from genomic_code.spec import Cohort, datasets
from genomic_code.spec.protocols import Formalization

SETS = "multitrait,kinsler2020,haber2016,mallard_mutation"
AS_MEASURED = "as_measured"
RIVALS = "null,factor,blueprint,hotspot,polygenic,program,generative"
LOCI = 2000
NONE = "none"
TRANSFORMS = {"multitrait": "log", "smn1": "quantified,log"}
"""Scale of the traits, where it is not the one measured."""


def prepared(
    name: str, transform: str = "", most: int | None = None, seed: int = 0, loci: int = LOCI
) -> Cohort:
    """A data set on the scale of the protocol, or on another; at most so many individuals and loci.

    Individuals are drawn, loci are evenly spaced.
    """
    cohort = datasets.load(name)
    every = -(-cohort.shape.loci // loci)
    if every > 1:
        cohort = Cohort.from_dataset(cohort.dataset.isel(locus=slice(None, None, every)), name)
    if most is not None and len(cohort) > most:
        some = np.random.default_rng(seed).choice(len(cohort), most, replace=False)
        cohort = cohort.select(np.sort(some), drop_constant=True)
    transform = transform or TRANSFORMS.get(name, AS_MEASURED)
    return cohort if transform == AS_MEASURED else cohort.transform(transform)


def trial(
    cohort: Cohort, rivals: str, network: str, seed: int, noise: str, repeats: int, partial: Path
) -> dict[str, object]:
    """The verdict on one data set under one seed; fits are kept in a folder."""
    models = [chosen(rival, noise=noise) for rival in names_in(rivals)]
    started = time.process_time()
    result = compare(
        models, cohort, repeats=repeats, seed=seed, settings=Settings(guide="collapsed"),
        progress=False, partial=partial,
    )  # fmt: skip
    frame = result.frame.drop(index="ridge", errors="ignore")  # which is of continuous traits
    best, second = frame.index[:2]
    margin, error = result.ahead(best, second)
    beyond = beside(result, best, chosen(network, noise=noise), seed) if network != NONE else {}
    return {
        "data": cohort.name,
        "seed": seed,
        "transform": cohort.dataset.attrs.get("transform", AS_MEASURED).replace("; ", ","),
        "noise": noise,
        "repeats": repeats,
        "rivals": rivals,
        "network": network,
        "individuals": len(cohort),
        "loci": cohort.shape.loci,
        "whole": "individuals" if result.units is None else "groups",
        "winner": result.winner,
        "alone": result.decisive,
        "best": best,
        "second": second,
        "margin": margin,
        "margin_se": error,
        "fits": not result.absolute[result.winner].reasons,
        "cover90": frame["cover90"][result.winner],
        "r2": frame["r2"][result.winner],
        "ridge_r2": result.frame["r2"].get("ridge", np.nan),
        **beyond,
        "seconds": round(time.process_time() - started),
        "verdict": result.verdict,
    }


def beside(result: Comparison, best: str, network: Formalization, seed: int) -> dict[str, object]:
    """What an ensemble of networks predicts of the same individuals, against the best row."""
    ensemble = NetworkEnsemble(network)
    found = ensemble.predict(result.cohort, result.training, seed=seed, progress=False)
    margin, error = result.ahead(found, best)
    return {
        "network_margin": margin,
        "network_se": error,
        "network_r2": r_squared(result.cohort.phenotype.values, found["mean"].values),
        "network_cover90": coverage(found["quantile"].values)[0],
    }


def main(
    names: Annotated[str, typer.Option("--data", help="Data sets, with commas.")] = SETS,
    rivals: Annotated[str, typer.Option(help="Formalizations, with commas.")] = RIVALS,
    network: Annotated[
        str, typer.Option(help="A formalization that is asked as an ensemble of networks too.")
    ] = NONE,
    seeds: Annotated[str, typer.Option(help="Seeds of folds and starts, with commas.")] = "0,1,2",
    most: Annotated[int, typer.Option(help="Individuals that are taken at most.")] = 3000,
    loci: Annotated[int, typer.Option(help="Loci that are taken at most, evenly spaced.")] = LOCI,
    transform: Annotated[
        str, typer.Option(help="as_measured, or as in the shell; by default the protocol's.")
    ] = "",
    noise: Annotated[str, typer.Option(help="Measurement model of all rivals.")] = "student_t",
    repeats: Annotated[int, typer.Option(help="Draws of the folds under each seed.")] = 1,
    out: Annotated[Path, typer.Option(help="CSV of what is done.")] = Path("trial.csv"),
) -> None:
    """Print a line for each data set and seed, and the verdicts in words."""
    torch.set_num_threads(1)
    if network != NONE and repeats > 1:
        raise typer.BadParameter(f"must be 1 with --network, got {repeats}", param_hint="--repeats")
    keys = ["data", "seed", "transform", "noise", "repeats", "rivals", "network"]
    keys += ["individuals", "loci"]
    records = Finished(out, keys)
    for name in names.split(","):
        for seed in map(int, seeds.split(",")):
            scale = transform or TRANSFORMS.get(name, AS_MEASURED)
            cohort = prepared(name, scale, most, seed, loci)
            asked = (name, seed, scale, noise, repeats, rivals, network)
            key = (*asked, len(cohort), cohort.shape.loci)
            if key in records.done:
                continue
            row = trial(cohort, rivals, network, seed, noise, repeats, out.with_suffix(".partial"))
            print(f"{name}, seed {seed}: {row['verdict']}", flush=True)
            records.add(row)
    print(records.rows.drop(columns="verdict").to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    typer.run(main)
