"""Survival curves rebuilt from reports: one with all that is known of it, or those of all studies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import InvalidInputError
from netsynth.plots import _curves, _style
from netsynth.plots._curves import AT_RISK, COLOURS, FEW, LEADER, MEDIAN
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.results.curve import SurvivalCurve
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["curve_plot"]

WIDTH: Final = 3.0  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 2.3
LEAST: Final = (1.2, 1.0)  # inches below which given axes are too small
TAIL: Final = 1.25  # how far a tail is drawn, in spans of the reported times
AXIS: Final = 0.22 + LINE  # inches under the plot for the ticks and the label
PERCENT: Final = 0.52  # inches left of the plot for its percentages and their label

BAND: Final[Look] = {"alpha": 0.35, "lw": 0, "solid_capstyle": "butt"}
POOLED: Final[Look] = {"ls": "", "marker": "D", "ms": 5, "color": _style.INK, "mec": "none"}
POOLED_CI: Final[Look] = {"color": _style.INK, "lw": 1.8, "solid_capstyle": "butt"}
POOLED_PI: Final[Look] = {"color": _style.INK, "lw": 0.8, "solid_capstyle": "butt"}


def curve_plot(
    curves: SurvivalCurve | Sequence[SurvivalCurve],
    *,
    ax: Axes | None = None,
    pooled: Mapping[float, PooledEffect] | None = None,
    bounds: bool | None = None,
    level: float = 0.95,
    label: str = "Survival",
) -> Axes:
    """Survival curves through reported percentages.

    One curve is drawn with its reported percentages, its median, the numbers at risk that were printed, and
    the sharp bounds: all that the printed digits leave possible. Up to six curves are named beside the plot;
    more are thin lines, for the background of pooled survival.

    Parameters
    ----------
    curves : SurvivalCurve or sequence of SurvivalCurve
        From `reconstruct_survival`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    pooled : mapping of months to PooledEffect, optional
        Pooled survival at landmarks, from `pool_landmark`: drawn on top with its confidence interval and,
        thinner, its prediction interval.
    bounds : bool, optional
        Whether to shade the sharp bounds; by default for one curve.
    level : float
        Level of all confidence and prediction intervals.
    label : str
        What the y-axis shows, without its unit.

    Returns
    -------
    Axes
        The axes with the curves. Coordinates are months and percent, also where the labels count years,
        which they do when the curves span three years or more.

    Raises
    ------
    InvalidInputError
        If there is no curve, a pooled effect is not one of survival, or the axes are too small for the text.

    Notes
    -----
    A curve ends at its last reported percentage; only a named tail is drawn further, dashed, and for one curve
    with its confidence limits as a band. Confidence intervals are drawn where they were printed or follow from
    numbers at risk or the follow-up, not where a standard error is imputed. Numbers at risk for which there is
    no room beside an earlier one are left out.

    Examples
    --------
    >>> from netsynth import reconstruct_survival
    >>> curve = reconstruct_survival([24, 60, 96], [0.94, 0.94, 0.79], n_total=19, decimals=2)
    >>> ax = curve_plot(curve, label="Overall survival")
    >>> ax.get_ylabel(), ax.get_xlabel()
    ('Overall survival, %', 'Years')
    """
    level = _validate.level(level)
    shown = [curves] if isinstance(curves, SurvivalCurve) else list(curves)
    if not shown:
        raise InvalidInputError("There is no curve to draw; give at least one.")
    landmarks = _landmarks(pooled or {})
    stop = max([*(_reach(curve) for curve in shown), *landmarks])
    names = [_style.one_line(curve.label) for curve in shown]
    is_one, is_few = len(shown) == 1, len(shown) <= FEW
    colours = COLOURS[: len(shown)] if is_few else (_style.SKY,) * len(shown)
    at_risk = [curve for curve in shown if is_few and np.isfinite(curve.n_at_risk).any()]
    shaded = is_one if bounds is None else bounds
    y_label = f"{_style.one_line(label)}, %"

    with _style.style():
        risk_names = [AT_RISK if is_one else _style.one_line(curve.label) for curve in at_risk]
        beside = is_few and not is_one and any(names)
        right = LEADER + _style.text_width(names) + 0.02 if beside else _half_of_last_tick(stop)
        samples = (("", tuple(_samples(shown, landmarks, stop=stop, shaded=shaded, level=level))),)

        def left(plot_height: float) -> tuple[float, list[str]]:
            """Inches left of the plot, and the lines of the label there."""
            lines = _style.wrapped(y_label, plot_height)
            percent = PERCENT + LINE * (len(lines) - 1)
            return max(percent, _style.text_width(risk_names, size=_style.SMALL) + 0.2), lines

        if ax is None:
            width_left, y_lines = left(HEIGHT)
            total = width_left + WIDTH + right
        else:
            total, whole = _style.area(ax)
        key = Key(samples, total)
        title = _style.wrapped(_title(shown[0]), total, weight="bold") if is_one else []
        risk_foot = 0.1 + LINE * (len(at_risk) + (not is_one)) if at_risk else 0.0
        head, foot = 0.07 + LINE * len(title), AXIS + risk_foot + (0.1 + key.height)
        if ax is None:
            ax = _style.new_axes(total, head + HEIGHT + foot)
        else:
            width_left, y_lines = left(max(whole - head - foot, LEAST[1]))
        least = (LEAST[0], max(LEAST[1], LINE * len(shown) if beside else 0.0))
        width, height = _style.make_room(ax, left=width_left, right=right, head=head, foot=foot, least=least)
        _axes(ax, stop, "\n".join(y_lines), width)
        for i, curve in enumerate(shown):
            if shaded:
                _bounds(ax, curve, colours[i], stop, max(0.03, min(0.18, 0.8 / len(shown))))
            _curve(ax, curve, colours[i], stop, thin=not is_few)
            if is_one and _has_band(curve):
                _band(ax, curve, colours[i], stop, level)
            if is_few:
                _points(ax, curve, i, level if is_one else None)
        if is_one:
            _median(ax, shown[0])
        for months, effect in landmarks.items():
            _pooled(ax, months, effect, level)
        if beside:
            _names(ax, shown, names, height)
        for i, line in enumerate(title):
            y = (len(title) - i - 0.5) * LINE + 0.05
            _style.write(ax, -width_left, y, line, place=_style.inches(ax, (0.0, 1.0)), weight="bold")
        if at_risk:
            _curves.write_numbers_at_risk(
                ax, zip(risk_names, map(_counts, at_risk), strict=True), width_left, AXIS + 0.1, width
            )
        key.draw(ax, -width_left, -AXIS - risk_foot - 0.1)
    return ax


def _landmarks(pooled: Mapping[float, PooledEffect]) -> dict[float, PooledEffect]:
    found = {}
    for months, effect in sorted(pooled.items()):
        if not (math.isfinite(months) and months > 0):
            raise InvalidInputError(f"A pooled landmark must be a positive number of months; got {months!r}.")
        if not effect.measure.endswith("_survival"):
            raise InvalidInputError(
                f"The pooled effect at {months:g} months must be one of survival; got {effect.measure!r}."
            )
        found[float(months)] = effect
    return found


def _reach(curve: SurvivalCurve) -> float:
    """Where a curve ends in the figure, in months."""
    return curve.last_months * (1.0 if curve.tail is None else TAIL)


def _title(curve: SurvivalCurve) -> str:
    n = "" if curve.n_total is None else f"n = {curve.n_total}"
    return ", ".join(part for part in (_style.one_line(curve.label), n) if part)


def _half_of_last_tick(stop: float) -> float:
    return 0.5 * _style.text_width([f"{stop:.0f}"])


def _samples(
    curves: Sequence[SurvivalCurve],
    landmarks: Mapping[float, PooledEffect],
    *,
    stop: float,
    shaded: bool,
    level: float,
) -> list[Sample]:
    is_one, few = len(curves) == 1, len(curves) <= FEW
    color = _style.BLUE if is_one else _style.GREY if few else _style.SKY
    found = [Sample("reconstructed", ({"color": color, "lw": 1.4 if few else 0.8},))]
    if is_one:
        has_ci = np.isfinite(_known_interval(curves[0], level)).any()
        bar: Look = {"ls": "", "marker": "|", "ms": 8, "mew": 0.9, "color": color}
        interval = f", {100 * level:g}% CI" if has_ci else ""
        found.append(Sample(f"reported{interval}", (bar, _curves.mark(0)) if has_ci else (_curves.mark(0),)))
    elif few:
        found.append(Sample("reported", ({**_curves.mark(0), "color": color},)))
    if shaded:
        area: Look = {"color": color, "alpha": 0.18, "lw": 7, "solid_capstyle": "butt"}
        found.append(Sample("what the report alone allows", (area,)))
    if any(curve.tail is not None for curve in curves):
        found.append(Sample("extrapolated", ({"color": color, "lw": 1.2, "ls": (0, (2, 1.2))},)))
    if is_one and _has_band(curves[0]):
        found.append(
            Sample(f"{100 * level:g}% CI of the extrapolation", ({**BAND, "color": color, "lw": 7},))
        )
    if is_one and curves[0].median <= stop:
        found.append(Sample(f"median {_format.shortest(curves[0].median, 1)} months", (MEDIAN,)))
    if landmarks:
        any_pi = any(
            math.isfinite(effect.natural_prediction_interval(level).lower) for effect in landmarks.values()
        )
        text = f"pooled, {100 * level:g}% CI" + (" (thick) and prediction interval (thin)" if any_pi else "")
        looks: tuple[Look, ...] = (POOLED_PI, POOLED) if any_pi else (POOLED,)
        found.append(Sample(text, looks))
    return found


def _axes(ax: Axes, stop: float, y_label: str, width: float) -> None:
    _style.frame(ax, y_axis=True)
    _curves.months_axis(ax, stop, width)
    _curves.percent_axis(ax, y_label)


def _curve(ax: Axes, curve: SurvivalCurve, color: str, stop: float, *, thin: bool) -> None:
    last = curve.last_months
    times = np.union1d(np.linspace(0.0, last, 201), curve.landmark_months[curve.landmark_months <= last])
    style: Look = {"color": color, "lw": 0.8 if thin else 1.4, "zorder": 3, "clip_on": False}
    ax.plot(times, 100 * curve.survival(times), solid_capstyle="butt", **style)
    if curve.tail is not None:
        times = np.linspace(last, min(stop, TAIL * last), 51)
        ax.plot(times, 100 * curve.survival(times), ls=(0, (2, 1.2)), **style)


def _has_band(curve: SurvivalCurve) -> bool:
    """Whether there is a tail whose limits rest on nothing imputed."""
    return curve.tail is not None and curve.has_size and not curve.imputation()


def _band(ax: Axes, curve: SurvivalCurve, color: str, stop: float, level: float) -> None:
    last = curve.last_months
    times = np.linspace(last, min(stop, TAIL * last), 51)
    lower, upper = curve.confidence_interval(level, time_months=times)
    ax.fill_between(times, 100 * lower, 100 * upper, color=color, alpha=BAND["alpha"], linewidth=0, zorder=2)


def _bounds(ax: Axes, curve: SurvivalCurve, color: str, stop: float, alpha: float) -> None:
    """Steps between the times at which the report says something; after the last, what it cannot exclude."""
    end = stop if curve.tail is not None else curve.last_months
    inside = curve.envelope.time[(curve.envelope.time > 0) & (curve.envelope.time < end)]
    edges = np.unique(np.concatenate([[0.0], inside, [end]]))
    lower, upper = curve.bounds(0.5 * (edges[1:] + edges[:-1]))
    ax.fill_between(
        edges,
        100 * np.append(lower, lower[-1]),
        100 * np.append(upper, upper[-1]),
        step="post",
        color=color,
        alpha=alpha,
        linewidth=0,
        zorder=1,
    )


def _known_interval(curve: SurvivalCurve, level: float) -> FloatArray:
    """Confidence limits in percent, shape (2, m): printed ones as they are; nan where a standard error is imputed."""
    frame = curve.summary_frame(level)
    limits = frame[["ci_lower", "ci_upper"]].to_numpy(dtype=np.float64).T
    printed = np.stack([curve.printed_lower, curve.printed_upper])
    if level == curve.printed_level:
        limits = np.where(np.isfinite(printed), printed, limits)
    known = np.array([source not in ("", "imputed") for source in curve.se_source])
    return np.where(known, 100 * limits, math.nan)


def _points(ax: Axes, curve: SurvivalCurve, i: int, level: float | None) -> None:
    time, survival = curve.landmark_months, 100 * curve.landmark_survival
    if level is not None:
        for at, low, high in zip(time, *_known_interval(curve, level), strict=True):
            if math.isnan(low):
                continue
            ax.plot([at, at], [low, high], color=COLOURS[i], lw=0.9, clip_on=False, zorder=4)
    ax.plot(time, survival, clip_on=False, zorder=5, **_curves.mark(i))


def _median(ax: Axes, curve: SurvivalCurve) -> None:
    median = curve.median
    if median <= ax.get_xlim()[1]:  # neither beyond the plot nor nan
        ax.plot([0.0, median, median], [50.0, 50.0, 0.0], zorder=2, **MEDIAN)


def _pooled(ax: Axes, months: float, effect: PooledEffect, level: float) -> None:
    for pair, look in (
        (effect.natural_prediction_interval(level), POOLED_PI),
        (effect.natural_interval(level), POOLED_CI),
    ):
        ends = [100 * pair.lower, 100 * pair.upper]
        ax.plot([months, months], ends, clip_on=False, zorder=6, **look)
    ax.plot([months], [100 * effect.natural], clip_on=False, zorder=7, **POOLED)


def _names(ax: Axes, curves: Sequence[SurvivalCurve], names: Sequence[str], height: float) -> None:
    last = [min(_reach(curve), ax.get_xlim()[1]) for curve in curves]
    ends = [100 * curve.survival(months) for curve, months in zip(curves, last, strict=True)]
    _curves.write_names(ax, names, last, ends, height)


def _counts(curve: SurvivalCurve) -> list[tuple[float, str]]:
    """Numbers at risk that were printed, with their times."""
    counts = [] if curve.n_total is None else [(0.0, str(curve.n_total))]
    printed = zip(curve.landmark_months.tolist(), curve.n_at_risk.tolist(), strict=True)
    return counts + [(months, f"{count:.0f}") for months, count in printed if math.isfinite(count)]
