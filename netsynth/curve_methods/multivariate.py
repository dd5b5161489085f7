"""The random-effects model of log(-log S) for studies that report different times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from netsynth import _format
from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.curve_methods.asked import (
    SAME,
    Answer,
    Asked,
    distinct,
    frozen,
    frozen_counts,
    print_or_prints,
    some,
)
from netsynth.curve_methods.at_risk import after_death, starts
from netsynth.curve_methods.study_report import Doubt, Reports, StudyReport
from netsynth.curve_methods.summary import pool_summary
from netsynth.errors import (
    BoundaryWarning,
    ConvergenceError,
    FewStudiesWarning,
    ImputedVarianceWarning,
    InconsistentReportWarning,
    InvalidInputError,
    UnusableDataWarning,
)
from netsynth.kernels.effective_numbers import effective_numbers
from netsynth.kernels.loglog_curve import LogLogCurve, RandomPart, curve_at, fit_loglog_curve
from netsynth.results.pooled_curve import PooledCurve, StudyCurve

#: Times in all at which the curve is read, a whole number of months apart.
_MOST_TIMES: Final = 150
_SPREAD: Final = 3  # studies that span a range worth leaving
_BARELY: Final = 0.001  # of survival, no more than what is printed shows
_FEW: Final = 5  # studies below which what they differ by is hardly known
_RANDOM: Final[dict[str, RandomPart]] = {"random": "intercept", "slope": "slope", "common": "none"}
_WORDS: Final = {
    "random": "random effects that shift it",
    "slope": "random effects that shift and tilt it",
    "common": "common effects",
}
_SHAPES: Final = {
    "spline": "spline of log(-log S) in log time",
    "linear": "straight line of log(-log S) in log time",
    "factor": "log(-log S) at each time",
}


def pool_loglog(reports: Reports, asked: Asked, /) -> Answer:
    """Pool log(-log S) at the times each study reports, `netsynth.kernels.loglog_curve`."""
    studies = reports.studies
    if len(studies) == 1:  # which is handed back as it is
        answer = pool_summary(reports, asked._replace(times=None, effects="random"))
        return answer if asked.times is None else _with_times_read(answer)
    time, survival, effective = _dense(studies, asked.maturity)
    usable = np.isfinite(effective) & _alive(survival)
    times = distinct(time[usable]) if usable.any() else np.zeros(0)
    if usable.any(axis=1).sum() < 2 or times.size < 2:
        raise InvalidInputError(
            f"{reports.endpoint}: a curve of log(-log S) takes two studies and two times at least, before all have "
            "died. Use pool_landmark for one time."
        )
    fit, turned = _fit(time, survival, effective, asked, str(reports.endpoint))
    reported = times
    times = _times(times, asked.times)
    at = curve_at(fit, times)
    at_start = [starts(study, asked.maturity) for study in studies]
    k_at, n_at = _informing(studies, [found.n for found in at_start], times)
    curve = PooledCurve(
        method="multivariate",
        model=f"{_SHAPES[asked.shape]}, {_WORDS[asked.effects]}",
        endpoint=reports.endpoint.code,
        label=reports.label,
        time_months=frozen(times),
        scale="cloglog",
        estimate=frozen(at.estimate),
        covariance=frozen(at.covariance),
        between=frozen(at.between if asked.effects != "common" else np.full_like(at.covariance, math.nan)),
        interpolation="hazard",
        study=tuple(study.name for study in studies),
        study_curves=tuple(
            StudyCurve(
                study.name,
                frozen(study.time),
                frozen(study.survival),
                frozen(found.n),
                study.n_patients,
                found.source,
            )
            for study, found in zip(studies, at_start, strict=True)
        ),
        k_at=k_at,
        n_at=n_at,
        df=fit.df if asked.ci_method == "t" and asked.effects != "common" else math.inf,
        prediction_df=fit.df - 1.0,
        q=fit.q,
        q_df=float(fit.q_df),
        asked_months=None if asked.times is None else frozen(asked.times),
    )
    outside = _outside(studies, effective, reported, curve_at(fit, reported).estimate)
    return Answer(
        curve, [*turned, *_doubts(studies, fit, asked), *outside, *after_death(studies, float(reported[-1]))]
    )


def _with_times_read(answer: Answer) -> Answer:
    """The curve of one study has the times of the study."""
    message = "one study keeps its own times; read the curve at others by survival() and confidence_band()."
    return answer._replace(doubts=[*answer.doubts, (UnusableDataWarning, message)])


def _fit(
    time: FloatArray, survival: FloatArray, effective: FloatArray, asked: Asked, where: str
) -> tuple[LogLogCurve, list[Doubt]]:
    """The fit with sampling covariances at each study's own curve; where that has no end, at the mean curve."""
    how = partial(
        fit_loglog_curve, time, survival, effective, curve=asked.shape, random=_RANDOM[asked.effects]
    )
    fit = how()
    if fit.converged:
        return fit, []
    mean = how(evaluated_at="mean")
    if mean.converged:
        message = (
            "studies differ so much that variances at the curves fitted to each and these curves do not come to agree; "
            "the variances are those at the mean curve instead."
        )
        return mean, [(InconsistentReportWarning, message)]
    simpler = "shape='linear'" if asked.shape != "linear" else "method='summary' where times allow"
    fewer = {"slope": "effects='random', ", "random": "effects='common', "}.get(asked.effects, "")
    raise ConvergenceError(
        f"{where}: the curve and the variances that go with it did not come to agree in {fit.n_iterations} turns. Use "
        f"{fewer}or {simpler}, which have less to find; a study that reports 0 or 1 where others are far from it may "
        "be left out to see whether it is the cause.",
        last=fit.tau2,
    )


