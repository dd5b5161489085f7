"""Curves between their knots, their areas, quantiles and slopes, against integrals, differences and closed forms."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from netsynth.kernels.curve_band import (
    area,
    area_slope,
    simultaneous_factor,
    survival_at,
    survival_slope,
    time_at,
)

KNOTS = np.array([2.0, 5.0, 6.0, 12.0])
SURVIVAL = np.array([0.9, 0.6, 0.45, 0.1])
BETWEEN = ["survival", "hazard"]


def alone(time, between):
    """One time, by hand."""
    points = zip([0.0, *KNOTS], [1.0, *SURVIVAL], strict=True)
    for (a, high), (b, low) in pairwise(points):
        if a <= time <= b:
            share = (time - a) / (b - a)
            return high + share * (low - high) if between == "survival" else high ** (1 - share) * low**share
    return np.nan


@pytest.mark.parametrize("between", BETWEEN)
def test_survival_at_any_time(between):
    times = np.array([0.0, 1.0, 2.0, 4.9, 5.0, 5.5, 7.0, 12.0, 12.1])
    expected = [alone(t, between) for t in times]
    np.testing.assert_allclose(survival_at(KNOTS, SURVIVAL, times, between), expected, rtol=1e-13)


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("horizon", [0.5, 2.0, 5.7, 12.0])
def test_area_is_the_integral(between, horizon):
    inner = [t for t in KNOTS if t < horizon]
    expected, _ = integrate.quad(alone, 0, horizon, args=(between,), points=inner or None, epsabs=1e-12)
    assert area(KNOTS, SURVIVAL, horizon, between) == pytest.approx(expected, rel=1e-11)
    assert np.isnan(area(KNOTS, SURVIVAL, 12.5, between))


@pytest.mark.parametrize("between", BETWEEN)
def test_slopes_are_differences(between):
    times = np.array([1.0, 2.0, 5.5, 11.0])
    hazard, step = -np.log(SURVIVAL), 1e-6
    for j in range(KNOTS.size):
        change = step * (np.arange(KNOTS.size) == j)
        up, down = np.exp(-(hazard + change)), np.exp(-(hazard - change))
        of_survival = (survival_at(KNOTS, up, times, between) - survival_at(KNOTS, down, times, between)) / (
            2 * step
        )
        assert survival_slope(KNOTS, SURVIVAL, times, between)[:, j] == pytest.approx(of_survival, abs=1e-9)
        of_area = (area(KNOTS, up, 11.0, between) - area(KNOTS, down, 11.0, between)) / (2 * step)
        assert area_slope(KNOTS, SURVIVAL, 11.0, between)[j] == pytest.approx(of_area, abs=1e-8)
    assert np.isnan(area_slope(KNOTS, SURVIVAL, 13.0, between)).all()


@given(st.floats(0.1, 1.0), st.sampled_from(BETWEEN))
def test_a_quantile_is_where_survival_is(level, between):
    time = time_at(KNOTS, SURVIVAL, np.array([level]), between)
    assert survival_at(KNOTS, SURVIVAL, time, between) == pytest.approx([level], rel=1e-9)


@pytest.mark.parametrize("between", BETWEEN)
def test_quantiles_at_the_ends(between):
    found = time_at(KNOTS, SURVIVAL, np.array([1.0, 0.9, 0.1, 0.05]), between)
    np.testing.assert_allclose(found, [0.0, 2.0, 12.0, np.nan])
    flat = np.array([0.9, 0.5, 0.5, 0.2])
    assert time_at(KNOTS, flat, np.array([0.5]), between) == pytest.approx([5.0])


def test_published_median_by_linear_interpolation():
    """Hepatocellular carcinoma, METHODS of Combescure: survival at 5 and 6 months as published give 5.3758."""
    found = time_at(np.array([5.0, 6.0]), np.array([0.53060766, 0.44916320]), np.array([0.5]), "survival")
    assert found == pytest.approx([5.3758], abs=5e-5)


@pytest.mark.parametrize("between", BETWEEN)
def test_many_curves_at_once(between):
    rng = np.random.default_rng(1)
    many = np.cumprod(rng.uniform(0.3, 1.0, (6, 4)), axis=1)
    many[4, 2:] = np.nan
    many[5, 3] = 0.0
    times, levels = np.array([1.0, 5.5, 9.0]), np.array([0.8, 0.5, 0.3])
    for i, one in enumerate(many):
        np.testing.assert_allclose(
            survival_at(KNOTS, many, times, between)[i], survival_at(KNOTS, one, times, between), rtol=1e-12
        )
        np.testing.assert_allclose(
            time_at(KNOTS, many, levels, between)[i], time_at(KNOTS, one, levels, between)
        )
        np.testing.assert_allclose(
            area(KNOTS, many, 5.5, between)[i], area(KNOTS, one, 5.5, between), rtol=1e-12
        )


@pytest.mark.parametrize("between", BETWEEN)
def test_a_curve_that_ends_early_reaches_no_quantile_after_its_end(between):
    ended = np.array([0.9, 0.6, np.nan, np.nan])
    found = time_at(KNOTS, ended, np.array([0.8, 0.5]), between)
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


@pytest.mark.parametrize("between", BETWEEN)
def test_survival_that_reaches_0(between):
    ends = np.array([0.9, 0.6, 0.3, 0.0])
    found = survival_at(KNOTS, ends, np.array([5.5, 6.0, 12.0]), between)
    assert found[1:] == pytest.approx([0.3, 0.0])
    assert found[0] == pytest.approx(0.45 if between == "survival" else np.sqrt(0.18))
    # no finite hazard leads to 0: there survival itself is linear
    assert survival_at(KNOTS, ends, np.array([9.0]), between) == pytest.approx([0.15])
    assert time_at(KNOTS, ends, np.array([0.15, 0.0]), between) == pytest.approx([9.0, 12.0])
    assert survival_slope(KNOTS, ends, np.array([9.0]), between) == pytest.approx(
        np.array([[0, 0, -0.15, 0.0]])
    )


def test_one_time_needs_no_more_than_its_own_critical_value():
    found = simultaneous_factor(np.array([5.0]), np.array([0.5]), np.array([[0.01]]), df=np.inf, level=0.95)
    assert found == pytest.approx(1.95996, abs=0.015)
    found = simultaneous_factor(np.array([5.0]), np.array([0.5]), np.array([[0.01]]), df=8.0, level=0.95)
    assert found == pytest.approx(stats.t.ppf(0.975, 8), abs=0.03)


def test_two_times_as_the_bivariate_normal_has_it():
    """P(|Z1| < c, |Z2| < c) by the distribution function; times between the knots lie between them."""
    covariance = np.array([[0.04, 0.03], [0.03, 0.09]])
    knots, survival = np.array([5.0, 10.0]), np.array([0.7, 0.4])
    c = simultaneous_factor(knots, survival, covariance, df=np.inf, level=0.95)
    rho = 0.03 / 0.06
    both = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    at_knots = both.cdf([c, c]) - 2 * both.cdf([-c, c]) + both.cdf([-c, -c])
    # knots alone are covered a little more often than the whole line, and not by much
    assert 0.949 < at_knots < 0.957
    assert c == simultaneous_factor(knots, survival, covariance, df=np.inf, level=0.95)


def test_without_a_covariance_there_is_no_band():
    assert np.isnan(simultaneous_factor(KNOTS, SURVIVAL, np.full((4, 4), np.nan), df=np.inf, level=0.95))
