import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from netsynth.kernels.excess import (
    chi2_statistic,
    excess_pvalue,
    limit_estimate,
    poisson_binomial_tail,
    power,
    significant,
)

ALTERNATIVES = ("greater", "less", "two-sided")
V = np.array([0.02, 0.05, 0.03, 0.01, 0.12])
chances = st.lists(st.floats(0, 1), min_size=1, max_size=7)


@given(p=chances, data=st.data())
def test_the_exact_tail_by_all_outcomes(p, data):
    n = data.draw(st.integers(0, len(p)))
    expected = sum(
        math.prod(q if hit else 1 - q for q, hit in zip(p, outcome, strict=True))
        for outcome in itertools.product((0, 1), repeat=len(p))
        if sum(outcome) >= n
    )
    assert poisson_binomial_tail(np.array(n), np.array(p)) == pytest.approx(expected, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("tau2", [0.0, 0.04])
def test_power_by_integration(alternative, tau2):
    got = power(0.2, tau2, V, alternative, 0.05)
    for v, value in zip(V, got, strict=True):

        def seen(effect, v=v):
            z = effect / math.sqrt(v)
            crit = stats.norm.isf(0.025 if alternative == "two-sided" else 0.05)
            up, down = stats.norm.sf(crit - z), stats.norm.cdf(-crit - z)
            return {"greater": up, "less": down, "two-sided": up + down}[alternative]

        sd = math.sqrt(tau2)
        expected = (
            seen(0.2)
            if tau2 == 0
            else integrate.quad(lambda x, s=seen, sd=sd: s(x) * stats.norm.pdf(x, 0.2, sd), -1.5, 1.9)[0]
        )
        assert value == pytest.approx(expected, rel=1e-7)


def test_tests_agree_where_all_studies_are_alike():
    chance = np.full(12, 0.3)
    exact, binomial = (excess_pvalue(np.array(6), chance, 12, test) for test in ("exact", "binomial"))
    assert exact == pytest.approx(stats.binom.sf(5, 12, 0.3), rel=1e-12)
    assert binomial == pytest.approx(stats.binom.sf(5, 12, 0.3), rel=1e-12)
    chi2 = stats.chisquare([6, 6], [3.6, 8.4])
    assert chi2_statistic(np.array(6), chance, 12) == pytest.approx(chi2.statistic, rel=1e-12)
    assert excess_pvalue(np.array(6), chance, 12, "chi2") == pytest.approx(chi2.pvalue / 2, rel=1e-12)


def test_none_or_all_expected():
    assert excess_pvalue(np.array(0), np.zeros(3), 3, "chi2") == 0.5
    assert excess_pvalue(np.array(0), np.zeros(3), 3, "binomial") == 1.0
    assert excess_pvalue(np.array(0), np.zeros(3), 3, "exact") == 1.0


@given(p=chances)
def test_more_significant_studies_are_less_likely(p):
    chance = np.array(p)
    tails = [float(poisson_binomial_tail(np.array(n), chance)) for n in range(len(p) + 1)]
    assert tails[0] == pytest.approx(1.0)
    assert all(a >= b - 1e-15 for a, b in itertools.pairwise(tails))


@pytest.mark.parametrize("test", ["exact", "binomial", "chi2"])
@pytest.mark.parametrize(
    ("alternative", "direction"), [("greater", 1.0), ("less", -1.0), ("two-sided", -1.0)]
)
def test_the_limit_has_the_p_value_it_promises(test, alternative, direction):
    found = limit_estimate(4, V, alternative, 0.05, test, tau2=0.0, direction=direction, level=0.1)
    assert found * direction > 0
    again = excess_pvalue(np.array(4), power(found, 0.0, V, alternative, 0.05), 5, test)
    assert again == pytest.approx(0.1, rel=1e-9)


def test_no_limit_where_nothing_exceeds():
    found = limit_estimate(0, V, "greater", 0.05, "exact", tau2=0.0, direction=1.0, level=0.1)
    assert math.isnan(found)


def test_an_absent_study_has_no_power_and_is_not_significant():
    v, y = np.append(V, np.inf), np.array([0.9, 0.0, 0.9, 0.0, 0.0, 5.0])
    assert power(0.2, 0.0, v, "greater", 0.05)[-1] == 0.0
    assert significant(y, v, "greater", 0.05).tolist() == [True, False, True, False, False, False]


def test_sets_at_once():
    mean, tau2 = np.array([0.1, -0.4]), np.array([0.0, 0.2])
    together = power(mean, tau2, np.stack([V, V]), "two-sided", 0.1)
    for i in range(2):
        np.testing.assert_allclose(together[i], power(mean[i], tau2[i], V, "two-sided", 0.1), rtol=1e-12)
    tails = poisson_binomial_tail(np.array([2, 3]), together)
    assert tails[1] == pytest.approx(float(poisson_binomial_tail(np.array(3), together[1])), rel=1e-12)
