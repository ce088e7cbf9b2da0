"""Cohorts from files and from the objects of other libraries."""

from genomic_code.spec.readers.annotated import from_anndata
from genomic_code.spec.readers.file import read
from genomic_code.spec.readers.frame import from_dataframe, to_dataframe
from genomic_code.spec.readers.plink import from_plink
from genomic_code.spec.readers.rqtl import from_rqtl
from genomic_code.spec.readers.sequences import from_sequences
from genomic_code.spec.readers.vcf import from_vcf

__all__ = [
    "from_anndata",
    "from_dataframe",
    "from_plink",
    "from_rqtl",
    "from_sequences",
    "from_vcf",
    "read",
    "to_dataframe",
]
