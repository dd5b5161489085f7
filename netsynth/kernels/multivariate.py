r"""Several outcomes a study: generalised least squares, likelihood, and the covariance between studies.

The model is :math:`y_i \sim N(X_i \beta, S_i + \Psi)`. `estimate` has shape (..., k, p), `covariance` (the
:math:`S_i`) shape (..., k, p, p), `design` (the :math:`X_i`) shape (..., k, p, q) and `psi` shape (..., p, p):
the leading axes run over any number of sets of studies. An outcome that a study lacks has infinite variance on
the diagonal, whatever stands beside it, and any estimate; a study that a set lacks lacks all outcomes.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray

#: Mean squared residual, in units of its variance, that rounding may leave where there is none.
_NOUGHT: Final = 1e-20
#: Least eigenvalue of a correlation matrix that counts as not singular.
_SINGULAR: Final = 1e-8


class Gls(NamedTuple):
    """Generalised least squares of each set of studies.

    `coefficient` (..., q) with `covariance` (..., q, q), `residual` (..., k, p) and `weight` (..., k, p, p), the
    inverse of the covariance of the outcomes a study has, both 0 for the others; `q`, the weighted sum of squared
    residuals, and `log_det`, the logarithm of the determinant of the covariance of all that was observed.
    """

    coefficient: FloatArray
    covariance: FloatArray
    residual: FloatArray
    weight: FloatArray
    q: FloatArray
    log_det: FloatArray


class Effects(NamedTuple):
    """Predicted effects of the studies themselves, (..., k, p), and their error covariance, (..., k, p, p)."""

    effect: FloatArray
    covariance: FloatArray


class Observed(NamedTuple):
    """Data in which what is absent weighs nothing: rows of zero, and a variance of one that `both` undoes."""

    y: FloatArray
    s: FloatArray
    x: FloatArray
    both: FloatArray


def observed(estimate: FloatArray, covariance: FloatArray, design: FloatArray) -> Observed:
    """Outcomes present, with zeros for the others."""
    present = np.isfinite(np.diagonal(covariance, axis1=-2, axis2=-1))
    both = (present[..., :, None] & present[..., None, :]).astype(np.float64)
    padding = np.eye(estimate.shape[-1]) * ~present[..., None, :]
    s = np.where(both > 0, covariance, padding)
    return Observed(np.where(present, estimate, 0.0), s, np.where(present[..., None], design, 0.0), both)


def intercepts(k: int, p: int) -> FloatArray:
    """Design of one mean an outcome, shape (k, p, p)."""
    return np.broadcast_to(np.eye(p), (k, p, p))


def n_observed(covariance: FloatArray) -> IntArray:
    """Studies that report each outcome: those whose variance is finite, shape (..., p)."""
    return np.asarray(np.isfinite(np.diagonal(covariance, axis1=-2, axis2=-1)).sum(-2))


def gls(estimate: FloatArray, covariance: FloatArray, design: FloatArray, psi: FloatArray) -> Gls:
    r"""Coefficients given the covariance between studies, :math:`\hat\beta = V \sum X_i' W_i y_i`.

    :math:`W_i = (S_i + \Psi)^{-1}` and :math:`V = (\sum X_i' W_i X_i)^{-1}`.

    Parameters
    ----------
    estimate, covariance, design, psi : ndarray
        As in the module; a `psi` of zero is the common-effect model.

    Returns
    -------
    Gls
    """
    return solve(observed(estimate, covariance, design), psi)


def solve(data: Observed, psi: FloatArray) -> Gls:
    """`gls` of data that are ready for it."""
    root = np.linalg.cholesky(data.s + data.both * psi[..., None, :, :])
    inverse = np.linalg.inv(root)
    log_det = 2.0 * np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum((-1, -2))
    white_x = inverse @ data.x
    white_y = (inverse @ data.y[..., None])[..., 0]
    q = data.x.shape[-1]
    flat_x = white_x.reshape(*white_x.shape[:-3], -1, q)
    flat_y = white_y.reshape(*white_y.shape[:-2], -1, 1)
    turned = flat_x.swapaxes(-1, -2)
    covariance = np.linalg.inv(turned @ flat_x)
    coefficient = covariance @ (turned @ flat_y)
    residual = data.y - (data.x @ coefficient[..., None, :, :])[..., 0]
    white = (inverse @ residual[..., None])[..., 0]
    weight = (inverse.swapaxes(-1, -2) @ inverse) * data.both
    return Gls(
        coefficient[..., 0],
        0.5 * (covariance + covariance.swapaxes(-1, -2)),
        residual,
        weight,
        (white * white).sum((-1, -2)),
        log_det,
    )


def log_likelihood(
    estimate: FloatArray,
    covariance: FloatArray,
    design: FloatArray,
    psi: FloatArray,
    *,
    restricted: bool,
) -> FloatArray:
    r"""Log-likelihood of the covariance between studies, at the best coefficients, with all constants.

    With n observed outcomes and q coefficients,
    :math:`-\frac12 \{n \ln 2\pi + \sum \ln |S_i + \Psi| + \sum r_i' W_i r_i\}`; restricted, with n - q for n, and
    :math:`\frac12 \ln |\sum X_i' X_i| - \frac12 \ln |\sum X_i' W_i X_i|` added, as metafor and mixmeta count.

    Parameters
    ----------
    estimate, covariance, design, psi : ndarray
        As in the module.
    restricted : bool
        Whether the likelihood is that of the contrasts free of the coefficients (REML).

    Returns
    -------
    ndarray, shape (...)
    """
    data = observed(estimate, covariance, design)
    fit = solve(data, psi)
    n = np.trace(data.both, axis1=-2, axis2=-1).sum(-1)
    if not restricted:
        return np.asarray(height_of(fit, restricted=False) - 0.5 * n * np.log(2.0 * np.pi))
    constant = -0.5 * (n - design.shape[-1]) * np.log(2.0 * np.pi)
    plain = np.einsum("...kpa,...kpb->...ab", data.x, data.x)
    return np.asarray(constant + 0.5 * np.linalg.slogdet(plain)[1] + height_of(fit, restricted=True))


def height_of(fit: Gls, *, restricted: bool) -> FloatArray:
    """The part of the log-likelihood that depends on the covariance between studies."""
    height = -0.5 * (fit.log_det + fit.q)
    if restricted:
        height = height + 0.5 * np.linalg.slogdet(fit.covariance)[1]
    return np.asarray(height)


# With W the inverse covariance of all outcomes of a set and P = W - W X V X' W, the log-likelihood has, for a
# change A of Psi that reaches every study alike, the slope (y'PAPy - tr(PA)) / 2 and the second derivative, for A
# and B, tr(PAPB) / 2 - y'PAPBPy; without the restriction the traces are those of W. Py is the weighted residual u.
# Sums over pairs of studies fall apart because P differs from a block diagonal matrix by one of rank q.


def derivatives(data: Observed, fit: Gls, *, restricted: bool) -> tuple[FloatArray, FloatArray]:
    """Slope (..., p, p) and second derivative (..., p p, p p) of the likelihood in the entries of Psi."""
    w = fit.weight
    u = (w @ fit.residual[..., None])[..., 0]
    c = w @ data.x @ np.linalg.cholesky(fit.covariance)[..., None, :, :]
    return derivatives_of(w, u, c, restricted=restricted)


def derivatives_of(
    w: FloatArray, u: FloatArray, c: FloatArray, *, restricted: bool
) -> tuple[FloatArray, FloatArray]:
    r"""Slope and second derivative from the parts of each study that a change of :math:`\Psi` meets.

    Parameters
    ----------
    w : ndarray, shape (..., k, p, p)
        Weights :math:`W_i`; :math:`Z_i' W_i Z_i` where the covariance between studies is :math:`Z_i \Psi Z_i'`.
    u : ndarray, shape (..., k, p)
        Weighted residuals :math:`W_i r_i`, or :math:`Z_i' W_i r_i`.
    c : ndarray, shape (..., k, p, q)
        :math:`W_i X_i V^{1/2}`, or :math:`Z_i' W_i X_i V^{1/2}`.
    restricted : bool

    Returns
    -------
    tuple of ndarray
        Shapes (..., p, p) and (..., p p, p p).
    """
    *lead, k, p, q = c.shape
    r = c @ c.swapaxes(-1, -2)
    uu = u[..., :, None] * u[..., None, :]
    slope = 0.5 * (uu - (w - r if restricted else w)).sum(-3)

    def pairs(first: FloatArray, second: FloatArray) -> FloatArray:
        """Sum over studies of the products of all entries of two matrices, shape (..., p, p, p, p)."""
        a, b = first.reshape(*lead, k, p * p), second.reshape(*lead, k, p * p)
        return (a.swapaxes(-1, -2) @ b).reshape(*lead, p, p, p, p)

    trace = pairs(w, w - 2.0 * r if restricted else w)  # [a, b, d, c]
    trace = np.moveaxis(trace, (-4, -3, -2, -1), (-2, -4, -1, -3))  # [b, c, a, d]
    spread = np.moveaxis(pairs(w, uu), (-4, -3, -2, -1), (-3, -2, -4, -1))  # [b, c, a, d] to [a, b, c, d]
    e = (u.swapaxes(-1, -2) @ c.reshape(*lead, k, p * q)).reshape(*lead, p, p, q)
    second = 0.5 * trace - spread + np.einsum("...abq,...dcq->...abcd", e, e)
    if restricted:
        cc = c.reshape(*lead, k, p * q)
        f = (
            (cc.swapaxes(-1, -2) @ cc)
            .reshape(*lead, p, q, p, q)
            .swapaxes(-3, -2)
            .reshape(*lead, p * p, q * q)
        )
        low_rank = (f @ f.swapaxes(-1, -2)).reshape(*lead, p, p, p, p)  # [a, d, b, c]
        second = second + 0.5 * np.moveaxis(low_rank, (-4, -3, -2, -1), (-2, -1, -4, -3))
    return slope, second.reshape(*lead, p * p, p * p)


def study_effects(
    estimate: FloatArray, covariance: FloatArray, design: FloatArray, psi: FloatArray
) -> Effects:
    r"""Best predictions of the true effects of the studies at hand, also of outcomes that they do not report.

    :math:`\hat\theta_i = X_i \hat\beta + \Psi W_i (y_i - X_i \hat\beta)`, with the error covariance
    :math:`\Psi - \Psi W_i \Psi + (X_i - \Psi W_i X_i) V (X_i - \Psi W_i X_i)'`, in which the coefficients are estimated
    and :math:`\Psi` is taken as known.

    Parameters
    ----------
    estimate, covariance, design, psi : ndarray
        As in the module.

    Returns
    -------
    Effects
    """
    fit = gls(estimate, covariance, design, psi)
    between = psi[..., None, :, :]
    pull = between @ fit.weight
    rest = design - pull @ design
    centre = (design @ fit.coefficient[..., None, :, None])[..., 0]
    effect = centre + (pull @ fit.residual[..., None])[..., 0]
    error = between - pull @ between + rest @ fit.covariance[..., None, :, :] @ rest.swapaxes(-1, -2)
    return Effects(effect, 0.5 * (error + error.swapaxes(-1, -2)))


def separate(covariance: FloatArray) -> FloatArray:
    """The same variances without what stands beside the diagonal."""
    eye = np.eye(covariance.shape[-1], dtype=np.bool_)
    return np.where(eye, covariance, 0.0)


def within_covariance(se: FloatArray, correlation: FloatArray) -> FloatArray:
    """Covariance of the outcomes of each study from their standard errors and one correlation matrix.

    Parameters
    ----------
    se : ndarray, shape (..., k, p)
        Infinite for an outcome that is absent.
    correlation : ndarray, shape (..., p, p)

    Returns
    -------
    ndarray, shape (..., k, p, p)
        Infinite variance, and covariance zero, where an outcome is absent.
    """
    present = np.isfinite(se)
    known = np.where(present, se, 0.0)
    whole = known[..., :, None] * known[..., None, :] * correlation[..., None, :, :]
    return np.where(np.eye(se.shape[-1]) * ~present[..., None, :] > 0, np.inf, whole)


Spread = Literal["wald", "t", "HK", "mHK"]


def spread_of(method: Spread, q: FloatArray, df: FloatArray | int) -> tuple[FloatArray, FloatArray]:
    r"""By how much a method multiplies the covariance of the coefficients, and its degrees of freedom.

    "HK" multiplies it by :math:`\sum r_i' W_i r_i / (n - q)`, which with one outcome is Knapp and Hartung's factor
    and with several Jackson and Riley's [1]_; "mHK" never by less than 1. Residuals that are all zero say nothing: nan.

    Parameters
    ----------
    method : {"wald", "t", "HK", "mHK"}
    q : ndarray, shape (...)
        Weighted sum of squared residuals at the covariance between studies.
    df : ndarray or int
        Observed outcomes less coefficients, positive.

    Returns
    -------
    tuple of ndarray
        Factor and degrees of freedom, infinite for normal.

    References
    ----------
    .. [1] Jackson D, Riley RD (2014). A refined method for multivariate meta-analysis and meta-regression. Stat Med
       33:541-554.
    """
    ratio = np.asarray(q / df)
    left = np.broadcast_to(np.asarray(df, dtype=np.float64), ratio.shape)
    if method == "wald":
        return np.ones_like(ratio), np.full_like(ratio, np.inf)
    if method == "t":
        return np.ones_like(ratio), left
    if method == "HK":
        return np.where(ratio > _NOUGHT, ratio, np.nan), left
    return np.maximum(ratio, 1.0), left


def ellipse(centre: FloatArray, covariance: FloatArray, radius: float, n_points: int) -> FloatArray:
    """Points at a distance of `radius` from a centre of two, in units of their covariance, shape (n_points, 2).

    A covariance without variance in one direction gives a line; one that is nan gives nan.
    """
    if not np.isfinite(covariance).all():
        return np.full((n_points, 2), np.nan)
    values, axes = np.linalg.eigh(covariance)
    angle = np.linspace(0.0, 2.0 * np.pi, n_points)
    circle = radius * np.stack([np.cos(angle), np.sin(angle)])
    return np.asarray(centre + ((axes * np.sqrt(np.maximum(values, 0.0))) @ circle).T)


def is_singular(psi: FloatArray) -> bool:
    """Whether a covariance has a direction without variance, in whatever units the outcomes are."""
    tau = np.sqrt(np.diag(psi))
    if (tau == 0).any():
        return True
    return bool(np.linalg.eigvalsh(psi / np.multiply.outer(tau, tau))[0] < _SINGULAR)
