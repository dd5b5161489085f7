from typing import get_args

import numpy as np
import pytest

from netsynth.kernels.dependent import (
    DependentCiMethod,
    clustered_mean,
    compound_symmetric,
    fit_dependent,
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
