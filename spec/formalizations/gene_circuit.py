"""Gene circuit: maternal factors, read by genes that regulate each other in a line of nuclei.

Maternal inputs m at position x (0 anterior, 1 posterior) of an embryo whose mother has the doses B,
N, T, h of bicoid, nanos, torso and hunchback; s is the logistic sigmoid:

    Bcd = B exp(-(x - .35) / l)         l ~ LogNormal(log .17, .15)
    Cad = 1 / (1 + Bcd / c)             c ~ LogNormal(0, .5)
    mHb = h (1 - N s((x - p) / w))      p ~ Normal(.55, .1),  w ~ LogNormal(log .06, .4)
    Tsl = T (exp(-(x / r)^2 / 2) + a exp(-((1 - x) / r)^2 / 2))
                                        r ~ LogNormal(log .13, .25),  a ~ LogNormal(0, .3)

Zygotic genes, in units of their saturated level, for t from 0 to 1:

    dg/dt = lambda (s(W (g + e k mHb) + U m + theta) - g) + v g''     no flux at the ends
    g(0) = 0,  e = 1 for the first gene, hunchback, else 0   k ~ LogNormal(log .5, .5)
    eta_n,(i,x) = G_i g_i(x, t = 1) + (E_n D)_(i,x)          G_i ~ LogNormal(log 3.5, .5)
    W_ij, U_im ~ Normal(0, 4),  theta_i ~ Normal(0, 3),  lambda_i ~ LogNormal(log 5, .4)
    v_i dt / dx^2 = .45 s(kappa_i),  kappa_i ~ Normal(0, 1)

Genes read m = (Bcd, Cad, Tsl) directly, and maternal hunchback through W alone: it is the protein
that the first gene makes too (Hulskamp, Pfeifle & Tautz 1990, doi:10.1038/346577a0).

The time step is split: exact relaxation of production and decay, then diffusion; both keep g within
the range of its targets, whatever the weights. Traits are genes x nuclei, one gene after another;
further genes are not observed. No trait has a mean of its own: position acts only through m. The
cohort must have a common unit, for zero and the ratios of traits mean something.

In the code U is `maternal_input`, and `diffusion` holds v dt / dx^2 in place of kappa.

Sites: D environment_effect; l bicoid_length; c caudal_half; p nanos_boundary; w nanos_width;
r torso_length; a torso_posterior; k maternal_hunchback; W regulation; U maternal_input;
theta threshold; lambda rate; G level; kappa diffusion
Source: Mjolsness, Sharp & Reinitz 1991, doi:10.1016/S0022-5193(05)80391-1, with the production rate
R = lambda G replaced by the level G; parts of the maternal system: Petkova et al. 2019,
doi:10.1016/j.cell.2019.01.007.
Claims: development is one network, the same in every nucleus; mutants differ in its inputs alone.
Rivals: `positional_information` decodes without interactions, `generative` without space too.
Special cases: with W = 0 each gene reads Bcd, Cad and Tsl alone; v = 0 leaves the nuclei alone.
Refuted by: mutants that are predicted as well without W.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor

from genomic_code.spec.html import formalization_html
from genomic_code.spec.line import Line
from genomic_code.spec.maternal import (
    INPUTS,
    gradients,
    typical_gradients,
)
from genomic_code.spec.model import run
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import Dense, baseline_traits, choose, environment_effects, sample
from genomic_code.spec.protocols import Data, Noise, Prior, Shape, Weights
from genomic_code.spec.validate import at_least_one, known_priors

__all__ = ["GeneCircuit"]

SATURATION = 1.25
"""Level at which a gene saturates, in units of its greatest wild-type level: starts only."""
MATERNAL = 0.5
"""Median of maternal hunchback, in units of the zygotic gene's saturated level."""


