r"""How much a comparison of two groups can know: the least standard error of a log hazard ratio.

Each death adds :math:`p (1 - p) \le 1/4` to the information of a proportional-hazards fit, where p is the weighted
share of the exposed among those at risk. Adjusting for covariates only takes information away.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from netsynth._typing import FloatArray, Interval
from netsynth.kernels.log_hazard_ratio import se_from_width

__all__ = ["WaldRange", "least_events", "least_se", "least_se_of_arms", "wald_range"]


class WaldRange(NamedTuple):
    """What a printed ratio and its limits allow: geometric mean of the limits, standard error, size of z."""

    middle: Interval
    se: Interval
    z: Interval


def least_se(n_events: npt.ArrayLike) -> FloatArray:
    r"""Least standard error of the log hazard ratio of two groups with D events, :math:`2 / \sqrt D`.

    For every binary covariate of an unweighted Cox model with model-based errors, adjusted and stratified or not. It
    holds neither for continuous covariates nor for weighted fits or robust errors.

    Examples
    --------
    >>> least_se(233).round(5).item()
    0.13102
    """
    return np.asarray(2.0 / np.sqrt(np.asarray(n_events, dtype=np.float64)))


def least_events(lower: npt.ArrayLike, upper: npt.ArrayLike, level: float = 0.95) -> FloatArray:
    r"""Fewest events that allow so narrow an interval, :math:`(4 z_{1-\alpha/2} / \ln(U/L))^2`, not rounded.

    Examples
    --------
    >>> least_events([0.38, 0.34, 0.21], [0.64, 0.60, 0.55]).round(1).tolist()
    [226.2, 190.5, 66.3]
    """
    width = np.log(np.asarray(upper, dtype=np.float64)) - np.log(np.asarray(lower, dtype=np.float64))
    return np.asarray(4.0 / se_from_width(width, level) ** 2)


def least_se_of_arms(n_events: int, n_exposed: int, n_reference: int, hazard_ratio: float) -> float:
    r"""Least standard error of an unadjusted log hazard ratio with so many events in groups of these sizes.

    When j events are still to come at least j patients are at risk, of each group no more than it had. With
    :math:`\varphi` the ratio, :math:`p = r_1 \varphi / (r_1 \varphi + r_0)` may be 1/2 only if a risk set of j or more
    allows :math:`r_0 = \varphi r_1`; otherwise the group that is too small is at risk whole. The information is at most
    the sum of :math:`p (1 - p)` over the events, which is below D/4 for unequal groups with many events.

    Parameters
    ----------
    n_events : int
        Events in both groups; never more than patients.
    n_exposed, n_reference : int
        Patients at first.
    hazard_ratio : float
        Of the exposed, where the information is taken.

    Examples
    --------
    Ten exposed patients among 210, of whom 150 die:

    >>> round(least_se_of_arms(150, 10, 200, 1.0), 3), least_se(150).round(3).item()
    (0.22, 0.163)
    """
    left = np.arange(1, min(n_events, n_exposed + n_reference) + 1, dtype=np.float64)
    if n_exposed * hazard_ratio <= n_reference:
        small, weight = float(n_exposed), hazard_ratio
    else:
        small, weight = float(n_reference), 1.0 / hazard_ratio
    # the smaller group by weight is whole, the others make up the number that must be at risk
    p = np.where(
        left > small * (1.0 + weight),
        small * weight / (small * weight + np.maximum(left - small, 1e-300)),
        0.5,
    )
    return float(1.0 / np.sqrt((p * (1.0 - p)).sum()))


def wald_range(ratio: Interval, lower: Interval, upper: Interval, level: float = 0.95) -> WaldRange:
    r"""What a ratio and the limits of its Wald interval allow, each between the limits it was rounded from.

    Parameters
    ----------
    ratio, lower, upper : Interval
        Positive; an open end is infinite or 0.
    level : float
        Of the interval.

    Returns
    -------
    WaldRange
        :math:`\sqrt{LU}`, :math:`(\ln U - \ln L) / (2 z_{1-\alpha/2})`, and :math:`|\ln HR| / SE`.

    Examples
    --------
    0.49 (0.38 to 0.64):

    >>> found = wald_range(Interval(0.485, 0.495), Interval(0.375, 0.385), Interval(0.635, 0.645))
    >>> [[round(end, 3) for end in pair] for pair in found]
    [[0.488, 0.498], [0.128, 0.138], [5.083, 5.669]]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio, low, high = (np.log(np.asarray(pair, dtype=np.float64)) for pair in (ratio, lower, upper))
        middle = np.exp(0.5 * (low + high))
        width = np.array([max(low_gap, 0.0) for low_gap in (high[0] - low[1], high[1] - low[0])])
        se = width / (-2.0 * ndtri(0.5 * (1.0 - level)))
        nearest = 0.0 if log_ratio[0] <= 0 <= log_ratio[1] else float(np.abs(log_ratio).min())
        z = np.array([nearest, np.abs(log_ratio).max()]) / se[::-1]
    return WaldRange(*(Interval(float(pair[0]), float(pair[1])) for pair in (middle, se, z)))
