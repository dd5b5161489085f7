"""Whether a pooled result is the work of one study: leave one out, one after the other, influence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.errors import (
    Caution,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    caution,
)
from netsynth.kernels import influence as diagnostics
from netsynth.kernels.intervals import CI_METHODS
from netsynth.kernels.subsets import SetFit, all_but_one, fit_sets, of_members, up_to_each
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Estimator
from netsynth.results.influence import StudyInfluence
from netsynth.results.pooled import PooledEffect, require_pooled
from netsynth.results.series import PooledSeries, SeriesKind

__all__ = ["accumulate", "influence", "leave_one_out", "refit_estimator"]

#: How far, in standard errors, the estimate may move when the model is fitted again: what rounding takes.
_SAME = 1e-6
_USER = 4  # frames from `caution` up to the caller of the verb: caution, its helper, the verb, its caller


def leave_one_out(pooled: PooledEffect) -> PooledSeries:
    """Pool again without each study in turn.

    Parameters
    ----------
    pooled : PooledEffect
        From `pool_effects` and its siblings, of at least two studies. Its estimator of tau2 and its intervals
        are used again.

    Returns
    -------
    PooledSeries
        One step a study, in the order given. Its text says whether the conclusion hangs on one study.

    Raises
    ------
    InvalidInputError
        If there is one study, or the result cannot be refitted because its tau2 came from a function, its
        weights were given, or it comes from another model.
    ConvergenceError
        If the estimator of tau2 does not arrive without some study.

    Warns
    -----
    FewStudiesWarning
        With two studies each step is the other study, which says nothing of tau2.
    NarrowIntervalWarning
        All effects are equal without some study, so its Knapp-Hartung interval is undefined.

    Notes
    -----
    All sets are fitted in one call. A result that stands without any one study may still fall without two;
    `gosh` looks at all subsets.

    References
    ----------
    .. [1] Viechtbauer W, Cheung MW-L (2010). Outlier and influence diagnostics for meta-analysis. Res
       Synth Methods 1:112-125. https://doi.org/10.1002/jrsm.11

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> pooled = pool_effects(
    ...     [-0.51, -0.32, -0.33, -0.45, 0.10], se=[0.18, 0.10, 0.15, 0.22, 0.20], measure="log_hr",
    ...     study=["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2012", "Evans 2016"], ci_method="HK",
    ... )
    >>> print(leave_one_out(pooled))
    Leave one out: Hazard ratio, random effects, tau2 by REML, CI by HK, k = 5
      omitted     k  estimate  95% CI        95% PI            p      tau2   I2
      Adams 2001  4      0.76  [0.57, 1.01]  [0.54, 1.07]  0.053  0.000847  33%
      Brown 2005  4      0.74  [0.48, 1.13]  [0.28, 1.93]   0.11    0.0327  49%
      Chen 2010   4      0.74  [0.50, 1.11]  [0.31, 1.76]  0.097    0.0269  49%
      Dow 2012    4      0.75  [0.53, 1.06]  [0.40, 1.40]  0.076    0.0124  45%
      Evans 2016  4      0.69  [0.61, 0.79]  [0.51, 0.94]  0.003         0   0%
      none        5      0.73  [0.58, 0.92]  [0.59, 0.91]  0.018         0  32%
      The 95% CI excludes 1 (no effect), but includes it without Adams 2001, Brown 2005, Chen 2010 or Dow 2012:
      the conclusion hangs on each of these 4 studies. The estimates lie between 0.69 and 0.76; leaving out
      Evans 2016 moves it most, from 0.73 to 0.69.
    """
    estimator = refit_estimator(pooled, "leave_one_out")
    members = all_but_one(pooled.k)
    fit = _refit(pooled, members, estimator, "without", pooled.study)
    said = _few(pooled, "leaves the other alone, so tau2 and prediction intervals are undefined")
    said += _undefined(fit.se, "without", pooled.study)
    return _series("leave-one-out", "given", pooled, pooled.study, members, fit, said)


def accumulate(pooled: PooledEffect, *, order: str | npt.ArrayLike = "given") -> PooledSeries:
    """Pool the first study, the first two, and so on: cumulative meta-analysis.

    Parameters
    ----------
    pooled : PooledEffect
        From `pool_effects` and its siblings, of at least two studies.
    order : {"given", "precision"} or array_like, shape (k,)
        "given" adds studies as they were given, "precision" the one with the smallest standard error first.
        Values such as years of publication add studies by increasing value, ties as given.

    Returns
    -------
    PooledSeries
        One step a study, in the order in which they are added; the first is that study alone.

    Raises
    ------
    InvalidInputError
        If the order is neither a known word nor one finite number a study, or as `leave_one_out`.
    ConvergenceError
        If the estimator of tau2 does not arrive at some step.

    Warns
    -----
    NarrowIntervalWarning
        All effects are equal up to some study, so its Knapp-Hartung interval is undefined.

    Notes
    -----
    The history of the evidence, by year [1]_, or, by precision, the drift that small studies bring. The
    intervals are those of each step alone: looking after every study finds an effect by chance more often
    than one interval does.

    References
    ----------
    .. [1] Lau J, Antman EM, Jimenez-Silva J, et al. (1992). Cumulative meta-analysis of therapeutic trials
       for myocardial infarction. N Engl J Med 327:248-254. https://doi.org/10.1056/NEJM199207233270406

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> pooled = pool_effects(
    ...     [-0.45, -0.12, -0.52, -0.33], se=[0.22, 0.10, 0.18, 0.15], measure="log_hr",
    ...     study=["Dow", "Brown", "Adams", "Chen"], ci_method="HK",
    ... )
    >>> print(accumulate(pooled, order=[2012, 2005, 2001, 2010]))
    Cumulative, in order of the key: Hazard ratio, random effects, tau2 by REML, CI by HK, k = 4
      added  k  estimate  95% CI         95% PI             p    tau2   I2
      Adams  1      0.59  [0.42, 0.85]                  0.004
      Brown  2      0.75  [0.060, 9.25]                  0.38  0.0588  74%
      Chen   3      0.75  [0.46, 1.23]   [0.068, 8.23]   0.13  0.0217  53%
      Dow    4      0.73  [0.55, 0.99]   [0.36, 1.51]   0.045  0.0176  40%
      The 95% CI has excluded 1 (no effect) since Dow was added (4 studies); it is not corrected for looking
      after each study. The last study, Dow, moved the estimate from 0.75 to 0.73.
    """
    estimator = refit_estimator(pooled, "accumulate")
    name, places = _places(order, pooled)
    members = up_to_each(places)
    study = tuple(pooled.study[i] for i in places)
    fit = _refit(pooled, members, estimator, "up to", study)
    said = _undefined(fit.se, "up to", study)
    return _series("cumulative", name, pooled, study, members, fit, said)


def influence(pooled: PooledEffect) -> StudyInfluence:
    """What each study does to the pooled result.

    Parameters
    ----------
    pooled : PooledEffect
        From `pool_effects` and its siblings, of at least two studies.

    Returns
    -------
    StudyInfluence
        Residuals, DFFITS, Cook's distance, covariance ratio, DFBETAS, weight, tau2 and Q without each study,
        the coordinates of the Baujat plot, and the shrunken effect of each study.

    Raises
    ------
    InvalidInputError, ConvergenceError
        As `leave_one_out`.

    Warns
    -----
    FewStudiesWarning
        With two studies what needs tau2 without one of them is nan.
    NarrowIntervalWarning
        As `leave_one_out`.

    Notes
    -----
    The formulas stand with `netsynth.kernels.influence.influence` [1]_. The variance of the mean is that of the
    result's own interval, as under ``test =`` in metafor: with Knapp and Hartung's, a study that stands out
    can widen it so much that its own diagnostics look harmless.

    References
    ----------
    .. [1] Viechtbauer W, Cheung MW-L (2010). Outlier and influence diagnostics for meta-analysis. Res
       Synth Methods 1:112-125. https://doi.org/10.1002/jrsm.11

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> pooled = pool_effects(
    ...     [-0.51, -0.32, -0.33, -0.45, 0.10], se=[0.18, 0.10, 0.15, 0.22, 0.20], measure="log_hr",
    ...     study=["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2012", "Evans 2016"], ci_method="HK",
    ... )
    >>> print(influence(pooled))
    Influence: Hazard ratio, random effects, tau2 by REML, CI by HK, k = 5
      study         weight  studentized  DFFITS  Cook  cov ratio  tau2 without  shrunken
      Adams 2001     14.0%  -0.97        -0.40   0.17       1.22      0.000847      0.73
      Brown 2005     45.3%  -0.07        -0.08   0.02       2.67        0.0327      0.73
      Chen 2010      20.1%  -0.11        -0.11   0.02       2.40        0.0269      0.73
      Dow 2012        9.4%  -0.52        -0.27   0.08       1.78        0.0124      0.73
      Evans 2016 *   11.3%  +3.70        +1.32   0.42       0.27             0      0.73
      Evans 2016 is influential (*): |DFFITS| > 1.50, Cook's distance > 0.455, weight > 60% or |DFBETAS| > 1.
      Evans 2016 lies more than 1.96 standard errors from the other studies, where chance alone puts 0.25 of 5.
    """
    estimator = refit_estimator(pooled, "influence")
    y, variance, tau2 = pooled.study_estimate, pooled.study_se**2, np.asarray(pooled.tau2)
    error = CI_METHODS[pooled.ci_method]
    found = diagnostics.influence(y, variance, tau2, estimator, error)
    _arrived(found.converged, found.tau2_deleted, "without", pooled.study, pooled)
    said = _few(pooled, "leaves the other alone, so diagnostics that need its tau2 are undefined")
    said += _undefined(found.cov_ratio, "without", pooled.study)
    shrunken = diagnostics.shrunken(y, variance, tau2, error)
    for array in (*found, *shrunken):
        array.setflags(write=False)
    return StudyInfluence(
        overall=pooled,
        residual=found.residual,
        residual_se=found.residual_se,
        deleted_residual=found.deleted_residual,
        deleted_residual_se=found.deleted_residual_se,
        dffits=found.dffits,
        dfbetas=found.dfbetas,
        cook_distance=found.cook_distance,
        cov_ratio=found.cov_ratio,
        estimate_deleted=found.estimate_deleted,
        tau2_deleted=found.tau2_deleted,
        q_deleted=found.q_deleted,
        hat=found.hat,
        baujat_q=found.baujat_q,
        baujat_influence=found.baujat_influence,
        shrunken=shrunken.estimate,
        shrunken_se=shrunken.se,
        warnings=said,
    )


def refit_estimator(pooled: PooledEffect, verb: str) -> Tau2Estimator:
    """The estimator by which a pooled result can be refitted to other sets of its studies.

    Raises
    ------
    InvalidInputError
        If the result pools one study, or does not come from a named estimator and the normal model.
    """
    require_pooled(pooled, verb)
    if not pooled.pooled:
        raise InvalidInputError(
            f"{verb} needs at least two studies; {pooled.study[0]} is the only one, and nothing was pooled."
        )
    name = pooled.tau2_method
    estimators = dict[str, Tau2Estimator](TAU2_ESTIMATORS.items())
    if name not in estimators:
        raise InvalidInputError(
            f"{verb} fits the model again, which needs tau2_method by name ({', '.join(TAU2_ESTIMATORS)}); this "
            f"result has {name!r}. Pool with a named one."
        )
    if pooled.own_weight:
        raise InvalidInputError(
            f"{verb} fits the model again with weights 1 / (v + tau2), but this result has weights of its own. "
            "Pool without them."
        )
    estimator = estimators[name]
    fit = fit_sets(pooled.study_estimate, pooled.study_se**2, estimator, CI_METHODS["wald"])
    if not abs(float(fit.estimate) - pooled.estimate) <= _SAME * float(fit.se):
        raise InvalidInputError(
            f"{verb} fits the normal model with tau2 by {name} again, which gives {float(fit.estimate):.6g} and not "
            f"the {pooled.estimate:.6g} of this result: it comes from another model or a function of that name. "
            "Give it a result of pool_effects."
        )
    return estimator


def _places(order: str | npt.ArrayLike, pooled: PooledEffect) -> tuple[str, IntArray]:
    if isinstance(order, str):
        _validate.choice(order, "order", ("given", "precision"))
        by = pooled.study_se if order == "precision" else np.arange(pooled.k, dtype=np.float64)
        return order, np.argsort(by, kind="stable")
    key = _validate.array_1d(order, "order")
    if key.size != pooled.k:
        raise InvalidInputError(f"order must have one value for each of {pooled.k} studies; got {key.size}.")
    key = _validate.finite_1d(key, "order", labels=pooled.study)
    return "key", np.argsort(key, kind="stable")


def _refit(
    pooled: PooledEffect, members: BoolArray, estimator: Tau2Estimator, word: str, study: tuple[str, ...]
) -> SetFit:
    sets = of_members(pooled.study_se**2, members)
    fit = fit_sets(pooled.study_estimate, sets, estimator, CI_METHODS[pooled.ci_method])
    _arrived(fit.converged, fit.tau2, word, study, pooled)
    return fit


def _arrived(
    converged: BoolArray, tau2: FloatArray, word: str, study: tuple[str, ...], pooled: PooledEffect
) -> None:
    if not converged.all():
        i = int(np.flatnonzero(~converged)[0])
        raise ConvergenceError(
            f"tau2 by {pooled.tau2_method} did not converge {word} {study[i]}.", last=float(tau2[i])
        )


def _series(
    kind: SeriesKind,
    order: str,
    pooled: PooledEffect,
    study: tuple[str, ...],
    members: BoolArray,
    fit: SetFit,
    said: tuple[Caution, ...],
) -> PooledSeries:
    for array in (members, *fit):
        array.setflags(write=False)
    return PooledSeries(
        kind=kind,
        order=order,
        overall=pooled,
        study=study,
        members=members,
        estimate=fit.estimate,
        se=fit.se,
        df=fit.df,
        tau2=fit.tau2,
        q=fit.q,
        k=fit.k,
        warnings=said,
    )


def _few(pooled: PooledEffect, consequence: str) -> tuple[Caution, ...]:
    if pooled.k > 2:
        return ()
    return (caution(FewStudiesWarning, f"Leaving out one of two studies {consequence}.", stacklevel=_USER),)


def _undefined(value: FloatArray, word: str, study: tuple[str, ...]) -> tuple[Caution, ...]:
    names = [name for name, missing in zip(study, np.isnan(value), strict=True) if missing]
    if not names:
        return ()
    message = (
        f"All effects are equal {word} {_format.listing(names)}, so the HK interval is undefined there. Pool with "
        "ci_method='mHK'."
    )
    return (caution(NarrowIntervalWarning, message, stacklevel=_USER),)
