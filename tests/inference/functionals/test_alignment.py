"""Alignment of matrices: closed forms, limits, invariances."""

import numpy as np
import pytest

from genomic_code.inference.functionals.alignment import (
    krzanowski,
    leading_angle,
    random_skewers,
    random_skewers_null,
)


def covariance(seed, traits=5):
    root = np.random.default_rng(seed).normal(size=(traits, traits + 3))
    return root @ root.T


def test_a_matrix_is_aligned_with_its_multiples():
    matrix = covariance(0)
    assert random_skewers(matrix, 3 * matrix) == pytest.approx(1, abs=1e-12)
    assert krzanowski(matrix, 3 * matrix) == pytest.approx(1, abs=1e-12)
    assert leading_angle(matrix, 3 * matrix) == pytest.approx(0, abs=1e-5)


def test_skewers_of_two_planes_by_quadrature():
    first, second = np.diag([3.0, 1.0]), np.diag([1.0, 2.0])
    angle = (np.arange(100_000) + 0.5) / 100_000 * 2 * np.pi
    x, y = np.cos(angle), np.sin(angle)
    exact = np.mean((3 * x**2 + 2 * y**2) / np.hypot(3 * x, y) / np.hypot(x, 2 * y))
    assert random_skewers(first, second, draws=4096) == pytest.approx(exact, rel=1e-3)


def test_orthogonal_spaces_share_nothing():
    first, second = np.diag([4.0, 3, 0.1, 0.1]), np.diag([0.1, 0.1, 3, 4])
    assert krzanowski(first, second, dimensions=2) == pytest.approx(0, abs=1e-12)
    assert leading_angle(first, second) == pytest.approx(90)
    assert krzanowski(first, second, dimensions=4) == pytest.approx(1)


def test_leading_angle_of_a_turn():
    turn = np.radians(30)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = np.diag([2.0, 1.0])
    assert leading_angle(matrix, axes @ matrix @ axes.T) == pytest.approx(30, abs=1e-10)


@pytest.mark.parametrize("metric", [krzanowski, leading_angle, random_skewers])
def test_symmetric_in_its_arguments_and_invariant_to_joint_rotation(metric):
    first, second = covariance(1), covariance(2)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(5, 5)))[0]
    value = metric(first, second)
    assert metric(second, first) == pytest.approx(value, rel=1e-10)
    turned = metric(turn @ first @ turn.T, turn @ second @ turn.T)
    # skewers are fixed directions: invariant up to 4 standard errors of 1024 cosines
    error = 4 * 0.3 / 1024**0.5 if metric is random_skewers else 1e-8
    assert turned == pytest.approx(value, abs=error)


@pytest.mark.parametrize("metric", [krzanowski, leading_angle, random_skewers])
def test_draws_broadcast(metric):
    draws = np.stack([covariance(s) for s in range(3)])
    found = metric(draws, covariance(9))
    assert found.shape == (3,)
    assert found[1] == pytest.approx(metric(draws[1], covariance(9)), rel=1e-12)


def test_null_of_random_skewers():
    """In three dimensions the cosine of random vectors is uniform on [-1, 1]."""
    assert random_skewers_null(3, 0.95) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.eye(2), np.eye(3), "same traits"),
        (np.zeros((2, 2)), np.eye(2), "zero"),
        (np.ones((2, 3)), np.eye(2), "square"),
    ],
)
def test_bad_input(first, second, message):
    with pytest.raises(ValueError, match=message):
        random_skewers(first, second)


def test_krzanowski_dimensions_in_range():
    with pytest.raises(ValueError, match="between 1 and traits=2, got 3"):
        krzanowski(np.eye(2), np.eye(2), dimensions=3)
