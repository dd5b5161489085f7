"""Pool study effects under the common-effect or the random-effects model."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from netsynth import _validate
from netsynth._typing import FloatArray
from netsynth.errors import (
    Caution,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    caution,
)
from netsynth.kernels.heterogeneity import q_statistic
from netsynth.kernels.intervals import (
    CI_METHODS,
    PREDICTION_METHODS,
    CiMethod,
    MeanError,
    PredictionMethod,
    critical_value,
)
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Estimator, Tau2Method, genq
from netsynth.results.pooled import PooledEffect

__all__ = ["pool_effects"]

#: Beyond these, which no data reach, powers of effects and weights overflow or vanish.
_SMALLEST, _LARGEST, _WIDEST_RATIO = 1e-150, 1e150, 1e50
_USER = 4  # frames from `caution` up to the caller of the verb: caution, _doubts, the verb, its caller


def pool_effects(
    estimate: npt.ArrayLike,
    *,
    se: npt.ArrayLike,
    measure: EffectMeasure = "generic",
    tau2_method: Tau2Method | Tau2Estimator = "REML",
    ci_method: CiMethod = "mHK",
    prediction_method: PredictionMethod = "t_km2",
    weight: npt.ArrayLike | None = None,
    study: Iterable[str] | None = None,
) -> PooledEffect:
    r"""Pool study effects under the random-effects model.

    Parameters
    ----------
    estimate : array_like of float, shape (k,)
        One effect per study on the scale of `measure`. One study is handed back as it is.
    se : array_like of float, shape (k,)
        Standard errors on the same scale, all positive.
    measure : str
        Scale of `estimate`: "log_hr", "logit_proportion", "log_proportion", "arcsine_proportion",
        "logit_survival", "log_survival", "cloglog_survival", "arcsine_survival", or "generic". Text shows
        it back-transformed; attributes are on the scale unless called natural.
    tau2_method : str or callable
        Estimator of the between-study variance, a `Tau2Estimator` or a name: "REML", "ML", "PM" (also as "EB",
        "DLIT", "SJIT"), "PMM", "DL", "DL2", "HE", "HS", "HSk", "SJ", "GENQ", or "CE" for the common-effect model,
        tau2 = 0.
    ci_method : {"wald", "t", "HK", "mHK", "KR"}
        Interval for the mean: normal, t on k - 1 degrees of freedom, Knapp-Hartung, its modification
        that is never narrower than "t", or Kenward-Roger, which needs REML.
    prediction_method : str
        Convention of the prediction interval: "normal", "t_km1" or "t_km2" for a normal law or t on k - 1 or k - 2
        degrees of freedom with the Wald variance of the mean, "HK_km1", "HK_km2", "mHK_km1", "mHK_km2" with the
        Knapp-Hartung variance, "KR", or "bootstrap" after Nagashima.
    weight : array_like of float, shape (k,), optional
        Positive weights of your own for the mean, ones for an unweighted mean, in place of 1 / (v + tau2). "GENQ"
        uses them for tau2 too.
    study : iterable of str, optional
        Labels, so that complaints and tables name the study.

    Returns
    -------
    PooledEffect
        Frozen. Ask it for intervals at any level, frames, or a plot.

    Raises
    ------
    InvalidInputError
        If lengths differ, a value is not finite, a standard error or a weight is not positive or beyond comparison
        with the others, a name is unknown, a callable returns no tau2, or KR is asked for without REML.
    ConvergenceError
        If an iterative estimator does not arrive; the last value is in ``.last``.

    Warns
    -----
    FewStudiesWarning
        One study is not pooled; two studies say next to nothing about heterogeneity.
    NarrowIntervalWarning
        The Knapp-Hartung interval is narrower than the common-effect one, or undefined because all
        effects are equal.

    Notes
    -----
    The model is :math:`y_i \sim N(\mu, v_i + \tau^2)` [1]_. With :math:`w_i = 1 / (v_i + \hat\tau^2)`,
    :math:`\hat\mu = \sum w_i y_i / \sum w_i`. The default interval for :math:`\mu` is Knapp and Hartung's as modified
    by Röver, Knapp and Friede [2]_, the default prediction interval that of Higgins, Thompson and Spiegelhalter [3]_.

    References
    ----------
    .. [1] DerSimonian R, Laird N (1986). Meta-analysis in clinical trials. Control Clin Trials
       7:177-188. https://doi.org/10.1016/0197-2456(86)90046-2
    .. [2] Röver C, Knapp G, Friede T (2015). Hartung-Knapp-Sidik-Jonkman approach and its modification
       for random-effects meta-analysis with few studies. BMC Med Res Methodol 15:99.
       https://doi.org/10.1186/s12874-015-0091-1
    .. [3] Higgins JPT, Thompson SG, Spiegelhalter DJ (2009). A re-evaluation of random-effects
       meta-analysis. J R Stat Soc A 172:137-159. https://doi.org/10.1111/j.1467-985X.2008.00552.x

    Examples
    --------
    >>> pooled = pool_effects([-0.51, -0.12, -0.33], se=[0.18, 0.10, 0.15], measure="log_hr")
    >>> print(pooled)
    Hazard ratio, random effects, tau2 by REML, CI by mHK, k = 3
      estimate  0.75   95% CI [0.46, 1.24]   95% PI [0.074, 7.70]
      tau2 0.0202   95% CI [0, 1.48]   I2 51%   Q 4.05 on 2 df, p = 0.13
      in words: two thirds of the true effects are estimated to lie in 0.65–0.87; tau2 may be 0
    >>> round(pooled.natural, 3), pooled.warnings
    (0.753, ())
    >>> pooled.sentence()
    'pooled HR 0.75, 95% CI 0.46–1.24; I² = 51%; 95% PI 0.074–7.70 (3 studies)'
    """
    y, s = _validate.array_1d(estimate, "estimate"), _validate.array_1d(se, "se")
    _validate.same_length(y, "estimate", s, "se")
    names = _validate.labels(study, y.size)
    y, s = _validate.finite_1d(y, "estimate", labels=names), _validate.positive_1d(s, "se", labels=names)
    _validate.choice(measure, "measure", MEASURES)
    given = None if weight is None else _validate.array_1d(weight, "weight")
    if given is not None:
        _validate.same_length(y, "estimate", given, "weight")
        given = _validate.positive_1d(given, "weight", labels=names)
    _check_span(y, s, names)
    _validate.choice(ci_method, "ci_method", CI_METHODS)
    _validate.choice(prediction_method, "prediction_method", PREDICTION_METHODS)
    method, estimator = _estimator(tau2_method, given)
    k, variance = y.size, s**2
    if "KR" in (ci_method, prediction_method) and (method != "REML" or given is not None):
        found = f"tau2_method={method!r}" if given is None else "weights of your own"
        raise InvalidInputError(
            f"Kenward-Roger (KR) is defined for tau2 by REML with weights 1 / (v + tau2); got {found}. Use 'mHK'."
        )

    if k == 1:
        tau2, ci_method = np.zeros(()), "wald"
    else:
        tau2 = _tau2(method, estimator, y, variance)
    error = CI_METHODS[ci_method](y, variance, tau2, given)
    share = 1.0 / (variance + tau2) if given is None else given
    share = share / share.sum()

    for array in (y, s, share):
        array.setflags(write=False)
    return PooledEffect(
        measure=measure,
        estimate=float(error.mean),
        se=float(error.se),
        df=float(error.df),
        tau2=float(tau2) if k > 1 else np.nan,
        q=float(q_statistic(y, variance)),
        k=k,
        tau2_method=method,
        ci_method=ci_method,
        prediction_method=prediction_method,
        study=names,
        study_estimate=y,
        study_se=s,
        weight=share,
        own_weight=given is not None,
        warnings=_doubts(variance, error, ci_method, names),
    )


def _check_span(y: FloatArray, se: FloatArray, study: tuple[str, ...]) -> None:
    smallest, largest = float(se.min()), float(se.max())
    with np.errstate(over="ignore"):
        extent = max(float(np.ptp(y)), largest)
    if smallest < _SMALLEST or extent > min(_LARGEST, _WIDEST_RATIO * smallest):
        raise InvalidInputError(
            "Effects and standard errors span too many orders of magnitude to be pooled: effects from "
            f"{y.min():g} to {y.max():g}, se from {smallest:g} ({study[int(se.argmin())]}) to {largest:g}. "
            "Check the units."
        )


def _estimator(
    tau2_method: Tau2Method | Tau2Estimator, weight: FloatArray | None
) -> tuple[str, Tau2Estimator]:
    if isinstance(tau2_method, str):
        _validate.choice(tau2_method, "tau2_method", TAU2_ESTIMATORS)
        if tau2_method == "GENQ" and weight is not None:
            return tau2_method, genq(weight)
        return tau2_method, TAU2_ESTIMATORS[tau2_method]
    if not callable(tau2_method):
        raise InvalidInputError(f"tau2_method must be a name or a callable; got {tau2_method!r}.")
    return getattr(tau2_method, "__name__", type(tau2_method).__name__), tau2_method


def _tau2(method: str, estimator: Tau2Estimator, y: FloatArray, variance: FloatArray) -> FloatArray:
    between = estimator(y, variance)
    tau2 = np.asarray(getattr(between, "tau2", np.nan), dtype=np.float64)
    if tau2.shape != () or not (np.isfinite(tau2) and tau2 >= 0):
        raise InvalidInputError(
            f"tau2_method must give a Tau2Estimate with one finite tau2 >= 0; {method} gave {between!r}."
        )
    if not between.converged:
        raise ConvergenceError(f"tau2 by {method} did not converge.", last=float(tau2))
    return tau2


def _doubts(
    variance: FloatArray, error: MeanError, ci_method: CiMethod, study: tuple[str, ...]
) -> tuple[Caution, ...]:
    """Warn of too few studies, and of a Knapp-Hartung interval that claims too much."""
    said = []
    if len(study) == 1:
        message = f"{study[0]} is the only study, so nothing is pooled and its Wald interval stands."
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    elif len(study) == 2:
        message = "Two studies say next to nothing about tau2, so compare the intervals by all methods."
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    if ci_method == "KR" and float(error.df) < 1:
        message = (
            f"Kenward-Roger leaves {float(error.df):.2g} degrees of freedom, less than one, so its interval says "
            "nothing. Use ci_method='mHK'."
        )
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    if ci_method == "HK":
        common = (1.0 / variance).sum() ** -0.5 * critical_value(np.inf, 0.95)
        share = float(critical_value(error.df, 0.95) * error.se / common)
        if np.isnan(share):
            message = "All effects are equal, so the HK interval is undefined. Use ci_method='mHK'."
            said.append(caution(NarrowIntervalWarning, message, stacklevel=_USER))
        elif share < 1:
            message = (
                f"The 95% HK interval is {share:.2f} times as wide as the common-effect one, because the effects "
                "agree better than chance lets expect. Use ci_method='mHK'."
            )
            said.append(caution(NarrowIntervalWarning, message, stacklevel=_USER))
    return tuple(said)
