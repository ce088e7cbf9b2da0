"""Gap genes of the fly embryo as a cohort: maternal genotypes, and levels of genes at positions.

Petkova, Tkacik, Bialek, Wieschaus & Gregor 2019, doi:10.1016/j.cell.2019.01.007: dorsal profiles of
four gap genes in single embryos, on slides that hold mutants and their wild-type siblings.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.maternal import FACTORS

__all__ = ["GENES", "MUTANTS", "gap_gene_cohort"]

GENES = ("Hb", "Kr", "Gt", "Kni")
"""Hunchback, Kruppel, Giant, Knirps."""
WILD_TYPE = "wild_type"
PURE_SLIDE = "gap_data_raw_dorsal_wt.mat"
"""A slide of wild-type embryos alone; used where it is given."""
MUTANTS = {
    "osk": ("gap_data_raw_dorsal_wt_osk.mat", (1, 0, 1, 1)),
    "etsl": ("gap_data_raw_dorsal_wt_etsl.mat", (1, 1, 0, 1)),
    "bcdE1": ("gap_data_raw_dorsal_wt_bcdE1.mat", (0, 1, 1, 1)),
    "bcd_osk": ("gap_data_raw_dorsal_wt_bcd_osk.mat", (0, 0, 1, 1)),
    "bcd_tsl": ("gap_data_raw_dorsal_wt_bcd_tsl.mat", (0, 1, 0, 1)),
    "bcd_nos_tsl": ("gap_data_raw_dorsal_wt_bcd_nos_tsl.mat", (0, 0, 0, 1)),
    "bcd_only": ("gap_data_raw_dorsal_wt_bcd_only_germline_clones.mat", (1, 0, 0, 0)),
}
"""File and maternal factors of each mutant, as far as its file is among those given.

`bcd_only` is taken to lack maternal hunchback too, which is inferred from its profiles: posterior
knirps and giant are as in the wild type, without Nanos. Nanos acts by repressing maternal
hunchback, and embryos that lack both are normal (Irish, Lehmann & Akam 1989, doi:10.1038/338646a0).
"""
PIXELS = slice(100, 900)
"""Positions .1 to .9 of the embryo's length, of 1,000; the ends are not measured well."""


def gap_gene_cohort(
    files: Mapping[str, Path] | Path, positions: int = 80, without: tuple[str, ...] = ()
) -> Cohort:
    """Mean profiles of the wild type and of each maternal mutant.

    Args:
        files: Paths by file name, or the folder that holds the files.
        positions: Number of bins from .1 to .9 of the embryo's length; it must divide 800.
        without: Mutants to leave out.

    Returns:
        A cohort of genotypes (rows) in a common unit. Loci are the maternal factors (0 or 1), less
        those that no row lacks. Traits are called `Hb@0.105` and so on, gene after gene, with the
        coordinates `gene` and `position`; the phenotype is the level relative to the range of the
        wild type on the same slide (per gene, 0 its least and 1 its greatest mean level), the error
        its standard error over embryos, whose number is the coordinate `embryos`.

    Raises:
        ValueError: A file is no slide, `positions` does not divide 800, a name in `without` is
            unknown, or fewer than two genotypes are left.
    """
    if isinstance(positions, bool) or positions < 1 or 800 % positions:
        raise ValueError(f"positions must be a positive divisor of 800, got {positions!r}")
    unknown = sorted(set(without) - set(MUTANTS))
    if unknown:
        raise ValueError(
            f"without must name mutants among {', '.join(MUTANTS)}, got {unknown[0]!r}"
        )
    if isinstance(files, Path):
        files = {path.name: path for path in files.glob("*.mat")}
    siblings, profiles, doses = [], {}, {WILD_TYPE: (1, 1, 1, 1)}
    for name, (file, present) in MUTANTS.items():
        if file in files and name not in without:
            wild, profiles[name] = slide(files[file], positions)
            siblings.append(wild)
            doses[name] = present
    if not profiles:
        raise ValueError(
            f"files must hold at least one mutant's file, such as {MUTANTS['osk'][0]}, got none"
        )
    if PURE_SLIDE in files:
        siblings.append(slide(files[PURE_SLIDE], positions)[0])
    profiles = {WILD_TYPE: np.concatenate(siblings), **profiles}
    centre = 0.1 + 0.8 * (np.arange(positions) + 0.5) / positions
    traits = [f"{gene}@{x:.4g}" for gene in GENES for x in centre]
    mean = {name: values.mean(0).ravel() for name, values in profiles.items()}
    error = {
        name: (values.std(0, ddof=1) / len(values) ** 0.5).ravel()
        for name, values in profiles.items()
    }
    genotype = pd.DataFrame.from_dict(doses, orient="index", columns=FACTORS)
    cohort = Cohort(
        genotype.loc[:, genotype.nunique() > 1],
        pd.DataFrame.from_dict(mean, orient="index", columns=traits),
        error=pd.DataFrame.from_dict(error, orient="index", columns=traits),
        unit="common",
        name="gap genes",
    )
    cohort.dataset = cohort.dataset.assign_coords(
        gene=("trait", np.repeat(GENES, positions)),
        position=("trait", np.tile(centre, len(GENES))),
        embryos=("individual", [len(values) for values in profiles.values()]),
    )
    return cohort


def slide(path: Path, positions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wild-type siblings and mutants of one slide, each `(embryos, genes, positions)`.

    Levels are relative to the range of the siblings' mean profile: the stain's background and
    brightness differ from slide to slide, a mutant's own maximum says nothing.
    """
    from scipy.io import loadmat

    try:
        embryos = np.atleast_1d(loadmat(path, squeeze_me=True)["data"])
        raw = np.array([[embryo[gene] for gene in GENES] for embryo in embryos], float)
        kind = np.array([int(embryo["genotype"]) for embryo in embryos])
    except (KeyError, ValueError, IndexError, TypeError) as cause:
        raise ValueError(f"{path.name} must be a slide of gap-gene profiles: {cause}") from None
    bins = raw[..., PIXELS].reshape(len(raw), len(GENES), positions, -1)
    levels = np.nanmean(bins, -1)
    wild = levels[kind == 1].mean(0)
    low, high = wild.min(-1)[:, None], wild.max(-1)[:, None]
    relative = (levels - low) / (high - low)
    return relative[kind == 1], relative[kind == 2]
