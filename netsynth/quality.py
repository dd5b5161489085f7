"""How completely studies report, and what reviewers judged of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from netsynth import _format
from netsynth.data.factor import ReportedFactor
from netsynth.data.quality import Checklist
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.errors import InvalidInputError
from netsynth.results.quality import RatingTable, ReportingCompleteness, StudyReporting

__all__ = ["score_reporting", "tabulate_assessments"]

_UNSTATED: Final = re.compile(
    r"\W*(?:not (?:stated|reported|given|shown|clear)|unclear|unknown|n/?r)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class _Facts:
    """The extracted rows of one study; survival of comparators is left out."""

    study: Study
    groups: tuple[Group, ...]
    survival: tuple[ReportedSurvival, ...]
    times: tuple[ReportedTime, ...]
    factors: tuple[ReportedFactor, ...]


def score_reporting(review: Review) -> ReportingCompleteness:
    """Score which of nine characteristics each study of a review reports.

    All nine are read off the extracted rows, so nobody has to judge anything: sample size, enrolment period,
    design, follow-up, treated group, survival at two or more times, uncertainty of survival or numbers at
    risk, prognostic analysis, adjusted analysis. `ReportingCompleteness.meanings` says what counts.

    Parameters
    ----------
    review : Review
        The studies and what was extracted from them.

    Returns
    -------
    ReportingCompleteness
        With the figure or row behind every yes.

    Notes
    -----
    It measures how much a reader is told, and how much was extracted; neither says how well a study was
    done. Do not weight studies by it.

    Examples
    --------
    >>> study = Study("Mayo 2010", n_patients=339, design="retrospective", enrolment_start=1985)
    >>> reporting = score_reporting(Review((study,)))
    >>> print(reporting.totals, reporting.studies[0].evidence[:3])
    ('2/9',) ('339 patients', '', 'retrospective')
    """
    rows = []
    for study in review.studies:
        facts = _facts(review, study)
        rows.append(StudyReporting(study.id, study.label, tuple(find(facts) for _, _, find in _ITEMS)))
    names, meanings = tuple(name for name, _, _ in _ITEMS), tuple(meaning for _, meaning, _ in _ITEMS)
    return ReportingCompleteness(names, meanings, tuple(rows))


def _facts(review: Review, study: Study) -> _Facts:
    groups = [r.group for r in review.survival if r.study == study.id]
    groups += [r.group for r in review.times if r.study == study.id]
    groups += [r.group for r in review.proportions if r.study == study.id]
    groups += [r.group for r in review.characteristics if r.study == study.id]
    return _Facts(
        study,
        tuple(groups),
        tuple(r for r in review.survival if r.study == study.id and r.group.role != "comparator"),
        tuple(r for r in review.times if r.study == study.id and r.group.role != "comparator"),
        tuple(r for r in review.factors if r.study == study.id and r.analysis != "pooled"),
    )


def _sample_size(facts: _Facts) -> str:
    n = facts.study.n_patients
    if n is None:
        n = next((g.n_total for g in facts.groups if g.role == "overall" and g.n_total is not None), None)
    return "" if n is None else _format.plural(n, "patient")


def _enrolment(facts: _Facts) -> str:
    study = facts.study
    return "" if study.enrolment_start is None or study.enrolment_end is None else study.enrolment


def _design(facts: _Facts) -> str:
    return "" if _UNSTATED.match(facts.study.design) else facts.study.design


def _followup(facts: _Facts) -> str:
    study = facts.study
    if study.followup is None:
        return ""
    statistic = "" if study.followup_statistic == "not stated" else f"{study.followup_statistic} "
    return f"{statistic}{study.followup}"


def _treated(facts: _Facts) -> str:
    if facts.study.n_treated is not None:
        return f"{facts.study.n_treated} treated"
    arms = (group for group in facts.groups if group.role == "arm" and group.n_total is not None)
    return next((f"arm {group}" for group in arms), "")


def _two_times(facts: _Facts) -> str:
    for reported in facts.survival:
        if len(reported.timed) > 1:
            times = _format.listing(str(point.time) for point in reported.timed)
            return f"{reported.endpoint} at {times}{_rows(point.row_id for point in reported.timed)}"
    return ""


def _uncertainty(facts: _Facts) -> str:
    for reported in facts.survival:
        for point in reported.points:
            if point.ci is not None or point.n_at_risk is not None:
                what = "confidence interval" if point.ci is not None else "number at risk"
                return f"{what} of {reported.endpoint} at {point.time or 'a time not stated'}{_rows([point.row_id])}"
    for time in facts.times:
        if time.ci is not None:
            return f"confidence interval of {time.statistic} {time.endpoint}{_rows([time.row_id])}"
    return ""


def _is_analysis(result: ReportedFactor) -> bool:
    return (
        result.hazard_ratio is not None or result.pvalue is not None or result.significance in ("yes", "no")
    )


def _prognostic(facts: _Facts) -> str:
    return _first(result for result in facts.factors if _is_analysis(result))


def _adjusted(facts: _Facts) -> str:
    return _first(r for r in facts.factors if _is_analysis(r) and r.analysis in ("multivariable", "matched"))


def _first(results: Iterable[ReportedFactor]) -> str:
    found = list(results)
    if not found:
        return ""
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0].factor}, {found[0].endpoint}, {found[0].analysis}{_rows([found[0].row_id])}{more}"


def _rows(row_ids: Iterable[str]) -> str:
    named = list(dict.fromkeys(row_id for row_id in row_ids if row_id))
    return f" [{', '.join(named)}]" if named else ""


_Item: TypeAlias = tuple[str, str, Callable[[_Facts], str]]
_ITEMS: Final[tuple[_Item, ...]] = (
    ("sample size", "the number of patients in the cohort", _sample_size),
    ("enrolment period", "the first and the last year of enrolment", _enrolment),
    ("design", "retrospective, prospective, registry or the like", _design),
    ("follow-up", "median or mean follow-up", _followup),
    ("treated group", "the number of patients who had the treatment under review", _treated),
    ("survival at two times", "one endpoint at two or more landmarks in one group", _two_times),
    (
        "uncertainty or at risk",
        "a confidence interval of a survival percentage or of a median or mean time, or a number at risk; a range, "
        "quartiles or SD tell how patients differ and do not count",
        _uncertainty,
    ),
    ("prognostic analysis", "a tested prognostic factor, or one with a hazard ratio", _prognostic),
    ("adjusted analysis", "a multivariable or matched result of a prognostic factor", _adjusted),
)


def tabulate_assessments(review: Review, checklist: str | Checklist) -> RatingTable:
    """Put the ratings of one checklist into a table of studies by items.

    Parameters
    ----------
    review : Review
        `review.assessments` holds the ratings.
    checklist : str or Checklist
        The checklist or its name.

    Returns
    -------
    RatingTable
        One row an assessment, in the order of the review.

    Raises
    ------
    InvalidInputError
        If no study of the review was rated on the checklist, or checklists of one name differ.

    Examples
    --------
    >>> from netsynth.data.quality import MINORS, QualityAssessment
    >>> rated = QualityAssessment.of("Algarni 2021", MINORS, [2, 2, 0, 2, 0, 2, 2, 0])
    >>> table = tabulate_assessments(Review((Study("Algarni 2021"),), assessments=(rated,)), "MINORS")
    >>> table.totals
    ('10/16',)
    """
    name = checklist if isinstance(checklist, str) else checklist.name
    found = [assessment for assessment in review.assessments if assessment.checklist.name == name]
    if not found:
        known = sorted({assessment.checklist.name for assessment in review.assessments})
        raise InvalidInputError(
            f"No study of the review was rated on {name!r}; rated on are {', '.join(known) or 'none'}."
        )
    kinds = {assessment.checklist for assessment in found} | (
        {checklist} if isinstance(checklist, Checklist) else set()
    )
    if len(kinds) > 1:
        raise InvalidInputError(f"Different checklists are called {name!r}; give each its own name.")
    instrument = found[0].checklist
    times = Counter(assessment.study for assessment in found)
    labels = [
        review.study(a.study).label + (f" ({a.assessor})" if times[a.study] > 1 and a.assessor else "")
        for a in found
    ]
    return RatingTable(
        instrument.name,
        instrument.items,
        instrument.ratings,
        tuple(assessment.study for assessment in found),
        tuple(labels),
        tuple(assessment.ratings for assessment in found),
        tuple(assessment.total for assessment in found),
        tuple(assessment.maximum for assessment in found),
    )
