r"""Densities on the half-line tau >= 0 as panels of Gaussian points: integrals, quantiles, modes.

In :math:`u = \operatorname{arcsinh}(\tau / c)` a density that bends at scales of c and more is smooth: u is
:math:`\tau / c` near 0 and a logarithm far out. The line is cut into panels of one unit of u, each with the points of
Gauss's rule, and a panel that a polynomial does not describe is halved until it is. So one set of points
integrates whatever is smooth over the density, and the polynomials give probabilities between the points.

The leading axes run over densities, and all are handled at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from scipy.special import roots_legendre

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.mixture import bisect, invert, shortest_interval

_NODES: Final = 16
_X, _W = roots_legendre(_NODES)
#: The points of a panel and its two ends, at which a peak between two panels would show.
_POINTS: Final = np.concatenate([[-1.0], _X, [1.0]])


def _legendre(x: FloatArray, degree: int) -> FloatArray:
    """Legendre polynomials up to a degree at each x, along a new last axis."""
    p = [np.ones_like(x), x]
    for n in range(1, degree):
        p.append(((2 * n + 1) * x * p[n] - n * p[n - 1]) / (n + 1))
    return np.stack(p, -1)


_DEGREES: Final = np.arange(_NODES)
#: Takes values at the points of a panel to the coefficients of Legendre polynomials through them.
_TO_SERIES: Final = (_legendre(_X, _NODES - 1) * _W[:, None]).T * (_DEGREES + 0.5)[:, None]
#: Takes coefficients to those of the slope: P_n has the slope (2n - 1) P_{n-1} + (2n - 5) P_{n-3} + ...
_APART: Final = _DEGREES - _DEGREES[:, None]
_SLOPE: Final = np.where((_APART > 0) & (_APART % 2 == 1), 2.0 * _DEGREES[:, None] + 1.0, 0.0)
#: What the last coefficients of a panel may amount to, as a share of the whole integral; and, so that small
#: tail probabilities keep digits, as a share of the panel.
_TOLERANCE, _TAIL_TOLERANCE = 1e-13, 1e-6
#: Logarithm of the share of the peak below which a density counts for nothing, and how many powers of e beyond
#: all scales of the data a tail is followed that does not fall so low.
_NOTHING, _FAR = -100.0, 60.0
_MAX_ROUNDS: Final = 100
#: Panels a density may have on average before it counts as too rough.
_MAX_PANELS: Final = 1000
#: A log density of this size leaves so few digits for differences of it that nothing is known.
_TOO_HIGH: Final = 1e7


class PanelDensity(NamedTuple):
    """Densities of tau: points of shape (..., m), m = 16 p for p panels, and the probability of each.

    A density with fewer panels than others has points without weight behind its own.
    """

    point: FloatArray
    weight: FloatArray  #: adds up to 1
    lower: FloatArray  #: ends of the panels, shape (..., p), in u
    upper: FloatArray
    unit: FloatArray  #: c, shape (...), as all that follows
    log_integral: FloatArray  #: of the density as it was given
    tail: FloatArray  #: slope of the log density in ln tau far out, -inf where it vanishes
    converged: BoolArray

    @property
    def is_proper(self) -> BoolArray:
        """Whether the integral is finite: whether the tail falls faster than 1 / tau."""
        return np.asarray(self.tail < -1.001)

    def has_moment(self, power: int) -> BoolArray:
        """Whether the tail falls fast enough for the mean of tau^power to exist."""
        return np.asarray(self.tail + power < -1.01)


#: Logarithm of a density at points of shape (n, q), each row for the density of that number.
Height: TypeAlias = Callable[[IntArray, FloatArray], FloatArray]


class _Panels(NamedTuple):
    row: IntArray
    lower: FloatArray
    upper: FloatArray
    height: FloatArray  # (n, points), of the density in asinh(tau / unit)


def _log_width(unit: FloatArray, u: FloatArray) -> FloatArray:
    """Logarithm of d tau / du for tau = unit sinh u."""
    return np.asarray(np.log(unit) + np.logaddexp(u, -u) - np.log(2.0))


def _evaluate(
    height: Height, unit: FloatArray, row: IntArray, lower: FloatArray, upper: FloatArray
) -> FloatArray:
    u = 0.5 * ((lower + upper)[:, None] + (upper - lower)[:, None] * _POINTS)
    size = unit[row, None]
    found = height(row, size * np.sinh(u)) + _log_width(size, u)
    # at 0 itself a density may be infinite, and still have an integral; a peak is not looked for there
    found[lower == 0, 0] = -np.inf
    return found


def integrate(height: Height, unit: FloatArray, widest: FloatArray, end: FloatArray) -> PanelDensity:
    """Panels that carry each of n densities.

    Parameters
    ----------
    height : callable
        Logarithm of the densities, of any height.
    unit, widest : ndarray, shape (n,)
        The smallest and the largest value of tau about which a density bends.
    end : ndarray, shape (n,)
        Where it ends, or infinite.

    Returns
    -------
    PanelDensity
    """
    last = np.arcsinh(np.minimum(end, np.exp(_FAR) * widest) / unit)
    steps = np.arange(int(np.ceil(last.max(initial=1.0))) + 1, dtype=np.float64)
    edges = np.minimum(steps, last[:, None])
    rows = np.arange(len(unit))
    seen = height(rows, unit[:, None] * np.sinh(edges)) + _log_width(unit[:, None], edges)
    seen[:, 0] = -np.inf  # as in `_evaluate`
    top = seen.max(-1)
    tail, is_cut = _tail(seen, edges, end)

    matters = seen > top[:, None] + _NOTHING
    begin, finish = matters.argmax(-1), seen.shape[1] - 1 - matters[:, ::-1].argmax(-1)
    place = np.arange(seen.shape[1] - 1)
    is_kept = (place >= begin[:, None] - 1) & (place <= finish[:, None]) & (edges[:, 1:] > edges[:, :-1])
    row, column = np.nonzero(is_kept)
    lower, upper = edges[row, column], edges[row, column + 1]
    values = _evaluate(height, unit, row, lower, upper)
    for step in range(_MAX_ROUNDS):
        np.maximum.at(top, row, values.max(-1))
        fine = _fits(_Panels(row, lower, upper, values), top)
        coarse = ~fine
        if fine.all() or step == _MAX_ROUNDS - 1 or len(row) > _MAX_PANELS * len(unit):
            break
        middle = 0.5 * (lower[coarse] + upper[coarse])
        new_row = np.concatenate([row[coarse], row[coarse]])
        new_lower = np.concatenate([lower[coarse], middle])
        new_upper = np.concatenate([middle, upper[coarse]])
        new_values = _evaluate(height, unit, new_row, new_lower, new_upper)
        row = np.concatenate([row[fine], new_row])
        lower, upper = np.concatenate([lower[fine], new_lower]), np.concatenate([upper[fine], new_upper])
        values = np.concatenate([values[fine], new_values])
    converged = np.ones(len(unit), dtype=np.bool_)
    converged[row[coarse]] = False
    order = np.lexsort((lower, row))
    panels = _Panels(row[order], lower[order], upper[order], values[order])
    return _rectangle(panels, unit, tail, converged & ~is_cut & (np.abs(top) < _TOO_HIGH))


def _tail(seen: FloatArray, edges: FloatArray, end: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Slope of each density of tau in ln tau far out, and whether a tail was cut off that weighs something."""
    # the step before the last full one, for the last may be short; u is ln tau there but for a constant
    tail = np.full(len(seen), -np.inf)
    is_open = np.isinf(end)
    j = np.maximum((edges[:, -1:] > np.arange(edges.shape[1])).sum(-1) - 1, 1)
    rows = np.arange(len(seen))
    high, low = seen[rows, j], seen[rows, j - 1]
    follows = is_open & np.isfinite(high) & np.isfinite(low)
    tail[follows] = high[follows] - low[follows] - 1.0
    left_out = high - seen.max(-1) - np.log(np.maximum(-(tail + 1.0), 1e-300))
    return tail, is_open & (tail + 1.0 < 0) & (left_out > np.log(1e-12))


