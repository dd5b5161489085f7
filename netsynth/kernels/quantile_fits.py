r"""Laws whose quantiles come nearest to the printed ones, by least squares: McGrath's quantile estimation, QE [1]_.

For the printed values :math:`x_i` at probabilities :math:`p_i` it minimises :math:`\sum (Q(p_i) - x_i)^2` over the
parameters of each family and takes the family with the least sum. The probabilities of minimum and maximum are
:math:`1/n` and :math:`1 - 1/n`, those of the others 1/4, 1/2 and 3/4.

All families but the beta have a scale, and the normal a location too, in which the quantiles are linear: what is left
is a search over one shape parameter, which cannot miss, and no starting values are needed.

References
----------
.. [1] McGrath S, Zhao X, Steele R, Thombs BD, Benedetti A (2020). Estimating the sample mean and standard deviation
   from commonly reported quantiles in meta-analysis. Stat Methods Med Res 29:2520-2537.
   https://doi.org/10.1177/0962280219889080
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtri

from netsynth._typing import FloatArray
from netsynth.kernels.laws import BETA, GAMMA, LOG_NORMAL, NORMAL, WEIBULL, Law, law

QuantileFamily = Literal["normal", "log-normal", "gamma", "Weibull", "beta"]
Fitter: TypeAlias = Callable[[FloatArray, FloatArray, int], "QuantileFit"]

#: Steps of the search: a golden section of a cell of the grid, far below the printed digits.
FINE, COARSE = 45, 14
_GOLDEN: Final = 0.5 * (np.sqrt(5.0) - 1.0)
#: Logarithms of shape parameters that are looked at first.
_LOG_SD: Final = np.linspace(np.log(1e-4), np.log(10.0), 80)
_LOG_SHAPE: Final = np.linspace(np.log(1e-2), np.log(1e7), 120)
_LOG_POWER: Final = np.linspace(np.log(0.05), np.log(1e3), 80)


class QuantileFit(NamedTuple):
    """Laws and their sums of squares, shape (...); nan and infinite where a family does not fit the values at all."""

    law: Law
    loss: FloatArray


def probabilities(n: FloatArray) -> FloatArray:
    """Probabilities of the five values in a sample of n, shape (..., 5).

    Examples
    --------
    >>> probabilities(np.array(40.0)).tolist()
    [0.025, 0.25, 0.5, 0.75, 0.975]
    """
    n = np.asarray(n, dtype=np.float64)
    middle = np.broadcast_to([0.25, 0.5, 0.75], (*n.shape, 3))
    return np.concatenate([1 / n[..., None], middle, 1 - 1 / n[..., None]], axis=-1)


def lowest(
    height: Callable[[FloatArray], FloatArray], grid: FloatArray, shape: tuple[int, ...], n_steps: int = FINE
) -> FloatArray:
    """Where each of many functions of one number is least: on a grid, then by golden section beside the best point.

    Parameters
    ----------
    height : callable
        From places of shape (..., 1) or (g,), one for all, to heights of shape (..., 1) or (..., g).
    grid : ndarray, shape (g,)
        Increasing.
    shape : tuple of int
        Of the batch.
    n_steps : int
        Golden sections of the bracket, which is two cells wide.

    Returns
    -------
    ndarray, shape (...)
    """
    over = np.where(np.isnan(found := height(grid)), np.inf, found)
    best = np.broadcast_to(np.argmin(over, axis=-1), shape)
    low = grid[np.maximum(best - 1, 0)][..., None]
    high = grid[np.minimum(best + 1, grid.size - 1)][..., None]
    inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_inner, at_outer = height(inner), height(outer)
    for _ in range(n_steps):
        left = at_inner <= at_outer
        low, high = np.where(left, low, inner), np.where(left, outer, high)
        kept, at_kept = np.where(left, inner, outer), np.where(left, at_inner, at_outer)
        fresh = np.where(left, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        at_fresh = height(fresh)
        inner, outer = np.where(left, fresh, kept), np.where(left, kept, fresh)
        at_inner, at_outer = np.where(left, at_fresh, at_kept), np.where(left, at_kept, at_fresh)
    middle = np.where(at_inner <= at_outer, inner, outer)[..., 0]
    on_grid = np.min(over, axis=-1) <= np.minimum(at_inner, at_outer)[..., 0]
    return np.asarray(np.where(on_grid, grid[best], middle))


def _normal(values: FloatArray, p: FloatArray, _: int) -> QuantileFit:
    known = ~np.isnan(values)
    z, x = np.where(known, ndtri(p), 0.0), np.where(known, values, 0.0)
    count = known.sum(-1)
    z_mean, x_mean = z.sum(-1) / count, x.sum(-1) / count
    about = np.where(known, z - z_mean[..., None], 0.0)
    sd = (about * x).sum(-1) / (about * about).sum(-1)
    mean = x_mean - sd * z_mean
    missed = np.where(known, values - mean[..., None] - sd[..., None] * z, 0.0)
    return QuantileFit(law(NORMAL, mean, sd), (missed * missed).sum(-1))


def _scaled(
    values: FloatArray,
    unit_quantile: Callable[[FloatArray, FloatArray], FloatArray],
    p: FloatArray,
    grid: FloatArray,
    n_steps: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Best shape, scale and sum of squares of a family with a scale, for values that are not negative."""
    known = ~np.isnan(values)
    x = np.where(known, values, 0.0)

    def residual(log_shape: FloatArray) -> tuple[FloatArray, FloatArray]:
        with np.errstate(over="ignore", invalid="ignore"):
            at = np.where(
                known[..., None, :], unit_quantile(np.exp(log_shape)[..., None], p[..., None, :]), 0.0
            )
            largest = np.max(at, axis=-1, keepdims=True)
            at = at / largest  # so that no square overflows
            scale = (at * x[..., None, :]).sum(-1) / (at * at).sum(-1)
            missed = x[..., None, :] - scale[..., None] * at
        return (missed * missed).sum(-1), scale / largest[..., 0]

    place = lowest(lambda at: residual(at)[0], grid, values.shape[:-1], n_steps)
    loss, scale = residual(place[..., None])
    usable = np.where(known, values >= 0, True).all(-1) & (x.max(-1) > 0)
    nothing = np.full(usable.shape, np.nan)
    return (
        np.where(usable, np.exp(place), nothing),
        np.where(usable, scale[..., 0], nothing),
        np.where(usable & np.isfinite(loss[..., 0]), loss[..., 0], np.inf),
    )


