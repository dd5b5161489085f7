"""Patients from figures of known patients: how near they come, what they always keep, what is refused."""

import re
import warnings
from functools import cache

import numpy as np
import pytest
from figures import (
    Patients,
    at_risk,
    both_corners,
    cases,
    clicks,
    kaplan_meier,
    log_hazard_ratio,
    lower_corners,
    pairs,
    patients,
    simulated,
    table,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netsynth.data.digitized import DigitizedCurve
from netsynth.errors import InconsistentReportWarning, InvalidInputError, NetsynthWarning, UnusableDataWarning
from netsynth.ipd import reconstruct_ipd

# --- published ---------------------------------------------------------------------------------------------

#: Freireich (1963): 6-MP and placebo, weeks of remission.
MP = Patients(
    np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], dtype=float),
    np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]),
)
PLACEBO = Patients(
    np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], dtype=float),
    np.ones(21, dtype=int),
)
#: Tables at 0, 5, 10, ... as counted from these data.
MP_AT_RISK, PLACEBO_AT_RISK = [21, 21, 15, 11, 8, 5], [21, 14, 8, 4, 2, 0]


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("corners", [lower_corners, both_corners])
@pytest.mark.parametrize("decimals", [3, 4, 12])
def test_freireich_1963(every, corners, decimals):
    arms = []
    for data, numbers in ((MP, MP_AT_RISK), (PLACEBO, PLACEBO_AT_RISK)):
        time, survival = corners(data)
        arms.append(
            reconstruct_ipd(
                time,
                np.round(survival, decimals),
                at_risk_time=np.arange(0, 30, 5)[::every],
                n_at_risk=numbers[::every],
                steps=True if decimals < 4 else None,  # three decimals of seven falls do not show it
                unit="week",
            )
        )
    assert [arm.n_events for arm in arms] == [9, 21]
    assert arms[0].survival([6.0, 10.0, 23.0]) == pytest.approx([0.8571, 0.7529, 0.4482], abs=5e-5)
    assert [arm.median for arm in arms] == [23, 8]
    # Cox's log hazard ratio of these data is -1.5721 with ties after Efron
    assert log_hazard_ratio(MP, PLACEBO)[0] == pytest.approx(-1.5721, abs=5e-5)
    assert log_hazard_ratio(*(arm.data for arm in arms))[0] == pytest.approx(-1.5721, abs=0.06)


# --- public data -------------------------------------------------------------------------------------------

CASES = {case.id: case for case in cases()}


@cache
def remade(case_id, variant):
    """The patients of a case from its points and: "table", "table and total", "total", or "table and marks"."""
    case = CASES[case_id]
    given = dict(case.table) if "table" in variant else {}
    if "total" in variant:
        given["n_events"] = case.n_events
    if "marks" in variant:
        given["censor_time"] = case.censor_time
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", NetsynthWarning
        )  # a curve may be read so badly that a number looks doubtful
        return reconstruct_ipd(
            *case.points, n_total=case.n_total, axis_end=case.axis_end, unit=case.unit, label=case_id, **given
        )


def quantiles(values):
    """Median and 90th percentile."""
    return np.median(values), np.quantile(values, 0.9, method="higher")


def errors(variant, chosen=None):
    """Per case: mean distance of the curves, signed relative errors of the mean and of the events."""
    found = []
    for case in CASES.values() if chosen is None else chosen:
        made, truth = kaplan_meier(*remade(case.id, variant).data), case.curve
        mean = truth.mean(case.tau)
        events = remade(case.id, variant).n_events
        found.append(
            (
                made.distance(truth, case.tau),
                made.mean(case.tau) / mean - 1,
                events / case.truth.event.sum() - 1,
            )
        )
    return np.array(found).T


