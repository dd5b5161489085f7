"""Bubble plot: how the effect changes with a moderator, and which studies say so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth._compat import formula_variables
from netsynth._typing import FloatArray
from netsynth.errors import InvalidInputError
from netsynth.kernels.scales import MEASURES
from netsynth.plots import _forest, _style
from netsynth.plots._forest import Ends
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.results.regression import MetaRegression

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["bubble_plot"]

WIDTH: Final = 3.6  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 2.7
LEAST: Final = (1.5, 1.2)
LEFT: Final = 0.62  # inches left of the plot for its ticks and label
AXIS: Final = 0.22  # inches under the plot for the ticks
POINTS: Final = 81  # along the line
LARGEST: Final = 15.0  # points, diameter of the bubble of the largest weight
SMALLEST: Final = 2.5

_LINE: Final[Look] = {"color": _style.BLUE, "lw": 1.4}
_BAND: Final[Look] = {"color": _style.BLUE, "alpha": 0.18, "lw": 0}
_BAND_KEY: Final[Look] = {"color": _style.BLUE, "alpha": 0.18, "lw": 7, "solid_capstyle": "butt"}
_PREDICTION: Final[Look] = {"color": _style.SKY, "lw": 1.1, "ls": (0, (4, 2))}
_BUBBLE: Final[Look] = {
    "ls": "",
    "marker": "o",
    "mfc": (0.1, 0.1, 0.1, 0.28),
    "mec": _style.INK,
    "mew": 0.6,
}


def bubble_plot(
    result: MetaRegression,
    moderator: str | None = None,
    *,
    ax: Axes | None = None,
    level: float = 0.95,
    label: str = "",
    moderator_label: str = "",
) -> Axes:
    """Effects against a numeric moderator, with the fitted line and its intervals.

    Parameters
    ----------
    result : MetaRegression
        From `regress_effects`.
    moderator : str, optional
        A numeric moderator; by default the first.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of both intervals.
    label, moderator_label : str, optional
        What the axes show; by default the names of measure and moderator.

    Returns
    -------
    Axes
        The axes with one bubble a study, its area by the weight, on the printed scale (percent for
        probabilities; ratios on a logarithmic axis). The line is the mean at each value of the moderator,
        averaged over the studies' values of the others.

    Raises
    ------
    InvalidInputError
        If there is no such moderator of numbers, the level is not a fraction, or the axes are too small for
        the text.

    Examples
    --------
    >>> from netsynth.regress import regress_effects
    >>> log_hr = [-0.51, -0.12, -0.33, 0.20, -0.08, 0.11, -0.42, -0.25, 0.05, 0.30]
    >>> se = [0.18, 0.10, 0.15, 0.20, 0.12, 0.25, 0.21, 0.16, 0.14, 0.30]
    >>> year = [1991, 2003, 1999, 2010, 2001, 2008, 1994, 1996, 2005, 2012]
    >>> result = regress_effects(log_hr, se=se, moderators={"year": year}, measure="log_hr", ci_method="wald")
    >>> ax = bubble_plot(result)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('year', 'Hazard ratio')
    """
    level = _validate.level(level)
    name = _first_numeric(result) if moderator is None else moderator
    measure, scale = MEASURES[result.measure], _forest.factor(result.measure)
    result.check_numeric(name)
    x, y = result.moderators[name], scale * measure.from_scale(result.study_estimate)
    low, high = float(x.min()), float(x.max())
    along = np.linspace(low, high, POINTS)
    line = result.predict_along(name, along, level)
    mean = scale * line.natural
    ci, pi = (
        (scale * pair.lower, scale * pair.upper)
        for pair in (line.natural_interval, line.natural_prediction_interval)
    )
    predicts = bool(np.isfinite(pi[0]).all())
    ends = _limits(result, y, ci, pi)

    with _style.style():
        total = LEFT + WIDTH + 0.12 if ax is None else _style.area(ax)[0]
        percent = f"{100 * level:g}%"
        samples = [Sample("Study", ({**_BUBBLE, "ms": 6.0},)), Sample("Mean", (_LINE,))]
        samples.append(Sample(f"Mean, {percent} CI", (_BAND_KEY,)))
        if predicts:
            samples.append(Sample(f"{percent} prediction interval", (_PREDICTION,)))
        key = Key((("", tuple(samples)),), total)
        note = _style.wrapped(_note(result, name), total, size=_style.SMALL)
        x_label = _style.wrapped(_style.one_line(moderator_label or name), total - LEFT)
        label_foot = AXIS + LINE * len(x_label)
        foot = label_foot + 0.08 + key.height + LINE * len(note)
        if ax is None:
            ax = _style.new_axes(total, HEIGHT + 0.08 + foot)
        width, height = _style.make_room(ax, left=LEFT, right=0.12, head=0.08, foot=foot, least=LEAST)
        margin = 0.05 * (high - low)
        ax.set_xlim(low - margin, high + margin)
        ax.set_yscale("log" if measure.is_ratio else "linear")
        ax.set_ylim(*ends)
        _style.frame(ax, y_axis=True)
        _style.set_ticks(ax, _style.even_ticks(low - margin, high + margin), _style.tick_text, width)
        _y_axis(ax, measure.is_ratio, ends, height, _forest.axis_text(label or measure.label, measure.kind))
        _style.axis_label(ax, x_label)
        if ends[0] < scale * measure.null < ends[1]:
            ax.axhline(scale * measure.null, color=_style.INK, lw=0.7, zorder=1)
        if np.isfinite(ci[0]).all():
            ax.fill_between(along, *ci, zorder=1.5, **_BAND)
        if predicts:
            for limit in pi:
                ax.plot(along, limit, zorder=2, **_PREDICTION)
        ax.plot(along, mean, zorder=2.5, **_LINE)
        shares = np.sqrt(result.weight / result.weight.max())
        for i in np.argsort(-result.weight):  # small bubbles lie on large ones
            size = max(SMALLEST, LARGEST * float(shares[i]))
            ax.plot([x[i]], [y[i]], ms=size, zorder=3, **_BUBBLE)
        key.draw(ax, -LEFT, -label_foot - 0.08)
        _style.write_lines(ax, note, -LEFT, -label_foot - 0.08 - key.height)
    return ax


def _first_numeric(result: MetaRegression) -> str:
    for name in result.coding.variables:
        if name not in result.coding.levels:
            return name
    raise InvalidInputError(
        "A bubble plot needs a moderator of numbers and this regression has none; see compare_subgroups."
    )


def _limits(
    result: MetaRegression,
    y: FloatArray,
    ci: tuple[FloatArray, FloatArray],
    pi: tuple[FloatArray, FloatArray],
) -> Ends:
    is_ratio, is_probability = (MEASURES[result.measure].kind == kind for kind in ("ratio", "probability"))
    centre, shown = _forest.to_axis(y, is_ratio), _forest.to_axis(np.concatenate([y, *ci]), is_ratio)
    spread = float(np.ptp(centre)) or 1.0
    # an interval that is much wider than the effects are apart must not flatten them
    first = max(float(np.nanmin(shown)), float(centre.min()) - 0.6 * spread)
    last = min(float(np.nanmax(shown)), float(centre.max()) + 0.6 * spread)
    if np.isfinite(pi[0]).all():
        wide = _forest.to_axis(np.concatenate(pi), is_ratio)
        first = min(first, max(float(wide.min()), float(centre.min()) - 0.25 * spread))
        last = max(last, min(float(wide.max()), float(centre.max()) + 0.25 * spread))
    if last - first <= 1e-9 * max(abs(first), abs(last)):  # effects that are equal, without an interval
        first, last = first - 0.5, last + 0.5
    margin = 0.06 * (last - first)
    first, last = first - margin, last + margin
    if is_ratio:
        return math.exp(first), math.exp(last)
    return (max(first, 0.0), min(last, 100.0)) if is_probability else (first, last)


def _y_axis(ax: Axes, is_ratio: bool, ends: Ends, height: float, label: str) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ticks: Sequence[float] = ()
    for ticks in _forest.ticks(is_ratio, ends):
        if LINE * len(ticks) < 0.8 * height:
            break
    ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    lines = "\n".join(_style.wrapped(label, height))
    ax.set_ylabel(lines, fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)
    ax.yaxis.label.set_parse_math(False)


def _note(result: MetaRegression, moderator: str) -> str:
    coding, alone = result.coding, len(result.coding.variables) == 1
    plain = set(coding.terms) == set(coding.variables)
    related = [moderator] if plain else [t for t in coding.terms if formula_variables(f"~{t}", [moderator])]
    test = result.moderator_test(related)
    model = (
        "Common effect" if result.tau2_method == "CE" else f"Residual τ² = {_format.significant(result.tau2)}"
    )
    r2 = "" if math.isnan(result.r2) else f", R² = {100 * result.r2:.0f}%"
    name = _style.one_line(moderator)
    text = f"{model}{r2}. Test of {name}: {_format.pvalue(test.pvalue)} ({result.ci_method})."
    if not alone:
        text += " The line is averaged over the studies' values of the other moderators."
    return _forest.unbroken(text)
