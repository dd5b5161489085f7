r"""Mean and standard deviation from a five-number summary, in closed form, and tests for skewness.

A summary is five values on the last axis, minimum, lower quartile, median, upper quartile and maximum
:math:`(a, q_1, m, q_3, b)`, nan where one is not printed; leading axes are as one likes and n, the number of patients,
has their shape. What is printed makes the scenario: 1, the median and the extremes; 2, the median and the quartiles;
3, all five.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtri

from netsynth._typing import BoolArray, FloatArray, IntArray

#: Nodes of the trapezoidal rule for the expected range; the integrand is analytic and dies like a normal tail.
_NODES: Final = np.arange(-10.0, 10.0, 1 / 32)


class MeanSd(NamedTuple):
    """Means and standard deviations; nan where the method knows nothing of the scenario."""

    mean: FloatArray
    sd: FloatArray


class SkewnessTest(NamedTuple):
    """Statistic of Shi and colleagues, the value above which it speaks against symmetry at 5%, and whether it does.

    nan, and False, where the summary has no scenario, no spread, or too few patients for a critical value.
    """

    statistic: FloatArray
    critical: FloatArray
    skewed: BoolArray


def scenario(values: FloatArray) -> IntArray:
    """1, 2 or 3 as above, 0 where the summary is none of these: no median, or an end without its counterpart.

    Examples
    --------
    >>> nan = np.nan
    >>> rows = [[1, nan, 4, nan, 10], [nan, 2, 4, 7, nan], [1, 2, 4, 7, 10], [nan, nan, 4, nan, 10]]
    >>> scenario(np.array(rows)).tolist()
    [1, 2, 3, 0]
    """
    extremes, quartiles, any_extreme, any_quartile, median = _printed(values)
    found = np.where(extremes, 1, 0) + np.where(quartiles, 2, 0)
    whole = median & (extremes == any_extreme) & (quartiles == any_quartile)
    return np.where(whole, found, 0)


def _printed(values: FloatArray) -> tuple[BoolArray, BoolArray, BoolArray, BoolArray, BoolArray]:
    known = ~np.isnan(values)
    low, high, first, third = (known[..., i] for i in (0, 4, 1, 3))
    return low & high, first & third, low | high, first | third, known[..., 2]


def _by_scenario(values: FloatArray, one: FloatArray, two: FloatArray, three: FloatArray) -> FloatArray:
    which = scenario(values)
    return np.select([which == 1, which == 2, which == 3], [one, two, three], np.nan)


def _parts(values: FloatArray) -> tuple[FloatArray, ...]:
    return tuple(np.moveaxis(np.asarray(values, dtype=np.float64), -1, 0))


def extreme_quantile(n: FloatArray) -> FloatArray:
    r"""Blom's approximation :math:`\Phi^{-1}((n - 0.375) / (n + 0.25))` to the expected largest of n normal values."""
    return np.asarray(ndtri((n - 0.375) / (n + 0.25)))


def quartile_quantile(n: FloatArray) -> FloatArray:
    r"""The same for the upper quartile, :math:`\Phi^{-1}((0.75 n - 0.125) / (n + 0.25))`."""
    return np.asarray(ndtri((0.75 * n - 0.125) / (n + 0.25)))


@cache
def expected_range(n: int) -> float:
    r"""Expected range of n standard normal values, :math:`\int 1 - \Phi(x)^n - \Phi(-x)^n\, dx`, exact.

    Examples
    --------
    >>> [round(expected_range(n), 3) for n in (5, 10, 25, 50)]
    [2.326, 3.078, 3.931, 4.498]
    """
    inside = -np.expm1(n * log_ndtr(_NODES)) - np.exp(n * log_ndtr(-_NODES))
    return float(inside.sum() * (_NODES[1] - _NODES[0]))


def simple_mean(values: FloatArray) -> FloatArray:
    r"""Means that ignore n.

    Hozo's :math:`(a + 2m + b) / 4`, Wan's :math:`(q_1 + m + q_3) / 3`, and Bland's
    :math:`(a + 2 q_1 + 2m + 2 q_3 + b) / 8` [1]_ [2]_ [3]_.

    References
    ----------
    .. [1] Hozo SP, Djulbegovic B, Hozo I (2005). Estimating the mean and variance from the median, range, and the size
       of a sample. BMC Med Res Methodol 5:13. https://doi.org/10.1186/1471-2288-5-13
    .. [2] Wan X, Wang W, Liu J, Tong T (2014). Estimating the sample mean and standard deviation from the sample size,
       median, range and/or interquartile range. BMC Med Res Methodol 14:135. https://doi.org/10.1186/1471-2288-14-135
    .. [3] Bland M (2015). Estimating mean and standard deviation from the sample size, three quartiles, minimum, and
       maximum. Int J Stat Med Res 4:57-64.
    """
    a, q1, m, q3, b = _parts(values)
    return _by_scenario(values, (a + 2 * m + b) / 4, (q1 + m + q3) / 3, (a + 2 * q1 + 2 * m + 2 * q3 + b) / 8)


