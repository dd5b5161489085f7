r"""The mean of results that depend on each other within cohorts: a model for the weights, a method for the error.

`estimate` has shape (..., k), with any number of sets of results on the leading axes; `covariance` is that of the
sampling errors, shape (..., k, k), and `cluster`, shape (k,), has the number of each result's cohort, in every set.
What `covariance` holds between cohorts is not read. A result that a set lacks has infinite variance;
every set has one at least.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.multilevel import LikelihoodMethod, fit_three_level, nest
from netsynth.kernels.robust import RobustMethod, cluster_robust, correlated_effects

#: Singular value, relative to the largest, that counts as zero; and share of a coefficient that counts as some.
_NOTHING: Final = 1e-10
_TRACE: Final = 1e-6

DependentModel = Literal["three_level", "correlated_effects"]
DependentCiMethod = Literal["CR2", "CR1", "CR0", "t", "wald"]


class ClusteredMean(NamedTuple):
    """Means, their standard errors, and degrees of freedom, infinite for normal, (...); `weight` has shape (..., k)."""

    mean: FloatArray
    se: FloatArray
    df: FloatArray
    weight: FloatArray


class DependentFit(NamedTuple):
    """The mean under a model, and the variances between and within cohorts, shape (...).

    `within` is nan where no cohort has two results, and `log_likelihood` is nan under correlated effects.
    """

    mean: ClusteredMean
    between: FloatArray
    within: FloatArray
    log_likelihood: FloatArray
    converged: BoolArray


class DependentRegressionFit(NamedTuple):
    """Coefficients (..., p), covariance (..., p, p) and degrees of freedom (..., p), infinite for normal; as above.

    `q` is the weighted sum of squared residuals without heterogeneity, on k - p degrees of freedom.
    """

    coefficient: FloatArray
    covariance: FloatArray
    df: FloatArray
    between: FloatArray
    within: FloatArray
    log_likelihood: FloatArray
    converged: BoolArray
    q: FloatArray


class Homogeneity(NamedTuple):
    """Cochran's Q for correlated results, on k - 1 degrees of freedom, and their typical sampling variance, (...)."""

    q: FloatArray
    typical_variance: FloatArray


def compound_symmetric(
    variance: FloatArray, cluster: IntArray, correlation: FloatArray | float
) -> FloatArray:
    r"""Covariance with one correlation within cohorts, :math:`\rho \sqrt{v_i v_j}`, and none between.

    Parameters
    ----------
    variance : ndarray, shape (..., k)
    cluster : ndarray of int, shape (k,)
    correlation : float or ndarray, shape (...)

    Returns
    -------
    ndarray, shape (..., k, k)

    Examples
    --------
    >>> compound_symmetric(np.array([1.0, 4.0, 9.0]), np.array([0, 0, 1]), 0.5).tolist()
    [[1.0, 1.0, 0.0], [1.0, 4.0, 0.0], [0.0, 0.0, 9.0]]
    """
    se = np.sqrt(np.where(np.isfinite(variance), variance, 0.0))
    products = np.asarray(correlation)[..., None, None] * (se[..., :, None] * se[..., None, :])
    covariance = np.where(cluster[:, None] == cluster, products, 0.0)
    return np.where(np.eye(cluster.size, dtype=np.bool_), variance[..., None, :], covariance)


def _present(matrix: FloatArray) -> BoolArray:
    """Which results there are, from their variances, (..., k)."""
    return np.isfinite(np.diagonal(matrix, axis1=-2, axis2=-1))


