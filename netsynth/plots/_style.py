"""The look that all figures share: type, colours, and text laid out by its measured width.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. Nothing here touches the global style,
and the global style touches nothing here: the settings hold while a figure is drawn, and what matplotlib
makes later, such as labels of ticks, is told its look beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from netsynth.errors import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._base import _AxesBase
    from matplotlib.path import Path
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox, Transform

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

FONT: Final = "DejaVu Sans"  # comes with matplotlib, so figures are the same everywhere
FONT_SIZE: Final = 7.5
SMALL: Final = 7.0
POINT: Final = 1 / 72  # inches
ROW: Final = 0.185  # inches from one line of a table to the next
LEAST_ROW: Final = 0.14  # below which lines of text touch
LINE: Final = 0.145  # inches from one line of small print to the next
GAP: Final = 0.14  # inches between columns
MARGIN: Final = 0.06  # inches left free around everything
HINTED: Final = 1.05  # letters on a screen are moved to whole pixels, which makes lines longer than in print
MINUS: Final = "\u2212"

Look: TypeAlias = Mapping[str, Any]  # properties of a line or mark

_SETTINGS: Final[dict[str, Any]] = {
    "font.family": FONT,
    "font.size": FONT_SIZE,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in the name of a study is a dollar sign
    "lines.linewidth": 1.2,
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "svg.hashsalt": "netsynth",  # the same figure twice is the same file
    "pdf.fonttype": 42,  # letters stay letters
}


def style() -> AbstractContextManager[None]:
    """The look of netsynth, for the time of a with-block.

    Figures carry their look, so it is not needed around a plot. Around `savefig` it makes the same figure the
    same file each time, and letters in a PDF stay letters.
    """
    import matplotlib.style

    context: AbstractContextManager[None] = matplotlib.style.context(["default", _SETTINGS])
    return context


def new_axes(width: float, height: float) -> Axes:
    """Axes of a new figure, for `width` by `height` inches and a margin. Call inside `style()`."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(width + 2 * MARGIN, height + 2 * MARGIN))
    return figure.add_axes((0.0, 0.0, 1.0, 1.0))


def area(ax: Axes) -> tuple[float, float]:
    """Width and height in inches that given axes have for plot and text, without the margin."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    return box.width / dpi - 2 * MARGIN, box.height / dpi - 2 * MARGIN


class _Room:
    """Where a plot lies in the area of its axes: so many inches from each side, whatever moves or resizes it."""

    def __init__(self, ax: Axes, left: float, right: float, head: float, foot: float) -> None:
        self.ends = (left + MARGIN, foot + MARGIN, -right - MARGIN, -head - MARGIN)
        self.get_subplotspec = ax.get_subplotspec  # by which a tight layout knows the axes

    def __call__(self, ax: _AxesBase, _renderer: object) -> Bbox:
        from matplotlib.transforms import Bbox

        figure = ax.figure
        size = 2 * (figure.bbox.width / figure.dpi, figure.bbox.height / figure.dpi)
        ends = zip(ax.get_position(original=True).extents, self.ends, size, strict=True)
        return Bbox.from_extents(*(end + inches / whole for end, inches, whole in ends))


def make_room(
    ax: Axes,
    *,
    left: float = 0.0,
    right: float = 0.0,
    head: float = 0.0,
    foot: float = 0.0,
    least: tuple[float, float],
) -> tuple[float, float]:
    """Take so many inches of text from the area of the axes; returns width and height of what the plot keeps.

    Raises
    ------
    InvalidInputError
        If that is less than `least`, width and height in inches.
    """
    taken, (width, height) = (left + right, head + foot), area(ax)
    kept = (width - taken[0], height - taken[1])
    if kept[0] < least[0] - 1e-6 or kept[1] < least[1] - 1e-6:
        needed = [text + plot + 2 * MARGIN for text, plot in zip(taken, least, strict=True)]
        wide, high = (math.ceil(10 * (inches - 1e-6)) / 10 for inches in needed)
        raise InvalidInputError(
            f"The axes are {width + 2 * MARGIN:.1f} by {height + 2 * MARGIN:.1f} inches; this figure needs at least "
            f"{wide:.1f} by {high:.1f}. Give it larger axes, or none."
        )
    room = _Room(ax, left, right, head, foot)
    ax.set_axes_locator(room)
    ax.apply_aspect(room(ax, None))
    return kept


# --- text


def one_line(text: object) -> str:
    """A text from data as one line, whatever white space it holds."""
    return " ".join(str(text).split())


@lru_cache(maxsize=4096)
def _width(text: str, weight: str, size: float) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(
        text, FontProperties(family=FONT, weight=weight, size=size), ismath=False
    )
    return float(width) * POINT * HINTED


def text_width(texts: Iterable[str], *, weight: str = "normal", size: float = FONT_SIZE) -> float:
    """Width in inches of the widest of some texts, each of which may have several lines."""
    return max((_width(line, weight, size) for text in texts for line in text.split("\n")), default=0.0)


def wrapped(text: str, width: float, *, weight: str = "normal", size: float = FONT_SIZE) -> list[str]:
    """The text in lines of at most `width` inches, broken at spaces, inside a word only where it must be."""

    def fits(line: str) -> bool:
        return text_width([line], weight=weight, size=size) <= width

    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if fits(longer):
            lines[-1] = longer
            continue
        rest = word
        while not fits(rest) and len(rest) > 1:
            cut = next(n for n in range(len(rest) - 1, 0, -1) if n == 1 or fits(rest[:n]))
            lines.append(rest[:cut])
            rest = rest[cut:]
        lines.append(rest)
    return [line for line in lines if line]


def number(text: str) -> str:
    """A printed number with a proper minus sign."""
    return text.replace("-", MINUS)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of text beside a plot: its heading and one text a row.

    A tab in a text divides it into parts; the parts of all rows stand under each other, each aligned right,
    so that digits stand under digits. Rows from `bold_from` on are bold.
    """

    heading: str
    cells: tuple[str, ...]
    align: str = "left"
    bold_from: int = 1_000_000

    PART: Final = 0.03  # inches between parts

    @property
    def parts(self) -> list[tuple[str, ...]]:
        """The column of each part."""
        rows = [cell.split("\t") for cell in self.cells]
        count = max(map(len, rows), default=1)
        return list(zip(*([""] * (count - len(row)) + row for row in rows), strict=True))

    @property
    def part_widths(self) -> list[float]:
        """Inches that each part needs."""
        n = self.bold_from
        return [max(text_width(part[:n]), text_width(part[n:], weight="bold")) for part in self.parts]

    @property
    def width(self) -> float:
        """Inches it needs."""
        widths = self.part_widths
        return max(
            sum(widths) + self.PART * (len(widths) - 1), text_width(self.heading.split("\n"), weight="bold")
        )


