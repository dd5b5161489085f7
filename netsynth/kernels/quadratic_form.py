r"""The law of Cochran's Q when studies differ: a sum of chi-squared variables with unequal weights.

Q is :math:`y'Py`, so under normal effects it is distributed as :math:`\sum_j \lambda_j \chi^2_1`, the
:math:`\lambda_j` being the eigenvalues of :math:`\Sigma^{1/2} P \Sigma^{1/2}`, :math:`\Sigma = V + \tau^2 I`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from netsynth._typing import FloatArray

#: Points of the contour. The error falls as 8^-N: at 24 it is below that of the arithmetic.
_POINTS: Final = 24
#: Weights, in units of the value, that are small, and the sum of such beyond which another contour is used.
_SMALL: Final = 0.03
_CONSTANT: Final = 0.5
_NEGLIGIBLE: Final = 38.0  # the logarithm of what is below rounding
_NEWTON: Final = 40
_CHUNK: Final = 1 << 20  # numbers in one temporary array


def quadratic_form_cdf(value: FloatArray | float, eigenvalue: FloatArray) -> FloatArray:
    r"""Probability that :math:`\sum_j \lambda_j \chi^2_1` does not exceed a value, to about 1e-11.

    The transform :math:`\prod_j (1 + 2 \lambda_j s)^{-1/2} / s` is inverted by the trapezoidal rule on a
    parabola round its singularities, which all lie on the negative axis [1]_; where a sum of many small weights makes
    up a good part of the value, on the line through the saddle point.

    Parameters
    ----------
    value : float or ndarray, broadcast against (...)
    eigenvalue : ndarray, shape (..., m)
        Not negative; zeros count for nothing.

    Returns
    -------
    ndarray, shape (...)
        0 where the value is not positive.

    References
    ----------
    .. [1] Weideman JAC, Trefethen LN (2007). Parabolic and hyperbolic contours for computing the Bromwich
       integral. Math Comput 76:1341-1356. https://doi.org/10.1090/S0025-5718-07-01945-X

    Examples
    --------
    >>> round(float(quadratic_form_cdf(3.841458820694124, np.array([1.0]))), 6)
    0.95
    """
    value, eigenvalue = np.asarray(value, dtype=np.float64), np.asarray(eigenvalue, dtype=np.float64)
    positive = value > 0
    scaled = eigenvalue / np.where(positive, value, 1.0)[..., None]
    rows = scaled.reshape(-1, scaled.shape[-1])
    # many small weights together are nearly a constant: take it off the value and little may be left, for which the
    # parabola is not made
    many = np.where(rows < _SMALL, rows, 0.0).sum(-1) > _CONSTANT
    found = np.empty(len(rows))
    found[~many], found[many] = _by_parabola(rows[~many]), _by_line(rows[many])
    return np.where(positive, np.clip(found, 0.0, 1.0).reshape(scaled.shape[:-1]), 0.0)


def _by_parabola(weight: FloatArray) -> FloatArray:
    """Probability that the sum does not exceed 1."""
    step = 3.0 / _POINTS
    theta = step * (np.arange(_POINTS) + 0.5)  # the other half of the parabola is the mirror image
    vertex = np.pi * _POINTS / 12.0
    s = vertex * (1.0 + 1j * theta) ** 2
    slope = 2j * vertex * (1.0 + 1j * theta)
    # a sum of logarithms, since many factors that are large would overflow together
    transform = np.exp(-0.5 * np.log(1.0 + 2.0 * weight[:, None, :] * s[:, None]).sum(-1))
    return np.asarray(((np.exp(s) * slope / s * transform).sum(-1) * step / np.pi).imag)


def _by_line(weight: FloatArray) -> FloatArray:
    """The same where there are many weights, so that the transform falls fast along the line through its saddle."""
    if weight.size == 0:
        return np.empty(len(weight))
    saddle = np.ones(len(weight))
    for _ in range(_NEWTON):  # from below, on a function that rises and bends down
        share = weight / (1.0 + 2.0 * weight * saddle[:, None])
        slope = 2.0 * (share * share).sum(-1) + 1.0 / saddle**2
        rise = (share.sum(-1) + 1.0 / saddle - 1.0) / slope
        saddle = saddle + rise
        if np.all(rise < 0.1 * saddle):
            break
    share = weight / (1.0 + 2.0 * weight * saddle[:, None])
    # the pole at 0 is as far away as the saddle, and the sum is wrong by exp(-2 pi distance / step)
    step = 2.0 * np.pi * saddle / _NEGLIGIBLE
    end = np.sqrt(_NEGLIGIBLE / (share * share).sum(-1))
    while True:
        short = 0.25 * np.log1p((2.0 * share * end[:, None]) ** 2).sum(-1) < _NEGLIGIBLE
        if not short.any():
            break
        end = np.where(short, 1.25 * end, end)
    n_nodes = np.ceil(end / step)
    found = np.empty(len(weight))
    for size in np.unique(np.ceil(np.log2(n_nodes))):  # few rows need many nodes: not for all
        those = np.flatnonzero(np.ceil(np.log2(n_nodes)) == size)
        found[those] = _along_line(weight[those], saddle[those], step[those], int(n_nodes[those].max()))
    return found


def _along_line(weight: FloatArray, saddle: FloatArray, step: FloatArray, n_nodes: int) -> FloatArray:
    """The trapezoidal rule of `_by_line`, the nodes in blocks that fit into memory."""
    block = max(1, _CHUNK // weight.size)
    total = np.zeros(len(weight))
    for first in range(0, n_nodes, block):
        t = step[:, None] * (np.arange(first, min(first + block, n_nodes)) + 0.5)
        s = saddle[:, None] + 1j * t
        logarithm = s - 0.5 * np.log(1.0 + 2.0 * weight[:, None, :] * s[..., None]).sum(-1)
        total += (np.exp(logarithm) / s).real.sum(-1)
    return np.asarray(total * step / np.pi)
