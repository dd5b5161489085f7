"""Pictures of selective publication: weights by p-value, and the lines of PET and PEESE."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import ndtr, ndtri

from netsynth import _validate
from netsynth._typing import FloatArray
from netsynth.kernels.scales import MEASURES
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.results.pet_peese import PetPeese
from netsynth.results.selection import SelectionModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["pet_peese_plot", "weight_plot"]

WIDTH: Final = 3.8  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 2.4
LEFT: Final = 0.52
RIGHT: Final = 0.14
HEAD: Final = 0.08
AXIS: Final = 0.22  # inches under the plot for the ticks
LEAST: Final = (1.5, 1.0)
POINTS: Final = 301  # of a curve
FARTHEST: Final = 1e-4  # p-values beyond which, and beyond one less it, studies stand at the edge
RUG: Final = 0.05  # share of the height that the mark of a study takes

_WEIGHT: Final[Look] = {"color": _style.BLUE, "lw": 1.4}
_BAND: Final[Look] = {"color": _style.SKY, "alpha": 0.3, "lw": 0}
_BAND_KEY: Final[Look] = {"color": _style.SKY, "alpha": 0.3, "lw": 6, "solid_capstyle": "butt"}
_STUDY: Final[Look] = {"color": _style.INK, "lw": 0.7}
_NONE: Final[Look] = {"color": _style.GREY, "lw": 0.8, "ls": (0, (4, 2))}
_DOT: Final[Look] = {"ls": "", "marker": "o", "ms": 4.6, "mfc": _style.INK, "mec": "white", "mew": 0.5}
_PET: Final[Look] = {"color": _style.BLUE, "lw": 1.3}
_PEESE: Final[Look] = {"color": _style.VERMILION, "lw": 1.3, "ls": (0, (4, 1.5))}

_SIDES: Final = {
    "greater": "One-sided p-value, small for high effects",
    "less": "One-sided p-value, small for low effects",
    "two-sided": "Two-sided p-value",
}
_P_TICKS: Final = (
    (0.001, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975, 0.99, 0.999),
    (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999),
    (0.001, 0.025, 0.25, 0.75, 0.975, 0.999),
    (0.025, 0.5, 0.975),
    (0.5,),
)


def weight_plot(result: SelectionModel, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """How likely a result was to be seen, by its p-value.

    Parameters
    ----------
    result : SelectionModel
        From `fit_selection_model`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of the intervals of the weights.

    Returns
    -------
    Axes
        The p-value at its place under the normal curve, the weight relative to that of the reference, and a mark
        for each study. Intervals are cut off where they leave three times the largest weight.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> from netsynth.selection import fit_selection_model
    >>> log_hr = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
    >>> se = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
    >>> pooled = pool_effects(log_hr, se=se, measure="log_hr")
    >>> ax = weight_plot(fit_selection_model(pooled, alternative="less"))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('One-sided p-value, small for low effects', 'Relative weight')
    """
    level = _validate.level(level)
    at = np.clip(result.study_pvalue, FARTHEST, 1 - FARTHEST)
    ends = _p_limits(result, at)
    p = _grid(result, ends)
    weight, low, high = result.weight_at(p, level)
    top = 1.12 * float(np.max(np.append(weight, 1.0)))
    finite = high[np.isfinite(high)]
    if finite.size:
        top = max(top, min(1.04 * float(finite.max()), 3.0 * top))
    samples = [Sample("weight", (_WEIGHT,))]
    banded = bool(np.isfinite(low).any())
    if banded:
        samples.append(Sample(f"{100 * level:g}% CI", (_BAND_KEY,)))
    samples += [Sample("no selection", (_NONE,)), Sample("study", (_STUDY,))]

    with _style.style():
        total = LEFT + WIDTH + RIGHT if ax is None else _style.area(ax)[0]
        key = Key((("", tuple(samples)),), total)
        label = _style.wrapped(_SIDES[result.alternative], total - LEFT)
        label_foot = AXIS + LINE * len(label)
        foot = label_foot + 0.06 + key.height
        if ax is None:
            ax = _style.new_axes(total, HEAD + HEIGHT + foot)
        width, height = _style.make_room(ax, left=LEFT, right=RIGHT, head=HEAD, foot=foot, least=LEAST)
        ax.set_xlim(*ndtri(np.array(ends)))
        ax.set_ylim(0.0, top)
        _style.frame(ax, y_axis=True)
        _style.set_ticks(ax, _p_ticks(result, ends), _p_text, width)
        _style.axis_label(ax, label)
        _y_axis(ax, (0.0, top), height, "Relative weight")
        x = ndtri(p)
        if banded:
            ax.fill_between(
                x, np.nan_to_num(low), np.minimum(high, 2 * top), where=np.isfinite(low), zorder=1.5, **_BAND
            )
        ax.plot(x, np.ones_like(x), zorder=2, **_NONE)
        ax.plot(x, weight, zorder=3, **_WEIGHT)
        for place in ndtri(at):
            ax.plot([place, place], [0.0, RUG * top], zorder=2.5, **_STUDY)
        key.draw(ax, -LEFT, -label_foot - 0.06)
    return ax


def pet_peese_plot(result: PetPeese, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Effects by standard error, with the lines of PET and PEESE drawn to a study without error.

    Parameters
    ----------
    result : PetPeese
        From `pet_peese`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of the intervals of both intercepts, drawn at a standard error of 0.

    Returns
    -------
    Axes
        Effects on the printed scale, on a logarithmic axis for ratios. PET is straight on the scale of pooling.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction or the axes are too small for the text.

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> from netsynth.selection import pet_peese
    >>> log_hr = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
    >>> se = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
    >>> ax = pet_peese_plot(pet_peese(pool_effects(log_hr, se=se, measure="log_hr")))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Standard error (log scale)', 'Hazard ratio')
    """
    level = _validate.level(level)
    measure, pooled = MEASURES[result.measure], result.pooled
    se = np.linspace(0.0, 1.05 * float(pooled.study_se.max()), POINTS)
    lines = (
        ("PET", result.pet, result.pet.intercept + result.pet.slope * se, _PET),
        ("PEESE", result.peese, result.peese.intercept + result.peese.slope * se**2, _PEESE),
    )
    intervals = [line.confidence_interval(level) for _, line, _, _ in lines]
    shown = np.concatenate(
        [pooled.study_estimate, *(y for *_, y, _ in lines), np.array(intervals).ravel(), [0.0]]
    )
    shown = shown[~np.isnan(shown)]  # a line through all effects has no interval
    margin = 0.04 * float(np.ptp(shown)) or 0.5
    ends = measure.from_scale(np.array([shown.min() - margin, shown.max() + margin]))
    limits = (float(ends[0]), float(ends[1]))
    samples = (
        Sample("study", (_DOT,)),
        Sample(f"PET, {100 * level:g}% CI at 0", (_PET,)),
        Sample(f"PEESE, {100 * level:g}% CI at 0", (_PEESE,)),
    )

    with _style.style():
        total = LEFT + WIDTH + RIGHT if ax is None else _style.area(ax)[0]
        key = Key((("", samples),), total)
        title = (
            "Standard error" if measure.kind == "difference" else f"Standard error ({measure.scale} scale)"
        )
        label = _style.wrapped(title, total - LEFT)
        label_foot = AXIS + LINE * len(label)
        foot = label_foot + 0.06 + key.height
        if ax is None:
            ax = _style.new_axes(total, HEAD + HEIGHT + foot)
        width, height = _style.make_room(ax, left=LEFT, right=RIGHT, head=HEAD, foot=foot, least=LEAST)
        right = float(se[-1])
        ax.set_xlim(-0.06 * right, right)
        ax.set_yscale("log" if measure.is_ratio else "linear")
        ax.set_ylim(*limits)
        _style.frame(ax, y_axis=True)
        _style.set_ticks(ax, _style.even_ticks(0.0, right), _style.tick_text, width)
        _style.axis_label(ax, label)
        _y_axis(ax, limits, height, measure.label, is_log=measure.is_ratio)
        ax.axhline(measure.null, color=_style.INK, lw=0.7, zorder=1)
        for i, ((_, line, y, look), interval) in enumerate(zip(lines, intervals, strict=True)):
            ax.plot(se, measure.from_scale(y), zorder=2, **look)
            place = (2 * i - 1) * 0.014 * right  # beside each other, so that both are seen
            ax.plot(
                [place, place],
                measure.from_scale(np.array(interval)),
                zorder=2.5,
                color=look["color"],
                lw=1.6,
            )
            centre = [float(measure.from_scale(line.intercept))]
            ax.plot(
                [place], centre, marker="D", ms=4.0, ls="", mfc=look["color"], mec="white", mew=0.5, zorder=3
            )
        ax.plot(pooled.study_se, measure.from_scale(pooled.study_estimate), zorder=4, **_DOT)
        key.draw(ax, -LEFT, -label_foot - 0.06)
    return ax


