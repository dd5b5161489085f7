"""Pool study effects in the Bayesian way: priors for the mean and for tau, the posterior by integration."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import (
    Caution,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    PriorWarning,
    caution,
)
from netsynth.kernels.panels import PanelDensity, panel_density, panel_quantile
from netsynth.kernels.posterior import (
    Posterior,
    prior_log_mass,
    rises_too_steeply,
    study_weight,
    tau_posterior,
)
from netsynth.kernels.priors import TAU_PRIORS, Elementwise, TauPrior, TauPriorName, from_density
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.posterior import PosteriorEffect

__all__ = ["pool_bayes"]

#: Default scales, from Friede et al. (2017) and Röver et al. (2021): see decision 14.
_RATIO_SCALE: Final = 0.5
_LOGIT_SCALE: Final = 1.0
#: Prior probability of a tau above its posterior median below which the two contradict each other.
_CONFLICT: Final = 0.01
#: Beyond this many times the smallest standard error, effects and standard errors leave no digits to compare.
_WIDEST_RATIO, _SMALLEST, _LARGEST = 1e30, 1e-100, 1e100
_USER = 4  # frames from `caution` up to the caller of the verb: caution, _doubts, the verb, its caller


def pool_bayes(
    estimate: npt.ArrayLike,
    *,
    se: npt.ArrayLike,
    measure: EffectMeasure = "generic",
    tau_prior: TauPriorName | Elementwise = "half_normal",
    tau_scale: float | None = None,
    mean_prior: tuple[float, float] | None = None,
    study: Iterable[str] | None = None,
) -> PosteriorEffect:
    r"""Pool study effects under the random-effects model with priors for tau and the mean.

    Parameters
    ----------
    estimate : array_like of float, shape (k,)
        One effect per study on the scale of `measure`.
    se : array_like of float, shape (k,)
        Standard errors on the same scale, all positive.
    measure : str
        Scale of `estimate`, as in `pool_effects`.
    tau_prior : {"half_normal", "half_cauchy", "uniform"} or callable
        Prior of tau, the standard deviation of the true effects, by name; or its density, a function of an array
        of tau >= 0 on the scale of `measure`. A density need not integrate to 1.
    tau_scale : float, optional
        Scale of the named prior, in the unit of the scale of `measure`; for "uniform" its upper end, infinite for
        none. By default 0.5 for a log ratio, and for a probability what 1 on the logit scale is at a probability
        of one half: 1 (logit), 0.721 (log(-log)), 0.627 (probit), 0.5 (log), 0.25 (arcsine, raw). Other measures,
        and "uniform", have no default.
    mean_prior : (float, float), optional
        Mean and standard deviation of a normal prior of the mean effect, on the scale of `measure`. Flat by
        default.
    study : iterable of str, optional
        Labels, so that complaints and tables name the study.

    Returns
    -------
    PosteriorEffect
        Frozen. Ask it for distributions, intervals at any level, frames, or a plot.

    Raises
    ------
    InvalidInputError
        If lengths differ, a value is not finite, a standard error is not positive, a name is unknown, a prior
        is no prior, a scale is needed, or the posterior would not be one: a prior of tau without an end needs
        more studies.
    ConvergenceError
        If the integral over tau is not found, because effects lie beyond all the priors allow or a density
        is too rough.

    Warns
    -----
    FewStudiesWarning
        One or two studies say next to nothing about tau, so its prior decides.
    PriorWarning
        The prior of tau and the data contradict each other, the posterior has a tail so heavy that its mean or
        standard deviation does not exist, or an improper prior of tau leaves Bayes factors undefined.

    Notes
    -----
    The model is :math:`y_i \sim N(\mu, v_i + \tau^2)`. Given tau the posterior of :math:`\mu` is normal, so all
    posteriors are mixtures of normals over tau [1]_; tau is integrated out by adaptive Gaussian quadrature, without
    simulation, so the same input gives the same digits. The default prior is Röver's and others' [2]_.

    References
    ----------
    .. [1] Röver C (2020). Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat Softw
       93(6). https://doi.org/10.18637/jss.v093.i06
    .. [2] Röver C, Bender R, Dias S, et al. (2021). On weakly informative prior distributions for the
       heterogeneity parameter in Bayesian random-effects meta-analysis. Res Synth Methods 12:448-474.
       https://doi.org/10.1002/jrsm.1475

    Examples
    --------
    >>> pooled = pool_bayes([-0.51, -0.12, -0.33], se=[0.18, 0.10, 0.15], measure="log_hr")
    >>> print(pooled)
    Hazard ratio, Bayesian random effects, tau half-normal(0.5), mean flat, k = 3
      median  0.76   95% CrI [0.48, 1.11]   95% PrI [0.33, 1.63]
      tau 0.206   95% CrI [0.0129, 0.767]   I2 68%   Bayes factor for tau = 0 1.21
      P(hazard ratio < 1) 0.95
    >>> round(pooled.effect.below(0.0), 3), round(pooled.prediction.below(0.0), 3)
    (0.949, 0.863)
    """
    y, s = _validate.array_1d(estimate, "estimate"), _validate.array_1d(se, "se")
    _validate.same_length(y, "estimate", s, "se")
    names = _validate.labels(study, y.size)
    y, s = _validate.finite_1d(y, "estimate", labels=names), _validate.positive_1d(s, "se", labels=names)
    _validate.choice(measure, "measure", MEASURES)
    _check_span(y, s, names)
    prior = _tau_prior(tau_prior, tau_scale, measure, float(np.median(s)))
    about = _mean_prior(mean_prior)

    posterior = tau_posterior(y, s**2, prior, about)
    _check(posterior.tau, prior, names)
    weight = study_weight(posterior, s**2)

    for array in (y, s, weight, posterior.mean, posterior.sd, *posterior.tau):
        array.setflags(write=False)
    return PosteriorEffect(
        measure=measure,
        k=y.size,
        tau_prior=prior,
        mean_prior=about,
        study=names,
        study_estimate=y,
        study_se=s,
        weight=weight,
        posterior=posterior,
        warnings=_doubts(posterior, prior, about, names),
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


def _tau_prior(
    tau_prior: TauPriorName | Elementwise, tau_scale: float | None, measure: EffectMeasure, size: float
) -> TauPrior:
    if isinstance(tau_prior, str):
        _validate.choice(tau_prior, "tau_prior", TAU_PRIORS)
        return TAU_PRIORS[tau_prior](_tau_scale(tau_prior, tau_scale, measure))
    if not callable(tau_prior):
        raise InvalidInputError(f"tau_prior must be a name or a function of tau; got {tau_prior!r}.")
    if tau_scale is not None:
        raise InvalidInputError("tau_scale belongs to a prior by name; a function of tau has its own scale.")
    return _own_prior(tau_prior, size)


def _tau_scale(name: TauPriorName, tau_scale: float | None, measure: EffectMeasure) -> float:
    if tau_scale is None:
        scale = _default_scale(measure)
        if name == "uniform" or scale is None:
            what = "its upper end" if name == "uniform" else "a scale"
            raise InvalidInputError(
                f"tau_prior={name!r} for measure={measure!r} needs {what} that suits the effects: give tau_scale. "
                "About 95% of true effects lie within 2 tau of their mean."
            )
        return scale
    is_number = isinstance(tau_scale, int | float | np.integer | np.floating) and not isinstance(
        tau_scale, bool
    )
    if not is_number or not tau_scale > 0 or (math.isinf(tau_scale) and name != "uniform"):
        allowed = "positive" if name == "uniform" else "positive and finite"
        raise InvalidInputError(f"tau_scale must be {allowed}; got {tau_scale!r}.")
    return float(tau_scale)


def _default_scale(measure: EffectMeasure) -> float | None:
    """Scale of the prior of tau for a measure; None where the unit of effects is not known."""
    kind = MEASURES[measure].kind
    if kind == "ratio":
        return _RATIO_SCALE
    if kind != "probability":
        return None
    # what a scale on the logit is here, by the slopes of both at a probability of one half, 4 for the logit
    return _LOGIT_SCALE * abs(float(MEASURES[measure].derivative(0.5))) / 4.0


def _own_prior(density: Elementwise, size: float) -> TauPrior:
    """A prior by its density, checked on a wide grid; its integral is found for the Bayes factors."""
    name = getattr(density, "__name__", type(density).__name__)
    name = "own density" if name == "<lambda>" else name
    tau = size * np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 25)])
    with np.errstate(divide="ignore"):
        values = np.asarray(density(tau), dtype=np.float64)
    if values.shape not in ((), tau.shape):
        raise InvalidInputError(
            f"tau_prior must give one density for each tau of an array; {name} gave shape {values.shape} for "
            f"{tau.size} values."
        )
    # at 0 itself a density may be infinite and still have an integral
    values = np.broadcast_to(values, tau.shape)
    bad = ~(values >= 0) | (np.isinf(values) & (tau > 0))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InvalidInputError(
            f"tau_prior must be a density, finite and not negative; {name} gave {values[i]:g} at tau = {tau[i]:g}."
        )
    if not (values[1:] > 0).any():
        raise InvalidInputError(
            f"tau_prior must give some tau a density; {name} gave 0 from {tau[1]:g} to {tau[-1]:g}. "
            "Check its unit, which is that of the effects."
        )
    prior = from_density(density, name)
    if rises_too_steeply(prior, size):
        raise InvalidInputError(
            f"tau_prior {name} rises towards tau = 0 as 1 / tau or faster, so no data make it a distribution. "
            "Take one that is finite at 0."
        )
    mass = prior_log_mass(prior, size)
    return prior._replace(is_proper=math.isfinite(mass), log_mass=mass)


def _mean_prior(mean_prior: tuple[float, float] | None) -> tuple[float, float] | None:
    if mean_prior is None:
        return None
    try:
        mean, sd = (float(value) for value in mean_prior)
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"mean_prior must be a mean and a standard deviation; got {mean_prior!r}."
        ) from None
    if not (math.isfinite(mean) and math.isfinite(sd) and sd > 0):
        raise InvalidInputError(
            "mean_prior must be a finite mean and a positive, finite standard deviation; "
            f"got {mean_prior!r}. Leave it out for a flat prior."
        )
    return mean, sd


def _check(tau: PanelDensity, prior: TauPrior, study: tuple[str, ...]) -> None:
    if not tau.is_proper:
        raise InvalidInputError(
            f"With tau_prior {prior.name} without an end, {_format.plural(len(study), 'study', 'studies')} "
            "leave tau without a posterior distribution. Give the prior an end or a scale, or add studies."
        )
    if not tau.converged:
        raise ConvergenceError(
            f"The integral over tau with prior {prior.name} was not found: the effects lie too far apart for it or "
            "too far from the prior of the mean, or its density is too rough. Take wider priors.",
            last=float(panel_quantile(np.asarray(0.5), tau)),
        )


def _doubts(
    posterior: Posterior, prior: TauPrior, about: tuple[float, float] | None, study: tuple[str, ...]
) -> tuple[Caution, ...]:
    """Warn where the prior decides, where it is contradicted, and where it leaves numbers undefined."""
    said = []
    tau, k = posterior.tau, len(study)
    if k == 1:
        message = f"{study[0]} is the only study, so the prior of tau decides what is known of it."
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    elif k == 2:
        message = "Two studies say next to nothing about tau, so its prior decides: try others."
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    contradiction = _contradiction(tau, prior)
    if contradiction:
        message = (
            f"The studies differ more than the prior of tau expects: {contradiction}. Take a wider prior, or ask "
            "what sets the studies apart."
        )
        said.append(caution(PriorWarning, message, stacklevel=_USER))
    if not tau.has_moment(2):
        one = "standard deviation" if tau.has_moment(1) else "mean"
        whose = "a new study's effect lacks" if about else "the mean effect and a new study's effect lack"
        message = (
            f"With k = {k} the tail of tau stays so heavy that its {one} is infinite, and {whose} one. "
            "Use medians and intervals, or a prior with a lighter tail."
        )
        said.append(caution(PriorWarning, message, stacklevel=_USER))
    if not prior.is_proper:
        message = f"The prior of tau, {prior.name}, has no finite integral, so Bayes factors are undefined."
        said.append(caution(PriorWarning, message, stacklevel=_USER))
    return tuple(said)


def _contradiction(tau: PanelDensity, prior: TauPrior) -> str:
    """How the posterior of tau lies where its prior has next to nothing; empty if it does not."""
    if math.isfinite(prior.upper):
        end, before = panel_density(prior.upper * np.array([1.0, 0.9]), tau)
        return (
            f"the posterior of tau is highest at the end of the prior, {prior.upper:g}"
            if end > before
            else ""
        )
    if prior.survival is None:
        return ""
    median = float(panel_quantile(np.asarray(0.5), tau))
    chance = float(prior.survival(np.asarray(median)))
    if chance >= _CONFLICT:
        return ""
    shown = _format.significant(chance, 1) if chance >= 0.001 else "less than 0.001"
    return (
        f"it gives a tau above the posterior median, {_format.significant(median)}, a probability of {shown}"
    )
