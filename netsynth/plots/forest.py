"""Forest plot: what each study found, how much it weighs, and what they say together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth.errors import InvalidInputError
from netsynth.kernels.scales import MEASURES
from netsynth.plots import _forest, _style
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column
from netsynth.results.counts import PooledCounts
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["forest_plot"]

PLOT_WIDTH: Final = 2.3  # inches the plot itself gets when the figure is ours
LEAST_PLOT: Final = 0.9  # inches below which given axes are too narrow
AXIS: Final = 0.22  # inches under the last row for the ticks and their labels
_PLAIN_SHARE: Final = 0.3  # of the area of the largest square, for studies without weights
ABOVE: Final = 1.8  # rows from the first study to the top: the heading and a rule


def forest_plot(
    result: PooledEffect,
    *,
    ax: Axes | None = None,
    level: float = 0.95,
    columns: Mapping[str, Sequence[object]] | None = None,
    label: str = "",
    xlim: tuple[float, float] | None = None,
) -> Axes:
    """Forest plot of a pooled effect.

    Parameters
    ----------
    result : PooledEffect
        From `pool_effects`, `pool_proportions`, `pool_rates` or `pool_landmark`. A model of counts has no weights: the
        plot then shows the counts, and squares of one size.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of all intervals.
    columns : mapping of heading to one value a study, optional
        Further columns between the study and the plot, such as events and patients.
    label : str, optional
        What the axis shows; by default the name of the measure.
    xlim : (float, float), optional
        Limits of the axis on the printed scale; an interval that leaves them ends in an arrow. By default
        probabilities run from 0 to 100% and other axes as far as the studies need.

    Returns
    -------
    Axes
        The axes with the intervals, on the printed scale (percent for probabilities). A ratio that two decimals
        would print as 0, or above 1000, is written as "<0.01" or ">1000" beside them.

    Raises
    ------
    InvalidInputError
        If a column does not have one value a study, the limits are not limits, or the axes are too small for
        the text.

    Examples
    --------
    >>> from netsynth import pool_effects
    >>> result = pool_effects([-0.51, -0.12, -0.33], se=[0.18, 0.10, 0.15], measure="log_hr")
    >>> ax = forest_plot(result)
    >>> ax.get_xlabel()
    'Hazard ratio'
    """
    level = _validate.level(level)
    measure = MEASURES[result.measure]
    factor = _forest.factor(result.measure)
    natural = factor * result.study_natural
    low, high = (factor * end for end in result.natural_study_interval(level))
    mean = factor * result.natural
    ci, pi = (
        (factor * pair.lower, factor * pair.upper)
        for pair in (result.natural_interval(level), result.natural_prediction_interval(level))
    )
    summaries = [ci, pi] if math.isfinite(pi[0]) else [ci]
    k, n_rows = result.k, result.k + len(summaries)
    limits = _forest.checked(xlim, measure.is_ratio) or _forest.limits(
        result.measure, natural, low, high, summaries
    )

    left = [
        Column(
            "Study", (*map(_style.one_line, result.study), *_summary_names(result, summaries)), bold_from=k
        )
    ]
    left += _further(columns or {}, k, n_rows)
    decimals = _forest.decimals(measure.kind, result.study_se, natural)
    in_months = measure.kind == "rate" and result.unit == "in months"
    counted = isinstance(result, PooledCounts)
    shares = np.full(k, _PLAIN_SHARE) if counted else result.weight / result.weight.max()
    estimates = [*natural, mean, *[math.nan] * (len(summaries) - 1)]
    ends = [*zip(low, high, strict=True), *summaries]
    right = [
        Column(*_weights(result, len(summaries)), "right"),
        Column(
            f"{_forest.heading(result.measure, result.label)} [{100 * level:g}% CI]",
            tuple(
                _forest.row_text(value, pair, measure.kind, decimals, in_months=in_months)
                for value, pair in zip(estimates, ends, strict=True)
            ),
            "right",
            bold_from=k,
        ),
    ]
    with _style.style():
        width_left, width_right = (sum(c.width + GAP for c in group) for group in (left, right))
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        room = total - width_left - width_right + 2 * min(width_left, width_right)
        axis_label = _style.wrapped(_forest.axis_text(label or result.label, measure.kind), room)
        note = _style.wrapped(_heterogeneity(result), total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(axis_label)
        foot = label_foot + (0.12 + LINE * len(note) if note else 0.0)
        y = [float(i) for i in range(k)] + [k + 0.6 + i for i in range(n_rows - k)]
        bottom = y[-1] + 0.9
        if ax is None:
            ax = _style.new_axes(ours, (bottom + ABOVE) * ROW + foot)
        plot_width, _ = _style.make_room(
            ax,
            left=width_left,
            right=width_right,
            foot=foot,
            least=(LEAST_PLOT, (bottom + ABOVE) * LEAST_ROW),
        )
        _forest.frame(ax, measure, (bottom, -ABOVE), limits, plot_width, axis_label)
        for i in range(1, k, 2):
            _style.stripe(ax, width_left, width_right, i)
        _forest.null_line(ax, factor * measure.null, bottom, limits)
        _forest.mean_line(ax, mean, y[k])
        for i in range(k):
            _forest.whisker(ax, (low[i], high[i]), y[i], limits)
            _forest.square(ax, natural[i], y[i], float(shares[i]), limits)
        _forest.diamond(ax, mean, ci, y[k], limits)
        if len(summaries) > 1:
            _forest.bar(ax, pi, y[k + 1], limits)
        _style.write_columns(ax, left, -width_left, y, -1.25, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, y, -1.25, place=_style.beside(ax, right=True))
        for height in (-0.75, k - 0.15):
            _style.rule(ax, width_left, width_right, height)
        _style.write_lines(ax, note, -width_left, -label_foot - 0.12)
    return ax


def _weights(result: PooledEffect, n_summaries: int) -> tuple[str, tuple[str, ...]]:
    """The column of weights, or of the counts where a model has none."""
    if isinstance(result, PooledCounts):
        return "Events/time" if result.is_rate else "Events/total", (*result.counts(), *[""] * n_summaries)
    return "Weight", (*(f"{100 * w:.1f}%" for w in result.weight), *[""] * n_summaries)


def _summary_names(result: PooledEffect, summaries: Sequence[object]) -> list[str]:
    if not result.pooled:
        return ["One study"]
    model = "Common effect" if result.tau2_method == "CE" else "Random effects"
    return [model, "Prediction interval"][: len(summaries)]


def _further(columns: Mapping[str, Sequence[object]], k: int, n_rows: int) -> list[Column]:
    found = []
    for heading, cells in columns.items():
        if len(cells) != k:
            values, studies = _format.plural(len(cells), "value"), _format.plural(k, "study", "studies")
            raise InvalidInputError(f"Column {heading!r} has {values} for {studies}; give one value a study.")
        shown = ["" if cell is None else _style.one_line(cell) for cell in cells]
        numeric = all(
            not text or text.replace(".", "", 1).replace(_format.EN_DASH, "").isdigit() for text in shown
        )
        cells_of_rows = (*shown, *[""] * (n_rows - k))
        found.append(Column(_style.one_line(heading), cells_of_rows, "right" if numeric else "left"))
    return found


def _heterogeneity(result: PooledEffect) -> str:
    if not result.pooled:
        return ""
    p = _format.pvalue(result.q_pvalue)
    statistic = "likelihood ratio" if isinstance(result, PooledCounts) else "Q"
    q = f"{statistic} = {result.q:.2f} on {result.k - 1} df, {p}"
    if result.tau2_method == "CE":
        text = f"Heterogeneity: {q}; I² = {100 * result.i2:.0f}%"
    else:
        spread = f"τ² = {_format.significant(result.tau2)}"
        if isinstance(result, PooledCounts) and result.model == "beta_binomial":
            spread = f"ρ = {_format.significant(result.rho)}"
        text = (
            f"Heterogeneity: {spread} ({result.tau2_method}); I² = {100 * result.i2:.0f}%; {q}. "
            f"Interval of the mean: {result.ci_method}"
        )
    return _forest.unbroken(text)
