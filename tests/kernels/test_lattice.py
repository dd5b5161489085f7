"""The lattice against every order of deaths and losses, written out in fractions, and against published examples."""

import itertools
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels import lattice
from netsynth.kernels.lattice import (
    MOST_PATIENTS,
    LeastCensored,
    attainable_survival,
    count_bounds,
    is_attainable,
    least_censored,
    least_tied,
    stretch_bounds,
    variance_range,
    whole_count,
)
from netsynth.kernels.survival_variance import variance_bounds


def printed(percent, decimals=0):
    """Limits between which a percentage was rounded."""
    half = Fraction(1, 2 * 10**decimals)
    return tuple(float((Fraction(str(percent)) + sign * half) / 100) for sign in (-1, 1))


# -- examples on paper


def test_thirteen_patients_without_loss():
    possible = [p for p in range(101) if whole_count(*printed(p), 13) >= 0]
    assert possible == [0, 8, 15, 23, 31, 38, 46, 54, 62, 69, 77, 85, 92, 100]
    assert (100 * attainable_survival(13)).round().tolist() == possible
    assert possible == [p for p in range(101) if least_censored(*printed(p), 13) == LeastCensored(0)]


@pytest.mark.parametrize(
    ("n", "percent", "losses"), [(13, 31, 0), (13, 50, 1), (13, 30, 2), (13, 63, 3), (10, 33, 1), (10, 31, 2)]
)
def test_losses_that_a_percentage_needs(n, percent, losses):
    assert least_censored(*printed(percent), n) == LeastCensored(losses)


@pytest.mark.parametrize("percent", [*range(1, 8), 86, 87, 88, *range(93, 100)])
def test_what_thirteen_patients_cannot_give_with_four_losses(percent):
    found = least_censored(*printed(percent), 13)
    assert found.is_decided
    assert found.n_censored == -1 or found.n_censored > 4
    low, high = printed(percent)
    assert not any(low <= s <= high for s in attainable_survival(13, most_censored=4))


@pytest.mark.parametrize(
    ("mean", "n", "possible"),
    # Brown & Heathers's test: the first two as documented by R's scrutiny, all by hand with n times the mean
    [
        ("5.27", 43, False),
        ("3.48", 20, False),
        ("5.19", 28, False),
        ("5.28", 43, True),
        ("3.45", 20, True),
        ("5.18", 28, True),
    ],
)
def test_means_of_whole_numbers(mean, n, possible):
    assert (whole_count(float(mean) - 0.005, float(mean) + 0.005, n) >= 0) == possible


def test_both_ways_of_rounding_a_half():
    # 1/8 = 12.5% is printed as 13 or, to even, as 12
    assert whole_count(*printed(12), 8) == whole_count(*printed(13), 8) == 1
    assert least_censored(*printed(12), 8) == least_censored(*printed(13), 8) == LeastCensored(0)
    # and 0.125 printed to two decimals
    assert whole_count([0.115, 0.125], [0.125, 0.135], 8).tolist() == [1, 1]


def test_deaths_and_losses_of_a_hundred_patients():
    lower, upper = np.array([printed(p) for p in (83, 71, 42)]).T
    found = stretch_bounds(lower, upper, 100, [75, 52, 18])
    assert found.events_lower.tolist() == [15, 8, 12]
    assert found.events_upper.tolist() == [17, 11, 21]
    assert found.censored_lower.tolist() == [8, 12, 13]
    assert found.censored_upper.tolist() == [10, 15, 22]
    assert (found.events_lower.sum(), found.events_upper.sum()) == (35, 49)
    assert [math.sqrt(end[0]) for end in variance_range([0.42], [0.42], 100, [18])] == pytest.approx(
        [0.04936, 0.07539], abs=5e-6
    )


