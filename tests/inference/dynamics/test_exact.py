"""Exact correspondences of evolution and inference, float64, to 1e-10 or better."""

import math
from collections.abc import Callable, Iterator

import networkx as nx
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions.testing.fakes import NonreparameterizedNormal
from pyro.infer import Trace_ELBO, TraceEnum_ELBO, config_enumerate
from torch import Tensor

from genomic_code.inference.dynamics import (
    Drift,
    FixationChain,
    Gaussian,
    GenotypeSpace,
    Lande,
    NaturalGradient,
    Replicator,
    run,
    score_gradient,
    selection_differential,
)
from genomic_code.inference.genome import AlleleGenome, TraitGenome
from genomic_code.inference.niche import Directional, Niche
from genomic_code.spec import Generative
from genomic_code.spec.protocols import Shape

EXACT = {"atol": 1e-10, "rtol": 1e-10}


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    pyro.clear_param_store()
    yield
    torch.set_default_dtype(torch.float32)


class Landscape:
    """Any log fitness of one trait."""

    name, genotype, conditions, traits = "landscape", None, 1, 1

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.environment = torch.zeros(1, 0)

    def log_fitness(self, traits: Tensor) -> Tensor:
        return self.function(traits[..., 0, 0])


SURFACES = {
    "stabilising": lambda x: -0.5 * (x - 1.5) ** 2 / 2.0,
    "sigmoid": lambda x: torch.nn.functional.logsigmoid(2 * x - 1),
    "disruptive": lambda x: torch.log(0.2 + x**2),
    "bimodal": lambda x: torch.logaddexp(-((x - 2) ** 2), -0.3 - ((x + 1) ** 2) / 1.4),
}


@pytest.fixture
def space() -> GenotypeSpace:
    """The 32 genotypes of five biased loci, developed by a generative formalization."""
    torch.manual_seed(3)
    model = Generative(latents=2, hidden=4)
    weights = model.weights(Shape(10, 5, 0, 3))
    bias = torch.tensor([0.5, 0.3, 0.6, 0.7, 0.45])
    return GenotypeSpace.hypercube(AlleleGenome(model, weights, 5, bias))


@pytest.fixture
def niche() -> Niche:
    return Niche([0.8, -0.5, 0.3], width=0.7)


def enumerated(log_prior: Tensor, log_weight: Tensor) -> tuple[float, Tensor]:
    """Log evidence and posterior of a genotype with a likelihood, by Pyro's enumeration."""

    @config_enumerate
    def model() -> None:
        genotype = pyro.sample("genotype", dist.Categorical(logits=log_prior))
        pyro.factor("selection", log_weight[genotype])

    elbo = TraceEnum_ELBO(max_plate_nesting=0)
    marginals = elbo.compute_marginals(model, lambda: None)
    return -elbo.loss(model, lambda: None), marginals["genotype"].probs


def test_replicator_step_is_bayes_rule(space: GenotypeSpace, niche: Niche) -> None:
    rule = Replicator(space)
    state = rule.step(rule.start(), niche)
    evidence, posterior = enumerated(space.log_prior, space.log_fitness(niche))
    torch.testing.assert_close(state.log_frequency.exp(), posterior, **EXACT)
    assert state.log_evidence == pytest.approx(evidence, abs=1e-10)


def test_mutation_and_selection_are_the_filter_of_a_hidden_markov_model(
    space: GenotypeSpace,
) -> None:
    niches = [Niche(torch.randn(3), width=0.8) for _ in range(7)]
    rule = Replicator(space, mutation_rate=0.03)
    start = rule.start(torch.rand(32))
    end, lineage = run(rule, start, niches, 7)

    class Selected(dist.TorchDistribution):
        """An observation whose likelihood is the fitness of each hidden genotype."""

        arg_constraints: dict[str, object] = {}  # noqa: RUF012
        support = dist.constraints.real

        def __init__(self) -> None:
            self.table = torch.stack([space.log_fitness(niche) for niche in niches])
            super().__init__(self.table.shape)

        def log_prob(self, value: Tensor) -> Tensor:
            return self.table + 0 * value

        def expand(self, shape: torch.Size) -> "Selected":
            return self

    hidden = dist.DiscreteHMM(
        start.log_frequency, space.mutation(0.03).log(), Selected(), duration=7
    )
    nothing = torch.zeros(7)
    posterior = hidden.filter(nothing)
    torch.testing.assert_close(end.log_frequency.exp(), posterior.probs, **EXACT)
    assert end.log_evidence == pytest.approx(float(hidden.log_prob(nothing)), abs=1e-10)
    assert len(lineage) == 8


