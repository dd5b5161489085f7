"""Influence of each study: one row a study, one panel a diagnostic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from netsynth import _format
from netsynth._typing import BoolArray, FloatArray
from netsynth.plots import _style
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column
from netsynth.results.influence import StudyInfluence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["influence_plot"]

PANEL: Final = 0.82  # inches of a panel when the figure is ours
LEAST_PANEL: Final = 0.6  # inches below which its ticks and heading have no room
BETWEEN: Final = 0.2  # inches between panels
AXIS: Final = 0.22  # inches under the last row for the ticks and their labels
ABOVE: Final = 2.5  # rows from the first study to the top: a heading of two lines and a rule


class _Panel(NamedTuple):
    """A diagnostic: its heading, its values, the value of no influence, and limits that are drawn dashed."""

    heading: str
    values: FloatArray
    reference: float
    limits: tuple[float, ...] = ()


def influence_plot(result: StudyInfluence, *, ax: Axes | None = None) -> Axes:
    """Diagnostics of each study side by side.

    Parameters
    ----------
    result : StudyInfluence
        From `influence`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        The axes that hold the panels, which are its ``child_axes``. Influential studies stand out in colour,
        thresholds are dashed, and a thin line shows no influence, or the value with all studies.

    Raises
    ------
    InvalidInputError
        If the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.diagnose import influence
    >>> from netsynth.pool import pool_effects
    >>> pooled = pool_effects([-0.51, -0.12, -0.33], se=[0.18, 0.10, 0.15], measure="log_hr")
    >>> ax = influence_plot(influence(pooled))
    >>> len(ax.child_axes)
    7
    """
    panels, k = _panels(result), result.overall.k
    names = Column("Study", tuple(map(_style.one_line, result.study)))
    beyond = result.influential
    with _style.style():
        width_left, gaps = names.width + GAP, BETWEEN * (len(panels) - 1)
        total = width_left + PANEL * len(panels) + gaps + 0.1
        if ax is not None:
            total = _style.area(ax)[0]
        note = _style.wrapped(_note(result), total, size=_style.SMALL)
        foot = AXIS + 0.12 + LINE * len(note)
        n_rows = k - 0.3 + ABOVE
        if ax is None:
            ax = _style.new_axes(total, n_rows * ROW + foot)
        least = (LEAST_PANEL * len(panels) + gaps, n_rows * LEAST_ROW)
        width, _ = _style.make_room(ax, left=width_left, right=0.1, foot=foot, least=least)
        ax.set_ylim(k - 0.3, -ABOVE)
        ax.set_xticks([])
        ax.set_yticks([])
        _style.frame(ax, x_axis=False)
        for i in range(1, k, 2):
            _style.stripe(ax, width_left, 0.1, i)
        wide = (width - gaps) / len(panels)
        for j, panel in enumerate(panels):
            start = j * (wide + BETWEEN) / width
            inner = ax.inset_axes((start, 0.0, wide / width, 1.0))
            _draw(inner, panel, wide, (k - 0.3, -ABOVE), beyond)
        _style.write_columns(ax, [names], -width_left, range(k), -1.25, place=_style.beside(ax))
        _style.rule(ax, width_left, 0.1, -0.75)
        _style.write_lines(ax, note, -width_left, -AXIS - 0.12)
    return ax


def _panels(result: StudyInfluence) -> list[_Panel]:
    limit = result.thresholds
    return [
        _Panel("Weight,\n%", 100 * result.hat, 100 / result.overall.k, (100 * limit.hat,)),
        _Panel("Studentized\nresidual", result.studentized, 0.0),
        _Panel("DFFITS", result.dffits, 0.0, (-limit.dffits, limit.dffits)),
        _Panel("DFBETAS", result.dfbetas, 0.0, (-limit.dfbetas, limit.dfbetas)),
        _Panel("Cook's\ndistance", result.cook_distance, 0.0, (limit.cook_distance,)),
        _Panel("Covariance\nratio", result.cov_ratio, 1.0),
        _Panel("τ² without\nthe study", result.tau2_deleted, result.overall.tau2),
    ]


def _draw(
    ax: Axes,
    panel: _Panel,
    width: float,
    rows: tuple[float, float],
    beyond: BoolArray,
) -> None:
    values = panel.values
    known = values[np.isfinite(values)]
    ends = np.append(known, panel.reference)
    low, high = float(ends.min()), float(ends.max())
    # a threshold far from every study would squeeze them, and is left out
    near = [at for at in panel.limits if low - 1.5 * (high - low) <= at <= high + 1.5 * (high - low)]
    low, high = min([low, *near]), max([high, *near])
    margin = 0.08 * (high - low) or 0.5
    ax.set_ylim(*rows)
    ax.set_xlim(low - margin, high + margin)
    ax.set_yticks([])
    ax.patch.set_visible(False)
    _style.frame(ax)
    _style.set_ticks(ax, _ticks(low - margin, high + margin, width), _style.tick_text, width)
    ax.plot([panel.reference] * 2, [-0.75, rows[0]], color=_style.INK, lw=0.7, zorder=1)
    for at in near:
        ax.plot([at] * 2, [-0.75, rows[0]], color=_style.GREY, lw=0.7, ls=(0, (3, 2)), zorder=1)
    for i, (value, stands_out) in enumerate(zip(values, beyond, strict=True)):
        if math.isfinite(value):
            colour = _style.VERMILION if stands_out else _style.INK
            ax.plot([panel.reference, value], [i, i], color=colour, lw=0.9, zorder=2)
            ax.plot([value], [i], marker="o", ms=4, color=colour, mec="none", zorder=3)
    lines = panel.heading.split("\n")
    for line, y in zip(lines, (-1.25,) if len(lines) == 1 else (-2.05, -1.25), strict=True):
        _style.write(
            ax, 0.5, y, line, place=ax.get_yaxis_transform(), align="center", weight="bold", size=_style.SMALL
        )


def _ticks(low: float, high: float, width: float) -> Iterator[Sequence[float]]:
    """Round values whose labels do not reach into the next panel."""
    room = 0.4 * BETWEEN * (high - low) / width
    for ticks in _style.even_ticks(low, high):
        half = [0.5 * _style.text_width([_style.tick_text(tick)]) * (high - low) / width for tick in ticks]
        yield [
            tick
            for tick, wide in zip(ticks, half, strict=True)
            if low - room <= tick - wide and tick + wide <= high + room
        ]


def _note(result: StudyInfluence) -> str:
    limit, overall = result.thresholds, result.overall
    model = "Common effect" if overall.tau2_method == "CE" else f"Random effects, τ² by {overall.tau2_method}"
    return (
        f"{model}; variance of the mean by {overall.ci_method}. In colour: weight above {100 * limit.hat:.0f}%, "
        f"|DFFITS| above {_format.significant(limit.dffits)}, |DFBETAS| above {limit.dfbetas:g} or Cook's distance "
        f"above {_format.significant(limit.cook_distance)} (dashed where in sight)."
    )
