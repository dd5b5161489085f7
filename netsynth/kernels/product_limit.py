r"""The Kaplan-Meier estimate of patients, of many data sets of the same size at once.

One row a patient, events before censorings at the same time. Then each event among r rows left multiplies survival by
:math:`(r - 1) / r` and adds :math:`1 / \{r (r - 1)\}` to Greenwood's sum, and d of them at one time give what the usual
formulas for ties give, since both telescope.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray


class ProductLimit(NamedTuple):
    """Steps of the estimate, arrays of shape (..., n) with one entry a patient in order of time.

    Attributes
    ----------
    time : ndarray
        When each patient left, ascending.
    survival : ndarray
        The estimate from then on.
    greenwood : ndarray
        Greenwood's sum, the variance of the logarithm of survival; infinite where survival is 0.
    """

    time: FloatArray
    survival: FloatArray
    greenwood: FloatArray


class Estimates(NamedTuple):
    """Answers and their variances, arrays of one shape."""

    estimate: FloatArray
    variance: FloatArray


def product_limit(time: FloatArray, event: IntArray) -> ProductLimit:
    """Kaplan-Meier estimate from times and events (1) or censorings (0), shape (..., n), in any order.

    Examples
    --------
    Eight patients (Bewick, 2004), two of whom died at 1:

    >>> found = product_limit(np.array([1.0, 1, 4, 5, 6, 9, 9, 22]), np.array([1, 1, 1, 1, 0, 1, 0, 1]))
    >>> found.survival.round(3).tolist()
    [0.875, 0.75, 0.625, 0.5, 0.5, 0.333, 0.333, 0.0]
    """
    order = np.lexsort((-event, time), axis=-1)
    time = np.take_along_axis(time, order, -1)
    died = np.take_along_axis(event, order, -1) > 0
    r = np.arange(time.shape[-1], 0, -1, dtype=np.float64)
    with np.errstate(divide="ignore"):
        jumps = 1.0 / (r * (r - 1.0))
    survival: FloatArray = np.multiply.accumulate(np.where(died, (r - 1.0) / r, 1.0), axis=-1)
    return ProductLimit(time, survival, np.cumsum(np.where(died, jumps, 0.0), axis=-1))


def survival_at(fit: ProductLimit, time: FloatArray) -> Estimates:
    """Survival at these times, shape (q,), and Greenwood's sum there, each of shape (..., q).

    nan after the last patient left unless survival is then 0.
    """
    place = (fit.time[..., None, :] <= time[:, None]).sum(axis=-1)
    last = np.maximum(place - 1, 0)
    survival = np.where(place > 0, np.take_along_axis(fit.survival, last, -1), 1.0)
    greenwood = np.where(place > 0, np.take_along_axis(fit.greenwood, last, -1), 0.0)
    known = (time <= fit.time[..., -1:]) | (survival == 0)
    return Estimates(np.where(known, survival, np.nan), np.where(known, greenwood, np.nan))


def first_time_at(fit: ProductLimit, survival: float) -> FloatArray:
    """First time at which survival is at most so much, shape (...); infinite when it is never."""
    low = fit.survival <= survival + 1e-12  # a product that is 1/2 but for its last digit is 1/2
    place = np.argmax(low, axis=-1)
    time = np.take_along_axis(fit.time, place[..., None], -1)[..., 0]
    return np.where(low.any(axis=-1), time, np.inf)


def restricted_mean(fit: ProductLimit, horizon: FloatArray) -> Estimates:
    r"""Area under survival up to each horizon, shape (q,), and its variance, each of shape (..., q).

    :math:`\mathrm{Var} = \sum_i A_i^2 / \{r_i (r_i - 1)\}` over the events, with the area :math:`A_i` from the event
    to the horizon. nan for a horizon after the last patient left, unless survival is then 0.
    """
    h = horizon[:, None]
    edge = np.minimum(fit.time[..., None, :], h)
    step = np.diff(np.concatenate([edge, np.broadcast_to(h, (*edge.shape[:-1], 1))], axis=-1), axis=-1)
    piece = fit.survival[..., None, :] * step
    after = np.cumsum(piece[..., ::-1], axis=-1)[..., ::-1]  # the area from each row on
    area = after[..., 0] + edge[..., 0]
    grown = np.diff(fit.greenwood, axis=-1, prepend=0.0, append=np.nan)[..., :-1]
    grown = np.where(fit.survival > 0, grown, 0.0)[..., None, :]  # after the last event no area is left
    known = (horizon <= fit.time[..., -1:]) | (fit.survival[..., -1:] == 0)
    return Estimates(np.where(known, area, np.nan), np.where(known, (after**2 * grown).sum(axis=-1), np.nan))
