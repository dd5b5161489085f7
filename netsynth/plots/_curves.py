"""What figures of survival curves share: marks of a few curves, names where these end, numbers at risk underneath."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from netsynth._typing import FloatArray
from netsynth.plots import _style
from netsynth.plots._style import LINE, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW: Final = 6  # up to so many curves have their names beside them
LEADER: Final = 0.45  # inches between a plot and the names of the curves
AT_RISK: Final = "At risk"

COLOURS: Final = (
    _style.BLUE,
    _style.VERMILION,
    _style.GREEN,
    _style.PURPLE,
    _style.ORANGE,
    _style.SKY,
)
MARKS: Final = ("o", "s", "^", "D", "v", "P")
YEARS_FROM: Final = 36.0  # months from which an axis counts years
MEDIAN: Final[Look] = {"color": _style.GREY, "lw": 0.8, "ls": (0, (4, 2))}


def mark(i: int) -> Look:
    """The mark of one of a few curves."""
    look: Look = {"ls": "", "marker": MARKS[i], "ms": 4.5, "color": COLOURS[i], "mec": "white", "mew": 0.5}
    return look


def months_axis(ax: Axes, stop: float, width: float) -> None:
    """Time from 0 to `stop` months on the x-axis of so many inches, its labels in years from three years on."""
    ax.set_xlim(0.0, stop)
    in_years = stop >= YEARS_FROM
    unit, steps = (12.0, (1, 2, 5, 10, 20, 50)) if in_years else (1.0, (1, 2, 3, 6, 12, 24))
    candidates = [
        [unit * tick for tick in range(0, math.floor(stop / unit + 1e-9) + 1, step)] for step in steps
    ]
    few = [ticks for ticks in candidates if len(ticks) <= 11]
    _style.set_ticks(ax, few, lambda months: f"{months / unit:g}", width)
    _style.axis_label(ax, ["Years" if in_years else "Months"])


def percent_axis(ax: Axes, label: str) -> None:
    """Survival from 0 to 100 percent on the y-axis."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.set_ylim(0.0, 100.0)
    ax.yaxis.set_major_locator(FixedLocator([0, 25, 50, 75, 100]))
    ax.yaxis.set_major_formatter(FixedFormatter(["0", "25", "50", "75", "100"]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel(label, fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)
    ax.yaxis.label.set_parse_math(False)


def write_names(
    ax: Axes, names: Sequence[str], last: Sequence[float], ends: Sequence[float], height: float
) -> None:
    """Each name at the height where its curve ends, moved apart where they would touch, with a thin leader."""
    at = apart(0.01 * height * np.array(ends), LINE, height)
    place = _style.inches(ax, (1.0, 0.0))
    leader: dict[str, Any] = {
        "arrowstyle": "-",
        "color": _style.GREY,
        "linewidth": 0.4,
        "shrinkA": 0,
        "shrinkB": 4,
    }
    for i, name in enumerate(names):
        ax.annotate(
            "",
            (last[i], ends[i]),
            (LEADER - 0.14, at[i]),
            textcoords=place,
            arrowprops=leader,
            annotation_clip=False,
        )
        ax.plot([LEADER - 0.09], [at[i]], transform=place, clip_on=False, **mark(i))
        _style.write(ax, LEADER, at[i], name, place=place)


def apart(wanted: FloatArray, least: float, top: float) -> FloatArray:
    """Places in [0, top] that are at least so far apart and otherwise near where they are wanted."""
    order = np.argsort(wanted, kind="stable")
    steps = least * np.arange(wanted.size)
    free = wanted[order] - steps  # the distances beyond the least ones must not fall: isotonic regression
    blocks: list[tuple[float, int]] = []
    for value in free.tolist():
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n_a), (b, n_b) = blocks[-2:]
            blocks[-2:] = [((a * n_a + b * n_b) / (n_a + n_b), n_a + n_b)]
    level = np.concatenate([np.full(n, value) for value, n in blocks])
    placed = np.empty_like(wanted)
    placed[order] = np.clip(level, 0.0, top - steps[-1]) + steps
    return placed


def write_numbers_at_risk(
    ax: Axes,
    rows: Iterable[tuple[str, Iterable[tuple[float, str]]]],
    left: float,
    top: float,
    width: float,
    heading: str = AT_RISK,
) -> None:
    """Rows of numbers under their times, so many inches under the plot; without room beside an earlier one left out.

    A row is a name, and times with what stands there. Rows with names of their own get the heading.
    """
    from matplotlib.transforms import blended_transform_factory

    rows = list(rows)
    place, row = _style.inches(ax), -top - 0.5 * LINE
    under = blended_transform_factory(ax.transData, place)
    if [name for name, _ in rows] != [AT_RISK]:
        _style.write(ax, -left, row, heading, place=place, weight="bold", size=_style.SMALL)
        row -= LINE
    for name, counts in rows:
        _style.write(ax, -left, row, name, place=place, size=_style.SMALL)
        taken = -math.inf
        for time, text in counts:
            at, half = width * time / ax.get_xlim()[1], 0.5 * _style.text_width([text], size=_style.SMALL)
            if at - half > taken + 0.05:
                _style.write(ax, time, row, text, place=under, align="center", size=_style.SMALL)
                taken = at + half
        row -= LINE
