"""How time and memory grow with individuals and loci, from genotypes on disk.

    python benchmarks/scale.py                          # slopes in N and L
    python benchmarks/scale.py --individuals 100000 --loci 10000 --steps 300

Genotypes are random, in a PLINK .bed file of N L / 4 bytes in a temporary folder. The floor is what
cannot be saved: reading each block into standard units and the four matrix products of a step (two
draws, forward and backward). Times are CPU seconds in one thread.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from genomic_code.inference.blocks import moments, open_blocks
from genomic_code.inference.stream import fit_stream, standard

BATCH = 1024


def simulate_bed(stem: Path, individuals: int, loci: int, seed: int = 0) -> Path:
    """A PLINK fileset of independent loci without missing genotypes."""
    codes = np.array([0, 2, 2, 3], np.uint8)
    rng = np.random.default_rng(seed)
    path = stem.with_suffix(".bed")
    with path.open("wb") as file:
        file.write(b"\x6c\x1b\x01")
        for _ in range(0, loci, 100):
            count = min(100, loci)
            quads = codes[rng.integers(0, 4, (count, -(-individuals // 4), 4), np.uint8)]
            file.write((quads << np.array([0, 2, 4, 6], np.uint8)).sum(-1, dtype=np.uint8))
        file.truncate(3 + loci * -(-individuals // 4))
    stem.with_suffix(".fam").write_text("".join(f"f i{i} 0 0 0 -9\n" for i in range(individuals)))
    stem.with_suffix(".bim").write_text("".join(f"1 s{j} 0 {j} A C\n" for j in range(loci)))
    return path


def simulate_traits(path: Path, traits: int, causal: int = 100, seed: int = 0) -> np.ndarray:
    """Traits of heritability one half, from some of the loci."""
    blocks = open_blocks(path)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(blocks.loci, min(causal, blocks.loci), replace=False)
    effects = rng.normal(size=(len(chosen), traits)) / np.sqrt(0.5 * len(chosen))
    starts = range(0, blocks.individuals, BATCH)
    genetic = np.concatenate(
        [blocks.read(i, min(i + BATCH, blocks.individuals))[:, chosen] @ effects for i in starts]
    )
    return genetic + rng.normal(size=genetic.shape)


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of a piece of work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def floor(path: Path, traits: int, steps: int) -> float:
    """CPU seconds a step of reading, standardising and the matrix products alone."""
    blocks = open_blocks(path)
    size = min(BATCH, blocks.individuals)
    scales = moments(blocks, torch.zeros(blocks.individuals, traits), size)
    weights = torch.randn(2 * traits, blocks.loci)
    count = blocks.individuals // size

    def products() -> None:
        for i in range(steps):
            x = standard(blocks.read(i % count * size, (i % count + 1) * size), scales)
            (weights @ x.mT) @ x

    return cpu(products) / steps


def measure(
    folder: Path, model: str, individuals: int, loci: int, traits: int, steps: int
) -> tuple[float, float, float, float]:
    """CPU seconds of a step, its floor, an epoch (all individuals once), and all besides steps."""
    path = simulate_bed(folder / f"n{individuals}_l{loci}", individuals, loci)
    y = simulate_traits(path, traits)

    began = time.process_time()
    found = fit_stream(model, path, y, batch=BATCH, steps=steps, elbo_draws=2, progress=False)
    total = time.process_time() - began
    before = floor(path, traits, max(2, steps // 4))
    again = floor(path, traits, max(2, steps // 4))
    epoch = found.seconds * individuals / min(BATCH, individuals)
    return found.seconds, 0.5 * (before + again), epoch, total - steps * found.seconds


def slope(sizes: list[int], times: list[float]) -> tuple[float, float]:
    """Exponent of a power law and its standard error, by least squares in logarithms."""
    x, y = np.log(sizes), np.log(times)
    centred = x - x.mean()
    exponent = float(centred @ y / (centred @ centred))
    residual = y - y.mean() - exponent * centred
    return exponent, float(np.sqrt(residual @ residual / (len(x) - 2) / (centred @ centred)))


def main(
    individuals: Annotated[int, typer.Option(help="One size only; 0 for the slopes.")] = 0,
    loci: Annotated[int, typer.Option(help="One size only.")] = 1000,
    traits: Annotated[int, typer.Option(help="Number of traits.")] = 20,
    model: Annotated[str, typer.Option(help="Formalization.")] = "polygenic",
    steps: Annotated[int, typer.Option(help="Steps to time.")] = 40,
) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        typer.echo("| N | L | T | ms a step | floor, ms | x floor | s an epoch | s besides |")
        typer.echo("|---|---|---|---|---|---|---|---|")

        def row(n: int, loci: int) -> float:
            step, least, epoch, besides = measure(folder, model, n, loci, traits, steps)
            typer.echo(
                f"| {n} | {loci} | {traits} | {1e3 * step:.1f} | {1e3 * least:.1f} | "
                f"{step / least:.2f} | {epoch:.2f} | {besides:.1f} |"
            )
            return epoch

        if individuals:
            row(individuals, loci)
        else:
            people, markers = [1000, 4000, 16_000, 100_000], [100, 1000, 10_000]
            exponent, error = slope(people, [row(n, 1000) for n in people])
            typer.echo(f"time of an epoch ~ N^({exponent:.2f} +- {error:.2f}) at L = 1000")
            exponent, error = slope(markers, [row(8192, many) for many in markers])
            typer.echo(f"time of an epoch ~ L^({exponent:.2f} +- {error:.2f}) at N = 8192")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    typer.echo(f"peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    typer.run(main)
