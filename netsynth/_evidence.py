"""Printed figures as evidence for a curve: quantiles of survival time, points, and what the likelihood is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from netsynth._printed import Printed, percent, where_of
from netsynth._typing import FloatArray, Interval
from netsynth.data.number import ReportedNumber
from netsynth.errors import Caution, InconsistentReportWarning, InvalidInputError, caution
from netsynth.kernels.bounds import Envelope, envelope, is_possible, survival_bounds
from netsynth.kernels.curves import Continued, exponential_tail, pchip, piecewise_exponential
from netsynth.kernels.grouped import Fragments

Time: TypeAlias = float | ReportedNumber | None
#: Effective patients where a report has none at all: parameters do not depend on them, and nothing else is given.
_NOMINAL = 100.0


class Quantile(NamedTuple):
    """First time at which survival is `level` or less: where it lies, and the point it adds, nan for none."""

    name: str
    level: float
    interval: Interval
    point: float


class Quantiles(NamedTuple):
    """Those that agree with the percentages, in order of time, and the limits of survival that all figures give."""

    used: tuple[Quantile, ...]
    limits: Envelope
    cautions: list[Caution]

    @property
    def median_interval(self) -> Interval:
        """Where the report puts the median; 0 to infinity when it prints none that could be used."""
        return next((q.interval for q in self.used if q.name == "median"), Interval(0.0, math.inf))


def read_quantiles(
    printed: Printed, landmarks: Envelope, given: Sequence[tuple[str, float, Time]]
) -> Quantiles:
    """Quantiles as evidence: survival is at least the level before one, and at most the level from it on.

    One that contradicts the percentages, or a quantile before it in `given`, is not used.
    """
    used: list[Quantile] = []
    limits, cautions = landmarks, []
    for name, level, value in given:
        if value is None:
            continue
        number = ReportedNumber.of(value, "month")
        start, stop = _span(printed, name, number)
        narrowed = _with_quantile(limits, level, start, stop)
        if not is_possible(narrowed):
            message = (
                f"the {name} ({number}) contradicts {_culprit(printed, level, start, stop)}; it is not used"
            )
            cautions.append(
                caution(InconsistentReportWarning, message, where=where_of(printed), stacklevel=4)
            )
            continue
        used.append(
            _quantile(printed, limits, Quantile(name, level, Interval(start, stop), math.nan), number)
        )
        limits = narrowed
    return Quantiles(tuple(sorted(used, key=lambda q: -q.level)), limits, cautions)


def _span(printed: Printed, name: str, number: ReportedNumber) -> Interval:
    if number.qualifier == "not reached":
        return Interval(float(printed.time[-1]), math.inf)
    if not number.months > 0:
        raise InvalidInputError(f"{where_of(printed)}: a {name} must be positive; got {number}.")
    return Interval(*number.months_interval)


def _culprit(printed: Printed, level: float, start: float, stop: float) -> str:
    too_low = (printed.time <= start) & (printed.upper < level)
    too_high = (printed.time >= stop) & (printed.lower > level)
    found = np.flatnonzero(too_low | too_high)
    if not found.size:
        return "the median or the other quartile"
    j = int(found[0])
    return f"{percent(printed.survival[j])} at {printed.time[j]:g} months"


def _quantile(printed: Printed, limits: Envelope, quantile: Quantile, number: ReportedNumber) -> Quantile:
    level, (start, stop) = quantile.level, quantile.interval
    # some programs print the middle of a stretch on which survival is exactly one half
    flat = printed.time[printed.upper == level]
    interval = Interval(min(start, flat.min(initial=math.inf)), stop)
    if not number.is_exact:
        return quantile._replace(interval=interval)
    point = number.months
    above, below = limits.time[limits.lower > level], limits.time[limits.upper < level]
    start, stop = max(start, above.max(initial=0.0)), min(stop, below.min(initial=math.inf))
    if not start < point < stop:
        point = 0.5 * (start + stop)  # it agrees within its rounding only: the middle of what is left of that
    return quantile._replace(interval=interval, point=point)


def _with_quantile(limits: Envelope, level: float, start: float, stop: float) -> Envelope:
    """Limits of all that is known and of a quantile that lies between start and stop."""
    return envelope(
        np.concatenate([limits.time, [start, stop]]),
        np.concatenate([limits.lower, [level, 0.0]]),
        np.concatenate([limits.upper, [1.0, level]]),
    )


def points_of(printed: Printed, quantiles: Quantiles) -> tuple[FloatArray, FloatArray]:
    """Points for the curve: never rising, each within its rounding, the quantiles among them."""
    time, limits = printed.time, quantiles.limits
    closed = [quantile for quantile in quantiles.used if not math.isnan(quantile.point)]
    for quantile in closed:
        limits = _with_quantile(limits, quantile.level, quantile.point, quantile.point)
    s = np.clip(printed.survival, *survival_bounds(limits, time))
    for quantile in closed:
        # what rounds to the level before the quantile is above it
        room = 0.5 * (quantile.level + np.maximum(printed.upper, quantile.level))
        s = np.where((time < quantile.point) & (s <= quantile.level), room, s)
    s = np.minimum.accumulate(s)
    for quantile in closed:
        if quantile.point not in time:
            j = int(np.searchsorted(time, quantile.point))
            time, s = np.insert(time, j, quantile.point), np.insert(s, j, quantile.level)
    return time, s


def n_figures(points: FloatArray) -> int:
    """How many parameters points can determine: those at which survival has fallen, but not to 0."""
    return int(((np.diff(points, prepend=1.0) < 0) & (points > 0)).sum())


def fragments_of(
    printed: Printed, quantiles: Quantiles, time: FloatArray, points: FloatArray, number: FloatArray
) -> Fragments:
    """What was printed, for the likelihood, from the points and the effective numbers of the landmarks.

    Survival at a quantile is its level, with limits as wide as survival falls over the rounding of its time; an
    open quantile leaves survival between its level and what else is known. All is over once survival is 0.
    """
    limits = quantiles.limits
    edges = [end for q in quantiles.used if math.isnan(q.point) for end in q.interval if 0 < end < math.inf]
    times = np.union1d(time, edges)
    last = float(time[-1])
    between = np.exp(-pchip(time, points).cumulative_hazard(np.minimum(times, last)))
    lower, upper = survival_bounds(limits, times)
    survival = np.clip(between, lower, upper)
    survival[np.searchsorted(times, time)] = points
    steps = Continued(piecewise_exponential(time, points), exponential_tail(time, points), last)
    for quantile in quantiles.used:
        if math.isnan(quantile.point) or quantile.point in printed.time:
            continue
        j = int(np.searchsorted(times, quantile.point))
        ends = np.clip(quantile.interval, 0.0, np.inf)
        upper[j], lower[j] = np.clip(np.exp(-steps.cumulative_hazard(ends)), lower[j], upper[j])
    known = np.where(np.isnan(number), _NOMINAL * np.concatenate([[1.0], printed.survival[:-1]]), number)
    before = np.concatenate([[1.0], points[np.isin(time, printed.time)][:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        followed = np.where(before > 0, known / before, 1.0)  # as many from the start, all followed
    place = np.minimum(np.searchsorted(printed.time, times), printed.time.size - 1)
    entering = followed[place] * np.concatenate([[1.0], survival[:-1]])
    stop = times.size if survival.min() > 0 else int(np.argmin(survival > 0)) + 1
    arrays = (survival, np.minimum(lower, survival), np.maximum(upper, survival), np.maximum(entering, 1.0))
    return Fragments(times[:stop], *(array[:stop] for array in arrays))
