r"""The likelihood of tau2 with the coefficients profiled out, its highest maximum, and its constants.

With P as in `netsynth.kernels.regression` the derivatives of the log-likelihood of tau2 are

======  =======================================  ===================================
name    first                                    second
======  =======================================  ===================================
REML    :math:`(y'PPy - \mathrm{tr} P) / 2`      :math:`\mathrm{tr}(PP)/2 - y'PPPy`
ML      :math:`(y'PPy - \mathrm{tr} W) / 2`      :math:`\mathrm{tr}(WW)/2 - y'PPPy`
======  =======================================  ===================================

The first vanishes where the ratio of its trace to y'PPy is one. When the variances are equal that ratio is a straight
line in tau2, and it is close to one otherwise, so Newton's method is used on it and not on the derivative itself.

Shapes are those of `netsynth.kernels.tau2`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels.regression import Fit, MeanFit, Standard, along_sets, standardised

_MAX_ITERATIONS: Final = 200
#: Relative length of the step at which an iteration has arrived: Newton's squares the distance, a halving does not.
_NEWTON_STEP: Final = 1e-6
_HALVING_STEP: Final = 1e-13
#: Spacing in ln(v + tau2) of the grid on which maxima are looked for, and of that for sets whose ratio of the trace
#: to y'PPy does not only rise. As a function of ln(v + tau2) every term of the likelihood bends on a scale of 1 or
#: more, so that a maximum between two points of the grid is seen in the ratio at those points.
_GRID_STEP: Final = 0.7
_FINE_STEP: Final = 0.05
_RISING: Final = 1.0 - 1e-9
#: Numbers in one temporary array of the grid search: it bounds memory and keeps the arrays in cache.
_CHUNK: Final = 1 << 16


class Likelihood(NamedTuple):
    """A log-likelihood of tau2 up to a constant, and the traces in its first and second derivative, from a fit."""

    height: Callable[[Fit], FloatArray]
    trace: Callable[[Fit], FloatArray]
    trace_squared: Callable[[Fit], FloatArray]


class Maximum(NamedTuple):
    """Place of the highest maximum of each set, shape (...), whether it was reached, and in how many steps."""

    tau2: FloatArray
    converged: BoolArray
    n_iterations: int


class _End(NamedTuple):
    """An end of a bracket, and the ratio of the trace to y'PPy there."""

    tau2: FloatArray
    ratio: FloatArray


def _log_weights(fit: Fit) -> FloatArray:
    return np.asarray(np.log(np.where(fit.w > 0, fit.w, 1.0)).sum(-1))


def _ml_height(fit: Fit) -> FloatArray:
    return np.asarray(0.5 * (_log_weights(fit) - fit.q()))


def _ml_trace(fit: Fit) -> FloatArray:
    return np.asarray(fit.w.sum(-1))


def _ml_trace_squared(fit: Fit) -> FloatArray:
    return np.asarray((fit.w * fit.w).sum(-1))


def _reml_height(fit: Fit) -> FloatArray:
    return np.asarray(0.5 * (_log_weights(fit) - fit.log_determinant() - fit.q()))


def _reml_trace(fit: Fit) -> FloatArray:
    return fit.trace()


def _reml_trace_squared(fit: Fit) -> FloatArray:
    if not isinstance(fit, MeanFit):
        return fit.trace_squared()
    # it only steers Newton's step, so the plain sums will do, though they cancel where one weight rules
    square = fit.w * fit.w
    ratio = square.sum(-1) / fit.total
    return np.asarray(ratio * fit.total - 2.0 * (square * fit.w).sum(-1) / fit.total + ratio * ratio)


ML: Final = Likelihood(_ml_height, _ml_trace, _ml_trace_squared)
REML: Final = Likelihood(_reml_height, _reml_trace, _reml_trace_squared)


