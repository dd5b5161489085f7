"""What the printed figures of the studies alone leave possible of their average curve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray, Interval
from netsynth.kernels import pooled_bounds as kernel
from netsynth.kernels.bounds import envelope
from netsynth.kernels.intervals import Limits
from netsynth.kernels.pooled_bounds import Mixture
from netsynth.results import pooled_curve_intervals as answers

if TYPE_CHECKING:
    from netsynth.results.pooled_curve import PooledCurve

#: Methods that pool what reports print: their study curves are printed figures.
PRINTED: Final = ("summary", "multivariate")
#: Methods whose studies tell survival at every time.
WHOLE: Final = ("stratified", "cox", "parametric")


def why_none(curve: PooledCurve) -> str:
    """Why there are no limits, in words; empty where there are."""
    if curve.method not in PRINTED:
        return (
            f"method {curve.method!r} takes patients or reconstructions, whose curves are no printed figures"
        )
    if not curve.study_curves:
        return "no figures of the studies are held"
    return ""


class Average(NamedTuple):
    """Whose average the limits are of: a name, and more of it."""

    name: str
    whom: str


def average_of(curve: PooledCurve) -> Average:
    """Patients, or studies where the size of one is not known."""
    studies = _format.plural(len(curve.study_curves), "study", "studies")
    if math.isnan(curve.n_total):
        return Average("all studies", f"{studies}, each of the same weight")
    return Average("all patients", f"{curve.n_total:.0f} patients of {studies}")


def _mixture(curve: PooledCurve) -> Mixture:
    weight = np.array([study.n_total for study in curve.study_curves])
    if np.isnan(weight).any():
        weight = np.ones_like(weight)
    points = [
        envelope(_on_grid(curve, study.time_months), study.survival, study.survival)
        for study in curve.study_curves
    ]
    return kernel.mixture(points, weight / weight.sum())


def _on_grid(curve: PooledCurve, time: FloatArray) -> FloatArray:
    """Times that differ from one of the curve by rounding only are that one."""
    near = curve.time_months[np.minimum(curve.place_of(time), curve.time_months.size - 1)]
    return np.where(np.abs(near - time) <= 1e-9 * time, near, time)


def survival_limits(curve: PooledCurve, time: FloatArray) -> Limits:
    """Limits of the average at times of shape (q,)."""
    if why_none(curve):
        return Limits(np.full(time.shape, math.nan), np.full(time.shape, math.nan))
    return kernel.mixture_survival(_mixture(curve), time)


def rmst_limits(curve: PooledCurve, horizon_months: float) -> Interval:
    """Limits of the area under it."""
    horizon = answers.times_of(horizon_months, "horizon_months")
    if why_none(curve):
        return Interval(math.nan, math.nan)
    lower, upper = kernel.mixture_rmst(_mixture(curve), horizon)
    return Interval(float(lower[0]), float(upper[0]))


def median_limits(curve: PooledCurve) -> Interval:
    """Limits of the time at which it is one half."""
    if why_none(curve):
        return Interval(math.nan, math.nan)
    lower, upper = kernel.mixture_quantile(_mixture(curve), 0.5)
    return Interval(float(lower), float(upper))
