"""Forest plot of study medians with their quartiles and extremes, and of the median of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth.errors import InvalidInputError
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.plots import _forest, _style
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column
from netsynth.plots.forest import ABOVE, AXIS, LEAST_PLOT, PLOT_WIDTH
from netsynth.results.medians import AggregatedMedians, Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["medians_plot"]

_PLAIN_SHARE: Final = 0.3  # of the area of the largest square, where all studies count the same
_MEASURE: Final[dict[Quantity, EffectMeasure]] = {
    "median": "median",
    "difference of medians": "median_difference",
    "ratio of medians": "log_median_ratio",
}


def medians_plot(result: AggregatedMedians, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Forest plot of "MM" and "WM", whose studies have no standard errors.

    A square is the median of a study, for "WM" with an area that grows with its patients. The thick line
    spans its quartiles and the thin one its extremes, as far as they are printed. The diamond is the median of the
    studies with its exact interval; without an interval it is a square, and the note says why.

    Parameters
    ----------
    result : AggregatedMedians
        From `aggregate_medians` with method "MM" or "WM".
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of the interval of the median.

    Returns
    -------
    Axes
        The axes with the studies, in the unit of the data; of two groups their differences or ratios.

    Raises
    ------
    InvalidInputError
        If the result is of another method, the level is not a fraction, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.medians import aggregate_medians
    >>> stay = {"n": [40, 60, 90], "q1": [6, 8, 7], "median": [10, 13, 11], "q3": [18, 20, 17]}
    >>> medians_plot(aggregate_medians(stay, method="MM")).get_xlabel()
    'Median'
    """
    level = _validate.level(level)
    if result.effect is not None:
        raise InvalidInputError(f"{result.method} has a model; its forest plot is forest_plot of the effect.")
    measure = MEASURES[_MEASURE[result.quantity]]
    used = np.flatnonzero(result.used)
    middle = np.exp(result.study_estimate[used]) if measure.is_ratio else result.study_estimate[used]
    interval = result.order_interval(level)
    ends = (interval.lower, interval.upper)
    shown = _format.ratio if measure.is_ratio else _size
    k, is_group = used.size, len(result.groups) == 1
    low, q1, _, q3, high = result.groups[0].values[used].T if is_group else np.full((5, k), math.nan)
    limits = _forest.limits(
        _MEASURE[result.quantity],
        middle,
        np.fmin(np.fmin(low, q1), middle),
        np.fmax(np.fmax(high, q3), middle),
        [ends],
    )

    names = [_style.one_line(result.study[i]) for i in used]
    left = [
        Column(
            "Study",
            (*names, "Weighted median" if result.method == "WM" else "Median of medians"),
            bold_from=k,
        )
    ]
    if np.isfinite(patients := np.sum([group.n[used] for group in result.groups], axis=0)).any():
        left.append(Column("n", (*("" if math.isnan(n) else f"{n:g}" for n in patients), ""), "right"))
    right = [
        Column(
            f"{measure.label} [{100 * level:g}% CI]",
            (*map(shown, middle), f"{shown(result.estimate)}{_span(*ends, shown)}"),
            "right",
            bold_from=k,
        )
    ]
    for heading, first, last in (("Quartiles", q1, q3), ("Range", low, high)):
        cells = [_span(a, b).strip() for a, b in zip(first, last, strict=True)]
        right += [Column(heading, (*cells, ""), "right")] if any(cells) else []
    with _style.style():
        width_left, width_right = (sum(column.width + GAP for column in group) for group in (left, right))
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        room = total - width_left - width_right + 2 * min(width_left, width_right)
        label = _style.wrapped(measure.label, room)
        note = _style.wrapped(_note(result, interval.reason, interval.coverage), total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(label)
        foot = label_foot + 0.12 + LINE * len(note)
        y = [*map(float, range(k)), k + 0.6]
        bottom = y[-1] + 0.9
        if ax is None:
            ax = _style.new_axes(ours, (bottom + ABOVE) * ROW + foot)
        least = (LEAST_PLOT, (bottom + ABOVE) * LEAST_ROW)
        plot_width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=least)
        _forest.frame(ax, measure, (bottom, -ABOVE), limits, plot_width, label)
        for i in range(1, k, 2):
            _style.stripe(ax, width_left, width_right, i)
        if not is_group:
            _forest.null_line(ax, measure.null, bottom, limits)
        _forest.mean_line(ax, result.estimate, y[k])
        weight = result.study_weight[used]
        share = weight / weight.max() if result.method == "WM" else np.full(k, _PLAIN_SHARE)
        for i in range(k):
            if low[i] < high[i]:
                _forest.whisker(ax, (low[i], high[i]), y[i], limits)
            if q1[i] < q3[i]:
                a, b = max(q1[i], limits[0]), min(q3[i], limits[1])
                ax.plot([a, b], [y[i], y[i]], color=_style.GREY, lw=2.6, solid_capstyle="butt", zorder=2)
            _forest.square(ax, middle[i], y[i], float(share[i]), limits)
        if math.isnan(interval.lower):
            ax.plot([result.estimate], [y[k]], marker="s", ms=5.5, color=_style.BLUE, mec="none", zorder=4)
        else:
            _forest.diamond(ax, result.estimate, ends, y[k], limits)
        _style.write_columns(ax, left, -width_left, y, -1.25, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, y, -1.25, place=_style.beside(ax, right=True))
        for height in (-0.75, k - 0.15):
            _style.rule(ax, width_left, width_right, height)
        _style.write_lines(ax, note, -width_left, -label_foot - 0.12)
    return ax


def _size(value: float) -> str:
    return _style.number(_format.shortest(value, 2))


def _span(low: float, high: float, shown: Callable[[float], str] = _size) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f" [{shown(low)}, {shown(high)}]"


def _note(result: AggregatedMedians, reason: str, coverage: float) -> str:
    said = (
        reason[:1].upper() + reason[1:]
        if reason
        else f"Exact interval between two studies, coverage {coverage:.1%}"
    )
    out = [(name, why) for name, why in zip(result.study, result.reason, strict=True) if why]
    return ". ".join([said, *([_forest.left_out(out)] if out else [])])
