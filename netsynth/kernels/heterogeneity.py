r"""Weighted means, Cochran's Q, and I2 and H2.

The model is :math:`y_i \sim N(\mu, v_i + \tau^2)`, or with moderators :math:`y_i \sim N(x_i'\beta, v_i + \tau^2)`.
`estimate` and `variance` have shape (..., k): the last axis runs over studies, the leading axes over any
number of sets of studies, and every function handles all sets at once. A set that lacks a study gives it
infinite variance, so weight zero, and any finite estimate. A design has shape (..., k, p).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from netsynth._typing import FloatArray
from netsynth.kernels.regression import n_studies, standardised

__all__ = [
    "H2Limits",
    "Mean",
    "h2_from_q",
    "h2_from_tau2",
    "h2_interval",
    "i2_from_h2",
    "n_studies",
    "q_statistic",
    "typical_variance",
    "weighted_mean",
]


class Mean(NamedTuple):
    """Weighted mean of each set and its variance, shape (...)."""

    mean: FloatArray
    variance: FloatArray


class H2Limits(NamedTuple):
    """Limits of H2 of each set, shape (...)."""

    lower: FloatArray
    upper: FloatArray


def weighted_mean(estimate: FloatArray, variance: FloatArray) -> Mean:
    r"""Mean with weights :math:`w_i = 1 / v_i`, and its variance :math:`1 / \sum w_i`.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
        Under random effects `variance` includes tau2.

    Returns
    -------
    Mean
        Arrays of shape (...).
    """
    w = 1.0 / variance
    total = np.add.reduce(w, -1)
    mean = np.add.reduce(w * estimate, -1) / total
    # what rounding took, so that identical effects have exactly that mean
    correction = np.add.reduce(w * (estimate - mean[..., None]), -1) / total
    return Mean(mean + correction, 1.0 / total)


def q_statistic(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None) -> FloatArray:
    r"""Weighted sum of squares :math:`Q = \sum w_i (y_i - \hat\mu_i)^2` with :math:`w_i = 1 / v_i`.

    With the sampling variances it is Cochran's Q, chi-squared on k - p degrees of freedom when
    tau2 = 0; with tau2 added to them, the generalised Q.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    design : ndarray, shape (..., k, p), optional
        Moderators; without them the fitted effects are the weighted mean.

    Returns
    -------
    ndarray, shape (...)
    """
    return standardised(estimate, variance, design).at(0.0).q()


def typical_variance(variance: FloatArray, design: FloatArray | None = None) -> FloatArray:
    r"""Typical sampling variance :math:`(k - p) / \mathrm{tr} P`, nan when k = p.

    For a mean it is :math:`(k - 1) \sum w / ((\sum w)^2 - \sum w^2)` [1]_.

    Parameters
    ----------
    variance : ndarray, shape (..., k)
    design : ndarray, shape (..., k, p), optional

    Returns
    -------
    ndarray, shape (...)

    References
    ----------
    .. [1] Higgins JPT, Thompson SG (2002). Quantifying heterogeneity in a meta-analysis. Stat Med
       21:1539-1558, equation 9. https://doi.org/10.1002/sim.1186
    """
    sets = standardised(np.zeros_like(variance), variance, design)
    trace, some = sets.at(0.0).trace(), sets.df > 0
    return np.where(some, sets.unit * sets.df / np.where(some, trace, 1.0), np.nan)


def h2_from_q(q: FloatArray, df: FloatArray | int) -> FloatArray:
    """H2 = Q / df, below 1 when studies differ by less than chance; nan when df = 0."""
    df = np.asarray(df)
    return np.where(df > 0, q / np.maximum(df, 1), np.nan)


def h2_from_tau2(tau2: FloatArray, variance: FloatArray, design: FloatArray | None = None) -> FloatArray:
    """H2 = 1 + tau2 / typical sampling variance."""
    return 1.0 + tau2 / typical_variance(variance, design)


def i2_from_h2(h2: FloatArray) -> FloatArray:
    """I2 = (H2 - 1) / H2, a fraction, and 0 where H2 is below 1."""
    return 1.0 - 1.0 / np.maximum(h2, 1.0)


def h2_interval(q: FloatArray, df: FloatArray | int, level: float) -> H2Limits:
    r"""Test-based limits of H2 from Q alone, :math:`\exp(2 (\ln H \mp z\, \mathrm{se}(\ln H)))` [1]_.

    With :math:`k - 1` degrees of freedom
    :math:`\mathrm{se} = \frac12 (\ln Q - \ln(k - 1)) / (\sqrt{2Q} - \sqrt{2k - 3})` where Q > k, else
    :math:`\sqrt{(1 - 1 / (3 (k - 2)^2)) / (2 (k - 2))}`. H2 stands at its least value 1 where Q is below its degrees
    of freedom, and so do limits that fall below. nan for two studies that differ no more than by chance, where the
    formula has none, and for one.

    Parameters
    ----------
    q : ndarray, shape (...)
        Cochran's Q, or the Q left by a regression.
    df : int or ndarray
        Its degrees of freedom.
    level : float

    Returns
    -------
    H2Limits
        Arrays of shape (...).

    References
    ----------
    .. [1] Higgins JPT, Thompson SG (2002). Quantifying heterogeneity in a meta-analysis. Stat Med
       21:1539-1558. https://doi.org/10.1002/sim.1186
    """
    q, df = np.broadcast_arrays(np.asarray(q, dtype=np.float64), np.asarray(df, dtype=np.float64))
    k = df + 1.0
    spread = q > k
    far = np.where(spread, q, 2.0 * np.maximum(k, 2.0))
    few = np.maximum(df, 1.0)
    with np.errstate(divide="ignore"):
        above = 0.5 * (np.log(far) - np.log(few)) / (np.sqrt(2.0 * far) - np.sqrt(2.0 * few - 1.0))
        freedom = np.where(df > 1, df - 1.0, np.nan)
        below = np.sqrt((1.0 - 1.0 / (3.0 * freedom * freedom)) / (2.0 * freedom))
        log_h = 0.5 * np.log(np.maximum(q / few, 1.0))
    half = -ndtri(0.5 * (1.0 - level)) * np.where(spread, above, below)
    lower, upper = (np.maximum(np.exp(2.0 * (log_h + sign * half)), 1.0) for sign in (-1.0, 1.0))
    defined = (df > 0) & np.isfinite(half)
    return H2Limits(np.where(defined, lower, np.nan), np.where(defined, upper, np.nan))
