from itertools import pairwise

import numpy as np
import pytest
from figures import both_corners, clicks, lower_corners, patients
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netsynth.kernels.trace import (
    Trace,
    falls_on_whole_units,
    have_exact_corners,
    line,
    resolution,
    steps,
    with_falls_at_whole_units,
)


@st.composite
def lines(draw):
    """Corners on a coarse grid, so that levels, times and whole pieces coincide."""
    q = draw(st.integers(1, 10))
    across = draw(st.lists(st.integers(0, 3), min_size=q, max_size=q))
    down = draw(st.lists(st.integers(0, 3), min_size=q, max_size=q))
    time = np.concatenate([[0.0], np.cumsum(across)]) / 2
    survival = 1 - np.concatenate([[0.0], np.cumsum(down)]) / 32
    return Trace(time, survival, 0.0, 0.0, False)


def pieces(trace):
    return list(pairwise(zip(trace.time.tolist(), trace.survival.tolist(), strict=True)))


def by_hand(trace, t, *, just_before):
    """Survival on the one piece that leads to t from the left, or from t on to the right."""
    if just_before and t <= trace.time[0]:
        return trace.survival[0]
    for (t0, s0), (t1, s1) in pieces(trace):
        if t0 < t1 and (t0 < t <= t1 if just_before else t0 <= t < t1):
            return s0 + (s1 - s0) * (t - t0) / (t1 - t0)
    return trace.survival[-1] if t >= trace.time[-1] or not just_before else None


@given(lines(), st.integers(0, 40))
def test_before_and_after_against_a_walk_along_the_pieces(trace, quarter):
    t = quarter / 4
    if t <= trace.time[-1]:
        assert trace.before(np.array([t])).item() == pytest.approx(by_hand(trace, t, just_before=True))
    else:
        assert trace.before(np.array([t])).item() == trace.survival[-1]
    assert trace.after(np.array([t])).item() == pytest.approx(by_hand(trace, t, just_before=False))


@given(lines(), st.integers(0, 64))
def test_time_at_is_the_middle_of_all_times_at_the_level(trace, level):
    level = 1 - level / 64
    assume(trace.survival[-1] <= level)
    times = [t for t, s in zip(trace.time, trace.survival, strict=True) if s == level]
    for (t0, s0), (t1, s1) in pieces(trace):
        if s0 > level > s1:
            times.append(t0 + (t1 - t0) * (s0 - level) / (s0 - s1))
    assert trace.time_at(np.array([level])).item() == pytest.approx((min(times) + max(times)) / 2)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 0.0], 0.5),
        ([1.0, 0.5], 0.05),
        ([1.0, 0.97, 0.9], 0.005),
        ([1.0, 0.9751], 0.5e-4),
        ([1.0, 2 / 3], 0.5e-8),
    ],
)
def test_resolution_is_half_of_the_last_decimal(values, expected):
    assert resolution(np.array(values)) == pytest.approx(expected)


# --- monotone ------------------------------------------------------------------------------------------


def pool_adjacent_violators(values):
    """Least squares under never falling, by merging blocks one by one."""
    blocks = []
    for value in values:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, m), (b, k) = blocks[-2:]
            blocks[-2:] = [[(a * m + b * k) / (m + k), m + k]]
    return np.concatenate([[mean] * k for mean, k in blocks])


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(20, 60), st.floats(0, 0.5))
def test_without_outliers_each_coordinate_is_pooled_by_itself(seed, m, slope):
    # errors from a uniform law, in pairs of both signs, of which none is an outlier
    rng = np.random.default_rng(seed)
    error = lambda size: size * np.where(np.arange(m) % 2, 1, -1) * rng.uniform(0.5, 1.0, m)  # noqa: E731
    time = np.linspace(1, 30, m) + error(2.0)
    survival = 0.9 - slope * np.linspace(0, 1, m) + error(0.03)
    found = line(time, survival, 60.0)
    assert found.survival[1:-1] == pytest.approx(-pool_adjacent_violators(-survival), abs=1e-12)
    assert found.time[1:-1] == pytest.approx(np.clip(pool_adjacent_violators(time), 0, 60), abs=1e-12)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_a_monotone_line_stays_as_it_is(seed, m):
    rng = np.random.default_rng(seed)
    time, survival = np.sort(rng.uniform(0, 30, m)), -np.sort(-rng.uniform(0, 1, m))
    found = line(time, survival, 30.0)
    assert found.time.tolist() == [0.0, *time, 30.0]
    assert found.survival.tolist() == [1.0, *survival, survival[-1]]


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 80), st.floats(0, 0.2))
def test_a_line_never_rises_nor_goes_back(seed, m, noise):
    rng = np.random.default_rng(seed)
    time = np.abs(np.linspace(0, 30, m) + rng.normal(0, 30 * noise, m))
    found = line(time, np.clip(np.exp(-time / 20) + rng.normal(0, noise, m), 0, 1), 30.0)
    assert (found.time[0], found.survival[0], found.time[-1]) == (0.0, 1.0, 30.0)
    assert (np.diff(found.time) >= 0).all()
    assert (np.diff(found.survival) <= 0).all()
    assert ((found.survival >= 0) & (found.survival <= 1)).all()


