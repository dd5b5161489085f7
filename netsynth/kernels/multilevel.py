r"""The three-level model: results within cohorts, cohorts within a population of cohorts.

The model is :math:`y_{ij} = x_{ij}'\beta + b_i + c_{ij} + e_{ij}` with :math:`b_i \sim N(0, \sigma_b^2)`,
:math:`c_{ij} \sim N(0, \sigma_c^2)` and known covariances :math:`V_i` of the sampling errors of cohort i.
So the results of cohort i have covariance :math:`M_i = V_i + \sigma_b^2 1 1' + \sigma_c^2 I`. Written as
:math:`V_i = U \Lambda U'`, it is diagonal plus rank one after one turn by :math:`U'`, whatever
:math:`V_i` is, and each value of the likelihood costs as much as there are results.

The data are one set of results; the variances may have any leading axes, each pair is one point.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.special import chdtri

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.intervals import Limits

LikelihoodMethod = Literal["REML", "ML"]
Component = Literal["between", "within"]

_MAX_ITERATIONS: Final = 200
#: Relative distance at which an iteration has arrived.
_TOLERANCE: Final = 1e-12
#: Gain of a Newton step below which rounding hides whether the likelihood rose.
_HIDDEN: Final = 1e-10
#: Gain that rounding takes back: on a level ridge, where steps do not shrink, it says that the top is reached.
_NO_GAIN: Final = 1e-15
#: Share of the largest curvature below which a direction counts as level.
_LEVEL: Final = 1e-10
_TINY: Final = 1e-300
_LEAST_FRACTION: Final = 1e-12
#: Spacing in ln(variance + smallest sampling variance) of the grid on which maxima are looked for; as a
#: function of it every term of the likelihood bends on a scale of 1 or more.
_GRID_STEP: Final = 0.5
#: Numbers in one temporary array of the grid search.
_CHUNK: Final = 1 << 18


class Nested(NamedTuple):
    """Results sorted by cohort and turned so that sampling errors are independent; see `nest`.

    `y`, `one` and `variance` have shape (k,): the residuals from ordinary least squares, the vector of ones,
    and the eigenvalues of the sampling covariance. `x` has shape (k, p). `first` is where each of the
    m cohorts begins and `size` how many results it has. `unit` is the variance that all are relative to,
    `origin` the coefficients of least squares, and `log_design` is ln det X'X.
    """

    y: FloatArray
    x: FloatArray
    one: FloatArray
    variance: FloatArray
    first: IntArray
    size: IntArray
    unit: float
    origin: FloatArray
    log_design: float


class ThreeLevel(NamedTuple):
    """A fit: variances between and within cohorts, coefficients (p,) and their covariance (p, p)."""

    between: float
    within: float
    coefficient: FloatArray
    covariance: FloatArray
    log_likelihood: float
    converged: bool
    n_iterations: int


class _Fit(NamedTuple):
    r"""What the likelihood and its derivatives at some variances share.

    With M the covariance of the turned results and u a cohort's vector of ones, turned: `inverse` is
    :math:`d = (\Lambda + \sigma_c^2)^{-1}`, (..., k); `a` is :math:`u'du` and `h` is :math:`1 / (1 + \sigma_b^2 a)`,
    (..., m); `information` is X'M^-1X; `residual` is M^-1 of what the coefficients leave, (..., k), `u_r` is u'
    of it and `u_x` is u'M^-1X, (..., m) and (..., p, m); `centred` is what they leave less the cohort's mean.
    """

    between: FloatArray
    inverse: FloatArray
    a: FloatArray
    h: FloatArray
    coefficient: FloatArray
    information: FloatArray
    residual: FloatArray
    u_r: FloatArray
    u_x: FloatArray
    centred: FloatArray


def nest(estimate: FloatArray, covariance: FloatArray, cluster: IntArray, design: FloatArray) -> Nested:
    """Turn results so that their sampling errors are independent.

    Parameters
    ----------
    estimate : ndarray, shape (k,)
    covariance : ndarray, shape (k, k)
        Covariance of the sampling errors, positive definite within each cohort; what it holds between
        cohorts is not read.
    cluster : ndarray of int, shape (k,)
        Cohort of each result.
    design : ndarray, shape (k, p)
        Of full rank; one column of ones for a mean.

    Returns
    -------
    Nested
    """
    order = np.argsort(cluster, kind="stable")
    _, first, size = np.unique(cluster[order], return_index=True, return_counts=True)
    # residuals, so that neither the height of the effects nor their common part costs digits
    origin = np.asarray(np.linalg.lstsq(design, estimate, rcond=None)[0])
    rows = np.column_stack([estimate - design @ origin, np.ones(estimate.size), design])[order]
    turned, variance = np.empty_like(rows), np.empty(estimate.size)
    for start, n in zip(first, size, strict=True):
        part = slice(start, start + n)
        members = order[part]
        variance[part], axes = np.linalg.eigh(covariance[np.ix_(members, members)])
        turned[part] = axes.T @ rows[part]
    unit = float(variance.min())
    log_design = float(np.linalg.slogdet(design.T @ design)[1])
    y, one, x = turned[:, 0] / np.sqrt(unit), turned[:, 1], turned[:, 2:]
    return Nested(y, x, one, variance / unit, first, size, unit, origin, log_design)


def _sums(data: Nested, values: FloatArray) -> FloatArray:
    """Sums over each cohort along the last axis."""
    return np.asarray(np.add.reduceat(values, data.first, axis=-1))


def _spread(data: Nested, values: FloatArray) -> FloatArray:
    """Values of cohorts, (..., m), for their results, (..., k)."""
    return np.repeat(values, data.size, axis=-1)


def _evaluate(data: Nested, between: FloatArray, within: FloatArray) -> _Fit:
    d = 1.0 / (data.variance + within[..., None])
    du = d * data.one
    a = _sums(data, du * data.one)
    h = 1.0 / (1.0 + between[..., None] * a)
    # Each cohort is split into its weighted mean and what is left, so that nothing cancels when the variance
    # between cohorts is large: e'M^-1 e = sum d (e - mean u)^2 + a h mean^2.
    mean_x = _sums(data, du[..., None, :] * data.x.T) / a[..., None, :]
    mean_y = _sums(data, du * data.y) / a
    centred_x = data.x.T - _spread(data, mean_x) * data.one
    centred_y = data.y - _spread(data, mean_y) * data.one
    ah = (a * h)[..., None, :]
    information = (d[..., None, :] * centred_x) @ np.swapaxes(centred_x, -1, -2)
    information = information + (ah * mean_x) @ np.swapaxes(mean_x, -1, -2)
    right = (centred_x @ (d * centred_y)[..., None])[..., 0] + (mean_x @ (a * h * mean_y)[..., None])[..., 0]
    coefficient = np.asarray(np.linalg.solve(information, right[..., None])[..., 0])
    centred = centred_y - (coefficient[..., None, :] @ centred_x)[..., 0, :]
    mean = mean_y - (coefficient[..., None, :] @ mean_x)[..., 0, :]
    u_r, u_x = a * h * mean, ah * mean_x
    residual = d * centred + du * _spread(data, u_r / a)
    return _Fit(between, d, a, h, coefficient, information, residual, u_r, u_x, centred)


def _height(fit: _Fit, method: LikelihoodMethod) -> FloatArray:
    """Log-likelihood up to a constant, the restricted one for REML."""
    q = (fit.inverse * fit.centred**2).sum(-1) + (fit.u_r**2 / (fit.a * fit.h)).sum(-1)
    log_det = -np.log(fit.inverse).sum(-1) - np.log(fit.h).sum(-1)
    if method == "REML":
        log_det = log_det + np.linalg.slogdet(fit.information)[1]
    return np.asarray(-0.5 * (log_det + q))


def _weighted(data: Nested, fit: _Fit, rows: FloatArray) -> FloatArray:
    """M^-1 of rows of length k."""
    d = fit.inverse
    du = d * data.one
    mean = _sums(data, du * rows) / fit.a
    return d * (rows - _spread(data, mean) * data.one) + du * _spread(data, fit.h * mean)


def _slope(data: Nested, fit: _Fit, method: LikelihoodMethod) -> tuple[FloatArray, FloatArray]:
    r"""Score, (2,), and second derivatives, (2, 2), at one pair of variances (between, within).

    With :math:`V_1 = ZZ'` and :math:`V_2 = I` they are :math:`\frac12 (r'V_j r - \mathrm{tr}\,P V_j)` and
    :math:`\frac12 \mathrm{tr}\,P V_j P V_l - r'V_j P V_l r`, where r = Py, and P is M^-1 in the traces of ML.
    """
    d, a, h, r = fit.inverse, fit.a, fit.h, fit.residual
    a2, a3 = _sums(data, (d * data.one) ** 2), _sums(data, d**3 * data.one**2)
    shrunk = fit.between * h
    traces = np.array([(a * h).sum(), d.sum() - (shrunk * a2).sum()])
    bb, bw = ((a * h) ** 2).sum(), (h**2 * a2).sum()
    ww = (d**2).sum() - 2.0 * (shrunk * a3).sum() + ((shrunk * a2) ** 2).sum()
    products = np.array([[bb, bw], [bw, ww]])

    cov = np.linalg.inv(fit.information)
    g = _weighted(data, fit, data.x.T)  # (p, k): X'M^-1
    u_g = fit.h * _sums(data, d * data.one * g)  # u'M^-2 X of each cohort
    if method == "REML":
        inner = [fit.u_x @ fit.u_x.T, g @ g.T]
        outer = [
            [(a * h * fit.u_x) @ fit.u_x.T, fit.u_x @ u_g.T],
            [u_g @ fit.u_x.T, _weighted(data, fit, g) @ g.T],
        ]
        traces = traces - [np.trace(cov @ part) for part in inner]
        for j in range(2):
            for i in range(2):
                change = np.trace(cov @ inner[j] @ cov @ inner[i]) - 2.0 * np.trace(cov @ outer[j][i])
                products[j, i] += change

    score = 0.5 * (np.array([(fit.u_r**2).sum(), (r**2).sum()]) - traces)
    v_r = np.stack([_spread(data, fit.u_r) * data.one, r])  # V_j r
    x_v = g @ v_r.T
    quadratic = v_r @ _weighted(data, fit, v_r).T - x_v.T @ cov @ x_v
    return score, 0.5 * products - quadratic


def _grid(smallest: float, top: float) -> FloatArray:
    reach = np.log1p(top / smallest)
    return np.asarray(smallest * np.expm1(np.linspace(0.0, reach, 2 + int(reach / _GRID_STEP))))


def _starts(data: Nested, method: LikelihoodMethod, grids: list[FloatArray]) -> FloatArray:
    """Points of a grid, (n, 2), that are as high as their neighbours, the highest first."""
    between, within = np.meshgrid(*grids, indexing="ij")
    flat = between.ravel(), within.ravel()
    n_rows = max(1, _CHUNK // (data.y.size * (1 + data.x.shape[1])))
    heights = [
        _height(_evaluate(data, flat[0][i : i + n_rows], flat[1][i : i + n_rows]), method)
        for i in range(0, flat[0].size, n_rows)
    ]
    height = np.concatenate(heights).reshape(between.shape)
    padded = np.pad(height, 1, constant_values=-np.inf)
    rows, columns = map(len, grids)
    around = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    peaks = np.flatnonzero(height.ravel() >= np.max(around, axis=0).ravel())
    peaks = peaks[np.argsort(-height.ravel()[peaks], kind="stable")]
    return np.column_stack([flat[0][peaks], flat[1][peaks]])


def _climb(
    data: Nested, method: LikelihoodMethod, point: FloatArray, free: BoolArray
) -> tuple[FloatArray, float, bool, int]:
    """Newton's method on the quadrant of variances, with a step that never falls; `free` are not held."""

    def at(place: FloatArray) -> tuple[_Fit, float]:
        fit = _evaluate(data, place[0], place[1])
        return fit, float(_height(fit, method))

    fit, height = at(point)
    arrived = False
    for iteration in range(1, _MAX_ITERATIONS + 1):
        score, curvature = _slope(data, fit, method)
        moving = free & ~((point <= 0) & (score <= 0))
        if not moving.any():
            return point, height, True, iteration
        # uphill even where the likelihood is not concave, and not far along a level ridge
        scale = (1.0 + point)[moving]
        values, axes = np.linalg.eigh(curvature[np.ix_(moving, moving)] * np.outer(scale, scale))
        bend = np.abs(values)
        bend = np.maximum(bend, _LEVEL * bend.max() + _TINY)
        step = np.zeros(2)
        step[moving] = scale * (axes @ ((axes.T @ (scale * score[moving])) / bend))
        gain, size = float(score @ step), 1.0 + abs(height)
        slack = _HIDDEN * size if gain <= _HIDDEN * size else 0.0
        fraction = 1.0
        while True:
            target = np.maximum(point + fraction * step, 0.0)
            new_fit, new_height = at(target)
            if new_height > height - slack or fraction < _LEAST_FRACTION:
                break
            fraction *= 0.5
        change = np.abs(target - point)
        arrived = bool((change <= _TOLERANCE * (1.0 + point)).all()) or gain <= _NO_GAIN * size
        point, fit, height = target, new_fit, new_height
        if arrived:
            break
    return point, height, arrived, iteration


