import statistics
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.orderstats import (
    fewest_for_median,
    median_coverage,
    median_rank,
    quantile,
    quantile_ranks,
    weighted_quantile,
)

# Nair KR (1940), Sankhya 4:551-558, as reprinted in Jarrard RD, Scientific Methods, Table 5: for N = 6, 7, ...,
# 65 the rank k of the limits and the confidence in percent, above 95 and above 99 (0 where there is none).
# The reprint has 98.1 for N = 7, k = 1, where 1 - 2/2^7 is 98.4375: a misprint, put right here.
NAIR_95 = """
1 96.9 1 98.4 1 99.2 2 96.1 2 97.9 2 98.8 3 96.1 3 97.8 3 98.7 4 96.5 4 97.9 5 95.1 5 96.9 5 98.1 6 95.9 6 97.3
6 98.3 7 96.5 7 97.7 8 95.7 8 97.1 8 98.1 9 96.4 9 97.6 10 95.7 10 97.1 10 98 11 96.5 11 97.6 12 95.9 12 97.1
13 95.3 13 96.6 13 97.6 14 96.2 14 97.2 15 95.6 15 96.8 16 95.1 16 96.4 16 97.4 17 96 17 97.1 18 95.6 18 96.7
19 95.1 19 96.4 19 97.3 20 96 20 97 21 95.6 21 96.7 22 95.2 22 96.4 22 97.3 23 96 23 97 24 95.7 24 96.7 25 95.4
"""
NAIR_99 = """
0 0 0 0 1 99.2 1 99.6 1 99.8 1 99.9 2 99.4 2 99.7 2 99.8 3 99.3 3 99.6 3 99.8 4 99.2 4 99.6 4 99.7 5 99.3
5 99.6 5 99.7 6 99.3 6 99.6 7 99.1 7 99.4 7 99.6 8 99.2 8 99.5 8 99.7 9 99.3 9 99.5 10 99.1 10 99.4 10 99.6
11 99.2 11 99.5 12 99.1 12 99.4 12 99.6 13 99.2 13 99.5 14 99 14 99.3 14 99.5 15 99.2 15 99.4 16 99.1 16 99.3
16 99.5 17 99.2 17 99.5 18 99.1 18 99.4 18 99.5 19 99.2 19 99.5 20 99.1 20 99.4 21 99 21 99.3 21 99.5 22 99.2
22 99.4
"""
K_NAIR = np.arange(6, 66)


def exact_coverage(k, rank):
    """Coverage as a fraction of whole numbers, sharing nothing with the incomplete beta function."""
    return 1 - Fraction(2 * sum(comb(k, i) for i in range(rank)), 2**k)


@pytest.mark.parametrize(("table", "level"), [(NAIR_95, 0.95), (NAIR_99, 0.99)])
def test_published_ranks_of_nair(table, level):
    printed = np.array(table.split(), dtype=float).reshape(-1, 2)
    found = median_rank(K_NAIR, level)
    assert found.rank.tolist() == printed[:, 0].tolist()
    exists = printed[:, 0] > 0
    # half a unit of the last printed digit; the table rounds ties either way
    assert 100 * found.coverage[exists] == pytest.approx(printed[exists, 1], abs=0.05 + 1e-9)


