"""Generalisation to unseen targets of a modular family, over fresh seeds.

python benchmarks/generalisation.py                       # six seeds, about five minutes
python benchmarks/generalisation.py --first 10 --seeds 3 --split random
"""

import argparse
import time

import torch

from genomic_code.inference.experiments import generalisation

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--first", type=int, default=0, help="first seed")
parser.add_argument("--seeds", type=int, default=6, help="number of seeds")
parser.add_argument("--split", choices=["balanced", "random"], default="balanced")
options = parser.parse_args()
torch.set_num_threads(1)
start = time.process_time()
seeds = range(options.first, options.first + options.seeds)
result = generalisation(seeds=seeds, split=options.split)
print(f"seeds {list(seeds)}, {options.split} split; mean (sd over seeds)\n")
print("| organism | arm | half-time | e_M / mean | final squared distance | canalisation |")
print("|---|---|---|---|---|---|")
for (organism, arm), row in result.frame.iterrows():
    cells = [
        f"{row[name]:{form}} ({row[name + '_sd']:{form}})"
        for name, form in {
            "half_time": ".1f",
            "evolvability": ".2f",
            "distance": ".3f",
            "canalisation": ".2f",
        }.items()
    ]
    print(f"| {organism} | {arm} | {' | '.join(cells)} |")
print("\nHalf-time of the others over that of `generative` (mean, sd over paired seeds):\n")
for organism, arm in result.responses:
    if organism != "generative":
        print(f"- {organism}, {arm}: %.2f (%.2f)" % result.speed("generative", organism, arm))
print(f"\n{time.process_time() - start:.0f} CPU seconds")
