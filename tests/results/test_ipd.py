import dataclasses
import math
import re

import numpy as np
import pandas as pd
import pytest
from figures import Patients, at_risk, clicks, kaplan_meier, lower_corners, patients, table
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time

from netsynth.errors import InconsistentReportWarning, InvalidInputError
from netsynth.ipd import reconstruct_ipd

#: 6-MP arm (Freireich 1963).
MP = Patients(
    np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], dtype=float),
    np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]),
)


def figure(seed=1, n=200, k=5, label="Arm A", **more):
    """Patients and what is made of clicks on their curve and a table."""
    rng = np.random.default_rng(seed)
    data = patients(rng, n)
    printed = table(data, k) if k else {"n_total": n}
    return data, reconstruct_ipd(*clicks(rng, data), label=label, **printed, **more)


@pytest.fixture(scope="module")
def made():
    return figure()[1]


@pytest.fixture(scope="module")
def leukaemia():
    return reconstruct_ipd(
        *lower_corners(MP), at_risk_time=[0, 10, 20, 30], n_at_risk=[21, 15, 8, 4], unit="week", label="6-MP"
    )


# --- numbers -----------------------------------------------------------------------------------------------


def test_counts_are_those_of_the_rows(made):
    assert made.n_total == made.time.size == 200
    assert made.n_events == (made.event == 1).sum() == made.n_events_by_interval.sum()
    at = np.array([0.0, 7.5, 20.0, made.time[30], 999.0])
    assert made.n_at_risk(at).tolist() == at_risk(made.time, at)
    assert made.data.time is made.time
    assert made.data.event is made.event


def test_survival_is_that_of_the_rows(made):
    curve, at = kaplan_meier(*made.data), np.array([[0.0, 3.3], [made.time[50], made.time[-1]]])
    assert made.survival(at) == pytest.approx(curve.at(at))
    assert made.survival(at).shape == (2, 2)
    assert isinstance(made.survival(3.3), float)
    assert made.survival(3.3) == pytest.approx(curve.at(3.3))
    assert made.survival([3.3, 7]) == pytest.approx(curve.at([3.3, 7]))
    assert math.isnan(made.survival(float(made.time[-1]) + 1))


def test_survival_after_all_have_had_the_event_is_zero():
    dead = reconstruct_ipd([0, 5, 5, 10, 10], [1, 1, 0.5, 0.5, 0], n_total=2)
    assert dead.survival([4, 5, 10, 99]).tolist() == [1, 0.5, 0, 0]
    assert dead.median == 5.0


def test_median_and_mean_against_lifelines(made):
    fitted = KaplanMeierFitter().fit(made.time, made.event)
    assert made.median == fitted.median_survival_time_
    assert made.rmst(30.0) == pytest.approx(restricted_mean_survival_time(fitted, t=30.0), rel=1e-9)
    assert math.isnan(made.rmst(float(made.time[-1]) + 1))
    with pytest.raises(InvalidInputError, match=r"^Arm A: horizon must be positive; got 0 at position 0\.$"):
        made.rmst(0.0)


def test_a_median_that_is_not_reached_is_nan():
    assert math.isnan(reconstruct_ipd([0, 5, 10], [1, 0.9, 0.8], n_total=50).median)


# --- fit ---------------------------------------------------------------------------------------------------


def misses(made):
    """Curve less point; 0 where the point lies on the vertical piece of the curve."""
    curve = kaplan_meier(*made.data)
    found = []
    for t, s in zip(made.point_time, made.point_survival, strict=True):
        low, high = float(curve.at(t)), float(curve.at(t, just_before=True))
        found.append(low - s if s < low else high - s if s > high else 0.0)
    return np.array(found)


