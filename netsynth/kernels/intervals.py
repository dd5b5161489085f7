r"""Intervals under random effects: for the mean, for tau2, and for the effect of a new study.

`estimate` and `variance` have shape (..., k) and `tau2` shape (...), as in `netsynth.kernels.heterogeneity`;
results have shape (...). A study that a ragged set lacks has infinite variance. What is not defined for so
few studies is nan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import gammainccinv, gammaincinv, stdtr, stdtrit

from netsynth._typing import FloatArray
from netsynth.kernels.heterogeneity import Mean, n_studies, q_statistic, tau2_at_q, weighted_mean


class Limits(NamedTuple):
    """Lower and upper limits, arrays of one shape."""

    lower: FloatArray
    upper: FloatArray


class MeanError(NamedTuple):
    """Standard error of the mean and the degrees of freedom of its t distribution, infinite for normal."""

    se: FloatArray
    df: FloatArray


MeanErrorMethod: TypeAlias = Callable[[FloatArray, FloatArray, FloatArray], MeanError]
PredictionLimits: TypeAlias = Callable[[FloatArray, FloatArray, FloatArray, float], Limits]


def critical_value(df: FloatArray | float, level: float) -> FloatArray:
    """Two-sided critical value of t on `df` degrees of freedom, normal at infinity; nan where df <= 0."""
    return np.asarray(-stdtrit(df, 0.5 * (1.0 - level)))


def limits(centre: FloatArray, se: FloatArray, df: FloatArray | float, level: float) -> Limits:
    """Symmetric limits, centre -+ critical value x se."""
    half = critical_value(df, level) * se
    return Limits(centre - half, centre + half)


def two_sided_pvalue(statistic: FloatArray, df: FloatArray | float) -> FloatArray:
    """P-value of a t statistic, normal at infinite df; from the tail, so never rounded to zero early."""
    return np.asarray(2.0 * stdtr(df, -np.abs(statistic)))


def _mean(estimate: FloatArray, variance: FloatArray, tau2: FloatArray) -> Mean:
    return weighted_mean(estimate, variance + np.asarray(tau2)[..., None])


def _df(variance: FloatArray, spent: int) -> FloatArray:
    return np.asarray(n_studies(variance) - spent, dtype=np.float64)


def wald(estimate: FloatArray, variance: FloatArray, tau2: FloatArray, /) -> MeanError:
    r"""Normal with :math:`\mathrm{se} = (\sum w_i)^{-1/2}`, :math:`w_i = 1 / (v_i + \tau^2)`."""
    mean = _mean(estimate, variance, tau2)
    return MeanError(np.sqrt(mean.variance), np.full(mean.mean.shape, np.inf))


def student(estimate: FloatArray, variance: FloatArray, tau2: FloatArray, /) -> MeanError:
    """The standard error of `wald` with t on k - 1 degrees of freedom."""
    return MeanError(wald(estimate, variance, tau2).se, _df(variance, 1))


def _spread(estimate: FloatArray, variance: FloatArray, tau2: FloatArray) -> FloatArray:
    """Knapp and Hartung's q: the generalised Q over its k - 1 degrees of freedom; nan when k = 1."""
    df = _df(variance, 1)
    q = q_statistic(estimate, variance + np.asarray(tau2)[..., None])
    return np.where(df > 0, q / np.maximum(df, 1.0), np.nan)


def knapp_hartung(estimate: FloatArray, variance: FloatArray, tau2: FloatArray, /) -> MeanError:
    r"""Knapp-Hartung: :math:`\mathrm{se}^2 = q / \sum w_i`, :math:`q = \sum w_i (y_i - \hat\mu)^2 / (k - 1)`.

    t on k - 1 degrees of freedom [1]_. Identical effects give q = 0, from which nothing can be said
    about the error of their mean: the standard error is then nan.

    References
    ----------
    .. [1] Knapp G, Hartung J (2003). Improved tests for a random effects meta-regression with a single
       covariate. Stat Med 22:2693-2710. https://doi.org/10.1002/sim.1482
    """
    spread = _spread(estimate, variance, tau2)
    scale = np.sqrt(np.where(spread > 0, spread, np.nan))
    return MeanError(wald(estimate, variance, tau2).se * scale, _df(variance, 1))


