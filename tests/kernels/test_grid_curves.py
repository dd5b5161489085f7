"""Curves on a common grid, against the same by hand and by dense matrices."""

import math

import numpy as np
import pytest

from netsynth.kernels.grid_curves import fit_grid, followed, within_covariance
from netsynth.multivariate import pool_multivariate


def by_loops(theta, many, present):
    """The covariance of one study entry by entry: a sum over intervals between the times that it tells."""
    told = np.flatnonzero(present)
    hazard = np.exp(theta)
    found = np.zeros((theta.size, theta.size))
    for a in told:
        for b in told:
            total, before = 0.0, 0.0
            for j in told[told <= min(a, b)]:
                total += (math.exp(hazard[j]) - math.exp(before)) / many[j]
                before = hazard[j]
            found[a, b] = total / (hazard[a] * hazard[b])
    return found


def test_of_complete_follow_up_it_is_the_binomial_variance():
    s, n = np.array([0.9, 0.6, 0.2]), 50
    theta = np.log(-np.log(s))
    found = within_covariance(theta, np.full((1, 3), n), np.ones((1, 3), dtype=bool))[0]
    assert np.diag(found) == pytest.approx((1 - s) / (s * n) / np.log(s) ** 2)


def test_intervals_run_between_the_times_a_study_tells():
    theta = np.array([-2.0, -1.0, -0.3, 0.2])
    many = np.array([[40.0, 38, 35, 30], [20, 19, 18, 17]])
    present = np.array([[True, True, True, True], [False, True, False, True]])
    found = within_covariance(theta, many, present)
    for i in range(2):
        assert found[i] == pytest.approx(by_loops(theta, many[i], present[i]))


def test_a_flat_stretch_keeps_a_variance():
    theta = np.array([-1.0, -1.0])
    found = within_covariance(theta, np.full((1, 2), 30.0), np.ones((1, 2), dtype=bool))[0]
    assert np.linalg.eigvalsh(found)[0] > 0


def test_numbers_that_greenwood_tells():
    s = np.array([0.8, 0.6, 0.6])
    g = np.cumsum([0.2 / (0.8 * 10), 0.25 / (0.75 * 4), 0.0])
    assert followed(s, g, np.array([10.0, 4, 3])) == pytest.approx([10, 4 / 0.8, 3 / 0.6])


def three_studies():
    y = np.array([[-2.1, -1.0, -0.2], [-1.6, -0.5, 0.3], [-2.4, -1.3, -0.4], [-1.9, -0.6, 0.0]])
    many = np.array([[60.0, 55, 50], [80, 78, 70], [45, 44, 44], [100, 90, 60]])
    extra = np.stack([0.01 * (i + 1) * np.eye(3) for i in range(4)])
    present = np.ones((4, 3), dtype=bool)
    present[2, 2] = False
    return y, many, extra, present


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@pytest.mark.parametrize("method", ["MM", "CE"])
def test_it_is_the_multivariate_model_of_the_same_numbers(method):
    y, many, extra, present = three_studies()
    fit = fit_grid(y, many, extra, present, method=method)
    assert fit.converged
    # the covariances are those of the pooled curve, found without the kernel
    expected = np.stack([by_loops(fit.estimate, m, here) for m, here in zip(many, present, strict=True)])
    both = present[:, :, None] & present[:, None, :]
    expected = np.where(both, expected + extra, np.nan)
    assert np.where(both, fit.within, np.nan) == pytest.approx(expected, rel=1e-7, nan_ok=True)
    pooled = pool_multivariate(
        np.where(present, y, np.nan), covariance=np.nan_to_num(expected), method=method, ci_method="wald"
    )
    assert fit.estimate == pytest.approx(pooled.coefficient, abs=1e-7)
    assert fit.covariance == pytest.approx(pooled.model_covariance, rel=1e-6)
    assert fit.psi == pytest.approx(pooled.psi, abs=1e-7)


def test_q_is_that_of_the_common_curve():
    y, many, extra, present = three_studies()
    random, common = (fit_grid(y, many, extra, present, method=method) for method in ("MM", "CE"))
    assert random.q == pytest.approx(common.q)
    assert random.q_df == common.q_df == 8
    total = 0.0
    for i in range(4):
        here = present[i]
        away = (y[i] - common.estimate)[here]
        v = by_loops(common.estimate, many[i], here) + extra[i]
        total += away @ np.linalg.solve(v[np.ix_(here, here)], away)
    assert common.q == pytest.approx(total)
