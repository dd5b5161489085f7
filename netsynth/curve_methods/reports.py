"""One series of survival percentages a study, from a review, from reports or from a data frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.data.endpoint import Endpoint, find_endpoint
from netsynth.data.review import Review
from netsynth.data.selection import Candidate, OverlapRule, select
from netsynth.data.study import Role
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import InvalidInputError, NetsynthWarning, UnusableDataWarning
from netsynth.kernels.survival_variance import detected_se
from netsynth.results.moderators import columns_by_name

#: What to warn of: the kind of warning, and its words.
Doubt: TypeAlias = tuple[type[NetsynthWarning], str]

_COLUMNS = ("study", "time_months", "survival")
_COUNTS = ("n_total", "n_at_risk", "n_at_start", "se")


class StudyReport(NamedTuple):
    """What one study prints of survival, at times of shape (m,); nan for what it does not print.

    `n_at_risk` is at the times, `n_at_start` at the start of the intervals that end there. `se` is that of survival
    as a probability.
    """

    name: str
    time: FloatArray
    survival: FloatArray
    n_total: float
    n_at_risk: FloatArray
    n_at_start: FloatArray
    se: FloatArray
    followup_months: float = math.nan

    @property
    def has_size(self) -> bool:
        """Whether anything says how many patients there are."""
        sizes = (self.n_at_risk, self.n_at_start, self.se)
        return self.n_total > 0 or any(bool(np.isfinite(each).any()) for each in sizes)

    def at(self, keep: npt.NDArray[np.bool_]) -> StudyReport:
        """The same report at some of its times; an interval that grows keeps the number at its start."""
        if keep.all():
            return self
        first = np.concatenate([[0], np.flatnonzero(keep)[:-1] + 1])
        return self._replace(
            time=self.time[keep],
            survival=self.survival[keep],
            n_at_risk=self.n_at_risk[keep],
            n_at_start=self.n_at_start[first],
            se=self.se[keep],
        )


class Reports(NamedTuple):
    """The studies, what they report on, and what was left out."""

    endpoint: Endpoint
    studies: tuple[StudyReport, ...]
    doubts: tuple[Doubt, ...]

    @property
    def label(self) -> str:
        """Name of the endpoint in words."""
        return self.endpoint.name or self.endpoint.code


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
    if isinstance(data, Review):
        wanted = data.endpoint(endpoint)
        studies = _from_review(data, wanted, sets, roles, overlap)
    else:
        if sets is not None:
            raise InvalidInputError("sets are chosen from a Review; got other data. Leave sets out.")
        wanted = find_endpoint(endpoint)
        if isinstance(data, ReportedSurvival):
            studies = _from_reports([data], wanted)
        elif isinstance(data, Sequence) and data and isinstance(data[0], ReportedSurvival):
            studies = _from_reports(data, wanted)
        elif isinstance(data, Mapping) or hasattr(data, "columns") or hasattr(data, "column_names"):
            studies = _from_columns(columns_by_name(data), wanted)
        else:
            raise InvalidInputError(
                "data must be a Review, a sequence of ReportedSurvival, or a data frame or mapping with the columns "
                f"study, time_months and survival; got {type(data).__name__}."
            )
    sized = tuple(study for study in studies if study.has_size)
    unsized = [study.name for study in studies if not study.has_size]
    if not sized:
        raise InvalidInputError(
            f"{wanted}: no study prints a percentage with its number of patients. Use summarize_outcomes for a "
            "median over studies, or bound_pooled_survival, which needs no number."
        )
    doubts: list[Doubt] = []
    if unsized:
        message = f"not pooled, for want of a number of patients: {_format.listing(unsized)}; "
        message += "bound_pooled_survival needs none."
        doubts.append((UnusableDataWarning, message))
    return Reports(wanted, sized, tuple(doubts))


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


def _from_reports(reports: Iterable[object], endpoint: Endpoint) -> list[StudyReport]:
    found: list[StudyReport] = []
    for report in reports:
        if not isinstance(report, ReportedSurvival):
            raise InvalidInputError(
                f"data must hold ReportedSurvival records alone; got {type(report).__name__} among them."
            )
        _check_endpoint(report.endpoint, endpoint, report.study)
        if any(report.study == other.name for other in found):
            raise InvalidInputError(
                f"{report.study}: two series of one study. Keep one, or give the studies as a Review, which chooses."
            )
        if not report.timed:
            raise InvalidInputError(f"{report.study}: no percentage has a stated time, so there is no curve.")
        found.append(_of_report(report, report.study, math.nan))
    return found


def _check_endpoint(found: Endpoint, wanted: Endpoint, where: str) -> None:
    if found.code != wanted.code:
        raise InvalidInputError(
            f"{where}: reports {found}, and {wanted} is asked for. Endpoints are not mixed in one curve: name the "
            f"one you want, as endpoint={found.code!r}, and leave the others out."
        )


def _of_report(report: ReportedSurvival, name: str, followup: float) -> StudyReport:
    s = report.survival
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
    )


def _from_columns(columns: Mapping[str, Any], endpoint: Endpoint) -> list[StudyReport]:
    """Rows of a frame: one a study and time."""
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise InvalidInputError(
            f"data must have the columns {_format.listing(_COLUMNS)}; {_format.listing(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing from {_format.listing(columns)}."
        )
    known: dict[str, str] = {}  # a name is looked at once
    names = []
    for i, value in enumerate(columns["study"]):
        printed = str(value)
        if printed not in known or value is None or value != value:
            known[printed] = study_name(value, i)
        names.append(known[printed])
    for word in dict.fromkeys(columns.get("endpoint", ())):
        _check_endpoint(find_endpoint(word), endpoint, "data")
    labels = [f"{name}, row {i + 1}" for i, name in enumerate(names)]
    time = _validate.finite_1d(columns["time_months"], "time_months", labels=labels)
    survival = _validate.probability_1d(columns["survival"], "survival")
    numbers = {
        name: _validate.array_1d(columns[name], name) if name in columns else np.full(len(names), np.nan)
        for name in _COUNTS
    }
    for name, values in {"time_months": time, "survival": survival, **numbers}.items():
        if values.size != len(names):
            raise InvalidInputError(
                f"{name} must have one value for each of {len(names)} rows; got {values.size}."
            )
        bad = np.flatnonzero((values < 0) | np.isinf(values))
        if bad.size:
            i = int(bad[0])
            raise InvalidInputError(
                f"{labels[i]}: {name} must be finite and not negative; got {values[i]:g}."
            )
    places: dict[str, int] = {}
    place = np.array([places.setdefault(name, len(places)) for name in names], dtype=np.int64)
    return _of_rows(tuple(places), place, time, survival, numbers)


def study_name(value: object, i: int) -> str:
    """Name of the study in row i of a frame, counted from 0."""
    if value is None or value != value:
        raise InvalidInputError(f"Row {i + 1}: study is missing.")
    return _validate.text(str(value), "study", where=f"Row {i + 1}")


def _of_rows(
    names: tuple[str, ...],
    place: npt.NDArray[np.int64],
    time: FloatArray,
    survival: FloatArray,
    numbers: Mapping[str, FloatArray],
) -> list[StudyReport]:
    """Reports of all studies at once; `place` is the study of each row."""
    order = np.lexsort((time, place))
    place, t, s = place[order], time[order], survival[order]
    n_total, at_risk, at_start, se = (numbers[key][order] for key in _COUNTS)
    follows = place[1:] == place[:-1]  # the row before is of the same study
    again = np.flatnonzero(follows & (np.diff(t) <= 1e-9 * t[1:]))
    if again.size:
        i = int(again[0])
        raise InvalidInputError(f"{names[place[i]]}: two values at {t[i]:g} months. Keep one.")
    rises = np.flatnonzero(follows & (np.diff(s) > 0))
    if rises.size:
        i = int(rises[0])
        raise InvalidInputError(
            f"{names[place[i]]}: survival cannot rise; got {s[i + 1]:g} at {t[i + 1]:g} months after {s[i]:g} at "
            f"{t[i]:g} months. Check the transcription."
        )
    first = np.append(0, np.flatnonzero(~follows) + 1)
    n = np.fmax.reduceat(n_total, first)
    several = np.flatnonzero(np.fmin.reduceat(n_total, first) < n)
    if several.size:
        i = int(several[0])
        sizes = np.unique(n_total[(place == i) & np.isfinite(n_total)])
        raise InvalidInputError(
            f"{names[i]}: n_total must be one number; got {_format.listing(f'{size:g}' for size in sizes)}."
        )
    at_zero = t[first] == 0  # the row of time 0 of a table of numbers at risk
    wrong = np.flatnonzero(at_zero & (s[first] != 1))
    if wrong.size:
        i = int(wrong[0])
        raise InvalidInputError(f"{names[i]}: survival at time 0 must be 1; got {s[first[i]]:g}.")
    n = np.where(at_zero & np.isnan(n), at_risk[first], n)
    start, end = first + at_zero, np.append(first[1:], t.size)
    empty = np.flatnonzero(start == end)
    if empty.size:
        raise InvalidInputError(f"{names[empty[0]]}: there is no survival after time 0.")
    told = np.isfinite(at_risk)
    told[first[at_zero]] = False
    of_unknown = np.zeros(len(names), dtype=np.bool_)
    of_unknown[place[told]] = True
    of_unknown &= np.isnan(n) & np.isnan(at_start[start])
    if of_unknown.any():
        raise InvalidInputError(
            f"{names[int(np.argmax(of_unknown))]}: n_at_risk is the number at risk at the time of its row, and nothing "
            "says how many began. Give n_total, or a row at time 0; if the numbers are those at the start of the "
            "intervals, as RISCA and metaSurvival have them, call the column n_at_start."
        )
    for label, values in (("n_at_risk", at_risk), ("n_at_start", at_start)):
        rows = np.flatnonzero(np.isfinite(values) & (t > 0))
        value, of = values[rows], place[rows]
        too_many = value > n[of]
        too_many[1:] |= (of[1:] == of[:-1]) & (np.diff(value) > 0)
        if too_many.any():
            i = int(of[np.argmax(too_many)])
            raise InvalidInputError(
                f"{names[i]}: {label} cannot rise, or pass n_total. Check the transcription."
            )
    se = np.where(se > 0, se, np.nan)
    return [
        StudyReport(name, t[i:j], s[i:j], float(size), at_risk[i:j], at_start[i:j], se[i:j])
        for name, i, j, size in zip(names, start.tolist(), end.tolist(), n, strict=True)
    ]
