from typing import get_args

import numpy as np
import pytest

from netsynth.kernels.dependent import (
    DependentCiMethod,
    DependentModel,
    clustered_mean,
    compound_symmetric,
    fit_dependent,
    fit_dependent_regression,
    homogeneity,
    working_covariance,
)
from netsynth.kernels.heterogeneity import q_statistic, typical_variance, weighted_mean

Y = np.array([0.2, 0.5, -0.1, 0.33, 0.8, 0.05, 0.42])
V = np.array([0.02, 0.05, 0.03, 0.08, 0.04, 0.01, 0.06])
CLUSTER = np.array([0, 0, 1, 2, 2, 2, 3])
DIAGONAL = compound_symmetric(V, CLUSTER, 0.0)


def test_one_correlation_within_cohorts_and_none_between():
    got = compound_symmetric(V, CLUSTER, 0.4)
    for i in range(7):
        for j in range(7):
            together = CLUSTER[i] == CLUSTER[j]
            expected = V[i] if i == j else 0.4 * (V[i] * V[j]) ** 0.5 if together else 0.0
            assert got[i, j] == pytest.approx(expected, rel=1e-15)


def test_independent_results_have_the_q_and_the_typical_variance_of_the_random_effects_model():
    found = homogeneity(Y, DIAGONAL, CLUSTER)
    assert found.q == pytest.approx(float(q_statistic(Y, V)), rel=1e-12)
    assert found.typical_variance == pytest.approx(float(typical_variance(V)), rel=1e-12)


def test_equal_results_have_a_q_of_zero_whatever_their_height():
    assert homogeneity(np.full(7, 1e6 + 0.1), compound_symmetric(V, CLUSTER, 0.5), CLUSTER).q == 0.0


def test_q_of_correlated_results_is_the_quadratic_form():
    v = compound_symmetric(V, CLUSTER, 0.6)
    w, one = np.linalg.inv(v), np.ones(7)
    mean = one @ w @ Y / (one @ w @ one)
    assert homogeneity(Y, v, CLUSTER).q == pytest.approx((Y - mean) @ w @ (Y - mean), rel=1e-11)


def test_the_covariance_of_the_three_level_model():
    v = compound_symmetric(V, CLUSTER, 0.3)
    whole = working_covariance(v, CLUSTER, "three_level", 0.2, 0.05)
    assert whole[0, 1] == pytest.approx(v[0, 1] + 0.2)
    assert whole[0, 0] == pytest.approx(0.02 + 0.2 + 0.05)
    assert whole[0, 2] == 0.0
    unknown = working_covariance(v, CLUSTER, "three_level", 0.2, np.nan)
    assert unknown[0, 0] == pytest.approx(0.02 + 0.2)


def test_the_weights_of_correlated_effects_are_equal_within_a_cohort():
    working = working_covariance(DIAGONAL, CLUSTER, "correlated_effects", 0.1, 0.0)
    assert np.count_nonzero(working - np.diag(np.diag(working))) == 0
    assert np.diag(working)[3:6] == pytest.approx([3 * (0.13 / 3 + 0.1)] * 3)


@pytest.mark.parametrize("method", get_args(DependentCiMethod))
def test_every_method_has_the_mean_and_weights_of_least_squares(method):
    v = compound_symmetric(V, CLUSTER, 0.5) + 0.1 * np.eye(7)
    w, one = np.linalg.inv(v), np.ones(7)
    found = clustered_mean(Y, v, CLUSTER, method)
    assert found.mean == pytest.approx(one @ w @ Y / (one @ w @ one), rel=1e-12)
    assert found.weight == pytest.approx(one @ w / (one @ w @ one), rel=1e-12)
    assert found.weight @ Y == pytest.approx(found.mean, rel=1e-12)
    assert np.isfinite(found.se)


def test_wald_and_t_trust_the_covariance():
    expected = float(weighted_mean(Y, V).variance) ** 0.5
    wald, t = (clustered_mean(Y, DIAGONAL, CLUSTER, method) for method in ("wald", "t"))
    assert (wald.se, t.se) == pytest.approx((expected, expected), rel=1e-12)
    assert (wald.df, t.df) == (np.inf, 3.0)


def test_equal_effects_have_no_robust_error():
    equal = np.full(7, 0.3)
    assert np.isnan(clustered_mean(equal, DIAGONAL, CLUSTER, "CR2").se)
    assert np.isfinite(clustered_mean(equal, DIAGONAL, CLUSTER, "t").se)


def test_without_two_results_of_a_cohort_nothing_is_known_within():
    fit = fit_dependent(Y, np.diag(V), np.arange(7), model="three_level", method="REML", ci_method="CR2")
    assert np.isnan(fit.within)
    assert fit.between > 0


def test_correlated_effects_have_no_likelihood():
    fit = fit_dependent(
        Y, DIAGONAL, CLUSTER, model="correlated_effects", method="REML", ci_method="CR2", correlation=0.8
    )
    assert np.isnan(fit.log_likelihood)
    assert fit.within == 0.0
    assert fit.converged


# --- many sets at once -------------------------------------------------------------------------------------

ABSENT = np.array(
    [[0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0, 1], [1, 1, 0, 1, 0, 1, 0]], dtype=bool
)
LACKING = np.where(np.eye(7, dtype=bool) & ABSENT[:, :, None], np.inf, compound_symmetric(V, CLUSTER, 0.4))
ESTIMATES = np.where(ABSENT, np.nan, Y + 0.1 * np.sin(np.arange(28).reshape(4, 7)))