def luo_mean(values: FloatArray, n: FloatArray) -> FloatArray:
    """Means of Luo and colleagues: the weights that are best for normal values of n patients [1]_.

    References
    ----------
    .. [1] Luo D, Wan X, Liu J, Tong T (2018). Optimally estimating the sample mean from the sample size, median,
       mid-range, and/or mid-quartile range. Stat Methods Med Res 27:1785-1805.
       https://doi.org/10.1177/0962280216669183

    Examples
    --------
    >>> luo_mean(np.array([1.0, np.nan, 4.0, np.nan, 10.0]), np.array(30.0)).round(6).item()
    4.356748
    """
    a, q1, m, q3, b = _parts(values)
    mid_range, mid_quartile = (a + b) / 2, (q1 + q3) / 2
    w = 4 / (4 + n**0.75)
    w1, w2 = 2.2 / (2.2 + n**0.75), 0.7 - 0.72 / n**0.55
    return _by_scenario(
        values,
        w * mid_range + (1 - w) * m,
        (0.7 + 0.39 / n) * mid_quartile + (0.3 - 0.39 / n) * m,
        w1 * mid_range + w2 * mid_quartile + (1 - w1 - w2) * m,
    )


def wan_sd(values: FloatArray, n: FloatArray) -> FloatArray:
    r"""Standard deviations of Wan and colleagues: both ranges over what normal values would give [1]_.

    :math:`(b - a) / \xi` with :math:`\xi = 2 \Phi^{-1}((n - 0.375) / (n + 0.25))`, :math:`(q_3 - q_1) / \eta` with
    :math:`\eta = 2 \Phi^{-1}((0.75 n - 0.125) / (n + 0.25))`, and with all five values the mean of both.

    References
    ----------
    .. [1] Wan X, Wang W, Liu J, Tong T (2014). Estimating the sample mean and standard deviation from the sample size,
       median, range and/or interquartile range. BMC Med Res Methodol 14:135. https://doi.org/10.1186/1471-2288-14-135
    """
    a, q1, _, q3, b = _parts(values)
    from_range, from_quartiles = (
        0.5 * (b - a) / extreme_quantile(n),
        0.5 * (q3 - q1) / quartile_quantile(n),
    )
    return _by_scenario(values, from_range, from_quartiles, 0.5 * (from_range + from_quartiles))


def shi_sd(values: FloatArray, n: FloatArray) -> FloatArray:
    r"""As `wan_sd`, but with all five values the weights that are best for normal values [1]_.

    :math:`(b - a) / \theta_1 + (q_3 - q_1) / \theta_2` with
    :math:`\theta_1 = (2 + 0.14 n^{0.6}) \Phi^{-1}((n - 0.375) / (n + 0.25))` and
    :math:`\theta_2 = (2 + 2 / (0.07 n^{0.6})) \Phi^{-1}((0.75 n - 0.125) / (n + 0.25))`.

    References
    ----------
    .. [1] Shi J, Luo D, Weng H, Zeng XT, Lin L, Chu H, Tong T (2020). Optimally estimating the sample standard
       deviation from the five-number summary. Res Synth Methods 11:641-654. https://doi.org/10.1002/jrsm.1429
    """
    a, q1, _, q3, b = _parts(values)
    size = 0.07 * n**0.6
    theta_1, theta_2 = (2 + 2 * size) * extreme_quantile(n), (2 + 2 / size) * quartile_quantile(n)
    one_kind = wan_sd(values, n)
    return np.where(scenario(values) == 3, (b - a) / theta_1 + (q3 - q1) / theta_2, one_kind)


