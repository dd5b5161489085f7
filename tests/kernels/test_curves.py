from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.integrate import quad

from netsynth.kernels.curves import (
    CURVES,
    TAILS,
    Continued,
    CurveMethod,
    TailName,
    exponential_tail,
    pchip,
    piecewise_exponential,
)

TIME = np.array([3.0, 5.0, 10.0])
SURVIVAL = np.array([0.83, 0.705, 0.42])


@st.composite
def points(draw, zero=True):
    """Landmarks with survival that never rises: plateaus, 1, and at times 0 at the end."""
    size = draw(st.integers(1, 5))
    gaps = draw(st.lists(st.integers(1, 60), min_size=size, max_size=size))
    shares = draw(st.lists(st.integers(1, 1000), min_size=size, max_size=size))
    s = np.sort(np.array(shares) / 1000)[::-1].copy()
    if zero:
        s[size - draw(st.integers(0, size)) :] *= draw(st.sampled_from([0.0, 1.0]))
    return np.cumsum(gaps) / 4.0, s


def hermite_hazard(time, survival):
    """H by the book, one interval at a time: Fritsch and Butland's slopes, three-point formula at the ends."""
    x, y = [0.0, *time.tolist()], [0.0, *(-np.log(survival)).tolist()]
    h = [b - a for a, b in pairwise(x)]
    d = [(b - a) / w for a, b, w in zip(y, y[1:], h, strict=False)]

    def end(h0, h1, d0, d1):
        slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
        if slope * d0 <= 0:
            return 0.0
        return 3 * d0 if d0 * d1 <= 0 and abs(slope) > 3 * abs(d0) else slope

    if len(d) == 1:
        m = [d[0], d[0]]
    else:
        m = [end(h[0], h[1], d[0], d[1])]
        for i in range(1, len(d)):
            w1, w2 = 2 * h[i] + h[i - 1], h[i] + 2 * h[i - 1]
            m.append(0.0 if d[i - 1] * d[i] <= 0 else (w1 + w2) / (w1 / d[i - 1] + w2 / d[i]))
        m.append(end(h[-1], h[-2], d[-1], d[-2]))

    def at(t):
        i = max(k for k in range(len(h)) if x[k] <= t)
        u, w = (t - x[i]) / h[i], h[i]
        return (
            (1 + 2 * u) * (1 - u) ** 2 * y[i]
            + u * (1 - u) ** 2 * w * m[i]
            + u**2 * (3 - 2 * u) * y[i + 1]
            + u**2 * (u - 1) * w * m[i + 1]
        )

    return at


def test_piecewise_exponential_by_hand():
    # hazards, the median inside the last interval, and the areas (S_{j-1} - S_j) / hazard, on paper
    hazard = [np.log(1 / 0.83) / 3, np.log(0.83 / 0.705) / 2, np.log(0.705 / 0.42) / 5]
    curve = piecewise_exponential(TIME, SURVIVAL)
    assert curve.hazard(np.array([0.0, 3.0, 5.0])) == pytest.approx(hazard, rel=1e-14)
    assert curve.time_at(np.log([2.0])).item() == pytest.approx(
        5 + np.log(0.705 / 0.5) / hazard[2], rel=1e-14
    )
    area = 0.17 / hazard[0] + 0.125 / hazard[1] + 0.285 / hazard[2]
    assert curve.area(np.array([10.0])).item() == pytest.approx(area, rel=1e-14)
    assert np.round([*hazard, area], 5).tolist() == [0.06211, 0.08161, 0.10359, 7.01995]


def test_monotone_cubic_by_quadrature_and_root_finding():
    # made once with scipy 1.17: quad and brentq on PchipInterpolator through (0, 0) and the three points
    curve = pchip(TIME, SURVIVAL)
    assert curve.time_at(np.log([2.0])).item() == pytest.approx(8.471758304172415, rel=1e-13)
    assert curve.area(np.array([10.0])).item() == pytest.approx(7.072816937877908, rel=1e-13)


