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


def quadratic_form_cdf(value: FloatArray | float, eigenvalue: FloatArray) -> FloatArray:
    r"""Probability that :math:`\sum_j \lambda_j \chi^2_1` does not exceed a value, to about 1e-9.

    The transform :math:`\prod_j (1 + 2 \lambda_j s)^{-1/2} / s` is inverted by the trapezoidal rule on a
    parabola round its singularities, which all lie on the negative axis [1]_.

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
    value = np.asarray(value, dtype=np.float64)
    positive = value > 0
    step = 3.0 / _POINTS
    theta = step * (np.arange(_POINTS) + 0.5)  # the other half of the parabola is the mirror image
    vertex = np.pi * _POINTS / 12.0
    s = vertex * (1.0 + 1j * theta) ** 2
    slope = 2j * vertex * (1.0 + 1j * theta)
    scaled = eigenvalue / np.where(positive, value, 1.0)[..., None]
    # a sum of logarithms, since many factors that are large would overflow together
    transform = np.exp(-0.5 * np.log(1.0 + 2.0 * scaled[..., None, :] * s[:, None]).sum(-1))
    inverse = (np.exp(s) * slope / s * transform).sum(-1) * step / np.pi
    return np.where(positive, np.clip(inverse.imag, 0.0, 1.0), 0.0)
