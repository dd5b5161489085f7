"""P-values of studies by direction, and what they give together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from netsynth.plots import _style
from netsynth.plots._key import Sample
from netsynth.plots._lines import (
    SignedSpan,
    draw_span,
    lined_axes,
    reach,
    signed_axis,
    signed_lines,
    signed_span,
    span_samples,
)
from netsynth.plots._style import Column, Look
from netsynth.results.pvalues import CombinedPValue, shown_pvalue

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["pvalue_plot"]

WIDTH: Final = 3.0
COMBINED: Final[Look] = {
    "ls": "",
    "marker": "D",
    "ms": 5.0,
    "mfc": _style.BLUE,
    "mec": "none",
    "zorder": 5,
}
COMBINED_SPAN: Final[Look] = {"color": _style.BLUE, "lw": 2.4, "solid_capstyle": "butt", "zorder": 4}


def pvalue_plot(combined: CombinedPValue, *, ax: Axes | None = None) -> Axes:
    """P-values of the studies, to the right where they found worse, to the left where better, and the combined one.

    Parameters
    ----------
    combined : CombinedPValue
        From `combine_pvalues`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        The x-axis counts powers of ten of the two-sided p-value, to both sides of 1; labels are p-values.

    Raises
    ------
    InvalidInputError
        If the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.pvalues import combine_pvalues
    >>> ax = pvalue_plot(combine_pvalues(["0.02", "<0.001", "ns"], direction=["worse", "worse", "better"]))
    >>> ax.get_xlabel()
    'Two-sided p-value'
    """
    spans = [
        signed_span(low, high, direction)
        for low, high, direction in zip(
            combined.two_sided_lower, combined.two_sided_upper, combined.direction, strict=True
        )
    ]
    p, side = combined.pvalue, combined.side
    log10 = 1.0 / math.log(10.0)
    far, near = (abs(end) * log10 for end in combined.log_pvalue)
    # where the direction is open the p-value lies on one side or the other, never between
    sides = {"worse": (1.0,), "better": (-1.0,)}.get(side, (-1.0, 1.0))
    names = [_style.one_line(name) for name in combined.study]
    left = [Column("Study", (*names, "Combined, two-sided"), bold_from=len(names))]
    right = [
        Column(
            "p",
            (*combined.printed, shown_pvalue(p).removeprefix("p ").removeprefix("= ")),
            bold_from=len(names),
        )
    ]
    samples = [*span_samples(spans), Sample("combined", (COMBINED_SPAN, COMBINED))]
    y = [*map(float, range(len(names))), len(names) + 0.3]
    with _style.style():
        ax, width = lined_axes(ax, left=left, right=right, n=len(y), samples=samples, width=WIDTH, y=y)
        drawn = [
            SignedSpan(min(sign * near, sign * far), max(sign * near, sign * far), False) for sign in sides
        ]
        ax.set_xlim(*reach([*spans, *drawn]))
        signed_axis(ax, width)
        signed_lines(ax, y[-1] + 0.7, -0.6)
        _style.axis_label(ax, ["Two-sided p-value"])
        _style.write(ax, 0.02, -1.0, "Better", place=ax.get_yaxis_transform(), weight="bold")
        _style.write(ax, 0.98, -1.0, "Worse", place=ax.get_yaxis_transform(), align="right", weight="bold")
        for at, span in zip(y, spans, strict=False):
            draw_span(ax, span, at)
        for sign in sides:
            ends = [sign * min(end, abs(ax.get_xlim()[0 if sign < 0 else 1])) for end in (near, far)]
            ax.plot(ends, [y[-1]] * 2, **COMBINED_SPAN)
            ax.plot(ends[:1], [y[-1]], **COMBINED)
    return ax
