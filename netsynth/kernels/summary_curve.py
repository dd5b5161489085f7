r"""The distribution-free summary of survival curves: conditional survivals pooled, and multiplied up.

Studies are on the last axis but one and times on the last: `survival` and `n_at_start` have shape (..., k, m), with any
number of leading axes for sets of studies. A study takes part up to the first time at which its survival is nan. What a
set cannot tell, such as a time that no study of it reaches, is nan.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray

_RIGHT: Final = 0.5 * np.pi  # the arcsine of a conditional survival of 1


class Conditional(NamedTuple):
    """Conditional survivals as arcsines of their square roots, with their variances, both (..., k, m).

    `present` marks the intervals a study has; elsewhere the arcsine is 0 and the variance infinite.
    """

    arcsine: FloatArray
    variance: FloatArray
    present: BoolArray


class SummaryCurve(NamedTuple):
    """A summary curve for each set of studies.

    `arcsine` (..., m) and its `arcsine_covariance` (..., m, m) are the pooled conditional survivals; `psi` (..., m,
    m) is the covariance of the studies' true ones. `log_survival` (..., m) with `covariance` (..., m, m) is the
    curve, `between` (..., m, m) the covariance of the studies' own true log survival around it, nan from the first
    time with fewer than two studies. `q` is on `df` degrees of freedom, points less times; `df_studies` is points
    less studies. `k` (..., m) counts studies at each time.
    """

    arcsine: FloatArray
    arcsine_covariance: FloatArray
    psi: FloatArray
    log_survival: FloatArray
    covariance: FloatArray
    between: FloatArray
    q: FloatArray
    df: IntArray
    df_studies: IntArray
    k: IntArray


def conditional_arcsine(
    survival: FloatArray, n_at_start: FloatArray, *, corrected: bool = True
) -> Conditional:
    r"""Conditional survivals on the scale on which their variance hardly depends on them.

    With :math:`p_{ij} = S_{ij} / S_{i,j-1}`,

    .. math:: y = \arcsin \sqrt{\frac{n p + 1/4}{n + 1/2}}, \qquad v = \frac{1}{4 (n + 1/2)},

    so that an interval in which nobody or everybody dies has a place too. Without the correction
    :math:`y = \arcsin \sqrt p` and :math:`v = 1 / (4 n)`.

    Parameters
    ----------
    survival : ndarray, shape (..., k, m)
        Survival at the times, nan after the end of a study.
    n_at_start : ndarray, shape (..., k, m)
        Patients at risk at the start of the interval that ends at the time, above 0 where survival is known.
    corrected : bool
        Whether to add the quarters of a patient.

    Examples
    --------
    >>> found = conditional_arcsine(np.array([[0.8, 0.6]]), np.array([[50.0, 40.0]]))
    >>> np.sin(found.arcsine).round(3).tolist(), found.variance.round(5).tolist()
    ([[0.893, 0.864]], [[0.00495, 0.00617]])
    """
    before = np.concatenate([np.ones_like(survival[..., :1]), survival[..., :-1]], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):  # where a study is over, or everybody has died
        p = np.minimum(survival / before, 1.0)  # a rise within rounding
    present = np.logical_and.accumulate(np.isfinite(p), axis=-1)
    n = np.where(present, n_at_start, 1.0)
    p = np.where(present, p, 0.0)
    share, weight = ((n * p + 0.25) / (n + 0.5), n + 0.5) if corrected else (p, n)
    return Conditional(
        np.where(present, np.arcsin(np.sqrt(share)), 0.0),
        np.where(present, 0.25 / weight, np.inf),
        present,
    )


def between_studies(data: Conditional) -> FloatArray:
    r"""Covariance of the studies' true arcsines by the multivariate method of DerSimonian and Laird.

    For times a and b, over the studies that have both, with :math:`w_i = (v_{ia} v_{ib})^{-1/2}`,

    .. math:: \Psi_{ab} = \frac{\sum w_i (y_{ia} - \bar y_a)(y_{ib} - \bar y_b) - [a = b](k_a - 1)}
        {\sum w_i - \sum w_i^2 / \sum w_i}.

    Negative eigenvalues are set to 0. Where fewer than two studies have both times the entry is 0.

    Returns
    -------
    ndarray, shape (..., m, m)
    """
    root = np.where(data.present, 1.0 / np.sqrt(data.variance), 0.0)
    k = data.present.sum(axis=-2)
    weight = root**2
    total = weight.sum(axis=-2, keepdims=True)
    mean = (weight * data.arcsine).sum(axis=-2, keepdims=True) / np.where(total > 0, total, 1.0)
    y = root * (data.arcsine - mean)  # centred, so that little is lost in the differences below
    turned = root.swapaxes(-1, -2)
    w = turned @ root
    shift = (
        y.swapaxes(-1, -2) @ root
    )  # entry (a, b): weighted sum of the arcsines at a, of studies that have b too
    with np.errstate(divide="ignore", invalid="ignore"):  # no study has both
        spread = y.swapaxes(-1, -2) @ y - shift * shift.swapaxes(-1, -2) / w
        scale = w - (turned**2 @ root**2) / w
    both = data.present.swapaxes(-1, -2).astype(np.float64) @ data.present
    excess = spread - np.eye(y.shape[-1]) * (k[..., None, :] - 1)
    psi = np.where(both > 1, excess / np.where(both > 1, scale, 1.0), 0.0)
    value, vector = np.linalg.eigh(0.5 * (psi + psi.swapaxes(-1, -2)))
    return np.asarray((vector * np.maximum(value, 0.0)[..., None, :]) @ vector.swapaxes(-1, -2))


def log_survival(arcsine: FloatArray) -> tuple[FloatArray, FloatArray]:
    r"""Cumulated log survival :math:`\sum_{l \le j} 2 \ln \sin \beta_l`, (..., m), and the matrix of its slopes.

    The slope of entry j in :math:`\beta_l`, :math:`l \le j`, is :math:`2 \cot \beta_l`: a covariance of arcsines
    between two such matrices is one of log survivals. An arcsine outside of 0 to :math:`\pi / 2`, which generalised
    least squares can give, is held at the end.
    """
    angle = np.clip(arcsine, 0.0, _RIGHT)
    with np.errstate(divide="ignore"):  # a conditional survival of 0
        log = 2.0 * np.log(np.sin(angle))
        slope = 2.0 * np.cos(angle) / np.sin(angle)
    below = np.tri(arcsine.shape[-1], dtype=bool)
    return np.cumsum(log, axis=-1), np.where(below, slope[..., None, :], 0.0)


def summary_curve(
    survival: FloatArray,
    n_at_start: FloatArray,
    *,
    random: bool = True,
    corrected: bool = True,
    psi: FloatArray | None = None,
) -> SummaryCurve:
    r"""Summary survival curve of each set of studies, by the method of Combescure and others [1]_.

    The conditional survivals of all intervals are pooled together by generalised least squares, each study with the
    covariance :math:`\Psi + \mathrm{diag}(v_i)` of the intervals it has, and

    .. math:: \hat S_j = \prod_{l \le j} \sin^2 \hat\beta_l.

    Parameters
    ----------
    survival, n_at_start : ndarray, shape (..., k, m)
        As for `conditional_arcsine`.
    random : bool
        Whether studies may truly differ; else :math:`\Psi = 0`.
    corrected : bool
        As for `conditional_arcsine`.
    psi : ndarray, shape (..., m, m), optional
        A covariance between studies to use in place of the estimate of `between_studies`.

    Returns
    -------
    SummaryCurve

    References
    ----------
    .. [1] Combescure C, Foucher Y, Jackson D (2014). Meta-analysis of single-arm survival studies: a distribution-free
       approach for estimating summary survival curves with random effects. Stat Med 33:2521-2537.
       https://doi.org/10.1002/sim.6111

    Examples
    --------
    >>> survival = np.array([[0.80, 0.60], [0.70, 0.45], [0.90, np.nan]])
    >>> found = summary_curve(survival, np.array([[50.0, 40.0], [80.0, 55.0], [30.0, np.nan]]))
    >>> np.exp(found.log_survival).round(3).tolist(), found.k.tolist()
    ([0.793, 0.564], [3, 2])
    """
    data = conditional_arcsine(survival, n_at_start, corrected=corrected)
    k, m = data.present.sum(axis=-2), survival.shape[-1]
    if psi is None:
        psi = between_studies(data) if random else np.zeros((*k.shape, m))
    known = (k > 0)[..., None, :] & (k > 0)[..., :, None]

    common = np.where(data.present, 1.0 / data.variance, 0.0)
    total = np.where(k > 0, common.sum(axis=-2), np.nan)
    common_mean = (common * data.arcsine).sum(axis=-2) / total
    residual = np.where(data.present, data.arcsine - common_mean[..., None, :], 0.0)
    q = (common * residual**2).sum(axis=(-1, -2))

    if random:
        beta, covariance = _generalised(data, psi)
        beta, covariance = np.where(k > 0, beta, np.nan), np.where(known, covariance, np.nan)
    else:
        beta = common_mean
        covariance = np.where(known, np.eye(m) / np.where(k > 0, total, 1.0)[..., None, :], np.nan)
    log, slope = log_survival(beta)
    turned = slope.swapaxes(-1, -2)
    enough = k > 1
    told = enough[..., None, :] & enough[..., :, None]
    n_points = k.sum(axis=-1)
    return SummaryCurve(
        arcsine=beta,
        arcsine_covariance=covariance,
        psi=psi,
        log_survival=log,
        covariance=slope @ covariance @ turned,
        between=np.where(told, slope @ psi @ turned, np.nan),
        q=q,
        df=n_points - (k > 0).sum(axis=-1),
        df_studies=n_points - data.present[..., 0].sum(axis=-1),
        k=k,
    )


def _generalised(data: Conditional, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Generalised least squares of the arcsines: coefficients (..., m) and covariance (..., m, m)."""
    present, m = data.present, psi.shape[-1]
    both = present[..., :, None] & present[..., None, :]
    own = np.where(present, data.variance, 1.0)[..., None] * np.eye(m)
    weight = np.where(both, np.linalg.inv(np.where(both, psi[..., None, :, :], 0.0) + own), 0.0)
    nowhere = np.asarray(~present.any(axis=-2))  # a time without a study, which is nan in the end
    covariance = np.linalg.inv(weight.sum(axis=-3) + nowhere[..., None] * np.eye(m))
    right = (weight @ data.arcsine[..., None]).sum(axis=-3)
    return (covariance @ right)[..., 0], 0.5 * (covariance + covariance.swapaxes(-1, -2))
