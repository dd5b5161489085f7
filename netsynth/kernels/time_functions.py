r"""Smooth and piecewise functions of log time that are linear in their coefficients."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.splines import natural_basis

TimeShape = Literal["factor", "linear", "spline"]
#: Log times this close are one time: what is left of it when months are made of years.
_SAME: Final = 1e-9


class TimeFunction(NamedTuple):
    r"""A function :math:`f(t) = x(t)'\beta` of :math:`\ln t` between the first and the last knot.

    "factor" has the values at its knots as coefficients and is linear in :math:`\ln t` between them; "linear" is
    :math:`\beta_0 + \beta_1 (\ln t - c)`; "spline" adds to it the terms of a natural cubic spline, each divided by the
    square of the distance between the outer knots. `knots` are log times, increasing; `centre` is c.
    """

    shape: TimeShape
    knots: FloatArray
    centre: float

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return 2 if self.shape == "linear" else self.knots.size

    def columns(self, time: FloatArray) -> FloatArray:
        """Rows x(t), shape (..., q); nan outside the knots."""
        x = self._place(time)
        if self.shape == "factor":
            return self._hats(x)[0]
        parts = [np.where(np.isnan(x), np.nan, 1.0)[..., None], (x - self.centre)[..., None]]
        if self.shape == "spline":
            parts.append(natural_basis(x, self.knots)[0] / (self.knots[-1] - self.knots[0]) ** 2)
        return np.concatenate(parts, axis=-1)

    def slopes(self, time: FloatArray) -> FloatArray:
        r"""Derivative of the rows in :math:`\ln t`, shape (..., q); to the right of a knot of a "factor"."""
        x = self._place(time)
        if self.shape == "factor":
            return self._hats(x)[1]
        inside = np.where(np.isnan(x), np.nan, 1.0)[..., None]
        parts = [0.0 * inside, inside]
        if self.shape == "spline":
            parts.append(natural_basis(x, self.knots)[1] / (self.knots[-1] - self.knots[0]) ** 2)
        return np.concatenate(parts, axis=-1)

    def _place(self, time: FloatArray) -> FloatArray:
        """Log times; nan outside the knots."""
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.log(time)
            outside = ~((x >= self.knots[0] - _SAME) & (x <= self.knots[-1] + _SAME))
        return np.where(outside, np.nan, np.clip(x, self.knots[0], self.knots[-1]))

    def _hats(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weights of the two neighbouring knots, and their slopes."""
        n = self.knots.size
        value, slope = np.zeros((*x.shape, n)), np.zeros((*x.shape, n))
        if n == 1:
            return np.where(np.isnan(x), np.nan, 1.0)[..., None], np.where(np.isnan(x), np.nan, 0.0)[
                ..., None
            ]
        left = np.clip(np.searchsorted(self.knots, x, side="right") - 1, 0, n - 2)
        gap = self.knots[left + 1] - self.knots[left]
        share = (x - self.knots[left]) / gap
        for places, weight, steep in ((left, 1.0 - share, -1.0), (left + 1, share, 1.0)):
            np.put_along_axis(value, places[..., None], weight[..., None], axis=-1)
            np.put_along_axis(slope, places[..., None], (steep / gap + 0.0 * x)[..., None], axis=-1)
        lost = np.isnan(x)[..., None]
        return np.where(lost, np.nan, value), np.where(lost, np.nan, slope)


def time_function(time: FloatArray, shape: TimeShape, df: int) -> TimeFunction:
    """A function for the times that studies report.

    Parameters
    ----------
    time : ndarray, shape (n,)
        All reported times, each as often as it is reported, positive.
    shape : {"factor", "linear", "spline"}
    df : int
        Coefficients of a "spline" besides the intercept, at least 1, which is "linear". Its knots are the first and
        last time and `df` - 1 quantiles of the times between them, themselves reported
        times; those that coincide are one.

    Returns
    -------
    TimeFunction
    """
    x = np.sort(np.log(time))
    centre = float(x.mean())
    distinct = x[np.append(True, np.diff(x) > _SAME)]
    if shape == "factor":
        return TimeFunction(shape, distinct, centre)
    if distinct.size < 2:
        return TimeFunction("factor", distinct, centre)
    ends = distinct[[0, -1]]
    inner = np.empty(0)
    if shape == "spline":
        inner = np.quantile(x, np.arange(1, df) / df, method="inverted_cdf")  # reported times themselves
        inner = inner[(inner > ends[0] + _SAME) & (inner < ends[1] - _SAME)]
    knots = np.concatenate([ends[:1], inner, ends[1:]])
    knots = knots[np.append(True, np.diff(knots) > _SAME)]
    return TimeFunction("spline" if knots.size > 2 else "linear", knots, centre)


def falling(function: TimeFunction, coefficient: FloatArray) -> FloatArray:
    """Where a function that should rise falls, as intervals of time, shape (n, 2); no rows when it nowhere does.

    Between two knots the slope is a quadratic of log time, known from three values.

    Parameters
    ----------
    function : TimeFunction
    coefficient : ndarray, shape (q,)

    Returns
    -------
    ndarray, shape (n, 2)
    """
    found: list[list[float]] = []
    for a, b in zip(function.knots[:-1], function.knots[1:], strict=True):
        inside = a + (b - a) * np.array([0.25, 0.5, 0.75])
        slope = function.slopes(np.exp(inside)) @ coefficient
        quadratic = np.polynomial.polynomial.polyfit([0.25, 0.5, 0.75], slope, 2)
        size = np.abs(quadratic).max()
        quadratic = np.where(np.abs(quadratic) > 1e-12 * size, quadratic, 0.0)
        roots = np.polynomial.polynomial.polyroots(quadratic)
        real = np.sort(roots[np.abs(roots.imag) == 0].real)
        cuts = np.concatenate([[0.0], real[(real > 0) & (real < 1)], [1.0]])
        middle = 0.5 * (cuts[:-1] + cuts[1:])
        falls = np.polynomial.polynomial.polyval(middle, quadratic) < 0
        for low, high in zip(cuts[:-1][falls], cuts[1:][falls], strict=True):
            start, end = float(np.exp(a + (b - a) * low)), float(np.exp(a + (b - a) * high))
            if found and np.isclose(found[-1][1], start, rtol=1e-12, atol=0.0):
                found[-1][1] = end
            else:
                found.append([start, end])
    return np.array(found).reshape(-1, 2)
