"""Evolvability on real data: what the authors found, read off posteriors of this project.

    GENOMIC_CODE_DATA=... python benchmarks/evolvability_data.py [worms] [wings] [yeast]

worms   Mallard et al. 2023, doi:10.1093/g3journal/jkac335: M of two founders alike in size and
        direction; genetic covariances larger in G of the population than in M; M of the two
        founders aligned differently with G.
wings   Haber & Dworkin 2015, doi:10.1101/023333: mutations change the mean shape more than the
        covariance, and its orientation more than its size or eccentricity.
yeast   Bloom et al. 2013, doi:10.1038/nature11867: diagonal of G against published heritability.
"""

import argparse
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from genomic_code.inference.evolvability import evolvability
from genomic_code.inference.fit import fit
from genomic_code.inference.functionals.alignment import krzanowski, leading_angle, random_skewers
from genomic_code.inference.functionals.covariance import covariance
from genomic_code.inference.functionals.hansen_houle import effective_dimensions
from genomic_code.inference.functionals.map import posterior_map
from genomic_code.inference.functionals.response import towards
from genomic_code.spec import Cohort, datasets


def interval(values: np.ndarray, digits: int = 2) -> str:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def lines(cohort: Cohort, keep: np.ndarray) -> Cohort:
    """The individuals that are kept, without the loci and covariates that no longer vary."""
    data = cohort.dataset.isel(individual=np.flatnonzero(keep))
    for table, dim in (("genotype", "locus"), ("environment", "covariate")):
        if table in data:
            values = data[table].values
            data = data.isel({dim: np.flatnonzero(values.max(0) > values.min(0))})
    return Cohort.from_dataset(data, cohort.name)


def line_covariance(cohort: Cohort, draws: int = 100) -> np.ndarray:
    """Draws `(S, T, T)` of the covariance of line effects, in the units of the traits."""
    found = fit("polygenic", cohort, seed=0, progress=False)
    tree = evolvability(found, draws=draws, trajectories=40, original_units=True, progress=False)
    print(f"  {cohort}; acceptance {tree.attrs.get('acceptance', float('nan')):.2f}")
    return np.asarray(tree["matrices"]["G"])


def worms() -> None:
    mutation, standing = datasets.load("mallard_mutation"), datasets.load("mallard")
    population = mutation.dataset["population"].values.astype(str)
    salt = standing.environment.sel(covariate="salt").values
    wild = standing.dataset["population"].values.astype(str) == "A6140"
    M = {
        name: line_covariance(lines(mutation, population == f"{name}250")) for name in ("N2", "PB")
    }
    G = line_covariance(lines(standing, wild & (salt == 0)))
    size = {name: np.trace(m, axis1=1, axis2=2) for name, m in {**M, "G": G}.items()}
    print("trace:", {name: interval(value, 3) for name, value in size.items()})
    print("size of M, log ratio N2/PB:", interval(np.log(size["N2"] / size["PB"])))
    half = len(G) // 2
    print("random skewers, M of N2 and PB:", interval(random_skewers(M["N2"], M["PB"])))
    for name, m in M.items():
        print(f"  two draws of M of {name}:", interval(random_skewers(m[:half], m[half:])))
    folder = Path(os.environ["GENOMIC_CODE_DATA"]) / "mallard_celegans"
    for name, m in M.items():
        theirs = pd.read_csv(folder / f"VM_estimates_{name}.txt", sep="\t").to_numpy(float)
        ratio = (
            size[name] / 2 / np.trace(theirs)
        )  # theirs is per diploid: half of the line variance
        print(
            f"M of {name} against the authors': trace ratio {interval(ratio)}, "
            f"random skewers {interval(random_skewers(m, theirs))}"
        )
    off = np.triu_indices(G.shape[-1], 1)
    for name, m in {**M, "G": G}.items():
        sd = np.sqrt(np.diagonal(m, axis1=1, axis2=2))
        cov = np.abs(m[:, off[0], off[1]]).mean(1)
        correlation = np.abs((m / sd[:, :, None] / sd[:, None])[:, off[0], off[1]]).mean(1)
        print(f"mean size of a covariance in {name}: {interval(cov, 3)}")
        print(f"mean size of a correlation in {name}: {interval(correlation)}")
    for name, m in M.items():
        print(f"M of {name} against G: angle of m_max, g_max {interval(leading_angle(m, G), 0)}")
        print(f"  random skewers {interval(random_skewers(m, G))}")
        print(f"  Krzanowski {interval(krzanowski(m, G))}")
    difference = random_skewers(M["N2"], G) - random_skewers(M["PB"], G)
    print("alignment with G, random skewers of N2 - PB:", interval(difference))


