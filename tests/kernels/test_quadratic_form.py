import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from netsynth.kernels.quadratic_form import quadratic_form_cdf


@pytest.mark.parametrize("m", [1, 2, 3, 10, 40])
def test_equal_weights_are_chi_squared(m):
    q = np.array([1e-3, 0.1, 1.0, 5.0, 20.0, 100.0, 300.0])
    got = quadratic_form_cdf(q, np.full((q.size, m), 2.5))
    np.testing.assert_allclose(got, stats.chi2(m).cdf(q / 2.5), atol=1e-11)


@pytest.mark.parametrize("m", [60, 100, 150, 200, 500, 2000])
def test_many_equal_weights_are_chi_squared(m):
    p = np.array([1e-9, 1e-6, 0.025, 0.5, 0.975, 1 - 1e-6])
    got = quadratic_form_cdf(0.3 * stats.chi2(m).ppf(p), np.full((p.size, m), 0.3))
    np.testing.assert_allclose(got, p, atol=1e-11)


def by_imhof(q, weights):
    """Imhof's integral (Biometrika 1961, 48:419-426) by adaptive quadrature."""

    def integrand(u):
        angle = 0.5 * np.arctan(weights * u).sum() - 0.5 * q * u
        return np.sin(angle) / u * np.exp(-0.25 * np.log1p((weights * u) ** 2).sum())

    value, _ = quad(integrand, 0, np.inf, limit=2000, epsabs=1e-12, epsrel=1e-12)
    return 0.5 - value / np.pi


@pytest.mark.parametrize(
    "groups",
    [
        {0.3: 4, 0.005: 200},  # a few that rule beside many that together are nearly a constant
        {0.01: 90, 0.0001: 400},
        {0.05: 30, 0.02: 40},
        {0.2: 6, 0.001: 300},
        {0.03: 60, 0.02: 20},
    ],
)
@pytest.mark.parametrize("deviations", [-2.5, -1.0, 0.0, 1.5, 4.0])
def test_many_unequal_weights_against_imhof(groups, deviations):
    weights = np.concatenate([np.full(n, weight) for weight, n in groups.items()])
    q = max(weights.sum() + deviations * np.sqrt(2 * (weights**2).sum()), 0.3 * weights.sum())
    assert quadratic_form_cdf(q, weights) == pytest.approx(by_imhof(q, weights), abs=1e-9)


def test_many_rows_at_once_give_what_they_give_one_by_one():
    rng = np.random.default_rng(4)
    weights = rng.uniform(0, 1, (6, 120)) * np.array([1, 1, 1e-3, 1, 1, 1e-6])[:, None]
    weights[3:, 2:] *= 1e-3
    q = weights.sum(-1) * np.array([0.8, 1.1, 1.0, 0.5, 2.0, 0.0])
    one_by_one = [float(quadratic_form_cdf(a, b)) for a, b in zip(q, weights, strict=True)]
    np.testing.assert_allclose(quadratic_form_cdf(q, weights), one_by_one, rtol=1e-12)


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.01, 500))
def test_two_pairs_of_weights_have_a_closed_form(a, b, q):
    # a chi2_2 + b chi2_2 is a sum of two exponential variables with means 2a and 2b
    if abs(a - b) < 1e-3 * a:
        return
    expected = 1 - (a * np.exp(-q / (2 * a)) - b * np.exp(-q / (2 * b))) / (a - b)
    assert quadratic_form_cdf(q, np.array([a, a, b, b])) == pytest.approx(expected, abs=1e-9)


def test_unequal_weights_against_a_sample():
    weights = np.array([1.0, 1e-6, 1e3, 50.0, 2.0])
    rng = np.random.default_rng(8)
    sample = (rng.standard_normal((400_000, 5)) ** 2) @ weights
    for q in (5.0, 100.0, 1000.0, 5000.0):
        p = float(quadratic_form_cdf(q, weights))
        assert p == pytest.approx((sample <= q).mean(), abs=4 * (p * (1 - p) / 400_000) ** 0.5)


def test_nothing_lies_below_zero_and_zero_weights_count_for_nothing():
    assert quadratic_form_cdf(np.array([0.0, -1.0]), np.ones((2, 3))).tolist() == [0.0, 0.0]
    with_zeros = quadratic_form_cdf(2.0, np.array([1.0, 3.0, 0.0, 0.0]))
    assert with_zeros == pytest.approx(float(quadratic_form_cdf(2.0, np.array([1.0, 3.0]))), abs=1e-14)


def test_a_value_that_is_rounding_has_its_leading_term_and_does_not_overflow():
    # equal effects leave a Q of about 1e-30 in place of 0
    weight, q = np.linspace(1.0, 2.0, 12), 1e-30
    leading = (q / 2.0) ** 6 / (math.factorial(6) * np.sqrt(weight.prod()))
    assert quadratic_form_cdf(q, weight) == pytest.approx(leading, rel=1e-9)
    assert quadratic_form_cdf(1e-80, weight) == 0.0
