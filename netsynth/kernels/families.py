r"""Parametric survival curves: families named as elsewhere, each with the four methods of a curve.

A family turns parameters into a `Curve`. Parameters are unconstrained: positive ones are logarithms, so that every
vector of numbers is a curve. They have shape (..., p), and an answer at times of shape (q,) has shape (..., q).
All curves begin with a cumulative hazard H of 0 at time 0.

`FAMILIES` has them by name; a spline, which needs knots, is made by `netsynth.kernels.splines.royston_parmar`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import (
    exprel,
    gammainc,
    gammaincc,
    gammainccinv,
    gammaincinv,
    gammaln,
    hyp2f1,
    log_expit,
    log_ndtr,
    ndtri_exp,
)

from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels.curves import Curve

#: Nodes of Gauss and Legendre for the area under survival as a function of log time, which is smooth for every
#: family: panels of half a unit, except far to the left, where little time passes.
_EDGES: Final = np.concatenate([[-40.0, -25.0, -18.0, -14.0], np.arange(-12.0, 0.25, 0.5)])
_GAUSS, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(12)
_NODES: Final = (0.5 * (_EDGES[1:] + _EDGES[:-1])[:, None] + 0.5 * np.diff(_EDGES)[:, None] * _GAUSS).ravel()
_WEIGHTS: Final = (0.5 * np.diff(_EDGES)[:, None] * _GAUSS_WEIGHTS).ravel() * np.exp(_NODES)
_HALVINGS: Final = 80
_FARTHEST: Final = 700.0  # log times searched for a quantile: all that a float can hold
_NEAR_NORMAL: Final = 0.02  # Q of a generalised gamma below which an expansion is good to ten digits


def log_time(time: FloatArray) -> FloatArray:
    """Logarithm of times, minus infinity at 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(time))


def _times(factor: FloatArray, log: FloatArray) -> FloatArray:
    """Product in which 0 times minus infinity is 0."""
    with np.errstate(invalid="ignore"):
        return np.where(factor == 0, 0.0, factor * log)


def first_time(
    cumulative_hazard: Callable[[FloatArray], FloatArray], target: FloatArray, shape: tuple[int, ...]
) -> FloatArray:
    """First time at which a rising H reaches the targets, by bisection in log time; infinite where it never does.

    Parameters
    ----------
    cumulative_hazard : callable
        From times of shape (..., q) to H of that shape.
    target : ndarray, shape (q,)
    shape : tuple of int
        Of the batch, (...).
    """
    low = np.full((*shape, target.size), -_FARTHEST)
    high = np.full(low.shape, _FARTHEST)
    never = ~(cumulative_hazard(np.exp(high)) >= target)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        reached = cumulative_hazard(np.exp(middle)) >= target
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.where(target <= 0, 0.0, np.where(never, np.inf, np.exp(high)))


def area_under(cumulative_hazard: Callable[[FloatArray], FloatArray], time: FloatArray) -> FloatArray:
    """Integral of survival from 0 to the times, shape (q,), by quadrature in log time."""
    at = time[:, None] * np.exp(_NODES)
    flat = np.exp(-cumulative_hazard(at.ravel()))
    return np.asarray(time * (flat.reshape(*flat.shape[:-1], *at.shape) @ _WEIGHTS))


@dataclass(frozen=True, slots=True, eq=False)
class Parametric(ABC):
    """A curve given by parameters of shape (..., p), or a batch of them."""

    theta: FloatArray

    def columns(self) -> tuple[FloatArray, ...]:
        """Each parameter with an axis for the times behind it."""
        return tuple(self.theta[..., i, None] for i in range(self.theta.shape[-1]))

    @abstractmethod
    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""

    @abstractmethod
    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H; infinite at 0 where it has no limit there."""

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values; infinite where it never does."""
        return first_time(self.cumulative_hazard, cumulative, self.theta.shape[:-1])

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0."""
        return area_under(self.cumulative_hazard, time)


class Exponential(Parametric):
    r""":math:`S(t) = e^{-\lambda t}`, with :math:`\ln \lambda`."""

    __slots__ = ()

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        return np.asarray(np.exp(self.theta) * time)

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """The rate."""
        return np.exp(self.theta) + np.zeros(time.shape)

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values."""
        return np.asarray(cumulative * np.exp(-self.theta))

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0."""
        return np.asarray(time * exprel(-np.exp(self.theta) * time))


class Weibull(Parametric):
    r""":math:`S(t) = e^{-(t / \sigma)^k}`, with :math:`\ln \sigma` and :math:`\ln k`."""

    __slots__ = ()

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        log_scale, log_shape = self.columns()
        with np.errstate(over="ignore"):
            return np.exp(np.exp(log_shape) * (log_time(time) - log_scale))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H."""
        log_scale, log_shape = self.columns()
        power = _times(np.expm1(log_shape), log_time(time) - log_scale)
        with np.errstate(over="ignore"):
            return np.exp(log_shape - log_scale + power)

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values."""
        log_scale, log_shape = self.columns()
        with np.errstate(over="ignore"):
            return np.exp(log_scale + log_time(cumulative) * np.exp(-log_shape))

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0, an incomplete gamma function."""
        log_scale, log_shape = self.columns()
        power = np.exp(-log_shape)
        whole = np.exp(log_scale + gammaln(1.0 + power))
        # early on, survival is nearly 1, and the power of the gamma function may be large
        with np.errstate(over="ignore", invalid="ignore"):
            inside = whole * gammainc(power, self.cumulative_hazard(time))
        return np.where(np.isfinite(inside), inside, area_under(self.cumulative_hazard, time))


