"""Effect-direction plot: which way each study of a prognostic factor points, and how sure that may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from netsynth import _format, _validate
from netsynth.data.factor import Direction, Significance
from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import GAP, LINE, Column, Look
from netsynth.results.evidence import ANY_ENDPOINT, STRATA, FactorEvidence, FactorRow, Stratum
from netsynth.results.prognostic import FactorSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

__all__ = ["factor_plot"]

STEP: Final = 0.13  # inches from one mark to the next
HEIGHT: Final = 0.155  # inches from one row to the next
LEAST: Final = (0.85, 0.93)  # of these, below which marks and lines touch
PER_LINE: Final = (12, 10, 8, 7, 6)  # marks on a line of one direction, as many as there is room for
MOST: Final = 21  # steps for all directions together
PAGE: Final = 8.0  # inches of width beyond which names are wrapped further
NAME: Final = (2.0, 3.2)  # inches after which the name of a factor with its levels goes on in another line
ENDPOINT: Final = 1.0
NARROW: Final = 0.08  # inches between columns of counts
ABOVE: Final = 1.5  # rows above the first: the headings
NOTE: Final = (
    "A mark is a study. Neither directions nor counts of significant results tell the size of an effect."
)

#: The zones of the plot: heading, and the directions that stand in it.
ZONES: Final[Mapping[str, tuple[Direction, ...]]] = {
    "Better": ("better",),
    "Unclear": ("none", "not stated"),
    "Worse": ("worse",),
}
DIRECTION_WORDS: Final[Mapping[Direction, str]] = {
    "worse": "worse with the first level",
    "better": "better",
    "none": "no difference",
    "not stated": "not stated",
}
COLOURS: Final[Mapping[Stratum, str]] = {
    "adjusted": _style.BLUE,
    "matched": _style.GREEN,
    "unadjusted": _style.VERMILION,
    "not stated": _style.GREY,
}
TINTS: Final[Mapping[str, str]] = {
    _style.BLUE: "#b8d6e8",
    _style.GREEN: "#bfe3d6",
    _style.VERMILION: "#f4cfb5",
    _style.GREY: "#d5d5d5",
}
SIGNIFICANCE_WORDS: Final[Mapping[str, tuple[Significance, ...]]] = {
    "yes": ("yes",),
    "no": ("no",),
    "not tested or stated": ("not tested", "not stated"),
}
#: Size of a mark in points by number of patients: the first band whose end is not reached.
BANDS: Final = ((50.0, 4.5, "< 50 or not stated"), (200.0, 6.0, "50–199"), (math.inf, 7.5, "≥ 200"))


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the plot: its text in lines, and for each zone its studies."""

    name: list[str]
    endpoint: list[str]
    row: FactorRow
    is_head: bool
    zones: tuple[list[FactorEvidence], ...]

    def height(self, per_line: int) -> float:
        """In rows."""
        n_marks = max(math.ceil(len(zone) / per_line) for zone in self.zones)
        n_text = max(len(self.name), len(self.endpoint))
        further = max((n_text - 1) * LINE, (n_marks - 1) * STEP)
        return 1.0 + further / HEIGHT


