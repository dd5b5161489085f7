"""Curves made of curves: averages, curves bent to pass through points, cut, and continued by another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.curves import Curve, Piecewise, pchip
from netsynth.kernels.families import area_under, first_time


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Weighted mean of survival curves, none of which is a batch; weights have shape (k,) and sum to 1."""

    curves: tuple[Curve, ...]
    weights: FloatArray

    def _mean(self, values: list[FloatArray]) -> FloatArray:
        return np.asarray(np.tensordot(self.weights, np.stack(values), 1))

    def _survival(self, time: FloatArray) -> list[FloatArray]:
        return [np.exp(-curve.cumulative_hazard(time)) for curve in self.curves]

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H, from the greatest survival, so that it is right however small survival is."""
        each = np.stack([curve.cumulative_hazard(time) for curve in self.curves])
        least = np.where(np.isfinite(each.min(0)), each.min(0), 0.0)
        dead = self.weights @ -np.expm1(-(each - least).reshape(len(each), -1))
        with np.errstate(divide="ignore"):
            return np.asarray(least - np.log1p(-np.minimum(dead, 1.0)).reshape(least.shape))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Mean of the hazards, weighted by who is alive."""
        each = np.stack([curve.cumulative_hazard(time) for curve in self.curves])
        alive = self.weights[:, None] * np.exp(each.min(0) - each)
        with np.errstate(invalid="ignore"):
            deaths = alive * np.stack([curve.hazard(time) for curve in self.curves])
        return np.asarray(np.where(alive > 0, deaths, 0.0).sum(0) / alive.sum(0))

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values; infinite where it never does."""
        flat = cumulative.shape
        return first_time(
            lambda time: self.cumulative_hazard(time.reshape(-1)).reshape(time.shape),
            cumulative.reshape(-1),
            (),
        ).reshape(flat)

    def area(self, time: FloatArray, /) -> FloatArray:
        """Mean of the areas."""
        return self._mean([curve.area(time) for curve in self.curves])


@dataclass(frozen=True, slots=True, eq=False)
class Warped:
    r"""A curve with the shape of another that passes through given points: :math:`H(t) = g(H_0(t))`.

    g is the monotone cubic through the origin and the points :math:`(H_0(t_j), H_j)`. Where `base` has no error g
    is the identity; elsewhere g bends it as little as a monotone cubic can. Not a batch.

    Attributes
    ----------
    base : Curve
        H_0, rising strictly.
    link : Piecewise
        g, a curve in the time of `base`.
    stop : float
        Time of the last point.
    """

    base: Curve
    link: Piecewise
    stop: float

    def _inner(self, time: FloatArray) -> FloatArray:
        """H_0, within the points up to the last of them whatever its last digit, and outside after it."""
        at, last = self.base.cumulative_hazard(time), self.link.time[-1]
        beyond = np.maximum(at, np.nextafter(last, np.inf))
        return np.asarray(np.where(time <= self.stop, np.minimum(at, last), beyond))

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H; nan after the last point."""
        return self.link.cumulative_hazard(self._inner(time))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H from the right."""
        return self.link.hazard(self._inner(time)) * self.base.hazard(time)

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values; nan where it does not."""
        found = self.link.time_at(cumulative)
        known = ~np.isnan(found)
        return np.where(known, self.base.time_at(np.where(known, found, 0.0)), np.nan)

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0."""
        return area_under(self.cumulative_hazard, time)


def warped(base: Curve, time: FloatArray, survival: FloatArray) -> Curve:
    """`base` bent to pass through points, shape (m,); the monotone cubic in time itself where `base` is too flat.

    Examples
    --------
    >>> from netsynth.kernels.families import Weibull
    >>> curve = warped(Weibull(np.array([2.4, 0.25])), np.array([3.0, 5, 10]), np.array([0.83, 0.705, 0.42]))
    >>> np.exp(-curve.cumulative_hazard(np.array([3.0, 5, 10]))).round(4).tolist()
    [0.83, 0.705, 0.42]
    """
    at = base.cumulative_hazard(time)
    if not (np.diff(at, prepend=0.0) > 1e-9 * at[-1]).all():
        return pchip(time, survival)
    return Warped(base, pchip(at, survival), float(time[-1]))


@dataclass(frozen=True, slots=True, eq=False)
class Until:
    """A curve that is not known after `stop`."""

    body: Curve
    stop: float

    def _cut(self, time: FloatArray, values: FloatArray) -> FloatArray:
        return np.where(time <= self.stop, values, np.nan)

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H; nan after `stop`."""
        return self._cut(time, self.body.cumulative_hazard(np.minimum(time, self.stop)))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H; nan after `stop`."""
        return self._cut(time, self.body.hazard(np.minimum(time, self.stop)))

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values; nan where that is after `stop`."""
        found = self.body.time_at(cumulative)
        return np.where(found <= self.stop, found, np.nan)

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0; nan after `stop`."""
        return self._cut(time, self.body.area(np.minimum(time, self.stop)))


@dataclass(frozen=True, slots=True, eq=False)
class After:
    """What a curve does after `start`, for those whose cumulative hazard is `cumulative` by then; not a batch."""

    whole: Curve
    start: float
    cumulative: float

    @property
    def _lag(self) -> float:
        return float(self.whole.cumulative_hazard(np.array([self.start]))[0])

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        return np.asarray(self.cumulative + (self.whole.cumulative_hazard(time) - self._lag))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """That of the whole curve."""
        return self.whole.hazard(time)

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values; infinite where it never does."""
        return self.whole.time_at(cumulative - self.cumulative + self._lag)

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from `start`."""
        before = self.whole.area(np.array([self.start]))
        return np.asarray(np.exp(self._lag - self.cumulative) * (self.whole.area(time) - before))
