"""Generalisation to unseen targets of a modular family, over fresh seeds.

    python benchmarks/generalisation.py --first 7001          # six seeds, about five minutes
    python benchmarks/generalisation.py --seeds 3 --split random --figure generalisation.png

Seeds from 0 on were used while the experiment was built; report others.
"""

import argparse
import time

import matplotlib as mpl
import torch

from genomic_code.inference.experiments import Generalisation, generalisation

COLUMNS = {
    "half_time": ("half-time", ".1f"),
    "fitness_half_time": ("half-time of log fitness", ".1f"),
    "evolvability": ("e_M / mean", ".2f"),
    "distance": ("final squared distance", ".3f"),
    "canalisation": ("canalisation", ".2f"),
}


def report(result: Generalisation) -> None:
    """Print the table of all measures, and how much slower than `generative` the others are."""
    print(f"| organism | arm | {' | '.join(title for title, _ in COLUMNS.values())} |")
    print("|---" * (2 + len(COLUMNS)) + "|")
    for (organism, arm), row in result.frame.iterrows():
        cells = [f"{row[k]:{form}} ({row[f'{k}_sd']:{form}})" for k, (_, form) in COLUMNS.items()]
        print(f"| {organism} | {arm} | {' | '.join(cells)} |")
    print("\nTimes slower than `generative` (mean, sd over paired seeds):\n")
    print("| organism | arm | to half the distance | to half the lost log fitness |")
    print("|---|---|---|---|")
    for organism, arm in result.responses:
        if organism != "generative":
            distance = result.speed("generative", organism, arm)
            fitness = result.speed("generative", organism, arm, "fitness_half_time")
            cells = [f"{mean:.2f} ({sd:.2f})" for mean, sd in (distance, fitness)]
            print(f"| {organism} | {arm} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=6, help="number of seeds")
    parser.add_argument("--split", choices=["balanced", "random"], default="balanced")
    parser.add_argument("--figure", help="file to draw the responses to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    seeds = range(options.first, options.first + options.seeds)
    result = generalisation(seeds=seeds, split=options.split)
    print(f"seeds {list(seeds)}, {options.split} split; mean (sd over seeds)\n")
    report(result)
    if options.figure:
        mpl.use("Agg")
        result.plot()[0].figure.savefig(options.figure, dpi=200)
    print(f"\n{time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