@pytest.mark.parametrize("seed", range(3))
def test_fit_is_the_distance_from_the_points(seed):
    made = figure(seed)[1]
    miss = misses(made)
    worst = int(np.argmax(np.abs(miss)))
    assert made.fit.rmse == pytest.approx(math.sqrt((miss**2).mean()))
    assert made.fit.mean == pytest.approx(np.abs(miss).mean())
    assert made.fit.largest == pytest.approx(np.abs(miss).max())
    assert made.fit.largest_at == made.point_time[worst]
    assert made.fit.bias == pytest.approx(miss.mean(), abs=1e-12)
    # clicks are off by 0.002, steps are 0.005 high, and 0.3% of the axis in time is up to 0.01 where the curve is steep
    assert made.fit.rmse < 0.01
    frame = made.points_frame()
    assert frame["difference"].to_numpy() == pytest.approx(miss)
    assert (frame["reconstructed"] - frame["survival"]).to_numpy() == pytest.approx(miss)
    assert frame["time"].tolist() == made.point_time.tolist()


def test_exact_steps_fit_exactly(leukaemia):
    assert leukaemia.points == "steps"
    assert leukaemia.fit.largest < 1e-12


# --- frames ------------------------------------------------------------------------------------------------


def test_frames(made):
    rows = made.frame()
    assert list(rows.columns) == ["time", "event"]
    assert rows["time"].tolist() == made.time.tolist()
    assert rows["event"].tolist() == made.event.tolist()
    at_risk_frame = made.at_risk_frame()
    assert at_risk_frame["n_at_risk"].tolist() == at_risk_frame["reconstructed"].tolist()
    assert at_risk_frame["n_events"].sum() == made.n_events
    assert (at_risk_frame["n_events_least"] <= at_risk_frame["n_events_most"]).all()
    summary = made.summary_frame().loc["Arm A"]
    assert summary["n_total"] == 200
    assert summary["n_events"] == made.n_events
    assert math.isnan(summary["n_events_printed"])
    assert summary["median"] == made.median
    assert summary["rmse"] == made.fit.rmse
    assert summary["at_risk_missed"] == 0


def test_arrays_are_read_only(made):
    arrays = [made.time, made.event, made.point_time, made.point_survival, made.n_events_by_interval]
    arrays += [
        made.table.time,
        made.table.n_at_risk,
        made.trace.time,
        made.trace.survival,
        *made.expected[:3],
    ]
    data, _ = figure()
    arrays.append(figure(censor_time=np.unique(data.time[data.event == 0]))[1].table.censor_time)
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.label = "B"


def test_the_arrays_of_the_caller_stay_writable():
    time, survival, at, number = (
        np.arange(5.0),
        np.array([1, 0.9, 0.8, 0.6, 0.5]),
        np.arange(2),
        np.array([20, 17]),
    )
    reconstruct_ipd(time, survival, at_risk_time=at, n_at_risk=number, censor_time=time)
    for array in (time, survival, at, number):
        array[0] = array[0]


# --- words -------------------------------------------------------------------------------------------------


def test_text_for_people(leukaemia):
    text = str(leukaemia)
    assert text.startswith("6-MP: 21 patients, 9 events, from 9 exact corners\n")
    assert "numbers at risk     all 4 met" in text
    assert "agrees with all that was given (points, numbers at risk)" in text
    html = leukaemia._repr_html_()
    assert "<table" in html
    assert "6-MP: 21 patients" in html


def test_verdict_names_what_does_not_fit():
    with pytest.warns(InconsistentReportWarning, match="5 events are impossible"):
        _, made = figure(n_events=5)
    assert made.verdict == "DOUBTFUL: the printed total of events could not be met"
    assert f"{made.n_events}, not the 5 printed; from the curve and the numbers at risk 1" in str(made)
    assert "InconsistentReportWarning: Arm A: 5 events are impossible" in str(made)


def test_a_total_that_was_met_is_said():
    data, made = figure(n_events=int(patients(np.random.default_rng(1), 200).event.sum()))
    assert made.n_events == data.event.sum() == made.n_events_printed
    assert f"{made.n_events} as printed; from the curve and the numbers at risk alone 1" in str(made)
    assert made.verdict == "agrees with all that was given (points, numbers at risk, total events)"


def test_a_point_far_off_is_in_the_verdict():
    rng = np.random.default_rng(1)
    data = patients(rng, 200)
    time, survival = clicks(rng, data)
    survival[40] -= 0.2
    made = reconstruct_ipd(time, survival, **table(data, 5))
    assert re.match(
        r"DOUBTFUL: the curve misses the points by up to (19|20|21) points, at [\d.]+ months$", made.verdict
    )
    assert made.fit.largest_at == time[40]


