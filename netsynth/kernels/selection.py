r"""Selection models: the likelihood of effects that were published with a chance that hangs on their p-value.

Study i has effect :math:`y_i \sim N(\mu, \sigma_i^2)`, :math:`\sigma_i^2 = v_i + \tau^2`, and is published with a
chance proportional to :math:`w(p_i)`, so that what is seen has the density

.. math:: \frac{w(p_i)\, \phi((y_i - \mu) / \sigma_i) / \sigma_i}{A_i},
   \qquad A_i = \int w(p(y))\, \phi((y - \mu) / \sigma_i) / \sigma_i \, dy.

`estimate` and `variance` have shape (..., k), the last axis running over studies, and a study that a set lacks
has infinite variance. Parameters are broadcast against the leading axes; derivatives come last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.special import log_ndtr, logsumexp, ndtr, ndtri

from netsynth._typing import BoolArray, FloatArray, IntArray

Alternative = Literal["greater", "less", "two-sided"]
SmoothWeight = Literal["beta", "half_normal", "negative_exponential"]

_LOG_ROOT_2PI: Final = 0.5 * float(np.log(2.0 * np.pi))
#: Gauss's rule on one of four panels between the edges, where the weights are analytic within 2.8 of the real line
#: and the density is a normal one of deviation 1 or more: with so many points nothing is left of its error.
_GAUSS_POINT, _GAUSS_WEIGHT = np.polynomial.legendre.leggauss(24)
#: z-value beyond which a weight is taken as constant: of p = 0.00001 for the beta weight, as Citkowicz and Vevea
#: propose, and of a p that no double can tell from 0 for the others.
_EDGE: Final[Mapping[SmoothWeight, float]] = MappingProxyType(
    {"beta": -float(ndtri(1e-5)), "half_normal": 8.5, "negative_exponential": 8.5}
)
#: Value of the parameters at which a weight is the same everywhere.
NO_SELECTION: Final[Mapping[SmoothWeight, float]] = MappingProxyType(
    {"beta": 1.0, "half_normal": 0.0, "negative_exponential": 0.0}
)

#: Vevea and Woods' weights for a given selection, one an interval of p-values that ends in a step, with the last
#: ending in 1 (2005), https://doi.org/10.1037/1082-989X.10.4.428.
SEVERITY_STEPS: Final = (0.005, 0.01, 0.05, 0.1, 0.25, 0.35, 0.5, 0.65, 0.75, 0.9, 0.95, 0.99, 0.995)
Severity = Literal["moderate_one_tailed", "severe_one_tailed", "moderate_two_tailed", "severe_two_tailed"]
# fmt: off
SEVERITIES: Final[Mapping[Severity, tuple[float, ...]]] = MappingProxyType({
    "moderate_one_tailed": (1.0, 0.99, 0.95, 0.8, 0.75, 0.65, 0.6, 0.55, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5),
    "severe_one_tailed": (1.0, 0.99, 0.9, 0.75, 0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.1, 0.1, 0.1, 0.1),
    "moderate_two_tailed": (1.0, 0.99, 0.95, 0.9, 0.8, 0.75, 0.6, 0.6, 0.75, 0.8, 0.9, 0.95, 0.99, 1.0),
    "severe_two_tailed": (1.0, 0.99, 0.9, 0.75, 0.6, 0.5, 0.25, 0.25, 0.5, 0.6, 0.75, 0.9, 0.99, 1.0),
})
# fmt: on


class Segments(NamedTuple):
    """Where a step function of the p-value changes along the z-value.

    `cut` has shape (m,) and rises; `interval`, shape (m + 1,), says which interval of p-values each of the
    segments between the cuts belongs to.
    """

    cut: FloatArray
    interval: IntArray


class Likelihood(NamedTuple):
    """Log-likelihood, shape (...), its gradient, (..., p), and its second derivatives, (..., p, p)."""

    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray


def study_pvalues(estimate: FloatArray, variance: FloatArray, alternative: Alternative) -> FloatArray:
    """P-value of every study, of the test of no effect against the alternative; shape (..., k)."""
    z = estimate / np.sqrt(variance)
    if alternative == "two-sided":
        return np.asarray(2.0 * ndtr(-np.abs(z)))
    return np.asarray(ndtr(-z if alternative == "greater" else z))


def intervals_of(pvalue: FloatArray, steps: Sequence[float]) -> IntArray:
    """Interval of every p-value: the first whose upper end, a step, it does not exceed."""
    return np.asarray(np.searchsorted(np.asarray(steps), pvalue, side="left"))


def segments(steps: Sequence[float], alternative: Alternative) -> Segments:
    """Cuts along the z-value of steps of the p-value, which rise and lie within (0, 1)."""
    a, last = np.asarray(steps, dtype=np.float64), len(steps)
    if alternative == "two-sided":
        tail, order = ndtri(0.5 * a), np.arange(last + 1)
        return Segments(np.concatenate([tail, -tail[::-1]]), np.concatenate([order, order[-2::-1]]))
    if alternative == "less":
        return Segments(np.asarray(ndtri(a)), np.arange(last + 1))
    return Segments(np.asarray(-ndtri(a)[::-1]), np.arange(last, -1, -1))


def log_ndtr_between(lower: FloatArray, upper: FloatArray) -> FloatArray:
    r"""Log of :math:`\Phi(b) - \Phi(a)`, a < b, to full relative accuracy however far out in a tail."""
    flip = lower > 0  # there the upper tail has the digits
    a, b = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    top, bottom = log_ndtr(b), log_ndtr(a)
    with np.errstate(divide="ignore"):  # an empty segment has log 0
        return np.asarray(top + np.log1p(-np.exp(np.minimum(bottom - top, 0.0))))


def step_likelihood(
    estimate: FloatArray,
    variance: FloatArray,
    interval: IntArray,
    cuts: Segments,
    parameter: FloatArray,
) -> Likelihood:
    r"""Likelihood of a step function, :math:`w(p) = \delta_j` in interval j [1]_.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    interval : ndarray of int, shape (..., k)
        Interval of each study's p-value.
    cuts : Segments
    parameter : ndarray, shape (..., 2 + J)
        Mean, tau2, and :math:`\ln \delta_j` of the J intervals; minus infinity where an interval is never seen.

    Returns
    -------
    Likelihood
        Derivatives with respect to all 2 + J parameters, so that any of them may be held.

    References
    ----------
    .. [1] Vevea JL, Hedges LV (1995). A general linear model for estimating effect size in the presence of
       publication bias. Psychometrika 60:419-435. https://doi.org/10.1007/BF02294384
    """
    present = np.isfinite(variance)
    v, y = np.where(present, variance, 1.0), np.where(present, estimate, 0.0)
    mean, tau2, log_weight = parameter[..., 0, None], parameter[..., 1, None], parameter[..., 2:]
    n_intervals = log_weight.shape[-1]
    member = np.eye(n_intervals)[cuts.interval]
    total = v + tau2
    sd = np.sqrt(total)
    u = (cuts.cut * np.sqrt(v)[..., None] - mean[..., None]) / sd[..., None]
    end = np.full((*u.shape[:-1], 1), np.inf)
    of_segment = log_weight[..., None, cuts.interval]
    terms = of_segment + log_ndtr_between(np.append(-end, u, axis=-1), np.append(u, end, axis=-1))
    log_a = logsumexp(terms, axis=-1)
    share = np.exp(terms - log_a[..., None]) @ member

    # A is a sum over cuts of (weight below - weight above) Phi(u), so its derivatives are sums of densities there
    density = -0.5 * u * u - _LOG_ROOT_2PI - log_a[..., None]
    below, above = np.exp(of_segment[..., :-1] + density), np.exp(of_segment[..., 1:] + density)
    jump = below - above
    a_mean = -jump.sum(-1) / sd
    a_tau2 = -0.5 * (jump * u).sum(-1) / total
    pair = below[..., None] * member[:-1] - above[..., None] * member[1:]
    weight_mean = -pair.sum(-2) / sd[..., None]
    weight_tau2 = -0.5 * (pair * u[..., None]).sum(-2) / total[..., None]

    z = (y - mean) / sd
    of_study = np.eye(n_intervals)[interval] * np.ones_like(share)
    own = np.where(of_study > 0, log_weight[..., None, :], 0.0).sum(-1)
    value = own - 0.5 * z * z - np.log(sd) - _LOG_ROOT_2PI - log_a
    first = np.concatenate(
        [
            (z / sd - a_mean)[..., None],
            (0.5 * (z * z - 1.0) / total - a_tau2)[..., None],
            of_study - share,
        ],
        axis=-1,
    )
    second = np.zeros((*first.shape, first.shape[-1]))
    second[..., 0, 0] = -1.0 / total + (jump * u).sum(-1) / total + a_mean * a_mean
    second[..., 0, 1] = (
        -z / (sd * total) - 0.5 * (jump * (1.0 - u * u)).sum(-1) / (sd * total) + a_mean * a_tau2
    )
    second[..., 1, 1] = (
        0.5 * (1.0 - 2.0 * z * z) / total**2
        - 0.25 * (jump * u * (3.0 - u * u)).sum(-1) / total**2
        + a_tau2 * a_tau2
    )
    second[..., 0, 2:] = share * a_mean[..., None] - weight_mean
    second[..., 1, 2:] = share * a_tau2[..., None] - weight_tau2
    second[..., 2:, 2:] = share[..., None] * (share[..., None, :] - np.eye(n_intervals))
    return _added_up(value, first, second, present)


def smooth_likelihood(
    estimate: FloatArray,
    variance: FloatArray,
    form: SmoothWeight,
    alternative: Alternative,
    parameter: FloatArray,
) -> Likelihood:
    r"""Likelihood of a smooth weight of the one-sided p-value.

    :math:`p^{\delta_1 - 1} (1 - p)^{\delta_2 - 1}` with p held within [0.00001, 0.99999], without which the
    integral may be infinite [1]_; :math:`e^{-\delta p^2}`; or :math:`e^{-\delta p}` [2]_. Each is the exponential of
    :math:`\delta` times statistics of the study. Far out it is constant, and its integral a normal tail; between,
    where it changes, it is integrated along the z-value by Gauss's rule.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    form : {"beta", "half_normal", "negative_exponential"}
    alternative : {"greater", "less"}
    parameter : ndarray, shape (..., 2 + q)
        Mean, tau2 and the q parameters of the weight.

    Returns
    -------
    Likelihood

    References
    ----------
    .. [1] Citkowicz M, Vevea JL (2017). A parsimonious weight function for modeling publication bias.
       Psychol Methods 22:28-41. https://doi.org/10.1037/met0000119
    .. [2] Preston C, Ashby D, Smyth R (2004). Adjusting for publication bias: modelling the selection process.
       J Eval Clin Pract 10:313-322.
    """
    sign = 1.0 if alternative == "greater" else -1.0
    edge = _EDGE[form]
    present = np.isfinite(variance)
    v, y = np.where(present, variance, 1.0), sign * np.where(present, estimate, 0.0)
    mean, tau2, delta = sign * parameter[..., 0, None], parameter[..., 1, None], parameter[..., 2:]
    power = (delta - NO_SELECTION[form])[..., None, :]
    root, total = np.sqrt(v), v + tau2
    sd = np.sqrt(total)

    # between the edges: log of weight times density at the points, with its first and second derivatives
    half = 0.25 * edge
    points = np.concatenate(
        [centre + half * _GAUSS_POINT for centre in half * np.array([-3.0, -1.0, 1.0, 3.0])]
    )
    x = (points * root[..., None] - mean[..., None]) / sd[..., None]
    statistic = _statistics(form, points)
    log_weight = (power * statistic).sum(-1)[..., None, :]
    log_step = np.log(np.tile(half * _GAUSS_WEIGHT, 4)) + np.log(root / sd)[..., None]
    between = log_weight - 0.5 * x * x - _LOG_ROOT_2PI + log_step
    scores = np.concatenate(
        [
            (x / sd[..., None])[..., None],
            (0.5 * (x * x - 1.0) / total[..., None])[..., None],
            np.broadcast_to(statistic, (*x.shape, statistic.shape[-1])),
        ],
        axis=-1,
    )

    # beyond them: a constant weight times a tail
    at_edge = _statistics(form, np.array([edge, -edge]))
    u = np.stack([mean - edge * root, -edge * root - mean], axis=-1) / sd[..., None]
    log_constant = (power * at_edge).sum(-1)[..., None, :]
    beyond = log_constant + log_ndtr(u)

    log_a = logsumexp(np.concatenate([between, beyond], axis=-1), axis=-1)
    share, tail = np.exp(between - log_a[..., None]), np.exp(beyond - log_a[..., None])
    density = np.exp(log_constant - 0.5 * u * u - _LOG_ROOT_2PI - log_a[..., None])
    turn = np.array([1.0, -1.0])  # the right tail grows with the mean, the left one shrinks
    in_mean = turn * density / sd[..., None]
    in_tau2 = -0.5 * density * u / total[..., None]
    gradient = (share[..., None] * scores).sum(-2)
    gradient[..., 0] += in_mean.sum(-1)
    gradient[..., 1] += in_tau2.sum(-1)
    gradient[..., 2:] += (tail[..., None] * at_edge).sum(-2)

    a = np.einsum("...n,...ni,...nj->...ij", share, scores, scores)
    a[..., 0, 0] -= share.sum(-1) / total + (density * u).sum(-1) / total
    a[..., 0, 1] -= (share * x).sum(-1) / (sd * total)
    a[..., 0, 1] -= 0.5 * (turn * density * (1.0 - u * u)).sum(-1) / (sd * total)
    a[..., 1, 1] += (share * (0.5 - x * x)).sum(-1) / total**2
    a[..., 1, 1] += 0.25 * (density * u * (3.0 - u * u)).sum(-1) / total**2
    a[..., 0, 2:] += (in_mean[..., None] * at_edge).sum(-2)
    a[..., 1, 2:] += (in_tau2[..., None] * at_edge).sum(-2)
    a[..., 2:, 2:] += np.einsum("...n,ni,nj->...ij", tail, at_edge, at_edge)

    z = (y - mean) / sd
    of_study = _statistics(form, np.clip(y / root, -edge, edge))
    value = (power * of_study).sum(-1) - 0.5 * z * z - np.log(sd) - _LOG_ROOT_2PI - log_a
    score = np.concatenate(
        [
            (z / sd)[..., None],
            (0.5 * (z * z - 1.0) / total)[..., None],
            np.broadcast_to(of_study, (*value.shape, of_study.shape[-1])),
        ],
        axis=-1,
    )
    second = gradient[..., None] * gradient[..., None, :] - a
    second[..., 0, 0] -= 1.0 / total
    second[..., 0, 1] -= z / (sd * total)
    second[..., 1, 1] += (0.5 - z * z) / total**2
    value, first, second = _added_up(value, score - gradient, second, present)
    signs = np.where(np.arange(parameter.shape[-1]) == 0, sign, 1.0)
    return Likelihood(value, first * signs, second * signs * signs[:, None])


def weight_statistics(form: SmoothWeight, pvalue: FloatArray) -> FloatArray:
    """What the parameters of a smooth weight multiply in its exponent at one-sided p-values, shape (..., q)."""
    edge = _EDGE[form]
    return _statistics(form, np.clip(-ndtri(pvalue), -edge, edge))


def _statistics(form: SmoothWeight, z: FloatArray) -> FloatArray:
    """What the parameters of a weight multiply in its exponent, shape (..., q)."""
    if form == "beta":
        return np.stack([log_ndtr(-z), log_ndtr(z)], axis=-1)
    p = ndtr(-z)
    return np.asarray(-(p * p if form == "half_normal" else p)[..., None])


def _added_up(value: FloatArray, first: FloatArray, second: FloatArray, present: BoolArray) -> Likelihood:
    """Sums over studies, of second derivatives given in their upper triangle."""
    seen = np.broadcast_to(present, value.shape)
    hessian = np.where(seen[..., None, None], second, 0.0).sum(-3)
    upper = np.triu(np.ones(hessian.shape[-2:], dtype=np.bool_))
    return Likelihood(
        np.where(seen, value, 0.0).sum(-1),
        np.where(seen[..., None], first, 0.0).sum(-2),
        np.where(upper, hessian, np.swapaxes(hessian, -1, -2)),
    )
