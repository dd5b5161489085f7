"""A plot of lines: a row of text, a stretch of axis, text again; and p-values that have a direction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from netsynth.data.factor import Direction
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import GAP, LEAST_ROW, LINE, ROW, Column, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXIS: Final = 0.22 + LINE  # inches under the last row for the ticks and the label
LEAST_PLOT: Final = 1.1

EXACT: Final[Look] = {
    "ls": "",
    "marker": "o",
    "ms": 4.4,
    "mfc": _style.INK,
    "mec": "white",
    "mew": 0.5,
    "zorder": 4,
}
END: Final[Look] = {
    "ls": "",
    "marker": "o",
    "ms": 3.8,
    "mfc": "white",
    "mec": _style.BLUE,
    "mew": 0.9,
    "zorder": 4,
}
SPAN: Final[Look] = {"color": _style.BLUE, "lw": 1.0, "solid_capstyle": "butt", "zorder": 3}
LOOSE_END: Final[Look] = {**END, "mec": _style.VERMILION, "marker": "s", "ms": 3.4}
LOOSE: Final[Look] = {"color": _style.VERMILION, "lw": 1.0, "ls": (0, (3, 1.5)), "zorder": 3}
NULL: Final[Look] = {"color": _style.INK, "lw": 0.7, "zorder": 1}
FIVE_PERCENT: Final[Look] = {"color": _style.GREY, "lw": 0.7, "ls": (0, (1, 2)), "zorder": 1}
LEAST_REACH: Final = 1.5  # of an axis of p-values to each side: p of 0.03
MOST_REACH: Final = 30.0  # beyond which a p-value is drawn as an arrow


class SignedSpan(NamedTuple):
    """Where a two-sided p-value may lie: minus its decimal logarithm, negative for better.

    An end is infinite where the p-value has no lower bound. `is_loose` if the direction is not known.
    """

    lower: float
    upper: float
    is_loose: bool

    @property
    def is_exact(self) -> bool:
        """Whether it is one value."""
        return self.lower == self.upper


def signed_span(lower: float, upper: float, direction: Direction) -> SignedSpan:
    """Ends of a two-sided p-value on the axis of signed logarithms."""
    far, near = (math.inf if p <= 0.0 else abs(math.log10(p)) for p in (lower, upper))
    if direction == "worse":
        return SignedSpan(near, far, False)
    if direction == "better":
        return SignedSpan(-far, -near, False)
    return SignedSpan(-far, far, far > 0.0)


def reach(spans: Iterable[SignedSpan]) -> tuple[float, float]:
    """Limits of the axis: all finite ends, room for the arrows of infinite ones."""
    low, high = LEAST_REACH, LEAST_REACH
    for span in spans:
        for end in (span.lower, span.upper):
            if abs(end) <= MOST_REACH:
                low, high = max(low, -end), max(high, end)
    for span in spans:
        known = [abs(end) for end in (span.lower, span.upper) if abs(end) <= MOST_REACH]
        if span.upper > MOST_REACH:
            high = max(high, 0.8 + max(known, default=0.0))
        if span.lower < -MOST_REACH:
            low = max(low, 0.8 + max(known, default=0.0))
    margin = 0.05 * (low + high)
    return -low - margin, high + margin


def draw_span(ax: Axes, span: SignedSpan, y: float) -> None:
    """A dot for a value; a line with open ends for an interval, with an arrow where it has no end."""
    if span.is_exact:
        ax.plot([span.lower], [y], **EXACT)
        return
    line, end = (LOOSE, LOOSE_END) if span.is_loose else (SPAN, END)
    limits = ax.get_xlim()
    margin = 0.012 * (limits[1] - limits[0])
    inner = (limits[0] + margin, limits[1] - margin)
    low, high = max(span.lower, inner[0]), min(span.upper, inner[1])
    ax.plot([low, high], [y, y], **line)
    arrow = {**end, "ms": 4.6, "mfc": end["mec"], "mew": 0.0}
    for at, given, marker in ((low, span.lower, "<"), (high, span.upper, ">")):
        ax.plot([at], [y], **(end if at == given else {**arrow, "marker": marker}))


def span_samples(spans: Sequence[SignedSpan]) -> list[Sample]:
    """The key of what `draw_span` draws, and no more."""
    found = []
    if any(span.is_exact for span in spans):
        found.append(Sample("p-value", (EXACT,)))
    if any(not span.is_exact and not span.is_loose for span in spans):
        found.append(Sample("bound or not printed: somewhere on the line", (SPAN, END)))
    if any(span.is_loose for span in spans):
        found.append(Sample("direction not known: on the line", (LOOSE, LOOSE_END)))
    found.append(Sample("p = 0.05", (FIVE_PERCENT,)))
    return found


def signed_axis(ax: Axes, width: float) -> None:
    """Ticks of p-values on the axis of signed logarithms."""
    low, high = ax.get_xlim()
    most = int(max(-low, high))
    candidates = [
        [float(x) for x in range(-most - most % step, most + 1, step) if low <= x <= high]
        for step in range(1, most + 2)
    ]
    _style.set_ticks(ax, [[x for x in ticks if x % 1 == 0] for ticks in candidates], _p_text, width)


def signed_lines(ax: Axes, bottom: float, top: float) -> None:
    """The line of p = 1 and those of p = 0.05, from one height to another."""
    ax.plot([0.0, 0.0], [bottom, top], **NULL)
    for side in (-1.0, 1.0):
        ax.plot([side * math.log10(0.05)] * 2, [bottom, top], **FIVE_PERCENT)


def _p_text(x: float) -> str:
    return _style.tick_text(10.0 ** -abs(x)) if abs(x) < 4 else _style.tick_text(float(f"1e-{abs(x):.0f}"))


def lined_axes(
    ax: Axes | None,
    *,
    left: Sequence[Column],
    right: Sequence[Column],
    n: int,
    samples: Sequence[Sample],
    width: float,
    y: Sequence[float] | None = None,
) -> tuple[Axes, float]:
    """Axes with n rows of text on both sides and a key below; returns them with the width of the plot.

    The rows stand at 0, 1, ... or at `y`, the headings above the first. Call inside `style()`.
    """
    at = [float(i) for i in range(n)] if y is None else list(y)
    width_left = sum(column.width + GAP for column in left)
    width_right = sum(column.width + GAP for column in right)
    total = width_left + width + width_right if ax is None else _style.area(ax)[0]
    key = Key((("", tuple(samples)),), total)
    foot = AXIS + 0.1 + key.height
    n_rows = at[-1] + 2.2
    if ax is None:
        width = max(width, key.widest - width_left - width_right)
        ax = _style.new_axes(width_left + width + width_right, n_rows * ROW + foot)
    least = (max(LEAST_PLOT, key.widest - width_left - width_right), n_rows * LEAST_ROW)
    plot_width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=least)
    ax.set_ylim(at[-1] + 0.7, -1.5)
    ax.set_yticks([])
    _style.frame(ax)
    for i, place in enumerate(at):
        if i % 2:
            _style.stripe(ax, width_left, width_right, place)
    _style.write_columns(ax, left, -width_left, at, -1.0, place=_style.beside(ax))
    _style.write_columns(ax, right, GAP, at, -1.0, place=_style.beside(ax, right=True))
    _style.rule(ax, width_left, width_right, -0.6)
    key.draw(ax, -width_left, -AXIS - 0.1)
    return ax, plot_width
