r"""Mixtures of normals: distribution, density, quantiles, mode, and shortest intervals of any distribution.

A mixture is three arrays of shape (..., m): weights that add up to 1, means and standard deviations. The
leading axes run over mixtures. Points and probabilities have shape (...), or further axes before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from scipy.special import ndtr, ndtri

from netsynth._typing import FloatArray

_MAX_ITERATIONS: Final = 300
#: Relative distance in probability at which a quantile is found.
_TOLERANCE: Final = 1e-13
_ROOT_2PI: Final = float(np.sqrt(2.0 * np.pi))

Function: TypeAlias = Callable[[FloatArray], FloatArray]


class Mixture(NamedTuple):
    """A mixture of normals, arrays of shape (..., m)."""

    weight: FloatArray
    mean: FloatArray
    sd: FloatArray


def mixture_mean(mixture: Mixture) -> FloatArray:
    """Mean of each mixture, shape (...)."""
    return np.asarray((mixture.weight * mixture.mean).sum(-1))


def mixture_sd(mixture: Mixture) -> FloatArray:
    """Standard deviation of each mixture, shape (...)."""
    apart = mixture.mean - mixture_mean(mixture)[..., None]
    return np.asarray(np.sqrt((mixture.weight * (mixture.sd**2 + apart * apart)).sum(-1)))


def mixture_cdf(x: FloatArray, mixture: Mixture) -> FloatArray:
    """Probability of a value up to x; small ones keep their digits."""
    return np.asarray((mixture.weight * ndtr((x[..., None] - mixture.mean) / mixture.sd)).sum(-1))


def mixture_sf(x: FloatArray, mixture: Mixture) -> FloatArray:
    """Probability of a value above x; small ones keep their digits."""
    return np.asarray((mixture.weight * ndtr((mixture.mean - x[..., None]) / mixture.sd)).sum(-1))


def mixture_density(x: FloatArray, mixture: Mixture) -> FloatArray:
    """Density at x."""
    z = (x[..., None] - mixture.mean) / mixture.sd
    return np.asarray((mixture.weight / mixture.sd * np.exp(-0.5 * z * z)).sum(-1) / _ROOT_2PI)


def mixture_log_density(x: FloatArray, mixture: Mixture) -> FloatArray:
    """Logarithm of the density at x, also where the density itself is too small for a number."""
    z = (x[..., None] - mixture.mean) / mixture.sd
    with np.errstate(divide="ignore"):  # parts without weight
        terms = np.log(mixture.weight / mixture.sd) - 0.5 * z * z
    top = terms.max(-1)
    return np.asarray(top + np.log(np.exp(terms - top[..., None]).sum(-1) / _ROOT_2PI))


def mixture_slope(x: FloatArray, mixture: Mixture) -> FloatArray:
    """Slope of the density at x."""
    z = (x[..., None] - mixture.mean) / mixture.sd
    return np.asarray(-(mixture.weight / mixture.sd**2 * z * np.exp(-0.5 * z * z)).sum(-1) / _ROOT_2PI)


def mixture_quantile(p: FloatArray, mixture: Mixture) -> FloatArray:
    """The x below which lies the probability p, 0 < p < 1; above 1/2 say `mixture_upper` for all digits."""
    z = ndtri(p)[..., None]
    # the quantile lies among those of the parts
    ends = mixture.mean + z * mixture.sd
    start = (mixture.weight * ends).sum(-1)
    return invert(
        lambda x: mixture_cdf(x, mixture),
        lambda x: mixture_density(x, mixture),
        p,
        ends.min(-1),
        ends.max(-1),
        start,
    )


def mixture_upper(p: FloatArray, mixture: Mixture) -> FloatArray:
    """The x above which lies the probability p."""
    return -mixture_quantile(p, Mixture(mixture.weight, -mixture.mean, mixture.sd))


def invert(
    cdf: Function,
    density: Function,
    p: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    start: FloatArray,
) -> FloatArray:
    """The x with cdf(x) = p > 0 between two ends: Newton's steps on ln cdf, bisection where they lead out.

    Parameters
    ----------
    cdf, density : callable
        Of an array of x.
    p, lower, upper, start : ndarray, broadcast against each other

    Returns
    -------
    ndarray
        Of the broadcast shape.
    """
    p, lower, upper, x = np.broadcast_arrays(p, lower, upper, np.clip(start, lower, upper))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_MAX_ITERATIONS):
            f = cdf(x)
            excess = np.log(f / p)
            lower, upper = np.where(excess < 0, x, lower), np.where(excess > 0, x, upper)
            newton = x - excess * f / density(x)
            middle = 0.5 * (lower + upper)
            found = (np.abs(excess) <= _TOLERANCE) | (middle <= lower) | (middle >= upper)
            if found.all():
                break
            inside = (newton > lower) & (newton < upper)
            x = np.where(found, x, np.where(inside, newton, middle))
    return np.asarray(x)


def mixture_mode(mixture: Mixture) -> FloatArray:
    """The highest point of the density of each mixture, shape (...).

    All parts fall outside the range of their means, so the mode lies in it. Quantiles spread over the bulk
    find the peak, and the slope is bisected between the neighbours of the highest.
    """
    shares = np.linspace(0.0, 1.0, 66)[1:-1].reshape(-1, *[1] * (mixture.weight.ndim - 1))
    x = mixture_quantile(np.broadcast_to(shares, (64, *mixture.weight.shape[:-1])), mixture)
    best = mixture_density(x, mixture).argmax(0)[None]
    low, high = mixture.mean.min(-1), mixture.mean.max(-1)
    lower = np.clip(np.take_along_axis(x, np.maximum(best - 1, 0), 0)[0], low, high)
    upper = np.clip(np.take_along_axis(x, np.minimum(best + 1, 63), 0)[0], low, high)
    return bisect(lambda at: mixture_slope(at, mixture), lower, upper)


def bisect(falling: Function, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Where a function that starts positive turns negative; the nearer end where it does not turn."""
    for _ in range(60):
        middle = 0.5 * (lower + upper)
        is_positive = falling(middle) > 0
        lower, upper = np.where(is_positive, middle, lower), np.where(is_positive, upper, middle)
    return 0.5 * (lower + upper)


