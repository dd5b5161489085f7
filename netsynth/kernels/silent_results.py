r"""What a pooled mean can be when some studies tell no effect, but something about it.

A study that says "not significant" tells that its estimate is within :math:`\pm z` of its own standard errors; a ratio
printed without an interval tells the estimate and not the error. Both are :math:`a + u s` with limits of u and of the
standard error s. For a given :math:`\tau^2` the best place of each such study has a closed form, so the limits of the
mean are roots of one decreasing function.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, Interval

#: Stands for what is unbounded, where an infinite number would make a search lose its way.
_HUGE: Final = 1e150


class Silent(NamedTuple):
    r"""Studies whose effect is :math:`a + u s`, arrays of shape (q,).

    Attributes
    ----------
    centre : ndarray
        a: 0, or the effect where it is known.
    lowest, highest : ndarray
        Limits of u, the distance in standard errors; both 0 where the effect is known.
    se_low, se_high : ndarray
        Limits of the standard error s; 0 and infinity where nothing is known.
    """

    centre: FloatArray
    lowest: FloatArray
    highest: FloatArray
    se_low: FloatArray
    se_high: FloatArray


def silent_limits(
    estimate: FloatArray, variance: FloatArray, silent: Silent, tau2: float, critical: float = 0.0
) -> Interval:
    r"""Limits of the mean of all studies, or with `critical` of the ends of its interval :math:`\mu \pm c / \sqrt W`.

    The mean is at least m when some choice makes :math:`\sum w_i (y_i - m)` positive, with
    :math:`w_i = 1 / (v_i + \tau^2)`. A silent study adds at most

    .. math:: \max_s \frac{a + u s - m}{s^2 + \tau^2}, \qquad
       s^\ast = \frac{d + \sqrt{d^2 + u^2 \tau^2}}{u}, \quad d = m - a,

    with u at its upper limit and s at :math:`s^\ast` or, where that is outside its limits or u not positive, at one of
    these. The sum falls with m, and its root is
    the largest mean: some choice reaches it. The end of an interval has :math:`c \sqrt W` besides, which is the least
    of :math:`c (\lambda W + 1 / (4 \lambda))` over :math:`\lambda > 0`; no choice reaches beyond the limit so found.

    Parameters
    ----------
    estimate, variance : ndarray, shape (k,)
        The studies that tell theirs, at least one.
    silent : Silent
        The others.
    tau2 : float
        Between-study variance.
    critical : float
        c, not negative.

    Returns
    -------
    Interval
        Lower and upper limit.

    Examples
    --------
    One study of log HR 0.5 with variance 0.04; another is "not significant", and nobody knows how large it is:

    >>> nothing = Silent(*(np.array([x]) for x in (0.0, -1.96, 1.96, 0.0, np.inf)))
    >>> low, high = silent_limits(np.array([0.5]), np.array([0.04]), nothing, 0.0)
    >>> round(low, 3), round(high, 3)
    (-0.068, 0.568)
    """
    mirrored = silent._replace(centre=-silent.centre, lowest=-silent.highest, highest=-silent.lowest)
    lower = -_highest(-estimate, variance, mirrored, tau2, critical)
    return Interval(lower, _highest(estimate, variance, silent, tau2, critical))


def held_interval(estimate: FloatArray, variance: FloatArray, tau2: FloatArray, critical: float) -> Interval:
    r"""Interval :math:`\mu \pm c / \sqrt W` of the mean with tau2 held, or the widest over several tau2.

    Parameters
    ----------
    estimate, variance : ndarray, shape (k,)
        Of the studies.
    tau2 : ndarray, shape (m,)
        Between-study variances.
    critical : float
        c, not negative.

    Returns
    -------
    Interval
        Least lower and largest upper end.

    Examples
    --------
    Two studies of equal weight 4 have the mean 0.2 and a standard error of 1 / sqrt(8):

    >>> low, high = held_interval(np.array([0.0, 0.4]), np.array([0.25, 0.25]), np.array([0.0]), 1.0)
    >>> round(low, 3), round(high, 3)
    (-0.154, 0.554)
    """
    weight = 1.0 / (variance + tau2[:, None])
    total = weight.sum(axis=1)
    mean, half = (weight @ estimate) / total, critical / np.sqrt(total)
    return Interval(float((mean - half).min()), float((mean + half).max()))


def _highest(y: FloatArray, v: FloatArray, silent: Silent, tau2: float, critical: float) -> float:
    from scipy.optimize import brentq, minimize_scalar

    weight = 1.0 / (v + tau2)
    total, weighted = float(weight.sum()), float(weight @ y)

    def excess(m: float) -> float:
        return weighted - total * m + float(_most(silent, m, tau2).sum())

    def reaches(m: float) -> float:
        """Positive where an interval may end above m."""
        if not critical:
            return min(excess(m), _HUGE)

        def over(log_slope: float) -> float:
            slope = math.exp(log_slope)
            shifted = min(excess(m - critical * slope), _HUGE)
            return shifted + critical / (4.0 * slope)

        # the weights give sqrt(W) their tangent at 1 / (2 sqrt(W)), and W is at least that of the known studies
        last = -math.log(2.0) - 0.5 * math.log(total)
        found = minimize_scalar(
            over, bounds=(last - 30.0, last + 1e-9), method="bounded", options={"xatol": 1e-10}
        )
        return min(float(found.fun), over(last))

    # any choice of u and s gives a mean that can be reached: here the one with the least weights
    light = np.where(np.isfinite(silent.se_high), 1.0 / (np.minimum(silent.se_high, _HUGE) ** 2 + tau2), 0.0)
    place = silent.centre + silent.highest * np.where(light > 0, np.minimum(silent.se_high, _HUGE), 0.0)
    start = (weighted + float(light @ place)) / (total + float(light.sum()))
    step = 1e-3 + abs(start) + 1.0 / math.sqrt(total)
    start, stop = start - 1e-12 * step, start + step
    while reaches(stop) > 0:
        step *= 2.0
        stop += step
    return float(brentq(reaches, start, stop, xtol=1e-13 * (1.0 + abs(stop)), rtol=1e-14, maxiter=500))


def _most(silent: Silent, m: float, tau2: float) -> FloatArray:
    """The most that each silent study adds to the sum of weighted distances above m."""
    u, d = silent.highest, m - silent.centre
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(d * d + u * u * tau2)
        # two forms of one root, without cancellation on either side of d = 0; for u <= 0 the best place is an end
        inner = np.where(d > 0, (d + root) / u, u * tau2 / (root - d))
        inner = np.where(u > 0, np.nan_to_num(inner, nan=0.0), silent.se_low)
        places = np.stack([silent.se_low, silent.se_high, np.clip(inner, silent.se_low, silent.se_high)])
        far = np.isinf(places)
        s = np.where(far, 0.0, places)
        added = np.where(far, 0.0, (u * s - d) / (s * s + tau2))
    return np.asarray(np.nan_to_num(added, nan=0.0, posinf=_HUGE, neginf=-_HUGE).max(axis=0))
