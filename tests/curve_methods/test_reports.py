"""One series a study, from whatever the studies come in."""

import math

import numpy as np
import pandas as pd
import pytest

from netsynth.curve_methods.reports import read_reports
from netsynth.data.endpoint import Endpoint
from netsynth.data.number import ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import InvalidInputError, UnusableDataWarning


def read(data, endpoint="OS", **more):
    options = {"sets": None, "roles": ("overall", "arm"), "overlap": "largest", **more}
    return read_reports(data, endpoint, **options)


def series(study, percent, years=(1, 3, 5), endpoint="OS", **more):
    return ReportedSurvival.from_percent(
        study, endpoint, years=years[: len(percent)], percent=percent, **more
    )


COLUMNS = {
    "study": ["A", "A", "B"],
    "time_months": [36.0, 12.0, 12.0],
    "survival": [0.7, 0.9, 0.8],
    "n_total": [50.0, 50.0, 40.0],
}


def test_a_review_gives_one_series_a_study():
    arm = Group("resected", "arm", n_total=70)
    review = Review(
        (
            Study("a", first_author="Adams", year=2001, followup=ReportedNumber.of(30, "month")),
            Study("b", overlap=("a",)),
            Study("c"),
        ),
        survival=(
            series("a", [90], n_total=100),
            series("a", [88, 70, 60], group=arm),
            series("a", [99, 98], endpoint="DSS", n_total=100),
            series("b", [80, 50], n_total=60),
            series("c", [75, 55], n_total=30, n_at_risk=[20, 9]),
        ),
    )
    found = read(review)
    assert [study.name for study in found.studies] == [
        "Adams 2001",
        "c",
    ]  # b shares patients with a, which is larger
    assert found.studies[0].time.tolist() == [12.0]  # the whole cohort before the arm
    assert found.studies[0].followup_months == 30
    assert found.studies[1].n_at_risk.tolist() == [20.0, 9.0]
    assert found.label == "overall survival"
    assert read(review, roles=("arm",)).studies[0].time.tolist() == [12.0, 36.0, 60.0]
    assert len(read(review, overlap="keep").studies) == 3
    assert [study.name for study in read(review, "DSS").studies] == ["Adams 2001"]
    with pytest.raises(InvalidInputError, match="No study of the review reports PFS over time"):
        read(review, "PFS")


def test_among_groups_of_one_role_the_one_with_most_landmarks():
    review = Review(
        (Study("a"),),
        survival=(
            series("a", [90, 80], group=Group("one", "arm", n_total=100)),
            series("a", [88, 70, 60], group=Group("two", "arm", n_total=50)),
        ),
    )
    assert read(review).studies[0].time.size == 3


def test_standard_errors_come_from_printed_limits():
    reported = series("PBC", ["69.9", "37.2"], (5, 10), ci_lower=["62.8", None], ci_upper=["77.9", None])
    (study,) = read([reported]).studies
    assert study.se[0] == pytest.approx(0.03845, abs=1e-4)  # as printed
    assert math.isnan(study.se[1])


@pytest.mark.parametrize("make", [dict, pd.DataFrame], ids=["mapping", "pandas"])
def test_columns(make):
    a, b = read(make(COLUMNS)).studies
    assert (a.name, b.name) == ("A", "B")
    assert a.time.tolist() == [12.0, 36.0]  # in order
    assert a.survival.tolist() == [0.9, 0.7]
    assert (a.n_total, b.n_total) == (50.0, 40.0)


@pytest.mark.parametrize("package", ["polars", "pyarrow"])
def test_columns_of_other_frames(package):
    module = pytest.importorskip(package)
    frame = module.DataFrame(COLUMNS) if package == "polars" else module.table(COLUMNS)
    assert [study.n_total for study in read(frame).studies] == [50.0, 40.0]


def test_a_row_at_time_0_says_how_many_began():
    (study,) = read(
        {"study": ["A"] * 3, "time_months": [0, 12, 24], "survival": [1, 0.8, 0.6], "n_at_risk": [50, 38, 20]}
    ).studies
    assert study.n_total == 50
    assert study.n_at_risk.tolist() == [38, 20]
    assert study.time.tolist() == [12, 24]


def test_studies_without_a_number_are_named_and_left_out():
    found = read([series("A", [90, 70], n_total=50), series("B", [80])])
    assert [study.name for study in found.studies] == ["A"]
    ((kind, message),) = found.doubts
    assert kind is UnusableDataWarning
    assert message.startswith("not pooled, for want of a number of patients: B;")
    assert "bound_pooled_survival needs none" in message


def changed(**columns):
    return {**COLUMNS, **columns}


WRONG = [
    (5, "data must be a Review, a sequence of ReportedSurvival, or a data frame"),
    ([], "data must be a Review"),
    ([series("A", [90], n_total=5), "B"], "ReportedSurvival records alone; got str"),
    ([series("A", [90], n_total=5), series("A", [80], n_total=9)], "A: two series of one study"),
    (
        [series("A", [90], n_total=5), series("B", [80], endpoint="PFS", n_total=9)],
        "B: reports PFS, and OS is asked for. Endpoints are not mixed",
    ),
    ([series("A", [90])], "OS: no study prints a percentage with its number of patients"),
    ({"study": ["A"], "survival": [0.5]}, "time_months is missing from study and survival"),
    (changed(endpoint=["OS", "OS", "PFS"]), "data: reports PFS, and OS is asked for"),
    (changed(study=["A", None, "B"]), "Row 2: study is missing"),
    (changed(survival=[70, 90, 80]), "must lie in"),
    (
        changed(survival=[0.95, 0.9, 0.8]),
        "A: survival cannot rise; got 0.95 at 36 months after 0.9 at 12 months",
    ),
    (changed(time_months=[12.0, 12.0, 12.0]), "A: two values at 12 months"),
    (
        changed(time_months=[-1.0, 12.0, 12.0]),
        "A, row 1: time_months must be finite and not negative; got -1",
    ),
    (changed(n_total=[50.0, 40.0, 40.0]), "A: n_total must be one number; got 40 and 50"),
    (changed(n_total=[50.0, math.inf, 40.0]), "A, row 2: n_total must be finite"),
    (changed(n_total=[50.0, 50.0]), "n_total must have one value for each of 3 rows; got 2"),
    (changed(n_at_risk=[30, 20, np.nan]), "A: n_at_risk cannot rise, or pass n_total"),
    (changed(n_at_start=[60, 60, np.nan]), "A: n_at_start cannot rise, or pass n_total"),
    (
        {"study": ["A"], "time_months": [12], "survival": [0.5], "n_at_risk": [9]},
        "call the column n_at_start",
    ),
    ({"study": ["A"], "time_months": [0], "survival": [0.9], "n_total": [9]}, "survival at time 0 must be 1"),
    ({"study": ["A"], "time_months": [0], "survival": [1], "n_total": [9]}, "no survival after time 0"),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_data_that_cannot_be_right(data, message):
    with pytest.raises(InvalidInputError, match=message.replace("(", r"\(")):
        read(data)


def test_a_review_alone_has_sets():
    with pytest.raises(InvalidInputError, match="sets are chosen from a Review"):
        read(COLUMNS, sets=["core"])


def test_a_cumulative_incidence_is_no_survival():
    reported = series(
        "A", [10, 20], endpoint=Endpoint("recurrence", "cumulative recurrence", "incidence"), n_total=9
    )
    with pytest.raises(InvalidInputError, match="is a cumulative incidence, not a survival"):
        read([reported], reported.endpoint)
