r"""Counts whose proportions follow a beta distribution between studies.

:math:`x_i \sim \mathrm{Bin}(n_i, p_i)` with :math:`p_i \sim \mathrm{Beta}(a, b)`, written by the mean
:math:`\mu = a / (a + b)` and the correlation of two patients of one study :math:`\rho = 1 / (a + b + 1)` [1]_.
With :math:`\theta = \rho / (1 - \rho)` the likelihood of a study is

.. math:: \binom{n}{x} \prod_{j<x} (\mu + j\theta) \prod_{j<n-x} (1 - \mu + j\theta) \Big/ \prod_{j<n} (1 + j\theta)

in which rho = 0, the binomial, is a value like any other. `n_events` and `n_total` have shape (..., k): studies on
the last axis, data sets on the others. A set that lacks a study gives it no patient.

References
----------
.. [1] Griffiths DA (1973). Maximum likelihood estimation for the beta-binomial distribution and an application to the
   household distribution of the total number of cases of a disease. Biometrics 29:637-648.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.special import betaln, chdtri, expit, gammaln, logit, psi, zeta

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.ascent import Surface, climb, first_crossing
from netsynth.kernels.glmm import common_fit, has_maximum
from netsynth.kernels.intervals import Limits, critical_value

#: Where m theta / c is below this, sums over j are power series in it, of which the terms used leave 1e-12.
_SERIES: Final = 1e-3
_STIRLING: Final = 50.0  # from here on Stirling's series with the terms used is exact to rounding
#: Theta where a start is looked for: from a share of 1 / n, where it cannot be told from 0, to a correlation of 0.9.
_FIRST_SHARE: Final = 1e-2
_LAST_THETA: Final = 9.0
_N_STARTS: Final = 12
#: A log-likelihood that no more than this exceeds that of rho = 0 is rounding.
_NO_GAIN: Final = 1e-9


class BetaBinomialFit(NamedTuple):
    """Maximum-likelihood estimates, arrays of shape (...).

    `mean` is the logit of mu and `se` its standard error, from the observed information about logit mu and logit
    rho together; `se_logit_rho` is nan where rho is 0. `log_likelihood` contains all constants,
    `common_log_likelihood` is that at rho = 0, under its own mean.
    """

    mean: FloatArray
    se: FloatArray
    rho: FloatArray
    se_logit_rho: FloatArray
    log_likelihood: FloatArray
    common_log_likelihood: FloatArray
    converged: BoolArray
    n_iterations: int


class _Sums(NamedTuple):
    """Sums over j < m of ln(c + j theta), and of j^p / (c + j theta)^q as `s<p><q>`."""

    log: FloatArray
    s01: FloatArray
    s11: FloatArray
    s02: FloatArray
    s12: FloatArray
    s22: FloatArray


def _gamma_differences(z: FloatArray, m: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of ln Gamma (less m ln z), of its first and of minus its second derivative, from z to z + m."""

    def log_gamma(x: FloatArray) -> FloatArray:
        return (1 / 12 - (1 / 360 - 1 / 1260 / x**2) / x**2) / x

    def digamma(x: FloatArray) -> FloatArray:
        return -0.5 / x - (1 / 12 - (1 / 120 - 1 / 252 / x**2) / x**2) / x**2

    def trigamma(x: FloatArray) -> FloatArray:
        return (0.5 + (1 / 6 - (1 / 30 - 1 / 42 / x**2) / x**2) / x) / x**2

    large = z >= _STIRLING
    far = np.where(large, z, _STIRLING)
    end, growth = far + m, np.log1p(m / far)
    near = np.where(large, 1.0, z)
    direct = (
        gammaln(near + m) - gammaln(near) - m * np.log(near),
        psi(near + m) - psi(near),
        zeta(2.0, near) - zeta(2.0, near + m),
    )
    stirling = (
        (end - 0.5) * growth - m + log_gamma(end) - log_gamma(far),
        growth + digamma(end) - digamma(far),
        m / (far * end) + trigamma(far) - trigamma(end),
    )
    first, second, third = (np.where(large, s, d) for s, d in zip(stirling, direct, strict=True))
    return first, second, third


