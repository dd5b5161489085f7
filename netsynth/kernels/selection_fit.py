"""Fitting selection models by maximum likelihood: one set of studies, many starts at once.

Data are taken in units of a typical standard error, so that scales of parameters are known beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.heterogeneity import weighted_mean
from netsynth.kernels.intervals import Limits
from netsynth.kernels.selection import (
    Alternative,
    Likelihood,
    Segments,
    SmoothWeight,
    smooth_likelihood,
    step_likelihood,
)
from netsynth.kernels.tau2 import TAU2_ESTIMATORS

_MAX_ITERATIONS: Final = 200
_MAX_HALVINGS: Final = 40
#: Gain in log-likelihood, relative to its size, that one more Newton step promises where it is left undone:
#: the parameters are then within 1e-8 of their standard errors.
_GAIN: Final = 1e-17
#: Rounding of a log-likelihood relative to its size: smaller falls are not falls.
_ROUNDING: Final = 1e-13
#: Weights above this, or below its inverse, are at an end of their range as far as data can tell.
LARGEST_WEIGHT: Final = 1e4
#: Steps from the maximum beyond which the end of a profile interval counts as infinite.
_FARTHEST: Final = 5000.0
#: Longest step in the mean (in units of the spread), in ln(1 + tau2) and in a parameter of the weights.
_LONGEST: Final = (2.0, 2.0, 4.0)

#: Log-likelihood of parameters, shape (..., p): the mean, tau2, and those of the weights.
_Objective: TypeAlias = Callable[[FloatArray], Likelihood]


class Maximum(NamedTuple):
    """The highest maximum found from several starts: parameters (p,), what is there, and whether it was reached."""

    parameter: FloatArray
    value: float
    gradient: FloatArray
    hessian: FloatArray
    converged: bool


def maximise(
    objective: _Objective, starts: FloatArray, *, lower: FloatArray, free: BoolArray, spread: float
) -> Maximum:
    """The highest maximum over the free parameters that is reached from any start, bounds included.

    Newton's method with the step halved until the likelihood does not fall. In directions in which the
    likelihood bends upwards the step is turned round, so that it always climbs. tau2 is moved as ln(1 + tau2),
    because the data should be in units of about their standard errors.

    Parameters
    ----------
    objective : _Objective
    starts : ndarray, shape (n, p)
        Parameters: mean, tau2, and those of the weights.
    lower : ndarray, shape (p,)
        Bounds, that of tau2 being 0.
    free : ndarray of bool, shape (p,)
        Which parameters are estimated.
    spread : float
        By how much effects differ: it limits a step of the mean.

    Returns
    -------
    Maximum
    """
    p = starts.shape[1]
    longest = np.array([_LONGEST[0] * spread, _LONGEST[1], *[_LONGEST[2]] * (p - 2)])
    x = np.array(starts, dtype=np.float64)
    x[:, 1] = np.log1p(x[:, 1])
    here = _on_log_scale(objective, x)
    kept = np.isfinite(here.value)
    x, here = x[kept], Likelihood(*(part[kept] for part in here))
    moving, arrived = np.ones(len(x), dtype=np.bool_), np.zeros(len(x), dtype=np.bool_)
    for _ in range(_MAX_ITERATIONS):
        rows = np.flatnonzero(moving)
        at = Likelihood(*(part[rows] for part in here))
        step, gain = _ascent(at, free & ((x[rows] > lower) | (at.gradient > 0)), longest)
        near = gain <= _GAIN * (1.0 + np.abs(at.value))
        arrived[rows[near]], moving[rows[near]] = True, False
        rows, step = rows[~near], step[~near]
        if not rows.size:
            break
        stuck = _advance(objective, x, here, rows, step, lower)
        moving[stuck] = False
    best = int(np.argmax(here.value))
    # a maximum reached from several starts is counted as reached if any of them says so
    equal = here.value >= here.value[best] - 1e-9 * (1.0 + abs(here.value[best]))
    if (equal & arrived).any():
        best = int(np.flatnonzero(equal & arrived)[np.argmax(here.value[equal & arrived])])
    parameter = x[best].copy()
    parameter[1] = np.expm1(parameter[1])
    found = objective(parameter)
    return Maximum(parameter, float(found.value), found.gradient, found.hessian, bool(arrived[best]))


def _on_log_scale(objective: _Objective, x: FloatArray) -> Likelihood:
    """The likelihood as a function of ln(1 + tau2) in place of tau2."""
    natural = x.copy()
    natural[..., 1] = np.expm1(x[..., 1])
    value, gradient, hessian = objective(natural)
    slope = np.ones_like(x)
    slope[..., 1] = np.exp(x[..., 1])
    turned = hessian * slope[..., None] * slope[..., None, :]
    turned[..., 1, 1] += gradient[..., 1] * slope[..., 1]
    return Likelihood(value, gradient * slope, turned)


def _ascent(at: Likelihood, movable: BoolArray, longest: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Newton's step with every curvature taken as downwards, and the gain that it promises."""
    scale = np.sqrt(np.abs(np.diagonal(at.hessian, axis1=-2, axis2=-1)))
    scale = np.where(movable & (scale > 1e-150), scale, 1.0)
    gradient = np.where(movable, at.gradient, 0.0) / scale
    both = movable[..., None] & movable[..., None, :]
    curvature = np.where(both, -at.hessian, np.eye(scale.shape[-1])) / (
        scale[..., None] * scale[..., None, :]
    )
    bend, direction = np.linalg.eigh(curvature)
    along = np.einsum("nij,ni->nj", direction, gradient) / np.maximum(np.abs(bend), 1e-13)
    step = np.where(movable, np.einsum("nij,nj->ni", direction, along) / scale, 0.0)
    gain = 0.5 * (step * at.gradient).sum(-1)
    shrink = np.minimum(1.0, (longest / np.maximum(np.abs(step), 1e-300)).min(-1))
    return step * shrink[:, None], gain


