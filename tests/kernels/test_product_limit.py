import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time

from netsynth.kernels.product_limit import first_time_at, product_limit, restricted_mean, survival_at

#: 6-MP arm (Freireich 1963).
MP_TIME = np.array(
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], dtype=float
)
MP_EVENT = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0])


@st.composite
def patients(draw):
    """Data with many ties."""
    n = draw(st.integers(1, 12))
    time = draw(st.lists(st.integers(1, 6), min_size=n, max_size=n))
    event = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return np.array(time, dtype=float), np.array(event)


def by_definition(time, event, at):
    """Survival and Greenwood's sum over distinct event times."""
    survival, greenwood = 1.0, 0.0
    for t in sorted(set(time[event == 1])):
        if t > at:
            break
        r, d = (time >= t).sum(), ((time == t) & (event == 1)).sum()
        survival *= 1 - d / r
        greenwood += np.inf if d == r else d / (r * (r - d))
    return survival, greenwood


def test_freireich_1963():
    # survival .7529 (se .0963) at 10 weeks and .4482 (.1346) at 23, as every textbook has them
    found = survival_at(product_limit(MP_TIME, MP_EVENT), np.array([10.0, 23.0]))
    assert found.estimate == pytest.approx([0.7529, 0.4482], abs=5e-5)
    assert found.estimate * np.sqrt(found.variance) == pytest.approx([0.0963, 0.1346], abs=5e-5)


@given(patients(), st.floats(0, 7))
def test_ties_telescope(data, at):
    time, event = data
    found = survival_at(product_limit(time, event), np.array([at]))
    survival, greenwood = by_definition(time, event, at)
    if at > time.max() and survival > 0:
        assert np.isnan(found.estimate.item())
        return
    assert found.estimate.item() == pytest.approx(survival)
    assert found.variance.item() == pytest.approx(greenwood)


@given(patients(), st.floats(0.1, 6))
def test_restricted_mean_against_a_sum_of_rectangles(data, horizon):
    time, event = data
    found = restricted_mean(product_limit(time, event), np.array([horizon]))
    if horizon > time.max() and by_definition(time, event, 99)[0] > 0:
        assert np.isnan([found.estimate.item(), found.variance.item()]).all()
        return
    edges = np.unique(np.concatenate([[0.0], time[time < horizon], [horizon]]))
    heights = [by_definition(time, event, t)[0] for t in edges[:-1]]
    assert found.estimate.item() == pytest.approx(heights @ np.diff(edges))
    variance = 0.0
    for t in sorted(set(time[(event == 1) & (time <= horizon)])):
        r, d = (time >= t).sum(), ((time == t) & (event == 1)).sum()
        left = np.array(heights)[edges[:-1] >= t] @ np.diff(edges)[edges[:-1] >= t]
        variance += left**2 * d / (r * (r - d)) if r > d else 0.0
    assert found.variance.item() == pytest.approx(variance)


def test_against_lifelines():
    fitter = KaplanMeierFitter().fit(MP_TIME, MP_EVENT)
    fit = product_limit(MP_TIME, MP_EVENT)
    assert first_time_at(fit, 0.5) == fitter.median_survival_time_ == 23
    mean = restricted_mean(fit, np.array([30.0])).estimate.item()
    assert mean == pytest.approx(restricted_mean_survival_time(fitter, t=30), rel=1e-9)


def test_many_data_sets_at_once_are_each_by_itself():
    times, events = np.stack([MP_TIME, MP_TIME[::-1] + 1]), np.stack([MP_EVENT, 1 - MP_EVENT])
    both = product_limit(times, events)
    for i in range(2):
        one = product_limit(times[i], events[i])
        assert (both.survival[i] == one.survival).all()
        for answer in (survival_at, restricted_mean):
            at = np.array([8.0, 20.0])
            assert answer(both, at).variance[i] == pytest.approx(answer(one, at).variance)
        assert first_time_at(both, 0.5)[i] == first_time_at(one, 0.5)


def test_a_median_that_is_not_reached_is_infinite():
    assert first_time_at(product_limit(np.array([1.0, 2, 3]), np.array([1, 0, 0])), 0.5) == np.inf
    assert first_time_at(product_limit(np.array([1.0, 2]), np.array([1, 0])), 0.5) == 1.0