def highest(
    estimate: FloatArray, variance: FloatArray, design: FloatArray | None, likelihood: Likelihood
) -> Maximum:
    """Place of the highest maximum over tau2 >= 0 of each set of studies.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    design : ndarray, shape (..., k, p), or None
    likelihood : Likelihood

    Returns
    -------
    Maximum
        nan and not converged where no maximum is found, which takes an overflow or a collinear design.
    """
    whole = standardised(estimate, variance, design)
    sets, shape = _flat(whole)
    tau2, converged, n_iterations, steady = _search(sets, likelihood, _GRID_STEP)
    if not steady.all():
        again = np.flatnonzero(~steady)
        tau2[again], converged[again], more, _ = _search(_rows(sets, again), likelihood, _FINE_STEP)
        n_iterations = max(n_iterations, more)
    return Maximum(whole.unit * tau2.reshape(shape), converged.reshape(shape), n_iterations)


def _search(
    sets: Standard, likelihood: Likelihood, step: float
) -> tuple[FloatArray, BoolArray, int, BoolArray]:
    """Highest of the maxima that a grid shows, arrival, iterations; and whether trace / squared only rises on it."""
    n, k = sets.y.shape
    top = _reach(sets)
    n_cells = 1 + int(top.max(initial=0.0, where=np.isfinite(top)) / step)
    # the second point tells whether the ratio rises from the start
    share = np.concatenate([[0.0, 0.1], np.arange(1.0, n_cells + 1)]) / n_cells
    n_rows = max(1, _CHUNK // (share.size * (k if sets.design is None else k * k)))
    tau2 = np.full(n, np.nan)  # stays where no maximum is found
    converged, steady = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    n_iterations = 0
    for start in range(0, n, n_rows):
        part = slice(start, start + n_rows)
        few = _rows(sets, part)
        grid = np.expm1(np.multiply.outer(share, top[part]))
        fit = few.at(grid)
        squared, trace = fit.squared(), likelihood.trace(fit)
        falling = squared <= trace
        cell, row = np.nonzero((squared[:-1] > trace[:-1]) & falling[1:])
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            ratio = trace / squared
            steady[part] = (ratio[1:] > _RISING * ratio[:-1]).all(0)
        ends = (_End(grid[place, row], ratio[place, row]) for place in (cell, cell + 1))
        root, arrived, steps = _close_in(_rows(few, row), likelihood, *ends)
        at_zero = np.flatnonzero(falling[0])
        rows, places = np.concatenate([at_zero, row]), np.concatenate([np.zeros(at_zero.size), root])
        if rows.size > len(few.y):  # where a set has several maxima, the one written last is the highest
            order = np.argsort(likelihood.height(_rows(few, rows).at(places)))
            rows, places = rows[order], places[order]
        tau2[part][rows] = places
        converged[part][rows] = True
        converged[part][row[~arrived]] = False
        n_iterations = max(n_iterations, steps)
    return tau2, converged, n_iterations, steady


def _reach(sets: Standard) -> FloatArray:
    r"""Logarithm of a value of 1 + tau2 beyond which the likelihood falls, shape (...).

    The restricted one is that of k - p independent normals with variances :math:`l_j + \tau^2`, each :math:`l_j`
    between the smallest :math:`v_i`, which is 1, and the largest, L, whose squares add up to the unweighted sum of
    squares S. It falls where every square is below its variance, so from 1 + tau2 = S on, and where
    :math:`S / (1 + \tau^2)^2 < (k - p) / (L + \tau^2)`. The other one falls faster.
    """
    present = np.isfinite(sets.v)
    square, df = sets.weighted(present.astype(np.float64)).q(), np.maximum(sets.df, 1)
    per_df = square / df
    spread = sets.v.max(-1, initial=1.0, where=present) - 1.0
    nearer = 0.5 * (per_df + np.sqrt(per_df * (per_df + 4.0 * spread)))
    return np.asarray(np.log(1.01 * np.maximum(np.minimum(square, nearer), 1.0)))


def _flat(sets: Standard) -> tuple[Standard, tuple[int, ...]]:
    """One leading axis, and the shape that it had."""
    k = sets.y.shape[-1]
    if sets.design is None:
        shape = sets.unit.shape
        return Standard(sets.y.reshape(-1, k), sets.v.reshape(-1, k), sets.unit.reshape(-1), None), shape
    p = sets.design.shape[-1]
    shape = np.broadcast_shapes(sets.unit.shape, sets.design.shape[:-2])
    y, v = (np.broadcast_to(array, (*shape, k)).reshape(-1, k) for array in (sets.y, sets.v))
    design = np.broadcast_to(sets.design, (*shape, k, p)).reshape(-1, k, p)
    return Standard(y, v, np.broadcast_to(sets.unit, shape).reshape(-1), design), shape


def _rows(sets: Standard, index: Any) -> Standard:
    """Some of the sets."""
    design = None if sets.design is None else sets.design[index]
    return Standard(along_sets(sets.y[index]), along_sets(sets.v[index]), sets.unit[index], design)


def _close_in(
    sets: Standard,
    likelihood: Likelihood,
    lower_end: _End,
    upper_end: _End,
) -> tuple[FloatArray, BoolArray, int]:
    """Where trace / squared, below one at the lower end and not at the upper, is one: Newton, else bisection."""
    lower, upper = lower_end.tau2, upper_end.tau2
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        tau2 = lower + (upper - lower) * ((1.0 - lower_end.ratio) / (upper_end.ratio - lower_end.ratio))
        for iteration in range(1, _MAX_ITERATIONS + 1):
            fit = sets.at(tau2)
            squared, trace = fit.squared(), likelihood.trace(fit)
            rising = squared > trace
            lower, upper = np.where(rising, tau2, lower), np.where(rising, upper, tau2)
            # the slope of trace / squared times squared; where it has the wrong sign the step leads out
            slope = 2.0 * fit.cubed() * (trace / squared) - likelihood.trace_squared(fit)
            newton = tau2 + (squared - trace) / slope
            inside = (newton >= lower) & (newton <= upper)
            step = np.where(inside, newton, 0.5 * (lower + upper)) - tau2
            tau2 = tau2 + step
            arrived = np.abs(step) <= np.where(inside, _NEWTON_STEP, _HALVING_STEP) * (1.0 + tau2)
            if arrived.all() or iteration == _MAX_ITERATIONS:
                break
    return tau2, arrived, iteration


def log_likelihood(
    estimate: FloatArray,
    variance: FloatArray,
    tau2: FloatArray,
    design: FloatArray | None = None,
    *,
    restricted: bool,
) -> FloatArray:
    r"""Log-likelihood at tau2 and at the coefficients that are best for it, with every constant.

    ML: :math:`-\frac{k}{2} \ln 2\pi - \frac12 \sum \ln(v_i + \tau^2) - \frac12 Q`. REML, in which k becomes
    k - p, adds :math:`\frac12 \ln |X'X| - \frac12 \ln |X'WX|`, so that it does not depend on the units of
    the moderators.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    tau2 : ndarray, shape (...)
    design : ndarray, shape (..., k, p), optional
    restricted : bool
        REML, else ML.

    Returns
    -------
    ndarray, shape (...)
    """
    sets = standardised(estimate, variance, design)
    fit = sets.at(tau2 / sets.unit)
    k, df = np.isfinite(sets.v).sum(-1), sets.df
    if not restricted:
        return np.asarray(_ml_height(fit) - 0.5 * k * np.log(2.0 * np.pi * sets.unit))
    plain = sets.weighted(np.isfinite(sets.v).astype(np.float64)).log_determinant()
    return np.asarray(_reml_height(fit) + 0.5 * plain - 0.5 * df * np.log(2.0 * np.pi * sets.unit))
