"""Selection models: the effect before results were published with a chance that hangs on their p-value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, get_args

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.errors import (
    BoundaryWarning,
    Caution,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NetsynthWarning,
    caution,
)
from netsynth.kernels import selection
from netsynth.kernels.selection import SEVERITIES, SEVERITY_STEPS, Alternative, Severity, SmoothWeight
from netsynth.kernels.selection_fit import LARGEST_WEIGHT, SelectionFit, fit_smooth, fit_steps
from netsynth.results.pooled import PooledEffect
from netsynth.results.selection import SelectionModel, SelectionTau2, WeightForm, interval_labels
from netsynth.selection import _checks

__all__ = ["fit_selection_model"]

_LEAST: Final = 3  # studies, below which mean, spread and selection cannot be told apart at all
_PER_INTERVAL: Final = 4  # studies that an interval of p-values should hold


def fit_selection_model(
    pooled: PooledEffect,
    *,
    form: WeightForm = "step",
    steps: Sequence[float] | None = None,
    alternative: Alternative = "greater",
    weights: Sequence[float] | Severity | None = None,
    tau2: SelectionTau2 = "ML",
) -> SelectionModel:
    r"""Fit a model in which results were published with a chance that hangs on their p-value.

    Parameters
    ----------
    pooled : PooledEffect
        Three studies or more, of a measure that has a value of no effect.
    form : {"step", "beta", "half_normal", "negative_exponential"}
        The chance as a function of p. A step function is constant within intervals [1]_; with one step it is
        the three-parameter model. The others are smooth, for one side [2]_ [3]_.
    steps : sequence of float, optional
        Where a step function changes, rising within (0, 1). By default (0.025,) for one side, (0.05,) for two.
    alternative : {"greater", "less", "two-sided"}
        Which results are the welcome ones. p is that of a Wald test of no effect against it.
    weights : sequence of float or str, optional
        Chances given instead of estimated, one an interval, the last being that of p above the last step; or the
        name of a set of Vevea and Woods, who propose to see how much a selection that is assumed would
        change [4]_: "moderate_one_tailed", "severe_one_tailed", "moderate_two_tailed", "severe_two_tailed". A set
        has steps of its own, and its p-values are one-sided.
    tau2 : {"ML", "CE"}
        Estimate the between-study variance by maximum likelihood, or hold it at 0, the common-effect model.

    Returns
    -------
    SelectionModel
        Frozen. The effect before selection, the weights, and the test of no selection.

    Raises
    ------
    InvalidInputError
        If the measure is a probability, there are fewer than three studies, a name is unknown, steps do not rise
        within (0, 1), weights are not one an interval, or a study lies where its weight would be 0.
    ConvergenceError
        If the likelihood has no maximum that can be reached; the last mean is in ``.last``.

    Warns
    -----
    FewStudiesWarning
        Fewer than ten studies, or an interval with fewer than four.
    BoundaryWarning
        An interval without a study, whose weight is 0; a weight that runs to 0 or without end; or a likelihood
        so flat that there are no standard errors.

    Notes
    -----
    Study i has density :math:`w(p_i) \phi((y_i - \mu) / \sigma_i) / (\sigma_i A_i)`,
    :math:`\sigma_i^2 = v_i + \tau^2`, where :math:`A_i` makes it integrate to 1. Weights are relative: that of the
    first interval that holds a study is 1.

    References
    ----------
    .. [1] Vevea JL, Hedges LV (1995). A general linear model for estimating effect size in the presence of
       publication bias. Psychometrika 60:419-435. https://doi.org/10.1007/BF02294384
    .. [2] Citkowicz M, Vevea JL (2017). A parsimonious weight function for modeling publication bias.
       Psychol Methods 22:28-41. https://doi.org/10.1037/met0000119
    .. [3] Preston C, Ashby D, Smyth R (2004). Adjusting for publication bias: modelling the selection process.
       J Eval Clin Pract 10:313-322.
    .. [4] Vevea JL, Woods CM (2005). Publication bias in research synthesis: sensitivity analysis using a priori
       weight functions. Psychol Methods 10:428-443. https://doi.org/10.1037/1082-989X.10.4.428

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> log_hr = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
    >>> se = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
    >>> pooled = pool_effects(log_hr, se=se, measure="log_hr")
    >>> print(fit_selection_model(pooled, alternative="less"))
    Selection model: Hazard ratio, step function for low effects, random effects, tau2 by ML, k = 11
      estimate               0.92   95% CI [0.81, 1.05]   tau2 0
      without selection      0.75   tau2 0.0222
      p up to 0.025          weight 1.0   6 studies
      p above 0.025          weight 0.056   95% CI [0.0085, 0.37]   5 studies
      test of no selection   chi2 7.53 on 1 df, p = 0.006
    """
    _check_form(form, alternative, steps, weights)
    _validate.choice(tau2, "tau2", get_args(SelectionTau2))
    _checks.check(pooled, "A selection model", least=_LEAST)
    y, v = pooled.study_estimate, pooled.study_se**2

    if form == "step":
        at, weight = _steps(steps, weights, alternative)
        cuts = selection.segments(at, alternative)
        interval = selection.intervals_of(selection.study_pvalues(y, v, alternative), at)
        n_in = np.bincount(interval, minlength=len(at) + 1)
        given = ~np.isnan(weight)
        _check_weights(pooled, at, weight, interval)
        if not given.any():
            weight[n_in == 0] = 0.0
            weight[np.flatnonzero(n_in)[0]] = 1.0

        def fit(common: bool) -> SelectionFit:
            return fit_steps(y, v, interval, cuts, weight, common=common)
    else:
        at, n_in, given = (
            (),
            np.zeros(0, dtype=np.int64),
            np.zeros(2 if form == "beta" else 1, dtype=np.bool_),
        )

        def fit(common: bool) -> SelectionFit:
            return fit_smooth(y, v, form, alternative, common=common)

    found = _converged(fit(tau2 == "CE"))
    without = selection.segments((0.5,), "greater"), np.zeros(pooled.k, dtype=np.int64), np.ones(2)
    null = _converged(fit_steps(y, v, without[1], without[0], without[2], common=tau2 == "CE"))
    common = float(fit(True).log_likelihood) if tau2 == "ML" else math.nan

    error = np.sqrt(np.diagonal(found.covariance))
    weight_se = error[2:].copy()
    counted = given if given.any() or form != "step" else np.arange(len(at) + 1) == np.flatnonzero(n_in)[0]
    arrays = (found.weight, weight_se, counted, n_in, found.covariance)
    for array in arrays:
        array.setflags(write=False)
    return SelectionModel(
        pooled=pooled,
        form=form,
        alternative=alternative,
        steps=at,
        estimate=float(found.mean),
        se=float(error[0]),
        tau2=float(found.tau2),
        tau2_se=float(error[1]),
        tau2_method=tau2,
        weight=found.weight,
        weight_se=weight_se,
        given=counted,
        n_studies=n_in,
        covariance=found.covariance,
        log_likelihood=float(found.log_likelihood),
        log_likelihood_null=float(null.log_likelihood),
        log_likelihood_common=common,
        null_estimate=float(null.mean),
        null_tau2=float(null.tau2),
        warnings=_checks.few(pooled, "selection from chance") + _doubts(at, n_in, counted, found),
    )


def _check_form(form: WeightForm, alternative: Alternative, steps: object, weights: object) -> None:
    _validate.choice(form, "form", ("step", *get_args(SmoothWeight)))
    _validate.choice(alternative, "alternative", get_args(Alternative))
    if form == "step":
        return
    for name, value in (("steps", steps), ("weights", weights)):
        if value is not None:
            raise InvalidInputError(f"form {form!r} has no {name}; leave them out, or use form='step'.")
    if alternative == "two-sided":
        raise InvalidInputError(
            f"form {form!r} is a function of one-sided p-values; got alternative='two-sided'. Give 'greater' or 'less'."
        )


def _steps(
    steps: Sequence[float] | None, weights: Sequence[float] | Severity | None, alternative: Alternative
) -> tuple[tuple[float, ...], FloatArray]:
    """Steps, and a weight for each interval, nan where it is to be estimated."""
    if isinstance(weights, str):
        _validate.choice(weights, "weights", SEVERITIES)
        if steps is not None or alternative == "two-sided":
            raise InvalidInputError(
                f"weights {weights!r} has steps of its own, of one-sided p-values; leave steps out and give "
                "alternative='greater' or 'less'."
            )
        return SEVERITY_STEPS, np.array(SEVERITIES[weights])
    if steps is None:
        steps = (0.05,) if alternative == "two-sided" else (0.025,)
    at = _validate.increasing_1d(steps, "steps")
    if at[-1] >= 1:
        raise InvalidInputError(f"steps must lie below 1, where the last interval ends; got {at[-1]:g}.")
    if weights is None:
        return tuple(at.tolist()), np.full(at.size + 1, np.nan)
    given = _validate.finite_1d(weights, "weights").copy()
    if given.size != at.size + 1:
        raise InvalidInputError(
            f"weights must be one for each interval, {at.size + 1} for {_format.plural(at.size, 'step')}; got "
            f"{given.size}."
        )
    if (given < 0).any():
        raise InvalidInputError(f"weights cannot be negative; got {given.min():g}.")
    return tuple(at.tolist()), given


def _check_weights(
    pooled: PooledEffect, at: tuple[float, ...], weight: FloatArray, interval: IntArray
) -> None:
    lost = np.flatnonzero(weight[interval] == 0)
    if lost.size:
        name = interval_labels(at)[interval[lost[0]]]
        raise InvalidInputError(
            f"{pooled.study[lost[0]]}: the study was seen but lies where the weight is 0 ({name}). Give that interval "
            "a weight."
        )


def _converged(fit: SelectionFit) -> SelectionFit:
    if not fit.converged:
        raise ConvergenceError(
            f"The likelihood still rises at a mean of {fit.mean:g} and tau2 of {fit.tau2:g}, so that it has no maximum "
            "there. Use fewer steps, or give weights.",
            last=float(fit.mean),
        )
    return fit


def _doubts(
    at: tuple[float, ...], n_in: IntArray, given: BoolArray, fit: SelectionFit
) -> tuple[Caution, ...]:
    """Warn of weights that the studies say little about, or nothing."""
    if given.all():
        return ()
    found: list[tuple[type[NetsynthWarning], str]] = []
    intervals = list(zip(interval_labels(at), n_in, fit.weight, strict=True)) if at else []
    if empty := [name for name, n, _ in intervals if n == 0]:
        message = (
            f"No study has a {_format.listing(empty)}: the weight there is estimated as 0, as if such a result could "
            "not be seen. Choose other steps."
        )
        found.append((BoundaryWarning, message))
    if thin := [f"{name} ({n})" for name, n, _ in intervals if 0 < n < _PER_INTERVAL]:
        message = f"Fewer than {_PER_INTERVAL} studies have a {_format.listing(thin)}: they say little about a weight."
        found.append((FewStudiesWarning, message))
    if extreme := [name for name, n, w in intervals if n and not 1 / LARGEST_WEIGHT < w < LARGEST_WEIGHT]:
        message = (
            f"The weight of {_format.listing(extreme)} runs to an end of its range: the studies do not say how "
            "strong selection is. See profile_interval()."
        )
        found.append((BoundaryWarning, message))
    if not at and (fit.weight == 0).any():
        message = "The rate is 0, an end of its range: no selection of this form and side is seen."
        found.append((BoundaryWarning, message))
    if math.isnan(fit.covariance[0, 0]):
        message = "The likelihood is too flat for standard errors. See profile_interval()."
        found.append((BoundaryWarning, message))
    said = []
    for kind, message in found:
        said.append(caution(kind, message, stacklevel=_checks.USER))
    return tuple(said)
