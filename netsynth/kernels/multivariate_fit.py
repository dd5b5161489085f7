r"""Estimators of the covariance between studies: the highest likelihood, and two methods of moments.

Arrays are as in `netsynth.kernels.multivariate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.covariance_structures import STRUCTURES, CovarianceStructure, Structure
from netsynth.kernels.multivariate import Observed, derivatives, height_of, observed, solve
from netsynth.kernels.tau2 import tau2_ml, tau2_reml

_MAX_ITERATIONS: Final = 1000
_MAX_HALVINGS: Final = 40
#: What the last step promised to add to the log-likelihood: below this nothing more is to be had, and from
#: `_NEAR` on steps are taken on trust, since rounding hides whether they climb.
_ARRIVED: Final = 1e-20
_NEAR: Final = 1e-8
#: A place where no step climbs and less than this is promised is a summit: rounding hides the rest.
_ROUNDED: Final = 1e-6
#: Share of the climb that the slope promises which a step must keep, else half of it is tried.
_SHARE: Final = 1e-4
#: Steps after which longer ones are tried: where rounding hides how a ridge bends, Newton's are far too short.
_PATIENCE: Final = 30
_LONGEST: Final = 2.0**30
#: Steps taken on trust at most; where a maximum is flat the promise may stay above `_ARRIVED`.
_POLISH: Final = 8
#: Share of the largest curvature below which a direction counts as flat, and as curved the wrong way.
_FLAT: Final = 1e-10
_SADDLE: Final = 1e-7
#: Where the search sets out: a factor of the variances that each outcome has by itself, and one correlation of all.
_STARTS: Final = ((1.0, 0.0), (1.0, 0.8), (1.0, -0.8), (1e-3, 0.3), (0.05, 0.5), (20.0, 0.5))
#: The same with correlations whose sign alternates from outcome to outcome.
_ALTERNATING: Final = ((1.0, 0.8), (1e-3, 0.8))
#: Places looked at beforehand, of which the search sets out from the highest few too.
_PLACES: Final = 60
_HIGHEST: Final = 5
#: Least variance to set out from, in units of `_units`: what is zero can look like a summit.
_LEAST: Final = 1e-4
#: Standard deviation, in units of `_units`, around which to look at least; and a seed, which keeps the
#: same data to the same search.
_REACH: Final = 0.3
_SEED: Final = 20130208
#: Distance from an end of its range, in units of `_units`, at which a parameter has reached it.
_HAIR: Final = 1e-10
#: Variance between studies, in units of `_units`, below which there is none: rounding leaves 1e-53 at most where
#: the likelihood is highest at zero, and data give 1e-7 at least.
_NOUGHT: Final = 1e-12
#: Numbers in one temporary array of the search.
_CHUNK: Final = 1 << 21


class BetweenFit(NamedTuple):
    """A covariance matrix between studies of each set, whether its search arrived, and in how many steps."""

    psi: FloatArray
    converged: BoolArray
    n_iterations: int


def psi_likelihood(
    estimate: FloatArray,
    covariance: FloatArray,
    design: FloatArray,
    structure: Structure,
    *,
    restricted: bool,
    start: FloatArray | None = None,
) -> BetweenFit:
    r"""Maximum likelihood, restricted or not, of a covariance between studies of a given structure.

    Newton steps with exact first and second derivatives, in which directions that curve upwards are followed uphill,
    within the bounds of the parameters, from several starts; the highest summit is taken. A place from which the
    likelihood rises in some direction is not taken for a summit.

    Parameters
    ----------
    estimate, covariance, design : ndarray
        As in `netsynth.kernels.multivariate`; leading axes are broadcast against each other.
    structure : Structure
        One of `STRUCTURES`, or another of its kind.
    restricted : bool
        REML, else ML.
    start : ndarray, shape (..., p, p), optional
        The only place to set out from, for data like those it is the summit of.

    Returns
    -------
    BetweenFit
    """
    k, p = estimate.shape[-2:]
    lead = np.broadcast_shapes(estimate.shape[:-2], covariance.shape[:-3], design.shape[:-3])
    y = np.broadcast_to(estimate, (*lead, k, p)).reshape(-1, k, p)
    s = np.broadcast_to(covariance, (*lead, k, p, p)).reshape(-1, k, p, p)
    x = np.broadcast_to(design, (*lead, *design.shape[-3:])).reshape(-1, *design.shape[-3:])
    n_starts = 1 if start is not None else 1 + len(_STARTS) + len(_ALTERNATING) + _HIGHEST
    n_rows = max(1, _CHUNK // (n_starts * (p**4 + 4 * k * p * p)))
    psi, converged, n_iterations = np.empty((len(y), p, p)), np.zeros(len(y), dtype=np.bool_), 0
    for first in range(0, len(y), n_rows):
        part = slice(first, first + n_rows)
        unit = _units(y[part], s[part], one_scale=structure.one_scale)
        scale = unit[:, :, None] * unit[:, None, :]
        data = observed(y[part] / unit[:, None], s[part] / scale[:, None], x[part] / unit[:, None, :, None])
        if start is None:
            theta = _starts(data, structure, restricted=restricted)
        else:
            near = np.broadcast_to(start, (*lead, p, p)).reshape(-1, p, p)[part] / scale
            theta = structure.nearest(near + _LEAST * np.eye(p))
        hill = _hill(data, n_starts, restricted=restricted)
        summit = climb(hill, structure, theta.reshape(-1, theta.shape[-1]), p)
        # of two that meet on one summit the one that arrived there: rounding may lift the other by as much
        height = np.where(summit.arrived, summit.height, summit.height - _ROUNDED)
        height = np.where(np.isnan(height), -np.inf, height).reshape(-1, n_starts)
        best = height.argmax(-1) + n_starts * np.arange(len(height))
        found = structure.matrix(summit.theta[best], p)
        varies = np.diagonal(found, axis1=-2, axis2=-1) > _NOUGHT
        psi[part] = scale * np.where(varies[:, :, None] & varies[:, None, :], found, 0.0)
        converged[part] = summit.arrived[best]
        n_iterations = max(n_iterations, summit.n_iterations)
    return BetweenFit(psi.reshape(*lead, p, p), converged.reshape(lead), n_iterations)


def _units(estimate: FloatArray, covariance: FloatArray, *, one_scale: bool) -> FloatArray:
    """Typical deviation of each outcome, or of all, within and between studies: numbers are of order one in it."""
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    between = tau2_reml(estimate.swapaxes(-1, -2), variance.swapaxes(-1, -2)).tau2
    precision = 1.0 / (variance + np.nan_to_num(np.asarray(between))[..., None, :])
    present = np.maximum((precision > 0).sum(-2), 1)
    typical = precision.sum(-2) / present
    if one_scale:
        typical = np.broadcast_to(typical.mean(-1, keepdims=True), typical.shape)
    return np.asarray(np.where(typical > 0, typical, 1.0) ** -0.5)


def _starts(data: Observed, structure: Structure, *, restricted: bool) -> FloatArray:
    """Parameters of each set, in its units, from which to climb, shape (..., starts, t)."""
    p = data.y.shape[-1]
    present = np.diagonal(data.both, axis1=-2, axis2=-1) > 0
    v = np.where(present, np.diagonal(data.s, axis1=-2, axis2=-1), np.inf)
    by_itself = tau2_reml if restricted else tau2_ml
    alone = by_itself(data.y.swapaxes(-1, -2), v.swapaxes(-1, -2)).tau2
    tau = np.sqrt(np.maximum(np.nan_to_num(alone), _LEAST))
    outer = tau[:, :, None] * tau[:, None, :]
    n = np.maximum(present.sum(-2), 1)[:, None]
    centred = np.where(present, data.y - data.y.sum(-2, keepdims=True) / n, 0.0)
    z = centred / np.sqrt(np.maximum((centred**2).sum(-2, keepdims=True), 1e-300))
    off, lowest = 1.0 - np.eye(p), -0.9 / max(p - 1, 1)
    found = [outer * (np.eye(p) + 0.7 * off * (z.swapaxes(-1, -2) @ z))]
    found += [factor * outer * (np.eye(p) + max(rho, lowest) * off) for factor, rho in _STARTS]
    sign = (-1.0) ** np.add.outer(np.arange(p), np.arange(p))
    found += [factor * outer * sign * (np.eye(p) + rho * off) for factor, rho in _ALTERNATING]
    places = structure.nearest(_places(tau))
    wide = Observed(*(array[:, None] for array in data))
    height = height_of(solve(wide, structure.matrix(places, p)), restricted=restricted)
    order = np.argsort(-height, axis=-1, kind="stable")[:, :_HIGHEST, None]
    fixed = np.stack([structure.nearest(each) for each in found], axis=1)
    return np.concatenate([fixed, np.take_along_axis(places, order, axis=1)], axis=1)


def _places(tau: FloatArray) -> FloatArray:
    """Matrices of all kinds around the standard deviations of each set, the same kinds for every set."""
    p = tau.shape[-1]
    rng = np.random.default_rng(_SEED)
    size = np.exp(rng.uniform(-3.0, 1.5, (_PLACES, p)))
    root = rng.standard_normal((_PLACES, p, 2))  # of rank two: correlations are strong, of any sign
    matrix = root @ root.swapaxes(-1, -2) + 0.2 * np.eye(p)
    scale = np.sqrt(np.diagonal(matrix, axis1=-2, axis2=-1))
    matrix = matrix / (scale[:, :, None] * scale[:, None, :]) * (size[:, :, None] * size[:, None, :])
    reach = np.maximum(tau, _REACH)
    return np.asarray(reach[:, None, :, None] * reach[:, None, None, :] * matrix)


class Hill(NamedTuple):
    """A likelihood of covariance matrices; rows are numbered so that each may have data of its own.

    `height(rows, psi)`, shape (n,), and `derivatives(rows, psi)`, its slope (n, p, p) and second derivative
    (n, p p, p p) in the entries, from matrices of shape (n, p, p).
    """

    height: Callable[[IntArray, FloatArray], FloatArray]
    derivatives: Callable[[IntArray, FloatArray], tuple[FloatArray, FloatArray]]


class Summit(NamedTuple):
    """Where each climb ended: parameters (n, t), height, and whether it arrived."""

    theta: FloatArray
    height: FloatArray
    arrived: BoolArray
    n_iterations: int


def _hill(data: Observed, n_starts: int, *, restricted: bool) -> Hill:
    """The likelihood of sets of studies, with equally many starts for each set."""

    def part(rows: IntArray) -> Observed:
        return Observed(*(array[rows // n_starts] for array in data))

    def height(rows: IntArray, psi: FloatArray) -> FloatArray:
        return height_of(solve(part(rows), psi), restricted=restricted)

    def slopes(rows: IntArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        here = part(rows)
        return derivatives(here, solve(here, psi), restricted=restricted)

    return Hill(height, slopes)


def climb(hill: Hill, structure: Structure, theta: FloatArray, p: int) -> Summit:
    """Uphill from every start, shape (n, t), to a p by p matrix of the structure."""
    lower, upper = structure.bounds(p)
    theta = np.clip(theta, lower, upper)

    def height_at(rows: IntArray, where: FloatArray) -> FloatArray:
        return hill.height(rows, structure.matrix(where, p))

    height = height_at(np.arange(len(theta)), theta)
    arrived, polished = np.zeros(len(theta), dtype=np.bool_), np.zeros(len(theta), dtype=np.int64)
    rows, iteration = np.arange(len(theta)), 0
    while rows.size and iteration < _MAX_ITERATIONS:
        iteration += 1
        now = theta[rows]
        slope, second = hill.derivatives(rows, structure.matrix(now, p))
        jacobian = structure.jacobian(now, p).reshape(*now.shape, p * p)
        gradient = (jacobian @ slope.reshape(-1, p * p, 1))[..., 0]
        hessian = jacobian @ second @ jacobian.swapaxes(-1, -2) + structure.curvature(now, slope)
        step, promise, saddle = _newton(now, gradient, hessian, lower, upper)
        near = (promise < _NEAR) & ~saddle
        polished[rows] += near
        last = near & ((promise < _ARRIVED) | (polished[rows] >= _POLISH))
        moved = np.clip(now + step, lower, upper)
        climbing = np.flatnonzero(~near)
        share = np.ones(climbing.size)
        stuck = np.zeros(rows.size, dtype=np.bool_)
        for _ in range(_MAX_HALVINGS):
            if not climbing.size:
                break
            trial = np.clip(now[climbing] + share[:, None] * step[climbing], lower, upper)
            gain = height_at(rows[climbing], trial) - height[rows[climbing]]
            expected = _SHARE * (gradient[climbing] * (trial - now[climbing])).sum(-1)
            good = gain > np.maximum(expected, 0.0)
            moved[climbing[good]] = trial[good]
            climbing, share = climbing[~good], 0.5 * share[~good]
        stuck[climbing] = True
        moved[stuck] = now[stuck]
        going, stretch = np.flatnonzero(~near & ~stuck), 2.0
        if iteration > _PATIENCE and going.size:
            reached, way = height_at(rows[going], moved[going]), moved - now
            while going.size and stretch <= _LONGEST:
                trial = np.clip(now[going] + stretch * way[going], lower, upper)
                there = height_at(rows[going], trial)
                higher = there > reached
                going, reached, stretch = going[higher], there[higher], 2.0 * stretch
                moved[going] = trial[higher]
        # a hair's breadth from its end a parameter would still count as free, and clip every step
        moved = np.where(moved - lower < _HAIR, lower, np.where(upper - moved < _HAIR, upper, moved))
        theta[rows] = moved
        height[rows] = height_at(rows, moved)
        arrived[rows[last]] = True
        arrived[rows[stuck & ((promise < _ROUNDED) | saddle)]] = True
        rows = rows[~(last | stuck)]
    return Summit(theta, height, arrived, iteration)


def _newton(
    theta: FloatArray, gradient: FloatArray, hessian: FloatArray, lower: FloatArray, upper: FloatArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Step uphill, what it promises, and whether only leaving a saddle remains."""
    at_lower, at_upper = theta <= lower, theta >= upper
    held = (at_lower & (gradient < 0)) | (at_upper & (gradient > 0))
    # in units in which every parameter curves by one, so that a sharp one does not make the others look flat
    steep = np.abs(np.diagonal(hessian, axis1=-2, axis2=-1))
    unit = np.maximum(steep, np.maximum(_FLAT * _FLAT * steep.max(-1, keepdims=True), _FLAT)) ** -0.5
    gradient, hessian = gradient * unit, hessian * (unit[:, :, None] * unit[:, None, :])
    while True:
        free = np.where(held, 0.0, gradient)
        both = ~held[:, :, None] & ~held[:, None, :]
        curvature, axes = np.linalg.eigh(np.where(both, -hessian, 0.0))
        largest = np.maximum(np.abs(curvature).max(-1, keepdims=True), _SADDLE)
        size = np.maximum(np.abs(curvature), _FLAT * largest)
        along = (axes.swapaxes(-1, -2) @ free[..., None])[..., 0]
        step = (axes @ (along / size)[..., None])[..., 0]
        # a bound that the step of the others would drive it through holds a parameter too, else the rest may lead down
        outward = ~held & ((at_lower & (step < 0)) | (at_upper & (step > 0)))
        if not outward.any():
            break
        held |= outward
    promise = (along * along / size).sum(-1)
    step *= unit
    reach = 2.0 * (1.0 + np.linalg.norm(theta, axis=-1))
    step *= np.minimum(1.0, reach / np.maximum(np.linalg.norm(step, axis=-1), 1e-300))[:, None]
    saddle = (promise < _NEAR) & (curvature[:, 0] < -_SADDLE * largest[:, 0])
    if saddle.any():
        axis = axes[:, :, 0] * unit
        axis /= np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), _FLAT)
        inward = (axis * at_lower).sum(-1) - (axis * at_upper).sum(-1)
        away = 0.1 * reach[:, None] * axis * np.where(inward < 0, -1.0, 1.0)[:, None]
        step = np.where(saddle[:, None], away, step)
    return step, promise, saddle