class LogNormal(Parametric):
    r""":math:`S(t) = \Phi(-(\ln t - \mu) / \sigma)`, with :math:`\mu` and :math:`\ln \sigma`."""

    __slots__ = ()

    def _standard(self, time: FloatArray) -> FloatArray:
        mean, log_sd = self.columns()
        return np.asarray((log_time(time) - mean) * np.exp(-log_sd))

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        return np.asarray(0.0 - log_ndtr(-self._standard(time)))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H."""
        w, log_sd = self._standard(time), self.columns()[1]
        with np.errstate(invalid="ignore"):
            log_density = -0.5 * w * w - 0.5 * np.log(2.0 * np.pi) - log_sd - log_time(time)
            return np.where(time > 0, np.exp(log_density - log_ndtr(-w)), 0.0)

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values."""
        mean, log_sd = self.columns()
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(mean - np.exp(log_sd) * ndtri_exp(-cumulative)))

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0: time lived by the survivors and by the dead."""
        mean, log_sd = self.columns()
        w, sd = self._standard(time), np.exp(log_sd)
        return np.asarray(time * np.exp(log_ndtr(-w)) + np.exp(mean + 0.5 * sd * sd + log_ndtr(w - sd)))


class LogLogistic(Parametric):
    r""":math:`S(t) = 1 / (1 + (t / \alpha)^\beta)`, with :math:`\ln \alpha` and :math:`\ln \beta`."""

    __slots__ = ()

    def _log_odds(self, time: FloatArray) -> FloatArray:
        log_scale, log_shape = self.columns()
        return np.asarray(np.exp(log_shape) * (log_time(time) - log_scale))

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        return np.asarray(0.0 - log_expit(-self._log_odds(time)))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H."""
        log_scale, log_shape = self.columns()
        power = _times(np.expm1(log_shape), log_time(time) - log_scale)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(log_shape - log_scale + power + log_expit(-self._log_odds(time))))

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values."""
        log_scale, log_shape = self.columns()
        with np.errstate(divide="ignore", over="ignore"):
            log_odds = np.where(cumulative > 30, cumulative, np.log(np.expm1(np.minimum(cumulative, 30))))
            return np.asarray(np.exp(log_scale + log_odds * np.exp(-log_shape)))

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0, a hypergeometric function."""
        power = np.exp(-self.columns()[1])
        with np.errstate(over="ignore"):
            odds = np.exp(self._log_odds(time))
        closed = time * hyp2f1(1.0, power, 1.0 + power, -np.minimum(odds, 1e12))
        return np.where(odds < 1e6, closed, area_under(self.cumulative_hazard, time))