@given(points(zero=False), st.floats(0, 1))
def test_monotone_cubic_is_hermites_with_the_slopes_of_fritsch_and_butland(figures, share):
    time, survival = figures
    at = share * time[-1]
    expected = hermite_hazard(time, survival)(at)
    assert pchip(time, survival).cumulative_hazard(np.array([at])).item() == pytest.approx(
        expected, abs=1e-12
    )


def test_one_point_is_an_exponential():
    for make in CURVES.values():
        curve = make(np.array([60.0]), np.array([0.7]))
        at = np.array([0.0, 17.0, 60.0])
        assert np.exp(-curve.cumulative_hazard(at)) == pytest.approx(0.7 ** (at / 60), rel=1e-14)


@pytest.mark.parametrize("make", CURVES.values(), ids=CURVES)
@given(figures=points(), seed=st.integers(0, 10**6))
def test_a_curve_passes_through_its_points_and_never_rises(make, figures, seed):
    time, survival = figures
    curve = make(time, survival)
    assert np.exp(-curve.cumulative_hazard(time)) == pytest.approx(survival, rel=1e-13)
    assert curve.cumulative_hazard(np.zeros(1)).item() == 0
    at = np.sort(np.random.default_rng(seed).uniform(0, time[-1], 60))
    assert (np.diff(np.exp(-curve.cumulative_hazard(at))) <= 1e-15).all()
    hazard = curve.hazard(at)
    assert (hazard[np.isfinite(hazard)] >= -1e-15).all()


@pytest.mark.parametrize("make", CURVES.values(), ids=CURVES)
@given(figures=points(), share=st.floats(0.01, 1))
def test_area_is_the_integral(make, figures, share):
    time, survival = figures
    curve, stop = make(time, survival), share * time[-1]
    edges = [0.0, *time[time < stop].tolist(), stop]
    pieces = [
        quad(lambda t: float(np.exp(-curve.cumulative_hazard(np.array([t])))[0]), a, b, epsabs=1e-9)[0]
        for a, b in pairwise(edges)
    ]
    assert curve.area(np.array([stop])).item() == pytest.approx(sum(pieces), abs=1e-8)


@pytest.mark.parametrize("make", CURVES.values(), ids=CURVES)
@given(figures=points(), level=st.floats(0.001, 0.999))
def test_time_at_is_the_first_time_that_survival_is_so_low(make, figures, level):
    time, survival = figures
    curve = make(time, survival)
    found = curve.time_at(np.array([-np.log(level)])).item()
    if level < survival[-1]:
        assert np.isnan(found)
        return
    before, then = np.exp(-curve.cumulative_hazard(np.array([found * (1 - 1e-9), found])))
    assert then == pytest.approx(level, rel=1e-9)
    assert before >= level * (1 - 1e-9)