def psi_moments(estimate: FloatArray, covariance: FloatArray, design: FloatArray) -> BetweenFit:
    r"""Method of moments for matrices: the unstructured extension of DerSimonian and Laird [1]_.

    With the residuals r of the common-effect model and D the outcomes that a study has, the matrix
    :math:`\sum W_i r_i r_i' D_i` is set equal to its expectation, which is linear in :math:`\Psi`. The solution is
    made symmetric, and its negative eigenvalues are set to zero.

    Parameters
    ----------
    estimate, covariance, design : ndarray
        As in `netsynth.kernels.multivariate`.

    Returns
    -------
    BetweenFit

    References
    ----------
    .. [1] Jackson D, White IR, Riley RD (2013). A matrix-based method of moments for fitting the multivariate random
       effects model for meta-analysis and meta-regression. Biom J 55:231-245.
       https://doi.org/10.1002/bimj.201200152
    """
    data = observed(estimate, covariance, design)
    fit = solve(data, np.zeros(data.s.shape[-2:]))
    w, v = fit.weight, fit.covariance[..., None, :, :]
    p, q = data.x.shape[-2:]
    here = np.eye(p) * np.diagonal(data.both, axis1=-2, axis2=-1)[..., None, :]
    t = w @ data.x
    tv = t @ v
    left = tv @ data.x.swapaxes(-1, -2)  # W X V X'
    square = w @ (fit.residual[..., None] * fit.residual[..., None, :]) @ here
    sampling = (here - left).sum(-3)
    # the map from Psi [c, d] to the expected matrix [a, b]
    lead = w.shape[:-3]
    direct = np.einsum("...kac,...kdb->...abcd", w, here - left @ here)
    direct -= np.einsum("...kac,...kdb->...abcd", left @ w, here)
    outer = np.einsum("...kaq,...kbr->...abqr", t, data.x).reshape(*lead, p * p, q * q)
    inner = np.einsum("...kcq,...kdr->...cdqr", tv, tv).reshape(*lead, p * p, q * q)
    whole = direct.reshape(*lead, p * p, p * p) + outer @ inner.swapaxes(-1, -2)
    excess = (square.sum(-3) - sampling).reshape(*lead, p * p, 1)
    psi = np.linalg.solve(whole, excess).reshape(*lead, p, p)
    return BetweenFit(nearest_covariance(psi), np.ones(lead, dtype=np.bool_), 0)