def inches(ax: Axes, corner: tuple[float, float] = (0.0, 0.0)) -> Transform:
    """Coordinates in inches from a corner of the axes, wherever they are moved."""
    from matplotlib.transforms import ScaledTranslation

    transform: Transform = ax.figure.dpi_scale_trans + ScaledTranslation(*corner, ax.transAxes)  # type: ignore[arg-type]  # any affine transform will do
    return transform


def beside(ax: Axes, *, right: bool = False) -> Transform:
    """Coordinates beside a plot: x in inches from its left or its right edge, y as the data."""
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(inches(ax, (1.0 if right else 0.0, 0.0)), ax.transData)


def write(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    *,
    place: Transform,
    align: str = "left",
    vertical: str = "center",
    weight: str = "normal",
    color: str = INK,
    size: float = FONT_SIZE,
    **more: Any,
) -> Text:
    """Text at a place, such as `beside` or `inches`."""
    return ax.text(
        x,
        y,
        text,
        transform=place,
        ha=align,
        va=vertical,
        fontsize=size,
        fontweight=weight,
        color=color,
        clip_on=False,
        **more,
    )


def write_columns(
    ax: Axes,
    columns: Iterable[Column],
    x: float,
    y: Sequence[float],
    y_heading: float,
    *,
    place: Transform,
    gap: float = GAP,
) -> None:
    """Columns of text from x on, each followed by a gap, in the coordinates of `beside`."""
    for column in columns:
        _write_column(ax, column, x, y, y_heading, place)
        x += column.width + gap


def _write_column(
    ax: Axes, column: Column, x: float, y: Sequence[float], y_heading: float, place: Transform
) -> None:
    width = column.width
    is_left = column.align == "left"
    write(
        ax,
        x if is_left else x + width,
        y_heading,
        column.heading,
        place=place,
        align=column.align,
        weight="bold",
    )
    right = x + width
    for part, part_width in list(zip(column.parts, column.part_widths, strict=True))[::-1]:
        for row, cell in enumerate(part):
            if cell:
                weight = "bold" if row >= column.bold_from else "normal"
                at = x if is_left else right
                write(ax, at, y[row], cell, place=place, align=column.align, weight=weight)
        right -= part_width + column.PART


def write_lines(ax: Axes, lines: Sequence[str], x: float, y: float, *, size: float = SMALL) -> None:
    """Lines of small print, the first with its top at inches from the lower left corner of the axes."""
    for i, line in enumerate(lines):
        write(ax, x, y - (i + 0.5) * LINE, line, place=inches(ax), size=size)


def rule(ax: Axes, left: float, right: float, y: float) -> None:
    """A thin line across the plot and so many inches of text on both sides."""
    line = {"arrowstyle": "-", "color": INK, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0, "zorder": 1}
    ax.annotate(
        "",
        (right, y),
        (-left, y),
        xycoords=beside(ax, right=True),
        textcoords=beside(ax),
        arrowprops=line,
        annotation_clip=False,
    )


