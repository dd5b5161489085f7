"""The forest plot of medians: what is drawn is what the result says, and an open end is an arrow."""

import math
import warnings

import numpy as np
import pytest

from netsynth.data.number import ReportedNumber
from netsynth.errors import InvalidInputError
from netsynth.median_survival import pool_median_survival
from netsynth.plots.median_survival import median_survival_plot

NAN = math.nan


@pytest.fixture
def result():
    return pool_median_survival(
        [34, 46, 55, NAN, ReportedNumber("12", "month", "<")],
        study=["Adams", "Brown", "Chen", "Diaz", "Evans"],
        ci_lower=[27, 38, 40, NAN, NAN],
        ci_upper=[43, 56, 75, NAN, NAN],
        follow_up_months=[NAN, NAN, NAN, 60, NAN],
        n_total=[80, 120, 70, 95, 40],
    )


def marks(ax, marker):
    return [line for line in ax.lines if line.get_marker() == marker]


def test_squares_bars_and_arrows(result):
    ax = median_survival_plot(result)
    assert [line.get_xdata()[0] for line in marks(ax, "s")] == pytest.approx([34, 46, 55])
    bars = marks(ax, "|")
    assert [line.get_xdata()[0] for line in bars] == pytest.approx([60, 12])
    assert [line.get_ydata()[0] for line in bars] == [3, 4]
    right, left = ([line for line in marks(ax, marker) if line.get_ydata()[0] in (3, 4)] for marker in "><")
    assert right[0].get_xdata()[0] == ax.get_xlim()[1]
    assert left[0].get_xdata()[0] == 0
    assert ax.get_xlim()[0] == 0
    assert ax.get_xlim()[1] > 60


def test_the_pooled_median_and_the_comparison(result):
    ax = median_survival_plot(result)
    ends = result.natural_interval()
    shapes = [patch.get_xy() for patch in ax.patches if hasattr(patch, "get_closed")]
    places = [(shape[:, 0].min(), shape[1, 0]) for shape in shapes]
    assert any(np.allclose(place, (ends.lower, result.natural)) for place in places)
    hollow = [line for line in ax.lines if len(line.get_xdata()) == 5]
    assert hollow[0].get_xdata()[1] == pytest.approx(result.dropped.natural)


def test_text_beside_the_plot(result):
    texts = {text.get_text() for text in median_survival_plot(result).texts}
    assert {"Adams", "Random effects", "Without open ends", ">60.0", "<12.0", "Weight"} <= texts
    assert "2 medians were not reached (broken arrows)" in " ".join(texts).replace("\u00a0", " ")


@pytest.mark.parametrize("others", [1, 3])
def test_studies_left_out_are_named_under_the_plot(others):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pool_median_survival(
            [*[34, 46, 55][:others], NAN, NAN, 40],
            study=[*["Adams", "Brown", "Chen"][:others], "Diaz", "Evans", "Fox"],
            ci_lower=[*[27, 38, 40][:others], NAN, NAN, NAN],
            ci_upper=[*[43, 56, 75][:others], NAN, NAN, NAN],
        )
    note = " ".join(text.get_text() for text in median_survival_plot(found).texts).replace("\u00a0", " ")
    assert (
        "Left out: Diaz and Evans (its median was not reached, and neither a time nor a lower limit is printed); "
        "Fox (it prints neither a confidence interval nor events nor patients)"
    ) in note


def test_an_upper_limit_not_reached_is_an_arrow():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pool_median_survival([34, 46, 55], ci_lower=[27, 38, 40], ci_upper=[43, 56, math.inf])
    ax = median_survival_plot(found)
    (arrow,) = (line for line in marks(ax, ">") if line.get_ydata()[0] == 2)
    assert arrow.get_xdata()[0] == ax.get_xlim()[1]
    assert not marks(ax, "|")
    assert {"[40.0,", "NR]"} <= {text.get_text() for text in ax.texts}


def test_without_open_ends_there_is_nothing_to_compare():
    result = pool_median_survival([34, 46, 55], ci_lower=[27, 38, 40], ci_upper=[43, 56, 75])
    ax = result.plot(level=0.9)
    texts = {text.get_text() for text in ax.texts}
    assert "Without open ends" not in texts
    assert "Months [90% CI]" in texts
    assert not marks(ax, "|")


def test_no_digits_and_no_axis_past_what_can_be_observed():
    found = pool_median_survival(
        [12, 34, 75, NAN],
        ci_lower=[9, 27, 50, NAN],
        ci_upper=[16, 43, 110, NAN],
        follow_up_months=[NAN, NAN, NAN, 60],
        n_total=[50, 60, 70, 80],
    )
    assert found.natural_prediction_interval().upper > 10_000
    ax = median_survival_plot(found)
    assert {"[0.08,", ">1000]", "303]"} <= {text.get_text() for text in ax.texts}
    assert 110 < ax.get_xlim()[1] < 250
    # the mean, the prediction and the mean without open ends all leave the axis
    pointed = sorted({line.get_ydata()[0] for line in marks(ax, ">") if line.get_ydata()[0] > 4})
    assert pointed == pytest.approx([4.6, 5.6, 6.6])
    texts = {text.get_text() for text in found.dropped.plot().texts}
    assert {"[<1,", ">1000]"} <= texts


def test_refusals(result):
    with pytest.raises(InvalidInputError):
        median_survival_plot(result, level=95)
