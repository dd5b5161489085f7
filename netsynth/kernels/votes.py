r"""Votes of studies: weighted by their precision, and put together within a study.

Studies are on the last axis.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from netsynth._typing import FloatArray

#: Votes up to which every split is looked at: two halves of at most 2^20 sums each.
MOST_EXACT: Final = 40


def weighted_share(is_worse: npt.ArrayLike, weights: npt.ArrayLike) -> FloatArray:
    r"""Share of the weight on the side of worse, :math:`\sum w_i I_i / \sum w_i`; nan without weight.

    Parameters
    ----------
    is_worse : array_like of bool, shape (..., k)
        Whether each vote is for worse.
    weights : array_like of float, shape (..., k)
        Not negative.

    Returns
    -------
    ndarray
        Of the leading shape.
    """
    w = np.asarray(weights, dtype=np.float64)
    total = w.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(total > 0, (w * np.asarray(is_worse)).sum(axis=-1) / total, np.nan))


def weighted_sign_test(is_worse: npt.ArrayLike, weights: npt.ArrayLike) -> float:
    r"""Two-sided p-value of weighted votes when every vote may go either way with the same probability.

    :math:`P(|\sum \pm w_i| \ge |\sum s_i w_i|)` over all :math:`2^k` signs: exact up to 40 votes, by sorted sums of
    two halves, normal beyond. With equal weights it is the sign test; nan without a vote.

    Parameters
    ----------
    is_worse : array_like of bool, shape (k,)
        Whether each vote is for worse.
    weights : array_like of float, shape (k,)
        Positive.

    Returns
    -------
    float
    """
    w = np.asarray(weights, dtype=np.float64)
    if not w.size:
        return float("nan")
    w = w / w.max()  # scale does not matter
    least = abs(float(np.where(np.asarray(is_worse), w, -w).sum()))
    if w.size > MOST_EXACT:
        return min(1.0, 2.0 * float(ndtr(-least / np.sqrt((w * w).sum()))))
    # sums of the same weights in another order may differ in the last digits
    least -= 1e-9 * w.sum()
    if least <= 0.0:
        return 1.0
    one, other = (_sums(half) for half in (w[: w.size // 2], w[w.size // 2 :]))
    other.sort()
    beyond = other.size - np.searchsorted(other, least - one, side="left")
    return min(1.0, 2.0 * float(beyond.sum(dtype=np.float64)) / (one.size * other.size))


def _sums(weights: FloatArray) -> FloatArray:
    """Sums of the weights under every choice of signs."""
    sums = np.zeros(1)
    for weight in weights:
        sums = np.concatenate([sums - weight, sums + weight])
    return sums


def within_study(
    n_worse: npt.ArrayLike, n_better: npt.ArrayLike, n_none: npt.ArrayLike, share: float
) -> FloatArray:
    """Direction of a study with several results: 1 worse, -1 better, 0 no difference, nan none of them.

    A direction is that of the study if at least `share` of its results with a direction point there.

    Parameters
    ----------
    n_worse, n_better, n_none : array_like of int
        Results of the study by direction; broadcast.
    share : float
        Above one half.

    Returns
    -------
    ndarray
        Of the broadcast shape; nan where results conflict or there are none.
    """
    worse, better, none = np.broadcast_arrays(
        *(np.asarray(n, dtype=np.float64) for n in (n_worse, n_better, n_none))
    )
    least = (
        share * (worse + better + none) * (1.0 - 1e-12)
    )  # 7 of 10 are 70%, whatever 0.7 times 10 rounds to
    some = worse + better + none > 0
    found = np.where(
        worse >= least, 1.0, np.where(better >= least, -1.0, np.where(none >= least, 0.0, np.nan))
    )
    return np.where(some, found, np.nan)
