"""What pooled survival can be, landmark by landmark, beside the answer that an assumption gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from netsynth import _format, _validate
from netsynth.kernels.scales import MEASURES
from netsynth.plots import _forest, _style
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column
from netsynth.results.pooled_bounds import PooledBounds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["pooled_bounds_plot"]

PLOT_WIDTH: Final = 2.3  # inches the plot itself gets when the figure is ours
LEAST_PLOT: Final = 0.9  # inches below which given axes are too narrow
AXIS: Final = 0.22  # inches under the last row for the ticks and their labels
ABOVE: Final = 1.6  # rows from the first landmark to the top: the heading and a rule
APART: Final = 0.17  # rows from the middle to the limits, and to the imputed answer
THICK: Final = 4.0  # points


def pooled_bounds_plot(
    bounds: PooledBounds, *, ax: Axes | None = None, level: float = 0.95, label: str = ""
) -> Axes:
    """Limits of pooled survival, the intervals that they allow, and the imputed answer, a row a landmark.

    Parameters
    ----------
    bounds : PooledBounds
        From `bound_pooled_survival`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of all intervals.
    label : str, optional
        What the axis shows; by default the endpoint.

    Returns
    -------
    Axes
        The axes, in percent. A thick bar is what the reports leave possible, the thin line through it every interval
        that some variances give; the mark under it is the imputed answer with its interval.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.pooled_bounds import bound_pooled_survival
    >>> found = bound_pooled_survival(load_nethm(), "OS", times_months=[60], sets=["core"])
    >>> pooled_bounds_plot(found).get_xlabel()
    'Pooled OS, %'
    """
    level, m = _validate.level(level), bounds.time_months.size
    low, high = (100 * end for end in bounds.survival)
    least, most = (100 * end for end in bounds.confidence_interval(level))
    intervals = [None if p is None else p.natural_interval(level) for p in bounds.imputed]
    in_years = bool((bounds.time_months % 12 == 0).all())
    times = [f"{t / 12:g}" if in_years else f"{t:g}" for t in bounds.time_months]
    left = [
        Column("Years" if in_years else "Months", tuple(times), "right"),
        Column("k", tuple(map(str, bounds.k)), "right"),
    ]
    imputed = tuple(
        ""
        if p is None or ends is None
        else _forest.row_text(100 * p.natural, (100 * ends.lower, 100 * ends.upper), "probability", 1)
        for p, ends in zip(bounds.imputed, intervals, strict=True)
    )
    right = [Column("Between, %", tuple(map(_limits, low, high)), "right")]
    if any(imputed):
        right.append(Column(f"If imputed [{100 * level:g}% CI]", imputed, "right"))
    with _style.style():
        width_left, width_right = (sum(c.width + GAP for c in group) for group in (left, right))
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        axis_label = _style.wrapped(
            _forest.axis_text(label or f"Pooled {bounds.endpoint}", "probability"), total - width_left
        )
        note = _style.wrapped(_note(bounds, level), total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(axis_label)
        foot = label_foot + 0.12 + LINE * len(note)
        bottom = m - 0.3
        if ax is None:
            ax = _style.new_axes(ours, (bottom + ABOVE) * ROW + foot)
        smallest = (LEAST_PLOT, (bottom + ABOVE) * LEAST_ROW)
        plot_width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=smallest)
        _forest.frame(ax, MEASURES[bounds.measure], (bottom, -ABOVE), (0.0, 100.0), plot_width, axis_label)
        for i in range(1, m, 2):
            _style.stripe(ax, width_left, width_right, i)
        for i, p in enumerate(bounds.imputed):
            y = i - APART if p is not None else float(i)
            if math.isfinite(least[i]):
                ax.plot(
                    [least[i], most[i]], [y, y], color=_style.BLUE, lw=0.9, solid_capstyle="butt", zorder=2
                )
            centre, half = 0.5 * (low[i] + high[i]), max(0.5 * (high[i] - low[i]), 0.4)
            ends = [centre - half, centre + half]  # limits that are one point still show
            ax.plot(ends, [y, y], color=_style.BLUE, lw=THICK, solid_capstyle="butt", zorder=3)
            ends_imputed = intervals[i]
            if p is None or ends_imputed is None:
                continue
            y, pair = i + APART, [100 * end for end in ends_imputed]
            ax.plot(pair, [y, y], color=_style.VERMILION, lw=0.9, solid_capstyle="butt", zorder=2)
            ax.plot([100 * p.natural], [y], marker="o", ms=3.5, color=_style.VERMILION, mec="none", zorder=3)
        y_rows = [float(i) for i in range(m)]
        _style.write_columns(ax, left, -width_left, y_rows, -1.1, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, y_rows, -1.1, place=_style.beside(ax, right=True))
        _style.rule(ax, width_left, width_right, -0.6)
        _style.write_lines(ax, note, -width_left, -label_foot - 0.12)
    return ax


def _limits(low: float, high: float) -> str:
    return "\t".join((_format.number(low, 1) + "\u2013", _format.number(high, 1)))


def _note(bounds: PooledBounds, level: float) -> str:
    text = (
        f"Thick: pooled survival for any variances that the reports allow; thin: any {100 * level:g}% interval of "
        "those. Random effects, τ² by PM."
    )
    if bounds.least_maturity:
        text += f" At least {100 * bounds.least_maturity:g}% of survivors under observation."
    if any(bounds.imputed):
        text += " Round: missing variances imputed."
    if bounds.k_silent.any():
        text += " Studies that do not report a time come in with what their other times leave possible."
    return text
