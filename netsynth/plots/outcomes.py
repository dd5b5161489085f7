"""Every study value of every outcome, with its median and range, and the published median beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from netsynth import _format, _validate
from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column, Look
from netsynth.results.aggregated import MedianRange
from netsynth.results.outcomes import OutcomeRow, OutcomeSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["outcome_plot"]

PLOT_WIDTH: Final = 3.0
LEAST_PLOT: Final = 1.0
AXIS: Final = 0.22 + LINE  # inches under the last row for the ticks and the label

RANGE: Final[Look] = MappingProxyType({"color": _style.SKY, "lw": 1.2, "solid_capstyle": "butt", "zorder": 2})
STUDY: Final[Look] = MappingProxyType(
    {"ls": "", "marker": "o", "ms": 3, "mfc": "white", "mec": _style.GREY, "mew": 0.6, "zorder": 5}
)
ABOVE: Final[Look] = MappingProxyType({**STUDY, "marker": ">", "ms": 3.5})
BELOW: Final[Look] = MappingProxyType({**STUDY, "marker": "<", "ms": 3.5})
MEDIAN: Final[Look] = MappingProxyType(
    {"ls": "", "marker": "D", "ms": 5, "color": _style.BLUE, "mec": "none", "zorder": 4}
)
PUBLISHED: Final[Look] = MappingProxyType(
    {"ls": "", "marker": "|", "ms": 9, "mew": 1.6, "color": _style.VERMILION, "zorder": 6}
)


def outcome_plot(
    summary: OutcomeSummary, *, ax: Axes | None = None, unit: Literal["percent", "month"] = "percent"
) -> Axes:
    """Medians and ranges over studies, one line an outcome, with every study as a point.

    Parameters
    ----------
    summary : OutcomeSummary
        From `summarize_outcomes`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    unit : {"percent", "month"}
        Which lines to draw: percentages and proportions, or times.

    Returns
    -------
    Axes
        In percent or months. Studies of which nothing but "not reached" is known have no point.

    Raises
    ------
    InvalidInputError
        If no line has that unit, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.outcomes import summarize_outcomes
    >>> ax = outcome_plot(summarize_outcomes(load_nethm(), sets=["core"]))
    >>> ax.get_xlabel(), [float(end) for end in ax.get_xlim()]
    ('Percent', [0.0, 100.0])
    """
    _validate.choice(unit, "unit", ("percent", "month"))
    rows = [(row, row.summary) for row in summary.rows if row.unit == unit and row.summary is not None]
    if not rows:
        raise InvalidInputError(f"The summary has no line in {unit}.")
    n = len(rows)
    left = Column("Outcome", tuple(_style.one_line(row.label.replace("_", " ")) for row, _ in rows))
    right = [Column("Median (range; k)", tuple(str(found).replace("range, ", "") for _, found in rows))]
    if any(row.target is not None for row, _ in rows):
        right.append(Column("Published", tuple(_published(row) for row, _ in rows)))
    marks = [_marks(found) for _, found in rows]
    with _style.style():
        width_left, width_right = left.width + GAP, sum(column.width + GAP for column in right)
        total = width_left + width_right + PLOT_WIDTH
        if ax is not None:
            total = _style.area(ax)[0]
        key = Key((("", tuple(_samples(rows, marks))),), total)
        foot = AXIS + 0.1 + key.height
        if ax is None:
            ax = _style.new_axes(total, (n + 1.2) * ROW + foot)
        least = (LEAST_PLOT, (n + 1.2) * LEAST_ROW)
        plot_width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=least)
        ax.set_ylim(n - 0.3, -1.5)
        ax.set_yticks([])
        drawn = [value for row in marks for value, _ in row]
        drawn += [value for row, found in rows for value in (found.median, found.upper, row.published)]
        ax.set_xlim(0, 100 if unit == "percent" else 1.05 * max(filter(math.isfinite, drawn), default=1.0))
        _style.frame(ax)
        _style.set_ticks(ax, _style.even_ticks(*ax.get_xlim()), _style.tick_text, plot_width)
        _style.axis_label(ax, ["Percent" if unit == "percent" else "Months"])
        for y, (row, found) in enumerate(rows):
            if y % 2:
                _style.stripe(ax, width_left, width_right, y)
            ax.plot([found.lower, found.upper], [y, y], **RANGE)
            ax.plot([found.median], [y], clip_on=False, **MEDIAN)
            ax.plot([row.published], [y], clip_on=False, **PUBLISHED)
        for look in (STUDY, ABOVE, BELOW):
            places = [(value, y) for y, row in enumerate(marks) for value, kind in row if kind is look]
            if places:
                ax.plot(*zip(*places, strict=True), clip_on=False, **look)
        _style.write_columns(ax, [left], -width_left, range(n), -1.0, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, range(n), -1.0, place=_style.beside(ax, right=True))
        _style.rule(ax, width_left, width_right, -0.6)
        key.draw(ax, -width_left, -AXIS - 0.1)
    return ax


def _published(row: OutcomeRow) -> str:
    return _format.EN_DASH if row.target is None else str(row.target.median)


def _marks(found: MedianRange) -> list[tuple[float, Look]]:
    """Place and look of each study: an open-ended value points to where it may lie; one study is its median."""
    marks: list[tuple[float, Look]] = []
    for low, high, qualifier in zip(found.value_lower, found.value_upper, found.qualifier, strict=True):
        if low == high and found.pooled:
            marks.append((float(low), STUDY))
        elif qualifier.startswith((">", "≥")):
            marks.append((float(low), ABOVE))
        elif qualifier.startswith(("<", "≤")):
            marks.append((float(high), BELOW))
    return marks


def _samples(
    rows: list[tuple[OutcomeRow, MedianRange]], marks: list[list[tuple[float, Look]]]
) -> Iterator[Sample]:
    yield Sample("study", (STUDY,))
    drawn = [look["marker"] for row in marks for _, look in row]
    if ">" in drawn or "<" in drawn:
        yield Sample("open-ended", (ABOVE if ">" in drawn else BELOW,))
    yield Sample("median and range", (RANGE, MEDIAN))
    if any(math.isfinite(row.published) for row, _ in rows):
        yield Sample("published median", (PUBLISHED,))
