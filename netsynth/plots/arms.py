"""Difference of two arms over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from netsynth import _validate
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.plots.ipd import AXIS, MOST_TICKS, STEPS
from netsynth.results.arms import ArmComparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["difference_plot"]

WIDTH: Final = 3.3  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 2.0
LEAST: Final = (1.5, 1.0)  # inches below which given axes are too small
TIMES: Final = 121  # at which the difference is drawn
LINE_LOOK: Final[Look] = {"color": _style.BLUE, "lw": 1.2}
BAND_LOOK: Final[Look] = {"color": _style.BLUE, "alpha": 0.18, "lw": 7, "solid_capstyle": "butt"}


def difference_plot(
    comparison: ArmComparison,
    quantity: Literal["survival", "rmst"] = "survival",
    *,
    level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Difference of survival, or of the restricted mean survival time, over time.

    Parameters
    ----------
    comparison : ArmComparison
        From `compare_arms`.
    quantity : {"survival", "rmst"}
        What is subtracted, treated less control: survival at each time, or its mean up to each time.
    level : float
        Level of the band, which is for each time by itself and for sampling and reporting.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        Its coordinates are the unit of time of the arms, and percentage points or that unit.

    Raises
    ------
    InvalidInputError
        If the quantity is another, or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.arms import compare_arms
    >>> from netsynth.ipd import reconstruct_ipd
    >>> treated = reconstruct_ipd([0, 8, 9, 20], [1, 1, 0.7, 0.68], n_total=50, label="Treated")
    >>> control = reconstruct_ipd([0, 5, 9, 20], [1, 0.8, 0.6, 0.5], n_total=50, label="Control")
    >>> ax = difference_plot(compare_arms(treated, control, n_draws=5))
    >>> ax.get_ylabel(), ax.get_xlabel()
    ('Difference in survival, points', 'Months')
    """
    level = _validate.level(level)
    pair = (comparison.treated, comparison.control)
    stop = min(float(arm.time[-1]) for arm in pair)
    unit = comparison.treated.unit
    found = comparison.difference_frame(np.linspace(0.0, stop, TIMES)[1:], quantity, level=level)
    known = found[np.isfinite(found["estimate"])]
    scale = 100.0 if quantity == "survival" else 1.0
    time = np.concatenate([[0.0], known.index])
    estimate, low, high = (
        scale * np.concatenate([[0.0], known[name].fillna(known["estimate"])])
        for name in ("estimate", "ci_lower", "ci_upper")
    )
    y_label = (
        "Difference in survival, points"
        if quantity == "survival"
        else f"Difference in mean survival, {unit}s"
    )
    samples = (Sample("estimate", (LINE_LOOK,)), Sample(f"{100 * level:g}% CI at each time", (BAND_LOOK,)))
    name = " less ".join(_style.one_line(arm.label) for arm in pair)

    with _style.style():
        reach = (float(low.min()), float(high.max()))
        ticks = next(iter(_style.even_ticks(min(reach[0], 0.0), max(reach[1], 1e-9))))
        labels = [_style.tick_text(tick) for tick in ticks]
        right = 0.5 * _style.text_width([f"{stop:.0f}"])
        lines = _style.wrapped(y_label, HEIGHT if ax is None else LEAST[1])
        left = 0.17 + _style.text_width(labels) + LINE * len(lines)
        total = left + WIDTH + right if ax is None else _style.area(ax)[0]
        key = Key((("", samples),), total)
        title = _style.wrapped(name, total, weight="bold")
        head, foot = 0.07 + LINE * len(title), AXIS + 0.1 + key.height
        if ax is None:
            ax = _style.new_axes(total, head + HEIGHT + foot)
        width, _ = _style.make_room(ax, left=left, right=right, head=head, foot=foot, least=LEAST)
        ax.set_xlim(0.0, stop)
        ax.set_ylim(min(reach[0], 0.0, ticks[0]), max(reach[1], 0.0, ticks[-1]))
        _style.frame(ax, y_axis=True)
        rounds = [np.arange(0.0, stop * (1 + 1e-9), step).tolist() for step in STEPS[unit]]
        fitting = [each for each in rounds if 2 < len(each) <= MOST_TICKS]
        _style.set_ticks(ax, [*fitting, *_style.even_ticks(0.0, stop)], _style.tick_text, width)
        _style.axis_label(ax, [f"{unit.capitalize()}s"])
        _y_axis(ax, "\n".join(lines), ticks, labels)
        ax.plot([0.0, stop], [0.0, 0.0], color=_style.INK, lw=0.7, zorder=1)
        step: Literal["post"] | None = "post" if quantity == "survival" else None
        ax.fill_between(time, low, high, step=step, color=_style.BLUE, alpha=0.18, linewidth=0, zorder=2)
        ax.plot(
            time,
            estimate,
            drawstyle="steps-post" if step else "default",
            zorder=3,
            clip_on=False,
            **LINE_LOOK,
        )
        for i, line in enumerate(title):
            y = (len(title) - i - 0.5) * LINE + 0.05
            _style.write(ax, -left, y, line, place=_style.inches(ax, (0.0, 1.0)), weight="bold")
        key.draw(ax, -left, -AXIS - 0.1)
    return ax


def _y_axis(ax: Axes, label: str, ticks: Sequence[float], labels: Sequence[str]) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.yaxis.set_major_formatter(FixedFormatter(list(labels)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel(label, fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)
    ax.yaxis.label.set_parse_math(False)