def _log_upper(shape: FloatArray, x: FloatArray) -> FloatArray:
    """Logarithm of the regularised upper incomplete gamma function, also where the function is too small."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        series = np.log1p(((shape - 1.0) / x) * (1.0 + (shape - 2.0) / x))
        far = (shape - 1.0) * np.log(x) - x - gammaln(shape) + series
        value, rest = gammaincc(shape, x), gammainc(shape, x)
        near = np.where(rest < 0.5, np.log1p(-rest), np.log(value))
        return np.where(value > 1e-290, near, np.where(np.isinf(x), -np.inf, far))


def _log_lower(shape: FloatArray, x: FloatArray) -> FloatArray:
    """Logarithm of the regularised lower incomplete gamma function, also where the function is too small."""
    with np.errstate(divide="ignore"):
        far = shape * np.log(x) - x - gammaln(shape + 1.0) + np.log1p(x / (shape + 1.0))
        value, rest = gammainc(shape, x), gammaincc(shape, x)
        near = np.where(rest < 0.5, np.log1p(-rest), np.log(value))
        return np.asarray(np.where(value > 1e-290, near, far))


class Gamma(Parametric):
    r""":math:`S(t) = Q(a, t / s)`, the upper incomplete gamma function, with :math:`\ln a` and :math:`\ln s`."""

    __slots__ = ()

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        log_shape, log_scale = self.columns()
        return np.asarray(0.0 - _log_upper(np.exp(log_shape), time * np.exp(-log_scale)))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H."""
        log_shape, log_scale = self.columns()
        shape, x = np.exp(log_shape), time * np.exp(-log_scale)
        log_density = _times(shape - 1.0, log_time(x)) - x - gammaln(shape) - log_scale
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(log_density - _log_upper(shape, x)))

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values."""
        log_shape, log_scale = self.columns()
        shape = np.exp(log_shape)
        late = gammainccinv(shape, np.exp(-cumulative))
        early = gammaincinv(shape, -np.expm1(-cumulative))
        return np.asarray(np.exp(log_scale) * np.where(cumulative > 0.7, late, early))

    def area(self, time: FloatArray, /) -> FloatArray:
        """Integral of survival from 0: time lived by the survivors and by the dead."""
        log_shape, log_scale = self.columns()
        shape, scale = np.exp(log_shape), np.exp(log_scale)
        x = time / scale
        return np.asarray(time * gammaincc(shape, x) + shape * scale * gammainc(shape + 1.0, x))


class GeneralizedGamma(Parametric):
    r"""Prentice's form, with :math:`\mu`, :math:`\ln \sigma` and Q of either sign [1]_.

    With :math:`w = (\ln t - \mu) / \sigma` and :math:`u = Q^{-2} e^{Q w}`, survival is the upper incomplete gamma
    function :math:`Q(Q^{-2}, u)` where Q is positive and the lower one where it is negative. Weibull at Q = 1,
    log-normal at Q = 0, gamma at :math:`Q = \sigma`.

    References
    ----------
    .. [1] Prentice RL (1974). A log gamma model and its maximum likelihood estimation. Biometrika 61:539-544.
       https://doi.org/10.1093/biomet/61.3.539
    """

    __slots__ = ()

    def _split(self, time: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
        """The deviate w, Q, and where Q is so near 0 that the incomplete gamma functions lose their digits."""
        mean, log_sd, q = self.columns()
        w = (log_time(time) - mean) * np.exp(-log_sd)
        return w, q + np.zeros(w.shape), np.abs(q) < _NEAR_NORMAL

    def _log_survival(self, time: FloatArray) -> FloatArray:
        w, q, is_near = self._split(time)
        away = np.where(is_near, 1.0, q)
        shape = away**-2.0
        found = np.zeros(w.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            u = shape * np.exp(away * w)
            if (
                up := ~is_near & (q > 0)
            ).any():  # each only where it is needed: they take most of the time of a fit
                found = np.where(up, _log_upper(shape, u), found)
            if (down := ~is_near & (q < 0)).any():
                found = np.where(down, _log_lower(shape, u), found)
        if is_near.any():
            near = _nearly_normal(np.where(is_near, np.clip(w, -1e4, 1e4), 0.0), np.where(is_near, q, 0.0))
            found = np.where(is_near, near, found)
        return np.where(time > 0, found, 0.0)

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        return np.asarray(0.0 - self._log_survival(time))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H; nan at 0, where its limit depends on the parameters."""
        w, q, is_near = self._split(time)
        shape = np.where(is_near, 1.0, q) ** -2.0
        with np.errstate(invalid="ignore", over="ignore"):
            gamma = (
                shape * np.log(shape)
                - 0.5 * np.log(shape)
                + shape * q * w
                - shape * np.exp(q * w)
                - gammaln(shape)
            )
            # Stirling's series takes the large terms away
            normal = (
                -0.5 * (w * _bend(np.where(is_near, q * w, 0.0))) ** 2
                - 0.5 * np.log(2.0 * np.pi)
                - q * q / 12.0
            )
            log_density = np.where(is_near, normal, gamma) - self.columns()[1] - log_time(time)
            return np.where(time > 0, np.exp(log_density - self._log_survival(time)), np.nan)


def _bend(x: FloatArray) -> FloatArray:
    """Square root of 2 (e^x - 1 - x) / x^2, which is 1 at 0."""
    small = np.abs(x) < 0.01
    series = 1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0)))
    away = np.where(small, 1.0, x)
    return np.sqrt(np.where(small, series, 2.0 * (np.expm1(away) - away) / away**2))


