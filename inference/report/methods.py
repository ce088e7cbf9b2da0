"""The words of a report: methods with versions, seeds and data hash; limits; citations."""

from typing import Any

import numpy as np

from genomic_code.inference.compare import Comparison

__all__ = ["COLUMNS", "LIMITS", "citations", "methods"]

COLUMNS = {
    "elpd": "held-out log predictive density, summed over individuals, nats; higher is better",
    "se": "standard error of elpd over individuals, or groups; not for comparing rows",
    "diff": "elpd below that of the best row, nats",
    "dse": "standard error of diff, paired over individuals, or groups",
    "weight": "stacking weight: share in the mixture that predicts best; no probability of truth",
    "weight_se": "standard deviation of the weight under the Bayesian bootstrap",
    "r2": "held-out R², mean over traits",
    "cover50": "share of held-out cells within their central 50 % interval",
    "cover90": "share of held-out cells within their central 90 % interval",
    "elbo": "evidence lower bound of the fit to all individuals, nats; no evidence by itself",
    "elbo_se": "its Monte-Carlo standard error",
    "loo": "leave-one-out by importance sampling, a quick look, nats",
    "share_k": "share of individuals for whom that would fail (Pareto k above 0.7)",
    "warning": "when not to trust the row",
}
"""What the columns of the table hold."""

LIMITS = (
    "The verdict compares these formalizations with each other: a better one may not be among "
    "them.",
    "Weights and latents are not identified (rotation, sign, permutation); only what the "
    "genotype-phenotype map does is.",
    "A formalization that predicts best on this cohort need not be how the organism develops, and "
    "prediction within a cohort need not hold in another population or environment.",
)

SOURCES = {
    "hypothesis": (
        "Mitchell KJ, Cheney N (2025). The genomic code: the genome instantiates a generative "
        "model of the organism. Trends in Genetics.",
        "10.1016/j.tig.2025.01.008",
    ),
    "elpd": (
        "Vehtari A, Gelman A, Gabry J (2017). Practical Bayesian model evaluation using "
        "leave-one-out cross-validation and WAIC. Statistics and Computing 27, 1413-1432.",
        "10.1007/s11222-016-9696-4",
    ),
    "bagging": (
        "Huggins JH, Miller JW (2023). Reproducible model selection using bagged posteriors. "
        "Bayesian Analysis 18, 79-104.",
        "10.1214/21-BA1301",
    ),
    "stacking": (
        "Yao Y, Vehtari A, Simpson D, Gelman A (2018). Using stacking to average Bayesian "
        "predictive distributions. Bayesian Analysis 13, 917-1007.",
        "10.1214/17-BA1091",
    ),
    "reml": (
        "Patterson HD, Thompson R (1971). Recovery of inter-block information when block sizes are "
        "unequal. Biometrika 58, 545-554.",
        "10.1093/biomet/58.3.545",
    ),
    "pyro": (
        "Bingham E and others (2019). Pyro: deep universal probabilistic programming. Journal of "
        "Machine Learning Research 20 (28).",
        "",
    ),
    "arviz": (
        "Kumar R, Carroll C, Hartikainen A, Martin O (2019). ArviZ: a unified library for "
        "exploratory analysis of Bayesian models in Python. Journal of Open Source Software 4.",
        "10.21105/joss.01143",
    ),
}


def methods(comparison: Comparison, record: dict[str, Any]) -> str:
    """A paragraph that says how the numbers came about, fit for a paper."""
    cohort, how = record["cohort"], record["settings"]
    missing = float(np.isnan(comparison.cohort.phenotype.values).mean())
    grouped = comparison.units is not None
    whole, unit = (", groups held out whole", "groups") if grouped else ("", "individuals")
    drawn, spread = "", ""
    if (repeats := record.get("repeats", 1)) > 1:
        drawn = f" and averaged over {repeats} draws of them"
        spread = " and hold the spread of the draws"
    names = ", ".join(record["formalizations"])
    tools = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    scale = f"Traits were put on another scale ({on}). " if (on := cohort.get("transform")) else ""
    gone = cohort.get("loci_pruned")
    pruned = f"{gone} loci that nearly repeated one before them were left out. " if gone else ""
    screened = (
        f"{how['restarts']} restarts took {how['screening']} steps each, the best three of them as "
        f"many again, and the best {how.get('modes') or 1} by the ELBO on training rows went on"
    )
    return (
        f"We compared {len(record['formalizations'])} formalizations of the genome ({names}) on "
        f"{cohort['name']}: {cohort['individual']} individuals, {cohort['locus']} loci, "
        f"{cohort['covariate']} environmental covariates and {cohort['trait']} traits, "
        f"{missing:.1%} of the traits missing. Each formalization is a Pyro model (Bingham et al. "
        f"2019) with explicit priors over genomic weights. {pruned}{scale}Genotypes, covariates "
        "and traits were standardised on training rows. Posteriors were approximated by Gaussian "
        f"variational inference: {screened} in cycles of {how['steps']} steps (at most "
        f"{how['cycles']}) until a cycle gained less than {how['tolerance']:g} nats for each "
        "observed cell and weight. "
        "These predict together, weighted by their mean probability over Bayesian bootstraps of "
        "the ELBO (Huggins & Miller 2023). "
        "The criterion is the log predictive density of individuals that were not fitted, summed "
        f"over {record['folds']} folds{whole}{drawn} (Vehtari, Gelman & Gabry 2017); standard "
        f"errors of differences are paired over {unit}{spread}. The verdict names the simplest "
        "formalization within two standard errors of the best, and of each other that is, which "
        "passes the absolute checks if any of them does. Weights are those of "
        "stacking (Yao et al. 2018); the baseline ridge is GBLUP trait by trait with variance "
        f"components by REML (Patterson & Thompson 1971). Seed {record['seed']}; software {tools}; "
        f"SHA-256 of the data {cohort['fingerprint']}."
    )


def citations(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Text and DOI, which may be empty, of each work to cite."""
    own = record["cohort"].get("citation")
    return [*([(str(own), "")] if own else []), *SOURCES.values()]