def _sums(m: FloatArray, c: FloatArray, theta: FloatArray) -> _Sums:
    m, c, theta = np.broadcast_arrays(m, c, theta)
    small = m * theta < _SERIES * c
    t = np.where(small, theta / c, 0.0)
    # sums of j^0 to j^5 over j < m
    u = m - 1.0
    p = [m, m * u / 2, m * u * (2 * m - 1) / 6, (m * u / 2) ** 2]
    p.append(p[2] * (3 * m * u - 1) / 5)
    p.append(p[3] * (2 * m * u - 1) / 3)
    series = _Sums(
        m * np.log(c) + t * (p[1] - t * (p[2] / 2 - t * (p[3] / 3 - t * p[4] / 4))),
        (p[0] - t * (p[1] - t * (p[2] - t * p[3]))) / c,
        (p[1] - t * (p[2] - t * (p[3] - t * p[4]))) / c,
        (p[0] - t * (2 * p[1] - t * (3 * p[2] - t * 4 * p[3]))) / c**2,
        (p[1] - t * (2 * p[2] - t * (3 * p[3] - t * 4 * p[4]))) / c**2,
        (p[2] - t * (2 * p[3] - t * (3 * p[4] - t * 4 * p[5]))) / c**2,
    )
    q = np.where(small, 1.0, theta)
    log_gamma, digamma, trigamma = _gamma_differences(c / q, m)
    s01, s02 = digamma / q, trigamma / q**2
    general = _Sums(
        m * np.log(c) + log_gamma,
        s01,
        (m - c * s01) / q,
        s02,
        (s01 - c * s02) / q,
        (m - 2.0 * c * s01 + c * c * s02) / q**2,
    )
    return _Sums(*(np.where(small, a, b) for a, b in zip(series, general, strict=True)))


def _surface(x: FloatArray, n: FloatArray, at: FloatArray) -> Surface:
    """Log-likelihood at rows of (logit mu, logit rho), which is (logit mu, ln theta), with derivatives."""
    theta = np.exp(at[:, 1])
    mu, rest = expit(at[:, 0]), expit(-at[:, 0])
    c = np.stack([mu, rest, np.ones_like(mu)])[..., None]
    every = _sums(np.stack([x, n - x, n]), c, theta[:, None])
    event, other, all_ = (_Sums(*(part[i].sum(-1) for part in every)) for i in range(3))
    log_choose = (-betaln(x + 1.0, n - x + 1.0) - np.log1p(n)).sum(-1)
    d_mu, d_theta = event.s01 - other.s01, event.s11 + other.s11 - all_.s11
    slope = mu * rest
    gradient = np.stack([slope * d_mu, theta * d_theta], axis=-1)
    second = -slope * slope * (event.s02 + other.s02) + slope * (rest - mu) * d_mu
    cross = slope * theta * (other.s12 - event.s12)
    spread = theta * theta * (all_.s22 - event.s22 - other.s22) + theta * d_theta
    hessian = np.stack([second, cross, cross, spread], axis=-1).reshape(-1, 2, 2)
    return Surface(log_choose + event.log + other.log - all_.log, gradient, hessian)


def _flat(n_events: FloatArray, n_total: FloatArray) -> tuple[FloatArray, FloatArray, tuple[int, ...]]:
    x, n = np.broadcast_arrays(np.asarray(n_events, dtype=np.float64), np.asarray(n_total, dtype=np.float64))
    return x.reshape(-1, x.shape[-1]), n.reshape(-1, x.shape[-1]), x.shape[:-1]


