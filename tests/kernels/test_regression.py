import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.regression import design_fit, mean_fit, standardised, weighted_regression


def sets(seed, n=6, k=9, p=3):
    rng = np.random.default_rng(seed)
    v = np.exp(rng.uniform(-4, 1, (n, k)))
    y = rng.standard_normal((n, k))
    x = rng.standard_normal((n, k, p))
    x[..., 0] = 1.0
    return y, v, x


def p_matrix(w, x):
    weight = np.diag(w)
    return weight - weight @ x @ np.linalg.inv(x.T @ weight @ x) @ x.T @ weight


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_regression_equals_its_normal_equations(seed, p):
    y, v, x = sets(seed, p=p)
    fit = weighted_regression(y, v, x)
    for i in range(len(y)):
        w = np.diag(1 / v[i])
        covariance = np.linalg.inv(x[i].T @ w @ x[i])
        beta = covariance @ x[i].T @ w @ y[i]
        np.testing.assert_allclose(fit.coefficient[i], beta, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(fit.covariance[i], covariance, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(fit.fitted[i], x[i] @ beta, rtol=1e-7, atol=1e-9)
        hat = x[i] @ covariance @ x[i].T @ w
        np.testing.assert_allclose(fit.leverage[i], np.diag(hat), rtol=1e-7)
        assert fit.q[i] == pytest.approx(((y[i] - x[i] @ beta) ** 2 / v[i]).sum(), rel=1e-8)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_traces_and_powers_equal_those_of_the_matrix(seed, p):
    y, v, x = sets(seed, p=p)
    w, other = 1 / v, np.random.default_rng(seed).uniform(0.1, 2, v.shape)
    fits = [design_fit(y, w, x)]
    if p == 1:
        order = np.argsort(v, axis=-1)  # a mean wants the most precise study first
        y, w, other = (np.take_along_axis(a, order, -1) for a in (y, w, other))
        fits = [mean_fit(y, w), design_fit(y, w, x)]
    for fit in fits:
        for i in range(len(y)):
            m = p_matrix(w[i], x[i])
            py = m @ y[i]
            expected = {
                "q": y[i] @ py,
                "squared": py @ py,
                "cubed": py @ m @ py,
                "trace": np.trace(m),
                "trace_squared": np.trace(m @ m),
                "log_determinant": np.linalg.slogdet(x[i].T @ np.diag(w[i]) @ x[i])[1],
            }
            got = {name: getattr(fit, name)()[i] for name in expected}
            assert got == pytest.approx(expected, rel=1e-7, abs=1e-10)
            assert fit.trace_with(other)[i] == pytest.approx(np.trace(m @ np.diag(other[i])), rel=1e-7)


def test_absent_studies_are_absent():
    y, v, x = sets(1)
    v[:, 4], y[:, 4] = np.inf, 1e200
    there = np.arange(v.shape[-1]) != 4
    whole, part = weighted_regression(y, v, x), weighted_regression(y[:, there], v[:, there], x[:, there])
    np.testing.assert_allclose(whole.coefficient, part.coefficient, rtol=1e-10)
    np.testing.assert_allclose(whole.q, part.q, rtol=1e-10)
    assert not whole.leverage[:, 4].any()
    first, second = standardised(y, v, x), standardised(y[:, there], v[:, there], x[:, there])
    np.testing.assert_allclose(first.at(0.3).trace(), second.at(0.3).trace(), rtol=1e-10)
    assert first.df.tolist() == second.df.tolist() == [5] * 6


def test_a_study_that_rules_its_coefficient_keeps_the_digits_of_the_trace():
    # Two groups; in the first, one study is 1e12 times as precise as the other. Then tr P is, but for 1e-12 of itself,
    # the weight of that other study and what two studies of weight 1 leave in the second group.
    y, w = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1e12, 1.0, 1.0, 1.0])
    x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    trace = design_fit(y, w, x).trace()
    exact = 2.0 * 1e12 / (1e12 + 1.0) + 1.0
    assert trace == pytest.approx(exact, rel=1e-12)


def test_collinear_columns_give_nan():
    x = np.column_stack([np.ones(5), np.arange(5.0), 1.0 + 2.0 * np.arange(5.0)])
    fit = weighted_regression(np.arange(5.0) ** 2, np.ones(5), x)
    assert np.isnan(fit.coefficient).all()
    nearly = x.copy()
    nearly[:, 2] += 1e-4 * np.array([1, -1, 1, -1, 1])
    assert np.isfinite(weighted_regression(np.arange(5.0) ** 2, np.ones(5), nearly).coefficient).all()
