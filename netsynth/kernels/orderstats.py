"""Order statistics of study values: quantiles, weighted quantiles, ranks of the interval for the median.

Every function works along the last axis and takes any number of leading axes. Weights mark presence: a
value with weight zero is absent, so ragged sets are padded with zero weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from netsynth._typing import FloatArray, IntArray

#: Relative slack for "exactly half the weight": well above the error of a floating sum, far below any
#: difference that weights are meant to express.
_SLACK = 1e-12


class MedianRank(NamedTuple):
    """The interval from the `rank`-th smallest to the `rank`-th largest value, and its exact coverage.

    `rank` is 0 where no interval reaches the level; `coverage` is then that of the whole range.
    """

    rank: IntArray
    coverage: FloatArray


def quantile_ranks(weights: FloatArray, p: float) -> tuple[IntArray, IntArray]:
    """Positions of the two values whose mean is the weighted `p`-quantile.

    The first is where the running weight reaches `p` of the total, the second where it passes it; they
    differ only when the running weight is exactly `p` of the total. Undefined when all weights are zero.

    Parameters
    ----------
    weights : ndarray, shape (..., k)
        Weights of the values in ascending order, none negative.
    p : float
        Between 0 and 1, both excluded.

    Returns
    -------
    first, second : ndarray of int, shape (...)
    """
    running = np.cumsum(weights, axis=-1)
    total = running[..., -1:]
    first = np.argmax(running >= (p - _SLACK) * total, axis=-1)
    second = np.argmax(running > (p + _SLACK) * total, axis=-1)
    return first, second


def weighted_quantile(values: FloatArray, weights: FloatArray, p: float) -> FloatArray:
    r"""Weighted quantile: inverse of the weighted distribution function, averaged over a flat stretch.

    The lower quantile is :math:`\min\{y : \sum_{y_i \le y} w_i \ge p W\}`, with :math:`W = \sum w_i`; when
    the sum equals :math:`p W` it is averaged with the next larger value. With equal weights this is
    quantile type 2 of Hyndman and Fan, and at p = 1/2 the ordinary median.

    Parameters
    ----------
    values, weights : ndarray, shapes that broadcast to (..., k)
        Values may be infinite; weights are not negative.
    p : float
        Between 0 and 1, both excluded.

    Returns
    -------
    ndarray, shape (...)
        nan where all weights are zero.

    Examples
    --------
    >>> weighted_quantile(np.array([10.0, 13.0, 11.0]), np.array([40.0, 60.0, 90.0]), 0.5).item()
    11.0
    """
    y, w = np.broadcast_arrays(values, weights)
    order = np.argsort(y, axis=-1, kind="stable")
    y, w = np.take_along_axis(y, order, -1), np.take_along_axis(w, order, -1)
    largest = w.max(axis=-1, keepdims=True)
    first, second = quantile_ranks(w / np.where(largest > 0, largest, 1.0), p)  # a plain sum could overflow
    pair = np.take_along_axis(y, np.stack([first, second], axis=-1), -1)
    # halved before adding, which is exact and cannot overflow
    return np.where(largest[..., 0] > 0, 0.5 * pair[..., 0] + 0.5 * pair[..., 1], np.nan)


def quantile(values: FloatArray, weights: FloatArray, p: float) -> FloatArray:
    """Quantile type 7: linear between order statistics, at position (k - 1) p + 1; weights only mark presence.

    Parameters
    ----------
    values, weights : ndarray, shapes that broadcast to (..., k)
        Values may be infinite at one end; those with weight zero are absent.
    p : float
        Between 0 and 1.

    Returns
    -------
    ndarray, shape (...)
        nan where all weights are zero.

    Examples
    --------
    >>> quantile(np.array([10.0, 13.0, 11.0]), np.ones(3), 0.25).item()
    10.5
    """
    y, w = np.broadcast_arrays(values, weights)
    y = np.sort(np.where(w > 0, y, np.inf), axis=-1)
    n = np.count_nonzero(w > 0, axis=-1)
    h = np.maximum(n - 1, 0) * p
    at = np.floor(h).astype(np.int64)
    pair = np.take_along_axis(y, np.stack([at, np.minimum(at + 1, np.maximum(n - 1, 0))], axis=-1), -1)
    low, high, share = pair[..., 0], pair[..., 1], h - at
    with np.errstate(invalid="ignore"):  # inf - inf, which the next line does not use
        between = low + share * (high - low)
    return np.where(n == 0, np.nan, np.where((share == 0) | np.isinf(low), low, between))


def median_coverage(k: npt.ArrayLike, rank: npt.ArrayLike) -> FloatArray:
    r"""Probability that the interval between the `rank`-th smallest and largest of k values holds the median.

    :math:`1 - 2 P(\mathrm{Bin}(k, 1/2) \le j - 1)`, exact for independent draws from a continuous
    distribution and a lower bound for any other.

    Parameters
    ----------
    k, rank : array_like of int
        Number of values and rank j, ``1 <= j <= (k + 1) / 2``; they broadcast.

    Examples
    --------
    >>> median_coverage(9, 2).item()
    0.9609375
    """
    return 1.0 - 2.0 * _tail(np.asarray(k), np.asarray(rank))


def _tail(k: IntArray, rank: IntArray) -> FloatArray:
    """P(Bin(k, 1/2) <= rank - 1)."""
    return np.asarray(bdtr(rank - 1.0, k, 0.5), dtype=np.float64)


def median_rank(k: npt.ArrayLike, level: float) -> MedianRank:
    """Largest rank whose interval for the median has at least the coverage `level`, for many k at once.

    Parameters
    ----------
    k : array_like of int
        Numbers of values, each at least 1.
    level : float
        Wanted coverage, between 0 and 1.

    Examples
    --------
    >>> rank, coverage = median_rank([5, 6, 29], 0.95)
    >>> rank.tolist(), coverage.round(5).tolist()
    ([0, 1, 9], [0.9375, 0.96875, 0.97588])
    """
    n = np.asarray(k, dtype=np.int64)
    # slack of an ulp or two, so that asking for the coverage of an interval gives that interval back
    allowed = (1.0 - level) * (1.0 + _SLACK) + 2.0 * np.finfo(np.float64).eps
    rank, too_far = np.zeros_like(n), n // 2 + 1
    while (too_far - rank > 1).any():
        middle = np.maximum((rank + too_far) // 2, 1)  # which leaves a finished row as it is
        reaches = 2.0 * _tail(n, middle) <= allowed
        rank, too_far = np.where(reaches, middle, rank), np.where(reaches, too_far, middle)
    return MedianRank(rank, median_coverage(n, np.maximum(rank, 1)))


def fewest_for_median(level: float) -> int:
    """Fewest values whose range has at least the coverage `level` for the median, 1 - 2^(1 - k).

    Examples
    --------
    >>> fewest_for_median(0.95), fewest_for_median(0.9375)
    (6, 5)
    """
    counts = np.arange(2, 64)  # 1 - 2^-62 is above every level that a float can hold
    return int(counts[np.argmax(median_rank(counts, level).rank > 0)])
