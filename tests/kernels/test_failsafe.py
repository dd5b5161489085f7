import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsynth.kernels.failsafe import (
    diluted,
    general,
    orwin,
    rosenberg,
    rosenthal,
    rounded_up,
    stouffer_pvalue,
)

Y = np.array([0.31, 0.12, 0.55, 0.28, 0.90, 0.24])
V = np.array([0.02, 0.05, 0.03, 0.01, 0.12, 0.004])


def common_pvalue(y, v):
    w = 1 / v
    return 2 * stats.norm.sf(abs(w @ y) / math.sqrt(w.sum()))


def test_rosenthal_by_adding_studies():
    n = math.ceil(float(rosenthal(Y, V, 0.05)))
    z = Y / np.sqrt(V)
    for more, above in ((n - 1, False), (n, True)):
        pvalue = stats.norm.sf(z.sum() / math.sqrt(z.size + more))
        assert bool(pvalue >= 0.05) is above
    assert stouffer_pvalue(Y, V) == pytest.approx(
        stats.combine_pvalues(stats.norm.sf(z), "stouffer").pvalue, rel=1e-9
    )


def test_rosenberg_by_adding_studies():
    n = math.ceil(float(rosenberg(Y, V, 0.05)))
    mean_variance = Y.size / (1 / V).sum()
    for more, above in ((n - 1, False), (n, True)):
        y, v = np.append(Y, np.zeros(more)), np.append(V, np.full(more, mean_variance))
        assert bool(common_pvalue(y, v) >= 0.05) is above


def test_orwin_by_adding_studies():
    assert float(orwin(np.array(0.3), np.array(0.1), 10)) == pytest.approx(20)  # 10 * 0.3 / (10 + 20) = 0.1


def test_general_is_rosenberg_under_the_common_effect():
    w = 1 / V
    mean = float(w @ Y / w.sum())
    n = general(Y, V, mean, 0.0, common=True, alpha=0.05)
    assert n == math.ceil(float(rosenberg(Y, V, 0.05)))
    assert diluted(Y, V, mean, 0.0, int(n), common=True).pvalue >= 0.05
    assert diluted(Y, V, mean, 0.0, int(n) - 1, common=True).pvalue < 0.05


def test_spread_of_the_whole_is_that_of_two_groups():
    # k true effects with mean m and variance t, and n with mean 0 and variance t, both as samples
    k, n, m, t = 6, 9, 0.4, 0.07
    rng = np.random.default_rng(3)

    def sample(size):
        x = rng.normal(size=size)
        return (x - x.mean()) / x.std(ddof=1) * math.sqrt(t)

    expected = np.concatenate([m + sample(k), sample(n)]).var(ddof=1)
    assert diluted(np.zeros(k), np.ones(k), m, t, n, common=False).tau2 == pytest.approx(expected, rel=1e-12)


@given(tau2=st.floats(0, 1), mean=st.floats(0.05, 2), alpha=st.floats(0.01, 0.2))
def test_general_is_the_fewest(tau2, mean, alpha):
    y = np.full(6, mean)
    n = general(y, V, mean, tau2, common=False, alpha=alpha)
    assert diluted(y, V, mean, tau2, int(n), common=False).pvalue >= alpha
    assert n == 0 or diluted(y, V, mean, tau2, int(n) - 1, common=False).pvalue < alpha


def test_general_moves_the_mean_to_a_target():
    n = general(Y, V, 0.3, 0.01, common=False, alpha=0.05, target=0.1)
    assert diluted(Y, V, 0.3, 0.01, int(n), common=False).mean <= 0.1
    assert diluted(Y, V, 0.3, 0.01, int(n) - 1, common=False).mean > 0.1


def test_more_than_can_be_is_infinite():
    assert general(1e4 * Y, 1e-6 * V, 1e4 * 0.3, 0.0, common=True, alpha=0.05) == math.inf


@pytest.mark.parametrize(
    ("n", "expected"),
    [(3.2, 4.0), (3.0, 3.0), (3.0 + 1e-13, 3.0), (-7.0, 0.0), (0.0, 0.0), (math.inf, math.inf)],
)
def test_rounding_up(n, expected):
    assert rounded_up(n) == expected
