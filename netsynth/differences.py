"""Differences over time: between two pooled curves, and between two arms within each of several studies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import BoolArray, FloatArray
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
from netsynth.kernels.scales import CurveMeasure
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
_MEASURES: Final[dict[DifferenceKind, CurveMeasure]] = {
    "survival difference": "survival_difference",
    "restricted mean difference": "rmst_difference",
    "cumulative hazard ratio": "log_cumulative_hazard_ratio",
    "restricted mean ratio": "log_rmst_ratio",
}
#: Least singular value of the answers of a study, each of length one, below which one follows from the others: the
#: root of the least eigenvalue that `pool_multivariate` takes.
_SAME: Final = 1e-4
#: Names of the arguments with the arms.
_ARMS: Final = ("first", "second")


class _Curve(NamedTuple):
    """A curve at knots, shape (m,), and what is linear between them."""

    knots: FloatArray
    survival: FloatArray
    between: Between


class _Answers(NamedTuple):
    """What one curve says, in the order of the kinds, shape (q,), with slopes in the cumulative hazards, (q, m)."""

    value: FloatArray
    slope: FloatArray


class _Arm(NamedTuple):
    """What one arm of a study says at q times, nan where nothing.

    `value` (q,) with `error` (q, m), its slopes in m independent errors of variance one; `plain`, the same of survival
    or of the restricted mean itself; `is_printed` (q,), whether its report has the time, and the source of its numbers
    at risk.
    """

    value: FloatArray
    error: FloatArray
    plain: FloatArray
    is_printed: BoolArray
    source: str


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
        Times at which survival and cumulative hazard are compared; by default those that either curve shows
        (`PooledCurve.shown_months`) and that lie within both.
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
        If an argument is no pooled curve, endpoints differ, a time is after the last of either curve, or `names` are
        no two different texts.

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
    one, other = _names(names)
    last = min(first.last_months, second.last_months)
    if times_months is None:
        times = np.unique(np.concatenate([each.shown_months for each in (first, second)]))
        times = times[times <= last]
    else:
        times = _times(times_months, "times_months", last)
    horizons = (
        np.array([last]) if horizons_months is None else _times(horizons_months, "horizons_months", last)
    )
    found = [
        _answers(_Curve(c.time_months, c.survival_at_times, c.interpolation), times, horizons)
        for c in (first, second)
    ]
    cautions = []
    if shared := [name for name in first.study if name in second.study]:
        message = (
            f"{some(shared)} {'is' if len(shared) == 1 else 'are'} in both curves, which are then not independent; "
            "pool_differences compares arms within studies"
        )
        cautions.append(caution(OverlapWarning, message, where=f"{first.endpoint} over time"))
    estimate = found[0].value - found[1].value
    with np.errstate(invalid="ignore"):  # nan after the last time
        of_first, of_second = (
            each.slope @ curve.log_covariance @ each.slope.T
            for each, curve in zip(found, (first, second), strict=True)
        )
    covariance = of_first + of_second
    time = np.concatenate([times if kind in _OF_TIMES else horizons for kind in _KINDS])
    kinds = tuple(kind for kind in _KINDS for _ in (times if kind in _OF_TIMES else horizons))
    for array in (estimate, covariance, time):
        array.setflags(write=False)
    return CurveDifference(
        endpoint=first.endpoint,
        first=f"{one} ({_format.plural(first.k, 'study', 'studies')})",
        second=f"{other} ({_format.plural(second.k, 'study', 'studies')})",
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
    names: tuple[str, str] = ("first", "second"),
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
        What is compared: survival, in text as percent points; months; or a ratio, pooled as a logarithm.
    times_months : array_like of float, shape (p,)
        Times, or horizons of the restricted means. A study takes part in those up to its last reported time; survival
        and cumulative hazard only at times that both of its arms report. Horizons whose restricted means follow from
        each other in a study are not counted twice there, and one that follows in every study is left out.
    sets, roles : pair of sequences
        Of the first and of the second arm, as in `Review.select_survival`.
    overlap, maturity
        As in `pool_survival`.
    structure, method, ci_method
        As in `pool_multivariate`.
    names : pair of str
        What the arms are called in text and figures.

    Returns
    -------
    MultivariateEffect
        One outcome a time, pooled together, with their joint covariance; for contrasts between times, tests,
        predictions and plots.

    Raises
    ------
    InvalidInputError
        If an arm cannot be read, no study has both arms, each time is told by one study alone, `names`, `sets` or
        `roles` are no pair or the names the same, or `pool_multivariate` cannot take what is left.

    Warns
    -----
    ImputedVarianceWarning
        If numbers at risk are imputed.
    UnusableDataWarning
        If a study has one arm only, or no time in common, or what it says at a time follows from other times.

    Notes
    -----
    Within an arm survivals hang together by Greenwood's sums: with :math:`G_j` up to time j,
    :math:`\mathrm{Cov}(\ln \hat S_j, \ln \hat S_l) = G_{\min(j, l)}`. Arms are independent within a study. Restricted
    means are areas under straight lines between the reported percentages, and the delta method gives the covariance of
    each study's differences. Where nobody or everybody in an interval died, its variance, and in ratios of cumulative
    hazards its survival, is that with half a patient moved. Where all of an arm have died survival stays 0, with the
    same error; the hazard after that is unknown.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore")
    >>> from netsynth.datasets import load_gliomas
    >>> trials = load_gliomas()
    >>> pooled = pool_differences(trials, trials, "OS", times_months=[12, 24], ci_method="wald")
    >>> pooled.coefficient.round(3).tolist()
    [0.099, 0.056]
    """
    _validate.choice(kind, "kind", _KINDS)
    times = _validate.increasing_1d(times_months, "times_months")
    one, other = _names(names)
    _pair(sets, "sets")
    _pair(roles, "roles")
    reports = []
    for argument, data, s, r in zip(_ARMS, (first, second), sets, roles, strict=True):
        try:
            reports.append(read_reports(data, endpoint, sets=s, roles=r, overlap=overlap))
        except InvalidInputError as reason:
            raise InvalidInputError(f"{argument}: {reason}") from None
    arms = [{study.name: study for study in each.studies} for each in reports]
    where = f"{reports[0].endpoint}, {kind} over time"
    both = [name for name in arms[0] if name in arms[1]]
    if not both:
        raise InvalidInputError(
            f"{where}: no study has both arms; {some(list(arms[0]))} in the first, {some(list(arms[1]))} in the "
            "second. Names of studies must be the same in both."
        )
    cautions = [
        caution(kind_, f"{argument}: {text}", where=where)
        for argument, each in zip(_ARMS, reports, strict=True)
        for kind_, text in each.doubts
    ]
    for argument, mine, others in zip(_ARMS, arms, arms[::-1], strict=True):
        if single := [name for name in mine if name not in others]:
            message = f"one arm only, the {argument}, left out: {some(single)}"
            cautions.append(caution(UnusableDataWarning, message, where=where))
    rows, covariances, kept, imputed = [], [], [], []
    followed: dict[tuple[float, ...], list[str]] = {}  # studies by the times at which they say nothing more
    reached = np.zeros(times.size, dtype=np.bool_)
    for name in both:
        pair = [_arm(arm[name], times, kind, maturity) for arm in arms]
        difference = pair[0].value - pair[1].value
        known = np.isfinite(difference)
        if not known.any():
            continue
        own = _independent(pair, known)
        if (known & ~own).any():
            followed.setdefault(tuple(times[known & ~own].tolist()), []).append(name)
        reached |= known
        kept.append(name)
        rows.append(np.where(own, difference, np.nan))
        error = np.where(own[:, None], np.concatenate([arm.error for arm in pair], axis=1), 0.0)
        covariances.append(error @ error.T)
        if any(arm.source == "imputed" for arm in pair):
            imputed.append(name)
    if silent := [name for name in both if name not in kept]:
        message = f"no time at which both arms can be compared, left out: {some(silent)}"
        cautions.append(caution(UnusableDataWarning, message, where=where))
    if not kept:
        raise InvalidInputError(f"{where}: no study can be compared at {_months(times)}.")
    if imputed:
        message = f"numbers at risk are imputed: {some(imputed)}. maturity=1 shows how much rests on it."
        cautions.append(caution(ImputedVarianceWarning, message, where=where))
    estimate, covariance = np.array(rows), np.array(covariances)
    asked = np.isfinite(estimate).any(axis=0) | ~reached  # a time that no study reaches is refused below
    again = [(np.intersect1d(found, times[asked]), studies) for found, studies in followed.items()]
    if said := [f"{_months(found)} in {some(studies)}" for found, studies in again if found.size]:
        message = f"what follows from other times of a study is not counted twice: {'; '.join(said)}"
        cautions.append(caution(UnusableDataWarning, message, where=where))
    if not asked.all():
        message = f"left out, as in every study it follows from the other times: {_months(times[~asked])}. "
        message += f"Ask for {'it' if (~asked).sum() == 1 else 'each'} alone."
        cautions.append(caution(UnusableDataWarning, message, where=where))
    told = np.isfinite(estimate[:, asked])
    if (told.sum(axis=0) == 1).all():
        raise InvalidInputError(
            f"{where}: only one study tells each time in both arms ({some(kept)}), and pooling takes two. To compare "
            "the arms of one study use compare_curves(pool_survival(first), pool_survival(second)) of it alone; its "
            "OverlapWarning does not count then, as the two arms are different patients."
        )
    pooled = pool_multivariate(
        estimate[:, asked],
        covariance=covariance[:, asked][:, :, asked],
        outcomes=[f"{t:g} months" for t in times[asked]],
        structure=structure,
        method=method,
        ci_method=ci_method,
        measure=_MEASURES[kind],
        study=kept,
    )
    return replace(
        pooled,
        warnings=(*cautions, *pooled.warnings),
        subject=f"{reports[0].endpoint}, {one} against {other}",
    )


