r"""Survival curves through points: monotone, smooth where possible, and exact at every point.

A curve is held as its cumulative hazard H, one polynomial an interval, so survival :math:`S = e^{-H}`. Many
curves that share their times are held at once: survival has shape (..., m), and an answer at times of shape
(q,) has shape (..., q). An interval at the end of which survival is 0 has no finite H there; on it survival
itself falls linearly, and after it survival stays 0.

A curve or a tail is anything with the four methods of `Curve`; `CURVES` and `TAILS` name those we have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeAlias

import numpy as np
from scipy.special import exprel

from netsynth._typing import BoolArray, FloatArray, IntArray

#: Nodes of Gauss and Legendre on [0, 1]: 32 integrate exp(-cubic) to the last digit even over an interval in
#: which survival falls a million times.
_NODES, _WEIGHTS = (array / 2 for array in np.polynomial.legendre.leggauss(32))
_NODES = _NODES + 0.5
_HALVINGS = 60  # more than the 53 bits of a float


class Curve(Protocol):
    """What a survival curve, or a batch of them, can be asked."""

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H at the times."""

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H from the right."""

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values."""

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0 to the times."""


@dataclass(frozen=True, slots=True, eq=False)
class Piecewise:
    """A curve of polynomial pieces, nan after the last point unless survival is 0 there.

    Attributes
    ----------
    time : ndarray, shape (m + 1,)
        0 and the times of the points.
    cumulative : ndarray, shape (..., m + 1)
        H at these times.
    coefficients : ndarray, shape (..., m, 4)
        H on each interval as a polynomial in the time since its start, lowest power first. Where survival
        falls to zero the constant alone counts.
    """

    time: FloatArray
    cumulative: FloatArray
    coefficients: FloatArray

    @property
    def _ends(self) -> BoolArray:
        """Whether survival reaches 0 on an interval, shape (..., m)."""
        return np.isinf(self.cumulative[..., 1:]) & np.isfinite(self.cumulative[..., :-1])

    def _piece(self, time: FloatArray) -> IntArray:
        return np.clip(np.searchsorted(self.time, time, side="right") - 1, 0, self.time.size - 2)

    def _within(self, piece: IntArray, elapsed: FloatArray) -> FloatArray:
        """H at the times since the starts of pieces; piece and elapsed have shape (p,) and (p, ...)."""
        extra = (1,) * (elapsed.ndim - 1)
        c = self.coefficients[..., piece, :]
        c0, c1, c2, c3 = (c[..., i].reshape(*c.shape[:-1], *extra) for i in range(4))
        ends = self._ends[..., piece].reshape(*c.shape[:-1], *extra)
        width = np.diff(self.time)[piece].reshape(-1, *extra)
        with np.errstate(divide="ignore"):  # survival 0 at the very end
            linear = c0 - np.log1p(-np.minimum(elapsed / width, 1.0))
        return np.where(ends, linear, c0 + elapsed * (c1 + elapsed * (c2 + elapsed * c3)))

    def _beyond(self, time: FloatArray, inside: FloatArray, over: FloatArray | float) -> FloatArray:
        """`inside` up to the last point; after it `over` where survival is 0 there, else nan."""
        known = np.where(np.isinf(self.cumulative[..., -1:]), over, np.nan)
        return np.where(time <= self.time[-1], inside, known)

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H, infinite from where survival is 0."""
        piece = self._piece(time)
        return self._beyond(time, self._within(piece, time - self.time[piece]), np.inf)

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H from the right; nan from where survival is 0."""
        piece = self._piece(time)
        x, c = time - self.time[piece], self.coefficients[..., piece, :]
        slope = c[..., 1] + x * (2.0 * c[..., 2] + x * 3.0 * c[..., 3])
        left = np.diff(self.time)[piece] - x
        linear = 1.0 / np.where(left > 0, left, np.nan)
        alive = np.isfinite(self.cumulative[..., piece])
        inside = np.where(self._ends[..., piece], linear, np.where(alive, slope, np.nan))
        return self._beyond(time, inside, np.nan)

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values; nan where it does not."""
        knots = self.cumulative
        target = np.broadcast_to(cumulative, (*knots.shape[:-1], cumulative.size))
        before = np.count_nonzero(knots[..., None, :] < target[..., :, None], axis=-1)
        end = np.clip(before, 1, self.time.size - 1)
        c = np.take_along_axis(self.coefficients, (end - 1)[..., None], axis=-2)
        width = np.diff(self.time)[end - 1]
        low, high = np.zeros(target.shape), width.copy()
        with np.errstate(invalid="ignore", over="ignore"):  # infinite targets, met by the next lines
            for _ in range(_HALVINGS):
                x = 0.5 * (low + high)
                reached = c[..., 0] + x * (c[..., 1] + x * (c[..., 2] + x * c[..., 3])) >= target
                low, high = np.where(reached, low, x), np.where(reached, x, high)
            linear = -width * np.expm1(c[..., 0] - target)
        ends = np.take_along_axis(self._ends, end - 1, axis=-1)
        found = self.time[end - 1] + np.where(ends, linear, high)
        exactly = np.take_along_axis(knots, end, axis=-1) == target  # a point gives back its own time
        found = np.where(before == 0, 0.0, np.where(exactly, self.time[end], found))
        return np.where(before == self.time.size, np.nan, found)

    def _pieces_area(self, piece: IntArray, elapsed: FloatArray) -> FloatArray:
        """Integral of survival over the first part of pieces, shape (..., p)."""
        x = elapsed[:, None] * _NODES
        return np.asarray(np.exp(-self._within(piece, x)) @ _WEIGHTS * elapsed)

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0."""
        whole = self._pieces_area(np.arange(self.time.size - 1), np.diff(self.time))
        start = np.concatenate([np.zeros((*whole.shape[:-1], 1)), np.cumsum(whole, axis=-1)], axis=-1)
        piece = self._piece(time)
        x = np.minimum(time, self.time[-1]) - self.time[piece]
        inside = start[..., piece] + self._pieces_area(piece, x)
        return self._beyond(time, inside, start[..., -1:])


def _knots(time: FloatArray, survival: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Times and cumulative hazards with the origin before them."""
    s = np.asarray(survival, dtype=np.float64)
    with np.errstate(divide="ignore"):
        h = np.concatenate([np.zeros((*s.shape[:-1], 1)), 0.0 - np.log(s)], axis=-1)
    return np.concatenate([[0.0], time]), h


