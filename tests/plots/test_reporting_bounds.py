"""What the plot of reporting bounds draws is what they are."""

import warnings

import pytest

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.errors import NetsynthWarning
from netsynth.factor_pooling import bound_reporting
from netsynth.plots.reporting_bounds import reporting_bounds_plot
from netsynth.prognostic import summarize_factors


def bounds(*silent, reported=(("A", "2.00", "1.20", "3.33"), ("B", "1.60", "1.00", "2.56"))):
    os = find_endpoint("OS")
    made = [
        ReportedFactor(
            study, "grade", os, "poor", "well", "multivariable",
            hazard_ratio=ReportedNumber(hr, "ratio"), ci=ReportedInterval.of(low, high, "ratio", 0.95),
        )
        for study, hr, low, high in reported
    ]  # fmt: skip
    made += [
        ReportedFactor(study, "grade", os, "poor", "well", significance="no", group=Group(n_total=n))
        for study, n in silent
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        summary = summarize_factors(Review([Study(f.study) for f in made], factors=made))
        return bound_reporting(summary, "histologic grade", "OS")


def bars(ax, y):
    return [
        tuple(line.get_xdata())
        for line in ax.lines
        if len(line.get_xdata()) == 2 and set(line.get_ydata()) == {y}
    ]


def test_bars_are_the_limits():
    found = bounds(("S", 100), ("T", 60))
    ax = reporting_bounds_plot(found)
    assert bars(ax, 0)[0] == pytest.approx(tuple(found.pooled.natural_interval()))
    far, near = bars(ax, 1)
    assert far == pytest.approx(tuple(found.natural_confidence_bounds()))
    assert near == pytest.approx(tuple(found.natural_bounds))
    texts = [text.get_text() for text in ax.texts]
    assert {"as reported", "with the silent studies", "2", "4"} <= {t.strip() for t in texts}


def test_texts_stay_apart(readable):
    readable(reporting_bounds_plot(bounds(("S", 100))))


def test_one_study_and_nothing_silent_can_be_drawn():
    found = bounds(reported=(("A", "2.00", "1.20", "3.33"),))
    ax = found.plot()
    assert ax.get_xlabel() == "Hazard ratio"
    assert len(bars(ax, 1)) == 1  # one study has no interval of the mean
