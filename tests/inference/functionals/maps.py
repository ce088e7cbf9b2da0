"""Maps with known weights, for the tests of this folder."""

import itertools

import torch

from genomic_code.inference.flat import FlatModel, compose
from genomic_code.inference.functionals.map import Map
from genomic_code.spec import Blueprint, resolve
from genomic_code.spec.protocols import Shape


def standard_genotype(individuals, loci, seed=0):
    x = torch.randn(individuals, loci, generator=torch.Generator().manual_seed(seed))
    x = x - x.mean(0)
    return x / x.std(0, correction=0)


def prior_map(name, individuals=60, loci=7, covariates=2, traits=4, draws=5, seed=0, **options):
    """A map under draws from the prior, which is as good as any posterior for identities."""
    formalization = resolve(name) if isinstance(name, str) else name
    example = getattr(formalization, "example_shape", None)
    if example is not None:  # its loci and traits have a meaning
        loci, traits = example.loci, example.traits
    shape = Shape(individuals, loci, covariates, traits)
    flat = FlatModel(formalization, shape)
    generator = torch.Generator().manual_seed(seed)
    values, _ = flat.unpack(torch.randn(draws, flat.dim, generator=generator))
    weights, parameters = compose(formalization, values, shape)
    environment = torch.randn(individuals, covariates, generator=generator)
    genotype = options.get("genotype", standard_genotype(individuals, loci, seed))
    noise = parameters["noise_scale"].square()
    return Map(formalization, weights, genotype, environment[: len(genotype)], noise)


def additive_map(effects, genotype, environment=None):
    """f(x) = x B, `effects` `(S, L, T)`."""
    effects = torch.as_tensor(effects)
    weights = {"mean": torch.zeros(len(effects), effects.shape[-1]), "effects": effects}
    if environment is None:
        environment = torch.zeros(len(genotype), 0)
    return Map(Blueprint(), weights, genotype, environment)


def hypercube(loci):
    """All 2^L haploid genotypes, coded -1 and 1: independent loci in standard units."""
    return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=loci)))