def _coefficients(h: FloatArray) -> FloatArray:
    """Constant pieces at the height of their starts, infinite after survival has become 0."""
    c = np.zeros((*h.shape[:-1], h.shape[-1] - 1, 4))
    c[..., 0] = h[..., :-1]
    return c


def piecewise_exponential(time: FloatArray, survival: FloatArray, /) -> Piecewise:
    r"""Constant hazard between points, :math:`\lambda_j = \ln(S_{j-1} / S_j) / (t_j - t_{j-1})`.

    Parameters
    ----------
    time : ndarray, shape (m,)
        Positive and increasing.
    survival : ndarray, shape (..., m)
        In [0, 1], never rising along the last axis.

    Examples
    --------
    >>> curve = piecewise_exponential(np.array([3.0, 5, 10]), np.array([0.83, 0.705, 0.42]))
    >>> curve.time_at(np.log([2.0])).round(4).tolist(), curve.area(np.array([10.0])).round(5).tolist()
    ([8.3169], [7.01995])
    """
    t, h = _knots(time, survival)
    c = _coefficients(h)
    with np.errstate(invalid="ignore"):  # infinite minus infinite, after survival has become 0
        slope = np.diff(h, axis=-1) / np.diff(t)
    c[..., 1] = np.where(np.isfinite(slope), slope, 0.0)
    return Piecewise(t, h, c)


