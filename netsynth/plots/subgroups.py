"""Forest plot by subgroup: the studies of each, what it says, and what all say together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from netsynth import _format, _validate
from netsynth.kernels.scales import MEASURES
from netsynth.plots import _forest, _style
from netsynth.plots._forest import Ends
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column
from netsynth.results.pooled import PooledEffect
from netsynth.results.subgroups import SubgroupComparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["subgroup_plot"]

PLOT_WIDTH: Final = 2.3  # inches the plot itself gets when the figure is ours
LEAST_PLOT: Final = 0.9  # inches below which given axes are too narrow
AXIS: Final = 0.22  # inches under the last row for the ticks and their labels
ABOVE: Final = 1.8  # rows from the first row to the top: the heading and a rule
BETWEEN: Final = 0.5  # rows left free between subgroups


class _Row(NamedTuple):
    """One line of the figure: what it is called, what it shows, and where."""

    name: str
    y: float
    value: float = math.nan
    ends: Ends | None = None
    weight: float = math.nan
    kind: str = "heading"  # or "study", "mean", "prediction"
    striped: bool = False


def subgroup_plot(
    result: SubgroupComparison,
    *,
    ax: Axes | None = None,
    level: float = 0.95,
    label: str = "",
) -> Axes:
    """Forest plot by subgroup, with a diamond for each and one for all studies.

    Parameters
    ----------
    result : SubgroupComparison
        From `compare_subgroups`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of all intervals.
    label : str, optional
        What the axis shows; by default the name of the measure.

    Returns
    -------
    Axes
        The axes with the intervals, on the printed scale (percent for probabilities). Weights are within
        subgroups; the area of a square is by the weight among all studies.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.subgroups import compare_subgroups
    >>> result = compare_subgroups(
    ...     [-0.51, -0.12, -0.33, 0.2], se=[0.18, 0.10, 0.15, 0.2], group=["old", "new", "new", "old"],
    ...     measure="log_hr", ci_method="wald",
    ... )
    >>> ax = subgroup_plot(result)
    >>> ax.get_xlabel()
    'Hazard ratio'
    """
    level = _validate.level(level)
    measure = MEASURES[result.measure]
    rows = _rows(result, level)
    studies = [row for row in rows if row.kind == "study"]
    bold = [row for row in rows if row.kind != "study"]
    ordered = studies + bold  # the bold rows of a column come last, wherever they are drawn
    drawn = [(row, row.ends) for row in ordered if row.ends is not None]
    natural = np.array([row.value for row in studies])
    low, high = np.array([ends for row, ends in drawn if row.kind == "study"]).T
    more = [ends for row, ends in drawn if row.kind != "study"]
    limits = _forest.limits(result.measure, natural, low, high, more)

    digits = _forest.decimals(measure.kind, result.overall.study_se, natural)
    left = [Column("Study", tuple(row.name for row in ordered), bold_from=len(studies))]
    right = [
        Column(
            "Weight",
            tuple("" if math.isnan(row.weight) else f"{100 * row.weight:.1f}%" for row in ordered),
            "right",
        ),
        Column(
            f"{_forest.heading(result.measure)} [{100 * level:g}% CI]",
            tuple(
                "" if row.ends is None else _forest.row_text(row.value, row.ends, measure.kind, digits)
                for row in ordered
            ),
            "right",
            bold_from=len(studies),
        ),
    ]
    y = [row.y for row in ordered]
    with _style.style():
        width_left, width_right = (sum(c.width + GAP for c in group) for group in (left, right))
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        room = total - width_left - width_right + 2 * min(width_left, width_right)
        axis_label = _style.wrapped(_forest.axis_text(label or measure.label, measure.kind), room)
        note = _style.wrapped(_note(result), total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(axis_label)
        foot = label_foot + 0.12 + LINE * len(note)
        bottom = max(y) + 0.9
        if ax is None:
            ax = _style.new_axes(ours, (bottom + ABOVE) * ROW + foot)
        least = (LEAST_PLOT, (bottom + ABOVE) * LEAST_ROW)
        plot_width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=least)
        _forest.frame(ax, measure, (bottom, -ABOVE), limits, plot_width, axis_label)
        for row in rows:
            if row.striped:
                _style.stripe(ax, width_left, width_right, row.y)
        _forest.null_line(ax, _forest.factor(result.measure) * measure.null, bottom, limits)
        last = next(row for row in reversed(rows) if row.kind == "mean")
        _forest.mean_line(ax, last.value, last.y)
        for row, share in zip(studies, _shares(result), strict=True):
            _forest.square(ax, row.value, row.y, share, limits)
        for row, ends in drawn:
            if row.kind == "study":
                _forest.whisker(ax, ends, row.y, limits)
            elif row.kind == "mean":
                _forest.diamond(ax, row.value, ends, row.y, limits)
            else:
                _forest.bar(ax, ends, row.y, limits)
        _style.write_columns(ax, left, -width_left, y, -1.25, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, y, -1.25, place=_style.beside(ax, right=True))
        for height in (-0.75, last.y - 0.75):
            _style.rule(ax, width_left, width_right, height)
        _style.write_lines(ax, note, -width_left, -label_foot - 0.12)
    return ax


def _rows(result: SubgroupComparison, level: float) -> list[_Row]:
    found, y = list[_Row](), 0.0
    scale = _forest.factor(result.measure)
    for group, member in zip(result.groups, result.results, strict=True):
        found.append(_Row(_style.one_line(group), y))
        natural = scale * MEASURES[result.measure].from_scale(member.study_estimate)
        limits = member.natural_study_interval(level)
        for i, name in enumerate(member.study):
            y += 1.0
            ends = (scale * float(limits.lower[i]), scale * float(limits.upper[i]))
            weight = float(member.weight[i])
            label = f"   {_style.one_line(name)}"
            found.append(_Row(label, y, float(natural[i]), ends, weight, "study", striped=i % 2 == 1))
        if member.pooled:
            y += 1.1
            means = _mean_rows(member, y, level, indent="   ")
            found += means
            y = means[-1].y
        y += 1.0 + BETWEEN
    return found + _mean_rows(result.overall, y + 0.2, level, indent="")


def _mean_rows(pooled: PooledEffect, y: float, level: float, *, indent: str) -> list[_Row]:
    scale = _forest.factor(pooled.measure)
    model = "Common effect" if pooled.tau2_method == "CE" else "Random effects"
    name = (
        f"{indent}{model}, I² = {100 * pooled.i2:.0f}%"
        if indent
        else f"All studies, I² = {100 * pooled.i2:.0f}%"
    )
    ci, pi = pooled.natural_interval(level), pooled.natural_prediction_interval(level)
    ends = None if math.isnan(ci.lower) else (scale * ci.lower, scale * ci.upper)
    rows = [_Row(name, y, scale * pooled.natural, ends, kind="mean")]
    if math.isfinite(pi.lower):
        ends = (scale * pi.lower, scale * pi.upper)
        rows.append(_Row(f"{indent}Prediction interval", y + 1.0, math.nan, ends, kind="prediction"))
    return rows


def _shares(result: SubgroupComparison) -> list[float]:
    """Weight of each study among all, relative to the largest, in the order of the subgroups."""
    tau2 = result.overall.tau2
    weights = [1.0 / (se**2 + tau2) for member in result.results for se in member.study_se]
    return [weight / max(weights) for weight in weights]


def _note(result: SubgroupComparison) -> str:
    overall = result.overall
    parts = [f"Difference between subgroups: {_test(result)}"]
    if overall.tau2_method == "CE":
        parts.append("Common-effect model")
    elif result.common_tau2:
        parts.append(f"Common τ² = {_format.significant(result.tau2)} ({overall.tau2_method})")
    else:
        each = _format.listing(
            f"{_format.significant(member.tau2)} ({group})"
            for group, member in zip(result.groups, result.results, strict=True)
            if member.pooled
        )
        parts.append(f"τ² ({overall.tau2_method}): {each}")
    parts.append(f"Interval of the mean: {overall.ci_method}")
    parts.append("Weights are within subgroups")
    return _forest.unbroken(". ".join(parts))


def _test(result: SubgroupComparison) -> str:
    test = result.test
    if math.isnan(test.statistic):
        return "undefined"
    value, p = _format.number(test.statistic, 2), _format.pvalue(test.pvalue)
    if math.isinf(test.df_residual):
        return f"χ² = {value} on {test.df:g} df, {p}"
    return f"F = {value} on {test.df:g} and {test.df_residual:g} df, {p}"
