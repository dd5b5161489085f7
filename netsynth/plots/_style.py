"""The look that all figures share: type, colours, and text laid out by its measured width.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. Nothing here touches the global style:
the settings hold while a figure is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from netsynth.errors import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from matplotlib.transforms import Transform

INK: Final = "#1a1a1a"
GREY: Final = "#767676"
PALE: Final = "#d9d9d9"
ZEBRA: Final = "#f3f3f1"
BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
ORANGE: Final = "#E69F00"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"

FONT_SIZE: Final = 7.5
POINT: Final = 1 / 72  # inches
ROW: Final = 0.185  # inches from one line of a table to the next
FIGURE_SPACE: Final = "\u2007"  # as wide as a digit, so that padded numbers stay aligned

_SETTINGS: Final[dict[Any, Any]] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so figures are the same everywhere
    "font.size": FONT_SIZE,
    "axes.labelsize": FONT_SIZE,
    "axes.titlesize": FONT_SIZE + 1,
    "axes.titleweight": "bold",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": FONT_SIZE,
    "ytick.labelsize": FONT_SIZE,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": FONT_SIZE - 0.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "svg.hashsalt": "netsynth",  # the same figure twice is the same file
    "pdf.fonttype": 42,
}


def style() -> AbstractContextManager[None]:
    """The look, for the time of a with-block."""
    import matplotlib as mpl

    context: AbstractContextManager[None] = mpl.rc_context(_SETTINGS)
    return context


def new_axes(width: float, height: float) -> Axes:
    """Axes of a new figure that fill `width` by `height` inches. Call inside `style()`."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(width, height))
    return figure.add_axes((0.0, 0.0, 1.0, 1.0))


def text_width(texts: Sequence[str], *, weight: str = "normal", size: float = FONT_SIZE) -> float:
    """Width in inches of the widest of some texts."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family="DejaVu Sans", weight=weight)
    widest = 0.0
    for text in set(texts):
        if text.strip():
            path = TextPath((0, 0), text, size=size, prop=font)
            widest = max(widest, path.get_extents().width)
    return widest * POINT


@dataclass(frozen=True, slots=True)
class Column:
    """A column of text beside a plot: its heading and one text a row."""

    heading: str
    cells: tuple[str, ...]
    align: str = "left"

    @property
    def width(self) -> float:
        """Inches it needs, should every cell be bold."""
        return text_width([*self.cells, *self.heading.split("\n")], weight="bold")


def padded(texts: Sequence[str]) -> list[str]:
    """Texts filled with figure spaces on the left to one length, so that digits stand under digits."""
    width = max((len(text) for text in texts), default=0)
    return [text.rjust(width, FIGURE_SPACE) for text in texts]


def intervals_aligned(lower: Sequence[str], upper: Sequence[str]) -> list[str]:
    """For every row its interval in brackets, limits under each other; empty where a row has none."""
    lows, highs = padded(lower), padded(upper)
    return [f"[{low}, {high}]" if raw else "" for raw, low, high in zip(lower, lows, highs, strict=True)]


def beside(ax: Axes) -> Transform:
    """Coordinates beside a plot: x in inches from the left edge of the axes, y as the data."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    figure = ax.get_figure(root=True)
    if figure is None:
        raise InvalidInputError("The axes must belong to a figure.")
    left_edge = ScaledTranslation(ax.get_position().x0 * figure.get_figwidth(), 0, figure.dpi_scale_trans)
    return blended_transform_factory(figure.dpi_scale_trans + left_edge, ax.transData)


def write(ax: Axes, x: float, y: float, text: str, *, align: str = "left", weight: str = "normal") -> Text:
    """Text in the coordinates of `beside`."""
    return ax.text(
        x,
        y,
        text,
        transform=beside(ax),
        ha=align,
        va="center",
        fontsize=FONT_SIZE,
        fontweight=weight,
        color=INK,
        clip_on=False,
    )


def write_column(
    ax: Axes, column: Column, x: float, y: Sequence[float], y_heading: float, *, bold_from: int
) -> float:
    """A column of text with its heading; cells from `bold_from` on are bold. Returns its width in inches."""
    width = column.width
    at = x if column.align == "left" else x + width
    write(ax, at, y_heading, column.heading, align=column.align, weight="bold")
    for row, cell in enumerate(column.cells):
        if cell:
            write(ax, at, y[row], cell, align=column.align, weight="bold" if row >= bold_from else "normal")
    return width


def rule(ax: Axes, start: float, stop: float, y: float) -> None:
    """A thin line across text and plot, in the coordinates of `beside`."""
    ax.plot([start, stop], [y, y], transform=beside(ax), color=INK, lw=0.7, clip_on=False, zorder=1)


def stripe(ax: Axes, start: float, stop: float, y: float) -> None:
    """A pale band behind one row, across text and plot."""
    from matplotlib.patches import Rectangle

    band = Rectangle((start, y - 0.5), stop - start, 1.0, transform=beside(ax), clip_on=False, zorder=0)
    band.set(color=ZEBRA, linewidth=0)
    ax.add_patch(band)


def note(ax: Axes, x: float, y: float, text: str) -> None:
    """A line of small print at inches from the lower left corner of the axes."""
    ax.annotate(
        text,
        xy=(0, 0),
        xycoords="axes fraction",
        xytext=(x * 72, y * 72),
        textcoords="offset points",
        ha="left",
        va="top",
        fontsize=FONT_SIZE - 0.5,
        color=INK,
        annotation_clip=False,
    )


def shrink(ax: Axes, left: float, right: float, foot: float, *, least: float) -> float:
    """Make room for text inside the area of the axes; returns the inches of width that the plot keeps."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise InvalidInputError("The axes must belong to a figure.")
    box = ax.get_position()
    wide, high = figure.get_size_inches()
    inches = box.width * wide
    plot = float(inches - left - right)
    if plot < least:
        raise InvalidInputError(
            f"The axes are {inches:.1f} inches wide; this figure needs at least {left + right + least:.1f} "
            "for its text. Give it wider axes, or none."
        )
    ax.set_position((box.x0 + left / wide, box.y0 + foot / high, plot / wide, box.height - foot / high))
    return plot
