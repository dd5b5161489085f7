r"""P-values and directions: from p to z, the sign test, and the exact interval of a proportion.

Everything is elementwise and broadcasts, so any leading shape goes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincinv, ndtri

from netsynth._typing import FloatArray
from netsynth.kernels.intervals import Limits


def z_from_pvalue(pvalue: npt.ArrayLike) -> FloatArray:
    r"""Size of the standard normal statistic of a two-sided p-value, :math:`z_{1 - p/2} \ge 0`.

    Taken from the lower tail, so that a p of 1e-30 keeps its digits. Infinite at p = 0.
    """
    return np.asarray(-ndtri(0.5 * np.asarray(pvalue, dtype=np.float64)))


def events_of_pvalue(pvalue: npt.ArrayLike, log_hr: npt.ArrayLike, share_exposed: float = 0.5) -> FloatArray:
    r"""Events with which a hazard ratio has a two-sided p-value [1]_.

    :math:`D = z_{1-p/2}^2 / (\pi (1 - \pi) \theta^2)`, where
    :math:`\theta` is the log hazard ratio of two groups and :math:`\pi` the share of patients in one of them, so
    that its variance is :math:`1 / (D \pi (1 - \pi))`; with equal groups :math:`D = 4 z^2 / \theta^2`.

    Parameters
    ----------
    pvalue, log_hr : array_like of float
        Two-sided p-values in (0, 1], and log hazard ratios other than 0; broadcast.
    share_exposed : float
        Between 0 and 1.

    Returns
    -------
    ndarray
        Of the broadcast shape.

    References
    ----------
    .. [1] Harrison S, Jones HE, Martin RM, Lewis SJ, Higgins JPT (2017). The albatross plot: A novel graphical tool
       for presenting results of diversely reported studies in a systematic review. Res Synth Methods 8:281-289.
       https://doi.org/10.1002/jrsm.1239
    """
    z, theta = z_from_pvalue(pvalue), np.asarray(log_hr, dtype=np.float64)
    return np.asarray(z * z / (share_exposed * (1.0 - share_exposed) * theta * theta))


def sign_test(n_worse: npt.ArrayLike, n_directed: npt.ArrayLike) -> FloatArray:
    r"""Exact two-sided p-value that worse and better are equally likely.

    :math:`p = \min\{1, 2 P(X \ge \max(u, q - u))\}`, :math:`X \sim \mathrm{Bin}(q, 1/2)`, for u of q
    directions; nan without a direction.

    Parameters
    ----------
    n_worse, n_directed : array_like of int
        u and q.

    Returns
    -------
    ndarray
        Of the broadcast shape.
    """
    u, q = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (n_worse, n_directed)))
    most = np.where(q > 0, np.maximum(u, q - u), 1.0)
    tail = betainc(most, np.where(q > 0, q - most, 0.0) + 1.0, 0.5)
    return np.where(q > 0, np.minimum(1.0, 2.0 * tail), np.nan)


def sign_test_bounds(n_worse: npt.ArrayLike, n_directed: npt.ArrayLike, n_unknown: npt.ArrayLike) -> Limits:
    """Smallest and largest p-value of `sign_test` over all directions that unknown ones may have.

    The test depends on the distance of u from q / 2 alone and falls with it, so the largest p-value
    belongs to the most even split that can be reached and the smallest to all worse or all better.

    Parameters
    ----------
    n_worse, n_directed, n_unknown : array_like of int
        Studies that found worse, that found any direction, and whose direction is not known.

    Returns
    -------
    Limits
        Arrays of the broadcast shape; nan without a study.
    """
    u, q, m = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (n_worse, n_directed, n_unknown))
    )
    even = np.clip(np.floor(0.5 * (q + m)), u, u + m)
    return Limits(np.minimum(sign_test(u, q + m), sign_test(u + m, q + m)), sign_test(even, q + m))


def clopper_pearson(n_events: npt.ArrayLike, n_total: npt.ArrayLike, level: float) -> Limits:
    r"""Exact interval of a proportion by inverting two one-sided binomial tests [1]_.

    The limits are the :math:`\alpha/2` quantile of Beta(x, n - x + 1), 0 at x = 0, and the
    :math:`1 - \alpha/2` quantile of Beta(x + 1, n - x), 1 at x = n; [0, 1] at n = 0.

    Parameters
    ----------
    n_events, n_total : array_like of int
        x and n.
    level : float
        Confidence level.

    Returns
    -------
    Limits
        Arrays of the broadcast shape.

    References
    ----------
    .. [1] Clopper CJ, Pearson ES (1934). The use of confidence or fiducial limits illustrated in the case of
       the binomial. Biometrika 26:404-413.
    """
    x, n = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (n_events, n_total)))
    tail = 0.5 * (1.0 - level)
    some, rest = np.maximum(x, 1.0), np.maximum(n - x, 1.0)
    lower = np.where(x > 0, betaincinv(some, n - x + 1.0, tail), 0.0)
    # the upper limit of x of n is one less the lower limit of n - x of n: no 1 - tail, no lost digit
    upper = np.where(x < n, 1.0 - betaincinv(rest, x + 1.0, tail), 1.0)
    return Limits(lower, upper)
