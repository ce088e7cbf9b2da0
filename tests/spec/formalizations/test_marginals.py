"""`polygenic` and `factor` against their marginal forms: weights integrated out by hand."""

import pytest
import torch

from genomic_code.spec import Factor, Polygenic
from genomic_code.spec.protocols import Shape

DRAWS = 20_000
SHAPE = Shape(individuals=6, loci=4, environments=1, traits=3)


def covariance(genetic: torch.Tensor) -> torch.Tensor:
    """Empirical covariance `(18, 18)` of developed traits over draws `(S, N, T)`."""
    flat = genetic.reshape(DRAWS, -1)
    return flat.mT @ flat / DRAWS


def close(empirical: torch.Tensor, exact: torch.Tensor) -> None:
    """Within 5 standard errors of a normal covariance, entry by entry (1 in 5,000 by chance)."""
    variance = exact.diagonal()
    error = ((variance[:, None] * variance + exact.square()) / DRAWS).sqrt()
    assert ((empirical - exact).abs() < 5 * error + 1e-4).all()


@pytest.fixture
def genotype() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(SHAPE.individuals, SHAPE.loci, dtype=torch.float64)


def test_polygenic_is_multi_trait_gblup(genotype: torch.Tensor) -> None:
    """vec(g) ~ Normal(0, x x' / L kron diag(s) C diag(s)) given s and C."""
    from pyro import poutine

    scale = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)
    correlation = torch.tensor([[1, 0.6, 0], [0.6, 1, -0.4], [0, -0.4, 1]], dtype=torch.float64)
    sites = {
        "effects": torch.randn(DRAWS, SHAPE.loci, SHAPE.traits, dtype=torch.float64),
        "trait_scale": scale,
        "trait_correlation": torch.linalg.cholesky(correlation),
        "mean": torch.zeros(3, dtype=torch.float64),
        "environment_effect": torch.zeros(1, 3, dtype=torch.float64),
    }
    model = Polygenic()
    weights = poutine.condition(model.weights, data=sites)(SHAPE)
    developed = model.develop(weights, genotype, torch.zeros(6, 1, dtype=torch.float64))
    kinship = genotype @ genotype.mT / SHAPE.loci
    close(covariance(developed), torch.kron(kinship, correlation * scale[:, None] * scale))


def test_factor_is_gblup_with_a_covariance_of_rank_k(genotype: torch.Tensor) -> None:
    """vec(g) ~ Normal(0, x x' / L kron V' V) given the decoder V."""
    from pyro import poutine

    decoder = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]], dtype=torch.float64)
    scale = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)
    sites = {
        "encoder": torch.randn(DRAWS, SHAPE.loci, 2, dtype=torch.float64),
        "decoder": decoder,
        "trait_scale": scale,
        "mean": torch.zeros(3, dtype=torch.float64),
        "environment_effect": torch.zeros(1, 3, dtype=torch.float64),
    }
    model = Factor(latents=2)
    weights = poutine.condition(model.weights, data=sites)(SHAPE)
    developed = model.develop(weights, genotype, torch.zeros(6, 1, dtype=torch.float64))
    loadings = decoder * scale / 2**0.5
    genetic = loadings.mT @ loadings
    assert int(torch.linalg.matrix_rank(genetic)) == 2
    kinship = genotype @ genotype.mT / SHAPE.loci
    close(covariance(developed), torch.kron(kinship, genetic))