def part(i):
    """The set i by itself."""
    here = ~ABSENT[i]
    return ESTIMATES[i][here], compound_symmetric(V[here], CLUSTER[here], 0.4), CLUSTER[here]


def test_a_batch_of_correlations_is_one_covariance_each():
    variance = np.where(ABSENT, np.inf, V)
    got = compound_symmetric(variance, CLUSTER, np.array([0.4, 0.4, 0.4, 0.4]))
    here = ~ABSENT[:, :, None] & ~ABSENT[:, None, :]
    assert np.array_equal(got[here], LACKING[here])
    assert np.array_equal(np.isinf(got), np.isinf(LACKING))
    assert not np.isnan(got).any()
    both = compound_symmetric(V, CLUSTER, np.array([0.1, 0.7]))
    for i, rho in enumerate((0.1, 0.7)):
        assert np.array_equal(both[i], compound_symmetric(V, CLUSTER, rho))


def test_q_of_sets_that_lack_results():
    found = homogeneity(ESTIMATES, LACKING, CLUSTER)
    for i in range(4):
        alone = homogeneity(*part(i))
        assert found.q[i] == pytest.approx(float(alone.q), rel=1e-12)
        assert found.typical_variance[i] == pytest.approx(float(alone.typical_variance), rel=1e-12)
    single = homogeneity(Y, np.where(np.arange(7) != 3, np.inf, 1.0) * np.eye(7).clip(1e-300), CLUSTER)
    assert float(single.q) == 0.0
    assert np.isnan(single.typical_variance)


@pytest.mark.parametrize("method", get_args(DependentCiMethod))
@pytest.mark.parametrize("model", get_args(DependentModel))
def test_a_fit_of_many_sets_is_the_fits_of_each(model, method):
    if model == "correlated_effects" and method in ("t", "wald"):
        pytest.skip("they trust the covariance of a model")
    options = {"model": model, "method": "REML", "ci_method": method}
    fits = fit_dependent(ESTIMATES, LACKING, CLUSTER, correlation=np.full(4, 0.4), **options)
    assert fits.converged.all()
    for i in range(4):
        alone = fit_dependent(*part(i), correlation=0.4, **options)
        for name in ("between", "within", "log_likelihood"):
            assert getattr(fits, name)[i] == pytest.approx(
                float(getattr(alone, name)), rel=1e-7, abs=1e-12, nan_ok=True
            )
        for name in ("mean", "se", "df"):
            assert getattr(fits.mean, name)[i] == pytest.approx(
                float(getattr(alone.mean, name)), rel=1e-7, nan_ok=True
            )
        assert fits.mean.weight[i][~ABSENT[i]] == pytest.approx(alone.mean.weight, rel=1e-7)
        assert not fits.mean.weight[i][ABSENT[i]].any()


def test_equal_effects_in_one_set_of_many():
    estimates = np.stack([Y, np.full(7, 0.3), np.where(CLUSTER == 0, 9.0, 0.3)])
    covariance = np.stack([DIAGONAL, DIAGONAL, np.where(np.eye(7) * (CLUSTER == 0) > 0, np.inf, DIAGONAL)])
    assert np.isnan(clustered_mean(estimates, covariance, CLUSTER, "CR2").se).tolist() == [False, True, True]


# --- regression --------------------------------------------------------------------------------------------

X = np.column_stack([np.ones(7), [0.1, 0.5, -0.3, 0.8, 0.2, -0.9, 0.4]])


def test_the_residual_q_is_the_quadratic_form():
    v = compound_symmetric(V, CLUSTER, 0.4)
    w = np.linalg.inv(v)
    beta = np.linalg.solve(X.T @ w @ X, X.T @ w @ Y)
    fit = fit_dependent_regression(Y, v, CLUSTER, X, model="three_level", method="REML", ci_method="t")
    assert float(fit.q) == pytest.approx((Y - X @ beta) @ w @ (Y - X @ beta), rel=1e-11)


@pytest.mark.parametrize("method", get_args(DependentCiMethod))
@pytest.mark.parametrize("model", get_args(DependentModel))
def test_a_regression_of_many_sets_is_the_regressions_of_each(model, method):
    if model == "correlated_effects" and method in ("t", "wald"):
        pytest.skip("they trust the covariance of a model")
    options = {"model": model, "method": "ML", "ci_method": method, "correlation": 0.4}
    fits = fit_dependent_regression(ESTIMATES, LACKING, CLUSTER, X, **options)
    for i in range(4):
        y, v, cluster = part(i)
        alone = fit_dependent_regression(y, v, cluster, X[~ABSENT[i]], **options)
        for name in ("coefficient", "covariance", "df", "between", "within", "log_likelihood", "q"):
            np.testing.assert_allclose(
                getattr(fits, name)[i], getattr(alone, name), rtol=1e-6, atol=1e-10, err_msg=name
            )


def test_a_coefficient_may_rest_on_one_cohort_in_some_sets_only():
    x = np.column_stack([np.ones(7), np.isin(CLUSTER, (0, 3))])
    absent = np.stack([np.zeros(7, dtype=bool), CLUSTER == 3])
    lacking = np.where(np.eye(7, dtype=bool) & absent[:, :, None], np.inf, DIAGONAL)
    fits = fit_dependent_regression(
        Y, lacking, CLUSTER, x, model="three_level", method="REML", ci_method="CR2"
    )
    assert np.isnan(fits.df).tolist() == [[False, False], [False, True]]
    assert np.isnan(fits.covariance[1]).tolist() == [[False, True], [True, True]]
