"""Permutation test of a meta-regression: the rows of the design, dealt out anew among the studies.

If the moderators have nothing to do with the effects, every way to deal out the rows of the design was equally
likely, and the statistic observed is one draw among those of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import factorial
from typing import NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.coefficients import COEFFICIENT_ERRORS, residual_df, wald_test
from netsynth.kernels.intervals import CiMethod
from netsynth.kernels.regression import weighted_regression
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Method


class Statistics(NamedTuple):
    """Of each permutation, shape (n, ...): of every coefficient (n, p), of all moderators (n,), arrival (n,)."""

    coefficient: FloatArray
    moderators: FloatArray
    converged: BoolArray


def _kinds(design: FloatArray) -> tuple[IntArray, IntArray]:
    """For each row the number of its kind, and for each kind the place of its first row."""
    _, first, kind = np.unique(design, axis=0, return_index=True, return_inverse=True)
    return np.asarray(kind, dtype=np.int64).reshape(-1), np.asarray(first, dtype=np.int64)


def n_arrangements(design: FloatArray) -> int:
    """Different ways to deal out the rows of a design (k, p); equal rows are not told apart."""
    kind, _ = _kinds(design)
    count = factorial(kind.size)
    for n in np.bincount(kind).tolist():
        count //= factorial(n)
    return count


def arrangements(design: FloatArray) -> Iterator[list[int]]:
    """Every different way to deal out the rows of a design (k, p): for each study the place of its row.

    In the order of a dictionary, each from the one before: the last rise from one place to the next is found,
    the lower of the two gives way to the next higher that follows, and what follows is turned round.
    """
    kind, first = _kinds(design)
    order = sorted(kind.tolist())
    while True:
        yield first[order].tolist()
        rise = next((i for i in range(len(order) - 2, -1, -1) if order[i] < order[i + 1]), None)
        if rise is None:
            return
        higher = next(i for i in range(len(order) - 1, rise, -1) if order[i] > order[rise])
        order[rise], order[higher] = order[higher], order[rise]
        order[rise + 1 :] = order[:rise:-1]


def statistics(
    order: IntArray,
    *,
    estimate: FloatArray,
    variance: FloatArray,
    design: FloatArray,
    tested: IntArray,
    tau2_method: Tau2Method,
    ci_method: CiMethod,
) -> Statistics:
    """Test statistics when study i has row ``order[n, i]`` of the design, tau2 estimated anew each time.

    Parameters
    ----------
    order : ndarray of int, shape (n, k)
    estimate, variance : ndarray, shape (k,)
    design : ndarray, shape (k, p)
    tested : ndarray of int, shape (m,)
        Columns that the test of all moderators is about.
    tau2_method, ci_method : str
        Names of the estimator and of the errors of coefficients.

    Returns
    -------
    Statistics
        Leading axis n.
    """
    rows = design[order]
    shape = rows.shape[:-1]
    y, v = np.broadcast_to(estimate, shape), np.broadcast_to(variance, shape)
    between = TAU2_ESTIMATORS[tau2_method](y, v, rows)
    fit = weighted_regression(y, v + np.asarray(between.tau2)[..., None], rows)
    error = COEFFICIENT_ERRORS[ci_method](fit.q, residual_df(v, rows))
    covariance = fit.covariance * error.scale[..., None, None]
    se = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    test = wald_test(fit.coefficient[..., tested], covariance[..., tested[:, None], tested], error.df)
    return Statistics(
        fit.coefficient / se, test.statistic, np.broadcast_to(np.asarray(between.converged), shape[:-1])
    )
