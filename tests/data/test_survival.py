"""Reported percentages at landmarks, and medians and means of time-to-event outcomes."""

import math
from dataclasses import replace

import numpy as np
import pytest
import strategies as records
from hypothesis import given
from hypothesis import strategies as st

from netsynth.data.endpoint import ENDPOINTS, Endpoint, find_endpoint
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.study import Group
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.errors import InvalidInputError

OS = find_endpoint("OS")
RECURRENCE = find_endpoint("recurrence")


def year(text):
    return ReportedNumber(text, "year")


def percent(text, qualifier="="):
    return ReportedNumber(text, "percent", qualifier)


def curve(*pairs, endpoint=OS, **options):
    """Curve of (year, percent) pairs, or of (year, percent, n_at_risk)."""
    points = tuple(SurvivalPoint(year(t), percent(s), None, *n) for t, s, *n in pairs)
    return ReportedSurvival("Chen", endpoint, points, **options)


# -- percentages -----------------------------------------------------------------------------------------


def test_arrays_are_read_only_and_in_order_of_time():
    found = ReportedSurvival(
        "Spolverato",
        OS,
        (
            SurvivalPoint(
                year("10"), percent("42.5"), ReportedInterval.of("24.9", "59.0", "percent", 0.9), 7
            ),
            SurvivalPoint(None, percent("60")),
            SurvivalPoint(ReportedNumber("60", "month"), percent("70")),
        ),
        Group(n_total=111),
    )
    np.testing.assert_array_equal(found.landmark_months, [60, 120])
    np.testing.assert_array_equal(found.survival, [0.7, 0.425])
    np.testing.assert_allclose(found.survival_lower, [0.695, 0.4245], rtol=1e-15)
    np.testing.assert_allclose(found.survival_upper, [0.705, 0.4255], rtol=1e-15)
    np.testing.assert_array_equal(found.n_at_risk, [math.nan, 7])
    np.testing.assert_array_equal(found.ci_lower, [math.nan, 0.249])
    np.testing.assert_array_equal(found.ci_upper, [math.nan, 0.59])
    assert (found.ci_level, found.n_total) == (0.9, 111)
    assert [point.months for point in found.points] == [60, 120, math.inf]
    assert [point.share.text for point in found.untimed] == ["60"]
    for array in (found.landmark_months, found.survival, found.n_at_risk, found.ci_lower):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_the_level_is_95_percent_when_none_is_printed():
    assert curve(("5", "70")).ci_level == 0.95


@given(records.reported_survival(endpoint=OS))
def test_survival_falls_within_rounding(reported):
    assert (np.diff(reported.landmark_months) > 0).all()
    assert (np.diff(reported.survival) <= 0).all()
    assert (reported.survival_lower <= reported.survival).all()
    assert (reported.survival <= reported.survival_upper).all()
    assert len(reported.timed) + len(reported.untimed) == len(reported.points)


@given(records.reported_survival(), st.randoms(use_true_random=False))
def test_the_order_in_which_points_are_given_does_not_matter(reported, random):
    points = list(reported.points)
    random.shuffle(points)
    assert replace(reported, points=tuple(points)) == reported


def test_from_percent_takes_arrays_and_missing_limits():
    found = ReportedSurvival.from_percent(
        "Chen",
        months=np.array([12, 60]),
        percent=np.array([95.5, 73.0]),
        ci_lower=[None, 60],
        ci_upper=[None, "86.0"],
        n_at_risk=[14, None],
        n_total=15,
        source="SRC12",
    )
    first, second = found.points
    assert first == SurvivalPoint(ReportedNumber("12", "month"), percent("95.5"), None, 14, source="SRC12")
    assert second.ci == ReportedInterval.of(60, "86.0", "percent", 0.95)
    assert found.group == Group(n_total=15)


def test_events_are_kept_shown_and_need_no_number_of_patients():
    found = ReportedSurvival.from_percent("Chen", years=[5], percent=[73], n_total=15, n_events=np.int64(4))
    assert (found.n_events, type(found.n_events)) == (4, int)
    assert str(found) == "Chen, OS, overall (n = 15): 73% at 5 years; 4 events in all"
    assert ReportedSurvival.from_json(found.to_json()) == found
    assert curve(("5", "73")).n_events is None
    assert "n_events" not in curve(("5", "73")).to_dict()
    for n_events in (0, 15):
        assert curve(("5", "73"), group=Group(n_total=15), n_events=n_events).n_events == n_events
    assert curve(("5", "73"), n_events=1).n_total is None


def test_from_percent_takes_years_and_an_endpoint_of_ones_own():
    own, group = Endpoint("LPFS"), Group("resected", n_total=9)
    found = ReportedSurvival.from_percent("Chen", own, years=["5"], percent=["83.0"], group=group)
    assert found == ReportedSurvival("Chen", own, (SurvivalPoint(year("5"), percent("83.0")),), group)


