import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from netsynth.kernels.effective_numbers import effective_numbers
from netsynth.kernels.survival_variance import reported_variance


def greenwood(survival, number):
    """Greenwood sums at each time, interval after interval."""
    total, before, sums = 0.0, 1.0, []
    for s, n in zip(survival, number, strict=True):
        at_risk, p = n * before, s / before
        total += (1 - p) / (p * at_risk)
        sums.append(total)
        before = s
    return np.array(sums)


@st.composite
def curves(draw):
    """Survival at some times, the number of patients, and those at risk at some of the times."""
    m = draw(st.integers(1, 5))
    conditional = draw(st.lists(st.floats(0.3, 0.98), min_size=m, max_size=m))
    kept = draw(st.lists(st.floats(0.5, 1.0), min_size=m, max_size=m))
    n = draw(st.integers(20, 1000))
    survival = np.cumprod(conditional)
    at_risk = n * np.cumprod(np.multiply(conditional, kept))
    assume(at_risk[-1] >= 1)
    return survival, n, at_risk


@given(curves(), st.floats(0.1, 1.0))
def test_numbers_at_risk_give_the_variances_of_the_report(curve, maturity):
    survival, n, at_risk = curve
    expected = reported_variance(survival, n, at_risk).variance / survival**2
    np.testing.assert_allclose(
        greenwood(survival, effective_numbers(survival, n, at_risk)), expected, rtol=1e-9
    )
    expected = (1 - survival) / (survival * n * math.sqrt(maturity))
    found = effective_numbers(survival, n, maturity=maturity)
    np.testing.assert_allclose(greenwood(survival, found), expected, rtol=1e-9)


@given(curves())
def test_a_number_at_risk_in_the_middle_gives_the_variance_there_and_at_the_end(curve):
    survival, n, at_risk = curve
    at_risk[np.arange(at_risk.size) != at_risk.size // 2] = np.nan
    expected = reported_variance(survival, n, at_risk, maturity=1.0).variance / survival**2
    found = greenwood(survival, effective_numbers(survival, n, at_risk, maturity=1.0))
    known = at_risk.size // 2
    assert found[known] == pytest.approx(expected[known], rel=1e-9)
    assert found[-1] == pytest.approx(expected[-1], rel=1e-9)


@given(curves(), st.data())
def test_printed_variances_come_back(curve, data):
    survival, n, at_risk = curve
    number = effective_numbers(survival, n, at_risk)
    variance = greenwood(survival, number) * survival**2
    shown = np.array(data.draw(st.lists(st.booleans(), min_size=survival.size, max_size=survival.size)))
    variance[~shown] = np.nan
    found = greenwood(survival, effective_numbers(survival, np.nan, np.nan, variance))
    np.testing.assert_allclose((found * survival**2)[shown], variance[shown], rtol=1e-8)
    # before the last that is printed a stretch has one number, after it nobody is known to be lost
    assert np.isfinite(found).all() == shown.any()


def test_complete_follow_up_counts_everyone_whatever_survival_is():
    survival = np.array([1.0, 0.8, 0.8, 0.0])
    np.testing.assert_allclose(effective_numbers(survival, 50, 50 * survival), 50.0)


def test_losses_without_deaths_are_the_limit_of_few_deaths():
    limit = effective_numbers([1.0], 100, [60.0])
    near = effective_numbers([1.0 - 1e-7], 100, [60.0])
    assert limit == pytest.approx(near, rel=1e-5)
    assert limit[0] == pytest.approx(100 * 60 * math.log(100 / 60) / 40)


def test_without_the_number_of_patients_the_first_number_at_risk_is_all_there_was():
    found = effective_numbers([0.8, 0.6], np.nan, [40.0, 20.0])
    assert found[0] == pytest.approx(50.0)
    assert found[1] == pytest.approx(effective_numbers([0.75], 40, [20.0])[0] / 0.8)
    assert np.isnan(effective_numbers([0.8, 0.6], np.nan)).all()


def test_a_variance_that_does_not_grow_leaves_the_stretch_what_the_one_before_had():
    variance = np.array([0.4**2, 0.2**2]) * 0.01
    found = effective_numbers([0.8, 0.7], np.nan, np.nan, variance)
    first = (1 / 0.8 - 1) / (variance[0] / 0.8**2)
    np.testing.assert_allclose(found, [first, first])
    assert effective_numbers([0.8], 30, np.nan, [1e-9])[0] == 30  # more than all patients there cannot be


def test_what_is_not_printed_is_nan_and_nothing_is_known_after_the_last_death():
    found = effective_numbers([[0.8, np.nan, 0.5], [0.5, 0.0, 0.0]], [40, 40], [[32, np.nan, 20], [20, 0, 0]])
    np.testing.assert_allclose(found, [[40, np.nan, 40], [40, 40, np.nan]])


def test_sets_of_studies_are_done_at_once():
    rng = np.random.default_rng(1)
    survival = np.sort(rng.uniform(0.2, 0.95, (2, 3, 4)))[..., ::-1]
    n = rng.integers(20, 90, (2, 3))
    at_risk = np.where(rng.random(survival.shape) < 0.5, np.floor(0.8 * n[..., None] * survival), np.nan)
    variance = np.where(rng.random(survival.shape) < 0.3, 0.003, np.nan)
    found = effective_numbers(survival, n, at_risk, variance)
    for i in np.ndindex(2, 3):
        np.testing.assert_array_equal(found[i], effective_numbers(survival[i], n[i], at_risk[i], variance[i]))
