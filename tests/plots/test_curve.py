"""What a plot of survival curves draws is what the curves say."""

import re

import numpy as np
import pytest

from netsynth.errors import InvalidInputError
from netsynth.plots import curve_plot
from netsynth.plots._curves import apart
from netsynth.pool import pool_effects
from netsynth.reconstruct import reconstruct_survival

MONTHS = [36.0, 60.0, 120.0]
PERCENT = [83.0, 70.5, 42.0]

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.FewStudiesWarning")


def curve(months=MONTHS, percent=PERCENT, **more):
    return reconstruct_survival(months, np.array(percent) / 100, **more)


def pooled(centre=0.0, k=3):
    effects = centre + 0.3 * np.arange(k)
    return pool_effects(effects, se=[0.2] * k, measure="cloglog_survival")


def lines(ax, *, marker="None"):
    """Lines in the coordinates of the data."""
    return [line for line in ax.lines if line.get_transform() == ax.transData and line.get_marker() == marker]


def line_between(ax, x, y):
    """Whether a straight line is drawn between the points."""
    return any(
        np.shape(line.get_xydata()) == (len(x), 2) and np.allclose(line.get_xydata(), np.column_stack([x, y]))
        for line in lines(ax)
    )


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def test_the_line_is_the_curve_through_the_reported_points():
    made = curve()
    ax = curve_plot(made)
    line = max(lines(ax), key=lambda line: len(line.get_xdata()))
    x, y = line.get_xdata(), line.get_ydata()
    assert y == pytest.approx(100 * made.survival(x))
    assert (x[0], y[0], x[-1]) == (0, 100, 120)
    assert np.isin(MONTHS, x).all()
    (points,) = lines(ax, marker="o")
    assert points.get_xdata() == pytest.approx(MONTHS)
    assert points.get_ydata() == pytest.approx(PERCENT)


def test_shaded_is_what_the_printed_digits_allow():
    """Between landmarks survival may be anything from the next to the one before; 83% stands for 82.5 to 83.5."""
    ax = curve_plot(curve(decimals=[0, 1, 0]))
    (area,) = ax.collections
    path = area.get_paths()[0]
    inside = [(1, 99.9), (35, 82.6), (37, 83.4), (59, 70.46), (61, 70.54), (119, 41.6)]
    outside = [(1, 82.4), (35, 82.4), (37, 83.6), (59, 70.44), (61, 70.56), (119, 41.4)]
    assert all(path.contains_point(point) for point in inside)
    assert not any(path.contains_point(point) for point in outside)
    assert not curve_plot(curve(), bounds=False).collections
    assert not curve_plot([curve(), curve()]).collections
    assert len(curve_plot([curve(), curve()], bounds=True).collections) == 2


def test_confidence_intervals_are_drawn_where_they_are_known():
    # symmetric on the plain scale, and drawn as printed
    made = curve(ci_lower=[0.756, np.nan, np.nan], ci_upper=[0.904, np.nan, np.nan], n_total=100)
    ax = curve_plot(made)
    assert line_between(ax, [36, 36], [75.6, 90.4])
    drawn = {line.get_xdata()[0] for line in lines(ax) if len(line.get_xdata()) == 2}
    assert drawn == {36}  # the others are imputed
    assert "reported, 95% CI" in texts(ax)
    assert "reported" in texts(curve_plot(curve(n_total=100)))


def test_the_level_moves_the_intervals():
    made = curve(n_total=100, n_at_risk=[75, 52, 18])
    low, high = (100 * limit[0] for limit in made.confidence_interval(0.8))
    ax = curve_plot(made, level=0.8)
    assert line_between(ax, [36, 36], [low, high])
    assert "reported, 80% CI" in texts(ax)


def test_the_median_is_where_the_curve_is_at_half():
    made = curve()
    ax = curve_plot(made)
    assert line_between(ax, [0, made.median, made.median], [50, 50, 0])
    assert f"median {made.median:.1f} months" in texts(ax)
    early = curve_plot(curve([12, 24], [90, 80]))  # it is not reached
    assert not any("median" in text for text in texts(early))


