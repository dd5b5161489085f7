r"""The mean of results that depend on each other within cohorts: a model for the weights, a method for the error.

One set of results at a time: `estimate` has shape (k,), `covariance` is that of the sampling errors, shape
(k, k), and `cluster` has the number of each result's cohort. What `covariance` holds between cohorts is not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray
from netsynth.kernels.multilevel import LikelihoodMethod, fit_three_level, nest
from netsynth.kernels.robust import cluster_robust, correlated_effects

DependentModel = Literal["three_level", "correlated_effects"]
DependentCiMethod = Literal["CR2", "CR1", "CR0", "t", "wald"]


class ClusteredMean(NamedTuple):
    """A mean, its standard error, and degrees of freedom, infinite for normal; `weight` has shape (k,)."""

    mean: float
    se: float
    df: float
    weight: FloatArray


class DependentFit(NamedTuple):
    """The mean under a model, and the variances between and within cohorts.

    `within` is nan where no cohort has two results, and `log_likelihood` is nan under correlated effects.
    """

    mean: ClusteredMean
    between: float
    within: float
    log_likelihood: float
    converged: bool


class Homogeneity(NamedTuple):
    """Cochran's Q for correlated results, on k - 1 degrees of freedom, and their typical sampling variance."""

    q: float
    typical_variance: float


def compound_symmetric(variance: FloatArray, cluster: IntArray, correlation: float) -> FloatArray:
    r"""Covariance with one correlation within cohorts, :math:`\rho \sqrt{v_i v_j}`, and none between.

    Parameters
    ----------
    variance : ndarray, shape (k,)
    cluster : ndarray of int, shape (k,)
    correlation : float

    Returns
    -------
    ndarray, shape (k, k)

    Examples
    --------
    >>> compound_symmetric(np.array([1.0, 4.0, 9.0]), np.array([0, 0, 1]), 0.5).tolist()
    [[1.0, 1.0, 0.0], [1.0, 4.0, 0.0], [0.0, 0.0, 9.0]]
    """
    se = np.sqrt(variance)
    covariance = np.where(cluster[:, None] == cluster, correlation * np.outer(se, se), 0.0)
    np.fill_diagonal(covariance, variance)
    return covariance


def _cohorts(matrix: FloatArray, cluster: IntArray) -> Iterator[tuple[IntArray, FloatArray]]:
    """Places of each cohort's results, and its block of a matrix."""
    for cohort in np.unique(cluster):
        members = np.flatnonzero(cluster == cohort)
        yield members, matrix[np.ix_(members, members)]


def homogeneity(estimate: FloatArray, covariance: FloatArray, cluster: IntArray) -> Homogeneity:
    r"""Q and the typical sampling variance, with :math:`P = W - W11'W / 1'W1` and :math:`W = V^{-1}`.

    :math:`Q = y'Py`, and the typical variance is :math:`(k - 1) / \mathrm{tr}\,P`, which for independent
    results is that of Higgins and Thompson.

    Parameters
    ----------
    estimate : ndarray, shape (k,)
    covariance : ndarray, shape (k, k)
    cluster : ndarray of int, shape (k,)

    Returns
    -------
    Homogeneity
    """
    blocks = [(members, np.linalg.inv(block)) for members, block in _cohorts(covariance, cluster)]
    pull = np.empty(estimate.size)
    for members, w in blocks:
        pull[members] = w.sum(0)
    residual = estimate - estimate[0]
    residual = residual - pull @ residual / pull.sum()
    q = sum(float(residual[members] @ w @ residual[members]) for members, w in blocks)
    trace = sum(float(np.trace(w)) for _, w in blocks) - float(pull @ pull / pull.sum())
    return Homogeneity(q, (estimate.size - 1) / trace)