def test_coverage_is_a_binomial_sum():
    k, rank = (grid.ravel() for grid in np.meshgrid(np.arange(1, 81), np.arange(1, 41)))
    k, rank = k[2 * rank <= k + 1], rank[2 * rank <= k + 1]
    exact = [float(exact_coverage(*pair)) for pair in zip(k.tolist(), rank.tolist(), strict=True)]
    assert median_coverage(k, rank) == pytest.approx(exact, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("level", ["0.01", "0.2", "0.5", "0.8", "0.9", "0.95", "0.99", "0.999", "0.9999999"])
def test_rank_is_the_largest_that_reaches_the_level(level):
    k = np.arange(1, 90)
    found = median_rank(k, float(level))
    for n, rank, coverage in zip(k.tolist(), found.rank.tolist(), found.coverage.tolist(), strict=True):
        reached = [j for j in range(1, n // 2 + 1) if exact_coverage(n, j) >= Fraction(level)]
        assert rank == max(reached, default=0)
        assert coverage == pytest.approx(float(exact_coverage(n, max(rank, 1))), rel=1e-12, abs=1e-13)


def test_asking_for_the_coverage_of_an_interval_gives_it_back():
    for n in range(2, 40):
        for j in range(1, n // 2 + 1):
            assert median_rank(n, float(median_coverage(n, j))).rank == j


def test_ranks_of_very_many_values_are_near_the_normal_approximation():
    n = 10**8
    rank = float(median_rank(n, 0.95).rank)
    assert rank == pytest.approx(n / 2 - 1.959963984540054 / 2 * n**0.5, abs=1)


@pytest.mark.parametrize("level", [0.3, 0.5, 0.9, 0.9375, 0.95, 0.99, 0.999999])
def test_fewest_values_for_an_interval(level):
    fewest = fewest_for_median(level)
    assert median_rank([fewest - 1, fewest], level).rank.tolist() == [0, 1]
    assert 1 - 2.0 ** (1 - fewest) >= level
    assert 1 - 2.0 ** (2 - fewest) < level


values = st.lists(st.integers(-50, 50), min_size=1, max_size=25)
probability = st.sampled_from([0.25, 0.5, 0.75])


@st.composite
def weighted_values(draw):
    y = draw(values)
    w = draw(st.lists(st.integers(0, 6), min_size=len(y), max_size=len(y)).filter(any))
    return np.array(y, dtype=float), np.array(w)


@given(values)
def test_with_equal_weights_the_weighted_median_is_the_median(y):
    assert weighted_quantile(np.array(y, dtype=float), np.ones(len(y)), 0.5) == statistics.median(y)


@given(weighted_values(), probability)
def test_a_whole_weight_repeats_its_value(data, p):
    y, w = data
    repeated = np.quantile(np.repeat(y, w), p, method="averaged_inverted_cdf")
    assert weighted_quantile(y, w.astype(float), p) == repeated


@given(weighted_values(), st.floats(1e-300, 1e300))
def test_weighted_median_by_its_definition(data, unit):
    y, w = data
    half = Fraction(int(w.sum()), 2)
    up_to = {v: sum(int(b) for a, b in zip(y, w, strict=True) if a <= v) for v in y[w > 0]}
    low = min(v for v, total in up_to.items() if total >= half)
    high = min(v for v, total in up_to.items() if total > half)
    assert weighted_quantile(y, w * unit, 0.5) == (low + high) / 2


def test_half_the_weight_is_recognised_in_spite_of_rounding():
    w = np.array([0.1, 0.7, 0.8])
    assert 0.1 / 0.8 + 0.7 / 0.8 != 1.0  # the trap this test is about
    assert weighted_quantile(np.array([1.0, 2.0, 4.0]), w, 0.5) == 3.0


def test_weights_whose_sum_overflows():
    assert weighted_quantile(np.array([1.0, 2.0, 4.0]), np.full(3, 1.7e308), 0.5) == 2.0


@given(values, st.floats(0, 1))
def test_quantile_is_type_7(y, p):
    array = np.array(y, dtype=float)
    expected = np.quantile(array, p)
    assert quantile(array, np.ones(array.size), p) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("function", [quantile, weighted_quantile])
@given(sets=st.lists(weighted_values(), min_size=1, max_size=5), p=probability)
def test_ragged_sets_are_padded_with_zero_weights(function, sets, p):
    size = max(y.size for y, _ in sets)
    y = np.full((len(sets), size), -99.0)
    w = np.zeros((len(sets), size))
    for row, (some, weight) in enumerate(sets):
        y[row, : some.size], w[row, : some.size] = some, weight
    alone = [function(some[weight > 0], weight[weight > 0].astype(float), p) for some, weight in sets]
    assert function(y, w, p).tolist() == [float(x) for x in alone]


@pytest.mark.parametrize("function", [quantile, weighted_quantile])
def test_leading_axes_broadcast(function):
    y = np.arange(24.0).reshape(2, 3, 4)[..., ::-1]
    w = np.array([[1.0, 1.0, 1.0, 0.0]] * 3)
    assert function(y, w, 0.5).tolist() == [[2.0, 6.0, 10.0], [14.0, 18.0, 22.0]]


@pytest.mark.parametrize("function", [quantile, weighted_quantile])
def test_no_weight_at_all_is_nan(function):
    assert np.isnan(function(np.array([1.0, 2.0]), np.zeros(2), 0.5))


@pytest.mark.parametrize(
    ("y", "p", "expected"),
    [
        ([1.0, 2.0, np.inf], 0.5, 2.0),
        ([1.0, 2.0, np.inf], 0.75, np.inf),
        ([-np.inf, 2.0, 3.0], 0.25, -np.inf),
        ([-np.inf, 2.0, 3.0], 0.5, 2.0),
        ([np.inf, np.inf, np.inf], 0.25, np.inf),
        ([-np.inf, -np.inf, -np.inf], 0.75, -np.inf),
        ([1.0, np.inf], 0.25, np.inf),
    ],
)
def test_quantiles_of_values_with_an_infinite_end(y, p, expected):
    assert quantile(np.array(y), np.ones(len(y)), p) == expected


def test_infinite_values_in_the_weighted_median():
    assert weighted_quantile(np.array([1.0, np.inf]), np.ones(2), 0.5) == np.inf
    assert weighted_quantile(np.array([-np.inf, -np.inf, 1.0]), np.ones(3), 0.5) == -np.inf


def test_ranks_differ_only_at_exactly_half_the_weight():
    first, second = quantile_ranks(np.array([[1.0, 1.0, 0.0, 2.0], [1.0, 2.0, 0.0, 2.0]]), 0.5)
    assert (first.tolist(), second.tolist()) == ([1, 1], [3, 1])
