"""Funnel plot: effects against their standard errors, shaded by significance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import InvalidInputError
from netsynth.kernels.intervals import critical_value
from netsynth.kernels.scales import MEASURES, Measure
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.results.asymmetry import AsymmetryTest, LimitEffect
from netsynth.results.pooled import PooledEffect
from netsynth.results.trim_fill import TrimAndFill

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["funnel_plot"]

WIDTH: Final = 3.8  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 3.0
LEAST: Final = (1.5, 1.2)
AXIS: Final = 0.22  # inches under the plot for the ticks
HEAD: Final = 0.06  # inches above it
RIGHT: Final = 0.12
BAR: Final = 0.06  # inches between the ticks of the y-axis and its label
#: Levels of the contours with the shade between each and the next: white where p > 0.1.
SHADES: Final = ((0.10, "#c4c9cf"), (0.05, "#dde0e4"), (0.01, "#f1f2f3"))
POINTS: Final = 201  # of a contour, which is a curve on the axis of precision
MARK: Final = 4.6  # points
TALL: Final = 0.115  # inches that a line of text takes

STUDY: Final[Look] = {"ls": "", "marker": "o", "ms": MARK, "mfc": _style.INK, "mec": "white", "mew": 0.5}
FILLED: Final[Look] = {
    "ls": "",
    "marker": "o",
    "ms": MARK,
    "mfc": "white",
    "mec": _style.VERMILION,
    "mew": 1.0,
}
POOLED: Final[Look] = {"color": _style.BLUE, "lw": 1.1}
REGION: Final[Look] = {"color": _style.BLUE, "lw": 0.8, "ls": (0, (4, 2))}
ADJUSTED: Final[Look] = {"color": _style.VERMILION, "lw": 1.1}
LINE_OF_TEST: Final[Look] = {"color": _style.PURPLE, "lw": 1.3}
NULL: Final[Look] = {"color": _style.INK, "lw": 0.7}

YAxis = Literal["se", "precision"]


class _Scale(NamedTuple):
    """Places on the axes: of an effect on the scale of pooling, and of a standard error."""

    measure: Measure
    y_axis: YAxis

    def x(self, effect: FloatArray) -> FloatArray:
        return self.measure.from_scale(effect) if self.measure.is_ratio else np.asarray(effect)

    def y(self, se: FloatArray) -> FloatArray:
        return np.asarray(se if self.y_axis == "se" else 1.0 / se)


def funnel_plot(
    result: PooledEffect | TrimAndFill,
    *,
    ax: Axes | None = None,
    test: AsymmetryTest | LimitEffect | None = None,
    y_axis: YAxis = "se",
    contours: bool = True,
    labels: bool = False,
    level: float = 0.95,
    label: str = "",
    xlim: tuple[float, float] | None = None,
) -> Axes:
    """Contour-enhanced funnel plot.

    Parameters
    ----------
    result : PooledEffect or TrimAndFill
        With a `TrimAndFill` the missing studies are open circles, and its adjusted effect is drawn too.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    test : AsymmetryTest or LimitEffect, optional
        Its line: of a test on the standard error or the variance, or of a limit meta-analysis.
    y_axis : {"se", "precision"}
        Standard errors, the smallest at the top, or their inverse.
    contours : bool
        Whether to shade where a study is significant at 0.1, 0.05 and 0.01 against no effect. Probabilities have no
        value of no effect, and no shades.
    labels : bool
        Whether to name the studies, the outermost first, as far as names find room.
    level : float
        Level of the dashed region around the pooled effect in which so many studies lie if they estimate one
        effect, without the variance between studies.
    label : str, optional
        What the axis shows; by default the name of the measure.
    xlim : (float, float), optional
        Limits of the x-axis on the printed scale; by default as far as studies and region need.

    Returns
    -------
    Axes
        Coordinates are hazard ratios on a logarithmic axis for ratios, and values on the scale of pooling for the
        others; labels are on the printed scale.

    Raises
    ------
    InvalidInputError
        If a test has no line on this plot, the limits are not limits, or the axes are too small.

    Notes
    -----
    The shades are around no effect, not around the pooled one: where studies are missing from the white, those that
    were not significant were not published; where they are missing elsewhere, something else is the cause [1]_.

    References
    ----------
    .. [1] Peters JL, Sutton AJ, Jones DR, Abrams KR, Rushton L (2008). Contour-enhanced meta-analysis funnel plots
       help distinguish publication bias from other causes of asymmetry. J Clin Epidemiol 61:991-996.
       https://doi.org/10.1016/j.jclinepi.2007.11.010

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> pooled = pool_effects([-0.51, -0.12, -0.33], se=[0.18, 0.10, 0.15], measure="log_hr")
    >>> ax = funnel_plot(pooled)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Hazard ratio', 'Standard error (log scale)')
    """
    level = _validate.level(level)
    _validate.choice(y_axis, "y_axis", ("se", "precision"))
    filled = result if isinstance(result, TrimAndFill) else None
    pooled = result.original if isinstance(result, TrimAndFill) else result
    measure = MEASURES[pooled.measure]
    scale = _Scale(measure, y_axis)
    line = None if test is None else _line(test)
    null = float(measure.to_scale(measure.null))
    shades = SHADES if contours and math.isfinite(null) else ()

    effects, errors = pooled.study_estimate, pooled.study_se
    if filled is not None:
        effects = np.concatenate([effects, filled.filled_estimate])
        errors = np.concatenate([errors, filled.filled_se])
    ends = _errors(errors, y_axis)
    se = np.geomspace(*ends, POINTS) if y_axis == "precision" else np.linspace(*ends, POINTS)
    region = float(critical_value(np.inf, level)) * se
    limits = _checked(xlim, measure) or _limits(effects, errors, pooled.estimate, null, level)
    samples = (("", tuple(_samples(filled, test, level))), ("", tuple(_shades(shades))))

    with _style.style():
        heights = [float(value) for value in np.sort(scale.y(np.array(ends)))]
        total, whole = (WIDTH, HEIGHT) if ax is None else _style.area(ax)
        key = Key(samples, total)
        foot = AXIS + LINE + 0.12 + key.height
        tall = HEIGHT if ax is None else whole - HEAD - foot
        ticks = _y_ticks(heights[0], heights[1], tall)
        numbers = [_style.tick_text(tick) for tick in ticks]
        left = _style.text_width(numbers) + LINE + 0.09 + BAR
        if ax is None:
            total = left + WIDTH + RIGHT
            key = Key(samples, total)
            foot = AXIS + LINE + 0.12 + key.height
            ax = _style.new_axes(total, HEAD + HEIGHT + foot)
        width, height = _style.make_room(ax, left=left, right=RIGHT, head=HEAD, foot=foot, least=LEAST)
        _axes(ax, scale, limits, heights, ticks, width, label)
        if shades:
            _contours(ax, scale, se, null, shades, limits)
        if math.isfinite(null):
            ax.plot(scale.x(np.full(2, null)), heights, zorder=1.5, **NULL)
        if filled is not None:
            ax.plot(scale.x(np.full(2, filled.adjusted.estimate)), heights, zorder=2, **ADJUSTED)
        ax.plot(scale.x(np.full(2, pooled.estimate)), heights, zorder=2, **POOLED)
        for side in (-1.0, 1.0):
            ax.plot(scale.x(pooled.estimate + side * region), scale.y(se), zorder=2, **REGION)
        if line is not None:
            ax.plot(scale.x(line(se)), scale.y(se), zorder=2.5, **LINE_OF_TEST)
        at = scale.x(pooled.study_estimate), scale.y(pooled.study_se)
        ax.plot(*at, clip_on=xlim is not None, zorder=4, **STUDY)
        if filled is not None:
            ax.plot(
                scale.x(filled.filled_estimate),
                scale.y(filled.filled_se),
                clip_on=xlim is not None,
                zorder=3,
                **FILLED,
            )
        if labels:
            _names(ax, pooled, np.column_stack(at), width, height)
        key.draw(ax, -left, -AXIS - LINE - 0.12)
    return ax


def _line(test: AsymmetryTest | LimitEffect) -> Callable[[FloatArray], FloatArray]:
    """The effect that a test expects at a standard error."""
    if isinstance(test, LimitEffect):
        tau2 = test.pooled.tau2
        return lambda se: test.intercept + test.slope * np.sqrt(se**2 + tau2)
    power = {"se": 1, "variance": 2}.get(test.predictor or "")
    if test.is_rank_test or power is None or math.isnan(test.slope):
        raise InvalidInputError(
            f"A funnel plot shows the line of a test on the standard error or the variance; {test.method!r} has none."
        )
    return lambda se: test.intercept + test.slope * se**power


def _samples(
    filled: TrimAndFill | None, test: AsymmetryTest | LimitEffect | None, level: float
) -> Iterable[Sample]:
    yield Sample("study", (STUDY,))
    if filled is not None:
        yield Sample(f"missing by {filled.estimator}", (FILLED,))
    yield Sample("pooled effect", (POOLED,))
    if filled is not None:
        yield Sample("with the missing", (ADJUSTED,))
    yield Sample(f"{100 * level:g}% of studies without heterogeneity", (REGION,))
    if isinstance(test, LimitEffect):
        yield Sample("limit meta-analysis", (LINE_OF_TEST,))
    elif test is not None:
        yield Sample(f"line of the test, {_format.pvalue(test.pvalue)}", (LINE_OF_TEST,))


def _shades(shades: Sequence[tuple[float, str]]) -> Iterable[Sample]:
    box: Look = {"ls": "", "marker": "s", "ms": 6.5, "mec": _style.GREY, "mew": 0.4}
    if shades:
        yield Sample("p > 0.1", ({**box, "mfc": "white"},))
    for (upper, colour), (lower, _) in zip(shades, [*shades[1:], (0.0, "")], strict=False):
        text = f"{lower:g} < p < {upper:g}" if lower else f"p < {upper:g}"
        yield Sample(text, ({**box, "mfc": colour},))


def _errors(errors: FloatArray, y_axis: YAxis) -> tuple[float, float]:
    """The smallest and the largest standard error that the axis shows."""
    if y_axis == "se":
        return 0.0, 1.06 * float(errors.max())
    low, high = 1.0 / float(errors.max()), 1.0 / float(errors.min())
    margin = 0.06 * (high - low) or 0.06 * high
    return 1.0 / (high + margin), 1.0 / max(low - margin, 0.5 * low)


def _limits(
    effects: FloatArray, errors: FloatArray, centre: float, null: float, level: float
) -> tuple[float, float]:
    """Ends of the x-axis on the scale of pooling: the studies, the region, and no effect where it is not far."""
    half = float(critical_value(np.inf, level)) * float(errors.max())
    low, high = min(float(effects.min()), centre - half), max(float(effects.max()), centre + half)
    if math.isfinite(null) and low - (high - low) < null < high + (high - low):
        low, high = min(low, null), max(high, null)
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _checked(xlim: tuple[float, float] | None, measure: Measure) -> tuple[float, float] | None:
    if xlim is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.asarray(measure.to_scale(np.asarray(xlim, dtype=np.float64)))
    if ends.shape != (2,) or not np.isfinite(ends).all() or not xlim[0] < xlim[1]:
        raise InvalidInputError(
            f"xlim must be two values of the {measure.label.lower()}, the smaller one first; got {xlim!r}."
        )
    low, high = np.sort(ends).tolist()
    return low, high


def _axes(
    ax: Axes,
    scale: _Scale,
    limits: tuple[float, float],
    heights: Sequence[float],
    ticks: Sequence[float],
    width: float,
    label: str,
) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    measure = scale.measure
    ax.set_xscale("log" if measure.is_ratio else "linear")
    low, high = (float(end) for end in scale.x(np.array(limits)))
    ax.set_xlim(low, high)
    ax.set_ylim(*(heights[::-1] if scale.y_axis == "se" else heights))
    _style.frame(ax, y_axis=True)
    if measure.kind == "probability":
        natural = np.sort(measure.from_scale(np.array(limits)))
        _style.set_ticks(ax, _probability_ticks(measure, *natural), lambda x: _percent(measure, x), width)
    else:
        _style.set_ticks(ax, _x_ticks(measure.is_ratio, low, high), _style.tick_text, width)
    shown = _style.one_line(label or measure.label)
    if measure.kind == "probability" and "%" not in shown:
        shown = f"{shown}, %"
    _style.axis_label(ax, _style.wrapped(shown, width)[:1])
    ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    title = "Standard error" if scale.y_axis == "se" else "1 / standard error"
    if measure.kind != "difference":
        title += f" ({measure.scale} scale)"
    ax.set_ylabel(title, fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)


def _x_ticks(is_ratio: bool, low: float, high: float) -> Iterable[Sequence[float]]:
    if not is_ratio or high / low < 4:
        yield from _style.even_ticks(low, high)
        return
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    fine = [(1, 1.5, 2, 3, 5, 7)] if high / low < 20 else []
    for digits in (*fine, (1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
        yield [tick for tick in ticks if low <= tick <= high]
    yield [10.0**power for power in range(first, last + 1, 3) if low <= 10.0**power <= high]


def _probability_ticks(measure: Measure, low: float, high: float) -> Iterable[Sequence[float]]:
    """Places of round percentages, with more of them near 0 and 100 where the scale reaches there."""
    even = [[p / 100 for p in ticks if 0 < p < 100] for ticks in _style.even_ticks(100 * low, 100 * high)]
    wide = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99]
    uneven = [wide, wide[::2], [0.02, 0.1, 0.5, 0.9, 0.98], [0.1, 0.5, 0.9]]
    uneven = [[p for p in ticks if low <= p <= high] for ticks in uneven]
    for ticks in [*even, *uneven] if low >= 0.1 and high <= 0.9 else [*uneven, *even]:
        if len(ticks) > 1:
            yield [float(value) for value in measure.to_scale(np.array(ticks))]


def _percent(measure: Measure, x: float) -> str:
    return _style.tick_text(round(100 * float(measure.from_scale(x)), 6))


def _y_ticks(low: float, high: float, height: float) -> Sequence[float]:
    ticks: Sequence[float] = (low,)
    for ticks in _style.even_ticks(low, high):
        if LINE * len(ticks) < 0.6 * height:
            break
    return ticks


def _contours(
    ax: Axes,
    scale: _Scale,
    se: FloatArray,
    null: float,
    shades: Sequence[tuple[float, str]],
    limits: tuple[float, float],
) -> None:
    """Bands on both sides of no effect, each from its level to the next, the last to the edge of the plot."""
    reaches = [float(critical_value(np.inf, 1.0 - p)) * se for p, _ in shades]
    y = scale.y(se)
    for side, edge in ((-1.0, limits[0]), (1.0, limits[1])):
        outside = side * np.maximum(side * np.full(se.shape, edge), side * null)
        bounds = [null + side * reach for reach in reaches] + [outside]
        for (_, colour), near, far in zip(shades, bounds, bounds[1:], strict=False):
            beyond = side * np.maximum(side * far, side * near)
            ax.fill_betweenx(y, scale.x(near), scale.x(beyond), color=colour, lw=0, zorder=0.5)


def _names(ax: Axes, pooled: PooledEffect, points: FloatArray, width: float, height: float) -> None:
    """Names beside the marks, those of the outermost studies first, where they touch neither name nor mark."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.0, foreground="white", alpha=0.85)]  # a line of the plot may pass beneath
    to_fraction = ax.transScale + ax.transLimits
    at = to_fraction.transform(points) * (width, height)
    half = 0.5 * MARK * _style.POINT + 0.02
    taken = [(x - half, y - half, x + half, y + half) for x, y in at]
    spread = np.abs(pooled.study_estimate - pooled.estimate) / pooled.study_se
    for i in np.argsort(-spread, kind="stable"):
        name = _style.one_line(pooled.study[i])
        wide = _style.text_width([name], size=_style.SMALL)
        x, y = at[i]
        for left, bottom in (
            (x + half, y - 0.5 * TALL),
            (x - half - wide, y - 0.5 * TALL),
            (x - 0.5 * wide, y + half),
            (x - 0.5 * wide, y - half - TALL),
        ):
            box = (left, bottom, left + wide, bottom + TALL)
            inside = left >= 0 and bottom >= 0 and box[2] <= width and box[3] <= height
            others = (other for j, other in enumerate(taken) if j != i)
            if inside and not any(_overlap(box, other) for other in others):
                taken.append(box)
                middle = bottom + 0.5 * TALL
                look: Look = {"size": _style.SMALL, "zorder": 5, "path_effects": halo}
                _style.write(ax, left, middle, name, place=_style.inches(ax), **look)
                break


def _overlap(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
