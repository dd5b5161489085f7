r"""The three-level model: results within cohorts, cohorts within a population of cohorts.

The model is :math:`y_{ij} = x_{ij}'\beta + b_i + c_{ij} + e_{ij}` with :math:`b_i \sim N(0, \sigma_b^2)`,
:math:`c_{ij} \sim N(0, \sigma_c^2)` and known covariances :math:`V_i` of the sampling errors of cohort i.
So the results of cohort i have covariance :math:`M_i = V_i + \sigma_b^2 1 1' + \sigma_c^2 I`. Written as
:math:`V_i = U \Lambda U'`, it is diagonal plus rank one after one turn by :math:`U'`, whatever
:math:`V_i` is, and each value of the likelihood costs as much as there are results.

Results have shape (..., k), with any number of data sets on the leading axes that share their cohorts; a result
that a set lacks has infinite variance, and a set may lack whole cohorts. All sets are searched and climbed at once.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import chdtri

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.ascent import first_crossing
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
_CHUNK: Final = 1 << 15
#: Share of a column's length below which what the columns before it leave of it counts as nothing.
_DEPENDENT: Final = 1e-10

#: Which data sets, or rows of them.
_Rows: TypeAlias = IntArray | BoolArray | slice


class Nested(NamedTuple):
    """Results sorted by cohort and turned so that sampling errors are independent; see `nest`.

    `y`, `one` and `variance` have shape (..., k): the residuals from ordinary least squares, the vector of ones,
    and the eigenvalues of the sampling covariance, infinite for what a set lacks. `x` is the design, (..., p, k).
    `first` is where each of the m cohorts begins and `size` how many results it has. `unit`, (...), is the variance
    that all are relative to, `origin`, (..., p), the coefficients of least squares, nan where they are not
    determined, and `log_design`, (...), is ln det X'X.
    """

    y: FloatArray
    x: FloatArray
    one: FloatArray
    variance: FloatArray
    first: IntArray
    size: IntArray
    unit: FloatArray
    origin: FloatArray
    log_design: FloatArray


class ThreeLevel(NamedTuple):
    """Fits: variances between and within cohorts, coefficients (..., p) and their covariance (..., p, p).

    The other arrays have shape (...). `n_iterations` is that of the set which needed most.
    """

    between: FloatArray
    within: FloatArray
    coefficient: FloatArray
    covariance: FloatArray
    log_likelihood: FloatArray
    converged: BoolArray
    n_iterations: int


class _Fit(NamedTuple):
    r"""What the likelihood and its derivatives at some variances share.

    With M the covariance of the turned results and u a cohort's vector of ones, turned: `inverse` is
    :math:`d = (\Lambda + \sigma_c^2)^{-1}`, (..., k); `a` is :math:`u'du` and `h` is :math:`1 / (1 + \sigma_b^2 a)`,
    (..., m); `information` is X'M^-1X; `mean` is the cohort's mean of what the coefficients leave, (..., m), and
    `centred` what they leave less that, (..., k); `u_r` is u'M^-1 of what they leave and `u_x` is u'M^-1X,
    (..., m) and (..., p, m).
    """

    between: FloatArray
    inverse: FloatArray
    a: FloatArray
    h: FloatArray
    coefficient: FloatArray
    information: FloatArray
    mean: FloatArray
    centred: FloatArray
    u_r: FloatArray
    u_x: FloatArray


class _Summit(NamedTuple):
    """Where each climb ended: variances (n, 2), the height there, and whether the climb arrived."""

    point: FloatArray
    height: FloatArray
    arrived: BoolArray
    n_iterations: int


def nest(estimate: FloatArray, covariance: FloatArray, cluster: IntArray, design: FloatArray) -> Nested:
    """Turn results so that their sampling errors are independent.

    Parameters
    ----------
    estimate : ndarray, shape (..., k)
    covariance : ndarray, shape (..., k, k)
        Covariance of the sampling errors, positive definite within each cohort; what it holds between
        cohorts is not read. Infinite on the diagonal for a result that a set lacks.
    cluster : ndarray of int, shape (k,)
        Cohort of each result.
    design : ndarray, shape (..., k, p)
        Of full rank; one column of ones for a mean.

    Returns
    -------
    Nested
    """
    order = np.argsort(cluster, kind="stable")
    _, first, size = np.unique(cluster[order], return_index=True, return_counts=True)
    lead = np.broadcast_shapes(estimate.shape[:-1], covariance.shape[:-2], design.shape[:-2])
    present = np.isfinite(np.diagonal(covariance, axis1=-2, axis2=-1))
    there = np.broadcast_to(present, (*lead, cluster.size))
    y, x = np.where(there, estimate, 0.0), np.where(there[..., None], design, 0.0)
    q, r = map(np.asarray, np.linalg.qr(x))
    left = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    determined = (left > _DEPENDENT * np.linalg.norm(x, axis=-2)).all(-1)[..., None]
    r = np.where(determined[..., None], r, np.eye(r.shape[-1]))
    origin = np.asarray(np.linalg.solve(r, np.swapaxes(q, -1, -2) @ y[..., None])[..., 0])
    # residuals, so that neither the height of the effects nor their common part costs digits
    y = y - (x @ origin[..., None])[..., 0]
    rows = np.concatenate([y[..., None], there[..., None], x], axis=-1)[..., order, :]
    turned, variance = np.empty_like(rows), np.empty(present.shape)
    for n in np.unique(size):  # all cohorts of one size at once
        places = first[size == n][:, None] + np.arange(n)
        members = order[places]
        block = covariance[..., members[:, :, None], members[:, None, :]]
        here = present[..., members]
        block = np.where(here[..., :, None] & here[..., None, :], block, 0.0)
        # what is not there gets the largest of the eigenvalues, which come in order
        beyond = 2.0 * np.trace(block, axis1=-2, axis2=-1)[..., None]
        beyond = np.where(beyond > 0, beyond, 1.0)
        block = block + np.where(here, 0.0, beyond)[..., None] * np.eye(n)
        values, axes = map(np.asarray, np.linalg.eigh(block))
        gone = np.arange(n) >= here.sum(-1)[..., None]
        variance[..., places] = np.where(gone, np.inf, values)
        turn = np.where(gone[..., None], 0.0, np.swapaxes(axes, -1, -2))
        turned[..., places, :] = turn @ rows[..., places, :]
    unit = np.min(variance, axis=-1)
    unit = np.where(np.isfinite(unit), unit, 1.0)
    return Nested(
        turned[..., 0] / np.sqrt(unit)[..., None],
        np.ascontiguousarray(np.swapaxes(turned[..., 2:], -1, -2)),
        turned[..., 1],
        np.broadcast_to(variance / unit[..., None], there.shape),
        first,
        size,
        np.broadcast_to(unit, lead),
        np.where(determined, origin, np.nan),
        2.0 * np.log(np.where(determined, left, 1.0)).sum(-1),
    )


def _take(data: Nested, rows: _Rows) -> Nested:
    """Some of the sets, which are on one leading axis."""
    y, x, one, variance, first, size, *rest = data
    return Nested(y[rows], x[rows], one[rows], variance[rows], first, size, *(part[rows] for part in rest))


def _flat(data: Nested, lead: tuple[int, ...]) -> Nested:
    """All sets on one leading axis, after broadcasting to `lead`."""

    def flat(part: FloatArray, n: int) -> FloatArray:
        own = part.shape[part.ndim - n :]
        return np.broadcast_to(part, (*lead, *own)).reshape(-1, *own)

    y, x, one, variance, first, size, unit, origin, log_design = data
    parts = flat(y, 1), flat(x, 2), flat(one, 1), flat(variance, 1)
    return Nested(*parts, first, size, flat(unit, 0), flat(origin, 1), flat(log_design, 0))


def _sums(data: Nested, values: FloatArray) -> FloatArray:
    """Sums over each cohort along the last axis."""
    return np.asarray(np.add.reduceat(values, data.first, axis=-1))


def _spread(data: Nested, values: FloatArray) -> FloatArray:
    """Values of cohorts, (..., m), for their results, (..., k)."""
    return np.repeat(values, data.size, axis=-1)


def _log(values: FloatArray) -> FloatArray:
    """Logarithms, and 0 for the weights of what is not there."""
    return np.log(np.where(values > 0, values, 1.0))


def _evaluate(data: Nested, between: FloatArray, within: FloatArray) -> _Fit:
    d = 1.0 / (data.variance + within[..., None])
    du = d * data.one
    a = _sums(data, du * data.one)
    h = 1.0 / (1.0 + between[..., None] * a)
    some = np.where(a > 0, a, 1.0)
    # Each cohort is split into its weighted mean and what is left, so that nothing cancels when the variance
    # between cohorts is large: e'M^-1 e = sum d (e - mean u)^2 + a h mean^2.
    one = data.one[..., None, :]
    mean_x = _sums(data, du[..., None, :] * data.x) / some[..., None, :]
    mean_y = _sums(data, du * data.y) / some
    centred_x = data.x - _spread(data, mean_x) * one
    centred_y = data.y - _spread(data, mean_y) * data.one
    ah = a * h
    information = (d[..., None, :] * centred_x) @ np.swapaxes(centred_x, -1, -2)
    information = information + (ah[..., None, :] * mean_x) @ np.swapaxes(mean_x, -1, -2)
    right = centred_x @ (d * centred_y)[..., None] + mean_x @ (ah * mean_y)[..., None]
    coefficient = np.asarray(np.linalg.solve(information, right)[..., 0])
    centred = centred_y - (coefficient[..., None, :] @ centred_x)[..., 0, :]
    mean = mean_y - (coefficient[..., None, :] @ mean_x)[..., 0, :]
    u_r, u_x = ah * mean, ah[..., None, :] * mean_x
    return _Fit(between, d, a, h, coefficient, information, mean, centred, u_r, u_x)


def _height(fit: _Fit, method: LikelihoodMethod) -> FloatArray:
    """Log-likelihood up to a constant, the restricted one for REML."""
    q = (fit.inverse * fit.centred**2).sum(-1) + (fit.u_r * fit.mean).sum(-1)
    log_det = -_log(fit.inverse).sum(-1) - np.log(fit.h).sum(-1)
    if method == "REML":
        log_det = log_det + np.linalg.slogdet(fit.information)[1]
    return np.asarray(-0.5 * (log_det + q))


def _weighted(data: Nested, fit: _Fit, rows: FloatArray) -> FloatArray:
    """M^-1 of rows, shape (..., q, k)."""
    d, one = fit.inverse[..., None, :], data.one[..., None, :]
    some = np.where(fit.a > 0, fit.a, 1.0)[..., None, :]
    mean = _sums(data, d * one * rows) / some
    return d * (rows - _spread(data, mean) * one) + d * one * _spread(data, fit.h[..., None, :] * mean)


def _slope(data: Nested, fit: _Fit, method: LikelihoodMethod) -> tuple[FloatArray, FloatArray]:
    r"""Score, (..., 2), and second derivatives, (..., 2, 2), at pairs of variances (between, within).

    With :math:`V_1 = ZZ'` and :math:`V_2 = I` they are :math:`\frac12 (r'V_j r - \mathrm{tr}\,P V_j)` and
    :math:`\frac12 \mathrm{tr}\,P V_j P V_l - r'V_j P V_l r`, where r = Py, and P is M^-1 in the traces of ML.
    """
    d, a, h = fit.inverse, fit.a, fit.h
    r = d * fit.centred + d * data.one * _spread(data, h * fit.mean)
    a2, a3 = _sums(data, (d * data.one) ** 2), _sums(data, d**3 * data.one**2)
    shrunk = fit.between[..., None] * h
    traces = np.stack([(a * h).sum(-1), d.sum(-1) - (shrunk * a2).sum(-1)], axis=-1)
    products = np.empty((*a.shape[:-1], 2, 2))
    products[..., 0, 0] = ((a * h) ** 2).sum(-1)
    products[..., 0, 1] = products[..., 1, 0] = (h**2 * a2).sum(-1)
    within = (d**2).sum(-1) - 2.0 * (shrunk * a3).sum(-1) + ((shrunk * a2) ** 2).sum(-1)
    products[..., 1, 1] = within

    cov = np.linalg.inv(fit.information)
    g = _weighted(data, fit, data.x)  # (..., p, k): X'M^-1
    if method == "REML":
        u_g = fit.h[..., None, :] * _sums(data, (d * data.one)[..., None, :] * g)  # u'M^-2 X of each cohort
        turned_x, turned_g = np.swapaxes(fit.u_x, -1, -2), np.swapaxes(g, -1, -2)
        inner = cov[..., None, :, :] @ np.stack([fit.u_x @ turned_x, g @ turned_g], axis=-3)
        outer = np.empty((*products.shape, *cov.shape[-2:]))
        outer[..., 0, 0, :, :] = ((a * h)[..., None, :] * fit.u_x) @ turned_x
        outer[..., 0, 1, :, :] = outer[..., 1, 0, :, :] = fit.u_x @ np.swapaxes(u_g, -1, -2)
        outer[..., 1, 1, :, :] = _weighted(data, fit, g) @ turned_g
        traces = traces - np.einsum("...jaa->...j", inner)
        products = products + np.einsum("...jab,...lba->...jl", inner, inner)
        products = products - 2.0 * np.einsum("...ab,...jlba->...jl", cov, outer)

    score = 0.5 * (np.stack([(fit.u_r**2).sum(-1), (r**2).sum(-1)], axis=-1) - traces)
    v_r = np.stack([_spread(data, fit.u_r) * data.one, r], axis=-2)  # V_j r
    x_v = g @ np.swapaxes(v_r, -1, -2)
    quadratic = v_r @ np.swapaxes(_weighted(data, fit, v_r), -1, -2) - np.swapaxes(x_v, -1, -2) @ cov @ x_v
    return score, 0.5 * products - quadratic


def _grids(data: Nested, held: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values of each variance to look at, (n, points): zero and up to ten times all that there is to explain.

    Newton's method may go beyond. A variance that is held has its value over and over.
    """
    top = 10.0 * np.maximum((data.y**2).sum(-1), 1.0)
    precision = _sums(data, data.one**2 / data.variance)
    of_mean = (1.0 / np.maximum(precision, _TINY)).min(-1)  # of a cohort
    found = []
    for smallest, values in zip((of_mean, np.ones_like(top)), held.T, strict=True):
        free = np.isnan(values)
        reach = np.log1p(top / smallest)
        n = 2 + int(reach[free].max() / _GRID_STEP) if free.any() else 1
        grid = smallest[:, None] * np.expm1(reach[:, None] * np.linspace(0.0, 1.0, n))
        found.append(np.where(free[:, None], grid, values[:, None]))
    return found[0], found[1]


