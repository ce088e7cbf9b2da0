from dataclasses import dataclass

import matplotlib.pyplot as plt
import networkx as nx
import pytest

from genomic_code.spec import FORMALIZATIONS, NOISES, Factor, Generative, Horseshoe, Shape, card
from genomic_code.spec.card import Card
from genomic_code.spec.dag import model_graph
from genomic_code.spec.statement import statement
from tests.conformance import cases

SMALL = Shape(20, 6, 1, 3)


@pytest.mark.parametrize("name", list(cases()))
def test_every_card_says_all(name):
    case = cases()[name]
    own = card(case, None if hasattr(case, "example_shape") else SMALL)
    text = str(own)
    for line in own.statement.equations.splitlines():
        assert line.rstrip() in text
    for label in ("Claims:", "Rivals:", "Refuted by:", "Special case", "Measurement", "Notation:"):
        assert label in text
    for site in own.sites["site"]:
        assert site in text
    assert (own.sites["symbol"] != "").all()
    assert max(len(line) for line in text.splitlines()) <= 130
    assert nx.is_directed_acyclic_graph(own.graph)


def sites_table(own: Card) -> dict[str, list[str]]:
    return {row["site"]: list(row) for _, row in own.sites.iterrows()}


def test_the_table_is_the_traced_model():
    own = card("factor", Shape(50, 10, 2, 4))
    table = sites_table(own)
    assert table["encoder"] == [
        "A", "encoder", "locus, latent", "10 x 3", "real", "Normal(0, 1)", "none",
    ]  # fmt: skip
    assert table["trait_scale"][4:6] == ["at least 0", "HalfNormal(0.8)"]
    assert table["noise_scale"][4:6] == ["positive", "LogNormal(-0.5, 0.5)"]
    assert table["phenotype"][2:] == [
        "individual, trait", "50 x 4", "real", "see Measurement", "individuals",
    ]  # fmt: skip
    # encoder, decoder, trait scale, mean, two environments, noise
    assert own.weights == 30 + 12 + 4 + 4 + 8 + 4


def test_hyperparameters_and_their_meaning():
    settings = card(Factor(latents=5), SMALL).settings.set_index("name")
    assert settings.loc["latents", "value"] == "5"
    assert settings.loc["latents", "meaning"] == "Number of latents K; at least 1."


def test_priors_by_name_are_stated():
    text = str(card(Generative(prior={"decoder": Horseshoe(0.1)}), SMALL))
    assert "Prior of decoder" in text
    assert "tau ~ LogNormal(log tau0, 1)" in text
    assert "Horseshoe(tau=0.1, slab=0.2, shared=False)" in text


@pytest.mark.parametrize("noise", list(NOISES))
def test_noise_is_stated(noise):
    text = str(card(Factor(noise=NOISES[noise]()), SMALL))
    assert statement(NOISES[noise]()).equations.splitlines()[0] in text


def test_html():
    own = card("polygenic", SMALL)
    page = own._repr_html_()
    assert "<svg" in page
    assert "&lt;" not in own.statement.title
    assert page.count("<table") == 3
    assert "chol(C)" in page


def test_graph_of_the_factor_model():
    graph = model_graph(Factor())
    assert set(graph.predecessors("latents")) == {"encoder", "genotype"}
    assert set(graph.predecessors("decoder")) == {"trait_scale"}
    assert set(graph.predecessors("phenotype")) == {"traits", "noise_scale"}
    assert set(graph.predecessors("traits")) == {
        "latents", "decoder", "mean", "environment", "environment_effect",
    }  # fmt: skip


def test_the_null_does_not_read_the_genotype():
    assert "genotype" not in model_graph(FORMALIZATIONS["null"]())


def test_drawing():
    axes = card("generative", SMALL).draw()
    assert len(axes.texts) == len(model_graph(Generative()))
    plt.close(axes.figure)


@dataclass(frozen=True)
class Mine(Factor):
    """Mine: a theorist's own hypothesis.

        eta_n = mu + E_n D + x_n A V

    Sites: mu mean; A encoder; V decoder [latents=3]; W decoder [latents=2]
    Claims: it is mine.  Rivals: all others.
    """


def test_a_formalization_of_ones_own():
    own = card(Mine(), SMALL)
    assert own.statement.title == "Mine: a theorist's own hypothesis."
    assert own.statement.items == {"Claims": "it is mine.", "Rivals": "all others."}
    assert own.statement.symbols["decoder"] == "V"
    assert statement(Mine(latents=2)).symbols["decoder"] == "W"


@dataclass(frozen=True)
class Wordless(Factor):
    pass


def test_a_formalization_without_words_still_has_its_table():
    assert "encoder" in str(card(Wordless(), SMALL))


@dataclass(frozen=True)
class Muddled(Factor):
    """Muddled: sites that cannot be read.

        eta = mu

    Sites: mu
    """


def test_sites_that_cannot_be_read():
    with pytest.raises(ValueError, match=r"Sites of Muddled must list 'symbol site'.* got 'mu'"):
        card(Muddled(), SMALL)


def test_unknown_name():
    with pytest.raises(ValueError, match="got 'generativ'; did you mean 'generative'"):
        card("generativ")
