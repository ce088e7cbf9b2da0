"""Real data by name: `list` what there is, `load` one as a cohort.

    datasets.list()                      # a table with citation and licence
    cohort = datasets.load("bloom2013")
    cohort.dataset.attrs["citation"]

Files are downloaded once into a cache (pooch) and checked by SHA-256. Without a network, set the
environment variable `GENOMIC_CODE_DATA` to a folder that holds them.
"""

import builtins

import pandas as pd

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.datasets.crosses import BLOOM, MULTITRAIT
from genomic_code.spec.datasets.embryos import PETKOVA
from genomic_code.spec.datasets.fetch import MIRROR, fetch
from genomic_code.spec.datasets.landscapes import AMYLOID, MPSA, SMN1, TDP43
from genomic_code.spec.datasets.lines import HABER, MALLARD, MALLARD_MUTATION
from genomic_code.spec.datasets.mutants import KINSLER
from genomic_code.spec.datasets.record import File, Record
from genomic_code.spec.validate import one_of

__all__ = ["DATASETS", "MIRROR", "File", "Record", "list", "load"]

DATASETS: dict[str, Record] = {
    record.name: record
    for record in (
        MULTITRAIT,
        BLOOM,
        KINSLER,
        PETKOVA,
        MPSA,
        AMYLOID,
        TDP43,
        SMN1,
        HABER,
        MALLARD,
        MALLARD_MUTATION,
    )
}
"""Every data set by name."""


def load(name: str) -> Cohort:
    """The data set of this name as a cohort, with its citation in `cohort.dataset.attrs`.

    Raises:
        ValueError: The name is unknown; or a file is missing, cannot be downloaded or is not what
            it was: the message names the data set, the file and the remedy.
    """
    record = DATASETS[one_of("data set", name, builtins.list(DATASETS))]
    cohort = record.build(fetch(record))
    cohort.name = record.name
    cohort.dataset.attrs.update(
        description=record.description, citation=record.citation, licence=record.licence
    )
    return cohort


def list() -> pd.DataFrame:
    """Every data set with its sizes, citation, licence and origin, indexed by name."""
    rows = [
        {
            "name": record.name,
            "description": record.description,
            "individuals": record.sizes[0],
            "loci": record.sizes[1],
            "traits": record.sizes[2],
            "citation": record.citation,
            "licence": record.licence,
            "origin": record.package or ", ".join(file.source for file in record.files),
        }
        for record in DATASETS.values()
    ]
    return pd.DataFrame(rows).set_index("name")
