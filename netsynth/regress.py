"""Explain differences between studies by what they differ in: meta-regression."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from netsynth import _compat, _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import (
    Caution,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    caution,
)
from netsynth.kernels import coefficients
from netsynth.kernels.coefficients import COEFFICIENT_ERRORS
from netsynth.kernels.intervals import CiMethod, critical_value
from netsynth.kernels.regression import Regression, weighted_regression
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Estimator, Tau2Method
from netsynth.results.designs import check_design, coded_moderators
from netsynth.results.regression import MetaRegression

__all__ = ["regress_effects"]

#: Studies for each coefficient below which a meta-regression is not to be trusted: a rule of thumb.
_STUDIES_PER_MODERATOR: Final = 10
#: Beyond these, which no data reach, nothing is left of a moderator when one study has all the weight.
_SMALLEST, _WIDEST_SE, _WIDEST_EFFECT = 1e-150, 1e7, 1e12
_USER: Final = 4  # frames from `caution` up to the caller of the verb: caution, _doubts, the verb, its caller


def regress_effects(
    estimate: npt.ArrayLike,
    *,
    se: npt.ArrayLike,
    moderators: object,
    data: object = None,
    measure: EffectMeasure = "generic",
    tau2_method: Tau2Method | Tau2Estimator = "REML",
    ci_method: CiMethod = "mHK",
    study: Iterable[str] | None = None,
) -> MetaRegression:
    r"""Regress study effects on moderators under the mixed-effects model.

    Parameters
    ----------
    estimate : array_like of float, shape (k,)
        One effect per study on the scale of `measure`.
    se : array_like of float, shape (k,)
        Standard errors on the same scale, all positive.
    moderators : array_like, mapping, data frame or str
        What the studies differ in. An array of shape (k,) or (k, m); a mapping or a data frame (pandas, polars,
        pyarrow) with a column each; or a formula such as "~ year + C(design)" over the columns of `data`. Words
        become contrasts with the first of their levels, which are sorted unless a pandas categorical orders them.
        An intercept is added; a formula drops it with "~ 0 + ...".
    data : mapping or data frame, optional
        Columns for a formula.
    measure : str
        Scale of `estimate`, as in `pool_effects`.
    tau2_method : str or callable
        Estimator of the residual between-study variance, by name or as a `Tau2Estimator` that takes a design.
    ci_method : {"wald", "t", "HK", "mHK"}
        Errors of the coefficients: normal, t on k - p degrees of freedom for p coefficients, Knapp-Hartung, or its
        modification that is never narrower than "t". Tests of several coefficients are chi-squared for "wald", else F.
    study : iterable of str, optional
        Labels, so that complaints and tables name the study.

    Returns
    -------
    MetaRegression
        Frozen. Ask it for tests of moderators, predictions, a permutation test, frames, or a plot.

    Raises
    ------
    InvalidInputError
        If lengths differ, a value is missing or not finite, a standard error is not positive, a name is unknown, a
        formula cannot be evaluated, a moderator is constant or follows from the others, or there are not more studies
        than coefficients.
    ConvergenceError
        If an iterative estimator does not arrive; the last value is in ``.last``.

    Warns
    -----
    FewStudiesWarning
        Fewer than ten studies for each coefficient.
    NarrowIntervalWarning
        A Knapp-Hartung interval is narrower than the common-effect one, or undefined as the fit is perfect.

    Notes
    -----
    The model is :math:`y_i \sim N(x_i' \beta, v_i + \tau^2)`, fitted by weighted least squares with
    :math:`w_i = 1 / (v_i + \hat\tau^2)` [1]_. The default errors are Knapp and Hartung's [2]_. A relation between
    studies is not one between patients: when effects fall with the mean age of the studies, older patients within a
    study need not differ from younger ones.

    References
    ----------
    .. [1] Thompson SG, Sharp SJ (1999). Explaining heterogeneity in meta-analysis: a comparison of methods.
       Stat Med 18:2693-2708.
    .. [2] Knapp G, Hartung J (2003). Improved tests for a random effects meta-regression with a single covariate.
       Stat Med 22:2693-2710. https://doi.org/10.1002/sim.1482

    Examples
    --------
    Trials of BCG vaccination, by distance from the equator (Colditz 1994):

    >>> import numpy as np
    >>> log_rr = [-0.889, -1.585, -1.348, -1.442, -0.218, -0.786, -1.621, 0.012, -0.469, -1.371, -0.339, 0.446, -0.017]
    >>> variance = [0.326, 0.195, 0.415, 0.020, 0.051, 0.007, 0.223, 0.004, 0.056, 0.073, 0.012, 0.533, 0.071]
    >>> latitude = [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33]
    >>> result = regress_effects(log_rr, se=np.sqrt(variance), moderators={"latitude": latitude})
    >>> print(result)
    Effect, meta-regression, tau2 by REML, CI by mHK, k = 13
                 estimate       se  95% CI                  p
      intercept     0.251    0.284  [-0.374, 0.877]      0.40
      latitude    -0.0291  0.00821  [-0.0472, -0.0110]  0.005
      moderators  F 12.57 on 1 and 11 df, p = 0.005   R2 76%
      residual    tau2 0.0766   95% CI [0.0168, 0.785]   I2 64%   Q 30.79 on 11 df, p = 0.001
    >>> print(result.predict({"latitude": [0, 45]}))
    at           Effect  95% CI           95% PI
    latitude 0   0.251   [-0.374, 0.877]  [-0.621, 1.12]
    latitude 45  -1.06   [-1.42, -0.693]  [-1.77, -0.348]
    """
    y, s = _validate.array_1d(estimate, "estimate"), _validate.array_1d(se, "se")
    _validate.same_length(y, "estimate", s, "se")
    names = _validate.labels(study, y.size)
    y, s = _validate.finite_1d(y, "estimate", labels=names), _validate.positive_1d(s, "se", labels=names)
    _validate.choice(measure, "measure", MEASURES)
    _validate.choice(ci_method, "ci_method", COEFFICIENT_ERRORS)
    method, estimator = _estimator(tau2_method)
    read, coding = coded_moderators(moderators, data, names, otherwise="pool_effects")
    design = coding.matrix(read.columns)
    check_design(design, coding.names, names)
    _check_span(y, s, names)

    v, ones = s**2, np.ones((y.size, 1))
    tau2 = _tau2(method, estimator, y, v, design)
    fit, common = weighted_regression(y, v + tau2, design), weighted_regression(y, v, design)
    error = COEFFICIENT_ERRORS[ci_method](fit.q, coefficients.residual_df(v, design))
    has_intercept = _compat.INTERCEPT in coding.names
    tau2_null = float(_tau2(method, estimator, y, v, ones)) if has_intercept else np.nan
    covariance, weight = fit.covariance * error.scale, (1.0 / (v + tau2)) / (1.0 / (v + tau2)).sum()

    for array in (y, s, design, fit.coefficient, covariance, fit.fitted, fit.leverage, weight):
        array.setflags(write=False)
    return MetaRegression(
        measure=measure,
        names=coding.names,
        coefficient=fit.coefficient,
        covariance=covariance,
        df=float(error.df),
        tau2=float(tau2),
        tau2_null=tau2_null,
        q=float(common.q),
        q_null=float(weighted_regression(y, v, ones).q),
        k=y.size,
        tau2_method=method,
        ci_method=ci_method,
        study=names,
        study_estimate=y,
        study_se=s,
        design=design,
        fitted=fit.fitted,
        leverage=fit.leverage,
        weight=weight,
        moderators={name: read.columns[name] for name in coding.variables},
        coding=coding,
        warnings=_doubts(y.size, coding.names, covariance, float(error.df), common, ci_method),
    )


def _check_span(y: FloatArray, se: FloatArray, study: tuple[str, ...]) -> None:
    smallest, largest = float(se.min()), float(se.max())
    with np.errstate(over="ignore"):
        apart = float(np.ptp(y))
    if smallest < _SMALLEST or largest > _WIDEST_SE * smallest or apart > _WIDEST_EFFECT * smallest:
        raise InvalidInputError(
            "Effects and standard errors span too many orders of magnitude for a regression: effects from "
            f"{y.min():g} to {y.max():g}, se from {smallest:g} ({study[int(se.argmin())]}) to {largest:g}. "
            "Check the units."
        )


def _estimator(tau2_method: Tau2Method | Tau2Estimator) -> tuple[str, Tau2Estimator]:
    if isinstance(tau2_method, str):
        _validate.choice(tau2_method, "tau2_method", TAU2_ESTIMATORS)
        return tau2_method, TAU2_ESTIMATORS[tau2_method]
    if not callable(tau2_method):
        raise InvalidInputError(f"tau2_method must be a name or a callable; got {tau2_method!r}.")
    return getattr(tau2_method, "__name__", type(tau2_method).__name__), tau2_method


def _tau2(
    method: str, estimator: Tau2Estimator, y: FloatArray, variance: FloatArray, design: FloatArray
) -> FloatArray:
    between = estimator(y, variance, design)
    tau2 = np.asarray(getattr(between, "tau2", np.nan), dtype=np.float64)
    if tau2.shape != () or not (np.isfinite(tau2) and tau2 >= 0):
        raise InvalidInputError(
            f"tau2_method must give a Tau2Estimate with one finite tau2 >= 0; {method} gave {between!r}."
        )
    if not between.converged:
        raise ConvergenceError(f"tau2 by {method} did not converge.", last=float(tau2))
    return tau2


def _doubts(
    k: int,
    names: tuple[str, ...],
    covariance: FloatArray,
    df: float,
    common: Regression,
    ci_method: CiMethod,
) -> tuple[Caution, ...]:
    """Warn of too few studies, and of Knapp-Hartung intervals that claim too much."""
    said = []
    tested = [name for name in names if name != _compat.INTERCEPT]
    if k < _STUDIES_PER_MODERATOR * len(tested):
        each = "" if len(tested) == 1 else " each"
        message = (
            f"{k} studies are few for {_format.plural(len(tested), 'coefficient')}, where ten{each} are the least. "
            "Take the result as a hypothesis, and see permutation_test."
        )
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    if ci_method == "HK":
        half = critical_value(df, 0.95) * np.sqrt(np.diagonal(covariance))
        share = half / (critical_value(np.inf, 0.95) * np.sqrt(np.diagonal(common.covariance)))
        if np.isnan(share).any():
            message = (
                "The regression fits all effects exactly, so HK intervals are undefined. Use ci_method='mHK'."
            )
            said.append(caution(NarrowIntervalWarning, message, stacklevel=_USER))
        elif share.min() < 1:
            narrow = _format.listing(name for name, ratio in zip(names, share, strict=True) if ratio < 1)
            message = (
                f"The 95% HK intervals of {narrow} are down to {share.min():.2f} times as wide as the common-effect "
                "ones, because the effects agree with the regression better than chance lets expect. "
                "Use ci_method='mHK'."
            )
            said.append(caution(NarrowIntervalWarning, message, stacklevel=_USER))
    return tuple(said)
