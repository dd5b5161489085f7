"""Numbers at risk and events against survival percentages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, Interval
from netsynth.audits.case import (
    ABOUT,
    INCIDENCE,
    NO_SIZE,
    Case,
    Outcome,
    edited_curve,
    finding,
    is_sharp,
    same_patients,
    when,
)
from netsynth.audits.edits import Numbers, Printed, count
from netsynth.data.proportion import ReportedProportion
from netsynth.data.survival import ReportedSurvival
from netsynth.kernels import lattice

__all__ = ["allowed_events", "events", "numbers_at_risk", "printed_events"]

#: One event at exactly the landmark is nothing to remark on.
ONE: Final = 1
#: Deaths soon after an operation are not those that a curve counts up to its end.
_EARLY: Final = re.compile(r"operati|hospital|30|60|90|early|surg|treatment", re.IGNORECASE)


class _Course:
    """Limits of survival at the landmarks that have a number at risk, as arrays in order of time."""

    def __init__(self, reported: ReportedSurvival) -> None:
        points = reported.timed
        known = [i for i, p in enumerate(points) if p.n_at_risk is not None and is_sharp(p.share)]
        spans = [points[i].share.probability_interval for i in known]
        self.places = known
        self.lower: FloatArray = np.array([span.lower for span in spans])
        self.upper: FloatArray = np.array([span.upper for span in spans])
        self.at_risk: FloatArray = np.array([float(points[i].n_at_risk or 0) for i in known])
        self.months: FloatArray = np.array([points[i].months for i in known])
        self.n = reported.n_total or 0

    @property
    def tied(self) -> FloatArray:
        """Smallest number of events at exactly each landmark, by the limits and by the lattice."""
        least = lattice.least_tied(self.lower, self.upper, self.n, self.at_risk)
        for j in np.flatnonzero(self.at_risk):
            entered = self.n if j == 0 else int(self.at_risk[j - 1] - least[j - 1])
            before = (1.0, 1.0) if j == 0 else (self.lower[j - 1], self.upper[j - 1])
            if before[0] <= 0 or entered < 1:
                continue
            # a hair wider, since quotients of limits are no decimals
            span = self.lower[j] / before[1] - 1e-9, min(1.0, self.upper[j] / before[0] + 1e-9)
            while least[j] < self.at_risk[j] and (
                lattice.is_attainable(*span, entered, min(int(self.at_risk[j] - least[j]), entered)) is False
            ):
                least[j] += 1.0
        return least


def numbers_at_risk(case: Case) -> Iterator[Outcome]:
    """Whether survival leaves as many at risk as are printed, from each landmark to the next."""
    for reported in case.survival:
        printed = [point for point in reported.timed if point.n_at_risk is not None]
        if not printed:
            continue
        if reported.endpoint.kind == "incidence" or reported.n_total is None:
            reason = NO_SIZE if reported.n_total is None else INCIDENCE
            yield from (Outcome("numbers at risk", reason) for _ in printed)
            continue
        course = _Course(reported)
        yield from (Outcome("numbers at risk", ABOUT) for _ in range(len(printed) - len(course.places)))
        tied = course.tied
        for j in range(tied.size):
            yield _at_risk(reported, course, tied, j) if tied[j] > ONE else Outcome("numbers at risk")


def _at_risk(reported: ReportedSurvival, course: _Course, tied: FloatArray, j: int) -> Outcome:
    i, k = course.places[j], int(tied[j])
    point = reported.timed[i]
    involved = [j] if j == 0 else [j - 1, j]
    earlier = None if j == 0 else reported.timed[course.places[j - 1]]
    entered, since, before = course.n, 0.0, 1.0
    if earlier is not None:
        entered, since, before = int(course.at_risk[j - 1]), course.months[j - 1], course.upper[j - 1]
    a_month = course.at_risk[j] * (1.0 - course.lower[j] / before) / max(course.months[j] - since, 1.0)
    numbers = [count("n", course.n)] if earlier is None else []
    numbers.append(Printed(f"{reported.endpoint} at {when(point)}", point.share))
    numbers += [
        count(f"at risk at {when(reported.timed[course.places[p]])}", int(course.at_risk[p]))
        for p in involved
    ]

    def holds(changed: Numbers) -> bool:
        rest = list(changed)
        size = rest.pop(0) if earlier is None else None
        share = {i: rest.pop(0)}
        at_risk = {course.places[p]: number for p, number in zip(involved, rest, strict=True)}
        edited = _Course(edited_curve(reported, n_total=size, share=share, at_risk=at_risk)).tied
        return bool(edited[j] <= ONE and (edited <= tied).all())

    start = "at first" if earlier is None else f"at {when(earlier)}"
    return finding(
        reported,
        "numbers at risk",
        "suspicious" if k <= max(2.0, 3.0 * a_month) else "incoherent",
        f"{point.n_at_risk} at risk at {when(point)} of {entered} {start}, yet survival of {point.share} leaves fewer",
        unless=f"at least {k} of the {point.n_at_risk} at risk had the event at exactly {when(point)}",
        printed=numbers,
        holds=holds,
        rows=[point.row_id],
    )


class PrintedEvents(NamedTuple):
    """A number of events over all follow-up, and the row of the proportion that it was read from, if any."""

    n: int
    row_id: str = ""


def printed_events(case: Case, reported: ReportedSurvival) -> list[PrintedEvents]:
    """Events of a survival over all follow-up: as the record has them, then those of a proportion if they differ."""
    if reported.endpoint.kind == "incidence":
        return []
    found = [] if reported.n_events is None else [PrintedEvents(reported.n_events)]
    made = _events_in(case, reported)
    if made is not None and made.n_events not in (None, reported.n_events):
        found.append(PrintedEvents(int(made.n_events or 0), made.row_id))
    return found


def _events_in(case: Case, reported: ReportedSurvival) -> ReportedProportion | None:
    """Events of the endpoint in the group over all follow-up, where the study prints them as a proportion."""
    code = reported.endpoint.code.lower()
    names = {"os": ("deaths", "death", "died"), "recurrence": ("recurrence",), "ttr": ("recurrence",)}
    wanted = {*names.get(code, ()), f"{code} events", f"{code}_events"}
    for made in case.proportions:
        if (
            made.outcome.lower() in wanted
            and made.has_counts
            and made.n_total == reported.n_total
            and same_patients(made.group, reported.group)
            and not _EARLY.search(made.definition)
        ):
            return made
    return None


def events(case: Case) -> Iterator[Outcome]:
    """Whether the deaths over all follow-up fit survival and numbers at risk."""
    for reported in case.survival:
        for made in printed_events(case, reported):
            yield _events(reported, made)


def _events(reported: ReportedSurvival, made: PrintedEvents) -> Outcome:
    if reported.n_total is None:
        return Outcome("events", NO_SIZE)
    span = allowed_events(reported)
    if span is None:
        return Outcome("events", "no number at risk printed")
    if span.lower <= made.n <= span.upper:
        return Outcome("events")
    course = _Course(reported)
    last = reported.timed[course.places[-1]]
    return finding(
        reported,
        "events",
        "impossible",
        f"{made.n} events of {reported.n_total} patients: survival and numbers at risk up to {when(last)} allow "
        f"{span.lower:.0f} to {span.upper:.0f}",
        printed=_counted(reported, course, made.n),
        holds=_counts_hold(reported, course),
        rows=[made.row_id, *(point.row_id for point in reported.timed)],
    )


def allowed_events(reported: ReportedSurvival) -> Interval | None:
    """Fewest and most events over all follow-up by the printed numbers at risk; None when there are none."""
    course = _Course(reported)
    return _deaths(course) if course.places else None


def _counted(reported: ReportedSurvival, course: _Course, n_events: int) -> list[Printed]:
    """Events, n, and for each landmark the percentage and the number at risk."""
    printed = [count("events", n_events), count("n", course.n)]
    for i in course.places:
        point = reported.timed[i]
        printed.append(Printed(f"{reported.endpoint} at {when(point)}", point.share))
        printed.append(count(f"at risk at {when(point)}", point.n_at_risk or 0))
    return printed


def _counts_hold(reported: ReportedSurvival, course: _Course) -> Callable[[Numbers], bool]:
    def holds(numbers: Numbers) -> bool:
        died, size, *rest = numbers
        share = dict(zip(course.places, rest[::2], strict=True))
        at_risk = dict(zip(course.places, rest[1::2], strict=True))
        edited = _Course(edited_curve(reported, n_total=size, share=share, at_risk=at_risk, n_events=died))
        allowed = _deaths(edited)
        fits = died.value <= size.value and allowed.lower <= died.value <= allowed.upper
        return bool(fits and (edited.tied <= ONE).all())

    return holds


def _deaths(course: _Course) -> Interval:
    """Fewest and most deaths over all follow-up, whether or not some fall on the landmarks."""
    entered = np.concatenate([[course.n], course.at_risk[:-1]])
    lower, upper = (np.concatenate([[1.0], ends[:-1]]) for ends in (course.lower, course.upper))
    with np.errstate(divide="ignore", invalid="ignore"):
        most_alive = np.where(lower > 0, np.minimum(course.upper / lower, 1.0), 1.0)
        least_alive = np.where(upper > 0, np.minimum(course.lower / upper, 1.0), 0.0)
    # who dies at the landmark is still counted as at risk there
    fewest = np.ceil(course.at_risk * (1.0 - most_alive) - 1e-9)
    most = np.floor(entered * (1.0 - least_alive) + 1e-9)
    return Interval(float(fewest.sum()), float(most.sum() + course.at_risk[-1]))
