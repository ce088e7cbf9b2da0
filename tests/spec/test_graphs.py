import networkx as nx
import numpy as np
import pytest

from genomic_code.spec.graphs import feed_forward, modular, random, read_graph, scale_free

MAKERS = [random, modular, scale_free, feed_forward]
LAYERS = {"latent": 4, "trait": 12}


@pytest.mark.parametrize("make", MAKERS)
def test_seeds_and_names(make):
    for nodes in (10, LAYERS):
        first, again = make(nodes, seed=3), make(nodes, seed=3)
        assert list(first.edges(data=True)) == list(again.edges(data=True))
        assert not any(u == v for u, v in first.edges)
    assert list(make(LAYERS))[:5] == ["latent_0", "latent_1", "latent_2", "latent_3", "trait_0"]
    assert all(u.startswith("latent") and v.startswith("trait") for u, v in make(LAYERS).edges)


def test_random_graphs_have_the_density():
    edges = random(100, density=0.3, seed=0).number_of_edges()
    assert abs(edges - 2970) < 4 * np.sqrt(9900 * 0.3 * 0.7)
    assert random(10, seed=0).edges != random(10, seed=1).edges


def test_modules_are_dense_inside():
    graph = modular(60, modules=3, within=0.8, between=0.05, seed=0)
    module = nx.get_node_attributes(graph, "module")
    inside = sum(module[u] == module[v] for u, v in graph.edges)
    assert abs(inside - 3 * 20 * 19 * 0.8) < 4 * np.sqrt(1140 * 0.16)
    assert sorted(module.values()) == [0] * 20 + [1] * 20 + [2] * 20


def test_scale_free_graphs_have_hubs():
    out = [d for _, d in scale_free(300, density=0.03, seed=0).out_degree]
    even = [d for _, d in random(300, density=0.03, seed=0).out_degree]
    assert max(out) > 5 * np.median(out)
    assert np.var(out) > 4 * np.var(even)


def test_feed_forward_graphs_have_no_cycle():
    assert nx.is_directed_acyclic_graph(feed_forward(12, density=0.5))
    assert feed_forward(5).number_of_edges() == 10
    assert feed_forward({"a": 2, "b": 3, "c": 2}).number_of_edges() == 12


def test_signs():
    signs = nx.get_edge_attributes(random(60, 0.5, inhibitory=0.25, seed=0), "sign").values()
    assert set(signs) == {-1, 1}
    share = np.mean([s == -1 for s in signs])
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(signs))
    assert not nx.get_edge_attributes(random(10, 0.5), "sign")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: random(10, density=1.5), "density must be between 0 and 1, got 1.5"),
        (lambda: random(0), "nodes must be integers of at least 1, got nodes=0"),
        (lambda: random({"a": 3}), "nodes must name at least 2 layers"),
        (lambda: random({"a": 3, "b": 0}), "nodes must be integers of at least 1, got b=0"),
        (lambda: random(10, inhibitory=-1), "inhibitory must be between 0 and 1, got -1"),
        (lambda: modular(10, modules=11), "modules must be between 1 and nodes=10, got 11"),
        (lambda: modular(10, within=2), "within must be between 0 and 1, got 2"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_edge_lists(tmp_path):
    path = tmp_path / "gap.txt"
    path.write_text("# gap genes\nhb Kr -\nhb, gt, ?\nKr\tkni\n\nhb hb + # itself\n")
    edges = dict(read_graph(path).edges.items())
    assert edges == {
        ("hb", "Kr"): {"sign": -1},
        ("hb", "gt"): {"sign": 0},
        ("Kr", "kni"): {},
        ("hb", "hb"): {"sign": 1},
    }


def test_graphml_round_trip(tmp_path):
    graph = random({"latent": 2, "trait": 4}, 0.6, inhibitory=0.5, seed=0)
    nx.write_graphml(graph, tmp_path / "graph.graphml")
    assert dict(read_graph(tmp_path / "graph.graphml").edges.items()) == dict(graph.edges.items())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.txt", None, "path must be a file"),
        ("empty.txt", "", "at least one edge"),
        ("one.txt", "hb\n", "got 'hb' in line 1"),
        ("sign.txt", "hb Kr -\nhb gt maybe\n", "got 'hb gt maybe' in line 2"),
        ("twice.txt", "hb Kr\nhb Kr\n", "each edge once, got 'hb' -> 'Kr' again in line 2"),
        ("bad.graphml", "hb Kr", "must be a GraphML file"),
        ("bytes.txt", b"\xff\xfe\x00\xd8", "must be a text file"),
    ],
)
def test_bad_files(tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        read_graph(path)


def test_undirected_graphml(tmp_path):
    nx.write_graphml(nx.path_graph(3), tmp_path / "path.graphml")
    with pytest.raises(ValueError, match=r"must hold a directed graph, .* has undirected edges"):
        read_graph(tmp_path / "path.graphml")