def modified_knapp_hartung(estimate: FloatArray, variance: FloatArray, tau2: FloatArray, /) -> MeanError:
    """Knapp-Hartung with max(1, q) for q, so never below the standard error of `wald` [1]_.

    References
    ----------
    .. [1] Röver C, Knapp G, Friede T (2015). Hartung-Knapp-Sidik-Jonkman approach and its modification
       for random-effects meta-analysis with few studies. BMC Med Res Methodol 15:99.
       https://doi.org/10.1186/s12874-015-0091-1
    """
    scale = np.sqrt(np.maximum(_spread(estimate, variance, tau2), 1.0))
    return MeanError(wald(estimate, variance, tau2).se * scale, _df(variance, 1))


CiMethod = Literal["wald", "t", "HK", "mHK"]
#: Every interval for the mean by name.
CI_METHODS: Final[Mapping[CiMethod, MeanErrorMethod]] = MappingProxyType(
    {"wald": wald, "t": student, "HK": knapp_hartung, "mHK": modified_knapp_hartung}
)


def q_profile(estimate: FloatArray, variance: FloatArray, level: float) -> Limits:
    r"""Q-profile interval for tau2: the values at which the generalised Q is not improbable.

    The limits solve :math:`Q(\tau^2) = \chi^2_{k-1, 1 - \alpha/2}` and
    :math:`Q(\tau^2) = \chi^2_{k-1, \alpha/2}` [1]_. When even Q(0) lies below the lower quantile no
    tau2 >= 0 qualifies; the interval is then [0, 0]. nan when k = 1.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    level : float

    Returns
    -------
    Limits
        Arrays of shape (...).

    References
    ----------
    .. [1] Viechtbauer W (2007). Confidence intervals for the amount of heterogeneity in meta-analysis.
       Stat Med 26:37-52. https://doi.org/10.1002/sim.2514
    """
    df = _df(variance, 1)
    half, tail = np.where(df > 0, 0.5 * df, np.nan), 0.5 * (1.0 - level)
    targets = 2.0 * np.stack([gammainccinv(half, tail), gammaincinv(half, tail)])
    tau2 = tau2_at_q(estimate, variance, np.where(df > 0, targets, np.inf)).tau2
    lower, upper = np.where(df > 0, tau2, np.nan)
    return Limits(lower, upper)


def predict(
    estimate: FloatArray,
    variance: FloatArray,
    tau2: FloatArray,
    level: float,
    /,
    *,
    error: MeanErrorMethod,
    spent: int | None,
) -> Limits:
    r"""Limits for the effect of a new study, :math:`\hat\mu \mp t \sqrt{\tau^2 + \mathrm{se}^2}`.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    tau2 : ndarray, shape (...)
    level : float
    error : MeanErrorMethod
        Which standard error of the mean.
    spent : int or None
        t has k - spent degrees of freedom and the limits are nan when none are left; None for normal.

    Returns
    -------
    Limits
        Arrays of shape (...).
    """
    df = np.inf if spent is None else _df(variance, spent)
    se = error(estimate, variance, tau2).se
    return limits(_mean(estimate, variance, tau2).mean, np.sqrt(tau2 + se**2), df, level)


PredictionMethod = Literal["normal", "t_km1", "t_km2", "HK_km1", "HK_km2"]
#: Every prediction interval by name. t_km2 is Higgins, Thompson and Spiegelhalter's (2009),
#: https://doi.org/10.1111/j.1467-985X.2008.00552.x; HK_km2 is Partlett and Riley's (2017),
#: https://doi.org/10.1002/sim.7140.
PREDICTION_METHODS: Final[Mapping[PredictionMethod, PredictionLimits]] = MappingProxyType(
    {
        "normal": partial(predict, error=wald, spent=None),
        "t_km1": partial(predict, error=wald, spent=1),
        "t_km2": partial(predict, error=wald, spent=2),
        "HK_km1": partial(predict, error=knapp_hartung, spent=1),
        "HK_km2": partial(predict, error=knapp_hartung, spent=2),
    }
)
