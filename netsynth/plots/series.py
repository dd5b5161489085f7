"""Forest plot of a series: the pooled effect without each study, or as studies are added."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.kernels.scales import MEASURES, Kind
from netsynth.plots import _forest, _style
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column
from netsynth.results.series import PooledSeries

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["series_plot"]

PLOT_WIDTH: Final = 2.3  # inches the plot itself gets when the figure is ours
LEAST_PLOT: Final = 0.9  # inches below which given axes are too narrow
AXIS: Final = 0.22  # inches under the last row for the ticks and their labels
EXTREMES: Final = (1e-40, 1e40)  # of a ratio that an axis has a place for
ABOVE: Final = 1.8  # rows from the first step to the top: the heading and a rule


def series_plot(
    series: PooledSeries, *, ax: Axes | None = None, level: float = 0.95, label: str = ""
) -> Axes:
    """Forest plot of a series of pooled effects.

    Parameters
    ----------
    series : PooledSeries
        From `leave_one_out` or `accumulate`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of all intervals.
    label : str, optional
        What the axis shows; by default the name of the measure.

    Returns
    -------
    Axes
        The axes with the intervals, on the printed scale (percent for probabilities). An interval that leaves
        them ends in an arrow, and a ratio below 0.0005 or above 1000 is written as "<0.001" or ">1000" beside
        them. A study without which the conclusion is another stands out in colour.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.diagnose import leave_one_out
    >>> from netsynth.pool import pool_effects
    >>> pooled = pool_effects([-0.51, -0.12, -0.33], se=[0.18, 0.10, 0.15], measure="log_hr")
    >>> ax = series_plot(leave_one_out(pooled))
    >>> ax.get_xlabel()
    'Hazard ratio'
    """
    level, measure = _validate.level(level), MEASURES[series.measure]
    factor = 100.0 if measure.kind == "probability" else 1.0
    mean, overall = factor * series.natural, factor * series.overall.natural
    low, high = (factor * end for end in series.natural_interval(level))
    lower, upper = (factor * end for end in series.overall.natural_interval(level))
    n, omits = series.estimate.size, series.kind == "leave-one-out"
    turned = set(series.changes(level)) if omits else set()
    null = factor * measure.null
    limits = _limits(
        measure.kind, null, np.append(mean, overall), np.append(low, lower), np.append(high, upper)
    )

    names = (*map(_style.one_line, series.study), *(["None"] if omits else []))
    left = [Column("Study left out" if omits else "Study added", names, bold_from=n)]
    right = _right(series, level, omits)
    with _style.style():
        width_left, width_right = (sum(c.width + GAP for c in group) for group in (left, right))
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        room = total - width_left - width_right + 2 * min(width_left, width_right)
        text = _style.one_line(label or measure.label)
        percent = ", %" if measure.kind == "probability" and "%" not in text else ""
        axis_label = _style.wrapped(f"{text}{percent}", room)
        note = _style.wrapped(_note(series, bool(turned)), total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(axis_label)
        foot = label_foot + 0.12 + LINE * len(note)
        y = [float(i) for i in range(n)] + ([n + 0.6] if omits else [])
        bottom = y[-1] + 0.9
        if ax is None:
            ax = _style.new_axes(ours, (bottom + ABOVE) * ROW + foot)
        least = (LEAST_PLOT, (bottom + ABOVE) * LEAST_ROW)
        plot_width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=least)
        _forest.frame(ax, measure, (bottom, -ABOVE), limits, plot_width, axis_label)
        for i in range(1, n, 2):
            _style.stripe(ax, width_left, width_right, i)
        _forest.null_line(ax, null, bottom, limits)
        _forest.mean_line(ax, overall, y[-1])
        for i, study in enumerate(series.study):
            colour = _style.VERMILION if study in turned else _style.INK
            _step(ax, (float(low[i]), float(mean[i]), float(high[i])), y[i], limits, colour)
        if omits:
            _diamond(ax, overall, (lower, upper), y[-1], limits)
        _style.write_columns(ax, left, -width_left, y, -1.25, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, y, -1.25, place=_style.beside(ax, right=True))
        for height in (-0.75, n - 0.15) if omits else (-0.75,):
            _style.rule(ax, width_left, width_right, height)
        _style.write_lines(ax, note, -width_left, -label_foot - 0.12)
    return ax


def _right(series: PooledSeries, level: float, omits: bool) -> list[Column]:
    """Columns of numbers beside the plot; the last row of those that omit is all studies."""
    all_of_them, kind = series.overall, MEASURES[series.measure].kind
    natural, (low, high) = series.natural, series.natural_interval(level)
    pvalues, i2 = series.pvalue, series.i2
    if omits:
        ends = all_of_them.natural_interval(level)
        natural = np.append(natural, all_of_them.natural)
        low, high = np.append(low, ends.lower), np.append(high, ends.upper)
        pvalues, i2 = np.append(pvalues, all_of_them.pvalue), np.append(i2, all_of_them.i2)
    heading = {"ratio": "HR", "probability": MEASURES[series.measure].label}.get(kind, "Estimate")
    columns = [
        Column(
            f"{heading} [{100 * level:g}% CI]",
            tuple(_row(series, *values) for values in zip(natural, low, high, strict=True)),
            "right",
            bold_from=series.estimate.size,
        )
    ]
    if not np.isnan(pvalues).all():
        shown = tuple("" if math.isnan(p) else _format.pvalue(p, symbol="").strip(" =") for p in pvalues)
        columns.append(Column("p", shown, "right", bold_from=series.estimate.size))
    shares = tuple("" if math.isnan(share) else f"{100 * share:.0f}%" for share in i2)
    columns.append(Column("I²", shares, "right", bold_from=series.estimate.size))
    if not omits:
        columns.insert(0, Column("Studies", tuple(map(str, series.k)), "right"))
    return columns


def _row(series: PooledSeries, value: float, low: float, high: float) -> str:
    """Value and limits in parts that stand under each other."""
    shown, lower, upper = (_style.number(_shown(series, number)) for number in (value, low, high))
    return f"{shown}\t[{lower},\t{upper}]" if math.isfinite(low) else f"{shown}\t\t"


def _shown(series: PooledSeries, value: float) -> str:
    kind = MEASURES[series.measure].kind
    if kind == "ratio" and not 0.0005 <= value < 999.95:
        return "<0.001" if value < 1 else ">1000"
    if kind != "difference":
        return series.overall.shown(value)
    # two digits of the standard error in the middle, the same number of decimals in every row
    return _format.number(
        value, min(max(1 - math.floor(math.log10(float(np.median(series.overall.study_se)))), 0), 6)
    )


def _note(series: PooledSeries, turned: bool) -> str:
    overall = series.overall
    model = "Common effect" if overall.tau2_method == "CE" else f"Random effects, τ² by {overall.tau2_method}"
    note = f"{model}; intervals by {overall.ci_method}."
    if turned:
        note += " In colour: without this study the conclusion is another."
    if series.kind == "cumulative":
        note += " Intervals are not corrected for looking after each study."
    return note


def _limits(
    kind: Kind, null: float, mean: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[float, float]:
    if kind == "probability":
        return 0.0, 100.0
    is_ratio, defined = kind == "ratio", ~np.isnan(low)
    centre, lows, highs = (
        np.log(np.clip(ends, *EXTREMES)) if is_ratio else ends for ends in (mean, low[defined], high[defined])
    )
    no_effect = 0.0 if is_ratio else null
    # the wide intervals of steps with few studies must not squeeze the others, which end in arrows then
    widths = highs - lows
    spread = max(float(np.ptp(centre)), 1.5 * float(np.median(widths)) if widths.size else 0.0)
    first = max(float(lows.min(initial=centre.min())), float(centre.min()) - spread)
    last = min(float(highs.max(initial=centre.max())), float(centre.max()) + spread)
    if is_ratio or first - spread < no_effect < last + spread:
        first, last = min(first, no_effect), max(last, no_effect)
    margin = 0.03 * (last - first) or 1.0
    lower, upper = first - margin, last + margin
    if not is_ratio:
        return lower, upper
    ends = np.clip([lower, upper], *np.log(EXTREMES))
    return float(np.exp(ends[0])), float(np.exp(ends[1]))


def _step(
    ax: Axes, values: tuple[float, float, float], y: float, limits: tuple[float, float], colour: str
) -> None:
    low, mean, high = values
    a, b = max(low, limits[0]), min(high, limits[1])
    if a < b:
        ax.plot([a, b], [y, y], color=colour, lw=0.9, solid_capstyle="butt", zorder=2)
    if limits[0] <= mean <= limits[1]:
        ax.plot([mean], [y], marker="o", ms=4, color=colour, mec="none", zorder=3)
    _forest.arrows(ax, (low, high), y, limits, colour)


def _diamond(ax: Axes, mean: float, ci: tuple[float, float], y: float, limits: tuple[float, float]) -> None:
    if not math.isfinite(ci[0]):
        _step(ax, (math.nan, mean, math.nan), y, limits, _style.BLUE)
        return
    _forest.diamond(ax, mean, ci, y, limits)
