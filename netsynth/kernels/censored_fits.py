r"""Log-location-scale families fitted to censored times, of many data sets of one size at once.

:math:`\ln T = \mu + \sigma W`, with W of minimum extreme value (Weibull), logistic or normal distribution; the
exponential family is Weibull with :math:`\sigma = 1`. Parameters are :math:`\mu` and :math:`\ln \sigma`. Times and
events have shape (..., n). With :math:`z = (\ln t - \mu) / \sigma` and g the logarithm of the density of W for an
event, and of its survival for a censoring, the likelihood is :math:`\sum g(z) - D \ln \sigma` but for a constant,
with the slopes :math:`-\sum g' / \sigma` and :math:`-\sum g' z - D`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.special import expit, log_ndtr

from netsynth._typing import BoolArray, FloatArray, IntArray

Location = Literal["exponential", "weibull", "loglogistic", "lognormal"]

_MAX_STEPS: Final = 200
_MAX_HALVINGS: Final = 40
_ARRIVED: Final = 1e-20
_LOG_ROOT_2PI: Final = 0.5 * float(np.log(2.0 * np.pi))


class Shape(NamedTuple):
    """Of the distribution of W: `terms(z, died)` are g, g' and g''; `log_hazard(z)` is log(-log) of its survival."""

    terms: Callable[[FloatArray, BoolArray], tuple[FloatArray, FloatArray, FloatArray]]
    log_hazard: Callable[[FloatArray], FloatArray]


class LocationFit(NamedTuple):
    """Parameters (..., p), covariance (..., p, p) from the observed information, and the log-likelihood of log times.

    p is 2, or 1 for the exponential family.
    """

    theta: FloatArray
    covariance: FloatArray
    log_likelihood: FloatArray
    converged: BoolArray


def _extreme(z: FloatArray, died: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    e = np.exp(z)
    return np.where(died, z, 0.0) - e, np.where(died, 1.0, 0.0) - e, -e


def _logistic(z: FloatArray, died: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    p, often = expit(z), np.where(died, 2.0, 1.0)
    return (
        np.where(died, z, 0.0) - often * np.logaddexp(0.0, z),
        np.where(died, 1.0, 0.0) - often * p,
        -often * p * (1.0 - p),
    )


def _normal(z: FloatArray, died: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    density, left = -0.5 * z * z - _LOG_ROOT_2PI, log_ndtr(-z)
    hazard = np.exp(density - left)
    return (
        np.where(died, density, left),
        np.where(died, -z, -hazard),
        np.where(died, -1.0, -hazard * (hazard - z)),
    )


SHAPES: Final[Mapping[Location, Shape]] = MappingProxyType(
    {
        "exponential": Shape(_extreme, lambda z: z),
        "weibull": Shape(_extreme, lambda z: z),
        "loglogistic": Shape(_logistic, lambda z: np.log(np.logaddexp(0.0, z))),
        "lognormal": Shape(_normal, lambda z: np.log(-log_ndtr(-z))),
    }
)


def log_cumulative_hazard(family: Location, theta: FloatArray, time: FloatArray) -> FloatArray:
    """log(-log S) at times (m,) for parameters (..., p): shape (..., m).

    Examples
    --------
    >>> log_cumulative_hazard("exponential", np.array([np.log(20.0)]), np.array([10.0])).round(4)  # ln(10 / 20)
    array([-0.6931])
    """
    scale = np.exp(theta[..., 1:2]) if theta.shape[-1] == 2 else 1.0
    return SHAPES[family].log_hazard((np.log(time) - theta[..., :1]) / scale)


def fit_location(family: Location, time: FloatArray, event: IntArray) -> LocationFit:
    """Maximum likelihood by Newton's steps; every data set must have an event, two for two parameters.

    Examples
    --------
    Three events in 60 months of follow-up: a mean of 20 months.

    >>> fit = fit_location("exponential", np.array([5.0, 10, 15, 30]), np.array([1, 1, 1, 0]))
    >>> np.exp(fit.theta).round(6), fit.covariance.round(6)
    (array([20.]), array([[0.333333]]))
    """
    n = time.shape[-1]
    log = np.log(time).reshape(-1, n)
    died = np.broadcast_to(event > 0, time.shape).reshape(-1, n)
    p = 1 if family == "exponential" else 2
    count = died.sum(axis=-1)
    terms = SHAPES[family].terms

    def parts(theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-likelihood (b,), its slope (b, p) and curvature (b, p, p)."""
        s = theta[:, 1] if p == 2 else np.zeros(len(theta))
        scale = np.exp(s)[:, None]
        z = (log - theta[:, :1]) / scale
        with np.errstate(over="ignore", invalid="ignore"):
            g, first, second = terms(z, died)
            height = g.sum(axis=-1) - count * s
            slope = np.stack([-(first / scale).sum(axis=-1), -(first * z).sum(axis=-1) - count], axis=-1)
            mm = (second / scale**2).sum(axis=-1)
            ms = ((second * z + first) / scale).sum(axis=-1)
            ss = (second * z * z + first * z).sum(axis=-1)
        curve = np.stack([np.stack([mm, ms], axis=-1), np.stack([ms, ss], axis=-1)], axis=-2)
        return np.where(np.isnan(height), -np.inf, height), slope[:, :p], curve[:, :p, :p]

    theta = np.zeros((len(log), p))
    theta[:, 0] = np.log(np.exp(log).sum(axis=-1) / count)  # the exponential fit
    height, slope, curve = parts(theta)
    converged = np.zeros(len(log), dtype=np.bool_)
    for _ in range(_MAX_STEPS):
        value, axes = np.linalg.eigh(-curve)
        along = (axes.swapaxes(-1, -2) @ slope[..., None])[..., 0]
        size = np.maximum(np.abs(value), 1e-8 * np.abs(value).max(axis=-1, keepdims=True))
        step = (axes @ (along / size)[..., None])[..., 0]
        promise = (along * along / size).sum(axis=-1)
        step *= np.minimum(1.0, 2.0 / np.maximum(np.abs(step).max(axis=-1), 1e-300))[:, None]
        trial, share = theta + step, np.ones(len(theta))
        for _ in range(_MAX_HALVINGS):
            worse = parts(trial)[0] < height - 1e-12 * np.abs(height)
            if not worse.any():
                break
            share = np.where(worse, 0.5 * share, share)
            trial = theta + share[:, None] * step
        theta = np.where(converged[:, None], theta, trial)
        height, slope, curve = parts(theta)
        converged |= promise <= _ARRIVED * (1.0 + np.abs(height)) + 1e-16
        if converged.all():
            break
    covariance = np.linalg.inv(-curve)
    lead = time.shape[:-1]
    return LocationFit(
        theta.reshape(*lead, p),
        np.asarray(covariance.reshape(*lead, p, p), dtype=np.float64),
        height.reshape(lead),
        converged.reshape(lead),
    )