def _fits(panels: _Panels, top: FloatArray) -> BoolArray:
    """Whether a polynomial describes each panel as closely as its share in the integral asks for."""
    row, half = panels.row, 0.5 * (panels.upper - panels.lower)
    inside = panels.height[:, 1:-1]
    values = np.exp(inside - top[row, None])
    mass = half * (values @ _W)
    total = np.bincount(row, mass, len(top))[row]
    error = half * np.abs(values @ _TO_SERIES[-2:].T).sum(-1)
    # rounding of the log density is no fault of the panel
    highest = inside.max(-1)
    rounding = 4e-15 * np.abs(np.where(np.isfinite(highest), highest, 0.0))
    is_small = error <= np.maximum(_TOLERANCE, rounding) * total
    is_tail = (panels.lower > 0) & (mass > 1e-45 * total)
    is_small &= ~is_tail | (error <= np.maximum(_TAIL_TOLERANCE, rounding) * mass)
    ends = panels.height[:, [0, -1]].max(-1)
    hides_a_peak = (ends > highest + 2.0) & (ends > top[row] - 50.0)
    return np.asarray((is_small & ~hides_a_peak) | (np.abs(top[row]) >= _TOO_HIGH))


def _rectangle(panels: _Panels, unit: FloatArray, tail: FloatArray, converged: BoolArray) -> PanelDensity:
    """The panels of each density in a row of their own, the first once more without weight where some lack."""
    n, row = len(unit), panels.row
    half = 0.5 * (panels.upper - panels.lower)[:, None]
    inside = panels.height[:, 1:-1]
    top = np.full(n, -np.inf)
    np.maximum.at(top, row, inside.max(-1))
    mass = half * _W * np.exp(inside - top[row, None])
    total = np.bincount(row, mass.sum(-1), n)
    point = unit[row, None] * np.sinh(0.5 * (panels.lower + panels.upper)[:, None] + half * _X)

    count = np.bincount(row, minlength=n)
    first = np.cumsum(count) - count
    place = np.arange(count.max(initial=1))
    is_real = place < count[:, None]
    index = np.where(is_real, first[:, None] + place, first[:, None])
    finish = panels.upper[first + count - 1][:, None]
    weight = np.where(is_real[..., None], (mass / total[row, None])[index], 0.0)
    return PanelDensity(
        point=point[index].reshape(n, -1),
        weight=weight.reshape(n, -1),
        lower=np.where(is_real, panels.lower[index], finish),
        upper=np.where(is_real, panels.upper[index], finish),
        unit=unit,
        log_integral=top + np.log(total),
        tail=tail,
        converged=converged,
    )


