"""Ratios of several categories against their dose, with the line through the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _validate
from netsynth.kernels.intervals import critical_value
from netsynth.plots import _style
from netsynth.plots._forest import ticks
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.results.trend import METHOD_WORDS, CategoryTrend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["trend_plot"]

WIDTH: Final = 3.4
HEIGHT: Final = 2.5
LEAST: Final = (1.5, 1.2)
AXIS: Final = 0.22
HEAD: Final = 0.06
RIGHT: Final = 0.12
BAR: Final = 0.06

POINT: Final[Look] = {
    "ls": "",
    "marker": "o",
    "ms": 4.4,
    "mfc": _style.INK,
    "mec": "white",
    "mew": 0.5,
    "zorder": 5,
}
REFERENCE: Final[Look] = {
    "ls": "",
    "marker": "D",
    "ms": 4.4,
    "mfc": "white",
    "mec": _style.INK,
    "mew": 1.0,
    "zorder": 5,
}
ERROR: Final[Look] = {"color": _style.INK, "lw": 0.9, "zorder": 4}
FIT: Final[Look] = {"color": _style.BLUE, "lw": 1.3, "zorder": 3}
BAND: Final[Look] = {"color": "#d6e6f0", "lw": 0, "zorder": 1}
BAND_SAMPLE: Final[Look] = {"color": "#d6e6f0", "lw": 6, "solid_capstyle": "butt"}
OTHER: Final[Look] = {"color": _style.VERMILION, "lw": 1.1, "ls": (0, (4, 2)), "zorder": 2}
NULL: Final[Look] = {"color": _style.INK, "lw": 0.7, "zorder": 1.5}


def trend_plot(trend: CategoryTrend, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Reported ratios by dose, the line with its interval, and the line that ignores the covariance.

    Parameters
    ----------
    trend : CategoryTrend
        From `trend_from_categories`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Of the intervals.

    Returns
    -------
    Axes
        The y-axis is logarithmic.

    Raises
    ------
    InvalidInputError
        If the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.trend import trend_from_categories
    >>> trend = trend_from_categories(
    ...     [0, 1, 2], [1, 1.5, 2.1], se=[None, 0.2, 0.25], n_events=[40, 50, 60], n_total=[200, 180, 150], unit="cm"
    ... )
    >>> ax = trend_plot(trend)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('cm', 'Hazard ratio')
    """
    z = float(critical_value(np.inf, _validate.level(level)))
    start, rest = trend.dose[trend.reference], np.arange(trend.dose.size) != trend.reference
    low, high = (np.exp(trend.log_hr + side * z * trend.se) for side in (-1.0, 1.0))
    other = next((line for line in trend.alternatives if line.method == "independent"), None)
    margin = 0.05 * float(np.ptp(trend.dose))
    x = np.linspace(float(trend.dose.min()) - margin, float(trend.dose.max()) + margin, 101)
    band = [
        np.exp((x - start) * trend.slope + side * z * np.abs(x - start) * trend.slope_se)
        for side in (-1.0, 1.0)
    ]
    ends = min(low[rest].min(), band[0].min(), 1.0) / 1.05, max(high[rest].max(), band[1].max(), 1.0) * 1.05
    percent = f"{100 * level:g}%"
    samples = [
        Sample(f"reported ratio, {percent} interval", (ERROR, POINT)),
        Sample("reference", (REFERENCE,)),
        Sample(f"{METHOD_WORDS[trend.method]}, {percent} interval", (BAND_SAMPLE, FIT)),
    ]
    if other is not None:
        samples.append(Sample(METHOD_WORDS["independent"], (OTHER,)))
    with _style.style():
        y_ticks = _y_ticks(float(ends[0]), float(ends[1]))
        left = _style.text_width([_style.tick_text(tick) for tick in y_ticks]) + LINE + 0.09 + BAR
        total = left + WIDTH + RIGHT if ax is None else _style.area(ax)[0]
        key = Key((("", tuple(samples)),), total)
        foot = AXIS + LINE + 0.12 + key.height
        if ax is None:
            total = max(total, key.widest)
            ax = _style.new_axes(total, HEAD + HEIGHT + foot)
        width, _ = _style.make_room(ax, left=left, right=RIGHT, head=HEAD, foot=foot, least=LEAST)
        ax.set_yscale("log")
        ax.set_ylim(*ends)
        ax.set_xlim(float(x[0]), float(x[-1]))
        _style.frame(ax, y_axis=True)
        _style.set_ticks(ax, _style.even_ticks(*ax.get_xlim()), _style.tick_text, width)
        _style.axis_label(ax, _style.wrapped(_style.one_line(trend.unit or "Dose"), width)[:1])
        _y_axis(ax, y_ticks, trend.ratio_words.capitalize())
        ax.axhline(1.0, **NULL)
        ax.fill_between(x, *band, **BAND)
        ax.plot(x, np.exp((x - start) * trend.slope), **FIT)
        if other is not None:
            ax.plot(x, np.exp((x - start) * other.slope), **OTHER)
        for dose, one, two in zip(trend.dose[rest], low[rest], high[rest], strict=True):
            ax.plot([dose, dose], [one, two], **ERROR)
        ax.plot(trend.dose[rest], np.exp(trend.log_hr[rest]), **POINT)
        ax.plot([start], [1.0], **REFERENCE)
        key.draw(ax, -left, -AXIS - LINE - 0.12)
    return ax


def _y_ticks(low: float, high: float) -> list[float]:
    found: list[float] = []
    for candidate in ticks(True, (low, high)):
        found = list(candidate)
        if len(found) <= 7 and all(tick > 0 for tick in found):
            break
    return found


def _y_axis(ax: Axes, y_ticks: list[float], title: str) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.yaxis.set_major_locator(FixedLocator(y_ticks))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in y_ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel(title, fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)