@pytest.mark.parametrize(
    ("n", "m", "survival", "events", "errors"),
    # KEYNOTE-189 at 12 months: deaths between 72.5 and 126.3, and between 60.4 and 104.2, so whole numbers inside
    [(410, 163, 0.692, (73, 126), (0.02280, 0.03008)), (206, 59, 0.494, (61, 104), (0.03483, 0.04575))],
)
def test_keynote(n, m, survival, events, errors):
    found = count_bounds(survival, survival, n, m)
    assert (int(found.events_lower), int(found.events_upper)) == events
    bounds = variance_range([survival], [survival], n, [m])
    assert [math.sqrt(end[0]) for end in bounds] == pytest.approx(errors, abs=5e-6)


@pytest.mark.parametrize(
    ("n", "m", "survival", "se", "errors"),
    # primary biliary cirrhosis, 5 and 10 years, D-penicillamine and placebo
    [
        (158, 82, 0.699, 0.03845, (0.03649, 0.04235)),
        (158, 8, 0.372, 0.07247, (0.03845, 0.10423)),
        (154, 76, 0.705, 0.03829, (0.03675, 0.04392)),
        (154, 15, 0.427, 0.06427, (0.03986, 0.08346)),
    ],
)
def test_cirrhosis(n, m, survival, se, errors):
    exact = [math.sqrt(end[0]) for end in variance_range([survival], [survival], n, [m])]
    assert exact == pytest.approx(errors, abs=5e-6)
    low, high = (math.sqrt(end[0]) for end in variance_range([survival - 5e-4], [survival + 5e-4], n, [m]))
    assert low < exact[0] < se < exact[1] < high


# -- every order of deaths and losses


class Course:
    """One order of deaths (True) and losses, step by step, in fractions."""

    def __init__(self, n, order):
        self.n, self.m, self.survival = n, n, Fraction(1)
        self.losses, self.greenwood = [], Fraction(0)
        for dies in order:
            if dies:
                self.survival *= Fraction(self.m - 1, self.m)
                self.greenwood += Fraction(1, self.m * (self.m - 1)) if self.m > 1 else 0
            else:
                self.losses.append(self.m)
            self.m -= 1


@cache
def courses(n):
    return [Course(n, order) for k in range(n + 1) for order in itertools.product((True, False), repeat=k)]


@cache
def fewest_losses(n):
    """Each estimate that n patients can give, with the fewest losses before it: a table by size of the risk set."""
    fewest = {}
    states = {Fraction(1): 0}
    for r in range(n, -1, -1):
        for s, c in states.items():
            fewest[s] = min(c, fewest.get(s, c))
        following = {}
        for s, c in states.items() if r else ():
            for new, losses in ((s * Fraction(r - 1, r), c), (s, c + 1)):
                following[new] = min(losses, following.get(new, losses))
        states = following
    return fewest


@pytest.mark.parametrize("n", range(1, 10))
def test_the_identity_holds_for_every_order(n):
    for course in courses(n):
        if course.m:
            product = math.prod(Fraction(r, r - 1) for r in course.losses)
            assert course.survival == Fraction(course.m, n) * product


@pytest.mark.parametrize("n", range(1, 10))
def test_attainable_survival_is_that_of_every_order(n):
    for most in range(min(n, 5)):
        expected = sorted({c.survival for c in courses(n) if len(c.losses) <= most})
        np.testing.assert_allclose(attainable_survival(n, most), [float(s) for s in expected], rtol=1e-15)


@pytest.mark.parametrize("n", range(1, 10))
def test_fewest_losses_of_every_order(n):
    expected = {}
    for course in courses(n):
        expected[course.survival] = min(len(course.losses), expected.get(course.survival, n))
    assert fewest_losses(n) == expected


@pytest.mark.parametrize(("n", "decimals"), [*((n, d) for n in range(1, 12) for d in (0, 1)), (14, 0)])
def test_least_censored_of_every_percentage(n, decimals):
    fewest = sorted(fewest_losses(n).items())
    values = [s for s, _ in fewest]
    half = Fraction(1, 200 * 10**decimals)
    for k in range(100 * 10**decimals + 1):
        share = Fraction(k, 100 * 10**decimals)
        inside = fewest[bisect_left(values, share - half) : bisect_right(values, share + half)]
        got = least_censored(float(share - half), float(share + half), n)
        assert got == LeastCensored(min((c for _, c in inside), default=-1)), (share, n)