def _nearly_normal(w: FloatArray, q: FloatArray) -> FloatArray:
    r"""Log survival of the generalised gamma near Q = 0, two terms of Temme's uniform expansion [1]_.

    With :math:`\eta = Q v` and :math:`v^2 / 2 = Q^{-2} (e^{Qw} - 1 - Qw)`, survival is :math:`\Phi(-v) + Q \phi(v)
    \{c_0(\eta) + Q^2 c_1(\eta)\}`. What is left out is of the order of :math:`Q^5`.

    References
    ----------
    .. [1] Temme NM (1979). The asymptotic expansion of the incomplete gamma functions. SIAM J Math Anal 10:757-766.
       https://doi.org/10.1137/0510071
    """
    v = w * _bend(q * w)
    eta, rise = q * v, np.expm1(q * w)
    small = np.abs(eta) < 0.05
    safe_eta, safe_rise = np.where(small, 1.0, eta), np.where(small, 1.0, rise)
    first = np.where(
        small,
        -1.0 / 3.0 + eta * (1.0 / 12.0 + eta * (-2.0 / 135.0 + eta * (1.0 / 864.0 + eta / 2835.0))),
        1.0 / safe_rise - 1.0 / safe_eta,
    )
    second = np.where(
        small,
        -1.0 / 540.0 + eta * (-1.0 / 288.0 + eta * 25.0 / 12096.0),
        safe_eta**-3.0 - safe_rise**-3.0 - safe_rise**-2.0 - 1.0 / (12.0 * safe_rise),
    )
    alive, late = log_ndtr(-v), np.maximum(v, 30.0)
    density = np.exp(-0.5 * v * v - 0.5 * np.log(2.0 * np.pi) - np.where(v > 30.0, 0.0, alive))
    ratio = np.where(v > 30.0, late + 1.0 / late, density)  # where logarithms have no digits left for it
    return np.asarray(alive + np.log1p(np.maximum(q * ratio * (first + q * q * second), -1.0 + 1e-15)))


class Gompertz(Parametric):
    r""":math:`S(t) = \exp(-b (e^{\eta t} - 1) / \eta)`, with :math:`\ln b` and :math:`\eta` per unit of time.

    With a negative :math:`\eta` survival levels off at :math:`e^{b / \eta}`.
    """

    __slots__ = ()

    def cumulative_hazard(self, time: FloatArray, /) -> FloatArray:
        """H."""
        log_rate, growth = self.columns()
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(log_rate) * time * exprel(growth * time))

    def hazard(self, time: FloatArray, /) -> FloatArray:
        """Derivative of H."""
        log_rate, growth = self.columns()
        with np.errstate(over="ignore"):
            return np.exp(log_rate + growth * time)

    def time_at(self, cumulative: FloatArray, /) -> FloatArray:
        """First time at which H reaches these values; infinite above the plateau."""
        log_rate, growth = self.columns()
        scaled = cumulative * np.exp(-log_rate)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(np.abs(growth * scaled) < 1e-12, scaled, np.log1p(growth * scaled) / growth)
        return np.where(growth * scaled <= -1.0, np.inf, found)


FamilyName = Literal[
    "exponential", "weibull", "lognormal", "loglogistic", "gamma", "generalized_gamma", "gompertz"
]
CurveOf: TypeAlias = Callable[[FloatArray], Curve]


class Family(NamedTuple):
    """What a fit needs to know of a family.

    Attributes
    ----------
    parameters : tuple of str
        Names of the parameters as people use them, in the order of `theta`.
    curve : callable
        From theta, shape (..., p), to the curve.
    natural : callable
        From theta to the parameters as people use them.
    starts : callable
        From times, shape (m,), and cumulative hazards there, shape (..., m), positive and finite, to values of
        theta from which to search, shape (..., s, p).
    unit : callable
        From a time that is typical for the data to the size, shape (p,), of a step of theta that matters.
    slack : callable, optional
        From theta to numbers, shape (..., g), that must all be positive for survival never to rise; None where
        it never does.
    """

    parameters: tuple[str, ...]
    curve: CurveOf
    natural: Callable[[FloatArray], FloatArray]
    starts: Callable[[FloatArray, FloatArray], FloatArray]
    unit: Callable[[float], FloatArray]
    slack: Callable[[FloatArray], FloatArray] | None = None