def posterior_moments(landscape: Landscape, mean: float, variance: float) -> tuple[float, float]:
    """Mean and variance after selection of a normal population, by the trapezoidal rule."""
    x = mean + math.sqrt(variance) * torch.linspace(-14, 14, 200_001)
    log_q = -0.5 * (x - mean) ** 2 / variance
    q = (log_q + landscape.function(x)).softmax(0)
    after = float((q * x).sum())
    return after, float((q * (x - after) ** 2).sum())


@pytest.mark.parametrize("surface", SURFACES)
def test_lande_response_and_covariance_are_those_of_the_posterior(surface: str) -> None:
    landscape = Landscape(SURFACES[surface])
    state = Gaussian(torch.tensor([0.4]), torch.tensor([[0.6]]))
    after = Lande(TraitGenome(1)).step(state, landscape)
    mean, variance = posterior_moments(landscape, 0.4, 0.6)
    assert float(after.mean) == pytest.approx(mean, abs=1e-10)
    assert float(after.covariance) == pytest.approx(variance, abs=1e-10)


def test_lande_response_is_a_natural_gradient_step() -> None:
    mean, covariance = torch.tensor([0.4, -0.3]), torch.tensor([[0.6, 0.2], [0.2, 0.5]])
    state = Gaussian(mean, covariance)
    niche = Niche([1.0, 0.5], width=0.9)
    start = torch.distributions.MultivariateNormal(mean, covariance)

    def divergence(moved: Tensor) -> Tensor:
        other = torch.distributions.MultivariateNormal(moved, covariance)
        return torch.distributions.kl_divergence(other, start)

    fisher = torch.autograd.functional.hessian(divergence, mean)
    m = mean.clone().requires_grad_()
    total = covariance + 0.81 * torch.eye(2)
    height = -0.5 * (m - niche.target[0]) @ torch.linalg.solve(total, m - niche.target[0])
    (gradient,) = torch.autograd.grad(height, m)
    after = Lande(TraitGenome(2)).step(state, niche)
    expected = mean + torch.linalg.solve(fisher, gradient)
    torch.testing.assert_close(after.mean, expected, **EXACT)


def test_natural_parameter_step_of_length_one_is_replicator_for_quadratic_log_fitness() -> None:
    mean, covariance = torch.tensor([0.4, -0.3]), torch.tensor([[0.6, 0.2], [0.2, 0.5]])
    state, target = Gaussian(mean, covariance), torch.tensor([1.0, 0.5])
    variance = torch.tensor([0.8, 1.7])
    niche = Niche(target, width=variance.sqrt())
    inferred = NaturalGradient(TraitGenome(2)).step(state, niche)
    precision = torch.linalg.inv(covariance) + torch.diag(1 / variance)
    shifted = torch.linalg.inv(covariance) @ mean + target / variance
    torch.testing.assert_close(torch.linalg.inv(inferred.covariance), precision, **EXACT)
    torch.testing.assert_close(inferred.mean, torch.linalg.solve(precision, shifted), **EXACT)
    evolved = Lande(TraitGenome(2)).step(state, niche)
    torch.testing.assert_close(evolved.mean, inferred.mean, **EXACT)
    torch.testing.assert_close(evolved.covariance, inferred.covariance, **EXACT)


@pytest.mark.parametrize("ratio", [0.01, 0.1, 1.0, 10.0])
def test_lande_over_elbo_step_is_v_over_g_plus_v(ratio: float) -> None:
    state, niche = Gaussian(torch.zeros(1), torch.tensor([[ratio]])), Niche([1.0], width=1.0)
    lande = Lande(TraitGenome(1), fixed_covariance=True).step(state, niche)
    elbo = Lande(TraitGenome(1), selection_on="mean_log", fixed_covariance=True).step(state, niche)
    assert float(lande.mean / elbo.mean) == pytest.approx(1 / (1 + ratio), abs=1e-10)


