import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from netsynth.kernels.bounds import envelope
from netsynth.kernels.intervals import modified_knapp_hartung
from netsynth.kernels.pooled_bounds import (
    Box,
    highest,
    mean_limits,
    mixture,
    mixture_quantile,
    mixture_rmst,
    mixture_survival,
    paule_mandel_limits,
)
from netsynth.kernels.tau2 import tau2_pm

# three studies of 40, 60 and 30 patients, 20, 15 and 6 at risk: the range was found over all corners
S = np.array([0.9, 0.7, 0.5])
N, M = np.array([40.0, 60, 30]), np.array([20.0, 15, 6])
LOW, HIGH = S * (1 - S) / N, S**2 * (1 - S) / M


@st.composite
def boxes(draw, least=1, most=5):
    """Effects and limits of their variances."""
    k = draw(st.integers(least, most))
    numbers = st.lists(st.floats(-3, 3), min_size=k, max_size=k)
    y = np.array(draw(numbers))
    low = np.array(draw(st.lists(st.floats(0.01, 1), min_size=k, max_size=k)))
    more = np.array(draw(st.lists(st.floats(0, 3), min_size=k, max_size=k)))
    return y, low, low + more


def box(y, low, high, tau2_low=0.0, tau2_high=0.0):
    return Box(y, y, low, high, np.asarray(tau2_low), np.asarray(tau2_high))


def over_corners(y, low, high, tau2=0.0, critical=0.0):
    """Smallest and largest end of the interval of the mean with each variance at one of its ends."""
    lower, upper = [], []
    for choice in itertools.product(*zip(low, high, strict=True)):
        w = [1 / (v + tau2) for v in choice]
        mean = sum(a * b for a, b in zip(w, y, strict=True)) / sum(w)
        lower.append(mean - critical * sum(w) ** -0.5)
        upper.append(mean + critical * sum(w) ** -0.5)
    return min(lower), max(upper)


def test_the_worked_example():
    found = mean_limits(box(S, LOW, HIGH))
    assert (found.lower, found.upper) == pytest.approx((0.738893, 0.833374), abs=5e-7)


def test_a_mean_weighted_by_patients_lies_outside_the_limits():
    assert float(S @ N / N.sum()) == pytest.approx(0.715385, abs=5e-7)
    assert float(S @ N / N.sum()) < mean_limits(box(S, LOW, HIGH)).lower


@given(boxes())
def test_means_reach_the_extremes_over_all_corners(drawn):
    found = mean_limits(box(*drawn))
    assert (found.lower, found.upper) == pytest.approx(over_corners(*drawn), rel=1e-9, abs=1e-9)


@given(boxes(most=3), st.sampled_from([0.5, 1.96, 12.7]))
def test_ends_of_intervals_reach_the_extremes_over_a_fine_grid(drawn, critical):
    """The largest end may have one weight inside its limits, so corners are not enough."""
    y, low, high = drawn
    found = mean_limits(box(y, low, high), critical)
    ends = [np.linspace(1 / b, 1 / a, 41) for a, b in zip(low, high, strict=True)]
    w = np.stack([x.ravel() for x in np.meshgrid(*ends)])
    mean, half = (y @ w) / w.sum(axis=0), critical / np.sqrt(w.sum(axis=0))
    lower, upper = (mean - half).min(), (mean + half).max()
    assert found.lower <= lower + 1e-9
    assert upper - 1e-9 <= found.upper
    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=0.02 * (1 + critical))


def test_a_weight_inside_its_limits_on_paper():
    """Weights 1 at 0 and w in [0.1, 10] at 1: D = 1, so the total is (2 / c)^2 = 4 for c = 1, w = 3."""
    found = highest(np.array([0.0, 1.0]), np.array([1.0, 0.1]), np.array([1.0, 10.0]), 1.0)
    assert found == pytest.approx(3 / 4 + 1 / 2)