def _starts(data: Nested, method: LikelihoodMethod, held: FloatArray) -> tuple[IntArray, FloatArray]:
    """Points of the grids, (n, 2), that are as high as their neighbours, and the set of each; the highest first."""
    rows, columns = _grids(data, held)
    n, n_rows, n_columns = len(rows), rows.shape[1], columns.shape[1]
    between, within = np.repeat(rows, n_columns, axis=1), np.tile(columns, (1, n_rows))
    total, height = n_rows * n_columns, np.empty((n, n_rows * n_columns))
    per_point = data.y.shape[-1] * (1 + data.x.shape[-2])
    n_points = min(total, max(1, _CHUNK // per_point))
    n_sets = max(1, _CHUNK // (per_point * n_points))
    for i in range(0, n, n_sets):
        sets = slice(i, i + n_sets)
        some = _spaced(_take(data, sets))
        for j in range(0, total, n_points):
            points = slice(j, j + n_points)
            height[sets, points] = _height(
                _evaluate(some, between[sets, points], within[sets, points]), method
            )
    padded = np.full((n, n_rows + 2, n_columns + 2), -np.inf)
    padded[:, 1:-1, 1:-1] = height.reshape(n, n_rows, n_columns)
    around = [
        padded[:, i : i + n_rows, j : j + n_columns] for i in range(3) for j in range(3) if (i, j) != (1, 1)
    ]
    is_peak = padded[:, 1:-1, 1:-1] >= np.max(around, axis=0)
    # one value is enough of a variance that is held
    is_peak[~np.isnan(held[:, 0]), 1:, :] = False
    is_peak[~np.isnan(held[:, 1]), :, 1:] = False
    which, place = np.nonzero(is_peak.reshape(n, -1))
    order = np.lexsort((-height[which, place], which))
    which, place = which[order], place[order]
    return which, np.stack([between[which, place], within[which, place]], axis=-1)


def _spaced(data: Nested) -> Nested:
    """Sets with an axis for points after that of the sets."""
    y, x, one, variance = (part[:, None] for part in data[:4])
    return data._replace(y=y, x=x, one=one, variance=variance)


def _climb(data: Nested, method: LikelihoodMethod, start: FloatArray, free: BoolArray) -> _Summit:
    """Newton's method on the quadrant of variances, with steps that never fall; a row a climb, `free` are not held."""
    point = start.copy()
    fit = _evaluate(data, start[:, 0], start[:, 1])
    height = _height(fit, method)
    arrived, rows, here = np.zeros(len(point), dtype=np.bool_), np.arange(len(point)), data
    iteration = 0
    while rows.size and iteration < _MAX_ITERATIONS:
        iteration += 1
        score, curvature = _slope(here, fit, method)
        moving = free[rows] & ~((point[rows] <= 0) & (score <= 0))
        # uphill even where the likelihood is not concave, and not far along a level ridge
        scale = np.where(moving, 1.0 + point[rows], 0.0)
        values, axes = np.linalg.eigh(curvature * (scale[:, :, None] * scale[:, None, :]))
        bend = np.abs(values)
        bend = np.maximum(bend, _LEVEL * bend.max(-1, keepdims=True) + _TINY)
        along = (np.swapaxes(axes, -1, -2) @ (scale * score)[..., None])[..., 0] / bend
        step = scale * (axes @ along[..., None])[..., 0]
        gain, size = (score * step).sum(-1), 1.0 + np.abs(height[rows])
        slack = np.where(gain <= _HIDDEN * size, _HIDDEN * size, 0.0)
        target, new_height = point[rows], height[rows]
        trying, fraction = np.flatnonzero(moving.any(-1)), 1.0
        while trying.size:
            trial = np.maximum(point[rows[trying]] + fraction * step[trying], 0.0)
            some = here if trying.size == rows.size else _take(here, trying)
            new = _evaluate(some, trial[:, 0], trial[:, 1])
            reached = _height(new, method)
            good = (reached > height[rows[trying]] - slack[trying]) | (fraction < _LEAST_FRACTION)
            taken = trying[good]
            target[taken], new_height[taken] = trial[good], reached[good]
            if taken.size == rows.size:
                fit = new
            else:
                for whole, part in zip(fit, new, strict=True):
                    whole[taken] = part[good]
            trying, fraction = trying[~good], 0.5 * fraction
        change = np.abs(target - point[rows])
        done = (change <= _TOLERANCE * (1.0 + point[rows])).all(-1) | (gain <= _NO_GAIN * size)
        point[rows], height[rows] = target, new_height
        arrived[rows[done]] = True
        if done.any():
            rows, here, fit = rows[~done], _take(here, ~done), _Fit(*(part[~done] for part in fit))
    return _Summit(point, height, arrived, iteration)


def fit_three_level(
    data: Nested,
    method: LikelihoodMethod,
    *,
    between: FloatArray | float | None = None,
    within: FloatArray | float | None = None,
) -> ThreeLevel:
    r"""Fit the three-level model by (restricted) maximum likelihood [1]_.

    The likelihood is taken on a grid over both variances, zeros included, Newton's method climbs from every
    point of it that no neighbour exceeds, and the highest maximum is kept. Where no cohort has two results
    only the sum of the variances is known, and it is given as the one between cohorts; where a set has one cohort
    alone nothing is known of that one, and it is given as 0.

    Parameters
    ----------
    data : Nested
        From `nest`.
    method : {"REML", "ML"}
    between, within : float or ndarray, shape (...), optional
        A variance that is given and not estimated.

    Returns
    -------
    ThreeLevel
        Its log-likelihood has all constants; the restricted one counts
        :math:`-\frac12 (k - p) \ln 2\pi + \frac12 \ln \det X'X`. nan, and not converged, where a set's results do
        not determine the coefficients.

    References
    ----------
    .. [1] Konstantopoulos S (2011). Fixed effects and variance components estimation in three-level
       meta-analysis. Res Synth Methods 2:61-76. https://doi.org/10.1002/jrsm.35
    """
    given = [np.asarray(np.nan if value is None else value, dtype=np.float64) for value in (between, within)]
    lead = np.broadcast_shapes(data.y.shape[:-1], given[0].shape, given[1].shape)
    every = _flat(data, lead)
    known = np.asarray(np.isfinite(every.origin).all(-1))
    sets = _take(every, known)
    held = np.stack([np.broadcast_to(value, lead).ravel()[known] for value in given], axis=-1)
    held = held / sets.unit[:, None]
    n_results = _sums(sets, np.isfinite(sets.variance).astype(np.float64))  # (n, m)
    if between is None:
        held[(n_results > 0).sum(-1) < 2, 0] = 0.0
        if within is None:
            held[n_results.max(-1) < 2, 1] = 0.0
    p = every.x.shape[-2]
    values = np.full((known.size, 3), np.nan)
    coefficient, covariance = np.full((known.size, p), np.nan), np.full((known.size, p, p), np.nan)
    converged, n_iterations = np.zeros(known.size, dtype=np.bool_), 0
    if known.any():
        which, start = _starts(sets, method, held)
        summit = _climb(_take(sets, which), method, start, np.isnan(held)[which])
        order = np.lexsort(
            (-summit.height, which)
        )  # the highest of each set; of equals, that of the highest start
        best = order[np.unique(which[order], return_index=True)[1]]
        point = summit.point[best]
        fit = _evaluate(sets, point[:, 0], point[:, 1])
        count = n_results.sum(-1) - (p if method == "REML" else 0)
        height = summit.height[best] - 0.5 * count * np.log(2.0 * np.pi * sets.unit)
        if method == "REML":
            height = height + 0.5 * sets.log_design
        values[known] = np.column_stack([sets.unit[:, None] * point, height])
        coefficient[known] = sets.origin + np.sqrt(sets.unit)[:, None] * fit.coefficient
        covariance[known] = sets.unit[:, None, None] * np.linalg.inv(fit.information)
        converged[known], n_iterations = summit.arrived[best], summit.n_iterations
    return ThreeLevel(
        values[:, 0].reshape(lead),
        values[:, 1].reshape(lead),
        coefficient.reshape(*lead, p),
        covariance.reshape(*lead, p, p),
        values[:, 2].reshape(lead),
        converged.reshape(lead),
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
        Arrays of shape (...).
    """
    lead = fit.log_likelihood.shape
    sets = _flat(data, lead)
    known = np.flatnonzero(fit.converged)
    estimate = (fit.between if component == "between" else fit.within).ravel()[known]
    top = fit.log_likelihood.ravel()[known]
    both = np.tile(np.arange(known.size), 2)  # the lower limits, then the upper ones

    def fall(values: FloatArray, rows: IntArray) -> FloatArray:
        some, given = _take(sets, known[both[rows]]), {component: values}
        there = fit_three_level(some, method, between=given.get("between"), within=given.get("within"))
        return top[both[rows]] - there.log_likelihood

    width = np.concatenate([-estimate, np.maximum(estimate, sets.unit[known])])
    allowed = 0.5 * float(chdtri(1, 1.0 - level))
    found = first_crossing(fall, estimate[both], width, allowed, floor=0.0)
    ends = np.full((2, fit.log_likelihood.size), np.nan)
    ends[:, known] = found.reshape(2, -1)
    return Limits(ends[0].reshape(lead), ends[1].reshape(lead))
