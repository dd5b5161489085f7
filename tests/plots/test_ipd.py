"""What a plot of reconstructed patients draws is what the result says, and it can be read."""

import dataclasses
import io
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from netsynth.errors import InvalidInputError
from netsynth.ipd import reconstruct_ipd
from netsynth.plots import style
from netsynth.plots.ipd import TICKS_APART, WIDTH, ipd_plot

LONG = "The international collaborative group on liver metastases of, $1\n$ 60"

# Freireich EJ et al. (1963): weeks in remission, 21 children on 6-MP and 21 on placebo; + is censored
MERCAPTOPURINE = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PLACEBO = "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"


def corners(patients):
    """Lower ends of the steps of a Kaplan-Meier curve, by hand in one loop."""
    times = [int(text.rstrip("+")) for text in patients.split()]
    is_event = [not text.endswith("+") for text in patients.split()]
    at, level, survival = [0.0], [1.0], 1.0
    for time in sorted({t for t, event in zip(times, is_event, strict=True) if event}):
        r = sum(t >= time for t in times)
        d = sum(t == time and event for t, event in zip(times, is_event, strict=True))
        survival *= 1 - d / r
        at.append(float(time))
        level.append(survival)
    return [*at, max(times)], [*level, survival]


def mercaptopurine(**more):
    options = {
        "at_risk_time": [0, 10, 20, 30],
        "n_at_risk": [21, 15, 8, 4],
        "unit": "week",
        "label": "6-MP",
        "steps": True,
    }
    return reconstruct_ipd(*corners(MERCAPTOPURINE), **{**options, **more})


def placebo(**more):
    return reconstruct_ipd(
        *corners(PLACEBO), n_total=21, **{"unit": "week", "label": "Placebo", "steps": True, **more}
    )


def arm(n, *, end=60.0, hazard=1.0, m=90, table=6, unit="month", label="Arm", seed=1):
    """Patients with exponential times, their curve clicked at m points, with `table` numbers at risk."""
    rng = np.random.default_rng(seed)
    death, lost = rng.exponential(end / hazard, n), rng.uniform(0.3 * end, 1.4 * end, n)
    time, event = np.minimum(np.minimum(death, lost), end), (death <= lost) & (death <= end)
    at = np.linspace(0.0, end, m)
    level = np.ones(m)
    for t in np.sort(time[event]):
        level[at >= t] *= 1 - 1 / (time >= t).sum()
    clicked = np.clip(np.round(level + np.where(at > 0, rng.normal(0, 0.003, m), 0.0), 3), 0, 1)
    numbers = np.linspace(0.0, end, table) if table else np.zeros(1)
    return reconstruct_ipd(
        at,
        clicked,
        at_risk_time=numbers,
        n_at_risk=[(time >= t).sum() for t in numbers],
        unit=unit,
        label=label,
    )


def lines(ax, *, marker="None"):
    """Lines in the coordinates of the data."""
    return [line for line in ax.lines if line.get_transform() == ax.transData and line.get_marker() == marker]


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def stairs(ax):
    return [line for line in lines(ax) if line.get_drawstyle() == "steps-post"]


def test_the_line_is_the_curve_of_the_patients():
    made = mercaptopurine()
    ax = ipd_plot(made)
    (line,) = stairs(ax)
    x, y = line.get_data()
    assert (x[0], y[0], x[-1]) == (0, 100, 35)
    assert y[1:-1] == pytest.approx(100 * made.survival(x[1:-1]))
    # the trial's own curve, which exact steps with a table give back
    at, level = corners(MERCAPTOPURINE)
    steps = {float(t): y[np.flatnonzero(x == t)[-1]] for t in at[1:-1]}
    assert list(steps.values()) == pytest.approx(100 * np.array(level[1:-1]))


