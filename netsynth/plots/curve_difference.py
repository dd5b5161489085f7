"""How two curves differ over time, one kind of comparison at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _validate
from netsynth.plots import _curves, _forest, _style
from netsynth.results.curve_difference import RATIOS, CurveDifference, DifferenceKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["curve_difference_plot"]

WIDTH: Final = 3.2  # inches of the plot when the figure is ours
HEIGHT: Final = 2.1
LEAST: Final = (1.4, 1.0)
AXIS: Final = 0.42  # inches under the plot
SIDE: Final = 0.62  # inches left of it, for the ticks and the label
_LABELS: Final[dict[DifferenceKind, str]] = {
    "survival difference": "Difference of survival, % points",
    "restricted mean difference": "Difference of restricted means, months",
    "cumulative hazard ratio": "Ratio of cumulative hazards",
    "restricted mean ratio": "Ratio of restricted means",
}


def curve_difference_plot(
    difference: CurveDifference,
    *,
    ax: Axes | None = None,
    level: float = 0.95,
    kind: DifferenceKind | None = None,
) -> Axes:
    """One kind of comparison of two curves at its times, each with its interval.

    Parameters
    ----------
    difference : CurveDifference
        From `compare_curves`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of the intervals, each for itself.
    kind : str, optional
        "survival difference", "restricted mean difference", "cumulative hazard ratio" or "restricted mean ratio"; by
        default the first that there is.

    Returns
    -------
    Axes
        Months on x; percent points, months or a ratio on a logarithmic axis on y.

    Raises
    ------
    InvalidInputError
        If there is no such comparison, the level is not a fraction, or the axes are too small for the text.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore")
    >>> from netsynth.differences import compare_curves
    >>> from netsynth.over_time import pool_survival
    >>> from netsynth.datasets import load_gliomas
    >>> arms = [
    ...     pool_survival(load_gliomas(), "OS", sets=[arm], roles=["arm", "comparator"], times_months=[12, 24])
    ...     for arm in ("chemotherapy", "control")
    ... ]
    >>> curve_difference_plot(compare_curves(*arms)).get_ylabel()
    'Difference of survival, % points'
    """
    level = _validate.level(level)
    chosen: DifferenceKind = difference.kind[0] if kind is None else kind
    rows = difference.rows_of(chosen)
    is_ratio = chosen in RATIOS
    factor = 100.0 if chosen == "survival difference" else 1.0
    time = difference.time_months[rows]
    value = factor * difference.natural[rows]
    low, high = (factor * end[rows] for end in difference.natural_interval(level))
    null = 1.0 if is_ratio else 0.0
    with _style.style():
        names = f"{difference.endpoint}, {difference.first} against {difference.second}"
        note = _style.wrapped(
            f"{names}; {100 * level:g}% intervals, each time for itself.",
            SIDE + WIDTH if ax is None else _style.area(ax)[0],
            size=_style.SMALL,
        )
        foot = AXIS + 0.1 + _style.LINE * len(note)
        if ax is None:
            ax = _style.new_axes(SIDE + WIDTH, HEIGHT + foot)
        width, _ = _style.make_room(ax, left=SIDE, right=0.1, foot=foot, least=LEAST)
        shown = np.concatenate([low, high, value, [null]])
        shown = shown[np.isfinite(shown)]
        placed = np.log(shown) if is_ratio else shown
        margin = 0.06 * (float(np.ptp(placed)) or 1.0)
        ends = placed.min() - margin, placed.max() + margin
        limits = (
            (float(np.exp(ends[0])), float(np.exp(ends[1]))) if is_ratio else (float(ends[0]), float(ends[1]))
        )
        if is_ratio:
            ax.set_yscale("log")
        ax.set_ylim(*limits)
        _style.frame(ax, y_axis=True)
        _curves.months_axis(ax, 1.05 * float(time.max()), width)
        _y_ticks(ax, is_ratio, limits)
        ax.set_ylabel(_LABELS[chosen], fontsize=_style.FONT_SIZE, fontfamily=_style.FONT, color=_style.INK)
        ax.axhline(null, color=_style.INK, lw=0.7, zorder=1)
        ax.plot(time, value, color=_style.BLUE, lw=1.0, marker="o", ms=3.5, mec="none", zorder=3)
        ax.vlines(time, low, high, color=_style.BLUE, lw=1.0, zorder=2)
        _style.write_lines(ax, note, -SIDE, -AXIS - 0.1)
    return ax


def _y_ticks(ax: Axes, is_ratio: bool, limits: tuple[float, float]) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    candidates = [list(ticks) for ticks in _forest.ticks(is_ratio, limits)]
    ticks = next((found for found in candidates if 2 <= len(found) <= 7), candidates[-1])
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