@pytest.mark.parametrize(
    ("k", "more", "assumed"),
    [
        (0, {}, "nobody is censored before"),
        (0, {"n_events": 125}, "such that the total is met; "),
        (5, {}, "censorings between numbers at risk lie where the curve is met best"),
        (5, {}, "months censoring goes on as before"),
    ],
)
def test_what_is_assumed_is_said(k, more, assumed):
    made = figure(k=k, **more)[1]
    assert any(assumed in text for text in made.assumptions)
    assert assumed in str(made)


# --- onward ------------------------------------------------------------------------------------------------


def test_fitters_of_lifelines(leukaemia):
    fitted = leukaemia.kaplan_meier()
    assert fitted.survival_function_at_times([10]).item() == pytest.approx(0.7529, abs=5e-5)
    assert fitted.median_survival_time_ == 23
    rng = np.random.default_rng(2)
    long = patients(rng, 400, follow_up="everybody", scale=20.0)
    weibull = reconstruct_ipd(*clicks(rng, long, 200), n_total=400).weibull()
    assert weibull.lambda_ == pytest.approx(20, rel=0.1)  # the patients' law: exponential with mean 20
    assert weibull.rho_ == pytest.approx(1, rel=0.1)


def test_cox_against_lifelines_on_the_same_rows():
    (_, one), (_, other) = figure(1), figure(2)
    both = pd.concat([one.frame().assign(group=1), other.frame().assign(group=0)])
    expected = CoxPHFitter().fit(both, "time", "event")
    found = one.cox(other)
    assert found.params_["group"] == pytest.approx(expected.params_["group"], rel=1e-6)
    assert found.standard_errors_["group"] == pytest.approx(expected.standard_errors_["group"], rel=1e-6)


def test_arms_in_two_units_are_not_compared(made, leukaemia):
    text = "^Both arms must count time in one unit; got month and week.$"
    with pytest.raises(InvalidInputError, match=text):
        made.cox(leukaemia)


def test_no_weibull_with_a_patient_at_time_0():
    made = reconstruct_ipd([0, 0, 5, 10], [1, 0.9, 0.5, 0.4], n_total=20, label="A")
    text = "A: 2 patients left at time 0, which no Weibull distribution allows. Leave them out, or use kaplan_meier()."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(text)}$"):
        made.weibull()


# --- ensembles ---------------------------------------------------------------------------------------------


def test_an_ensemble_keeps_what_is_known():
    data, made = figure(n_events=int(patients(np.random.default_rng(1), 200).event.sum()))
    draws = made.ensemble(4)
    assert (len(draws), draws.n_total, draws.label) == (4, 200, "Arm A")
    for draw in draws.draws:
        assert at_risk(draw.time, made.table.time) == made.table.n_at_risk.tolist()
        assert draw.event.sum() == data.event.sum()
    again, other = made.ensemble(4, rng=0), made.ensemble(4, rng=1)
    assert (again.draws[0].time == draws.draws[0].time).all()
    assert (other.draws[0].time != draws.draws[0].time).any()
    with pytest.raises(
        InvalidInputError, match=r"^Arm A: n_draws must be a whole number of at least 2; got 1\.$"
    ):
        made.ensemble(1)


def test_the_combined_mean_is_near_the_mean_and_wider_than_sampling():
    made = figure()[1]
    horizon = float(made.table.time[-1])
    combined = made.combined_rmst(n_draws=20)
    assert combined.estimate == pytest.approx(made.rmst(horizon), rel=0.01)
    assert combined.se > math.sqrt(combined.within.item())
    assert 0 <= combined.reporting_loss < 0.1  # a table and a hundred clicks tell nearly all about a mean
    assert made.combined_rmst(15.0, n_draws=10).estimate == pytest.approx(made.rmst(15.0), rel=0.01)


def test_what_is_lost_to_reporting_is_more_without_a_table():
    losses = [made.combined_rmst(15.0, n_draws=20).within.item() for made in (figure(k=0)[1], figure(k=8)[1])]
    assert all(loss > 0 for loss in losses)
