"""The distribution-free summary curve of reports with common times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray
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
from netsynth.curve_methods.at_risk import Starts, after_death, starts
from netsynth.curve_methods.study_report import Doubt, Reports, StudyReport
from netsynth.errors import (
    FewStudiesWarning,
    ImputedVarianceWarning,
    InvalidInputError,
    UnusableDataWarning,
)
from netsynth.kernels.summary_curve import SummaryCurve, conditional_arcsine, log_survival, summary_curve
from netsynth.results.pooled_curve import PooledCurve, StudyCurve

_FEW: Final = 5  # studies below which what they differ by is hardly known


def pool_summary(reports: Reports, asked: Asked, /) -> Answer:
    """Pool conditional survivals over common times, `netsynth.kernels.summary_curve`."""
    if asked.effects == "slope":
        raise InvalidInputError(
            "effects='slope' is for method='multivariate'; the summary curve lets studies differ in every interval. "
            "Use effects='random'."
        )
    doubts: list[Doubt] = []
    reported = distinct(np.concatenate([study.time for study in reports.studies]))
    times = reported if asked.times is None else asked.times
    kept, without = _on_grid(reports.studies, times, str(reports.endpoint))
    if without:
        doubts.append((UnusableDataWarning, f"report none of these times and are left out: {some(without)}"))
    at_start = [starts(report, asked.maturity) for report in kept]
    whole = kept
    kept, at_start, cut = _while_at_risk(kept, at_start)
    doubts += cut
    if not kept:
        raise InvalidInputError(f"{reports.endpoint}: no study reports any of the times asked for.")
    if imputed := [r.name for r, found in zip(kept, at_start, strict=True) if found.source == "imputed"]:
        message = (
            f"{print_or_prints(len(imputed), len(kept))} no number at risk at the start "
            f"of every interval; it is imputed: {some(imputed)}. maturity=1 shows how much rests on it."
        )
        doubts.append((ImputedVarianceWarning, message))

    reached = max(report.time.size for report in kept)
    doubts += after_death(whole, float(times[reached - 1]))
    times = times[:reached]
    survival, n_at_start = _dense(kept, at_start, reached)
    if len(kept) == 1:
        fit = _one(survival, n_at_start)
    else:
        fit = summary_curve(survival, n_at_start, random=asked.effects == "random")
    doubts += _few(fit, times, asked.effects)
    enters = np.where(np.isfinite(survival), n_at_start, 0.0)
    curves = tuple(
        StudyCurve(
            report.name,
            frozen(report.time),
            frozen(report.survival),
            frozen(found.n),
            report.n_patients,
            found.source,
        )
        for report, found in zip(kept, at_start, strict=True)
    )
    one = len(kept) == 1
    told = asked.effects == "random" and not one
    curve = PooledCurve(
        method="summary",
        model="one study" if one else f"summary curve, {asked.effects} effects",
        endpoint=reports.endpoint.code,
        label=reports.label,
        time_months=frozen(times),
        scale="log",
        estimate=frozen(fit.log_survival),
        covariance=frozen(fit.covariance),
        between=frozen(fit.between if told else np.full_like(fit.between, np.nan)),
        interpolation="survival",
        study=tuple(report.name for report in kept),
        study_curves=curves,
        k_at=frozen_counts(fit.k),
        n_at=frozen(enters.sum(axis=0)),
        df=float(len(kept) - 1) if told and asked.ci_method == "t" else math.inf,
        prediction_df=float(max(len(kept) - 2, 0)),
        q=float(fit.q),
        q_df=float(fit.df),
    )
    return Answer(curve, doubts)


def _on_grid(
    studies: Sequence[StudyReport], times: FloatArray, where: str
) -> tuple[list[StudyReport], list[str]]:
    """Reports at the common times, each of which a study must have up to its end; names of those with none."""
    kept, without = [], []
    for study in studies:
        if np.array_equal(study.time, times[: study.time.size]):
            kept.append(study)
            continue
        near = np.abs(study.time[:, None] - times) <= SAME * times
        told = np.asarray(near.any(axis=0))
        if not told.any():
            without.append(study.name)
            continue
        gaps = np.flatnonzero(~told[: np.flatnonzero(told)[-1]])
        if gaps.size:
            reported = _format.listing(f"{t:g}" for t in study.time)
            raise InvalidInputError(
                f"{where}, {study.name}: no survival at {times[gaps[0]]:g} months, before its last one; it "
                f"reports {reported} months. The summary curve needs every common time up to the end of a study. Name "
                "times that all have as times_months, or use method='multivariate', which takes different times."
            )
        kept.append(study.at(np.asarray(near.any(axis=1))))
    return kept, without


def _while_at_risk(
    studies: Sequence[StudyReport], at_start: Sequence[Starts]
) -> tuple[list[StudyReport], list[Starts], list[Doubt]]:
    """Reports up to where nobody is at risk, or survival has become 0."""
    kept, found, doubts = list[StudyReport](), list[Starts](), list[Doubt]()
    for study, start in zip(studies, at_start, strict=True):
        alive = np.append(1.0, study.survival[:-1]) > 0
        usable = np.logical_and.accumulate(alive & (start.n > 0))
        if usable.all():
            kept.append(study)
            found.append(start)
            continue
        lost = ~usable & alive
        if lost.any():
            message = f"{study.name}: nobody is known to be at risk at the start of what it reports for "
            message += f"{study.time[lost][0]:g} months, which is left out with all that follows"
            doubts.append((UnusableDataWarning, message))
        if usable.any():
            kept.append(study.at(usable))
            found.append(Starts(start.n[usable], start.source))
    return kept, found, doubts


def _dense(
    studies: Sequence[StudyReport], at_start: Sequence[Starts], m: int
) -> tuple[FloatArray, FloatArray]:
    survival, n = np.full((len(studies), m), np.nan), np.full((len(studies), m), np.nan)
    for i, (study, start) in enumerate(zip(studies, at_start, strict=True)):
        survival[i, : study.survival.size], n[i, : start.n.size] = study.survival, start.n
    return survival, n


def _one(survival: FloatArray, n_at_start: FloatArray) -> SummaryCurve:
    """The study itself, with the variance its corrected conditional survivals have."""
    fit = summary_curve(survival, n_at_start, random=False)
    _, slope = log_survival(conditional_arcsine(survival, n_at_start).arcsine[0])
    with np.errstate(divide="ignore"):
        log = np.log(survival[0])
    return fit._replace(log_survival=log, covariance=slope @ fit.arcsine_covariance @ slope.T)


def _few(fit: SummaryCurve, times: FloatArray, effects: str) -> list[Doubt]:
    """What few studies leave unknown."""
    k = int(fit.k[0])
    if k == 1:
        return [
            (
                FewStudiesWarning,
                "one study, handed back as it is: nothing is pooled, and nothing tells how much studies differ.",
            )
        ]
    if effects == "common":
        return []
    found: list[Doubt] = []
    if k < _FEW:
        message = f"{k} studies: how much they differ is hardly known, which the intervals show in part only."
        found.append((FewStudiesWarning, message))
    alone = times[fit.k < 2]
    if alone.size:
        message = (
            f"from {alone[0]:g} months on one study alone informs the curve; its interval takes studies not to differ "
            "there, and there is no prediction."
        )
        found.append((FewStudiesWarning, message))
    return found