def psi_components(estimate: FloatArray, covariance: FloatArray, design: FloatArray) -> BetweenFit:
    r"""Variance components: the covariance of the residuals less the mean sampling covariance, in turns.

    The residuals of each study are freed of the fit by :math:`(I - H_{ii})^{-1/2}`, where :math:`H_{ii}` is the study's
    block of the hat matrix at the present :math:`\Psi`; averages are over the studies that have both outcomes, and
    negative eigenvalues are set to zero. With one outcome and no weights it is the estimator of Hedges.

    Parameters
    ----------
    estimate, covariance, design : ndarray
        As in `netsynth.kernels.multivariate`.

    Returns
    -------
    BetweenFit
    """
    data = observed(estimate, covariance, design)
    p = data.y.shape[-1]
    count = data.both.sum(-3)
    sampling = (data.s * data.both).sum(-3) / np.maximum(count, 1.0)
    unit = np.sqrt(np.diagonal(sampling, axis1=-2, axis2=-1))
    psi = np.zeros((*np.broadcast_shapes(data.s.shape[:-3], data.y.shape[:-2]), p, p))
    for iteration in range(1, _MAX_ITERATIONS + 1):
        fit = solve(data, psi)
        root = np.linalg.cholesky(data.s + data.both * psi[..., None, :, :])
        white_x = np.linalg.inv(root) @ data.x
        # I - H is not symmetric, but its twin in the whitened residuals is
        share, axes = np.linalg.eigh(
            np.eye(p) - white_x @ fit.covariance[..., None, :, :] @ white_x.swapaxes(-1, -2)
        )
        white = np.linalg.inv(root) @ fit.residual[..., None]
        freed = axes @ ((axes.swapaxes(-1, -2) @ white) / np.sqrt(np.maximum(share, 1e-12))[..., None])
        residual = (root @ freed)[..., 0] * np.diagonal(data.both, axis1=-2, axis2=-1)
        marginal = (residual[..., :, None] * residual[..., None, :]).sum(-3) / np.maximum(count, 1.0)
        fresh = nearest_covariance(marginal - sampling)
        move = np.abs(fresh - psi) / (unit[..., :, None] * unit[..., None, :] + np.abs(fresh))
        psi = fresh
        arrived = move.max((-1, -2)) <= 1e-12
        if arrived.all() or iteration == _MAX_ITERATIONS:
            break
    return BetweenFit(psi, np.asarray(arrived), iteration)