def shortest_interval(
    lower_quantile: Function,
    upper_quantile: Function,
    density: Function,
    level: float,
    shape: tuple[int, ...],
    *,
    has_start: bool = False,
) -> tuple[FloatArray, FloatArray]:
    r"""The shortest interval that holds the probability `level`, of each of several distributions.

    With a the probability below the interval, its width changes by
    :math:`1 / f(\mathrm{upper}) - 1 / f(\mathrm{lower})`; a grid of a finds the narrowest, and the root of
    :math:`f(\mathrm{lower}) - f(\mathrm{upper})` is closed in on between its neighbours. Of a density with one
    peak it is the interval of highest density.

    Parameters
    ----------
    lower_quantile, upper_quantile : callable
        The x below which, and above which, lies a probability.
    density : callable
    level : float
    shape : tuple of int
        Shape (...) of the distributions.
    has_start : bool
        Whether the support has a lower end, which `lower_quantile` gives for 0, so that the interval may begin
        there.

    Returns
    -------
    (ndarray, ndarray)
        Lower and upper limits, shape (...).
    """
    outside = 1.0 - level
    # dense at both ends, where the interval of a falling density is
    grid = outside * np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, 17)) ** 2
    grid[0], grid[-1] = 0.0 if has_start else 1e-12 * outside, outside * (1.0 - 1e-12)
    a = np.broadcast_to(grid.reshape(-1, *[1] * len(shape)), (17, *shape))

    def ends(a: FloatArray) -> tuple[FloatArray, FloatArray]:
        return lower_quantile(a), upper_quantile(outside - a)

    def rise(a: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How much higher the density is at the lower end, and a change that is next to nothing."""
        low, high = map(density, ends(a))
        return low - high, 1e-12 * (low + high)

    low, high = ends(a)
    best = (high - low).argmin(0)[None]
    left = np.take_along_axis(a, np.maximum(best - 1, 0), 0)[0]
    right = np.take_along_axis(a, np.minimum(best + 1, 16), 0)[0]
    f_left, f_right = rise(left)[0], rise(right)[0]
    # where the width has no turning point inside, an end of the bracket is the answer
    a = np.where(f_left >= 0, left, right)
    is_done = (f_left >= 0) | (f_right <= 0)
    for step in range(_MAX_ITERATIONS):
        if is_done.all():
            break
        # the secant converges fast but may crawl along one side, so each third step halves the bracket
        slope = np.where(is_done, 1.0, f_right - f_left)
        secant = (left * f_right - right * f_left) / slope
        middle = 0.5 * (left + right) if step % 3 == 2 else secant
        a = np.where(is_done, a, middle)
        f, nothing = rise(a)
        is_left = f < 0
        left, f_left = np.where(is_left, a, left), np.where(is_left, f, f_left)
        right, f_right = np.where(is_left, right, a), np.where(is_left, f_right, f)
        is_done = is_done | (np.abs(f) <= nothing) | (right - left <= 1e-12 * outside)
    return ends(a)
