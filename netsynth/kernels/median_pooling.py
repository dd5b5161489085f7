r"""Pooling medians: intervals of the median of study medians, and variances of single medians.

Studies are on the last axis where nothing else is said.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtri

from netsynth._typing import FloatArray
from netsynth.kernels import orderstats
from netsynth.kernels.heterogeneity import weighted_mean
from netsynth.kernels.intervals import MeanError
from netsynth.kernels.laws import Law, law_density, law_quantile

#: Cells of the exact law of a sum of weights; whole weights up to that total are not rounded at all.
_CELLS: Final = 1 << 17
_ULP: Final = 1e-12


class MedianLimits(NamedTuple):
    """Limits of a median between two study values, the exact coverage, and the ranks of the two among the sorted.

    Where no interval reaches the level the limits and ranks are nan and 0, and the coverage is that of the range.
    """

    lower: float
    upper: float
    coverage: float
    lower_rank: int
    upper_rank: int


def _weight_sum_law(weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Each weight in whole cells, and the probabilities of the sums of those that a fair coin picks."""
    total = weight.sum()
    whole = bool(np.all(weight == np.round(weight))) and total < _CELLS
    cells = weight if whole else np.round(weight / total * _CELLS)
    law = np.zeros(int(cells.sum()) + 1)
    law[0] = 1.0
    for cell in cells.astype(int):
        moved = np.zeros_like(law)
        moved[cell:] = law[: law.size - cell]
        law = 0.5 * (law + moved)
    return cells, law


def weighted_sign_limits(estimate: FloatArray, weight: FloatArray, level: float) -> MedianLimits:
    r"""Interval for the median that the study values are draws from, by inverting a weighted sign test.

    If :math:`\theta` is that median, each study lies below it with probability 1/2, whatever its size, so that the
    weight :math:`T` of those below is a sum of the weights that fair coins pick. Its law is computed by convolution,
    and :math:`\theta` is kept where :math:`P(T \le t)` and :math:`P(T \ge t)` both exceed half of one less the level.
    With equal weights this is the interval between two order statistics of Nair. Weights that are not whole numbers
    are rounded to a hundred-thousandth of their sum.

    Parameters
    ----------
    estimate, weight : ndarray, shape (k,)
        Study medians and positive weights.
    level : float

    Returns
    -------
    MedianLimits

    Examples
    --------
    >>> y = np.array([5.23, 3.10, 0.50, 0.78, 3.48, 0.59, 2.20, 5.06, 4.00])
    >>> found = weighted_sign_limits(y, np.ones(9), 0.95)
    >>> found.lower, found.upper, round(found.coverage, 4)
    (0.59, 5.06, 0.9609)
    """
    order = np.argsort(estimate, kind="stable")
    y = estimate[order]
    cells, law = _weight_sum_law(weight[order])
    up_to = np.cumsum(law)
    half = 0.5 * (1.0 - level) * (1.0 + _ULP)
    below = np.concatenate([[0.0], np.cumsum(cells)]).astype(
        int
    )  # weight below theta when it passes 0, 1, ..., k values
    kept = (up_to[below] > half) & (up_to[below[-1] - below] > half)
    inside = np.flatnonzero(kept)
    first, last = (int(inside[0]), int(inside[-1])) if inside.size else (0, y.size)
    if first == 0 or last == y.size:
        outside = 2.0 * float(law[0])
        return MedianLimits(np.nan, np.nan, 1.0 - outside, 0, 0)
    sums = np.arange(law.size)
    reached = (up_to > half) & (up_to[below[-1] - sums] > half)
    return MedianLimits(float(y[first - 1]), float(y[last]), float(law[reached].sum()), first, last + 1)


def quantile_limits(estimate: FloatArray, weight: FloatArray | None, level: float) -> tuple[float, float]:
    r"""Approximate interval of the (weighted) median: quantiles of the study values at :math:`1/2 \mp z / (2 \sqrt k)`.

    Examples
    --------
    >>> y = np.array([5.23, 3.10, 0.50, 0.78, 3.48, 0.59, 2.20, 5.06, 4.00])
    >>> [round(end, 4) for end in quantile_limits(y, None, 0.95)]
    [0.6635, 4.6501]
    """
    half = -ndtri(0.5 * (1.0 - level)) * 0.5 / np.sqrt(estimate.size)
    ends = max(0.5 - half, 0.0), min(0.5 + half, 1.0)
    if weight is None:
        low, high = (orderstats.quantile(estimate, np.ones_like(estimate), p) for p in ends)
    else:
        low = orderstats.weighted_quantile(estimate, weight, ends[0]) if ends[0] > 0 else estimate.min()
        high = orderstats.weighted_quantile(estimate, weight, ends[1]) if ends[1] < 1 else estimate.max()
    return float(low), float(high)


