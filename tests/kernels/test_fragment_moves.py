import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsynth.kernels.fragment_moves import LOG_ZERO, BetaShape, Sizes, Window, leaving

WIDE = (-np.inf, 1.0)


def window(lower, upper, k):
    return Window(np.full(k, lower), np.full(k, upper))


def products(r, d, c):
    """K of every order of d events and c losses."""
    places = itertools.combinations(range(d + c), d)
    return np.array([math.prod((r - i - 1) / (r - i) for i in events) for events in places])


@st.composite
def leavers(draw, most=9):
    r = draw(st.integers(1, 15))
    d = draw(st.integers(0, min(r, most)))
    c = draw(st.integers(0, min(r, most) - d))
    low = draw(st.floats(0, 1))
    return r, d, c, low, draw(st.floats(low, 1))


@given(leavers())
def test_the_chance_of_a_few_is_that_of_all_their_orders(case):
    r, d, c, low, high = case
    k = products(r, d, c)
    near = (np.abs(k - low) < 1e-8) | (np.abs(k - high) < 1e-8)
    if near.any():
        return
    expected = ((k >= low) & (k <= high)).mean()
    with np.errstate(divide="ignore"):
        found = Sizes(15).hit(
            np.array([r]), np.array([d]), np.array([c]), window(np.log(low), np.log(high), 1)
        )
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize(("d", "c"), [(8, 9), (14, 4), (3, 20)])
def test_the_chance_of_many_is_near_that_of_random_orders(d, c):
    rng, r = np.random.default_rng(1), 60
    keys = np.argsort(rng.random((40_000, d + c)), axis=1) < d
    size = r - np.arange(d + c)
    k = np.where(keys, (size - 1) / size, 1.0).prod(axis=1)
    for low, high in ([0.0, np.median(k)], np.quantile(k, [0.3, 0.6])):
        with np.errstate(divide="ignore"):
            ends = window(np.log(low), np.log(high), 1)
        found = Sizes(r).hit(np.array([r]), np.array([d]), np.array([c]), ends).item()
        assert found == pytest.approx(((k >= low) & (k <= high)).mean(), abs=0.05)


def test_the_chance_is_zero_only_where_no_order_does():
    # K lies between m / (m + d) and (r - d) / r: here 25/40 and 45/60
    sizes, one = Sizes(60), np.array([1])
    for low, high, possible in (
        (0.76, 1.0, False),
        (0.749, 1.0, True),
        (0.0, 0.62, False),
        (0.0, 0.626, True),
    ):
        with np.errstate(divide="ignore"):
            found = sizes.hit(60 * one, 15 * one, 20 * one, window(np.log(low), np.log(high), 1))
        assert (found.item() > 0) == possible


def test_83_percent_with_75_of_100_at_risk():
    # by 200 000 random orders: .0002, .946 and .078 for 15, 16 and 17 events
    sizes, rng = Sizes(100), np.random.default_rng(2)
    for d, expected in ((15, 0.0002), (16, 0.946), (17, 0.078)):
        k = 20_000
        found = sizes.order(
            np.full(k, 100),
            np.full(k, d),
            np.full(k, 25 - d),
            window(np.log(0.825), np.log(0.835), k),
            rng,
            is_free=False,
        )
        # the mean weight of orders led into the window is the share of random orders that lie in it
        assert np.exp(found.log_weight).mean() == pytest.approx(expected, abs=3e-3 if d > 15 else 1e-4)