@given(
    boxes(most=4),
    st.floats(0, 2),
    st.floats(0, 2),
    st.lists(st.floats(0, 1), min_size=5, max_size=5),
    st.sampled_from([0.0, 1.96]),
)
def test_no_choice_within_the_limits_leaves_them(drawn, one, other, share, critical):
    y, low, high = drawn
    tau2 = sorted((one, other))
    found = mean_limits(box(y, low, high, *tau2), critical)
    v = low + np.array(share[: y.size]) * (high - low)
    w = 1 / (v + tau2[0] + share[4] * (tau2[1] - tau2[0]))
    mean, half = (w @ y) / w.sum(), critical / np.sqrt(w.sum())
    assert found.lower - 1e-6 <= mean - half
    assert mean + half <= found.upper + 1e-6


@given(boxes(2, 4), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_every_interval_that_some_variances_give_lies_inside(drawn, share):
    """Paule-Mandel with the modified Knapp-Hartung interval, tau2 between its estimates at both ends."""
    y, low, high = drawn
    limits = [float(tau2_pm(y, v).tau2) for v in (high, low)]
    critical = student.ppf(0.975, y.size - 1)
    found = mean_limits(box(y, low, high, *limits), critical)
    v = low + np.array(share[: y.size]) * (high - low)
    tau2 = np.asarray(tau2_pm(y, v).tau2)
    assert limits[0] - 1e-6 <= tau2 <= limits[1] + 1e-6
    w = 1 / (v + tau2)
    mean, half = (w @ y) / w.sum(), critical * float(modified_knapp_hartung(y, v, tau2).se)
    slack = 1e-5 * (1 + half)
    assert found.lower - slack <= mean - half
    assert mean + half <= found.upper + slack


@given(boxes(2, 4))
def test_limits_of_paule_mandel_are_its_values_at_both_ends(drawn):
    y, low, high = drawn
    found = paule_mandel_limits(y, y, low, high)
    assert found == pytest.approx([float(tau2_pm(y, v).tau2) for v in (high, low)], rel=1e-6, abs=1e-9)


@given(boxes(2, 4), st.lists(st.floats(0, 1), min_size=12, max_size=12))
def test_no_effects_or_variances_lead_paule_mandel_outside(drawn, share):
    y, low, high = drawn
    k, wide = y.size, np.array(share[4:8][: y.size])
    found = paule_mandel_limits(y - wide, y + wide, low, high)
    inside = y - wide + 2 * wide * np.array(share[:k])
    v = low + np.array(share[8 : 8 + k]) * (high - low)
    assert found[0] - 1e-7 <= float(tau2_pm(inside, v).tau2) <= found[1] + 1e-7


def test_a_study_of_unknown_size_may_be_among_those_that_explain_tau2():
    """Weight 0 adds nothing to the scatter and one to k - 1: (0 - 1)^2 / (2 (1/4 + tau2)) = 2 has no solution."""
    y, low, high = np.array([0.0, 1.0, 0.5]), np.array([0.25, 0.25, 0.0]), np.array([0.25, 0.25, np.inf])
    assert paule_mandel_limits(y, y, low, high)[0] == 0.0


@given(boxes(most=4))
def test_the_search_along_tau_finds_what_a_fine_grid_finds(drawn):
    y, low, high = drawn
    found = mean_limits(box(y, low, high, 0.0, 4.0))
    ends = [over_corners(y, low, high, t**2) for t in np.linspace(0, 2, 401)]
    assert found.lower <= min(a for a, _ in ends) + 1e-9
    assert found.upper >= max(b for _, b in ends) - 1e-9
    assert found.upper == pytest.approx(max(b for _, b in ends), abs=1e-3)


def test_effects_known_within_limits_take_their_own_ends():
    zero = np.zeros(())
    found = mean_limits(Box(S - 0.01, S + 0.01, LOW, LOW, zero, zero))
    middle = mean_limits(box(S, LOW, LOW))
    assert found.lower == pytest.approx(middle.lower - 0.01)
    assert found.upper == pytest.approx(middle.upper + 0.01)


def test_a_study_of_unknown_size_may_be_everything_or_nothing():
    low, high = np.append(LOW, 0.0), np.append(HIGH, np.inf)
    y = np.append(S, 0.95)
    found = mean_limits(box(y, low, high))
    without = mean_limits(box(S, LOW, HIGH))
    assert found.upper == 0.95
    assert found.lower == pytest.approx(float(without.lower), rel=1e-12)
    assert np.isfinite(mean_limits(box(y, low, high), 1.96).lower)
    # between studies that differ it cannot be everything: its weight is at most 1 / tau2
    limited = mean_limits(box(y, low, high, 0.04, 0.04))
    assert limited.upper == pytest.approx(over_corners(y, low, np.append(HIGH, 1e9), 0.04)[1], rel=1e-6)


def test_weights_that_may_all_be_nothing():
    assert highest(np.array([1.0, 2.0]), np.zeros(2), np.ones(2)) == 2.0
    assert highest(np.array([1.0, 2.0]), np.zeros(2), np.ones(2), 1.96) == np.inf


def test_batches_are_their_rows_and_no_study_is_none():
    y = np.stack([S, S[::-1], S - 0.1])
    low, high = np.array([0.0, 0.01, 0.02]), np.array([0.0, 0.05, 0.02])
    padded = [
        np.concatenate([x * np.ones((3, 3)), fill * np.ones((3, 1))], axis=1)
        for x, fill in ((y, 7.0), (LOW, np.inf), (HIGH, np.inf))
    ]
    c = np.array([0.0, 1.0, 2.0])
    found = mean_limits(box(*padded, low, high), c)
    for i in range(3):
        alone = mean_limits(box(y[i], LOW, HIGH, low[i], high[i]), c[i])
        assert [x[i] for x in found] == pytest.approx([float(x) for x in alone], rel=1e-12)


# two curves on paper: 80% at 12 and 40% at 36 months; 60% at 24 months; weights 1/4 and 3/4
CURVES = [
    envelope(np.array([12.0, 36.0]), np.array([0.8, 0.4]), np.array([0.8, 0.4])),
    envelope(np.array([24.0]), np.array([0.6]), np.array([0.6])),
]
WEIGHT = np.array([0.25, 0.75])


def test_mixture_on_paper():
    found = mixture(CURVES, WEIGHT)
    lower, upper = mixture_survival(found, np.array([0.0, 6.0, 12.0, 18.0, 24.0, 30.0, 36.0, 40.0]))
    assert lower == pytest.approx([1, 0.65, 0.65, 0.55, 0.55, 0.1, 0.1, 0.0])
    assert upper == pytest.approx([1, 1, 0.95, 0.95, 0.65, 0.65, 0.55, 0.55])
    rmst = mixture_rmst(found, np.array([36.0]))
    assert (rmst.lower.item(), rmst.upper.item()) == pytest.approx(
        (12 * 0.65 + 12 * 0.55 + 12 * 0.1, 12 * 1 + 12 * 0.95 + 12 * 0.65)
    )
    assert tuple(float(x) for x in mixture_quantile(found, 0.5)) == (24.0, np.inf)
    assert tuple(float(x) for x in mixture_quantile(found, 0.65)) == (0.0, 24.0)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=2), st.floats(0, 60))
def test_mixtures_of_curves_within_the_limits_stay_inside(share, time):
    """Any two curves that pass through the points: here steps at places drawn between them."""
    first, second = (a + s * (b - a) for a, b, s in zip((12, 0), (36, 24), share, strict=True))
    one = 1.0 if time < 12 else 0.8 if time < first else 0.4 if time < 50 else 0.1
    two = 1.0 if time < second else 0.6
    lower, upper = mixture_survival(mixture(CURVES, WEIGHT), np.array([time]))
    assert lower[0] - 1e-12 <= 0.25 * one + 0.75 * two <= upper[0] + 1e-12
