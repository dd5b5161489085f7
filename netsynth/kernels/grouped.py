r"""Likelihood of reported percentages: how probable what was printed is under a parametric curve.

A report says that survival is some percentage at each of a few times. Conditional on the percentage before, the one
at :math:`t_j` comes from :math:`n_j` patients, of whom a share :math:`p_j = S_j / S_{j-1}` lives on, so that

.. math:: \ell = \sum_j n_j \{ \hat p_j \ln p_j + (1 - \hat p_j) \ln(1 - p_j) \}.

With :math:`n_j = n S_{j-1}`, all followed throughout, this is the multinomial likelihood of the intervals,
:math:`n \sum_j (\hat S_{j-1} - \hat S_j) \ln(S_{j-1} - S_j) + n \hat S_m \ln S_m`. A printed number stands for
an interval of what it was before rounding, and the likelihood is integrated over it: the sequence of survivals is a
Markov chain, which is followed from one interval to the next on a few nodes.

Arrays have shape (..., m): many reports with the same times are handled at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from scipy.special import gammaln

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.ascent import Surface, SurfaceOf, climb
from netsynth.kernels.families import Family

_FEWEST_NODES: Final = 5
_MOST_NODES: Final = 48
_STEP: Final = 1e-4  # for differences: of the size that makes errors of truncation and of rounding alike
_WORST: Final = -1e12
#: Weights of the logarithms of slopes that keep a spline rising, in units of the log-likelihood: first the search
#: is kept well inside, then what is left of the weight is nothing.
_BARRIERS: Final = (1e-2, 1e-6)


#: From parameters (r, p) and the number of the report of each row (r,) to the log-likelihood.
Height: TypeAlias = Callable[[FloatArray, IntArray], FloatArray]


class Fragments(NamedTuple):
    """What was printed, in order of time.

    Attributes
    ----------
    time : ndarray, shape (m,)
        Positive and increasing.
    survival : ndarray, shape (..., m)
        As printed, never rising.
    lower, upper : ndarray, shape (..., m)
        What it may have been before rounding.
    number : ndarray, shape (..., m)
        Effective number of patients at the start of the interval that ends at the time: as many, all followed
        through it, would give the survival over the interval the same standard error.
    """

    time: FloatArray
    survival: FloatArray
    lower: FloatArray
    upper: FloatArray
    number: FloatArray


class GroupedFit(NamedTuple):
    """Parameters of greatest likelihood, shape (..., p), and what goes with them.

    `covariance`, shape (..., p, p), is the inverse of the observed information; nan where the likelihood has no
    peak. `converged` is False where the search ended elsewhere than at the top.
    """

    theta: FloatArray
    log_likelihood: FloatArray
    covariance: FloatArray
    converged: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One interval of the chain: nodes before (rows) and after it (columns), shape (b, i, k)."""

    constant: FloatArray
    alive: FloatArray
    dead: FloatArray
    weight: FloatArray  # (b, k), logarithms