def test_price_equation(space: GenotypeSpace, niche: Niche) -> None:
    q = torch.rand(32).softmax(0)
    z = space.genome.traits(space.genomes, niche)[:, 0, 1]
    w, mutation = space.log_fitness(niche).exp(), space.mutation(0.05)
    rule = Replicator(space)
    after = rule.step(rule.start(q), niche).log_frequency.exp() @ mutation
    mean_w = q @ w
    covariance = q @ (w * z) - mean_w * (q @ z)
    transmission = q @ (w * (mutation @ z - z))
    change = (covariance + transmission) / mean_w
    assert float(after @ z - q @ z) == pytest.approx(float(change), abs=1e-12)


def test_fisher_theorem(space: GenotypeSpace, niche: Niche) -> None:
    q, fitness = torch.rand(32).softmax(0), space.log_fitness(niche)
    w = fitness.exp()
    rule = Replicator(space)
    after = rule.step(rule.start(q), niche).log_frequency.exp()
    variance = q @ w**2 - (q @ w) ** 2
    assert float(after @ w - q @ w) == pytest.approx(float(variance / (q @ w)), abs=1e-12)

    def flow(time: Tensor) -> Tensor:
        return (q.log() + time * fitness).softmax(0)

    time = torch.zeros((), requires_grad=True)
    (speed,) = torch.autograd.grad(flow(time) @ fitness, time)
    assert float(speed) == pytest.approx(float(q @ fitness**2 - (q @ fitness) ** 2), abs=1e-12)
    moved = flow(torch.tensor(0.3))
    jeffreys = ((moved - q) * (moved / q).log()).sum()
    assert float(jeffreys) == pytest.approx(0.3 * float((moved - q) @ fitness), abs=1e-12)


CONVENTIONS = [
    (Drift(9, "moran"), 8),
    (Drift(9, "wright_fisher"), 16),
    (Drift(9, "wright_fisher", "diploid"), 17),
    (Drift(9, "wright_fisher", "diploid", "allele"), 34),
    (Drift(9, "moran", "diploid", "allele"), 17),
    (Drift(9, "moran", "diploid"), 8.5),
]


@pytest.mark.parametrize(("drift", "nu"), CONVENTIONS)
def test_fixation_chain_rests_at_the_tempered_posterior(
    space: GenotypeSpace, niche: Niche, drift: Drift, nu: float
) -> None:
    assert drift.nu == nu
    mild = Niche(niche.target, width=3.0)
    chain = FixationChain(space, drift, mutation_rate=1e-3)
    _, posterior = enumerated(space.log_prior, nu * space.log_fitness(mild))
    torch.testing.assert_close(chain.stationary(mild), posterior, **EXACT)
    torch.testing.assert_close(chain.posterior(mild).exp(), posterior, **EXACT)
    rest = chain.step(chain.start(posterior), mild)
    torch.testing.assert_close(rest.log_frequency.exp(), posterior, **EXACT)


@pytest.mark.parametrize(("drift", "nu"), CONVENTIONS)
def test_fixation_probabilities_are_in_detailed_balance(drift: Drift, nu: float) -> None:
    s = torch.linspace(0.001, 3, 50)
    ratio = drift.fixation(s).log() - drift.fixation(-s).log()
    torch.testing.assert_close(ratio, nu * s, **EXACT)
    assert float(drift.fixation(torch.zeros(()))) == pytest.approx(1 / drift.copies, abs=1e-15)
    extreme = drift.fixation(torch.tensor([-1e4, 1e4]))
    torch.testing.assert_close(extreme, torch.tensor([0.0, 1.0]), **EXACT)


def test_moran_formula_is_that_of_the_birth_death_chain() -> None:
    size, s = 20, 0.17
    up = np.exp(-s * np.arange(1, size)).cumsum()
    by_hand = 1 / (1 + up[-1])
    assert float(Drift(size, "moran").fixation(torch.tensor(s))) == pytest.approx(
        by_hand, abs=1e-13
    )


