"""A pooled hazard ratio as reported, and where it may be when silent studies are not dropped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from netsynth import _format
from netsynth.plots import _style
from netsynth.plots._forest import ticks
from netsynth.plots._key import Sample
from netsynth.plots._lines import lined_axes
from netsynth.plots._style import Column, Look
from netsynth.results.reporting_bounds import ReportingBounds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["reporting_bounds_plot"]

WIDTH: Final = 2.6
THIN: Final[Look] = {"color": _style.BLUE, "lw": 0.9, "solid_capstyle": "butt", "zorder": 2}
THICK: Final[Look] = {"color": _style.BLUE, "lw": 4.0, "solid_capstyle": "butt", "zorder": 3}
DOT: Final[Look] = {
    "ls": "",
    "marker": "o",
    "ms": 4.2,
    "mfc": _style.BLUE,
    "mec": "white",
    "mew": 0.5,
    "zorder": 4,
}
NULL: Final[Look] = {"color": _style.INK, "lw": 0.7, "zorder": 1}


def reporting_bounds_plot(bounds: ReportingBounds, *, ax: Axes | None = None) -> Axes:
    """The reported studies pooled, and the limits with the silent ones under it.

    Parameters
    ----------
    bounds : ReportingBounds
        From `bound_reporting`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        Hazard ratios on a logarithmic axis. The thick bar is where the pooled ratio may be, the thin line through it
        what no 95% interval can go beyond; both for the tau2 that the key names.

    Raises
    ------
    InvalidInputError
        If the axes are too small for the text.
    """
    pooled, limits, far = bounds.pooled, bounds.natural_bounds, bounds.natural_confidence_bounds()
    own = pooled.natural_interval()
    left = [
        Column("Hazard ratio", ("as reported", "with the silent studies")),
        Column("k", (str(bounds.k_reported), str(bounds.k_reported + bounds.k_silent)), "right"),
    ]
    low, high = map(_format.ratio, limits)
    texts = (
        f"{_format.ratio(pooled.natural)} ({_format.span(*map(_format.ratio, own))})",
        _format.span(low, high),
    )
    right = [Column("95% CI, or between", texts)]
    samples = [
        Sample("pooled, 95% CI", (THIN, DOT)),
        Sample(
            f"anywhere between, any 95% CI; {bounds.tau2_words.replace('tau2', 'τ²')}",
            (THIN, {**THICK, "lw": 3.0}),
        ),
    ]
    with _style.style():
        ax, width = lined_axes(ax, left=left, right=right, n=2, samples=samples, width=WIDTH)
        ends = [math.log(x) for x in (1.0, *own, *limits, *far) if math.isfinite(x)]
        margin = max(0.06 * (max(ends) - min(ends)), 0.05)
        span = (min(ends) - margin, max(ends) + margin)
        ax.set_xscale("log")
        ax.set_xlim(*map(math.exp, span))
        _style.set_ticks(ax, ticks(True, (math.exp(min(ends)), math.exp(max(ends)))), _style.tick_text, width)
        _style.axis_label(ax, ["Hazard ratio"])
        ax.axvline(1.0, **NULL)
        ax.plot(list(own), [0, 0], **THIN)
        ax.plot([pooled.natural], [0], **DOT)
        if math.isfinite(far.lower):
            ax.plot(list(far), [1, 1], **THIN)
        low_end, high_end = map(math.log, limits)
        middle, least = 0.5 * (low_end + high_end), 0.004 * (span[1] - span[0])
        half = max(0.5 * (high_end - low_end), least)  # limits that are one point still show
        ax.plot([math.exp(middle - half), math.exp(middle + half)], [1, 1], **THICK)
    return ax
