r"""Laws of a measurement in the patients of one study, batched: each element may be of another family.

A `Law` holds the number of its family and two or three parameters, arrays of one shape (...):

================ ========================= ========================= ===============
family           first                     second                    third
================ ========================= ========================= ===============
normal           mean                      standard deviation
log-normal       mean of the logarithm     its standard deviation
gamma            shape                     scale
Weibull          shape                     scale
beta             first shape               second shape
Box-Cox normal   :math:`\mu`               :math:`\sigma`            :math:`\lambda`
================ ========================= ========================= ===============

Under the last, :math:`(x^\lambda - 1) / \lambda` is normal. For :math:`\lambda > 0` its left tail below
:math:`-1 / \lambda` has no x; that tail and, to keep the symmetry, the right one of the same size are cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import betaincinv, betaln, gamma, gammaincinv, gammaln, log_ndtr, ndtr, ndtri

from netsynth._typing import FloatArray, IntArray

LawFamily: TypeAlias = Literal["normal", "log-normal", "gamma", "Weibull", "beta", "Box-Cox normal"]
#: In the order of `Law.family`.
LAW_FAMILIES: Final[tuple[LawFamily, ...]] = (
    "normal",
    "log-normal",
    "gamma",
    "Weibull",
    "beta",
    "Box-Cox normal",
)
NORMAL, LOG_NORMAL, GAMMA, WEIBULL, BETA, BOX_COX = range(len(LAW_FAMILIES))
_SQRT_TWO_PI: Final = float(np.sqrt(2.0 * np.pi))
#: Gauss-Legendre nodes on [-1, 1] for the moments of a Box-Cox normal law.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(160)
#: Standard deviations of the normal beyond which nothing is left, before the growth of x is allowed for.
_FAR: Final = 9.0


class Law(NamedTuple):
    """Laws as above; nan parameters where there is none."""

    family: IntArray
    first: FloatArray
    second: FloatArray
    third: FloatArray


def law(family: int, first: FloatArray, second: FloatArray, third: FloatArray | None = None) -> Law:
    """Laws of one family."""
    a, b = np.broadcast_arrays(np.asarray(first, dtype=np.float64), second)
    c = np.full(a.shape, np.nan) if third is None else np.broadcast_to(third, a.shape)
    return Law(np.full(a.shape, family), a, b, c)


def box_cox(x: FloatArray, power: FloatArray) -> FloatArray:
    """(x^power - 1) / power, the logarithm at 0; without loss of digits near it."""
    log = np.log(x)
    safe = np.where(power == 0, 1.0, power)
    return np.where(power == 0, log, np.expm1(safe * log) / safe)


def inverse_box_cox(y: FloatArray, power: FloatArray) -> FloatArray:
    """The x with that transform; 0 below the transform of 0."""
    safe = np.where(power == 0, 1.0, power)
    with np.errstate(divide="ignore", over="ignore"):
        return np.where(power == 0, np.exp(y), np.exp(np.log1p(np.maximum(safe * y, -1.0)) / safe))


def log_mass(low: FloatArray, high: FloatArray) -> FloatArray:
    """Ln of Phi(high) - Phi(low), from the tail in which both are small; minus infinity between equal ends.

    Examples
    --------
    >>> log_mass(np.array(40.0), np.array(np.inf)).round(2).item()
    -804.61
    """
    flip = low > 0
    upper, lower = np.where(flip, -low, high), np.where(flip, -high, low)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(
            log_ndtr(upper) + np.log(-np.expm1(np.minimum(log_ndtr(lower) - log_ndtr(upper), 0.0)))
        )


def _edge(mean: FloatArray, sd: FloatArray, power: FloatArray) -> FloatArray:
    """Where both tails of a Box-Cox normal law are cut, in standard deviations from its middle; nan where all is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        edge = np.where(power > 0, (1.0 / power + mean) / sd, np.inf)
    return np.where(edge > 0, edge, np.nan)


def _each(laws: Law, functions: tuple[Callable[..., FloatArray], ...], argument: FloatArray) -> FloatArray:
    """For each law the function of its family at its arguments, shape (..., m)."""
    shape = np.broadcast_shapes((*laws.family.shape, 1), argument.shape)
    argument = np.broadcast_to(argument, shape)
    found = np.full(shape, np.nan)
    for number in np.unique(laws.family):
        rows = laws.family == number
        first, second, third = (p[rows][:, None] for p in (laws.first, laws.second, laws.third))
        with np.errstate(
            over="ignore", invalid="ignore", divide="ignore"
        ):  # laws that are nan, densities at 0
            found[rows] = functions[int(number)](argument[rows], first, second, third)
    return found


def law_quantile(laws: Law, p: FloatArray) -> FloatArray:
    """Quantiles at probabilities of shape (..., m).

    Examples
    --------
    >>> law_quantile(law(LOG_NORMAL, np.array(2.0), np.array(1.0)), np.array([0.5])).round(3).tolist()
    [7.389]
    """
    return _each(laws, _QUANTILES, np.asarray(p, dtype=np.float64))


