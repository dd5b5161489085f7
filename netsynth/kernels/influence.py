r"""What each study does to the pooled result: residuals, deletion diagnostics, shrunken effects.

The model is :math:`y_i \sim N(\mu, v_i + \tau^2)` with one mean. :math:`\hat\mu_{(i)}` and
:math:`\hat\tau^2_{(i)}` are fitted without study i. `estimate` and `variance` have shape (..., k) and `tau2`
shape (...); results have shape (..., k). A study that a ragged set lacks has infinite variance; what is said
of it has no meaning.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import chdtri

from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels.heterogeneity import weighted_mean
from netsynth.kernels.intervals import MeanErrorMethod
from netsynth.kernels.subsets import all_but_one, fit_sets, of_members
from netsynth.kernels.tau2 import Tau2Estimator


class Influence(NamedTuple):
    """Diagnostics of each study, arrays of shape (..., k); the formulas stand in `influence`."""

    hat: FloatArray
    residual: FloatArray
    residual_se: FloatArray
    deleted_residual: FloatArray
    deleted_residual_se: FloatArray
    dffits: FloatArray
    dfbetas: FloatArray
    cook_distance: FloatArray
    cov_ratio: FloatArray
    estimate_deleted: FloatArray
    tau2_deleted: FloatArray
    q_deleted: FloatArray
    baujat_q: FloatArray
    baujat_influence: FloatArray
    converged: BoolArray


class Shrunken(NamedTuple):
    """Shrunken effect of each study and its standard error, arrays of shape (..., k)."""

    estimate: FloatArray
    se: FloatArray


class Thresholds(NamedTuple):
    """Values beyond which a study counts as influential, one a diagnostic."""

    dffits: float
    cook_distance: float
    hat: float
    dfbetas: float


def thresholds(k: int) -> Thresholds:
    r"""The usual limits for k studies and one mean [1]_.

    :math:`3 / \sqrt{k - 1}` for DFFITS, the median of chi-squared on one degree of freedom for Cook's
    distance, :math:`3 / k` for the weight and 1 for DFBETAS.

    References
    ----------
    .. [1] Viechtbauer W, Cheung MW-L (2010). Outlier and influence diagnostics for meta-analysis. Res
       Synth Methods 1:112-125. https://doi.org/10.1002/jrsm.11
    """
    return Thresholds(3.0 / np.sqrt(k - 1.0), float(chdtri(1.0, 0.5)), 3.0 / k, 1.0)


def influence(
    estimate: FloatArray,
    variance: FloatArray,
    tau2: FloatArray,
    estimator: Tau2Estimator,
    error: MeanErrorMethod,
) -> Influence:
    r"""Diagnostics of each study by leaving it out [1]_.

    With :math:`w_i = 1 / (v_i + \hat\tau^2)`, :math:`h_i = w_i / \sum w`, the variance :math:`V` of
    :math:`\hat\mu` by `error`, :math:`V_{(i)}` and the factor :math:`s_{(i)}` that `error` applies to
    :math:`1 / \sum w` likewise without study i, and :math:`d_i = \hat\mu - \hat\mu_{(i)}`:

    ==================== =================================================================================
    residual             :math:`y_i - \hat\mu`, of variance :math:`(1 - h_i) / w_i`
    deleted residual     :math:`y_i - \hat\mu_{(i)}`, of variance
                         :math:`s_{(i)} (v_i + \hat\tau^2_{(i)}) + V_{(i)}`
    DFFITS               :math:`d_i / \sqrt{s_{(i)} h_i (v_i + \hat\tau^2_{(i)})}`
    DFBETAS              :math:`d_i / \sqrt{s_{(i)} / \sum_j 1 / (v_j + \hat\tau^2_{(i)})}`, over all j
    Cook's distance      :math:`d_i^2 / V`
    covariance ratio     :math:`V_{(i)} / V`
    Baujat's axes        :math:`w_i (y_i - \hat\mu)^2` and :math:`d_i^2 / V_{(i)}`
    ==================== =================================================================================

    The last two are those of Baujat's plot [2]_.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    tau2 : ndarray, shape (...)
        Of all studies.
    estimator : Tau2Estimator
        By which `tau2` was found.
    error : MeanErrorMethod
        Of the mean, see `CI_METHODS`.

    Returns
    -------
    Influence
        With two studies no tau2 is left without one of them, and what needs it is nan.

    References
    ----------
    .. [1] Viechtbauer W, Cheung MW-L (2010). Outlier and influence diagnostics for meta-analysis. Res
       Synth Methods 1:112-125. https://doi.org/10.1002/jrsm.11
    .. [2] Baujat B, Mahé C, Pignon J-P, Hill C (2002). A graphical method for exploring heterogeneity in
       meta-analyses: application to a meta-analysis of 65 trials. Stat Med 21:2641-2652.
       https://doi.org/10.1002/sim.1221
    """
    total = variance + np.asarray(tau2)[..., None]
    mean = weighted_mean(estimate, total)
    centre, spread = mean.mean[..., None], error(estimate, variance, np.asarray(tau2)).se[..., None] ** 2
    hat = mean.variance[..., None] / total
    members = all_but_one(variance.shape[-1])
    # from the mean of the others at the same tau2, for a study that rules leaves no digits in y - mu and 1 - h
    others = weighted_mean(estimate[..., None, :], of_members(total, members))
    rest = mean.variance[..., None] / others.variance
    residual = rest * (estimate - others.mean)

    sets = of_members(variance, members)
    without = fit_sets(estimate[..., None, :], sets, estimator, error)
    shift, deleted = centre - without.estimate, estimate - without.estimate
    tau2_deleted, spread_deleted = without.tau2, without.se**2
    here = variance + tau2_deleted
    with np.errstate(invalid="ignore"):  # nan where one study is left
        factor = (
            spread_deleted / weighted_mean(estimate[..., None, :], sets + tau2_deleted[..., None]).variance
        )
        every = 1.0 / (1.0 / (variance[..., None, :] + tau2_deleted[..., None])).sum(-1)
    return Influence(
        hat=hat,
        residual=residual,
        residual_se=np.sqrt(total * rest),
        deleted_residual=deleted,
        deleted_residual_se=np.sqrt(factor * here + spread_deleted),
        dffits=shift / np.sqrt(factor * hat * here),
        dfbetas=shift / np.sqrt(factor * every),
        cook_distance=shift**2 / spread,
        cov_ratio=spread_deleted / spread,
        estimate_deleted=without.estimate,
        tau2_deleted=tau2_deleted,
        q_deleted=without.q,
        baujat_q=residual**2 / total,
        baujat_influence=shift**2 / spread_deleted,
        converged=without.converged,
    )


def shrunken(
    estimate: FloatArray, variance: FloatArray, tau2: FloatArray, error: MeanErrorMethod
) -> Shrunken:
    r"""Best linear unbiased prediction of the true effect of each study.

    :math:`\lambda_i y_i + (1 - \lambda_i) \hat\mu` with :math:`\lambda_i = \hat\tau^2 / (v_i + \hat\tau^2)`,
    of variance :math:`\lambda_i v_i + (1 - \lambda_i)^2 V`, :math:`V` being that of :math:`\hat\mu` by
    `error` [1]_. The uncertainty of :math:`\hat\tau^2` is ignored.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    tau2 : ndarray, shape (...)
    error : MeanErrorMethod

    Returns
    -------
    Shrunken

    References
    ----------
    .. [1] Raudenbush SW, Bryk AS (1985). Empirical Bayes meta-analysis. J Educ Stat 10:75-98.
       https://doi.org/10.3102/10769986010002075
    """
    between = np.asarray(tau2)[..., None]
    found = error(estimate, variance, np.asarray(tau2))
    centre, spread = found.mean[..., None], found.se[..., None] ** 2
    own = between / (variance + between)
    return Shrunken(centre + own * (estimate - centre), np.sqrt(own * variance + (1.0 - own) ** 2 * spread))