def _cohorts(matrix: FloatArray, cluster: IntArray) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Places of each cohort's results, their block of a matrix, and 1 for those that a set has, 0 for others.

    The others have blocks of their own in it, so that they change nothing in its inverse.
    """
    present = _present(matrix)
    for cohort in np.unique(cluster):
        members = np.flatnonzero(cluster == cohort)
        here = present[..., members]
        both = here[..., :, None] & here[..., None, :]
        block = np.where(both, matrix[..., members[:, None], members], np.eye(members.size))
        yield members, block, here.astype(np.float64)


def _n_with(present: BoolArray, cluster: IntArray) -> IntArray:
    """Number of results in the cohort of each result, (..., k)."""
    return np.asarray(present.astype(np.int64) @ (cluster[:, None] == cluster).astype(np.int64))


def homogeneity(estimate: FloatArray, covariance: FloatArray, cluster: IntArray) -> Homogeneity:
    r"""Q and the typical sampling variance, with :math:`P = W - W11'W / 1'W1` and :math:`W = V^{-1}`.

    :math:`Q = y'Py`, and the typical variance is :math:`(k - 1) / \mathrm{tr}\,P`, which for independent
    results is that of Higgins and Thompson.

    Parameters
    ----------
    estimate : ndarray, shape (..., k)
    covariance : ndarray, shape (..., k, k)
    cluster : ndarray of int, shape (k,)

    Returns
    -------
    Homogeneity
        The typical variance of a single result is nan.
    """
    present = np.broadcast_to(
        _present(covariance), np.broadcast_shapes(estimate.shape, covariance.shape[:-1])
    )
    y = np.broadcast_to(estimate, present.shape)
    parts = [
        (members, np.linalg.inv(block), here[..., None])
        for members, block, here in _cohorts(covariance, cluster)
    ]
    pull = np.zeros(present.shape)
    for members, w, here in parts:
        pull[..., members] = (w @ here)[..., 0] * here[..., 0]
    first = np.take_along_axis(y, present.argmax(-1)[..., None], axis=-1)
    residual = np.where(present, y - first, 0.0)
    total = pull.sum(-1)
    residual = np.where(present, residual - ((pull * residual).sum(-1) / total)[..., None], 0.0)
    q, trace = np.zeros(total.shape), -(pull**2).sum(-1) / total
    for members, w, here in parts:
        left = residual[..., members]
        q = q + (left * (w @ left[..., None])[..., 0]).sum(-1)
        trace = trace + (np.diagonal(w, axis1=-2, axis2=-1) * here[..., 0]).sum(-1)
    df = present.sum(-1) - 1.0
    typical = np.where(df > 0, df / np.where(df > 0, trace, 1.0), np.nan)
    return Homogeneity(q, typical)


def working_covariance(
    covariance: FloatArray,
    cluster: IntArray,
    model: DependentModel,
    between: FloatArray | float,
    within: FloatArray | float,
) -> FloatArray:
    """Covariance whose inverse weights the results: that of the model, or the diagonal of correlated effects.

    Parameters
    ----------
    covariance : ndarray, shape (..., k, k)
    cluster : ndarray of int, shape (k,)
    model : {"three_level", "correlated_effects"}
    between, within : float or ndarray, shape (...)
        Variances between and within cohorts; nan within cohorts counts as 0.

    Returns
    -------
    ndarray, shape (..., k, k)
    """
    together, own = cluster[:, None] == cluster, np.eye(cluster.size, dtype=np.bool_)
    more, each = np.asarray(between)[..., None], np.nan_to_num(np.asarray(within))[..., None]
    if model == "correlated_effects":
        variance = np.diagonal(covariance, axis1=-2, axis2=-1)
        present = np.isfinite(variance)
        size = np.maximum(_n_with(present, cluster), 1)
        mean = np.where(present, variance, 0.0) @ together.astype(np.float64) / size
        diagonal = np.where(present, size * (mean + more), np.inf)
        return np.where(own, diagonal[..., None, :], 0.0)
    return np.asarray(np.where(together, covariance + more[..., None], 0.0) + each[..., None] * own)


def clustered_mean(
    estimate: FloatArray, working: FloatArray, cluster: IntArray, method: DependentCiMethod
) -> ClusteredMean:
    r"""Mean weighted by a working covariance :math:`\Phi`, with its standard error by name.

    "wald" and "t" trust :math:`\Phi`: :math:`\mathrm{se} = (1'\Phi^{-1}1)^{-1/2}`, with the normal distribution
    or t on m - 1 degrees of freedom for m cohorts. The others are those of `cluster_robust`.

    Parameters
    ----------
    estimate : ndarray, shape (..., k)
    working : ndarray, shape (..., k, k)
    cluster : ndarray of int, shape (k,)
    method : {"CR2", "CR1", "CR0", "t", "wald"}

    Returns
    -------
    ClusteredMean
        The robust standard error of equal effects, from which nothing can be learnt, is nan. The
        weights add up to 1; strong correlation may make some of them negative.
    """
    present = _present(working)
    pull = np.zeros(present.shape)
    for members, block, here in _cohorts(working, cluster):
        pull[..., members] = np.linalg.solve(block, here[..., None])[..., 0]
    total = pull.sum(-1)
    by: RobustMethod = "CR0" if method == "wald" or method == "t" else method
    robust = cluster_robust(estimate, working, cluster, np.ones((cluster.size, 1)), by)
    mean = robust.coefficient[..., 0]
    if method == "wald" or method == "t":
        n_clusters = np.stack([here.any(-1) for _, _, here in _cohorts(working, cluster)]).sum(0)
        df = (
            np.full(mean.shape, np.inf) if method == "wald" else np.broadcast_to(n_clusters - 1.0, mean.shape)
        )
        se = np.broadcast_to(total**-0.5, mean.shape)
    else:
        spread = np.where(present, estimate, -np.inf).max(-1) - np.where(present, estimate, np.inf).min(-1)
        df, se = robust.df[..., 0], np.where(spread > 0, np.sqrt(robust.covariance[..., 0, 0]), np.nan)
    return ClusteredMean(mean, se, df, pull / total[..., None])


def fit_dependent(
    estimate: FloatArray,
    covariance: FloatArray,
    cluster: IntArray,
    *,
    model: DependentModel,
    method: LikelihoodMethod,
    ci_method: DependentCiMethod,
    correlation: FloatArray | float = 0.0,
) -> DependentFit:
    """Fit one of the models to the mean.

    Parameters
    ----------
    estimate : ndarray, shape (..., k)
    covariance : ndarray, shape (..., k, k)
    cluster : ndarray of int, shape (k,)
    model : {"three_level", "correlated_effects"}
        Of the second only the variances are read, and `correlation`.
    method : {"REML", "ML"}
        Likelihood of the three-level model.
    ci_method : {"CR2", "CR1", "CR0", "t", "wald"}
    correlation : float or ndarray, shape (...)
        Of sampling errors within cohorts, for the variance between cohorts under correlated effects.

    Returns
    -------
    DependentFit
    """
    one = np.ones((cluster.size, 1))
    between, within, log_likelihood, converged = _heterogeneity(
        estimate, covariance, cluster, one, model, method, correlation
    )
    working = working_covariance(covariance, cluster, model, between, within)
    mean = clustered_mean(estimate, working, cluster, ci_method)
    return DependentFit(mean, between, within, log_likelihood, converged)


def _heterogeneity(
    estimate: FloatArray,
    covariance: FloatArray,
    cluster: IntArray,
    design: FloatArray,
    model: DependentModel,
    method: LikelihoodMethod,
    correlation: FloatArray | float,
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Variances between and within cohorts, the log-likelihood, and whether it was maximised."""
    if model == "correlated_effects":
        variance = np.diagonal(covariance, axis1=-2, axis2=-1)
        between = correlated_effects(estimate, variance, cluster, design, correlation).tau2
        none = np.full(between.shape, np.nan)
        return between, np.zeros(between.shape), none, np.ones(between.shape, dtype=np.bool_)
    fit = fit_three_level(nest(estimate, covariance, cluster, design), method)
    is_paired = _n_with(_present(covariance), cluster).max(-1) > 1
    return fit.between, np.where(is_paired, fit.within, np.nan), fit.log_likelihood, fit.converged