@pytest.mark.parametrize("n", range(2, 9))
def test_a_limit_that_is_reached_exactly_counts(n):
    for s, losses in fewest_losses(n).items():
        for low, high in ((float(s), float(s)), (float(s), float(s) + 1e-7), (float(s) - 1e-7, float(s))):
            assert 0 <= least_censored(low, high, n).n_censored <= losses


@pytest.mark.parametrize(("n", "decimals"), [(40, 1), (60, 2), (75, 1)])
def test_two_losses_among_many(n, decimals):
    """Every size of the risk set at one or two losses, in floats; the windows are apart from these by far more."""
    r = np.arange(2, n + 1)
    factor = np.where(np.arange(n + 1) > 1, np.arange(n + 1) / np.maximum(np.arange(n + 1) - 1, 1), np.nan)
    one = np.array([m / n * factor[a] for m in range(1, n) for a in range(m + 1, n + 1)])
    two = np.array(
        [m / n * factor[a] * factor[m + 1 : a] for m in range(1, n - 1) for a in range(m + 2, n + 1)],
        dtype=object,
    )
    two = np.concatenate([np.atleast_1d(part) for part in two])
    by_losses = [np.arange(n + 1) / n, one, two]
    assert r.size == n - 1
    for percent in np.random.default_rng(n).integers(0, 100 * 10**decimals, 150) / 10**decimals:
        low, high = printed(f"{percent:.{decimals}f}", decimals)
        counts = [((s >= low - 1e-13) & (s <= high + 1e-13)).any() for s in by_losses]
        expected = counts.index(True) if any(counts) else 3
        got = least_censored(low, high, n)
        assert got.is_decided
        assert (got.n_censored if 0 <= got.n_censored < 3 else 3) == expected, percent


@pytest.mark.parametrize("n", range(1, 10))
def test_is_attainable_with_every_number_at_risk(n):
    by_risk = defaultdict(set)
    for course in courses(n):
        by_risk[course.m].add(course.survival)
    for m in range(n + 1):
        for k in range(101):
            low, high = Fraction(2 * k - 1, 200), Fraction(2 * k + 1, 200)
            expected = any(low <= s <= high for s in by_risk[m])
            if high >= 1 and m <= n:
                expected = True  # all may have been lost
            assert is_attainable(float(low), float(high), n, m) == expected, (k, m)


@pytest.mark.parametrize("n", range(1, 10))
def test_count_bounds_hold_all_orders_and_are_reached(n):
    by_risk = defaultdict(list)
    for course in courses(n):
        by_risk[course.m].append(course)
    for m, found in by_risk.items():
        for low, high in [(0.0, 1.0), (0.25, 0.75), (0.4, 0.6), (0.5, 0.5), (0.9, 1.0)]:
            deaths = [n - m - len(c.losses) for c in found if low <= c.survival <= high]
            bounds = count_bounds(low, high, n, m)
            if deaths:
                assert bounds.events_lower <= min(deaths)
                assert bounds.events_upper >= max(deaths)
                assert bounds.censored_lower <= n - m - max(deaths)
                assert bounds.censored_upper >= n - m - min(deaths)
            if (low, high) == (0.0, 1.0):
                assert (bounds.events_lower, bounds.events_upper) == (min(deaths), max(deaths))


def test_sharp_limits_of_the_counts_are_reached():
    # all losses first: 6 of 10 lost, one of the four left dies; all last: one of ten dies, six are lost
    assert [int(x) for x in count_bounds(0.75, 0.75, 10, 3)] == [1, 2, 5, 6]
    assert [int(x) for x in count_bounds(0.9, 0.9, 10, 3)] == [1, 1, 6, 6]


