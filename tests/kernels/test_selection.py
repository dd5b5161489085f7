import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from netsynth.kernels.selection import (
    NO_SELECTION,
    SEVERITIES,
    SEVERITY_STEPS,
    intervals_of,
    log_ndtr_between,
    segments,
    smooth_likelihood,
    step_likelihood,
    study_pvalues,
    weight_statistics,
)

ALTERNATIVES = ("greater", "less", "two-sided")
SMOOTH = {"beta": (0.7, 1.6), "half_normal": (2.3,), "negative_exponential": (1.4,)}

Y = np.array([0.31, -0.12, 0.55, 0.08, 0.90, 0.24, -0.40, 0.47])
V = np.array([0.02, 0.05, 0.03, 0.01, 0.12, 0.004, 0.08, 0.06])


def naive_pvalue(y, v, alternative):
    z = y / math.sqrt(v)
    if alternative == "two-sided":
        return 2 * stats.norm.sf(abs(z))
    return stats.norm.sf(z) if alternative == "greater" else stats.norm.cdf(z)


def naive_log_likelihood(y, v, mean, tau2, weight, alternative, breaks=()):
    """Study by study, the normalising constant by adaptive quadrature between the breaks of the z-value."""
    total = 0.0
    for y_i, v_i in zip(y, v, strict=True):
        sd = math.sqrt(v_i + tau2)

        def seen(x, v_i=v_i, sd=sd):
            return weight(naive_pvalue(x, v_i, alternative)) * stats.norm.pdf(x, mean, sd)

        inner = sorted(z * math.sqrt(v_i) for z in breaks if abs(z * math.sqrt(v_i) - mean) < 12 * sd)
        ends = [mean - 12 * sd, *inner, mean + 12 * sd]
        a = sum(
            integrate.quad(seen, low, high, epsabs=0, epsrel=1e-11, limit=200)[0]
            for low, high in itertools.pairwise(ends)
        )
        total += math.log(seen(y_i) / a)
    return total


def step_function(steps, weights):
    def weight(p):
        for step, w in zip(steps, weights, strict=False):
            if p <= step:
                return w
        return weights[-1]

    return weight


def steps_at(steps, alternative, parameter, y=Y, v=V):
    interval = intervals_of(study_pvalues(y, v, alternative), steps)
    return step_likelihood(y, v, interval, segments(steps, alternative), np.asarray(parameter, dtype=float))


def numerical(value, x):
    """Gradient by central differences."""
    found = np.zeros(x.size)
    for i in range(x.size):
        h = np.zeros(x.size)
        h[i] = 1e-5 * max(1.0, abs(x[i]))
        found[i] = (value(x + h) - value(x - h)) / (2 * h[i])
    return found


# --- second implementation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize(("steps", "weights"), [((0.05,), (1, 0.3)), ((0.025, 0.5), (1, 0.4, 2.5))])
def test_step_function_by_quadrature(alternative, steps, weights):
    tails = [s / 2 for s in steps] if alternative == "two-sided" else steps
    breaks = [sign * stats.norm.isf(s) for s in tails for sign in (1, -1)]
    expected = naive_log_likelihood(Y, V, 0.2, 0.03, step_function(steps, weights), alternative, breaks)
    got = steps_at(steps, alternative, [0.2, 0.03, *np.log(weights)])
    assert got.value == pytest.approx(expected, rel=1e-9)


def naive_smooth(form, delta):
    if form == "beta":
        floor = 1e-5
        return lambda p: (
            min(max(p, floor), 1 - floor) ** (delta[0] - 1)
            * (1 - min(max(p, floor), 1 - floor)) ** (delta[1] - 1)
        )
    if form == "half_normal":
        return lambda p: math.exp(-delta[0] * p * p)
    return lambda p: math.exp(-delta[0] * p)