def _p_limits(result: SelectionModel, at: FloatArray) -> tuple[float, float]:
    """Ends of the axis of p: the studies and steps with some room, or all of it."""
    inner = np.append(at, [0.01, 0.9, *(step for step in result.steps if FARTHEST < step < 1 - FARTHEST)])
    z = ndtri(np.array([inner.min(), inner.max()])) + np.array([-0.35, 0.35])
    low, high = ndtr(z)
    return float(low), float(high)


def _grid(result: SelectionModel, ends: tuple[float, float]) -> FloatArray:
    """P-values at which to draw, on both sides of every step."""
    if result.form != "step":
        first, last = map(float, ndtri(np.array(ends)))
        z = np.linspace(first, last, POINTS)
        return np.asarray(ndtr(z))
    steps = [step for step in result.steps if ends[0] < step < ends[1]]
    both = [side for step in steps for side in (step, step * (1 + 1e-9))]
    return np.array([ends[0], *both, ends[1]])


def _p_ticks(result: SelectionModel, ends: tuple[float, float]) -> Iterable[Sequence[float]]:
    """Places of round p-values, the steps first if they have room."""
    own = (
        [tuple(sorted({*result.steps, *extra})) for extra in (*_P_TICKS[1:], ())]
        if len(result.steps) < 4
        else []
    )
    for ticks in (*own, *_P_TICKS):
        kept = [tick for tick in ticks if ends[0] <= tick <= ends[1]]
        if kept:
            yield [float(value) for value in ndtri(np.array(kept))]


def _p_text(z: float) -> str:
    return f"{float(ndtr(z)):.4g}"


def _y_axis(ax: Axes, ends: tuple[float, float], height: float, label: str, *, is_log: bool = False) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    candidates: Iterable[Sequence[float]] = _style.even_ticks(*ends)
    if is_log and ends[1] / ends[0] >= 4:
        first, last = math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1]))
        fine = ((1, 1.5, 2, 3, 5, 7),) if ends[1] / ends[0] < 20 else ()
        powers = [10.0**power for power in range(first, last + 1)]
        candidates = [
            [n * power for power in powers for n in digits if ends[0] <= n * power <= ends[1]]
            for digits in (*fine, (1, 2, 5), (1, 3), (1,))
        ]
    ticks: Sequence[float] = ()
    for ticks in candidates:
        if LINE * len(ticks) < 0.8 * height:
            break
    ax.yaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.yaxis.set_major_formatter(FixedFormatter([_style.tick_text(tick) for tick in ticks]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel(label, fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)
