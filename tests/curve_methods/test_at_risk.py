"""Numbers at risk at the starts of intervals: printed before told by limits before imputed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.curve_methods.at_risk import starts
from netsynth.curve_methods.reports import StudyReport

NAN = math.nan


def report(survival=(0.8, 0.6, 0.5), *, n=NAN, at_risk=None, at_start=None, se=None, followup=NAN):
    m = len(survival)
    nothing = np.full(m, NAN)
    return StudyReport(
        "A",
        12.0 * np.arange(1, m + 1),
        np.array(survival, dtype=float),
        n,
        nothing if at_risk is None else np.array(at_risk, dtype=float),
        nothing if at_start is None else np.array(at_start, dtype=float),
        nothing if se is None else np.array(se, dtype=float),
        followup,
    )


def test_printed_numbers():
    assert starts(report(n=100, at_risk=[70, 40, 10]), 0.5) == (
        pytest.approx([100, 70, 40]),
        "numbers at risk",
    )
    assert starts(report(at_start=[90, 60, 30]), 0.5) == (pytest.approx([90, 60, 30]), "numbers at risk")


def test_imputed_numbers_by_hand():
    """Half of the survivors are taken to be observed, whatever the time."""
    assert starts(report(n=100), 0.5) == (pytest.approx([100, 40, 30]), "imputed")
    assert starts(report(n=100), 1.0) == (pytest.approx([100, 80, 60]), "imputed")


def test_imputed_numbers_by_follow_up():
    """With a follow-up of 24 months, 2^(-12/24) of the survivors at 12 months and one half at 24."""
    found = starts(report(n=100, followup=24.0), 0.5)
    assert found.n == pytest.approx([100, 80 / math.sqrt(2), 60 / 2])


def test_imputed_numbers_go_on_from_the_last_printed_one():
    found = starts(report((0.8, 0.6, 0.5, 0.4), n=100, at_risk=[70, NAN, 20, 5]), 0.5)
    assert found.n == pytest.approx([100, 70, 0.5 * 70 * 0.6 / 0.8, 20])
    found = starts(report((0.8, 0.6, 0.5, 0.4), n=100, at_risk=[70, NAN, 40, 5]), 0.5)
    assert found.n[2] == 40  # no fewer than later


def test_effective_numbers_from_standard_errors():
    """Binomial standard errors of 100 patients, all followed, tell 100, and then the survivors."""
    s = np.array([0.8, 0.6, 0.5])
    found = starts(report(s, se=np.sqrt(s * (1 - s) / 100)), 0.5)
    assert found.n == pytest.approx([100, 80, 60], rel=1e-9)
    assert found.source == "confidence intervals"


def test_an_interval_without_deaths_tells_nothing_new():
    s = np.array([0.8, 0.8, 0.5])
    found = starts(report(s, se=np.sqrt(s * (1 - s) / 100)), 0.5)
    assert found.n[:2] == pytest.approx([100, 100])
    assert found.n[2] == pytest.approx(80)


def test_nothing_told_is_nan():
    assert np.isnan(starts(report(se=[NAN, 0.05, 0.05]), 0.5).n[0])


@given(
    st.lists(st.floats(0.05, 1.0), min_size=1, max_size=6),
    st.integers(5, 500),
    st.lists(st.floats(0, 1), min_size=6, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.floats(0.05, 1.0),
)
def test_numbers_never_rise_and_printed_ones_stay(steps, n, falls, printed, maturity):
    survival = np.cumprod(steps)
    at_risk = np.floor(n * survival * np.minimum.accumulate(falls[: len(steps)]))
    at_risk = np.where(printed[: len(steps)], at_risk, NAN)
    found = starts(report(survival, n=float(n), at_risk=at_risk), maturity).n
    assert (np.diff(found) <= 1e-9).all()
    told = np.isfinite(at_risk[:-1])
    assert found[1:][told] == pytest.approx(at_risk[:-1][told])
    assert found[0] == n