@pytest.mark.parametrize("make", CURVES.values(), ids=CURVES)
@given(figures=points(zero=False), share=st.floats(0.01, 0.99))
@example(figures=(np.array([0.25, 0.5, 0.75]), np.array([1.0, 0.001, 0.001])), share=0.333984375)
def test_hazard_is_the_slope_of_the_cumulative_hazard(make, figures, share):
    time, survival = figures
    curve, at = make(time, survival), share * time[-1]
    step = 1e-6
    low, high = curve.cumulative_hazard(np.array([at - 0.5 * step, at + 0.5 * step]))
    if not (np.abs(time - at) <= 0.5 * step).any():
        assert curve.hazard(np.array([at])).item() == pytest.approx((high - low) / step, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("make", CURVES.values(), ids=CURVES)
def test_a_batch_is_its_curves_one_by_one(make):
    rows = [SURVIVAL, [0.9, 0.5, 0.0], [1, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [0, 0, 0], [1, 1, 0.2]]
    batch = make(TIME, np.array(rows).reshape(7, 1, 3))
    at, levels = (
        np.array([0.0, 1.0, 3.0, 4.0, 5.0, 9.0, 10.0, 11.0]),
        np.array([0.0, 0.3, np.log(2), 5.0, np.inf]),
    )
    for ask, values in (("cumulative_hazard", at), ("hazard", at), ("area", at), ("time_at", levels)):
        together = getattr(batch, ask)(values)
        assert together.shape == (7, 1, values.size)
        alone = [getattr(make(TIME, np.array(row)), ask)(values) for row in rows]
        np.testing.assert_array_equal(together[:, 0], alone)


@pytest.mark.parametrize("make", CURVES.values(), ids=CURVES)
def test_survival_falls_linearly_to_zero_and_stays_there(make):
    curve = make(TIME, np.array([0.8, 0.6, 0.0]))
    at = np.array([5.0, 7.5, 9.0, 10.0, 20.0])
    assert np.exp(-curve.cumulative_hazard(at)) == pytest.approx([0.6, 0.3, 0.12, 0.0, 0.0], rel=1e-14)
    hazard = curve.hazard(at)
    assert hazard[:3] == pytest.approx([1 / 5, 1 / 2.5, 1.0], rel=1e-14)
    assert np.isnan(hazard[3:]).all()
    area = curve.area(np.array([5.0, 10.0, 99.0]))
    assert np.diff(area) == pytest.approx([0.6 * 5 / 2, 0.0], rel=1e-12)
    assert curve.time_at(np.array([np.log(2), np.inf])) == pytest.approx([5 + 5 / 6, 10.0], rel=1e-14)


@pytest.mark.parametrize("make", CURVES.values(), ids=CURVES)
def test_a_plateau_is_flat_and_its_start_is_the_quantile(make):
    curve = make(np.array([12.0, 24.0, 36.0, 48.0]), np.array([1.0, 0.5, 0.5, 0.3]))
    assert np.exp(-curve.cumulative_hazard(np.array([0.0, 6.0, 12.0]))).tolist() == [1.0, 1.0, 1.0]
    assert np.exp(-curve.cumulative_hazard(np.array([24.0, 30.0, 36.0]))).tolist() == [0.5, 0.5, 0.5]
    assert curve.time_at(np.array([0.0, np.log(2)])).tolist() == [0.0, 24.0]


@pytest.mark.parametrize("make", CURVES.values(), ids=CURVES)
def test_nothing_is_said_after_the_last_point(make):
    curve, late = make(TIME, SURVIVAL), np.array([10.0 + 1e-9])
    for answer in (curve.cumulative_hazard(late), curve.hazard(late), curve.area(late)):
        assert np.isnan(answer).all()
    assert np.isnan(curve.time_at(np.array([-np.log(0.4199)]))).all()


@pytest.mark.parametrize("make", CURVES.values(), ids=CURVES)
def test_the_exponential_tail_keeps_the_mean_hazard_of_the_last_interval(make):
    rate = np.log(0.705 / 0.42) / 5
    curve = Continued(make(TIME, SURVIVAL), exponential_tail(TIME, SURVIVAL), 10.0)
    assert np.exp(-curve.cumulative_hazard(np.array([12.0]))) == pytest.approx(
        0.42 * np.exp(-2 * rate), rel=1e-14
    )
    assert curve.hazard(np.array([12.0])).item() == pytest.approx(rate, rel=1e-14)
    assert curve.time_at(-np.log([0.7, 0.21])) == pytest.approx(
        [make(TIME, SURVIVAL).time_at(-np.log([0.7])).item(), 10 + np.log(2) / rate], rel=1e-14
    )
    area = curve.area(np.array([10.0, 1e6]))
    assert area[1] - area[0] == pytest.approx(0.42 / rate, rel=1e-12)


def test_a_tail_for_a_batch_with_a_flat_and_a_finished_curve():
    survival = np.array([[0.8, 0.5, 0.5], [0.8, 0.5, 0.0]])
    curve = Continued(pchip(TIME, survival), exponential_tail(TIME, survival), 10.0)
    late = np.array([10.0, 14.0])
    assert np.exp(-curve.cumulative_hazard(late)).tolist() == [[0.5, 0.5], [0.0, 0.0]]
    assert curve.hazard(late)[0].tolist() == [0.0, 0.0]
    assert np.isnan(curve.hazard(late)[1]).all()
    assert np.diff(curve.area(late)).ravel().tolist() == pytest.approx([2.0, 0.0], abs=1e-14)
    assert curve.time_at(np.array([5.0]))[0] == np.inf


def test_every_name_is_reachable():
    assert set(get_args(CurveMethod)) == set(CURVES)
    assert set(get_args(TailName)) == set(TAILS)
