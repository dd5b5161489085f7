"""Medians and other times against percentages, against each other, and against follow-up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from netsynth.audits.case import (
    ABOUT,
    NO_SIZE,
    NO_UNIT,
    Case,
    Outcome,
    edited_curve,
    finding,
    is_sharp,
    same_patients,
    when,
)
from netsynth.audits.edits import Numbers, Printed, count
from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.kernels import lattice
from netsynth.results.audit import Severity

__all__ = ["followup", "half_units", "is_half", "is_whole", "limits", "medians", "order"]

#: A month counted as 30 days, or a year as 365 days in months of 30.4, moves a time by no more than this.
CONVERSION: Final = 0.015
FOLLOWUP: Final = "follow-up"
_FOLLOWUP: Final = re.compile(r"follow[\s_-]*up", re.IGNORECASE)


# --- medians and percentages


def medians(case: Case) -> Iterator[Outcome]:
    """Each median against each percentage of the same group."""
    for time in case.times:
        if time.statistic != "median" or time.endpoint.kind == "incidence":
            continue
        for reported in case.survival:
            if reported.endpoint == time.endpoint and same_patients(reported.group, time.group):
                for i, point in enumerate(reported.timed):
                    yield _median(time, reported, i, point)


def _median(time: ReportedTime, reported: ReportedSurvival, i: int, point: SurvivalPoint) -> Outcome:
    median = time.value
    if median.text and not median.unit:
        return Outcome("median and percentages", NO_UNIT)
    if median.qualifier == "~" or not is_sharp(point.share):
        return Outcome("median and percentages", ABOUT)
    problem = _contradiction(median, point)
    if not problem:
        return Outcome("median and percentages")
    months_differ = point.time is not None and median.unit not in ("", point.time.unit)
    by_units = months_differ and not _contradiction(median, point, slack=CONVERSION)

    def holds(numbers: Numbers) -> bool:
        curve = edited_curve(reported, share={i: numbers[1]})
        return not any(_contradiction(numbers[0], p) for p in curve.timed)

    return finding(
        time,
        "median and percentages",
        "incoherent" if by_units else "impossible",
        f"{problem}, yet {reported.endpoint} was {point.share} at {when(point)}",
        unless=f"{median.unit}s and {point.time.unit if point.time else ''}s are of 30 or 365 days"
        if by_units
        else "",
        printed=[
            Printed(f"median {time.endpoint}", median),
            Printed(f"{reported.endpoint} at {when(point)}", point.share),
        ],
        holds=holds,
        rows=[time.row_id, point.row_id],
    )


def _contradiction(median: ReportedNumber, point: SurvivalPoint, *, slack: float = 0.0) -> str:
    """What the median says that the percentage denies: the median is the first time with at most half alive."""
    low, high = point.share.probability_interval
    if median.qualifier == "not reached":
        return "the median was not reached" if high < 0.5 else ""
    earliest, latest = median.months_interval
    is_open = median.qualifier == ">"
    if low > 0.5 and latest * (1.0 + slack) <= point.months:
        return f"a median of {median}"
    if high < 0.5:
        late = earliest * (1.0 - slack)
        if late > point.months or (is_open and late == point.months):
            return f"a median of {median}"
    return ""


# --- endpoints in order


class Relation(NamedTuple):
    """Survival free of `lower` is at most that free of `upper`, surely or unless losses come between."""

    lower: str
    upper: str
    severity: Severity
    unless: str


_BETWEEN: Final = (
    "patients were lost after {lower} ended and before {upper} did, or deaths are not counted in {lower}"
)
_SAME: Final = "patients were followed less for {upper} than for {lower}"
#: Endpoints by code. The first is sure: both count the same patients at risk, and one counts fewer of their deaths.
RELATIONS: Final = (
    Relation("OS", "DSS", "impossible", ""),
    *(Relation(code, "OS", "incoherent", _BETWEEN) for code in ("PFS", "DFS", "RFS", "EFS")),
    Relation("PFS", "TTP", "incoherent", _SAME),
    *(Relation(code, "TTR", "incoherent", _SAME) for code in ("DFS", "RFS")),
)
#: Patients by whom an order that is not sure may be missed. In the simulation of validation/audit_detection.py, from
#: which this number was chosen, one study in ninety misses it by up to two, and one in some ten thousand by more.
CHANCE: Final = 2
#: Survival and a cumulative incidence of one of its events, which together are at most 100%.
COMPLEMENTS: Final = (
    ("DFS", "recurrence"),
    ("RFS", "recurrence"),
    ("TTR", "recurrence"),
    ("PFS", "progression"),
)


def order(case: Case) -> Iterator[Outcome]:
    """Percentages and medians of endpoints of one group that bound each other."""
    for relation in RELATIONS:
        for lower in case.survival:
            for upper in case.survival:
                codes = (lower.endpoint.code, upper.endpoint.code)
                if codes == relation[:2] and same_patients(lower.group, upper.group):
                    yield from _percentages(lower, upper, relation)
        for first in case.times:
            for second in case.times:
                codes = (first.endpoint.code, second.endpoint.code)
                medians = first.statistic == second.statistic == "median"
                if medians and codes == relation[:2] and same_patients(first.group, second.group):
                    yield _two_medians(first, second, relation)
    for free in case.survival:
        for had in case.survival:
            codes = (free.endpoint.code, had.endpoint.code)
            if codes in COMPLEMENTS and same_patients(free.group, had.group):
                yield from _complements(free, had)


def _percentages(lower: ReportedSurvival, upper: ReportedSurvival, relation: Relation) -> Iterator[Outcome]:
    """Each percentage of the lower endpoint against the smallest one of the upper endpoint until then."""
    for i, point in enumerate(lower.timed):
        earlier = [j for j, p in enumerate(upper.timed) if p.months <= point.months and is_sharp(p.share)]
        if not earlier or not is_sharp(point.share):
            continue
        j = min(earlier, key=lambda j: upper.timed[j].share.probability_interval.upper)
        bound = upper.timed[j]
        slack = 0.0
        if relation.severity != "impossible" and lower.n_total:
            slack = CHANCE / lower.n_total
        if not _exceeds(point.share, bound.share, slack):
            yield Outcome("order of endpoints")
            continue

        def holds(numbers: Numbers, i: int = i, j: int = j, slack: float = slack) -> bool:
            edited_curve(lower, share={i: numbers[0]})
            edited_curve(upper, share={j: numbers[1]})
            return not _exceeds(numbers[0], numbers[1], slack)

        yield finding(
            lower,
            "order of endpoints",
            relation.severity,
            f"{lower.endpoint} of {point.share} at {when(point)} is above {upper.endpoint} of {bound.share} at "
            f"{when(bound)}",
            unless=relation.unless.format(lower=lower.endpoint, upper=upper.endpoint),
            printed=[
                Printed(f"{lower.endpoint} at {when(point)}", point.share),
                Printed(f"{upper.endpoint} at {when(bound)}", bound.share),
            ],
            holds=holds,
            rows=[point.row_id, bound.row_id],
        )


def _exceeds(lower: ReportedNumber, upper: ReportedNumber, slack: float = 0.0) -> bool:
    return lower.probability_interval.lower > upper.probability_interval.upper + slack


def _two_medians(lower: ReportedTime, upper: ReportedTime, relation: Relation) -> Outcome:
    first, second = lower.value, upper.value
    if "~" in (first.qualifier, second.qualifier):
        return Outcome("order of endpoints", ABOUT)
    if not all(number.unit for number in (first, second) if number.text):
        return Outcome("order of endpoints", NO_UNIT)
    if not _is_later(first, second):
        return Outcome("order of endpoints")
    by_units = first.unit != second.unit and not _is_later(first, second, slack=CONVERSION)
    return finding(
        lower,
        "order of endpoints",
        "incoherent" if by_units else relation.severity,
        f"a median {lower.endpoint} of {first} is after a median {upper.endpoint} of {second}",
        unless=relation.unless.format(lower=lower.endpoint, upper=upper.endpoint),
        printed=[Printed(f"median {lower.endpoint}", first), Printed(f"median {upper.endpoint}", second)],
        holds=lambda numbers: not _is_later(*numbers),
        rows=[lower.row_id, upper.row_id],
    )


def _is_later(first: ReportedNumber, second: ReportedNumber, *, slack: float = 0.0) -> bool:
    if not first.text or not second.text:
        return False  # not reached: later than follow-up, whose end is not known
    return first.months_interval.lower * (1.0 - slack) > second.months_interval.upper


def _complements(free: ReportedSurvival, had: ReportedSurvival) -> Iterator[Outcome]:
    for i, point in enumerate(free.timed):
        earlier = [j for j, p in enumerate(had.timed) if p.months <= point.months and is_sharp(p.share)]
        if not earlier or not is_sharp(point.share):
            continue
        j = max(earlier, key=lambda j: had.timed[j].share.probability_interval.lower)
        other = had.timed[j]

        def together(numbers: Numbers) -> float:
            return sum(number.probability_interval.lower for number in numbers)

        if together((point.share, other.share)) <= 1.0 + 1e-12:
            yield Outcome("order of endpoints")
            continue

        def holds(numbers: Numbers, i: int = i, j: int = j) -> bool:
            edited_curve(free, share={i: numbers[0]})
            edited_curve(had, share={j: numbers[1]})
            return together(numbers) <= 1.0 + 1e-12

        yield finding(
            free,
            "order of endpoints",
            "incoherent",
            f"{free.endpoint} of {point.share} at {when(point)} and {had.endpoint} of {other.share} at {when(other)} "
            "are more than all patients",
            unless=_SAME.format(lower=free.endpoint, upper=had.endpoint),
            printed=[
                Printed(f"{free.endpoint} at {when(point)}", point.share),
                Printed(f"{had.endpoint} at {when(other)}", other.share),
            ],
            holds=holds,
            rows=[point.row_id, other.row_id],
        )


# --- limits in order


def limits(case: Case) -> Iterator[Outcome]:
    """Median within quartiles, quartiles within the range."""
    for time in case.times:
        if time.range is not None or time.iqr is not None:
            yield _quartiles(time)
    # records of characteristics are refused when they are out of order
    yield from (
        Outcome("order of limits") for c in case.characteristics if c.range is not None or c.iqr is not None
    )


def _quartiles(time: ReportedTime) -> Outcome:
    """The record has its value within both; whether the one lies within the other is left."""
    inner, outer = time.iqr, time.range
    if inner is None or outer is None or _inside(inner, outer):
        return Outcome("order of limits")
    names = ("first quartile", "third quartile", "lower end", "upper end")
    ends = (inner.lower, inner.upper, outer.lower, outer.upper)
    printed = [Printed(name, end) for name, end in zip(names, ends, strict=True) if end is not None]
    where = [i for i, end in enumerate(ends) if end is not None]

    def holds(numbers: Numbers) -> bool:
        new = dict(zip(where, numbers, strict=True))
        pairs = [
            replace(pair, lower=new.get(i), upper=new.get(i + 1)) for i, pair in ((0, inner), (2, outer))
        ]
        replace(time, iqr=pairs[0], range=pairs[1])
        return _inside(*pairs)

    return finding(
        time,
        "order of limits",
        "impossible",
        f"quartiles of {inner} reach beyond the range of {outer}",
        printed=printed,
        holds=holds,
    )


def _inside(inner: ReportedInterval, outer: ReportedInterval) -> bool:
    """Whether rounding allows the one pair of limits to lie within the other."""
    return all(
        end is None or not is_sharp(end) or outer.may_contain(end) for end in (inner.lower, inner.upper)
    )


# --- follow-up


def followup(case: Case) -> Iterator[Outcome]:
    """Landmarks against the longest and the shortest follow-up."""
    for reported in case.survival:
        spans = list(_followed(case, reported))
        if not spans and reported.timed:
            yield Outcome("follow-up", "range of follow-up not printed")
        for name, span, row in spans:
            for point in reported.timed:
                yield _followed_to(reported, point, name, span, row)


def _followed(case: Case, reported: ReportedSurvival) -> Iterator[tuple[str, ReportedInterval, str]]:
    """Ranges of follow-up, and of survival times, of the group, with what they are called and their row."""
    for one in case.characteristics:
        whole = one.group.role == "overall" or same_patients(one.group, reported.group)
        if one.range is not None and _FOLLOWUP.search(one.name) and whole:
            yield FOLLOWUP, one.range, one.row_id
    for time in case.times:
        if (
            time.range is not None
            and time.endpoint == reported.endpoint
            and same_patients(time.group, reported.group)
        ):
            yield f"{time.endpoint} times", time.range, time.row_id


def _followed_to(
    reported: ReportedSurvival, point: SurvivalPoint, name: str, span: ReportedInterval, row: str
) -> Outcome:
    low, high = (
        number.months_interval if number is not None and number.unit and is_sharp(number) else None
        for number in (span.lower, span.upper)
    )
    months, share = point.months, point.share.probability_interval
    if high is not None and high.upper < months and share.lower > 0:
        return finding(
            reported,
            "follow-up",
            "incoherent",
            f"{point.share} at {when(point)}, yet {name} {'ends' if name == FOLLOWUP else 'end'} at {span.upper}",
            unless="the range leaves patients out, such as those who died",
            printed=[Printed(f"end of {name}", span.upper)] if span.upper else [],
            holds=lambda numbers: numbers[0].months_interval.upper >= months,
            rows=[point.row_id, row],
        )
    n = reported.n_total
    all_followed = name == FOLLOWUP and low is not None and low.lower >= months
    is_curve = reported.endpoint.kind == "survival" and is_sharp(point.share)
    if all_followed and is_curve and n is not None and lattice.whole_count(*share, n) < 0:
        return _unfollowed(reported, point, span, row, n)
    return Outcome("follow-up") if high is not None or low is not None else Outcome("follow-up", "open range")


def _unfollowed(
    reported: ReportedSurvival, point: SurvivalPoint, span: ReportedInterval, row: str, n: int
) -> Outcome:
    found = lattice.least_censored(*point.share.probability_interval, n)
    need = (
        f"needs at least {found.n_censored}"
        if found.n_censored > 0
        else "is no share of them, whatever the number"
    )
    i = reported.points.index(point)

    def holds(numbers: Numbers) -> bool:
        curve = edited_curve(reported, share={i: numbers[0]}, n_total=numbers[1])
        return int(lattice.whole_count(*curve.points[i].share.probability_interval, curve.n_total or 0)) >= 0

    return finding(
        reported,
        "follow-up",
        "incoherent",
        f"the shortest follow-up is {span.lower}, so none of the {n} patients was lost before {when(point)}, yet "
        f"{point.share} {need}",
        unless="the range of follow-up leaves patients out",
        printed=[Printed(f"{reported.endpoint} at {when(point)}", point.share), count("n", n)],
        holds=holds,
        rows=[point.row_id, row],
    )


# --- half units


def half_units(case: Case) -> Iterator[Outcome]:
    """Medians that end in one half although all that is printed beside them is whole."""
    medians = [(time, time.value) for time in case.times if time.statistic == "median"]
    records: list[tuple[ReportedTime | ReportedCharacteristic, ReportedNumber]] = [*medians]
    records += [(one, one.median) for one in case.characteristics if one.median is not None]
    for record, median in records:
        if not is_half(median) or not is_whole(record.range):
            continue
        n = record.group.n_total
        if n is None or n % 2 == 0:
            yield Outcome("half units", NO_SIZE if n is None else "")
        else:
            yield _half(record, median, n)


def _half(record: ReportedTime | ReportedCharacteristic, median: ReportedNumber, n: int) -> Outcome:
    return finding(
        record,
        "half units",
        "suspicious",
        f"a median of {median} in a range of {record.range}: {n} is odd, and the median of an odd number of whole "
        "numbers is whole",
        unless="the values are not whole, some are missing, or survival was exactly 50% for a while",
        printed=[Printed("median", median), count("n", n)],
        holds=lambda numbers: not is_half(numbers[0]) or int(numbers[1].value) % 2 == 0,
    )


def is_half(number: ReportedNumber) -> bool:
    """Whether a number ends in one half and has no further digit."""
    return is_sharp(number) and number.decimals == 1 and number.text.endswith("5")


def is_whole(pair: ReportedInterval | None) -> bool:
    """Whether both limits are printed, as whole numbers."""
    ends = () if pair is None else (pair.lower, pair.upper)
    return bool(ends) and all(end is not None and bool(end.text) and end.decimals == 0 for end in ends)
