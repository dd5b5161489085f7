"""Several outcomes pooled together: one under the other, two against each other, and over assumed correlations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import InvalidInputError
from netsynth.kernels.scales import MEASURES, EffectMeasure, Measure
from netsynth.plots import _forest, _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column, Look
from netsynth.results.multivariate import MultivariateEffect
from netsynth.results.multivariate_views import SHAPES, on_scale
from netsynth.results.within_correlation import CorrelationSensitivity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["correlation_plot", "outcomes_plot", "pair_plot"]

PLOT_WIDTH: Final = 2.4  # inches the plot itself gets when the figure is ours
LEAST_PLOT: Final = 0.9
SIDE: Final = 2.6  # of the plot of two outcomes
LEAST: Final = (1.2, 1.2)
AXIS: Final = 0.22
ABOVE: Final = 1.8  # rows from the first outcome to the top: the heading and a rule
Y_TICKS: Final = 0.12  # inches between the y-axis and its label beside the widest tick
FEW: Final = 6  # lines that colours can tell apart
COLOURS: Final = (
    _style.BLUE,
    _style.VERMILION,
    _style.GREEN,
    _style.PURPLE,
    _style.ORANGE,
    _style.SKY,
)
MARKS: Final = ("o", "s", "^", "D", "v", "P")
STUDY: Final[Look] = {"ls": "", "marker": "o", "ms": 4, "mfc": "none", "mec": _style.INK, "mew": 0.8}
PARTIAL: Final[Look] = {"ls": "", "marker": "|", "ms": 6, "color": _style.GREY, "mew": 1.0}
POOLED: Final[Look] = {"ls": "", "marker": "D", "ms": 5, "color": _style.BLUE, "mec": "none"}
CONFIDENCE: Final[Look] = {"color": _style.BLUE, "lw": 1.4}
PREDICTION: Final[Look] = {"color": _style.SKY, "lw": 1.1, "ls": (0, (4, 2))}


def outcomes_plot(
    result: MultivariateEffect, *, ax: Axes | None = None, level: float = 0.95, label: str = ""
) -> Axes:
    """Pooled effect of each outcome, its confidence interval and the prediction interval.

    Parameters
    ----------
    result : MultivariateEffect
        From `pool_multivariate`. With moderators the effects are those at zero.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of all intervals.
    label : str, optional
        What the axis shows; by default the name of the measure.

    Returns
    -------
    Axes
        The axes with the intervals, on the printed scale (percent for probabilities). A prediction interval that
        leaves the axis ends in an arrow.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.multivariate import pool_multivariate
    >>> effects = [[0.4, 0.1], [0.2, -0.2], [0.3, 0.2], [0.5, 0.0]]
    >>> result = pool_multivariate(
    ...     effects, se=[[0.1, 0.2]] * 4, correlation=0.5, outcomes=["Depth", "Attachment"], method="CE",
    ...     ci_method="wald",
    ... )
    >>> outcomes_plot(result).get_xlabel()
    'Effect'
    """
    level = _validate.level(level)
    measure, p = MEASURES[result.measure], result.p
    factor = measure.factor
    ci, pi = (
        factor * np.sort(measure.from_scale(np.stack([end[:p] for end in ends])), axis=0)
        for ends in (result.confidence_interval(level), result.prediction_interval(level))
    )
    centre = factor * result.natural
    has_prediction = bool(np.isfinite(pi).any())
    decimals = _decimals(result.measure, factor * result.se[:p])
    left = [
        Column("Outcome", tuple(map(_style.one_line, result.outcomes))),
        Column("Studies", tuple(map(str, result.n_studies)), "right"),
    ]
    unit = _unit(measure)
    short = "HR" if measure.label == "Hazard ratio" else measure.label
    heading = f"{short}{unit} [{100 * level:g}% CI]"
    cells = tuple(
        f"{_shown(centre[i], decimals)}\t[{_shown(ci[0, i], decimals)},\t{_shown(ci[1, i], decimals)}]"
        for i in range(p)
    )
    right = [Column(heading, cells, "right")]
    if result.method != "CE":
        tau = on_scale(result, result.tau)
        right.append(Column("τ", tuple(map(_format.significant, tau.tolist())), "right"))
    limits = _row_limits(result.measure, centre, ci, pi)
    samples = [Sample(f"pooled, {100 * level:g}% CI", (POOLED,))]
    if has_prediction:
        bar: Look = {"color": _style.SKY, "lw": 3.0, "solid_capstyle": "butt"}
        samples.append(Sample(f"{100 * level:g}% prediction interval", (bar,)))
    with _style.style():
        width_left, width_right = (sum(c.width + GAP for c in group) for group in (left, right))
        ours = width_left + PLOT_WIDTH + width_right
        total = ours if ax is None else _style.area(ax)[0]
        room = total - width_left - width_right + 2 * min(width_left, width_right)
        axis_label = _style.wrapped(_axis_label(label or measure.label, unit), room)
        key = Key((("", tuple(samples)),), total)
        note = _style.wrapped(_note(result), total, size=_style.SMALL)
        label_foot = AXIS + LINE * len(axis_label)
        foot = label_foot + 0.12 + key.height + LINE * len(note)
        bottom = p - 0.4
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
        for i in range(1, p, 2):
            _style.stripe(ax, width_left, width_right, i)
        _forest.null_line(ax, factor * measure.null, bottom, limits)
        for i in range(p):
            _bar(ax, pi[:, i], float(i), limits)
            _diamond(ax, float(centre[i]), ci[:, i], float(i), limits)
        _style.write_columns(ax, left, -width_left, range(p), -1.25, place=_style.beside(ax))
        _style.write_columns(ax, right, GAP, range(p), -1.25, place=_style.beside(ax, right=True))
        _style.rule(ax, width_left, width_right, -0.75)
        key.draw(ax, -width_left, -label_foot - 0.12)
        _style.write_lines(ax, note, -width_left, -label_foot - 0.12 - key.height)
    return ax


def pair_plot(
    result: MultivariateEffect,
    first: str,
    second: str,
    *,
    ax: Axes | None = None,
    level: float = 0.95,
) -> Axes:
    """Two outcomes against each other: studies, pooled effects, confidence and prediction region.

    Parameters
    ----------
    result : MultivariateEffect
        From `pool_multivariate`.
    first, second : str
        Names of the outcomes on the x- and on the y-axis.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure.
    level : float
        Level of both regions.

    Returns
    -------
    Axes
        A study that reports one of the two outcomes is a tick on its axis.

    Raises
    ------
    InvalidInputError
        If an outcome is unknown, the level is not a fraction, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.multivariate import pool_multivariate
    >>> effects = [[0.4, 0.1], [0.2, -0.2], [0.3, 0.2], [0.5, 0.0]]
    >>> result = pool_multivariate(
    ...     effects, se=[[0.1, 0.2]] * 4, correlation=0.5, outcomes=["Depth", "Attachment"], method="CE",
    ...     ci_method="wald",
    ... )
    >>> pair_plot(result, "Depth", "Attachment").get_ylabel()
    'Attachment'
    """
    level = _validate.level(level)
    regions = [result.region(first, second, kind=kind, level=level) for kind in ("confidence", "prediction")]
    pair = [result.outcomes.index(name) for name in (first, second)]
    measure = MEASURES[result.measure]
    factor, unit = measure.factor, _unit(measure)
    about = f"{measure.label}{unit}, " if result.subject else ""  # a time alone says nothing of what is shown
    edges = [factor * measure.from_scale(region) for region in regions]
    studies = factor * measure.from_scale(result.study_estimate[:, pair])
    centre = factor * result.natural[pair]
    both = np.isfinite(studies).all(1)
    everything = [studies, *edges, centre[None]]
    limits = [_span_of([part[:, j] for part in everything], result.measure) for j in (0, 1)]
    samples = [Sample("study", (STUDY,)), Sample("pooled", (POOLED,))]
    samples.append(Sample(f"{100 * level:g}% confidence region", (CONFIDENCE,)))
    if np.isfinite(edges[1]).all():
        samples.append(Sample("prediction region", (PREDICTION,)))
    if not both.all():
        samples.append(Sample("study of one outcome", (PARTIAL,)))
    with _style.style():
        y_ticks = _plain_ticks(measure.is_ratio, limits[1])
        wide = _style.text_width([_style.tick_text(tick) for tick in y_ticks])
        width_left = wide + Y_TICKS + LINE + 0.06
        half_tick = 0.5 * _style.text_width([_style.tick_text(limits[0][1])])
        total = width_left + SIDE + half_tick if ax is None else _style.area(ax)[0]
        whole = _style.area(ax)[1] if ax is not None else math.inf
        key = Key((("", tuple(samples)),), total)
        x_lines = _style.wrapped(_axis_label(about + first, "" if about else unit), total - width_left)
        foot = AXIS + LINE * len(x_lines) + 0.1 + key.height
        head = 0.07
        if ax is None:
            ax = _style.new_axes(total, head + SIDE + foot)
        y_room = max(LEAST[1], min(SIDE, whole - head - foot))
        y_lines = _style.wrapped(_axis_label(about + second, "" if about else unit), y_room)
        width_left += LINE * (len(y_lines) - 1)
        width, _ = _style.make_room(ax, left=width_left, right=half_tick, head=head, foot=foot, least=LEAST)
        for set_scale in (ax.set_xscale, ax.set_yscale):
            set_scale("log" if measure.is_ratio else "linear")
        ax.set_xlim(*limits[0])
        ax.set_ylim(*limits[1])
        _style.frame(ax, y_axis=True)
        _style.set_ticks(ax, _forest.ticks(measure.is_ratio, limits[0]), _style.tick_text, width)
        _y_axis(ax, y_ticks, y_lines)
        _style.axis_label(ax, x_lines)
        for j, line in enumerate((ax.axvline, ax.axhline)):
            if limits[j][0] < factor * measure.null < limits[j][1]:
                line(factor * measure.null, color=_style.PALE, lw=0.7, zorder=0)
        ax.plot(*studies[both].T, **STUDY, zorder=3)
        for j, ends in enumerate(((0.0, 0.03), (0.0, 0.03))):
            place = ax.get_xaxis_transform() if j == 0 else ax.get_yaxis_transform()
            for value in studies[~both & np.isfinite(studies[:, j]), j]:
                xy = ([value, value], ends) if j == 0 else (ends, [value, value])
                ax.plot(*xy, transform=place, color=_style.GREY, lw=1.0, zorder=2)
        ax.plot(*edges[0].T, **CONFIDENCE, zorder=4)
        if np.isfinite(edges[1]).all():
            ax.plot(*edges[1].T, **PREDICTION, zorder=2)
        ax.plot([centre[0]], [centre[1]], **POOLED, zorder=5)
        key.draw(ax, -width_left, -AXIS - LINE * len(x_lines) - 0.1)
    return ax


def correlation_plot(
    result: CorrelationSensitivity, *, ax: Axes | None = None, level: float = 0.95, label: str = ""
) -> Axes:
    """Pooled effect of each outcome, with its interval, against the correlation assumed within studies.

    Parameters
    ----------
    result : CorrelationSensitivity
        From `MultivariateEffect.over_correlation`, of single correlations.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure.
    level : float
        Level of the intervals.
    label : str, optional
        What the y-axis shows; by default the name of the measure.

    Returns
    -------
    Axes
        On the printed scale (percent for probabilities).

    Raises
    ------
    InvalidInputError
        If whole matrices were assumed, there are more than six outcomes, the level is not a fraction, or the axes are
        too small for the text.
    """
    level = _validate.level(level)
    p = len(result.outcomes)
    off = result.within[:, ~np.eye(p, dtype=np.bool_)]
    if (np.ptp(off, axis=1) > 0).any():
        raise InvalidInputError("Correlation matrices have no place on an axis; plot single correlations.")
    if p > FEW:
        raise InvalidInputError(f"Lines of {p} outcomes cannot be told apart; {FEW} is the most.")
    measure = MEASURES[result.measure]
    factor, unit = measure.factor, _unit(measure)
    order = np.argsort(off[:, 0], kind="stable")
    x, centre = off[order, 0], factor * result.natural[order]
    low, high = (factor * end[order] for end in result.natural_interval(level))
    y_limits = _span_of([low.ravel(), high.ravel()], result.measure)
    x_limits = _span_of([x], "generic") if x.size > 1 else (x[0] - 0.1, x[0] + 0.1)
    samples = tuple(
        Sample(
            _style.one_line(name),
            (
                {"color": COLOURS[j], "lw": 1.2},
                {"ls": "", "color": COLOURS[j], "marker": MARKS[j], "ms": 4},
            ),
        )
        for j, name in enumerate(result.outcomes)
    )
    note = f"Shaded: {100 * level:g}% confidence intervals"
    with _style.style():
        y_ticks = _plain_ticks(measure.is_ratio, y_limits)
        wide = _style.text_width([_style.tick_text(tick) for tick in y_ticks])
        width_left = wide + Y_TICKS + LINE + 0.06
        right = 0.12
        total = width_left + 1.2 * SIDE + right if ax is None else _style.area(ax)[0]
        whole = _style.area(ax)[1] if ax is not None else math.inf
        key = Key((("", samples),), total)
        x_lines = _style.wrapped("Correlation assumed within studies", total - width_left)
        notes = _style.wrapped(note, total, size=_style.SMALL)
        head, foot = 0.07, AXIS + LINE * (len(x_lines) + len(notes)) + 0.1 + key.height
        if ax is None:
            ax = _style.new_axes(total, head + 0.9 * SIDE + foot)
        y_room = max(LEAST[1], min(0.9 * SIDE, whole - head - foot))
        y_lines = _style.wrapped(_axis_label(label or measure.label, unit), y_room)
        width_left += LINE * (len(y_lines) - 1)
        width, _ = _style.make_room(ax, left=width_left, right=right, head=head, foot=foot, least=LEAST)
        ax.set_yscale("log" if measure.is_ratio else "linear")
        ax.set_xlim(*x_limits)
        ax.set_ylim(*y_limits)
        _style.frame(ax, y_axis=True)
        _style.set_ticks(ax, _style.even_ticks(*x_limits), _style.tick_text, width)
        _y_axis(ax, y_ticks, y_lines)
        _style.axis_label(ax, x_lines)
        if y_limits[0] < factor * measure.null < y_limits[1]:
            ax.axhline(factor * measure.null, color=_style.GREY, lw=0.7, zorder=0)
        for j in range(p):
            ax.fill_between(x, low[:, j], high[:, j], color=COLOURS[j], alpha=0.15, lw=0, zorder=1)
            ax.plot(x, centre[:, j], color=COLOURS[j], lw=1.2, marker=MARKS[j], ms=4, zorder=3)
        under = -AXIS - LINE * len(x_lines) - 0.1
        key.draw(ax, -width_left, under)
        _style.write_lines(ax, notes, -width_left, under - key.height)
    return ax


def _unit(measure: Measure) -> str:
    return f", {measure.unit}" if measure.unit else ""


def _decimals(measure: EffectMeasure, se: FloatArray) -> int:
    kind = MEASURES[measure].kind
    if kind == "difference":  # two digits of the standard error in the middle
        return min(max(1 - math.floor(math.log10(float(np.median(se)))), 0), 6)
    return 1 if kind == "probability" else 2


def _shown(value: float, decimals: int) -> str:
    return _style.number(_format.number(float(value), decimals))


def _axis_label(text: str, unit: str) -> str:
    line = _style.one_line(text)
    return line if "%" in line else f"{line}{unit}"


def _note(result: MultivariateEffect) -> str:
    q = f"Q = {result.q:.2f} on {result.df_q} df, {_format.pvalue(result.q_pvalue)}; I² = {100 * result.i2:.0f}%"
    if result.method == "CE":
        text = f"Common effect. Heterogeneity: {q}. Intervals: {result.ci_method}"
    else:
        shape = SHAPES[result.structure]
        text = f"Between studies: {shape}, {result.method}. Heterogeneity: {q}. Intervals: {result.ci_method}"
    if result.subject:
        text = f"{result.subject}. {text}"
    for sign in "=<>":  # a number stays on the line of what it is
        text = text.replace(f" {sign} ", f"\u00a0{sign}\u00a0")
    return text


def _to_axis(values: npt.ArrayLike, is_ratio: bool) -> FloatArray:
    return np.asarray(np.log(np.clip(values, 1e-100, 1e100)) if is_ratio else values, dtype=np.float64)


def _row_limits(
    measure: EffectMeasure, centre: FloatArray, ci: FloatArray, pi: FloatArray
) -> tuple[float, float]:
    """Room for all confidence intervals, and for prediction intervals unless they squeeze the others."""
    if MEASURES[measure].kind == "probability":
        return 0.0, 100.0
    is_ratio = MEASURES[measure].is_ratio
    inner, middle = _to_axis(ci, is_ratio), _to_axis(centre, is_ratio)
    reach = max(float(inner.max() - inner.min()), 1e-12)
    outer = _to_axis(pi[np.isfinite(pi)], is_ratio)
    outer = np.clip(outer, middle.min() - 1.5 * reach, middle.max() + 1.5 * reach)
    ends = np.concatenate([inner.ravel(), outer])
    null = float(_to_axis(MEASURES[measure].null, is_ratio))
    first, last = float(ends.min()), float(ends.max())
    if first - reach < null < last + reach:
        first, last = min(first, null), max(last, null)
    margin = 0.04 * (last - first)
    low, high = first - margin, last + margin
    return (math.exp(low), math.exp(high)) if is_ratio else (low, high)


def _span_of(parts: Sequence[FloatArray], measure: EffectMeasure) -> tuple[float, float]:
    is_ratio = MEASURES[measure].is_ratio
    values = np.concatenate([_to_axis(part[np.isfinite(part)], is_ratio) for part in parts])
    first, last = float(values.min()), float(values.max())
    margin = 0.06 * max(last - first, 1e-9 * max(1.0, abs(first)))
    low, high = first - margin, last + margin
    return (math.exp(low), math.exp(high)) if is_ratio else (low, high)


def _plain_ticks(is_ratio: bool, limits: tuple[float, float]) -> Sequence[float]:
    """Ticks of an axis that has room for seven lines of text."""
    chosen: Sequence[float] = ()
    for chosen in _forest.ticks(is_ratio, limits):
        if len(chosen) <= 7:
            break
    return chosen


def _y_axis(ax: Axes, ticks: Sequence[float], lines: Sequence[str]) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel(
        "\n".join(lines), fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT
    )
    ax.yaxis.label.set_parse_math(False)


def _diamond(ax: Axes, mean: float, ci: FloatArray, y: float, limits: tuple[float, float]) -> None:
    a, b = max(float(ci[0]), limits[0]), min(float(ci[1]), limits[1])
    if a < b:
        ax.fill([a, mean, b, mean], [y, y - 0.3, y, y + 0.3], color=_style.BLUE, lw=0, zorder=4)


def _bar(ax: Axes, pi: FloatArray, y: float, limits: tuple[float, float]) -> None:
    if not np.isfinite(pi).all():
        return
    a, b = max(float(pi[0]), limits[0]), min(float(pi[1]), limits[1])
    ax.fill([a, b, b, a], [y - 0.1, y - 0.1, y + 0.1, y + 0.1], color=_style.SKY, lw=0, zorder=3)
    for is_cut, end, marker in ((pi[0] < limits[0], limits[0], "<"), (pi[1] > limits[1], limits[1], ">")):
        if is_cut:
            ax.plot([end], [y], marker=marker, ms=4.5, color=_style.SKY, mec="none", clip_on=False, zorder=4)
