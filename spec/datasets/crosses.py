"""Experimental crosses: individuals with markers and many traits."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.datasets.record import File, Record
from genomic_code.spec.readers.rqtl import from_rqtl

__all__ = ["BLOOM", "MULTITRAIT"]

YEAST = "maryamayat/YeastRVM@de460ea6b3f9b98b98247fd0758469241ed9fd5e"


def bloom(files: Mapping[str, Path]) -> Cohort:
    """Segregants x markers (0 and 1 for the parents), and end-point growth in 46 conditions.

    Markers are called `number_chromosome_position_allele_allele`, segregants by plate and well;
    chromosome and position (base pairs) are coordinates. There is no published split.
    Upstream's phenotype table has no names: its rows are those of the genotypes. No marker is
    missing, constant or a copy of another; one segregant has no phenotype in any condition.
    """
    import pyreadr

    genotype = pyreadr.read_r(str(files["geno_1.RDS"]))[None]
    phenotype = pd.read_csv(files["pheno.csv"], index_col=0).set_axis(genotype.index, axis=0)
    phenotype.columns = phenotype.columns.str.removeprefix("pheno.")
    cohort = Cohort(genotype, phenotype)
    places = genotype.columns.str.split("_")
    cohort.dataset = cohort.dataset.assign_coords(
        chromosome=("locus", places.str[1].to_numpy(object)),
        position=("locus", places.str[2].to_numpy(object).astype(np.int64)),
    )
    return cohort


BLOOM = Record(
    name="bloom2013",
    description="Yeast BY x RM segregants: markers over the genome, growth in 46 conditions",
    sizes=(1008, 11623, 46),
    folder="bloom2013_yeast",
    files=(
        File(
            "geno_1.RDS",
            "2b2faf4176081fbd08c6685dff2d2b2f2c80fd0300f9b69755b20c2a2bd9ce85",
            f"{YEAST}:Grinberg/geno_1.RDS",
        ),
        File(
            "pheno.csv",
            "75577b9217cae40c0fffa80ce78967eaf5abe0410d7a2fc315292c6f280f24af",
            f"{YEAST}:Data/pheno.csv",
        ),
    ),
    citation=(
        "Bloom, Ehrenreich, Loo, Lite & Kruglyak 2013, Finding the sources of missing "
        "heritability in a yeast cross, Nature 494:234, doi:10.1038/nature11867"
    ),
    licence="not stated upstream",
    build=bloom,
)


def multitrait(files: Mapping[str, Path]) -> Cohort:
    """Recombinant inbred lines x markers (0 and 1 for the parents), and 24 metabolites."""
    return from_rqtl(files["multitrait.RData"])


MULTITRAIT = Record(
    name="multitrait",
    description="Arabidopsis Ler x Cvi recombinant inbred lines: markers, 24 metabolites; small",
    sizes=(162, 117, 24),
    folder="rqtl_multitrait",
    files=(
        File(
            "multitrait.RData", "68e94c992d563b3aafc54c894f08c88a38a1e0df9d8374cdc82db2fbdea5e5ff"
        ),
    ),
    citation=(
        "Alonso-Blanco et al. 1998, Plant J. 14:259, doi:10.1046/j.1365-313X.1998.00115.x (cross); "
        "Keurentjes et al. 2006, Nature Genetics 38:842, doi:10.1038/ng1815 (metabolites); "
        "Broman, Wu, Sen & Churchill 2003, Bioinformatics 19:889, "
        "doi:10.1093/bioinformatics/btg112 (R/qtl)"
    ),
    licence="GPL-3",
    build=multitrait,
    package="the Debian package r-cran-qtl 1.58 (multitrait.RData of R/qtl)",
)