def nearest_covariance(matrix: FloatArray) -> FloatArray:
    """The symmetric part of a matrix with its negative eigenvalues set to zero."""
    values, axes = np.linalg.eigh(0.5 * (matrix + matrix.swapaxes(-1, -2)))
    return np.asarray((axes * np.maximum(values, 0.0)[..., None, :]) @ axes.swapaxes(-1, -2))


BetweenMethod = Literal["REML", "ML", "MM", "VC", "CE"]
#: The methods of moments, which know no structure.
MOMENTS: Final[Mapping[BetweenMethod, Callable[[FloatArray, FloatArray, FloatArray], BetweenFit]]] = (
    MappingProxyType({"MM": psi_moments, "VC": psi_components})
)


def psi_between(
    estimate: FloatArray,
    covariance: FloatArray,
    design: FloatArray,
    *,
    method: BetweenMethod,
    structure: CovarianceStructure,
) -> BetweenFit:
    """Covariance between studies by the name of a method; "CE", the common effect, has none.

    Parameters
    ----------
    estimate, covariance, design : ndarray
        As in `netsynth.kernels.multivariate`; leading axes are broadcast against each other.
    method : {"REML", "ML", "MM", "VC", "CE"}
    structure : str
        A name of `STRUCTURES`; the moments take no notice of it.

    Returns
    -------
    BetweenFit
    """
    if method in MOMENTS:
        return MOMENTS[method](estimate, covariance, design)
    if method == "CE":
        lead = np.broadcast_shapes(estimate.shape[:-2], covariance.shape[:-3], design.shape[:-3])
        p = estimate.shape[-1]
        return BetweenFit(np.zeros((*lead, p, p)), np.ones(lead, dtype=np.bool_), 0)
    return psi_likelihood(estimate, covariance, design, STRUCTURES[structure], restricted=method == "REML")
