"""Kendall's correlation against scipy and by counting pairs and orders one by one."""

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsynth.kernels.rank import EXACT_UP_TO, exact_pvalue, kendall

REFERENCES = Path(__file__).parents[1] / "references"
RANKTEST = json.loads((REFERENCES / "asymmetry.json").read_text(encoding="utf-8"))["ranktest"]

few = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=14)


def everyone(values):
    return np.ones(np.shape(values), dtype=bool)


def counted(n):
    """How many orders of n values have 0, 1, ... discordant pairs, in whole numbers."""
    counts = [1]
    for m in range(2, n + 1):
        longer = [0] * (m * (m - 1) // 2 + 1)
        for q, count in enumerate(counts):
            for j in range(m):
                longer[q + j] += count
        counts = longer
    return counts


def by_pairs(x, y):
    """Kendall's score, the variance by its formula, and tau-b, pair by pair and group by group."""
    n, score = len(x), 0
    for i, j in itertools.combinations(range(n), 2):
        score += int(np.sign(x[i] - x[j])) * int(np.sign(y[i] - y[j]))
    t, u = ([list(values).count(value) for value in set(values)] for values in (x, y))
    variance = n * (n - 1) * (2 * n + 5)
    variance -= sum(a * (a - 1) * (2 * a + 5) for a in t) + sum(a * (a - 1) * (2 * a + 5) for a in u)
    pairs_t, pairs_u = (sum(a * (a - 1) for a in group) for group in (t, u))
    triples_t, triples_u = (sum(a * (a - 1) * (a - 2) for a in group) for group in (t, u))
    variance = variance / 18 + pairs_t * pairs_u / (2 * n * (n - 1))
    variance += triples_t * triples_u / (9 * n * (n - 1) * (n - 2))
    free = (n * (n - 1) - pairs_t) * (n * (n - 1) - pairs_u)
    return score, variance, 2 * score / math.sqrt(free) if free else math.nan


@given(few)
def test_score_variance_and_tau_are_counted(points):
    x, y = np.array(points, dtype=float).T
    found = kendall(x, y, everyone(x))
    assert (found.score, found.variance, found.tau) == pytest.approx(by_pairs(x, y), rel=1e-12, nan_ok=True)
    assert found.tied == (len(set(x)) < x.size or len(set(y)) < y.size)


@given(few)
def test_tau_and_normal_pvalue_are_those_of_scipy(points):
    x, y = np.array(points, dtype=float).T
    if len(set(x)) == 1 or len(set(y)) == 1:
        return
    found, expected = kendall(x, y, everyone(x)), stats.kendalltau(x, y, method="asymptotic")
    assert found.tau == pytest.approx(expected.statistic, rel=1e-12, abs=1e-15)
    assert 2 * stats.norm.sf(abs(found.score) / np.sqrt(found.variance)) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("n", range(2, 8))
def test_exact_pvalue_counts_all_orders(n):
    orders = list(itertools.permutations(range(n)))
    scores = np.array(
        [
            kendall(np.arange(n * 1.0), np.array(order * 1.0), everyone(order)).score
            for order in map(np.array, orders)
        ]
    )
    for score in set(scores):
        tails = min((scores >= score).sum(), (scores <= score).sum()) / len(orders)
        assert exact_pvalue(score, np.array(n)) == pytest.approx(min(1.0, 2 * tails), rel=1e-14)


def test_exact_pvalue_keeps_its_digits_far_out():
    n = 60
    counts, pairs = counted(n), n * (n - 1) // 2
    total = math.factorial(n)
    for discordant in (0, 1, 7, 100, 500, 800, 885):
        expected = float(2 * Fraction(sum(counts[: discordant + 1]), total))
        assert exact_pvalue(np.array(pairs - 2.0 * discordant), np.array(n)) == pytest.approx(
            min(1.0, expected), rel=1e-13
        )
    assert 0 < exact_pvalue(np.array(pairs * 1.0), np.array(n)) < 1e-80


def test_exact_pvalue_far_out_nears_the_normal_one():
    n = EXACT_UP_TO
    sd = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    score = 2 * round(sd)  # as even as the number of pairs is
    assert exact_pvalue(np.array(score * 1.0), np.array(n)) == pytest.approx(
        2 * stats.norm.sf((score - 1) / sd), rel=1e-2
    )


def test_exact_pvalue_is_undefined_outside_its_table():
    assert np.isnan(exact_pvalue(np.array([0.0, 1.0]), np.array([1, EXACT_UP_TO + 1]))).all()


@pytest.mark.parametrize("case", RANKTEST, ids=lambda case: case["dataset"])
def test_reference_exact_pvalue(case):
    # metafor gives tau and, without ties, R's exact p-value
    n = len(case["yi"])
    if len(set(case["vi"])) == n:
        score = round(case["tau"] * n * (n - 1) / 2)
        assert exact_pvalue(np.array(score * 1.0), np.array(n)) == pytest.approx(case["pval"], rel=1e-8)


def test_a_batch_is_a_loop_and_absent_values_are_absent():
    rng = np.random.default_rng(7)
    x, y = rng.integers(0, 6, (2, 30, 9)).astype(float)
    present = rng.random((30, 9)) < 0.8
    present[:, :3] = True
    x[~present], y[~present] = np.inf, np.nan  # whatever stands there must not matter
    together = kendall(x, y, present)
    for i in range(30):
        here = present[i]
        alone = kendall(x[i, here], y[i, here], everyone(x[i, here]))
        np.testing.assert_allclose([field[i] for field in together], list(alone), rtol=1e-12)
    cube = kendall(x.reshape(5, 6, 9), y.reshape(5, 6, 9), present.reshape(5, 6, 9))
    np.testing.assert_array_equal(cube.score, together.score.reshape(5, 6))
    pvalue = exact_pvalue(together.score, together.n)
    np.testing.assert_array_equal(
        pvalue, [exact_pvalue(s, n) for s, n in zip(together.score, together.n, strict=True)]
    )
