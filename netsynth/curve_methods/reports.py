"""One series of survival percentages a study, from a review, from reports or from a data frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from netsynth import _format
from netsynth.curve_methods.at_risk import without_impossible
from netsynth.curve_methods.columns import check_endpoint, read_columns, study_name
from netsynth.curve_methods.study_report import Doubt, Reports, StudyReport
from netsynth.data.endpoint import Endpoint, find_endpoint
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.selection import Candidate, OverlapRule, check_sets, select
from netsynth.data.study import Group, Role, Study
from netsynth.data.survival import ReportedSurvival, SurvivalPoint
from netsynth.errors import InvalidInputError, UnusableDataWarning
from netsynth.kernels.survival_variance import detected_se, interval
from netsynth.results.moderators import columns_by_name

__all__ = ["Doubt", "Reports", "StudyReport", "as_review", "read_reports", "study_name"]


def read_reports(
    data: object,
    endpoint: str | Endpoint,
    *,
    sets: Sequence[str] | None,
    roles: Sequence[Role],
    overlap: OverlapRule,
) -> Reports:
    """Read the studies; those without any number of patients are left out and named.

    Raises
    ------
    InvalidInputError
        If no study is left, endpoints are mixed, or a value cannot be right.
    """
    doubts: list[Doubt] = []
    if isinstance(data, Review):
        wanted = _survival_endpoint(data.endpoint(endpoint))
        studies = _from_review(data, wanted, sets, roles, overlap)
    else:
        wanted = _without_sets(endpoint, sets)
        records = _records(data, wanted)
        if records is None:
            studies, doubts = read_columns(_columns(data), wanted)
        else:
            studies = [_of_report(record, record.study, math.nan) for record in records]
    studies, impossible = without_impossible(studies)
    doubts += impossible
    sized = tuple(study for study in studies if study.has_size)
    unsized = [study.name for study in studies if not study.has_size]
    if not sized:
        unread = "".join(f" {message[0].upper()}{message[1:]}" for _, message in doubts)
        raise InvalidInputError(
            f"{wanted}: no study prints a percentage with its number of patients or an interval. Use "
            f"summarize_outcomes for a median over studies, or bound_pooled_survival, which needs no number.{unread}"
        )
    if unsized:
        message = f"not pooled, for want of a number of patients: {_format.listing(unsized)}; "
        message += "bound_pooled_survival needs none."
        doubts.append((UnusableDataWarning, message))
    return Reports(wanted, sized, tuple(doubts))


def as_review(
    data: object, endpoint: str | Endpoint, *, sets: Sequence[str] | None
) -> tuple[Review, list[Doubt]]:
    """A review of what `read_reports` takes, with studies of any size, for methods that choose a figure at each time.

    Raises
    ------
    InvalidInputError
        As `read_reports`, and if numbers of patients are fractions, which no study prints.
    """
    if isinstance(data, Review):
        _survival_endpoint(data.endpoint(endpoint))
        return data, []
    wanted, doubts = _without_sets(endpoint, sets), list[Doubt]()
    records = _records(data, wanted)
    if records is None:
        studies, doubts = read_columns(_columns(data), wanted)
        records = [_as_record(study, wanted) for study in studies]
    review = Review(
        tuple(Study(record.study) for record in records),
        survival=tuple(replace(record, endpoint=wanted) for record in records),
        endpoints=(wanted,),
    )
    return review, doubts


def _without_sets(endpoint: str | Endpoint, sets: Sequence[str] | None) -> Endpoint:
    """The endpoint of data that are no review."""
    if sets is not None:
        raise InvalidInputError("sets are chosen from a Review; got other data. Leave sets out.")
    return find_endpoint(endpoint)


def _survival_endpoint(endpoint: Endpoint) -> Endpoint:
    """The endpoint, if its percentages are survivals."""
    if endpoint.kind == "incidence":
        raise InvalidInputError(
            f"{endpoint}: {endpoint.name or endpoint.code} is a cumulative incidence, not a survival: other events "
            "compete with it. Pool it at one landmark with pool_proportions; where nothing competes, give 100 less "
            "the percentages under an endpoint of kind 'survival'."
        )
    return endpoint


def _columns(data: object) -> Mapping[str, Any]:
    if isinstance(data, Mapping) or hasattr(data, "columns") or hasattr(data, "column_names"):
        return columns_by_name(data)
    raise InvalidInputError(
        "data must be a Review, a sequence of ReportedSurvival, or a data frame or mapping with the columns "
        f"study, time_months and survival; got {type(data).__name__}."
    )


def _from_review(
    review: Review,
    endpoint: Endpoint,
    sets: Sequence[str] | None,
    roles: Sequence[Role],
    overlap: OverlapRule,
) -> list[StudyReport]:
    """One series a study: of several the one with most landmarks, among groups of one role."""
    candidates = [
        Candidate(r.study, r.timed[0].share, r.group, r.n_total, r.timed[0].source, r.timed[0].row_id, (i,))
        for i, r in enumerate(review.survival)
        if r.endpoint == endpoint and r.timed
    ]
    check_sets(sets, review.evidence_sets)
    selection = select(
        f"{endpoint} over time",
        candidates,
        sets=sets,
        roles=roles,
        overlap=overlap,
        studies=review.studies,
        prefer=lambda c: -len(review.survival[c.record[0]].timed),
        preference="the most landmarks",
    )
    if not selection.chosen:
        raise InvalidInputError(
            f"No study of the review reports {selection.question} in the groups asked for."
        )
    found = []
    for candidate in selection.chosen:
        study = review.study(candidate.study)
        followup = math.nan if study.followup is None else study.followup.months
        found.append(_of_report(review.survival[candidate.record[0]], study.label, followup))
    return found


def _records(data: object, endpoint: Endpoint) -> list[ReportedSurvival] | None:
    """Reports that can stand for one study each; None if the data hold no reports."""
    if isinstance(data, ReportedSurvival):
        data = [data]
    if not (isinstance(data, Sequence) and data and isinstance(data[0], ReportedSurvival)):
        return None
    found: dict[str, ReportedSurvival] = {}
    for report in data:
        if not isinstance(report, ReportedSurvival):
            raise InvalidInputError(
                f"data must hold ReportedSurvival records alone; got {type(report).__name__} among them."
            )
        check_endpoint(report.endpoint, endpoint, report.study)
        _survival_endpoint(report.endpoint)
        if report.study in found:
            raise InvalidInputError(
                f"{report.study}: two series of one study. Keep one, or give the studies as a Review, which chooses."
            )
        if not report.timed:
            raise InvalidInputError(f"{report.study}: no percentage has a stated time, so there is no curve.")
        found[report.study] = report
    return list(found.values())


def _of_report(report: ReportedSurvival, name: str, followup: float) -> StudyReport:
    # a later figure may be higher by its rounding: it was not
    s = np.minimum.accumulate(report.survival)
    half = 0.5 * (report.survival_upper - report.survival_lower)
    se = detected_se(s, report.ci_lower, report.ci_upper, half, level=report.ci_level).se
    return StudyReport(
        name=name,
        time=report.landmark_months,
        survival=s,
        n_total=math.nan if report.n_total is None else float(report.n_total),
        n_at_risk=report.n_at_risk,
        n_at_start=np.full(s.size, np.nan),
        se=se,
        followup_months=followup,
        rounding=float(half.max()),
    )


def _as_record(study: StudyReport, endpoint: Endpoint) -> ReportedSurvival:
    """The same as a review holds it; a standard error becomes an interval that tells it."""
    decimals = round(-math.log10(2.0 * study.rounding))
    limits = interval(study.survival, study.se, scale="log-log")
    at_risk = np.where(np.isnan(study.n_at_risk), np.append(study.n_at_start[1:], math.nan), study.n_at_risk)
    points = tuple(
        SurvivalPoint(
            ReportedNumber.of(t, "month"),
            ReportedNumber.of(f"{s:.{decimals}f}", "probability"),
            None if math.isnan(low) else ReportedInterval.of(low, high, "probability", 0.95),
            _whole(m, f"{study.name}, {t:g} months"),
        )
        for t, s, low, high, m in zip(
            *(each.tolist() for each in (study.time, study.survival, *limits, at_risk)), strict=True
        )
    )
    group = Group(n_total=_whole(study.n_patients, study.name))
    return ReportedSurvival(study.name, endpoint, points, group)


def _whole(number: float, where: str) -> int | None:
    if math.isnan(number):
        return None
    if number != math.floor(number):
        raise InvalidInputError(
            f"{where}: got {number:g} patients. Limits of what is printed take whole numbers; round effective numbers "
            "down, or leave them out."
        )
    return int(number)
