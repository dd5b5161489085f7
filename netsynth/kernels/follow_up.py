r"""Numbers at risk that a report does not print, from the total number of events or the median follow-up.

Patients enter at a steady rate until the data are closed, so that follow-up is uniform between 0 and some longest time
b, and a share :math:`G(t) = 1 - t / b` is still followed at t. A median follow-up f by the reversed Kaplan-Meier method
says :math:`b = 2 f`. The events seen among n patients are expected to be

.. math:: n \int_0^b (1 - t / b) \, dF(t) = n \left\{ 1 - \frac{1}{b} \int_0^b S(t) \, dt \right\},

which rises with b, so that the total number of events gives b as well. At t then :math:`n S(t) G(t)` are at risk.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.curves import Curve

_LONGEST: Final = 1e4  # in units of the last landmark: nobody is lost
_GRID: Final = 65
_ROUNDS: Final = 5  # each 64 times as fine as the one before


def longest_follow_up(curve: Curve, last: float, n_total: float, n_events: float) -> float:
    """Longest follow-up b at which so many events are expected; infinite when it takes that nobody is lost.

    Parameters
    ----------
    curve : Curve
        Survival, known at all times.
    last : float
        Time of the last printed figure, to which somebody was followed.
    n_total, n_events : float

    Examples
    --------
    >>> from netsynth.kernels.families import Exponential
    >>> round(longest_follow_up(Exponential(np.array([np.log(0.1)])), 10.0, 100.0, 60.0), 2)
    22.32
    """
    edges = np.log(last), np.log(_LONGEST * last)
    for _ in range(_ROUNDS):
        log_longest = np.linspace(*edges, _GRID)
        longest = np.exp(log_longest)
        short = n_total * (1.0 - curve.area(longest) / longest) < n_events
        if short.all():
            return np.inf
        j = max(int(np.argmin(short)), 1)
        edges = log_longest[j - 1], log_longest[j]
    return float(np.exp(edges[1]))


def at_risk(
    time: FloatArray, survival: FloatArray, printed: FloatArray, n_total: float, longest: float
) -> FloatArray:
    """Numbers at risk, shape (m,): those printed, elsewhere those expected, between their printed neighbours.

    Examples
    --------
    >>> at_risk(np.array([12.0, 24]), np.array([0.8, 0.6]), np.array([np.nan, 30.0]), 100, 96.0).tolist()
    [70.0, 30.0]
    """
    expected = np.maximum(n_total * survival * (1.0 - time / longest), 1.0)
    filled = np.where(np.isnan(printed), np.inf, printed)
    most = np.minimum.accumulate(np.concatenate([[n_total], filled[:-1]]))
    later = np.where(np.isnan(printed), 0.0, printed)
    least = np.maximum.accumulate(later[::-1])[::-1]
    return np.where(np.isnan(printed), np.clip(expected, least, np.maximum(most, least)), printed)
