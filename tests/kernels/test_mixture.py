"""Mixtures of normals against sums of scipy's normals, one by one, and bracketed root finding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from netsynth.kernels.mixture import (
    Mixture,
    mixture_cdf,
    mixture_density,
    mixture_log_density,
    mixture_mean,
    mixture_mode,
    mixture_quantile,
    mixture_sd,
    mixture_sf,
    mixture_slope,
    mixture_upper,
    shortest_interval,
)


@st.composite
def mixtures(draw, size=4):
    weight = np.array(draw(st.lists(st.floats(0.01, 1), min_size=size, max_size=size)))
    mean = np.array(draw(st.lists(st.floats(-3, 3), min_size=size, max_size=size)))
    sd = np.exp(draw(st.lists(st.floats(-2, 2), min_size=size, max_size=size)))
    return Mixture(weight / weight.sum(), mean, sd)


def parts(mixture):
    return [(w, stats.norm(m, s)) for w, m, s in zip(*mixture, strict=True)]


def naive_cdf(x, mixture):
    return sum(w * normal.cdf(x) for w, normal in parts(mixture))


def naive_density(x, mixture):
    return sum(w * normal.pdf(x) for w, normal in parts(mixture))


@given(mixtures(), st.floats(-6, 6))
def test_cdf_and_density_are_sums(mixture, x):
    at = np.array(x)
    assert mixture_cdf(at, mixture) == pytest.approx(naive_cdf(x, mixture), rel=1e-12)
    assert mixture_sf(at, mixture) == pytest.approx(
        naive_cdf(-x, mixture._replace(mean=-mixture.mean)), rel=1e-12
    )
    assert mixture_density(at, mixture) == pytest.approx(naive_density(x, mixture), rel=1e-12)
    assert mixture_log_density(at, mixture) == pytest.approx(
        np.log(naive_density(x, mixture)), rel=1e-10, abs=1e-12
    )
    step = 1e-6
    slope = (naive_density(x + step, mixture) - naive_density(x - step, mixture)) / (2 * step)
    assert mixture_slope(at, mixture) == pytest.approx(slope, rel=1e-5, abs=1e-6)


@given(mixtures())
def test_moments_are_those_of_the_parts(mixture):
    mean = sum(w * normal.mean() for w, normal in parts(mixture))
    second = sum(w * (normal.var() + (normal.mean() - mean) ** 2) for w, normal in parts(mixture))
    assert mixture_mean(mixture) == pytest.approx(mean, rel=1e-12, abs=1e-12)
    assert mixture_sd(mixture) == pytest.approx(second**0.5, rel=1e-12)


@given(mixtures(), st.floats(1e-12, 0.999))
def test_quantiles_are_found_by_bracketing(mixture, p):
    expected = optimize.brentq(lambda x: naive_cdf(x, mixture) - p, -200, 200, xtol=1e-13, rtol=1e-13)
    if p > 1e-6:  # brentq has absolute precision in p
        assert mixture_quantile(np.array(p), mixture) == pytest.approx(expected, rel=1e-8, abs=1e-8)
    assert mixture_cdf(mixture_quantile(np.array(p), mixture), mixture) == pytest.approx(p, rel=1e-11)
    assert mixture_sf(mixture_upper(np.array(p), mixture), mixture) == pytest.approx(p, rel=1e-11)


def test_far_tails_are_numbers():
    mixture = Mixture(np.array([0.5, 0.5]), np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    x = mixture_quantile(np.array(1e-30), mixture)
    assert stats.norm.logcdf(x) == pytest.approx(
        np.log(2e-30), abs=1e-3
    )  # the other part adds next to nothing
    assert mixture_cdf(x, mixture) == pytest.approx(1e-30, rel=1e-11)
    far = np.array(1e3)
    assert mixture_density(far, mixture) == 0
    assert mixture_log_density(far, mixture) == pytest.approx(
        np.log(0.5) + stats.norm(1).logpdf(1e3), rel=1e-12
    )


def test_parts_without_weight_count_for_nothing():
    plain = Mixture(np.array([1.0]), np.array([0.3]), np.array([2.0]))
    padded = Mixture(np.array([1.0, 0.0]), np.array([0.3, 1e9]), np.array([2.0, 1e-9]))
    for ask in (lambda m: mixture_quantile(np.array(0.1), m), mixture_mode, mixture_sd):
        assert ask(padded) == pytest.approx(ask(plain), rel=1e-12)


@settings(max_examples=50)
@given(mixtures())
def test_no_point_is_higher_than_the_mode(mixture):
    grid = np.linspace(-12, 12, 4001)
    mode = mixture_mode(mixture)
    # two peaks closer than the grid of quantiles differ by little
    assert mixture_density(mode, mixture) >= naive_density(grid, mixture).max() * (1 - 1e-3)


def test_mode_of_one_peak():
    mixture = Mixture(np.array([0.5, 0.5]), np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    best = optimize.minimize_scalar(
        lambda x: -naive_density(x, mixture), bounds=(0, 1), options={"xatol": 1e-10}
    )
    assert mixture_mode(mixture) == pytest.approx(best.x, abs=1e-6)  # a maximum is known to half the digits
    assert mixture_slope(mixture_mode(mixture), mixture) == pytest.approx(0, abs=1e-15)


def shortest(mixture, level, shape=()):
    return shortest_interval(
        lambda p: mixture_quantile(p, mixture),
        lambda p: mixture_upper(p, mixture),
        lambda x: mixture_density(x, mixture),
        level,
        shape,
    )


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_shortest_interval_by_minimising(level):
    mixture = Mixture(np.array([0.7, 0.3]), np.array([0.0, 1.0]), np.array([1.0, 3.0]))

    def width(a):
        ends = [
            optimize.brentq(lambda x, p=p: naive_cdf(x, mixture) - p, -99, 99, xtol=1e-13)
            for p in (a, a + level)
        ]
        return ends[1] - ends[0]

    best = optimize.minimize_scalar(width, bounds=(1e-9, 1 - level - 1e-9), options={"xatol": 1e-12})
    low, high = shortest(mixture, level)
    assert high - low <= best.fun + 1e-10
    assert naive_cdf(high, mixture) - naive_cdf(low, mixture) == pytest.approx(level, abs=1e-12)
    assert naive_density(low, mixture) == pytest.approx(naive_density(high, mixture), rel=1e-9)


def test_shortest_interval_of_a_normal_is_central():
    low, high = shortest(Mixture(np.array([1.0]), np.array([2.0]), np.array([3.0])), 0.95)
    assert (low, high) == pytest.approx(stats.norm(2, 3).interval(0.95), rel=1e-9)


def test_many_mixtures_at_once_are_each_by_itself():
    rng = np.random.default_rng(7)
    weight = rng.dirichlet(np.ones(5), (3, 4))
    many = Mixture(weight, rng.normal(size=(3, 4, 5)), np.exp(rng.normal(size=(3, 4, 5))))
    quantile, mode, (low, high) = (
        mixture_quantile(np.full((3, 4), 0.3), many),
        mixture_mode(many),
        shortest(many, 0.9, (3, 4)),
    )
    for i in np.ndindex(3, 4):
        one = Mixture(*(array[i] for array in many))
        assert quantile[i] == pytest.approx(float(mixture_quantile(np.array(0.3), one)), rel=1e-12)
        assert mode[i] == pytest.approx(float(mixture_mode(one)), rel=1e-9, abs=1e-9)
        assert (low[i], high[i]) == pytest.approx(tuple(map(float, shortest(one, 0.9))), rel=1e-8)
