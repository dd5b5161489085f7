r"""The lattice of Kaplan-Meier estimates: which percentages n patients can give, and with how many losses.

Let m of n patients be at risk after a time, and let the c who were lost before it have left when
:math:`r_1 > \dots > r_c > m` were at risk. Every death multiplies the estimate by :math:`(r - 1) / r`, so

.. math:: S = \frac{m}{n} \prod_{j=1}^{c} \frac{r_j}{r_j - 1},

and the estimate is 0 only if the last patient at risk died. Printed numbers enter as the limits between which
they were rounded; both limits count as possible. Whether a percentage is possible is decided in whole numbers.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from netsynth._typing import FloatArray, IntArray
from netsynth.kernels.intervals import Limits

__all__ = [
    "MOST_PATIENTS",
    "CountBounds",
    "LeastCensored",
    "attainable_survival",
    "count_bounds",
    "is_attainable",
    "least_censored",
    "least_tied",
    "stretch_bounds",
    "variance_range",
    "whole_count",
]

#: Of more patients than these it is only decided whether they can give a percentage without any loss.
MOST_PATIENTS: Final = 2000
#: Steps of a search for the sizes of the risk set at the losses, after which nothing is said.
_STEPS: Final = 4000
_SLACK: Final = 1e-9  # of a patient, so that a limit reached exactly is reached


class LeastCensored(NamedTuple):
    """Smallest number of patients lost before a time, -1 when no number will do.

    When `is_decided` is false the search was given up, and at least `n_censored` were lost if it is possible at all.
    """

    n_censored: int
    is_decided: bool = True


class CountBounds(NamedTuple):
    """Whole numbers of deaths and losses up to a time; where a lower limit exceeds its upper one there are none."""

    events_lower: FloatArray
    events_upper: FloatArray
    censored_lower: FloatArray
    censored_upper: FloatArray


class _OutOfStepsError(Exception):
    """A search was longer than it may be."""


def whole_count(lower: npt.ArrayLike, upper: npt.ArrayLike, n_total: npt.ArrayLike) -> IntArray:
    """Smallest whole number x with x / n between the limits, -1 where there is none.

    The test of granularity for shares, for means of whole numbers [1]_, and for survival without losses.

    Parameters
    ----------
    lower, upper : array_like of float, shape (...)
        What was printed before it was rounded.
    n_total : array_like of int, shape (...)
        Patients.

    References
    ----------
    .. [1] Brown NJL, Heathers JAJ (2017). The GRIM test: a simple technique detects numerous anomalies in the
       reporting of results in psychology. Soc Psychol Personal Sci 8:363-369.
       https://doi.org/10.1177/1948550616673876

    Examples
    --------
    Of 13 patients 31% can be alive, but not 30%; a mean of 5.27 whole numbers is not one of 43:

    >>> whole_count([0.305, 0.295, 5.265], [0.315, 0.305, 5.275], [13, 13, 43]).tolist()
    [4, -1, -1]
    """
    n = np.asarray(n_total, dtype=np.float64)
    first = np.ceil(np.asarray(lower, dtype=np.float64) * n - _SLACK)
    last = np.floor(np.asarray(upper, dtype=np.float64) * n + _SLACK)
    return np.where(first <= last, first, -1.0).astype(np.int64)


def attainable_survival(n_total: int, most_censored: int = 0) -> FloatArray:
    """Every Kaplan-Meier estimate that n patients can give with at most so many losses before it, ascending.

    Their number grows as n to the power of the losses and one: use it for small n and few losses.

    Examples
    --------
    >>> (100 * attainable_survival(4)).tolist()
    [0.0, 25.0, 50.0, 75.0, 100.0]
    >>> (100 * attainable_survival(4, most_censored=1)).round(1).tolist()
    [0.0, 25.0, 33.3, 37.5, 50.0, 66.7, 75.0, 100.0]
    """
    found = {Fraction(1)}
    by_losses = [{Fraction(1)}, *(set[Fraction]() for _ in range(most_censored))]
    for r in range(n_total, 0, -1):
        after_death = [{s * Fraction(r - 1, r) for s in estimates} for estimates in by_losses]
        by_losses = [
            died | (by_losses[c - 1] if c else set()) for c, died in enumerate(after_death)
        ]  # of those at risk one has died, or was lost
        found.update(*by_losses)
    return np.array(sorted(found), dtype=np.float64)


@lru_cache(maxsize=4096)
def least_censored(lower: float, upper: float, n_total: int) -> LeastCensored:
    """Smallest number of n patients who must have been lost before survival lay between the limits.

    Parameters
    ----------
    lower, upper : float
        Limits of survival, as probabilities with few decimals, as printed numbers have.
    n_total : int
        Patients. Above `MOST_PATIENTS` it is only decided whether no loss is needed.

    Returns
    -------
    LeastCensored
        Exact: limits and products are compared as fractions.

    Notes
    -----
    For c = 0, 1, ... and every m the sizes of the risk set at the losses are sought by bisection of the range that
    their product has. A loss after the last death changes nothing, so the last size is that of a death.

    Examples
    --------
    Of 13 patients, 31% needs no loss, 50% one, 30% two, and 95% cannot be:

    >>> [least_censored(s - 0.005, s + 0.005, 13).n_censored for s in (0.31, 0.5, 0.3, 0.95)]
    [0, 1, 2, -1]
    """
    low, high = _fraction(lower), _fraction(upper)
    if low <= 0 or high >= 1 or math.ceil(low * n_total) <= math.floor(high * n_total):
        return LeastCensored(0)
    if low > Fraction(n_total - 1, n_total):
        return LeastCensored(-1)
    if n_total > MOST_PATIENTS:
        return LeastCensored(1, is_decided=False)
    work = [_STEPS]
    for c in range(1, n_total - 1):
        m = np.arange(1, n_total - c)
        # losses at the largest sizes of the risk set, and at the smallest
        least, most = m / (n_total - c), m * (m + c + 1) / (n_total * (m + 1))
        try:
            for at_risk in m[(least <= upper + 1e-12) & (most >= lower - 1e-12)].tolist():
                scale = Fraction(n_total, at_risk)
                if _has_product(at_risk + 2, n_total, c, low * scale, high * scale, work):
                    return LeastCensored(c)
        except _OutOfStepsError:
            return LeastCensored(c, is_decided=False)
    return LeastCensored(-1)


@lru_cache(maxsize=4096)
def is_attainable(lower: float, upper: float, n_total: int, n_at_risk: int) -> bool | None:
    """Whether survival between the limits is possible with m of n patients at risk afterwards; None if not decided.

    Parameters
    ----------
    lower, upper : float
        Limits of survival as in `least_censored`.
    n_total, n_at_risk : int
        Patients at first, and those at risk just after the time.

    Examples
    --------
    Half of ten patients alive, with four at risk, or six:

    >>> is_attainable(0.495, 0.505, 10, 4), is_attainable(0.495, 0.505, 10, 6)
    (True, False)
    """
    low, high = _fraction(lower), _fraction(upper)
    if high >= 1 or (n_at_risk == 0 and low <= 0):
        return n_total > 0 or high >= 1
    if n_at_risk == 0:
        return is_attainable(lower, upper, n_total, 1)  # who was then lost
    if n_total > MOST_PATIENTS:
        return None
    scale, work = Fraction(n_total, n_at_risk), [_STEPS]
    a, b = low * scale, high * scale
    # as many losses as the limits of `count_bounds` allow, and one death at least
    fewest = max(0, math.ceil(low * n_total) - n_at_risk)
    most = min(n_total - math.ceil(n_at_risk / high), n_total - n_at_risk - 1)
    try:
        return any(
            _has_product(n_at_risk + 1, n_total, c, a, b, work)
            for c in sorted(range(fewest, most + 1), key=lambda c: abs(2 * c - fewest - most))
        )
    except _OutOfStepsError:
        return None


def _fraction(limit: float) -> Fraction:
    """The decimal that the nearest float stands for."""
    return Fraction(limit).limit_denominator(10**9)


def _has_product(low: int, high: int, k: int, a: Fraction, b: Fraction, work: list[int]) -> bool:
    """Whether k different sizes among low..high have a product of r / (r - 1) within [a, b]."""
    count = high - low + 1
    if k > count:
        return False
    if 2 * k > count:  # the others, which are fewer; all together have the product high / (low - 1)
        whole = Fraction(high, low - 1)
        k, a, b = count - k, whole / b, whole / a
    least, most = Fraction(high, high - k), Fraction(low + k - 1, low - 1)
    if most < a or least > b:
        return False
    # from the largest sizes to the smallest, one step down at a time, no product grows by more than this
    if least >= a or most <= b or b * (low * low - 1) >= a * (low * low):
        return True
    if k == 1:
        return math.ceil(b / (b - 1)) <= math.floor(a / (a - 1))
    work[0] -= 1
    if work[0] < 0:
        raise _OutOfStepsError
    if k == 2:
        return _has_pair(low, high, a, b)
    largest = np.arange(low + k - 1, high + 1)
    lowest = largest / (largest - k)
    highest = largest / (largest - 1) * ((low + k - 2) / (low - 1))
    for r in largest[(lowest <= float(b) + 1e-9) & (highest >= float(a) - 1e-9)].tolist():
        rest = Fraction(r - 1, r)
        if _has_product(low, r - 1, k - 1, a * rest, b * rest, work):
            return True
    return False


def _has_pair(low: int, high: int, a: Fraction, b: Fraction) -> bool:
    """`_has_product` for two sizes, where the largest product exceeds b and the least is below a."""
    larger = np.arange(low + 1, high + 1, dtype=np.float64)
    rest = (larger - 1.0) / larger
    with np.errstate(divide="ignore"):
        # 1 / (r - 1) lies between what is left of the limits and one
        from_below = 1.0 + 1.0 / np.maximum(float(b) * rest - 1.0, 0.0)
        from_above = 1.0 + 1.0 / np.maximum(float(a) * rest - 1.0, 0.0)
    first = np.maximum(np.ceil(from_below - 1e-6), low)
    last = np.minimum(np.floor(from_above + 1e-6), larger - 1.0)
    for i in np.flatnonzero(first <= last).tolist():
        share = Fraction(int(larger[i]) - 1, int(larger[i]))
        for r in {int(first[i]), int(min(first[i] + 1, last[i])), int(last[i])}:
            if a * share <= Fraction(r, r - 1) <= b * share:
                return True
    return False


def count_bounds(
    lower: npt.ArrayLike, upper: npt.ArrayLike, n_total: npt.ArrayLike, n_at_risk: npt.ArrayLike
) -> CountBounds:
    r"""Deaths and losses among n patients of whom m are at risk after a time with survival between the limits.

    :math:`m (1 - S) / S \le d \le n (1 - S)` and :math:`n S - m \le c \le n - m / S`, with
    :math:`m + d + c = n`: all losses first, or all last.

    Parameters
    ----------
    lower, upper : array_like of float, shape (...)
        Limits of survival.
    n_total, n_at_risk : array_like of int, shape (...)
        Patients at first, and those at risk just after the time.

    Returns
    -------
    CountBounds
        Each of shape (...). There is no such course where ``events_lower > events_upper``, which is so when more
        are at risk than n times the upper limit.

    Examples
    --------
    83% of 100 patients, with 75 at risk:

    >>> [int(end) for end in count_bounds(0.825, 0.835, 100, 75)]
    [15, 17, 8, 10]
    """
    low, high, n, m = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (lower, upper, n_total, n_at_risk))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        alive = np.where(m > 0, m / high, 0.0)  # of whom high remain when all losses come first
    events_lower = np.ceil(alive - m - _SLACK)
    events_upper = np.floor(np.minimum(n * (1.0 - low), n - m) + _SLACK)
    return CountBounds(events_lower, events_upper, n - m - events_upper, n - m - events_lower)


def stretch_bounds(
    lower: npt.ArrayLike, upper: npt.ArrayLike, n_total: npt.ArrayLike, n_at_risk: npt.ArrayLike
) -> CountBounds:
    """`count_bounds` of each stretch between landmarks at which the number at risk is known.

    Parameters
    ----------
    lower, upper, n_at_risk : array_like of float, shape (..., m)
        In order of time; nan for a number at risk that is not reported.
    n_total : array_like of int, shape (...)
        Patients at first.

    Returns
    -------
    CountBounds
        Each of shape (..., m): between the landmark and the last one before it with a number at risk; nan where the
        number at risk is not known. Conditional survival has as its limits the quotients of limits.

    Examples
    --------
    83, 71 and 42% of 100 patients, with 75, 52 and 18 at risk:

    >>> found = stretch_bounds([0.825, 0.705, 0.415], [0.835, 0.715, 0.425], 100, [75, 52, 18])
    >>> found.events_lower.tolist(), found.events_upper.tolist()
    ([15.0, 8.0, 12.0], [17.0, 11.0, 21.0])
    """
    low, high, at_risk, before, n = _stretches(lower, upper, n_total, n_at_risk)
    return count_bounds(*_conditional(low, high, before), n, at_risk)


def least_tied(
    lower: npt.ArrayLike, upper: npt.ArrayLike, n_total: float, n_at_risk: npt.ArrayLike
) -> FloatArray:
    r"""Smallest numbers of deaths at exactly the landmarks without which survival and numbers at risk disagree.

    Printed tables count those at risk just before a time. If k of M die at it, :math:`m = M - k` are at risk after
    it, and :math:`S_j \ge S_{j-1} (M_j - k_j) / (M_{j-1} - k_{j-1})`; so every k is as small as it can be in turn.

    Parameters
    ----------
    lower, upper, n_at_risk : array_like of float, shape (m,)
        In order of time; nan for a number at risk that is not reported.
    n_total : float
        Patients at first.

    Returns
    -------
    ndarray, shape (m,)
        0 where nobody has to have died at the landmark, nan where the number at risk is not known.

    Examples
    --------
    Of 100 patients at least five of the 75 at risk die exactly then, if 70% live afterwards:

    >>> least_tied([0.695], [0.705], 100, [75]).tolist()
    [5.0]
    """
    low, high, at_risk = (np.asarray(x, dtype=np.float64) for x in (lower, upper, n_at_risk))
    tied = np.full(low.size, np.nan)
    floor, m = 1.0, float(n_total)
    for j in range(low.size):
        if math.isnan(at_risk[j]):
            continue
        tied[j] = max(0.0, math.ceil(at_risk[j] - high[j] * m / floor - _SLACK)) if floor > 0 else 0.0
        after = at_risk[j] - tied[j]
        floor, m = max(low[j], floor * after / m if m else 0.0), after
    return tied


def variance_range(
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    n_total: npt.ArrayLike,
    n_at_risk: npt.ArrayLike,
    *,
    before: bool = False,
) -> Limits:
    r"""Interval that holds Greenwood's variance, whatever was printed was rounded from.

    The sharp interval of `netsynth.kernels.survival_variance.reported_variance`, each part of it at those ends of the
    rounded percentages that make it widest.

    Parameters
    ----------
    lower, upper, n_at_risk : array_like of float, shape (..., m)
        In order of time; nan for a number at risk that is not reported.
    n_total : array_like of float, shape (...)
        Patients at first; nan where not reported, which leaves 0 or a number at risk for the lower limit.
    before : bool
        Whether patients who die at exactly a landmark are still counted as at risk there. Of M patients then at least
        M p are at risk afterwards, p being conditional survival, and the upper limit is larger by 1 / p.

    Returns
    -------
    Limits
        Of the variance at each landmark, shape (..., m).

    Examples
    --------
    >>> found = variance_range([0.6985], [0.6995], 158, [82])
    >>> [(end**0.5).round(4).item() for end in found]
    [0.0365, 0.0424]
    """
    low, high, at_risk, earlier, n = _stretches(lower, upper, n_total, n_at_risk)
    known = ~np.isnan(at_risk)
    later = np.where(known, at_risk, 1.0)
    m = np.maximum.accumulate(later[..., ::-1], axis=-1)[..., ::-1]  # at least as many as are at risk later
    n = np.where(np.isnan(n), np.inf, n)
    p_low, p_high = _conditional(low, high, earlier)

    def left(share: FloatArray) -> FloatArray:
        """Fewest patients at risk afterwards."""
        return np.maximum(np.where(known & before, m * share, m), 1.0)

    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.stack([(1.0 / p_high - 1.0) / n, (1.0 - p_low) / left(p_low)])
    until = np.cumsum(np.where(known, parts, 0.0), axis=-1)
    least, most = until + np.where(known, 0.0, parts)
    # of the curve as a whole, which rounding at the earlier landmarks does not touch
    binomial = np.minimum(low * (1.0 - low), high * (1.0 - high)) / n[..., :1]
    least = low**2 * np.where(low > 0, least, 0.0)
    most = high**2 * np.where(high > 0, np.minimum(most, (1.0 - low) / left(low)), 0.0)
    return Limits(np.maximum(least, binomial), most)


def _stretches(
    lower: npt.ArrayLike, upper: npt.ArrayLike, n_total: npt.ArrayLike, n_at_risk: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray, Limits, FloatArray]:
    """Limits and numbers at risk, and for each landmark limits and number at the last known one before it."""
    low, high, at_risk = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (lower, upper, n_at_risk))
    )
    shape = low.shape
    since = np.where(np.isnan(at_risk), -1, np.arange(shape[-1]))
    last = np.maximum.accumulate(since, axis=-1)
    last = np.concatenate([np.full((*shape[:-1], 1), -1), last[..., :-1]], axis=-1)
    place, is_first = np.maximum(last, 0), last < 0
    before = Limits(
        np.where(is_first, 1.0, np.take_along_axis(low, place, axis=-1)),
        np.where(is_first, 1.0, np.take_along_axis(high, place, axis=-1)),
    )
    n = np.asarray(n_total, dtype=np.float64)[..., None]
    return low, high, at_risk, before, np.where(is_first, n, np.take_along_axis(at_risk, place, axis=-1))


def _conditional(low: FloatArray, high: FloatArray, before: Limits) -> Limits:
    """Limits of survival given that before: quotients of limits, at most 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p_low = np.where(before.upper > 0, low / before.upper, 0.0)
        p_high = np.where(before.lower > 0, high / before.lower, 1.0)
    return Limits(np.minimum(p_low, 1.0), np.minimum(p_high, 1.0))
