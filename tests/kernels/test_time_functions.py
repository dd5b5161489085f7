import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from netsynth.kernels.time_functions import TimeFunction, falling, time_function

TIMES = np.array([6.0, 12, 12, 12, 24, 24, 36, 60, 60, 120])


@pytest.mark.parametrize(("shape", "df"), [("factor", 1), ("linear", 1), ("spline", 3), ("spline", 4)])
def test_slopes_are_derivatives_in_log_time(shape, df):
    function = time_function(TIMES, shape, df)
    time, h = np.array([6.5, 13.0, 25.0, 50.0, 110.0]), 1e-6
    ahead, behind = function.columns(time * np.exp(h)), function.columns(time * np.exp(-h))
    np.testing.assert_allclose(function.slopes(time), (ahead - behind) / (2 * h), atol=1e-8)
    assert function.columns(time).shape == (5, function.size)


def test_a_spline_is_the_natural_cubic_spline_through_its_values_at_reported_times():
    function = time_function(TIMES, "spline", 4)
    # the quarters of ten times are the third, fifth or sixth, and eighth of them
    np.testing.assert_allclose(np.exp(function.knots), [6, 12, 24, 60, 120])
    beta = np.array([-1.0, 0.8, 3.0, -2.0, 1.0])
    natural = CubicSpline(function.knots, function.columns(np.exp(function.knots)) @ beta, bc_type="natural")
    time = np.geomspace(6, 120, 50)
    np.testing.assert_allclose(function.columns(time) @ beta, natural(np.log(time)), atol=1e-12)
    # measured from the mean of all log times as they are reported, so it says little about the slope
    assert function.centre == pytest.approx(np.log(TIMES).mean())


def test_a_factor_has_its_values_at_reported_times_and_straight_lines_between():
    function = time_function(TIMES, "factor", 1)
    distinct = np.unique(TIMES)
    np.testing.assert_allclose(function.columns(distinct), np.eye(6), atol=1e-12)
    beta = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 0.4])
    time = np.geomspace(6, 120, 30)
    expected = np.interp(np.log(time), np.log(distinct), beta)
    np.testing.assert_allclose(function.columns(time) @ beta, expected, atol=1e-12)


@pytest.mark.parametrize("shape", ["factor", "linear", "spline"])
def test_nothing_is_said_outside_the_reported_times(shape):
    function = time_function(TIMES, shape, 3)
    found = function.columns(np.array([0.0, 5.9, 6.0, 120.0, 120.1, np.nan]))
    np.testing.assert_array_equal(np.isnan(found).all(-1), [True, True, False, False, True, True])
    np.testing.assert_array_equal(np.isnan(found).any(-1), [True, True, False, False, True, True])


def test_few_times_allow_few_coefficients():
    assert time_function(np.array([12.0, 12.0]), "linear", 1).shape == "factor"
    assert time_function(np.array([12.0]), "spline", 3).columns(np.array([12.0])).tolist() == [[1.0]]
    assert time_function(np.array([12.0, 24.0]), "spline", 3).shape == "linear"
    assert time_function(TIMES, "spline", 1).shape == "linear"
    assert time_function(np.array([12.0, 24.0, 60.0]), "spline", 5).size == 3
    assert time_function(np.array([12.0, 12.0 + 1e-10, 24.0]), "factor", 1).size == 2


@given(st.lists(st.floats(-3, 3), min_size=5, max_size=5), st.sampled_from(["factor", "linear", "spline"]))
def test_falls_are_found_where_a_fine_grid_finds_them(beta, shape):
    function = time_function(np.array([3.0, 12, 24, 60, 120]), shape, 4)
    coefficient = np.array(beta)[: function.size]
    grid = np.geomspace(3.0, 120.0, 4001)
    steps = np.diff(function.columns(grid) @ coefficient)
    middle = np.sqrt(grid[:-1] * grid[1:])
    intervals = falling(function, coefficient)
    inside = ((middle[:, None] > intervals[:, 0]) & (middle[:, None] < intervals[:, 1])).any(1)
    near_an_end = (np.abs(np.log(middle[:, None]) - np.log(intervals.reshape(1, -1))) < 2e-3).any(1)
    clear = (np.abs(steps) > 1e-9) & ~near_an_end
    np.testing.assert_array_equal(inside[clear], steps[clear] < 0)
    assert (intervals[1:, 0] > intervals[:-1, 1] * (1 - 1e-9)).all()


def test_falls_over_a_knot_are_one():
    function = TimeFunction("factor", np.log([6.0, 12, 24, 48]), 2.0)
    np.testing.assert_allclose(falling(function, np.array([0.0, -1.0, -2.0, 1.0])), [[6, 24]])
    assert falling(function, np.array([0.0, 1.0, 2.0, 3.0])).shape == (0, 2)
