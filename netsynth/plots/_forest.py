"""Pieces of plots on the printed scale: limits and ticks of an axis, and the marks of studies and of means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from netsynth import _format
from netsynth._typing import FloatArray
from netsynth.errors import InvalidInputError
from netsynth.kernels.scales import MEASURES, EffectMeasure, Kind, Measure
from netsynth.plots import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Ends = tuple[float, float]
#: Row of the rule below the headings.
_RULE: Final = -0.75
#: Ends in percent of an axis on which every probability is small, or, from 100 down, is large.
_SMALL: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0)


def factor(measure: EffectMeasure) -> float:
    """What a natural value is multiplied by to be shown: 100 for probabilities, which are in percent."""
    return 100.0 if MEASURES[measure].kind == "probability" else 1.0


def heading(measure: EffectMeasure, label: str = "") -> str:
    """Name of the values in the heading of a column; `label` in place of that of the measure."""
    kind, label = MEASURES[measure].kind, label or MEASURES[measure].label
    short = "HR" if label == "Hazard ratio" else label
    return f"{short}, %" if kind == "probability" else short


def axis_text(label: str, kind: Kind) -> str:
    """Label of an axis, with its unit once."""
    text = _style.one_line(label)
    return f"{text}, %" if kind == "probability" and "%" not in text else text


def decimals(kind: Kind, se: FloatArray, natural: FloatArray) -> int:
    """Decimals of the values in a column."""
    if kind in ("probability", "ratio"):
        return {"probability": 1, "ratio": 2}[kind]
    # two digits of the standard error in the middle, or of the rate in the middle
    sizes = se if kind == "difference" else natural[natural > 0]
    middle = float(np.median(sizes)) if sizes.size else 1.0
    return min(max(1 - math.floor(math.log10(middle)), 0), 6)


def row_text(value: float, ends: Ends, kind: Kind, digits: int, *, in_months: bool = False) -> str:
    """A value and its interval as parts of a column, ratios and months within bounds; a nan value is left out."""

    def shown(natural: float) -> str:
        beyond = _format.past(natural, digits) if kind == "ratio" or in_months else ""
        return beyond or _style.number(_format.number(natural, digits))

    low, high = map(shown, ends)
    return f"{'' if math.isnan(value) else shown(value)}\t[{low},\t{high}]"


def unbroken(text: str) -> str:
    """The text with each number kept on the line of what it is."""
    for sign in "=<>":
        text = text.replace(f" {sign} ", f"\u00a0{sign}\u00a0")
    return text


def left_out(reasons: Iterable[tuple[str, str]]) -> str:
    """What a note says of studies, each with its reason, that do not enter.

    Examples
    --------
    >>> left_out([("Adams", "prints no median"), ("Brown", "prints no median"), ("Chen", "prints no spread")])
    'Left out: Adams and Brown (prints no median); Chen (prints no spread)'
    """
    by_reason: dict[str, list[str]] = {}
    for study, reason in reasons:
        by_reason.setdefault(reason, []).append(_style.one_line(study))
    return "Left out: " + "; ".join(
        f"{_format.listing(names)} ({reason})" for reason, names in by_reason.items()
    )


def limits(
    measure: EffectMeasure, natural: FloatArray, low: FloatArray, high: FloatArray, more: Sequence[Ends]
) -> Ends:
    """Limits of an axis that shows effects and their intervals, and more intervals, as far as sense goes."""
    kind = MEASURES[measure].kind
    is_ratio = kind == "ratio"
    more = [ends for ends in more if not math.isnan(ends[0])]  # an interval that is undefined takes no room
    centre = to_axis(natural, is_ratio)
    lows, highs = (
        to_axis([*ends, *others], is_ratio)
        for ends, others in zip((low, high), zip(*more, strict=True) if more else ((), ()), strict=True)
    )
    if kind == "probability":  # from 0, or to 100, unless all are on the other side
        if highs.max() <= _SMALL[-1]:
            return 0.0, next(end for end in _SMALL if end >= highs.max())
        if lows.min() >= 100.0 - _SMALL[-1]:
            return 100.0 - next(end for end in _SMALL if end >= 100.0 - lows.min()), 100.0
        return 0.0, 100.0
    # a wide interval must not squeeze the others: it is cut one spread of the estimates beyond them
    spread = max(float(np.ptp(centre)), float(np.median(highs - lows)))
    first = max(float(lows.min()), float(centre.min()) - spread)
    last = min(float(highs.max()), float(centre.max()) + spread)
    no_effect = float(to_axis([MEASURES[measure].null], is_ratio)[0])
    if is_ratio or first - spread < no_effect < last + spread:
        first, last = min(first, no_effect), max(last, no_effect)
    margin = 0.03 * (last - first)
    first, last = (0.0 if kind == "rate" else first - margin), last + margin
    return (math.exp(first), math.exp(last)) if is_ratio else (first, last)


def to_axis(value: npt.ArrayLike, is_ratio: bool) -> FloatArray:
    """Place on an axis: logarithms of ratios, for which there is no place at 0 or infinity."""
    return np.asarray(np.log(np.clip(value, 1e-100, 1e100)) if is_ratio else value, dtype=np.float64)


def checked(xlim: Ends | None, is_ratio: bool) -> Ends | None:
    """Limits that a caller asked for, if they are limits."""
    if xlim is None:
        return None
    low, high = map(float, xlim)
    if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not is_ratio)):
        kind = "two positive numbers" if is_ratio else "two numbers"
        raise InvalidInputError(f"xlim must be {kind}, the smaller one first; got {xlim!r}.")
    return low, high


def ticks(is_ratio: bool, ends: Ends) -> Iterable[Sequence[float]]:
    """Round values inside limits, many first."""
    low, high = ends
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
            found = [d * 10.0**e for e in range(start - step, last + 1, step) for d in digits]
            yield [tick for tick in found if low <= tick <= high]


def frame(ax: Axes, measure: Measure, rows: Ends, ends: Ends, width: float, label: Sequence[str]) -> None:
    """Axes of rows, the lowest first, over a scale of so many inches, with its ticks and its lines of label."""
    ax.set_ylim(*rows)
    ax.set_xscale("log" if measure.is_ratio else "linear")
    ax.set_xlim(*ends)
    ax.set_yticks([])
    _style.frame(ax)
    _style.set_ticks(ax, ticks(measure.is_ratio, ends), _style.tick_text, width)
    _style.axis_label(ax, label)


def null_line(ax: Axes, null: float, bottom: float, ends: Ends) -> None:
    """Line of no effect down to a row, where the measure has one and it is within the axis."""
    if ends[0] < null < ends[1]:
        ax.plot([null, null], [_RULE, bottom], color=_style.INK, lw=0.7, zorder=1)


def mean_line(ax: Axes, mean: float, last: float) -> None:
    """Broken line at the mean of all, down to its row."""
    ax.plot([mean, mean], [_RULE, last], color=_style.BLUE, lw=0.7, ls=(0, (3, 2)), zorder=1)


def square(ax: Axes, value: float, y: float, share: float, ends: Ends) -> None:
    """A study whose weight is `share` of the largest."""
    if ends[0] <= value <= ends[1]:
        side = 2.0 + 5.5 * math.sqrt(share)  # area grows with the weight, but a square is never invisible
        ax.plot([value], [y], marker="s", ms=side, color=_style.INK, mec="none", clip_on=False, zorder=3)


def whisker(ax: Axes, interval: Ends, y: float, ends: Ends) -> None:
    """The interval of a study."""
    a, b = max(interval[0], ends[0]), min(interval[1], ends[1])
    if a < b:
        ax.plot([a, b], [y, y], color=_style.INK, lw=0.9, solid_capstyle="butt", zorder=2)
    arrows(ax, interval, y, ends, _style.INK)


def diamond(ax: Axes, mean: float, interval: Ends, y: float, ends: Ends) -> None:
    """A mean and its interval."""
    a, b = max(interval[0], ends[0]), min(interval[1], ends[1])
    ax.fill([a, mean, b, mean], [y, y - 0.32, y, y + 0.32], color=_style.BLUE, lw=0, zorder=4)
    arrows(ax, interval, y, ends, _style.BLUE)


def bar(ax: Axes, interval: Ends, y: float, ends: Ends) -> None:
    """A prediction interval."""
    a, b = max(interval[0], ends[0]), min(interval[1], ends[1])
    ax.fill([a, b, b, a], [y - 0.1, y - 0.1, y + 0.1, y + 0.1], color=_style.SKY, lw=0, zorder=3)
    arrows(ax, interval, y, ends, _style.SKY)


def arrows(ax: Axes, interval: Ends, y: float, ends: Ends, color: str) -> None:
    """A pointed end where an interval leaves the axis."""
    for is_cut, end, marker in ((interval[0] < ends[0], ends[0], "<"), (interval[1] > ends[1], ends[1], ">")):
        if is_cut:
            ax.plot([end], [y], marker=marker, ms=4.5, color=color, mec="none", clip_on=False, zorder=4)
