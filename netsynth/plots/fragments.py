"""Survival of the patients that can be behind a report, with the fragments it prints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth.kernels.bounds import envelope, survival_bounds
from netsynth.plots import _curves, _style
from netsynth.plots._curves import AT_RISK
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.results.fragments import FragmentPosterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["fragment_plot"]

WIDTH: Final = 3.4  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 2.3
LEAST: Final = (1.6, 1.0)  # inches below which given axes are too small
AXIS: Final = 0.22 + LINE  # inches under the plot for the ticks and the label
PERCENT: Final = 0.52  # inches left of the plot for its percentages and their label
YEARS_FROM: Final = 36.0  # months from which the axis counts years
STEPS: Final = 240  # times at which the curve is drawn

LINE_LOOK: Final[Look] = {"color": _style.BLUE, "lw": 1.4}
BAND: Final[Look] = {"color": _style.BLUE, "alpha": 0.25, "lw": 0}
ALLOWED: Final[Look] = {"color": _style.PALE, "lw": 0}
PRINTED: Final[Look] = _curves.mark(1)


def fragment_plot(
    result: FragmentPosterior, *, ax: Axes | None = None, level: float = 0.95, label: str = "Survival"
) -> Axes:
    """Posterior of the Kaplan-Meier curve of a study, between all that monotonicity allows.

    Parameters
    ----------
    result : FragmentPosterior
        From `fit_fragments`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of the posterior intervals.
    label : str
        What the y-axis shows, without its unit.

    Returns
    -------
    Axes
        The axes with the median curve, its posterior interval, the printed figures, what these alone allow, and the
        posterior means of the numbers at risk under it, with intervals where they are not known. A limit on one side,
        as a median sets two of them, is an arrow. Coordinates are months and percent, also where the labels count
        years.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.fragments import fit_fragments
    >>> ax = fragment_plot(fit_fragments([36, 60], [0.83, 0.71], n_total=60, draws=200))
    >>> ax.get_ylabel(), ax.get_xlabel()
    ('Survival, %', 'Years')
    """
    level = _validate.level(level)
    stop = result.last_months
    in_years = stop >= YEARS_FROM
    percent = f"{100 * level:g}%"
    samples = (
        Sample("posterior median", (LINE_LOOK,)),
        Sample(f"{percent} posterior interval", ({**BAND, "lw": 7, "solid_capstyle": "butt"},)),
        Sample("printed", (PRINTED,)),
        Sample("what the percentages alone allow", ({**ALLOWED, "lw": 7, "solid_capstyle": "butt"},)),
    )
    with _style.style():
        left = max(PERCENT, _style.text_width([AT_RISK], size=_style.SMALL) + 0.2)
        right = 0.5 * _style.text_width(["000 (000–000)"], size=_style.SMALL)
        total = left + WIDTH + right if ax is None else _style.area(ax)[0]
        key = Key((("", samples),), total)
        title = _style.wrapped(_title(result), total, weight="bold")
        head = 0.07 + LINE * len(title)
        under = 0.1 + LINE
        foot = AXIS + under + 0.1 + key.height
        if ax is None:
            ax = _style.new_axes(total, head + HEIGHT + foot)
        width, _ = _style.make_room(ax, left=left, right=right, head=head, foot=foot, least=LEAST)
        ax.set_xlim(0.0, stop)
        _style.frame(ax, y_axis=True)
        unit, steps = (12.0, (1, 2, 5, 10, 20, 50)) if in_years else (1.0, (1, 2, 3, 6, 12, 24))
        ticks = [[unit * t for t in range(0, math.floor(stop / unit + 1e-9) + 1, step)] for step in steps]
        _style.set_ticks(
            ax, [each for each in ticks if len(each) <= 11], lambda months: f"{months / unit:g}", width
        )
        _style.axis_label(ax, ["Years" if in_years else "Months"])
        _curves.percent_axis(ax, f"{_style.one_line(label)}, %")
        _draw(ax, result, level)
        for i, line in enumerate(title):
            y = (len(title) - i - 0.5) * LINE + 0.05
            _style.write(ax, -left, y, line, place=_style.inches(ax, (0.0, 1.0)), weight="bold")
        _curves.write_numbers_at_risk(ax, [(AT_RISK, _counts(result, level))], left, AXIS + 0.1, width)
        key.draw(ax, -left, -AXIS - under - 0.1)
    return ax


def _title(result: FragmentPosterior) -> str:
    return ", ".join(part for part in (_style.one_line(result.label), f"n = {result.n_total}") if part)


def _draw(ax: Axes, result: FragmentPosterior, level: float) -> None:
    known = result.time_months <= result.last_months
    time, lower, upper = (part[known] for part in (result.time_months, result.lower, result.upper))
    edges = np.unique(np.concatenate([[0.0], time]))
    allowed = survival_bounds(envelope(time, lower, upper), 0.5 * (edges[1:] + edges[:-1]))
    floor, ceiling = (100 * np.append(end, end[-1]) for end in allowed)
    ax.fill_between(edges, floor, ceiling, step="post", zorder=1, **ALLOWED)
    at = np.union1d(np.linspace(0.0, result.last_months, STEPS + 1), time)
    survival = result.survival(at)
    low_end, high_end = survival.interval(level)
    ax.fill_between(at, 100 * low_end, 100 * high_end, zorder=2, **BAND)
    ax.plot(at, 100 * np.asarray(survival.quantile(0.5)), zorder=3, clip_on=False, **LINE_LOOK)
    for months, low, high in zip(time, lower, upper, strict=True):
        if low > 0.0 and high < 1.0:
            ax.plot([months], [50 * (low + high)], zorder=5, clip_on=False, **PRINTED)
        elif (
            low > 0.0 or high < 1.0
        ):  # a limit on one side, as a median sets them: an arrow to where survival is
            look = {**PRINTED, "marker": "^" if low > 0.0 else "v", "ms": 3.5}
            ax.plot([months], [100 * (low if low > 0.0 else high)], zorder=5, clip_on=False, **look)


def _counts(result: FragmentPosterior, level: float) -> Iterator[tuple[float, str]]:
    yield 0.0, str(result.n_total)
    for months in result.time_months[result.time_months <= result.last_months].tolist():
        found = result.n_at_risk(months)
        low, high = found.interval(level)
        mean = f"{found.mean:.0f}"
        yield months, mean if low == high else f"{mean} ({_format.span(f'{low:.0f}', f'{high:.0f}')})"
