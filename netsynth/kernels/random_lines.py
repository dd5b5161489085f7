r"""Random effects of few dimensions behind many results of each study.

The model is :math:`y_i \sim N(X_i \beta, V_i + Z_i \Psi Z_i')` with :math:`\Psi` of shape (r, r): a random intercept
(r = 1) or a random line (r = 2). The results of a study are reduced to r, and what
they hold besides is the same whatever :math:`\Psi` is, so a value of the likelihood costs the same however many there
are. :math:`Z_i` may be of less than full rank.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray
from netsynth.kernels.covariance_structures import STRUCTURES
from netsynth.kernels.multivariate import derivatives_of
from netsynth.kernels.multivariate_fit import Hill, climb

#: Where the search sets out, in units of the sampling error of a study: standard deviations of intercept and slope, and
#: their correlation.
_STARTS: Final = (
    (1.0, 1.0, 0.0),
    (1.0, 0.1, 0.0),
    (0.1, 1.0, 0.0),
    (0.03, 0.03, 0.0),
    (3.0, 1.0, 0.8),
    (3.0, 1.0, -0.8),
    (10.0, 10.0, 0.5),
)
#: Share of the information on a variance below which nothing is left of it but rounding.
_TAKEN_UP: Final = 1e-8
#: Added to the variances of a place to set out from, in the same units: what is zero can look like a summit.
_OFF: Final = 1e-4


class Reduced(NamedTuple):
    r"""The results of each study in as many as it has random effects, and the rest of all studies together.

    With :math:`V_i^{-1/2} Z_i = Q_i R_i` a study enters by `loading` :math:`R_i`, shape (k, r, r), `x` :math:`Q_i'
    V_i^{-1/2} X_i` (k, r, q) and `y` (k, r), which have covariance :math:`I + R_i \Psi R_i'`. What is orthogonal to
    :math:`Q_i` does not know of :math:`\Psi`: `xx` (q, q), `xy` (q,) and `yy` are its sums of squares and products. `n`
    counts the results, `log_det` is :math:`\sum \ln |V_i|`, `plain` :math:`\sum X_i'X_i` (q, q), and `origin` (q,) are
    coefficients near the best ones, from which `y` is measured.
    """

    loading: FloatArray
    x: FloatArray
    y: FloatArray
    xx: FloatArray
    xy: FloatArray
    yy: float
    n: int
    log_det: float
    plain: FloatArray
    origin: FloatArray


class LineFit(NamedTuple):
    r"""Coefficients (..., q) with covariance (..., q, q) given :math:`\Psi`, and what the likelihood is made of.

    `effect` (..., k, r) are the best predictions :math:`\Psi Z_i' W_i r_i` of the studies' own deviations; `q` is the
    weighted sum of squared residuals and `log_det` the logarithm of the determinant of the covariance of all results.
    `w`, `u` and `c` are for `netsynth.kernels.multivariate.derivatives_of`.
    """

    coefficient: FloatArray
    covariance: FloatArray
    effect: FloatArray
    q: FloatArray
    log_det: FloatArray
    w: FloatArray
    u: FloatArray
    c: FloatArray


def reduced(
    white_x: FloatArray,
    white_z: FloatArray,
    white_y: FloatArray,
    log_det: float,
    design: FloatArray,
) -> Reduced:
    """Reduce results that were turned so that their sampling errors are independent with variance one.

    Parameters
    ----------
    white_x, white_z, white_y : ndarray, shapes (k, m, q), (k, m, r), (k, m)
        Zero where a study has no result.
    log_det : float
        Logarithm of the determinant of the sampling covariance of all results.
    design : ndarray, shape (k, m, q)
        Before it was turned; zero where a study has no result.

    Returns
    -------
    Reduced
    """
    flat = white_x.reshape(-1, white_x.shape[-1])
    origin = np.asarray(np.linalg.solve(flat.T @ flat, flat.T @ white_y.ravel()))
    both = np.concatenate([white_x, (white_y - white_x @ origin)[..., None]], axis=-1)
    room = np.zeros((len(both), max(white_z.shape[-1] - white_z.shape[-2], 0), 1))
    both, z = (
        np.concatenate([part, np.broadcast_to(room, (*room.shape[:2], part.shape[-1]))], axis=1)
        for part in (both, white_z)
    )
    turn, loading = np.linalg.qr(z)
    short = turn.swapaxes(-1, -2) @ both
    rest = (both - turn @ short).reshape(-1, both.shape[-1])
    squares = rest.T @ rest
    rows = design.reshape(-1, design.shape[-1])
    return Reduced(
        np.asarray(loading),
        short[..., :-1],
        short[..., -1],
        squares[:-1, :-1],
        squares[:-1, -1],
        float(squares[-1, -1]),
        int((rows != 0).any(-1).sum()),
        log_det,
        rows.T @ rows,
        origin,
    )


def fit_lines(data: Reduced, psi: FloatArray) -> LineFit:
    r"""Generalised least squares given :math:`\Psi`, shape (..., r, r), which may be singular."""
    turned = data.loading.swapaxes(-1, -2)
    spread = np.eye(psi.shape[-1]) + data.loading @ psi[..., None, :, :] @ turned
    weight = np.linalg.inv(spread)
    w_x = weight @ data.x
    x_turned = data.x.swapaxes(-1, -2)
    xx = data.xx + (x_turned @ w_x).sum(-3)
    xy = data.xy + (w_x.swapaxes(-1, -2) @ data.y[..., None])[..., 0].sum(-2)
    covariance = np.linalg.inv(xx)
    covariance = 0.5 * (covariance + covariance.swapaxes(-1, -2))
    change = (covariance @ xy[..., None])[..., 0]
    residual = data.y - (data.x @ change[..., None, :, None])[..., 0]
    w_r = (weight @ residual[..., None])[..., 0]
    rest = data.yy - 2.0 * (change @ data.xy) + ((change @ data.xx) * change).sum(-1)
    u = (turned @ w_r[..., None])[..., 0]
    w = turned @ weight @ data.loading
    return LineFit(
        data.origin + change,
        covariance,
        (psi[..., None, :, :] @ u[..., None])[..., 0],
        (residual * w_r).sum((-1, -2)) + rest,
        data.log_det + np.linalg.slogdet(spread)[1].sum(-1),
        0.5 * (w + w.swapaxes(-1, -2)),
        u,
        turned @ w_x @ np.linalg.cholesky(covariance)[..., None, :, :],
    )


def line_log_likelihood(data: Reduced, fit: LineFit, *, restricted: bool) -> FloatArray:
    """Log-likelihood at the best coefficients, with the constants of `netsynth.kernels.multivariate.log_likelihood`."""
    n = data.n - data.origin.size if restricted else data.n
    height = _height(fit, restricted=restricted) - 0.5 * n * np.log(2.0 * np.pi)
    return np.asarray(height + 0.5 * np.linalg.slogdet(data.plain)[1] if restricted else height)


def _height(fit: LineFit, *, restricted: bool) -> FloatArray:
    height = -0.5 * (fit.log_det + fit.q)
    if restricted:
        height = height + 0.5 * np.linalg.slogdet(fit.covariance)[1]
    return np.asarray(height)


def is_estimable(data: Reduced) -> bool:
    r"""Whether results tell of every variance in :math:`\Psi`: coefficients may take up all that studies differ by."""
    r = data.y.shape[-1]
    fit = fit_lines(data, np.zeros((r, r)))
    total = np.diagonal(fit.w.sum(-3))
    left = total - (fit.c * fit.c).sum((-3, -1))
    return bool((left > _TAKEN_UP * total).all())


def psi_of_lines(
    data: Reduced, *, restricted: bool, start: FloatArray | None = None
) -> tuple[FloatArray, bool]:
    r"""The most likely :math:`\Psi`, shape (r, r), and whether the search arrived.

    One variance, which may be zero, or any covariance of intercept and slope, which may be singular; the search is that
    of `netsynth.kernels.multivariate_fit.psi_likelihood`, from several places or from `start` alone.
    """
    r = data.y.shape[-1]
    structure = STRUCTURES["diagonal" if r == 1 else "unstructured"]
    unit = (data.loading**2).sum(-2).mean(0) ** -0.5
    scaled = data._replace(loading=data.loading * unit)

    def height(_rows: IntArray, psi: FloatArray) -> FloatArray:
        return _height(fit_lines(scaled, psi), restricted=restricted)

    def slopes(_rows: IntArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        fit = fit_lines(scaled, psi)
        return derivatives_of(fit.w, fit.u, fit.c, restricted=restricted)

    sd = np.array(_STARTS)[:, :r]
    places = sd[:, :, None] * sd[:, None, :]
    places *= np.where(np.eye(r) > 0, 1.0, np.array(_STARTS)[:, 2, None, None])
    if start is not None:
        places = (start / (unit[:, None] * unit))[None] + _OFF * np.eye(r)
    summit = climb(Hill(height, slopes), structure, structure.nearest(places), r)
    best = int(np.argmax(np.where(np.isnan(summit.height), -np.inf, summit.height)))
    psi = structure.matrix(summit.theta[best], r)
    return psi * (unit[:, None] * unit), bool(summit.arrived[best])
