"""Forest plot: what each study found, how much it weighs, and what they say together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import InvalidInputError
from netsynth.kernels.scales import MEASURES
from netsynth.plots import _style
from netsynth.plots._style import Column
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["forest_plot"]

GAP: Final = 0.14  # inches between columns
PLOT_WIDTH: Final = 2.3  # inches the plot itself gets when the figure is ours
LEAST_PLOT: Final = 0.9  # inches below which given axes are too narrow
FOOT: Final = 0.62  # inches under the last row: axis, its label
NOTE: Final = 0.17  # inches a line of the note takes


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
        From `pool_effects`, `pool_proportions` or `pool_landmark`.
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
        The axes with the intervals, on the printed scale (percent for probabilities).

    Raises
    ------
    InvalidInputError
        If a column does not have one value a study, or the axes are too narrow for the text.

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
    natural = factor * measure.from_scale(result.study_estimate)
    low, high = (factor * end for end in result.natural_study_interval(level))
    mean = factor * result.natural
    ci, pi = (
        [factor * end for end in pair]
        for pair in (result.natural_interval(level), result.natural_prediction_interval(level))
    )
    has_pi = math.isfinite(pi[0])
    k = result.k
    n_rows = k + 1 + has_pi
    heading = label or measure.label + (", %" if measure.kind == "probability" else "")

    values = [_shown(v, measure.kind) for v in (*natural, mean)] + [""] * has_pi
    ends = [(_shown(a, measure.kind), _shown(b, measure.kind)) for a, b in zip(low, high, strict=True)]
    ends += [(_shown(a, measure.kind), _shown(b, measure.kind)) for a, b in [ci, pi][: 1 + has_pi]]
    brackets = _style.intervals_aligned([a for a, _ in ends], [b for _, b in ends])
    names = [*result.study, _model(result)] + ["Prediction interval"] * has_pi
    left = [Column("Study", tuple(names))]
    for head, cells in (columns or {}).items():
        if len(cells) != k:
            raise InvalidInputError(f"column {head!r} has {len(cells)} values for {k} studies.")
        shown = ["" if cell is None else str(cell) for cell in cells]
        numeric = all(text.replace(".", "", 1).replace("–", "").isdigit() or not text for text in shown)
        left.append(Column(head, (*shown, *[""] * (1 + has_pi)), "right" if numeric else "left"))
    right = [
        Column("Weight", (*(f"{100 * w:.1f}%" for w in result.weight), *[""] * (1 + has_pi)), "right"),
        Column(
            f"{_short(measure.label)} [{100 * level:g}% CI]",
            tuple(f"{v} {b}".strip() for v, b in zip(_style.padded(values), brackets, strict=True)),
            "right",
        ),
    ]

    note = _heterogeneity(result)
    foot = FOOT + NOTE * bool(note)
    with _style.style():
        width_left, width_right = (sum(c.width + GAP for c in group) for group in (left, right))
        if ax is None:
            height = (n_rows + 2.7) * _style.ROW + foot
            ax = _style.new_axes(width_left + PLOT_WIDTH + width_right, height)
        plot_width = _style.shrink(ax, width_left, width_right, foot, least=LEAST_PLOT)
        y = [float(i) for i in range(k)] + [k + 0.6 + i for i in range(n_rows - k)]
        bottom = y[-1] + 0.9
        ax.set_ylim(bottom, -1.8)
        limits = xlim or _limits(measure.kind, natural, low, high, [*ci, *pi])
        ax.set_xscale("log" if measure.is_ratio else "linear")
        ax.set_xlim(*limits)
        _frame(ax, heading, measure.is_ratio, limits)
        for i in range(1, k, 2):
            _style.stripe(ax, -width_left, plot_width + width_right, i)
        if not math.isnan(measure.null):
            ax.plot([factor * measure.null] * 2, [-0.75, bottom], color=_style.INK, lw=0.7, zorder=1)
        ax.plot([mean, mean], [-0.75, y[k]], color=_style.BLUE, lw=0.7, ls=(0, (3, 2)), zorder=1)
        for i in range(k):
            _whisker(ax, low[i], high[i], y[i], limits)
            _square(ax, natural[i], y[i], float(result.weight[i] / result.weight.max()), limits)
        _diamond(ax, mean, ci, y[k], limits)
        if has_pi:
            _bar(ax, pi, y[k + 1], limits)
        x = -width_left
        for column in left:
            x += _style.write_column(ax, column, x, y, -1.25, bold_from=k) + GAP
        x = plot_width + GAP
        for column in right:
            x += _style.write_column(ax, column, x, y, -1.25, bold_from=k) + GAP
        for height in (-0.75, k - 0.15):
            _style.rule(ax, -width_left, plot_width + width_right, height)
        if note:
            _style.note(ax, -width_left, 0.1 - FOOT, note)
    return ax


def _model(result: PooledEffect) -> str:
    if not result.pooled:
        return "One study"
    return "Common effect" if result.tau2_method == "CE" else "Random effects"


def _short(label: str) -> str:
    return {"Hazard ratio": "HR"}.get(label, label)


def _shown(value: float, kind: str) -> str:
    return _format.number(value, 1 if kind == "probability" else 2)


def _heterogeneity(result: PooledEffect) -> str:
    if not result.pooled:
        return ""
    p = _format.pvalue(result.q_pvalue)
    q = f"Q = {result.q:.2f} on {result.k - 1} df, {p}"
    if result.tau2_method == "CE":
        return f"Heterogeneity: {q}; I² = {100 * result.i2:.0f}%"
    tau2 = _format.significant(result.tau2)
    return (
        f"Heterogeneity: τ² = {tau2} ({result.tau2_method}); I² = {100 * result.i2:.0f}%; {q}. "
        f"Interval of the mean: {result.ci_method}"
    )


def _limits(
    kind: str, natural: FloatArray, low: FloatArray, high: FloatArray, pooled: Sequence[float]
) -> tuple[float, float]:
    if kind == "probability":
        return 0.0, 100.0
    to_axis, from_axis = (np.log, np.exp) if kind == "ratio" else (np.asarray, np.asarray)
    centre, low_end, high_end = to_axis(natural), to_axis(low), to_axis(high)
    summary = to_axis([end for end in pooled if math.isfinite(end)])
    # a wide study must not squeeze the others: its interval is cut one spread of the estimates beyond them
    spread = max(float(np.ptp(centre)), float(np.median(high_end - low_end)))
    first = min(max(float(low_end.min()), float(centre.min()) - spread), float(summary.min()), 0.0)
    last = max(min(float(high_end.max()), float(centre.max()) + spread), float(summary.max()), 0.0)
    margin = 0.03 * (last - first)
    return float(from_axis(first - margin)), float(from_axis(last + margin))


def _frame(ax: Axes, heading: str, is_ratio: bool, limits: tuple[float, float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    ax.yaxis.set_major_locator(NullLocator())
    ax.xaxis.set_minor_locator(NullLocator())
    if is_ratio:
        ax.xaxis.set_major_locator(FixedLocator(_log_ticks(*limits)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.tick_params(axis="x", length=3, labelsize=_style.FONT_SIZE, color=_style.INK, labelcolor=_style.INK)
    ax.set_xlabel(heading, fontsize=_style.FONT_SIZE, color=_style.INK)


def _log_ticks(low: float, high: float) -> list[float]:
    """Round ratios inside the limits: as many of 1, 2, 5 times powers of ten as stay apart."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        ticks = [d * 10.0**e for e in decades for d in digits if low <= d * 10.0**e <= high]
        if len(ticks) <= 6:
            break
    return ticks or [low, high]


