"""What a plot of the ways to a hazard ratio draws is what they are."""

import math

import matplotlib.pyplot as plt
import pytest

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.errors import InvalidInputError
from netsynth.hazard_ratio import hazard_ratio
from netsynth.plots import _style
from netsynth.plots.hazard_ratio import routes_plot

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")


def squares(ax):
    return [line for line in ax.lines if line.get_marker() == "s" and line.get_transform() == ax.transData]


def several(**more):
    return hazard_ratio(
        hazard_ratio="0.70 (0.55-0.89)", pvalue="0.003", n_events=(130, 150), medians=("20", "15"), **more
    )


def test_squares_and_whiskers_are_the_ways():
    found = several()
    ax = routes_plot(found, level=0.9)
    assert [mark.get_xdata()[0] for mark in squares(ax)] == pytest.approx([r.natural for r in found.routes])
    whiskers = [line for line in ax.lines if len(line.get_xdata()) == 2 and len(set(line.get_ydata())) == 1]
    assert [tuple(line.get_xdata()) for line in whiskers] == [
        pytest.approx(tuple(route.natural_interval(0.9))) for route in found.routes
    ]
    assert "HR [90% CI]" in [text.get_text() for text in ax.texts]
    plt.close("all")


def test_the_chosen_way_is_first_and_in_colour():
    colours = [mark.get_color() for mark in squares(routes_plot(several()))]
    assert colours[0] == _style.BLUE
    assert set(colours[1:]) == {_style.INK}
    adjusted = several(adjusted="full", test="log-rank")
    colours = [mark.get_color() for mark in squares(routes_plot(adjusted))]
    shown = [route.is_adjusted for route in adjusted.routes]
    assert colours == [
        _style.BLUE,
        *(_style.INK if is_adjusted else _style.GREY for is_adjusted in shown[1:]),
    ]
    assert _style.GREY in colours
    plt.close("all")


@pytest.mark.parametrize(("direction", "marker"), [("worse", ">"), ("better", "<")])
def test_a_bound_ends_in_an_arrow(direction, marker):
    found = hazard_ratio(pvalue="<0.001", n_events=100, n_total=(90, 110), direction=direction)
    ax = routes_plot(found)
    arrows = [line for line in ax.lines if line.get_marker() in ("<", ">")]
    assert {line.get_marker() for line in arrows} == {marker}
    assert len(arrows) == len(found.routes)
    assert any("bounded on one side" in text.get_text() for text in ax.texts)
    plt.close("all")


def test_it_takes_axes_and_says_when_they_are_too_small():
    _, ax = plt.subplots(figsize=(8, 4))
    assert several().plot(ax=ax) is ax
    _, small = plt.subplots(figsize=(2, 1))
    with pytest.raises(InvalidInputError, match="this figure needs at least"):
        routes_plot(several(), ax=small)
    plt.close("all")


def test_no_way_is_no_plot():
    found = hazard_ratio(ReportedFactor("A", "grade", find_endpoint("OS"), "poor", "well"))
    assert math.isnan(found.estimate)
    with pytest.raises(InvalidInputError, match="There is no way to show: no ratio is printed"):
        routes_plot(found)
