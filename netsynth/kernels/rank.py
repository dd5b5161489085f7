r"""Kendall's rank correlation, and the exact distribution of its score.

Arrays have shape (..., k) with studies on the last axis; `present` marks those that a set has.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray

#: Up to so many pairs of values without ties the p-value is exact; beyond, it and the normal one agree to
#: more digits than anyone prints, and the table would grow with the square of the number.
EXACT_UP_TO: Final = 200


class Kendall(NamedTuple):
    """Kendall's tau-b, its score and the variance of the score, shape (...), and whether there are ties."""

    tau: FloatArray
    score: FloatArray
    variance: FloatArray
    n: IntArray
    tied: BoolArray


def kendall(x: FloatArray, y: FloatArray, present: BoolArray) -> Kendall:
    r"""Concordant less discordant pairs, :math:`S = \sum_{i<j} \mathrm{sign}(x_i - x_j)\,\mathrm{sign}(y_i - y_j)`.

    Without association S has mean 0 and, with n values of which :math:`t_g` and :math:`u_g` are tied in x
    and y, the variance :math:`\{n(n-1)(2n+5) - \sum t(t-1)(2t+5) - \sum u(u-1)(2u+5)\} / 18
    + \sum t(t-1) \sum u(u-1) / \{2n(n-1)\} + \sum t(t-1)(t-2) \sum u(u-1)(u-2) / \{9n(n-1)(n-2)\}` [1]_.

    Parameters
    ----------
    x, y : ndarray, shape (..., k)
    present : ndarray of bool, shape (..., k)
        Values of studies that are not present may be anything.

    Returns
    -------
    Kendall
        `tau` is nan where all x or all y are equal.

    References
    ----------
    .. [1] Kendall MG (1970). Rank correlation methods. 4th edition. London: Griffin.
    """
    pair = present[..., :, None] & present[..., None, :]
    signs = [_signs(values, present) for values in (x, y)]
    score = 0.5 * np.where(pair, signs[0] * signs[1], 0.0).sum((-2, -1))
    n = present.sum(-1)
    pairs = n * (n - 1.0)
    # how many others each value is tied with: a group of t gives t values with t - 1 others each
    ties = [np.where(present, (pair & (sign == 0)).sum(-1) - 1.0, 0.0) for sign in signs]
    once = [others.sum(-1) for others in ties]
    twice = [(others * (others - 1.0)).sum(-1) for others in ties]
    spent = [(others * (2.0 * others + 7.0)).sum(-1) for others in ties]
    variance = (pairs * (2.0 * n + 5.0) - spent[0] - spent[1]) / 18.0
    variance = variance + once[0] * once[1] / np.maximum(2.0 * pairs, 1.0)
    variance = variance + twice[0] * twice[1] / np.maximum(9.0 * pairs * (n - 2.0), 1.0)
    product = (pairs - once[0]) * (pairs - once[1])
    tau = np.where(product > 0, 2.0 * score / np.sqrt(np.where(product > 0, product, 1.0)), np.nan)
    return Kendall(tau, score, variance, np.asarray(n), (once[0] + once[1]) > 0)


def _signs(values: FloatArray, present: BoolArray) -> FloatArray:
    values = np.where(present, values, 0.0)
    return np.sign(values[..., :, None] - values[..., None, :])


def exact_pvalue(score: FloatArray, n: IntArray) -> FloatArray:
    """Two-sided p-value of Kendall's score of n pairs without ties, all n! orders being equally likely.

    Parameters
    ----------
    score : ndarray, shape (...)
    n : ndarray of int, shape (...)

    Returns
    -------
    ndarray, shape (...)
        Twice the smaller tail, at most 1; nan where n is below 2 or above `EXACT_UP_TO`.
    """
    score, n = np.broadcast_arrays(np.asarray(score, dtype=np.float64), np.asarray(n))
    pvalue = np.full(score.shape, np.nan)
    for size in np.unique(n):
        if 2 <= size <= EXACT_UP_TO:
            here = n == size
            pairs = int(size) * (int(size) - 1) // 2
            # a half is left where ties, which have no place here, made a score that n values cannot have
            discordant = np.floor(0.5 * (pairs - np.abs(score[here]))).astype(np.int64)
            pvalue[here] = np.minimum(1.0, 2.0 * _tail(int(size))[discordant])
    return pvalue


@lru_cache(maxsize=64)
def _tail(n: int) -> FloatArray:
    """Probability of at most 0, 1, ... discordant pairs among n, up to half of all pairs.

    A new value is as likely to be discordant with any number of its predecessors: the distribution of m
    values is a running mean, m long, of that of m - 1. It is symmetric, so the upper half is the mirror
    image of the lower, where a difference of cumulative sums loses no digits.
    """
    density = np.ones(1)
    for m in range(2, n + 1):
        pairs = m * (m - 1) // 2
        total = np.cumsum(density)
        lower = np.full(pairs // 2 + 1, total[-1])
        known = min(lower.size, total.size)
        lower[:known] = total[:known]
        lower[m:] -= total[: lower.size - m]
        mirrored = lower[::-1] if pairs % 2 else lower[-2::-1]
        density = np.concatenate([lower, mirrored]) / m
    tail = np.cumsum(density[: n * (n - 1) // 4 + 1])
    tail.setflags(write=False)
    return tail
