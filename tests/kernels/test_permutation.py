from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.permutation import arrangements, n_arrangements, statistics
from netsynth.kernels.regression import weighted_regression
from netsynth.kernels.tau2 import TAU2_ESTIMATORS


@given(st.lists(st.integers(0, 2), min_size=1, max_size=7))
def test_every_different_arrangement_comes_once(kinds):
    design = np.column_stack([np.ones(len(kinds)), np.array(kinds, dtype=float)])
    expected = {tuple(order) for order in permutations(kinds)}
    found = [tuple(int(x) for x in design[order, 1]) for order in arrangements(design)]
    assert len(found) == len(set(found)) == len(expected) == n_arrangements(design)
    assert set(found) == expected


def test_arrangements_are_counted_without_making_them():
    design = np.column_stack([np.ones(60), np.repeat([0.0, 1.0], 30)])
    assert n_arrangements(design) == 118264581564861424  # 60 choose 30


@pytest.mark.parametrize("ci_method", ["wald", "t", "HK", "mHK"])
@pytest.mark.parametrize("tau2_method", ["CE", "DL", "REML", "SJ"])
def test_statistics_of_a_batch_are_those_of_a_loop(tau2_method, ci_method):
    rng = np.random.default_rng(2)
    k = 8
    y, v = rng.standard_normal(k), rng.uniform(0.05, 0.5, k)
    design = np.column_stack([np.ones(k), rng.standard_normal((k, 2))])
    orders = np.array([rng.permutation(k) for _ in range(12)])
    got = statistics(
        orders,
        estimate=y,
        variance=v,
        design=design,
        tested=np.array([1, 2]),
        tau2_method=tau2_method,
        ci_method=ci_method,
    )
    assert got.converged.all()
    for i, order in enumerate(orders):
        x = design[order]
        tau2 = TAU2_ESTIMATORS[tau2_method](y, v, x).tau2
        fit = weighted_regression(y, v + tau2, x)
        spread = fit.q / (k - 3)
        scale = {"wald": 1.0, "t": 1.0, "HK": spread, "mHK": max(1.0, spread)}[ci_method]
        covariance = fit.covariance * scale
        np.testing.assert_allclose(
            got.coefficient[i], fit.coefficient / np.sqrt(np.diag(covariance)), rtol=1e-6
        )
        b = fit.coefficient[1:]
        q = b @ np.linalg.inv(covariance[1:, 1:]) @ b
        assert got.moderators[i] == pytest.approx(q if ci_method == "wald" else q / 2, rel=1e-6)
