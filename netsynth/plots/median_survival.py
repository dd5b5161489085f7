"""Forest plot of median survival times, with an arrow for a median that was not reached."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth.kernels.scales import MEASURES
from netsynth.plots import _forest, _style
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column
from netsynth.plots.forest import ABOVE, AXIS, LEAST_PLOT, PLOT_WIDTH
from netsynth.results.median_survival import PooledMedianSurvival

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["median_survival_plot"]

_REACH: Final = 1.35  # of the last end that is shown: the room that an arrow gets beyond it
_AXIS_MEASURE: Final = MEASURES["raw_rate"]  # times begin at 0 and have no value of no effect


def median_survival_plot(
    result: PooledMedianSurvival, *, ax: Axes | None = None, level: float = 0.95
) -> Axes:
    """Forest plot of pooled median survival.

    A printed median is a square with its interval; of one that was not reached there is a bar at its bound, and an
    arrow from it to where the median may lie. The diamond is the pooled median, the bar below it the prediction
    interval, and the open diamond the same model without the open ends.

    Parameters
    ----------
    result : PooledMedianSurvival
        From `pool_median_survival`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of all intervals. Limits that a study prints at this level are shown as printed, an upper limit "NR" with
        an arrow.

    Returns
    -------
    Axes
        The axes with the intervals, in months.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.median_survival import pool_median_survival
    >>> result = pool_median_survival([34, 46, 55], ci_lower=[27, 38, 40], ci_upper=[43, 56, 75])
    >>> median_survival_plot(result).get_xlabel()
    'Median OS, months'
    """
    level = _validate.level(level)
    k, known = result.k, result.lower == result.upper
    middle, (low, high) = result.study_months, result.natural_study_interval(level)
    ci, pi = result.natural_interval(level), result.natural_prediction_interval(level)
    rows: list[tuple[str, float, tuple[float, float]]] = []
    if result.pooled:
        rows.append(("Random effects", result.natural, ci))
        if math.isfinite(pi.lower):
            rows.append(("Prediction interval", math.nan, pi))
        if result.k_open:
            rows.append(("Without open ends", result.dropped.natural, result.dropped.natural_interval(level)))
    n_rows = k + len(rows)
    limits = _limits(result, low, high, [ends for _, _, ends in rows])

    names = (*map(_style.one_line, result.study), *(name for name, _, _ in rows))
    left = [Column("Study", names, bold_from=k)]
    texts = [_study_text(result, i, low[i], high[i]) for i in range(k)]
    texts += [_row_text(result, value, ends) for _, value, ends in rows]
    weights = (*(f"{100 * w:.1f}%" for w in result.weight), *[""] * len(rows))
    right = [
        Column("Weight", weights, "right"),
        Column(f"Months [{100 * level:g}% CI]", tuple(texts), "right", bold_from=k),
    ]
    with _style.style():
        width_left, width_right = (sum(column.width + GAP for column in group) for group in (left, right))
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        room = total - width_left - width_right + 2 * min(width_left, width_right)
        label = _style.wrapped(f"Median {_style.one_line(result.endpoint)}, months", room)
        note = _style.wrapped(_note(result), total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(label)
        foot = label_foot + (0.12 + LINE * len(note) if note else 0.0)
        y = [float(i) for i in range(k)] + [k + 0.6 + i for i in range(n_rows - k)]
        bottom = y[-1] + 0.9
        if ax is None:
            ax = _style.new_axes(ours, (bottom + ABOVE) * ROW + foot)
        least = (LEAST_PLOT, (bottom + ABOVE) * LEAST_ROW)
        plot_width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=least)
        _forest.frame(ax, _AXIS_MEASURE, (bottom, -ABOVE), limits, plot_width, label)
        for i in range(1, k, 2):
            _style.stripe(ax, width_left, width_right, i)
        if result.pooled:
            _forest.mean_line(ax, result.natural, y[k])
        share = result.weight / result.weight.max()
        for i in range(k):
            if known[i]:
                _forest.whisker(ax, (low[i], high[i]), y[i], limits)
                _forest.square(ax, middle[i], y[i], float(share[i]), limits)
            else:
                _open_end(ax, low[i], high[i], y[i], limits)
        for place, (name, value, ends) in zip(y[k:], rows, strict=True):
            if name == "Random effects":
                _forest.diamond(ax, value, ends, place, limits)
            elif name == "Prediction interval":
                _forest.bar(ax, ends, place, limits)
            else:
                _hollow(ax, value, ends, place, limits)
        _style.write_columns(ax, left, -width_left, y, -1.25, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, y, -1.25, place=_style.beside(ax, right=True))
        for height in (-0.75, k - 0.15):
            _style.rule(ax, width_left, width_right, height)
        _style.write_lines(ax, note, -width_left, -label_foot - 0.12)
    return ax


def _limits(
    result: PooledMedianSurvival, low: np.ndarray, high: np.ndarray, more: list[tuple[float, float]]
) -> tuple[float, float]:
    """From 0 to beyond the last median and bound, but not as far as one wide interval would go."""
    ends = np.array([*high, *(upper for _, upper in more)])
    shown = [*result.study_months[np.isfinite(result.study_months)], *low[np.isinf(high)], result.natural]
    far = max(shown)
    last = min(float(np.max(ends[np.isfinite(ends)], initial=far)), 2.2 * far)
    return 0.0, max(last, _REACH * far if np.isinf(high).any() else last) * 1.03


def _study_text(result: PooledMedianSurvival, i: int, low: float, high: float) -> str:
    """A median with its interval; of an open end the side on which it lies."""
    if result.lower[i] < result.upper[i]:
        return f">{_format.months(low)}\t\t" if math.isinf(high) else f"<{_format.months(high)}\t\t"
    first, last = result.shown_limits(float(low), float(high))
    return f"{_format.months(result.study_months[i])}\t[{first},\t{last}]"


def _row_text(result: PooledMedianSurvival, value: float, ends: tuple[float, float]) -> str:
    shown = "" if math.isnan(value) else result.shown(value)
    if math.isnan(ends[0]):
        return f"{shown}\t\t"
    low, high = map(result.shown, ends)
    return f"{shown}\t[{low},\t{high}]"


def _open_end(ax: Axes, low: float, high: float, y: float, limits: tuple[float, float]) -> None:
    """A bar at the bound, and an arrow to the side on which the median lies."""
    start, stop = (low, limits[1]) if math.isinf(high) else (high, 0.0)
    if limits[0] <= start <= limits[1]:
        ax.plot([start], [y], marker="|", ms=8, mew=1.4, color=_style.INK, zorder=3)
    ax.plot([min(start, limits[1]), stop], [y, y], color=_style.INK, lw=0.9, ls=(0, (2, 1.5)), zorder=2)
    marker = ">" if math.isinf(high) else "<"
    ax.plot([stop], [y], marker=marker, ms=4.5, color=_style.INK, mec="none", clip_on=False, zorder=4)


def _hollow(ax: Axes, mean: float, ends: tuple[float, float], y: float, limits: tuple[float, float]) -> None:
    low, high = max(ends[0], limits[0]), min(ends[1], limits[1])
    x = [low, mean, high, mean, low]
    ax.plot(x, [y, y - 0.26, y, y + 0.26, y], color=_style.BLUE, lw=0.9, zorder=4)
    _forest.arrows(ax, ends, y, limits, _style.BLUE)


def _note(result: PooledMedianSurvival) -> str:
    parts = []
    if result.pooled:
        parts.append(
            f"Heterogeneity: τ² = {_format.significant(result.tau2)} (REML). Interval of the mean: {result.ci_method}"
        )
    if result.pooled and result.k_open:
        one = result.k_open == 1
        said = (
            "was not reached (broken arrow) and enters as a bound"
            if one
            else ("were not reached (broken arrows) and enter as bounds")
        )
        parts.append(f"{_format.plural(result.k_open, 'median')} {said}")
    if result.left_out:
        parts.append(_forest.left_out(result.left_out))
    return _forest.unbroken(". ".join(parts))
