r"""Box-Cox normal laws from five-number summaries: the BC method of McGrath, and the MLN method of Cai and colleagues.

Both look for the power :math:`\lambda \ge 0` that makes the printed values those of a normal law, estimate its mean and
standard deviation there, and come back by integration. Values must be positive.

BC [1]_ takes the power that makes the transformed values symmetric about the median: it minimises the sum of
:math:`[(b - m) / (m - a) - 1]^2` and :math:`[(q_3 - m) / (m - q_1) - 1]^2` of the transformed values, as far as
printed, and applies Luo's mean and Wan's standard deviation.

MLN [2]_ takes the power at which the likelihood of the transformed order statistics is highest under Luo's mean and
Wan's standard deviation, and then the mean and standard deviation of highest likelihood. With r of n values below the
least printed one, and so on,

.. math:: \ell = \sum_j \ln\{\varphi(z_j) / \sigma\} + \sum_j g_j \ln\{\Phi(z_{j+1}) - \Phi(z_j)\},

where :math:`g_j` counts the values between two neighbours. The slope of the transform is left out of it, as published,
so that the power depends on the unit of the values.

References
----------
.. [1] McGrath S, Zhao X, Steele R, Thombs BD, Benedetti A (2020). Estimating the sample mean and standard deviation
   from commonly reported quantiles in meta-analysis. Stat Methods Med Res 29:2520-2537.
   https://doi.org/10.1177/0962280219889080
.. [2] Cai S, Zhou J, Pan J (2021). Estimating the sample mean and standard deviation from order statistics and sample
   size in meta-analysis. Stat Methods Med Res 30:2701-2719. https://doi.org/10.1177/09622802211047348
"""

from __future__ import annotations

from typing import Final

import numpy as np

from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels.ascent import Surface, climb
from netsynth.kernels.five_numbers import luo_mean, wan_sd
from netsynth.kernels.laws import BOX_COX, Law, box_cox, law, log_mass
from netsynth.kernels.quantile_fits import FINE, lowest

#: Powers that are looked at first; the published methods look no further than 10.
_POWERS: Final = np.concatenate(
    [np.arange(0.0, 1.0, 0.05), np.arange(1.0, 4.0, 0.25), np.arange(4.0, 10.5, 0.5)]
)
_LOG_ROOT_TWO_PI: Final = 0.5 * float(np.log(2.0 * np.pi))


def _positive(values: FloatArray) -> BoolArray:
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values > 0, True).all(-1) & (known.sum(-1) >= 3))


def _transformed(values: FloatArray, power: FloatArray) -> FloatArray:
    """Values of shape (..., 1, 5) at powers of shape (..., g) or (g,): shape (..., g, 5)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return box_cox(values[..., None, :], power[..., None])


def bc_law(values: FloatArray, n: FloatArray, n_steps: int = FINE) -> Law:
    """Laws by the BC method, nan where a value is not positive or the median is no higher than what lies below it.

    Parameters
    ----------
    values : ndarray, shape (..., 5)
        Five-number summaries, nan for what is not printed.
    n : ndarray, shape (...) or ()
    n_steps : int
        Of the search for the power.

    Examples
    --------
    >>> found = bc_law(np.array([3.0, np.nan, 11.0, np.nan, 30.0]), np.array(25.0))
    >>> found.third.round(4).item()
    0.2258
    """
    usable = _positive(values)
    safe = np.where(usable[..., None], values, 1.0)

    def asymmetry(power: FloatArray) -> FloatArray:
        a, q1, m, q3, b = np.moveaxis(_transformed(safe, power), -1, 0)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            ends, quartiles = ((b - m) / (m - a) - 1) ** 2, ((q3 - m) / (m - q1) - 1) ** 2
        return np.where(np.isnan(b), 0.0, ends) + np.where(np.isnan(q3), 0.0, quartiles)

    power = lowest(asymmetry, _POWERS, usable.shape, n_steps)
    usable = usable & np.isfinite(asymmetry(power[..., None])[..., 0])
    y = _transformed(safe, power[..., None])[..., 0, :]
    mean, sd, power = (np.where(usable, part, np.nan) for part in (luo_mean(y, n), wan_sd(y, n), power))
    return law(BOX_COX, mean, sd, power)


def _ranks(n: FloatArray) -> FloatArray:
    """Ranks of the five values among n, shape (..., 5)."""
    n = np.asarray(n, dtype=np.float64)
    return np.stack(
        [np.ones_like(n), np.floor(0.25 * n) + 1, np.floor(0.5 * n) + 1, np.floor(0.75 * n) + 1, n], axis=-1
    )


def _gaps(values: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Printed values pushed to the left with nan behind them, and how many lie before each and behind the last."""
    known = ~np.isnan(values)
    order = np.argsort(~known, axis=-1, kind="stable")
    y = np.take_along_axis(values, order, -1)
    rank = np.take_along_axis(np.where(known, np.broadcast_to(_ranks(n), values.shape), np.nan), order, -1)
    end = np.broadcast_to(np.asarray(n, dtype=np.float64)[..., None] + 1.0, (*rank.shape[:-1], 1))
    up_to = np.concatenate([np.where(np.isnan(rank), end, rank), end], axis=-1)
    between = np.diff(np.concatenate([np.zeros_like(end), up_to], axis=-1), axis=-1) - 1.0
    return y, np.maximum(between, 0.0)


