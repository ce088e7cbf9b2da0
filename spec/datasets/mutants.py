"""Adaptive mutants over environments."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.datasets.record import File, Record

__all__ = ["KINSLER"]

STRONG = (
    "22 hr Ferm",
    "3 Day",
    "17 μM GdA",
    "Baffle, 1.8% Gluc",
    "1 Day",
    "1% EtOH",
    "8.5 μM GdA (B9)",
    "1.5% Suc, 1% Raf",
    "Baffle, 2.5% Gluc",
    "4 Day",
    "5 Day",
    "0.2 M NaCl",
    "0.2 M KCl",
    "0.5 μg/ml Flu",
    "Baffle, 0.4 μg/ml Ben",
    "Baffle, 2 μg/ml Ben",
    "6 Day",
    "7 Day",
    "0.5 M KCl",
    "0.5 M NaCl",
)
"""The authors' 20 strong perturbations; the other 25 environments are subtle."""

TRAIN = (
    "151 689 2608 2768 2808 3406 3577 3675 6174 6271 6582 7539 7774 7961 7994 9689 9888 11933 "
    "13132 14160 14280 15337 15787 17691 18200 18420 19219 19296 20967 21956 21967 22011 "
    "23688 23868 25531 30578 31360 32675 37238 39674 41484 43361 43692 60973 68197 70812 "
    "71109 71696 74033 87689 91807 117631 129569 163510 176764 189102 206713 295458 309655 "
    "419831"
).split()
"""Barcodes of the authors' 60 training mutants."""

UNSEQUENCED = {"NotSequenced", "NotSequenced_adaptive", "other"}
"""Mutation types that the authors leave out."""


def kinsler(files: Mapping[str, Path]) -> Cohort:
    """Mutants, their fitness in 25 subtle environments as inputs, in 20 strong ones as traits.

    There are no markers: nearly every mutant has a mutation of its own, and a locus a mutant would
    predict nothing about another. The authors' question is whether what is seen of a mutant in
    environments close to the one it evolved in foretells its fitness far away, through few latent
    phenotypes. So `genotype` is fitness (per cycle, against the ancestor) in the subtle
    environments, measured with the standard error in `dataset["genotype_error"]`, which
    formalizations do not see; `phenotype` and `error` are fitness and standard error in the strong
    ones. `split` is the authors' train and test; `dataset["mutation_type"]` their naming of the
    mutants. The 129 mutants that were not sequenced or are called "other" are left out, as theirs.
    """
    table = pd.read_csv(files["Kinsler_et_al_2020_fitnessdata_noReplicates.csv"])
    table = table[~table["mutation_type"].isin(UNSEQUENCED)]
    table = table.set_index(table["barcode"].astype(str))
    columns = [str(column) for column in table.columns]
    environments = [c.removesuffix("_fitness") for c in columns if c.endswith("_fitness")]
    subtle = [label for label in environments if label not in STRONG]
    values = {
        (part, kind): table[[f"{label}_{kind}" for label in labels]].set_axis(list(labels), axis=1)
        for part, labels in (("subtle", subtle), ("strong", STRONG))
        for kind in ("fitness", "error")
    }
    cohort = Cohort(
        values["subtle", "fitness"],
        values["strong", "fitness"],
        error=values["strong", "error"],
        split=np.where(table.index.isin(TRAIN), "train", "test"),
    )
    cohort.dataset["genotype_error"] = (
        ("individual", "locus"),
        values["subtle", "error"].to_numpy(np.float32),
    )
    cohort.dataset["mutation_type"] = ("individual", table["mutation_type"].to_numpy(object))
    return cohort


KINSLER = Record(
    name="kinsler2020",
    description="Adaptive yeast mutants: fitness in 25 subtle environments, then in 20 strong ones",
    sizes=(292, 25, 20),
    folder="kinsler2020_yeast",
    files=(
        File(
            "Kinsler_et_al_2020_fitnessdata_noReplicates.csv",
            "654d0445061bea2076fbfdf0d9cfaf5767ee1198174f50ef549c9f64ec09b773",
            "grantkinsler/1BigBatch@ffdda5d18aa6ecb4a0fa0224aab8c0436a231284:"
            "data/Kinsler_et_al_2020_fitnessdata_noReplicates.csv",
        ),
    ),
    citation=(
        "Kinsler, Geiler-Samerotte & Petrov 2020, Fitness variation across subtle environmental "
        "perturbations reveals local modularity and global pleiotropy of adaptation, "
        "eLife 9:e61271, doi:10.7554/eLife.61271"
    ),
    licence="not stated upstream",
    build=kinsler,
)
