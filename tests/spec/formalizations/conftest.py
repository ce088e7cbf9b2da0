"""Small cohorts, prior draws and log joints, straight from Pyro."""

import pyro
import pytest
import torch
from pyro import poutine

from genomic_code.spec.protocols import Data


@pytest.fixture
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def small_data():
    """Cohorts of independent standard normal entries, a tenth of the cells missing."""

    def build(individuals=9, loci=5, environments=2, traits=3, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(*shape, generator=generator)

        phenotype = normal(individuals, traits)
        observed = torch.rand(individuals, traits, generator=generator) > 0.1
        return Data(
            normal(individuals, loci),
            normal(individuals, environments),
            phenotype * observed,
            observed,
            normal(individuals, traits).abs() * 0.1,
        )

    return build


@pytest.fixture
def prior_sites():
    """Values of all latent sites, stacked over draws from the prior, and the sites' dimensions."""

    def draw(formalization, data, draws, seed=0):
        pyro.set_rng_seed(seed)
        traces = [poutine.trace(formalization).get_trace(data) for _ in range(draws)]
        nodes = [trace.nodes for trace in traces]
        names = [name for name in traces[0].stochastic_nodes if name != "individuals"]
        dims = {name: nodes[0][name]["infer"]["dims"] for name in names}
        return {name: torch.stack([n[name]["value"] for n in nodes]) for name in names}, dims

    return draw


@pytest.fixture
def log_joint():
    """Log density of the phenotype and all latent sites, one number a draw."""

    def evaluate(formalization, data, values):
        model = poutine.condition(formalization, data=values)
        nodes = poutine.trace(model).get_trace(data).nodes
        total = torch.zeros(())
        for name, node in nodes.items():
            if node["type"] != "sample" or name == "individuals":
                continue
            term = node["fn"].log_prob(node["value"])
            total = total + (term.sum(-1) if name == "phenotype" else term)
        return total

    return evaluate
