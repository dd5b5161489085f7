"""What is read off a picture, checked at the door: what passes unchanged, what is said, what is refused."""

import re

import numpy as np
import pytest

from netsynth import figure
from netsynth.errors import InconsistentReportWarning, InvalidInputError, UnusableDataWarning
from netsynth.kernels.cell import Censoring, Table
from netsynth.kernels.ledger import Expected
from netsynth.kernels.trace import Trace

NAN = float("nan")


def refused(message):
    return pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$")


def said(kind, message):
    return pytest.warns(kind, match=f"^{re.escape(message)}$")


# --- points ------------------------------------------------------------------------------------------------


def test_good_points_pass_as_they_are():
    time, survival = [0, 1.2, 1.1, 3], [1, 0.9, 0.91, 0.4]
    found = figure.check_points(time, survival, "A")
    assert (found.time.tolist(), found.survival.tolist()) == (time, survival)
    assert found.warnings == ()


def test_the_thickness_of_a_line_is_cut_off():
    found = figure.check_points([-0.1, 5, 10], [1.015, 0.4, -0.01], "A")
    assert found.time.tolist() == [0, 5, 10]
    assert found.survival.tolist() == [1, 0.4, 0]


def test_points_without_a_number_are_left_out_and_counted():
    with said(UnusableDataWarning, "A: 2 points of 5 without a number left out"):
        found = figure.check_points([0, 1, NAN, 3, 4], [1, NAN, 0.8, 0.6, 0.5], "A")
    assert found.time.tolist() == [0, 3, 4]
    assert [(c.name, c.where) for c in found.warnings] == [("UnusableDataWarning", "A")]


def test_points_far_from_their_order_are_sorted_by_time_the_higher_first():
    with said(
        UnusableDataWarning, "A: the points do not follow the curve, so they were put in order of time"
    ):
        found = figure.check_points([10, 5, 0, 5], [0.4, 0.6, 1, 0.8], "A")
    assert found.time.tolist() == [0, 5, 5, 10]
    assert found.survival.tolist() == [1, 0.8, 0.6, 0.4]


def test_a_late_start_of_the_curve_is_said():
    text = "A: the curve starts at 60%: all who are missing to 100% are taken to have the event at once"
    with said(InconsistentReportWarning, text):
        figure.check_points([0, 5, 10], [0.6, 0.5, 0.4], "A")
    assert figure.check_points([5, 10], [0.6, 0.4], "A").warnings == ()


LOW = "A: a curve needs at least two points; got 1. For a few percentages there is reconstruct_survival."
INCIDENCE = "If the picture shows a cumulative incidence, give 1 - incidence."
ORIGIN = "Set the origin of the axis where the curve starts."
PROBABILITY = "A: survival must be a probability between 0 and 1; got"

POINTS = {
    "one": ([0], [1], LOW),
    "infinite time": ([0, np.inf], [1, 0.5], "A: time must be finite; got inf at position 1."),
    "infinite survival": ([0, 1], [-np.inf, 0.5], "A: survival must be finite; got -inf at position 0."),
    "two dimensions": ([[0, 1]], [1, 0.5], "A: time must have one dimension; got shape (1, 2)."),
    "complex": ([0, 1j], [1, 0.5], "A: time must be numbers; got [0, 1j]."),
    "lengths": ([0, 1], [1, 0.5, 0.4], "A: time and survival must have the same length; got 2 and 3."),
    "percent": (
        [0, 1, 2],
        [100, 80, 50],
        f"{PROBABILITY} 100 at position 0. These look like percentages: divide them by 100.",
    ),
    "low percent": (
        [0, 1, 2],
        [9.0, 2.0, 1.0],
        f"{PROBABILITY} 9 at position 0. These look like percentages: divide them by 100.",
    ),
    "thousands": ([0, 1, 2], [1000, 800, 0], f"{PROBABILITY} 1000 at position 0. Check the calibration of the axis."),
    "below zero": ([0, 1, 2], [1, 0.5, -0.3], f"{PROBABILITY} -0.3 at position 2. Check the calibration of the axis."),
    "divided twice": (
        [0, 1, 2],
        [0.01, 0.008, 0.005],
        "A: survival is never above 0.01. These look like probabilities divided by 100: a curve starts at 1.",
    ),
    "negative time": (
        [-5, 0, 10],
        [1, 0.9, 0.5],
        f"A: times must not be negative and must pass 0; got -5 at position 0. {ORIGIN}",
    ),
    "no time": (
        [0, 0],
        [1, 0.5],
        f"A: times must not be negative and must pass 0; got 0 at position 0. {ORIGIN}",
    ),
    "flat": (
        [0, 1, 2],
        [0.7, 0.7, 0.7],
        "A: survival is 0.7 at every point, which tells no event. Check that the points follow the curve.",
    ),
    "flat but for the line": (
        [0, 1, 2],
        [1, 1.01, 1.005],
        "A: survival is 1 at every point, which tells no event. Check that the points follow the curve.",
    ),
    "incidence": (np.arange(50), np.arange(50) / 100, f"A: survival rises from 0.02 to 0.47. {INCIDENCE}"),
    "low incidence": (np.arange(50), np.arange(50) / 1225, f"A: survival rises from 0.00163 to 0.0384. {INCIDENCE}"),
    "rising curve": (np.arange(5), [0.8, 0.85, 0.9, 0.95, 1.0], f"A: survival rises from 0.8 to 1. {INCIDENCE}"),
}  # fmt: skip