def factor_plot(summary: FactorSummary, *, ax: Axes | None = None, min_studies: int = 1) -> Axes:
    """Effect-direction plot: a row a factor and endpoint, a mark a study.

    A triangle points up where the first of the two levels does worse, and down where it does better. Filled
    marks are significant, as the source puts it; colours tell adjusted from unadjusted analyses, sizes the number
    of patients. Factors of most studies come first; where a factor has several endpoints, its first row counts
    each study once.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    min_studies : int
        Fewest studies of a factor that is shown.

    Returns
    -------
    Axes
        Marks stand one beside the other in the zone of their direction; coordinates count marks and rows.

    Raises
    ------
    InvalidInputError
        If no factor has so many studies, or the axes are too small for the text.

    References
    ----------
    .. [1] Hilton Boon M, Thomson H (2021). The effect direction plot revisited: Application of the 2019
       Cochrane Handbook guidance on alternative synthesis methods. Res Synth Methods 12:29-33.
       https://doi.org/10.1002/jrsm.1458

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> ax = factor_plot(summarize_factors(load_nethm()), min_studies=3)
    >>> [label.get_text() for label in ax.texts if label.get_text().startswith("extrahepatic")]
    ['extrahepatic disease (present vs absent)']
    """
    least_k = _validate.count(min_studies, "min_studies", minimum=1)
    rows = [row for row in summary.rows if summary.row(row.factor).k >= least_k]
    if not rows:
        raise InvalidInputError(
            f"No factor has results of {_format.plural(least_k, 'study', 'studies')} or more; "
            f"the summary has {_format.plural(len(summary.factors), 'factor')}."
        )
    with _style.style():
        lines = _lines(rows, NAME[0])
        zones, per_line = _zones(lines)
        count = sum(zones.values())
        right = _right(lines)
        _, endpoints = _left(lines)
        rest = endpoints.width + 2 * GAP + STEP * count + sum(column.width + NARROW for column in right)
        lines = _lines(rows, min(max(PAGE - rest, NAME[0]), NAME[1]))
        left = _left(lines)
        width_left, width_right = _widths(left, right)
        heights = [line.height(per_line) for line in lines]
        total = width_left + STEP * count + width_right
        if ax is not None:
            total = _style.area(ax)[0]
        key = Key(tuple(_groups([result for line in lines for result in line.row.counted])), total)
        note = _style.wrapped(NOTE, total, size=_style.SMALL)
        foot = 0.1 + key.height + 0.06 + LINE * len(note)
        n_rows = sum(heights) + ABOVE
        if ax is None:
            total = max(total, key.widest)
            ax = _style.new_axes(total, n_rows * HEIGHT + foot)
        least = (LEAST[0] * STEP * count, LEAST[1] * HEIGHT * n_rows)
        width, _ = _style.make_room(ax, left=width_left, right=width_right, foot=foot, least=least)
        ax.set_xlim(0, count * max(1.0, width / (STEP * count)))
        ax.set_ylim(n_rows - ABOVE, -ABOVE)
        ax.set_xticks([])
        ax.set_yticks([])
        _style.frame(ax, x_axis=False)
        y = _places(heights)
        _text(ax, lines, left, right, y, heights)
        _marks(ax, lines, zones, y, per_line)
        for at in (-0.4, n_rows - ABOVE):
            _style.rule(ax, width_left, width_right, at)
        key.draw(ax, -width_left, -0.1)
        _style.write_lines(ax, note, -width_left, -0.1 - key.height - 0.06)
    return ax


def _lines(rows: Sequence[FactorRow], name_width: float) -> list[_Line]:
    """Rows of the plot: where a factor has one endpoint only, the row for any endpoint says nothing more."""
    lines = []
    for head in (row for row in rows if row.endpoint == ANY_ENDPOINT):
        each = [row for row in rows if row.factor == head.factor and row.endpoint != ANY_ENDPOINT]
        shown = each if len(each) == 1 else [head, *each]
        levels = f" ({head.levels})" if head.levels else ""
        name = _style.wrapped(_style.one_line(head.factor + levels), name_width)
        # the name runs on beside the rows of its endpoints; what is left of it stands in the last of them
        parts = [name[i : i + 1] for i in range(len(shown) - 1)] + [name[len(shown) - 1 :]]
        for i, (row, part) in enumerate(zip(shown, parts, strict=True)):
            endpoint = _style.wrapped(_style.one_line(row.endpoint.replace("_", " ")), ENDPOINT)
            zones = tuple(
                sorted((r for r in row.counted if r.voted_direction in directions), key=_order)
                for directions in ZONES.values()
            )
            lines.append(_Line(part, endpoint, row, i == 0, zones))
    return lines


def _order(result: FactorEvidence) -> tuple[int, int, int]:
    """Adjusted before unadjusted, significant before not, large before small."""
    return (
        list(STRATA).index(result.stratum),
        ["yes", "no"].index(result.significance) if result.significance in ("yes", "no") else 2,
        -(result.n_patients or 0),
    )


def _left(lines: Sequence[_Line]) -> list[Column]:
    return [
        Column("Factor", tuple("\n".join(line.name) for line in lines)),
        Column("Endpoint", tuple("\n".join(line.endpoint) for line in lines)),
    ]


def _right(lines: Sequence[_Line]) -> list[Column]:
    counts = [line.row.directions for line in lines]
    columns = {
        "k": [count.k for count in counts],
        "▲": [count.n_worse for count in counts],
        "▼": [count.n_better for count in counts],
        "◄►": [count.n_none for count in counts],
        "?": [count.n_not_stated for count in counts],
        "Inferred": [count.n_inferred for count in counts],
        "n": [line.row.n_patients for line in lines],
    }
    return [
        Column(heading, tuple(str(n) if n or heading in "k▲▼" else "" for n in numbers), "right")
        for heading, numbers in columns.items()
        if heading in "k▲▼" or any(numbers)
    ]


def _widths(left: Sequence[Column], right: Sequence[Column]) -> tuple[float, float]:
    return sum(column.width + GAP for column in left), sum(column.width + NARROW for column in right)