def test_chain_accepts_any_reversible_graph() -> None:
    graph = nx.Graph()
    graph.add_nodes_from((name, {"traits": [value]}) for name, value in zip("abcd", range(4)))  # noqa: B905
    graph.add_edges_from([("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])
    space = GenotypeSpace.from_graph(graph)
    chain = FixationChain(space, Drift(11, "moran"))
    niche = Directional([0.1])
    expected = (torch.arange(4) * 0.1 * 10).softmax(0)
    torch.testing.assert_close(chain.stationary(niche), expected, **EXACT)


def test_log_mean_fitness_is_the_most_any_law_reaches(space: GenotypeSpace, niche: Niche) -> None:
    q, fitness = torch.rand(32).softmax(0), space.log_fitness(niche)

    def free(law: Tensor) -> Tensor:
        return law @ fitness - (law * (law / q).log()).sum(-1)

    rule = Replicator(space)
    after = rule.step(rule.start(q), niche)
    assert float(free(after.log_frequency.exp())) == pytest.approx(after.log_evidence, abs=1e-12)
    others = torch.distributions.Dirichlet(torch.ones(32)).sample((5000,))
    assert (free(others) < after.log_evidence).all()


def test_free_fitness_never_falls_along_the_fixation_chain(
    space: GenotypeSpace, niche: Niche
) -> None:
    chain = FixationChain(space, Drift(15), mutation_rate=1e-3, generations=40)
    start = chain.start(torch.rand(32) ** 4)
    _, lineage = run(chain, start, niche, 400)
    free = lineage.dataset["free_fitness"].values
    assert (np.diff(free) > -1e-12).all()
    limit = float((space.log_prior + 28 * space.log_fitness(niche)).logsumexp(0)) / 28
    assert free[-1] == pytest.approx(limit, abs=1e-6)


def test_free_fitness_may_fall_along_the_replicator_mutator(
    space: GenotypeSpace, niche: Niche
) -> None:
    rule = Replicator(space, mutation_rate=0.05)
    _, lineage = run(rule, rule.start(torch.rand(32) ** 4), niche, 60)
    data = lineage.dataset
    free = data["expected_log_fitness"] - math.log(2) * data["information"]
    assert (np.diff(free.values) < 0).any()


def test_score_gradient_of_the_elbo_is_the_evolution_strategy() -> None:
    niche, mean = Niche([0.5, -1.0, 0.3], width=0.8), torch.tensor([0.1, 0.2, -0.4])
    scale = 0.3
    genome = TraitGenome(3)

    def model() -> None:
        x = pyro.sample("x", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        pyro.factor("selection", niche.log_fitness(x[None]))

    def guide() -> None:
        location = pyro.param("location", mean.clone())
        pyro.sample("x", NonreparameterizedNormal(location, scale).to_event(1))

    for seed in range(20):
        pyro.set_rng_seed(seed)
        mutant = pyro.poutine.trace(guide).get_trace().nodes["x"]["value"].detach()
        pyro.set_rng_seed(seed)
        location = pyro.param("location")
        location.unconstrained().grad = None
        Trace_ELBO().loss_and_grads(model, guide)
        log_q = torch.distributions.Normal(mean, scale).log_prob(mutant).sum()
        height = niche.log_fitness(mutant[None]) + genome.log_prior(mutant) - log_q
        expected = score_gradient(mutant[None], height[None], mean, scale, baseline=False)
        torch.testing.assert_close(-location.unconstrained().grad, expected, **EXACT)


def test_selection_differential_is_the_score_gradient_of_log_mean_fitness() -> None:
    niche, mean, scale = Niche([0.5, -1.0], width=0.8), torch.tensor([0.1, 0.2]), 0.3
    mutants = mean + scale * torch.randn(200, 2)
    fitness = niche.log_fitness(mutants[:, None])
    m = mean.clone().requires_grad_()
    log_q = torch.distributions.Normal(m, scale).log_prob(mutants).sum(1)
    estimate = (fitness + log_q - log_q.detach()).logsumexp(0)
    (gradient,) = torch.autograd.grad(estimate, m)
    torch.testing.assert_close(
        selection_differential(mutants, fitness, mean), scale**2 * gradient, **EXACT
    )
