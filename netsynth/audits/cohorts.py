"""Reports of the same patients by several studies: where they disagree, and where others repeat them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np

from netsynth import _format
from netsynth.audits.case import Case, Outcome, finding, is_sharp
from netsynth.audits.edits import Printed
from netsynth.data.number import ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.selection import overlap_clusters
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.kernels.survival_variance import MATURITY, detected_se, imputed_variance
from netsynth.results.audit import AuditFinding

__all__ = ["copies", "linked", "shrinking"]

#: A difference of more standard errors than these between reports that share patients is suspicious.
JUMP: Final = 2.0
#: A group whose size is not printed is taken to have so many patients, which are few.
FEW: Final = 10
#: Copies that are expected by chance in the whole review, above which equal numbers are no sign.
EXPECTED: Final = 0.01
#: Chances that two unrelated studies print one number: of patients, and with each further digit of a figure.
_SAME_N, _SAME_WHOLE, _SAME_DIGIT = 0.01, 0.02, 0.1

Key: TypeAlias = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class _Figure:
    """One printed figure that another study could print too: what it is about, and of whom."""

    key: Key
    number: ReportedNumber
    n: int | None
    label: str
    is_whole: bool
    record: ReportedSurvival | ReportedTime | ReportedProportion
    row: SurvivalPoint | ReportedTime | ReportedProportion

    @property
    def name(self) -> str:
        """What the figure is called."""
        what, kind, months = self.key
        at = f"{what} at {_format.shortest(months, 1)} months"
        return at if kind == "percentage" else f"{kind} {what}"

    @property
    def says_little(self) -> bool:
        """Whether nobody or everybody is counted, as in many studies."""
        if self.number.unit == "count":
            return self.number.value in (0, self.n)
        return self.key[1] == "percentage" and self.number.probability in (0.0, 1.0)


def _figures(case: Case) -> Iterator[_Figure]:
    for reported in case.survival:
        for point in reported.timed:
            if is_sharp(point.share):
                key = (str(reported.endpoint), "percentage", round(point.months, 6))
                yield _figure(key, point.share, reported, point)
    for time in case.times:
        if is_sharp(time.value) and time.value.unit:
            key = (str(time.endpoint), time.statistic, 0.0)
            yield _figure(key, time.value, time, time)
    for made in case.proportions:
        if made.n_events is not None and made.n_total is not None:
            key = (": ".join(filter(None, (made.outcome, made.definition))), "number with", 0.0)
            yield _figure(key, ReportedNumber(str(made.n_events), "count"), made, made)


def _figure(
    key: Key,
    number: ReportedNumber,
    record: ReportedSurvival | ReportedTime | ReportedProportion,
    row: SurvivalPoint | ReportedTime | ReportedProportion,
) -> _Figure:
    group = record.group
    n = record.n_total if isinstance(record, ReportedProportion) else group.n_total
    whole = group.role in ("overall", "arm")
    return _Figure(key, number, n, group.label.casefold(), whole, record, row)


def _variance(figure: _Figure) -> float:
    """Of a percentage by its interval, else imputed; of the log of a median as that of exponential times."""
    n = figure.n or FEW
    if isinstance(figure.row, ReportedProportion):
        return math.nan
    if isinstance(figure.row, ReportedTime):
        return 1.0 / (n * math.log(2.0) ** 2)
    share, ci = figure.number.probability, figure.row.ci
    if not 0 < share < 1:
        return math.nan
    if ci is not None and ci.lower is not None and ci.upper is not None:
        half = 0.5 * (figure.number.probability_interval.upper - figure.number.probability_interval.lower)
        found = detected_se(share, ci.lower.probability, ci.upper.probability, half, level=ci.level or 0.95)
        if np.isfinite(found.se):
            return float(found.se) ** 2
    return float(imputed_variance(share, n, MATURITY))


# --- studies that share patients


def linked(cases: Sequence[Case]) -> Iterator[Outcome]:
    """Figures of studies that are known to share patients."""
    clusters = overlap_clusters([case.study for case in cases])
    members: dict[frozenset[str], list[Case]] = defaultdict(list)
    for case in cases:
        if len(clusters[case.study.id]) > 1:
            members[clusters[case.study.id]].append(case)
    for group in members.values():
        figures = [(case.study, list(_figures(case))) for case in group]
        for (first, ours), (second, theirs) in combinations(figures, 2):
            for one in ours:
                for other in theirs:
                    if one.key == other.key and _comparable(one, other):
                        older_first = (first.year or 0) <= (second.year or 0)
                        compared = _compared(*((one, other) if older_first else (other, one)))
                        yield compared._replace(studies=(first.id, second.id))


def _comparable(one: _Figure, other: _Figure) -> bool:
    return (one.is_whole and other.is_whole) or one.label == other.label


def _compared(earlier: _Figure, later: _Figure) -> Outcome:
    gap = _gap(earlier, later)
    if gap == 0:
        return Outcome("one cohort twice")
    told = f"{later.name} of {later.number}, and {earlier.number} in {earlier.record.study}"
    if earlier.n is not None and earlier.n == later.n:
        return finding(
            later.record,
            "one cohort twice",
            "incoherent",
            f"{told}, with {later.n} patients in both",
            unless="follow-up was longer in one, or the patients are not the same",
            printed=[
                Printed(later.name, later.number),
                Printed(f"{earlier.name} in {earlier.record.study}", earlier.number),
            ],
            holds=lambda numbers: numbers[0].text == numbers[1].text and numbers[0].unit == numbers[1].unit,
            rows=[later.row.row_id, earlier.row.row_id],
            other_study=earlier.record.study,
        )
    se = _se_of_difference(earlier, later)
    if not math.isfinite(se):
        return Outcome("one cohort twice", "no standard error")
    if gap <= JUMP * se:
        return Outcome("one cohort twice")
    sizes = _format.listing([str(figure.n or f"unknown (taken as {FEW})") for figure in (later, earlier)])
    return finding(
        later.record,
        "one cohort twice",
        "suspicious",
        f"{told}: {gap / se:.1f} standard errors apart; numbers of patients, some of whom are the same: {sizes}",
        unless="the groups were chosen in another way",
        printed=[
            Printed(later.name, later.number),
            Printed(f"{earlier.name} in {earlier.record.study}", earlier.number),
        ],
        holds=lambda numbers: (
            _gap(replace(later, number=numbers[0]), replace(earlier, number=numbers[1])) <= JUMP * se
        ),
        rows=[later.row.row_id, earlier.row.row_id],
        other_study=earlier.record.study,
    )


def _gap(first: _Figure, second: _Figure) -> float:
    """Distance that rounding leaves between two shares or counts, or between the logarithms of two times."""
    kinds = {"percentage": "probability_interval", "number with": "interval"}
    spans = [
        getattr(figure.number, kinds.get(figure.key[1], "months_interval")) for figure in (first, second)
    ]
    low, high = min(span.upper for span in spans), max(span.lower for span in spans)
    if high <= low:
        return 0.0
    return high - low if first.key[1] in kinds else math.log(high / low) if low > 0 else math.inf


def _se_of_difference(one: _Figure, other: _Figure) -> float:
    """As if the smaller group were part of the larger one, or, where a size is not printed, had nobody in common."""
    shared = 0.0
    if one.n is not None and other.n is not None:
        shared = min(one.n, other.n) / max(one.n, other.n)
    ours, theirs = _variance(one), _variance(other)
    variance = ours + theirs - 2.0 * shared * min(ours, theirs)
    return math.sqrt(variance) if variance > 0 else math.nan


def shrinking(cases: Sequence[Case]) -> Iterator[Outcome]:
    """Later reports of one centre over a longer time that have fewer patients."""
    clusters = overlap_clusters([case.study for case in cases])
    by_centre: dict[tuple[str, str], list[Study]] = defaultdict(list)
    for study in (case.study for case in cases):
        if study.centres.strip() and study.enrolment_start and study.enrolment_end and study.n_patients:
            by_centre[study.centres.strip().casefold(), study.population.strip().casefold()].append(study)
    for studies in by_centre.values():
        for one, other in combinations(studies, 2):
            if other.id not in clusters[one.id]:
                continue
            narrow, wide = sorted((one, other), key=_years)
            inside = _starts(wide) <= _starts(narrow) and _ends(narrow) <= _ends(wide)
            if not inside:
                continue
            fewer = (wide.n_patients or 0) < (narrow.n_patients or 0)
            found = _shrunk(narrow, wide) if fewer else None
            yield Outcome("one cohort twice", finding=found, studies=(one.id, other.id))


def _starts(study: Study) -> int:
    return study.enrolment_start or 0


def _ends(study: Study) -> int:
    return study.enrolment_end or 0


def _years(study: Study) -> int:
    return _ends(study) - _starts(study)


def _shrunk(narrow: Study, wide: Study) -> AuditFinding:
    return AuditFinding(
        wide.id,
        "one cohort twice",
        "suspicious",
        f"{wide.n_patients} patients of {wide.enrolment}, fewer than the {narrow.n_patients} of {narrow.enrolment} in "
        f"{narrow.id} from the same centre",
        "the patients were chosen in another way",
        other_study=narrow.id,
    )


# --- studies that are not known to share patients


def copies(cases: Sequence[Case]) -> Iterator[Outcome]:
    """Studies not known to share patients that print the same figures of as many patients."""
    clusters = overlap_clusters([case.study for case in cases])
    holders: dict[tuple[object, ...], list[tuple[str, _Figure]]] = defaultdict(list)
    for case in cases:
        for figure in _figures(case):
            if figure.n is not None and not figure.says_little and not figure.record.group.duplicate:
                holders[figure.key, str(figure.number), figure.n].append((case.study.id, figure))
    shared: dict[tuple[str, str], list[_Figure]] = defaultdict(list)
    for held in holders.values():
        by_study = dict(reversed(held))
        for first, second in combinations(by_study, 2):
            if second not in clusters[first]:
                pair = (first, second) if first < second else (second, first)
                shared[pair].append(by_study[pair[1]])
    pairs = len(cases) * (len(cases) - 1) / 2
    for (first, second), figures in shared.items():
        alike = _SAME_N * math.prod(_SAME_WHOLE * _SAME_DIGIT ** max(f.number.decimals, 0) for f in figures)
        if len(figures) < 2 or pairs * alike > EXPECTED:
            yield Outcome("one cohort twice", studies=(first, second))
            continue
        told = _format.listing(f"{figure.name} of {figure.number}" for figure in figures)
        found = finding(
            figures[0].record,
            "one cohort twice",
            "suspicious",
            f"{told} among {figures[0].n} patients, exactly as in {first}",
            unless="two studies of other patients agree by chance",
            rows=[figure.row.row_id for figure in figures],
            other_study=first,
        )
        yield found._replace(studies=(first, second))
