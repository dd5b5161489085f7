r"""Data sets of two groups, drawn apart, put together in pairs that give what is printed of both.

The groups are independent but for what is printed of both, so that every data set of one may go with every data set of
the other, and the pairs that give the printed numbers are draws from the distribution of both groups given these. How
far a pair is from them is counted in standard errors of sampling. If no pair gives them, a pair at the distance
:math:`\delta` can be weighted by :math:`\exp\{-\frac12 (\delta / w)^2\}` with a width w.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray
from netsynth.kernels import two_arms
from netsynth.kernels.intervals import Limits

_CHUNK: Final = 1_000_000  # patients that are compared at once


class Pairs(NamedTuple):
    """Places of the data sets of k pairs, one of each group, shape (k,)."""

    first: IntArray
    second: IntArray


class PairFits(NamedTuple):
    """Comparison of each pair, shape (k,).

    Attributes
    ----------
    log_hr, se : ndarray
        By Cox's likelihood; infinite or nan, and then without a standard error, where that has no maximum.
    z : ndarray
        Size of the log-rank statistic as a standard normal variable; nan where nothing can be compared.
    """

    log_hr: FloatArray
    se: FloatArray
    z: FloatArray


class PairTarget(NamedTuple):
    """What is printed of two groups, as limits that come from its rounding; None for what is not printed.

    Attributes
    ----------
    log_hr : Limits or None
        Of the log hazard ratio.
    ci_lower, ci_upper : Limits or None
        Of the logarithms of the ends of its confidence interval.
    reach : float
        How many standard errors these ends are from the middle.
    z : Limits or None
        Of the size of the log-rank statistic.
    """

    log_hr: Limits | None
    ci_lower: Limits | None
    ci_upper: Limits | None
    reach: float
    z: Limits | None

    def distance(self, fits: PairFits) -> FloatArray:
        """Standard errors between each pair and the nearest numbers that print so; infinite where undefined.

        Of several printed numbers the farthest counts.
        """
        found = np.zeros(fits.log_hr.shape)
        end = self.reach * fits.se
        ratios = (
            (self.log_hr, fits.log_hr),
            (self.ci_lower, fits.log_hr - end),
            (self.ci_upper, fits.log_hr + end),
        )
        with np.errstate(invalid="ignore"):
            for limits, value in ratios:
                if limits is not None:
                    found = np.maximum(found, _outside(limits, value) / fits.se)
            if self.z is not None:
                found = np.maximum(found, _outside(self.z, fits.z))
        return np.where(np.isnan(found), np.inf, found)


def _outside(limits: Limits, value: FloatArray) -> FloatArray:
    return np.maximum(np.maximum(limits.lower - value, value - limits.upper), 0.0)


def pairs_of(n_first: int, n_second: int, n_pairs: int) -> Pairs:
    """Different pairs, all of them at most, in an order that uses all data sets of a group evenly, within one.

    Examples
    --------
    >>> pairs_of(3, 2, 5)
    Pairs(first=array([0, 1, 2, 0, 1]), second=array([0, 1, 0, 1, 0]))
    """
    k = np.arange(min(n_pairs, n_first * n_second))
    # both groups in turn: the pairs return after the least common multiple of the sizes, and are then moved on by one
    return Pairs(k % n_first, (k + k // math.lcm(n_first, n_second)) % n_second)


def compare_pairs(
    first_time: FloatArray,
    first_event: IntArray,
    second_time: FloatArray,
    second_event: IntArray,
    pairs: Pairs,
) -> PairFits:
    """Compare pairs of data sets, the first group with the second, from data of shape (b, n) and (b', n')."""
    size = max(_CHUNK // (first_time.shape[1] + second_time.shape[1]), 1)
    parts = []
    for start in range(0, pairs.first.size, size):
        i, j = (places[start : start + size] for places in pairs)
        sets = two_arms.risk_sets(first_time[i], first_event[i], second_time[j], second_event[j])
        fit = two_arms.cox(sets)
        parts.append((fit.log_hr, np.sqrt(fit.variance), np.sqrt(two_arms.log_rank(sets).chi2)))
    return PairFits(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def normal_weights(distance: FloatArray, width: float) -> FloatArray:
    """Weights that add up to 1: of those at no distance if the width is 0, else by a normal kernel."""
    if width > 0:
        weight = np.exp(-0.5 * (np.square(distance / width) - np.square(distance.min() / width)))
    else:
        weight = (distance == 0).astype(np.float64)
    return np.asarray(weight / weight.sum())


def effective_size(weight: FloatArray) -> float:
    r"""Number of equally weighted draws with as much information, :math:`(\sum w)^2 / \sum w^2`."""
    return float(weight.sum() ** 2 / np.square(weight).sum())


def systematic(weight: FloatArray, n: int, rng: np.random.Generator) -> IntArray:
    """Draw n places, each as often as n times its weight says, but for a fraction."""
    share = np.cumsum(weight)
    return np.searchsorted(share / share[-1], (np.arange(n) + rng.random()) / n, side="right")
