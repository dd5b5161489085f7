"""How many patients stand behind each interval of a survival curve, from whatever its report prints."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netsynth._typing import FloatArray
from netsynth.kernels.survival_variance import MATURITY


def effective_numbers(
    survival: npt.ArrayLike,
    n_total: npt.ArrayLike,
    n_at_risk: npt.ArrayLike = np.nan,
    variance: npt.ArrayLike = np.nan,
    *,
    maturity: npt.ArrayLike = MATURITY,
) -> FloatArray:
    r"""Patients that, had they all been followed from the start, would tell as much about each interval.

    With N of them the Greenwood sum of an interval is :math:`(1 / S_l - 1 / S_{l-1}) / N`. A printed variance V gives
    the sums :math:`V_j / S_j^2`, whose differences are those of the stretches between. Else numbers at risk cut the
    curve into stretches that n enter and m leave, over which hazards of death and of loss are taken as constant, as in
    `netsynth.kernels.survival_variance.variance_at_risk`. After the last number at risk, n are worth
    :math:`n \sqrt p`, where the maturity p is an assumption. What is not reported is nan.

    Parameters
    ----------
    survival : array_like of float, shape (..., m)
        In order of time.
    n_total : array_like of float, shape (...)
    n_at_risk : array_like of float, shape (..., m)
        At risk just after each time.
    variance : array_like of float, shape (..., m)
        Variance of survival, as a probability.
    maturity : array_like of float, shape (..., m)
        In (0, 1].

    Returns
    -------
    ndarray, shape (..., m)
        nan where neither a variance nor a number tells.

    Examples
    --------
    >>> effective_numbers([0.7, 0.5], 100, [70, 50]).round(1).tolist()  # nobody was lost
    [100.0, 100.0]
    >>> effective_numbers([0.7, 0.5], 100, maturity=0.25).tolist()
    [50.0, 50.0]
    """
    s, n, at_risk, v, p = np.broadcast_arrays(
        *(
            np.asarray(x, dtype=np.float64)
            for x in (survival, np.asarray(n_total)[..., None], n_at_risk, variance, maturity)
        )
    )
    counted = _counted(s, n[..., 0], at_risk, p)
    found = counted.copy()
    sums = np.where((s > 0) & (s < 1), v / np.where(s > 0, s, 1.0) ** 2, np.nan)
    start, base, total = np.zeros(s.shape[:-1], dtype=np.int64), np.ones(s.shape[:-1]), np.zeros(s.shape[:-1])
    before = n[..., 0]
    order = np.arange(s.shape[-1])
    for j in order:
        known = np.isfinite(sums[..., j])
        here = np.where(known, s[..., j], 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            worth = (1.0 / here - 1.0 / base) / (sums[..., j] - total)
            # rounding may leave no variance for a stretch, or too little; no more inform it than the one before
            worth = np.where(worth > 0, np.fmin(worth, before), np.where(known, before, np.nan))
        stretch = (order >= start[..., None]) & (order <= j) & known[..., None]
        found = np.where(stretch & np.isfinite(worth)[..., None], worth[..., None], found)
        later = (order > j) & known[..., None]
        carried = np.where(np.isnan(counted), worth[..., None], np.fmin(counted, worth[..., None]))
        found = np.where(later & np.isfinite(worth)[..., None], carried, found)
        base, total = np.where(known, here, base), np.where(known, sums[..., j], total)
        start = np.where(known, j + 1, start)
        before = np.where(known & np.isfinite(worth), worth, before)
    return np.where(np.isnan(s), np.nan, found)


def _counted(s: FloatArray, n: FloatArray, at_risk: FloatArray, maturity: FloatArray) -> FloatArray:
    """The numbers from counts alone: one for each stretch between two numbers at risk."""
    order = np.arange(s.shape[-1])
    found = np.sqrt(maturity) * n[..., None]
    start, base = np.zeros(s.shape[:-1], dtype=np.int64), np.ones(s.shape[:-1])
    for j in order:
        known = np.isfinite(at_risk[..., j]) & np.isfinite(s[..., j]) & (base > 0)
        p = np.where(known, s[..., j] / np.where(base > 0, base, 1.0), 1.0)
        m = np.maximum(at_risk[..., j], 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            m_or_less = np.minimum(m, np.maximum(n * p, 1.0))
            g = -np.log(p) * (1.0 / m_or_less - 1.0 / n) / np.log(n / m_or_less)
            lost = n * m * np.log(n / m) / (n - m)  # the limit when no one dies
            worth = np.where(p < 1, (1.0 - p) / (p * g), lost)
            worth = np.where((p <= 0) | (m >= n) | (m_or_less >= n), n, worth)
            worth = np.where(np.isnan(n), np.where(p > 0, m / p, np.nan), worth)
        stretch = (order >= start[..., None]) & (order <= j) & known[..., None]
        found = np.where(stretch, (worth / np.where(base > 0, base, 1.0))[..., None], found)
        n, base = np.where(known, m, n), np.where(known, s[..., j], base)
        with np.errstate(divide="ignore", invalid="ignore"):
            after = np.sqrt(maturity) * (n / base)[..., None]
        found = np.where((order > j) & known[..., None], np.where(base[..., None] > 0, after, np.nan), found)
        start = np.where(known, j + 1, start)
    return found
