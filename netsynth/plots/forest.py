"""Forest plot: what each study found, how much it weighs, and what they say together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import InvalidInputError
from netsynth.kernels.scales import MEASURES, Kind
from netsynth.plots import _style
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
        The axes with the intervals, on the printed scale (percent for probabilities). A hazard ratio below
        0.005 or above 1000 is written as "<0.01" or ">1000" beside them.

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
    factor = 100.0 if measure.kind == "probability" else 1.0
    natural = factor * result.study_natural
    low, high = (factor * end for end in result.natural_study_interval(level))
    mean = factor * result.natural
    ci, pi = (
        (factor * pair.lower, factor * pair.upper)
        for pair in (result.natural_interval(level), result.natural_prediction_interval(level))
    )
    summaries = [ci, pi] if math.isfinite(pi[0]) else [ci]
    k, n_rows = result.k, result.k + len(summaries)
    limits = _checked(xlim, measure.is_ratio) or _limits(
        measure.kind, measure.null, natural, low, high, summaries
    )

    left = [
        Column(
            "Study", (*map(_style.one_line, result.study), *_summary_names(result, summaries)), bold_from=k
        )
    ]
    left += _further(columns or {}, k, n_rows)
    decimals = _decimals(measure.kind, result.study_se)
    if measure.kind == "rate":
        decimals = _rate_decimals(natural)
    counted = isinstance(result, PooledCounts)
    shares = np.full(k, _PLAIN_SHARE) if counted else result.weight / result.weight.max()
    estimates = [*natural, mean, *[math.nan] * (len(summaries) - 1)]
    ends = [*zip(low, high, strict=True), *summaries]
    right = [
        Column(*_weights(result, len(summaries)), "right"),
        Column(
            f"{_heading(result.label, measure.kind)} [{100 * level:g}% CI]",
            tuple(
                _row(value, pair, measure.kind, decimals) for value, pair in zip(estimates, ends, strict=True)
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
        axis_label = _style.wrapped(_axis_label(label or result.label, measure.kind), room)
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
        ax.set_ylim(bottom, -ABOVE)
        ax.set_xscale("log" if measure.is_ratio else "linear")
        ax.set_xlim(*limits)
        ax.set_yticks([])
        _style.frame(ax)
        _style.set_ticks(ax, _ticks(measure.is_ratio, limits), _style.tick_text, plot_width)
        _style.axis_label(ax, axis_label)
        for i in range(1, k, 2):
            _style.stripe(ax, width_left, width_right, i)
        if limits[0] < factor * measure.null < limits[1]:
            ax.plot([factor * measure.null] * 2, [-0.75, bottom], color=_style.INK, lw=0.7, zorder=1)
        ax.plot([mean, mean], [-0.75, y[k]], color=_style.BLUE, lw=0.7, ls=(0, (3, 2)), zorder=1)
        for i in range(k):
            _whisker(ax, low[i], high[i], y[i], limits)
            _square(ax, natural[i], y[i], float(shares[i]), limits)
        _diamond(ax, mean, ci, y[k], limits)
        if len(summaries) > 1:
            _bar(ax, pi, y[k + 1], limits)
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


def _heading(label: str, kind: Kind) -> str:
    return {"ratio": "HR", "probability": f"{label}, %"}.get(kind, label)


def _axis_label(label: str, kind: Kind) -> str:
    text = _style.one_line(label)
    return f"{text}, %" if kind == "probability" and "%" not in text else text


def _decimals(kind: Kind, se: FloatArray) -> int:
    if kind == "difference":  # two digits of the standard error in the middle
        return min(max(1 - math.floor(math.log10(float(np.median(se)))), 0), 6)
    return {"probability": 1, "ratio": 2, "rate": 2}[kind]


def _rate_decimals(natural: FloatArray) -> int:
    """Two significant digits of the middle rate, at most six decimals."""
    middle = float(np.median(natural[natural > 0])) if (natural > 0).any() else 1.0
    return min(max(1 - math.floor(math.log10(middle)), 0), 6)


def _shown(value: float, kind: Kind, decimals: int) -> str:
    if kind == "ratio" and not 0.005 <= value < 999.995:
        return "<0.01" if value < 1 else ">1000"
    return _style.number(_format.number(value, decimals))


def _row(value: float, ends: tuple[float, float], kind: Kind, decimals: int) -> str:
    shown = "" if math.isnan(value) else _shown(value, kind, decimals)
    low, high = (_shown(end, kind, decimals) for end in ends)
    return f"{shown}\t[{low},\t{high}]"


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
    for sign in "=<>":  # a number stays on the line of what it is
        text = text.replace(f" {sign} ", f"\u00a0{sign}\u00a0")
    return text


def _checked(xlim: tuple[float, float] | None, is_ratio: bool) -> tuple[float, float] | None:
    if xlim is None:
        return None
    low, high = map(float, xlim)
    if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not is_ratio)):
        kind = "two positive numbers" if is_ratio else "two numbers"
        raise InvalidInputError(f"xlim must be {kind}, the smaller one first; got {xlim!r}.")
    return low, high


def _limits(
    kind: Kind,
    null: float,
    natural: FloatArray,
    low: FloatArray,
    high: FloatArray,
    summaries: Sequence[tuple[float, float]],
) -> tuple[float, float]:
    if kind == "probability":
        return 0.0, 100.0
    to_axis, from_axis = (_log, np.exp) if kind == "ratio" else (np.asarray, np.asarray)
    centre = to_axis(natural)
    lows, highs = (
        to_axis([*ends, *more]) for ends, more in zip((low, high), zip(*summaries, strict=True), strict=True)
    )
    # a wide interval must not squeeze the others: it is cut one spread of the estimates beyond them
    spread = max(float(np.ptp(centre)), float(np.median(highs - lows)))
    first = max(float(lows.min()), float(centre.min()) - spread)
    last = min(float(highs.max()), float(centre.max()) + spread)
    no_effect = float(to_axis(null))
    if kind == "ratio" or first - spread < no_effect < last + spread:
        first, last = min(first, no_effect), max(last, no_effect)
    if kind == "rate":
        first = 0.0
    margin = 0.03 * (last - first)
    return float(from_axis(first - margin * (kind != "rate"))), float(from_axis(last + margin))


def _log(ratio: npt.ArrayLike) -> FloatArray:
    """Logarithm for an axis, which has no place for a ratio of 0 or infinity."""
    return np.asarray(np.log(np.clip(ratio, 1e-100, 1e100)))


def _ticks(is_ratio: bool, limits: tuple[float, float]) -> Iterable[Sequence[float]]:
    low, high = limits
    if not is_ratio or high / low < 4:
        yield from _style.even_ticks(low, high)
    if is_ratio:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        for digits, step in (
            ((1, 2, 5), 1),
            ((1, 3), 1),
            *(((1,), step) for step in (1, 2, 3, 5, 10, 20, 50, 100)),
        ):
            start = step * math.ceil(first / step)  # so that 1 is always among the ticks
            ticks = [d * 10.0**e for e in range(start - step, last + 1, step) for d in digits]
            yield [tick for tick in ticks if low <= tick <= high]


def _square(ax: Axes, value: float, y: float, share: float, limits: tuple[float, float]) -> None:
    if limits[0] <= value <= limits[1]:
        side = 2.0 + 5.5 * math.sqrt(share)  # area grows with the weight, but a square is never invisible
        ax.plot([value], [y], marker="s", ms=side, color=_style.INK, mec="none", clip_on=False, zorder=3)


def _whisker(ax: Axes, low: float, high: float, y: float, limits: tuple[float, float]) -> None:
    a, b = max(low, limits[0]), min(high, limits[1])
    if a < b:
        ax.plot([a, b], [y, y], color=_style.INK, lw=0.9, solid_capstyle="butt", zorder=2)
    _arrows(ax, low, high, y, limits, _style.INK)


def _diamond(ax: Axes, mean: float, ci: tuple[float, float], y: float, limits: tuple[float, float]) -> None:
    a, b = max(ci[0], limits[0]), min(ci[1], limits[1])
    ax.fill([a, mean, b, mean], [y, y - 0.32, y, y + 0.32], color=_style.BLUE, lw=0, zorder=4)
    _arrows(ax, *ci, y, limits, _style.BLUE)


def _bar(ax: Axes, pi: tuple[float, float], y: float, limits: tuple[float, float]) -> None:
    a, b = max(pi[0], limits[0]), min(pi[1], limits[1])
    ax.fill([a, b, b, a], [y - 0.1, y - 0.1, y + 0.1, y + 0.1], color=_style.SKY, lw=0, zorder=3)
    _arrows(ax, *pi, y, limits, _style.SKY)


def _arrows(ax: Axes, low: float, high: float, y: float, limits: tuple[float, float], color: str) -> None:
    """A pointed end where an interval leaves the axis."""
    for is_cut, end, marker in ((low < limits[0], limits[0], "<"), (high > limits[1], limits[1], ">")):
        if is_cut:
            ax.plot([end], [y], marker=marker, ms=4.5, color=color, mec="none", clip_on=False, zorder=4)