@pytest.mark.parametrize(
    "pairs",
    [
        [("3", "83"), ("5", "83")],
        [("3", "83"), ("5", "83.4")],  # a printed 83 may be 83.49
        [("3", "83.5"), ("5", "84")],  # a printed 84 may be 83.5
        [("3", "0"), ("5", "0")],
        [("3", "100"), ("5", "100")],
    ],
)
def test_a_rise_within_rounding_is_allowed(pairs):
    assert len(curve(*pairs).points) == 2


def test_an_incidence_rises_and_is_no_survival():
    found = curve(("3", "20"), ("5", "94"), endpoint=RECURRENCE)
    assert [point.share.text for point in found.points] == ["20", "94"]
    for name in ("survival", "survival_lower", "survival_upper"):
        with pytest.raises(InvalidInputError) as error:
            getattr(found, name)
        assert str(error.value) == (
            "Chen, recurrence, overall: cumulative recurrence is a cumulative incidence, not a survival. "
            "Read `points` instead."
        )


def test_shown():
    found = ReportedSurvival(
        "Chen",
        OS,
        (
            SurvivalPoint(year("5"), percent("73"), ReportedInterval.of(60, 86, "percent", 0.9)),
            SurvivalPoint(None, percent("50")),
        ),
        Group("resected", "arm", 15),
    )
    assert str(found) == (
        "Chen, OS, resected (n = 15): 73% (90% CI, 60–86%) at 5 years, 50% at a time not stated"
    )
    assert found.label == "Chen, OS, resected"
    assert curve(("5", "70")).label == "Chen, OS"


def levels(*values):
    points = [
        SurvivalPoint(year(str(i + 1)), percent("50"), ReportedInterval.of(40, 60, "percent", level))
        for i, level in enumerate(values)
    ]
    return ReportedSurvival("Chen", OS, tuple(points))