def rescaled(density: PanelDensity, size: FloatArray, shape: tuple[int, ...]) -> PanelDensity:
    """The n densities in another unit of tau, `size` of shape (n,), with leading axes of the given shape."""
    return PanelDensity(
        point=(size[:, None] * density.point).reshape((*shape, -1)),
        weight=density.weight.reshape((*shape, -1)),
        lower=density.lower.reshape((*shape, -1)),
        upper=density.upper.reshape((*shape, -1)),
        unit=(size * density.unit).reshape(shape),
        log_integral=density.log_integral.reshape(shape),
        tail=density.tail.reshape(shape),
        converged=density.converged.reshape(shape),
    )


class _Place(NamedTuple):
    """Where values of tau lie: their u, the panel, the place in it within [-1, 1], and half its width."""

    u: FloatArray
    panel: IntArray
    x: FloatArray
    half: FloatArray
    is_inside: BoolArray


def _at(values: FloatArray, panel: IntArray) -> FloatArray:
    """The entry of the panel, of an array of shape (..., p), for panels of shape (...) or more axes before."""
    shape = (*panel.shape, values.shape[-1])
    return np.asarray(np.take_along_axis(np.broadcast_to(values, shape), panel[..., None], -1)[..., 0])


def _place(density: PanelDensity, tau: FloatArray) -> _Place:
    u = np.asarray(np.arcsinh(tau / density.unit))
    panel = np.maximum((u[..., None] >= density.lower).sum(-1) - 1, 0)
    panel = np.minimum(panel, (density.upper > density.lower).sum(-1) - 1)
    lower, upper = _at(density.lower, panel), _at(density.upper, panel)
    half = 0.5 * (upper - lower)
    x = (u - 0.5 * (lower + upper)) / half
    # rounding may lead a hair beyond the ends of all panels
    is_inside = (x >= -1.0 - 1e-9) & (x <= 1.0 + 1e-9)
    return _Place(u, panel, np.clip(x, -1.0, 1.0), half, is_inside)


def _series(density: PanelDensity) -> FloatArray:
    """Legendre coefficients of each panel, times half its width, shape (..., p, 16)."""
    values = density.weight.reshape(*density.lower.shape, _NODES) / _W
    return np.asarray(values @ _TO_SERIES.T)


def _series_at(series: FloatArray, panel: IntArray) -> FloatArray:
    shape = (*panel.shape, *series.shape[-2:])
    found = np.take_along_axis(np.broadcast_to(series, shape), panel[..., None, None], -2)
    return np.asarray(found[..., 0, :])


