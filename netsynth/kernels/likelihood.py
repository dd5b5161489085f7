r"""The likelihood of tau2 with the coefficients profiled out, its highest maximum, and its constants.

With P as in `netsynth.kernels.regression` the derivatives of the log-likelihood of tau2 are

======  =======================================  ===================================
name    first                                    second
======  =======================================  ===================================
REML    :math:`(y'PPy - \mathrm{tr} P) / 2`      :math:`\mathrm{tr}(PP)/2 - y'PPPy`
ML      :math:`(y'PPy - \mathrm{tr} W) / 2`      :math:`\mathrm{tr}(WW)/2 - y'PPPy`
======  =======================================  ===================================

Shapes are those of `netsynth.kernels.tau2`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels.regression import Fit, Standard, standardised

_MAX_ITERATIONS: Final = 200
#: Relative length of the step at which an iteration has arrived: a Newton step squares the distance, a halving does not.
_NEWTON_STEP: Final = 1e-10
_HALVING_STEP: Final = 1e-13
#: Spacing in ln(v + tau2) of the grid on which maxima are looked for. As a function of it every term of
#: the likelihood bends on a scale of 1 or more, so two turning points closer than this differ by nothing.
_GRID_STEP: Final = 0.5
#: Numbers in one temporary array of the grid search: it bounds memory and keeps the arrays in cache.
_CHUNK: Final = 1 << 18


class Likelihood(NamedTuple):
    """A log-likelihood of tau2 up to a constant, and its first and second derivative, each from a fit."""

    height: Callable[[Fit], FloatArray]
    score: Callable[[Fit], FloatArray]
    curvature: Callable[[Fit], FloatArray]


class Maximum(NamedTuple):
    """Place of the highest maximum of each set, shape (...), whether it was reached, and in how many steps."""

    tau2: FloatArray
    converged: BoolArray
    n_iterations: int


def _log_weights(fit: Fit) -> FloatArray:
    return np.asarray(np.log(np.where(fit.w > 0, fit.w, 1.0)).sum(-1))


def _ml_height(fit: Fit) -> FloatArray:
    return np.asarray(0.5 * (_log_weights(fit) - fit.q()))


def _ml_score(fit: Fit) -> FloatArray:
    return np.asarray(0.5 * (fit.squared() - fit.w.sum(-1)))


def _ml_curvature(fit: Fit) -> FloatArray:
    return np.asarray(0.5 * (fit.w * fit.w).sum(-1) - fit.cubed())


def _reml_height(fit: Fit) -> FloatArray:
    return np.asarray(0.5 * (_log_weights(fit) - fit.log_determinant() - fit.q()))


def _reml_score(fit: Fit) -> FloatArray:
    return np.asarray(0.5 * (fit.squared() - fit.trace()))


def _reml_curvature(fit: Fit) -> FloatArray:
    return np.asarray(0.5 * fit.trace_squared() - fit.cubed())


ML: Final = Likelihood(_ml_height, _ml_score, _ml_curvature)
REML: Final = Likelihood(_reml_height, _reml_score, _reml_curvature)


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
    k = sets.y.shape[-1]
    # The likelihood is a product of independent normals with variances tau2 + l_j, l_j at least the
    # smallest v_i = 1, whose squares add up to the sum of squares of y at most: beyond that it falls.
    top = np.log(1.01 * np.maximum((np.where(np.isfinite(sets.v), sets.y, 0.0) ** 2).sum(-1), 1.0))
    n_points = 2 + int(top.max(initial=0.0, where=np.isfinite(top)) / _GRID_STEP)
    width = k if design is None else k * k
    n_rows = max(1, _CHUNK // (n_points * width))
    tau2 = np.full(len(sets.y), np.nan)  # stays where no maximum is found
    converged = np.zeros(len(sets.y), dtype=np.bool_)
    n_iterations = 0
    for start in range(0, len(sets.y), n_rows):
        part = slice(start, start + n_rows)
        few = _rows(sets, part)
        grid = np.expm1(top[part, None] * np.linspace(0.0, 1.0, n_points))
        score = likelihood.score(_rows(few, (slice(None), None)).at(grid))
        row, cell = np.nonzero((score[:, :-1] > 0) & (score[:, 1:] <= 0))
        ends = (grid[row, cell], grid[row, cell + 1], score[row, cell], score[row, cell + 1])
        root, arrived, steps = _close_in(_rows(few, row), likelihood, *ends)
        at_zero = np.flatnonzero(score[:, 0] <= 0)
        rows, places = np.append(at_zero, row), np.append(np.zeros(at_zero.size), root)
        if rows.size > len(few.y):  # where a set has several maxima, the one written last is the highest
            order = np.argsort(likelihood.height(_rows(few, rows).at(places)))
            rows, places = rows[order], places[order]
        tau2[part][rows] = places
        converged[part][rows] = True
        converged[part][row[~arrived]] = False
        n_iterations = max(n_iterations, steps)
    return Maximum(whole.unit * tau2.reshape(shape), converged.reshape(shape), n_iterations)


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
    """Some of the sets, or all with a new axis."""
    design = None if sets.design is None else sets.design[index]
    return Standard(sets.y[index], sets.v[index], sets.unit[index], design)


def _close_in(
    sets: Standard,
    likelihood: Likelihood,
    lower: FloatArray,
    upper: FloatArray,
    score_lower: FloatArray,
    score_upper: FloatArray,
) -> tuple[FloatArray, BoolArray, int]:
    """Root of a score that is positive at the lower and not at the upper end: Newton, else bisection."""
    tau2 = lower + (upper - lower) * score_lower / (score_lower - score_upper)
    with np.errstate(divide="ignore", invalid="ignore"):
        for iteration in range(1, _MAX_ITERATIONS + 1):
            fit = sets.at(tau2)
            score = likelihood.score(fit)
            rising = score > 0
            lower, upper = np.where(rising, tau2, lower), np.where(rising, upper, tau2)
            newton = tau2 - score / likelihood.curvature(fit)  # leads out of the bracket where convex
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