def test_too_many_at_risk_have_no_counts():
    found = count_bounds(0.495, 0.505, [100, 100], [50, 60])
    assert (found.events_lower <= found.events_upper).tolist() == [True, False]


@given(st.data())
def test_stretches_hold_the_counts_of_random_courses(data):
    n = data.draw(st.integers(5, 60))
    order = data.draw(st.lists(st.booleans(), min_size=3, max_size=n))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order)), min_size=1, max_size=3)))
    half = data.draw(st.sampled_from([0.0, 0.0005, 0.005]))
    parts = [Course(n, order[:cut]) for cut in cuts]
    survival = np.array([float(c.survival) for c in parts])
    at_risk = np.array([float(c.m) for c in parts])
    deaths = np.diff([0, *(sum(order[:cut]) for cut in cuts)])
    lower, upper = np.maximum(survival - half, 0), np.minimum(survival + half, 1)
    found = stretch_bounds(lower, upper, n, at_risk)
    assert (found.events_lower <= deaths).all()
    assert (deaths <= found.events_upper).all()
    assert least_tied(lower, upper, n, at_risk).tolist() == [0.0] * len(cuts)
    bounds = variance_range(lower, upper, n, at_risk)
    variance = [float(c.survival**2 * c.greenwood) for c in parts]
    inside = survival > 0
    assert (bounds.lower[inside] <= np.array(variance)[inside] * (1 + 1e-9)).all()
    assert (np.array(variance)[inside] <= bounds.upper[inside] * (1 + 1e-9)).all()
    if half == 0:  # less is known without some of the numbers at risk
        wider = variance_range(lower, upper, n, np.where(np.arange(len(cuts)) % 2, at_risk, np.nan))
        assert (wider.lower[inside] <= bounds.lower[inside] * (1 + 1e-9)).all()
        assert (wider.upper[inside] >= bounds.upper[inside] * (1 - 1e-9)).all()


@given(st.data())
def test_deaths_at_the_landmark_are_at_least_those_that_are_needed(data):
    """Numbers at risk as tables print them, just before, with several deaths at the landmark."""
    n = data.draw(st.integers(5, 80))
    r, s, g = n, Fraction(1), Fraction(0)
    lower, upper, at_risk, tied, variance = [], [], [], [], []
    for _ in range(data.draw(st.integers(1, 3))):
        for dies in data.draw(st.lists(st.booleans(), max_size=max(0, r - 2))):
            s, g = (s * Fraction(r - 1, r), g + Fraction(1, r * (r - 1))) if dies else (s, g)
            r -= 1
        k = data.draw(st.integers(0, r - 1))
        at_risk.append(float(r))
        tied.append(k)
        s, g = s * Fraction(r - k, r), g + Fraction(k, r * (r - k))
        r -= k
        half = data.draw(st.sampled_from([0.0, 0.005]))
        lower.append(max(0.0, float(s) - half))
        upper.append(min(1.0, float(s) + half))
        variance.append(float(s**2 * g))
        if r < 2:
            break
    assert (least_tied(lower, upper, n, at_risk) <= tied).all()
    bounds = variance_range(lower, upper, n, at_risk, before=True)
    assert (bounds.lower <= np.array(variance) * (1 + 1e-9) + 1e-15).all()
    assert (np.array(variance) <= bounds.upper * (1 + 1e-9)).all()


def test_deaths_needed_are_the_difference():
    # 75 at risk before, at most 70.5 of a hundred alive: without losses five must have died at that moment
    assert least_tied([0.695], [0.705], 100, [75]).tolist() == [5.0]
    # half of them lost before: then 37 at risk are fewer than the survivors, and nobody needs to
    assert least_tied([0.695], [0.705], 100, [37]).tolist() == [0.0]
    # the second landmark starts from those left
    assert least_tied([0.7, 0.35], [0.7, 0.35], 100, [75, 40]).tolist() == [5.0, 5.0]
    # 80 of a hundred at risk at the first say that at least 80% live there, so 40 at risk at the second at least 40%
    lower, upper = [0.795, 0.395, 0.2085], [0.805, 0.405, 0.2095]
    assert least_tied(lower, upper, 100, [80, 40, 21]).tolist() == [0.0, 0.0, 1.0]
    assert least_tied(lower, upper, 100, [79, 39, 20]).tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(least_tied([0.7, 0.35], [0.7, 0.35], 100, [np.nan, 40])[0])