def _advance(
    objective: _Objective,
    x: FloatArray,
    here: Likelihood,
    rows: IntArray,
    step: FloatArray,
    lower: FloatArray,
) -> IntArray:
    """Move each row along its step, halved until the likelihood does not fall; hands back those that cannot."""
    for _ in range(_MAX_HALVINGS):
        trial = np.maximum(x[rows] + step, lower)
        new = _on_log_scale(objective, trial)
        with np.errstate(invalid="ignore"):
            good = new.value >= here.value[rows] - _ROUNDING * (1.0 + np.abs(here.value[rows]))
        taken = rows[good]
        x[taken] = trial[good]
        for whole, part in zip(here, new, strict=True):
            whole[taken] = part[good]
        rows, step = rows[~good], 0.5 * step[~good]
        if not rows.size:
            break
    return rows


def covariance(maximum: Maximum, inner: BoolArray) -> FloatArray:
    """Inverse of the observed information of the parameters marked as `inner`, shape (p, p).

    nan for the others, and everywhere if the likelihood is not bent downwards in all directions.
    """
    at = np.flatnonzero(inner)
    result = np.full(maximum.hessian.shape, np.nan)
    if not at.size:
        return result
    information = -maximum.hessian[np.ix_(at, at)]
    scale = np.sqrt(np.maximum(np.diagonal(information), 1e-300))
    bend, direction = np.linalg.eigh(information / np.outer(scale, scale))
    if np.isfinite(bend).all() and bend[0] > 1e-11:
        result[np.ix_(at, at)] = (direction / bend) @ direction.T / np.outer(scale, scale)
    return result


class SelectionFit(NamedTuple):
    """A fitted selection model.

    `weight` holds the weights of the intervals, shape (J,), or the parameters of a smooth weight, (q,).
    `covariance` is that of mean, tau2 and weights, nan for what is given or on its bound.
    """

    mean: float
    tau2: float
    weight: FloatArray
    covariance: FloatArray
    log_likelihood: float
    converged: bool


def fit_steps(
    estimate: FloatArray,
    variance: FloatArray,
    interval: IntArray,
    cuts: Segments,
    weight: FloatArray,
    *,
    common: bool,
    mean: float | None = None,
) -> SelectionFit:
    """Fit a step function.

    Parameters
    ----------
    estimate, variance : ndarray, shape (k,)
    interval : ndarray of int, shape (k,)
        Interval of each study's p-value.
    cuts : Segments
    weight : ndarray, shape (J,)
        Weights of the intervals, nan for those to be estimated.
    common : bool
        Whether tau2 is held at 0.
    mean : float, optional
        Where to hold the mean, for a profile.

    Returns
    -------
    SelectionFit
    """
    given = ~np.isnan(weight)
    with np.errstate(divide="ignore"):
        log_weight = np.log(np.where(given, weight, 1.0))
    levels = (0.0,) if given.all() else (0.0, -2.0, 2.0)
    starts = np.stack([np.where(given, log_weight, level) for level in levels])

    def objective(y: FloatArray, v: FloatArray) -> _Objective:
        return partial(step_likelihood, y, v, interval, cuts)

    lower = np.full(weight.size, -np.inf)
    end = np.full(weight.size, np.log(LARGEST_WEIGHT))
    found = _fit(estimate, variance, objective, starts, lower, (-end, end), ~given, common=common, mean=mean)
    of_weight = np.exp(found.weight)
    slope = np.concatenate([[1.0, 1.0], of_weight])
    return found._replace(weight=of_weight, covariance=found.covariance * np.outer(slope, slope))


