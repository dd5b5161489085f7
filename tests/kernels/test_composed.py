import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from netsynth.kernels.composed import After, Mixture, Until, warped
from netsynth.kernels.curves import Continued, pchip
from netsynth.kernels.families import Exponential, Gompertz, LogNormal, Weibull

TIME = np.array([0.0, 0.4, 2.0, 5.0, 9.0])
PARTS = (Exponential(np.array([-2.3])), Weibull(np.array([2.4, 0.5])), LogNormal(np.array([1.5, -0.2])))
WEIGHTS = np.array([0.2, 0.5, 0.3])
POINTS, SURVIVAL = np.array([3.0, 5.0, 10.0]), np.array([0.83, 0.705, 0.42])


def survival(curve, time):
    return np.exp(-curve.cumulative_hazard(np.atleast_1d(np.asarray(time, dtype=float))))


def check(curve, stop):
    """Hazard, quantiles and area of a curve against its survival."""
    at = np.linspace(0.05, 0.95, 7) * stop
    step = 1e-5 * stop
    slope = (curve.cumulative_hazard(at + step) - curve.cumulative_hazard(at - step)) / (2 * step)
    assert curve.hazard(at) == pytest.approx(slope, rel=1e-4)
    assert curve.time_at(curve.cumulative_hazard(at)) == pytest.approx(at, rel=1e-8)
    area, _ = quad(
        lambda t: survival(curve, t).item(),
        0,
        stop,
        epsabs=1e-10,
        limit=400,
        points=[t for t in POINTS if t < stop],
    )
    assert curve.area(np.array([stop])).item() == pytest.approx(area, rel=1e-6)


def test_a_mixture_is_the_mean_of_survivals():
    mixture = Mixture(PARTS, WEIGHTS)
    expected = sum(w * survival(part, TIME) for w, part in zip(WEIGHTS, PARTS, strict=True))
    assert survival(mixture, TIME) == pytest.approx(expected, rel=1e-13)
    check(mixture, 12.0)


def test_a_mixture_when_hardly_anybody_is_left():
    """Far out the longest-lived part is all there is, though every survival is below the least float."""
    parts = (Exponential(np.array([0.0])), Exponential(np.array([0.5])))
    mixture = Mixture(parts, np.array([0.25, 0.75]))
    assert mixture.cumulative_hazard(np.array([2000.0])).item() == pytest.approx(
        2000 - np.log(0.25), rel=1e-12
    )
    assert mixture.hazard(np.array([2000.0])).item() == pytest.approx(1.0, rel=1e-12)
    levelling = Mixture((Gompertz(np.array([-2.0, -0.5])), parts[0]), np.array([0.5, 0.5]))
    assert levelling.time_at(np.array([3.0])).tolist() == [np.inf]


@given(st.lists(st.floats(0.05, 0.6), min_size=1, max_size=5), st.integers(0, 2))
def test_a_warped_curve_passes_through_the_points(falls, which):
    time = np.arange(1.0, len(falls) + 1) * 2.0
    s = np.cumprod(1 - np.array(falls))
    curve = warped(PARTS[which], time, s)
    assert survival(curve, time) == pytest.approx(s, rel=1e-10)
    at = np.linspace(0, time[-1], 200)
    assert (np.diff(curve.cumulative_hazard(at)) >= -1e-12).all()
    assert np.isnan(curve.cumulative_hazard(time[-1:] + 1)).all()


def test_a_warped_curve_of_the_right_shape_is_that_curve():
    for part in PARTS:
        curve = warped(part, POINTS, survival(part, POINTS))
        assert survival(curve, [0.5, 4.0, 9.0]) == pytest.approx(survival(part, [0.5, 4.0, 9.0]), rel=1e-8)


def test_warping_the_exponential_is_the_monotone_cubic_in_time():
    curve, cubic = warped(PARTS[0], POINTS, SURVIVAL), pchip(POINTS, SURVIVAL)
    assert survival(curve, TIME) == pytest.approx(survival(cubic, TIME), rel=1e-10)
    check(warped(PARTS[1], POINTS, SURVIVAL), 9.9)


def test_warping_ends_where_survival_is_zero():
    curve = warped(PARTS[1], np.array([3.0, 5.0]), np.array([0.5, 0.0]))
    assert survival(curve, [5.0, 9.0]).tolist() == [0.0, 0.0]
    assert 0 < survival(curve, 4.0).item() < 0.5


def test_a_base_that_is_too_flat_leaves_the_cubic_in_time():
    flat = Gompertz(np.array([3.0, -50.0]))  # all that happens happens at once
    assert survival(warped(flat, POINTS, SURVIVAL), TIME) == pytest.approx(
        survival(pchip(POINTS, SURVIVAL), TIME), rel=1e-12
    )


def test_until_knows_nothing_afterwards():
    curve = Until(PARTS[1], 6.0)
    for ask in ("cumulative_hazard", "hazard", "area"):
        found = getattr(curve, ask)(np.array([6.0, 6.1]))
        assert found[0] == getattr(PARTS[1], ask)(np.array([6.0])).item()
        assert np.isnan(found[1])
    assert np.isnan(curve.time_at(np.array([0.01, 9.0]))).tolist() == [False, True]
    check(curve, 5.9)


def test_a_tail_goes_on_with_the_hazard_of_a_family():
    body = pchip(POINTS, SURVIVAL)
    curve = Continued(body, After(PARTS[1], 10.0, float(-np.log(0.42))), 10.0)
    ratio = survival(PARTS[1], 14.0) / survival(PARTS[1], 10.0)
    assert survival(curve, [10.0, 14.0]) == pytest.approx([0.42, 0.42 * ratio.item()], rel=1e-12)
    assert curve.hazard(np.array([14.0])).item() == PARTS[1].hazard(np.array([14.0])).item()
    assert curve.time_at(curve.cumulative_hazard(np.array([4.0, 14.0]))) == pytest.approx(
        [4.0, 14.0], rel=1e-9
    )
    area, _ = quad(lambda t: survival(curve, t).item(), 10, 14, epsabs=1e-11)
    expected = body.area(np.array([10.0])).item() + area
    assert curve.area(np.array([14.0])).item() == pytest.approx(expected, rel=1e-9)
