"""Flow of reported figures: how many were found, which were left out and why, how many were taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsynth import _format
from netsynth.data.selection import Selection
from netsynth.plots import _style
from netsynth.plots._boxes import GAP, LINE, PAD, arrow, box, lines, paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["flow_plot"]


def flow_plot(selection: Selection, *, ax: Axes | None = None) -> Axes:
    """Flow diagram of one selection: found, left out by reason, taken.

    Parameters
    ----------
    selection : Selection
        From `Review.select_survival` and its siblings.
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
    >>> from netsynth.datasets import load_nethm
    >>> ax = flow_plot(load_nethm().select_survival("OS", 60, sets=["core"]))
    >>> ax.texts[0].get_text()
    'OS at 60 months'
    """
    flow = selection.flow
    found = [_style.one_line(selection.question), _format.plural(flow["found"], "reported figure")]
    counts = {reason: count for reason, count in flow.items() if reason not in ("found", "taken")}
    out = [f"{flow['found'] - flow['taken']} left out" + (":" if counts else "")]
    taken = [f"{_format.plural(selection.k, 'study', 'studies')} taken", f"{selection.n_total} patients"]
    with _style.style():
        left_width = _style.text_width([*found, *taken], weight="bold") + 2 * PAD
        digits = _style.text_width([str(count) for count in counts.values()])
        reasons = [_style.one_line(reason) for reason in counts]
        right_width = 2 * PAD + max(
            _style.text_width(out, weight="bold"), digits + 0.06 + _style.text_width(reasons)
        )
        heights = [n * LINE + 2 * PAD for n in (2, 1 + len(counts), 2)]
        height = max(heights[0] + GAP + heights[2], heights[1] + 2 * PAD)
        width = left_width + GAP + right_width
        ax, x, y = paper(ax, width, height)
        inches = ax.transData
        middle = y + 0.5 * (heights[0] + height - heights[2])
        right, top = x + left_width + GAP, middle - heights[1] / 2
        box(ax, x, y, left_width, heights[0])
        box(ax, x, y + height - heights[2], left_width, heights[2])
        box(ax, right, top, right_width, heights[1])
        lines(ax, x, y, found, inches)
        lines(ax, x, y + height - heights[2], taken, inches)
        lines(ax, right, top, out, inches)
        for i, (reason, count) in enumerate(zip(reasons, counts.values(), strict=True)):
            line = top + PAD + (i + 1.5) * LINE
            _style.write(ax, right + PAD + digits, line, str(count), place=inches, align="right")
            _style.write(ax, right + PAD + digits + 0.06, line, reason, place=inches)
        axis = x + left_width / 2
        arrow(ax, (axis, y + heights[0]), (axis, y + height - heights[2]))
        arrow(ax, (axis, middle), (right, middle))
    return ax