def _dense(studies: Sequence[StudyReport], maturity: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Times, survival and effective numbers, a row a study, nan after what it reports."""
    shape = len(studies), max(study.time.size for study in studies)
    time, survival, at_risk, variance, observed = (np.full(shape, math.nan) for _ in range(5))
    n_total = np.full(len(studies), math.nan)
    for i, study in enumerate(studies):
        m = study.time.size
        time[i, :m], survival[i, :m], variance[i, :m] = study.time, study.survival, study.se**2
        at_risk[i, :m] = np.where(np.isnan(study.n_at_risk), _ends(study), study.n_at_risk)
        n_total[i] = study.n_patients
        known = not math.isnan(study.followup_months)
        observed[i, :m] = 0.5 ** (study.time / study.followup_months) if known else maturity
    effective = effective_numbers(survival, n_total, at_risk, variance, maturity=observed)
    return time, survival, effective


def _alive(survival: FloatArray) -> BoolArray:
    """Whether somebody was alive at the time before, which a study's first one always has."""
    before = np.concatenate([np.ones((len(survival), 1)), survival[:, :-1]], axis=1)
    return np.asarray(before > 0)


def _ends(study: StudyReport) -> FloatArray:
    """Numbers at risk at the times, from those at the starts of intervals; none is lost in the last one."""
    before = study.survival[-2] if study.time.size > 1 else 1.0
    last = study.n_at_start[-1] * study.survival[-1] / before if before > 0 else 0.0
    return np.append(study.n_at_start[1:], last)


def _times(grid: FloatArray, asked: FloatArray | None) -> FloatArray:
    """Where the curve is read: at the reported times, those asked for, and whole months between."""
    first, last = float(grid[0]), float(grid[-1])
    if asked is not None and not (asked[0] >= first * (1 - 1e-9) and asked[-1] <= last * (1 + 1e-9)):
        raise InvalidInputError(
            f"times_months must lie between {first:g} and {last:g} months, the first and the last that studies "
            f"report; got {_format.listing(f'{t:g}' for t in asked)}."
        )
    step = max(1, math.ceil((last - first) / _MOST_TIMES))
    between = np.arange(math.ceil(first / step) * step, last, step)
    every = np.concatenate([grid, [] if asked is None else np.clip(asked, first, last), between])
    return distinct(every)


def _informing(
    studies: Sequence[StudyReport], numbers: Sequence[FloatArray], times: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Studies whose report reaches each time, and their patients at the start of the interval that holds it."""
    k, n = np.zeros(times.size, dtype=np.int64), np.zeros(times.size)
    for study, number in zip(studies, numbers, strict=True):
        place = np.searchsorted(study.time, times * (1.0 - 1e-9))
        reached = place < study.time.size
        k += reached
        n += np.where(reached, number[np.minimum(place, study.time.size - 1)], 0.0)
    return frozen_counts(k), frozen(n)


def _doubts(studies: Sequence[StudyReport], fit: LogLogCurve, asked: Asked) -> list[Doubt]:
    found: list[Doubt] = []
    unsure = [study.name for study in studies if _is_imputed(study)]
    if unsure:
        message = (
            f"{print_or_prints(len(unsure), len(studies))} neither an interval nor a number at risk for some time; "
            f"the effective number there is imputed: {some(unsure)}. maturity=1 shows how much rests on it."
        )
        found.append((ImputedVarianceWarning, message))
    if fit.k < _FEW and asked.effects != "common":
        message = (
            f"{fit.k} studies: how much they differ is hardly known, which the intervals show in part only."
        )
        found.append((FewStudiesWarning, message))
    if fit.is_singular and asked.effects != "common":
        what = "do not differ" if np.diag(fit.sigma).min() <= 0 else "shift and tilt together"
        message = f"studies {what}, as far as can be seen: the covariance between them lies on its boundary."
        found.append((BoundaryWarning, message))
    if fit.rising.size:
        start, stop = fit.rising[0]
        message = (
            f"the fitted curve rises between {start:.3g} and {stop:.3g} months, which survival cannot: studies that "
            "report late times do better than those that do not. Use shape='linear', or method='summary' where times "
            "allow."
        )
        found.append((InconsistentReportWarning, message))
    return found


def _outside(
    studies: Sequence[StudyReport], effective: FloatArray, times: FloatArray, estimate: FloatArray
) -> list[Doubt]:
    """Whether the curve lies above or below all that reports leave possible, of those that have ended too."""
    if len(studies) < _SPREAD:
        return []
    survival = np.exp(-np.exp(estimate))
    lower, upper = np.full(times.size, math.inf), np.full(times.size, -math.inf)
    least, most = lower, upper
    for study, n in zip(studies, effective, strict=True):
        m = study.time.size
        s, fitted = np.append(1.0, study.survival), _as_fitted(study.survival, n[:m])
        place = np.searchsorted(study.time, times * (1.0 - SAME))
        here = place < m
        exact = here & (np.abs(study.time[np.minimum(place, m - 1)] - times) <= SAME * times)
        after, before = np.minimum(place + 1, m), place + exact
        low, high = np.where(here, s[after], 0.0), s[before]
        lower, upper = np.minimum(lower, low), np.maximum(upper, high)
        half = study.rounding
        least = np.minimum(least, np.where(here, np.fmin(low - half, fitted[after]), 0.0))
        most = np.maximum(most, np.fmax(high + half, fitted[before]))
    away = np.maximum(survival - most, least - survival)
    wrong = np.flatnonzero(away > _BARELY)
    if not wrong.size:
        return []
    shown = []
    for i in wrong:
        ends = [_format.shortest(100 * end, 1) for end in (lower[i], upper[i])]
        span = f"{ends[0]}%" if ends[0] == ends[1] else _format.span(ends[0], ends[1], "%")
        shown.append(f"{100 * survival[i]:.1f}% at {times[i]:g} months, where their figures span {span}")
    message = (
        f"the fitted curve lies outside what all studies report: {some(shown)}. One shape with differences of this "
        "kind may not fit them all, or studies that end earlier did worse. Compare other effects, another shape, or "
        "method='summary' where times allow."
    )
    return [(InconsistentReportWarning, message)]


def _as_fitted(survival: FloatArray, effective: FloatArray) -> FloatArray:
    """Survival from time 0 as `netsynth.kernels.loglog_curve` takes it, with half a patient in each interval."""
    before = np.append(1.0, survival[:-1])
    number = effective * before
    with np.errstate(divide="ignore", invalid="ignore"):
        p = survival / before
    return np.append(1.0, np.cumprod((number * p + 0.25) / (number + 0.5)))


def _is_imputed(study: StudyReport) -> bool:
    """Whether the effective number of some time rests on the assumed maturity."""
    told = np.isfinite(study.n_at_risk) | np.isfinite(_ends(study)) | np.isfinite(study.se)
    return bool((~told & (study.survival > 0)).any())
