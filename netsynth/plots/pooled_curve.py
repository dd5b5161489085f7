"""A survival curve pooled over studies: theirs thin, the pooled one thick, both bands, and who still informs it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.plots import _curves, _style
from netsynth.plots._curves import MEDIAN
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.results.pooled_curve import PooledCurve, StudyCurve
from netsynth.results.pooled_curve_bounds import PRINTED, average_of
from netsynth.results.pooled_curve_frames import informing
from netsynth.results.pooled_curve_text import shown_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["pooled_curve_plot"]

WIDTH: Final = 3.3  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 2.4
LEAST: Final = (1.5, 1.0)  # inches below which given axes are too small
AXIS: Final = 0.22 + LINE  # inches under the plot for the ticks and the label
PERCENT: Final = 0.52  # inches left of the plot for its percentages and their label
FEW_POINTS: Final = 120  # reported percentages up to which each has a dot
MANY: Final = 30  # studies from which their lines are drawn finer
HEADING: Final = "Informing the curve"
PATIENTS: Final = ("Patients at", "start of interval")  # of curves from reports, two lines

POOLED: Final[Look] = {"color": _style.BLUE, "lw": 2.0, "solid_capstyle": "butt"}
#: After the last patient.
TAIL: Final[Look] = {**POOLED, "ls": (0, (2.2, 1.2)), "dash_capstyle": "butt"}
CI: Final[Look] = {"color": _style.BLUE, "alpha": 0.35}
PI: Final[Look] = {"color": _style.BLUE, "alpha": 0.13}
#: What the figures leave possible of the average curve: a bar with two ends, which lie on each other at one point.
POSSIBLE: Final[Look] = {"color": _style.VERMILION, "lw": 1.0, "marker": "_", "ms": 4.5, "mew": 1.0}


def pooled_curve_plot(
    pooled: PooledCurve, *, ax: Axes | None = None, level: float = 0.95, label: str = ""
) -> Axes:
    """A pooled survival curve over the curves of its studies.

    Parameters
    ----------
    pooled : PooledCurve
        From `pool_survival`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.
    level : float
        Level of the confidence and the prediction band.
    label : str
        What the y-axis shows, without its unit; by default the name of the endpoint.

    Returns
    -------
    Axes
        The axes with the curve. Coordinates are months and percent, also where the labels count years, which they do
        from three years on.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction, or the axes are too small for the text.

    Notes
    -----
    Underneath stand, at each tick, the studies that inform the curve there and their patients: those at risk where the
    curve comes from patients; from reports those at the start of the interval of each study that holds the tick, only
    where all are known. A number for which there is no room beside an earlier one is left out. The prediction band ends
    where fewer than two studies are left. A parametric curve is dashed after the last patient. Upright bars are the
    `average_bounds` of a curve from reports, at the times that its text shows.

    Examples
    --------
    >>> from netsynth import pool_survival
    >>> from netsynth.errors import NetsynthWarning
    >>> import warnings
    >>> warnings.simplefilter("ignore", NetsynthWarning)
    >>> data = {
    ...     "study": ["Adams", "Adams", "Brown", "Brown", "Chen"],
    ...     "time_months": [12, 36, 12, 36, 12],
    ...     "survival": [0.90, 0.72, 0.85, 0.60, 0.94],
    ...     "n_total": [80, 80, 120, 120, 45],
    ... }
    >>> ax = pooled_curve_plot(pool_survival(data, method="summary"))
    >>> ax.get_ylabel(), ax.get_xlabel()
    ('Overall survival, %', 'Years')
    """
    level = _validate.level(level)
    stop = pooled.last_months
    name = _style.one_line(label) or _style.one_line(pooled.label[:1].upper() + pooled.label[1:])
    y_label = f"{name}, %"
    frame = pooled.curve_frame(level=level)
    rows = ["Studies"]
    if np.isfinite(pooled.n_at).any():
        rows += PATIENTS if pooled.method in PRINTED else ["At risk"]

    with _style.style():
        most = f"{np.nanmax(pooled.n_at):.0f}" if len(rows) > 1 else ""
        right = 0.5 * max(_style.text_width([f"{stop:.0f}"]), _style.text_width([most], size=_style.SMALL))
        # the first number is centred under time 0
        beside = _style.text_width(rows, size=_style.SMALL) + 0.08
        beside += 0.5 * _style.text_width([most], size=_style.SMALL)

        def left(plot_height: float) -> tuple[float, list[str]]:
            """Inches left of the plot, and the lines of the label there."""
            lines = _style.wrapped(y_label, plot_height)
            return max(PERCENT + LINE * (len(lines) - 1), beside), lines

        if ax is None:
            width_left, y_lines = left(HEIGHT)
            total = width_left + WIDTH + right
        else:
            total, whole = _style.area(ax)
        has_pi = bool(np.isfinite(frame["pi_lower"].to_numpy()[1:]).any())
        key = Key((("", tuple(_samples(pooled, level, has_pi=has_pi))),), total)
        risk_foot = 0.1 + LINE * (len(rows) + 1)
        head, foot = 0.07, AXIS + risk_foot + 0.1 + key.height
        if ax is None:
            ax = _style.new_axes(total, head + HEIGHT + foot)
        else:
            width_left, y_lines = left(max(whole - head - foot, LEAST[1]))
        width, _ = _style.make_room(ax, left=width_left, right=right, head=head, foot=foot, least=LEAST)

        _style.frame(ax, y_axis=True)
        _curves.months_axis(ax, stop, width)
        _curves.percent_axis(ax, "\n".join(y_lines))
        time = frame["time_months"].to_numpy()
        for ends, look, order in ((("pi_lower", "pi_upper"), PI, 1), (("ci_lower", "ci_upper"), CI, 3)):
            lower, upper = (100 * frame[end].to_numpy() for end in ends)
            if order == 3 or has_pi:
                ax.fill_between(time, lower, upper, linewidth=0, zorder=order, **look)
        for study in pooled.study_curves:
            _study(ax, study, pooled)
        survival, followed = 100 * frame["survival"].to_numpy(), _followed(pooled)
        for here, look in ((time <= followed, POOLED), (time >= followed, TAIL)):
            if here.sum() > 1:
                ax.plot(time[here], survival[here], clip_on=False, zorder=4, **look)
        if not pooled.why_no_average_bounds:
            shown = shown_times(pooled)
            for t, low, high in zip(shown, *pooled.average_bounds(shown), strict=True):
                ax.plot([t, t], [100 * low, 100 * high], clip_on=False, zorder=6, **POSSIBLE)
        if pooled.median <= stop:  # it may be nan
            ax.plot([0.0, pooled.median, pooled.median], [50.0, 50.0, 0.0], zorder=5, **MEDIAN)
        counts = zip(rows, [*_counts(pooled, ax.get_xticks()), []], strict=False)
        _curves.write_numbers_at_risk(ax, counts, width_left, AXIS + 0.1, width, HEADING)
        key.draw(ax, -width_left, -AXIS - risk_foot - 0.1)
    return ax


def _samples(pooled: PooledCurve, level: float, *, has_pi: bool) -> list[Sample]:
    percent = f"{100 * level:g}%"
    found = [Sample("pooled", (POOLED,))]
    if pooled.last_months > _followed(pooled):
        found.append(Sample("nobody followed", (TAIL,)))
    bar: Look = {"lw": 7, "solid_capstyle": "butt"}
    if np.isfinite(pooled.covariance).any():
        found.append(Sample(f"{percent} confidence", ({**CI, **bar},)))
    if has_pi:
        found.append(Sample(f"{percent} prediction", ({**PI, **bar},)))
    found.append(Sample(_format.plural(pooled.k, "study", "studies"), (_study_look(pooled),)))
    if not pooled.why_no_average_bounds:
        found.append(Sample(f"limits for {average_of(pooled).name}", ({**POSSIBLE, "marker": "|"},)))
    if math.isfinite(pooled.median):
        found.append(Sample(f"median {_median(pooled)}", (MEDIAN,)))
    return found


def _median(pooled: PooledCurve) -> str:
    """In the unit of the axis, and in months."""
    months = f"{_format.shortest(pooled.median, 1)} months"
    if pooled.last_months < _curves.YEARS_FROM:
        return months
    return f"{_format.significant(pooled.median / 12, 2)} years ({months})"


def _followed(pooled: PooledCurve) -> float:
    """When the last patient leaves, which a parametric curve may go beyond."""
    if pooled.method != "parametric":
        return pooled.last_months
    return float(pooled.time_months[pooled.k_at > 0][-1])


def _study_look(pooled: PooledCurve) -> Look:
    many = pooled.k > MANY
    look: Look = {"color": _style.GREY, "lw": 0.35 if many else 0.6, "alpha": 0.5 if many else 0.85}
    if sum(study.time_months.size for study in pooled.study_curves) <= FEW_POINTS:
        look = {**look, "marker": "o", "ms": 2.2, "mew": 0}
    return look


def _study(ax: Axes, study: StudyCurve, pooled: PooledCurve) -> None:
    """What a study reported, joined by lines from 1 at time 0, up to the end of the pooled curve."""
    time = np.concatenate([[0.0], study.time_months])
    survival = np.concatenate([[1.0], study.survival])
    dots = list(range(1, time.size))  # none at time 0
    ax.plot(time, 100 * survival, zorder=2, markevery=dots, clip_on=False, **_study_look(pooled))


def _counts(pooled: PooledCurve, ticks: FloatArray) -> list[list[tuple[float, str]]]:
    """Studies, and patients where known, at each tick."""
    k, n = informing(pooled, ticks)
    return [
        [(t, str(count)) for t, count in zip(ticks.tolist(), k.tolist(), strict=True)],
        [
            (t, f"{count:.0f}")
            for t, count in zip(ticks.tolist(), n.tolist(), strict=True)
            if math.isfinite(count)
        ],
    ]
