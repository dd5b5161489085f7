"""Tables of survival over time say what their results say."""

import math
import warnings

import numpy as np
import pytest

from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival
from netsynth.datasets import load_nethm
from netsynth.errors import InvalidInputError
from netsynth.median_survival import pool_median_survival
from netsynth.outcomes import summarize_outcomes
from netsynth.over_time import pool_survival
from netsynth.pooled_bounds import bound_pooled_survival
from netsynth.results.review_flow import ReviewFlow
from netsynth.tables import bounds_table, curve_table, flow_table, median_survival_table

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")


def cells(table):
    headers = [column.header for column in table.columns]
    return [dict(zip(headers, row, strict=True)) for row in table.rows]


def numbers(text):
    return [float(end) for end in text.rstrip("%").split("–")]


# -- curve -----------------------------------------------------------------------------------------------


def test_the_curve_at_its_times():
    curve = pool_survival(load_nethm(), "OS", sets=["core"])
    rows = cells(curve_table(curve))
    assert [row["Time"] for row in rows[:-2]] == [
        "1 year",
        "2 years",
        "3 years",
        "5 years",
        "8 years",
        "10 years",
    ]
    low, high = curve.confidence_band(time_months=[60])
    (row,) = (row for row in rows if row["Time"] == "5 years")
    assert numbers(row["Pooled"]) == pytest.approx([100 * curve.survival(60)], abs=0.051)
    assert numbers(row["95% CI"]) == pytest.approx([100 * low[0], 100 * high[0]], abs=0.051)
    assert (row["Studies"], row["Patients at start of interval"]) == ("12", "851")
    for time, row in zip((12, 24, 36, 60, 96, 120), rows, strict=False):
        ends = [100 * float(end[0]) for end in curve.average_bounds([time])]
        assert numbers(row["Limits for all patients"]) == pytest.approx(ends, abs=0.051)
    assert rows[-2]["Limits for all patients"] == f"{curve.average_median_bounds.lower:.1f} or more".replace(
        ".0", ""
    )
    ends = curve.average_rmst_bounds(120)
    assert numbers(rows[-1]["Limits for all patients"]) == pytest.approx(list(ends), abs=0.051)
    assert rows[-2]["Pooled"] == f"{curve.median:.1f} months"
    assert rows[-2]["95% CI"].endswith("or more")  # the upper limit lies beyond the curve


def test_two_studies_have_no_prediction_and_the_table_says_why():
    data = {
        "study": ["a", "a", "b", "b"],
        "time_months": [12, 30, 12, 30],
        "survival": [0.9, 0.8, 0.85, 0.7],
        "n_total": [80, 80, 90, 90],
    }
    table = curve_table(pool_survival(data))
    assert any("No prediction interval at 30 months: 2 studies" in note for note in table.footnotes)
    assert not any("prediction" in column.header for column in table.columns)
    assert cells(table)[-2]["Pooled"] == "not reached"


def test_a_curve_from_patients_at_the_times_asked_for():
    data = {
        "study": ["a"] * 5 + ["b"] * 5,
        "time_months": [3, 8, 14, 20, 24, 2, 5, 9, 12, 30],
        "event": [1, 1, 0, 1, 0] * 2,
    }
    rows = cells(curve_table(pool_survival(data, method="stratified", times_months=[6, 12])))
    assert [row["Time"] for row in rows[:-2]] == ["6 months", "1 year"]
    assert [row["Patients at risk"] for row in rows[:-2]] == ["7", "5"]
    assert not any(name.startswith("Limits") for name in rows[0])


# -- bounds ----------------------------------------------------------------------------------------------


def test_bounds_by_how_much_is_assumed():
    review = load_nethm()
    found = [bound_pooled_survival(review, "OS", sets=["core"], least_maturity=least) for least in (0, 0.5)]
    rows = cells(bounds_table(found))
    assert len(rows) == sum(each.time_months.size for each in found)
    five = next(i for i, row in enumerate(rows) if row["Time"] == "5 years")
    for each, row in zip(found, rows[five : five + 2], strict=True):
        place = int(np.flatnonzero(each.time_months == 60)[0])
        limits = [100 * float(end[place]) for end in each.survival]
        assert numbers(row["Pooled, between"]) == pytest.approx(limits, abs=0.051)
        limits = [100 * float(end[place]) for end in each.confidence_interval()]
        assert numbers(row["Any 95% CI"]) == pytest.approx(limits, abs=0.051)
    assert rows[five]["If imputed (95% CI)"] != ""
    assert rows[five + 1]["If imputed (95% CI)"] == ""  # the same as above


def test_bounds_of_different_endpoints_are_no_table():
    review = Review(
        (Study("a"), Study("b")),
        survival=tuple(
            ReportedSurvival.from_percent(study, endpoint, years=[5], percent=[70], n_total=50)
            for study in "ab"
            for endpoint in ("OS", "PFS")
        ),
    )
    with pytest.raises(InvalidInputError, match="of one endpoint; got OS and PFS"):
        bounds_table([bound_pooled_survival(review, endpoint) for endpoint in ("OS", "PFS")])
    with pytest.raises(InvalidInputError, match="got none"):
        bounds_table([])


# -- medians ---------------------------------------------------------------------------------------------


def test_open_ends_stand_beside_what_dropping_them_gives():
    closed = pool_median_survival([30, 41, 52], ci_lower=[22, 30, 40], ci_upper=[41, 56, 68])
    opened = pool_median_survival(
        [30, 41, 52, math.nan],
        ci_lower=[22, 30, 40, math.nan],
        ci_upper=[41, 56, 68, math.nan],
        follow_up_months=[math.nan, math.nan, math.nan, 60],
        n_total=[math.nan, math.nan, math.nan, 50],
    )
    rows = cells(median_survival_table({"closed": closed, "opened": opened}))
    assert [row["Open-ended"] for row in rows] == ["", "1"]
    assert rows[0]["Open ends dropped"] == ""
    assert rows[1]["Open ends dropped"] == f"{rows[0]['Months']} ({rows[0]['95% CI']})"
    assert float(rows[1]["Months"]) > float(rows[0]["Months"])
    only = median_survival_table({"closed": closed})
    assert "Open ends dropped" not in [column.header for column in only.columns]
    with pytest.raises(InvalidInputError, match="at least one"):
        median_survival_table({})


def test_no_digits_past_what_can_be_observed():
    found = pool_median_survival([12, 34, 75], ci_lower=[9, 27, 50], ci_upper=[16, 43, 110])
    (row,) = cells(median_survival_table({"OS": found}))
    assert row["95% CI"] == "3.19–303"
    assert row["95% prediction interval"] == "<0.01–>1000"


# -- flow ------------------------------------------------------------------------------------------------


def test_lines_of_the_flow_add_up():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        review = load_nethm()
    every = summarize_outcomes(review, sets=["core"], min_studies=0)
    table = flow_table(ReviewFlow.of(review, every))
    for row in table.rows:
        found, *left, taken = (int(cell or 0) for cell in row[1:])
        assert found == sum(left) + taken
    (five,) = (row for row in cells(table) if row["Outcome"] == "5-year OS")
    assert five["Taken"] == "12"  # as the README of the data set has it
