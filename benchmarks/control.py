"""A verdict's control: were a rival true and the noise as observed, what would the verdict be?

    GENOMIC_CODE_DATA=mirror python benchmarks/control.py --data multitrait --truths blueprint

Each truth is fitted to the data set. Its posterior mean is the new expected phenotype, to which the
residuals of whole individuals, shuffled among individuals, are added: outliers, and what traits
share beside the genotype, stay as they are, which no simulated noise has. All rivals are then
compared on that, under the noise and on the scale of `trial.py`. The mean is shrunk, so that signal
is rather weaker than in the data. One row is written for each truth and seed as soon as it is done.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from finished import Finished
from trial import prepared

from genomic_code.inference import compare, fit
from genomic_code.inference.cli.shared import chosen
from genomic_code.spec import Cohort


def shuffled(cohort: Cohort, truth: str, seed: int) -> Cohort:
    """The cohort as it would be if `truth` had made it, with its residuals moved about."""
    found = fit(chosen(truth, noise="student_t"), cohort, seed=seed, progress=False)
    expected = found.predict(draws=400)["mean"].values
    residual = cohort.phenotype.values - expected
    order = np.random.default_rng(seed).permutation(len(cohort))
    dataset = cohort.dataset.copy()
    table = (expected + residual[order]).astype(dataset["phenotype"].dtype)
    dataset["phenotype"] = (dataset["phenotype"].dims, table)
    return Cohort.from_dataset(dataset, f"{cohort.name} by {truth}")


def control(name: str, truth: str, rivals: list[str], seed: int) -> dict[str, object]:
    """The verdict on one shuffled data set."""
    cohort = shuffled(prepared(name), truth, seed)
    models = [chosen(rival, noise="student_t") for rival in rivals]
    result = compare(models, cohort, seed=seed, progress=False)
    return {
        "data": name,
        "truth": truth,
        "seed": seed,
        "winner": result.winner,
        "alone": result.decisive,
        "cover90": result.frame["cover90"][truth],
        "verdict": result.verdict,
    }


def main(
    names: Annotated[str, typer.Option("--data", help="Data sets, with commas.")] = "multitrait",
    truths: Annotated[str, typer.Option(help="In turn the truth.")] = "blueprint,generative",
    rivals: Annotated[str, typer.Option(help="What is compared.")] = "blueprint,generative",
    seeds: Annotated[str, typer.Option(help="Of fits, shuffling and folds.")] = "0,1",
    out: Annotated[Path, typer.Option(help="CSV of what is done.")] = Path("control.csv"),
) -> None:
    """Print the verdict on each shuffled data set."""
    torch.set_num_threads(1)
    records = Finished(out, ["data", "truth", "seed"])
    for name in names.split(","):
        for truth in truths.split(","):
            for seed in map(int, seeds.split(",")):
                if (name, truth, seed) in records.done:
                    continue
                row = control(name, truth, rivals.split(","), seed)
                print(f"{name} by {truth}, seed {seed}: {row['verdict']}", flush=True)
                records.add(row)
    print(records.rows.drop(columns="verdict").to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    typer.run(main)