def density_variance(laws: Law, n: FloatArray) -> FloatArray:
    r"""Variance of a sample median of n patients, :math:`1 / (4 n f^2)`, f the density of a law at its median [1]_.

    References
    ----------
    .. [1] McGrath S, Sohn H, Steele R, Benedetti A (2020). Meta-analysis of the difference of medians. Biom J 62:69-98.
       https://doi.org/10.1002/bimj.201900036

    Examples
    --------
    >>> from netsynth.kernels.laws import NORMAL, law
    >>> density_variance(law(NORMAL, np.array(50.0), np.array(10.0)), np.array(100.0)).round(4).item()
    1.5708
    """
    median = law_quantile(laws, np.array([0.5]))[..., 0]
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / (4.0 * n * law_density(laws, median) ** 2))


def quartile_variance(q1: FloatArray, q3: FloatArray, n: FloatArray) -> FloatArray:
    r"""Variance of a median from the quartiles, as of a confidence distribution [1]_.

    The quartiles are taken for the order statistics of ranks r = n/4 and s = 3n/4, rounded, which bound the median
    with known confidence: :math:`(q_3 - q_1)^2 / (z_s - z_r)^2`, :math:`z_j = (j - n/2 - 1/2) / \sqrt{n / 4}`.

    References
    ----------
    .. [1] Ozturk O, Balakrishnan N (2020). Meta-analysis of quantile intervals from different studies with an
       application to a pulmonary tuberculosis data. Stat Med 39:4519-4537. https://doi.org/10.1002/sim.8738
    """
    z_r, z_s = ((np.round(share * n) - 0.5 * n - 0.5) / np.sqrt(0.25 * n) for share in (0.25, 0.75))
    return np.asarray((q3 - q1) ** 2 / (z_s - z_r) ** 2)


def interval_confidence(
    lower: FloatArray, upper: FloatArray, below: FloatArray, above: FloatArray
) -> tuple[FloatArray, FloatArray]:
    r"""Centre and variance of the normal confidence distribution with these limits [1]_.

    The error probabilities are `below` the lower limit and `above` the upper one:
    :math:`v = (U - L)^2 / (z_{1 - \alpha_2} - z_{\alpha_1})^2`,
    :math:`y = (L + U) / 2 - \sqrt v (z_{\alpha_1} + z_{1 - \alpha_2}) / 2`.

    References
    ----------
    .. [1] Ozturk O, Balakrishnan N (2020). Meta-analysis of quantile intervals from different studies with an
       application to a pulmonary tuberculosis data. Stat Med 39:4519-4537. https://doi.org/10.1002/sim.8738

    Examples
    --------
    >>> centre, variance = interval_confidence(*map(np.array, (9.5, 12.0, 0.025, 0.025)))
    >>> centre.item(), variance.round(6).item()
    (10.75, 0.406747)
    """
    low, high = ndtri(below), -ndtri(above)
    sd = (upper - lower) / (high - low)
    return np.asarray(0.5 * (lower + upper) - 0.5 * sd * (low + high)), np.asarray(sd**2)


def jackknife(estimate: FloatArray, variance: FloatArray, tau2: FloatArray) -> MeanError:
    r"""Weighted mean with the variance of the jackknife over studies and t on k - 1 degrees of freedom.

    :math:`\frac{k - 1}{k} \sum (\hat\mu_{(i)} - \bar\mu_{(\cdot)})^2` with :math:`\hat\mu_{(i)}` the mean without study
    i under the weights :math:`1 / (v_i + \tau^2)` of all; :math:`\tau^2` is not estimated again.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    tau2 : ndarray, shape (...)
    """
    total = variance + np.asarray(tau2)[..., None]
    mean, k = weighted_mean(estimate, total).mean, estimate.shape[-1]
    weight = 1.0 / total
    rest = weight.sum(-1, keepdims=True) - weight
    with np.errstate(invalid="ignore", divide="ignore"):
        without = ((weight * estimate).sum(-1, keepdims=True) - weight * estimate) / rest
    spread = (k - 1) * without.var(-1) if k > 1 else np.full(mean.shape, np.nan)
    return MeanError(mean, np.sqrt(spread), np.full(mean.shape, k - 1.0))