def test_nothing_is_drawn_after_the_last_figure_unless_a_tail_is_named():
    ax = curve_plot(curve())
    assert ax.get_xlim() == (0, 120)
    made = curve(tail="exponential")
    ax = curve_plot(made)
    (tail,) = [line for line in lines(ax) if line.get_xdata()[0] == 120]
    assert tail.get_linestyle() == "--"
    assert tail.get_xdata()[-1] == 150
    assert tail.get_ydata() == pytest.approx(100 * made.survival(tail.get_xdata()))
    (solid,) = [line for line in lines(ax) if line.get_xdata()[-1] == 120]
    assert solid.get_linestyle() == "-"
    assert "extrapolated" in texts(ax)


def test_a_tail_of_one_curve_has_its_limits_as_a_band():
    made = curve(tail="weibull", n_at_risk=[75, 52, 18], n_total=100)
    (band,) = list(curve_plot(made, bounds=False, level=0.9).collections)
    corners = band.get_paths()[0].vertices
    lower, upper = made.confidence_interval(0.9, time_months=[120.0, 150.0])
    for month, low, high in ((120, lower[0], upper[0]), (150, lower[1], upper[1])):
        there = corners[corners[:, 0] == month, 1]
        assert [there.min(), there.max()] == pytest.approx([100 * low, 100 * high])
    assert "90% CI of the extrapolation" in texts(curve_plot(made, level=0.9))
    imputed = curve_plot(curve(tail="weibull", n_total=100, n_at_risk=None), bounds=False)
    assert not imputed.collections
    two = curve_plot([made, made])
    assert not two.collections


@pytest.mark.parametrize(
    ("last", "unit", "labels"),
    [
        (10, "Months", ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]),
        (24, "Months", ["0", "3", "6", "9", "12", "15", "18", "21", "24"]),
        (35, "Months", ["0", "6", "12", "18", "24", "30"]),
        (36, "Years", ["0", "1", "2", "3"]),
        (75, "Years", ["0", "1", "2", "3", "4", "5", "6"]),
        (300, "Years", ["0", "5", "10", "15", "20", "25"]),
    ],
)
def test_ticks_are_whole_months_or_years(last, unit, labels):
    ax = curve_plot(curve([last / 2, last], [80, 60]))
    assert ax.get_xlabel() == unit
    assert [label.get_text() for label in ax.get_xticklabels()] == labels
    months = 12 if unit == "Years" else 1
    assert list(ax.get_xticks()) == [months * int(label) for label in labels]


def test_percent_runs_from_0_to_100():
    ax = curve_plot(curve(), label="Overall survival")
    assert ax.get_ylim() == (0, 100)
    assert ax.get_ylabel() == "Overall survival, %"


def centres(ax, names):
    """Horizontal middle of texts, in months."""
    ax.figure.draw_without_rendering()
    to_data = ax.transData.inverted()
    found = {}
    for text in ax.texts:
        if text.get_text() in names:
            box = text.get_window_extent()
            found[text.get_text()] = to_data.transform((0.5 * (box.x0 + box.x1), 0))[0]
    return found


def test_numbers_at_risk_stand_under_their_times():
    ax = curve_plot(curve(n_total=100, n_at_risk=[75, np.nan, 18]))
    at = centres(ax, {"75", "18"})
    assert at["75"] == pytest.approx(36, abs=0.3)
    assert at["18"] == pytest.approx(120, abs=0.3)
    ax.figure.set_size_inches(12, 5)  # they stay there when the window grows
    assert centres(ax, {"75"})["75"] == pytest.approx(36, abs=0.3)
    assert "At risk" in texts(ax)
    assert "At risk" not in texts(curve_plot(curve(n_total=100)))


def test_numbers_at_risk_that_would_touch_are_left_out():
    ax = curve_plot(curve([58, 59, 60], [90, 89, 88], n_total=500, n_at_risk=[444, 333, 222]))
    assert "444" in texts(ax)
    assert "333" not in texts(ax)