def pchip(time: FloatArray, survival: FloatArray, /) -> Piecewise:
    r"""Monotone cubic interpolation of :math:`H = -\ln S` through the points and the origin.

    The slopes at the points are those of Fritsch and Butland [1]_, which keep H increasing on the condition of
    Fritsch and Carlson [2]_; they are computed by `scipy.interpolate.PchipInterpolator`. The hazard is
    continuous. With one point it is constant.

    Parameters
    ----------
    time : ndarray, shape (m,)
        Positive and increasing.
    survival : ndarray, shape (..., m)
        In [0, 1], never rising along the last axis.

    References
    ----------
    .. [1] Fritsch FN, Butland J (1984). A method for constructing local monotone piecewise cubic
       interpolants. SIAM J Sci Stat Comput 5:300-304. https://doi.org/10.1137/0905021
    .. [2] Fritsch FN, Carlson RE (1980). Monotone piecewise cubic interpolation. SIAM J Numer Anal
       17:238-246.

    Examples
    --------
    >>> curve = pchip(np.array([3.0, 5, 10]), np.array([0.83, 0.705, 0.42]))
    >>> curve.time_at(np.log([2.0])).round(4).tolist(), curve.area(np.array([10.0])).round(5).tolist()
    ([8.4718], [7.07282])
    """
    from scipy.interpolate import PchipInterpolator

    t, h = _knots(time, survival)
    c = _coefficients(h)
    flat_h, flat_c = h.reshape(-1, t.size), c.reshape(-1, t.size - 1, 4)
    finite = np.isfinite(flat_h).sum(axis=-1)
    for count in np.unique(finite[finite > 1]).tolist():
        rows = np.flatnonzero(finite == count)
        fit = PchipInterpolator(t[:count], flat_h[rows, :count], axis=-1)
        flat_c[rows, : count - 1] = np.moveaxis(fit.c[::-1], (0, 1), (-1, -2))
    return Piecewise(t, h, flat_c.reshape(c.shape))


CurveMethod = Literal["pchip", "piecewise_exponential"]
CurveMaker: TypeAlias = Callable[[FloatArray, FloatArray], Curve]
#: Every way through the points, by name.
CURVES: Final[Mapping[CurveMethod, CurveMaker]] = MappingProxyType(
    {"pchip": pchip, "piecewise_exponential": piecewise_exponential}
)


@dataclass(frozen=True, slots=True, eq=False)
class ExponentialTail:
    """A constant hazard from `start` on; `cumulative` and `rate` have the shape (...) of the batch."""

    start: float
    cumulative: FloatArray
    rate: FloatArray

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        return self.cumulative[..., None] + self.rate[..., None] * (time - self.start)

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """The rate; nan where survival is 0."""
        rate = np.where(np.isfinite(self.cumulative), self.rate, np.nan)
        return rate[..., None] + np.zeros(time.shape)

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values, infinite when it never does."""
        with np.errstate(divide="ignore", invalid="ignore"):  # a rate of 0, and infinite H
            return self.start + (cumulative - self.cumulative[..., None]) / self.rate[..., None]

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from `start`."""
        elapsed = time - self.start
        survival = np.exp(-self.cumulative)[..., None]
        return np.asarray(survival * elapsed * exprel(-self.rate[..., None] * elapsed))


def exponential_tail(time: FloatArray, survival: FloatArray, /) -> ExponentialTail:
    """Tail with the mean hazard of the last interval, which is less at the mercy of two slopes than its end."""
    t, h = _knots(time, survival)
    with np.errstate(invalid="ignore"):
        rate = np.diff(h[..., -2:], axis=-1)[..., 0] / (t[-1] - t[-2])
    return ExponentialTail(float(t[-1]), h[..., -1], np.where(np.isfinite(rate), rate, 0.0))


TailName = Literal["exponential"]
TailMaker: TypeAlias = Callable[[FloatArray, FloatArray], Curve]
#: Every tail by name: from the points to a curve for the times after the last of them.
TAILS: Final[Mapping[TailName, TailMaker]] = MappingProxyType({"exponential": exponential_tail})


@dataclass(frozen=True, slots=True, eq=False)
class Continued:
    """A curve up to `start`, another after it."""

    body: Curve
    tail: Curve
    start: float

    def _either(self, time: FloatArray, inside: FloatArray, beyond: FloatArray) -> FloatArray:
        return np.where(time <= self.start, inside, beyond)

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        inside, late = self.body.cumulative_hazard(time), np.maximum(time, self.start)
        return self._either(time, inside, self.tail.cumulative_hazard(late))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H; at `start` that of the body."""
        return self._either(time, self.body.hazard(time), self.tail.hazard(np.maximum(time, self.start)))

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values."""
        early = self.body.time_at(cumulative)
        return np.where(np.isnan(early), self.tail.time_at(cumulative), early)

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0."""
        late = np.maximum(time, self.start)
        return self.body.area(np.minimum(time, self.start)) + self.tail.area(late)