VARIANTS = ["table", "table and total", "total"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_curves_and_means_are_near_the_truth(variant):
    # the best of what was measured on these cases elsewhere: twice as near as the methods in use
    distance, mean, _ = errors(variant)
    assert (quantiles(distance) <= np.array([0.0035, 0.0075])).all()
    assert (quantiles(np.abs(mean)) <= np.array([0.002, 0.010])).all()
    assert abs(mean.mean()) < 0.002


@pytest.mark.parametrize("scenario", ["good", "poor", "corners", "vector"])
def test_no_way_of_reading_biases_the_mean(scenario):
    chosen = [case for case in CASES.values() if case.scenario == scenario]
    assert abs(errors("table", chosen)[1].mean()) < 0.002


def test_events_are_near_the_truth_with_a_table_alone():
    assert (quantiles(np.abs(errors("table")[2])) <= np.array([0.0072, 0.035])).all()


@pytest.mark.parametrize("variant", ["table and total", "total"])
def test_a_total_is_always_met(variant):
    assert (errors(variant)[2] == 0).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_case_is_whole(case, variant):
    made = remade(case.id, variant)
    assert made.time.size == made.event.size == case.n_total
    assert np.isfinite(made.time).all()
    assert (made.time >= 0).all()
    assert (np.diff(made.time) >= 0).all()
    assert set(made.event.tolist()) <= {0, 1}
    if "table" in variant:
        assert at_risk(made.time, case.table["at_risk_time"]) == case.table["n_at_risk"]
    assert (made.points == "steps") == (case.scenario == "vector")


@pytest.mark.parametrize("variant", ["table", "table and total"])
def test_log_hazard_ratios_are_near_the_truth(variant):
    missed, ratio = [], []
    for one, other in pairs():
        effect, se = log_hazard_ratio(one.truth, other.truth)
        found, found_se = log_hazard_ratio(remade(one.id, variant).data, remade(other.id, variant).data)
        missed.append(abs(found - effect) / se)
        ratio.append(found_se / se)
    assert len(missed) > 30
    assert (quantiles(missed) <= np.array([0.05, 0.18])).all()
    assert np.median(ratio) == pytest.approx(1, abs=0.01)


def test_marks_on_exact_steps_tell_nearly_all():
    marked = [case for case in CASES.values() if case.censor_time is not None]
    assert len(marked) > 20
    distance, mean, events = errors("table and marks", marked)
    assert (quantiles(distance) <= np.array([0.0002, 0.0004])).all()
    # "worth an order of magnitude" of the errors with clicks
    assert quantiles(np.abs(mean))[1] < 0.0004
    assert (quantiles(np.abs(events)) <= np.array([0, 0.001])).all()
    for one, other in pairs():
        if one.censor_time is not None:
            effect, se = log_hazard_ratio(one.truth, other.truth)
            found = log_hazard_ratio(*(remade(case.id, "table and marks").data for case in (one, other)))[0]
            assert abs(found - effect) / se < 0.05, (one.id, other.id)


# --- what always holds -------------------------------------------------------------------------------------


@st.composite
def figures(draw, most=400):
    """Patients, the points of their figure, and what is printed beside it."""
    data, rng = draw(simulated(most))
    kind = draw(st.sampled_from(["lower corners", "both corners", "clicks"]))
    if kind == "clicks":
        m, decimals = draw(st.integers(8, 120)), draw(st.sampled_from([2, 3, 4]))
        points = clicks(rng, data, m, decimals=decimals)
    else:
        points = (lower_corners if kind == "lower corners" else both_corners)(data)
    assume(np.ptp(np.clip(points[1], 0, 1)) > 0 and points[0].size > 1)
    end, printed = float(data.time[-1]), {}
    if draw(st.booleans()):
        at = np.unique(np.concatenate([[0.0], rng.uniform(0, end, draw(st.integers(0, 8)))]))
        printed.update(at_risk_time=at, n_at_risk=at_risk(data.time, at))
    if draw(st.booleans()):
        printed["n_events"] = int(data.event.sum())
    if draw(st.booleans()):
        printed["censor_time"] = np.unique(data.time[data.event == 0])
    if draw(st.booleans()):
        printed["axis_end"] = end
    return data, kind, points, printed


@settings(max_examples=60)
@given(figures())
def test_rows_table_and_total_whatever_the_figure(figure):
    data, kind, points, printed = figure
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = reconstruct_ipd(*points, n_total=data.time.size, **printed)
    assert all(issubclass(warning.category, NetsynthWarning) for warning in said)
    assert len(said) == len(made.warnings)
    assert made.n_total == data.time.size
    assert np.isfinite(made.time).all()
    assert ((made.time >= 0) & (made.time <= made.table.end)).all()
    assert (np.diff(made.time) >= 0).all()
    assert set(made.event.tolist()) <= {0, 1}
    if "at_risk_time" in printed:
        assert at_risk(made.time, printed["at_risk_time"]) == printed["n_at_risk"]
    if "n_events" in printed and not (kind == "clicks" and "total was not used" in str(made)):
        assert made.n_events == printed["n_events"]  # clicks far apart leave open where a curve falls
    assert made.n_events_by_interval.sum() == made.n_events
    assert kind != "clicks" or made.points == "clicks"
    str(made)


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(20, 400),
    st.sampled_from(["exponential", "late", "cured"]),
    st.integers(1, 8),
)
def test_a_true_total_is_met_and_nothing_doubted_with_a_hundred_clicks(seed, n, life, k):
    rng = np.random.default_rng(seed)
    data = patients(rng, n, life)
    made = reconstruct_ipd(*clicks(rng, data), n_events=int(data.event.sum()), **table(data, k))
    assert made.n_events == data.event.sum()
    assert made.warnings == ()


