"""A grid of marks, a row a study, under slanting headings: all of it but the marks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import GAP, LEAST_ROW, ROW, Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SLANT: Final = 45  # degrees of the headings
MARK: Final = 0.16  # inches across a mark
TOP: Final = 0.6  # rows above the middle of the first study
HEAD: Final = 0.08  # inches from there to the headings
APART: Final = 0.35  # rows between studies and counts


class Steps(NamedTuple):
    """Inches from one column of marks to the next: as a rule, and at least and at most on axes that are given."""

    usual: float
    least: float
    most: float


def mark_grid(
    ax: Axes | None,
    *,
    labels: Sequence[str],
    headings: Sequence[str],
    counts: Mapping[str, Sequence[str]],
    steps: Steps,
    key: tuple[str, Sequence[Sample]],
    totals: Sequence[Column] = (),
) -> tuple[Axes, float]:
    """Draw studies, headings, counts below and totals beside; return the axes and the size of a mark in points.

    `counts` has a row each with a text a heading, `key` a title and samples. Coordinates count headings and studies,
    from 0.
    """
    k, m = len(labels), max(len(headings), 1)
    left = Column("Study", (*labels, *counts))
    slant = math.radians(SLANT)
    lengths = [_style.text_width([heading]) + 0.05 for heading in headings] or [0.0]
    head = HEAD + max(lengths) * math.sin(slant) + 0.07
    width_left = left.width + GAP
    width_right = sum(GAP + column.width for column in totals)
    # where each slanting heading ends, apart from the steps before it
    reach = [length * math.cos(slant) + 0.07 for length in lengths]
    if ax is None:
        ends = [
            m * steps.usual + width_right,
            *((i + 0.5) * steps.usual + end for i, end in enumerate(reach)),
        ]
        total = width_left + max(ends)
    else:
        total = _style.area(ax)[0]
    below = Key(((key[0], tuple(key[1])),), total)
    foot = 0.1 + below.height
    y = [float(i) for i in range(k)] + [k + APART + i for i in range(len(counts))]
    n_rows = y[-1] + 1.0 + TOP
    if ax is None:
        total, step = max(total, below.widest), steps.usual
        ax = _style.new_axes(total, head + n_rows * ROW + foot)
    else:
        free = total - width_left
        step = min((free - end) / (i + 0.5) for i, end in enumerate(reach))
        step = max(min(step, (free - width_right) / m, steps.most), steps.least)
    beyond = (end - (m - 0.5 - i) * step for i, end in enumerate(reach))
    _, height = _style.make_room(
        ax,
        left=width_left,
        right=max(total - width_left - m * step, *beyond, 0.0),
        head=head,
        foot=foot,
        least=(steps.least * m, LEAST_ROW * n_rows),
    )
    ax.set_xlim(-0.5, m - 0.5)
    ax.set_ylim(n_rows - TOP, -TOP)
    ax.set_xticks([])
    ax.set_yticks([])
    _style.frame(ax, x_axis=False)
    for i in range(1, k, 2):
        _style.stripe(ax, width_left, width_right, i)
    _headings(ax, headings)
    heading = -TOP - 0.09 * n_rows / height
    _style.write_columns(ax, [left], -width_left, y, heading, place=_style.beside(ax))
    _style.write_columns(ax, totals, GAP, y, heading, place=_style.beside(ax, right=True))
    for row, texts in zip(y[k:], counts.values(), strict=True):
        for i, text in enumerate(texts):
            _style.write(ax, i, row, text, place=ax.transData, align="center")
    for at in (-TOP, k - 0.5 + APART / 2):
        _style.rule(ax, width_left, width_right, at)
    below.draw(ax, -width_left, -0.1)
    return ax, 72 * min(MARK, 0.9 * height / n_rows, 0.8 * step)


def _headings(ax: Axes, headings: Sequence[str]) -> None:
    from matplotlib.transforms import blended_transform_factory

    place = blended_transform_factory(ax.transData, _style.inches(ax, (0.0, 1.0)))
    for i, heading in enumerate(headings):
        _style.write(ax, i, HEAD, heading, place=place, rotation=SLANT, rotation_mode="anchor")
