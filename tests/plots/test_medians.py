"""The forest plot of study medians: lines are what is printed, and the diamond is the exact interval."""

import warnings

import numpy as np
import pytest

from netsynth.errors import InvalidInputError
from netsynth.medians import aggregate_medians
from netsynth.plots.medians import medians_plot

STAY = {
    "study": ["Adams", "Brown", "Chen", "Diaz", "Evans", "Fox", "Gray"],
    "n": [40, 60, 90, 75, 50, 120, 64],
    "min": [None] * 4 + [1, 2, 1],
    "q1": [6, 8, 7, 5, 6, 9, None],
    "median": [10, 13, 11, 8, 10, 14, 12],
    "q3": [18, 20, 17, 14, 16, 22, None],
    "max": [None] * 4 + [25, 30, 24],
}


def squares(ax):
    return [line for line in ax.lines if line.get_marker() == "s"]


def lines(ax, width):
    found = (line for line in ax.lines if line.get_linewidth() == width and len(line.get_xdata()) == 2)
    return {
        line.get_ydata()[0]: tuple(line.get_xdata())
        for line in found
        if line.get_ydata()[0] == line.get_ydata()[1]
    }


def note(ax):
    return " ".join(text.get_text() for text in ax.texts).replace("\u00a0", " ")


def test_lines_are_quartiles_and_extremes():
    ax = medians_plot(aggregate_medians(STAY, method="MM"))
    assert [mark.get_xdata()[0] for mark in squares(ax)] == STAY["median"]
    assert len({mark.get_markersize() for mark in squares(ax)}) == 1
    assert lines(ax, 2.6) == {i: (STAY["q1"][i], STAY["q3"][i]) for i in range(6)}
    wide = {i: STAY["max"][i] for i in (4, 5, 6)}
    assert lines(ax, 0.9) == {i: (STAY["min"][i], min(last, ax.get_xlim()[1])) for i, last in wide.items()}
    texts = {text.get_text() for text in ax.texts}
    assert {
        "Study",
        "n",
        "Median [95% CI]",
        "Quartiles",
        "Range",
        "[6, 18]",
        "[1, 24]",
        "11 [8, 14]",
    } <= texts
    assert "Exact interval between two studies, coverage 98.4%" in note(ax)


def test_the_diamond_is_the_exact_interval():
    result = aggregate_medians(STAY, method="WM")
    ax = result.plot(level=0.8)
    interval = result.order_interval(0.8)
    (shape,) = [
        patch.get_xy() for patch in ax.patches if len(patch.get_xy()) == 5 and hasattr(patch, "get_closed")
    ]
    assert (shape[:, 0].min(), shape[:, 0].max()) == (interval.lower, interval.upper)
    assert shape[1, 0] == result.estimate
    sizes = np.array([mark.get_markersize() for mark in squares(ax)])
    assert np.argsort(sizes).tolist() == np.argsort(STAY["n"]).tolist()
    assert {"Weighted median", "Median [80% CI]"} <= {text.get_text() for text in ax.texts}


def test_without_an_interval_the_note_says_why():
    few = {name: column[3:] for name, column in STAY.items()}
    few["median"] = [8, 10, 14, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ax = aggregate_medians(few, method="MM").plot()
    assert "No 95% interval exists for the median of 3 studies" in note(ax)
    assert "Left out: Gray (prints no median)" in note(ax)
    assert [mark.get_xdata()[0] for mark in squares(ax)] == [8, 10, 14, 10]
    assert not [patch for patch in ax.patches if hasattr(patch, "get_closed")]


def test_two_groups_have_no_quartiles():
    other = STAY | {"median": [8, 9, 10, 6, 7, 10, 9]}
    result = aggregate_medians(STAY, other, method="MM", quantity="ratio of medians")
    ax = result.plot()
    expected = np.array(STAY["median"]) / np.array(other["median"])
    assert [mark.get_xdata()[0] for mark in squares(ax)] == pytest.approx(expected.tolist())
    assert ax.get_xscale() == "log"
    texts = {text.get_text() for text in ax.texts}
    assert {"1.10", "1.33 [1.10, 1.44]"} <= texts
    assert "Quartiles" not in texts
    assert aggregate_medians(STAY, other, method="MM").plot().get_xscale() == "linear"


def test_no_patients_no_column():
    without = {name: column for name, column in STAY.items() if name != "n"}
    texts = {text.get_text() for text in aggregate_medians(without, method="MM").plot().texts}
    assert "n" not in texts
    assert "Quartiles" in texts


def test_a_model_has_its_own_plot():
    with pytest.raises(
        InvalidInputError, match="QE has a model; its forest plot is forest_plot of the effect"
    ):
        medians_plot(aggregate_medians(STAY))
    with pytest.raises(InvalidInputError, match="level must be a fraction"):
        medians_plot(aggregate_medians(STAY, method="MM"), level=95)
