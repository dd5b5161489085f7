"""Radial plot, or Galbraith plot: standardised effects against precision, with an arc to read effects from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _validate
from netsynth._typing import FloatArray
from netsynth.kernels.intervals import critical_value
from netsynth.kernels.scales import MEASURES, Measure
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["radial_plot"]

WIDTH: Final = 3.4  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 3.0
LEAST: Final = (1.5, 1.4)
AXIS: Final = 0.22  # inches under the plot for the ticks
HEAD: Final = 0.1
LEFT: Final = 0.5  # inches left of the plot for its ticks and label
RIGHT: Final = 0.75  # inches right of the arc for its ticks and label
TICK: Final = 0.05  # inches of a mark on the arc
ROOM: Final = 1.18  # of the most precise study, so that the arc passes it where it bends
FULL: Final = 0.97  # share of half the height that the arc may reach to
ARC_POINTS: Final = 121

STUDY: Final[Look] = {"ls": "", "marker": "o", "ms": 4.6, "mfc": _style.INK, "mec": "white", "mew": 0.5}
POOLED: Final[Look] = {"color": _style.BLUE, "lw": 1.1}
BAND: Final[Look] = {"color": _style.SKY, "alpha": 0.16, "lw": 7, "solid_capstyle": "butt"}
CI: Final[Look] = {"color": _style.BLUE, "lw": 3.0, "solid_capstyle": "butt"}


def radial_plot(
    result: PooledEffect, *, ax: Axes | None = None, level: float = 0.95, label: str = ""
) -> Axes:
    r"""Radial plot of the studies of a pooled effect.

    Parameters
    ----------
    result : PooledEffect
        From `pool_effects` and its siblings.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of the band around the pooled effect and of its interval on the arc.
    label : str, optional
        What the arc shows; by default the name of the measure.

    Returns
    -------
    Axes
        One mark a study at :math:`x = 1 / \sqrt{v + \tau^2}` and :math:`y = (\mathrm{effect} - \mathrm{centre}) x`.
        The centre is the pooled effect, so that its ray is level.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction or the axes are too small.

    Notes
    -----
    A ray from the origin through a study meets the arc at its effect [1]_. Every y has the same standard error,
    1: at a level of 0.95 one study in twenty is expected outside the band. Precise studies lie far to the right,
    and small-study effects make the cloud of the others turn away from the level line.

    References
    ----------
    .. [1] Galbraith RF (1988). A note on graphical presentation of estimated odds ratios from several clinical
       trials. Stat Med 7:889-894. https://doi.org/10.1002/sim.4780070807

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> pooled = pool_effects([-0.51, -0.12, -0.33], se=[0.18, 0.10, 0.15], measure="log_hr")
    >>> ax = radial_plot(pooled)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('1 / standard error (log scale), heterogeneity included', 'Standardised effect')
    """
    level = _validate.level(level)
    measure = MEASURES[result.measure]
    tau2 = result.tau2 if result.pooled else 0.0
    x = 1.0 / np.sqrt(result.study_se**2 + tau2)
    deviation = result.study_estimate - result.estimate
    y, z = deviation * x, float(critical_value(np.inf, level))
    ends = ROOM * float(x.max()), 1.12 * max(float(np.abs(y).max()), z)

    text = _style.one_line(label or measure.label)
    if measure.kind == "probability" and "%" not in text:
        text = f"{text}, %"
    x_label = "1 / standard error" + ("" if measure.kind == "difference" else f" ({measure.scale} scale)")
    if tau2 > 0:
        x_label += ", heterogeneity included"
    samples = (
        Sample("study", (STUDY,)),
        Sample("pooled effect", (POOLED,)),
        Sample(f"its {100 * level:g}% CI", (CI,)),
        Sample(f"{100 * level:g}% of studies", (BAND,)),
    )
    with _style.style():
        total = LEFT + WIDTH + RIGHT if ax is None else _style.area(ax)[0]
        key = Key((("", samples),), total)
        foot = AXIS + LINE + 0.12 + key.height
        if ax is None:
            ax = _style.new_axes(total, HEAD + HEIGHT + foot)
        width, height = _style.make_room(ax, left=LEFT, right=RIGHT, head=HEAD, foot=foot, least=LEAST)
        _axes(ax, ends, x_label, width, height)
        ax.fill_between([0.0, ends[0]], [-z, -z], [z, z], color=_style.SKY, alpha=0.16, lw=0, zorder=1)
        ax.plot([0.0, ends[0]], [0.0, 0.0], zorder=2, **POOLED)
        _arc(ax, result, (width, height), ends, level, text)
        ax.plot(x, y, clip_on=False, zorder=4, **STUDY)
        key.draw(ax, -LEFT, -AXIS - LINE - 0.12)
    return ax


def _axes(ax: Axes, ends: tuple[float, float], x_label: str, width: float, height: float) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.set_xlim(0.0, ends[0])
    ax.set_ylim(-ends[1], ends[1])
    _style.frame(ax, y_axis=True)
    _style.set_ticks(ax, _style.even_ticks(0.0, ends[0]), _style.tick_text, width)
    _style.axis_label(ax, _style.wrapped(x_label, width + LEFT)[:1])
    ticks: Sequence[float] = (0.0,)
    for ticks in _style.even_ticks(-ends[1], ends[1]):
        if LINE * len(ticks) < 0.6 * height:
            break
    ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel(
        "Standardised effect",
        fontsize=_style.FONT_SIZE,
        color=_style.INK,
        labelpad=2.5,
        fontfamily=_style.FONT,
    )


def _arc(
    ax: Axes,
    result: PooledEffect,
    size: tuple[float, float],
    ends: tuple[float, float],
    level: float,
    text: str,
) -> None:
    """An arc of a circle about the origin, as wide as the plot, with effects where rays to them meet it."""
    width, height = size
    measure = MEASURES[result.measure]
    steep = 0.5 * height / ends[1] / (width / ends[0])  # inches up for one along, of a ray of one unit
    highest = math.asin(min(1.0, 0.5 * FULL * height / width))
    reach = math.tan(highest) / steep
    from_origin = _style.inches(ax, (0.0, 0.5))

    def at(effect: FloatArray, radius: float) -> tuple[FloatArray, FloatArray]:
        angle = np.arctan(steep * (effect - result.estimate))
        return radius * np.cos(angle), radius * np.sin(angle)

    effects = result.study_estimate
    spread = max(float(np.abs(effects - result.estimate).max()), 2.0 * result.se)
    lowest, top = result.estimate - min(spread, reach), result.estimate + min(spread, reach)
    look: Look = {"transform": from_origin, "clip_on": False}
    ax.plot(*at(np.linspace(lowest, top, ARC_POINTS), width), color=_style.INK, lw=0.8, zorder=2, **look)
    low, high = np.clip(result.confidence_interval(level), lowest, top).tolist()
    ax.plot(*at(np.linspace(low, high, ARC_POINTS), width), zorder=3, **CI, **look)
    for values in _ticks(measure, lowest, top):
        heights = np.sort(at(values, width)[1])
        if heights.size and np.diff(heights).min(initial=1.0) > LINE:
            break
    for value in values:
        (x0, x1), (y0, y1) = np.transpose([at(np.asarray(value), width + inches) for inches in (0.0, TICK)])
        ax.plot([x0, x1], [y0, y1], color=_style.INK, lw=0.7, zorder=2, **look)
        natural = float(measure.from_scale(value)) * (100 if measure.kind == "probability" else 1)
        x, y = at(np.asarray(value), width + TICK + 0.03)
        shown = _style.tick_text(float(f"{natural:.6g}"))
        _style.write(ax, float(x), float(y), shown, place=from_origin)
    middle = width + RIGHT - 0.5 * LINE
    _style.write(ax, middle, 0.0, text, place=from_origin, align="center", rotation=270)


def _ticks(measure: Measure, low: float, high: float) -> Iterable[FloatArray]:
    """Round values on the printed scale, many first, as places on the scale of pooling."""
    ends = np.sort(measure.from_scale(np.array([low, high])))
    factor = 100.0 if measure.kind == "probability" else 1.0
    if measure.is_ratio and ends[1] / ends[0] > 3:
        powers = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
        for digits in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            values = np.array([digit * 10.0**power for power in powers for digit in digits])
            yield measure.to_scale(values[(values >= ends[0]) & (values <= ends[1])])
    for even in _style.even_ticks(*(factor * ends)):
        values = np.array(even) / factor
        inside = (
            (values > 0) & (values < 1)
            if factor > 1
            else values > 0
            if measure.is_ratio
            else values == values
        )
        yield measure.to_scale(values[inside])
    yield np.zeros(0)
