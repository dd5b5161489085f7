"""Pool proportions and rates of counts, by the likelihood of the counts or on a transformed scale."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate, errors
from netsynth._typing import FloatArray
from netsynth.errors import (
    BackTransformationWarning,
    Caution,
    ContinuityCorrectionWarning,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NetsynthWarning,
    caution,
)
from netsynth.kernels import beta_binomial, glmm
from netsynth.kernels.count_families import CountFamily
from netsynth.kernels.count_intervals import garwood
from netsynth.kernels.intervals import CiMethod, PredictionMethod
from netsynth.kernels.pvalues import clopper_pearson
from netsynth.kernels.scales import (
    CountEffect,
    EffectMeasure,
    ProportionMeasure,
    RateMeasure,
    proportion_effect,
    rate_effect,
)
from netsynth.kernels.tau2 import Tau2Estimator, Tau2Method
from netsynth.pool import pool_effects
from netsynth.results.counts import CountCiMethod, CountModel, CountPredictionMethod, PooledCounts
from netsynth.results.pooled import PooledEffect

__all__ = ["ProportionModel", "RateModel", "pool_proportions", "pool_rates"]

ProportionModel = Literal["binomial_normal", "beta_binomial", "normal_normal"]
RateModel = Literal["poisson_normal", "normal_normal"]
AnyTau2: TypeAlias = Tau2Method | Tau2Estimator | None
AnyCi: TypeAlias = CiMethod | CountCiMethod | None
AnyPrediction: TypeAlias = PredictionMethod | CountPredictionMethod | None

#: Scales with no exact way back, and what is done instead.
_NO_WAY_BACK: Final[Mapping[str, str]] = MappingProxyType(
    {
        "double_arcsine_proportion": "sin^2 and not by Miller's inverse, which needs a number of patients",
        "double_sqrt_rate": "squaring and not by the inverse, which needs a time at risk",
    }
)
_USER: Final = (
    4  # frames from `caution` up to the caller of the verb: caution, the helper, the verb, its caller
)


def pool_proportions(
    n_events: npt.ArrayLike,
    *,
    n_total: npt.ArrayLike,
    model: ProportionModel = "binomial_normal",
    measure: ProportionMeasure = "logit_proportion",
    tau2_method: AnyTau2 = None,
    ci_method: AnyCi = None,
    prediction_method: AnyPrediction = None,
    study: Iterable[str] | None = None,
) -> PooledEffect:
    r"""Pool proportions of counts.

    For survival percentages with censoring, which are not counts, give `pool_effects` the estimates and
    standard errors on a survival scale.

    Parameters
    ----------
    n_events, n_total : array_like of int, shape (k,)
        Patients with the event, of how many.
    model : {"binomial_normal", "beta_binomial", "normal_normal"}
        Binomial counts with logits that are normal between studies, a generalised linear mixed model; binomial counts
        with proportions that follow a beta distribution; or estimates on `measure` taken for normal with known
        variance. The first two take studies of none or all as they are.
    measure : str
        Scale of the third model: "logit_proportion", "log_proportion", "arcsine_proportion",
        "double_arcsine_proportion", "probit_proportion" or "raw_proportion". The other two are on the logit.
    tau2_method : str or callable, optional
        "ML", or "CE" for one proportion common to all studies. The third model takes those of `pool_effects` and has
        its default.
    ci_method : str, optional
        "t" on k - 1 degrees of freedom unless told otherwise, "wald" or "profile"; under "CE" "wald" unless told
        otherwise, "t" or "exact". The third model takes those of `pool_effects` and has its default.
    prediction_method : str, optional
        "t_km2" unless told otherwise, "t_km1" or "normal"; "beta" for the beta-binomial model. The third model takes
        those of `pool_effects` and has its default.
    study : iterable of str, optional
        Labels, so that complaints and tables name the study.

    Returns
    -------
    PooledEffect
        A `PooledCounts` from the first two models.

    Raises
    ------
    InvalidInputError
        If lengths differ, a count is negative or not whole, a total is zero, events exceed the total, a name is
        unknown or does not belong to the model, or in every study none or all of the patients had the event, so that
        the likelihood has no maximum; and as `pool_effects`.
    ConvergenceError
        If the likelihood was not climbed to its top; ``.last`` is the mean reached. And as `pool_effects`.

    Warns
    -----
    FewStudiesWarning
        One study is not pooled; two studies say next to nothing about heterogeneity.
    ContinuityCorrectionWarning
        Under the third model, studies with none or all of their patients had 1/2 added to events and non-events.
    BackTransformationWarning
        The double arcsine has no exact way back from a pooled value.
    NarrowIntervalWarning
        As `pool_effects`.

    Notes
    -----
    The default is :math:`x_i \sim \mathrm{Bin}(n_i, \mathrm{expit}\,\theta_i)`,
    :math:`\theta_i \sim N(\mu, \tau^2)`, by maximum likelihood [1]_. With few events the third model is biased towards
    50%, for it takes variances that depend on the result for known [1]_ [2]_. `natural` is the proportion of a typical
    study, the median over studies; that of the beta-binomial model is the mean over studies, nearer to 50%.

    References
    ----------
    .. [1] Stijnen T, Hamza TH, Özdemir P (2010). Random effects meta-analysis of event outcome in the framework of the
       generalized linear mixed model with applications in sparse data. Stat Med 29:3046-3067.
    .. [2] Lin L, Chu H (2020). Meta-analysis of proportions using generalized linear mixed models. Epidemiology
       31:713-717. https://doi.org/10.1097/EDE.0000000000001232

    Examples
    --------
    >>> relief = pool_proportions([11, 18, 21, 14], n_total=[19, 34, 72, 22])
    >>> print(relief)
    Proportion (logit scale), binomial-normal model, ML, CI by t, k = 4
      estimate  48.6%   95% CI [25.9%, 72.0%]   95% PI [7.2%, 92.1%]
      tau2 0.241   95% CI [0.0114, 2.01]   I2 76%   LR 12.68 on 3 df, p = 0.005
      in words: two thirds of the true effects are estimated to lie in 36.7–60.8%
    """
    x, n, names = _counts(n_events, n_total, "n_total", study)
    for name, events, total in zip(names, x.tolist(), n.tolist(), strict=True):
        _validate.count(total, "n_total", where=name, minimum=1)
        if events > total:
            raise InvalidInputError(
                f"{name}: n_events cannot exceed n_total; got {events:g} of {total:g}. Swapped?"
            )
    _validate.choice(model, "model", get_args(ProportionModel))
    _validate.choice(measure, "measure", get_args(ProportionMeasure))
    if model == "normal_normal":
        effect = proportion_effect(x, n, measure)
        cautions = _about_scale(
            effect,
            names,
            measure,
            "none or all of the patients had the event, so 1/2 was added to events and non-events. "
            "model='binomial_normal' needs no such addition.",
        )
        return _on_scale(effect, measure, tau2_method, ci_method, prediction_method, names, cautions)
    _only_scale(measure, "logit_proportion", model)
    _refuse_no_maximum(x, n)
    effect = proportion_effect(x, n, "logit_proportion")
    return _by_likelihood(x, n, effect, model, tau2_method, ci_method, prediction_method, names)


def pool_rates(
    n_events: npt.ArrayLike,
    *,
    person_time: npt.ArrayLike,
    per: float = 1.0,
    model: RateModel = "poisson_normal",
    measure: RateMeasure = "log_rate",
    tau2_method: AnyTau2 = None,
    ci_method: AnyCi = None,
    prediction_method: AnyPrediction = None,
    study: Iterable[str] | None = None,
) -> PooledEffect:
    r"""Pool rates of events in time.

    Parameters
    ----------
    n_events : array_like of int, shape (k,)
        Events.
    person_time : array_like of float, shape (k,)
        Time in which they were counted, summed over patients: catheter-days, say, or patient-months.
    per : float
        The amount of that time for which a rate is given: 1000 for events per 1000 catheter-days. The scale is that
        of such rates too.
    model : {"poisson_normal", "normal_normal"}
        Poisson counts with log rates that are normal between studies, or estimates on `measure` taken for normal with
        known variance. The first takes studies without an event as they are.
    measure : {"log_rate", "sqrt_rate", "double_sqrt_rate", "raw_rate"}
        Scale of the second model. The first is on the logarithm.
    tau2_method, ci_method, prediction_method, study
        As in `pool_proportions`.

    Returns
    -------
    PooledEffect
        A `PooledCounts` from the first model.

    Raises
    ------
    InvalidInputError
        If lengths differ, a count is negative or not whole, a time is not positive, a name is unknown or does not
        belong to the model, or no study has an event; and as `pool_effects`.
    ConvergenceError
        As `pool_proportions`.

    Warns
    -----
    FewStudiesWarning, ContinuityCorrectionWarning, BackTransformationWarning, NarrowIntervalWarning
        As `pool_proportions`.

    Notes
    -----
    The default is :math:`x_i \sim \mathrm{Poisson}(T_i e^{\theta_i})`, :math:`\theta_i \sim N(\mu, \tau^2)`, by maximum
    likelihood [1]_.

    References
    ----------
    .. [1] Stijnen T, Hamza TH, Özdemir P (2010). Random effects meta-analysis of event outcome in the framework of the
       generalized linear mixed model with applications in sparse data. Stat Med 29:3046-3067.

    Examples
    --------
    >>> infections = pool_rates([11, 8, 14, 10], person_time=[1988, 1461, 10962, 1503], per=1000)
    >>> print(infections)
    Rate per 1000 (log scale), Poisson-normal model, ML, CI by t, k = 4
      estimate  3.75   95% CI [1.24, 11.3]   95% PI [0.178, 78.8]
      tau2 0.380   95% CI [0.0746, 2.66]   I2 88%   LR 24.11 on 3 df, p < 0.001
      in words: two thirds of the true effects are estimated to lie in 2.02–6.94
    """
    x, time, names = _counts(n_events, person_time, "person_time", study)
    time = _validate.positive_1d(time, "person_time", labels=names)
    if isinstance(per, bool) or not isinstance(per, int | float) or not 0 < per < np.inf:
        raise InvalidInputError(f"per must be a positive amount of time, such as 1000; got {per!r}.")
    _validate.choice(model, "model", get_args(RateModel))
    _validate.choice(measure, "measure", get_args(RateMeasure))
    size, unit = time / per, "" if per == 1 else f"per {per:g}"
    if model == "normal_normal":
        effect = rate_effect(x, size, measure)
        cautions = _about_scale(
            effect,
            names,
            measure,
            "no event, so 1/2 was added. model='poisson_normal' needs no such addition.",
        )
        pooled = _on_scale(effect, measure, tau2_method, ci_method, prediction_method, names, cautions)
    else:
        _only_scale(measure, "log_rate", model)
        if not x.any():
            upper = float(garwood(0, size.sum(), 0.9).upper)
            raise InvalidInputError(
                "No study has an event, so the rate has no estimate and tau2 none either. If all studies shared one "
                f"rate, none in {time.sum():g} would put it below {f'{upper:.3g} {unit}'.rstrip()}, the exact "
                "one-sided 95% limit: report that."
            )
        effect = rate_effect(x, size, "log_rate")
        counts = _by_likelihood(x, size, effect, model, tau2_method, ci_method, prediction_method, names)
        pooled = replace(counts, per=float(per))
    return replace(pooled, unit=unit)


def _counts(
    n_events: npt.ArrayLike, size: npt.ArrayLike, name: str, study: Iterable[str] | None
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    x, n = _validate.array_1d(n_events, "n_events"), _validate.array_1d(size, name)
    _validate.same_length(x, "n_events", n, name)
    names = _validate.labels(study, x.size)
    for label, events in zip(names, x.tolist(), strict=True):
        _validate.count(events, "n_events", where=label)
    return x, n, names


def _only_scale(measure: str, own: str, model: str) -> None:
    if measure != own:
        raise InvalidInputError(
            f"model={model!r} is on the {own.split('_')[0]} scale; got measure={measure!r}. "
            "Leave measure out, or use model='normal_normal'."
        )


def _refuse_no_maximum(x: FloatArray, n: FloatArray) -> None:
    if glmm.has_maximum(x, n, "binomial"):
        return
    total = int(n.sum())
    if x.any() and (x < n).any():
        raise InvalidInputError(
            "In every study none or all of the patients had the event, so the likelihood rises without end as the "
            "studies are taken to differ more. Describe the studies, or use model='normal_normal' with "
            "measure='arcsine_proportion'."
        )
    limits = clopper_pearson(x.sum(), total, 0.9)
    none = not x.any()
    limit, side = (limits.upper, "below") if none else (limits.lower, "above")
    raise InvalidInputError(
        f"{'None' if none else 'All'} of the patients of all studies had the event, so its proportion has no estimate "
        f"on the logit scale and tau2 none at all. If the studies shared one proportion, {int(x.sum())} of {total} "
        f"would put it {side} {100 * float(limit):.3g}%, the exact one-sided 95% limit: report that."
    )


def _about_scale(
    effect: CountEffect, names: tuple[str, ...], measure: str, added: str
) -> tuple[Caution, ...]:
    said = []
    if effect.corrected.any():
        affected = [name for name, corrected in zip(names, effect.corrected, strict=True) if corrected]
        message = f"{_format.listing(affected)}: {added}"
        said.append(caution(ContinuityCorrectionWarning, message, stacklevel=_USER))
    if measure in _NO_WAY_BACK:
        message = (
            f"Values pooled with measure={measure!r} are taken back by {_NO_WAY_BACK[measure]} that a pooled value "
            "does not have. Compare with the default model."
        )
        said.append(caution(BackTransformationWarning, message, stacklevel=_USER))
    return tuple(said)


def _on_scale(
    effect: CountEffect,
    measure: EffectMeasure,
    tau2_method: AnyTau2,
    ci_method: AnyCi,
    prediction_method: AnyPrediction,
    names: tuple[str, ...],
    cautions: tuple[Caution, ...],
) -> PooledEffect:
    asked: dict[str, Any] = {
        "tau2_method": tau2_method,
        "ci_method": ci_method,
        "prediction_method": prediction_method,
    }
    with warnings.catch_warnings():  # they are given below, as of the caller's line
        warnings.simplefilter("ignore", NetsynthWarning)
        pooled = pool_effects(
            effect.estimate,
            se=np.sqrt(effect.variance),
            measure=measure,
            study=names,
            **{name: value for name, value in asked.items() if value is not None},
        )
    for said in pooled.warnings:
        caution(getattr(errors, said.name), said.message, where=said.where, stacklevel=_USER)
    return replace(pooled, warnings=(*cautions, *pooled.warnings))


def _by_likelihood(
    x: FloatArray,
    size: FloatArray,
    effect: CountEffect,
    model: CountModel,
    tau2_method: AnyTau2,
    ci_method: AnyCi,
    prediction_method: AnyPrediction,
    names: tuple[str, ...],
) -> PooledCounts:
    k, is_beta = x.size, model == "beta_binomial"
    family: CountFamily = "poisson" if model == "poisson_normal" else "binomial"
    is_common = k == 1 or tau2_method == "CE"
    if tau2_method not in (None, "ML", "CE"):
        raise InvalidInputError(
            f"model={model!r} is fitted by maximum likelihood: tau2_method is ML or CE; got {tau2_method!r}. "
            "Leave it out, or use model='normal_normal'."
        )
    ci_allowed = ("wald", "t", "exact") if is_common and k > 1 else ("wald", "t", "profile")
    ci_method = cast(
        CountCiMethod, _own(ci_method or ("wald" if is_common else "t"), "ci_method", ci_allowed, model)
    )
    predictions = ("beta",) if is_beta else ("t_km2", "t_km1", "normal")
    prediction = _own(prediction_method or predictions[0], "prediction_method", predictions, model)

    common = glmm.common_fit(x, size, family)
    mean, se, tau2, rho, height = (
        common.mean,
        common.se,
        0.0 if k > 1 else np.nan,
        np.nan,
        common.log_likelihood,
    )
    tau_se = rho_se = np.nan
    if is_beta and not is_common:
        beta = beta_binomial.fit(x, size)
        _arrived(beta.converged, beta.mean, model)
        mean, se, tau2, height = beta.mean, beta.se, np.nan, beta.log_likelihood
        rho, rho_se = float(beta.rho), float(beta.se_logit_rho)
    elif not is_common:
        fitted = glmm.fit(x, size, family)
        _arrived(fitted.converged, fitted.mean, model)
        mean, se, tau2, height = fitted.mean, fitted.se, float(fitted.tau2), fitted.log_likelihood
        tau_se = float(fitted.tau_se)

    study_se, weight = np.sqrt(effect.variance), np.full(k, np.nan)
    for array in (x, size, effect.estimate, study_se, weight):
        array.setflags(write=False)
    return PooledCounts(
        measure="log_rate" if family == "poisson" else "logit_proportion",
        estimate=float(mean),
        se=float(se),
        df=float(k - 1) if ci_method == "t" and k > 1 else np.inf,
        tau2=tau2,
        q=float(common.lr),
        k=k,
        tau2_method="CE" if is_common and k > 1 else "ML",
        ci_method=ci_method if k > 1 else "exact",
        prediction_method=cast(CountPredictionMethod, prediction),
        study=names,
        study_estimate=effect.estimate,
        study_se=study_se,
        weight=weight,
        warnings=_few(names),
        model=model,
        n_events=x,
        size=size,
        rho=rho,
        rho_se=rho_se,
        log_likelihood=float(height),
        common_log_likelihood=float(common.log_likelihood),
        q_wald=float(common.wald),
        tau_se=tau_se,
    )


def _own(value: str, name: str, allowed: tuple[str, ...], model: str) -> str:
    return _validate.choice(value, name, allowed, where=f"model={model!r}")


def _arrived(converged: npt.ArrayLike, mean: npt.ArrayLike, model: str) -> None:
    if not converged:
        raise ConvergenceError(
            f"The likelihood of model={model!r} was not climbed to its top.", last=float(np.asarray(mean))
        )


def _few(names: tuple[str, ...]) -> tuple[Caution, ...]:
    if len(names) > 2:
        return ()
    if len(names) == 1:
        message = f"{names[0]} is the only study, so nothing is pooled and its exact interval stands."
    else:
        message = "Two studies say next to nothing about tau2, so compare the intervals by all methods."
    return (caution(FewStudiesWarning, message, stacklevel=_USER + 1),)
