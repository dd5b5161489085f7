r"""Standard errors of estimators of the variance between studies, for large numbers of studies.

A moment estimator is :math:`(y'Py - c) / d`, and under normal effects with :math:`\Sigma = V + \tau^2 I`
:math:`\mathrm{var}(y'Py) = 2\,\mathrm{tr}(P \Sigma P \Sigma)`. Likelihood estimators have the inverse of their expected
information. The law of an estimate that may not fall below zero is far from normal: for an interval see
`netsynth.kernels.tau2_intervals`.
"""

from __future__ import annotations

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.regression import design_fit
from netsynth.kernels.tau2 import Tau2Method, tau2_dl


def tau2_se(
    method: Tau2Method,
    estimate: FloatArray,
    variance: FloatArray,
    tau2: FloatArray,
    design: FloatArray | None = None,
    *,
    weight: FloatArray | None = None,
) -> FloatArray:
    r"""Standard error of tau2 as estimated by a method.

    Parameters
    ----------
    method : str
        Name of the estimator. PM, EB, DLIT and SJIT are one estimator and have one standard error,
        :math:`\sqrt{2 k^2 / (k - p)} / \sum w`, which is also taken for PMM.
    estimate, variance : ndarray, shape (..., k)
    tau2 : ndarray, shape (...)
    design : ndarray, shape (..., k, p), optional
    weight : ndarray, shape (..., k), optional
        Weights of GENQ; by default 1 / se.

    Returns
    -------
    ndarray, shape (...)
        nan for CE, which estimates nothing, and where no degree of freedom is left.
    """
    if design is None:
        design = np.ones((variance.shape[-1], 1))
    present = np.isfinite(variance)
    # in units of the smallest variance, so that powers of small or large ones stay numbers
    unit = np.where(present.any(-1), variance.min(-1), 1.0)
    estimate, variance = estimate / np.sqrt(unit)[..., None], variance / unit[..., None]
    k, v = present.sum(-1), np.where(present, variance, 1.0)
    df = np.maximum(k - design.shape[-1], 1)
    total = v + (tau2 / unit)[..., None]

    def weights(by: FloatArray) -> FloatArray:
        return np.where(present, by, 0.0)

    if method == "CE":
        return np.full(k.shape, np.nan)
    if method == "ML":
        se = np.sqrt(2.0 / (weights(1.0 / total) ** 2).sum(-1))
    elif method == "REML":
        information = 0.5 * design_fit(estimate, weights(1.0 / total), design).trace_squared()
        se = np.where(information > 0, information, np.inf) ** -0.5
    elif method in ("PM", "EB", "DLIT", "SJIT", "PMM"):
        se = np.sqrt(2.0 * k * k / df) / weights(1.0 / total).sum(-1)
    else:
        slope: FloatArray | None = None  # of y'Py on tau2: the trace of P, unless the method has its own
        w = weights(1.0 / v)
        if method == "HS":
            slope = w.sum(-1)
        elif method == "HSk":
            slope = w.sum(-1) * df / k
        elif method == "HE":
            w = weights(np.ones_like(v))
        elif method == "GENQ":
            w = weights(1.0 / np.sqrt(v) if weight is None else weight / weight.max(-1, keepdims=True))
        elif method == "DL2":
            first = np.asarray(tau2_dl(estimate, variance, design).tau2)
            w = weights(1.0 / (v + first[..., None]))
        elif method == "SJ":
            centre = weights(estimate).sum(-1) / k
            crude = (weights(estimate - centre[..., None]) ** 2).sum(-1) / k
            w = weights(1.0 / (v + crude[..., None]))
            slope = df / np.where(
                crude > 0, crude, np.inf
            )  # effects that are equal have no tau2 to err about
        fit = design_fit(estimate, w, design)
        spread = np.sqrt(2.0 * _variance_of_q(fit.basis, w, total))
        slope = fit.trace() if slope is None else slope
        se = np.where(slope > 0, spread / np.where(slope > 0, slope, 1.0), np.nan)
    return np.where(k > design.shape[-1], unit * se, np.nan)


def _variance_of_q(basis: FloatArray, w: FloatArray, total: FloatArray) -> FloatArray:
    """Half the variance of y'Py, the trace of P S P S."""
    half = np.sqrt(w)
    maker = (
        half[..., :, None] * (np.eye(w.shape[-1]) - basis @ np.swapaxes(basis, -1, -2)) * half[..., None, :]
    )
    scaled = maker * total[..., None, :]
    return np.asarray((scaled * np.swapaxes(scaled, -1, -2)).sum((-2, -1)))