@pytest.mark.parametrize(("r", "d", "c"), [(5, 2, 2), (7, 3, 4), (14, 6, 7)])
def test_weighted_orders_are_uniform_within_the_window(r, d, c):
    rng, k = np.random.default_rng(3), 30_000
    with np.errstate(divide="ignore"):
        low, high = np.log(np.quantile(products(r, d, c), [0.2, 0.9]))
    low, high = low - 1e-6, high + 1e-6
    found = Sizes(r).order(
        np.full(k, r), np.full(k, d), np.full(k, c), window(low, high, k), rng, is_free=False
    )
    weight = np.exp(found.log_weight)
    all_k = np.log(np.maximum(products(r, d, c), 1e-300))
    inside = (all_k >= low) & (all_k <= high)
    assert weight.mean() == pytest.approx(inside.mean(), rel=0.02)
    # the place of the first loss: its weighted distribution is that over all orders within the window
    events = [set(each) for each in itertools.combinations(range(d + c), d)]
    first = np.array([min(i for i in range(d + c) if i not in each) for each in events])[inside]
    drawn = (found.kind == 0).argmax(axis=1)
    for place in range(d + 1):
        share = weight[drawn == place].sum() / weight.sum()
        assert share == pytest.approx((first == place).mean(), abs=0.015)


def test_orders_say_what_they_add():
    rng, k = np.random.default_rng(4), 200
    r, d, c = np.full(k, 12), np.full(k, 6), np.full(k, 5)
    for is_free in (True, False):
        found = Sizes(12).order(r, d, c, window(*WIDE, k), rng, is_free=is_free)
        assert ((found.kind == 1).sum(axis=1) == 6).all()
        assert ((found.kind == 0).sum(axis=1) == 5).all()
        size = 12 - np.arange(12)
        with np.errstate(divide="ignore"):
            fall, grown = np.log((size - 1) / size), 1 / (size * (size - 1.0))
        event = found.kind == 1
        assert found.log_survival == pytest.approx(np.where(event, fall, 0).sum(axis=1))
        assert found.greenwood == pytest.approx(np.where(event, grown, 0).sum(axis=1))
        assert found.log_weight == pytest.approx(0, abs=1e-9)


def test_survival_is_zero_only_when_the_last_patient_dies():
    rng, k = np.random.default_rng(5), 4_000
    found = Sizes(3).order(
        np.full(k, 3), np.full(k, 1), np.full(k, 2), window(-np.inf, -100.0, k), rng, is_free=False
    )
    assert (found.log_survival[np.isfinite(found.log_weight)] == LOG_ZERO).all()
    assert np.isinf(found.greenwood[np.isfinite(found.log_weight)]).all()
    assert np.exp(found.log_weight).mean() == pytest.approx(1 / 3, abs=0.03)


@given(st.integers(0, 12), st.integers(0, 14), st.floats(0.05, 20), st.floats(0.05, 20))
def test_beta_binomial_against_scipy(n, k, first, second):
    shape = BetaShape(np.array([first]), np.array([second]))
    found = shape.log_pmf(Sizes(20), np.array([n]), np.array([k])).item()
    expected = stats.betabinom.logpmf(k, n, first, second) if k <= n else -np.inf
    assert found == pytest.approx(expected, abs=1e-8)


def test_beta_binomial_with_nothing_to_lose_to():
    shape = BetaShape(np.array([3.0]), np.array([0.0]))
    sizes, four = Sizes(20), np.array([4])
    assert shape.log_pmf(sizes, four, four).item() == pytest.approx(0.0, abs=1e-9)
    assert shape.log_pmf(sizes, four, four - 1).item() < -500
    assert (shape.draw(np.full(50, 4), np.random.default_rng(1)) == 4).all()


@given(st.floats(1e-3, 8), st.floats(0.05, 1e4))
def test_the_share_that_leaves_has_the_moments_of_the_gamma(shape, rate):
    found = leaving(np.array([shape]), np.array([rate]))
    total = found.first + found.second
    if total > 9e4:  # so narrow that the digits of its variance do not matter
        return
    stay = (rate / (rate + 1)) ** shape  # the Laplace transform of a gamma variable at 1, and at 2
    second = (rate / (rate + 2)) ** shape
    assert (found.first / total).item() == pytest.approx(1 - stay, rel=1e-8)
    variance = found.first * found.second / (total**2 * (total + 1))
    assert variance.item() == pytest.approx(second - stay**2, rel=1e-4, abs=1e-13)


def test_nobody_leaves_where_nothing_happens():
    found = leaving(np.array([0.0]), np.array([1.0]))
    assert (found.first.item(), found.second.item()) == (0.0, 1.0)