def _pair(values: object, name: str) -> None:
    """Refuse what is not of the first arm and of the second."""
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != 2:
        raise InvalidInputError(f"{name} must be a pair, of the first arm and of the second; got {values!r}.")


def _names(names: tuple[str, str]) -> tuple[str, str]:
    """What the arms are called, each by a name of its own."""
    _pair(names, "names")
    one, other = (_validate.text(name, "names") for name in names)
    if one == other:
        raise InvalidInputError(f"names must be different for the two arms; got {one!r} twice.")
    return one, other


def _months(times: Iterable[float]) -> str:
    return f"{_format.listing(f'{t:g}' for t in times)} months"


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
    return _Answers(value, np.concatenate([blocks[kind][1] for kind in _KINDS]))


def _arm(report: StudyReport, times: FloatArray, kind: DifferenceKind, maturity: float) -> _Arm:
    """One arm of a study, by Greenwood, with straight lines between its percentages."""
    found = starts(report, maturity)
    before = np.append(1.0, report.survival[:-1])
    gone = before == 0  # all have died before: survival stays 0 and nothing more is learnt
    with np.errstate(divide="ignore", invalid="ignore"):
        p = report.survival / before
        # half a patient from 0 and 1, where the variance would be none
        moved = np.where((p > 0) & (p < 1), p, (found.n * p + 0.5) / (found.n + 1.0))
        moved = np.where(gone, 1.0, moved)
        step = np.where(gone, 0.0, (1.0 - moved) / (moved * found.n))
    # errors of the intervals are independent of each other, and those up to a time add up in its cumulative hazard
    root = np.where(np.tri(step.size, dtype=np.bool_), np.sqrt(step), 0.0)
    after = np.asarray(np.cumprod(moved), dtype=np.float64)
    near = _answers(_Curve(report.time, after, "survival"), times, times)
    # a cumulative hazard is 0 or infinite where survival is 1 or 0, and has no logarithm
    is_hazard = kind == "cumulative hazard ratio"
    printed = near if is_hazard else _answers(_Curve(report.time, report.survival, "survival"), times, times)

    def rows(kind: DifferenceKind) -> slice:
        return slice(times.size * _KINDS.index(kind), times.size * (_KINDS.index(kind) + 1))

    is_printed = np.asarray((np.abs(times[:, None] - report.time) <= 1e-6 * times[:, None]).any(axis=1))
    value, error = printed.value[rows(kind)], near.slope[rows(kind)] @ root
    known = np.isfinite(value) & np.isfinite(error).all(axis=1)
    if kind in _OF_TIMES:
        known &= is_printed
    if is_hazard and gone.any():
        known &= times <= report.time[gone.argmax() - 1] * (1.0 + 1e-6)
    plain: DifferenceKind = "survival difference" if kind in _OF_TIMES else "restricted mean difference"
    return _Arm(
        np.where(known, value, np.nan), error, near.slope[rows(plain)] @ root, is_printed, found.source
    )


def _independent(pair: Sequence[_Arm], known: BoolArray) -> BoolArray:
    """As many of the known answers as do not follow from each other, printed times before those between, shape (q,).

    An answer follows from others when the same sum of them gives it in both arms.
    """
    rows = np.concatenate([arm.plain for arm in pair], axis=1)
    is_printed = pair[0].is_printed & pair[1].is_printed
    kept: list[int] = []
    # of times between printed ones the last first, which says most of the percentage that follows
    places = np.flatnonzero(known)
    for i in (*places[is_printed[places]], *places[~is_printed[places]][::-1]):
        trial = rows[[*kept, int(i)]]
        size = np.sqrt((trial**2).sum(axis=1, keepdims=True))
        if np.linalg.matrix_rank(trial / size, tol=_SAME) > len(kept):
            kept.append(int(i))
    return np.isin(np.arange(known.size), kept)