def _square(ax: Axes, value: float, y: float, share: float, limits: tuple[float, float]) -> None:
    if limits[0] <= value <= limits[1]:
        side = 2.0 + 5.5 * math.sqrt(share)  # area in proportion to the weight, but never invisible
        ax.plot([value], [y], marker="s", ms=side, color=_style.INK, mec="none", zorder=3)


def _whisker(ax: Axes, low: float, high: float, y: float, limits: tuple[float, float]) -> None:
    a, b = max(low, limits[0]), min(high, limits[1])
    if a < b:
        ax.plot([a, b], [y, y], color=_style.INK, lw=0.9, solid_capstyle="butt", zorder=2)
    _arrows(ax, low, high, y, limits, _style.INK)


def _diamond(ax: Axes, mean: float, ci: Sequence[float], y: float, limits: tuple[float, float]) -> None:
    a, b = max(ci[0], limits[0]), min(ci[1], limits[1])
    ax.fill([a, mean, b, mean], [y, y - 0.32, y, y + 0.32], color=_style.BLUE, lw=0, zorder=4)


def _bar(ax: Axes, pi: Sequence[float], y: float, limits: tuple[float, float]) -> None:
    a, b = max(pi[0], limits[0]), min(pi[1], limits[1])
    ax.fill([a, b, b, a], [y - 0.1, y - 0.1, y + 0.1, y + 0.1], color=_style.SKY, lw=0, zorder=3)
    _arrows(ax, pi[0], pi[1], y, limits, _style.SKY)


def _arrows(ax: Axes, low: float, high: float, y: float, limits: tuple[float, float], color: str) -> None:
    """A pointed end where an interval leaves the axis."""
    for is_cut, end, marker in ((low < limits[0], limits[0], "<"), (high > limits[1], limits[1], ">")):
        if is_cut:
            ax.plot([end], [y], marker=marker, ms=4.5, color=color, mec="none", clip_on=False, zorder=4)
