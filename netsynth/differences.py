"""Differences over time: between two pooled curves, and between two arms within each of several studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.curve_methods.asked import some
from netsynth.curve_methods.at_risk import starts
from netsynth.curve_methods.reports import StudyReport, read_reports
from netsynth.data.endpoint import Endpoint
from netsynth.data.selection import OverlapRule
from netsynth.data.study import Role
from netsynth.errors import (
    ImputedVarianceWarning,
    InvalidInputError,
    OverlapWarning,
    UnusableDataWarning,
    caution,
)
from netsynth.kernels import curve_band
from netsynth.kernels.covariance_structures import CovarianceStructure
from netsynth.kernels.curve_band import Between
from netsynth.kernels.multivariate_fit import BetweenMethod
from netsynth.kernels.scales import EffectMeasure
from netsynth.kernels.survival_variance import MATURITY
from netsynth.multivariate import pool_multivariate
from netsynth.over_time import Data
from netsynth.results.curve_difference import CurveDifference, DifferenceKind
from netsynth.results.multivariate import MultivariateEffect
from netsynth.results.pooled_curve import PooledCurve

__all__ = ["compare_curves", "pool_differences"]

_KINDS: Final[tuple[DifferenceKind, ...]] = get_args(DifferenceKind)
#: Kinds that are asked of times; the others are asked of horizons.
_OF_TIMES: Final = ("survival difference", "cumulative hazard ratio")
_MEASURES: Final[dict[DifferenceKind, EffectMeasure]] = {"cumulative hazard ratio": "log_hr"}


class _Curve(NamedTuple):
    """A curve at knots, shape (m,), with the covariance of its logarithm there, shape (m, m)."""

    knots: FloatArray
    survival: FloatArray
    covariance: FloatArray
    between: Between


class _Answers(NamedTuple):
    """What one curve says, in the order of the kinds, shape (q,), with its joint covariance, shape (q, q)."""

    value: FloatArray
    covariance: FloatArray


def compare_curves(
    first: PooledCurve,
    second: PooledCurve,
    *,
    times_months: npt.ArrayLike | None = None,
    horizons_months: npt.ArrayLike | None = None,
    names: tuple[str, str] = ("first", "second"),
) -> CurveDifference:
    r"""Compare two pooled curves of different studies at several times at once.

    Parameters
    ----------
    first, second : PooledCurve
        From `pool_survival`, of different patients. Two arms of the same trials are compared within each trial, by
        `pool_differences`.
    times_months : array_like of float, shape (q,), optional
        Times at which survival and cumulative hazard are compared; by default those that studies report and that lie
        within both curves.
    horizons_months : array_like of float, shape (r,), optional
        Horizons of the restricted means; by default the last time within both.
    names : pair of str
        What the curves are called in text and figures.

    Returns
    -------
    CurveDifference
        Differences of survival and of restricted means, ratios of cumulative hazards and of restricted means, with
        their joint covariance.

    Raises
    ------
    InvalidInputError
        If an argument is no pooled curve, endpoints differ, or a time is after the last of either curve.

    Warns
    -----
    OverlapWarning
        If a study is in both curves, so that they are not independent.

    Notes
    -----
    The curves are independent, so the covariance of the differences is the sum of theirs. The ratio of cumulative
    hazards is the hazard ratio where hazards are proportional. Differences between groups of studies are not those of
    randomised arms: whatever else differs between the studies is in them.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore")  # of imputed numbers at risk
    >>> from netsynth import pool_survival
    >>> from netsynth.datasets import load_gliomas
    >>> arms = [
    ...     pool_survival(load_gliomas(), "OS", sets=[arm], roles=["arm", "comparator"], times_months=[12, 24])
    ...     for arm in ("chemotherapy", "control")
    ... ]
    >>> found = compare_curves(*arms, times_months=[12, 24], horizons_months=[24])
    >>> found.of("survival difference").estimate.round(2).tolist()
    [0.09, 0.07]
    """
    for name, curve in (("first", first), ("second", second)):
        if not isinstance(curve, PooledCurve):
            raise InvalidInputError(
                f"{name} must be a PooledCurve, from pool_survival; got {type(curve).__name__}."
            )
    if first.endpoint != second.endpoint:
        raise InvalidInputError(
            f"The curves are of {first.endpoint} and of {second.endpoint}. Compare curves of one endpoint."
        )
    last = min(first.last_months, second.last_months)
    if times_months is None:
        reported = [curve.time_months for each in (first, second) for curve in each.study_curves]
        times = np.unique(np.concatenate(reported))
        times = times[times <= last]
    else:
        times = _times(times_months, "times_months", last)
    horizons = (
        np.array([last]) if horizons_months is None else _times(horizons_months, "horizons_months", last)
    )
    found = [
        _answers(
            _Curve(c.time_months, c.survival_at_times, c.log_covariance, c.interpolation), times, horizons
        )
        for c in (first, second)
    ]
    cautions = []
    if shared := [name for name in first.study if name in second.study]:
        message = (
            f"{some(shared)} {'is' if len(shared) == 1 else 'are'} in both curves, which are then not independent; "
            "pool_differences compares arms within studies"
        )
        cautions.append(caution(OverlapWarning, message, where=f"{first.endpoint} over time"))
    estimate, covariance = found[0].value - found[1].value, found[0].covariance + found[1].covariance
    time = np.concatenate([times if kind in _OF_TIMES else horizons for kind in _KINDS])
    kinds = tuple(kind for kind in _KINDS for _ in (times if kind in _OF_TIMES else horizons))
    for array in (estimate, covariance, time):
        array.setflags(write=False)
    return CurveDifference(
        endpoint=first.endpoint,
        first=f"{names[0]} ({_format.plural(first.k, 'study', 'studies')})",
        second=f"{names[1]} ({_format.plural(second.k, 'study', 'studies')})",
        kind=kinds,
        time_months=time,
        estimate=estimate,
        covariance=covariance,
        df=min(first.df, second.df),
        warnings=tuple(cautions),
    )


def pool_differences(
    first: Data,
    second: Data,
    endpoint: str | Endpoint = "OS",
    *,
    kind: DifferenceKind = "survival difference",
    times_months: npt.ArrayLike,
    sets: tuple[Sequence[str] | None, Sequence[str] | None] = (None, None),
    roles: tuple[Sequence[Role], Sequence[Role]] = (("overall", "arm"), ("comparator",)),
    overlap: OverlapRule = "largest",
    maturity: float = MATURITY,
    structure: CovarianceStructure = "unstructured",
    method: BetweenMethod = "REML",
    ci_method: Literal["wald", "t", "HK", "mHK"] = "mHK",
) -> MultivariateEffect:
    r"""Pool the differences of two arms over time, taken within each study.

    Parameters
    ----------
    first, second : Review, sequence of ReportedSurvival, data frame or mapping
        The two arms, in any form that `pool_survival` takes: the same review twice with `sets` or `roles` that tell the
        arms apart, or two tables with the same names of studies. Studies with one arm only are left out.
    endpoint : str or Endpoint
        Which endpoint.
    kind : {"survival difference", "restricted mean difference", "cumulative hazard ratio", "restricted mean ratio"}
        What is compared: probabilities, months, or, on the log scale, a ratio.
    times_months : array_like of float, shape (p,)
        Times, or horizons of the restricted means. A study takes part in those up to its last reported time; survival
        and cumulative hazard only at times that both of its arms report.
    sets, roles : pair of sequences
        Of the first and of the second arm, as in `Review.select_survival`.
    overlap, maturity
        As in `pool_survival`.
    structure, method, ci_method
        As in `pool_multivariate`.

    Returns
    -------
    MultivariateEffect
        One outcome a time, pooled together, with their joint covariance; for contrasts between times, tests,
        predictions and plots.

    Raises
    ------
    InvalidInputError
        If no study has both arms, or `pool_multivariate` cannot take what is left.

    Warns
    -----
    ImputedVarianceWarning
        If numbers at risk are imputed.
    UnusableDataWarning
        If a study has one arm only, or no time in common.

    Notes
    -----
    Within an arm survivals hang together by Greenwood's sums: with :math:`G_j` up to time j,
    :math:`\mathrm{Cov}(\ln \hat S_j, \ln \hat S_l) = G_{\min(j, l)}`. Arms are independent within a study. Restricted
    means are areas under straight lines between the reported percentages, and the delta method gives the covariance of
    each study's differences. Where nobody or everybody in an interval died, its variance, and in ratios of cumulative
    hazards its survival, is that with half a patient moved.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore")
    >>> from netsynth.datasets import load_gliomas
    >>> trials = load_gliomas()
    >>> pooled = pool_differences(trials, trials, "OS", times_months=[12, 24], ci_method="wald")
    >>> pooled.coefficient.round(3).tolist()
    [0.099, 0.055]
    """
    _validate.choice(kind, "kind", _KINDS)
    times = _validate.increasing_1d(times_months, "times_months")
    reports = [
        read_reports(data, endpoint, sets=s, roles=r, overlap=overlap)
        for data, s, r in zip((first, second), sets, roles, strict=True)
    ]
    arms = [{study.name: study for study in each.studies} for each in reports]
    where = f"{reports[0].endpoint}, {kind} over time"
    names = [name for name in arms[0] if name in arms[1]]
    single = [name for each, other in (arms, arms[::-1]) for name in each if name not in other]
    if not names:
        raise InvalidInputError(
            f"{where}: no study has both arms; {some(list(arms[0]))} in the first, {some(list(arms[1]))} in the "
            "second. Names of studies must be the same in both."
        )
    cautions = [caution(kind_, text, where=where) for each in reports for kind_, text in each.doubts]
    if single:
        cautions.append(caution(UnusableDataWarning, f"one arm only, left out: {some(single)}", where=where))
    rows, covariances, kept, imputed = [], [], [], []
    for name in names:
        pair = [_within(arm[name], maturity, kind) for arm in arms]
        answers = [
            _one_kind(curve, times, kind, arm[name]) for (curve, _), arm in zip(pair, arms, strict=True)
        ]
        difference = answers[0].value - answers[1].value
        if not np.isfinite(difference).any():
            continue
        kept.append(name)
        rows.append(difference)
        covariances.append(answers[0].covariance + answers[1].covariance)
        if any(source == "imputed" for _, source in pair):
            imputed.append(name)
    if silent := [name for name in names if name not in kept]:
        message = f"no time at which both arms can be compared, left out: {some(silent)}"
        cautions.append(caution(UnusableDataWarning, message, where=where))
    if not kept:
        raise InvalidInputError(
            f"{where}: no study can be compared at {_format.listing(f'{t:g}' for t in times)} months."
        )
    if imputed:
        message = f"numbers at risk are imputed: {some(imputed)}. maturity=1 shows how much rests on it."
        cautions.append(caution(ImputedVarianceWarning, message, where=where))
    pooled = pool_multivariate(
        np.array(rows),
        covariance=np.array(covariances),
        outcomes=[f"{t:g} months" for t in times],
        structure=structure,
        method=method,
        ci_method=ci_method,
        measure=_MEASURES.get(kind, "generic"),
        study=kept,
    )
    return replace(pooled, warnings=(*cautions, *pooled.warnings))


def _times(values: npt.ArrayLike, name: str, last: float) -> FloatArray:
    times = _validate.increasing_1d(values, name)
    if times[-1] > last:
        raise InvalidInputError(
            f"{name}: {times[-1]:g} months is after the last time of a curve, {last:g} months, where nothing is known."
        )
    return times


def _answers(curve: _Curve, times: FloatArray, horizons: FloatArray) -> _Answers:
    """Survival, restricted means, log cumulative hazards and log restricted means, in the order of the kinds."""
    s = curve_band.survival_at(curve.knots, curve.survival, times, curve.between)
    rmst = np.array([curve_band.area(curve.knots, curve.survival, float(h), curve.between) for h in horizons])
    slope = curve_band.survival_slope(curve.knots, curve.survival, times, curve.between)
    area = np.stack(
        [curve_band.area_slope(curve.knots, curve.survival, float(h), curve.between) for h in horizons]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        log_hazard = np.where((s > 0) & (s < 1), np.log(-np.log(s)), np.nan)
        blocks = {
            "survival difference": (s, slope),
            "restricted mean difference": (rmst, area),
            "cumulative hazard ratio": (log_hazard, slope / (s * np.log(s))[:, None]),
            "restricted mean ratio": (np.log(rmst), area / rmst[:, None]),
        }
    value = np.concatenate([blocks[kind][0] for kind in _KINDS])
    jacobian = np.concatenate([blocks[kind][1] for kind in _KINDS])
    with np.errstate(invalid="ignore"):  # nan after the last time
        covariance = jacobian @ curve.covariance @ jacobian.T
    return _Answers(value, covariance)


def _within(report: StudyReport, maturity: float, kind: DifferenceKind) -> tuple[_Curve, str]:
    """Curve of one arm with Greenwood's covariance, linear between its percentages."""
    found = starts(report, maturity)
    before = np.append(1.0, report.survival[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        p = report.survival / before
        # half a patient from 0 and 1, where the variance would be none
        moved = np.where((p > 0) & (p < 1), p, (found.n * p + 0.5) / (found.n + 1.0))
        step = (1.0 - moved) / (moved * found.n)
    greenwood = np.cumsum(step)
    covariance = np.minimum(greenwood[:, None], greenwood)
    # a cumulative hazard is 0 or infinite where survival is 1 or 0, and has no logarithm
    survival = np.cumprod(moved) if kind == "cumulative hazard ratio" else report.survival
    return _Curve(report.time, survival, covariance, "survival"), found.source


def _one_kind(curve: _Curve, times: FloatArray, kind: DifferenceKind, report: StudyReport) -> _Answers:
    """Answers of one kind; nan at times that the arm does not report, or after its last one."""
    found = _answers(curve, times, times)
    place = np.arange(times.size) + times.size * _KINDS.index(kind)
    value, covariance = found.value[place], found.covariance[np.ix_(place, place)]
    if kind in _OF_TIMES:
        near = np.abs(times[:, None] - report.time) <= 1e-6 * times[:, None]
        value = np.where(near.any(axis=1), value, np.nan)
    known = np.isfinite(value) & np.isfinite(np.diag(covariance))
    return _Answers(
        np.where(known, value, np.nan), np.where(known[:, None] & known, np.nan_to_num(covariance), 0.0)
    )
