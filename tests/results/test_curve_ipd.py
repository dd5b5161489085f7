"""Patients from a few percentages: they give the percentages back, in number, and are near the truth."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netsynth.errors import InconsistentReportWarning, InvalidInputError
from netsynth.reconstruct import reconstruct_survival

REFERENCE = json.loads((Path(__file__).parents[1] / "references" / "curves" / "landmarks.json").read_text())
CASES = REFERENCE["cases"]


def curve_of(case, **options):
    share = np.array(case["landmark_percent"]) / 100
    return reconstruct_survival(
        case["landmark_times"], share, n_total=case["n_total"], decimals=0, label=case["id"], **options
    )


def steps(time, event):
    """Product limit by the book: distinct death times, at risk by counting."""
    at = np.unique(time[event == 1])
    factor = [1 - np.sum((time == t) & (event == 1)) / np.sum(time >= t) for t in at]
    return at, np.concatenate([[1.0], np.cumprod(factor)])


def distance(one, other, tau):
    """Mean absolute difference of two step curves, and the relative one of their areas, up to tau."""
    grid = np.unique(np.concatenate([[0.0], one[0][one[0] < tau], other[0][other[0] < tau], [tau]]))
    a, b = (curve[1][np.searchsorted(curve[0], grid[:-1], "right")] for curve in (one, other))
    width = np.diff(grid)
    return np.abs(a - b) @ width / tau, abs((a - b) @ width) / (b @ width)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_percentages_of_real_patients_come_back_as_printed(case):
    patients = curve_of(case).pseudo_ipd()
    assert patients.time.shape == patients.event.shape == (case["n_total"],)
    assert np.isfinite(patients.time).all()
    assert (patients.time >= 0).all()
    at, survival = steps(patients.time, patients.event)
    back = 100 * survival[np.searchsorted(at, case["landmark_times"], "right")]
    assert np.abs(back - case["landmark_percent"]).max() <= 0.5 + 1e-9


def test_accuracy_against_real_patients():
    found = []
    for case in CASES:
        patients = curve_of(case).pseudo_ipd()
        truth = (
            np.array(case["event_time"]),
            np.concatenate([[1.0], np.cumprod(1 - np.array(case["deaths"]) / np.array(case["at_risk"]))]),
        )
        found.append(distance(steps(patients.time, patients.event), truth, case["tau"]))
    iae, rmst = np.array(found).T
    # the targets of the reconstruction from landmarks: median and 90th percentile
    assert np.median(iae) <= 0.012
    assert np.quantile(iae, 0.9, method="higher") <= 0.032
    assert np.median(rmst) <= 0.008
    assert np.quantile(rmst, 0.9, method="higher") <= 0.040


@given(
    n=st.integers(5, 400),
    falls=st.lists(st.floats(0.02, 0.4), min_size=1, max_size=5),
    censored=st.floats(0.0, 0.5),
    extra=st.integers(0, 30),
)
# 263 and 183 of 400 alive are 65.75% and 45.75%, both at the very end of what was rounded
@example(n=400, falls=[0.34375, 0.3046875], censored=0.0, extra=0)
def test_counts_are_met_exactly(n, falls, censored, extra):
    # patients of a simulated study, so that what is printed is possible
    alive, at_risk, survival, deaths = n, [], [], 0
    level = 1.0
    for fall in falls:
        lost = min(int(censored * alive / 2), alive - 1)
        alive -= lost
        died = min(int(fall * alive), alive - 1)
        level *= 1 - died / alive
        alive -= died
        deaths += died
        at_risk.append(alive)
        survival.append(level)
    times = 12.0 * np.arange(1, len(falls) + 1)
    shown = np.round(survival, 3)
    curve = reconstruct_survival(times, shown, n_total=n, n_at_risk=at_risk, decimals=1)
    patients = curve.pseudo_ipd()
    assert patients.time.size == n
    assert patients.n_at_risk(times).tolist() == at_risk
    total = patients.n_events + min(extra, at_risk[-1])
    more = curve.pseudo_ipd(n_events=total, follow_up_months=float(times[-1]) + 6.0)
    assert more.n_events == total
    assert more.n_at_risk(times).tolist() == at_risk
    assert more.time.max() <= times[-1] + 6.0


@pytest.mark.parametrize(
    ("n", "at_risk", "survival", "printed"),
    [(158, [82, 8], [0.699, 0.372], 0.03845), (154, [76, 15], [0.705, 0.427], 0.03829)],
)
def test_published_pbc_standard_error_comes_back_from_the_patients(n, at_risk, survival, printed):
    # primary biliary cirrhosis trial, both arms at 5 and 10 years: survival, numbers at risk, and the standard error at
    # 5 years as printed; when patients left within the five years is not printed, which leaves 5% open
    patients = reconstruct_survival(
        [60, 120], survival, n_total=n, n_at_risk=at_risk, decimals=1
    ).pseudo_ipd()
    dead = patients.time[patients.event == 1]
    r = np.array([np.sum(patients.time >= t) for t in np.unique(dead)])
    d = np.array([np.sum(dead == t) for t in np.unique(dead)])
    early = np.unique(dead) <= 60
    greenwood = survival[0] * math.sqrt(np.sum(d[early] / (r[early] * (r[early] - d[early]))))
    assert greenwood == pytest.approx(printed, rel=0.05)


def test_events_after_the_last_percentage_are_said_to_be_assumed():
    curve = reconstruct_survival([36, 60], [0.83, 0.705], n_total=100, n_at_risk=[75, 52], decimals=[0, 1])
    by_last = curve.pseudo_ipd().n_events
    patients = curve.pseudo_ipd(n_events=by_last + 10, follow_up_months=90)
    assert patients.n_events == by_last + 10
    assert "10 events after 60 months, where nothing is printed, by a constant hazard" in patients.assumptions
    assert ((patients.time > 60) & (patients.event == 1)).sum() == 10
    assert patients.survival(120.0) == pytest.approx(math.nan, nan_ok=True)


def test_percentages_stay_when_events_come_after_the_last():
    # without a stated follow-up it lasts as long as the later events need, and none of them falls on the percentage
    curve = reconstruct_survival([36, 60], [0.83, 0.705], n_total=100, n_at_risk=[75, 52], decimals=[0, 1])
    patients = curve.pseudo_ipd(n_events=curve.pseudo_ipd().n_events + 10)
    assert 100 * patients.survival(60.0) == pytest.approx(70.5, abs=0.05)
    assert ((patients.time > 60) & (patients.event == 1)).sum() == 10
    assert any(text.startswith("follow-up to ") for text in patients.assumptions)


def test_an_impossible_total_is_not_used_and_said():
    curve = reconstruct_survival([36, 60], [0.83, 0.705], n_total=100, n_at_risk=[75, 52], decimals=[0, 1])
    with pytest.warns(
        InconsistentReportWarning, match="^pseudo_ipd: 95 events are impossible: the percentages"
    ):
        patients = curve.pseudo_ipd(n_events=95)
    assert patients.n_events < 40
    assert patients.n_events_printed == 95
    assert patients.warnings[0].name == "InconsistentReportWarning"
    assert "DOUBTFUL" in str(patients)


def test_what_is_missing_or_impossible_is_refused():
    curve = reconstruct_survival([36, 60], [0.83, 0.705])
    with pytest.raises(InvalidInputError, match=r"^Arm: patients need a number of them"):
        reconstruct_survival([36, 60], [0.83, 0.705], label="Arm").pseudo_ipd()
    with pytest.raises(InvalidInputError, match=r"^pseudo_ipd: patients need a number of them; give n_total"):
        curve.pseudo_ipd()
    known = reconstruct_survival([36, 60], [0.83, 0.705], n_total=100)
    with pytest.raises(
        InvalidInputError, match=r"follow-up of 48 months ends before the last percentage, at 60 months"
    ):
        known.pseudo_ipd(follow_up_months=48)
    with pytest.raises(InvalidInputError, match="n_events must be a whole number of at least 0; got -1"):
        known.pseudo_ipd(n_events=-1)


def test_the_printed_text_names_what_was_assumed():
    patients = reconstruct_survival([36, 60], [0.83, 0.705], n_total=100, decimals=[0, 1]).pseudo_ipd()
    assert "2 numbers at risk as the standard errors suggest" in patients.assumptions
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(patients.ensemble(3)) == 3


def test_events_that_the_curve_knows_are_met_by_default():
    curve = reconstruct_survival([36, 60], [0.83, 0.705], n_total=100, decimals=[0, 1], n_events=40)
    patients = curve.pseudo_ipd()
    assert patients.n_events_printed == patients.n_events == int(patients.event.sum()) == 40
    assert curve.pseudo_ipd(n_events=45).n_events == 45
    assert (
        reconstruct_survival([36, 60], [0.83, 0.705], n_total=100, decimals=[0, 1]).pseudo_ipd().n_events < 40
    )
