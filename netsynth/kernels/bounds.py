"""Sharp bounds on a survival curve from points alone: it never rises, and that is all that is used.

An `Envelope` says that survival at `time[k]` lies in [`lower[k]`, `upper[k]`]. Points have shape (m,) in time
and (..., m) in their limits, so that many curves with the same times are handled at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels.intervals import Limits


class Envelope(NamedTuple):
    """Limits of survival at times in ascending order, each made as narrow as the others allow."""

    time: FloatArray
    lower: FloatArray
    upper: FloatArray


def envelope(time: FloatArray, lower: FloatArray, upper: FloatArray) -> Envelope:
    """Envelope of points in any order, two of which may share a time.

    Survival is at least what it is later and at most what it was earlier, so limits pass on to their
    neighbours.

    Examples
    --------
    >>> envelope(np.array([12.0, 24.0]), np.array([0.4, 0.5]), np.array([0.9, 1.0])).lower.tolist()
    [0.5, 0.5]
    """
    order = np.argsort(time, kind="stable")
    time, lower, upper = time[order], lower[..., order], upper[..., order]
    lower = np.maximum.accumulate(lower[..., ::-1], axis=-1)[..., ::-1]
    upper = np.minimum.accumulate(upper, axis=-1)
    first, last = np.searchsorted(time, time, "left"), np.searchsorted(time, time, "right") - 1
    return Envelope(time, lower[..., first], upper[..., last])


def is_possible(points: Envelope) -> BoolArray:
    """Whether any curve at all meets the limits, shape (...)."""
    return np.asarray((points.lower <= points.upper).all(axis=-1))


def survival_bounds(points: Envelope, time: FloatArray) -> Limits:
    """Sharp limits of survival: the next point's lower one, and the upper one of the point before.

    Parameters
    ----------
    points : Envelope
        Limits of shape (..., m).
    time : ndarray, shape (q,)
        Not negative. All are alive at 0; after the last point only the upper limit says anything.

    Returns
    -------
    Limits
        Shape (..., q).

    Examples
    --------
    >>> s = np.array([0.83, 0.705, 0.42])
    >>> survival_bounds(envelope(np.array([3.0, 5, 10]), s, s), np.array([4.0, 5, 12]))
    Limits(lower=array([0.705, 0.705, 0.   ]), upper=array([0.83 , 0.705, 0.42 ]))
    """
    lower, upper = _padded(points)
    after = np.searchsorted(points.time, time, "left")
    before = np.searchsorted(points.time, time, "right")
    return Limits(np.where(time > 0, lower[..., after], 1.0), upper[..., before])


def rmst_bounds(points: Envelope, horizon: FloatArray) -> Limits:
    r"""Sharp limits of the area under survival, :math:`\sum S_j \Delta t_j` and :math:`\sum S_{j-1} \Delta t_j`.

    Parameters
    ----------
    points : Envelope
        Limits of shape (..., m).
    horizon : ndarray, shape (q,)
        Not negative.

    Returns
    -------
    Limits
        Shape (..., q), in units of time.

    Examples
    --------
    >>> s = np.array([0.83, 0.705, 0.42])
    >>> lower, upper = rmst_bounds(envelope(np.array([3.0, 5, 10]), s, s), np.array([10.0]))
    >>> lower.round(3).tolist(), upper.round(3).tolist()
    ([6.0], [8.185])
    """
    lower, upper = _padded(points)
    edges = np.concatenate([[0.0], points.time, [np.inf]])
    width = np.clip(np.minimum(edges[1:], horizon[:, None]) - edges[:-1], 0.0, None)
    return Limits(lower @ width.T, upper @ width.T)


def quantile_bounds(points: Envelope, survival: FloatArray) -> Limits:
    """Sharp limits of the first time at which survival is at most these values.

    Parameters
    ----------
    points : Envelope
        Limits of shape (..., m).
    survival : ndarray, shape (q,)
        In [0, 1].

    Returns
    -------
    Limits
        Shape (..., q): the time is after the lower limit, and at the upper one or before. The upper limit is
        infinite where no point says that survival falls so far.

    Examples
    --------
    >>> s = np.array([0.83, 0.705, 0.42])
    >>> quantile_bounds(envelope(np.array([3.0, 5, 10]), s, s), np.array([0.5]))
    Limits(lower=array([5.]), upper=array([10.]))
    """
    edges = np.concatenate([[0.0], points.time, [np.inf]])
    above = (points.lower[..., None, :] > survival[:, None]).sum(axis=-1)
    not_below = (points.upper[..., None, :] > survival[:, None]).sum(axis=-1)
    return Limits(edges[above], edges[not_below + 1])


def _padded(points: Envelope) -> Limits:
    """Limits on each interval between points: nothing is known after the last, all live before the first."""
    one = np.ones((*points.lower.shape[:-1], 1))
    return Limits(
        np.concatenate([points.lower, 0.0 * one], axis=-1), np.concatenate([one, points.upper], axis=-1)
    )
