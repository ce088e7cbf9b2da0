"""Gap-gene profiles of fly embryos, wild type and maternal mutants; see `spec.gapgenes`."""

from genomic_code.spec.datasets.record import File, Record
from genomic_code.spec.gapgenes import gap_gene_cohort

__all__ = ["PETKOVA"]

FOLDER = (
    "juliettelavoie/gapgenes_autoencoder@755fec20ebdee9c1efb842048d5e28da59d739ef:"
    "DataPetkova/Data/Gap/"
)

SLIDES = {
    "gap_data_raw_dorsal_wt.mat": (
        "eb5f79c5a834660a285dfb70308c8b0c96f4783b9f904645455143b9fd39a6cc"
    ),
    "gap_data_raw_dorsal_wt_bcdE1.mat": (
        "7307e170ac059001471036bcdab261a1fcfa6d5249c2a5077e3b22ed8fe99016"
    ),
    "gap_data_raw_dorsal_wt_bcd_nos_tsl.mat": (
        "4fdbaeab89c20feec5679c75a72c27d0adc3028262a3cd8cf4d6f7111c4158d3"
    ),
    "gap_data_raw_dorsal_wt_bcd_only_germline_clones.mat": (
        "6dd1c0c6e0456f09df5bdababb05a04d7635783370ec545dd274587085fce58d"
    ),
    "gap_data_raw_dorsal_wt_bcd_tsl.mat": (
        "52e507dfedeb90d44a35d2c55ea9e9e1c0877f35be8f38fa84068a509c7c7050"
    ),
    "gap_data_raw_dorsal_wt_osk.mat": (
        "f80ee6e664a80cc3f8e457d4a572eb315f5ac1b98ef6ce278d251aa1e07897ba"
    ),
}
"""Files by name with their SHA-256: wild type, and mutants with their wild-type siblings."""


PETKOVA = Record(
    name="petkova2019",
    description="Fly embryos, wild type and five maternal mutants: profiles of four gap genes",
    sizes=(6, 4, 320),
    folder="petkova2019_gapgenes",
    files=tuple(File(name, checksum, FOLDER + name) for name, checksum in SLIDES.items()),
    citation=(
        "Petkova, Tkacik, Bialek, Wieschaus & Gregor 2019, Optimal decoding of cellular identities "
        "in a genetic network, Cell 176:844, doi:10.1016/j.cell.2019.01.007"
    ),
    licence="not stated upstream",
    build=gap_gene_cohort,
)