def effective_numbers(
    survival: FloatArray,
    se: FloatArray,
    n_total: float,
    n_at_risk: FloatArray,
    *,
    maturity: float,
) -> FloatArray:
    r"""Effective numbers of patients at the starts of intervals, from standard errors and counts.

    Greenwood's sum grows over an interval by :math:`(1 - p) / (p n_j)`, so standard errors at both its ends give
    :math:`n_j`, kept between 1 and the patients there can be. Where survival does not fall, or there is no
    standard error, :math:`n_j` comes from the counts: with numbers at risk before and after,
    :math:`n m \ln(n / m) / (n - m)`, else :math:`n S_{j-1} \sqrt{p}` with the share p of the survivors under
    observation.

    Parameters
    ----------
    survival, se, n_at_risk : ndarray, shape (m,)
        nan where unknown.
    n_total : float
        nan where unknown.
    maturity : float
        The share p, in (0, 1].

    Returns
    -------
    ndarray, shape (m,)
        nan where neither standard errors nor counts are known.

    Examples
    --------
    >>> survival, se = np.array([0.8, 0.5]), np.array([0.04, 0.05])
    >>> effective_numbers(survival, se, 100.0, np.full(2, np.nan), maturity=0.5).round(1)
    array([100.,  80.])
    """
    before = np.concatenate([[1.0], survival[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(
            (survival > 0) & (survival < 1), (se / survival) ** 2, np.where(survival == 1, 0.0, np.nan)
        )
        growth = np.diff(relative, prepend=0.0)
        from_se = np.where((growth > 0) & (survival < before), (before / survival - 1.0) / growth, np.nan)
        n = np.concatenate([[n_total], n_at_risk[:-1]])
        m = np.minimum(n_at_risk, n)
        from_counts = np.where(n > m, n * m * np.log(n / np.where(m > 0, m, np.nan)) / (n - m), n)
    most = np.where(np.isnan(n), n_total * before, n)
    number = np.where(np.isnan(from_se), from_counts, from_se)
    number = np.where(np.isnan(number), n_total * before * np.sqrt(maturity), number)
    for j in range(1, number.size):  # without n, the patients are those of the interval before
        if np.isnan(number[j]) and before[j - 1] > 0:
            number[j] = number[j - 1] * before[j] / before[j - 1]
    return np.fmin(np.maximum(number, 1.0), np.maximum(most, 1.0))


@cache
def _gauss(count: int) -> tuple[FloatArray, FloatArray]:
    return np.polynomial.legendre.leggauss(count)


def _chain(fragments: Fragments) -> list[_Step]:
    """Intervals with their nodes; the batch is one axis."""
    time, survival, lower, upper, number = fragments
    m = time.size
    survival, lower, upper, number = (
        np.broadcast_to(part, np.broadcast_shapes(survival.shape, number.shape)).reshape(-1, m)
        for part in (survival, lower, upper, number)
    )
    steps = []
    before, rounded = np.ones((survival.shape[0], 1)), False
    for j in range(m):
        width, n = upper[:, j] - lower[:, j], number[:, j, None, None]
        # nodes so dense that the likelihood changes little from one to the next
        error = np.sqrt(np.maximum(survival[:, j] * (1.0 - survival[:, j]), 0.05) / number[:, j])
        if (width <= 0).all():
            nodes, weight = survival[:, j, None], np.zeros((survival.shape[0], 1))
        else:
            count = int(min(_MOST_NODES, _FEWEST_NODES + np.ceil(2.0 * (width / error).max())))
            x, w = _gauss(count)
            nodes = 0.5 * (lower[:, j] + upper[:, j])[:, None] + 0.5 * width[:, None] * x
            weight = np.log(0.5 * w) + np.log(np.maximum(width, 1e-300))[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(before[:, :, None] > 0, nodes[:, None, :] / before[:, :, None], 0.0)
        # of two numbers that may be the same, the pairs that rise count nothing and those that tie a half
        with np.errstate(divide="ignore"):
            order = np.log(np.where(np.abs(share - 1.0) <= 1e-12, 0.5 if rounded else 1.0, share < 1.0))
        rounded = bool((width > 0).all())
        share = np.clip(share, 0.0, 1.0)
        alive, dead = n * share, n * (1.0 - share)
        constant = gammaln(n + 1.0) - gammaln(alive + 1.0) - gammaln(dead + 1.0)
        constant = constant + np.log(n) - np.log(np.maximum(before, 1e-300))[:, :, None]
        steps.append(_Step(constant + order, alive, dead, weight))
        before = nodes
    return steps


def _follow(steps: list[_Step], growth: FloatArray, which: IntArray) -> FloatArray:
    """Log-likelihood of the chains `which` with these increments of H, shape (r, m)."""
    growth = np.clip(np.where(np.isnan(growth), 1e4, growth), 1e-300, 1e4)[:, :, None, None]
    log_alive, log_dead = -growth, np.log(-np.expm1(-growth))
    reached = np.zeros((which.size, 1))
    for j, step in enumerate(steps):
        paths = (
            step.constant[which]
            + step.alive[which] * log_alive[:, j]
            + step.dead[which] * log_dead[:, j]
            + reached[:, :, None]
        )
        reached = _log_sum(paths, 1) + step.weight[which]
    return _log_sum(reached, 1)


def _log_sum(logs: FloatArray, axis: int) -> FloatArray:
    if logs.shape[axis] == 1:
        return np.squeeze(logs, axis)
    top = np.maximum(logs.max(axis, keepdims=True), _WORST)
    with np.errstate(divide="ignore"):
        return np.asarray(np.squeeze(top, axis) + np.log(np.exp(logs - top).sum(axis)))


def _surface(height: Height, p: int) -> SurfaceOf:
    """Surface of a height by central differences of steps `_STEP`."""
    one = np.eye(p) * _STEP
    pairs = [(i, k) for i in range(p) for k in range(i)]
    moves = np.stack(
        [
            np.zeros(p),
            *one,
            *-one,
            *(one[i] + one[k] for i, k in pairs),
            *(-one[i] - one[k] for i, k in pairs),
        ]
    )

    def at(theta: FloatArray, which: IntArray) -> Surface:
        rows = (theta[:, None, :] + moves).reshape(-1, p)
        values = height(rows, np.repeat(which, len(moves))).reshape(-1, len(moves))
        centre, up, down = values[:, 0], values[:, 1 : p + 1], values[:, p + 1 : 2 * p + 1]
        gradient = (up - down) / (2.0 * _STEP)
        hessian = np.zeros((len(theta), p, p))
        hessian[:, range(p), range(p)] = (up - 2.0 * centre[:, None] + down) / _STEP**2
        for place, (i, k) in enumerate(pairs, start=2 * p + 1):
            both = values[:, place] + values[:, place + len(pairs)]
            cross = both + 2.0 * centre - up[:, i] - up[:, k] - down[:, i] - down[:, k]
            hessian[:, i, k] = hessian[:, k, i] = cross / (2.0 * _STEP**2)
        return Surface(centre, np.nan_to_num(gradient), np.nan_to_num(hessian))

    return at


def log_likelihood(cumulative_hazard: FloatArray, fragments: Fragments) -> FloatArray:
    """Log-likelihood of reports under curves with these H at their times, both of shape (..., m).

    The constants of the binomial distributions are in it, so that it is that of the printed percentages; only
    differences have a meaning.

    Examples
    --------
    >>> s = np.array([0.83, 0.705, 0.42])
    >>> report = Fragments(np.array([3.0, 5, 10]), s, s, s, 100 * np.array([1.0, 0.83, 0.705]))
    >>> exponential = 0.0825 * report.time
    >>> round(2 * float(saturated(report) - log_likelihood(exponential, report)), 4)
    2.8504
    """
    shape = np.broadcast_shapes(cumulative_hazard.shape, fragments.survival.shape, fragments.number.shape)
    growth = np.diff(np.broadcast_to(cumulative_hazard, shape), axis=-1, prepend=0.0).reshape(-1, shape[-1])
    steps = _chain(fragments._replace(survival=np.broadcast_to(fragments.survival, shape)))
    return _follow(steps, growth, np.arange(growth.shape[0])).reshape(shape[:-1])


def saturated(fragments: Fragments) -> FloatArray:
    """Greatest log-likelihood that any curve reaches, shape (...): that of a free hazard in every interval."""
    m, shape = fragments.time.size, np.broadcast_shapes(fragments.survival.shape, fragments.number.shape)
    steps = _chain(fragments)
    survival = np.broadcast_to(fragments.survival, shape).reshape(-1, m)
    before = np.concatenate([np.ones((survival.shape[0], 1)), survival[:, :-1]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(survival > 0, np.log(before / np.where(survival > 0, survival, 1.0)), 1e4)
    which = np.arange(survival.shape[0])
    here = _follow(steps, growth, which)
    if not (fragments.upper > fragments.lower).any():
        return here.reshape(shape[:-1])

    def height(theta: FloatArray, rows: IntArray) -> FloatArray:
        return _follow(steps, np.exp(theta), rows)

    top = climb(_surface(height, m), np.log(np.clip(growth, 1e-4, 8.0)), which)
    return np.maximum(here, top.height).reshape(shape[:-1])


def fit(family: Family, fragments: Fragments, *, near: FloatArray | None = None) -> GroupedFit:
    """Parameters of a family by maximum likelihood, for many reports at once.

    Parameters
    ----------
    family : Family
        With no more parameters than there are times: with as many, it passes through the printed figures where it
        can.
    fragments : Fragments
        Survival must fall somewhere.
    near : ndarray, shape (p,), optional
        Parameters that are known to be near the answer, to begin there.

    Examples
    --------
    >>> from netsynth.kernels.families import FAMILIES
    >>> s = np.array([0.83, 0.705, 0.42])
    >>> report = Fragments(np.array([3.0, 5, 10]), s, s, s, 100 * np.array([1.0, 0.83, 0.705]))
    >>> weibull = fit(FAMILIES["weibull"], report)
    >>> weibull.theta.round(4).tolist()
    [2.4145, 0.2522]
    """
    time, m = fragments.time, fragments.time.size
    shape = np.broadcast_shapes(fragments.survival.shape, fragments.number.shape)[:-1]
    steps, p = _chain(fragments), len(family.parameters)
    unit = family.unit(float(time[-1]))
    survival = np.broadcast_to(fragments.survival, (*shape, m)).reshape(-1, m)
    if near is None:
        starts = family.starts(time, np.clip(-np.log(np.maximum(survival, 1e-300)), 1e-4, 8.0)) / unit
    else:
        starts = np.broadcast_to(near / unit, (survival.shape[0], 1, p))
    n_starts = starts.shape[-2]
    which = np.repeat(np.arange(survival.shape[0]), n_starts)
    here, barriers = starts.reshape(-1, p), (0.0,) if family.slack is None else _BARRIERS
    if near is not None:
        barriers = barriers[-1:]

    for barrier in barriers:

        def height(theta: FloatArray, rows: IntArray, barrier: float = barrier) -> FloatArray:
            curve = family.curve(theta * unit)
            with np.errstate(invalid="ignore"):
                growth = np.diff(curve.cumulative_hazard(time), axis=-1, prepend=0.0)
            value = np.maximum(_follow(steps, growth, rows), _WORST)
            if family.slack is None:
                return value
            slack = family.slack(theta * unit)
            inside = np.asarray((slack > 0).all(axis=-1))
            kept = barrier * np.log(np.where(inside[:, None], slack, 1.0)).sum(axis=-1)
            return np.where(inside, value + kept, _WORST)

        top = climb(_surface(height, p), here, which)
        here = top.parameters
    best = np.argmax(top.height.reshape(-1, n_starts), axis=-1)
    rows = np.arange(survival.shape[0]) * n_starts + best
    theta = top.parameters[rows] * unit
    information = -top.hessian[rows] / (unit[:, None] * unit)
    covariance = np.full((rows.size, p, p), np.nan)
    peaked = np.linalg.eigvalsh(-top.hessian[rows]).min(axis=-1) > 1e-8
    covariance[peaked] = np.linalg.inv(information[peaked])
    growth = np.diff(family.curve(theta).cumulative_hazard(time), axis=-1, prepend=0.0)
    return GroupedFit(
        theta.reshape(*shape, p),
        _follow(steps, growth, np.arange(rows.size)).reshape(shape),
        covariance.reshape(*shape, p, p),
        top.converged[rows].reshape(shape),
    )
