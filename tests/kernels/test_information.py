"""Least standard errors of hazard ratios: published examples, a search over risk sets, and fits of random trials."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth._typing import Interval
from netsynth.kernels.information import least_events, least_se, least_se_of_arms, wald_range


def point(value):
    return Interval(value, value)


def test_keynote():
    """Overall survival in KEYNOTE-189: 0.49 (0.38 to 0.64) with 233 deaths, and two further intervals of the report."""
    found = wald_range(point(0.49), point(0.38), point(0.64))
    assert found.se.lower == found.se.upper == pytest.approx(0.13299, abs=5e-6)
    assert found.z.lower == pytest.approx(5.364, abs=5e-4)
    assert math.erfc(found.z.lower / math.sqrt(2)) == pytest.approx(8.1e-8, abs=5e-10)
    assert least_se(233) == pytest.approx(0.13102, abs=5e-6)
    assert least_events([0.38, 0.34, 0.21], [0.64, 0.60, 0.55]) == pytest.approx(
        [226.2, 190.5, 66.3], abs=0.05
    )
    assert least_events(0.375, 0.645) == pytest.approx(209.0, abs=0.05)


def test_six_mercaptopurine():
    """Freireich's trial, 21 and 21 patients, 9 and 21 deaths; Cox fits by R's survival, ties in three ways."""
    for se, ratio in ((0.412397, 0.207604), (0.409564, math.exp(-1.509191)), (0.433131, math.exp(-1.628244))):
        assert least_se_of_arms(30, 21, 21, ratio) < se
        assert least_se(30) < se


def test_a_refuted_tutorial():
    """0.68 (0.51 to 0.91) with 142 events: no Cox model of two groups is so sure; 0.6455 (0.4646 to 0.8970) is."""
    wrong = wald_range(Interval(0.675, 0.685), Interval(0.505, 0.515), Interval(0.905, 0.915))
    assert wrong.se.upper < least_se(142)
    right = wald_range(point(0.6455), point(0.4646), point(0.8970))
    assert right.se.lower == pytest.approx(least_se(142), abs=5e-5)


def test_limits_of_rounding():
    ratio, lower, upper = Interval(0.485, 0.495), Interval(0.375, 0.385), Interval(0.635, 0.645)
    found = wald_range(ratio, lower, upper)
    corners = [
        (math.log(u / a) / (2 * 1.959963984540054), math.sqrt(a * u), abs(math.log(r)))
        for a in lower
        for u in upper
        for r in ratio
    ]
    se = [c[0] for c in corners]
    assert found.se == pytest.approx((min(se), max(se)))
    assert found.middle == pytest.approx((min(c[1] for c in corners), max(c[1] for c in corners)))
    size = [c[2] for c in corners]
    assert found.z == pytest.approx((min(size) / max(se), max(size) / min(se)))
    assert wald_range(Interval(0.95, 1.05), lower, upper).z.lower == 0


def test_ends_that_are_open():
    assert wald_range(point(0.5), Interval(0.0, 0.005), point(2.0)).se.upper == math.inf
    assert wald_range(point(0.5), point(0.2), Interval(2.0, math.inf)).middle.upper == math.inf


def by_search(n_events, n_exposed, n_reference, ratio):
    """Most information, each event searched over whole and part risk sets."""
    total = 0.0
    for left in range(1, n_events + 1):
        best = 0.0
        for r1 in np.linspace(0, n_exposed, 2001):
            least = max(left - r1, 0)
            if least > n_reference:
                continue
            for r0 in {least, n_reference, min(max(ratio * r1, least), n_reference)}:
                if r1 + r0 > 0:
                    p = r1 * ratio / (r1 * ratio + r0) if r1 else 0.0
                    best = max(best, p * (1 - p))
        total += best
    return 1 / math.sqrt(total)


@pytest.mark.parametrize(
    ("d", "n1", "n0", "ratio"),
    [(20, 5, 40, 1.0), (30, 4, 60, 0.5), (12, 40, 3, 2.0), (10, 10, 10, 0.2), (8, 4, 4, 3.0)],
)
def test_arms_by_search(d, n1, n0, ratio):
    assert least_se_of_arms(d, n1, n0, ratio) == pytest.approx(by_search(d, n1, n0, ratio), rel=2e-4)


@given(st.integers(1, 300), st.integers(1, 200), st.integers(1, 200), st.floats(0.05, 20))
def test_arms_are_never_below_two_over_the_root(d, n1, n0, ratio):
    d = min(d, n1 + n0)
    bound = least_se_of_arms(d, n1, n0, ratio)
    assert bound >= least_se(d) * (1 - 1e-12)
    assert bound == pytest.approx(least_se_of_arms(d, n0, n1, 1 / ratio))
    if d > 1:
        assert bound <= least_se_of_arms(d - 1, n1, n0, ratio) * (1 + 1e-12)


@given(st.integers(0, 2**32 - 1))
def test_no_fit_is_surer(seed):
    """The information of a random trial with random losses, at any ratio, tied or not."""
    rng = np.random.default_rng(seed)
    n1, n0 = int(rng.integers(1, 30)), int(rng.integers(1, 120))
    x = np.repeat([True, False], [n1, n0])
    time = rng.exponential(size=n1 + n0)
    if rng.random() < 0.3:
        time = np.ceil(4 * time)
    event = rng.random(n1 + n0) < rng.uniform(0.2, 1)
    ratio = math.exp(rng.normal())
    information = 0.0
    for t in np.unique(time[event]):
        r1, r0 = (time[x] >= t).sum(), (time[~x] >= t).sum()
        p = r1 * ratio / (r1 * ratio + r0)
        information += ((time == t) & event).sum() * p * (1 - p)
    if information > 0:
        assert 1 / math.sqrt(information) >= least_se_of_arms(int(event.sum()), n1, n0, ratio) * (1 - 1e-9)
