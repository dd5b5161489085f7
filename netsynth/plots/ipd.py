"""Curves of reconstructed patients over the points they come from, differences, and numbers at risk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format
from netsynth.errors import InvalidInputError
from netsynth.plots import _curves, _style
from netsynth.plots._curves import AT_RISK, COLOURS, FEW, LEADER, MARKS, MEDIAN
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.results.ipd import PseudoIPD

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

__all__ = ["ipd_plot"]

WIDTH: Final = 3.3  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 2.3
LEAST: Final = (1.5, 1.0)  # inches below which given axes are too small
BETWEEN: Final = 0.13  # inches between the curves and their differences
PANEL: Final = 0.52  # inches of the differences
AXIS: Final = 0.22 + LINE  # inches under the differences for the ticks and the label
TICKS_APART: Final = 0.05  # inches between ticks of censoring, which would touch if nearer
MOST_TICKS: Final = 11  # of the axis of time
POINTS: Final = MappingProxyType(
    {"clicks": "read from the picture", "steps": "corners read", "curve": "points given"}
)
#: Distances of the ticks of time, in each unit.
STEPS: Final = MappingProxyType(
    {
        "day": (1, 2, 5, 10, 30, 60, 90, 180, 365, 730, 1825, 3650),
        "week": (1, 2, 4, 8, 13, 26, 52, 104, 260, 520),
        "month": (1, 2, 3, 6, 12, 24, 36, 60, 120, 240),
        "year": (1, 2, 5, 10, 20, 50),
    }
)
DIFFERENCES: Final = ("Difference,", "points")
CENSORED: Final[Look] = {"ls": "", "marker": "|", "ms": 4.2, "mew": 0.6}


def ipd_plot(
    arms: PseudoIPD | Sequence[PseudoIPD] | Mapping[str, PseudoIPD],
    *,
    ax: Axes | None = None,
    label: str = "Survival",
) -> Axes:
    """Reconstructed patients beside what was read: curves, differences from the points, and numbers at risk.

    Parameters
    ----------
    arms : PseudoIPD, or sequence or mapping of str to PseudoIPD
        From `reconstruct_ipd`: one arm or up to six, all in one unit of time. The keys of a mapping are their names.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    label : str
        What the y-axis shows, without its unit.

    Returns
    -------
    Axes
        The axes with the curves, in percent over the time in the unit of the arms. Below them, as the one of its
        ``child_axes``, are the differences, curve less point, in percentage points.

    Raises
    ------
    InvalidInputError
        If there is no arm or there are more than six, they differ in their unit of time, or the axes are too small for
        the text.

    Notes
    -----
    Short upright ticks on the curve are censorings; of those so near that they would touch only the first is drawn.
    Numbers at risk are those that were printed. Where the patients miss one, their own number follows it after an
    arrow. A number for which there is no room beside an earlier one is left out.

    Examples
    --------
    >>> from netsynth.ipd import reconstruct_ipd
    >>> arm = reconstruct_ipd([0, 8, 9, 20], [1, 1, 0.7, 0.68], n_total=50, unit="week", label="Placebo")
    >>> ax = ipd_plot(arm)
    >>> ax.get_ylabel(), ax.child_axes[0].get_xlabel()
    ('Survival, %', 'Weeks')
    """
    shown, names = _arms(arms)
    is_one, unit = len(shown) == 1, shown[0].unit
    stop = max(arm.table.end for arm in shown)
    at_risk = [i for i, arm in enumerate(shown) if arm.table.time.size > 1]
    reach = _reach(shown)
    y_label = f"{_style.one_line(label)}, %"

    with _style.style():
        risk_names = [AT_RISK if is_one else names[i] for i in at_risk]
        right = 0.5 * _style.text_width([f"{stop:.0f}"])
        if not is_one:
            right = LEADER + _style.text_width(names) + 0.02
        numbers = max(_style.text_width(["100"]), _style.text_width([_style.tick_text(-reach)]))

        def left(plot_height: float) -> tuple[float, list[str]]:
            """Inches left of the plot, and the lines of the label there."""
            lines = _style.wrapped(y_label, plot_height)
            percent = 0.17 + numbers + LINE * max(len(lines), len(DIFFERENCES))
            return max(percent, _style.text_width(risk_names, size=_style.SMALL) + 0.2), lines

        if ax is None:
            width_left, y_lines = left(HEIGHT)
            total = width_left + WIDTH + right
        else:
            total, whole = _style.area(ax)
        key = Key((("", tuple(_samples(shown, stop))),), total)
        title = _style.wrapped(_title(shown[0], names[0]), total, weight="bold") if is_one else []
        below = BETWEEN + PANEL
        risk_foot = 0.1 + LINE * (len(at_risk) + (not is_one)) if at_risk else 0.0
        head, foot = 0.07 + LINE * len(title), below + AXIS + risk_foot + 0.1 + key.height
        if ax is None:
            ax = _style.new_axes(total, head + HEIGHT + foot)
        else:
            width_left, y_lines = left(max(whole - head - foot, LEAST[1]))
        least = (LEAST[0], max(LEAST[1], 0.0 if is_one else LINE * len(shown)))
        width, height = _style.make_room(ax, left=width_left, right=right, head=head, foot=foot, least=least)

        panel = ax.inset_axes((0.0, -below, 1.0, PANEL), transform=_share_and_inches(ax))
        for part in (ax, panel):
            part.set_xlim(0.0, stop)
            _style.frame(part, y_axis=True)
            _style.set_ticks(part, _time_ticks(shown, stop), _style.tick_text, width)
        panel.patch.set_visible(False)
        ax.tick_params(labelbottom=False)
        _style.axis_label(panel, [f"{unit.capitalize()}s"])
        _curves.percent_axis(ax, "\n".join(y_lines))
        _difference_axis(panel, reach)
        at_label = 0.02 + LINE * max(len(y_lines), len(DIFFERENCES)) - width_left
        for part in (ax, panel):
            part.yaxis.set_label_coords(at_label, 0.5, transform=_inches_and_share(part))
        for i, arm in enumerate(shown):
            _curve(ax, arm, COLOURS[i], width)
            look = _point(i, arm.point_time.size)
            ax.plot(arm.point_time, 100 * arm.point_survival, zorder=2, clip_on=False, **look)
            frame = arm.points_frame()
            panel.plot(frame["time"], 100 * frame["difference"], zorder=2, clip_on=False, **look)
        if is_one and shown[0].median <= stop:  # it may be nan
            ax.plot([0.0, *[shown[0].median] * 2], [50.0, 50.0, 0.0], zorder=1, **MEDIAN)
        for i, line in enumerate(title):
            y = (len(title) - i - 0.5) * LINE + 0.05
            _style.write(ax, -width_left, y, line, place=_style.inches(ax, (0.0, 1.0)), weight="bold")
        if not is_one:
            last = [arm.table.end for arm in shown]
            ends = [100 * float(arm.survival(float(arm.time[-1]))) for arm in shown]
            _curves.write_names(ax, names, last, ends, height)
        if at_risk:
            rows = zip(risk_names, (_counts(shown[i]) for i in at_risk), strict=True)
            _curves.write_numbers_at_risk(ax, rows, width_left, below + AXIS + 0.1, width)
        key.draw(ax, -width_left, -below - AXIS - risk_foot - 0.1)
    return ax


def _arms(
    arms: PseudoIPD | Sequence[PseudoIPD] | Mapping[str, PseudoIPD],
) -> tuple[list[PseudoIPD], list[str]]:
    if isinstance(arms, PseudoIPD):
        shown, names = [arms], [arms.label]
    elif isinstance(arms, Mapping):
        shown, names = list(arms.values()), list(arms)
    else:
        shown = list(arms)
        names = [arm.label or f"Arm {i}" for i, arm in enumerate(shown, start=1)]
    if not shown:
        raise InvalidInputError("There is no arm to draw; give at least one.")
    if len(shown) > FEW:
        raise InvalidInputError(f"There are {len(shown)} arms; draw {FEW} at most in one figure.")
    for arm, name in zip(shown, names, strict=True):
        if arm.unit != shown[0].unit:
            raise InvalidInputError(
                f"All arms must count time in one unit; {names[0]} is in {shown[0].unit}s, {name} in {arm.unit}s."
            )
    return shown, [_style.one_line(name) for name in names]


def _title(arm: PseudoIPD, name: str) -> str:
    counts = f"n = {arm.n_total}, {_format.plural(arm.n_events, 'event')}"
    return f"{name}, {counts}" if name else counts


def _samples(arms: Sequence[PseudoIPD], stop: float) -> list[Sample]:
    color = _style.BLUE if len(arms) == 1 else _style.GREY
    found = [Sample("reconstructed", ({"color": color, "lw": 1.2},))]
    if any((arm.event == 0).any() for arm in arms):
        found.append(Sample("censored", ({"color": color, "lw": 1.2}, {**CENSORED, "color": color})))
    marks: dict[str, Look] = {}
    for i, arm in enumerate(arms):
        look = {**_point(i, 1), "alpha": 1.0}
        marks.setdefault(POINTS[arm.points], look if len(arms) == 1 else {**look, "mec": color})
    found += [Sample(text, (look,)) for text, look in marks.items()]
    if len(arms) == 1 and arms[0].median <= stop:
        median = _format.shortest(arms[0].median, 1)
        found.append(Sample(f"median {median}{_format.unit_suffix(arms[0].unit, median)}", (MEDIAN,)))
    if any("→" in text for arm in arms for _, text in _counts(arm)):
        found.append(Sample("at risk as printed → as reconstructed", ()))
    return found


def _point(i: int, count: int) -> Look:
    """The mark of a point that was read; smaller and paler where there are many."""
    size = 3.2 if count <= 60 else 2.6
    look: Look = {"ls": "", "marker": MARKS[i], "ms": size, "mfc": "none", "mec": COLOURS[i], "mew": 0.6}
    return {**look, "alpha": 0.9 if count <= 60 else 0.6}


def _curve(ax: Axes, arm: PseudoIPD, color: str, width: float) -> None:
    time = np.unique(arm.time)
    survival = 100 * arm.survival(time)
    stop = max(arm.table.end, float(time[-1]))
    ax.plot(
        np.concatenate([[0.0], time, [stop]]),
        np.concatenate([[100.0], survival, survival[-1:]]),
        drawstyle="steps-post",
        color=color,
        lw=1.2,
        solid_capstyle="butt",
        zorder=3,
        clip_on=False,
    )
    censored = np.unique(arm.time[arm.event == 0])
    shown: list[float] = []
    for at in censored.tolist():
        if not shown or width * (at - shown[-1]) >= TICKS_APART * ax.get_xlim()[1]:
            shown.append(at)
    if shown:  # an empty line would lie in a corner of the figure for the engines that lay it out
        ax.plot(shown, 100 * arm.survival(shown), color=color, zorder=4, clip_on=False, **CENSORED)


def _counts(arm: PseudoIPD) -> list[tuple[float, str]]:
    """Numbers at risk as printed, and where they were missed, as they are now."""
    ours = arm.n_at_risk(arm.table.time).tolist()
    return [
        (time, str(printed) if printed == own else f"{printed}→{own}")
        for time, printed, own in zip(
            arm.table.time.tolist(), arm.table.n_at_risk.tolist(), ours, strict=True
        )
    ]


def _time_ticks(arms: Sequence[PseudoIPD], stop: float) -> Iterator[Sequence[float]]:
    """Times of the numbers at risk where the arms share these and they reach along the axis, else round ones."""
    table = max((arm.table.time for arm in arms), key=len)
    shared = all(np.isin(arm.table.time, table).all() for arm in arms)
    slack = 1e-9 * stop
    if shared and table.size > 2 and table[-1] >= 0.6 * stop:
        distance = np.diff(table)
        if np.ptp(distance) <= slack:  # they go on to the end of the axis
            table = np.arange(0.0, stop + slack, float(distance[0]))
        for every in range(1, table.size):
            if len(table[::every]) <= MOST_TICKS:
                yield table[::every].tolist()
    for step in STEPS[arms[0].unit]:
        if 2 * step <= stop + slack and stop / step < MOST_TICKS:
            yield np.arange(0.0, stop + slack, step).tolist()
    yield from _style.even_ticks(0.0, stop)


def _reach(arms: Sequence[PseudoIPD]) -> float:
    """A round number of points that no difference exceeds, at least half a point."""
    most = 100 * max(arm.fit.largest for arm in arms)
    return next(
        size for size in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0) if size >= most or size == 100.0
    )


def _difference_axis(ax: Axes, reach: float) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.set_ylim(-reach, reach)
    ticks = (-reach, 0.0, reach)
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    text = "\n".join(DIFFERENCES)
    ax.set_ylabel(text, fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)
    ax.plot([0.0, 1.0], [0.0, 0.0], transform=ax.get_yaxis_transform(), color=_style.INK, lw=0.7, zorder=1)


def _share_and_inches(ax: Axes) -> Transform:
    """Share of the width across, inches from the lower edge up."""
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(ax.transAxes, _style.inches(ax))


def _inches_and_share(ax: Axes) -> Transform:
    """Inches from the left edge across, share of the height up."""
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(_style.inches(ax), ax.transAxes)