def fit_smooth(
    estimate: FloatArray,
    variance: FloatArray,
    form: SmoothWeight,
    alternative: Alternative,
    *,
    common: bool,
    mean: float | None = None,
) -> SelectionFit:
    """Fit a smooth weight of the one-sided p-value; parameters and result as in `fit_steps`."""
    if form == "beta":
        starts = np.array([[1.0, 1.0], [0.7, 2.0], [0.9, 1.2], [2.0, 1.0]])
    else:
        starts = np.array([[0.0], [1.0], [4.0]])

    def objective(y: FloatArray, v: FloatArray) -> _Objective:
        return partial(smooth_likelihood, y, v, form, alternative)

    q = starts.shape[1]
    lower, free = np.zeros(q), np.ones(q, dtype=np.bool_)
    within = (lower, np.full(q, np.inf))
    return _fit(estimate, variance, objective, starts, lower, within, free, common=common, mean=mean)


def _fit(
    estimate: FloatArray,
    variance: FloatArray,
    objective_of: Callable[[FloatArray, FloatArray], _Objective],
    weights: FloatArray,
    lower: FloatArray,
    within: tuple[FloatArray, FloatArray],
    free: BoolArray,
    *,
    common: bool,
    mean: float | None,
) -> SelectionFit:
    """Climb from a grid of means and tau2 crossed with the starting `weights`, shape (n, q).

    `lower` bounds the parameters of the weights; those not `within` two ends have no standard error.
    """
    unit = float(np.sqrt(np.median(variance)))
    y, v = estimate / unit, variance / unit**2
    tau2 = float(np.asarray(TAU2_ESTIMATORS["DL"](y, v).tau2))
    centre = float(weighted_mean(y, v + tau2).mean)
    spread = float(np.sqrt(1.0 + tau2))
    means = (
        centre + spread * np.array([0.0, -1.5, 1.5, -4.0, 4.0]) if mean is None else np.array([mean / unit])
    )
    spreads = np.array([0.0]) if common else np.array([tau2, 0.0, 1.0 + 4.0 * tau2])
    grid = np.array([[m, t, *w] for m in means for t in spreads for w in weights])
    lower = np.concatenate([[-np.inf, 0.0], lower])
    free = np.concatenate([[mean is None, not common], free])
    top = maximise(objective_of(y, v), grid, lower=lower, free=free, spread=spread)
    low, high = (
        np.concatenate([first, end])
        for first, end in zip(([-np.inf, 0.0], [np.inf] * 2), within, strict=True)
    )
    inner = free & (top.parameter > low) & (top.parameter < high)
    scale = np.array([unit, unit**2, *[1.0] * lower[2:].size])
    return SelectionFit(
        float(top.parameter[0]) * unit,
        float(top.parameter[1]) * unit**2,
        top.parameter[2:],
        covariance(top, inner) * np.outer(scale, scale),
        top.value - y.size * float(np.log(unit)),
        top.converged,
    )


def profile_limits(
    height: Callable[[float], float], centre: float, top: float, drop: float, step: float
) -> Limits:
    """Where a profile likelihood, `top` at `centre`, has fallen by `drop`; infinite where it does not.

    Looked for in steps that double, up to some thousand times the first.
    """
    from scipy.optimize import brentq

    def distance(mean: float) -> float:
        return height(mean) - (top - drop)

    ends = []
    for direction in (-1.0, 1.0):
        near, far = centre, centre + direction * step
        while distance(far) > 0:
            near, far = far, far + 2.0 * (far - centre)
            if abs(far - centre) > _FARTHEST * step:
                far = direction * np.inf
                break
        ends.append(far if np.isinf(far) else float(brentq(distance, near, far, xtol=1e-8 * step)))
    return Limits(*map(np.asarray, ends))
