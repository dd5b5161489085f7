"""What the plot of medians shows is the summary."""

import numpy as np
import pytest

from netsynth.data.endpoint import find_endpoint
from netsynth.data.number import ReportedNumber
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.errors import InvalidInputError
from netsynth.outcomes import summarize_outcomes
from netsynth.plots import outcome_plot

PERCENT = {"Adams": 83, "Brown": 60, "Chen": 71, "Dow": 90}
MONTHS = {"Adams": "40", "Brown": "25", "Chen": ">96", "Dow": "60"}


@pytest.fixture
def summary():
    studies = tuple(Study(name) for name in PERCENT)
    survival = tuple(
        ReportedSurvival.from_percent(name, "OS", years=[5], percent=[value], n_total=50)
        for name, value in PERCENT.items()
    )
    times = tuple(
        ReportedTime(
            name,
            find_endpoint("OS"),
            "median",
            ReportedNumber(text.strip(">"), "month", ">" if ">" in text else "="),
        )
        for name, text in MONTHS.items()
    )
    target = PublishedTarget("OS", ReportedNumber("70.5", "percent"), time=ReportedNumber("5", "year"))
    return summarize_outcomes(Review(studies, survival=survival, times=times, targets=(target,)))


def drawn(ax, marker):
    return [
        tuple(point)
        for line in ax.lines
        if line.get_marker() == marker and line.get_transform() == ax.transData
        for point in line.get_xydata()
        if np.isfinite(point).all()
    ]


def test_points_median_range_and_published_median(summary):
    ax = outcome_plot(summary)
    assert sorted(drawn(ax, "o")) == [(60, 0), (71, 0), (83, 0), (90, 0)]
    assert drawn(ax, "D") == [(77, 0)]  # the middle of 71 and 83
    assert drawn(ax, "|") == [(70.5, 0)]
    ranges = [line for line in ax.lines if line.get_marker() == "None"]
    assert any(line.get_xydata().tolist() == [[60, 0], [90, 0]] for line in ranges)
    assert ax.get_xlim() == (0, 100)
    texts = [text.get_text() for text in ax.texts]
    assert {"5-year OS", "77% (60–90%; k = 4)", "70.5%", "published median"} <= set(texts)
    assert "open-ended" not in texts


def test_an_open_end_points_to_where_it_may_lie(summary):
    ax = outcome_plot(summary, unit="month")
    assert sorted(drawn(ax, "o")) == [(25, 0), (40, 0), (60, 0)]
    assert drawn(ax, ">") == [(96, 0)]
    assert drawn(ax, "D") == [(50, 0)]
    assert ax.get_xlim()[1] > 96
    assert ax.get_xlabel() == "Months"
    assert "open-ended" in [text.get_text() for text in ax.texts]


def test_no_target_no_column(summary):
    texts = [text.get_text() for text in outcome_plot(summary, unit="month").texts]
    assert "Published" not in texts
    assert "published median" not in texts


def test_one_study_is_its_own_median():
    review = Review(
        (Study("Adams"),),
        survival=(ReportedSurvival.from_percent("Adams", "OS", years=[5], percent=[83], n_total=50),),
    )
    ax = outcome_plot(summarize_outcomes(review))
    assert drawn(ax, "D") == [(83, 0)]
    assert drawn(ax, "o") == []
    with pytest.raises(InvalidInputError, match=r"^The summary has no line in month\.$"):
        outcome_plot(summarize_outcomes(review), unit="month")


def test_units_are_two(summary):
    with pytest.raises(InvalidInputError, match=r"^unit must be one of percent, month; got 'years'\.$"):
        outcome_plot(summary, unit="years")