def fit_dependent_regression(
    estimate: FloatArray,
    covariance: FloatArray,
    cluster: IntArray,
    design: FloatArray,
    *,
    model: DependentModel,
    method: LikelihoodMethod,
    ci_method: DependentCiMethod,
    correlation: FloatArray | float = 0.0,
) -> DependentRegressionFit:
    """Fit one of the models to a regression; with "t", "CR1" and "CR0" coefficients have m - p degrees of freedom.

    Parameters
    ----------
    estimate, covariance, cluster : ndarray
        As in `fit_dependent`.
    design : ndarray, shape (k, p)
        Of full rank in every set.
    model, method, ci_method, correlation
        As in `fit_dependent`.

    Returns
    -------
    DependentRegressionFit
        The robust error of a coefficient that one cohort alone determines is nan: its residuals do not say how far
        that cohort lies from others like it.
    """
    between, within, log_likelihood, converged = _heterogeneity(
        estimate, covariance, cluster, design, model, method, correlation
    )
    working = working_covariance(covariance, cluster, model, between, within)
    by: RobustMethod = "CR0" if ci_method == "wald" or ci_method == "t" else ci_method
    robust = cluster_robust(estimate, working, cluster, design, by)
    errors, df = robust.covariance, robust.df
    if ci_method == "wald" or ci_method == "t":
        errors = np.asarray(np.linalg.inv(_quadratic(working, cluster, design, design)))
        df = np.full(df.shape, np.inf) if ci_method == "wald" else df
    else:
        alone = _of_one_cohort(np.broadcast_to(_present(covariance), working.shape[:-1]), cluster, design)
        errors = np.where(alone[..., :, None] | alone[..., None, :], np.nan, errors)
        df = np.where(alone, np.nan, df)
    common = cluster_robust(estimate, covariance, cluster, design, "CR0").coefficient
    left = np.where(_present(covariance), estimate - (common[..., None, :] @ design.T)[..., 0, :], 0.0)
    q = _quadratic(covariance, cluster, left[..., None], left[..., None])[..., 0, 0]
    return DependentRegressionFit(
        robust.coefficient, errors, df, between, within, log_likelihood, converged, q
    )


def _of_one_cohort(present: BoolArray, cluster: IntArray, design: FloatArray) -> BoolArray:
    """Which coefficients, (..., p), are not determined any more without some cohort."""
    x = np.where(present[..., None], design, 0.0)
    x = x / np.maximum(np.linalg.norm(x, axis=-2, keepdims=True), np.finfo(np.float64).tiny)
    found = np.zeros((*present.shape[:-1], design.shape[-1]), dtype=np.bool_)
    for cohort in np.unique(cluster):
        _, sizes, axes = np.linalg.svd(x * (cluster != cohort)[:, None], full_matrices=False)
        lost = sizes <= _NOTHING * sizes.max(-1, keepdims=True)
        found |= (np.where(lost[..., None], np.abs(axes), 0.0) > _TRACE).any(-2)
    return found


def _quadratic(matrix: FloatArray, cluster: IntArray, left: FloatArray, right: FloatArray) -> FloatArray:
    """The product left' M^-1 right, of columns of shape (..., k, p), over the results that a set has."""
    total: FloatArray = np.zeros(())
    for members, block, here in _cohorts(matrix, cluster):
        first, second = left[..., members, :] * here[..., None], right[..., members, :] * here[..., None]
        total = total + np.swapaxes(first, -1, -2) @ np.linalg.solve(block, second)
    return total
