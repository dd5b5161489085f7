r"""Doubt about a meta-regression: errors of coefficients, tests of several, and how much is explained.

The model is :math:`y_i \sim N(x_i' \beta, v_i + \tau^2)`. `estimate` and `variance` have shape (..., k), the
last axis running over studies, and `design` has shape (..., k, p); leading axes run over any number of sets
of studies. A set that lacks a study gives it infinite variance. With a design of ones everything here is what
pooling gives. :math:`W` is diagonal with :math:`w_i = 1 / (v_i + \tau^2)`,
:math:`S = (X' W X)^{-1}` and :math:`P = W - W X S X' W`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from scipy.special import chdtrc, fdtrc

from netsynth._typing import FloatArray
from netsynth.kernels.heterogeneity import n_studies, q_statistic
from netsynth.kernels.intervals import CiMethod
from netsynth.kernels.regression import design_fit


class CoefficientError(NamedTuple):
    """Factor by which (X'WX)^-1 is multiplied, shape (...), and degrees of freedom, infinite for normal."""

    scale: FloatArray
    df: FloatArray


class WaldTest(NamedTuple):
    """Statistic, its degrees of freedom and its p-value; `df_residual` is infinite for chi-squared."""

    statistic: FloatArray
    df: FloatArray
    df_residual: FloatArray
    pvalue: FloatArray


class Criteria(NamedTuple):
    """Akaike's criterion, its correction for small samples, and the Bayesian one."""

    aic: FloatArray
    aicc: FloatArray
    bic: FloatArray


CoefficientErrorMethod: TypeAlias = Callable[[FloatArray, FloatArray], CoefficientError]


def residual_df(variance: FloatArray, design: FloatArray) -> FloatArray:
    """Studies present less coefficients, k - p, shape (...)."""
    return np.asarray(n_studies(variance) - design.shape[-1], dtype=np.float64)


def _spread(q: FloatArray, df: FloatArray) -> FloatArray:
    return np.where(df > 0, q / np.maximum(df, 1.0), np.nan)


def _wald(q: FloatArray, _df: FloatArray) -> CoefficientError:
    return CoefficientError(np.ones_like(q), np.full_like(q, np.inf))


def _student(q: FloatArray, df: FloatArray) -> CoefficientError:
    return CoefficientError(np.ones_like(q), df)


def _knapp_hartung(q: FloatArray, df: FloatArray) -> CoefficientError:
    spread = _spread(q, df)
    return CoefficientError(np.where(spread > 0, spread, np.nan), df)


def _modified_knapp_hartung(q: FloatArray, df: FloatArray) -> CoefficientError:
    return CoefficientError(np.maximum(_spread(q, df), 1.0), df)


#: Errors of coefficients by the names that intervals of a mean have; each takes the generalised Q and k - p.
COEFFICIENT_ERRORS: Final[Mapping[CiMethod, CoefficientErrorMethod]] = MappingProxyType(
    {"wald": _wald, "t": _student, "HK": _knapp_hartung, "mHK": _modified_knapp_hartung}
)


def wald_test(coefficient: FloatArray, covariance: FloatArray, df_residual: FloatArray) -> WaldTest:
    r"""Whether m coefficients are all zero, :math:`\beta' V^{-1} \beta`.

    Chi-squared on m degrees of freedom; with finite `df_residual`, divided by m and F on m and that many.

    Parameters
    ----------
    coefficient : ndarray, shape (..., m)
    covariance : ndarray, shape (..., m, m)
    df_residual : ndarray, shape (...)

    Returns
    -------
    WaldTest
        Arrays of shape (...).
    """
    m = coefficient.shape[-1]
    q = (coefficient * np.linalg.solve(covariance, coefficient[..., None])[..., 0]).sum(-1)
    return _chi_squared_or_f(q, m, df_residual)


def _chi_squared_or_f(q: FloatArray, m: int, df_residual: FloatArray) -> WaldTest:
    is_normal = np.isinf(df_residual)
    statistic = np.where(is_normal, q, q / m)
    finite = np.where(is_normal, 1.0, df_residual)
    pvalue = np.where(is_normal, chdtrc(m, q), fdtrc(m, finite, q / m))
    return WaldTest(statistic, np.full_like(q, m), np.broadcast_to(df_residual, q.shape), pvalue)


def difference_test(mean: FloatArray, variance: FloatArray, df_residual: FloatArray) -> WaldTest:
    r"""Whether independent means are equal, :math:`\sum_g (\mu_g - \bar\mu)^2 / s_g^2`.

    Chi-squared on their number less one; with finite `df_residual`, divided by that and F.

    Parameters
    ----------
    mean, variance : ndarray, shape (..., g)
    df_residual : ndarray, shape (...)

    Returns
    -------
    WaldTest
        Arrays of shape (...).
    """
    q = q_statistic(mean, variance)
    return _chi_squared_or_f(q, mean.shape[-1] - 1, df_residual)


def typical_residual_variance(variance: FloatArray, design: FloatArray) -> FloatArray:
    r"""Typical sampling variance :math:`(k - p) / \mathrm{tr} P` at tau2 = 0, shape (...); nan when k = p."""
    df = residual_df(variance, design)
    trace = design_fit(np.zeros_like(variance), 1.0 / variance, design).trace()
    return np.where(df > 0, df / np.where(df > 0, trace, 1.0), np.nan)


def criteria(height: FloatArray, n_parameters: int, n: FloatArray | int) -> Criteria:
    r"""Information criteria of a log-likelihood.

    :math:`-2\ell + 2m`, :math:`-2\ell + 2mn / (n - m - 1)` and :math:`-2\ell + m \ln n` for m parameters and n
    observations, which are k for the likelihood and k - p for the restricted one. In the corrected one n is at
    least m + 2, so that it exists with few studies too.
    """
    deviance, m = -2.0 * height, n_parameters
    enough = np.maximum(n, m + 2)
    corrected = deviance + 2.0 * m * enough / (enough - m - 1)
    return Criteria(deviance + 2.0 * m, corrected, deviance + m * np.log(n))


def explained_share(tau2: FloatArray, tau2_null: FloatArray) -> FloatArray:
    """Share of tau2 that moderators explain, 1 - tau2 / tau2_null; 0 if it rose or there was none to explain."""
    some = np.asarray(tau2_null) > 0
    return np.where(some, np.maximum(1.0 - tau2 / np.where(some, tau2_null, 1.0), 0.0), 0.0)


def adjusted_r2(q: FloatArray, df: FloatArray, q_null: FloatArray, df_null: FloatArray) -> FloatArray:
    """Adjusted R2 of weighted least squares, for the common-effect model; not below 0."""
    some = np.asarray(q_null) > 0
    ratio = (q / df) / np.where(some, q_null / df_null, 1.0)
    return np.where(some, np.maximum(1.0 - ratio, 0.0), 0.0)


def variance_inflation(covariance: FloatArray) -> FloatArray:
    """How much the variance of each coefficient grows by the correlation of the moderators, shape (..., m).

    The diagonal of the inverse of the correlation matrix of the coefficients, without the intercept.
    """
    se = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    correlation = covariance / (se[..., :, None] * se[..., None, :])
    return np.asarray(np.diagonal(np.linalg.inv(correlation), axis1=-2, axis2=-1))