def test_a_curve_read_down_to_a_last_patient_does_not_forbid_the_total():
    # d events leave survival at 1 / (d + 1) at least; 1.5% may have been read as 1.3%
    rng = np.random.default_rng(1653907)
    data = patients(rng, 95, "late")
    made = reconstruct_ipd(*clicks(rng, data), n_events=int(data.event.sum()), n_total=95)
    assert made.n_events == data.event.sum() == 74


@pytest.mark.parametrize("life", ["exponential", "late"])
@pytest.mark.parametrize("k", [4, 8])
def test_a_true_total_without_censoring_is_met(life, k):
    # all are followed to one day, so that the total is the most that the curve allows
    for seed in range(15):
        rng = np.random.default_rng(seed)
        data = patients(rng, 300, life, "one day")
        made = reconstruct_ipd(*clicks(rng, data), n_events=int(data.event.sum()), **table(data, k))
        assert made.n_events == data.event.sum()


@settings(max_examples=60)
@given(simulated(60), st.booleans(), st.booleans(), st.integers(1, 6))
def test_exact_corners_of_few_patients_come_back_exactly(made, both, total, k):
    data, _ = made
    time, survival = (both_corners if both else lower_corners)(data)
    scaled = survival * 10**6
    assume(np.abs(scaled - np.round(scaled)).max() > 1e-3)  # else it might be rounded
    # one event a fall: with several the total may not be found along the heights (see below)
    total = total and np.unique(data.time[data.event == 1]).size == data.event.sum()
    found = reconstruct_ipd(
        time, survival, steps=True, n_events=int(data.event.sum()) if total else None, **table(data, k)
    )
    curve, again = kaplan_meier(*data), kaplan_meier(found.time, found.event)
    assert again.time.tolist() == curve.time.tolist()
    assert again.level == pytest.approx(curve.level, abs=1e-9)
    assert found.fit.largest < 1e-9
    assert found.verdict.startswith("agrees")


