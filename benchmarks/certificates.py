"""What a verdict of `trial.py` is worth: would the truth be found, on these genotypes?

    GENOMIC_CODE_DATA=mirror python benchmarks/certificates.py --data kinsler2020 --replicates 2

Cohorts are simulated from every rival on the genotypes, groups, missing cells, known errors and
heritability of a data set as `trial.py` prepares it, under the same noise, and compared as there.
With `--most` below its number of individuals the certificate is of fewer than the verdict had, and
so rather too modest. Each simulated cohort is kept as it is done, so that a run goes on where it
was stopped.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from trial import LOCI, RIVALS, prepared

from genomic_code.inference import Settings, certify
from genomic_code.inference.cli.shared import chosen, names_in
from genomic_code.inference.compare import MODES


def main(
    names: Annotated[str, typer.Option("--data", help="Data sets, with commas.")] = "kinsler2020",
    rivals: Annotated[str, typer.Option(help="Each is in turn the truth.")] = RIVALS,
    replicates: Annotated[int, typer.Option(help="Simulated cohorts of each truth.")] = 2,
    first_seed: Annotated[int, typer.Option(help="Seed of the first replicate.")] = 900,
    most: Annotated[int, typer.Option(help="Individuals that are taken at most.")] = 3000,
    loci: Annotated[int, typer.Option(help="Loci that are taken at most, evenly spaced.")] = LOCI,
    noise: Annotated[str, typer.Option(help="Measurement model of all rivals.")] = "student_t",
    optima: Annotated[int, typer.Option(help="Optima that predict together.")] = MODES,
    out: Annotated[Path, typer.Option(help="Folder of what is done.")] = Path("certificates"),
) -> None:
    """Print the confusion matrix of each data set, and what it says in words."""
    torch.set_num_threads(1)
    settings = Settings(guide="collapsed", modes=optima)
    for name in names.split(","):
        certificate = certify(
            prepared(name, "", most, 0, loci),
            [chosen(rival, noise=noise) for rival in names_in(rivals)],
            replicates=replicates,
            sizes=[1.0],
            seed=first_seed,
            settings=settings,
            out=out / name,
            progress=False,
        )
        print(f"\n{name}\n{certificate.confusion.to_string(float_format='%.2f')}")
        print(certificate.sentence, flush=True)


if __name__ == "__main__":
    typer.run(main)
