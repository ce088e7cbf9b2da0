"""Generalisation: does a genome that evolved on some targets of a family reach the others faster?

Targets are the sign combinations of modules of traits. Half of them are met in evolution; then
populations respond to the other half (same family) and to random sign vectors (off the family).
Learnt directions of mutation help in the first and must not in the second: a bias that was
learnt, not a better optimiser. Parter, Kashtan & Alon 2008, doi:10.1371/journal.pcbi.1000206;
Kouvaris et al. 2017, doi:10.1371/journal.pcbi.1005358.

Additive genomes stand for the claim that a locus has an effect of its own. Such an effect depends
on no other locus, so it cannot evolve: in `blueprint` (loci of its own for each trait) and
`polygenic` (every locus on all traits) effects are drawn from a standard normal and kept; alleles
and the mean evolve. Three controls: `blueprint, equal effects` mutates in all directions alike, the
best that a map without learning can do; `factor` and `polygenic, effects evolve` let a linear map
learn, and so tell learnt mutation from nonlinear development.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from genomic_code.inference.evolve import evolve
from genomic_code.inference.experiments.response import Response, respond
from genomic_code.inference.niche import Niche
from genomic_code.inference.schedule import Schedule, modular_targets
from genomic_code.spec.formalizations import Blueprint, Factor, Generative, Polygenic
from genomic_code.spec.priors import Dense
from genomic_code.spec.protocols import Formalization
from genomic_code.spec.validate import one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Generalisation", "Organism", "generalisation", "organisms"]


class Organism(NamedTuple):
    """A formalization and what of it does not evolve."""

    formalization: Formalization
    fixed: Mapping[str, Tensor]


def organisms(loci: int, traits: int, seed: int) -> dict[str, Organism]:
    """The organisms that are compared by default.

    Raises:
        ValueError: There are fewer loci than traits, so that no direct encoding exists.
    """
    if loci < traits:
        raise ValueError(f"loci must be at least traits={traits}, got {loci}")
    generator = torch.Generator().manual_seed(seed)
    own = torch.eye(traits).repeat(-(-loci // traits), 1)[:loci]
    dense = torch.randn(loci, traits, generator=generator)
    direct = Blueprint(prior={"effects": Dense()})
    scale = {"trait_scale": torch.ones(traits), "trait_correlation": torch.eye(traits)}
    return {
        "generative": Organism(Generative(latents=6, hidden=12), {}),
        "blueprint": Organism(direct, {"effects": own * dense}),
        "polygenic": Organism(Polygenic(), {"effects": dense, **scale}),
        CONTROL: Organism(direct, {"effects": own}),
        "factor": Organism(Factor(latents=6), {}),
        "polygenic, effects evolve": Organism(Polygenic(), {}),
    }


ARMS = ("same family", "off family")
CONTROL = "blueprint, equal effects"
"""Mutates in all directions alike."""


@dataclass(frozen=True, eq=False)
class Generalisation:
    """Responses of organisms to unseen targets of the family and off it, over seeds."""

    responses: dict[tuple[str, str], list[Response]]
    """By organism and arm, one a seed."""

    @property
    def frame(self) -> pd.DataFrame:
        """Means over seeds with standard deviations between seeds, a row an organism and arm.

        Columns, each followed by its `_sd`: `half_time` (generations to half the distance; runs
        that do not come so near count whole), `fitness_half_time` (to half the squared distance,
        that is half the lost log fitness), `evolvability` (e_M towards the target over its mean),
        `distance` (squared, relative, at the end), `canalisation` (mutational step needed for the
        same trace of M, end over start).
        """
        rows = []
        for (organism, arm), runs in self.responses.items():
            measures = {
                "half_time": [run.half_time.mean() for run in runs],
                "fitness_half_time": [run.fitness_half_time.mean() for run in runs],
                "evolvability": [run.evolvability.mean() for run in runs],
                "distance": [run.distance[-1].mean() for run in runs],
                "canalisation": [(run.step[-1] / run.step[0]).mean() for run in runs],
            }
            row: dict[str, str | float] = {"organism": organism, "arm": arm}
            for name, values in measures.items():
                row[name] = float(np.mean(values))
                row[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            rows.append(row)
        return pd.DataFrame(rows).set_index(["organism", "arm"])

    def speed(
        self,
        organism: str,
        reference: str,
        arm: str,
        measure: Literal["half_time", "fitness_half_time"] = "half_time",
    ) -> tuple[float, float]:
        """Half-time of `reference` over that of `organism`: mean and sd over the paired seeds."""
        ours, theirs = (
            np.array([getattr(run, measure).mean() for run in self.responses[name, arm]])
            for name in (organism, reference)
        )
        ratios = theirs / ours
        return float(ratios.mean()), float(ratios.std(ddof=1)) if len(ratios) > 1 else 0.0

    def plot(self, ax: "Sequence[Axes] | None" = None) -> "Sequence[Axes]":
        """Distance to the target over generations, an axes an arm; mean and sd over seeds.

        The dotted line is half-way. Organisms whose effects evolve are drawn in full.
        """
        from genomic_code.inference.plots_style import CYCLE, GREY, axes_for, legend, spread, titled

        own = ax is None
        if ax is None:
            ax = list(axes_for(None, 3.4, 7.0, ncols=2, sharey=True))
        names = list(dict.fromkeys(organism for organism, _ in self.responses))
        for (organism, arm), runs in self.responses.items():
            panel, colour = ax[ARMS.index(arm)], CYCLE[names.index(organism) % len(CYCLE)]
            curves = np.stack([run.distance.mean(1) for run in runs])
            style = "--" if organism in ("blueprint", "polygenic", CONTROL) else "-"
            spread(panel, curves, colour, organism, style)
        for panel, arm in zip(ax, ARMS, strict=True):
            panel.axhline(0.25, ls=":", lw=1, color=GREY)
            panel.set(xlabel="generation", xlim=(0, None), ylim=(0, None))
            titled(panel, arm)
        ax[0].set_ylabel("squared distance to unseen target\n(founder = 1; mean ± sd over seeds)")
        if not own:
            legend(ax[0])
        else:
            handles, labels = ax[0].get_legend_handles_labels()
            figure = ax[0].get_figure(root=True)
            assert figure is not None
            figure.legend(
                handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=7
            )
        return ax


def generalisation(
    *,
    seeds: Sequence[int] = range(6),
    modules: int = 4,
    traits: int = 16,
    loci: int = 32,
    split: Literal["balanced", "random"] = "balanced",
    training: Literal["habitats", "varying"] = "habitats",
    period: int = 20,
    population_size: int = 200,
    generations: int = 600,
    width: float = 0.5,
    response_generations: int = 150,
    mutational_trace: float = 0.02,
    weight_mutation: float = 0.1,
    chosen: Mapping[str, Organism] | None = None,
    progress: bool = False,
) -> Generalisation:
    """Evolve organisms on half of a family of targets; let them respond to the rest, and off it.

    Args:
        seeds: One repetition a seed: which targets are seen, the ancestor, all draws.
        modules: Modules of traits; the family has 2^modules targets.
        traits: Number of traits, a multiple of `modules`.
        loci: Number of loci.
        split: `balanced`: the seen half is one of the two in which every module and every pair of
            modules is balanced (even or odd parity, by seed), so that only modularity tells of the
            unseen half. `random`: any half; its chance correlations between modules mislead.
        training: `habitats`: the targets are met side by side, weights shared and alleles each its
            own. `varying`: one target after the other, at random, on one set of alleles (modularly
            varying goals).
        period: Generations between switches of a varying goal.
        population_size: Individuals, in evolution and in response.
        generations: Generations of evolution.
        width: Width of the fitness peak in evolution, trait units; in response it is 1.
        response_generations: Generations of the response.
        mutational_trace: Trace of M of every population, squared trait units a generation.
        weight_mutation: Mutational step of a weight over that of an allele.
        chosen: Organisms by name; `organisms(...)` by default.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: An argument is unfit.
    """
    one_of("split", split, ["balanced", "random"])
    one_of("training", training, ["habitats", "varying"])
    if not len(seeds):
        raise ValueError("seeds must hold at least one seed, got none")
    family = modular_targets(modules, traits)
    responses: dict[tuple[str, str], list[Response]] = {}
    for seed in tqdm(list(seeds), disable=not progress):
        rng = np.random.default_rng(seed)
        half = torch.from_numpy(rng.permutation(len(family)) < len(family) // 2)
        if split == "balanced":
            half = family[:, :: traits // modules].prod(1) > 0
            half = ~half if seed % 2 else half
        seen, unseen = family[half], family[~half]
        off = torch.tensor(rng.choice([-1.0, 1.0], unseen.shape), dtype=family.dtype)
        niches: Niche | Schedule = Niche(seen, width)
        if training == "varying":
            goals = tuple(Niche(target, width, name=f"goal {i}") for i, target in enumerate(seen))
            niches = Schedule(goals, period, "random", seed)
        for name, organism in (chosen or organisms(loci, traits, seed)).items():
            lineage = evolve(
                organism.formalization, niches, population_size, generations, seed,
                loci=loci, fixed=organism.fixed, record_every=generations,
            )  # fmt: skip
            for arm, targets in zip(ARMS, (unseen, off), strict=True):
                response = respond(
                    lineage, targets, population_size=population_size,
                    generations=response_generations, mutational_trace=mutational_trace,
                    weight_mutation=weight_mutation, seed=seed,
                )  # fmt: skip
                responses.setdefault((name, arm), []).append(response)
    return Generalisation(responses)