def test_a_total_that_no_price_gives_bends_a_few_levels_and_the_verdict_says_so():
    # a path with this total and these levels exists, yet it is the best at no price of an event;
    # events and censorings at 1, 2, ...
    events, censored = [11, 8, 7, 6, 0, 3, 1, 2], [0, 6, 0, 7, 0, 4, 0, 0]
    time = np.repeat(np.tile(np.arange(1.0, 9), 2), events + censored)
    data = Patients(time, np.repeat([1, 0], [sum(events), sum(censored)]))
    made = reconstruct_ipd(*lower_corners(data), n_total=55, n_events=38, steps=True)
    assert made.n_events == 38
    assert made.fit.largest > 1e-6
    assert made.verdict.startswith("DOUBTFUL: the curve misses the points by up to ")


@settings(max_examples=30)
@given(figures(120), st.sampled_from([12.0, 0.125, 365.25]))
def test_another_unit_of_time_changes_times_only(figure, factor):
    data, _, (time, survival), printed = figure
    time = time + 1e-3 * np.pi * time.max()  # away from whole numbers, where a unit would show
    scaled = {
        name: np.asarray(value) * factor if name in ("at_risk_time", "censor_time", "axis_end") else value
        for name, value in printed.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        one = reconstruct_ipd(time, survival, n_total=data.time.size, **printed)
        other = reconstruct_ipd(factor * time, survival, n_total=data.time.size, **scaled)
    assume(not one.trace.in_whole_units and not other.trace.in_whole_units)
    assert other.event.sum() == one.event.sum()
    assert other.time == pytest.approx(factor * one.time, abs=1e-5 * other.table.end)


@settings(max_examples=20)
@given(figures(120))
def test_the_same_figure_twice_gives_the_same_patients(figure):
    data, _, points, printed = figure
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        one, other = (
            reconstruct_ipd(*map(list, points), n_total=data.time.size, **printed) for _ in range(2)
        )
    assert (one.time == other.time).all()
    assert (one.event == other.event).all()


@pytest.mark.parametrize("seed", range(3))
def test_marks_hold_one_patient_or_more_and_censorings_lie_on_them(seed):
    rng = np.random.default_rng(seed)
    data = patients(rng, 35)
    marks = np.unique(data.time[data.event == 0])
    for points in (lower_corners(data), both_corners(data), clicks(rng, data)):
        for printed in ({}, table(data, 4)):
            made = reconstruct_ipd(*points, n_total=35, censor_time=marks, axis_end=data.time[-1], **printed)
            censored = made.time[made.event == 0]
            assert set(marks.tolist()) <= set(censored.tolist())
            assert set(censored.tolist()) <= {*marks.tolist(), made.table.end}


def test_marks_tell_the_censorings_between_exact_steps():
    # four marks between the two falls, so 4 of 8 were left and one event took a quarter
    time = [0, 905, 905, 1811, 1811, 2558]
    survival = [1, 1, 8 / 9, 8 / 9, 2 / 3, 2 / 3]
    marks = [344, 664, 761, 858, 1085, 1117, 1258, 1503, 1902, 1955, 2558]
    made = reconstruct_ipd(time, survival, n_total=13, censor_time=marks)
    assert made.n_events == 2
    assert sorted(made.time[made.event == 0].tolist()) == marks


def test_marks_after_the_curve_has_reached_zero():
    with pytest.warns(InconsistentReportWarning, match="1 at risk at 8 is impossible: survival is 0 before"):
        made = reconstruct_ipd(
            [0, 5, 5, 10], [1, 1, 0, 0], at_risk_time=[0, 8], n_at_risk=[4, 1], censor_time=[2.0, 9.0]
        )
    assert at_risk(made.time, [0, 8]) == [4, 1]


# --- points in disorder ------------------------------------------------------------------------------------


def good_figure(seed=1, n=200, m=100):
    rng = np.random.default_rng(seed)
    data = patients(rng, n, scale=20.0)
    return data, *clicks(rng, data, m)


def rmst_error(made, data, horizon=30.0):
    return abs(kaplan_meier(made.time, made.event).mean(horizon) / kaplan_meier(*data).mean(horizon) - 1)


DISORDER = "the points do not follow the curve, so they were put in order of time"


ORDERS = {
    "right to left": np.arange(100)[::-1],
    "shuffled": np.random.default_rng(0).permutation(100),
    "ten forgotten and added": np.concatenate([np.delete(np.arange(100), range(20, 30)), range(20, 30)]),
    "one forgotten and added": np.concatenate([np.delete(np.arange(100), 20), [20]]),
    "two passes": np.concatenate([np.arange(0, 100, 2), np.arange(1, 100, 2)]),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_points_in_another_order_are_sorted_and_said(order):
    data, time, survival = good_figure()
    with pytest.warns(UnusableDataWarning, match=f"^reconstruct_ipd: {DISORDER}$"):
        made = reconstruct_ipd(time[order], survival[order], n_total=200)
    assert [caution.message for caution in made.warnings] == [DISORDER]
    straight = reconstruct_ipd(time, survival, n_total=200)
    assert rmst_error(made, data) < rmst_error(straight, data) + 0.003


def test_the_order_along_the_curve_is_used():
    # a hand that trembles in time: sorted by time the falls would smear
    _, time, survival = good_figure()
    made = reconstruct_ipd(time, survival, n_total=200)
    assert (np.diff(time) < 0).sum() > 10
    assert made.point_time.tolist() == time.tolist()
    assert made.warnings == ()


@pytest.mark.parametrize("size", [0.1, 0.3])
def test_one_outlier_does_not_ruin_the_curve(size):
    data, time, survival = good_figure()
    wrong = survival.copy()
    wrong[40] -= size
    clean, soiled = (reconstruct_ipd(time, s, n_total=200, **table(data, 5)) for s in (survival, wrong))
    assert rmst_error(soiled, data) < rmst_error(clean, data) + 0.005
    assert kaplan_meier(*soiled.data).distance(kaplan_meier(*data), 40.0) < 0.01


def test_a_million_points():
    rng = np.random.default_rng(0)
    time = np.linspace(0, 36, 10**6)
    survival = np.clip(np.exp(-time / 20) + rng.normal(0, 0.002, time.size), 0, 1)
    made = reconstruct_ipd(time, survival, at_risk_time=[0, 12, 24], n_at_risk=[500, 270, 140])
    assert at_risk(made.time, [0, 12, 24]) == [500, 270, 140]
    assert kaplan_meier(*made.data).mean(36) == pytest.approx(20 * (1 - np.exp(-1.8)), rel=1e-3)


# --- odd figures -------------------------------------------------------------------------------------------


def test_one_patient():
    made = reconstruct_ipd([0, 5, 5, 10], [1, 1, 0, 0], n_total=1)
    assert (made.time.tolist(), made.event.tolist()) == ([5.0], [1])


def test_a_curve_that_reaches_zero_early_stays_there():
    rng = np.random.default_rng(3)
    data = patients(rng, 80, follow_up="everybody")
    time, survival = clicks(rng, data, decimals=4)
    end = data.time[-1]
    made = reconstruct_ipd([*time, 1.2 * end, 1.5 * end], [*survival, 0, 0], n_total=80, axis_end=1.5 * end)
    assert made.n_events == 80
    assert made.survival(1.4 * end) == 0.0
    assert made.time[-1] <= 1.01 * end


def test_the_end_of_the_axis_is_where_survivors_leave_if_the_curve_runs_up_to_it():
    time, survival = np.arange(31.0), 1 - np.arange(31) / 100
    for axis_end, expected in ((30.4, 30.4), (40.0, 30.0), (None, 30.0)):
        made = reconstruct_ipd(time, survival, n_total=10, axis_end=axis_end, steps=False)
        assert made.time[-1] == pytest.approx(expected)


def test_a_table_that_starts_late_needs_the_number_of_patients():
    data, time, survival = good_figure()
    late = {"at_risk_time": [10, 20], "n_at_risk": at_risk(data.time, [10, 20])}
    made = reconstruct_ipd(time, survival, n_total=200, **late)
    assert at_risk(made.time, [0, 10, 20]) == [200, *late["n_at_risk"]]
    with refused("reconstruct_ipd: the table starts at 10, so n_total must say how many there were at 0."):
        reconstruct_ipd(time, survival, **late)


def test_a_digitized_curve_brings_name_and_unit():
    _, time, survival = good_figure()
    curve = DigitizedCurve(name="Arm A", time=time, survival=survival, time_unit="year")
    made = reconstruct_ipd(curve, n_total=200)
    assert (made.label, made.unit) == ("Arm A", "year")
    assert (made.time == reconstruct_ipd(time, survival, n_total=200).time).all()
    assert reconstruct_ipd(curve, n_total=200, label="B", unit="week").label == "B"
    with refused("Arm A: a DigitizedCurve brings its own survival."):
        reconstruct_ipd(curve, survival, n_total=200)
    with refused("reconstruct_ipd: give the survival at the points."):
        reconstruct_ipd(time, n_total=200)


def test_masked_points_are_left_out():
    _, time, survival = good_figure()
    hidden = np.ma.masked_array(survival, mask=np.arange(100) == 50)
    with pytest.warns(UnusableDataWarning, match="^A: 1 point of 100 without a number left out$"):
        made = reconstruct_ipd(time, hidden, n_total=200, label="A")
    assert made.point_time.size == 99


def test_warnings_point_at_the_line_that_calls():
    _, time, survival = good_figure()
    survival = survival.copy()
    survival[3] = np.nan
    with pytest.warns(UnusableDataWarning) as said:
        reconstruct_ipd(time, survival, n_total=200)
    assert said[0].filename == __file__


@pytest.mark.parametrize("n_events", [0, 199])
def test_a_total_that_cannot_be_is_said_and_not_used(n_events):
    data, time, survival = good_figure()
    with pytest.warns(
        InconsistentReportWarning, match=rf"^reconstruct_ipd: {n_events} events are impossible: "
    ):
        made = reconstruct_ipd(time, survival, n_events=n_events, **table(data, 5))
    assert made.n_events_printed == n_events
    assert abs(made.n_events - data.event.sum()) <= 4
    assert "DOUBTFUL" in made.verdict


def test_no_events_on_a_curve_that_falls_are_impossible_without_a_table_too():
    _, time, survival = good_figure()
    with pytest.warns(
        InconsistentReportWarning, match="^reconstruct_ipd: 0 events are impossible: the curve"
    ):
        reconstruct_ipd(time, survival, n_total=200, n_events=0)


def refused(message):
    return pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$")


WRONG = {
    "words": (["a", "b"], [1, 0.5], {}, "A: time must be numbers; got ['a', 'b']."),
    "empty": ([], [], {}, "A: time is empty; give at least one value."),
    "lengths": ([0, 1, 2], [1, 0.5], {}, "A: time and survival must have the same length; got 3 and 2."),
    "no patients": (
        [0, 1],
        [1, 0.5],
        {"n_total": None},
        "A: give n_total, or numbers at risk from time 0 on.",
    ),
    "unit": ([0, 1], [1, 0.5], {"unit": "eon"}, "A: unit must be one of month, year, week, day; got 'eon'."),
    "rising corners": (
        [0, 1, 2, 3],
        [1, 0.8, 0.85, 0.7],
        {"steps": True},
        "A: exact corners of steps never rise; got survival 0.85 at position 2 after 0.8. For clicks near the line "
        "leave steps out.",
    ),
    "corners that go back": (
        [0, 2, 1.95, 3],
        [1, 0.8, 0.75, 0.7],
        {"steps": True},
        "A: exact corners of steps never go back; got time 1.95 at position 2 after 2. For clicks near the line leave "
        "steps out.",
    ),
}


@pytest.mark.parametrize(("time", "survival", "more", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_read_is_refused(time, survival, more, message):
    with refused(message):
        reconstruct_ipd(time, survival, **{"n_total": 50, "label": "A", **more})
