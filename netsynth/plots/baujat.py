"""Baujat plot: what each study adds to the heterogeneity, and what it does to the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from netsynth import _format
from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots._style import LINE
from netsynth.results.influence import StudyInfluence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["baujat_plot"]

WIDTH: Final = 3.6  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 2.8
LEAST: Final = (1.5, 1.2)
LEFT: Final = 0.62  # inches left of the plot for its ticks and label
AXIS: Final = 0.22  # inches under the plot for the ticks
MARK: Final = 0.035  # inches, half of a mark and the room around it
AWAY: Final = (0.055, 0.14, 0.24, 0.36)  # inches from a mark to its name; a line leads to all but the nearest
PLACES: Final = (
    ("right", "middle"),
    ("left", "middle"),
    ("middle", "above"),
    ("middle", "below"),
    ("right", "above"),
    ("left", "above"),
    ("right", "below"),
    ("left", "below"),
)
TALL: Final = 0.115  # inches that a line of text takes
X_LABEL: Final = "Contribution to heterogeneity"
Y_LABEL: Final = "Influence on the pooled effect"


class _Box(NamedTuple):
    """A rectangle in inches from the lower left corner of the plot."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: _Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def within(self, width: float, height: float) -> bool:
        return self.left >= 0 and self.bottom >= 0 and self.right <= width and self.top <= height


def baujat_plot(result: StudyInfluence, *, ax: Axes | None = None) -> Axes:
    """Baujat plot of the studies of a pooled effect.

    Parameters
    ----------
    result : StudyInfluence
        From `influence`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        One mark a study. Studies are named as far as names find room without touching, those farthest from
        the origin first; a note says how many are not.

    Raises
    ------
    InvalidInputError
        If the influence is undefined, as with a Knapp-Hartung interval of equal effects, or the axes are too
        small for the text.

    Notes
    -----
    To the right lie studies that differ from the others, at the top those that move the result. A study in
    the upper right corner does both [1]_.

    References
    ----------
    .. [1] Baujat B, Mahé C, Pignon J-P, Hill C (2002). A graphical method for exploring heterogeneity in
       meta-analyses: application to a meta-analysis of 65 trials. Stat Med 21:2641-2652.
       https://doi.org/10.1002/sim.1221

    Examples
    --------
    >>> from netsynth.diagnose import influence
    >>> from netsynth.pool import pool_effects
    >>> pooled = pool_effects([-0.51, -0.12, -0.33], se=[0.18, 0.10, 0.15], measure="log_hr")
    >>> ax = baujat_plot(influence(pooled))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Contribution to heterogeneity', 'Influence on the pooled effect')
    """
    x, y, beyond = result.baujat_q, result.baujat_influence, result.influential
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InvalidInputError(
            "The Baujat plot needs the influence of every study, and some are undefined. Pool with ci_method='mHK'."
        )
    names = [_style.one_line(study) for study in result.study]
    with _style.style():
        total = LEFT + WIDTH + 0.1 if ax is None else _style.area(ax)[0]
        note = _style.wrapped(_note(result, len(names)), total, size=_style.SMALL)
        foot = AXIS + LINE + 0.12 + LINE * len(note)
        if ax is None:
            ax = _style.new_axes(total, HEIGHT + 0.1 + foot)
        width, height = _style.make_room(ax, left=LEFT, right=0.1, head=0.1, foot=foot, least=LEAST)
        ends = [1.06 * float(values.max()) or 1.0 for values in (x, y)]
        ax.set_xlim(-0.03 * ends[0], ends[0])
        ax.set_ylim(-0.03 * ends[1], ends[1])
        _style.frame(ax, y_axis=True)
        _style.set_ticks(ax, _style.even_ticks(0.0, ends[0]), _style.tick_text, width)
        _y_axis(ax, ends[1], height)
        _style.axis_label(ax, [X_LABEL])
        for i in range(len(names)):
            colour = _style.VERMILION if beyond[i] else _style.INK
            ax.plot([x[i]], [y[i]], marker="o", ms=4, color=colour, mec="none", clip_on=False, zorder=3)
        at = [
            (width * (a / ends[0] + 0.03) / 1.03, height * (b / ends[1] + 0.03) / 1.03)
            for a, b in zip(x, y, strict=True)
        ]
        placed = _placed(names, at, width, height)
        for i, name in placed.items():
            middle = 0.5 * (name.box.bottom + name.box.top)
            _style.write(ax, name.box.left, middle, names[i], place=_style.inches(ax), size=_style.SMALL)
            if name.leader is not None:
                line = np.array(name.leader).T
                ax.plot(
                    *line, transform=_style.inches(ax), color=_style.GREY, lw=0.5, clip_on=False, zorder=2
                )
        missing = len(names) - len(placed)
        note = _style.wrapped(_note(result, missing), total, size=_style.SMALL)
        _style.write_lines(ax, note, -LEFT, -AXIS - LINE - 0.12)
    return ax


