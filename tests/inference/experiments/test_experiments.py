"""The learning experiments, and genomes whose mutation has no preferred direction."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch

from genomic_code.inference.evolve import evolve
from genomic_code.inference.experiments import (
    bottleneck,
    generalisation,
    memory,
    organisms,
    respond,
)
from genomic_code.inference.experiments.memory import half_time
from genomic_code.inference.experiments.response import Response
from genomic_code.inference.niche import Niche
from genomic_code.inference.schedule import modular_targets
from genomic_code.spec import Cohort, Factor

mpl.use("Agg")


def test_direct_encoding_mutates_in_all_directions_alike() -> None:
    family = modular_targets(2, 8)
    organism = organisms(16, 8, 0)["blueprint, equal effects"]
    lineage = evolve(
        organism.formalization, Niche(family[:2]), 50, 2, loci=16, fixed=organism.fixed
    )
    response = respond(lineage, family, population_size=50, generations=40, seed=1)
    # 256 probes with 8 directions: standard error of e_M over its mean about sqrt(2 / 256).
    assert np.abs(response.evolvability - 1).max() < 4 * (2 / 256) ** 0.5
    assert response.distance.shape == (41, 4)
    np.testing.assert_allclose(response.distance[0], 1, atol=1e-5)
    assert response.distance[-1].max() < 0.9
    # Additive development: the step that gives the trace of M its value never changes.
    spread = response.step.std() / response.step.mean()
    assert spread < 0.1


def test_responses_are_reproducible() -> None:
    lineage = evolve("factor", Niche(torch.ones(1, 4)), 20, 3, loci=6)
    one, two, other = (
        respond(lineage, torch.ones(2, 4), population_size=20, generations=5, seed=seed)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one.distance, two.distance)
    assert (one.distance != other.distance).any()


def test_generalisation_is_reported_by_organism_and_arm() -> None:
    chosen = organisms(8, 4, 0)
    some = {name: chosen[name] for name in ("generative", "blueprint")}
    result = generalisation(
        seeds=[0, 1], modules=2, traits=4, loci=8, population_size=20, generations=10,
        response_generations=8, chosen=some,
    )  # fmt: skip
    frame = result.frame
    assert list(frame.index.unique("organism")) == ["generative", "blueprint"]
    assert list(frame.index.unique("arm")) == ["same family", "off family"]
    assert np.isfinite(frame.to_numpy(float)).all()
    ratio, spread = result.speed("generative", "blueprint", "same family")
    assert ratio > 0
    assert spread >= 0
    assert (frame["fitness_half_time"] <= frame["half_time"]).all()
    assert result.speed("generative", "generative", "off family", "fitness_half_time") == (1, 0)
    axes = result.plot()
    assert [ax.get_title() for ax in axes] == ["same family", "off family"]
    mpl.pyplot.close("all")


def test_times_to_a_share_of_the_distance() -> None:
    squared = np.array([[1.0, 1.0], [0.5, 0.9], [0.25, 0.8], [0.01, 0.7]])
    response = Response(squared, np.ones(2), np.ones((4, 2)))
    np.testing.assert_array_equal(response.half_time, [2, 3])
    np.testing.assert_array_equal(response.fitness_half_time, [1, 3])
    np.testing.assert_array_equal(response.time_to(0.1), [3, 3])


def test_evolved_alleles_are_those_of_one_condition() -> None:
    lineage = evolve("factor", Niche(torch.ones(2, 4)), 20, 2, loci=6)
    with pytest.raises(ValueError, match=r"alleles must be 'neutral' .* 2 conditions"):
        respond(lineage, torch.ones(2, 4), alleles="evolved")
    with pytest.raises(ValueError, match="alleles must be one of neutral, evolved, got 'old'"):
        respond(lineage, torch.ones(2, 4), alleles="old")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments", [{"split": "half"}, {"training": "both"}, {"traits": 7}, {"seeds": []}]
)
def test_bad_arguments_are_refused(arguments: dict[str, object]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=name):
        generalisation(**{"seeds": [0], **arguments})  # type: ignore[arg-type]


def test_half_times_are_interpolated() -> None:
    assert half_time(np.array([-4.0, -3.0, -1.0, 0.0])) == pytest.approx(1.5)
    assert half_time(np.array([-4.0, -3.9])) == 2.0
    assert half_time(np.array([-4.0, -2.0])) == 1.0


NICHES = [
    Niche([1.0, 1.0, 1.0, 1.0], name="one"),
    Niche([1.0, 1.0, -1.0, -1.0], name="other"),
    Niche([-1.0, 1.0, 1.0, -1.0], name="unseen"),
]


def test_memory_is_reported_for_the_niche_that_was_met_and_the_one_that_was_not() -> None:
    result = memory(
        Factor(latents=2), *NICHES, seeds=(0, 1), cycles=2, period=4, loci=6, replicates=2,
        response_generations=5,
    )  # fmt: skip
    assert result.half_times.shape == (2, 4)
    assert result.lineages[0].dataset["niche"].values[-1] == "other"
    frame = result.frame
    assert list(frame.index) == ["met before", "never met"]
    assert np.isfinite(frame.to_numpy()).all()
    assert {"half_time", "fitness_half_time", "evolvability"} < set(frame.columns)
    left, right = result.plot()
    assert left.get_xlabel() == "arrival in a niche"
    assert len(right.get_legend().get_texts()) == 2
    mpl.pyplot.close("all")


@pytest.mark.parametrize(
    ("niches", "options", "message"),
    [
        (NICHES, {"cycles": 0}, "cycles must be at least 1, got 0"),
        (NICHES, {"seeds": ()}, "seeds must be at least 1, got 0"),
        ([NICHES[0], NICHES[1], Niche([-1.0, -1.0, 1.0, 1.0])], {}, "equally far .* 2.83 and 4"),
        ([Niche(torch.ones(2, 4))] * 3, {}, "one condition"),
        (NICHES, {"weight_rate": 0.0}, r"weight_rate must be in \(0, 1\], got 0"),
        (NICHES, {"population_size": -1}, "population_size must be an integer"),
    ],
)
def test_bad_memories_are_refused(
    niches: list[Niche], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        memory("factor", *niches, **options)


@pytest.mark.slow
def test_a_lineage_that_alternates_remembers_the_niche_that_it_left() -> None:
    one, other = [1.0] * 4 + [-1.0] * 4, [1.0, 1.0, -1.0, -1.0] * 2
    unseen = [-1.0, 1.0, 1.0, -1.0] * 2
    result = memory(
        Factor(latents=3), Niche(one), Niche(other), Niche(unseen), seeds=(200, 201), replicates=4,
        response_generations=100, loci=20,
    )  # fmt: skip
    met, never = (result.frame.loc[name] for name in ("met before", "never met"))
    assert met["evolvability"] > 2 * never["evolvability"]
    assert met["half_time"] < 0.7 * never["half_time"]
    assert result.half_times[:, -5:].mean() < 0.8 * result.half_times[:, :5].mean()


@pytest.mark.slow
def test_a_wider_bottleneck_lets_more_bits_pass(cohort: Cohort) -> None:
    result = bottleneck(
        cohort, (1, 4), folds=2, hidden=8, draws=20, restarts=1, steps=40, progress=False
    )
    assert set(result.curve.index) == {1, 4}
    assert {"bits", "bits_se", "heldout", "heldout_low", "frontier"} <= set(result.curve.columns)
    assert len(result.fits[4]) == 2
    ax = result.plot()
    assert "bits" in ax.get_xlabel()
    mpl.pyplot.close("all")


def test_bad_bottlenecks_are_refused(cohort: Cohort) -> None:
    with pytest.raises(ValueError, match="genes must hold at least one"):
        bottleneck(cohort, ())
    with pytest.raises(ValueError, match="genes must be at most hidden = 8, got 9"):
        bottleneck(cohort, (9,), hidden=8)


@pytest.mark.slow
def test_a_generative_genome_generalises_within_the_family_and_not_off_it() -> None:
    chosen = organisms(32, 16, 0)
    some = {name: chosen[name] for name in ("generative", "blueprint, equal effects")}
    result = generalisation(seeds=[0, 1, 2], response_generations=120, chosen=some)
    frame = result.frame
    assert frame.loc[("generative", "same family"), "evolvability"] > 3
    assert result.speed("generative", "blueprint, equal effects", "same family")[0] > 2
    assert result.speed("generative", "blueprint, equal effects", "off family")[0] < 1