def _zones(lines: Sequence[_Line]) -> tuple[dict[str, int], int]:
    """Width in marks of each zone that has one, of its longest line or its heading; and how many marks a line has."""
    for per_line in PER_LINE:
        zones = {}
        for i, heading in enumerate(ZONES):
            widest = max(len(line.zones[i]) for line in lines)
            if widest:
                wide = (_style.text_width([heading], weight="bold") + 0.12) / STEP
                zones[heading] = max(min(widest, per_line) + 1, math.ceil(wide))
        if sum(zones.values()) <= MOST:
            break
    return zones, per_line


def _places(heights: Sequence[float]) -> list[float]:
    """Middle of each row."""
    ends = list(accumulate(heights))
    return [end - height / 2 for end, height in zip(ends, heights, strict=True)]


def _text(
    ax: Axes,
    lines: Sequence[_Line],
    left: Sequence[Column],
    right: Sequence[Column],
    y: Sequence[float],
    heights: Sequence[float],
) -> None:
    width_left, width_right = _widths(left, right)
    n_factor = 0
    for line, at, height in zip(lines, y, heights, strict=True):
        n_factor += line.is_head
        if n_factor % 2 == 0:
            _style.stripe(ax, width_left, width_right, at, height)
    _style.write_columns(ax, left, -width_left, y, -0.95, place=_style.beside(ax))
    _style.write_columns(ax, right, NARROW, y, -0.95, place=_style.beside(ax, right=True), gap=NARROW)


def _marks(
    ax: Axes, lines: Sequence[_Line], zones: Mapping[str, int], y: Sequence[float], per_line: int
) -> None:
    start = 0.0
    scale = ax.get_xlim()[1] / sum(zones.values())  # wider axes keep the proportions of the zones
    for heading, wide in zones.items():
        if start:
            ax.plot([start] * 2, [-0.4, ax.get_ylim()[0]], color=_style.PALE, lw=0.7, zorder=1)
        middle = start + 0.5 * wide * scale
        _style.write(ax, middle, -0.95, heading, place=ax.transData, align="center", weight="bold")
        which = list(ZONES).index(heading)
        for line, at in zip(lines, y, strict=True):
            results = line.zones[which]
            n_lines = math.ceil(len(results) / per_line)
            for i, result in enumerate(results):
                row, place = divmod(i, per_line)
                _mark(ax, start + 1.0 + place, at + (row - 0.5 * (n_lines - 1)) * STEP / HEIGHT, result)
        start += wide * scale


def _mark(ax: Axes, x: float, y: float, result: FactorEvidence) -> None:
    size = next(size for end, size, _ in BANDS if (result.n_patients or 0) < end)
    for look in _looks(result.voted_direction, COLOURS[result.stratum], result.significance, size):
        ax.plot([x], [y], **look)


def _looks(direction: Direction, color: str, significance: Significance, size: float) -> tuple[Look, ...]:
    """A mark as lines: its shape tells the direction, its filling whether it is significant."""
    fill = {"yes": color, "no": "white"}.get(significance, TINTS[color])
    shape: Look = {"ls": "", "ms": size, "mfc": fill, "mec": color, "mew": 0.8, "zorder": 3}
    if direction == "not stated":
        glyph = "white" if significance == "yes" else color
        return {**shape, "marker": "o"}, {**_style.sign("?", glyph, size=0.9 * size), "zorder": 4}
    if direction == "none":
        return ({**shape, "marker": bow_tie(), "ms": 1.25 * size},)  # flat, so as large as the triangles
    return ({**shape, "marker": "^" if direction == "worse" else "v"},)


@cache
def bow_tie() -> Path:
    """Two triangles that point left and right."""
    from matplotlib.path import Path

    one = [(-1.0, 0.0), (-0.2, 0.7), (-0.2, -0.7), (-1.0, 0.0)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path([*one, *((-x, y) for x, y in one)], codes * 2)


def _groups(results: Sequence[FactorEvidence]) -> Iterator[tuple[str, tuple[Sample, ...]]]:
    """The key: what occurs in the plot, and no more."""
    size = BANDS[1][1]
    directions = {result.voted_direction for result in results}
    yield (
        "Direction",
        tuple(
            Sample(text, _looks(direction, _style.GREY, "yes", size))
            for direction, text in DIRECTION_WORDS.items()
            if direction in directions
        ),
    )
    said = {result.significance for result in results}
    yield (
        "Significant",
        tuple(
            Sample(text, _looks("worse", _style.GREY, words[0], size))
            for text, words in SIGNIFICANCE_WORDS.items()
            if said & set(words)
        ),
    )
    strata = {result.stratum for result in results}
    yield (
        "Analysis",
        tuple(
            Sample(stratum, _looks("worse", COLOURS[stratum], "yes", size))
            for stratum in STRATA
            if stratum in strata
        ),
    )
    yield (
        "Patients",
        tuple(Sample(text, _looks("worse", _style.GREY, "yes", points)) for _, points, text in BANDS),
    )