@pytest.mark.parametrize("low", [True, False])
def test_one_outlier_moves_the_line_by_little(low):
    # a cumulative minimum, or maximum from the right, would keep it for good
    time = np.linspace(0, 30, 101)
    survival = 1 - time / 60
    clicked = survival.copy()
    clicked[50] += -0.3 if low else 0.3
    found = line(time, np.clip(clicked, 0, 1), 30.0)
    assert np.abs(found.after(time) - survival).max() < 0.03
    assert np.abs(found.after(time) - survival).mean() < 0.003


@pytest.mark.parametrize("noise", [0.002, 0.01])
def test_noise_is_that_of_the_points(noise):
    rng = np.random.default_rng(1)
    time = np.linspace(0, 30, 2001)
    survival = 1 - np.floor(time / 3) * 0.07  # ten steps of 200 points each
    found = line(time + rng.normal(0, 0.05, time.size), survival + rng.normal(0, noise, time.size), 30.0)
    assert found.noise == pytest.approx(noise, rel=0.1)
    # times lie 0.015 apart, so that what is pooled is short and follows its points: too small by some percent
    assert found.time_noise == pytest.approx(0.05, rel=0.15)


# --- exact corners -------------------------------------------------------------------------------------


@pytest.mark.parametrize("life", ["exponential", "early", "late", "cured"])
@pytest.mark.parametrize("n", [30, 120, 400])
@pytest.mark.parametrize("seed", range(3))
def test_corners_are_told_from_clicks(life, n, seed):
    rng = np.random.default_rng(seed)
    data = patients(rng, n, life)
    for corners in (lower_corners, both_corners):
        time, survival = corners(data)
        assert have_exact_corners(time, survival, n)
        assert have_exact_corners(time, np.round(survival, 5), n)
    for m in (30, 100, 300):
        for decimals in (2, 3, 4):
            assert not have_exact_corners(*clicks(rng, data, m, decimals=decimals), n)


@pytest.mark.parametrize("n", [20, 60, 150])
def test_few_clean_clicks_on_a_smooth_curve_are_no_corners(n):
    # as corners are: in order of time, falling, no fall smaller than a patient; but on no lattice
    for seed in range(100):
        rng = np.random.default_rng(seed)
        m = min(n // 2, 25)
        falls = (1 + rng.uniform(0, 1, m)) * 0.9 / (2 * m)
        time, survival = np.sort(rng.uniform(0, 30, m + 1)), 1 - np.concatenate([[0.0], np.cumsum(falls)])
        assert not have_exact_corners(time, np.round(survival, 3), n)
        assert not have_exact_corners(time, survival, n)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.booleans())
def test_steps_are_the_corners(seed, n, both):
    data = patients(np.random.default_rng(seed), n)
    falls, level = lower_corners(data)
    end = float(data.time[-1])
    found = steps(*(both_corners if both else lower_corners)(data), end)
    below = np.diff(level, prepend=2.0) < 0
    assert found.after(falls) == pytest.approx(level, abs=1e-15)
    assert found.before(falls[below][1:]) == pytest.approx(level[below][:-1], abs=1e-15)
    assert found.is_steps
    assert found.time[-1] == end


# --- whole units ---------------------------------------------------------------------------------------


def test_falls_at_whole_units_are_seen_and_moved_there():
    rng = np.random.default_rng(3)
    data = patients(rng, 200, "exponential", "staggered", scale=12.0)
    whole = data._replace(time=np.ceil(data.time))
    for patients_, is_whole in ((data, False), (whole, True)):
        found = line(*clicks(rng, patients_, 200, noise=0.001, time_noise=0.001), float(patients_.time[-1]))
        assert falls_on_whole_units(found, 200) == is_whole
    moved = with_falls_at_whole_units(found)
    falls = moved.time[1:][np.diff(moved.survival) < 0]
    assert (falls == np.round(falls)).all()
    between = np.arange(int(moved.time[-1])) + 0.5
    assert moved.after(between) == pytest.approx(found.after(between), abs=1e-15)
    assert moved.in_whole_units
