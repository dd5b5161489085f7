"""Fitting selection models by maximum likelihood: many sets of studies from many starts at once.

Data are taken in units of a typical standard error, so that scales of parameters are known beforehand. They have
shape (..., k), with any number of sets on the leading axes; a study that a set lacks has infinite variance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.ascent import first_crossing
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

#: Numbers in one temporary array of the search.
_CHUNK: Final = 1 << 19

#: From parameters, shape (n, p), the mean, tau2 and those of the weights, and the set of each row, (n,), to the
#: log-likelihood.
_Objective: TypeAlias = Callable[[FloatArray, IntArray], Likelihood]


class Maximum(NamedTuple):
    """The highest maximum of each set: parameters (s, p), what is there, and whether it was reached, (s,)."""

    parameter: FloatArray
    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray
    converged: BoolArray


def maximise(
    objective: _Objective, starts: FloatArray, *, lower: FloatArray, free: BoolArray, spread: FloatArray
) -> Maximum:
    """The highest maximum over the free parameters that is reached from any start, bounds included.

    Newton's method with the step halved until the likelihood does not fall. In directions in which the
    likelihood bends upwards the step is turned round, so that it always climbs. tau2 is moved as ln(1 + tau2),
    because the data should be in units of about their standard errors.

    Parameters
    ----------
    objective : _Objective
    starts : ndarray, shape (s, n, p)
        For each set, parameters: mean, tau2, and those of the weights.
    lower : ndarray, shape (p,)
        Bounds, that of tau2 being 0.
    free : ndarray of bool, shape (s, p)
        Which parameters are estimated.
    spread : ndarray, shape (s,)
        By how much effects differ: it limits a step of the mean.

    Returns
    -------
    Maximum
    """
    n_sets, n_starts, p = starts.shape
    which = np.repeat(np.arange(n_sets), n_starts)
    longest = np.empty((n_sets, p))
    longest[:, 0], longest[:, 1], longest[:, 2:] = _LONGEST[0] * spread, _LONGEST[1], _LONGEST[2]
    x = starts.reshape(-1, p).copy()
    x[:, 1] = np.log1p(x[:, 1])
    here = _on_log_scale(objective, x, which)
    # a start at which the likelihood is not a number is no start
    moving, arrived = np.isfinite(here.value), np.zeros(which.size, dtype=np.bool_)
    here.value[~moving] = -np.inf
    for _ in range(_MAX_ITERATIONS):
        rows = np.flatnonzero(moving)
        at = Likelihood(*(part[rows] for part in here))
        movable = free[which[rows]] & ((x[rows] > lower) | (at.gradient > 0))
        step, gain = _ascent(at, movable, longest[which[rows]])
        near = gain <= _GAIN * (1.0 + np.abs(at.value))
        arrived[rows[near]], moving[rows[near]] = True, False
        rows, step = rows[~near], step[~near]
        if not rows.size:
            break
        stuck = _advance(objective, x, which, here, rows, step, lower)
        moving[stuck] = False
    top = here.value.reshape(n_sets, n_starts).max(1)[which]
    # a maximum reached from several starts is counted as reached if any of them says so
    reached = arrived & (here.value >= top - 1e-9 * (1.0 + np.abs(top)))
    best = np.lexsort((-here.value, ~reached, which))[::n_starts]
    parameter = x[best]
    parameter[:, 1] = np.expm1(parameter[:, 1])
    return Maximum(parameter, *objective(parameter, np.arange(n_sets)), arrived[best])


def _on_log_scale(objective: _Objective, x: FloatArray, which: IntArray) -> Likelihood:
    """The likelihood as a function of ln(1 + tau2) in place of tau2."""
    natural = x.copy()
    natural[..., 1] = np.expm1(x[..., 1])
    value, gradient, hessian = objective(natural, which)
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
    which: IntArray,
    here: Likelihood,
    rows: IntArray,
    step: FloatArray,
    lower: FloatArray,
) -> IntArray:
    """Move each row along its step, halved until the likelihood does not fall; hands back those that cannot."""
    for _ in range(_MAX_HALVINGS):
        trial = np.maximum(x[rows] + step, lower)
        new = _on_log_scale(objective, trial, which[rows])
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
    """Inverse of the observed information of the parameters marked as `inner`, (s, p); shape (s, p, p).

    nan for the others, and everywhere if the likelihood is not bent downwards in all directions.
    """
    both = inner[:, :, None] & inner[:, None, :]
    information = np.where(both, -maximum.hessian, np.eye(inner.shape[1]))
    finite = np.asarray(np.isfinite(information).all((-2, -1)))
    information = np.where(finite[:, None, None], information, np.eye(inner.shape[1]))
    scale = np.sqrt(np.maximum(np.diagonal(information, axis1=-2, axis2=-1), 1e-300))
    scales = scale[:, :, None] * scale[:, None, :]
    bend, direction = np.linalg.eigh(information / scales)
    sound = finite & (bend[:, 0] > 1e-11)
    inverse = (direction / np.where(sound[:, None], bend, 1.0)[:, None, :]) @ np.swapaxes(direction, -2, -1)
    return np.where(both & sound[:, None, None], inverse / scales, np.nan)


class SelectionFit(NamedTuple):
    """Fitted selection models.

    `weight` holds the weights of the intervals, shape (..., J), or the parameters of a smooth weight, (..., q).
    `covariance` is that of mean, tau2 and weights, nan for what is given or on its bound. The rest has shape (...).
    """

    mean: FloatArray
    tau2: FloatArray
    weight: FloatArray
    covariance: FloatArray
    log_likelihood: FloatArray
    converged: BoolArray


def fit_steps(
    estimate: FloatArray,
    variance: FloatArray,
    interval: IntArray,
    cuts: Segments,
    weight: FloatArray,
    *,
    common: bool,
    mean: FloatArray | float | None = None,
) -> SelectionFit:
    """Fit a step function.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    interval : ndarray of int, shape (..., k)
        Interval of each study's p-value.
    cuts : Segments
    weight : ndarray, shape (..., J)
        Weights of the intervals, nan for those to be estimated.
    common : bool
        Whether tau2 is held at 0.
    mean : float or ndarray, shape (...), optional
        Where to hold the mean, for a profile.

    Returns
    -------
    SelectionFit
    """
    given = ~np.isnan(weight)
    with np.errstate(divide="ignore"):
        log_weight = np.log(np.where(given, weight, 1.0))
    levels = (0.0,) if given.all() else (0.0, -2.0, 2.0)
    starts = np.stack([np.where(given, log_weight, level) for level in levels], axis=-2)
    lead = np.broadcast_shapes(_lead(estimate, variance, mean), interval.shape[:-1], weight.shape[:-1])
    of_study = np.broadcast_to(interval, (*lead, interval.shape[-1])).reshape(-1, interval.shape[-1])

    def likelihood(y: FloatArray, v: FloatArray, parameter: FloatArray, sets: IntArray) -> Likelihood:
        return step_likelihood(y, v, of_study[sets], cuts, parameter)

    lower, end = np.full(weight.shape[-1], -np.inf), np.full(weight.shape[-1], np.log(LARGEST_WEIGHT))
    found = _fit(
        estimate,
        variance,
        likelihood,
        starts,
        lower,
        (-end, end),
        ~given,
        lead=lead,
        common=common,
        mean=mean,
    )
    with np.errstate(over="ignore"):  # a weight without end is infinite
        of_weight = np.exp(found.weight)
    slope = np.concatenate([np.ones((*lead, 2)), of_weight], axis=-1)
    error = found.covariance * slope[..., :, None] * slope[..., None, :]
    return found._replace(weight=of_weight, covariance=error)


def fit_smooth(
    estimate: FloatArray,
    variance: FloatArray,
    form: SmoothWeight,
    alternative: Alternative,
    *,
    common: bool,
    mean: FloatArray | float | None = None,
) -> SelectionFit:
    """Fit a smooth weight of the one-sided p-value; parameters and result as in `fit_steps`."""
    if form == "beta":
        starts = np.array([[1.0, 1.0], [0.7, 2.0], [0.9, 1.2], [2.0, 1.0]])
    else:
        starts = np.array([[0.0], [1.0], [4.0]])

    def likelihood(y: FloatArray, v: FloatArray, parameter: FloatArray, sets: IntArray) -> Likelihood:  # noqa: ARG001
        return smooth_likelihood(y, v, form, alternative, parameter)

    q, lead = starts.shape[1], _lead(estimate, variance, mean)
    lower, free = np.zeros(q), np.ones(q, dtype=np.bool_)
    within = (lower, np.full(q, np.inf))
    return _fit(
        estimate, variance, likelihood, starts, lower, within, free, lead=lead, common=common, mean=mean
    )


def _lead(estimate: FloatArray, variance: FloatArray, mean: FloatArray | float | None) -> tuple[int, ...]:
    """Leading axes of the sets."""
    return np.broadcast_shapes(estimate.shape[:-1], variance.shape[:-1], np.asarray(mean).shape)


def _fit(
    estimate: FloatArray,
    variance: FloatArray,
    likelihood: Callable[[FloatArray, FloatArray, FloatArray, IntArray], Likelihood],
    weights: FloatArray,
    lower: FloatArray,
    within: tuple[FloatArray, FloatArray],
    free: BoolArray,
    *,
    lead: tuple[int, ...],
    common: bool,
    mean: FloatArray | float | None,
) -> SelectionFit:
    """Climb from a grid of means and tau2 crossed with the starting `weights`, shape (..., n, q).

    `likelihood` is given effects and variances in their units, a row for each of the parameters, and the set of
    each. `lower` bounds the parameters of the weights; those not `within` two ends have no standard error.
    """

    def flat(part: FloatArray, *own: int) -> FloatArray:
        return np.broadcast_to(part, (*lead, *own)).reshape(-1, *own)

    k, (n_weights, q) = estimate.shape[-1], weights.shape[-2:]
    y, v, weights = flat(estimate, k), flat(variance, k), flat(weights, n_weights, q)
    present = np.isfinite(v)
    unit = np.sqrt(np.nanmedian(np.where(present, v, np.nan), axis=-1))
    y, v = y / unit[:, None], v / unit[:, None] ** 2
    tau2 = np.asarray(TAU2_ESTIMATORS["DL"](y, v).tau2)
    centre, spread = weighted_mean(y, v + tau2[:, None]).mean, np.sqrt(1.0 + tau2)
    if mean is None:
        means = centre[:, None] + spread[:, None] * np.array([0.0, -1.5, 1.5, -4.0, 4.0])
    else:
        means = (flat(np.asarray(mean, dtype=np.float64)) / unit)[:, None]
    spreads = np.zeros((tau2.size, 1)) if common else np.stack([tau2, 0.0 * tau2, 1.0 + 4.0 * tau2], axis=1)
    grid = np.empty((tau2.size, means.shape[1], spreads.shape[1], n_weights, 2 + q))
    grid[..., 0] = means[:, :, None, None]
    grid[..., 1] = spreads[:, None, :, None]
    grid[..., 2:] = weights[:, None, None, :, :]
    starts = grid.reshape(tau2.size, -1, 2 + q)
    lower = np.concatenate([[-np.inf, 0.0], lower])
    is_free = np.empty((tau2.size, 2 + q), dtype=np.bool_)
    is_free[:, 0], is_free[:, 1] = mean is None, not common
    is_free[:, 2:] = np.broadcast_to(free, (*lead, q)).reshape(-1, q)

    parts = []
    n_sets = max(1, _CHUNK // (starts.shape[1] * k * (2 + q) ** 2))
    for start in range(0, tau2.size, n_sets):
        rows = slice(start, start + n_sets)

        def objective(parameter: FloatArray, which: IntArray, start: int = start) -> Likelihood:
            sets = start + which
            return likelihood(y[sets], v[sets], parameter, sets)

        parts.append(maximise(objective, starts[rows], lower=lower, free=is_free[rows], spread=spread[rows]))
    top = Maximum(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    low, high = (
        np.concatenate([first, end])
        for first, end in zip(([-np.inf, 0.0], [np.inf] * 2), within, strict=True)
    )
    inner = is_free & (top.parameter > low) & (top.parameter < high)
    scale = np.ones((tau2.size, 2 + q))
    scale[:, 0], scale[:, 1] = unit, unit**2
    error = covariance(top, inner) * scale[:, :, None] * scale[:, None, :]
    parameter = top.parameter * scale
    return SelectionFit(
        parameter[:, 0].reshape(lead),
        parameter[:, 1].reshape(lead),
        parameter[:, 2:].reshape(*lead, q),
        error.reshape(*lead, 2 + q, 2 + q),
        (top.value - present.sum(-1) * np.log(unit)).reshape(lead),
        top.converged.reshape(lead),
    )


def profile_limits(
    height: Callable[[FloatArray, IntArray], FloatArray],
    centre: FloatArray,
    top: FloatArray,
    drop: float,
    step: FloatArray,
) -> Limits:
    """Where profile likelihoods, `top` at `centre`, have fallen by `drop`; infinite where they do not.

    Looked for in steps that double, up to some thousand times the first.

    Parameters
    ----------
    height : callable
        From means, shape (n,), and the set of each, to the likelihood with all else fitted.
    centre, top, step : ndarray, shape (...)
    drop : float

    Returns
    -------
    Limits
        Arrays of shape (...).
    """
    middle, highest, first = (part.ravel() for part in np.broadcast_arrays(centre, top, step))
    n = middle.size
    side = np.repeat([-1.0, 1.0], n)

    def fall(distance: FloatArray, rows: IntArray) -> FloatArray:
        sets = rows % n
        return highest[sets] - height(middle[sets] + side[rows] * distance, sets)

    width = np.tile(first, 2)
    found = first_crossing(fall, np.zeros(2 * n), width, drop, ceiling=_FARTHEST * width)
    ends = np.tile(middle, 2) + side * found
    return Limits(ends[:n].reshape(np.shape(centre)), ends[n:].reshape(np.shape(centre)))
