"""Harvest plot: for each factor the studies as bars, where they point to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from netsynth import _format, _validate
from netsynth.data.factor import Direction
from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import GAP, LINE, Column, Look
from netsynth.results.evidence import ANY_ENDPOINT, FactorEvidence, FactorRow, Stratum
from netsynth.results.prognostic import FactorSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

__all__ = ["harvest_plot"]

BAR: Final = 0.085  # inches across a bar
STEP: Final = 0.115  # inches from one bar to the next
TALL: Final = 0.34  # inches of the tallest bar
ROOM: Final = 0.44  # inches of a row
LEAST: Final = (0.8, 0.85)  # of the two, below which bars touch or names do
PER_LINE: Final = 14  # bars of a direction, more than which go on in another line
NAME: Final = 2.0  # inches after which the name of a factor goes on in another line
HEAD: Final = 0.24
#: Columns of the matrix: heading, and the directions that stand in it.
COLUMNS: Final[Mapping[str, tuple[Direction, ...]]] = {
    "Better": ("better",),
    "No difference": ("none",),
    "Not stated": ("not stated",),
    "Worse": ("worse",),
}
#: Height of a bar by number of patients: the first band whose end is not reached.
BANDS: Final = ((50.0, 1 / 3, "< 50"), (200.0, 2 / 3, "50–199"), (math.inf, 1.0, "≥ 200"))
UNKNOWN: Final = 1 / 6  # height of a bar of unknown size or quality
HATCH: Final[Mapping[Stratum, str]] = {
    "adjusted": "//////",
    "matched": "//////",
    "unadjusted": "",
    "not stated": "",
}
FILLS: Final[Mapping[Stratum, str]] = {
    "adjusted": "#9cc9e3",
    "matched": "#a5d8c6",
    "unadjusted": "#f0b98f",
    "not stated": "#dcdcdc",
}
EDGES: Final[Mapping[Stratum, str]] = {
    "adjusted": _style.BLUE,
    "matched": _style.GREEN,
    "unadjusted": _style.VERMILION,
    "not stated": _style.GREY,
}


def harvest_plot(
    summary: FactorSummary,
    *,
    ax: Axes | None = None,
    endpoint: str = ANY_ENDPOINT,
    heights: Mapping[str, float] | None = None,
    height_label: str = "quality",
    min_studies: int = 1,
) -> Axes:
    """Harvest plot: a row a factor, a column a direction, a bar a study.

    Bars are as high as the study is large, or as good as `heights` says; hatched bars are adjusted or matched
    analyses. The highest bars of a direction stand first.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    endpoint : str
        Code of the endpoint, by default each study once over all of them.
    heights : mapping of str to float, optional
        Height of the bar of each study, by its id or label, between 0 and 1: a score of quality, say. Studies that
        are not in it have a low bar, and the key says so.
    height_label : str
        What `heights` are.
    min_studies : int
        Fewest studies of a factor that is shown.

    Returns
    -------
    Axes
        Coordinates are inches from the left end and rows from the top.

    Raises
    ------
    InvalidInputError
        If no factor has so many studies, a height lies outside [0, 1], or the axes are too small.

    References
    ----------
    .. [1] Ogilvie D, Fayter D, Petticrew M, et al (2008). The harvest plot: a method for synthesising evidence about
       the differential effects of interventions. BMC Med Res Methodol 8:8.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> ax = harvest_plot(summarize_factors(load_nethm()), min_studies=4)
    >>> len(ax.patches) > 20
    True
    """
    least = _validate.count(min_studies, "min_studies", minimum=1)
    rows = [row for row in summary.rows if row.endpoint == endpoint and row.k >= least]
    if not rows:
        raise InvalidInputError(
            f"No factor has results of {_format.plural(least, 'study', 'studies')} or more for endpoint {endpoint!r}."
        )
    for name, height in (heights or {}).items():
        if not 0.0 <= height <= 1.0:
            raise InvalidInputError(f"{name}: the height of a bar must lie in [0, 1]; got {height!r}.")
    cells = [[_bars(row, directions, heights) for directions in COLUMNS.values()] for row in rows]
    shown = [i for i in range(len(COLUMNS)) if any(row[i] for row in cells)]
    lines = [max(1, *(math.ceil(len(row[i]) / PER_LINE) for i in shown)) for row in cells]
    with _style.style():
        names = [
            "\n".join(
                _style.wrapped(_style.one_line(row.factor + (f" ({row.levels})" if row.levels else "")), NAME)
            )
            for row in rows
        ]
        left = [
            Column("Factor", tuple(names)),
            Column("k", tuple(str(row.k) for row in rows), "right"),
        ]
        headings = [list(COLUMNS)[i] for i in shown]
        wide = [
            max(
                STEP * (min(PER_LINE, max(len(row[i]) for row in cells)) + 1),
                _style.text_width([heading], weight="bold") + 0.16,
            )
            for i, heading in zip(shown, headings, strict=True)
        ]
        tall = [
            max(ROOM * n, LINE * (1 + name.count("\n")) + 0.08) for n, name in zip(lines, names, strict=True)
        ]
        width_left = sum(column.width + GAP for column in left)
        total = width_left + sum(wide) if ax is None else _style.area(ax)[0]
        counted = [result for row in rows for result in row.counted]
        key = Key(tuple(_groups(counted, heights, height_label)), total)
        foot = 0.1 + key.height
        if ax is None:
            total = max(total, key.widest)
            ax = _style.new_axes(total, HEAD + sum(tall) + foot)
        room = _style.make_room(
            ax,
            left=width_left,
            head=HEAD,
            foot=foot,
            least=(LEAST[0] * sum(wide), LEAST[1] * sum(tall)),
        )
        ax.set_xlim(0, sum(wide) * max(1.0, room[0] / sum(wide)))
        ax.set_ylim(sum(tall), 0)
        ax.set_xticks([])
        ax.set_yticks([])
        _style.frame(ax, x_axis=False)
        scale = ax.get_xlim()[1] / sum(wide)
        place = _style.beside(ax)
        top = 0.0
        middles = []
        for i, (row, height, n) in enumerate(zip(cells, tall, lines, strict=True)):
            middles.append(top + 0.5 * height)
            if i % 2:
                _style.stripe(ax, width_left, 0.0, top + 0.5 * height, height)
            start = 0.0
            for which, width in zip(shown, wide, strict=True):
                _draw(ax, row[which], start, top + 0.5 * (height - ROOM * n))
                start += width * scale
            top += height
        heading = -0.5 * HEAD * sum(tall) / room[1]
        _style.write_columns(ax, left, -width_left, middles, heading, place=place)
        start = 0.0
        for text, width in zip(headings, wide, strict=True):
            if start:
                ax.plot([start, start], [0, sum(tall)], color=_style.PALE, lw=0.7, zorder=1)
            _style.write(
                ax,
                start + 0.5 * width * scale,
                heading,
                text,
                place=ax.transData,
                align="center",
                weight="bold",
            )
            start += width * scale
        for at in (0.0, sum(tall)):
            _style.rule(ax, width_left, 0.0, at)
        key.draw(ax, -width_left, -0.1)
    return ax


def _bars(
    row: FactorRow, directions: tuple[Direction, ...], heights: Mapping[str, float] | None
) -> list[tuple[float, Stratum]]:
    """Height and kind of analysis of each bar of a cell, the highest first."""
    found = [
        (_height(result, heights), result.stratum) for result in row.counted if result.direction in directions
    ]
    return sorted(found, key=lambda bar: -bar[0])


def _height(result: FactorEvidence, heights: Mapping[str, float] | None) -> float:
    if heights is not None:
        known = heights.get(result.study, heights.get(result.label))
        return UNKNOWN if known is None else max(known, 0.05)
    if result.n_patients is None:
        return UNKNOWN
    return next(height for end, height, _ in BANDS if result.n_patients < end)


def _draw(ax: Axes, bars: list[tuple[float, Stratum]], start: float, top: float) -> None:
    from matplotlib.patches import Rectangle

    for i, (height, stratum) in enumerate(bars):
        line, place = divmod(i, PER_LINE)
        foot = top + ROOM * line + 0.5 * (ROOM + TALL)
        corner = (start + 0.5 * STEP + place * STEP, foot - height * TALL)
        bar = Rectangle(corner, BAR, height * TALL, facecolor=FILLS[stratum], edgecolor=EDGES[stratum])
        bar.set(linewidth=0.7, hatch=HATCH[stratum], zorder=3)
        ax.add_patch(bar)


def _groups(
    results: list[FactorEvidence], heights: Mapping[str, float] | None, height_label: str
) -> list[tuple[str, tuple[Sample, ...]]]:
    """The key: the bars as they are drawn, a column of marks standing for each."""
    strata = [stratum for stratum in FILLS if any(result.stratum == stratum for result in results)]
    found = [("Analysis", tuple(Sample(stratum, _bar_looks(stratum)) for stratum in strata))]
    if heights is None:
        samples = [Sample(text, (_size_look(height),)) for _, height, text in BANDS]
        if any(result.n_patients is None for result in results):
            samples.append(Sample("not stated", (_size_look(UNKNOWN),)))
        found.append(("Patients", tuple(samples)))
    else:
        samples = [Sample(_style.one_line(height_label), (_size_look(1.0),))]
        if any(result.study not in heights and result.label not in heights for result in results):
            samples.append(Sample("not rated", (_size_look(UNKNOWN),)))
        found.append(("Height", tuple(samples)))
    return found


def _bar_looks(stratum: Stratum) -> tuple[Look, ...]:
    """A square in the colour of the bar; strokes stand for its hatching, which a mark cannot have."""
    square: Look = {
        "ls": "",
        "marker": "s",
        "ms": 7.0,
        "mfc": FILLS[stratum],
        "mec": EDGES[stratum],
        "mew": 0.7,
    }
    if not HATCH[stratum]:
        return (square,)
    stroke: Look = {
        "ls": "",
        "marker": _slashes(),
        "ms": 6.0,
        "mec": EDGES[stratum],
        "mew": 0.8,
        "mfc": "none",
    }
    return square, stroke


def _slashes() -> Path:
    """Three slanting strokes."""
    from matplotlib.path import Path

    points = [(-1.0, 0.0), (0.0, 1.0), (-1.0, -1.0), (1.0, 1.0), (0.0, -1.0), (1.0, 0.0)]
    return Path(points, [Path.MOVETO, Path.LINETO] * 3)


def _size_look(height: float) -> Look:
    """A bar of that height; all stand on one ground, since a mark is scaled by what lies farthest from its middle."""
    from matplotlib.path import Path

    half = 0.5 * BAR / TALL
    corners = [(-half, -0.5), (half, -0.5), (half, height - 0.5), (-half, height - 0.5), (-half, -0.5)]
    codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY]
    return {
        "ls": "",
        "marker": Path(corners, codes),
        "ms": 9.0,
        "mfc": FILLS["not stated"],
        "mec": _style.GREY,
        "mew": 0.7,
    }
