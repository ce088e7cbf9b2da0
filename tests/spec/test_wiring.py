import networkx as nx
import pytest
import torch
from pyro import poutine

from genomic_code.spec import Factor, Shape, Wired
from genomic_code.spec.graphs import feed_forward, modular, random
from genomic_code.spec.wiring import mask_and_sign, to_graph

SIZES = {"latent": 2, "trait": 3}


def wired_graph():
    graph = nx.DiGraph()
    graph.add_edge("latent_0", "trait_0")
    graph.add_edge("latent_0", "trait_2", sign=-1)
    graph.add_edge("latent_1", "trait_1", sign=1)
    return graph


def run(prior, sizes, seed=0):
    torch.manual_seed(seed)
    return poutine.trace(lambda: prior("decoder", sizes)).get_trace()


def test_edges_are_the_weights_and_signs_hold():
    for seed in range(20):
        weights = run(Wired(wired_graph()), SIZES, seed).nodes["_RETURN"]["value"]
        assert (weights != 0).tolist() == [[True, False, True], [False, True, False]]
        assert weights[0, 2] < 0 < weights[1, 1]


def test_one_site_entry_an_edge_and_no_rotation():
    trace = run(Wired(wired_graph()), SIZES)
    assert {name: trace.nodes[name]["value"].shape for name in trace.stochastic_nodes} == {
        "decoder": (1,),
        "decoder_signed": (2,),
    }
    assert not any(trace.nodes[n]["infer"].get("isotropic") for n in trace.stochastic_nodes)


def test_values_land_on_their_edges():
    values = {"decoder": torch.tensor([2.0]), "decoder_signed": torch.tensor([3.0, 5.0])}
    prior = poutine.condition(Wired(wired_graph(), balanced=False), values)
    assert prior("decoder", SIZES).tolist() == [[2.0, 0.0, -3.0], [0.0, 5.0, 0.0]]


def test_leading_dimensions_are_a_loop():
    prior = Wired(wired_graph())
    values = {"decoder": torch.randn(4, 2, 1), "decoder_signed": torch.rand(4, 2, 2)}
    together = poutine.condition(prior, values)("decoder", SIZES)
    assert together.shape == (4, 2, 2, 3)
    one = poutine.condition(prior, {k: v[3, 1] for k, v in values.items()})
    torch.testing.assert_close(together[3, 1], one("decoder", SIZES))


def test_balanced_columns_have_the_variance_of_dense_ones():
    graph = random({"locus": 40, "trait": 3}, density=0.2, inhibitory=0.5, seed=1)
    draws = torch.stack(
        [run(Wired(graph), {"locus": 40, "trait": 3}, s).nodes["_RETURN"]["value"]
         for s in range(400)]
    )  # fmt: skip
    power = draws.square().sum(1) / 40
    standard_error = power.std(0) / 400**0.5
    assert ((power.mean(0) - 1).abs() < 4 * standard_error).all()


def test_square_weights_take_the_nodes_in_order():
    graph = feed_forward(4)
    sizes = {"unit": 4, "unit_to": 4}
    weights = run(Wired(graph), sizes).nodes["_RETURN"]["value"]
    assert torch.equal(weights != 0, torch.ones(4, 4).triu(1).bool())


def test_names_of_the_cohort():
    graph = nx.DiGraph([("rs7", "height")])
    prior = Wired(graph, rows=["rs1", "rs7"], columns=["weight", "height"])
    weights = run(prior, {"locus": 2, "trait": 2}).nodes["_RETURN"]["value"]
    assert (weights != 0).tolist() == [[False, False], [False, True]]


def test_a_wired_formalization_runs():
    graph = modular({"latent": 3, "trait": 6}, modules=3, within=1.0, between=0.0)
    weights = Factor(prior={"decoder": Wired(graph)}).weights(Shape(10, 5, 0, 6))
    expected = torch.block_diag(*[torch.ones(1, 2)] * 3).bool()
    assert torch.equal(weights["decoder"] != 0, expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Wired(nx.Graph()), "graph must be a networkx.DiGraph"),
        (lambda: Wired(wired_graph(), scale=0), "scale must be positive and finite, got 0"),
        (lambda: Wired(nx.DiGraph())("w", SIZES), "graph must have at least one edge"),
        (
            lambda: Wired(nx.DiGraph([("latent_0", "trait_9")]))("w", SIZES),
            "edge 'latent_0' -> 'trait_9' whose end 'trait_9' is not among the columns 'trait_0'",
        ),
        (
            lambda: Wired(wired_graph(), rows=["latent_0"])("w", SIZES),
            "graph must have a node for each latent=2, got 1",
        ),
        (lambda: Wired(wired_graph())("w", {"trait": 3}), "weights of 2 dimensions"),
        (
            lambda: mask_and_sign(nx.DiGraph([(0, 1, {"sign": 2})]), [0], [1]),
            "sign must be 1, 0 or -1, got 2 for 0 -> 1",
        ),
        (lambda: to_graph(torch.zeros(5, 2, 3), "ab", "cd"), r"\(draws, rows=2, columns=2\)"),
        (lambda: to_graph(torch.zeros(5, 2, 2), "ab", "cd", -1), "threshold must be at least 0"),
    ],
)
def test_bad_wiring(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_posterior_becomes_a_graph_with_exact_probabilities():
    draws = torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]], [[-1.0, 0.5]], [[0.05, -0.01]]])
    graph = to_graph(draws, ["rs1"], ["height", "weight"], threshold=0.1)
    assert list(graph.edges) == [("rs1", "height")]
    edge = graph.edges["rs1", "height"]
    assert (edge["probability"], edge["sign"], edge["sign_probability"]) == (0.75, 1, 0.75)
    assert edge["strength"] == pytest.approx(0.5125)
    assert edge["strength_sd"] == pytest.approx(draws[:, 0, 0].std(correction=0).item())


def test_graph_to_weights_to_graph():
    graph = random({"locus": 12, "trait": 5}, density=0.3, inhibitory=0.4, seed=2)
    prior = Wired(graph)
    sizes = {"locus": 12, "trait": 5}
    draws = torch.stack([run(prior, sizes, s).nodes["_RETURN"]["value"] for s in range(200)])
    names = [[f"{k}_{i}" for i in range(n)] for k, n in sizes.items()]
    back = to_graph(draws, *names, threshold=1e-3)
    assert set(back.edges) == set(graph.edges)
    assert all(back.edges[e]["sign"] == graph.edges[e]["sign"] for e in graph.edges)
