"""Every way to one hazard ratio, as a small forest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _validate
from netsynth.errors import InvalidInputError
from netsynth.kernels.scales import MEASURES
from netsynth.plots import _forest, _style
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column
from netsynth.results.hazard_ratio import HazardRatioEstimate, HazardRatioRoute

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["routes_plot"]

PLOT_WIDTH: Final = 2.3  # inches the plot itself gets when the figure is ours
LEAST_PLOT: Final = 0.9  # inches below which given axes are too narrow
AXIS: Final = 0.22  # inches under the last row for the ticks and their labels
ABOVE: Final = 1.8  # rows from the first way to the top: the heading and a rule
_SHARE: Final = 0.3  # of the area of the largest square


def routes_plot(result: HazardRatioEstimate, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Forest of all ways to a hazard ratio, the chosen one first and in colour.

    Parameters
    ----------
    result : HazardRatioEstimate
        From `hazard_ratio`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of the intervals, which are for sampling, rounding and method. Where a p-value printed as a bound leaves
        the ratio open there is a bar at the bound instead of a square, and a thick line from it ends in an arrow.

    Returns
    -------
    Axes
        Its coordinates are hazard ratios.

    Raises
    ------
    InvalidInputError
        If there is no way to show, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.hazard_ratio import hazard_ratio
    >>> found = hazard_ratio(hazard_ratio="0.85 (0.71-1.01)", pvalue="0.07", n_events=483)
    >>> routes_plot(found).get_xlabel()
    'Hazard ratio of exposed against reference'
    """
    level = _validate.level(level)
    chosen = result.chosen
    if chosen is None:
        raise InvalidInputError(f"There is no way to show: {result.problem}.")
    routes = result.routes
    measure = MEASURES["log_hr"]
    natural = np.array([route.natural for route in routes])
    ends = [route.natural_interval(level) for route in routes]
    closed = [_closed(route, pair) for route, pair in zip(routes, ends, strict=True)]
    low, high = (np.array(side) for side in zip(*closed, strict=True))
    limits = _forest.limits("log_hr", natural, low, high, [])
    others = any(route.is_adjusted != chosen.is_adjusted for route in routes)
    left = [Column("Way", tuple(route.name for route in routes))]
    cells = tuple(
        _cell(route, _forest.row_text(route.natural, pair, measure.kind, 2))
        for route, pair in zip(routes, ends, strict=True)
    )
    right = [Column(f"HR [{100 * level:g}% CI]", cells, "right")]
    note = "In blue: the way that was chosen."
    note += " A bar with an arrow: bounded on one side only." if any(route.side for route in routes) else ""
    note += " In grey: another ratio, adjusted or not." if others else ""
    n = len(routes)
    with _style.style():
        width_left, width_right = (sum(c.width + GAP for c in group) for group in (left, right))
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        room = total - width_left - width_right + 2 * min(width_left, width_right)
        name = f"Hazard ratio of {result.exposed} against {result.reference}"
        axis_label = _style.wrapped(_style.one_line(name), room)
        lines = _style.wrapped(note, total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(axis_label)
        foot, bottom = label_foot + 0.12 + LINE * len(lines), n - 0.1
        if ax is None:
            ax = _style.new_axes(ours, (bottom + ABOVE) * ROW + foot)
        least = (LEAST_PLOT, (bottom + ABOVE) * LEAST_ROW)
        plot_width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=least)
        _forest.frame(ax, measure, (bottom, -ABOVE), limits, plot_width, axis_label)
        for i in range(1, n, 2):
            _style.stripe(ax, width_left, width_right, i)
        _forest.null_line(ax, 1.0, bottom, limits)
        _forest.mean_line(ax, result.natural, bottom)
        for i, route in enumerate(routes):
            colour = _style.INK if route.is_adjusted == chosen.is_adjusted else _style.GREY
            colour = _style.BLUE if route is chosen else colour
            _mark(ax, route, ends[i], float(i), limits, colour)
        y = [float(i) for i in range(n)]
        _style.write_columns(ax, left, -width_left, y, -1.25, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, y, -1.25, place=_style.beside(ax, right=True))
        _style.rule(ax, width_left, width_right, -0.75)
        _style.write_lines(ax, lines, -width_left, -label_foot - 0.12)
    return ax


def _closed(route: HazardRatioRoute, ends: tuple[float, float]) -> tuple[float, float]:
    """What the axis must show of an interval: of an open one as much of the open side as of the other."""
    low, high = ends
    mirrored = route.natural**2 / (high if route.side < 0 else low)
    return (mirrored if route.side < 0 else low, mirrored if route.side > 0 else high)


def _cell(route: HazardRatioRoute, text: str) -> str:
    """Estimate and interval, a bound with its sign and the open end of its interval as 0 or infinity."""
    if not route.side:
        return text
    value, low, high = text.split("\t")
    return "\t".join(
        ("\u2265" + value, low, "\u221e]") if route.side > 0 else ("\u2264" + value, "[0,", high)
    )


def _mark(
    ax: Axes,
    route: HazardRatioRoute,
    ends: tuple[float, float],
    y: float,
    limits: tuple[float, float],
    colour: str,
) -> None:
    value, side = route.natural, route.side
    a, b = max(ends[0], limits[0]), min(ends[1], limits[1])
    if a < b:
        ax.plot([a, b], [y, y], color=colour, lw=0.9, solid_capstyle="butt", zorder=2)
    _forest.arrows(ax, ends, y, limits, colour)
    if not limits[0] <= value <= limits[1]:
        return
    if side:
        open_end = limits[0] if side < 0 else limits[1]
        ax.plot([open_end, value], [y, y], color=colour, lw=2.2, solid_capstyle="butt", zorder=2)
        ax.plot([value], [y], marker="|", ms=8.0, mew=1.6, color=colour, clip_on=False, zorder=3)
        return
    size = 2.0 + 5.5 * math.sqrt(_SHARE)
    ax.plot([value], [y], marker="s", ms=size, color=colour, mec="none", clip_on=False, zorder=3)