@dataclass(frozen=True)
class GeneCircuit(Line):
    """Zygotic genes on a line of nuclei, driven by maternal gradients."""

    name: ClassVar[str] = "gene_circuit"
    complexity: ClassVar[int] = 12
    rotatable: ClassVar[bool] = False
    _repr_html_ = formalization_html

    hidden: int = 1
    """Number of zygotic genes H that are not observed; at least 0."""
    steps: int = 20
    """Number of time steps of the simulation; at least 1."""
    prior: Mapping[str, Prior] = field(default_factory=dict)
    """Priors by name of the weights: `regulation`, `maternal_input`, `threshold`."""
    noise: Noise = Normal()
    """Measurement model."""

    def __post_init__(self) -> None:
        self.check_line()
        at_least_one(self, "steps")
        known_priors(self.prior, "regulation", "maternal_input", "threshold")
        if isinstance(self.hidden, bool) or not isinstance(self.hidden, int) or self.hidden < 0:
            raise ValueError(f"hidden must be an integer of at least 0, got {self.hidden!r}")

    def weights(self, shape: Shape) -> dict[str, Tensor]:
        """Circuit of A = genes + hidden genes, and the shapes of the maternal gradients.

        `regulation` (A, A), target by source; `maternal_input` (A, 3); `threshold`, `rate`,
        `diffusion` (A); `level` (genes); seven numbers for the gradients; `mean` (T), fixed at 0.
        """
        gene = {"gene": self.genes + self.hidden}
        pair = {**gene, "gene_other": self.genes + self.hidden}
        maternal = {**gene, "maternal": len(INPUTS) - 1}
        return {
            **self.levels(shape, 3.5, 0.5),
            "regulation": choose(self.prior, "regulation", Dense(4.0))("regulation", pair),
            "maternal_input": choose(self.prior, "maternal_input", Dense(4.0))(
                "maternal_input", maternal
            ),
            "threshold": choose(self.prior, "threshold", Dense(3.0))("threshold", gene),
            "rate": sample("rate", dist.LogNormal(math.log(5.0), 0.4), gene),
            "diffusion": 0.45 * torch.sigmoid(Dense()("diffusion", gene)),
            "maternal_hunchback": sample(
                "maternal_hunchback", dist.LogNormal(math.log(MATERNAL), 0.5), {}
            ),
            **gradients(),
            **environment_effects(shape),
        }

    def express(self, weights: Weights, maternal: Tensor) -> Tensor:
        """Levels `(..., N, P, A)` at t = 1, relative to saturation, of inputs `(..., N, P, 4)`."""
        regulation = weights["regulation"].mT[..., None, :, :]
        drive = maternal[..., :-1] @ weights["maternal_input"].mT[..., None, :, :]
        hunchback = weights["maternal_hunchback"][..., None, None, None] * maternal[..., -1:]
        drive = drive + hunchback * regulation[..., :1, :]
        drive = drive + weights["threshold"][..., None, None, :]
        share = -torch.expm1(-weights["rate"] / self.steps)[..., None, None, :]
        mixing = weights["diffusion"][..., None, None, :]
        state = torch.zeros_like(drive)
        for _ in range(self.steps):
            target = torch.sigmoid(state @ regulation + drive)
            state = state + share * (target - state)
            state = state + mixing * curvature(state)
        return state

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)`: levels of the observed genes along the line."""
        traits = weights["mean"].shape[-1]
        maternal = self.encode(weights, genotype, traits // self.genes)
        seen = self.express(weights, maternal)[..., : self.genes]
        levels = (seen * weights["level"][..., None, None, :]).mT.flatten(-2)
        return baseline_traits(weights, environment) + levels

    def starts(self, data: Data, generator: torch.Generator) -> dict[str, Tensor]:
        """Values of sites at which one restart begins: each gene regressed on what it reads.

        Near the steady state logit(g_a) = W (g + e k mHb) + U m + theta, a ridge regression on the
        training cells with the other genes' levels for g and W_aa = 1; every weight is then shaken
        by Normal(0, 0.5). Sites that are left out begin as those of other formalizations do.
        """
        assert data.phenotype is not None
        nuclei = self.nuclei(data.shape)
        shape = (len(data.genotype), self.genes, nuclei)
        levels, seen = (
            value.reshape(shape).mT.reshape(-1, self.genes)
            for value in (data.phenotype, data.observed)
        )
        rows = seen.all(-1)
        levels = levels[rows].double()
        top = SATURATION * levels.amax(0).clamp_min(1e-6)
        relative = levels / top
        maternal = self.encode(typical_gradients(), data.genotype.double(), nuclei)
        maternal = maternal.flatten(0, 1)[rows]
        number = self.genes + self.hidden
        weights = torch.zeros(number, number + len(INPUTS), dtype=torch.float64)
        inputs = torch.cat([maternal[:, :-1], torch.ones_like(maternal[:, :1])], 1)
        read = relative.clone()
        read[:, 0] += MATERNAL * maternal[:, -1]
        for gene in range(self.genes):
            others = read.clone()
            others[:, gene] = 0
            design = torch.cat([others, inputs], 1)
            wanted = torch.logit(relative[:, gene].clamp(0.03, 0.97)) - read[:, gene]
            gram = design.mT @ design + torch.eye(design.shape[1]).double()
            fitted = torch.linalg.solve(gram, design.mT @ wanted)
            weights[gene, : self.genes] = fitted[: self.genes]
            weights[gene, number:] = fitted[self.genes :]
        weights[range(number), range(number)] = 1.0
        weights = weights + 0.5 * torch.randn(weights.shape, generator=generator).double()
        sites = {
            "regulation": weights[:, :number] / 4.0,
            "maternal_input": weights[:, number:-1] / 4.0,
            "threshold": weights[:, -1] / 3.0,
            "level": top,
        }
        kept = {name: value for name, value in sites.items() if name not in self.prior}
        return {name: value.to(data.phenotype) for name, value in kept.items()}

    def __call__(self, data: Data) -> Tensor:
        """Run the Pyro model."""
        return run(self, data)


def curvature(state: Tensor) -> Tensor:
    """Second difference along the line `(..., P, A)` without flux at its ends."""
    before = torch.cat([state[..., :1, :], state[..., :-1, :]], -2)
    after = torch.cat([state[..., 1:, :], state[..., -1:, :]], -2)
    return before + after - 2 * state
