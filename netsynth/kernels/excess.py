r"""The test of excess significance: whether more studies are significant than their power lets expect.

`variance` has shape (..., k), the last axis running over studies, an absent one having infinite variance;
results have shape (...).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import bdtrc, ndtr, ndtri

from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels.selection import Alternative, study_pvalues

ExcessTest = Literal["exact", "binomial", "chi2"]


def significant(
    estimate: FloatArray, variance: FloatArray, alternative: Alternative, alpha: float
) -> BoolArray:
    """Which studies are significant by a Wald test of no effect, shape (..., k)."""
    return np.isfinite(variance) & (study_pvalues(estimate, variance, alternative) <= alpha)


def power(
    mean: FloatArray | float,
    tau2: FloatArray | float,
    variance: FloatArray,
    alternative: Alternative,
    alpha: float,
) -> FloatArray:
    r"""Chance of every study to be significant when true effects are :math:`N(\mu, \tau^2)`, shape (..., k).

    For the upper side :math:`\Phi((\mu - z_{1-\alpha} \sqrt{v_i}) / \sqrt{v_i + \tau^2})`. With tau2 = 0 it is the
    power of Ioannidis and Trikalinos [1]_.

    References
    ----------
    .. [1] Ioannidis JPA, Trikalinos TA (2007). An exploratory test for an excess of significant findings.
       Clin Trials 4:245-253. https://doi.org/10.1177/1740774507079441
    """
    present = np.isfinite(variance)
    v = np.where(present, variance, 1.0)
    mean, tau2 = np.asarray(mean)[..., None], np.asarray(tau2)[..., None]
    critical = -ndtri(0.5 * alpha if alternative == "two-sided" else alpha) * np.sqrt(v)
    sd = np.sqrt(v + tau2)
    chance = np.zeros(np.broadcast_shapes(v.shape, mean.shape))
    if alternative != "less":
        chance = chance + ndtr((mean - critical) / sd)
    if alternative != "greater":
        chance = chance + ndtr((-mean - critical) / sd)
    return np.where(present, chance, 0.0)


def poisson_binomial_tail(n: FloatArray, chance: FloatArray) -> FloatArray:
    """Chance of at least n successes among trials with chances of their own, shape (..., k) -> (...)."""
    k = chance.shape[-1]
    share = np.zeros((*chance.shape[:-1], k + 1))
    share[..., 0] = 1.0
    for i in range(k):
        p = chance[..., i, None]
        share[..., 1:] = share[..., 1:] * (1.0 - p) + share[..., :-1] * p
        share[..., 0] *= 1.0 - p[..., 0]
    tail = np.where(np.arange(k + 1) >= np.asarray(n)[..., None], share, 0.0).sum(-1)
    return np.asarray(np.minimum(tail, 1.0))


def excess_pvalue(
    n_significant: FloatArray, chance: FloatArray, k: FloatArray | int, test: ExcessTest
) -> FloatArray:
    r"""One-sided p-value that no more studies are significant than expected.

    "exact": the tail of the sum of k trials with chances of their own [1]_. "binomial": as if all had the mean
    chance. "chi2": half the tail of :math:`(O - E)^2 / E + (O - E)^2 / (k - E)` on one degree of freedom,
    or its complement when O < E.

    References
    ----------
    .. [1] Francis G (2013). Replication, statistical consistency, and publication bias. J Math Psychol
       57:153-169. https://doi.org/10.1016/j.jmp.2013.02.003
    """
    observed, expected = np.asarray(n_significant, dtype=np.float64), chance.sum(-1)
    if test == "exact":
        return poisson_binomial_tail(observed, chance)
    if test == "binomial":
        tail = bdtrc(np.maximum(observed - 1.0, 0.0), k, np.clip(expected / k, 0.0, 1.0))
        return np.where(observed > 0, tail, 1.0)
    root = np.copysign(np.sqrt(chi2_statistic(observed, chance, k)), observed - expected)
    return np.asarray(ndtr(-root))


def chi2_statistic(n_significant: FloatArray, chance: FloatArray, k: FloatArray | int) -> FloatArray:
    """Pearson's statistic of the significant and other studies seen and expected; 0 where it is 0 / 0."""
    expected = chance.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (n_significant - expected) ** 2 * k / (expected * (k - expected))
    return np.where(np.isnan(statistic), 0.0, statistic)


def limit_estimate(
    n_significant: int,
    variance: FloatArray,
    alternative: Alternative,
    alpha: float,
    test: ExcessTest,
    *,
    tau2: float,
    direction: float,
    level: float,
) -> float:
    """The mean nearest to no effect at which the excess of one set of studies has the p-value `level`.

    nan if it has a larger one even when there is no effect. `direction` is 1 or -1.
    """
    from scipy.optimize import brentq

    def distance(mean: float) -> float:
        chance = power(direction * mean, tau2, variance, alternative, alpha)
        return float(excess_pvalue(np.asarray(n_significant), chance, variance.size, test)) - level

    if not distance(0.0) < 0:
        return float("nan")
    top = float(np.sqrt(variance.min() + tau2))
    while distance(top) < 0:
        top *= 2.0
    return direction * float(brentq(distance, 0.0, top, xtol=1e-14 * top, rtol=1e-13))