def stripe(ax: Axes, left: float, right: float, y: float, height: float = 1.0) -> None:
    """A pale band behind one row, across the plot and so many inches of text on both sides."""
    from matplotlib.patches import Rectangle

    overlap = 0.05  # inches, so that no seam shows
    parts = (
        (-left, left + overlap, beside(ax)),
        (0.0, 1.0, ax.get_yaxis_transform()),
        (-overlap, right + overlap, beside(ax, right=True)),
    )
    for start, width, place in parts:
        if width > overlap:
            band = Rectangle((start, y - height / 2), width, height, transform=place, clip_on=False, zorder=0)
            band.set(color=ZEBRA, linewidth=0)
            ax.add_patch(band)


# --- axes


def frame(ax: Axes, *, x_axis: bool = True, y_axis: bool = False) -> None:
    """Leave the axis lines that are wanted, in our look."""
    ax.set_axisbelow(False)
    ax.grid(visible=False)
    for side, shown in (("bottom", x_axis), ("left", y_axis), ("top", False), ("right", False)):
        ax.spines[side].set(visible=shown, linewidth=0.7, color=INK)
    ax.tick_params(
        axis="both",
        which="both",
        direction="out",
        length=3,
        width=0.7,
        pad=2.5,
        color=INK,
        labelsize=FONT_SIZE,
        labelcolor=INK,
        labelfontfamily=FONT,
        labelrotation=0,
        bottom=x_axis,
        labelbottom=x_axis,
        left=y_axis,
        labelleft=y_axis,
        top=False,
        labeltop=False,
        right=False,
        labelright=False,
    )


def axis_label(ax: Axes, lines: Sequence[str]) -> None:
    """Label of the x-axis."""
    ax.set_xlabel(
        "\n".join(lines), fontsize=FONT_SIZE, color=INK, labelpad=2.5, fontfamily=FONT, fontweight="normal"
    )
    ax.xaxis.label.set_parse_math(False)


def set_ticks(
    ax: Axes, candidates: Iterable[Sequence[float]], show: Callable[[float], str], width: float
) -> None:
    """Ticks of the x-axis: the first candidates whose labels keep apart on `width` inches; else only the last."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    to_fraction = ax.transScale + ax.transLimits
    chosen: Sequence[float] = ()
    labels: list[str] = []
    for chosen in candidates:
        labels = [show(value) for value in chosen]
        at = [width * float(to_fraction.transform((value, 0.0))[0]) for value in chosen]
        needed = [text_width([label]) for label in labels]
        room = [
            b - a - 0.5 * (wide_a + wide_b)
            for a, b, wide_a, wide_b in zip(at, at[1:], needed, needed[1:], strict=False)
        ]
        if min(room, default=1.0) > 0.06:
            break
    ax.xaxis.set_major_locator(FixedLocator(list(chosen)))
    ax.xaxis.set_major_formatter(FixedFormatter(labels))
    ax.xaxis.set_minor_locator(NullLocator())


def even_ticks(low: float, high: float) -> Iterable[Sequence[float]]:
    """Evenly spaced round values inside limits, many first."""
    from matplotlib.ticker import MaxNLocator

    for n in (6, 5, 4, 3, 2, 1):
        ticks = MaxNLocator(nbins=n, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        slack = 1e-9 * (high - low)
        yield [float(tick) for tick in ticks if low - slack <= tick <= high + slack]


def tick_text(value: float) -> str:
    """A round number as a tick shows it: 0.05, 1000, 10⁵."""
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        digits, _, exponent = f"{value:.0e}".partition("e")
        raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return number({"1": f"10{raised}", "-1": f"-10{raised}"}.get(digits, f"{digits}×10{raised}"))
    return number(f"{round(value, 12):.10g}")


# --- marks


@lru_cache(maxsize=64)
def _outline(text: str, size: float) -> Path:
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    letters = TextPath((0, 0), text, size=size, prop=FontProperties(family=FONT, weight="bold"))
    corners, codes = letters.vertices.copy(), letters.codes
    ends = codes == Path.CLOSEPOLY  # these vertices stand for nothing, but would count for the size of a mark
    corners[ends] = corners[np.flatnonzero(ends) - 1]
    centre = 0.5 * (corners.min(axis=0) + corners.max(axis=0))
    # lines that are quite upright or level would be moved to whole pixels, where thin ones vanish
    return Path(corners, codes).transformed(Affine2D().translate(*-centre).rotate_deg(0.2))


def sign(text: str, color: str, *, size: float = FONT_SIZE) -> Look:
    """A bold letter or sign as a mark, centred where it is drawn, which no line of text is."""
    outline = _outline(text, size)
    box = outline.get_extents()
    look: Look = {"ls": "", "marker": outline, "ms": max(box.width, box.height), "mfc": color, "mec": "none"}
    return look
