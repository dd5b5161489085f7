"""Forest plot grouped by cohort, the mean without each cohort, and the mean against the assumed correlation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.kernels.scales import MEASURES, Kind
from netsynth.plots import _forest, _style
from netsynth.plots._forest import Ends
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column, Look
from netsynth.results.cohort_series import CohortSeries
from netsynth.results.dependence_sensitivity import DependenceSensitivity
from netsynth.results.dependent import DependentEffect

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

__all__ = ["cohort_forest_plot", "cohort_series_plot", "dependence_plot"]

PLOT_WIDTH: Final = 2.3  # inches the plot itself gets when the figure is ours
LEAST_PLOT: Final = 0.9  # inches below which given axes are too narrow
AXIS: Final = 0.22  # inches under the last row for the ticks and their labels
ABOVE: Final = 1.8  # rows from the first result to the top: the heading and a rule
SUMMARIES: Final = ("Mean", "Prediction interval")


def cohort_forest_plot(
    result: DependentEffect, *, ax: Axes | None = None, level: float = 0.95, label: str = ""
) -> Axes:
    """Forest plot of dependent results, those of one cohort together.

    Parameters
    ----------
    result : DependentEffect
        From `pool_dependent`.
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
        them ends in an arrow.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.dependent import pool_dependent
    >>> result = pool_dependent(
    ...     [-0.51, -0.12, -0.33] * 5, se=[0.18, 0.10, 0.15] * 5, cluster=[*range(10), *range(5)], measure="log_hr"
    ... )
    >>> ax = cohort_forest_plot(result)
    >>> ax.get_xlabel()
    'Hazard ratio'
    """
    level, measure = _validate.level(level), MEASURES[result.measure]
    factor = _forest.factor(result.measure)
    cohorts = list(dict.fromkeys(result.cluster))
    order = np.argsort([cohorts.index(name) for name in result.cluster], kind="stable")
    natural = factor * measure.from_scale(result.study_estimate[order])
    low, high = (factor * end[order] for end in result.natural_study_interval(level))
    mean = factor * result.natural
    ci, pi = (
        (factor * pair.lower, factor * pair.upper)
        for pair in (result.natural_interval(level), result.natural_prediction_interval(level))
    )
    summaries = [ends for ends in (ci, pi) if math.isfinite(ends[0])]
    limits = _forest.limits(result.measure, natural, low, high, summaries or [(mean, mean)])

    k = result.k
    names = [result.cluster[i] for i in order]
    starts = [i == 0 or names[i] != names[i - 1] for i in range(k)]
    shown = [_style.one_line(name) if start else "" for name, start in zip(names, starts, strict=True)]
    left = [
        Column("Cohort", tuple(shown)),
        Column("Result", tuple(_style.one_line(result.study[i]) for i in order)),
    ]
    kind = measure.kind
    digits = _forest.decimals(kind, result.study_se, natural)
    rows = zip((*natural, mean, math.nan), (*zip(low, high, strict=True), ci, pi), strict=True)
    right = [
        Column("Weight", (*(f"{100 * result.weight[i]:.1f}%" for i in order), "", ""), "right"),
        Column(
            f"{_forest.heading(result.measure)} [{100 * level:g}% CI]",
            tuple(_row(value, ends, kind, digits) for value, ends in rows),
            "right",
            bold_from=k,
        ),
    ]
    with _style.style():
        width_left, width_right = (sum(c.width + GAP for c in group) for group in (left, right))
        width_left = max(width_left, _style.text_width(SUMMARIES, weight="bold") + GAP)
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        room = total - width_left - width_right + 2 * min(width_left, width_right)
        axis_label = _style.wrapped(_forest.axis_text(label or measure.label, measure.kind), room)
        note = _style.wrapped(_note(result), total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(axis_label)
        y = [*map(float, range(k)), k + 0.6, k + 1.6]
        bottom = y[-1] + 0.9
        if ax is None:
            ax = _style.new_axes(ours, (bottom + ABOVE) * ROW + label_foot + 0.12 + LINE * len(note))
        plot_width, _ = _style.make_room(
            ax,
            left=width_left,
            right=width_right,
            foot=label_foot + 0.12 + LINE * len(note),
            least=(LEAST_PLOT, (bottom + ABOVE) * LEAST_ROW),
        )
        _forest.frame(ax, measure, (bottom, -ABOVE), limits, plot_width, axis_label)
        for i in range(k):  # a band a cohort, every other one
            if cohorts.index(names[i]) % 2:
                _style.stripe(ax, width_left, width_right, i)
        _forest.null_line(ax, factor * measure.null, bottom, limits)
        _forest.mean_line(ax, mean, y[k])
        share = np.maximum(result.weight[order], 0.0) / result.weight.max()
        for i in range(k):
            _forest.whisker(ax, (low[i], high[i]), y[i], limits)
            _forest.square(ax, natural[i], y[i], float(share[i]), limits)
        if summaries:
            _forest.diamond(ax, mean, ci, y[k], limits)
            _forest.bar(ax, pi, y[k + 1], limits)
        _style.write_columns(ax, left, -width_left, y, -1.25, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, y, -1.25, place=_style.beside(ax, right=True))
        for name, at in zip(SUMMARIES, y[k:], strict=True):
            _style.write(ax, -width_left, at, name, place=_style.beside(ax), weight="bold")
        for height in (-0.75, k - 0.15):
            _style.rule(ax, width_left, width_right, height)
        _style.write_lines(ax, note, -width_left, -label_foot - 0.12)
    return ax


def cohort_series_plot(
    series: CohortSeries, *, ax: Axes | None = None, level: float = 0.95, label: str = ""
) -> Axes:
    """Forest plot of the means without each cohort.

    Parameters
    ----------
    series : CohortSeries
        From `DependentEffect.leave_one_cohort_out`.
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
        them ends in an arrow. A cohort without which the conclusion is another stands out in colour.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.dependent import pool_dependent
    >>> result = pool_dependent(
    ...     [-0.51, -0.12, -0.33] * 5, se=[0.18, 0.10, 0.15] * 5, cluster=[*range(10), *range(5)], measure="log_hr"
    ... )
    >>> ax = cohort_series_plot(result.leave_one_cohort_out())
    >>> ax.get_xlabel()
    'Hazard ratio'
    """
    level, measure, whole = _validate.level(level), MEASURES[series.measure], series.overall
    factor, m = _forest.factor(series.measure), len(series.cluster)
    mean, overall = factor * series.natural, factor * whole.natural
    low, high = (factor * end for end in series.natural_interval(level))
    lower, upper = (factor * end for end in whole.natural_interval(level))
    turned = series.changes(level)
    defined = ~np.isnan(low)
    summary = (lower, upper) if math.isfinite(lower) else (overall, overall)
    known = (low[defined], high[defined]) if defined.any() else (mean, mean)
    limits = _forest.limits(series.measure, mean, *known, [summary])

    left = [
        Column("Cohort left out", (*map(_style.one_line, series.cluster), "None"), bold_from=m),
        Column("Results", (*map(str, series.k), str(whole.k)), "right", bold_from=m),
    ]
    kind = measure.kind
    digits = _forest.decimals(kind, series.se[defined] if defined.any() else whole.study_se, mean)
    rows = zip((*mean, overall), (*zip(low, high, strict=True), (lower, upper)), strict=True)
    effects = tuple(_row(float(value), ends, kind, digits) for value, ends in rows)
    heading = f"{_forest.heading(series.measure)} [{100 * level:g}% CI]"
    pvalues = (*series.pvalue, whole.pvalue)
    shown = tuple("" if math.isnan(p) else _format.pvalue(p, symbol="").strip(" =") for p in pvalues)
    shares = tuple(f"{100 * share:.0f}%" for share in (*series.i2, whole.i2))
    right = [Column(heading, effects, "right", bold_from=m)]
    right += [Column("p", shown, "right", bold_from=m)] if any(shown) else []
    right += [Column("I²", shares, "right", bold_from=m)]
    with _style.style():
        width_left, width_right = (sum(c.width + GAP for c in group) for group in (left, right))
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        room = total - width_left - width_right + 2 * min(width_left, width_right)
        axis_label = _style.wrapped(_forest.axis_text(label or measure.label, kind), room)
        said = f"{_method(whole)}; intervals by {whole.ci_method}."
        said += " In colour: without this cohort the conclusion is another." if turned else ""
        note = _style.wrapped(said[0].upper() + said[1:], total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(axis_label)
        foot = label_foot + 0.12 + LINE * len(note)
        y = [*map(float, range(m)), m + 0.6]
        bottom = y[-1] + 0.9
        if ax is None:
            ax = _style.new_axes(ours, (bottom + ABOVE) * ROW + foot)
        least = (LEAST_PLOT, (bottom + ABOVE) * LEAST_ROW)
        plot_width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=least)
        _forest.frame(ax, measure, (bottom, -ABOVE), limits, plot_width, axis_label)
        for i in range(1, m, 2):
            _style.stripe(ax, width_left, width_right, i)
        _forest.null_line(ax, factor * measure.null, bottom, limits)
        _forest.mean_line(ax, overall, y[-1])
        for i, name in enumerate(series.cluster):
            colour = _style.VERMILION if name in turned else _style.INK
            ends = max(low[i], limits[0]), min(high[i], limits[1])
            ax.plot(ends, [y[i]] * 2, color=colour, lw=0.9, solid_capstyle="butt", zorder=2)
            ax.plot([mean[i]], [y[i]], marker="o", ms=4, color=colour, mec="none", zorder=3)
            _forest.arrows(ax, (low[i], high[i]), y[i], limits, colour)
        _forest.diamond(ax, overall, summary, y[-1], limits)
        _style.write_columns(ax, left, -width_left, y, -1.25, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, y, -1.25, place=_style.beside(ax, right=True))
        for height in (-0.75, m - 0.15):
            _style.rule(ax, width_left, width_right, height)
        _style.write_lines(ax, note, -width_left, -label_foot - 0.12)
    return ax


MEAN: Final[Look] = MappingProxyType({"color": _style.BLUE, "lw": 1.4})
AREA: Final[Look] = MappingProxyType({"color": _style.BLUE, "alpha": 0.18, "lw": 7, "solid_capstyle": "butt"})
BETWEEN: Final[Look] = MappingProxyType({"color": _style.VERMILION, "lw": 1.4})
WITHIN: Final[Look] = MappingProxyType({"color": _style.GREEN, "lw": 1.4, "ls": (0, (4, 1.5))})
ASSUMED: Final[Look] = MappingProxyType({"color": _style.GREY, "lw": 0.9, "ls": (0, (1, 1.5))})
PANEL: Final = (
    3.9,
    1.5,
    0.9,
)  # inches: width in all, height of the mean's panel and of that of the variances
BETWEEN_PANELS: Final = 0.12
HEAD: Final = 0.05
LEAST_HEIGHT: Final = 0.6  # inches of the mean's panel
X_LABEL: Final = "Assumed correlation within cohorts"


def dependence_plot(
    sensitivity: DependenceSensitivity, *, ax: Axes | None = None, level: float = 0.95, label: str = ""
) -> Axes:
    """The mean with its interval, and the variances below, against the assumed correlation.

    Parameters
    ----------
    sensitivity : DependenceSensitivity
        From `DependentEffect.over_correlation`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of the interval.
    label : str, optional
        What the mean is; by default the name of the measure.

    Returns
    -------
    Axes
        The axes of the mean, on the printed scale (percent for probabilities); its inset has the variances, on
        the scale of pooling.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.dependent import pool_dependent
    >>> result = pool_dependent(
    ...     [-0.51, -0.12, -0.33] * 5, se=[0.18, 0.10, 0.15] * 5, cluster=[*range(10), *range(5)], measure="log_hr"
    ... )
    >>> ax = dependence_plot(result.over_correlation([0, 0.5, 0.9]))
    >>> ax.get_ylabel()
    'Hazard ratio'
    """
    level, measure = _validate.level(level), MEASURES[sensitivity.measure]
    factor = _forest.factor(sensitivity.measure)
    order = np.argsort(sensitivity.correlation)
    x = sensitivity.correlation[order]
    mean = factor * sensitivity.natural[order]
    low, high = (factor * end[order] for end in sensitivity.natural_interval(level))
    has_within = sensitivity.base.model == "three_level" and not np.isnan(sensitivity.within).any()
    variances = [(sensitivity.between[order], BETWEEN), (sensitivity.within[order], WITHIN)][: 1 + has_within]
    samples = [
        Sample(f"mean, {100 * level:g}% CI", (AREA, MEAN)),
        Sample("variance between cohorts", (BETWEEN,)),
    ]
    samples += [Sample("within cohorts", (WITHIN,))] if has_within else []
    is_inside = float(x[0]) <= sensitivity.base.correlation <= float(x[-1])
    samples += [Sample("correlation pooled with", (ASSUMED,))] if is_inside else []

    with _style.style():
        ends = _reach(np.concatenate([low, high, [factor * measure.null]]), is_ratio=measure.is_ratio)
        top = max(float(np.concatenate([values for values, _ in variances]).max()), 1e-12) * 1.08
        candidates = [list(_forest.ticks(measure.is_ratio, ends)), list(_style.even_ticks(0.0, top))]
        widest = _style.text_width(
            _style.tick_text(tick) for each in candidates for ticks in each for tick in ticks
        )
        below = BETWEEN_PANELS + PANEL[2]
        total = PANEL[0] if ax is None else _style.area(ax)[0]
        key = Key((("", tuple(samples)),), total)
        foot = below + AXIS + LINE + 0.1 + key.height
        height = PANEL[1] if ax is None else _style.area(ax)[1] - foot - HEAD
        text = _style.wrapped(
            _forest.axis_text(label or measure.label, measure.kind), max(height, LEAST_HEIGHT)
        )
        width_left = 0.17 + LINE * len(text) + widest
        half = 0.5 * _style.text_width([_style.tick_text(float(x[-1]))])
        if ax is None:
            ax = _style.new_axes(total, height + foot + HEAD)
        least = max(LEAST_PLOT, _style.text_width([X_LABEL]))
        plot_width, height = _style.make_room(
            ax, left=width_left, right=half, head=HEAD, foot=foot, least=(least, LEAST_HEIGHT)
        )
        lower = ax.inset_axes((0.0, -below / height, 1.0, PANEL[2] / height))
        span = (float(x[0]), float(x[-1])) if x.size > 1 else (float(x[0]) - 0.05, float(x[0]) + 0.05)
        for panel in (ax, lower):
            panel.set_xlim(*span)
            _style.frame(panel, x_axis=panel is lower, y_axis=True)
            if is_inside:
                panel.axvline(sensitivity.base.correlation, zorder=1, **ASSUMED)
        ax.set_xticks([])
        ax.set_yscale("log" if measure.is_ratio else "linear")
        ax.set_ylim(*ends)
        lower.set_ylim(0.0, top)
        _y_axis(ax, candidates[0], height, "\n".join(text))
        _y_axis(lower, candidates[1], PANEL[2], "Variance")
        for panel in (ax, lower):
            panel.yaxis.set_label_coords(LINE * len(text) - 0.03 - width_left, 0.5, transform=_left_of(panel))
        _style.set_ticks(lower, _style.even_ticks(*span), _style.tick_text, plot_width)
        _style.axis_label(lower, [X_LABEL])
        ax.fill_between(x, low, high, color=_style.BLUE, alpha=0.18, lw=0, zorder=2)
        ax.plot(x, mean, clip_on=False, zorder=3, **MEAN)
        if ends[0] < factor * measure.null < ends[1]:
            ax.axhline(factor * measure.null, color=_style.INK, lw=0.7, zorder=1)
        for series, look in variances:
            lower.plot(x, series, clip_on=False, zorder=3, **look)
        key.draw(ax, -width_left, -below - AXIS - LINE - 0.1)
    return ax


def _left_of(ax: Axes) -> Transform:
    """Inches from the left edge across, share of the height up."""
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(_style.inches(ax), ax.transAxes)


def _y_axis(ax: Axes, candidates: Iterable[Sequence[float]], height: float, label: str) -> None:
    """Ticks of the y-axis: the first candidates of which no two stand closer than a line; else the last."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    to_fraction = ax.transScale + ax.transLimits
    ticks: Sequence[float] = ()
    for ticks in candidates:
        at = [height * float(to_fraction.transform((0.0, tick))[1]) for tick in ticks]
        if min(np.diff(at), default=LINE) >= LINE:
            break
    ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel(label, fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)
    ax.yaxis.label.set_parse_math(False)