def fit(n_events: FloatArray, n_total: FloatArray) -> BetaBinomialFit:
    """Mean and correlation by maximum likelihood, the boundary rho = 0 included.

    Parameters
    ----------
    n_events, n_total : ndarray, shape (..., k)

    Returns
    -------
    BetaBinomialFit
        Arrays of shape (...); nan, and not converged, where no study has both patients with the event and without.
    """
    x, n, shape = _flat(n_events, n_total)
    common = common_fit(x, n, "binomial")
    rows = np.flatnonzero(has_maximum(x, n, "binomial"))
    found = {name: np.full(len(x), np.nan) for name in ("mean", "se", "rho", "se_logit_rho", "height")}
    converged, n_iterations = np.zeros(len(x), dtype=np.bool_), 0
    if rows.size:
        x, n = x[rows], n[rows]
        start, best = _start(x, n)
        # where the likelihood falls from rho = 0 and no start is higher, there is nothing to climb
        low = (best < common.log_likelihood[rows]) & (_slope_at_zero(x, n) <= 0)
        top = climb(lambda at, which: _surface(x[which], n[which], at), start, np.arange(rows.size), done=low)
        inside = ~low & (top.height > common.log_likelihood[rows] + _NO_GAIN)
        information = -top.hessian
        determinant = information[:, 0, 0] * information[:, 1, 1] - information[:, 0, 1] ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            se = np.sqrt(information[:, 1, 1] / determinant)
            se_rho = np.sqrt(information[:, 0, 0] / determinant)
        found["mean"][rows] = np.where(inside, top.parameters[:, 0], common.mean[rows])
        found["se"][rows] = np.where(inside, se, common.se[rows])
        found["rho"][rows] = np.where(inside, expit(top.parameters[:, 1]), 0.0)
        found["se_logit_rho"][rows] = np.where(inside, se_rho, np.nan)
        found["height"][rows] = np.where(inside, top.height, common.log_likelihood[rows])
        converged[rows] = top.converged | ~inside
        n_iterations = top.n_iterations
    mean, se, rho, se_rho, height = (part.reshape(shape) for part in found.values())
    common_height = common.log_likelihood.reshape(shape)
    return BetaBinomialFit(
        mean, se, rho, se_rho, height, common_height, converged.reshape(shape), n_iterations
    )