def test_one_stretch_is_the_known_interval():
    survival, n, m = np.array([0.9, 0.55, 0.2]), np.array([30.0, 80.0, 200.0]), np.array([20.0, 20.0, 5.0])
    expected = variance_bounds(survival, n, m)
    for i in range(3):
        found = variance_range([survival[i]], [survival[i]], n[i], [m[i]])
        assert (found.lower[0], found.upper[0]) == pytest.approx((expected.lower[i], expected.upper[i]))
    unknown = variance_range([0.5], [0.5], np.nan, [10])
    assert unknown.lower[0] == 0
    assert unknown.upper[0] == pytest.approx(0.25 * 0.5 / 10)


def test_leading_axes_are_sets_of_curves():
    lower, upper = np.array([[0.7, 0.4], [0.8, 0.6]]), np.array([[0.71, 0.41], [0.81, 0.61]])
    at_risk, n = np.array([[50.0, np.nan], [60.0, 30.0]]), np.array([100, 90])
    together = stretch_bounds(lower, upper, n, at_risk)
    variance = variance_range(lower, upper, n, at_risk)
    for i in range(2):
        alone = stretch_bounds(lower[i], upper[i], n[i], at_risk[i])
        for both, one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(both[i], one)
        for both, one in zip(variance, variance_range(lower[i], upper[i], n[i], at_risk[i]), strict=True):
            np.testing.assert_allclose(both[i], one)


@pytest.mark.parametrize("n", [*range(13, 61)])
def test_only_the_ends_are_impossible_for_thirteen_patients_and_more(n):
    for percent in range(101):
        low, high = (Fraction(2 * percent + sign, 200) for sign in (-1, 1))
        outside = low > 0 and (high < Fraction(1, n) or (low > Fraction(n - 1, n) and high < 1))
        assert (least_censored(*printed(percent), n).n_censored == -1) == outside, percent


# -- ends and limits


def test_all_and_none():
    assert least_censored(0.995, 1.0, 5) == least_censored(0.0, 0.005, 5) == LeastCensored(0)
    assert is_attainable(0.995, 1.0, 5, 2)
    assert is_attainable(0.0, 0.005, 5, 0)
    assert not is_attainable(0.0, 0.005, 5, 1)
    assert least_censored(0.45, 0.55, 1) == LeastCensored(-1)


def test_too_many_patients_are_not_decided():
    n = MOST_PATIENTS + 1
    assert least_censored(0.495, 0.505, n) == LeastCensored(0)
    assert least_censored(0.50001, 0.50002, n) == LeastCensored(1, is_decided=False)
    assert is_attainable(0.495, 0.505, n, 100) is None


def test_a_search_that_is_too_long_is_given_up(monkeypatch):
    limits = printed("63.13", 2)  # needs four losses of 20, and several steps to find them
    assert least_censored(*limits, 20).is_decided
    least_censored.cache_clear()
    is_attainable.cache_clear()
    monkeypatch.setattr(lattice, "_STEPS", 0)
    found = least_censored(*limits, 20)
    assert not found.is_decided
    assert found.n_censored >= 2
    assert None in [is_attainable(*limits, 20, m) for m in range(20)]
    least_censored.cache_clear()
    is_attainable.cache_clear()


def test_hundreds_of_patients_are_decided():
    rng = np.random.default_rng(4)
    for n in (200, 500, 1000, 2000):
        for decimals in (0, 1, 2):
            for percent in rng.integers(0, 100 * 10**decimals, 20) / 10**decimals:
                assert least_censored(*printed(f"{percent:.{decimals}f}", decimals), n).is_decided
