r"""Fail-safe numbers: how many studies that average no effect would take a result away.

`estimate` and `variance` have shape (..., k), the last axis running over studies, an absent one having infinite
variance. Numbers of studies have shape (...); they are not yet rounded up, and negative where none is needed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from netsynth._typing import FloatArray
from netsynth.kernels.heterogeneity import n_studies, weighted_mean
from netsynth.kernels.intervals import two_sided_pvalue

#: Beyond so many studies the number is given as infinite.
MOST: Final = 10**7
_ROUNDING: Final = 1e-12


def stouffer_z(estimate: FloatArray, variance: FloatArray) -> FloatArray:
    r"""Sum of the z-values of all studies over :math:`\sqrt k`."""
    return np.asarray((estimate / np.sqrt(variance)).sum(-1) / np.sqrt(n_studies(variance)))


def stouffer_pvalue(estimate: FloatArray, variance: FloatArray) -> FloatArray:
    """One-sided p-value of `stouffer_z` on the side on which it lies."""
    return np.asarray(ndtr(-np.abs(stouffer_z(estimate, variance))))


def rosenthal(estimate: FloatArray, variance: FloatArray, alpha: float) -> FloatArray:
    r""":math:`(\sum z_i / z_{1 - \alpha})^2 - k`: Stouffer's one-sided p-value rises to alpha [1]_.

    References
    ----------
    .. [1] Rosenthal R (1979). The file drawer problem and tolerance for null results. Psychol Bull 86:638-641.
       https://doi.org/10.1037/0033-2909.86.3.638
    """
    k = n_studies(variance)
    return np.asarray(k * (stouffer_z(estimate, variance) / ndtri(alpha)) ** 2 - k)


def orwin(mean: FloatArray, target: FloatArray, k: FloatArray | int) -> FloatArray:
    r""":math:`k (\hat\mu - \mu_0) / \mu_0`: the mean falls to :math:`\mu_0`, of one sign with it [1]_.

    References
    ----------
    .. [1] Orwin RG (1983). A fail-safe N for effect size in meta-analysis. J Educ Stat 8:157-159.
       https://doi.org/10.3102/10769986008002157
    """
    return np.asarray(k * (mean - target) / target)


def rosenberg(estimate: FloatArray, variance: FloatArray, alpha: float) -> FloatArray:
    r""":math:`k \{(\hat\mu / (z_{1 - \alpha/2} s))^2 - 1\}`: the common effect's p-value rises to alpha [1]_.

    s is its standard error. The studies added have the mean weight of those there are.

    References
    ----------
    .. [1] Rosenberg MS (2005). The file-drawer problem revisited: a general weighted method for calculating
       fail-safe numbers in meta-analysis. Evolution 59:464-468.
       https://doi.org/10.1111/j.0014-3820.2005.tb01004.x
    """
    mean = weighted_mean(estimate, variance)
    return np.asarray(n_studies(variance) * (mean.mean**2 / (mean.variance * ndtri(0.5 * alpha) ** 2) - 1.0))


def normal_pvalue(mean: float, variance: float) -> float:
    """Two-sided p-value of a mean of no effect."""
    return float(two_sided_pvalue(np.asarray(mean / variance**0.5), np.inf))


def rounded_up(n: float) -> float:
    """The whole number of studies that is enough: 0 where none is needed, n itself where rounding made it more."""
    if np.isinf(n):
        return n
    nearest = float(np.round(n))
    return max(0.0, nearest if abs(n - nearest) < _ROUNDING * (1.0 + abs(n)) else float(np.ceil(n)))


class Diluted(NamedTuple):
    """One set of studies after null results were added to it: mean, tau2, and two-sided p-value of the mean."""

    mean: float
    tau2: float
    pvalue: float


def diluted(
    estimate: FloatArray, variance: FloatArray, mean: float, tau2: float, n: int, *, common: bool
) -> Diluted:
    r"""One set of k studies, of mean and tau2 given, to which n studies that average no effect are added.

    The added ones have the harmonic mean of the variances, and among themselves the same tau2. Over all, true
    effects then vary by

    .. math:: \tau_n^2 = \frac{(k - 1)\tau^2 + \max(n - 1, 0) \tau^2 + k n \hat\mu^2 / (k + n)}{k + n - 1},

    or by nothing under the common-effect model.
    """
    k = estimate.size
    within = (k - 1 + max(n - 1, 0)) * tau2
    total = 0.0 if common else (within + k * n / (k + n) * mean**2) / (k + n - 1)
    w = 1.0 / (variance + total)
    weight = float(w.sum()) + n / (k / float((1.0 / variance).sum()) + total)
    centre = float((w * estimate).sum()) / weight
    return Diluted(centre, total, normal_pvalue(centre, 1.0 / weight))


def general(
    estimate: FloatArray,
    variance: FloatArray,
    mean: float,
    tau2: float,
    *,
    common: bool,
    alpha: float,
    target: float | None = None,
) -> float:
    """Fewest studies, of one set, whose addition brings the p-value to `alpha` or the mean to `target`.

    Infinite where more than ten million would be needed.
    """

    def enough(n: int) -> bool:
        after = diluted(estimate, variance, mean, tau2, n, common=common)
        return after.pvalue >= alpha if target is None else abs(after.mean) <= abs(target)

    if enough(0):
        return 0.0
    few, many = 0, 1
    while not enough(many):
        few, many = many, 2 * many
        if many > MOST:
            return float("inf")
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return float(many)
