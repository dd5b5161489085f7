"""Votes by direction: the share of worse by each way of counting, with its intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netsynth import _format
from netsynth.plots import _style
from netsynth.plots._key import Sample
from netsynth.plots._lines import lined_axes
from netsynth.plots._style import Column, Look
from netsynth.results.directions import DirectionCount
from netsynth.results.votes import VoteCount

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["vote_plot"]

WIDTH: Final = 2.6
SHARE: Final[Look] = {
    "ls": "",
    "marker": "o",
    "ms": 5,
    "mfc": _style.BLUE,
    "mec": "white",
    "mew": 0.5,
    "zorder": 5,
}
EXACT: Final[Look] = {"color": _style.BLUE, "lw": 1.0, "zorder": 3}
WILSON: Final[Look] = {"color": _style.SKY, "lw": 4.0, "solid_capstyle": "butt", "zorder": 2}
HALF: Final[Look] = {"color": _style.INK, "lw": 0.7, "zorder": 1}


def vote_plot(votes: VoteCount, *, ax: Axes | None = None) -> Axes:
    """Share of studies that found worse, by each way of counting, with exact and Wilson intervals.

    Only directions that are stated are shown; those inferred from a significant result have no share.

    Parameters
    ----------
    votes : VoteCount
        From `count_votes`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        The x-axis is in percent. The weighted share has no interval.

    Raises
    ------
    InvalidInputError
        If the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> from netsynth.votes import count_votes
    >>> ax = vote_plot(count_votes(summarize_factors(load_nethm()).row("histologic grade")))
    >>> ax.get_xlabel()
    'Studies that found worse, %'
    """
    counts = [votes.chosen, votes.within]
    names = [
        "One result a study",
        f"All results, {100 * votes.share:g}% agree",
        votes.weight_name.capitalize(),
    ]
    texts = [f"{count.n_stated_worse} of {count.n_stated}" for count in counts] + [
        f"{votes.n_weighted} studies"
    ]
    tests = [count.shown_pvalue for count in counts]
    weighted = _format.pvalue(votes.weighted_pvalue).removeprefix("p ").removeprefix("= ")
    tests.append(weighted if votes.n_weighted > 1 else "")
    left = [Column(_style.one_line(f"{votes.factor}, {votes.endpoint}"), tuple(names))]
    right = [Column("Worse", tuple(texts), "right"), Column("Sign test p", tuple(tests))]
    samples = [
        Sample("share", (SHARE,)),
        Sample("95% exact interval", (EXACT,)),
        Sample("95% Wilson interval", (WILSON,)),
    ]
    with _style.style():
        ax, width = lined_axes(ax, left=left, right=right, n=3, samples=samples, width=WIDTH)
        ax.set_xlim(-2, 102)
        _style.set_ticks(ax, ([0, 25, 50, 75, 100], [0, 50, 100]), _style.tick_text, width)
        _style.axis_label(ax, ["Studies that found worse, %"])
        ax.plot([50, 50], [2.7, -0.6], **HALF)
        for i, count in enumerate(counts):
            _draw(ax, count, i)
        ax.plot([100 * votes.weighted_share], [2], **SHARE)
    return ax


def _draw(ax: Axes, count: DirectionCount, y: float) -> None:
    if count.n_stated:
        for look, ends in ((WILSON, count.wilson_interval()), (EXACT, count.confidence_interval())):
            ax.plot([100 * end for end in ends], [y, y], **look)
        ax.plot([100 * count.proportion], [y], **SHARE)
