from dataclasses import dataclass

import pyro.distributions as dist
import pytest
import torch

from genomic_code.spec import NOISES, Factor, Shape
from genomic_code.spec.noise import Normal
from genomic_code.spec.priors import baseline, baseline_traits, sample
from tests import conformance

CASES = conformance.cases()
every_formalization = pytest.mark.parametrize("name", list(CASES))
every_noise = pytest.mark.parametrize("noise", list(NOISES))
CHECKS = {
    check.__name__: check
    for check in (
        conformance.check_sites,
        conformance.check_seeds,
        conformance.check_masks,
        conformance.check_gradients,
        conformance.check_batching,
    )
}
SIZES = {
    "one locus": Shape(20, 1, 2, 4),
    "one trait": Shape(20, 6, 2, 1),
    "one individual": Shape(1, 6, 2, 4),
    "no environment": Shape(20, 6, 0, 4),
    "two loci, fewer traits than latents": Shape(20, 2, 1, 2),
}
"""Unusual sizes: each works, or the formalization says why not."""


@every_noise
@every_formalization
@pytest.mark.parametrize("check", list(CHECKS))
def test_with_every_noise(check, name, noise):
    CHECKS[check](conformance.with_noise(CASES[name], noise))


@every_formalization
def test_development_is_pure(name):
    conformance.check_development(CASES[name])


@every_formalization
def test_relabelling(name):
    conformance.check_relabelling(CASES[name])


@every_formalization
def test_precision(name):
    conformance.check_precision(CASES[name])


@every_noise
def test_precision_of_noise(noise):
    conformance.check_precision(conformance.with_noise(CASES["factor"], noise))


@every_noise
def test_relabelling_with_every_noise(noise):
    conformance.check_relabelling(conformance.with_noise(CASES["factor"], noise))


@every_formalization
def test_priors_follow_their_density(name):
    conformance.check_priors(CASES[name])


@every_noise
def test_phenotypes_follow_their_density(noise):
    conformance.check_priors(conformance.with_noise(CASES["null"], noise))
    conformance.check_goodness_of_fit(conformance.with_noise(CASES["null"], noise))


@pytest.mark.slow
@every_noise
@every_formalization
def test_phenotypes_follow_their_density_in_every_formalization(name, noise):
    conformance.check_goodness_of_fit(conformance.with_noise(CASES[name], noise), 20_001)


@every_formalization
def test_docstrings_name_the_sites(name):
    conformance.check_statement(CASES[name])


@every_formalization
def test_hyperparameters_are_documented(name):
    conformance.check_hyperparameters(CASES[name])


@every_formalization
@pytest.mark.parametrize("size", list(SIZES))
def test_unusual_sizes(name, size):
    check_size_or_reason(name, SIZES[size])


@every_formalization
def test_twenty_thousand_loci(name):
    check_size_or_reason(name, Shape(10, 20_000, 1, 2))


def check_size_or_reason(name, shape):
    """Either the sizes work, or a ValueError says what is wrong with them."""
    try:
        CASES[name].weights(shape)
    except ValueError:
        with pytest.raises(ValueError, match=f"{CASES[name].name}.*got"):
            CASES[name].weights(shape)
    else:
        conformance.check_size(CASES[name], shape)


# The suite itself: each broken formalization must be caught.


@dataclass(frozen=True)
class Honest(Factor):
    """Honest: a formalization that keeps the contract.

        eta_n = mu + E_n D + x_n A V

    Sites: mu mean; D environment_effect; A encoder; V decoder
    Claims: nothing.  Rivals: none.  Special case: none.  Refuted by: nothing.
    """

    def weights(self, shape):
        encoder = sample("encoder", dist.Normal(0.0, 1.0), {"locus": shape.loci, "latent": 2})
        decoder = sample("decoder", dist.Normal(0.0, 1.0), {"latent": 2, "trait": shape.traits})
        return {**baseline(shape), "encoder": encoder, "decoder": decoder}


class Transposing(Honest):
    """Turns all dimensions round, batch dimensions too."""

    def develop(self, weights, genotype, environment):
        return baseline_traits(weights, environment) + (
            weights["decoder"].permute(*reversed(range(weights["decoder"].dim())))
            @ (genotype @ weights["encoder"]).mT
        ).permute(*reversed(range(genotype.dim())))


class Summing(Honest):
    """Sums over draws."""

    def develop(self, weights, genotype, environment):
        return super().develop(weights, genotype, environment) + weights["decoder"].sum()


class Centred(Honest):
    """A prior that depends on another site."""

    def weights(self, shape):
        scale = sample("scale", dist.HalfNormal(1.0), {})
        decoder = {"latent": 2, "trait": shape.traits}
        return {**super().weights(shape), "other": sample("x", dist.Normal(0.0, scale), decoder)}


class Noisy(Honest):
    """Development by chance."""

    def develop(self, weights, genotype, environment):
        traits = super().develop(weights, genotype, environment)
        return traits + 0.1 * torch.randn_like(traits)


class Ordered(Honest):
    """Reads the places of loci and traits."""

    def develop(self, weights, genotype, environment):
        places = torch.arange(genotype.shape[-1], dtype=genotype.dtype)
        return super().develop(weights, genotype * places, environment)


class Neighbourly(Honest):
    """An individual's traits depend on the order of the others."""

    def develop(self, weights, genotype, environment):
        return super().develop(weights, genotype + genotype.roll(1, -2), environment)


class Fixed(Honest):
    """Makes float32 numbers whatever the default."""

    def develop(self, weights, genotype, environment):
        return super().develop(weights, genotype, environment).float()


class Undefined(Honest):
    """Its gradient is infinite where a weight is negative."""

    def develop(self, weights, genotype, environment):
        return super().develop(
            {**weights, "decoder": weights["decoder"].sqrt()}, genotype, environment
        )


class Undescribed(Honest):
    """Undescribed: its docstring lacks a site.

        eta_n = mu + E_n D + x_n A V

    Sites: mu mean; D environment_effect; A encoder; V decoder
    Claims: nothing.  Rivals: none.  Special case: none.  Refuted by: nothing.
    """

    def weights(self, shape):
        return {**super().weights(shape), "more": sample("more", dist.Normal(0.0, 1.0), {"new": 3})}


class Misdrawn(Normal):
    """A distribution whose draws do not follow its density."""

    def distribution(self, expected, parameters, data):
        return Narrow(expected, 1.0)


class Narrow(dist.Normal):
    def rsample(self, *shape):
        return super().rsample(*shape) * 0.9


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        ("check_batching", Transposing()),
        ("check_batching", Summing()),
        ("check_sites", Centred()),
        ("check_development", Noisy()),
        ("check_relabelling", Ordered()),
        ("check_relabelling", Neighbourly()),
        ("check_precision", Fixed()),
        ("check_gradients", Undefined()),
        ("check_statement", Undescribed()),
        ("check_goodness_of_fit", Honest(noise=Misdrawn())),
    ],
)
def test_broken_formalizations_are_caught(check, broken):
    getattr(conformance, check)(Honest())
    with pytest.raises((AssertionError, RuntimeError, ValueError)):
        getattr(conformance, check)(broken)