def fit_three_level(
    data: Nested,
    method: LikelihoodMethod,
    *,
    between: float | None = None,
    within: float | None = None,
) -> ThreeLevel:
    r"""Fit the three-level model by (restricted) maximum likelihood [1]_.

    The likelihood is taken on a grid over both variances, zeros included, Newton's method climbs from every
    point of it that no neighbour exceeds, and the highest maximum is kept. Where no cohort has two results
    only the sum of the variances is known, and it is given as the one between cohorts.

    Parameters
    ----------
    data : Nested
        From `nest`.
    method : {"REML", "ML"}
    between, within : float, optional
        A variance that is given and not estimated.

    Returns
    -------
    ThreeLevel
        Its log-likelihood has all constants; the restricted one counts
        :math:`-\frac12 (k - p) \ln 2\pi + \frac12 \ln \det X'X`.

    References
    ----------
    .. [1] Konstantopoulos S (2011). Fixed effects and variance components estimation in three-level
       meta-analysis. Res Synth Methods 2:61-76. https://doi.org/10.1002/jrsm.35
    """
    if data.size.max() == 1 and between is None and within is None:
        within = 0.0
    given = [between, within]
    free = np.array([value is None for value in given])
    # both variances are looked for up to ten times all that there is to explain; Newton may go beyond
    top = 10.0 * max(float(data.y @ data.y), 1.0)
    smallest = float((1.0 / _sums(data, data.one**2 / data.variance)).min())  # variance of a cohort's mean
    grids = [
        _grid(scale, top) if value is None else np.array([value / data.unit])
        for scale, value in zip((smallest, 1.0), given, strict=True)
    ]
    maxima = [_climb(data, method, start, free) for start in _starts(data, method, grids)]
    point, height, converged, n_iterations = max(maxima, key=lambda maximum: maximum[1])
    fit = _evaluate(data, point[0], point[1])
    k, p = data.y.size, data.x.shape[1]
    count = k - p if method == "REML" else k
    constant = -0.5 * count * np.log(2.0 * np.pi * data.unit)
    if method == "REML":
        constant += 0.5 * data.log_design
    return ThreeLevel(
        float(data.unit * point[0]),
        float(data.unit * point[1]),
        data.origin + np.sqrt(data.unit) * fit.coefficient,
        np.asarray(data.unit * np.linalg.inv(fit.information)),
        float(height + constant),
        converged,
        n_iterations,
    )


