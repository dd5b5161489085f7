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


def bars(ax):
    return [line for line in ax.lines if line.get_marker() == "|"]


@pytest.mark.parametrize(
    ("direction", "cell", "open_end"),
    [("better", "\u22640.55\t[0,\t0.79]", 0), ("worse", "\u22651.82\t[1.27,\t\u221e]", 1)],
)
def test_a_bound_stands_within_the_axis_with_its_sign(direction, cell, open_end):
    """z of 0.001 is 3.291, and 120 events in groups of one size have V = 30: exp(3.291 / sqrt(30)) is 1.82."""
    found = hazard_ratio(pvalue="<0.001", n_events=120, n_total=(150, 150), direction=direction)
    bound = math.exp((-1 if direction == "better" else 1) * 3.2905267 / math.sqrt(30))
    ax = routes_plot(found)
    low, high = ax.get_xlim()
    assert low < bound < high
    assert [mark.get_xdata()[0] for mark in bars(ax)] == pytest.approx([bound, bound])
    assert squares(ax) == []  # a square would be an estimate
    # the closed end of the interval is in sight, and as much of the open side on the log scale
    closed = found.natural_interval()[1 - open_end]
    assert low < closed < high
    assert low < bound**2 / closed < high
    thick = [line for line in ax.lines if line.get_linewidth() > 2 and len(line.get_xdata()) == 2]
    edge = (low, high)[open_end]
    assert [tuple(line.get_xdata()) for line in thick] == [pytest.approx((edge, bound))] * 2
    shown = "".join(text.get_text() for text in ax.texts)
    for part in cell.split("\t"):
        assert part in shown
    plt.close("all")


def test_a_bound_beside_an_estimate():
    found = hazard_ratio(pvalue="<0.001", n_events=(70, 50), direction="worse", medians=("10", "18"))
    ax = routes_plot(found)
    assert [mark.get_xdata()[0] for mark in squares(ax)] == pytest.approx([18 / 10])
    assert len(bars(ax)) == 2
    plt.close("all")