REFUSED = [
    (lambda: ReportedSurvival("", OS, ()), "study must be a non-empty text; got ''."),
    (lambda: ReportedSurvival("Chen", OS, ()), "Chen, OS, overall: give at least one reported percentage."),
    (
        lambda: ReportedSurvival("Chen", OS, "73"),
        "Chen, OS, overall: points must be a list or tuple; got '73'.",
    ),
    (
        lambda: curve(("3", "73"), ("5", "79")),
        "Chen, OS, overall: survival cannot rise; got 79% at 5 years after 73% at 3 years. "
        "Check the transcription.",
    ),
    (
        lambda: curve(("5", "84"), ("3", "83"), group=Group("arm A", "arm")),
        "Chen, OS, arm A: survival cannot rise; got 84% at 5 years after 83% at 3 years. "
        "Check the transcription.",
    ),
    (
        lambda: curve(
            ("1", "50.0"), ("2", "50"), ("3", "50.3")
        ),  # each fits the one before, the last no more
        "Chen, OS, overall: survival cannot rise; got 50.3% at 3 years after 50.0% at 1 year. "
        "Check the transcription.",
    ),
    (
        lambda: curve(("1", "50.0"), ("2", "50"), ("3", "49.6"), endpoint=RECURRENCE),
        "Chen, recurrence, overall: a cumulative incidence cannot fall; got 49.6% at 3 years after 50.0% at "
        "1 year. Check the transcription.",
    ),
    (
        lambda: curve(("1", "94"), ("2", "84"), endpoint=RECURRENCE),
        "Chen, recurrence, overall: a cumulative incidence cannot fall; got 84% at 2 years after 94% at 1 year. "
        "Check the transcription.",
    ),
    (
        lambda: ReportedSurvival.from_percent("Chen", months=[12, 12], percent=[73, 70]),
        "Chen, OS, overall: two values at 12 months (73% and 70%). Keep one, or give the second its own group.",
    ),
    (
        lambda: curve(("5", "73", 16), group=Group(n_total=15)),
        "Chen, OS, overall: 16 at risk at 5 years of 15 patients. Check both numbers.",
    ),
    (
        lambda: curve(("1", "90", 10), ("2", "80"), ("3", "70", 11)),
        "Chen, OS, overall: the number at risk cannot rise; got 11 at 3 years after 10 at 1 year. "
        "Check the transcription.",
    ),
    (
        lambda: curve(("5", "73"), group=Group(n_total=15), n_events=16),
        "Chen, OS, overall: 16 events among 15 patients. Check both numbers.",
    ),
    (
        lambda: curve(("5", "73"), n_events=-1),
        "Chen, OS, overall: n_events must be a whole number of at least 0; got -1.",
    ),
    (
        lambda: curve(("5", "73"), n_events=2.5),
        "Chen, OS, overall: n_events must be a whole number of at least 0; got 2.5.",
    ),
    (
        lambda: levels(0.95, 0.9).ci_level,
        "Chen, OS, overall: the confidence intervals have different levels.",
    ),
    (
        lambda: SurvivalPoint(ReportedNumber("5"), percent("73")),
        "A landmark must be a positive time with a unit; got 5 ''.",
    ),
    (
        lambda: SurvivalPoint(year("0"), percent("73")),
        "A landmark must be a positive time with a unit; got 0 'year'.",
    ),
    (
        lambda: SurvivalPoint(year("5"), ReportedNumber("73")),
        "A survival figure must be a percent or probability; got 73.",
    ),
    (
        lambda: SurvivalPoint(year("5"), percent("73", ">")),
        "A survival figure must be a percent or probability; got >73%.",
    ),
    (
        lambda: SurvivalPoint(year("5"), percent("73"), n_at_risk=-1),
        "at 5 years: n_at_risk must be a whole number of at least 0; got -1.",
    ),
    (
        lambda: SurvivalPoint(year("5"), percent("73"), ReportedInterval.of(74, 80, "percent")),
        "73% at 5 years: the confidence interval 74–80% does not contain it. Check the transcription.",
    ),
    (
        lambda: SurvivalPoint(year("5"), percent("73"), ReportedInterval.of("0.6", "0.8", "probability")),
        "73% at 5 years: the confidence interval is in 'probability' and the value in 'percent'; use one unit.",
    ),
    (
        lambda: ReportedSurvival.from_percent("Chen", percent=[73]),
        "Chen: give the landmarks once, as years= or as months=.",
    ),
    (
        lambda: ReportedSurvival.from_percent("Chen", percent=[73], years=[5], months=[60]),
        "Chen: give the landmarks once, as years= or as months=.",
    ),
    (
        lambda: ReportedSurvival.from_percent("Chen", percent=[73], years=[3, 5]),
        "Chen: percent has 1 values but landmarks has 2.",
    ),
    (
        lambda: ReportedSurvival.from_percent("Chen", percent=[73], years=[5], ci_upper=[]),
        "Chen: percent has 1 values but ci_upper has 0.",
    ),
    (
        lambda: ReportedSurvival.from_percent("Chen", percent=[73], years=[5], n_total=5, group=Group("x")),
        "Chen: give the number of patients once, as n_total= or in the group.",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message


# -- medians and means -----------------------------------------------------------------------------------


def test_times_from_plain_numbers():
    found = ReportedTime.of(
        "Du", "OS", "20.0", ci=("8.9", "31.1"), iqr=(10, 25), group=Group("all"), statistic="mean", level=0.9
    )
    assert found == ReportedTime(
        "Du",
        OS,
        "mean",
        ReportedNumber("20.0", "month"),
        Group("all"),
        ci=ReportedInterval.of("8.9", "31.1", "month", 0.9),
        iqr=ReportedInterval.of(10, 25, "month"),
    )
    assert str(found) == "Du, OS, all: mean 20.0 months (90% CI, 8.9–31.1 months; IQR, 10–25 months)"


def test_an_open_end_needs_not_lie_in_its_interval():
    value = ReportedNumber("96", "month", ">")
    assert (
        ReportedTime("Touzios", OS, "median", value, range=ReportedInterval.of(1, 90, "month")).value == value
    )
    assert str(ReportedTime.of("Chen", "OS", ReportedNumber("", "month", "not reached"))) == (
        "Chen, OS, overall: median not reached"
    )


def test_a_time_may_have_no_unit_in_the_paper():
    assert (
        str(ReportedTime("x", ENDPOINTS[4], "median", ReportedNumber("31.3")))
        == "x, RFS, overall: median 31.3"
    )


TIME_REFUSED = [
    (lambda: ReportedTime.of(" ", "OS", 5), "study must be a non-empty text; got ' '."),
    (
        lambda: ReportedTime.of("Du", "OS", 5, statistic="mode"),
        "Du, mode OS: statistic must be one of median, mean; got 'mode'.",
    ),
    (
        lambda: ReportedTime.of("Du", "OS", 5, "percent"),
        "Du, median OS: a time needs a unit of time; got 'percent'.",
    ),
    (
        lambda: ReportedTime.of("Du", "OS", 21, range=(22, 46)),
        "Du, median OS of 21 months: the range 22–46 months does not contain it. Check the transcription.",
    ),
    (
        lambda: ReportedTime.of("Du", "OS", 21, ci=(13, 20)),
        "Du, median OS of 21 months: the confidence interval 13–20 months does not contain it. "
        "Check the transcription.",
    ),
    (
        lambda: ReportedTime.of("Du", "OS", year("2"), iqr=(13, 46)),
        "Du, median OS of 2 years: the IQR is in 'month' and the value in 'year'; use one unit.",
    ),
    (
        lambda: ReportedTime("Du", OS, "mean", year("2"), sd=ReportedNumber("5", "month")),
        "Du, mean OS: a standard deviation is a length of time in the unit of the value; got 5 months.",
    ),
    (
        lambda: ReportedTime("Du", OS, "mean", ReportedNumber("2"), sd=ReportedNumber("-5")),
        "Du, mean OS: a standard deviation is a length of time in the unit of the value; got -5.",
    ),
]


@pytest.mark.parametrize(("call", "message"), TIME_REFUSED, ids=[message for _, message in TIME_REFUSED])
def test_time_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message
