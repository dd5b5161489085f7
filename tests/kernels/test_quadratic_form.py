import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsynth.kernels.quadratic_form import quadratic_form_cdf


@pytest.mark.parametrize("m", [1, 2, 3, 10, 40])
def test_equal_weights_are_chi_squared(m):
    q = np.array([1e-3, 0.1, 1.0, 5.0, 20.0, 100.0, 300.0])
    got = quadratic_form_cdf(q, np.full((q.size, m), 2.5))
    np.testing.assert_allclose(got, stats.chi2(m).cdf(q / 2.5), atol=1e-11)


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
