"""Hazard ratios of studies as dots over a box of their quartiles, a line a factor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from netsynth import _format
from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots._forest import ticks
from netsynth.plots._key import Sample
from netsynth.plots._lines import lined_axes
from netsynth.plots._style import Column, Look
from netsynth.results.evidence import Stratum
from netsynth.results.ratios import RatioSpread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ratio_plot"]

WIDTH: Final = 2.8
BOX: Final[Look] = {"color": _style.PALE, "lw": 7.0, "solid_capstyle": "butt", "zorder": 1.5}
RANGE: Final[Look] = {"color": _style.PALE, "lw": 1.2, "zorder": 1.4}
MEDIAN: Final[Look] = {"ls": "", "marker": "|", "ms": 8, "mew": 1.6, "mec": _style.INK, "zorder": 3}
DOT: Final[Look] = {"ls": "", "ms": 4.2, "mfc": "white", "mew": 1.0, "zorder": 4}
DOTS: Final[Mapping[Stratum, Look]] = {
    "adjusted": {**DOT, "marker": "o", "mec": _style.BLUE},
    "matched": {**DOT, "marker": "^", "mec": _style.GREEN},
    "unadjusted": {**DOT, "marker": "s", "ms": 3.8, "mec": _style.VERMILION},
    "not stated": {**DOT, "marker": "D", "ms": 3.4, "mec": _style.GREY},
}
NULL: Final[Look] = {"color": _style.INK, "lw": 0.7, "zorder": 1}


def ratio_plot(spreads: Sequence[RatioSpread], *, ax: Axes | None = None) -> Axes:
    """Range and quartiles of hazard ratios, one line a factor, with every study as a dot.

    Parameters
    ----------
    spreads : sequence of RatioSpread
        From `describe_ratios`, one a line.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        Hazard ratios on a logarithmic axis.

    Raises
    ------
    InvalidInputError
        If there is no line, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> from netsynth.votes import describe_ratios
    >>> ax = ratio_plot([describe_ratios(summarize_factors(load_nethm()).row("extrahepatic disease", "OS"))])
    >>> ax.get_xlabel()
    'Hazard ratio'
    """
    if not spreads:
        raise InvalidInputError("There is no factor to draw; give at least one RatioSpread.")
    labels = [_style.one_line(f"{s.factor}, {s.endpoint.replace('_', ' ')}") for s in spreads]
    left = [Column("Factor", tuple(labels))]
    right = [
        Column("k", tuple(str(s.k) for s in spreads), "right"),
        Column("Median (range)", tuple(_words(s) for s in spreads)),
    ]
    if any(s.without for s in spreads):
        right.append(Column("Without", tuple(str(s.n_without or "") for s in spreads), "right"))
    kinds = {kind for s in spreads for kind in s.stratum}
    samples = [Sample(kind, (look,)) for kind, look in DOTS.items() if kind in kinds]
    if any(s.k > 1 for s in spreads):
        samples += [Sample("median", (MEDIAN,)), Sample("quartiles and range", (RANGE, {**BOX, "lw": 5.0}))]
    with _style.style():
        ax, width = lined_axes(ax, left=left, right=right, n=len(spreads), samples=samples, width=WIDTH)
        low = min(0.0, *(s.lower for s in spreads))
        high = max(0.0, *(s.upper for s in spreads))
        margin = max(0.06 * (high - low), 0.05)
        ax.set_xscale("log")
        ax.set_xlim(math.exp(low - margin), math.exp(high + margin))
        _style.set_ticks(ax, ticks(True, (math.exp(low), math.exp(high))), _style.tick_text, width)
        _style.axis_label(ax, ["Hazard ratio"])
        ax.plot([1.0, 1.0], [len(spreads) - 0.3, -0.6], **NULL)
        for y, spread in enumerate(spreads):
            if spread.k > 1:
                ax.plot([math.exp(end) for end in (spread.lower, spread.upper)], [y, y], **RANGE)
                ax.plot([math.exp(end) for end in (spread.q1, spread.q3)], [y, y], **BOX)
                ax.plot([math.exp(spread.median)], [y], **MEDIAN)
            for log_hr, kind in zip(spread.log_hr, spread.stratum, strict=True):
                ax.plot([math.exp(log_hr)], [y], **DOTS[kind])
    return ax


def _words(spread: RatioSpread) -> str:
    median, low, high = (_format.ratio(math.exp(x)) for x in (spread.median, spread.lower, spread.upper))
    return median if spread.k == 1 else f"{median} ({_format.span(low, high)})"
