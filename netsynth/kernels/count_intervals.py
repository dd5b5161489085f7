r"""Intervals of one proportion or one rate from its counts.

Everything is elementwise and broadcasts, so any leading shape goes. `clopper_pearson` is in `netsynth.kernels.pvalues`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import gammainccinv, gammaincinv

from netsynth._typing import FloatArray
from netsynth.kernels.intervals import Limits, critical_value
from netsynth.kernels.pvalues import clopper_pearson

CountLimits: TypeAlias = Callable[[npt.ArrayLike, npt.ArrayLike, float], Limits]


def _counts(
    n_events: npt.ArrayLike, n_total: npt.ArrayLike, level: float
) -> tuple[FloatArray, FloatArray, float]:
    x, n = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (n_events, n_total)))
    return x, n, float(critical_value(np.inf, level))


def _within_one(lower: FloatArray, upper: FloatArray) -> Limits:
    return Limits(np.clip(lower, 0.0, 1.0), np.clip(upper, 0.0, 1.0))


def wilson(n_events: npt.ArrayLike, n_total: npt.ArrayLike, level: float) -> Limits:
    r"""Wilson's score interval: the proportions p from which x is less than z standard errors away [1]_.

    References
    ----------
    .. [1] Brown LD, Cai TT, DasGupta A (2001). Interval estimation for a binomial proportion. Stat Sci 16:101-133.
       https://doi.org/10.1214/ss/1009213286
    """
    x, n, z = _counts(n_events, n_total, level)
    centre, half = x + 0.5 * z * z, z * np.sqrt(x * (n - x) / n + 0.25 * z * z)
    lower = np.where(x > 0, (centre - half) / (n + z * z), 0.0)
    upper = np.where(x < n, (centre + half) / (n + z * z), 1.0)
    return _within_one(lower, upper)


def wilson_corrected(n_events: npt.ArrayLike, n_total: npt.ArrayLike, level: float) -> Limits:
    """Wilson's interval with a continuity correction of half an event."""
    x, n, z = _counts(n_events, n_total, level)
    p = x / n
    inside = z * z - 1.0 / n + 4.0 * p * (n - x)
    low = np.sqrt(np.maximum(inside - 2.0 + 4.0 * p, 0.0))
    high = np.sqrt(np.maximum(inside + 2.0 - 4.0 * p, 0.0))
    middle, size = 2.0 * x + z * z, 2.0 * (n + z * z)
    return _within_one((middle - 1.0 - z * low) / size, (middle + 1.0 + z * high) / size)


def agresti_coull(n_events: npt.ArrayLike, n_total: npt.ArrayLike, level: float) -> Limits:
    """The simple interval after z squared patients, half of them with the event, have been added."""
    x, n, z = _counts(n_events, n_total, level)
    return simple(x + 0.5 * z * z, n + z * z, level)


def simple(n_events: npt.ArrayLike, n_total: npt.ArrayLike, level: float) -> Limits:
    r"""The textbook interval :math:`p \mp z \sqrt{p (1 - p) / n}`, of no width at x = 0 and x = n."""
    x, n, z = _counts(n_events, n_total, level)
    half = z * np.sqrt(x * (n - x) / n) / n
    return _within_one(x / n - half, x / n + half)


def simple_corrected(n_events: npt.ArrayLike, n_total: npt.ArrayLike, level: float) -> Limits:
    """The textbook interval, longer by half an event on each side."""
    x, n, z = _counts(n_events, n_total, level)
    half = z * np.sqrt(x * (n - x) / n) / n + 0.5 / n
    return _within_one(x / n - half, x / n + half)


def garwood(n_events: npt.ArrayLike, person_time: npt.ArrayLike, level: float) -> Limits:
    r"""Exact interval of a Poisson rate by inverting two one-sided tests [1]_.

    The limits of the mean count are the :math:`\alpha/2` quantile of Gamma(x), 0 at x = 0, and the
    :math:`1 - \alpha/2` quantile of Gamma(x + 1).

    Parameters
    ----------
    n_events, person_time : array_like of float
        Events, and the time in which they were counted.
    level : float
        Confidence level.

    Returns
    -------
    Limits
        Of the rate, arrays of the broadcast shape.

    References
    ----------
    .. [1] Garwood F (1936). Fiducial limits for the Poisson distribution. Biometrika 28:437-442.
    """
    x, time, _ = _counts(n_events, person_time, level)
    tail = 0.5 * (1.0 - level)
    lower = np.where(x > 0, gammaincinv(np.maximum(x, 1.0), tail), 0.0)
    return Limits(lower / time, gammainccinv(x + 1.0, tail) / time)


ProportionInterval = Literal[
    "clopper_pearson", "wilson", "wilson_corrected", "agresti_coull", "simple", "simple_corrected"
]
#: Every interval of one proportion by name.
PROPORTION_INTERVALS: Final[Mapping[ProportionInterval, CountLimits]] = MappingProxyType(
    {
        "clopper_pearson": clopper_pearson,
        "wilson": wilson,
        "wilson_corrected": wilson_corrected,
        "agresti_coull": agresti_coull,
        "simple": simple,
        "simple_corrected": simple_corrected,
    }
)
