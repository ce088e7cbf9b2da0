"""What does the verdict say when no formalization is quite true?

    python benchmarks/misspecified.py --replicates 3 --out misspecified.csv

Each case breaks one assumption of a formalization; the table shows what won, whether alone, whether
the absolute check said that nothing fits, and the coverage of the winner's 90 % intervals.

clean: nothing is broken. student: noise with 3 degrees of freedom. confounder: a hidden variable,
shared by all traits and unrelated to the genotype, makes up half of the noise. stratified: a hidden
variable that follows the first axis of the genotype. mixture: half of the traits follow the
formalization, half another. linkage: neighbouring loci correlate by 0.9 along the genome.
relatives: families of 10 full sibs. scale: traits are exp(Y), as of amounts, where effects
multiply; `--transform log` undoes it, and normal_scores need not know how. detection: such amounts,
of which half of the traits are not detected in 10 to 60 % of the individuals and recorded as the
limit of detection; `--transform quantified,log` and `--transform detected --noise bernoulli` are
the two parts.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from finished import Finished
from numpy.typing import NDArray

from genomic_code.spec import Cohort, simulate

Array = NDArray[np.float64]

CASES = (
    "clean", "student", "confounder", "stratified", "mixture", "linkage", "relatives", "scale",
    "detection",
)  # fmt: skip
OTHER = {"generative": "polygenic", "polygenic": "generative"}


def misspecified(case: str, truth: str, seed: int, sizes: dict[str, int]) -> Cohort:
    """A cohort in which one assumption of the truth is broken."""
    generator = np.random.default_rng(seed)
    n, traits = sizes["individuals"], sizes["traits"]
    options: dict[str, object] = {}
    if case == "linkage":
        options["linkage"] = 0.9
    if case == "relatives":
        options["genotype"] = families(n, sizes["loci"], generator)
    plain = simulate(truth, seed=seed, **sizes, **options)  # type: ignore[arg-type]
    y = plain.phenotype.values.astype(float)
    noise = 0.4
    genetic = plain.dataset["truth"].values.astype(float)
    if case == "student":
        tails = generator.standard_t(3, (n, traits)) / np.sqrt(3)
        y = genetic + np.sqrt(noise) * tails
    elif case in ("confounder", "stratified"):
        hidden = generator.standard_normal(n)
        if case == "stratified":
            x = plain.genotype.values - plain.genotype.values.mean(0)
            hidden = np.linalg.svd(x, full_matrices=False)[0][:, 0] * np.sqrt(n)
        loading = generator.choice([-1.0, 1.0], traits) * np.sqrt(noise / 2)
        own = generator.standard_normal((n, traits)) * np.sqrt(noise / 2)
        y = genetic + hidden[:, None] * loading + own
    elif case == "mixture":
        other = simulate(
            OTHER[truth], seed=seed, genotype=plain.genotype, environment=plain.environment,
            environments=0, individuals=n, loci=sizes["loci"], traits=traits,
        )  # fmt: skip
        y[:, traits // 2 :] = other.phenotype.values[:, traits // 2 :]
    elif case in ("scale", "detection"):
        y = np.exp(y)
        if case == "detection":
            some = y[:, ::2]
            share = generator.uniform(0.1, 0.6, some.shape[1])
            y[:, ::2] = np.maximum(some, np.diagonal(np.quantile(some, share, 0)))
    groups = np.repeat(np.arange(-(-n // 10)), 10)[:n] if case == "relatives" else None
    return Cohort(plain.genotype.values, y, environment=plain.environment, groups=groups, name=case)


def families(individuals: int, loci: int, generator: np.random.Generator) -> Array:
    """Allele counts of families of 10 full sibs, each of two unrelated parents."""
    share = generator.uniform(0.1, 0.5, loci)
    while True:
        parts = []
        for _ in range(-(-individuals // 10)):
            parents = generator.random((2, 2, loci)) < share
            picked = generator.integers(0, 2, (10, 2, loci))
            alleles = np.take_along_axis(parents[None], picked[:, :, None], 2)[:, :, 0]
            parts.append(alleles.sum(1))
        counts: Array = np.concatenate(parts)[:individuals].astype(float)
        if (np.ptp(counts, axis=0) > 0).all():
            return counts


def main(
    formalizations: Annotated[
        str, typer.Option(help="Names, separated by commas.")
    ] = "null,factor,blueprint,polygenic,epistatic,generative",
    truths: Annotated[str, typer.Option(help="Formalizations to break.")] = "generative,polygenic",
    cases: Annotated[str, typer.Option(help="Cases, separated by commas.")] = ",".join(CASES),
    replicates: Annotated[int, typer.Option(help="Cohorts of each case and truth.")] = 3,
    first_seed: Annotated[int, typer.Option(help="Seed of the first replicate.")] = 2000,
    individuals: Annotated[int, typer.Option(help="N")] = 300,
    loci: Annotated[int, typer.Option(help="L")] = 60,
    traits: Annotated[int, typer.Option(help="T")] = 8,
    noise: Annotated[
        str, typer.Option(help="Measurement model of all that are fitted.")
    ] = "normal",
    transform: Annotated[
        str, typer.Option(help="Scale of the traits: as_measured, or as in the shell.")
    ] = "as_measured",
    out: Annotated[Path, typer.Option(help="CSV of finished cohorts.")] = Path("misspecified.csv"),
) -> None:
    """Print the table."""
    import torch

    from genomic_code.inference import compare
    from genomic_code.inference.cli.shared import chosen, names_in

    torch.set_num_threads(1)
    models = [chosen(name, noise=noise) for name in names_in(formalizations)]
    sizes = {"individuals": individuals, "loci": loci, "traits": traits}
    records = Finished(out, ["case", "truth", "seed", "noise", "transform"])
    for seed in range(first_seed, first_seed + replicates):
        for truth in truths.split(","):
            for case in cases.split(","):
                if (case, truth, seed, noise, transform) in records.done:
                    continue
                started = time.process_time()
                cohort = misspecified(case, truth, seed, sizes)
                if transform != "as_measured":
                    cohort = cohort.transform(transform)
                result = compare(models, cohort, seed=seed, progress=False)
                winner = result.frame.loc[result.winner]
                row = {
                    "case": case, "truth": truth, "seed": seed, "noise": noise,
                    "transform": transform, "winner": result.winner,
                    "decisive": result.decisive, "right": result.winner == truth,
                    "none_fits": "none of these fits" in result.verdict,
                    "cover50": winner["cover50"], "cover90": winner["cover90"],
                    "verdict": result.verdict, "seconds": round(time.process_time() - started),
                }  # fmt: skip
                records.add(row)
                what = f"{case} {truth} {seed} {noise} {transform} ({row['seconds']} s)"
                print(f"{what}: {result.verdict}", flush=True)
    columns = ["right", "decisive", "none_fits", "cover50", "cover90"]
    cells = records.rows.groupby(["noise", "transform", "case", "truth"])
    table = cells[columns].mean()
    table["cohorts"] = cells.size()
    table["winners"] = cells["winner"].agg(", ".join)
    print(f"\n{table.to_string(float_format='{:.2f}'.format)}")


if __name__ == "__main__":
    typer.run(main)