@pytest.mark.parametrize(("time", "survival", "message"), POINTS.values(), ids=POINTS)
def test_points_that_cannot_be_right(time, survival, message):
    with refused(message):
        figure.check_points(time, survival, "A")


def test_a_low_flat_curve_with_a_tremor_does_not_rise():
    time = np.arange(41.0)
    survival = np.concatenate([[1.0], np.full(20, 0.497), np.full(20, 0.5)])
    assert figure.check_points(time, survival, "A").warnings == ()


def test_nothing_left_without_numbers():
    with said(UnusableDataWarning, "A: 2 points of 3 without a number left out"), refused(LOW):
        figure.check_points([0, 1, 2], [1, NAN, NAN], "A")


# --- numbers at risk ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "time", "number", "expected"),
    [
        (30, None, None, ([0], [30])),
        (None, [0, 6, 12], [30, 20, 8], ([0, 6, 12], [30, 20, 8])),
        (30, [0, 6], [30, 20], ([0, 6], [30, 20])),
        (30, [6, 12], [20, 8], ([0, 6, 12], [30, 20, 8])),
        (np.int64(30), [0, 6], np.array([30.0, 30.0]), ([0, 6], [30, 30])),
    ],
)
def test_a_table_starts_with_all_patients(n, time, number, expected):
    at, counts, warnings = figure.check_table(n, time, number, "A")
    assert (at.tolist(), counts.tolist(), warnings) == (*expected, ())
    assert counts.dtype == np.int64


def test_numbers_that_cannot_be_read_are_left_out():
    with said(UnusableDataWarning, "A: no number at risk at 6 and 12: left out of the table"):
        at, counts, warnings = figure.check_table(None, [0, 6, 12, 18], [30, NAN, None, 8], "A")
    assert (at.tolist(), counts.tolist(), len(warnings)) == ([0, 18], [30, 8], 1)
    with said(UnusableDataWarning, "A: no number at risk at 6: left out of the table"):
        at, counts, warnings = figure.check_table(30, [6], [NAN], "A")
    assert (at.tolist(), counts.tolist(), len(warnings)) == ([0], [30], 1)


COUNT = "n_at_risk must be a whole number of at least 0"
ORDER = "at_risk_time must start at 0 or later and increase"
TABLES = {
    "half": (None, [0, 6], None, "A: give at_risk_time and n_at_risk together."),
    "none": (None, None, None, "A: give n_total, or numbers at risk from time 0 on."),
    "part of a patient": (None, [0, 6], [30, 20.5], f"A, at 6: {COUNT}; got 20.5."),
    "negative": (None, [0, 6], [30, -1], f"A, at 6: {COUNT}; got -1."),
    "words": (None, [0, 6], ["30", "-"], "A: n_at_risk must be numbers; got ['30', '-']."),
    "lengths": (None, [0, 6], [30], "A: at_risk_time and n_at_risk must have the same length; got 2 and 1."),
    "no patients": (0, None, None, "A: n_total must be a whole number of at least 1; got 0."),
    "true": (True, None, None, "A: n_total must be a whole number; got True."),
    "starts late": (None, [6, 12], [20, 8], "A: the table starts at 6, so n_total must say how many there were at 0."),
    "more than all": (15, [6, 12], [20, 8], "A: 20 at risk at 6, but only 15 patients. Check both numbers."),
    "other start": (
        31,
        [0, 6],
        [30, 20],
        "A: n_total is 31, but 30 are at risk at 0. Check both numbers; leave n_total out to start from the table.",
    ),
    "rises": (
        None,
        [0, 6, 12],
        [30, 8, 20],
        "A: the number at risk rises from 8 at 6 to 20 at 12, which is impossible. One of them is mistyped, or belongs "
        "to another arm.",
    ),
    "disorder": (None, [0, 12, 6], [30, 8, 20], f"A: {ORDER}; got 0, 12 and 6."),
    "before 0": (None, [-1, 6], [30, 8], f"A: {ORDER}; got -1 and 6."),
    "nobody": (None, [0, 6], [0, 0], "A: nobody is at risk at 0. Give the number of patients."),
}  # fmt: skip