def profile_limits(
    data: Nested, fit: ThreeLevel, method: LikelihoodMethod, component: Component, level: float
) -> Limits:
    r"""Profile-likelihood limits of one variance, the other free to follow.

    Values at which twice the log-likelihood lies less than the quantile of chi-squared on 1 degree of freedom
    below its maximum; the lower limit is 0 when 0 is among them.

    Parameters
    ----------
    data : Nested
    fit : ThreeLevel
        The maximum over both variances by `method`.
    method : {"REML", "ML"}
    component : {"between", "within"}
    level : float

    Returns
    -------
    Limits
        Arrays of shape ().
    """
    from scipy.optimize import brentq

    allowed = float(chdtri(1, 1.0 - level))
    estimate = fit.between if component == "between" else fit.within

    def excess(value: float) -> float:
        given = {component: value}
        there = fit_three_level(data, method, between=given.get("between"), within=given.get("within"))
        return 2.0 * (fit.log_likelihood - there.log_likelihood) - allowed

    def crossing(inside: float, outside: float) -> float:
        return float(brentq(excess, inside, outside, xtol=1e-10 * data.unit, rtol=1e-10))

    step = max(estimate, data.unit)
    inside, outside = estimate, estimate + step
    while excess(outside) < 0:  # the likelihood falls without bound
        step *= 2.0
        inside, outside = outside, outside + step
    upper = crossing(inside, outside)
    lower = crossing(0.0, estimate) if estimate > 0 and excess(0.0) > 0 else 0.0
    return Limits(np.asarray(lower), np.asarray(upper))
