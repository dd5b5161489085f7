"""Traffic-light plot: a cell a study and item, with a sign in it, so that no colour is needed to read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots._grid import Steps, mark_grid
from netsynth.plots._key import Sample
from netsynth.plots._style import MINUS, Column, Look
from netsynth.results.quality import RatingGrid, rating_counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["traffic_light_plot"]

STEPS: Final = Steps(0.26, 0.24, 0.4)  # nearer than the least shares touch
NOT_APPLICABLE: Final = "not applicable"

BEST: Final = _style.BLUE
WORST: Final = _style.VERMILION
BETWEEN: Final = (_style.SKY, _style.ORANGE, _style.PURPLE)  # where there are several
DOT: Final[Look] = {"ls": "", "marker": "o", "ms": 2, "color": _style.GREY, "mec": "none", "zorder": 3}


class _Light(NamedTuple):
    color: str
    sign: str

    @property
    def ink(self) -> str:
        """The sign is light on a dark cell and dark on a light one."""
        return "white" if self.color in (BEST, WORST) else _style.INK


def traffic_light_plot(grid: RatingGrid, *, ax: Axes | None = None) -> Axes:
    """Ratings of studies by items, with a total for each study and shares for each item.

    Parameters
    ----------
    grid : ReportingCompleteness or RatingTable
        From `score_reporting` or `tabulate_assessments`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        Coordinates count items and studies, from 0.

    Raises
    ------
    InvalidInputError
        If there is no study, or the axes are too small for the text.

    Notes
    -----
    A cell shows + for the best rating, − for the worst and ? for the one between them. Ratings of one or two
    characters, such as 0, 1 and 2, stand for themselves, and more than three are numbered from the best. What
    does not apply is a dot, and the shares leave it out.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.quality import score_reporting
    >>> ax = traffic_light_plot(score_reporting(load_nethm()))
    >>> [text.get_text() for text in ax.texts if "%" in text.get_text()]
    ['% yes']
    """
    if not grid.labels or not grid.items:
        raise InvalidInputError(f"{grid.title}: there is no study to draw.")
    lights = _lights(grid.ratings)
    with _style.style():
        ax, size = mark_grid(
            ax,
            labels=[_style.one_line(label) for label in grid.labels],
            headings=[_style.one_line(item) for item in grid.items],
            counts=_shares(grid),
            steps=STEPS,
            key=(_style.one_line(grid.title), _samples(lights, grid)),
            totals=[Column("Total", grid.totals, "right")] if any(grid.totals) else [],
        )
        _cells(ax, grid, lights, size)
    return ax


def _lights(ratings: tuple[str, ...]) -> dict[str, _Light]:
    """Colour and sign of each rating, from best to worst."""
    ranked = [rating for rating in ratings if rating != NOT_APPLICABLE]
    n = len(ranked)
    between = [_style.ORANGE] if n == 3 else [BETWEEN[i % len(BETWEEN)] for i in range(n - 2)]
    colours = [BEST, *between, WORST][:n]
    if all(len(rating) <= 2 for rating in ranked):
        signs = [_style.number(rating) for rating in ranked]
    elif n <= 3:
        signs = ["+", *["?"] * (n - 2), MINUS][:n]
    else:
        signs = [str(i) for i in range(1, n + 1)]
    return {rating: _Light(*pair) for rating, *pair in zip(ranked, colours, signs, strict=True)}


def _shares(grid: RatingGrid) -> dict[str, list[str]]:
    """Percent of studies with each rating, one text an item; of two ratings the first tells all."""
    found = rating_counts(grid)
    ratings = [rating for rating in grid.ratings if rating != NOT_APPLICABLE]
    rated = [sum(counts[rating] for rating in ratings) for counts in found.values()]
    return {
        f"% {rating}": [
            f"{100 * counts[rating] / total:.0f}" if total else ""
            for counts, total in zip(found.values(), rated, strict=True)
        ]
        for rating in (ratings[:1] if len(ratings) == 2 else ratings)
    }


def _cells(ax: Axes, grid: RatingGrid, lights: Mapping[str, _Light], size: float) -> None:
    places = [(x, y, rating) for y, row in enumerate(grid.cells) for x, rating in enumerate(row)]
    for rating in dict.fromkeys(rating for _, _, rating in places):
        at = [(x, y) for x, y, found in places if found == rating]
        looks = _looks(lights[rating], size) if rating in lights else (DOT,)
        for look in looks:
            ax.plot(*zip(*at, strict=True), label=rating or NOT_APPLICABLE, **look)


def _looks(light: _Light, size: float) -> tuple[Look, Look]:
    """A disc with its sign."""
    disc: Look = {"ls": "", "marker": "o", "ms": size, "color": light.color, "mec": "none", "zorder": 3}
    return disc, {**_style.sign(light.sign, light.ink), "zorder": 4}


def _samples(lights: Mapping[str, _Light], grid: RatingGrid) -> list[Sample]:
    found = [Sample(rating, _looks(light, 10.5)) for rating, light in lights.items()]
    if any(rating not in lights for row in grid.cells for rating in row):
        found.append(Sample(NOT_APPLICABLE, (DOT,)))
    return found