@pytest.mark.parametrize(("n", "time", "number", "message"), TABLES.values(), ids=TABLES)
def test_tables_that_cannot_be_right(n, time, number, message):
    with refused(message):
        figure.check_table(n, time, number, "A")


# --- marks and the end ---------------------------------------------------------------------------------------


def test_marks_are_sorted_and_held_to_the_end():
    assert figure.check_marks([5, 30.2, 1], 10, 30.0, "A").tolist() == [1, 5, 30]
    assert figure.check_marks([], 10, 30.0, "A").size == 0
    assert figure.check_marks(None, 10, 30.0, "A") is None


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ([5, 40], "A: a censoring mark at 40 lies outside the curve, 0 to 30."),
        ([-1, 5], "A: a censoring mark at -1 lies outside the curve, 0 to 30."),
        ([1, 2, 3], "A: 3 censoring marks, but only 2 patients."),
        ([1, NAN], "A: censor_time must be finite; got nan at position 1."),
    ],
)
def test_marks_that_cannot_be_right(marks, message):
    with refused(message):
        figure.check_marks(marks, 2, 30.0, "A")


def points(*time):
    return figure.Points(np.array(time, dtype=float), np.linspace(1, 0.5, len(time)), ())


def test_where_a_curve_ends():
    at_start = np.zeros(1)
    dense = points(*np.linspace(0, 30, 61))
    assert figure.curve_end(dense, at_start, None, "A") == 30.0
    assert figure.curve_end(dense, at_start, 30.5, "A") == 30.5  # 2% of the axis
    assert figure.curve_end(dense, at_start, 36.0, "A") == 30.0
    assert figure.curve_end(dense, np.array([0.0, 33.0]), 36.0, "A") == 33.0
    text = (
        "A: 1 point beyond the end of the axis at 24; the last is at 30. Check axis_end and the unit of time."
    )
    with refused(text):
        figure.curve_end(points(0, 10, 30), at_start, 24.0, "A")
    with refused("A: axis_end must be positive; got 0 at position 0."):
        figure.curve_end(dense, at_start, 0.0, "A")


# --- numbers against the curve -------------------------------------------------------------------------------


def curve(*levels, every=10.0):
    """A line with a corner every so often, well known."""
    time = np.arange(len(levels)) * every
    return Trace(time, np.array(levels, dtype=float), 0.001, 1e-4, False)


def against(trace, time, number, **more):
    table = Table(np.array(time, dtype=float), np.array(number), float(trace.time[-1]), **more)
    return figure.check_against_curve(trace, table, float(trace.time[-1]), "A")


def fine_curve():
    return curve(*np.linspace(1, 0.5, 101), every=0.5)