def wings(components: int = 10, replicates: int = 200, seed: int = 0) -> None:
    """Each mutant against its wild type Sam, relative to halves of Sam: bootstrap of wings."""
    cohort = datasets.load("haber2016")
    loci = cohort.labels("locus")
    carried = cohort.genotype.values > 0
    y = cohort.phenotype.values.astype(float)
    kind = np.array(["+".join(np.array(loci)[row]) for row in carried])
    within = y - pd.DataFrame(y).groupby(kind).transform("mean").to_numpy()
    axes = np.linalg.svd(within, full_matrices=False)[2][:components].T
    scores = (y - y.mean(0)) @ axes * 1000
    share = (within @ axes).var(0).sum() / within.var(0).sum()
    print(f"{components} components hold {share:.0%} of the variance within genotypes")
    generator = np.random.default_rng(seed)
    wild = scores[kind == "background:Sam"]
    mutants = sorted({name for name in kind if "+" in name})
    others = sorted({name for name in kind if "+" not in name} - {"background:Sam"})

    def differences(first: np.ndarray, second: np.ndarray) -> list[float]:
        one, two = np.cov(first.T), np.cov(second.T)
        values = [np.linalg.eigvalsh(matrix) for matrix in (one, two)]
        eccentric = [effective_dimensions(value)["D_eff"] for value in values]
        pooled = (one + two) / 2
        gap = first.mean(0) - second.mean(0)
        mean = gap @ np.linalg.solve(pooled, gap)
        size = np.log(values[0].sum() / values[1].sum())
        skewers = random_skewers(one, two, draws=256)
        return [mean, abs(size), abs(np.log(eccentric[0] / eccentric[1])), 1 - skewers]

    null = []
    for _ in range(replicates):
        order = generator.permutation(len(wild))
        null.append(differences(wild[order[:58]], wild[order[58:]]))
    centre, spread = np.mean(null, 0), np.std(null, 0)
    names = ["mean shape", "size", "eccentricity", "orientation"]
    for group, members in (("mutants", mutants), ("wild types", others)):
        found = np.array([differences(scores[kind == name], wild) for name in members])
        beyond = (found > np.quantile(null, 0.95, axis=0)).mean(0)
        effect = np.median((found - centre) / spread, axis=0)
        cells = [
            f"{name} {z:+.1f} sd, {b:.0%} beyond chance"
            for name, z, b in zip(names, effect, beyond, strict=True)
        ]
        print(f"{len(members)} {group} against Sam: " + "; ".join(cells))
    keep = np.isin(kind, ["background:Sam", *others])
    backgrounds = [i for i, name in enumerate(loci) if name.startswith("background:")]
    standing = Cohort(carried[keep][:, backgrounds].astype(float), scores[keep], name="wild types")
    G = line_covariance(standing)
    shift = np.stack([scores[kind == name].mean(0) - wild.mean(0) for name in mutants])
    P = np.cov(wild.T)[None]
    for name, matrix in (("G among wild types", G), ("P within Sam", P)):
        found = towards(matrix, shift)
        print(
            f"mutant effects along {name}: evolvability over random direction, median mutant "
            f"{interval(np.median(found['relative'].values, axis=1))}"
        )
    for name, line in zip(mutants, towards(G, shift)["relative"].values.T, strict=True):
        print(f"  {name.split('+')[-1]}: {interval(line)}")


def yeast(every: int = 8, draws: int = 50) -> None:
    cohort = datasets.load("bloom2013")
    thin = cohort.dataset.isel(locus=np.arange(0, cohort.sizes["locus"], every))
    cohort = Cohort.from_dataset(thin.drop_vars(["chromosome", "position"]), "bloom2013")
    found = fit("polygenic", cohort, seed=0, progress=False)
    f = posterior_map(found, draws)
    G = covariance(f.traits())
    h2 = G.diagonal(dim1=1, dim2=2).numpy()
    path = Path(os.environ["GENOMIC_CODE_DATA"]) / "bloom2013_yeast" / "nature11867-s2.xls"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        published = pd.read_excel(path).set_index("Trait")
    narrow = next(
        name for name in published if "average of replicates" in name and "SE" not in name
    )
    order = published.loc[cohort.labels("trait"), narrow].to_numpy(float)
    error = np.abs(h2.mean(0) - order)
    print(
        f"diagonal of G against published narrow-sense h2, {len(order)} traits: correlation "
        f"{np.corrcoef(h2.mean(0), order)[0, 1]:.3f} (draws "
        f"{interval(np.array([np.corrcoef(row, order)[0, 1] for row in h2]), 3)}), mean "
        f"{h2.mean():.3f} against {order.mean():.3f}, mean absolute difference {error.mean():.3f}"
    )


def main() -> None:
    checks = {"worms": worms, "wings": wings, "yeast": yeast}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checks", nargs="*", default=list(checks), help=", ".join(checks))
    torch.set_num_threads(1)
    for name in parser.parse_args().checks:
        print(f"== {name}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checks[name]()


if __name__ == "__main__":
    main()
