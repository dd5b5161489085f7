"""Flow of reported figures: how many were found, which were left out and why, how many were taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netsynth import _format
from netsynth.data.selection import Selection
from netsynth.plots import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["flow_plot"]

LINE: Final = 0.16  # inches from one line of text to the next
PAD: Final = 0.1
GAP: Final = 0.35  # inches between boxes


def flow_plot(selection: Selection, *, ax: Axes | None = None) -> Axes:
    """Flow diagram of one selection: found, left out by reason, taken.

    Parameters
    ----------
    selection : Selection
        From `Review.select_survival` and its siblings.
    ax : Axes, optional
        Axes to draw in; by default a new figure of the size needed.

    Returns
    -------
    Axes
        Without visible axes; coordinates are inches.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> ax = flow_plot(load_nethm().select_survival("OS", 60, sets=["core"]))
    >>> [text.get_text().splitlines()[0] for text in ax.texts][0]
    'OS at 60 months'
    """
    flow = selection.flow
    found = [selection.question, f"{_format.plural(flow['found'], 'reported figure')}"]
    reasons = [f"{count} {reason}" for reason, count in flow.items() if reason not in ("found", "taken")]
    n_out = flow["found"] - flow["taken"]
    out = [f"{n_out} left out" + (":" if reasons else ""), *reasons]
    taken = [f"{_format.plural(selection.k, 'study', 'studies')} taken", f"{selection.n_total} patients"]
    with _style.style():
        left_width = _style.text_width([*found, *taken], weight="bold") + 2 * PAD
        right_width = _style.text_width(out, weight="bold") + 2 * PAD
        heights = [len(lines) * LINE + 2 * PAD for lines in (found, out, taken)]
        width = left_width + GAP + right_width
        height = heights[0] + heights[1] + heights[2] + 2 * GAP / 2
        if ax is None:
            ax = _style.new_axes(width + 0.1, height + 0.1)
        ax.set_xlim(-0.05, width + 0.05)
        ax.set_ylim(height + 0.05, -0.05)
        ax.set_aspect("equal")
        ax.set_axis_off()
        middle = heights[0] + GAP / 2 + heights[1] / 2
        bottom = height - heights[2]
        _box(ax, 0, 0, left_width, heights[0], found)
        _box(ax, left_width + GAP, middle - heights[1] / 2, right_width, heights[1], out)
        _box(ax, 0, bottom, left_width, heights[2], taken)
        axis = left_width / 2
        _arrow(ax, (axis, heights[0]), (axis, bottom))
        _arrow(ax, (axis, middle), (left_width + GAP, middle))
    return ax


def _box(ax: Axes, x: float, y: float, width: float, height: float, lines: list[str]) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), width, height, facecolor="white", edgecolor=_style.INK, linewidth=0.8))
    for i, line in enumerate(lines):
        ax.text(
            x + PAD,
            y + PAD + (i + 0.5) * LINE,
            line,
            va="center",
            ha="left",
            fontsize=_style.FONT_SIZE,
            fontweight="bold" if i == 0 else "normal",
            color=_style.INK,
        )


def _arrow(ax: Axes, start: tuple[float, float], stop: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": _style.INK, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=stop, xytext=start, arrowprops=style)
