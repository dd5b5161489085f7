"""Boxes and arrows of flow diagrams; coordinates are inches from the upper left corner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netsynth.plots import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

LINE: Final = 0.16  # inches from one line of text to the next
PAD: Final = 0.1
GAP: Final = 0.35  # inches between boxes


def paper(ax: Axes | None, width: float, height: float) -> tuple[Axes, float, float]:
    """Axes in inches that hold a drawing of this size, and where it begins when it is set in their middle."""
    if ax is None:
        ax = _style.new_axes(width, height)
    room = _style.make_room(ax, least=(width, height))
    ax.set_xlim(0, room[0])
    ax.set_ylim(room[1], 0)
    ax.set_axis_off()
    return ax, 0.5 * (room[0] - width), 0.5 * (room[1] - height)


def box(ax: Axes, x: float, y: float, width: float, height: float) -> None:
    """A box with its upper left corner at x, y."""
    from matplotlib.patches import Rectangle

    box = Rectangle((x, y), width, height, facecolor="white", edgecolor=_style.INK, linewidth=0.8)
    box.set_clip_on(False)
    ax.add_patch(box)


def lines(ax: Axes, x: float, y: float, texts: list[str], place: Transform) -> None:
    """Lines of text in a box, the first bold."""
    for i, line in enumerate(texts):
        weight = "bold" if i == 0 else "normal"
        _style.write(ax, x + PAD, y + PAD + (i + 0.5) * LINE, line, place=place, weight=weight)


def arrow(ax: Axes, start: tuple[float, float], stop: tuple[float, float]) -> None:
    """An arrow from one place to another."""
    style = {"arrowstyle": "-|>", "color": _style.INK, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=stop, xytext=start, arrowprops=style)


def text_height(texts: list[str]) -> float:
    """Inches that a box of so many lines takes."""
    return len(texts) * LINE + 2 * PAD


def text_width(boxes: list[list[str]]) -> float:
    """Inches that the widest of the boxes takes."""
    texts = [box_texts for box_texts in boxes if box_texts]
    heads = _style.text_width([each[0] for each in texts], weight="bold")
    return max(heads, _style.text_width([line for each in texts for line in each[1:]])) + 2 * PAD


def stream(
    ax: Axes,
    main: list[list[str]],
    side: list[list[str]],
    x: tuple[float, float],
    widths: tuple[float, float],
    tops: list[float],
) -> None:
    """Boxes under each other at the first x, each with what is left out beside it at the second."""
    above: float | None = None
    middle = x[0] + 0.5 * widths[0]
    for texts, beside, top in zip(main, side, tops, strict=False):
        if not texts:
            continue
        _filled(ax, texts, x[0], top, widths[0])
        if above is not None:
            arrow(ax, (middle, above), (middle, top))
        above = top + text_height(texts)
        if beside:
            _filled(ax, beside, x[1], top, widths[1])
            level = top + 0.5 * min(text_height(texts), text_height(beside))
            arrow(ax, (x[0] + widths[0], level), (x[1], level))


def _filled(ax: Axes, texts: list[str], x: float, y: float, width: float) -> None:
    box(ax, x, y, width, text_height(texts))
    lines(ax, x, y, texts, ax.transData)