def _line(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Intercept and slope of a least-squares line over the last axis, the slope at least 0.2; 1 for one point."""
    centre, mean = x.mean(-1, keepdims=True), y.mean(-1)
    spread = ((x - centre) ** 2).sum(-1)
    slope = np.where(spread > 0, (y * (x - centre)).sum(-1) / np.where(spread > 0, spread, 1.0), 1.0)
    slope = np.clip(slope, 0.2, 8.0)
    return mean - slope * centre[..., 0], slope


def _start_exponential(time: FloatArray, cumulative: FloatArray) -> FloatArray:
    return np.asarray(np.log(cumulative[..., -1:] / time[-1])[..., None, :])


def start_weibull(time: FloatArray, cumulative: FloatArray) -> FloatArray:
    """A Weibull through the points, by least squares on the scale where it is a straight line."""
    at, slope = _line(np.log(time), np.log(cumulative))
    return np.stack([-at / slope, np.log(slope)], axis=-1)[..., None, :]


def _start_lognormal(time: FloatArray, cumulative: FloatArray) -> FloatArray:
    at, slope = _line(np.log(time), 0.0 - ndtri_exp(-cumulative))
    return np.stack([-at / slope, -np.log(slope)], axis=-1)[..., None, :]


def _start_loglogistic(time: FloatArray, cumulative: FloatArray) -> FloatArray:
    at, slope = _line(np.log(time), np.log(np.expm1(np.minimum(cumulative, 300.0))))
    return np.stack([-at / slope, np.log(slope)], axis=-1)[..., None, :]


def _start_gamma(time: FloatArray, cumulative: FloatArray) -> FloatArray:
    """The gamma with the mean and the coefficient of variation, about 1 / shape, of the Weibull."""
    log_scale, log_shape = np.moveaxis(start_weibull(time, cumulative), -1, 0)
    power = np.exp(-log_shape)
    shape = 1.0 / np.expm1(gammaln(1.0 + 2.0 * power) - 2.0 * gammaln(1.0 + power))
    return np.stack([np.log(shape), log_scale + gammaln(1.0 + power) - np.log(shape)], axis=-1)


def _start_generalized_gamma(time: FloatArray, cumulative: FloatArray) -> FloatArray:
    log_scale, log_shape = np.moveaxis(start_weibull(time, cumulative), -1, 0)
    mean, log_sd = np.moveaxis(_start_lognormal(time, cumulative), -1, 0)
    zero = np.zeros_like(mean)
    corners = [(log_scale, -log_shape, zero + 1.0), (mean, log_sd, zero + 0.01), (mean, log_sd, zero - 1.0)]
    return np.concatenate([np.stack(corner, axis=-1) for corner in corners], axis=-2)


def _start_gompertz(time: FloatArray, cumulative: FloatArray) -> FloatArray:
    rate = _start_exponential(time, cumulative)
    growths = np.array([-1.0, 0.0, 1.0]) / time[-1]
    log_rates = rate[..., 0] - np.log(exprel(growths * time[-1]))
    return np.stack(np.broadcast_arrays(log_rates, growths), axis=-1)


def ones(count: int) -> Callable[[float], FloatArray]:
    """Steps of size 1 for parameters that are free of the unit of time."""
    return lambda _: np.ones(count)


#: Every family that needs nothing but parameters, by name.
FAMILIES: Final[Mapping[FamilyName, Family]] = MappingProxyType(
    {
        "exponential": Family(("rate",), Exponential, np.exp, _start_exponential, ones(1)),
        "weibull": Family(("scale", "shape"), Weibull, np.exp, start_weibull, ones(2)),
        "lognormal": Family(
            ("mu", "sigma"),
            LogNormal,
            lambda theta: np.stack([theta[..., 0], np.exp(theta[..., 1])], axis=-1),
            _start_lognormal,
            ones(2),
        ),
        "loglogistic": Family(("scale", "shape"), LogLogistic, np.exp, _start_loglogistic, ones(2)),
        "gamma": Family(("shape", "scale"), Gamma, np.exp, _start_gamma, ones(2)),
        "generalized_gamma": Family(
            ("mu", "sigma", "Q"),
            GeneralizedGamma,
            lambda theta: np.stack([theta[..., 0], np.exp(theta[..., 1]), theta[..., 2]], axis=-1),
            _start_generalized_gamma,
            ones(3),
        ),
        "gompertz": Family(
            ("rate", "growth"),
            Gompertz,
            lambda theta: np.stack([np.exp(theta[..., 0]), theta[..., 1]], axis=-1),
            _start_gompertz,
            lambda time: np.array([1.0, 1.0 / time]),
        ),
    }
)
