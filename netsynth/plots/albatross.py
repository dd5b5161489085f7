"""Albatross plot: p-values of studies against their size, with what hazard ratios would give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import InvalidInputError
from netsynth.kernels.pvalues import events_of_pvalue
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._lines import draw_span, reach, signed_axis, signed_lines, signed_span, span_samples
from netsynth.plots._style import LINE, Look
from netsynth.results.pvalues import CombinedPValue

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["albatross_plot"]

WIDTH: Final = 4.0  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 2.9
LEAST: Final = (1.8, 1.3)
AXIS: Final = 0.22  # inches under the plot for the ticks
HEAD: Final = 0.2  # inches above it for the two directions
RIGHT: Final = 0.1
BAR: Final = 0.06  # inches between the ticks of the y-axis and its label
POINTS: Final = 401  # of a contour
LINES: Final = ((0, (5, 1.5)), (0, (2.5, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
COLOURS: Final = (_style.GREEN, _style.ORANGE, _style.PURPLE, _style.SKY)

Size = Literal["events", "patients"]


def albatross_plot(
    combined: CombinedPValue,
    *,
    ax: Axes | None = None,
    size: Size | None = None,
    hazard_ratios: Sequence[float] = (1.25, 1.5, 2.0),
    share_exposed: float = 0.5,
    event_share: float | None = None,
) -> Axes:
    r"""Albatross plot: each study at its p-value and size, to the right if it found worse.

    Parameters
    ----------
    combined : CombinedPValue
        From `combine_pvalues`, with the events or the patients of the studies.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    size : {"events", "patients"}, optional
        What the y-axis shows; by default events if every study has them.
    hazard_ratios : sequence of float
        Ratios above 1 whose contours are drawn, and those of their inverse on the other side; at most four.
    share_exposed : float
        Share of the patients with the adverse level, for the contours.
    event_share : float, optional
        Share of patients with the event, for contours over patients. Without it there are none.

    Returns
    -------
    Axes
        The x-axis counts powers of ten of the two-sided p-value, to both sides of 1; labels are p-values. The y-axis
        is logarithmic.

    Raises
    ------
    InvalidInputError
        If no study has a size, a number cannot be, or the axes are too small for the text.

    Notes
    -----
    A contour joins the points where a study of two groups would lie if it had found that hazard ratio:
    :math:`D = z_{1-p/2}^2 / (\pi (1 - \pi) \theta^2)` events [1]_. Studies that lie along one contour agree in the
    size of the effect, whatever their p-values. Contours are only as right as the assumed shares.

    References
    ----------
    .. [1] Harrison S, Jones HE, Martin RM, Lewis SJ, Higgins JPT (2017). The albatross plot: A novel graphical tool
       for presenting results of diversely reported studies in a systematic review. Res Synth Methods 8:281-289.
       https://doi.org/10.1002/jrsm.1239

    Examples
    --------
    >>> from netsynth.pvalues import combine_pvalues
    >>> combined = combine_pvalues(
    ...     ["0.02", "<0.001", "ns"], direction=["worse", "worse", "better"], n_events=[45, 160, 30]
    ... )
    >>> ax = albatross_plot(combined)
    >>> ax.get_ylabel()
    'Events'
    """
    counts, shown = _sizes(combined, size)
    ratios = [float(ratio) for ratio in hazard_ratios]
    if len(ratios) > len(LINES) or not all(1.0 < ratio < math.inf for ratio in ratios):
        raise InvalidInputError(
            f"hazard_ratios must be at most {len(LINES)} ratios above 1; got {hazard_ratios!r}."
        )
    for value, name in ((share_exposed, "share_exposed"), (event_share, "event_share")):
        if value is not None and not (0.0 < value < 1.0 or (name == "event_share" and value == 1.0)):
            raise InvalidInputError(f"{name} must lie between 0 and 1; got {value!r}.")
    per_event = 1.0 if shown == "events" else math.nan if event_share is None else 1.0 / event_share
    if math.isnan(per_event):
        ratios = []
    placed = np.isfinite(counts)
    spans = [
        signed_span(low, high, direction)
        for low, high, direction in zip(
            combined.two_sided_lower, combined.two_sided_upper, combined.direction, strict=True
        )
    ]
    drawn = [span for span, there in zip(spans, placed, strict=True) if there]
    samples = span_samples(drawn)
    samples += [
        Sample(f"HR {ratio:g} or {_format.ratio(1 / ratio)}", (_contour_look(i),))
        for i, ratio in enumerate(ratios)
    ]
    absent = int((~placed).sum())
    note = (
        f"{_format.plural(absent, 'study', 'studies')} without number of {shown} not shown." if absent else ""
    )
    limits = _heights(counts[placed])

    with _style.style():
        ticks = _size_ticks(*limits)
        left = _style.text_width([_style.tick_text(tick) for tick in ticks]) + LINE + 0.09 + BAR
        total = left + WIDTH + RIGHT if ax is None else _style.area(ax)[0]
        key = Key((("", tuple(samples)),), total)
        notes = _style.wrapped(note, total, size=_style.SMALL) if note else []
        foot = AXIS + LINE + 0.12 + key.height + LINE * len(notes)
        if ax is None:
            ax = _style.new_axes(total, HEAD + HEIGHT + foot)
        least = (max(LEAST[0], key.widest - left - RIGHT), LEAST[1])
        width, _ = _style.make_room(ax, left=left, right=RIGHT, head=HEAD, foot=foot, least=least)
        ax.set_yscale("log")
        ax.set_ylim(*limits)
        ax.set_xlim(*reach(drawn))
        _style.frame(ax, y_axis=True)
        signed_axis(ax, width)
        signed_lines(ax, *limits)
        _style.axis_label(ax, ["Two-sided p-value"])
        _y_axis(ax, ticks, shown.capitalize())
        for i, ratio in enumerate(ratios):
            _contour(ax, i, ratio, share_exposed, per_event)
        for span, count, there in zip(spans, counts, placed, strict=True):
            if there:
                draw_span(ax, span, float(count))
        top = _style.inches(ax, (0.0, 1.0)), _style.inches(ax, (1.0, 1.0))
        _style.write(ax, 0.04, 0.11, "Better", place=top[0], weight="bold")
        _style.write(ax, -0.04, 0.11, "Worse", place=top[1], align="right", weight="bold")
        key.draw(ax, -left, -AXIS - LINE - 0.12)
        _style.write_lines(ax, notes, -left, -AXIS - LINE - 0.12 - key.height)
    return ax


def _sizes(combined: CombinedPValue, size: Size | None) -> tuple[FloatArray, Size]:
    shown: Size = size or ("events" if np.isfinite(combined.n_events).all() else "patients")
    _validate.choice(shown, "size", ("events", "patients"))
    counts = combined.n_events if shown == "events" else combined.n_patients
    if not np.isfinite(counts).any():
        raise InvalidInputError(
            f"No study has a number of {shown}, so there is nothing to draw it against. Give n_patients or n_events to "
            "combine_pvalues."
        )
    return counts, shown


def _heights(counts: FloatArray) -> tuple[float, float]:
    low, high = float(counts.min()), float(counts.max())
    margin = max(0.08 * math.log(high / low), 0.2)
    return low * math.exp(-margin), high * math.exp(margin)


def _size_ticks(low: float, high: float) -> Sequence[float]:
    """Round numbers on a logarithmic axis, at most seven."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found: list[float] = []
    for digits in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
        found = [tick for tick in found if low <= tick <= high and (tick >= 10 or tick == int(tick))]
        if len(found) <= 7:
            break
    return found or [round(math.sqrt(low * high))]


def _y_axis(ax: Axes, ticks: Sequence[float], title: str) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel(title, fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)


def _contour_look(i: int) -> Look:
    return {"color": COLOURS[i], "lw": 1.3, "ls": LINES[i], "zorder": 2}


def _contour(ax: Axes, i: int, ratio: float, share: float, per_event: float) -> None:
    for end in ax.get_xlim():
        x = np.linspace(0.0, end, POINTS)[1:]
        ax.plot(
            x, per_event * events_of_pvalue(10.0 ** -np.abs(x), math.log(ratio), share), **_contour_look(i)
        )
