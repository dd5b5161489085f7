"""The review: all that was extracted, checked as a whole, and the questions it answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from netsynth import _format, _validate
from netsynth.data._record import Record
from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.endpoint import ENDPOINTS, Endpoint, find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.quality import QualityAssessment
from netsynth.data.selection import (
    Candidate,
    Exclusion,
    OverlapRule,
    Selection,
    check_sets,
    known_time,
    overlap_clusters,
    same_months,
    select,
)
from netsynth.data.source import Source
from netsynth.data.study import Group, Role, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.errors import Caution, InconsistentReportWarning, InvalidInputError, OverlapWarning, caution

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PublishedTarget", "Review", "TableName"]

TableName = Literal[
    "studies",
    "survival",
    "proportions",
    "characteristics",
    "prognostic",
    "quality",
    "sources",
    "review_targets",
]
WHOLE: tuple[Role, ...] = ("overall", "arm")
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class PublishedTarget(Record):
    """A summary that a published review printed, to be set beside our own.

    Parameters
    ----------
    outcome : str
        An endpoint code or the name of a proportion.
    median : ReportedNumber
        The printed median over studies.
    range : ReportedInterval or None
        The printed range over studies.
    time : ReportedNumber or None
        Landmark of a survival percentage; None for a median time or a proportion.
    source : str
        Id of the `Source`.
    extra : tuple of (str, str)
        Further columns as they were given.
    """

    outcome: str
    median: ReportedNumber
    range: ReportedInterval | None = None
    time: ReportedNumber | None = None
    source: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _validate.text(self.outcome, "outcome")

    def __str__(self) -> str:
        at = "" if self.time is None else f" at {self.time}"
        shown = "" if self.range is None else f" (range, {self.range})"
        return f"{self.outcome}{at}: {self.median}{shown}"


@dataclass(frozen=True, slots=True)
class Review(Record):
    """Everything extracted from the studies of a review.

    Records refer to studies by id. The review is checked as a whole when it is made: ids must be known and
    unique, figures must not be given twice; what is possible but doubtful becomes a warning that stays in
    `warnings`.

    Parameters
    ----------
    studies : tuple of Study
        At least one.
    survival, times, proportions, characteristics, factors, assessments : tuple
        What the studies report.
    sources : tuple of Source
        Where it was read; may be empty.
    targets : tuple of PublishedTarget
        What a published review concluded.
    endpoints : tuple of Endpoint
        The vocabulary of endpoints.
    title, notes : str
        Of the review.
    excluded : tuple of Exclusion
        Studies that `filter` has taken out.

    Raises
    ------
    InvalidInputError
        If there is no study, an id is unknown or given twice, an endpoint is not in the vocabulary, or a
        figure is given twice.

    Warns
    -----
    InconsistentReportWarning
        If a median contradicts percentages, or a group is larger than its study.
    OverlapWarning
        If a study shares patients with one that the review does not hold.

    Examples
    --------
    >>> from netsynth.data.study import Study
    >>> from netsynth.data.survival import ReportedSurvival
    >>> review = Review(
    ...     (Study("a", n_patients=37), Study("b", n_patients=74)),
    ...     survival=(
    ...         ReportedSurvival.from_percent("a", "OS", years=[5], percent=[61], n_total=37),
    ...         ReportedSurvival.from_percent("b", "OS", years=[3, 5], percent=[83, 74], n_total=74),
    ...     ),
    ... )
    >>> print(review.select_survival("OS", 60))
    OS at 60 months: 2 studies, 111 patients
      rule: groups in the order overall and arm; any evidence set; of several values of a study an exact one
      before an open end, then the largest group, then the first; of studies that share patients the one with
      the most patients
      + a: 61% (overall (n = 37))
      + b: 74% (overall (n = 74))
    """

    studies: tuple[Study, ...]
    survival: tuple[ReportedSurvival, ...] = ()
    times: tuple[ReportedTime, ...] = ()
    proportions: tuple[ReportedProportion, ...] = ()
    characteristics: tuple[ReportedCharacteristic, ...] = ()
    factors: tuple[ReportedFactor, ...] = ()
    assessments: tuple[QualityAssessment, ...] = ()
    sources: tuple[Source, ...] = ()
    targets: tuple[PublishedTarget, ...] = ()
    endpoints: tuple[Endpoint, ...] = ENDPOINTS
    title: str = ""
    notes: str = ""
    excluded: tuple[Exclusion, ...] = ()
    warnings: tuple[Caution, ...] = field(default=(), init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, kind in _CONTENTS.items():
            self._freeze(name, where="review")
            for item in getattr(self, name):
                if not isinstance(item, kind):
                    raise InvalidInputError(
                        f"review: {name} holds {kind.__name__} records; got {item!r:.80}."
                    )
        if not self.studies:
            raise InvalidInputError("A review needs at least one study.")
        _unique([endpoint.code for endpoint in self.endpoints], "endpoint code")
        known = _unique([study.id for study in self.studies], "study id")
        source_ids = _unique([source.id for source in self.sources], "source id")
        for record in self._records():
            pooled = isinstance(record, ReportedFactor) and record.analysis == "pooled"
            if record.study not in known and not pooled:
                raise InvalidInputError(
                    f"{type(record).__name__}: unknown study {record.study!r}; the review knows "
                    f"{_format.listing(sorted(known)[:8])}{', ...' if len(known) > 8 else ''}."
                )
            endpoint = getattr(record, "endpoint", None)
            if endpoint is not None and endpoint not in self.endpoints:
                raise InvalidInputError(
                    f"{record.study}: endpoint {endpoint.code!r} is not in the vocabulary of the review; "
                    "pass it with endpoints=."
                )
        if source_ids:
            for study in self.studies:
                for source in study.sources:
                    if source not in source_ids:
                        raise InvalidInputError(f"{study.id}: unknown source {source!r}.")
        self._refuse_duplicates()
        object.__setattr__(self, "warnings", tuple(self._doubts()))

    def _records(self) -> Iterable[Any]:
        for name in ("survival", "times", "proportions", "characteristics", "factors", "assessments"):
            yield from getattr(self, name)

    def _refuse_duplicates(self) -> None:
        keys: list[tuple[object, ...]] = [(s.study, s.endpoint, s.group) for s in self.survival]
        keys += [(t.study, t.endpoint, t.statistic, t.group) for t in self.times]
        keys += [(p.study, p.outcome, p.definition, p.group) for p in self.proportions]
        keys += [
            (f.study, f.factor, f.endpoint, f.adverse_level, f.reference_level, f.analysis, f.group)
            for f in self.factors
        ]
        keys += [(c.study, c.name, c.group) for c in self.characteristics]
        keys += [(a.study, a.checklist.name, a.assessor) for a in self.assessments]
        seen: set[tuple[object, ...]] = set()
        for key in keys:
            if key in seen:
                shown = ", ".join(filter(None, map(str, key)))
                raise InvalidInputError(
                    f"Given twice: {shown}. Merge the records or give them different groups."
                )
            seen.add(key)

    def _doubts(self) -> Iterable[Caution]:
        """Warn of what cannot all be true across records."""
        known = {study.id for study in self.studies} | {exclusion.study for exclusion in self.excluded}
        for study in self.studies:
            for other in study.overlap:
                if other not in known:
                    message = f"overlaps with {other!r}, which the review does not hold"
                    yield caution(OverlapWarning, message, where=study.id, stacklevel=5)
        sizes = {study.id: study.n_patients for study in self.studies}
        for record in self._records():
            group: Group | None = getattr(record, "group", None)
            size = sizes.get(record.study)
            if group is not None and size is not None and (group.n_total or 0) > size:
                yield caution(
                    InconsistentReportWarning,
                    f"group {group} is larger than the study's {size} patients",
                    where=record.study,
                    stacklevel=5,
                )
        medians = {(t.study, t.endpoint, t.group): t for t in self.times if t.statistic == "median"}
        for reported in self.survival:
            time = medians.get((reported.study, reported.endpoint, reported.group))
            if time is not None and reported.endpoint.kind == "survival" and time.value.unit:
                for message in median_contradictions(reported, time.value):
                    yield caution(InconsistentReportWarning, message, where=reported.study, stacklevel=5)

    # -- questions ---------------------------------------------------------------------------------------

    def study(self, study_id: str) -> Study:
        """The study with that id.

        Raises
        ------
        InvalidInputError
            If the review has no such study.
        """
        for study in self.studies:
            if study.id == study_id:
                return study
        raise InvalidInputError(f"The review has no study {study_id!r}.")

    def endpoint(self, word: str | Endpoint) -> Endpoint:
        """The endpoint of the review's vocabulary that `word` names."""
        return find_endpoint(word, self.endpoints)

    def studies_reporting(
        self, endpoint: str | Endpoint, time_months: float | None = None
    ) -> tuple[Study, ...]:
        """Studies that print a percentage of the endpoint (at that landmark), for any group of theirs."""
        wanted = self.endpoint(endpoint)
        time = None if time_months is None else known_time(time_months)
        found = {
            record.study
            for record in self.survival
            if record.endpoint == wanted
            and (time is None or any(same_months(point.months, time) for point in record.timed))
        }
        return tuple(study for study in self.studies if study.id in found)

    @property
    def evidence_sets(self) -> tuple[str, ...]:
        """Names of the evidence sets that some result belongs to, sorted; an empty one for results of none."""
        groups = (getattr(record, "group", None) for record in self._records())
        return tuple(sorted({group.evidence_set for group in groups if group is not None}))

    def landmarks(self, endpoint: str | Endpoint) -> tuple[float, ...]:
        """Every landmark, in months, at which some study reports the endpoint."""
        wanted = self.endpoint(endpoint)
        times = {round(p.months, 9) for s in self.survival if s.endpoint == wanted for p in s.timed}
        return tuple(sorted(times))

    def overlap_cluster(self, study_id: str) -> frozenset[str]:
        """Ids of all studies that share patients with this one, directly or through another, and itself."""
        return overlap_clusters(self.studies)[self.study(study_id).id]

    def select_survival(
        self,
        endpoint: str | Endpoint,
        time_months: float,
        *,
        sets: Sequence[str] | None = None,
        roles: Sequence[Role] = WHOLE,
        overlap: OverlapRule = "largest",
    ) -> Selection:
        """One survival percentage a study at one landmark.

        Parameters
        ----------
        endpoint : str or Endpoint
            Which endpoint.
        time_months : float
            The landmark; a figure printed for another time does not answer.
        sets : sequence of str, optional
            Evidence sets to use, of those in `evidence_sets`; None uses all.
        roles : sequence of {"overall", "arm", "subgroup", "comparator"}
            Groups to use, the preferred first. By default the whole cohort, then the arm under review;
            subgroups and comparators are left out.
        overlap : {"largest", "latest", "keep"}
            Which of several studies that share patients is kept.

        Returns
        -------
        Selection
            The values and every exclusion with its reason. A figure whose landmark the source does not state
            is listed as not usable.
        """
        wanted, time = self.endpoint(endpoint), known_time(time_months)
        candidates = [
            self._candidate(
                record, point.share, (i, j), point, "" if point.time else "its landmark is not stated"
            )
            for i, record in enumerate(self.survival)
            if record.endpoint == wanted
            for j, point in enumerate(record.points)
            if point.time is None or same_months(point.months, time)
        ]
        return self._select(f"{wanted} at {time:g} months", candidates, sets, roles, overlap)

    def select_times(
        self,
        endpoint: str | Endpoint,
        *,
        statistic: Literal["median", "mean"] = "median",
        sets: Sequence[str] | None = None,
        roles: Sequence[Role] = WHOLE,
        overlap: OverlapRule = "largest",
    ) -> Selection:
        """One median (or mean) time a study; arguments as `select_survival`."""
        wanted = self.endpoint(endpoint)
        candidates = [
            self._candidate(
                record, record.value, (i,), record, "" if record.value.unit else "its unit is not stated"
            )
            for i, record in enumerate(self.times)
            if record.endpoint == wanted and record.statistic == statistic
        ]
        return self._select(f"{statistic} {wanted}", candidates, sets, roles, overlap)

    def select_proportions(
        self,
        outcome: str,
        *,
        sets: Sequence[str] | None = None,
        roles: Sequence[Role] = WHOLE,
        overlap: OverlapRule = "largest",
    ) -> Selection:
        """One proportion a study; arguments as `select_survival`.

        Of several definitions in one study the one with the largest share is preferred, so that "complete or
        partial relief" stands for the study rather than "complete relief".
        """
        chosen = [(i, record) for i, record in enumerate(self.proportions) if record.outcome == outcome]
        if not chosen:
            known = sorted({record.outcome for record in self.proportions})
            raise InvalidInputError(
                f"No study reports {outcome!r}; reported are {', '.join(known) or 'none'}."
            )
        candidates = [self._candidate(record, _share(record), (i,), record) for i, record in chosen]
        check_sets(sets, self.evidence_sets)
        return select(
            outcome,
            candidates,
            sets=sets,
            roles=roles,
            overlap=overlap,
            studies=self.studies,
            prefer=lambda c: -c.value.probability,
            preference="the largest share (the widest definition)",
        )

    def _candidate(
        self, record: Any, value: ReportedNumber, place: tuple[int, ...], row: Any, bad: str = ""
    ) -> Candidate:
        n_total = getattr(record, "n_total", None) or record.group.n_total
        return Candidate(record.study, value, record.group, n_total, row.source, row.row_id, place, bad)

    def _select(
        self,
        question: str,
        candidates: list[Candidate],
        sets: Sequence[str] | None,
        roles: Sequence[Role],
        overlap: OverlapRule,
    ) -> Selection:
        check_sets(sets, self.evidence_sets)
        return select(question, candidates, sets=sets, roles=roles, overlap=overlap, studies=self.studies)

    def filter(self, keep: Callable[[Study], bool], *, reason: str) -> Self:
        """Review of the studies for which `keep` is true; the others are listed in `excluded` with the reason.

        Results that belong to no study of the review (factors pooled by another meta-analysis) stay.

        Raises
        ------
        InvalidInputError
            If no study is left, or the reason is blank.
        """
        _validate.text(reason, "reason")
        kept = tuple(study for study in self.studies if keep(study))
        if not kept:
            raise InvalidInputError(f"No study is left after filtering for: {reason}.")
        ids = {study.id for study in self.studies} - {study.id for study in kept}
        out = tuple(Exclusion(study.id, reason, reason) for study in self.studies if study.id in ids)
        return replace(
            self,
            studies=kept,
            survival=_without(ids, self.survival),
            times=_without(ids, self.times),
            proportions=_without(ids, self.proportions),
            characteristics=_without(ids, self.characteristics),
            factors=_without(ids, self.factors),
            assessments=_without(ids, self.assessments),
            excluded=(*self.excluded, *out),
        )

    # -- tables ------------------------------------------------------------------------------------------

    def to_frame(self, table: TableName = "studies") -> pd.DataFrame:
        """One table of the review as a long data frame in the layout that `netsynth.read_review` reads."""
        from netsynth.io.frames import table_frame

        return table_frame(self, table)

    def __str__(self) -> str:
        counts = {
            f.name: len(getattr(self, f.name))
            for f in fields(self)
            if f.name not in ("studies", "endpoints", "title", "notes", "warnings") and getattr(self, f.name)
        }
        title = f"{self.title}: " if self.title else ""
        records = ", ".join(f"{n} {name}" for name, n in counts.items())
        return f"{title}{_format.plural(len(self.studies), 'study', 'studies')}{f' ({records})' if records else ''}"

    def _repr_html_(self) -> str:
        rows = [
            (study.label, str(study.n_patients or ""), study.enrolment, study.design, study.population)
            for study in self.studies
        ]
        return _format.html_table(
            ("study", "patients", "enrolment", "design", "population"), rows, caption=str(self)
        )