def test_points_stand_where_they_were_read_and_differences_under_them():
    made = arm(80)
    ax = ipd_plot(made)
    (points,) = lines(ax, marker="o")
    assert points.get_xdata() == pytest.approx(made.point_time)
    assert points.get_ydata() == pytest.approx(100 * made.point_survival)
    (panel,) = ax.child_axes
    (differences,) = lines(panel, marker="o")
    assert differences.get_xdata() == pytest.approx(made.point_time)
    # between the two levels of a step there is none, else the distance from the nearer of the levels
    for at, point, miss in zip(
        made.point_time, made.point_survival, 0.01 * differences.get_ydata(), strict=True
    ):
        after = made.survival(at)
        before = 1.0 if at == 0 else made.survival(np.nextafter(at, 0))
        assert miss == pytest.approx(np.clip(point, after, before) - point, abs=1e-12)
    assert panel.get_xlim() == ax.get_xlim() == (0, 60)
    low, high = panel.get_ylim()
    assert -low == high >= np.abs(differences.get_ydata()).max()


@pytest.mark.parametrize(("largest", "reach"), [(0.0, 0.5), (0.004, 0.5), (0.0101, 2.0), (0.32, 50.0)])
def test_the_scale_of_differences_is_round(largest, reach):
    at, level = corners(PLACEBO)
    made = placebo()
    moved = dataclasses.replace(
        made, point_survival=np.array(level) - np.where(np.array(at) == 8, largest, 0)
    )
    (panel,) = ipd_plot(moved).child_axes
    assert panel.get_ylim() == (-reach, reach)
    assert [label.get_text() for label in panel.get_yticklabels()] == [f"−{reach:g}", "0", f"{reach:g}"]


def test_censorings_have_ticks_that_keep_apart():
    made = mercaptopurine()
    ax = ipd_plot(made)
    (ticks,) = lines(ax, marker="|")
    at = np.unique(made.time[made.event == 0])
    apart = 35 * TICKS_APART / WIDTH
    assert np.isin(ticks.get_xdata(), at).all()
    assert (np.diff(ticks.get_xdata()) >= apart - 1e-9).all()
    left_out = at[~np.isin(at, ticks.get_xdata())]
    assert all((np.abs(ticks.get_xdata() - t) < apart).any() for t in left_out)
    assert ticks.get_ydata() == pytest.approx(100 * made.survival(ticks.get_xdata()))
    assert "censored" in texts(ax)
    assert "censored" not in texts(ipd_plot(placebo()))  # all of them relapsed
    crowded = ipd_plot(arm(2000))
    assert len(lines(crowded, marker="|")[0].get_xdata()) <= WIDTH / TICKS_APART + 1


@pytest.mark.parametrize(
    ("unit", "end", "labels"),
    [
        ("day", 1000, ["0", "180", "360", "540", "720", "900"]),
        ("day", 8, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]),
        ("week", 35, ["0", "4", "8", "12", "16", "20", "24", "28", "32"]),
        ("month", 60, ["0", "6", "12", "18", "24", "30", "36", "42", "48", "54", "60"]),
        ("month", 13, ["0", "2", "4", "6", "8", "10", "12"]),
        ("year", 12, ["0", "2", "4", "6", "8", "10", "12"]),
        ("year", 0.5, ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
    ],
)
def test_time_is_in_the_unit_of_the_result(unit, end, labels):
    made = reconstruct_ipd([0, end / 3, end / 2, end], [1, 0.8, 0.7, 0.6], n_total=50, unit=unit)
    ax = ipd_plot(made)
    (panel,) = ax.child_axes
    assert panel.get_xlabel() == {"day": "Days", "week": "Weeks", "month": "Months", "year": "Years"}[unit]
    assert [label.get_text() for label in panel.get_xticklabels()] == labels
    assert list(panel.get_xticks()) == pytest.approx([float(label) for label in labels])
    assert list(panel.get_xticks()) == list(ax.get_xticks())


def test_ticks_stand_at_the_times_of_the_numbers_at_risk():
    ax = ipd_plot(mercaptopurine())
    assert list(ax.get_xticks()) == [0, 10, 20, 30]
    every_second = ipd_plot(arm(80, table=13))
    assert list(every_second.get_xticks()) == [0, 10, 20, 30, 40, 50, 60]
    short = ipd_plot(mercaptopurine(at_risk_time=[0, 6, 12], n_at_risk=[21, 21, 12]))
    assert list(short.get_xticks())[1] == 4  # such a table says little of the axis
    both = ipd_plot([mercaptopurine(), mercaptopurine(at_risk_time=[0, 11, 33], n_at_risk=[21, 13, 2])])
    assert list(both.get_xticks())[1] == 4  # these are not the times of one axis


