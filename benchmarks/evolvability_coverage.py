"""Coverage of evolvability: fits to simulated cohorts whose map is known.

    python benchmarks/evolvability_coverage.py --formalization generative --cohorts 40 --out FILE

With `--out` every cohort is appended to a CSV as it finishes, and those already there are not
fitted again: a run that was stopped goes on. `--cohorts 0` prints the table of what is there.

Truths are drawn from the formalization's own prior, so the posterior is meant to cover. For the
draws of the guide and for Hamiltonian chains it prints, metric by metric, the mean truth and
posterior, the share of 90 % intervals that hold the truth, the same after calibration by the errors
of other cohorts (those of the other half), and mean and standard deviation of the errors in
posterior standard deviations (0 and 1 where the posterior is honest).
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from genomic_code.inference.evolvability import evolvability
from genomic_code.inference.fit import fit
from genomic_code.inference.functionals.map import Map
from genomic_code.inference.functionals.mutations import allele_step
from genomic_code.inference.functionals.summary import evolvability_of_map
from genomic_code.inference.posterior import Fit
from genomic_code.spec import Cohort, simulate

HEADLINES = ["tr_G", "tr_M", "e", "r", "additive_share", "D_eff", "robustness"]


def true_map(cohort: Cohort, found: Fit) -> Map:
    """The map that `simulate` made the cohort with, in the standard units of a fit."""
    model, scaler = found.formalization, found.scaler
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(cohort.dataset.attrs["seed"])
        weights = {name: value[None] for name, value in model.weights(found.shape).items()}
    scale = torch.tensor(cohort.dataset["truth_scale"].values)
    if "environment_effect" in weights:
        weights["environment_effect"] = weights["environment_effect"] / scale
    data = scaler.data(cohort)
    unit = scale / scaler.phenotype[1]
    truth = Map(model, weights, data.genotype, data.environment, None, unit)
    genetic = truth.traits()[0] * scaler.phenotype[1]
    difference = genetic - genetic.mean(0) - torch.tensor(cohort.dataset["truth"].values)
    if difference.abs().max() > 1e-3:
        raise RuntimeError("the simulated map was not recovered")
    return truth


def one(
    formalization: str, seed: int, sizes: dict[str, int], draws: int
) -> list[dict[str, object]]:
    cohort = simulate(formalization, seed=seed, **sizes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fit(formalization, cohort, seed=seed, progress=False)
    truth = true_map(cohort, found)
    exact = evolvability_of_map(truth, allele_step(truth.genotype, found.scaler.genotype[1]))
    rows = []
    for trajectories in (0, 40):
        tree = evolvability(found, draws=draws, trajectories=trajectories, progress=False)
        for name, values in tree["metrics"].data_vars.items():
            if name not in exact["metrics"]:
                continue
            low, high = np.quantile(values, [0.05, 0.95])
            rows.append(
                {
                    "draws": "chains" if trajectories else "guide",
                    "metric": name,
                    "seed": seed,
                    "truth": float(exact["metrics"][name][0]),
                    "mean": float(values.mean()),
                    "sd": float(values.std(ddof=1)),
                    "low": low,
                    "high": high,
                }
            )
    return rows


def table(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy()
    frame["covered"] = (frame["low"] <= frame["truth"]) & (frame["truth"] <= frame["high"])
    frame["z"] = (frame["truth"] - frame["mean"]) / frame["sd"].clip(lower=1e-12)
    groups = frame.groupby(["metric", "draws"], sort=False)
    found = groups.agg(
        truth=("truth", "mean"), posterior=("mean", "mean"), coverage=("covered", "mean"),
        z_mean=("z", "mean"), z_sd=("z", "std"), cohorts=("z", "size"),
    )  # fmt: skip
    found.insert(3, "calibrated", groups.apply(calibrated, include_groups=False))
    order = HEADLINES + [name for name in frame["metric"].unique() if name not in HEADLINES]
    return found.loc[[name for name in order if name in found.index]]


def calibrated(errors: pd.DataFrame) -> float:
    """Coverage once shifted and stretched by the errors of the other half of the cohorts."""
    z = errors.sort_values("seed")["z"].to_numpy()
    halves = z[: len(z) // 2], z[len(z) // 2 :]
    if len(halves[0]) < 4:
        return float("nan")
    inside = [
        np.abs(two - one.mean()) <= 1.645 * one.std(ddof=1) * np.sqrt(1 + 1 / len(one))
        for one, two in (halves, halves[::-1])
    ]
    return float(np.concatenate(inside).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formalization", default="generative")
    parser.add_argument("--cohorts", type=int, default=40)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--individuals", type=int, default=300)
    parser.add_argument("--loci", type=int, default=50)
    parser.add_argument("--traits", type=int, default=6)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--out", type=Path, help="CSV that cohorts are appended to as they finish")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = {name: getattr(options, name) for name in ("individuals", "loci", "traits")}
    seeds = set(range(options.first, options.first + options.cohorts))
    kept: list[pd.DataFrame] = []
    if options.out and options.out.exists():
        kept.append(pd.read_csv(options.out))
        seeds -= set(kept[0]["seed"])
    for seed in sorted(seeds):
        start = time.process_time()
        new = pd.DataFrame(one(options.formalization, seed, sizes, options.draws))
        kept.append(new)
        if options.out:
            new.to_csv(options.out, mode="a", header=not options.out.exists(), index=False)
        print(f"seed {seed}: {time.process_time() - start:.0f} CPU-s", flush=True)
    print(table(pd.concat(kept)).to_string(float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
