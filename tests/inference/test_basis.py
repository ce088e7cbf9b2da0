"""The rotated genotype: exact, uncorrelated on the training rows, undone without loss."""

import pytest
import torch

from genomic_code.inference.basis import Basis


@pytest.mark.parametrize(("individuals", "loci"), [(30, 8), (12, 40), (20, 20)])
def test_rotation_keeps_every_product(individuals: int, loci: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(individuals, loci, dtype=torch.float64) @ torch.randn(loci, loci).double()
    training = torch.arange(individuals) < 0.7 * individuals
    basis = Basis.fit(x, training)
    assert basis is not None
    padded = basis.pad(basis.vectors.shape[1] + 2)
    rotated = padded.rotate(x)
    gram = rotated[training].mT @ rotated[training]
    assert (gram - gram.diagonal().diag()).abs().max() < 1e-8 * gram.abs().max()
    # kinship is unchanged: x x' / L is what the prior over traits rests on
    kinship = rotated @ rotated.mT / rotated.shape[1]
    torch.testing.assert_close(kinship, x @ x.mT / loci)
    weights = torch.randn(5, rotated.shape[1], 3, dtype=torch.float64)
    restored = padded.restore(weights, torch.randn(5, loci, 3, dtype=torch.float64))
    torch.testing.assert_close(
        x @ restored / loci**0.5, rotated @ weights / rotated.shape[1] ** 0.5
    )


def test_directions_nobody_spans_keep_the_prior() -> None:
    torch.manual_seed(1)
    x = torch.randn(3, 50)
    basis = Basis.fit(x, torch.ones(3, dtype=torch.bool))
    assert basis is not None
    draws = basis.restore(torch.zeros(4000, 3, 1), torch.randn(4000, 50, 1))
    # 47 of 50 directions have prior variance 1, three have 0
    variance = draws.var(0).sum()
    assert abs(float(variance) - 47) < 4 * (2 * 47 / 4000) ** 0.5


def test_a_basis_that_costs_too_much_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genomic_code.inference.basis.LARGEST", 5)
    assert Basis.fit(torch.randn(8, 8), torch.ones(8, dtype=torch.bool)) is None
