"""What one study reports, as the checks read it, and what a check says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from netsynth.audits.edits import MOST_PAIRS, Numbers, Printed, smallest_corrections
from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.results.audit import AuditFinding, CheckName, Severity

if TYPE_CHECKING:
    from netsynth.data.review import Review

__all__ = [
    "ABOUT",
    "INCIDENCE",
    "NO_SIZE",
    "NO_UNIT",
    "Case",
    "Outcome",
    "Reported",
    "cases",
    "edited_curve",
    "finding",
    "is_sharp",
    "same_patients",
    "when",
]

#: Why a check could not be made.
NO_SIZE: Final = "n not printed"
ABOUT: Final = "printed as about"
INCIDENCE: Final = "a cumulative incidence"
NO_UNIT: Final = "unit not stated"

Reported: TypeAlias = (
    ReportedSurvival | ReportedTime | ReportedProportion | ReportedCharacteristic | ReportedFactor
)


@dataclass(frozen=True, slots=True)
class Case:
    """One study and all that was extracted from it."""

    study: Study
    survival: tuple[ReportedSurvival, ...]
    times: tuple[ReportedTime, ...]
    proportions: tuple[ReportedProportion, ...]
    characteristics: tuple[ReportedCharacteristic, ...]
    factors: tuple[ReportedFactor, ...]


class Outcome(NamedTuple):
    """One application of a check: why it could not be made, or what it found, or nothing of both.

    A check of several studies names them.
    """

    check: CheckName
    skipped: str = ""
    finding: AuditFinding | None = None
    studies: tuple[str, ...] = ()


def cases(review: Review) -> list[Case]:
    """The studies of a review with their records; results pooled by others belong to no study."""
    held: dict[str, dict[str, list[object]]] = {
        study.id: {name: [] for name in ("survival", "times", "proportions", "characteristics", "factors")}
        for study in review.studies
    }
    for name in ("survival", "times", "proportions", "characteristics", "factors"):
        for record in getattr(review, name):
            if record.study in held:
                held[record.study][name].append(record)
    return [
        Case(study, **{name: tuple(records) for name, records in held[study.id].items()})  # type: ignore[arg-type]
        for study in review.studies
    ]


def finding(
    record: Reported,
    check: CheckName,
    severity: Severity,
    message: str,
    *,
    unless: str = "",
    printed: Sequence[Printed] = (),
    holds: Callable[[Numbers], bool] | None = None,
    most_pairs: int = MOST_PAIRS,
    rows: Sequence[str] = (),
    other_study: str = "",
) -> Outcome:
    """A finding about a record, with the smallest corrections of the numbers in play."""
    corrections = smallest_corrections(printed, holds, most_pairs) if holds else None
    endpoint = getattr(record, "endpoint", None)
    return Outcome(
        check,
        finding=AuditFinding(
            record.study,
            check,
            severity,
            message,
            unless,
            corrections.shown if corrections else (),
            corrections.n if corrections else 0,
            str(endpoint) if endpoint is not None else "",
            record.group.label,
            other_study,
            tuple(dict.fromkeys(filter(None, rows or (getattr(record, "row_id", ""),)))),
        ),
    )


def is_sharp(number: ReportedNumber) -> bool:
    """Whether the digits say what was rounded: "about 80%" contradicts nothing."""
    return number.qualifier == "="


def same_patients(first: Group, second: Group) -> bool:
    """Whether two figures of one study speak of one group."""
    sizes = {first.n_total, second.n_total} - {None}
    return first.label.casefold() == second.label.casefold() and len(sizes) < 2


def when(point: SurvivalPoint) -> str:
    """The landmark in words."""
    return "a time not stated" if point.time is None else str(point.time)


def edited_curve(
    reported: ReportedSurvival,
    *,
    n_total: ReportedNumber | None = None,
    share: dict[int, ReportedNumber] | None = None,
    at_risk: dict[int, ReportedNumber] | None = None,
    ci: dict[int, tuple[ReportedNumber, ReportedNumber]] | None = None,
    n_events: ReportedNumber | None = None,
) -> ReportedSurvival:
    """The record with other numbers at some of its points, checked as it was; events only where it has them.

    Raises
    ------
    InvalidInputError
        If the new numbers cannot be, such as a percentage that rises.
    """
    points = [
        replace(
            point,
            share=(share or {}).get(i, point.share),
            n_at_risk=int(at_risk[i].value) if at_risk and i in at_risk else point.n_at_risk,
            ci=replace(point.ci, lower=ci[i][0], upper=ci[i][1]) if ci and i in ci and point.ci else point.ci,
        )
        for i, point in enumerate(reported.points)
    ]
    group = reported.group if n_total is None else replace(reported.group, n_total=int(n_total.value))
    events = reported.n_events if reported.n_events is None or n_events is None else int(n_events.value)
    return replace(reported, points=tuple(points), group=group, n_events=events)
