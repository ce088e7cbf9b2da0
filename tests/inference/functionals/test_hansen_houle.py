"""Hansen-Houle metrics against quadrature on the sphere, limits, symmetries and golden values."""

import numpy as np
import pytest

from genomic_code.inference.functionals.hansen_houle import (
    check_covariance,
    effective_dimensions,
    hansen_houle,
    spectrum,
)

GOLDEN = 0.1 * np.array([[2.0, 1, 0], [1, 2, 1], [0, 1, 3]])
INDEFINITE = 0.1 * np.array([[1.0, 1, 0], [1, 2, 2], [0, 2, 3]])


def sphere(matrix):
    """Means of e, r, c, a by product quadrature on the sphere, for three traits."""
    values = np.linalg.eigvalsh(matrix)
    height, weight = np.polynomial.legendre.leggauss(200)
    angle = (np.arange(800) + 0.5) / 800 * 2 * np.pi
    z, phi = np.meshgrid(height, angle, indexing="ij")
    squares = np.stack(
        [z**2, (1 - z**2) * np.cos(phi) ** 2, (1 - z**2) * np.sin(phi) ** 2], axis=-1
    )
    e, r, c = squares @ values, np.sqrt(squares @ values**2), 1 / (squares @ (1 / values))
    share = np.broadcast_to(weight[:, None] / 2 / 800, z.shape)
    return {
        name: (share * value).sum() for name, value in zip("erca", (e, r, c, c / e), strict=True)
    }


def random_covariance(rng, traits):
    root = rng.normal(size=(traits, 2 * traits))
    return root @ root.T / traits


def test_golden_values():
    """Reference: 10^6 independent directions, so its own error is up to 4 * 1.3e-4."""
    result = hansen_houle(GOLDEN)
    reference = {"e": 0.2333, "r": 0.2543, "c": 0.1830, "a": 0.7717, "i": 0.2283}
    for name, value in reference.items():
        assert float(result[name]) == pytest.approx(value, abs=4 * 1.3e-4), name
    for name in "erca":
        assert float(result[name]) == pytest.approx(reference[name], rel=1e-3), name


@pytest.mark.parametrize("seed", range(3))
def test_averages_match_quadrature(seed):
    exact = sphere(GOLDEN)
    result = hansen_houle(GOLDEN, seed=seed)
    for name, value in exact.items():
        assert float(result[name]) == pytest.approx(value, rel=2e-4), name
    assert float(result.e) == pytest.approx(np.trace(GOLDEN) / 3, rel=1e-14)
    assert float(result.i) == pytest.approx(1 - exact["a"], rel=1e-3)


def test_two_traits_have_a_closed_form():
    """In the plane the mean of 1 / (beta' A beta) is 1 / sqrt(det A)."""
    matrix = np.array([[1.0, 0.3], [0.3, 0.5]])
    assert float(hansen_houle(matrix).c) == pytest.approx(np.linalg.det(matrix) ** 0.5, rel=1e-4)


def test_along_beta_is_exact():
    beta = np.array([1.0, -2.0, 0.5])
    unit = beta / np.linalg.norm(beta)
    result = hansen_houle(GOLDEN, beta=beta)
    e, c = unit @ GOLDEN @ unit, 1 / (unit @ np.linalg.inv(GOLDEN) @ unit)
    expected = [e, np.linalg.norm(GOLDEN @ unit), c, c / e, 1 - c / e]
    np.testing.assert_allclose([float(result[n]) for n in "ercai"], expected, rtol=1e-12)


def test_conditional_evolvability_of_a_trait_is_its_conditional_variance():
    rest, cross = GOLDEN[1:, 1:], GOLDEN[0, 1:]
    conditional = GOLDEN[0, 0] - cross @ np.linalg.solve(rest, cross)
    assert float(hansen_houle(GOLDEN, beta=[1, 0, 0]).c) == pytest.approx(conditional, rel=1e-12)


def test_isotropic_matrix_is_exact():
    result = hansen_houle(0.7 * np.eye(5))
    np.testing.assert_allclose(
        [float(result[n]) for n in "ercai"], [0.7, 0.7, 0.7, 1, 0], atol=1e-12
    )
    shape = spectrum(np.full(5, 0.7))
    assert shape["flexibility"] == pytest.approx(1)
    assert shape["D_eff"] == pytest.approx(5)
    assert shape["n_D"] == pytest.approx(5)


def test_draws_directions_and_labels():
    rng = np.random.default_rng(0)
    draws = np.stack([random_covariance(rng, 4) for _ in range(6)])
    many = hansen_houle(draws, beta=np.eye(4))
    assert many.e.dims == ("draw", "direction")
    np.testing.assert_allclose(many.e, np.diagonal(draws, axis1=1, axis2=2), rtol=1e-10)
    average = hansen_houle(draws)
    assert average.c.dims == ("draw",)
    np.testing.assert_allclose(average.c[2], hansen_houle(draws[2]).c, rtol=1e-12)


def test_rotating_the_traits_changes_nothing():
    rng = np.random.default_rng(1)
    matrix = random_covariance(rng, 6)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    first, second = hansen_houle(matrix), hansen_houle(turn @ matrix @ turn.T)
    for name in "ercai":
        assert float(first[name]) == pytest.approx(float(second[name]), rel=1e-10)


def test_inequalities():
    result = hansen_houle(
        np.stack([random_covariance(np.random.default_rng(s), 5) for s in range(9)])
    )
    assert (result.c <= result.e).all()
    assert (result.e <= result.r).all()
    assert ((result.a > 0) & (result.a < 1)).all()


def test_one_trait():
    assert float(hansen_houle([[2.0]]).c) == 2


def test_effective_dimensions():
    found = effective_dimensions(np.array([[1.0, 1, 0, 0], [4, 2, 2, 0]]))
    np.testing.assert_allclose(found["D_eff"], [2, 64 / 24])
    np.testing.assert_allclose(found["n_D"], [2, 2])


def test_constraints_of_a_line():
    shape = spectrum(np.array([1e-9, 1e-9, 1.0]))
    assert shape["constraints"] == pytest.approx(1, abs=1e-6)
    assert shape["flexibility"] == pytest.approx(0.5, rel=1e-3)  # mean |cos| on the sphere


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (INDEFINITE, r"positive definite.*-0\.0145"),
        (np.ones((2, 2)), r"positive definite.*eigenvalue"),
        (np.zeros((2, 2)), "positive definite"),
        ([[1, 0.5], [0.4, 1]], r"symmetric.*\(0, 1\).*0\.1.*eigenvalue 0\.55"),
        (np.ones((2, 3)), r"square.*\(2, 3\)"),
        ([[np.nan, 0], [0, 1]], "finite"),
    ],
)
def test_bad_matrices_are_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        hansen_houle(matrix)


@pytest.mark.parametrize(
    ("beta", "message"), [([0, 0, 0], "zero"), ([1, 0], "3 entries"), ([1, np.inf, 0], "finite")]
)
def test_bad_directions_are_refused(beta, message):
    with pytest.raises(ValueError, match=message):
        hansen_houle(GOLDEN, beta=beta)


def test_float32_draws_are_accepted():
    matrix = random_covariance(np.random.default_rng(3), 5).astype(np.float32)
    assert check_covariance(matrix).dtype == np.float64
