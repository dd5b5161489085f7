"""Forest plot of a posterior: each study before and after it is drawn towards the mean, and the mean itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import Interval
from netsynth.kernels.scales import MEASURES, Measure
from netsynth.plots import _forest, _style
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column
from netsynth.results.distributions import EffectDistribution
from netsynth.results.posterior import PosteriorEffect

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["posterior_plot"]

PLOT_WIDTH: Final = 2.6  # inches the plot itself gets when the figure is ours
LEAST_PLOT: Final = 0.9  # inches below which given axes are too narrow
AXIS: Final = 0.22  # inches under the last row for the ticks and their labels
ABOVE: Final = 1.8  # rows from the first study to the top: the heading and a rule
STUDY: Final = 1.25  # rows a study takes, for its two intervals
APART: Final = 0.28  # rows between the two intervals of a study, from each to the middle
HILL: Final = 1.15  # rows that the highest density stands above its interval


def posterior_plot(
    result: PosteriorEffect,
    *,
    ax: Axes | None = None,
    level: float = 0.95,
    label: str = "",
    xlim: tuple[float, float] | None = None,
) -> Axes:
    """Forest plot of a posterior.

    Each study has its own estimate with its confidence interval, in black, and below it the posterior of its
    true effect, in blue. Under the studies stand the posterior density of the mean effect and that of the effect
    of a new study, each above its interval.

    Parameters
    ----------
    result : PosteriorEffect
        From `pool_bayes`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of all intervals.
    label : str, optional
        What the axis shows; by default the name of the measure.
    xlim : (float, float), optional
        Limits of the axis on the printed scale; an interval that leaves them ends in an arrow. By default
        probabilities run from 0 to 100% and other axes as far as the studies need.

    Returns
    -------
    Axes
        The axes with the intervals, on the printed scale (percent for probabilities). Densities are on the scale
        of the axis, logarithmic for ratios, and equally high.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction, the limits are not limits, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.bayes import pool_bayes
    >>> ax = posterior_plot(pool_bayes([-0.51, -0.12, -0.33], se=[0.18, 0.10, 0.15], measure="log_hr"))
    >>> ax.get_xlabel()
    'Hazard ratio'
    """
    level, measure = _validate.level(level), MEASURES[result.measure]
    factor = _forest.factor(result.measure)
    own, own_ends = measure.from_scale(result.study_estimate), result.natural_study_interval(level)
    drawn, drawn_ends = measure.from_scale(result.shrunken), result.natural_shrunken_interval(level)
    summaries = (result.natural_interval(level), result.natural_prediction_interval(level))
    k, null = result.k, factor * measure.null
    limits = _forest.checked(xlim, measure.is_ratio) or _forest.limits(
        result.measure,
        factor * own,
        factor * own_ends.lower,
        factor * own_ends.upper,
        [(factor * ends.lower, factor * ends.upper) for ends in summaries],
    )

    y = [STUDY * i for i in range(k)] + [STUDY * (k - 1) + 2.2, STUDY * (k - 1) + 4.0]
    columns_left = [
        Column("Study", (*map(_style.one_line, result.study), "Mean effect", "New study"), bold_from=k)
    ]
    decimals = _forest.decimals(measure.kind, result.study_se, own)
    before, after, middle = (
        [
            _forest.row_text(factor * value, (factor * low, factor * high), measure.kind, decimals)
            for value, low, high in rows
        ]
        for rows in (
            zip(own, *own_ends, strict=True),
            zip(drawn, *drawn_ends, strict=True),
            ((value, *ends) for value, ends in zip((result.natural, math.nan), summaries, strict=True)),
        )
    )
    percent = f"{100 * level:g}%"
    columns_right = [
        Column(f"Reported [{percent} CI]", (*before, "", ""), "right"),
        Column("Weight", (*(f"{100 * w:.1f}%" for w in result.weight), "", ""), "right"),
        Column(f"Posterior [{percent} CrI]", (*after, *middle), "right", bold_from=k),
    ]
    with _style.style():
        width_left, width_right = (
            sum(c.width + GAP for c in group) for group in (columns_left, columns_right)
        )
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        room = total - width_left - width_right + 2 * min(width_left, width_right)
        text = _style.one_line(label or measure.label)
        is_percent = measure.kind == "probability" and "%" not in text
        axis_label = _style.wrapped(f"{text}, %" if is_percent else text, room)
        note = _style.wrapped(_note(result, level), total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(axis_label)
        foot = label_foot + 0.12 + LINE * len(note)
        bottom = y[-1] + 0.6
        if ax is None:
            ax = _style.new_axes(ours, (bottom + ABOVE) * ROW + foot)
        least = (LEAST_PLOT, (bottom + ABOVE) * LEAST_ROW)
        plot_width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=least)
        _forest.frame(ax, measure, (bottom, -ABOVE), limits, plot_width, axis_label)
        for i in range(1, k, 2):
            _style.stripe(ax, width_left, width_right, y[i], STUDY)
        _forest.null_line(ax, null, bottom, limits)
        mean = factor * result.natural
        _forest.mean_line(ax, mean, y[k])
        for i in range(k):
            share = float(result.weight[i] / max(result.weight.max(), 1e-300))
            ends = (factor * own_ends.lower[i], factor * own_ends.upper[i])
            _whisker(ax, ends, y[i] - APART, limits, _style.INK)
            _mark(ax, factor * own[i], y[i] - APART, limits, "s", 2.0 + 5.0 * math.sqrt(share), _style.INK)
            ends = (factor * drawn_ends.lower[i], factor * drawn_ends.upper[i])
            _whisker(ax, ends, y[i] + APART, limits, _style.BLUE)
            _mark(ax, factor * drawn[i], y[i] + APART, limits, "o", 3.6, _style.BLUE)
        for place, ends, whose, colour in (
            (y[k], summaries[0], result.effect, _style.BLUE),
            (y[k + 1], summaries[1], result.prediction, _style.SKY),
        ):
            _hill(ax, whose, measure, factor, place, limits, colour)
            _whisker(ax, (factor * ends.lower, factor * ends.upper), place, limits, colour, width=2.2)
        _mark(ax, mean, y[k], limits, "D", 4.2, _style.BLUE)
        _style.write_columns(ax, columns_left, -width_left, y, -1.25, place=_style.beside(ax))
        _style.write_columns(ax, columns_right, GAP, y, -1.25, place=_style.beside(ax, right=True))
        for height in (-0.75, y[k - 1] + 0.5 * STUDY + 0.12):
            _style.rule(ax, width_left, width_right, height)
        _style.write_lines(ax, note, -width_left, -label_foot - 0.12)
    return ax


def _note(result: PosteriorEffect, level: float) -> str:
    low, high = map(_format.significant, result.tau_interval(level))
    tau = f"τ: median {_format.significant(result.tau.median)}, {100 * level:g}% CrI [{low}, {high}]"
    parts = (
        "Black: as reported; blue: posterior.",
        f"{tau}; prior {result.describe_tau_prior()}.",
        f"Prior of the mean effect: {result.describe_mean_prior()}",
    )
    text = " ".join(parts)
    for piece in (f"[{low}, {high}]", result.describe_tau_prior(), result.describe_mean_prior()):
        text = text.replace(piece, piece.replace(" ", "\u00a0"))  # which stays on one line
    return text


def _hill(
    ax: Axes,
    whose: EffectDistribution,
    measure: Measure,
    factor: float,
    y: float,
    limits: tuple[float, float],
    colour: str,
) -> None:
    """The density above its interval, on the scale of the axis and as high as any."""
    ends = [whose.quantile(0.0005), whose.quantile(0.9995)]
    natural = factor * np.sort(measure.from_scale(np.array(ends)))
    first, last = max(natural[0], limits[0]), min(natural[1], limits[1])
    if not first < last:
        return
    x = np.geomspace(first, last, 400) if measure.is_ratio else np.linspace(first, last, 400)
    inside = x[1:-1] / factor  # at 0 and 100% a scale is infinite
    # a density on the scale times the slope of the scale, which a logarithmic axis has already
    slope = 1.0 if measure.is_ratio else np.abs(measure.derivative(inside))
    height = whose.density(measure.to_scale(inside)) * slope
    height = HILL * height / height.max()
    ax.fill_between(x[1:-1], y - height, y, color=colour, alpha=0.3, lw=0, zorder=2)
    ax.plot(x[1:-1], y - height, color=colour, lw=0.9, zorder=2)


def _whisker(
    ax: Axes,
    ends: tuple[float, float] | Interval,
    y: float,
    limits: tuple[float, float],
    colour: str,
    *,
    width: float = 0.9,
) -> None:
    a, b = max(ends[0], limits[0]), min(ends[1], limits[1])
    if a < b:
        ax.plot([a, b], [y, y], color=colour, lw=width, solid_capstyle="butt", zorder=3)
    for is_cut, end, marker in ((ends[0] < limits[0], limits[0], "<"), (ends[1] > limits[1], limits[1], ">")):
        if is_cut:
            ax.plot([end], [y], marker=marker, ms=4.5, color=colour, mec="none", clip_on=False, zorder=4)


def _mark(
    ax: Axes, value: float, y: float, limits: tuple[float, float], marker: str, size: float, colour: str
) -> None:
    if limits[0] <= value <= limits[1]:
        ax.plot([value], [y], marker=marker, ms=size, color=colour, mec="none", zorder=4)
