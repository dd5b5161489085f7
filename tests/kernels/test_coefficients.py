from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsynth.kernels.coefficients import (
    COEFFICIENT_ERRORS,
    adjusted_r2,
    criteria,
    difference_test,
    explained_share,
    residual_df,
    typical_residual_variance,
    variance_inflation,
    wald_test,
)
from netsynth.kernels.heterogeneity import typical_variance
from netsynth.kernels.intervals import CI_METHODS, CiMethod


@st.composite
def sets(draw, p=3):
    """Effects, variances and a design of full rank."""
    k = draw(st.integers(p + 2, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    v = np.exp(rng.uniform(-4, 2, k))
    design = np.column_stack([np.ones(k), rng.standard_normal((k, p - 1))])
    return rng.standard_normal(k) * np.sqrt(v + 0.3), v, design


def batch(n=6, k=9, p=2, seed=3):
    rng = np.random.default_rng(seed)
    v = np.exp(rng.uniform(-3, 1, (n, k)))
    v[rng.random((n, k)) < 0.25] = np.inf
    v[:, :5] = np.where(np.isinf(v[:, :5]), 0.5, v[:, :5])
    design = np.concatenate([np.ones((n, k, 1)), rng.standard_normal((n, k, p - 1))], axis=-1)
    return rng.standard_normal((n, k)), v, design


def test_every_name_is_one_of_an_interval_of_a_mean():
    assert set(COEFFICIENT_ERRORS) <= set(get_args(CiMethod))


@pytest.mark.parametrize("method", COEFFICIENT_ERRORS)
@given(data=sets(p=1), tau2=st.floats(0, 5))
def test_a_mean_has_the_error_of_a_mean(method, data, tau2):
    y, v, design = data
    w = 1 / (v + tau2)
    q = w @ (y - w @ y / w.sum()) ** 2
    error = COEFFICIENT_ERRORS[method](np.asarray(q), residual_df(v, design))
    expected = CI_METHODS[method](y, v, np.asarray(tau2))
    assert np.sqrt(error.scale / w.sum()) == pytest.approx(expected.se, rel=1e-8)
    assert error.df == expected.df


def test_a_perfect_fit_has_no_knapp_hartung_error():
    assert np.isnan(COEFFICIENT_ERRORS["HK"](np.zeros(()), np.asarray(4.0)).scale)
    assert COEFFICIENT_ERRORS["mHK"](np.zeros(()), np.asarray(4.0)).scale == 1.0


@given(sets())
def test_typical_variance_by_projection(data):
    _, v, design = data
    w = np.diag(1 / v)
    p = w - w @ design @ np.linalg.inv(design.T @ w @ design) @ design.T @ w
    expected = (v.size - design.shape[1]) / np.trace(p)
    assert typical_residual_variance(v, design) == pytest.approx(expected, rel=1e-6)
    assert typical_residual_variance(v, design[:, :1]) == pytest.approx(typical_variance(v), rel=1e-9)


def test_typical_variance_of_a_batch_is_that_of_a_loop():
    _, v, design = batch()
    alone = [
        typical_residual_variance(b[np.isfinite(b)], x[np.isfinite(b)])
        for b, x in zip(v, design, strict=True)
    ]
    np.testing.assert_allclose(typical_residual_variance(v, design), alone, rtol=1e-9)
    assert residual_df(v, design).tolist() == [np.isfinite(b).sum() - 2 for b in v]


def test_nothing_is_typical_of_a_saturated_design():
    v = np.array([0.1, 0.2])
    assert np.isnan(typical_residual_variance(v, np.array([[1.0, 0.0], [1.0, 1.0]])))


@given(sets(), st.sampled_from([np.inf, 7.0]))
def test_the_wald_test_by_its_definition(data, df):
    y, v, design = data
    covariance = np.linalg.inv(design.T @ np.diag(1 / v) @ design)
    b = covariance @ design.T @ (y / v)
    test = wald_test(b, covariance, np.asarray(df))
    q = b @ np.linalg.inv(covariance) @ b
    expected = stats.chi2.sf(q, 3) if np.isinf(df) else stats.f.sf(q / 3, 3, df)
    assert test.statistic == pytest.approx(q if np.isinf(df) else q / 3, rel=1e-6)
    assert test.pvalue == pytest.approx(expected, rel=1e-5)
    assert (test.df, test.df_residual) == (3, df)


def test_wald_tests_of_a_batch():
    b = np.array([[1.0, 2.0], [0.3, -0.1], [0.0, 0.0]])
    covariance = np.array([np.eye(2), [[2.0, 1.0], [1.0, 2.0]], np.eye(2)])
    df = np.array([np.inf, 5.0, 5.0])
    together = wald_test(b, covariance, df)
    alone = [wald_test(*each) for each in zip(b, covariance, df, strict=True)]
    for i, field in enumerate(together):
        np.testing.assert_allclose(field, [test[i] for test in alone])
    assert together.pvalue[2] == 1.0


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6), st.sampled_from([np.inf, 9.0]))
def test_a_difference_of_means_is_a_wald_test_of_contrasts(means, df):
    means = np.array(means)
    variance = np.linspace(0.1, 0.9, means.size)
    contrast = np.eye(means.size)[1:] - np.eye(means.size)[0]
    expected = wald_test(contrast @ means, contrast @ np.diag(variance) @ contrast.T, np.asarray(df))
    got = difference_test(means, variance, np.asarray(df))
    assert got.statistic == pytest.approx(expected.statistic, rel=1e-8, abs=1e-10)
    assert got.pvalue == pytest.approx(expected.pvalue, rel=1e-7)


def test_a_tail_far_out_is_a_number():
    test = difference_test(np.array([0.0, 12.0]), np.array([0.5, 0.5]), np.asarray(np.inf))
    assert test.pvalue == pytest.approx(stats.norm.sf(12.0) * 2, rel=1e-9)
    assert 0 < test.pvalue < 1e-30


def test_criteria_by_hand():
    aic, aicc, bic = criteria(np.asarray(-4.0), 3, 10)
    assert (aic, bic) == pytest.approx((8 + 6, 8 + 3 * np.log(10)))
    assert aicc == pytest.approx(8 + 6 + 2 * 3 * 4 / 6)  # AIC + 2 m (m + 1) / (n - m - 1)
    assert criteria(np.asarray(-4.0), 3, 4).aicc == pytest.approx(8 + 2 * 3 * 5 / 1)  # n taken for 5


def test_shares_stay_within_their_range():
    tau2, null = np.array([0.1, 0.3, 0.0, 0.2]), np.array([0.4, 0.2, 0.0, 0.0])
    assert explained_share(tau2, null) == pytest.approx([0.75, 0.0, 0.0, 0.0])
    q, q_null = np.array([5.0, 30.0, 0.0]), np.array([20.0, 20.0, 0.0])
    got = adjusted_r2(q, np.array([8, 8, 8]), q_null, np.array([10, 10, 10]))
    assert got == pytest.approx([1 - (5 / 8) / (20 / 10), 0.0, 0.0])


@given(sets())
def test_inflation_is_one_over_what_the_others_leave(data):
    _, _, design = data
    x = design[:, 1:]
    covariance = np.linalg.inv(np.cov(x.T))
    r2 = np.corrcoef(x.T)[0, 1] ** 2
    assert variance_inflation(covariance) == pytest.approx([1 / (1 - r2)] * 2, rel=1e-5)
