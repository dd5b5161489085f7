r"""The model fitted to many subsets of the same studies at once: without each, up to each, all, random ones.

A subset is a row of `members`, boolean, shape (n, k). Its studies keep their variance and the others get an
infinite one, so that one call of an estimator fits all subsets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.heterogeneity import (
    h2_from_tau2,
    i2_from_h2,
    n_studies,
    q_statistic,
    weighted_mean,
)
from netsynth.kernels.intervals import MeanErrorMethod, wald
from netsynth.kernels.tau2 import Tau2Estimator


class SetFit(NamedTuple):
    """The model fitted to each set of studies; every array has shape (...).

    A set of one study is not pooled: its Wald error on infinite degrees of freedom stands, and tau2 is nan.
    """

    estimate: FloatArray
    se: FloatArray
    df: FloatArray
    tau2: FloatArray
    q: FloatArray
    k: IntArray
    converged: BoolArray


class SubsetFit(NamedTuple):
    """What a cloud of subsets is drawn from: `members` packed eight to a byte, the rest of shape (n,)."""

    packed: np.ndarray[tuple[int, int], np.dtype[np.uint8]]
    estimate: FloatArray
    tau2: FloatArray
    q: FloatArray
    i2_tau2: FloatArray
    k: IntArray
    converged: BoolArray


def all_but_one(k: int) -> BoolArray:
    """Subsets that lack the first, second, ... of k studies, shape (k, k)."""
    return ~np.eye(k, dtype=np.bool_)


def up_to_each(order: IntArray) -> BoolArray:
    """Subsets that grow by one study at a time, added by `order`, the places of the studies; shape (k, k)."""
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    return np.asarray(place <= np.arange(order.size)[:, None])


def subsets_of_codes(start: int, stop: int, k: int) -> BoolArray:
    """Subsets whose codes run from `start` up to `stop`: bit j of a code says whether study j belongs."""
    codes = np.arange(start, stop, dtype=np.int64)
    return np.asarray((codes[:, None] >> np.arange(k)) & 1, dtype=np.bool_)


def random_subsets(rng: np.random.Generator, n: int, k: int) -> BoolArray:
    """Draws from all subsets that are not empty, each as likely as the other, with replacement."""
    members = np.zeros((n, k), dtype=np.bool_)
    empty = np.arange(n)
    while empty.size:
        members[empty] = rng.integers(0, 2, size=(empty.size, k), dtype=np.int8)
        empty = empty[~members[empty].any(-1)]
    return members


def of_members(variance: FloatArray, members: BoolArray) -> FloatArray:
    """Variances of each subset, (..., n, k) from (..., k): infinite for studies that do not belong."""
    return np.where(members, variance[..., None, :], np.inf)


def fit_sets(
    estimate: FloatArray, variance: FloatArray, estimator: Tau2Estimator, error: MeanErrorMethod
) -> SetFit:
    """Fit the model to each set.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
        Broadcast against each other.
    estimator : Tau2Estimator
        Of the between-study variance, see `TAU2_ESTIMATORS`.
    error : MeanErrorMethod
        Of the mean, see `CI_METHODS`.

    Returns
    -------
    SetFit
    """
    estimate, variance = np.broadcast_arrays(estimate, variance)
    tau2, converged = _tau2(estimate, variance, estimator)
    k = n_studies(variance)
    alone, known = k == 1, np.where(k == 1, 0.0, tau2)
    found, normal = error(estimate, variance, known), wald(estimate, variance, known)
    return SetFit(
        found.mean,
        np.where(alone, normal.se, found.se),
        np.where(alone, np.inf, found.df),
        tau2,
        q_statistic(estimate, variance),
        k,
        converged,
    )


def fit_subsets(
    estimate: FloatArray, variance: FloatArray, members: BoolArray, estimator: Tau2Estimator
) -> SubsetFit:
    """Fit the model to subsets of one set of studies, without its errors.

    Parameters
    ----------
    estimate, variance : ndarray, shape (k,)
    members : ndarray of bool, shape (n, k)
    estimator : Tau2Estimator

    Returns
    -------
    SubsetFit
    """
    sets = of_members(variance, members)
    estimate = np.broadcast_to(estimate, sets.shape)
    tau2, converged = _tau2(estimate, sets, estimator)
    k = n_studies(sets)
    known = np.where(k == 1, 0.0, tau2)
    return SubsetFit(
        np.packbits(members, axis=-1),
        weighted_mean(estimate, sets + known[..., None]).mean,
        tau2,
        q_statistic(estimate, sets),
        i2_from_h2(h2_from_tau2(tau2, sets)),
        k,
        converged,
    )


def _tau2(
    estimate: FloatArray, variance: FloatArray, estimator: Tau2Estimator
) -> tuple[FloatArray, BoolArray]:
    """Tau2 of each set, nan for one study, of which no estimator is asked."""
    several = n_studies(variance) > 1
    tau2, converged = np.full(several.shape, np.nan), np.ones(several.shape, dtype=np.bool_)
    if several.any():
        between = estimator(estimate[several], variance[several])
        tau2[several], converged[several] = between.tau2, between.converged
    return tau2, converged
