"""Lines measured again and again: fly wings and worm locomotion; the line is the genotype."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from genomic_code.spec.cohort import Cohort
from genomic_code.spec.datasets.record import File, Record

__all__ = ["HABER", "MALLARD", "MALLARD_MUTATION"]

FLIES = "annat22/publicationsDataRcode"
WORMS = "ExpEvolWormLab/Mallard_Robertson@dbb9f78b983cf20dd1acdf0ae3a92e02d24a6782"
MUTATIONS = "ExpEvolWormLab/Mallard_Mutation@069c5dd21a3954ab2aa5d510d3085a285da33a67"

RATES = ["T12", "T13", "T21", "T23", "T31", "T32"]
"""Log transition rates among 1 still, 2 forward, 3 backward."""


def haber(files: Mapping[str, Path]) -> Cohort:
    """Wings: 13 wild-type backgrounds and 12 mutant alleles as loci, 96 coordinates as traits.

    The loci `background:...` are 1 for the wild type that a wing stems from, the loci
    `gene[allele]` 1 for carriers, all in the background Sam. The traits are the coordinates of 48
    landmarks after Procrustes superimposition (no unit), which takes four dimensions away: their
    covariance has rank 92. `dataset["centroid_size"]` is a trait of its own and no covariate.
    `groups` are the replicate vials, to be kept whole in folds.
    """
    import rdata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        genotypes = rdata.read_rda(files["inf_gt.Rdata"])["inf_gt"]
    wings = pd.read_csv(
        files["XallData.tab"], sep="\t", index_col=0, lineterminator="\r", dtype={"genotype": str}
    )
    background = pd.get_dummies(wings["WT"].where(wings["WT"] == "Sam", wings["genotype"]))
    mutant = genotypes[genotypes["allele"].astype(str) != "WT"]
    alleles = pd.DataFrame(
        {
            f"{row['gene.abbr']}[{row['allele']}]": wings["genotype"] == str(code)
            for code, row in mutant.iterrows()
        }
    )
    loci = pd.concat([background.add_prefix("background:"), alleles], axis=1).astype(float)
    cohort = Cohort(
        loci,
        wings.loc[:, "x1":"y48"],
        groups=(wings["genotype"] + " " + wings["repID"]).to_numpy(object),
    )
    cohort.dataset["centroid_size"] = ("individual", wings["centsize"].to_numpy())
    return cohort


HABER = Record(
    name="haber2016",
    description="Fly wings of 12 mutant alleles and 13 wild types: 48 landmarks of each",
    sizes=(1880, 25, 96),
    folder="haber2016_fly_wing",
    files=(
        File(
            "XallData.tab",
            "abf756698ba24ccb6d19fdf8823355366d0edf48b034de010d908a324151cb22",
            f"{FLIES}@ac2c20e3eb0f16c23512ee9a5b10929f6ec7ce65:"
            "intMutant_FruitFly_Evolution2016/XallData.tab",
        ),
        File(
            "inf_gt.Rdata",
            "049dcf260ef47225bb9d0f9e8c843c67d6d7e3875a139b2849e0766d5e540e64",
            f"{FLIES}@dc1375c18fa2222ab231b3ea0378694af2c9f7ab:"
            "intMutant_FruitFly_bioRxiv/inf_gt.Rdata",
        ),
    ),
    citation=(
        "Haber & Dworkin 2015, Dis-integrating the fly: a mutational perspective on phenotypic "
        "integration and covariation, bioRxiv, doi:10.1101/023333"
    ),
    licence="GPL-2",
    build=haber,
)


def worms(table: pd.DataFrame) -> Cohort:
    """Assays of worm lines: a locus a line, weather and density as covariates, six rates.

    There are no markers: the locus of a line is 1 in its assays, so that in a linear formalization
    its effects are line means, and their covariance is G (of lines) or M (of mutation accumulation
    lines). A line that is never seen can only be predicted as the mean. Covariates are those
    of the authors: temperature (degree Celsius), relative humidity (%), log density, the place,
    and high salt where there is any. `groups` are days at a place; `dataset["line"]` and
    `dataset["population"]` name the line and the population it was drawn from.
    """
    loci = pd.get_dummies(table["pop_label"]).astype(float)
    covariates = table[["temperature", "rel_humidity", "logD"]].copy()
    if table["env_label"].nunique() > 1:
        covariates["salt"] = (table["env_label"] == "NaCl").astype(float)
    places = pd.get_dummies(table["location_label"], drop_first=True).astype(float)
    names = pd.Index(table["exper_data_id"])
    cohort = Cohort(
        loci.set_axis(names, axis=0),
        table[RATES].set_axis(names, axis=0),
        pd.concat([covariates, places], axis=1).set_axis(names, axis=0),
        groups=(table["location_label"] + " " + table["date_str"].astype(str)).to_numpy(object),
    )
    line = table["pop_label"]
    cohort.dataset["line"] = ("individual", line.to_numpy(object))
    population = line.str.replace(r"L\d+$", "", regex=True)
    cohort.dataset["population"] = ("individual", population.to_numpy(object))
    return cohort


def mallard(files: Mapping[str, Path]) -> Cohort:
    """Standing variation: 831 lines and populations, at low and high salt."""
    return worms(pd.read_csv(files["Final_merged_data_withNaCl.txt"], sep="\t"))


def mallard_mutation(files: Mapping[str, Path]) -> Cohort:
    """New mutations: lines of two founders after 250 generations, and the founders, at low salt."""
    return worms(pd.read_csv(files["Final_merged_data_MA_Lines.txt"], sep="\t"))


MALLARD = Record(
    name="mallard",
    description="C. elegans lines: rates of moving, at low and high salt (standing variation, G)",
    sizes=(2883, 831, 6),
    folder="mallard_celegans",
    files=(
        File(
            "Final_merged_data_withNaCl.txt",
            "cc17198bc3cab3e77686893c3c69620523580a0ad91be0f9dd6030cf6ae44a95",
            f"{WORMS}:data/Final_merged_data_withNaCl.txt",
        ),
    ),
    citation=(
        "Mallard, Afonso & Teotonio 2023, Selection and the direction of phenotypic evolution, "
        "eLife 12:e80993, doi:10.7554/eLife.80993"
    ),
    licence="not stated upstream",
    build=mallard,
)
MALLARD_MUTATION = Record(
    name="mallard_mutation",
    description="C. elegans mutation accumulation lines: rates of moving (new mutations, M)",
    sizes=(261, 126, 6),
    folder="mallard_celegans",
    files=(
        File(
            "Final_merged_data_MA_Lines.txt",
            "401f5bfa59f18b275af59198aa2812ba432bfc2de64e7675f2c087bb32756cb3",
            f"{MUTATIONS}:data/Final_merged_data_MA_Lines.txt",
        ),
    ),
    citation=(
        "Mallard, Noble, Baer & Teotonio 2023, Variation in mutational (co)variances, "
        "G3 13:jkac335, doi:10.1093/g3journal/jkac335"
    ),
    licence="not stated upstream",
    build=mallard_mutation,
)
