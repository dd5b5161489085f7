"""Survival curves whose cumulative hazard is a spline in log time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.families import Family, Parametric, log_time, ones, start_weibull


def natural_basis(x: FloatArray, knots: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""The curved terms of a natural cubic spline, and their slopes, shape (..., m - 1) each for m + 1 knots.

    With :math:`\lambda_j = (k_m - k_j) / (k_m - k_0)` the term of the inner knot :math:`k_j` is
    :math:`(x - k_j)_+^3 - \lambda_j (x - k_0)_+^3 - (1 - \lambda_j) (x - k_m)_+^3`.
    """
    first, last, inner = knots[0], knots[-1], knots[1:-1]
    share = (last - inner) / (last - first)
    over = [np.maximum(x[..., None] - knot, 0.0) for knot in (inner, first, last)]
    basis = over[0] ** 3 - share * over[1] ** 3 - (1.0 - share) * over[2] ** 3
    return basis, 3.0 * (over[0] ** 2 - share * over[1] ** 2 - (1.0 - share) * over[2] ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class RoystonParmar(Parametric):
    r"""A natural cubic spline of :math:`\ln H` in :math:`\ln t` [1]_.

    With knots :math:`k_0 < \dots < k_m` and :math:`\lambda_j = (k_m - k_j) / (k_m - k_0)`,

    .. math:: \ln H = \gamma_0 + \gamma_1 x + \sum_{j=1}^{m-1} \gamma_{j+1} \left\{ (x - k_j)_+^3
       - \lambda_j (x - k_0)_+^3 - (1 - \lambda_j) (x - k_m)_+^3 \right\}, \qquad x = \ln t.

    It is a survival curve where its slope is positive throughout, which is not so for every vector of numbers:
    `slopes` tells.

    References
    ----------
    .. [1] Royston P, Parmar MKB (2002). Flexible parametric proportional-hazards and proportional-odds models for
       censored survival data, with application to prognostic modelling and estimation of treatment effects. Stat
       Med 21:2175-2197. https://doi.org/10.1002/sim.1203
    """

    knots: FloatArray

    def _spline(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Value and slope at log times."""
        basis, slopes = natural_basis(x, self.knots)
        lead, slope = self.columns()[:2]
        flat = self.theta[..., None, 2:]
        return lead + slope * x + (basis * flat).sum(-1), slope + (slopes * flat).sum(-1)

    def slopes(self) -> FloatArray:
        """Slopes of the spline at the knots and where they are least between them, shape (..., 2 m + 1).

        It never falls when all are positive, since it is linear beyond the outer knots.
        """
        gaps, curves = np.diff(self.knots), self._curvature()
        ends = self._spline(self.knots)[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            turn = -curves[..., :-1] / np.diff(curves, axis=-1)  # where the curvature of a piece is 0
        inside = (turn > 0) & (turn < 1)
        dip = ends[..., :-1] + 0.5 * gaps * np.where(inside, turn * curves[..., :-1], 0.0)
        return np.concatenate([ends, dip], axis=-1)

    def _curvature(self) -> FloatArray:
        """Second derivative at the knots, between which it is linear."""
        first, last, inner = self.knots[0], self.knots[-1], self.knots[1:-1]
        share = (last - inner) / (last - first)
        x = self.knots[:, None]
        each = 6.0 * (
            np.maximum(x - inner, 0.0) - share * (x - first) - (1.0 - share) * np.maximum(x - last, 0.0)
        )
        return np.asarray(self.theta[..., 2:] @ each.T)

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(time > 0, np.exp(self._spline(log_time(time))[0]), 0.0)

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H; at 0 its limit, by the straight line that the spline is there."""
        x = log_time(time)
        with np.errstate(over="ignore", invalid="ignore"):
            value, slope = self._spline(x)
            lead, first = self.columns()[:2]
            limit = np.where(first < 1, np.inf, np.where(first > 1, 0.0, np.exp(lead)))
            return np.where(time > 0, slope * np.exp(value - x), limit)


def royston_parmar(knots: FloatArray) -> Family:
    """Family of splines with these knots, shape (m + 1,), increasing log times; one with two knots is Weibull's.

    Examples
    --------
    >>> family = royston_parmar(np.log([3.0, 5, 10]))
    >>> family.parameters
    ('gamma0', 'gamma1', 'gamma2')
    >>> family.curve(np.array([-2.5, 1.1, 0.2])).cumulative_hazard(np.array([5.0])).round(4).tolist()
    [0.4748]
    """
    count = knots.size

    def starts(time: FloatArray, cumulative: FloatArray) -> FloatArray:
        log_scale, log_shape = np.moveaxis(start_weibull(time, cumulative), -1, 0)
        shape = np.exp(log_shape)
        zeros = np.zeros((*shape.shape, count - 2))
        return np.concatenate([(-shape * log_scale)[..., None], shape[..., None], zeros], axis=-1)

    def slack(theta: FloatArray) -> FloatArray:
        return RoystonParmar(theta, knots).slopes()

    def curve(theta: FloatArray) -> RoystonParmar:
        return RoystonParmar(theta, knots)

    names = tuple(f"gamma{i}" for i in range(count))
    return Family(names, curve, lambda theta: theta, starts, ones(count), slack)
