r"""Cochran's Q, the between-study variance tau2, and I2 and H2.

The model is :math:`y_i \sim N(\mu, v_i + \tau^2)`. `estimate` and `variance` have shape (..., k): the last
axis runs over studies, the leading axes over any number of sets of studies, and every function handles all
sets at once. A set that lacks a study gives it infinite variance, so weight zero, and any finite estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray

_MAX_ITERATIONS: Final = 200
#: Relative distance at which an iteration has arrived; the step that showed it is taken all the same.
_TOLERANCE: Final = 1e-12
#: Spacing in ln(v + tau2) of the grid on which maxima are looked for. As a function of it every term of
#: the likelihood bends on a scale of 1 or more, so two turning points closer than this differ by nothing.
_GRID_STEP: Final = 0.5
#: Numbers in one temporary array of the grid search: it bounds memory and keeps the arrays in cache.
_CHUNK: Final = 1 << 18


class Mean(NamedTuple):
    """Weighted mean of each set and its variance, shape (...)."""

    mean: FloatArray
    variance: FloatArray


class Tau2Estimate(NamedTuple):
    """Between-study variance of each set, shape (...), and whether and how soon the iteration arrived."""

    tau2: FloatArray | float
    converged: BoolArray | bool
    n_iterations: int


class Tau2Estimator(Protocol):
    """What an estimator of the between-study variance looks like; a user may bring one."""

    def __call__(self, estimate: FloatArray, variance: FloatArray, /) -> Tau2Estimate:
        """Estimate tau2 of each set."""
        ...


class _Standard(NamedTuple):
    y: FloatArray
    v: FloatArray
    unit: FloatArray


class _Fit(NamedTuple):
    w: FloatArray
    total: FloatArray
    residual: FloatArray


def _standardised(estimate: FloatArray, variance: FloatArray) -> _Standard:
    """Studies by increasing variance, effects relative to the first, in units of its standard error.

    So weights lie in [0, 1], and neither the size of the effects nor one study that is a million times
    as precise as the others costs digits; identical effects have a Q of exactly zero.
    """
    if estimate.shape != variance.shape:
        estimate, variance = np.broadcast_arrays(estimate, variance)
    order = np.argsort(variance, axis=-1, kind="stable")
    if variance.ndim == 1:  # the general way below costs a single set as much as its arithmetic
        y, v = estimate[order], variance[order]
    else:
        y, v = np.take_along_axis(estimate, order, -1), np.take_along_axis(variance, order, -1)
    unit = v[..., :1]
    return _Standard((y - y[..., :1]) / np.sqrt(unit), v / unit, unit[..., 0])


def _fit(y: FloatArray, v: FloatArray, tau2: FloatArray | float) -> _Fit:
    w = 1.0 / (v + np.asarray(tau2)[..., None])
    total = w.sum(-1)
    mean = (w * y).sum(-1) / total
    return _Fit(w, total, y - mean[..., None])


def _trace(fit: _Fit) -> FloatArray:
    r"""Trace of P, :math:`\sum w - \sum w^2 / \sum w`, without its cancellation when the first weight rules."""
    first, rest = fit.w[..., 0], fit.w[..., 1:]
    trace = (first * rest.sum(-1) + (rest * (fit.total[..., None] - rest)).sum(-1)) / fit.total
    return np.asarray(trace)


def _q(fit: _Fit) -> FloatArray:
    return np.asarray((fit.w * fit.residual * fit.residual).sum(-1))


def n_studies(variance: FloatArray) -> IntArray:
    """Studies present in each set: those whose variance is finite.

    Parameters
    ----------
    variance : ndarray, shape (..., k)

    Returns
    -------
    ndarray of int, shape (...)
    """
    return np.asarray(np.isfinite(variance).sum(-1))


def weighted_mean(estimate: FloatArray, variance: FloatArray) -> Mean:
    r"""Mean with weights :math:`w_i = 1 / v_i`, and its variance :math:`1 / \sum w_i`.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
        Under random effects `variance` includes tau2.

    Returns
    -------
    Mean
        Arrays of shape (...).
    """
    w = 1.0 / variance
    total = w.sum(-1)
    mean = (w * estimate).sum(-1) / total
    # what rounding took, so that identical effects have exactly that mean
    correction = (w * (estimate - mean[..., None])).sum(-1) / total
    return Mean(mean + correction, 1.0 / total)


def q_statistic(estimate: FloatArray, variance: FloatArray) -> FloatArray:
    r"""Weighted sum of squares :math:`Q = \sum w_i (y_i - \hat\mu)^2` with :math:`w_i = 1 / v_i`.

    With the sampling variances it is Cochran's Q, chi-squared on k - 1 degrees of freedom when
    tau2 = 0; with tau2 added to them, the generalised Q.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)

    Returns
    -------
    ndarray, shape (...)
    """
    y, v, _ = _standardised(estimate, variance)
    return _q(_fit(y, v, 0.0))


def typical_variance(variance: FloatArray) -> FloatArray:
    r"""Typical sampling variance :math:`(k - 1) \sum w / ((\sum w)^2 - \sum w^2)`, nan when k = 1.

    Parameters
    ----------
    variance : ndarray, shape (..., k)

    Returns
    -------
    ndarray, shape (...)

    References
    ----------
    .. [1] Higgins JPT, Thompson SG (2002). Quantifying heterogeneity in a meta-analysis. Stat Med
       21:1539-1558, equation 9. https://doi.org/10.1002/sim.1186
    """
    y, v, unit = _standardised(np.zeros_like(variance), variance)
    trace = _trace(_fit(y, v, 0.0))
    return np.where(trace > 0, unit * (n_studies(v) - 1) / np.where(trace > 0, trace, 1.0), np.nan)


def h2_from_q(q: FloatArray, df: FloatArray | int) -> FloatArray:
    """H2 = Q / df, below 1 when studies differ by less than chance; nan when df = 0."""
    df = np.asarray(df)
    return np.where(df > 0, q / np.maximum(df, 1), np.nan)


def h2_from_tau2(tau2: FloatArray, variance: FloatArray) -> FloatArray:
    """H2 = 1 + tau2 / typical sampling variance."""
    return 1.0 + tau2 / typical_variance(variance)


def i2_from_h2(h2: FloatArray) -> FloatArray:
    """I2 = (H2 - 1) / H2, a fraction, and 0 where H2 is below 1."""
    return 1.0 - 1.0 / np.maximum(h2, 1.0)


def tau2_at_q(estimate: FloatArray, variance: FloatArray, target: FloatArray | float) -> Tau2Estimate:
    r"""The tau2 at which the generalised Q falls to `target`; 0 where it starts below.

    :math:`1 / Q(\tau^2)` rises and is concave, being a weighted harmonic mean of straight lines, so
    Newton's method on it, begun at 0, climbs to the root and never passes it.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    target : float or ndarray, broadcast against (...)
        Positive.

    Returns
    -------
    Tau2Estimate
        Arrays of the broadcast shape.
    """
    y, v, unit = _standardised(estimate, variance)
    target = np.asarray(target, dtype=np.float64)
    tau2 = np.zeros(np.broadcast_shapes(target.shape, unit.shape))
    for iteration in range(1, _MAX_ITERATIONS + 1):
        fit = _fit(y, v, tau2)
        q = _q(fit)
        slope = ((fit.w * fit.residual) ** 2).sum(-1)
        excess = q / target - 1.0
        above = excess > 0
        tau2 = tau2 + np.where(above, excess * (q / np.where(above, slope, 1.0)), 0.0)
        converged = excess <= _TOLERANCE
        if converged.all() or iteration == _MAX_ITERATIONS:
            break
    return Tau2Estimate(unit * tau2, converged, iteration)


def tau2_ce(estimate: FloatArray, variance: FloatArray, /) -> Tau2Estimate:
    """Common effect: no variance between studies."""
    zero = np.zeros(np.broadcast_shapes(estimate.shape, variance.shape)[:-1])
    return Tau2Estimate(zero, np.ones(zero.shape, dtype=np.bool_), 0)


def tau2_dl(estimate: FloatArray, variance: FloatArray, /) -> Tau2Estimate:
    r"""DerSimonian-Laird: the moment estimator (Q - (k - 1)) / C, truncated at zero.

    :math:`C = \sum w - \sum w^2 / \sum w` [1]_.

    References
    ----------
    .. [1] DerSimonian R, Laird N (1986). Meta-analysis in clinical trials. Control Clin Trials
       7:177-188. https://doi.org/10.1016/0197-2456(86)90046-2
    """
    y, v, unit = _standardised(estimate, variance)
    fit = _fit(y, v, 0.0)
    excess = np.maximum(_q(fit) - (n_studies(v) - 1), 0.0)
    c = _trace(fit)
    tau2 = unit * excess / np.where(excess > 0, c, 1.0)
    return Tau2Estimate(tau2, np.ones(tau2.shape, dtype=np.bool_), 0)


def tau2_pm(estimate: FloatArray, variance: FloatArray, /) -> Tau2Estimate:
    """Paule-Mandel: the tau2 at which the generalised Q equals k - 1 [1]_, or zero if Q starts below.

    References
    ----------
    .. [1] Paule RC, Mandel J (1982). Consensus values and weighting factors. J Res Natl Bur Stand
       87:377-385. https://doi.org/10.6028/jres.087.022
    """
    return tau2_at_q(estimate, variance, np.maximum(n_studies(variance) - 1, 1))


class _Likelihood(NamedTuple):
    """A log-likelihood of tau2 up to a constant, and its first and second derivative, each from a fit."""

    height: Callable[[_Fit], FloatArray]
    score: Callable[[_Fit], FloatArray]
    curvature: Callable[[_Fit], FloatArray]


# With P = W - W11'W / 1'W1 the derivatives of the restricted log-likelihood are (y'PPy - tr P) / 2 and
# tr(PP) / 2 - y'PPPy; Py is the weighted residual.


def _reml_height(fit: _Fit) -> FloatArray:
    log_weights = np.log(np.where(fit.w > 0, fit.w, 1.0)).sum(-1)
    return np.asarray(0.5 * (log_weights - np.log(fit.total) - _q(fit)))


def _reml_score(fit: _Fit) -> FloatArray:
    py = fit.w * fit.residual
    return np.asarray(0.5 * ((py * py).sum(-1) - _trace(fit)))


def _reml_curvature(fit: _Fit) -> FloatArray:
    w, total = fit.w, fit.total
    py, square = w * fit.residual, w * w
    ratio = square.sum(-1) / total
    trace_pp = square.sum(-1) - 2.0 * (square * w).sum(-1) / total + ratio * ratio
    centre = (w * py).sum(-1) / total
    return np.asarray(0.5 * trace_pp - (w * (py - centre[..., None]) ** 2).sum(-1))


_REML: Final = _Likelihood(_reml_height, _reml_score, _reml_curvature)


def tau2_reml(estimate: FloatArray, variance: FloatArray, /) -> Tau2Estimate:
    r"""Restricted maximum likelihood: the highest of all maxima, the boundary at zero included [1]_.

    The profile :math:`-\frac12 \sum \ln(v_i + \tau^2) - \frac12 \ln \sum w_i - \frac12 Q(\tau^2)` is
    searched on a grid that holds every maximum, each rise followed by a fall is closed in on by
    bracketed Newton steps, and maxima are compared by height.

    References
    ----------
    .. [1] Viechtbauer W (2005). Bias and efficiency of meta-analytic variance estimators in the
       random-effects model. J Educ Behav Stat 30:261-293. https://doi.org/10.3102/10769986030003261
    """
    return _highest(estimate, variance, _REML)


def _highest(estimate: FloatArray, variance: FloatArray, likelihood: _Likelihood) -> Tau2Estimate:
    """Place of the highest maximum over tau2 >= 0 of each set of studies."""
    y, v, unit = _standardised(estimate, variance)
    k = y.shape[-1]
    y, v = y.reshape(-1, k), v.reshape(-1, k)
    # The likelihood is a product of independent normals with variances tau2 + l_j, l_j at least the
    # smallest v_i = 1, whose squares add up to the sum of squares of y at most: beyond that it falls.
    top = np.log(1.01 * np.maximum((np.where(np.isfinite(v), y, 0.0) ** 2).sum(-1), 1.0))
    n_points = 2 + int(top.max(initial=0.0, where=np.isfinite(top)) / _GRID_STEP)
    n_rows = max(1, _CHUNK // (n_points * k))
    tau2 = np.full(len(y), np.nan)  # stays where no maximum is found, which takes an overflow
    converged = np.zeros(len(y), dtype=np.bool_)
    n_iterations = 0
    for start in range(0, len(y), n_rows):
        part = slice(start, start + n_rows)
        y_part, v_part = y[part], v[part]
        grid = np.expm1(top[part, None] * np.linspace(0.0, 1.0, n_points))
        score = likelihood.score(_fit(y_part[:, None], v_part[:, None], grid))
        row, cell = np.nonzero((score[:, :-1] > 0) & (score[:, 1:] <= 0))
        ends = (grid[row, cell], grid[row, cell + 1], score[row, cell], score[row, cell + 1])
        root, arrived, steps = _close_in(y_part[row], v_part[row], likelihood, *ends)
        at_zero = np.flatnonzero(score[:, 0] <= 0)
        rows, places = np.append(at_zero, row), np.append(np.zeros(at_zero.size), root)
        if rows.size > len(y_part):  # where a set has several maxima, the one written last is the highest
            order = np.argsort(likelihood.height(_fit(y_part[rows], v_part[rows], places)))
            rows, places = rows[order], places[order]
        tau2[part][rows] = places
        converged[part][rows] = True
        converged[part][row[~arrived]] = False
        n_iterations = max(n_iterations, steps)
    return Tau2Estimate(unit * tau2.reshape(unit.shape), converged.reshape(unit.shape), n_iterations)


def _close_in(
    y: FloatArray,
    v: FloatArray,
    likelihood: _Likelihood,
    lower: FloatArray,
    upper: FloatArray,
    score_lower: FloatArray,
    score_upper: FloatArray,
) -> tuple[FloatArray, BoolArray, int]:
    """Root of a score that is positive at the lower and not at the upper end: Newton, else bisection."""
    tau2 = lower + (upper - lower) * score_lower / (score_lower - score_upper)
    with np.errstate(divide="ignore", invalid="ignore"):
        for iteration in range(1, _MAX_ITERATIONS + 1):
            fit = _fit(y, v, tau2)
            score = likelihood.score(fit)
            rising = score > 0
            lower, upper = np.where(rising, tau2, lower), np.where(rising, upper, tau2)
            newton = tau2 - score / likelihood.curvature(fit)  # leads out of the bracket where convex
            inside = (newton >= lower) & (newton <= upper)
            step = np.where(inside, newton, 0.5 * (lower + upper)) - tau2
            tau2 = tau2 + step
            arrived = np.abs(step) <= _TOLERANCE * (1.0 + tau2)
            if arrived.all() or iteration == _MAX_ITERATIONS:
                break
    return tau2, arrived, iteration


Tau2Method = Literal["CE", "DL", "PM", "REML"]
#: Every estimator by the name metafor gives it.
TAU2_ESTIMATORS: Final[Mapping[Tau2Method, Tau2Estimator]] = MappingProxyType(
    {"CE": tau2_ce, "DL": tau2_dl, "PM": tau2_pm, "REML": tau2_reml}
)