def _reach(values: FloatArray, *, is_ratio: bool) -> tuple[float, float]:
    """Limits of an axis that holds all finite values, with a margin."""
    finite = _forest.to_axis(values[np.isfinite(values)], is_ratio)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.5
    ends = low - margin, high + margin
    return (math.exp(ends[0]), math.exp(ends[1])) if is_ratio else ends


def _row(value: float, ends: Ends, kind: Kind, digits: int) -> str:
    """A value and its interval, of which an undefined one is left out."""
    if math.isfinite(ends[0]):
        return _forest.row_text(value, ends, kind, digits)
    if math.isnan(value):
        return ""
    shown = _forest.row_text(value, (value, value), kind, digits).partition("\t")[0]
    return f"{shown}\t\t"


def _note(result: DependentEffect) -> str:
    def of(name: str, value: float, share: float) -> str:
        return f"{name} cohorts {_format.significant(value)} (I² = {100 * share:.0f}%)"

    parts = [of("between", result.between, result.i2_between)]
    if result.model == "three_level" and not math.isnan(result.within):
        parts.append(of("within", result.within, result.i2_within))
    df = "" if math.isinf(result.df) else f" on {result.df:.1f} df"
    assumed = (
        "sampling covariance given"
        if math.isnan(result.correlation)
        else f"sampling errors in a cohort correlated {_style.number(f'{result.correlation:g}')}"
    )
    text = (
        f"Variance ({_method(result)}): {', '.join(parts)}; Q = {result.q:.2f} on {result.k - 1} df, "
        f"{_format.pvalue(result.q_pvalue)}. Interval of the mean: {result.ci_method}{df}; {assumed}."
    )
    return _forest.unbroken(text)


def _method(result: DependentEffect) -> str:
    return (
        "correlated effects"
        if result.model == "correlated_effects"
        else f"three-level model, {result.method}"
    )