def law_density(laws: Law, x: FloatArray) -> FloatArray:
    """Density of each law at one x, shape (...)."""
    return _each(laws, _DENSITIES, np.asarray(x, dtype=np.float64)[..., None])[..., 0]


def law_moments(laws: Law) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each law, shape (...).

    Examples
    --------
    >>> mean, sd = law_moments(law(GAMMA, np.array(4.0), np.array(2.0)))
    >>> mean.item(), sd.item()
    (8.0, 4.0)
    """
    nothing = np.zeros(1)
    mean = _each(laws, _MEANS, nothing)[..., 0]
    return mean, _each(laws, _SDS, nothing)[..., 0]


def _box_cox_quantile(p: FloatArray, mean: FloatArray, sd: FloatArray, power: FloatArray) -> FloatArray:
    cut = ndtr(-_edge(mean, sd, power))
    return inverse_box_cox(mean + sd * ndtri(cut + p * (1.0 - 2.0 * cut)), power)


def _box_cox_density(x: FloatArray, mean: FloatArray, sd: FloatArray, power: FloatArray) -> FloatArray:
    z, edge = (box_cox(x, power) - mean) / sd, _edge(mean, sd, power)
    height = _normal(z) / sd * x ** (power - 1.0) / (1.0 - 2.0 * ndtr(-edge))
    return np.where(np.abs(z) <= edge, height, np.where(np.isnan(edge), np.nan, 0.0))


def _box_cox_moment(order: int, mean: FloatArray, sd: FloatArray, power: FloatArray) -> FloatArray:
    edge = _edge(mean, sd, power)
    growth = sd / np.maximum(power * mean + 1.0, 1e-3)  # of log x a standard deviation, at the middle
    end = np.minimum(edge, _FAR + 2.0 * order * growth)
    z = end * _NODES
    weight = end * _WEIGHTS * _normal(z)
    total = (weight * inverse_box_cox(mean + sd * z, power) ** order).sum(-1, keepdims=True)
    return np.asarray(total / (1.0 - 2.0 * ndtr(-edge)))


def _box_cox_mean(_: FloatArray, mean: FloatArray, sd: FloatArray, power: FloatArray) -> FloatArray:
    return np.where(power == 0, np.exp(mean + 0.5 * sd**2), _box_cox_moment(1, mean, sd, power))


def _box_cox_sd(_: FloatArray, mean: FloatArray, sd: FloatArray, power: FloatArray) -> FloatArray:
    first, second = (_box_cox_moment(order, mean, sd, power) for order in (1, 2))
    spread = np.sqrt(np.maximum(second - first**2, 0.0))
    return np.where(power == 0, _log_normal_sd(_, mean, sd, power), spread)


def _log_normal_sd(_: FloatArray, mean: FloatArray, sd: FloatArray, __: FloatArray) -> FloatArray:
    return np.exp(mean + 0.5 * sd**2) * np.sqrt(np.expm1(sd**2))


def _weibull_sd(_: FloatArray, shape: FloatArray, scale: FloatArray, __: FloatArray) -> FloatArray:
    return np.asarray(scale * np.sqrt(np.maximum(gamma(1 + 2 / shape) - gamma(1 + 1 / shape) ** 2, 0.0)))


def _normal(z: FloatArray) -> FloatArray:
    return np.exp(-0.5 * z * z) / _SQRT_TWO_PI


_QUANTILES: Final[tuple[Callable[..., FloatArray], ...]] = (
    lambda p, mean, sd, _: mean + sd * ndtri(p),
    lambda p, mean, sd, _: np.exp(mean + sd * ndtri(p)),
    lambda p, shape, scale, _: scale * gammaincinv(shape, p),
    lambda p, shape, scale, _: scale * (-np.log1p(-p)) ** (1.0 / shape),
    lambda p, a, b, _: betaincinv(a, b, p),
    _box_cox_quantile,
)
_DENSITIES: Final[tuple[Callable[..., FloatArray], ...]] = (
    lambda x, mean, sd, _: _normal((x - mean) / sd) / sd,
    lambda x, mean, sd, _: _normal((np.log(x) - mean) / sd) / (sd * x),
    lambda x, shape, scale, _: np.exp((shape - 1) * np.log(x / scale) - x / scale - gammaln(shape)) / scale,
    lambda x, k, scale, _: k / scale * (x / scale) ** (k - 1) * np.exp(-((x / scale) ** k)),
    lambda x, a, b, _: np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b)),
    _box_cox_density,
)
_MEANS: Final[tuple[Callable[..., FloatArray], ...]] = (
    lambda _, mean, *__: mean,
    lambda _, mean, sd, __: np.exp(mean + 0.5 * sd**2),
    lambda _, shape, scale, __: shape * scale,
    lambda _, k, scale, __: scale * gamma(1 + 1 / k),
    lambda _, a, b, __: a / (a + b),
    _box_cox_mean,
)
_SDS: Final[tuple[Callable[..., FloatArray], ...]] = (
    lambda _, __, sd, ___: sd,
    _log_normal_sd,
    lambda _, shape, scale, __: np.sqrt(shape) * scale,
    _weibull_sd,
    lambda _, a, b, __: np.sqrt(a * b / (a + b + 1)) / (a + b),
    _box_cox_sd,
)