def _log_normal(values: FloatArray, p: FloatArray, n_steps: int) -> QuantileFit:
    sd, scale, loss = _scaled(values, lambda sd, at: np.exp(sd * ndtri(at)), p, _LOG_SD, n_steps)
    return QuantileFit(law(LOG_NORMAL, np.log(scale), sd), loss)


def _gamma(values: FloatArray, p: FloatArray, n_steps: int) -> QuantileFit:
    shape, scale, loss = _scaled(values, gammaincinv, p, _LOG_SHAPE, n_steps)
    return QuantileFit(law(GAMMA, shape, scale), loss)


def _weibull(values: FloatArray, p: FloatArray, n_steps: int) -> QuantileFit:
    shape, scale, loss = _scaled(values, lambda k, at: (-np.log1p(-at)) ** (1.0 / k), p, _LOG_POWER, n_steps)
    return QuantileFit(law(WEIBULL, shape, scale), loss)


def _beta(values: FloatArray, p: FloatArray, n_steps: int) -> QuantileFit:
    """Levenberg and Marquardt's method on the logarithms of both shapes, from the moments of the normal fit."""
    known = ~np.isnan(values)
    inside = np.where(known, (values >= 0) & (values <= 1), True).all(-1)
    start = _normal(values, p, n_steps).law
    mean = np.clip(np.where(inside, start.first, 0.5), 0.02, 0.98)
    size = np.clip(mean * (1 - mean) / np.maximum(start.second, 1e-6) ** 2 - 1, 0.1, 1e6)
    here = np.log(np.stack([mean * size, (1 - mean) * size], axis=-1))

    def residual(at: FloatArray) -> FloatArray:
        a, b = np.moveaxis(np.exp(np.clip(at, -12.0, 16.0)), -1, 0)
        found = betaincinv(a[..., None], b[..., None], np.where(known, p, 0.5))
        return np.where(known, found - np.where(known, values, 0.0), 0.0)

    missed = residual(here)
    loss, damping = (missed * missed).sum(-1), np.full(mean.shape, 1e-3)
    for _ in range(n_steps):
        slopes = np.stack(
            [(residual(here + step) - residual(here - step)) / 2e-5 for step in 1e-5 * np.eye(2)], axis=-1
        )
        square = np.swapaxes(slopes, -1, -2) @ slopes
        square = square + (damping[..., None] * np.trace(square, axis1=-2, axis2=-1)[..., None] + 1e-300)[
            ..., None
        ] * np.eye(2)
        move = np.linalg.solve(square, -np.swapaxes(slopes, -1, -2) @ missed[..., None])[..., 0]
        trial = residual(here + np.clip(move, -2.0, 2.0))
        better = (trial * trial).sum(-1) < loss
        here = np.where(better[..., None], here + np.clip(move, -2.0, 2.0), here)
        missed = np.where(better[..., None], trial, missed)
        loss = (missed * missed).sum(-1)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-12, 1e8)
    a, b = np.moveaxis(np.exp(here), -1, 0)
    nothing = np.full(inside.shape, np.nan)
    return QuantileFit(
        law(BETA, np.where(inside, a, nothing), np.where(inside, b, nothing)), np.where(inside, loss, np.inf)
    )


