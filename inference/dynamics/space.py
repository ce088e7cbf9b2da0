"""Genotype space: enumerable genomes as the nodes of a graph whose edges are mutations."""

from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakKeyDictionary

import networkx as nx
import torch
from torch import Tensor

from genomic_code.inference.genome import AlleleGenome, Genome, TraitGenome, log_fitness
from genomic_code.inference.niche import Selection

__all__ = ["GenotypeSpace"]

LARGEST = 4096
"""Most genotypes of a space: transition matrices are dense."""


@dataclass(frozen=True, eq=False)
class GenotypeSpace:
    """G genotypes, their development, and the mutations between them."""

    genome: Genome
    """What develops the genotypes."""
    genomes: Tensor
    """The genotypes `(G, D)`, node by node."""
    graph: nx.DiGraph
    """Nodes 0 to G-1; edge attribute `rate`, the relative rate of that mutation, positive."""
    memory: WeakKeyDictionary[Selection, Tensor] = field(
        default_factory=WeakKeyDictionary, repr=False
    )

    def __post_init__(self) -> None:
        count = len(self.genomes)
        if count > LARGEST:
            raise ValueError(f"genotypes must number at most {LARGEST}, got {count}")
        if set(self.graph.nodes) != set(range(count)):
            raise ValueError(f"graph must have the nodes 0 to {count - 1}, one a genotype")
        if not nx.is_strongly_connected(self.graph):
            raise ValueError("graph must be connected: every genotype reachable by mutation")
        for source, target, rate in self.graph.edges(data="rate", default=0):
            if not rate > 0:
                raise ValueError(
                    f"graph must have a positive rate on every edge, got {rate!r} on "
                    f"{source} -> {target}"
                )

    @classmethod
    def hypercube(cls, genome: AlleleGenome) -> "GenotypeSpace":
        """All 2^L genotypes of a haploid; one locus mutates at a time.

        Allele 0 becomes 1 at relative rate 2 bias, 1 becomes 0 at 2 (1 - bias): both 1 without
        bias. Node i has the binary digits of i as alleles, locus 0 lowest.
        """
        if 2**genome.loci > LARGEST:
            raise ValueError(
                f"loci must be at most {LARGEST.bit_length() - 1} to enumerate genotypes, "
                f"got {genome.loci}"
            )
        graph = nx.DiGraph()
        bias = torch.as_tensor(genome.bias).tolist()
        for node in range(2**genome.loci):
            for locus in range(genome.loci):
                one = node >> locus & 1
                rate = 2 * (1 - bias[locus]) if one else 2 * bias[locus]
                graph.add_edge(node, node ^ (1 << locus), rate=rate)
        nodes = torch.arange(2**genome.loci)[:, None]
        alleles = (nodes >> torch.arange(genome.loci)) & 1
        return cls(genome, alleles.to(torch.get_default_dtype()), graph)

    @classmethod
    def from_graph(cls, graph: nx.Graph, traits: str = "traits") -> "GenotypeSpace":
        """Any NetworkX graph of genotypes with traits as a node attribute.

        Args:
            graph: Directed, or undirected for equal rates both ways; an edge without `rate` has 1.
            traits: Node attribute with the list of trait values.
        """
        nodes = list(graph.nodes)
        missing = [node for node in nodes if traits not in graph.nodes[node]]
        if missing:
            raise ValueError(f"graph must have {traits!r} on every node, {missing[0]!r} has none")
        directed = nx.DiGraph()
        directed.add_nodes_from(range(len(nodes)))
        place = {node: number for number, node in enumerate(nodes)}
        for source, target, rate in nx.DiGraph(graph).edges(data="rate", default=1.0):
            directed.add_edge(place[source], place[target], rate=rate)
        values = [graph.nodes[node][traits] for node in nodes]
        genomes = torch.tensor(values, dtype=torch.get_default_dtype()).reshape(len(nodes), -1)
        return cls(TraitGenome(genomes.shape[1]), genomes, directed)

    @cached_property
    def edges(self) -> tuple[Tensor, Tensor, Tensor]:
        """Sources, targets and rates of the mutations, each `(E,)`."""
        listed = list(self.graph.edges(data="rate"))
        return (
            torch.tensor([edge[0] for edge in listed]),
            torch.tensor([edge[1] for edge in listed]),
            torch.tensor([edge[2] for edge in listed], dtype=torch.float64),
        )

    @cached_property
    def log_prior(self) -> Tensor:
        """Neutral mutational equilibrium `(G,)`: log stationary law of mutation alone.

        Raises:
            ValueError: Mutation is not reversible, so that no posterior corresponds to it.
        """
        values = torch.zeros(len(self.genomes), dtype=torch.float64)
        ratio = {
            (source, target): rate for source, target, rate in zip(*self.edges, strict=True)
            for source, target in [(int(source), int(target))]
        }  # fmt: skip
        for source, target in nx.bfs_edges(self.graph, 0):
            back = ratio.get((target, source))
            if back is not None:
                values[target] = values[source] + (ratio[source, target] / back).log()
        for (source, target), rate in ratio.items():
            back = ratio.get((target, source))
            if (
                back is None
                or abs(values[source] + rate.log() - values[target] - back.log()) > 1e-9
            ):
                raise ValueError(
                    f"graph must have reversible mutation (detailed balance around every cycle), "
                    f"the edge {source} -> {target} breaks it"
                )
        return values.log_softmax(0)

    def log_fitness(self, niche: Selection) -> Tensor:
        """Log fitness of every genotype `(G,)`, float64; computed once a niche."""
        if niche not in self.memory:
            with torch.no_grad():
                values = log_fitness(self.genome, self.genomes, niche)
            self.memory[niche] = values.double()
        return self.memory[niche]

    def mutation(self, rate: float) -> Tensor:
        """Probabilities `(G, G)` of offspring genotypes, rows summing to 1, after `rate` units."""
        matrix: Tensor = torch.linalg.matrix_exp(self.generator(torch.ones(1)) * rate)
        return matrix

    def generator(self, acceptance: Tensor) -> Tensor:
        """Rate matrix `(G, G)` of the edges' rates times an acceptance `(E,)`; rows sum to 0."""
        source, target, rate = self.edges
        count = len(self.genomes)
        matrix = torch.zeros(count, count, dtype=torch.float64)
        matrix[source, target] = rate * acceptance.double()
        return matrix - torch.diag(matrix.sum(1))

    def moments(self, log_frequency: Tensor, niche: Selection) -> dict[str, Tensor]:
        """What a `Lineage` records of a law over the genotypes."""
        frequency = log_frequency.exp()
        fitness = self.log_fitness(niche)
        with torch.no_grad():
            traits = self.genome.traits(self.genomes, niche).double()
        mean = torch.einsum("g,gmt->mt", frequency, traits)
        spread = traits - mean
        source, target, rate = self.edges
        jump = traits[target] - traits[source]
        held = torch.where(frequency > 0, log_frequency - self.log_prior, 0.0)
        return {
            "frequency": frequency,
            "expected_log_fitness": (frequency * fitness).sum(),
            "log_mean_fitness": (log_frequency + fitness).logsumexp(0),
            "information": (frequency * held).sum() / torch.tensor(2.0).log(),
            "mean_trait": mean,
            "G": torch.einsum("g,gmt,gmu->tu", frequency, spread, spread) / niche.conditions,
            "M": torch.einsum("e,emt,emu->tu", frequency[source] * rate, jump, jump)
            / niche.conditions,
        }