def order_log_likelihood(y: FloatArray, gaps: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    """Log-likelihood of normal order statistics, constants in n left out.

    Parameters
    ----------
    y : ndarray, shape (..., q)
        Values in ascending order, those that lack last, as nan.
    gaps : ndarray, shape (..., q + 1)
        How many values lie before each, and in the end behind the last.
    mean, sd : ndarray, shape (...)

    Returns
    -------
    ndarray, shape (...)
    """
    z = (y - mean[..., None]) / sd[..., None]
    known = ~np.isnan(z)
    count = known.sum(-1)
    points = np.where(known, -0.5 * z * z, 0.0).sum(-1) - count * (np.log(sd) + _LOG_ROOT_TWO_PI)
    edges = np.where(known, z, np.inf)
    end = np.full((*edges.shape[:-1], 1), np.inf)
    between = log_mass(np.concatenate([-end, edges], axis=-1), np.concatenate([edges, end], axis=-1))
    return np.asarray(points + np.where(gaps > 0, gaps * between, 0.0).sum(-1))


def _surface(y: FloatArray, gaps: FloatArray, at: FloatArray) -> Surface:
    """The log-likelihood at means and logarithms of standard deviations, shape (m, 2), with its derivatives.

    With h the density at an edge over the probability between two edges, everything follows from the slopes
    of ln(Phi(v) - Phi(u)) in u and v.
    """
    mean, sd = at[:, 0], np.exp(at[:, 1])
    z = (y - mean[:, None]) / sd[:, None]
    known = ~np.isnan(z)
    count, x = known.sum(-1), np.where(known, z, 0.0)
    edges = np.where(known, z, np.inf)
    end = np.full((len(edges), 1), np.inf)
    u, v = np.concatenate([-end, edges], axis=-1), np.concatenate([edges, end], axis=-1)
    between = log_mass(u, v)
    with np.errstate(invalid="ignore", over="ignore"):
        h_u, h_v = (
            np.where(np.isfinite(e), np.exp(-0.5 * e * e - _LOG_ROOT_TWO_PI - between), 0.0) for e in (u, v)
        )
        u, v = (np.where(np.isfinite(e), e, 0.0) for e in (u, v))
    busy = gaps > 0
    weight, h_u, h_v = np.where(busy, gaps, 0.0), np.where(busy, h_u, 0.0), np.where(busy, h_v, 0.0)
    # first and second moments of the truncated normal law of a gap, as far as the derivatives need them
    d0, d1, d2 = h_v - h_u, v * h_v - u * h_u, v * v * h_v - u * u * h_u
    d3 = v**3 * h_v - u**3 * h_u
    height = order_log_likelihood(y, gaps, mean, sd)
    slope_mean = (x.sum(-1) - (weight * d0).sum(-1)) / sd
    slope_log = (x * x).sum(-1) - count - (weight * d1).sum(-1)
    mean_mean = -(count + (weight * (d1 + d0 * d0)).sum(-1)) / sd**2
    mean_log = -(2.0 * x.sum(-1) + (weight * (d2 - d0 + d0 * d1)).sum(-1)) / sd
    log_log = -(2.0 * (x * x).sum(-1) + (weight * (d3 - d1 + d1 * d1)).sum(-1))
    hessian = np.stack([np.stack([mean_mean, mean_log], -1), np.stack([mean_log, log_log], -1)], -2)
    return Surface(height, np.stack([slope_mean, slope_log], axis=-1), hessian)


def order_fit(
    y: FloatArray, gaps: FloatArray, mean: FloatArray, sd: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of highest likelihood, from a start; shapes as in `order_log_likelihood`."""
    shape = mean.shape
    rows, parts = (np.reshape(part, (-1, part.shape[-1])) for part in (y, gaps))
    start = np.stack([mean.ravel(), np.log(sd.ravel())], axis=-1)
    usable = np.flatnonzero(np.isfinite(start).all(-1))
    # in units of each start, so that a step is long or short beside the spread of the values
    centre, unit = start[:, 0], np.exp(start[:, 1])
    scaled = (rows - centre[:, None]) / unit[:, None]
    top = climb(
        lambda at, which: _surface(scaled[which], parts[which], at), np.zeros((usable.size, 2)), usable
    )
    found = np.full(start.shape, np.nan)
    arrived = np.where(top.converged[:, None], top.parameters, np.nan)
    found[usable, 0] = centre[usable] + unit[usable] * arrived[:, 0]
    found[usable, 1] = unit[usable] * np.exp(arrived[:, 1])
    return found[:, 0].reshape(shape), found[:, 1].reshape(shape)


def mln_law(values: FloatArray, n: FloatArray, n_steps: int = FINE) -> Law:
    """Laws by the MLN method, nan where a value is not positive or values that must differ are equal.

    Parameters as in `bc_law`.

    Examples
    --------
    >>> found = mln_law(np.array([np.nan, 5.0, 9.0, 20.0, np.nan]), np.array(1000.0))
    >>> found.third.item(), found.first.round(3).item()
    (0.0, 2.269)
    """
    values, n = np.asarray(values, dtype=np.float64), np.asarray(n, dtype=np.float64)
    usable = _positive(values)
    safe = np.where(usable[..., None], values, [1.0, 2.0, 3.0, 4.0, 5.0])

    def height(power: FloatArray) -> FloatArray:
        y = _transformed(safe, power)
        size = n[..., None] if n.ndim else n
        pushed, gaps = _gaps(y, np.broadcast_to(size, y.shape[:-1]))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            found = order_log_likelihood(pushed, gaps, luo_mean(y, size), wan_sd(y, size))
        return np.where(np.isnan(found), np.inf, -found)

    power = lowest(height, _POWERS, usable.shape, n_steps)
    y = _transformed(safe, power[..., None])[..., 0, :]
    pushed, gaps = _gaps(y, np.broadcast_to(n, y.shape[:-1]))
    mean, sd = order_fit(pushed, gaps, luo_mean(y, n), wan_sd(y, n))
    mean, sd, power = (np.where(usable, part, np.nan) for part in (mean, sd, power))
    return law(BOX_COX, mean, sd, power)
