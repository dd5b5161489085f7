"""Every study value of every outcome, with its median and range, and the published median beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

from netsynth import _format
from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots._style import Column
from netsynth.results.outcomes import OutcomeSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["outcome_plot"]

GAP: Final = 0.14
PLOT_WIDTH: Final = 3.0
FOOT: Final = 0.5


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

    Raises
    ------
    InvalidInputError
        If no line has that unit, or the axes are too narrow for the text.
    """
    rows = [row for row in summary.rows if row.unit == unit and row.summary is not None]
    if not rows:
        raise InvalidInputError(f"The summary has no line in {unit}.")
    has_target = any(row.target is not None for row in rows)
    left = Column("Outcome", tuple(row.label for row in rows))
    texts = [
        _format.EN_DASH if row.summary is None else str(row.summary).replace("range, ", "") for row in rows
    ]
    right = [Column("Median (range; k)", tuple(texts))]
    if has_target:
        right.append(
            Column("Published", tuple("" if r.target is None else str(r.target.median) for r in rows))
        )
    with _style.style():
        width_left = left.width + GAP
        width_right = sum(column.width + GAP for column in right)
        if ax is None:
            height = (len(rows) + 1.8) * _style.ROW + FOOT + 0.15
            ax = _style.new_axes(width_left + PLOT_WIDTH + width_right, height)
        plot_width = _style.shrink(ax, width_left, width_right, FOOT, least=1.0)
        ax.set_ylim(len(rows) - 0.3, -1.5)
        ax.set_yticks([])
        for side in ("left", "right", "top"):
            ax.spines[side].set_visible(False)
        values = [v for row in rows if row.summary for v in row.summary.value_lower if math.isfinite(v)]
        ax.set_xlim((0, 100) if unit == "percent" else (0, 1.05 * max([*values, 1.0])))
        for y, row in enumerate(rows):
            if y % 2:
                _style.stripe(ax, -width_left, plot_width + width_right, y)
            result = row.summary
            if result is None:
                continue
            points = [v for v in result.value_lower if math.isfinite(v)]
            ax.plot(
                [result.lower, result.upper],
                [y, y],
                color=_style.SKY,
                lw=1.2,
                zorder=2,
                solid_capstyle="butt",
            )
            ax.plot(
                points,
                [y] * len(points),
                ls="",
                marker="o",
                ms=3,
                mfc="white",
                mec=_style.GREY,
                mew=0.6,
                zorder=3,
            )
            ax.plot([result.median], [y], ls="", marker="D", ms=5, color=_style.BLUE, mec="none", zorder=4)
            if row.target is not None:
                ax.plot(
                    [row.published], [y], ls="", marker="|", ms=9, mew=1.6, color=_style.VERMILION, zorder=5
                )
        _style.write_column(ax, left, -width_left, range(len(rows)), -1.0, bold_from=len(rows))
        x = plot_width + GAP
        for column in right:
            x += _style.write_column(ax, column, x, range(len(rows)), -1.0, bold_from=len(rows)) + GAP
        _style.rule(ax, -width_left, plot_width + width_right, -0.6)
        ax.set_xlabel("Percent" if unit == "percent" else "Months", fontsize=_style.FONT_SIZE)
        ax.tick_params(axis="x", length=3, labelsize=_style.FONT_SIZE)
        _key(ax, has_target)
    return ax


def _key(ax: Axes, has_target: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], ls="", marker="o", ms=3, mfc="white", mec=_style.GREY, mew=0.6, label="study"),
        Line2D(
            [], [], color=_style.SKY, marker="D", ms=5, mfc=_style.BLUE, mec="none", label="median and range"
        ),
    ]
    if has_target:
        handles.append(
            Line2D([], [], ls="", marker="|", ms=9, mew=1.6, color=_style.VERMILION, label="published median")
        )
    ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        frameon=False,
        fontsize=_style.FONT_SIZE - 0.5,
        handletextpad=0.4,
        columnspacing=1.2,
        borderaxespad=0,
    )