def _y_axis(ax: Axes, top: float, height: float) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ticks: Sequence[float] = (0.0,)
    for ticks in _style.even_ticks(0.0, top):
        if LINE * len(ticks) < 0.8 * height:
            break
    ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel(Y_LABEL, fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)
    ax.yaxis.label.set_parse_math(False)


class _Name(NamedTuple):
    """Where the name of a study stands, and the line that leads to it from its mark, in inches."""

    box: _Box
    leader: tuple[tuple[float, float], tuple[float, float]] | None


def _placed(
    names: Sequence[str], at: Sequence[tuple[float, float]], width: float, height: float
) -> dict[int, _Name]:
    """Places of names near their marks that touch nothing: the farthest from the origin choose first."""
    taken = [_Box(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in at]
    found: dict[int, _Name] = {}
    order = sorted(range(len(at)), key=lambda i: -((at[i][0] / width) ** 2 + (at[i][1] / height) ** 2))
    for i in order:
        others = [box for j, box in enumerate(taken) if j != i]
        for name in _candidates(at[i], _style.text_width([names[i]], size=_style.SMALL)):
            needed = [name.box, *_along(name.leader)]
            if name.box.within(width + 0.1, height + 0.1) and not any(
                box.overlaps(other) for box in needed for other in others
            ):
                found[i] = name
                taken += needed
                break
    return found


def _candidates(at: tuple[float, float], wide: float) -> Iterator[_Name]:
    x, y = at
    for away in AWAY:
        lefts = {"right": x + away, "left": x - away - wide, "middle": x - 0.5 * wide}
        bottoms = {"middle": y - 0.5 * TALL, "above": y + away, "below": y - away - TALL}
        for across, up in PLACES:
            left, bottom = lefts[across], bottoms[up]
            box = _Box(left, bottom, left + wide, bottom + TALL)
            nearest = (min(max(x, box.left), box.right), min(max(y, box.bottom), box.top))
            yield _Name(box, (at, nearest) if away > AWAY[0] else None)


def _along(leader: tuple[tuple[float, float], tuple[float, float]] | None) -> list[_Box]:
    """Small boxes along a line, past its mark."""
    if leader is None:
        return []
    (x0, y0), (x1, y1) = leader
    places = [(x0 + t * (x1 - x0), y0 + t * (y1 - y0)) for t in np.linspace(0.25, 0.95, 8)]
    return [_Box(x - 0.01, y - 0.01, x + 0.01, y + 0.01) for x, y in places]


def _note(result: StudyInfluence, n_missing: int) -> str:
    overall = result.overall
    model = "Common effect" if overall.tau2_method == "CE" else f"Random effects, τ² by {overall.tau2_method}"
    note = f"{model}; variance of the mean by {overall.ci_method}."
    if result.influential.any():
        note += " In colour: influential studies."
    if n_missing:
        note += f" No room for the names of {_format.plural(n_missing, 'study', 'studies')}."
    return note
