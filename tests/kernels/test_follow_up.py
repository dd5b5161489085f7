import numpy as np
import pytest
from scipy.integrate import quad

from netsynth.kernels.families import Exponential, Weibull
from netsynth.kernels.follow_up import at_risk, longest_follow_up


@pytest.mark.parametrize("curve", [Exponential(np.array([-2.5])), Weibull(np.array([2.0, 0.4]))])
@pytest.mark.parametrize("longest", [11.0, 20.0, 60.0])
def test_events_under_steady_entry(curve, longest):
    """Deaths seen are those before the end of a follow-up that is uniform up to the longest."""

    def density(t):
        at = np.array([t])
        return float((curve.hazard(at) * np.exp(-curve.cumulative_hazard(at)))[0])

    seen, _ = quad(lambda t: density(t) * (1 - t / longest), 0, longest)
    assert longest_follow_up(curve, 10.0, 250.0, 250 * seen) == pytest.approx(longest, rel=1e-6)


def test_events_by_simulation():
    rng = np.random.default_rng(7)
    death, end = 8.0 * rng.exponential(size=400_000), rng.uniform(0, 30, 400_000)
    events = (death <= end).sum()
    found = longest_follow_up(Exponential(np.array([np.log(1 / 8)])), 10.0, 400_000, events)
    assert found == pytest.approx(30, rel=0.01)


def test_as_many_events_as_there_can_be_mean_that_nobody_is_lost():
    curve = Exponential(np.array([-2.0]))
    assert longest_follow_up(curve, 10.0, 50, 50) == np.inf
    assert longest_follow_up(curve, 10.0, 50, 1) == pytest.approx(10.0)


def test_numbers_at_risk_stay_between_those_printed():
    time, s = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.9, 0.8, 0.7, 0.6])
    printed = np.array([np.nan, 60.0, np.nan, 30.0])
    found = at_risk(time, s, printed, 100.0, 8.0)
    assert found == pytest.approx([100 * 0.9 * 7 / 8, 60, 100 * 0.7 * 5 / 8, 30])
    assert at_risk(time, s, printed, 100.0, 100.0).tolist() == pytest.approx([89.1, 60, 60, 30])
    assert at_risk(time, s, printed, 100.0, 4.0).tolist() == pytest.approx([67.5, 60, 30, 30])
    assert at_risk(time, s, np.full(4, np.nan), 100.0, np.inf) == pytest.approx(100 * s)
    assert at_risk(time, s, np.full(4, np.nan), 100.0, 4.0)[-1] == 1