def panel_cdf(tau: FloatArray, density: PanelDensity) -> FloatArray:
    """Probability of a tau up to this one."""
    place = _place(density, tau)
    share = density.weight.reshape(*density.lower.shape, _NODES).sum(-1)
    before = _at(share.cumsum(-1) - share, place.panel)
    p = _legendre(place.x, _NODES)
    steps = (p[..., 2:] - p[..., :-2]) / (2.0 * np.arange(1, _NODES) + 1.0)
    below = np.concatenate([place.x[..., None] + 1.0, steps], -1)
    return np.asarray(np.clip(before + (_series_at(_series(density), place.panel) * below).sum(-1), 0.0, 1.0))


def panel_density(tau: FloatArray, density: PanelDensity) -> FloatArray:
    """The density at tau."""
    place = _place(density, tau)
    terms = _series_at(_series(density), place.panel) * _legendre(place.x, _NODES - 1)
    height = np.where(place.is_inside, terms.sum(-1) / place.half, 0.0)
    return np.asarray(np.maximum(height, 0.0) / (density.unit * np.cosh(place.u)))


def _slope_at(tau: FloatArray, density: PanelDensity) -> FloatArray:
    """A number with the sign of the slope of the density at tau."""
    place = _place(density, tau)
    series, p = _series_at(_series(density), place.panel), _legendre(place.x, _NODES - 1)
    # the density of tau is that of u over the width of a step of u
    steep = (series @ _SLOPE.T * p).sum(-1) / place.half
    return np.asarray(steep - (series * p).sum(-1) * np.tanh(place.u))


def panel_quantile(p: FloatArray, density: PanelDensity) -> FloatArray:
    """The tau below which lies the probability p."""
    p = np.asarray(p)
    share = density.weight.reshape(*density.lower.shape, _NODES).sum(-1).cumsum(-1)
    n_panels = (density.upper > density.lower).sum(-1)
    panel = np.minimum((share < p[..., None]).sum(-1), n_panels - 1)
    lower = density.unit * np.sinh(_at(density.lower, panel))
    upper = density.unit * np.sinh(_at(density.upper, panel))
    found = invert(
        lambda tau: panel_cdf(tau, density),
        lambda tau: panel_density(tau, density),
        np.where(p > 0, p, 0.5),
        lower,
        upper,
        0.5 * (lower + upper),
    )
    return np.where(p > 0, found, 0.0)


def panel_mean(density: PanelDensity) -> FloatArray:
    """Mean of tau; infinite where the tail is too heavy for one."""
    mean = (density.weight * density.point).sum(-1)
    return np.where(density.has_moment(1), mean, np.inf)


def panel_sd(density: PanelDensity) -> FloatArray:
    """Standard deviation of tau; infinite where the tail is too heavy for one."""
    apart = density.point - (density.weight * density.point).sum(-1)[..., None]
    sd = np.sqrt((density.weight * apart * apart).sum(-1))
    return np.where(density.has_moment(2), sd, np.inf)


def panel_mode(density: PanelDensity) -> FloatArray:
    """Where the density of tau is highest: 0, or where its slope is 0 next to the highest point of the grid."""
    height = panel_density(np.moveaxis(density.point, -1, 0), density)
    n_points = _NODES * (density.upper > density.lower).sum(-1)  # padding comes last
    index = np.arange(len(height)).reshape(-1, *[1] * n_points.ndim)
    best = np.where(index < n_points, height, -1.0).argmax(0)
    before = np.where(best > 0, _at(density.point, np.maximum(best - 1, 0)), 0.0)
    after = _at(density.point, np.minimum(best + 1, n_points - 1))
    end = density.unit * np.sinh(density.upper.max(-1))
    after = np.where(best < n_points - 1, after, end)
    mode = bisect(lambda tau: _slope_at(tau, density), before, after)
    # bisection goes to an end where the slope does not turn
    at_zero = (before == 0) & (_slope_at(np.zeros_like(mode) + 1e-9 * after, density) <= 0)
    return np.where(at_zero, 0.0, mode)


def panel_interval(density: PanelDensity, level: float) -> tuple[FloatArray, FloatArray]:
    """The shortest interval of tau that holds the probability `level`."""
    return shortest_interval(
        lambda p: panel_quantile(p, density),
        lambda p: panel_quantile(1.0 - p, density),
        lambda tau: panel_density(tau, density),
        level,
        density.unit.shape,
        has_start=True,
    )
