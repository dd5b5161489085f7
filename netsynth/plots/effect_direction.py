"""Effect-direction plot as a grid: a row a study, a column a factor, an arrow where there is a result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from netsynth import _format, _validate
from netsynth.data.factor import Direction
from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import GAP, LEAST_ROW, ROW, Column, Look
from netsynth.plots.factors import BANDS, DIRECTION_WORDS, bow_tie
from netsynth.results.evidence import ANY_ENDPOINT, FactorEvidence
from netsynth.results.prognostic import FactorSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["effect_direction_plot"]

STEP: Final = 0.34  # inches from one factor to the next
LEAST_STEP: Final = 0.2
SLANT: Final = 45  # degrees of the headings
LONGEST: Final = 2.1  # inches of a heading, after which it is cut
HEAD: Final = 0.08
TOP: Final = 0.6  # rows above the middle of the first study
#: Fill of a mark by risk of bias, from low to high: a ladder of one colour, then others for further words.
SHADES: Final = (_style.BLUE, "#8fc1e0", "white")
UNRATED: Final = "#c9c9c9"
EDGE: Final = _style.INK


def effect_direction_plot(
    summary: FactorSummary,
    *,
    ax: Axes | None = None,
    endpoint: str = ANY_ENDPOINT,
    factors: Sequence[str] | None = None,
    min_studies: int = 1,
    risk_of_bias: Mapping[str, str] | None = None,
    ratings: Sequence[str] = ("low", "moderate", "high"),
) -> Axes:
    """Effect-direction plot: studies by factors, arrows by direction, size by patients, shade by risk of bias.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    endpoint : str
        Code of the endpoint, by default each study once over all of them.
    factors : sequence of str, optional
        Factors in the order of the columns; by default all with `min_studies`, those of most studies first.
    min_studies : int
        Fewest studies of a factor that is shown.
    risk_of_bias : mapping of str to str, optional
        Rating of each study, by its id or label.
    ratings : sequence of str
        The words of the ratings, from best to worst, three at most.

    Returns
    -------
    Axes
        Coordinates count factors and studies, from 0.

    Raises
    ------
    InvalidInputError
        If no factor has so many studies, a factor or a rating is not known, or the axes are too small.

    References
    ----------
    .. [1] Hilton Boon M, Thomson H (2021). The effect direction plot revisited: Application of the 2019 Cochrane
       Handbook guidance on alternative synthesis methods. Res Synth Methods 12:29-33.
       https://doi.org/10.1002/jrsm.1458

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> ax = effect_direction_plot(summarize_factors(load_nethm()), min_studies=3)
    >>> [text.get_text() for text in ax.texts][:2]
    ['completeness of resection', 'liver resection']
    """
    least = _validate.count(min_studies, "min_studies", minimum=1)
    if not 1 <= len(ratings) <= len(SHADES):
        raise InvalidInputError(f"ratings must be one to three words from best to worst; got {ratings!r}.")
    for study, word in (risk_of_bias or {}).items():
        _validate.choice(word, "risk_of_bias", ratings, where=study)
    rows = {row.factor: row for row in summary.rows if row.endpoint == endpoint and row.k >= least}
    for name in factors or ():
        if name not in rows:
            raise InvalidInputError(
                f"No factor {name!r} with results of {_format.plural(least, 'study', 'studies')} or more for endpoint "
                f"{endpoint!r}."
            )
    names = list(factors or sorted(rows, key=lambda name: -rows[name].k))
    if not names:
        raise InvalidInputError(
            f"No factor has results of {_format.plural(least, 'study', 'studies')} or more for endpoint {endpoint!r}."
        )
    cells = [(result, i) for i, name in enumerate(names) for result in rows[name].counted]
    found: dict[str, list[FactorEvidence]] = {}
    for result, _ in cells:
        found.setdefault(result.study, []).append(result)
    # studies of most factors first, then by name
    order = sorted(found, key=lambda study: (-len(found[study]), found[study][0].label.casefold()))
    place = {study: i for i, study in enumerate(order)}
    sizes = [max((result.n_patients or 0 for result in found[study]), default=0) for study in order]
    rated = {study: _rating(found[study][0], risk_of_bias) for study in order}

    with _style.style():
        left = [
            Column("Study", tuple(_style.one_line(found[study][0].label) for study in order)),
            Column("n", tuple(str(n) if n else "" for n in sizes), "right"),
        ]
        headings = [_cut(_style.one_line(name)) for name in names]
        slant = math.radians(SLANT)
        lengths = [_style.text_width([heading]) + 0.05 for heading in headings]
        reach = [length * math.cos(slant) + 0.07 for length in lengths]
        head = HEAD + max(lengths) * math.sin(slant) + 0.09
        width_left = sum(column.width + GAP for column in left)
        m, n_rows = len(names), len(order) + 2 * TOP
        if ax is None:
            total = width_left + max(m * STEP, *((i + 0.5) * STEP + end for i, end in enumerate(reach)))
        else:
            total = _style.area(ax)[0]
        key = Key(tuple(_groups([result for result, _ in cells], rated, ratings, risk_of_bias)), total)
        foot = 0.1 + key.height
        step = STEP
        if ax is None:
            total = max(total, key.widest)
            ax = _style.new_axes(total, head + n_rows * ROW + foot)
        else:
            free = total - width_left
            step = min((free - end) / (i + 0.5) for i, end in enumerate(reach))
            step = max(min(step, free / m, STEP), LEAST_STEP)
        room = max(
            total - width_left - m * step, *(end - (m - 0.5 - i) * step for i, end in enumerate(reach))
        )
        _, height = _style.make_room(
            ax,
            left=width_left,
            right=room,
            head=head,
            foot=foot,
            least=(LEAST_STEP * m, LEAST_ROW * n_rows),
        )
        ax.set_xlim(-0.5, m - 0.5)
        ax.set_ylim(len(order) - 1 + TOP, -TOP)
        ax.set_xticks([])
        ax.set_yticks([])
        _style.frame(ax, x_axis=False)
        for i in range(1, len(order), 2):
            _style.stripe(ax, width_left, 0.0, i)
        _headings(ax, headings)
        y_heading = -TOP - 0.09 * n_rows / height
        _style.write_columns(ax, left, -width_left, range(len(order)), y_heading, place=_style.beside(ax))
        for result, x in cells:
            fill = _fill(rated[result.study], ratings, risk_of_bias)
            for look in _looks(result.direction, fill, _size(result)):
                ax.plot([x], [place[result.study]], **look)
        for at in (-TOP, len(order) - 1 + TOP):
            _style.rule(ax, width_left, 0.0, at)
        key.draw(ax, -width_left, -0.1)
    return ax


def _cut(heading: str) -> str:
    """The heading, its end left out where it is too long to slant over its neighbours."""
    if _style.text_width([heading]) <= LONGEST:
        return heading
    return f"{_style.wrapped(heading, LONGEST - 0.1)[0]}…"


def _rating(result: FactorEvidence, risk_of_bias: Mapping[str, str] | None) -> str:
    given = risk_of_bias or {}
    return given.get(result.study, given.get(result.label, ""))


def _fill(rating: str, ratings: Sequence[str], risk_of_bias: Mapping[str, str] | None) -> str:
    if risk_of_bias is None:
        return SHADES[0]
    if not rating:
        return UNRATED
    return SHADES[
        len(SHADES) - 1 if rating == ratings[-1] and len(ratings) > 1 else list(ratings).index(rating)
    ]


def _size(result: FactorEvidence) -> float:
    return next(size for end, size, _ in BANDS if (result.n_patients or 0) < end)


def _looks(direction: Direction, fill: str, size: float) -> tuple[Look, ...]:
    shape: Look = {"ls": "", "ms": size, "mfc": fill, "mec": EDGE, "mew": 0.7, "zorder": 3}
    if direction == "not stated":
        glyph = "white" if fill == SHADES[0] else EDGE
        return {**shape, "marker": "o"}, {**_style.sign("?", glyph, size=0.9 * size), "zorder": 4}
    if direction == "none":
        return ({**shape, "marker": bow_tie(), "ms": 1.25 * size},)
    return ({**shape, "marker": "^" if direction == "worse" else "v"},)


def _headings(ax: Axes, headings: Sequence[str]) -> None:
    from matplotlib.transforms import blended_transform_factory

    place = blended_transform_factory(ax.transData, _style.inches(ax, (0.0, 1.0)))
    for i, heading in enumerate(headings):
        _style.write(ax, i, HEAD, heading, place=place, rotation=SLANT, rotation_mode="anchor")


def _groups(
    results: Sequence[FactorEvidence],
    rated: Mapping[str, str],
    ratings: Sequence[str],
    risk_of_bias: Mapping[str, str] | None,
) -> list[tuple[str, tuple[Sample, ...]]]:
    """The key: what occurs in the plot."""
    size = BANDS[1][1]
    seen = {result.direction for result in results}
    neutral = SHADES[0] if risk_of_bias is None else UNRATED
    directions = [
        Sample(text, _looks(direction, neutral, size))
        for direction, text in DIRECTION_WORDS.items()
        if direction in seen
    ]
    groups = [("Direction", tuple(directions))]
    groups.append(
        ("Patients", tuple(Sample(text, _looks("worse", neutral, points)) for _, points, text in BANDS))
    )
    if risk_of_bias is not None:
        words = [word for word in ratings if word in rated.values()]
        shades = [Sample(word, _looks("worse", _fill(word, ratings, risk_of_bias), size)) for word in words]
        if "" in rated.values():
            shades.append(Sample("not rated", _looks("worse", UNRATED, size)))
        groups.append(("Risk of bias", tuple(shades)))
    return groups
