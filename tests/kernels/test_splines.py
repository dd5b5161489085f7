import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.interpolate import CubicSpline

from netsynth.kernels.families import Weibull
from netsynth.kernels.splines import RoystonParmar, royston_parmar

KNOTS = np.log([1.0, 2.5, 6.0, 12.0])
THETA = np.array([-3.0, 1.1, 0.12, -0.1])


def by_book(theta, knots, x):
    """The basis as it is printed, one term after the other."""
    value = theta[0] + theta[1] * x
    for j in range(1, len(knots) - 1):
        share = (knots[-1] - knots[j]) / (knots[-1] - knots[0])
        cubes = [max(x - knot, 0.0) ** 3 for knot in (knots[j], knots[0], knots[-1])]
        value += theta[j + 1] * (cubes[0] - share * cubes[1] - (1 - share) * cubes[2])
    return value


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.floats(-3, 5))
def test_the_basis_is_the_printed_one(theta, x):
    curve = RoystonParmar(np.array(theta), KNOTS)
    found = np.log(curve.cumulative_hazard(np.exp([x])))[0]
    assert found == pytest.approx(by_book(theta, KNOTS, x), abs=1e-9)


def test_it_is_the_natural_cubic_spline_through_its_values_at_the_knots():
    curve = RoystonParmar(THETA, KNOTS)
    x = np.linspace(KNOTS[0], KNOTS[-1], 50)
    natural = CubicSpline(KNOTS, np.log(curve.cumulative_hazard(np.exp(KNOTS))), bc_type="natural")
    assert np.log(curve.cumulative_hazard(np.exp(x))) == pytest.approx(natural(x), abs=1e-12)
    assert curve.hazard(np.exp(x)) == pytest.approx(natural(x, 1) * np.exp(natural(x)) / np.exp(x), rel=1e-10)


def test_without_curvature_it_is_a_weibull():
    for knots in (KNOTS, KNOTS[[0, -1]]):
        theta = np.array([-2.4 * 1.3, 1.3, 0.0, 0.0])[: knots.size]
        time = np.array([0.0, 0.1, 3.0, 40.0])
        weibull = Weibull(np.array([2.4, np.log(1.3)]))
        spline = royston_parmar(knots).curve(theta)
        assert spline.cumulative_hazard(time) == pytest.approx(weibull.cumulative_hazard(time), rel=1e-12)
        assert spline.hazard(time) == pytest.approx(weibull.hazard(time), rel=1e-12)
        assert spline.area(time) == pytest.approx(weibull.area(time), rel=1e-9)


@given(st.lists(st.floats(-1.5, 1.5), min_size=4, max_size=4))
def test_slopes_tell_whether_survival_never_rises(theta):
    curve = RoystonParmar(np.array(theta), KNOTS)
    x = np.linspace(KNOTS[0] - 1, KNOTS[-1] + 1, 4001)
    least = np.diff([by_book(theta, KNOTS, value) for value in x]).min() / (x[1] - x[0])
    assert curve.slopes().min() == pytest.approx(least, abs=5e-3)
    assert curve.slopes().min() <= least + 1e-9


def test_area_and_quantiles():
    curve = RoystonParmar(THETA, KNOTS)
    area, _ = quad(lambda t: float(np.exp(-curve.cumulative_hazard(np.array([t])))[0]), 0, 20, epsabs=1e-11)
    assert curve.area(np.array([20.0])).item() == pytest.approx(area, rel=1e-8)
    time = np.array([0.3, 4.0, 30.0])
    assert curve.time_at(curve.cumulative_hazard(time)) == pytest.approx(time, rel=1e-10)


def test_many_splines_are_answered_like_one():
    thetas = np.array([THETA, THETA + 0.1])
    time = np.array([0.5, 2.0, 9.0])
    batch = RoystonParmar(thetas[:, None, :], KNOTS)
    for ask in ("cumulative_hazard", "hazard", "area", "time_at"):
        found = getattr(batch, ask)(time)
        assert found.shape == (2, 1, 3)
        assert found[1, 0] == pytest.approx(getattr(RoystonParmar(thetas[1], KNOTS), ask)(time), rel=1e-12)
    assert batch.slopes().shape == (2, 1, 7)
