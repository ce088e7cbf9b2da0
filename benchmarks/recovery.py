"""Is the true formalization recovered? Simulate from each, compare all, print the confusion table.

    python benchmarks/recovery.py --formalizations null,factor,blueprint,polygenic,generative

Counts are verdicts by truth; the interval is Clopper-Pearson at 95 %.
"""

import time
from typing import Annotated

import pandas as pd
import typer
from joblib import Parallel, delayed
from scipy.stats import binomtest

DEFAULT = "null,factor,blueprint,polygenic,generative"


def verdict(truth: str, names: list[str], seed: int, sizes: dict[str, float]) -> tuple[str, str]:
    """Winner and sentence for one simulated cohort."""
    import torch

    from genomic_code.inference import compare
    from genomic_code.spec import simulate

    torch.set_num_threads(1)
    cohort = simulate(truth, seed=seed, **sizes)  # type: ignore[arg-type]
    result = compare(names, cohort, seed=seed, progress=False)
    return result.winner, result.verdict


def main(
    formalizations: Annotated[str, typer.Option(help="Names, separated by commas.")] = DEFAULT,
    replicates: Annotated[int, typer.Option(help="Cohorts of each truth.")] = 3,
    first_seed: Annotated[int, typer.Option(help="Seed of the first replicate.")] = 1000,
    individuals: Annotated[int, typer.Option(help="N")] = 500,
    loci: Annotated[int, typer.Option(help="L")] = 100,
    traits: Annotated[int, typer.Option(help="T")] = 12,
    heritability: Annotated[float, typer.Option(help="Share of the variance.")] = 0.6,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Print the confusion table."""
    names = formalizations.split(",")
    sizes = {"individuals": individuals, "loci": loci, "traits": traits,
             "heritability": heritability}  # fmt: skip
    work = [(truth, first_seed + r) for truth in names for r in range(replicates)]
    started = time.time()
    results = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(verdict)(truth, names, seed, sizes) for truth, seed in work
    )
    table = pd.DataFrame(0, index=pd.Index(names, name="truth"), columns=names)
    for (truth, seed), (winner, sentence) in zip(work, results, strict=True):
        table.loc[truth, winner] += 1
        print(f"{truth} {seed}: {sentence}", flush=True)
    right = int(sum(table.loc[name, name] for name in names))
    interval = binomtest(right, len(work)).proportion_ci()
    print(f"\n{table}\n")
    print(
        f"{right} of {len(work)} recovered ({interval.low:.2f} to {interval.high:.2f}); {sizes}; "
        f"{time.time() - started:.0f} s"
    )


if __name__ == "__main__":
    typer.run(main)
