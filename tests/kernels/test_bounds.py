from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.bounds import envelope, is_possible, quantile_bounds, rmst_bounds, survival_bounds

TIME = np.array([3.0, 5.0, 10.0])
SURVIVAL = np.array([0.83, 0.705, 0.42])
EXACT = envelope(TIME, SURVIVAL, SURVIVAL)


@st.composite
def limits(draw):
    """Limits in tenths at whole times, possibly at one time twice, possibly impossible."""
    size = draw(st.integers(1, 5))
    time = draw(st.lists(st.integers(1, 5), min_size=size, max_size=size))
    pairs = draw(st.lists(st.tuples(*[st.integers(0, 10)] * 2).map(sorted), min_size=size, max_size=size))
    lower, upper = np.array(pairs).T / 10
    return np.array(time, dtype=float), lower, upper


#: Every survival at times 0, 1, ..., 6 in tenths that never rises.
ALL = np.array([(10, *steps) for steps in combinations_with_replacement(range(10, -1, -1), 6)]) / 10


def test_sums_by_hand():
    # 3 x .83 + 2 x .705 + 5 x .42, and the same with the survival at the start of each interval
    lower, upper = rmst_bounds(EXACT, np.array([10.0]))
    assert lower.item() == pytest.approx(6.0, abs=1e-12)
    assert upper.item() == pytest.approx(8.185, abs=1e-12)


def test_sums_by_hand_with_rounding():
    # 83, 70 and 42 printed as whole percent, the second known to half a percent about 70.5
    points = envelope(TIME, np.array([0.825, 0.70, 0.415]), np.array([0.835, 0.71, 0.425]))
    lower, upper = rmst_bounds(points, np.array([10.0]))
    assert (lower.item(), upper.item()) == pytest.approx((5.95, 8.22), abs=1e-12)


def test_beyond_the_last_point_only_the_upper_limit_speaks():
    lower, upper = survival_bounds(EXACT, np.array([0.0, 1.0, 12.0]))
    assert (lower.tolist(), upper.tolist()) == ([1.0, 0.83, 0.0], [1.0, 1.0, 0.42])
    short, long = (rmst_bounds(EXACT, np.array([h])) for h in (10.0, 12.0))
    assert long.lower.item() == short.lower.item()
    assert long.upper.item() == pytest.approx(short.upper.item() + 2 * 0.42)


def test_the_median_lies_between_the_landmarks_around_one_half():
    assert quantile_bounds(EXACT, np.array([0.5, 0.9, 0.1])).lower.tolist() == [5.0, 0.0, 10.0]
    assert quantile_bounds(EXACT, np.array([0.5, 0.9, 0.1])).upper.tolist() == [10.0, 3.0, np.inf]


def test_survival_of_exactly_one_half_puts_the_median_there_or_before():
    points = envelope(TIME, np.array([0.8, 0.5, 0.5]), np.array([0.8, 0.5, 0.5]))
    lower, upper = quantile_bounds(points, np.array([0.5]))
    assert (lower.item(), upper.item()) == (3.0, 5.0)


def test_the_bounds_are_sharp_against_every_curve_there_is():
    for time, lower, upper in (
        ([2, 4], [0.5, 0.2], [0.8, 0.3]),
        ([2, 2, 5], [0.3, 0.0, 0.4], [1.0, 0.7, 1.0]),
        ([1, 3], [0.0, 0.5], [1.0, 1.0]),
        ([5], [0.0], [0.0]),
    ):
        time = np.array(time, dtype=float)
        at = ALL[:, time.astype(int)]
        s = ALL[((at >= np.array(lower)) & (at <= np.array(upper))).all(axis=1)]
        points = envelope(time, np.array(lower), np.array(upper))
        found = survival_bounds(points, np.arange(7.0))
        np.testing.assert_array_equal(found.lower, s.min(axis=0))
        np.testing.assert_array_equal(found.upper, s.max(axis=0))
        # the area of a curve that steps at whole times, from the right at its lowest, from the left at its highest
        area = rmst_bounds(points, np.array([6.0]))
        assert area.lower.item() == pytest.approx(s[:, 1:].sum(axis=1).min())
        assert area.upper.item() == pytest.approx(s[:, :-1].sum(axis=1).max())


@given(limits())
def test_possible_means_that_some_curve_meets_the_limits(figures):
    time, lower, upper = figures
    at = ALL[:, time.astype(int)]
    exists = bool(((at >= lower) & (at <= upper)).all(axis=1).any())
    assert bool(is_possible(envelope(time, lower, upper))) == exists


@given(limits(), st.sampled_from([0.05, 0.25, 0.5, 0.95]))
def test_quantile_bounds_hold_for_every_curve(figures, level):
    time, lower, upper = figures
    at = ALL[:, time.astype(int)]
    s = ALL[((at >= lower) & (at <= upper)).all(axis=1)]
    if s.size:
        low, high = quantile_bounds(envelope(time, lower, upper), np.array([level]))
        below = s <= level
        first = np.where(below.any(axis=1), below.argmax(axis=1), np.inf)
        assert (first > low).all()
        assert first.max() == high or (high > 6 and np.isinf(high))


@given(st.lists(limits(), min_size=2, max_size=4))
def test_a_batch_is_its_envelopes_one_by_one(several):
    time = several[0][0]
    rows = [np.resize(lower, time.size) for _, lower, _ in several]
    batch = envelope(time, np.array(rows), np.array(rows) + 0.1)
    at, level = np.array([0.0, 2.0, 3.5, 7.0]), np.array([0.5, 0.2])
    for i, row in enumerate(rows):
        one = envelope(time, row, row + 0.1)
        for function, values in ((survival_bounds, at), (rmst_bounds, at), (quantile_bounds, level)):
            for together, alone in zip(function(batch, values), function(one, values), strict=True):
                np.testing.assert_allclose(together[i], alone, rtol=1e-14)
        assert is_possible(batch)[i] == is_possible(one)