def test_percent_runs_from_0_to_100():
    ax = ipd_plot(placebo(), label="Remission")
    assert ax.get_ylim() == (0, 100)
    assert ax.get_ylabel() == "Remission, %"


def centres(ax, names):
    """Horizontal middle of texts, in units of time."""
    ax.figure.draw_without_rendering()
    to_data = ax.transData.inverted()
    found = {}
    for text in ax.texts:
        if text.get_text() in names:
            box = text.get_window_extent()
            found[text.get_text()] = to_data.transform((0.5 * (box.x0 + box.x1), 0))[0]
    return found


def test_numbers_at_risk_stand_under_their_times():
    ax = ipd_plot(mercaptopurine())
    at = centres(ax, {"21", "15", "8", "4"})
    assert at == {text: pytest.approx(time, abs=0.2) for text, time in zip(at, (0, 10, 20, 30), strict=True)}
    assert "At risk" in texts(ax)
    assert "At risk" not in texts(ipd_plot(placebo()))


def test_a_number_at_risk_that_is_missed_is_shown_beside_the_printed_one():
    made = mercaptopurine()
    table = dataclasses.replace(made.table, n_at_risk=np.array([21, 16, 8, 4]))
    ax = ipd_plot(dataclasses.replace(made, table=table))
    assert {"21", "16→15", "8", "4", "at risk as printed → as reconstructed"} <= set(texts(ax))
    assert not any("→" in text for text in texts(ipd_plot(made)))


def test_the_median_is_where_the_curve_is_at_half():
    ax = ipd_plot(mercaptopurine())
    assert any(line.get_xydata().tolist() == [[0, 50], [23, 50], [23, 0]] for line in lines(ax))
    assert "median 23 weeks" in texts(ax)
    early = ipd_plot(reconstruct_ipd([0, 5, 10], [1, 0.9, 0.8], n_total=50))
    assert not any("median" in text for text in texts(early))
    one = ipd_plot(reconstruct_ipd([0, 1, 2], [1, 0.4, 0.3], n_total=10, unit="year", steps=True))
    assert "median 1 year" in texts(one)


def test_the_title_counts():
    assert "6-MP, n = 21, 9 events" in texts(ipd_plot(mercaptopurine()))
    assert "n = 21, 21 events" in texts(ipd_plot(placebo(label="")))


def test_the_key_says_what_points_were_taken_for():
    assert "corners read" in texts(ipd_plot(placebo()))
    assert "read from the picture" in texts(ipd_plot(arm(80)))
    both = texts(ipd_plot([placebo(), arm(80, unit="week")]))
    assert {"corners read", "read from the picture"} <= set(both)
    given = dataclasses.replace(placebo(), points="curve")
    assert "points given" in texts(ipd_plot(given))


def test_arms_have_names_colours_and_marks_of_their_own():
    arms = {"First arm": mercaptopurine(), "Second arm": placebo()}
    ax = ipd_plot(arms)
    assert [text for text in texts(ax) if text.endswith("arm")] == ["First arm", "Second arm", "First arm"]
    assert len({to_hex(line.get_color()) for line in stairs(ax)}) == 2
    for line, made in zip(stairs(ax), arms.values(), strict=True):
        assert line.get_xdata()[-1] == made.table.end
    assert len(lines(ax, marker="o")) == len(lines(ax, marker="s")) == 1
    assert ax.get_xlim() == (0, 35)
    assert not any(text.startswith("median") for text in texts(ax))


def test_a_sequence_of_arms_is_named_by_the_labels():
    found = texts(ipd_plot([mercaptopurine(), placebo(label="")]))
    assert "6-MP" in found
    assert "Arm 2" in found


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (list, "There is no arm to draw; give at least one."),
        (dict, "There is no arm to draw; give at least one."),
        (lambda: [placebo()] * 7, "There are 7 arms; draw 6 at most in one figure."),
        (
            lambda: [placebo(), mercaptopurine(unit="day")],
            "All arms must count time in one unit; Placebo is in weeks, 6-MP in days.",
        ),
    ],
)
def test_arms_that_make_no_figure_are_refused(arms, message):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        ipd_plot(arms())
    assert plt.get_fignums() == []