#: What each list of a review holds.
_CONTENTS: Final[Mapping[str, type[Record]]] = {
    "studies": Study,
    "survival": ReportedSurvival,
    "times": ReportedTime,
    "proportions": ReportedProportion,
    "characteristics": ReportedCharacteristic,
    "factors": ReportedFactor,
    "assessments": QualityAssessment,
    "sources": Source,
    "targets": PublishedTarget,
    "endpoints": Endpoint,
    "excluded": Exclusion,
}


def median_contradictions(reported: ReportedSurvival, median: ReportedNumber) -> list[str]:
    """What a reported median and reported percentages cannot both say, beyond the rounding of either.

    The Kaplan-Meier median is the first time at which survival is 50% or less.
    """
    low, high = median.months_interval if median.qualifier != "not reached" else (0.0, math.inf)
    messages = []
    for point in reported.timed:
        share_low, share_high = point.share.probability_interval
        if median.qualifier == "not reached" and share_high < 0.5:
            messages.append(
                f"the median {reported.endpoint} was not reached, yet it was {point.share} at {point.time}"
            )
        elif share_low > 0.5 and high <= point.months:
            messages.append(
                f"median {reported.endpoint} of {median}, yet it was still {point.share} at {point.time}"
            )
        elif share_high < 0.5 and (low > point.months or (median.qualifier == ">" and low == point.months)):
            messages.append(
                f"median {reported.endpoint} of {median}, yet it was already {point.share} at {point.time}"
            )
    return messages


def _share(record: ReportedProportion) -> ReportedNumber:
    if record.share is not None:
        return record.share
    return ReportedNumber.of(round(100 * record.probability, 1), "percent")


def _without(ids: set[str], records: tuple[R, ...]) -> tuple[R, ...]:
    return tuple(record for record in records if getattr(record, "study", None) not in ids)


def _unique(names: list[str], what: str) -> set[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidInputError(f"The {what} {name!r} is given twice.")
        seen.add(name)
    return seen
