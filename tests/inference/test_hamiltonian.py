"""Hamiltonian chains against the exact posterior of a linear-Gaussian formalization."""

import numpy as np
import pytest
import torch

from genomic_code.inference.fit import fit
from genomic_code.inference.hamiltonian import affordable, refine
from genomic_code.spec import simulate


@pytest.fixture(scope="module")
def small():
    cohort = simulate("factor", individuals=80, loci=12, traits=3, environments=1, seed=0)
    return fit("factor", cohort, seed=0, restarts=2, progress=False)


def test_chains_keep_a_normal_density(monkeypatch, small):
    """Target replaced by a correlated normal: means and covariance within 5 standard errors."""
    dim = 3
    precision = torch.tensor([[2.0, 0.9, 0.0], [0.9, 1.0, 0.3], [0.0, 0.3, 1.5]])
    centre = torch.tensor([0.5, -1.0, 0.2])

    class Normal:
        def log_joint(self, flat, data):
            shift = flat - centre
            return -0.5 * ((shift @ precision) * shift).sum(-1)

    class Stub:
        flat = Normal()
        data = small.data
        formalization = small.formalization
        parameters = torch.cat([centre + 0.3, precision.diagonal().rsqrt().log()])

        def flat_draws(self, draws, seed):
            noise = torch.randn(draws, dim, generator=torch.Generator().manual_seed(seed))
            return centre + 0.3 + precision.diagonal().rsqrt() * noise

    Stub.flat.dim = dim
    draws = 4000
    chains = refine(Stub(), draws, seed=1)
    exact = torch.linalg.inv(precision).double().numpy()
    found = chains.flat.double().numpy()
    spread = np.sqrt(np.diag(exact))
    np.testing.assert_array_less(np.abs(found.mean(0) - centre.numpy()), 5 * spread / draws**0.5)
    error = np.sqrt((exact**2 + np.outer(spread**2, spread**2)) / draws)
    np.testing.assert_array_less(np.abs(np.cov(found.T) - exact), 5 * error)
    assert 0.6 < chains.acceptance < 0.98


def test_refined_draws_of_a_fit(small):
    chains = refine(small, draws=40, seed=0, trajectories=12)
    assert chains.flat.shape == (40, small.flat.dim)
    assert torch.isfinite(chains.flat).all()
    assert chains.gain > 0
    assert chains.acceptance > 0.4
    again = refine(small, draws=40, seed=0, trajectories=12)
    torch.testing.assert_close(again.flat, chains.flat, rtol=0, atol=0)


def test_affordable(small):
    assert affordable(small, 200)
    assert not affordable(small, 10**9)


@pytest.mark.parametrize(("draws", "trajectories"), [(1, 40), (10, 2)])
def test_bad_input(small, draws, trajectories):
    with pytest.raises(ValueError, match="draws must be at least 2 and trajectories at least 4"):
        refine(small, draws, trajectories=trajectories)
