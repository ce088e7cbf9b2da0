"""Is the true formalization recovered? Simulate from each, compare all, print the confusion table.

    python benchmarks/recovery.py --individuals 200 --replicates 6 --out recovery.csv

One row is written for each simulated cohort as soon as it is done, so that a run goes on where it
was stopped. Intervals are Wilson's at 95 %. A wrong verdict counts as misleading where the winner
alone was within 2 standard errors of the best, that is, where it was not "indistinguishable".
"""

import json
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from finished import Finished
from joblib import Parallel, delayed

LINEAR = "null,factor,blueprint,polygenic,epistatic"
DEFAULT = f"{LINEAR},program,generative,disentangled,attractor,conditional"


def verdict(truth: str, names: list[str], seed: int, sizes: dict[str, float]) -> dict[str, object]:
    """What a comparison makes of one simulated cohort."""
    import torch

    from genomic_code.inference import compare
    from genomic_code.spec import simulate

    torch.set_num_threads(1)
    started = time.process_time()
    cohort = simulate(truth, seed=seed, **sizes)  # type: ignore[arg-type]
    result = compare(names, cohort, seed=seed, progress=False)
    frame = result.frame
    return {
        "truth": truth,
        "seed": seed,
        "individuals": len(cohort),
        "winner": result.winner,
        "decisive": result.decisive,
        "best": frame.index[0],
        "close": " ".join(result.close),
        "unfit": " ".join(name for name, found in result.absolute.items() if not found.fits),
        "fits": not result.absolute[result.winner].reasons,
        "cover50": frame["cover50"].get(truth, np.nan),
        "cover90": frame["cover90"].get(truth, np.nan),
        "corrected90": result.honest_level(truth)[1] if truth in result.fits else np.nan,
        "unconverged": int(frame["warning"].str.contains("not converged").sum()),
        "seconds": round(time.process_time() - started),
        "elpd": json.dumps(frame["elpd"].round(2).to_dict()),
        "verdict": result.verdict,
    }


def report(records: pd.DataFrame, names: list[str]) -> None:
    """Confusion table, misleading verdicts and coverage."""
    from genomic_code.inference.certificate import confusion, interval

    right = int((records["truth"] == records["winner"]).sum())
    wrong = records[(records["truth"] != records["winner"]) & records["decisive"]]
    misfit = int((~records["fits"]).sum())
    print(f"\n{confusion(records, names).to_string(float_format='{:.2f}'.format)}\n")
    total = len(records)
    for what, count in {
        "recovered": right,
        "wrong and not called indistinguishable": len(wrong),
        "told that none fits though one was true": misfit,
    }.items():
        low, high = interval(count, total)
        print(f"{what}: {count} of {total} ({count / total:.0%}, {low:.0%} to {high:.0%})")
    grouped = records.groupby("truth")
    table = grouped[["cover50", "cover90", "corrected90", "seconds"]].mean()
    table = table.join(grouped["cover90"].agg(["std", "min", "max", "count"]))
    print(f"\nHeld-out coverage of the true formalization, CPU seconds a comparison:\n{table}")


def main(
    formalizations: Annotated[str, typer.Option(help="Names, separated by commas.")] = DEFAULT,
    truths: Annotated[str, typer.Option(help="Those simulated; by default all but null.")] = "",
    replicates: Annotated[int, typer.Option(help="Cohorts of each truth.")] = 6,
    first_seed: Annotated[int, typer.Option(help="Seed of the first replicate.")] = 1000,
    individuals: Annotated[int, typer.Option(help="N")] = 500,
    loci: Annotated[int, typer.Option(help="L")] = 100,
    traits: Annotated[int, typer.Option(help="T")] = 12,
    heritability: Annotated[float, typer.Option(help="Share of the variance.")] = 0.6,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
    out: Annotated[Path, typer.Option(help="CSV of finished cohorts.")] = Path("recovery.csv"),
) -> None:
    """Print the confusion table."""
    names = formalizations.split(",")
    chosen = truths.split(",") if truths else [name for name in names if name != "null"]
    sizes = {"individuals": individuals, "loci": loci, "traits": traits,
             "heritability": heritability}  # fmt: skip
    records = Finished(out, ["truth", "seed", "individuals"])
    work = [
        (truth, first_seed + r)
        for r in range(replicates)
        for truth in chosen
        if (truth, first_seed + r, individuals) not in records.done
    ]
    results = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(verdict)(truth, names, seed, sizes) for truth, seed in work
    )
    for row in results:
        records.add(row)
        print(f"{row['truth']} {row['seed']} ({row['seconds']} s): {row['verdict']}", flush=True)
    report(records.rows[records.rows["individuals"] == individuals], names)


if __name__ == "__main__":
    typer.run(main)