#: Fitting of each family by name.
QUANTILE_FITTERS: Final[Mapping[QuantileFamily, Fitter]] = MappingProxyType(
    {
        "normal": _normal,
        "log-normal": _log_normal,
        "gamma": _gamma,
        "Weibull": _weibull,
        "beta": _beta,
    }
)
DEFAULT_FAMILIES: Final[tuple[QuantileFamily, ...]] = ("normal", "log-normal", "gamma", "Weibull")


def fit_quantiles(
    values: FloatArray,
    n: FloatArray,
    families: Sequence[QuantileFamily] = DEFAULT_FAMILIES,
    n_steps: int = FINE,
) -> QuantileFit:
    """The family that comes nearest, and its law.

    Parameters
    ----------
    values : ndarray, shape (..., 5)
        Five-number summaries, nan for what is not printed. Families of positive values take a 0 as it is.
    n : ndarray, shape (...) or ()
    families : sequence of str
        Candidates. "beta" fits where all values lie in [0, 1].
    n_steps : int
        Of the search, `FINE` or `COARSE`; the latter is good to about four digits of the shape.

    Returns
    -------
    QuantileFit
        nan where the summary has fewer than three values, or n is below 3.

    Examples
    --------
    >>> fit = fit_quantiles(np.array([np.nan, 18.0, 36.0, 60.0, np.nan]), np.array(210.0))
    >>> fit.law.family.item() == WEIBULL, fit.loss.round(4).item()
    (True, 0.2712)
    """
    values, n = np.asarray(values, dtype=np.float64), np.asarray(n, dtype=np.float64)
    enough = ((~np.isnan(values)).sum(-1) >= 3) & (n >= 3)
    p = probabilities(np.where(n >= 3, n, 5.0))
    safe = np.where(enough[..., None], values, [1.0, 2.0, 3.0, 4.0, 5.0])
    fits = [QUANTILE_FITTERS[name](safe, p, n_steps) for name in families]
    best = np.argmin(np.stack([fit.loss for fit in fits]), axis=0)
    chosen = [
        np.where(enough, np.choose(best, parts), np.nan)
        for parts in zip(*[(*fit.law[1:], fit.loss) for fit in fits], strict=True)
    ]
    family = np.choose(best, [fit.law.family for fit in fits])
    return QuantileFit(Law(family, *chosen[:3]), chosen[3])