@pytest.mark.parametrize("alternative", ALTERNATIVES[:2])
@pytest.mark.parametrize("tau2", [0.0, 0.03, 2.0])
@pytest.mark.parametrize("form", SMOOTH)
def test_smooth_weight_by_quadrature(form, tau2, alternative):
    delta = SMOOTH[form]
    edge = stats.norm.isf(1e-5)
    breaks = [-edge, -2, 0, 2, edge]
    expected = naive_log_likelihood(Y, V, 0.2, tau2, naive_smooth(form, delta), alternative, breaks)
    got = smooth_likelihood(Y, V, form, alternative, np.array([0.2, tau2, *delta]))
    assert got.value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_derivatives_of_the_step_function(alternative):
    x = np.array([0.2, 0.03, 0.1, -0.5, -1.2])
    steps = (0.025, 0.5)
    at = steps_at(steps, alternative, x)
    gradient = numerical(lambda z: steps_at(steps, alternative, z).value, x)
    np.testing.assert_allclose(at.gradient, gradient, rtol=1e-6, atol=1e-7)
    for i in range(x.size):
        row = numerical(lambda z, i=i: steps_at(steps, alternative, z).gradient[i], x)
        np.testing.assert_allclose(at.hessian[i], row, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("alternative", ALTERNATIVES[:2])
@pytest.mark.parametrize("form", SMOOTH)
def test_derivatives_of_a_smooth_weight(form, alternative):
    x = np.array([0.2, 0.3, *SMOOTH[form]])
    at = smooth_likelihood(Y, V, form, alternative, x)
    gradient = numerical(lambda z: smooth_likelihood(Y, V, form, alternative, z).value, x)
    np.testing.assert_allclose(at.gradient, gradient, rtol=1e-6, atol=1e-6)
    for i in range(x.size):
        row = numerical(lambda z, i=i: smooth_likelihood(Y, V, form, alternative, z).gradient[i], x)
        np.testing.assert_allclose(at.hessian[i], row, rtol=1e-5, atol=1e-4)


def test_differences_of_tails_keep_their_digits():
    # -log of the tail beyond z is z^2/2 + log(z sqrt(2 pi)) + 1/z^2 to first order: mpmath gives these to 17 digits
    assert log_ndtr_between(np.array(30.0), np.array(np.inf)) == pytest.approx(-454.3212439563432, rel=1e-13)
    assert log_ndtr_between(np.array(-np.inf), np.array(-30.0)) == pytest.approx(
        -454.3212439563432, rel=1e-13
    )
    assert log_ndtr_between(np.array(-1.0), np.array(1.0)) == pytest.approx(
        math.log(math.erf(2**-0.5)), rel=1e-14
    )
    assert log_ndtr_between(np.array(1.0), np.array(1.0)) == -np.inf


# --- properties --------------------------------------------------------------------------------------------


def normal_log_likelihood(mean, tau2):
    return stats.norm.logpdf(Y, mean, np.sqrt(V + tau2)).sum()


@given(mean=st.floats(-2, 2), tau2=st.floats(0, 4), level=st.floats(-5, 5))
@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_equal_weights_are_no_selection(alternative, mean, tau2, level):
    got = steps_at((0.025, 0.5), alternative, [mean, tau2, level, level, level])
    assert got.value == pytest.approx(normal_log_likelihood(mean, tau2), rel=1e-10, abs=1e-10)


@given(mean=st.floats(-2, 2), tau2=st.floats(0, 4))
@pytest.mark.parametrize("form", SMOOTH)
def test_smooth_weights_without_selection(form, mean, tau2):
    none = [NO_SELECTION[form]] * len(SMOOTH[form])
    got = smooth_likelihood(Y, V, form, "greater", np.array([mean, tau2, *none]))
    assert got.value == pytest.approx(normal_log_likelihood(mean, tau2), rel=1e-10, abs=1e-10)


@given(mean=st.floats(-2, 2), tau2=st.floats(0, 4), a=st.floats(-6, 6), b=st.floats(-6, 6))
def test_the_other_side_is_the_mirror_image(mean, tau2, a, b):
    steps = (0.025, 0.5)
    one = steps_at(steps, "greater", [mean, tau2, 0.0, a, b])
    other = steps_at(steps, "less", [-mean, tau2, 0.0, a, b], y=-Y)
    assert one.value == pytest.approx(other.value, rel=1e-10)
    turn = np.array([-1, 1, 1, 1, 1])
    np.testing.assert_allclose(one.gradient, turn * other.gradient, rtol=1e-8, atol=1e-8)


@given(mean=st.floats(-2, 2), tau2=st.floats(0, 4), unit=st.floats(1e-3, 1e3))
def test_a_change_of_unit_shifts_the_likelihood(mean, tau2, unit):
    steps, logs = (0.025,), [0.0, -1.0]
    here = steps_at(steps, "greater", [mean, tau2, *logs]).value
    there = steps_at(steps, "greater", [unit * mean, unit**2 * tau2, *logs], y=unit * Y, v=unit**2 * V).value
    assert there == pytest.approx(here - Y.size * math.log(unit), rel=1e-9, abs=1e-9)


def test_many_sets_at_once_and_absent_studies():
    steps = (0.025,)
    parameter = np.array([[0.2, 0.03, 0.0, -1.0], [0.5, 0.0, 0.0, 1.0], [-3.0, 1.0, 0.0, 0.3]])
    together = steps_at(steps, "greater", parameter)
    for i, row in enumerate(parameter):
        alone = steps_at(steps, "greater", row)
        for got, expected in zip(together, alone, strict=True):
            np.testing.assert_allclose(got[i], expected, rtol=1e-12)
    y, v = np.append(Y, 7.0), np.append(V, np.inf)
    interval = np.append(intervals_of(study_pvalues(Y, V, "greater"), steps), 0)
    ragged = step_likelihood(y, v, interval, segments(steps, "greater"), parameter)
    np.testing.assert_allclose(ragged.hessian, together.hessian, rtol=1e-12)
    smooth = smooth_likelihood(y, v, "beta", "less", parameter[:, :4] + [0, 0, 0.5, 3.0])
    whole = smooth_likelihood(Y, V, "beta", "less", parameter[:, :4] + [0, 0, 0.5, 3.0])
    np.testing.assert_allclose(smooth.value, whole.value, rtol=1e-12)
    np.testing.assert_allclose(smooth.gradient, whole.gradient, rtol=1e-10)


@pytest.mark.parametrize("mean", [-60.0, 60.0])
def test_far_from_the_data_nothing_overflows(mean):
    for got in (
        steps_at((0.025, 0.5), "greater", [mean, 0.0, 0.0, -3.0, 2.0]),
        smooth_likelihood(Y, V, "beta", "greater", np.array([mean, 0.0, 0.5, 2.0])),
    ):
        assert np.isfinite(got.value)
        assert np.isfinite(got.gradient).all()
        assert np.isfinite(got.hessian).all()


@given(p=st.floats(1e-12, 1 - 1e-12))
@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_segments_and_intervals_agree(alternative, p):
    steps = (0.005, 0.05, 0.3, 0.9)
    tail = p / 2 if alternative == "two-sided" else p
    z = stats.norm.isf(tail) if alternative != "less" else stats.norm.ppf(tail)
    if np.isclose(p, steps, rtol=1e-9).any():
        return  # on a step rounding decides
    cut, interval = segments(steps, alternative)
    assert interval[np.searchsorted(cut, z)] == intervals_of(np.array(p), steps)


def test_a_p_value_on_a_step_belongs_below_it():
    assert intervals_of(np.array([0.025, 0.0250001, 1.0]), (0.025,)).tolist() == [0, 1, 1]


def test_severities_have_a_weight_for_each_interval():
    assert {len(weights) for weights in SEVERITIES.values()} == {len(SEVERITY_STEPS) + 1}


def test_statistics_of_smooth_weights():
    p = np.array([0.01, 0.3])
    np.testing.assert_allclose(weight_statistics("beta", p), np.log(np.stack([p, 1 - p], -1)), rtol=1e-12)
    np.testing.assert_allclose(weight_statistics("half_normal", p)[:, 0], -(p**2), rtol=1e-12)
    np.testing.assert_allclose(weight_statistics("negative_exponential", p)[:, 0], -p, rtol=1e-12)
    assert weight_statistics("beta", np.array(1e-9))[0] == pytest.approx(math.log(1e-5), rel=1e-12)
