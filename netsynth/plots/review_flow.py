"""Flow of studies and reported figures through a review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from netsynth import _format
from netsynth.plots import _style
from netsynth.plots._boxes import GAP, paper, stream, text_height, text_width
from netsynth.results.review_flow import ReviewFlow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["review_flow_plot"]

REASON: Final = 2.2  # inches after which a reason goes on in another line
TEXT: Final = 2.6  # the same for what is known of the search


def review_flow_plot(flow: ReviewFlow, *, ax: Axes | None = None) -> Axes:
    """Flow diagram from the search to the figures taken, with the reasons for what was left out.

    Parameters
    ----------
    flow : ReviewFlow
        Of an analysis: ``analyse_review(review).flow``.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        Without visible axes; coordinates are inches from the upper left corner.

    Raises
    ------
    InvalidInputError
        If the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.outcomes import summarize_outcomes
    >>> review = load_nethm()
    >>> ax = review_flow_plot(ReviewFlow.of(review, summarize_outcomes(review, min_studies=0)))
    >>> [text.get_text() for text in ax.texts if text.get_text()][2:4]
    ['44 studies in the review', '180 reported figures']
    """
    gone = sum(flow.taken_out.values())
    steps: list[tuple[list[str], list[str]]] = [
        ([line for text in flow.before for line in _style.wrapped(text, TEXT)], [])
    ]
    if gone:
        steps.append(([_studies(flow.n_studies)], _reasons(f"{_studies(gone)} taken out", flow.taken_out)))
    figures = f"{_format.plural(sum(flow.left_out.values()), 'figure')} left out"
    none = f"{_studies(sum(flow.unused.values()))} without a figure taken"
    unused = _reasons(none, flow.unused)
    review = f"{_studies(flow.n_studies - gone)} in the review"
    if flow.n_found:
        found = _format.plural(flow.n_found, "reported figure")
        steps.append(([review, found], _reasons(figures, flow.left_out)))
        steps.append(([f"{_format.plural(flow.n_taken, 'figure')} taken"], unused))
    else:
        steps.append(([review, "no figure of an outcome"], unused))
    steps.append((list(flow.after), []))
    main, side = map(list, zip(*steps, strict=True))
    with _style.style():
        widths = text_width(main), text_width([texts for texts in side if texts] or [[""]])
        tall = [max(map(text_height, pair)) for pair in zip(main, side, strict=True)]
        total, height = sum(widths) + GAP, sum(tall) + GAP * (len(tall) - 1)
        ax, x, y = paper(ax, total, height)
        tops = [y + sum(tall[:i]) + GAP * i for i in range(len(tall))]
        stream(ax, main, side, (x, x + widths[0] + GAP), widths, tops)
    return ax


def _studies(n: int) -> str:
    return _format.plural(n, "study", "studies")


def _reasons(head: str, counts: Mapping[str, int]) -> list[str]:
    """A heading and its reasons; nothing where there is none."""
    if not counts:
        return []
    lines = [_style.wrapped(f"{n} {_style.one_line(reason)}", REASON) for reason, n in counts.items()]
    return [head, *(line for reason in lines for line in reason)]