def test_few_curves_have_names_and_marks_of_their_own():
    made = [curve(label=f"Author {i}") for i in range(6)]
    ax = curve_plot(made)
    assert [text for text in texts(ax) if text.startswith("Author")] == [f"Author {i}" for i in range(6)]
    long = [line for line in lines(ax, marker="None") if len(line.get_xdata()) > 100]
    assert len({line.get_color() for line in long}) == 6
    marks = [line.get_marker() for line in ax.lines if len(line.get_xdata()) == 3]
    assert len(set(marks)) == len(marks) == 6


def test_many_curves_are_thin_and_nameless():
    ax = curve_plot([curve(label=f"Author {i}") for i in range(7)])
    assert not [text for text in texts(ax) if text.startswith("Author")]
    long = [line for line in lines(ax) if len(line.get_xdata()) > 100]
    assert len(long) == 7
    assert {line.get_linewidth() for line in long} == {0.8}


def test_pooled_landmarks_with_both_intervals():
    effect = pooled()
    ax = curve_plot([curve()], pooled={60: effect}, level=0.9)
    (point,) = lines(ax, marker="D")
    assert point.get_xydata().tolist() == [[60, pytest.approx(100 * effect.natural)]]
    thick, thin = effect.natural_interval(0.9), effect.natural_prediction_interval(0.9)
    assert line_between(ax, [60, 60], [100 * thick.lower, 100 * thick.upper])
    assert line_between(ax, [60, 60], [100 * thin.lower, 100 * thin.upper])
    widths = {
        tuple(np.round(line.get_ydata(), 6)): line.get_linewidth()
        for line in lines(ax)
        if len(line.get_xdata()) == 2
    }
    assert (
        widths[tuple(np.round([100 * thick.lower, 100 * thick.upper], 6))]
        > widths[tuple(np.round([100 * thin.lower, 100 * thin.upper], 6))]
    )
    assert "pooled, 90% CI (thick) and prediction interval (thin)" in texts(ax)


def test_a_pooled_landmark_after_the_curves_has_its_place():
    assert curve_plot([curve()], pooled={180: pooled()}).get_xlim() == (0, 180)


@pytest.mark.parametrize("months", [0, -12, float("nan"), float("inf")])
def test_a_landmark_is_a_time(months):
    message = f"A pooled landmark must be a positive number of months; got {months!r}."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        curve_plot(curve(), pooled={months: pooled()})


def test_what_is_pooled_is_survival():
    ratio = pool_effects([0.1, 0.2, 0.3], se=[0.2] * 3, measure="log_hr")
    with pytest.raises(
        InvalidInputError,
        match=r"^The pooled effect at 60 months must be one of survival; got 'log_hr'\.$",
    ):
        curve_plot(curve(), pooled={60: ratio})


def test_there_must_be_a_curve():
    with pytest.raises(InvalidInputError, match=r"^There is no curve to draw; give at least one\.$"):
        curve_plot([])


def test_names_keep_apart_and_near_where_they_are_wanted():
    rng = np.random.default_rng(1)
    for n in (1, 2, 6, 12):
        wanted = rng.uniform(0, 3, n)
        placed = apart(wanted, 0.1, 3.0)
        assert (np.diff(np.sort(placed)) >= 0.1 - 1e-12).all()
        assert ((placed >= -1e-12) & (placed <= 3 + 1e-12)).all()
        assert np.argsort(placed).tolist() == np.argsort(wanted).tolist()
    assert apart(np.array([0.2, 1.0, 2.0]), 0.1, 3.0) == pytest.approx([0.2, 1.0, 2.0])
    assert apart(np.array([1.0, 1.0]), 0.2, 3.0) == pytest.approx([0.9, 1.1])
    assert apart(np.array([0.0, 0.0]), 0.2, 3.0) == pytest.approx([0.0, 0.2])
