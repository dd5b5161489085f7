r"""What a pooled mean can be when effects and their variances are known only within limits.

A weighted mean of effects in a box, with weights in a box, is largest with the upper effects, the largest weights on
those above some threshold and the smallest on those below; so it is the largest of the k means that thresholds give.
Nearly the same holds for the upper end of its interval. Shapes are (..., k), one set of studies along the last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.bounds import Envelope, survival_bounds
from netsynth.kernels.intervals import Limits

_GRID: Final = 65  # of tau at which the mean is looked at, at first and around the best
_ZOOMS: Final = 4


def highest(
    estimate: FloatArray, weight_low: FloatArray, weight_high: FloatArray, critical: FloatArray | float = 0.0
) -> FloatArray:
    r"""Largest :math:`\sum w y / \sum w + c / \sqrt{\sum w}` over all weights within their limits, shape (...).

    With c = 0 it is the largest mean; with a critical value the largest upper end of an interval. Moving one weight
    changes it by :math:`(y_i - \mu - c / (2 \sqrt W)) / W`, so at a largest value the weights are at their upper limits
    where y is above a threshold and at their lower ones where it is below. The study at the threshold may have a
    weight between: that with :math:`\sqrt W = 2 D / c`, where :math:`D = \sum_{i \ne j} w_i (y_j - y_i)`.

    Parameters
    ----------
    estimate, weight_low, weight_high : ndarray, shape (..., k)
        A largest weight may be infinite: then the study alone may be the mean. Where all weights may be 0 an interval
        has no end.
    critical : ndarray, shape (...)
        c, not negative.

    Examples
    --------
    >>> highest(np.array([0.9, 0.5]), np.array([1.0, 1.0]), np.array([3.0, 3.0])).round(12).item()
    0.8
    """
    estimate, low, high = np.broadcast_arrays(estimate, weight_low, weight_high)
    order = np.argsort(-estimate, axis=-1, kind="stable")
    y, a, b = (np.take_along_axis(x, order, axis=-1) for x in (estimate, low, high))
    endless = np.isinf(b)
    b = np.where(endless, a, b)  # an endless weight makes its study the mean, which is looked at by itself

    def others(light: FloatArray, heavy: FloatArray) -> FloatArray:
        """Sum over the studies before each, at their heavy weights, and those after it, at their light ones."""
        before = np.cumsum(heavy, axis=-1) - heavy
        return np.asarray(before + light.sum(axis=-1, keepdims=True) - np.cumsum(light, axis=-1))

    rest, weighted = others(a, b), others(a * y, b * y)
    c = np.asarray(critical, dtype=np.float64)[..., None]
    pull = rest * y - weighted
    with np.errstate(invalid="ignore", divide="ignore"):
        best = np.where(pull > 0, np.where(c > 0, (2.0 * pull / c) ** 2, np.inf) - rest, 0.0)
        own = np.minimum(np.maximum(best, a), b)
        total = rest + own
        mean = (weighted + own * y) / total
        found = np.where(total > 0, mean + c / np.sqrt(total), np.where(c > 0, np.inf, -np.inf))
    alone = np.where(endless, y, -np.inf)
    return np.asarray(np.maximum(found, alone).max(axis=-1))


class Box(NamedTuple):
    """What is known of the studies of a mean.

    Attributes
    ----------
    lower, upper : ndarray, shape (..., k)
        Limits of the effects; equal where an effect is known.
    variance_low, variance_high : ndarray, shape (..., k)
        Limits of the sampling variances; 0 and infinity where nothing is known, infinity twice for no study at all.
    tau2_low, tau2_high : ndarray, shape (...)
        Limits of the between-study variance; 0 and 0 is the common-effect model.
    """

    lower: FloatArray
    upper: FloatArray
    variance_low: FloatArray
    variance_high: FloatArray
    tau2_low: FloatArray
    tau2_high: FloatArray


def mean_limits(box: Box, critical: FloatArray | float = 0.0) -> Limits:
    r"""Limits of the inverse-variance mean :math:`\sum w_i y_i / \sum w_i`, :math:`w_i = 1 / (v_i + \tau^2)`.

    Each effect, variance and tau2 goes through its limits by itself, so every answer that some choice of them gives
    lies inside. With `critical`, shape (...), the same for the ends of the interval
    :math:`\mu \pm c / \sqrt{\sum w_i}`. Along tau the extremes are searched on a grid that is narrowed around the best.

    Examples
    --------
    Three studies of 40, 60 and 30 patients, of whom 20, 15 and 6 are still at risk:

    >>> s, n, m = np.array([[0.9, 0.7, 0.5], [40, 60, 30], [20, 15, 6]])
    >>> found = mean_limits(Box(s, s, s * (1 - s) / n, s**2 * (1 - s) / m, np.zeros(()), np.zeros(())))
    >>> found.lower.round(6).item(), found.upper.round(6).item()
    (0.738893, 0.833374)
    """
    return Limits(-_along_tau(-box.lower, box, critical), _along_tau(box.upper, box, critical))


def _along_tau(y: FloatArray, box: Box, critical: FloatArray | float) -> FloatArray:
    """Highest over tau in its limits too."""
    c = np.asarray(critical, dtype=np.float64)[..., None]

    def at(tau: FloatArray) -> FloatArray:
        tau2 = tau[..., None] ** 2
        with np.errstate(divide="ignore"):
            light, heavy = (1.0 / (v[..., None, :] + tau2) for v in (box.variance_high, box.variance_low))
        return highest(y[..., None, :], light, heavy, c)

    least, most = np.sqrt(box.tau2_low), np.sqrt(box.tau2_high)
    start, stop = least, most
    for _ in range(_ZOOMS):
        grid = start[..., None] + (stop - start)[..., None] * np.linspace(0.0, 1.0, _GRID)
        found = at(grid)
        best = np.argmax(found, axis=-1)[..., None]
        centre, step = np.take_along_axis(grid, best, axis=-1)[..., 0], (stop - start) / (_GRID - 1)
        start, stop = np.maximum(centre - step, least), np.minimum(centre + step, most)
    return np.asarray(np.take_along_axis(found, best, axis=-1)[..., 0])


def paule_mandel_limits(
    lower: FloatArray, upper: FloatArray, variance_low: FloatArray, variance_high: FloatArray
) -> tuple[float, float]:
    r"""Limits of the Paule-Mandel estimate of tau2 of one set of studies, shape (k,) each.

    It solves :math:`\min_\mu \sum (y_i - \mu)^2 / (v_i + \tau^2) = k - 1`. The left side falls with every variance, so
    its least value has the largest of these and each effect as near the mean as it can be, and its largest the
    smallest of these and each effect at the end farther from the mean. Where effects are known the limits are reached;
    else no estimate is outside.

    Examples
    --------
    >>> y, v = np.array([0.0, 1.0, 2.0]), np.array([0.25, 0.25, 0.25])
    >>> paule_mandel_limits(y, y, 0.5 * v, v)
    (0.75, 0.875)
    """
    from scipy.optimize import brentq

    df, middle = lower.size - 1.0, 0.5 * (lower + upper)
    floor = 1e-12 * max(1.0, float(np.max(np.abs(middle))) ** 2)
    ends = float(lower.min()), float(upper.max())

    def nearest(mu: float) -> FloatArray:
        return np.asarray(np.clip(mu, lower, upper))

    def farthest(mu: float) -> FloatArray:
        return np.asarray(np.where(mu < middle, upper, lower))

    def estimate(effect: Callable[[float], FloatArray], variance: FloatArray) -> float:
        def scatter(tau2: float) -> float:
            w = 1.0 / (np.maximum(variance, floor) + tau2)

            def slope(mu: float) -> float:
                return float(w @ (mu - effect(mu)))

            # the slope never falls with mu, so its sign changes once
            mu = ends[0] if slope(ends[0]) >= 0 else brentq(slope, *ends, xtol=1e-14 * (1.0 + abs(ends[1])))
            return float(w @ (effect(mu) - mu) ** 2) - df

        if df < 1 or scatter(0.0) <= 0:
            return 0.0
        most = (ends[1] - ends[0]) ** 2 * lower.size  # where even the whole spread is less than df
        return float(brentq(scatter, 0.0, most, xtol=1e-14 * (1.0 + most), rtol=1e-12))

    return estimate(nearest, variance_high), estimate(farthest, variance_low)


class Mixture(NamedTuple):
    """Limits of a weighted mean of survival curves as step functions: they hold from one edge to the next.

    Shape (q,) each: `lower[i]` is the limit from `edge[i]` (exclusive) to ``edge[i + 1]`` (inclusive), `upper[i]`
    from `edge[i]` (inclusive) to ``edge[i + 1]`` (exclusive); the last ones hold for ever.
    """

    edge: FloatArray
    lower: FloatArray
    upper: FloatArray


def mixture(curves: list[Envelope], weight: FloatArray) -> Mixture:
    r"""Limits of :math:`\sum \omega_i S_i(t)` from those of each curve, :math:`\omega` shape (k,) with sum 1.

    Examples
    --------
    >>> from netsynth.kernels.bounds import envelope
    >>> half = envelope(np.array([12.0]), np.array([0.5]), np.array([0.5]))
    >>> most = envelope(np.array([24.0]), np.array([0.8]), np.array([0.8]))
    >>> print(*(x.tolist() for x in mixture([half, most], np.array([0.5, 0.5]))))
    [0.0, 12.0, 24.0] [0.65, 0.4, 0.0] [1.0, 0.75, 0.65]
    """
    edge = np.unique(np.concatenate([[0.0], *(curve.time for curve in curves)]))
    middle = np.append(0.5 * (edge[1:] + edge[:-1]), edge[-1] + 1.0)
    lower, upper = np.zeros(edge.size), np.zeros(edge.size)
    for curve, share in zip(curves, weight, strict=True):
        limits = survival_bounds(curve, middle)
        lower += share * limits.lower
        upper += share * limits.upper
    return Mixture(edge, lower, upper)


def mixture_survival(found: Mixture, time: FloatArray) -> Limits:
    """Limits of the mixture's survival at times, not negative."""
    after = np.searchsorted(found.edge, time, "left") - 1
    at = np.searchsorted(found.edge, time, "right") - 1
    return Limits(np.where(time > 0, found.lower[np.maximum(after, 0)], 1.0), found.upper[at])


def mixture_rmst(found: Mixture, horizon: FloatArray) -> Limits:
    """Limits of the area under the mixture up to horizons, shape (q,), in units of time."""
    edges = np.append(found.edge, np.inf)
    width = np.clip(np.minimum(edges[1:], horizon[:, None]) - edges[:-1], 0.0, None)
    return Limits(width @ found.lower, width @ found.upper)


def mixture_quantile(found: Mixture, survival: float) -> Limits:
    """Limits of the first time at which the mixture's survival is at most this; infinite where it need not be.

    The time is after the lower limit, and at the upper one or before.
    """
    edges = np.append(found.edge, np.inf)
    above = int((found.lower > survival).sum())
    not_below = int((found.upper > survival).sum())
    return Limits(np.asarray(edges[above]), np.asarray(edges[not_below]))
