"""Flow of records, reports and studies through a review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from netsynth import _format
from netsynth.data.prisma import PrismaFlow
from netsynth.plots import _style
from netsynth.plots._boxes import GAP, arrow, paper, stream, text_height, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["prisma_plot"]

REASON: Final = 1.9  # inches after which a reason goes on in another line


def prisma_plot(flow: PrismaFlow, *, ax: Axes | None = None) -> Axes:
    """Flow diagram in the order of PRISMA 2020: identified, screened, sought, assessed, included.

    Parameters
    ----------
    flow : PrismaFlow
        Counts that add up.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        Without visible axes; coordinates are inches from the upper left corner.

    Raises
    ------
    InvalidInputError
        If the axes are too small for the text.

    Examples
    --------
    >>> flow = PrismaFlow(databases=162, duplicates=23, excluded=25, not_retrieved=4, reasons={"no survival": 88})
    >>> ax = prisma_plot(flow)
    >>> ax.texts[0].get_text()
    '162 records identified'
    """
    main, side = _steps(flow)
    streams = [(main, side)]
    if flow.has_other_methods:
        streams.append(_other_steps(flow))
    with _style.style():
        widths = [
            (text_width(boxes), text_width([texts for texts in out if texts])) for boxes, out in streams
        ]
        n_steps = len(main)
        tall = [
            max(text_height(boxes[i]) for pair in streams for boxes in pair if i < len(boxes) and boxes[i])
            for i in range(n_steps)
        ]
        total = sum(wide + beside for wide, beside in widths) + GAP * (2 * len(streams) - 1)
        height = sum(tall) + GAP * (n_steps - 1)
        ax, x, y = paper(ax, total, height)
        tops = [y + sum(tall[:i]) + GAP * i for i in range(n_steps)]
        ends: list[float] = []
        for (boxes, out), (wide, beside) in zip(streams, widths, strict=True):
            stream(ax, boxes, out, (x, x + wide + GAP), (wide, beside), tops)
            ends.append(x + 0.5 * wide)
            x += wide + beside + 2 * GAP
        if flow.has_other_methods:
            _join(ax, streams, widths, ends, tops)
    return ax


def _steps(flow: PrismaFlow) -> tuple[list[list[str]], list[list[str]]]:
    """Texts of the boxes of the main stream, and of those of what is left out beside each."""
    found = [f"{_format.plural(flow.identified, 'record')} identified"]
    if flow.registers:
        found += [f"{flow.databases} from databases", f"{flow.registers} from registers"]
    removed = flow.duplicates + flow.automation + flow.removed_other
    out = [f"{_format.plural(removed, 'record')} removed", "before screening:"]
    out += [
        f"{n} {words}"
        for n, words in (
            (flow.duplicates, "duplicates"),
            (flow.automation, "by automation"),
            (flow.removed_other, "for other reasons"),
        )
        if n
    ]
    included = [f"{_format.plural(flow.n_included_reports, 'report')} included"]
    if flow.included_studies is not None:
        included.append(f"of {_format.plural(flow.included_studies, 'study', 'studies')}")
    main = [
        found,
        [f"{_format.plural(flow.n_screened, 'record')} screened"],
        [f"{_format.plural(flow.n_sought, 'report')} sought"],
        [f"{_format.plural(flow.n_assessed, 'report')} assessed"],
        included,
    ]
    side = [
        out if removed else [],
        [f"{_format.plural(flow.excluded, 'record')} excluded"],
        [f"{_format.plural(flow.not_retrieved, 'report')} not retrieved"],
        _excluded(flow.n_excluded_reports, flow.reasons),
        [],
    ]
    return main, side


def _other_steps(flow: PrismaFlow) -> tuple[list[list[str]], list[list[str]]]:
    main: list[list[str]] = [
        [f"{_format.plural(flow.other_identified, 'record')}", "from other methods"],
        [],
        [f"{_format.plural(flow.other_sought or 0, 'report')} sought"],
        [f"{_format.plural(flow.other_assessed or 0, 'report')} assessed"],
    ]
    side: list[list[str]] = [
        [],
        [],
        [f"{_format.plural(flow.other_not_retrieved, 'report')} not retrieved"],
        _excluded(flow.n_other_excluded, flow.other_reasons),
    ]
    return main, side


def _excluded(total: int, reasons: Mapping[str, int]) -> list[str]:
    texts = [f"{_format.plural(total, 'report')} excluded"]
    for reason, n in sorted(reasons.items(), key=lambda item: -item[1]):
        texts += _style.wrapped(f"{n} {_style.one_line(reason)}", REASON)
    return texts


def _join(
    ax: Axes,
    streams: list[tuple[list[list[str]], list[list[str]]]],
    widths: list[tuple[float, float]],
    ends: list[float],
    tops: list[float],
) -> None:
    """From the last box of the second stream down and over to the box of what is included."""
    last = streams[0][0][-1]
    level = tops[-1] + 0.5 * text_height(last)
    start = tops[-2] + text_height(streams[1][0][-1])
    ax.plot([ends[1], ends[1]], [start, level], color=_style.INK, lw=0.8, clip_on=False, zorder=1)
    arrow(ax, (ends[1], level), (ends[0] + 0.5 * widths[0][0], level))
