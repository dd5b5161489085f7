"""Confidence limits of a reconstructed curve at any time, of its median, and of its restricted mean."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.special import expit, logit

from netsynth._typing import FloatArray, Interval
from netsynth.kernels.curves import Curve
from netsynth.kernels.intervals import Limits, critical_value
from netsynth.kernels.reconstruction import (
    Built,
    Member,
    members,
    model_variance,
    moved,
    sampling_variance,
)
from netsynth.kernels.scales import Measure

if TYPE_CHECKING:
    from netsynth.results.curve import SurvivalCurve

#: Times at which limits of survival are searched for one half: up to the last figure, and with a tail to so many
#: times it.
_GRID: Final = 400
_TAIL: Final = np.geomspace(1.01, 30.0, 200)


class Around(NamedTuple):
    """Curves around a curve: from moved figures, and from other families."""

    moved: list[Curve]
    members: list[Member]


@lru_cache(maxsize=16)  # several questions are put to one curve, and the answer to all takes the same fits
def around(curve: SurvivalCurve) -> Around:
    """The curves that figures a little different, and other families, would have given in place of one."""
    made = Built(curve.curve, curve.fits), curve.method, curve.tail, curve.figures
    with np.errstate(invalid="ignore"):
        return Around(moved(*made), members(*made))


def survival_limits(curve: SurvivalCurve, time: FloatArray, level: float, scale: Measure) -> Limits:
    """Pointwise limits of survival, shape (q,), symmetric on the scale; nan where survival is 0 or 1 but at time 0."""

    def question(one: Curve) -> FloatArray:
        s = np.exp(-one.cumulative_hazard(time))
        inside = np.where((s > 0) & (s < 1), s, np.nan)
        return np.asarray(scale.to_scale(inside))

    centre, half = _half_width(curve, question, level)
    ends = np.stack([scale.from_scale(centre - half), scale.from_scale(centre + half)])
    ends = np.where(time == 0, 1.0, np.clip(ends, 0.0, 1.0))
    return Limits(ends.min(axis=0), ends.max(axis=0))


def rmst_limits(curve: SurvivalCurve, horizon: FloatArray, level: float) -> Limits:
    """Limits of the restricted mean, shape (q,), symmetric on the logit of its share of the horizon."""

    def question(one: Curve) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(logit(one.area(horizon) / horizon))

    centre, half = _half_width(curve, question, level)
    return Limits(horizon * expit(centre - half), horizon * expit(centre + half))


def median_limits(curve: SurvivalCurve, level: float, scale: Measure) -> Interval:
    """Times between which the limits of survival enclose one half; the upper one may be infinite.

    Survival never rises, so what limits it at one time limits it at all times before, or after.
    """
    last = curve.last_months
    time = np.union1d(np.linspace(0.0, last, _GRID + 1), curve.figures.fragments.time)
    time = time[time <= last]
    if curve.tail is not None:
        time = np.concatenate([time, last * _TAIL])
    lower, upper = survival_limits(curve, time, level, scale)
    known = ~np.isnan(lower)
    if known.sum() < 2:  # time 0 alone
        return Interval(np.nan, np.nan)
    time, lower, upper = time[known], lower[known], upper[known]
    lower, upper = np.maximum.accumulate(lower[::-1])[::-1], np.minimum.accumulate(upper)
    start = _crossing(time, lower)
    return Interval(float(time[-1]) if start == np.inf else start, _crossing(time, upper))


def _crossing(time: FloatArray, survival: FloatArray) -> float:
    """First time at which survival is one half or less, between the times of the grid; infinite for never."""
    below = np.flatnonzero(survival <= 0.5)
    if not below.size:
        return np.inf
    j = int(below[0])
    if j == 0:
        return float(time[0])
    share = (survival[j - 1] - 0.5) / (survival[j - 1] - survival[j])
    return float(time[j - 1] + share * (time[j] - time[j - 1]))


def _half_width(
    curve: SurvivalCurve, question: Callable[[Curve], FloatArray], level: float
) -> tuple[FloatArray, FloatArray]:
    """The answer of the curve on the scale of the question, and half the width of its interval."""
    found = around(curve)
    with np.errstate(invalid="ignore"):
        centre = question(curve.curve)
        variance = sampling_variance(found.moved, question) + model_variance(found.members, centre, question)
    return centre, critical_value(np.inf, level) * np.sqrt(variance)
