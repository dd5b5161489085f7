"""Limits of a pooled curve, of its quantiles and of its restricted means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import expit, logit

from netsynth._typing import FloatArray, Interval
from netsynth.errors import InvalidInputError
from netsynth.kernels import curve_band
from netsynth.kernels.intervals import Limits, critical_value
from netsynth.kernels.scales import Measure

if TYPE_CHECKING:
    from netsynth.results.pooled_curve import PooledCurve

#: Steps between two times in which limits are searched for a crossing, and how often the one that has it is divided.
_STEPS: Final = 20
_REFINEMENTS: Final = 8


def ask(
    question: Callable[[FloatArray], FloatArray], values: float | Sequence[float] | FloatArray, name: str
) -> float | FloatArray:
    """Answer in the shape of the question, a float for one value."""
    array = numbers(values, name)
    answer = question(times_of(array.reshape(-1), name)).reshape(array.shape)
    return float(answer) if array.ndim == 0 else answer


def numbers(values: float | Sequence[float] | FloatArray, name: str) -> FloatArray:
    """One number or an array of them."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"{name} must be a number or an array of numbers; got {values!r:.80}."
        ) from None


def one_of(value: float, name: str) -> float:
    """One time that a question may ask for."""
    time = times_of(value, name)
    if np.ndim(value) or time.size != 1:
        raise InvalidInputError(f"{name} must be one time; got {value!r:.80}.")
    return float(time[0])


def times_of(values: float | Sequence[float] | FloatArray, name: str) -> FloatArray:
    """Times that a question may ask for, shape (q,)."""
    array = np.atleast_1d(numbers(values, name))
    if array.ndim != 1 or not (np.isfinite(array) & (array >= 0)).all():
        raise InvalidInputError(f"{name} must be finite and not negative; got {values!r:.80}.")
    return array


def share_of(p: float) -> float:
    """A share strictly between 0 and 1."""
    if not isinstance(p, int | float | np.floating) or not 0 < p < 1:
        raise InvalidInputError(f"p must be a share between 0 and 1; got {p!r}.")
    return float(p)


def slopes(curve: PooledCurve, time: FloatArray) -> FloatArray:
    """Slopes of survival at the times in the cumulative hazards of the estimates, shape (q, m)."""
    return curve_band.survival_slope(curve.time_months, curve.survival_at_times, time, curve.interpolation)


def area_slopes(curve: PooledCurve, horizon: FloatArray) -> FloatArray:
    """The same of the restricted means."""
    knots = curve.time_months, curve.survival_at_times
    return np.stack([curve_band.area_slope(*knots, float(h), curve.interpolation) for h in horizon])


def confidence_factor(curve: PooledCurve, level: float, *, simultaneous: bool = False) -> float:
    """Critical value, of one time or of all together."""
    if not simultaneous:
        return float(critical_value(curve.df, level))
    return curve_band.simultaneous_factor(
        curve.time_months,
        curve.survival_at_times,
        curve.log_covariance,
        df=curve.df,
        level=level,
        between=curve.interpolation,
    )


def prediction_factor(curve: PooledCurve, level: float) -> float:
    """Critical value of a prediction; nan without degrees of freedom."""
    return float(critical_value(curve.prediction_df, level))


def standard_error(slope: FloatArray, covariance: FloatArray) -> FloatArray:
    """Of each row of slopes, shape (q,); nan only where an entry that counts is."""
    counts = np.nan_to_num(slope) != 0
    known = ~(counts @ np.isnan(np.diag(covariance)))
    plain = np.nan_to_num(covariance)
    variance = ((slope @ plain) * slope).sum(axis=-1)
    return np.where(known, np.sqrt(np.maximum(variance, 0.0)), np.nan)


def band(
    curve: PooledCurve, time: FloatArray, covariance: FloatArray, factor: float, scale: Measure
) -> Limits:
    """Limits of survival at times, symmetric on the scale; `covariance` is that of log survival at the estimates."""
    survival = curve_band.survival_at(curve.time_months, curve.survival_at_times, time, curve.interpolation)
    s = np.where((survival > 0) & (survival < 1), survival, np.nan)
    half = factor * standard_error(slopes(curve, time), covariance) * np.abs(scale.derivative(s))
    centre = scale.to_scale(s)
    ends = np.stack([scale.from_scale(centre - half), scale.from_scale(centre + half)])
    ends = np.where(time == 0, 1.0, np.clip(ends, 0.0, 1.0))
    return Limits(ends.min(axis=0), ends.max(axis=0))


def crossing(curve: PooledCurve, p: float, covariance: FloatArray, factor: float, scale: Measure) -> Interval:
    """First times at which the lower and the upper limit of survival are 1 - p or less.

    Where a limit is not until it ends, it is the last time of the limits for the lower one, and infinite for the upper.
    """
    edges = np.concatenate([[0.0], curve.time_months])
    shares = np.arange(_STEPS) / _STEPS
    time = np.append((edges[:-1, None] + np.diff(edges)[:, None] * shares).ravel(), edges[-1])
    limits = band(curve, time, covariance, factor, scale)
    known = np.isfinite(limits.lower)
    if known.sum() < 2:  # time 0 alone
        return Interval(math.nan, math.nan)

    def limit(at: FloatArray, side: int) -> FloatArray:
        return band(curve, at, covariance, factor, scale)[side]

    found = [_first(time[known], limits[side][known], 1.0 - p, limit, side) for side in (0, 1)]
    return Interval(min(found[0], float(time[known][-1])), found[1])


def _first(
    time: FloatArray,
    values: FloatArray,
    level: float,
    limit: Callable[[FloatArray, int], FloatArray],
    side: int,
) -> float:
    """First time at which the limit is at the level or below, on ever finer grids; infinite for never."""
    for _ in range(_REFINEMENTS):
        below = np.flatnonzero(values <= level)
        if not below.size:
            return math.inf
        j = int(below[0])  # not 0: at time 0 it is 1
        time = np.linspace(time[j - 1], time[j], 2 * _STEPS + 1)
        values = np.concatenate([[values[j - 1]], limit(time[1:-1], side), [values[j]]])
    return float(time[np.flatnonzero(values <= level)[0]])


def rmst_limits(curve: PooledCurve, horizon_months: float, covariance: FloatArray, factor: float) -> Interval:
    """Limits of the restricted mean, symmetric on the logit of its share of the horizon."""
    horizon = times_of(horizon_months, "horizon_months")
    if horizon.size != 1 or horizon[0] <= 0:
        raise InvalidInputError(f"horizon_months must be one positive time; got {horizon_months!r}.")
    h = float(horizon[0])
    share = curve.rmst(h) / h
    se = float(standard_error(area_slopes(curve, horizon), covariance)[0]) / h
    if not 0 < share < 1:  # nan after the last time
        return Interval(math.nan, math.nan)
    centre, half = float(logit(share)), factor * se / (share * (1.0 - share))
    return Interval(h * float(expit(centre - half)), h * float(expit(centre + half)))