@pytest.mark.parametrize("left", [160, 100, 2])
def test_a_table_that_the_curve_allows_is_silent(left):
    # 200 patients; at 20 survival is 0.8, so 160 at most are left
    assert against(fine_curve(), [0, 20, 40], [200, left, left // 2]) == ()


def test_a_number_a_little_too_large_is_said_and_a_gross_one_refused():
    # a click is off by up to 1% of the axis, half a unit: survival is 0.805 at most at 20, and 0.995 at least at 0
    impossible = "is impossible: of 200 at 0 at most 161 can be left, as the curve falls to 80.9% of that"
    with said(InconsistentReportWarning, f"A: 165 at risk at 20 {impossible}"):
        assert len(against(fine_curve(), [0, 20], [200, 165])) == 1
    with refused(
        f"A: 180 at risk at 20 {impossible}. Check both numbers, and that they belong to this curve."
    ):
        against(fine_curve(), [0, 20], [200, 180])


def test_events_tied_at_the_time_of_a_number_come_after_it():
    # half of all die at 10, and 100 of 100 are at risk just before; clicks on the drop are a little early
    time, level = np.array([0, 9.8, 9.9, 10.1, 20]), np.array([1, 1, 0.75, 0.5, 0.5])
    trace = Trace(time, level, 0.001, 0.05, False)
    assert against(trace, [0, 10], [100, 100]) == ()


def test_patients_at_risk_after_the_curve_has_reached_zero():
    trace = curve(1, 0.5, 0, 0, 0)
    with said(InconsistentReportWarning, "A: 2 at risk at 30 is impossible: survival is 0 before"):
        against(trace, [0, 10, 30], [20, 10, 2])


def test_a_curve_that_falls_when_nobody_is_left():
    with said(InconsistentReportWarning, "A: 0 at risk at 20 is impossible: the curve goes on to fall"):
        against(fine_curve(), [0, 10, 20], [200, 100, 0])


def test_more_marks_than_patients_leave():
    text = "A: 5 censoring marks between 0 and 20, but only 4 patients leave there"
    with said(InconsistentReportWarning, text):
        against(curve(1, 1, 1, 0.9), [0, 20], [20, 16], censor_time=np.arange(5.0))


def test_a_table_longer_than_the_curve():
    table = Table(np.array([0.0, 60.0]), np.array([200, 40]), 60.0)
    text = "A: 40 at risk at 60, after the curve ends at 50; it goes on without a fall"
    with said(InconsistentReportWarning, text):
        figure.check_against_curve(fine_curve(), table, 50.0, "A")


# --- totals ------------------------------------------------------------------------------------------------

ALLOWED = Expected(np.array([20.0, 10.0]), np.array([15.0, 5.0]), np.array([25.0, 15.0]), Censoring())


EXACT = Trace(np.array([0.0, 10, 10, 20, 20, 30]), np.array([1, 1, 0.9, 0.9, 0.8, 0.8]), 1e-6, 0.0, True)


def total(n_events, k=2, trace=EXACT):
    table = Table(np.arange(k) * 10.0, np.array([100, 60][:k]), 30.0)
    return figure.check_total(
        n_events, Expected(*(part[:k] for part in ALLOWED[:3]), Censoring()), table, trace, "A"
    )


@pytest.mark.parametrize("n_events", [19, 20, 30, 40, 41])
def test_a_total_within_what_is_possible_and_rounding_is_used(n_events):
    assert total(n_events) == (n_events, ())  # 20 to 40, and one more for rounding


def test_clicks_leave_more_open_than_exact_steps():
    # three standard deviations of 0.03 among 100 patients
    wide = fine_curve()._replace(noise=0.03)
    for n_events in (11, 49):
        assert total(n_events, trace=wide) == (n_events, ())
        with pytest.warns(InconsistentReportWarning, match=f"^A: {n_events} events are impossible"):
            assert total(n_events)[0] is None
    # and where a curve falls by half between two clicks, nobody knows when
    apart = Trace(np.array([0.0, 5, 15, 30]), np.array([1, 1, 0.5, 0.5]), 0.001, 0.0, False)
    assert total(60, trace=apart) == (60, ())


@pytest.mark.parametrize("n_events", [0, 18, 42, 100])
def test_a_total_beyond_is_not_used(n_events):
    text = f"A: {n_events} events are impossible: the curve and the numbers at risk allow 19 to 41"
    with said(InconsistentReportWarning, f"{text}. The total was not used"):
        assert total(n_events)[0] is None


def test_a_total_beyond_what_the_curve_alone_allows():
    with said(
        InconsistentReportWarning,
        "A: 40 events are impossible: the curve allows 14 to 26. The total was not used",
    ):
        assert total(40, k=1)[0] is None


@pytest.mark.parametrize(
    ("n_events", "message"),
    [
        (101, "A: 101 events among 100 patients are impossible. Check both numbers."),
        (-1, "A: n_events must be a whole number of at least 0; got -1."),
        (20.5, "A: n_events must be a whole number of at least 0; got 20.5."),
        ("20", "A: n_events must be a whole number; got '20'."),
    ],
)
def test_totals_that_cannot_be(n_events, message):
    with refused(message):
        total(n_events)


def test_no_total():
    assert total(None) == (None, ())