def test_a_result_plots_itself():
    figure, ax = plt.subplots(figsize=(8, 8))
    made = mercaptopurine()
    assert made.plot(ax=ax) is ax
    assert len(stairs(made.plot())) == 1
    assert plt.get_fignums() == [figure.number, figure.number + 1]


# --- can it be read?

FIGURES = {
    "steps": mercaptopurine,
    "no_table": placebo,
    "two": lambda: [mercaptopurine(), placebo()],
    "few": lambda: arm(5, m=20, table=3),
    "many": lambda: arm(2600, table=11, label=LONG),
    "many_alike": lambda: arm(2600, m=400, table=0, hazard=0.02, unit="day"),
    "long_names": lambda: {f"{LONG[:30]} {i}": arm(90 + i, seed=i, hazard=0.5 + i) for i in range(3)},
    "six": lambda: [
        arm(12_000 if i == 0 else 40, m=30, seed=i, end=50.0 + i, table=9, label=f"Arm {i}") for i in range(6)
    ],
}
every_figure = pytest.mark.parametrize("figure", FIGURES)


@every_figure
def test_nothing_overlaps(figure, readable):
    readable(ipd_plot(FIGURES[figure](), label=LONG if figure == "long_names" else "Survival"))


@every_figure
def test_a_figure_of_the_size_asked_for_is_readable(figure, readable):
    arms = FIGURES[figure]()
    small = plt.figure(figsize=(1, 0.8)).add_axes((0, 0, 1, 1))
    with pytest.raises(InvalidInputError) as error:
        ipd_plot(arms, ax=small)
    assert not small.texts
    message = str(error.value)
    for _ in range(3):  # less width may need more height, which only the next error can say
        width, height = map(float, re.search(r"at least (\d+\.\d) by (\d+\.\d)\.", message).groups())
        ax = plt.figure(figsize=(width, height), dpi=150).add_axes((0, 0, 1, 1))
        try:
            ipd_plot(arms, ax=ax)
            break
        except InvalidInputError as again:
            message = str(again)
    readable(ax)
    larger = plt.figure(figsize=(width + 1, height + 1), dpi=150).add_axes((0, 0, 1, 1))
    readable(ipd_plot(arms, ax=larger))


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_figures_side_by_side_are_readable(layout, readable):
    with style():
        whole, axes = plt.subplots(1, 2, figsize=(14, 6), layout=layout)
    for ax in axes:
        assert ipd_plot([mercaptopurine(), placebo()], ax=ax) is ax
    whole.draw_without_rendering()  # a layout engine that moves axes must not pull text and plot apart
    readable(ax)


def test_the_parts_keep_their_distance_when_the_window_grows(readable):
    ax = ipd_plot(mercaptopurine())
    ax.figure.set_size_inches(8, 9)
    readable(ax)
    (panel,) = ax.child_axes
    box, below = ax.get_window_extent(), panel.get_window_extent()
    dpi = ax.figure.dpi
    assert (box.y0 - below.y1) / dpi == pytest.approx(0.13, abs=0.01)
    assert below.height / dpi == pytest.approx(0.52, abs=0.01)
    assert (below.x0, below.x1) == pytest.approx((box.x0, box.x1))


def test_a_figure_fits_the_column_of_a_journal():
    width, height = ipd_plot(mercaptopurine()).figure.get_size_inches()
    assert width < 4.5
    assert height < 5


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_the_same_figure_is_the_same_file(suffix, saved):
    first, second = (saved(ipd_plot(FIGURES["two"]()), suffix) for _ in range(2))
    assert first == second
    assert len(first) > 5000


def test_global_style_neither_changes_nor_matters():
    def pixels():
        buffer = io.BytesIO()
        ipd_plot(FIGURES["two"]()).figure.savefig(buffer, format="raw", dpi=100)
        return buffer.getvalue()

    plain = pixels()
    wild = {
        "font.family": "serif",
        "font.size": 20,
        "xtick.direction": "in",
        "ytick.labelsize": 20,
        "xtick.minor.visible": True,
        "lines.linewidth": 5,
        "lines.marker": "x",
        "axes.spines.right": True,
        "axes.unicode_minus": False,
    }
    with mpl.style.context(["ggplot", wild]):
        before = dict(mpl.rcParams)
        styled = pixels()
        assert dict(mpl.rcParams) == before
    assert styled == plain