def _start(x: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The best (logit mu, ln theta) of a grid of theta, mu by weights that go with it, shape (m, 2), and its height."""
    m = len(x)
    grid = np.geomspace(_FIRST_SHARE / n.max(-1), np.full(m, _LAST_THETA), _N_STARTS, axis=-1)
    theta, which = grid.reshape(-1), np.repeat(np.arange(m), _N_STARTS)
    x_all, n_all = x[which], n[which]
    w = 1.0 / (1.0 + n_all * theta[:, None])  # of a study: n patients count for so many independent ones
    start = np.stack([np.log((w * x_all).sum(-1) / (w * (n_all - x_all)).sum(-1)), np.log(theta)], axis=-1)
    at = _surface(x_all, n_all, start)
    start[:, 0] += np.clip(at.gradient[:, 0] / np.abs(at.hessian[:, 0, 0]), -1.0, 1.0)
    height = _surface(x_all, n_all, start).height.reshape(m, _N_STARTS)
    return start.reshape(m, _N_STARTS, 2)[np.arange(m), height.argmax(-1)], height.max(-1)


def _slope_at_zero(x: FloatArray, n: FloatArray) -> FloatArray:
    """Slope of the log-likelihood along theta at theta = 0 and the mean that is best there."""
    p = (x.sum(-1) / n.sum(-1))[:, None]
    pairs = x * (x - 1.0) / p + (n - x) * (n - x - 1.0) / (1.0 - p) - n * (n - 1.0)
    return np.asarray(0.5 * pairs.sum(-1))


def log_likelihood(
    n_events: FloatArray, n_total: FloatArray, mean: FloatArray, rho: FloatArray
) -> FloatArray:
    """Log-likelihood with all constants at a given logit mu and rho, 0 included, shape (...).

    Parameters
    ----------
    n_events, n_total : ndarray, shape (..., k)
    mean, rho : ndarray, shape (...)
    """
    x, n, shape = _flat(n_events, n_total)
    with np.errstate(divide="ignore"):
        log_theta = logit(np.broadcast_to(rho, shape)).reshape(-1)
    at = np.stack([np.broadcast_to(mean, shape).reshape(-1), log_theta], axis=-1)
    return _surface(x, n, at).height.reshape(shape)


def profile_mean(n_events: FloatArray, n_total: FloatArray, fitted: BetaBinomialFit, level: float) -> Limits:
    """Interval of logit mu: where the log-likelihood, at the best rho for each mu, has not fallen too far.

    Parameters
    ----------
    n_events, n_total : ndarray, shape (..., k)
    fitted : BetaBinomialFit
        From `fit`, of the same counts.
    level : float

    Returns
    -------
    Limits
        Arrays of shape (...), nan where the fit is.
    """
    width = critical_value(np.inf, level) * fitted.se
    return _profile(n_events, n_total, fitted, level, fixed=0, width=width)


def profile_rho(n_events: FloatArray, n_total: FloatArray, fitted: BetaBinomialFit, level: float) -> Limits:
    """Interval of rho: where the log-likelihood, at the best mu for each rho, has not fallen too far.

    The lower limit is 0 where rho = 0 has not fallen that far.

    Parameters
    ----------
    n_events, n_total : ndarray, shape (..., k)
    fitted : BetaBinomialFit
        From `fit`, of the same counts.
    level : float

    Returns
    -------
    Limits
        Arrays of shape (...), nan where the fit is.
    """
    width = np.where(fitted.rho > 0, critical_value(np.inf, level) * fitted.se_logit_rho, 1.0)
    ends = _profile(n_events, n_total, fitted, level, fixed=1, width=np.clip(width, 0.1, 5.0))
    return Limits(*(np.asarray(expit(end)) for end in ends))


def _profile(
    n_events: FloatArray,
    n_total: FloatArray,
    fitted: BetaBinomialFit,
    level: float,
    *,
    fixed: int,
    width: FloatArray,
) -> Limits:
    x, n, shape = _flat(n_events, n_total)
    ends = np.full((2, len(x)), np.nan)
    rows = np.flatnonzero(np.isfinite(fitted.log_likelihood.reshape(-1)))
    if rows.size:
        x, n = x[rows], n[rows]
        height = fitted.log_likelihood.reshape(-1)[rows]
        mean, rho = fitted.mean.reshape(-1)[rows], fitted.rho.reshape(-1)[rows]
        least = np.log(_FIRST_SHARE / n.max(-1)) - 10.0  # a theta that cannot be told from 0
        best = np.stack([mean, np.where(rho > 0, logit(np.where(rho > 0, rho, 0.5)), least)], axis=-1)

        def drop(position: FloatArray, sides: IntArray) -> FloatArray:
            which = sides % rows.size
            start = best[which]
            if fixed == 0:
                start[:, 1] = np.maximum(start[:, 1], least[which] + 10.0)
            start[:, fixed] = position
            top = climb(lambda at, w: _surface(x[w], n[w], at), start, which, fixed=fixed)
            return height[which] - top.height

        sides = np.repeat([-1.0, 1.0], rows.size)
        floor = np.tile(least, 2) if fixed == 1 else np.full(sides.size, -np.inf)
        found = first_crossing(
            drop,
            np.tile(best[:, fixed], 2),
            sides * np.tile(width.reshape(-1)[rows], 2),
            0.5 * float(chdtri(1, 1.0 - level)),
            floor=floor,
        )
        if fixed == 1:
            found = np.where(found <= floor, -np.inf, found)
        ends[:, rows] = found.reshape(2, -1)
    return Limits(ends[0].reshape(shape), ends[1].reshape(shape))
