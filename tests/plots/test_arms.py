"""What the plot of a difference draws is what the result says, and it can be read."""

import re
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.arms import compare_arms
from netsynth.errors import InvalidInputError
from netsynth.ipd import reconstruct_ipd
from netsynth.plots.arms import TIMES, difference_plot

LONG = "The international collaborative group on liver metastases of, $1\n$ 60"


@cache
def comparison(long=False, unit="month", scale=1.0):
    """A curve that is above at first and below afterwards."""
    at = np.array([0, 3, 6, 9, 12, 18, 24, 36]) * scale
    treated = [1, 0.97, 0.9, 0.8, 0.62, 0.5, 0.4, 0.3]
    control = [1, 0.9, 0.84, 0.77, 0.7, 0.6, 0.52, 0.45]
    names = (LONG, f"{LONG} 2") if long else ("Surgery", "Waiting")
    arms = [
        reconstruct_ipd(
            at,
            level,
            at_risk_time=scale * np.array([0.0, 12, 24]),
            n_at_risk=[100, number, number // 2],
            unit=unit,
            label=name,
        )
        for level, number, name in ((treated, 58, names[0]), (control, 60, names[1]))
    ]
    return compare_arms(*arms, n_draws=5)


@pytest.mark.parametrize(
    ("quantity", "scale", "label"),
    [
        ("survival", 100, "Difference in survival, points"),
        ("rmst", 1, "Difference in mean survival, months"),
    ],
)
def test_the_line_and_the_band_are_the_difference(quantity, scale, label):
    found = comparison()
    ax = difference_plot(found, quantity, level=0.9)
    (line,) = [line for line in ax.lines if len(line.get_xdata()) > 2]
    x, y = line.get_data()
    assert (x[0], y[0]) == (0, 0)
    assert len(x) == TIMES
    frame = found.difference_frame(x[1:], quantity, level=0.9)
    assert y[1:] == pytest.approx(scale * frame.estimate.to_numpy())
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(scale * frame.ci_lower.min())
    assert corners[:, 1].max() == pytest.approx(scale * frame.ci_upper.max())
    assert ax.get_ylabel() == label
    assert ax.get_xlabel() == "Months"
    assert line.get_drawstyle() == ("steps-post" if quantity == "survival" else "default")
    low, high = ax.get_ylim()
    assert low <= corners[:, 1].min()
    assert corners[:, 1].max() <= high


def test_a_result_draws_itself():
    found = comparison()
    assert found.plot_difference().get_ylabel() == "Difference in survival, points"
    assert found.plot_difference("rmst").get_ylabel() == "Difference in mean survival, months"
    names = {text.get_text() for text in found.plot().texts}
    assert {"Surgery", "Waiting"} <= names
    several = compare_arms({"a": found.treated, "b": found.control, "c": found.treated}, "b", n_draws=2)
    assert {"a", "b", "c"} <= {text.get_text() for text in several.plot().texts}


def test_another_quantity_is_refused():
    with pytest.raises(InvalidInputError, match="quantity must be one of survival, rmst; got 'hazard'"):
        difference_plot(comparison(), "hazard")


FIGURES = {
    "survival": lambda **room: difference_plot(comparison(), **room),
    "rmst": lambda **room: difference_plot(comparison(), "rmst", **room),
    "long": lambda **room: difference_plot(comparison(long=True), **room),
    "days": lambda **room: difference_plot(comparison(unit="day", scale=30.0), "rmst", **room),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_nothing_overlaps(figure, readable):
    readable(FIGURES[figure]())


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_of_the_size_asked_for_is_readable(figure, readable):
    small = plt.figure(figsize=(1, 0.8)).add_axes((0, 0, 1, 1))
    with pytest.raises(InvalidInputError) as error:
        FIGURES[figure](ax=small)
    message = str(error.value)
    for _ in range(3):  # less width may need more height, which only the next error can say
        width, height = map(float, re.search(r"at least (\d+\.\d) by (\d+\.\d)\.", message).groups())
        ax = plt.figure(figsize=(width, height), dpi=150).add_axes((0, 0, 1, 1))
        try:
            FIGURES[figure](ax=ax)
            break
        except InvalidInputError as again:
            message = str(again)
    readable(ax)
    larger = plt.figure(figsize=(width + 1, height + 1), dpi=150).add_axes((0, 0, 1, 1))
    readable(FIGURES[figure](ax=larger))
