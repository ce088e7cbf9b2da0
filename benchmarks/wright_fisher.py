"""Speed of the individual-based simulator: 10,000 haploid genomes of 1,000 loci under selection.

    python benchmarks/wright_fisher.py [generations]

Prints CPU seconds for 1,000 generations (scaled up from fewer), asexual, linked and free.
"""

import sys
import time

import torch

from genomic_code.inference.dynamics import WrightFisher
from genomic_code.inference.genome import AlleleGenome
from genomic_code.inference.niche import Niche
from genomic_code.spec import Generative, Polygenic
from genomic_code.spec.protocols import Shape

torch.set_num_threads(1)
generations = int(sys.argv[1]) if len(sys.argv) > 1 else 50
print("| development | recombination | CPU s per 1,000 generations |\n|---|---|---|")
for model in (Polygenic(), Generative()):
    torch.manual_seed(0)
    genome = AlleleGenome(model, model.weights(Shape(100, 1000, 0, 4)), 1000)
    niche = Niche(torch.full((4,), 1.0))
    for recombination in (0.0, 0.001, 0.5):
        rule = WrightFisher(genome, 10_000, 1e-5, recombination)
        state = rule.step(rule.start(seed=1), niche)
        start = time.process_time()
        for _ in range(generations):
            state = rule.step(state, niche)
        spent = (time.process_time() - start) * 1000 / generations
        print(f"| {model.name} | {recombination} | {spent:.1f} |", flush=True)