def working_covariance(
    covariance: FloatArray, cluster: IntArray, model: DependentModel, between: float, within: float
) -> FloatArray:
    """Covariance whose inverse weights the results: that of the model, or the diagonal of correlated effects.

    Parameters
    ----------
    covariance : ndarray, shape (k, k)
    cluster : ndarray of int, shape (k,)
    model : {"three_level", "correlated_effects"}
    between, within : float
        Variances between and within cohorts; nan within cohorts counts as 0.

    Returns
    -------
    ndarray, shape (k, k)
    """
    together = cluster[:, None] == cluster
    if model == "correlated_effects":
        size = together.sum(1)
        return np.diag(size * (together @ np.diag(covariance) / size + between))
    whole = np.where(together, covariance + between, 0.0)
    return np.asarray(whole + np.nan_to_num(within) * np.eye(cluster.size))


def clustered_mean(
    estimate: FloatArray, working: FloatArray, cluster: IntArray, method: DependentCiMethod
) -> ClusteredMean:
    r"""Mean weighted by a working covariance :math:`\Phi`, with its standard error by name.

    "wald" and "t" trust :math:`\Phi`: :math:`\mathrm{se} = (1'\Phi^{-1}1)^{-1/2}`, with the normal distribution
    or t on m - 1 degrees of freedom for m cohorts. The others are those of `cluster_robust`.

    Parameters
    ----------
    estimate : ndarray, shape (k,)
    working : ndarray, shape (k, k)
    cluster : ndarray of int, shape (k,)
    method : {"CR2", "CR1", "CR0", "t", "wald"}

    Returns
    -------
    ClusteredMean
        The robust standard error of equal effects, from which nothing can be learnt, is nan. The
        weights add up to 1; strong correlation may make some of them negative.
    """
    one = np.ones((estimate.size, 1))
    pull = np.empty(estimate.size)
    for members, block in _cohorts(working, cluster):
        pull[members] = np.linalg.solve(block, np.ones(members.size))
    if method == "wald" or method == "t":
        robust = cluster_robust(estimate, working, cluster, one, "CR0")
        df = np.inf if method == "wald" else np.unique(cluster).size - 1.0
        se = float(pull.sum()) ** -0.5
    else:
        robust = cluster_robust(estimate, working, cluster, one, method)
        df, se = (
            float(robust.df[0]),
            float(robust.covariance[0, 0]) ** 0.5 if np.ptp(estimate) > 0 else np.nan,
        )
    return ClusteredMean(float(robust.coefficient[0]), se, df, pull / pull.sum())


def fit_dependent(
    estimate: FloatArray,
    covariance: FloatArray,
    cluster: IntArray,
    *,
    model: DependentModel,
    method: LikelihoodMethod,
    ci_method: DependentCiMethod,
    correlation: float = 0.0,
) -> DependentFit:
    """Fit one of the models to the mean.

    Parameters
    ----------
    estimate : ndarray, shape (k,)
    covariance : ndarray, shape (k, k)
    cluster : ndarray of int, shape (k,)
    model : {"three_level", "correlated_effects"}
        Of the second only the variances are read, and `correlation`.
    method : {"REML", "ML"}
        Likelihood of the three-level model.
    ci_method : {"CR2", "CR1", "CR0", "t", "wald"}
    correlation : float
        Of sampling errors within cohorts, for the variance between cohorts under correlated effects.

    Returns
    -------
    DependentFit
    """
    one = np.ones((estimate.size, 1))
    if model == "correlated_effects":
        variance = np.diag(covariance)
        between = float(correlated_effects(estimate, variance, cluster, one, correlation).tau2)
        within, log_likelihood, converged = 0.0, np.nan, True
    else:
        fit = fit_three_level(nest(estimate, covariance, cluster, one), method)
        between, within, log_likelihood, converged = (
            fit.between,
            fit.within,
            fit.log_likelihood,
            fit.converged,
        )
        if np.unique(cluster).size == cluster.size:
            within = np.nan
    working = working_covariance(covariance, cluster, model, between, within)
    mean = clustered_mean(estimate, working, cluster, ci_method)
    return DependentFit(mean, between, within, log_likelihood, converged)