def hozo_sd(values: FloatArray, n: FloatArray) -> FloatArray:
    r"""Hozo's standard deviation from extremes: a formula for few patients, else a share of the range [1]_.

    :math:`\sqrt{[(a - 2m + b)^2 / 4 + (b - a)^2] / 12}` up to 15, :math:`(b - a) / 4` up to 70, :math:`(b - a) / 6`
    beyond. It jumps at both bounds; it is here to redo reviews that used it.

    References
    ----------
    .. [1] Hozo SP, Djulbegovic B, Hozo I (2005). Estimating the mean and variance from the median, range, and the size
       of a sample. BMC Med Res Methodol 5:13. https://doi.org/10.1186/1471-2288-5-13
    """
    a, _, m, _, b = _parts(values)
    few = np.sqrt(((a - 2 * m + b) ** 2 / 4 + (b - a) ** 2) / 12)
    found = np.where(n <= 15, few, np.where(n <= 70, (b - a) / 4, (b - a) / 6))
    return _by_scenario(values, found, np.full_like(found, np.nan), np.full_like(found, np.nan))


def bland_sd(values: FloatArray) -> FloatArray:
    r"""Bland's standard deviation from all five values, which ignores n [1]_.

    Its square is :math:`(a^2 + 2 q_1^2 + 2 m^2 + 2 q_3^2 + b^2) / 16 + (a q_1 + q_1 m + m q_3 + q_3 b) / 8
    - (a + 2 q_1 + 2 m + 2 q_3 + b)^2 / 64`: a quarter of the patients spread evenly between neighbouring values, the
    values in each half-way correlated. It grows with the range and so with n; it is here to redo reviews that used it.

    References
    ----------
    .. [1] Bland M (2015). Estimating mean and standard deviation from the sample size, three quartiles, minimum, and
       maximum. Int J Stat Med Res 4:57-64.
    """
    a, q1, m, q3, b = _parts(values)
    squares = (a**2 + 2 * q1**2 + 2 * m**2 + 2 * q3**2 + b**2) / 16
    products = (a * q1 + q1 * m + m * q3 + q3 * b) / 8
    found = np.sqrt(np.maximum(squares + products - ((a + 2 * q1 + 2 * m + 2 * q3 + b) / 8) ** 2, 0.0))
    nothing = np.full_like(found, np.nan)
    return _by_scenario(values, nothing, nothing, found)


def skewness_test(values: FloatArray, n: FloatArray) -> SkewnessTest:
    r"""Test of symmetry from a five-number summary, at the 5% level for normal values [1]_.

    ======== ====================================================== =====================================
    scenario statistic                                              critical value
    ======== ====================================================== =====================================
    1        :math:`T_1 = |a + b - 2m| / (b - a)`                   :math:`1 / \ln(n + 9) + 2.5 / (n + 1)`
    2        :math:`T_2 = |q_1 + q_3 - 2m| / (q_3 - q_1)`           :math:`2.65 / \sqrt n - 6 / n^2`
    3        :math:`\max\{2.65 \ln(0.6 n) T_1 / \sqrt n,\ T_2\}`    :math:`3 / \sqrt n - 40 / n^3`
    ======== ====================================================== =====================================

    The critical values were fitted to simulations from n = 5 on; below, and where they are negative, there is none.

    References
    ----------
    .. [1] Shi J, Luo D, Wan X, Liu Y, Liu J, Bian Z, Tong T (2023). Detecting the skewness of data from the five-number
       summary and its application in meta-analysis. Stat Methods Med Res 32.
       https://doi.org/10.1177/09622802231172043

    Examples
    --------
    >>> found = skewness_test(np.array([np.nan, 50.0, 84.0, 222.0, np.nan]), np.array(65.0))
    >>> found.statistic.round(3).item(), found.critical.round(3).item(), found.skewed.item()
    (0.605, 0.327, True)
    """
    a, q1, m, q3, b = _parts(values)
    n = np.asarray(n, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        t1, t2 = np.abs(a + b - 2 * m) / (b - a), np.abs(q1 + q3 - 2 * m) / (q3 - q1)
        t3 = np.maximum(2.65 * np.log(0.6 * n) / np.sqrt(n) * t1, t2)
        statistic = _by_scenario(values, t1, t2, t3)
        critical = _by_scenario(
            values,
            1 / np.log(n + 9) + 2.5 / (n + 1),
            2.65 / np.sqrt(n) - 6 / n**2,
            3 / np.sqrt(n) - 40 / n**3,
        )
    usable = np.isfinite(statistic) & (critical > 0) & (n >= 5)
    statistic, critical = np.where(usable, statistic, np.nan), np.where(usable, critical, np.nan)
    return SkewnessTest(statistic, critical, usable & (statistic > critical))
