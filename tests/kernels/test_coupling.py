import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netsynth.kernels import coupling
from netsynth.kernels.coupling import (
    PairFits,
    Pairs,
    PairTarget,
    compare_pairs,
    effective_size,
    normal_weights,
    pairs_of,
    systematic,
)
from netsynth.kernels.intervals import Limits

#: Freireich's trial (1963), weeks in remission.
MP = np.array([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35.0])
RELAPSED = np.repeat([1, 0], [9, 12])
PLACEBO = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23.0])

NOTHING = PairTarget(None, None, None, 1.96, None)


def limits(low, high):
    return Limits(np.asarray(low), np.asarray(high))


@example(first=5, second=8, n=22)
@given(first=st.integers(1, 12), second=st.integers(1, 12), n=st.integers(1, 200))
def test_pairs_differ_and_use_all_data_sets_evenly(first, second, n):
    pairs = pairs_of(first, second, n)
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert len(found) == pairs.first.size == min(n, first * second)
    for places, size in ((pairs.first, first), (pairs.second, second)):
        times = np.bincount(places, minlength=size)
        assert times.size == size
        assert times.max() - times.min() <= 1


def test_pairs_are_compared_as_published(monkeypatch):
    # Cox by Efron's way -1.572125 (0.412397), log-rank 16.7929; the other way round with the other sign
    monkeypatch.setattr(coupling, "_CHUNK", 42)  # a pair at once
    time = np.stack([MP, PLACEBO])
    event = np.stack([RELAPSED, np.ones(21, dtype=int)])
    found = compare_pairs(time, event, time[::-1], event[::-1], Pairs(np.array([0, 1]), np.array([0, 1])))
    assert found.log_hr == pytest.approx([-1.572125, 1.572125], abs=1e-6)
    assert found.se == pytest.approx([0.412397] * 2, abs=1e-6)
    assert found.z**2 == pytest.approx([16.7929] * 2, abs=1e-4)


def test_a_distance_is_of_the_printed_number_that_is_farthest_off():
    fits = PairFits(np.array([-0.5, -0.2, 0.1]), np.array([0.2, 0.2, 0.4]), np.array([2.5, 1.0, 0.25]))
    ratio = NOTHING._replace(log_hr=limits(-0.3, -0.1))
    assert ratio.distance(fits) == pytest.approx([1.0, 0.0, 0.5])
    assert NOTHING._replace(z=limits(0.5, 1.5)).distance(fits) == pytest.approx([1.0, 0.0, 0.25])
    # limits of the second are -.592 and .192
    lower = ratio._replace(ci_lower=limits(-0.6, -0.55))
    assert lower.distance(fits)[1] == 0
    both = lower._replace(ci_upper=limits(0.25, 0.3))
    assert both.distance(fits)[1] == pytest.approx((0.25 - 0.192) / 0.2)
    assert NOTHING.distance(fits).tolist() == [0, 0, 0]


def test_what_is_undefined_is_infinitely_far():
    fits = PairFits(np.array([-np.inf, np.nan]), np.array([np.nan, np.nan]), np.array([2.0, np.nan]))
    assert NOTHING._replace(log_hr=limits(-np.inf, 0.0)).distance(fits).tolist() == [np.inf, np.inf]
    assert NOTHING._replace(z=limits(1.0, 3.0)).distance(fits).tolist() == [0.0, np.inf]


def test_weights():
    distance = np.array([0.0, 1.0, 0.0, np.inf])
    assert normal_weights(distance, 0.0).tolist() == [0.5, 0.0, 0.5, 0.0]
    # exp(-1/2) and exp(-2) against each other
    assert normal_weights(np.array([1.0, 2.0, np.inf]), 1.0) == pytest.approx(
        np.array([1, math.exp(-1.5), 0]) / (1 + math.exp(-1.5))
    )
    # far away, where exp(-1/2 x^2) itself is 0
    assert normal_weights(np.array([100.0, 101.0]), 1.0)[0] == pytest.approx(1.0)


def test_effective_size():
    assert effective_size(np.full(7, 0.3)) == pytest.approx(7)
    assert effective_size(np.array([1.0, 0, 0])) == 1
    assert effective_size(np.array([0.5, 0.25, 0.25])) == pytest.approx(8 / 3)


@given(
    weight=st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda w: sum(w) > 0.01),
    n=st.integers(1, 60),
    seed=st.integers(0, 99),
)
def test_a_draw_is_as_frequent_as_its_weight_says(weight, n, seed):
    weight = np.array(weight)
    times = np.bincount(systematic(weight, n, np.random.default_rng(seed)), minlength=weight.size)
    expected = n * weight / weight.sum()
    assert times.sum() == n
    assert (times >= np.floor(expected - 1e-9)).all()
    assert (times <= np.ceil(expected + 1e-9)).all()
