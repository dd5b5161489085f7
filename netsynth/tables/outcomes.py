"""The full tabulation: every study in one row, every outcome in a column."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from netsynth import _format
from netsynth.data.endpoint import Endpoint
from netsynth.data.number import ReportedInterval
from netsynth.data.proportion import ReportedProportion
from netsynth.data.review import Review
from netsynth.data.selection import check_sets, same_months
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.errors import InvalidInputError
from netsynth.tables._marks import Marks, unmarked
from netsynth.tables.characteristics import count
from netsynth.tables.table import Column, Table

__all__ = ["outcomes_table"]

WHOLE: Final = ("overall", "arm")
_ARM: Final = "In a part of the study's patients, the arm under review."
_DUPLICATE: Final = "Same patients as in another study."
_COMPUTED: Final = "Computed from other figures that the source prints."
_NO_UNIT: Final = "Unit of time not stated."
_GROUPS: Final = (
    "Subgroups are shown only where a study reports the outcome for nobody else; comparators are not shown."
)
_NO_TIME: Final = "Landmark not stated."


class _Figure(NamedTuple):
    """What goes into a cell: one figure as printed."""

    outcome: str  # the endpoint or the proportion; groups are chosen for each
    column: str  # the key of its column; empty when it has none
    group: Group
    text: str
    note: str = ""
    months: float = math.nan  # the landmark of a percentage


def outcomes_table(
    review: Review, *, landmarks_years: Sequence[float] | None = None, sets: Sequence[str] | None = None
) -> Table:
    """Outcomes as reported, one row a study in the order of the review.

    Figures of the whole cohort and of the arm under review are shown; those of subgroups, with their names,
    only where a study has no others for that outcome. Comparators are not shown.

    Parameters
    ----------
    review : Review
        The studies.
    landmarks_years : sequence of float, optional
        A column for each of these landmarks and endpoint, and one for its medians and means; figures at
        other landmarks are counted below the table. By default each endpoint has one column with all of its
        figures.
    sets : sequence of str, optional
        Evidence sets to show; by default all, with a column that names them.

    Returns
    -------
    Table
        Endpoints in the order of the vocabulary, then proportions in the order in which they are first
        reported. Marks tell arms, duplicates, computed percentages and times without a unit.

    Raises
    ------
    InvalidInputError
        If a landmark is not a positive number, `sets` is no list of words, or no result belongs to one of them.

    Examples
    --------
    >>> from netsynth.data.study import Study
    >>> resected = Group("resected", "arm", 15)
    >>> review = Review(
    ...     [Study("Chen 1998"), Study("Hibi 2007")],
    ...     [
    ...         ReportedSurvival.from_percent("Chen 1998", "OS", years=[5], percent=[73], group=resected),
    ...         ReportedSurvival.from_percent("Hibi 2007", "OS", years=[3, 5], percent=[68, 41], n_total=21),
    ...     ],
    ... )
    >>> print(outcomes_table(review))
    Reported outcomes of 2 studies
    <BLANKLINE>
    Study      Patients  OS
    ---------  --------  ----------------
    Chen 1998        15  5 y 73%ᵃ
    Hibi 2007        21  3 y 68%, 5 y 41%
    <BLANKLINE>
    ᵃ In a part of the study's patients, the arm under review.
    OS, overall survival; y, years.
    Subgroups are shown only where a study reports the outcome for nobody else; comparators are not shown.
    >>> print(outcomes_table(review, landmarks_years=[5]))
    Reported outcomes of 2 studies
    <BLANKLINE>
    Study      Patients  OS, 5 y
    ---------  --------  -------
    Chen 1998        15     73%ᵃ
    Hibi 2007        21     41%
    <BLANKLINE>
    ᵃ In a part of the study's patients, the arm under review.
    OS, overall survival; y, years.
    Subgroups are shown only where a study reports the outcome for nobody else; comparators are not shown.
    Not shown: 1 percentage at other landmarks: 3 y (1).
    """
    months = None if landmarks_years is None else _months(landmarks_years)
    check_sets(sets, review.evidence_sets)
    columns = _columns(review, months)
    marks, other_times, silent, rows = Marks(), list[float](), list[str](), []
    for study in review.studies:
        figures = list(_shown_groups(_figures(review, study, months), sets))
        if not figures and sets is not None:
            silent.append(study.label)
            continue
        other_times += [figure.months for figure in figures if not figure.column]
        cells = [_cell([f for f in figures if f.column == key], marks) for key in columns]
        rows.append((study.label, _evidence_sets(figures), _patients(study, figures), *cells))
    title = f"Reported outcomes of {_format.plural(len(rows), 'study', 'studies')}"
    every = (Column("Study"), Column("Evidence set"), Column("Patients", "right"), *columns.values())
    table = Table.filled(title, every, rows)
    notes = [
        *marks.footnotes,
        _abbreviations(review, table),
        _GROUPS,
        _not_shown(other_times),
        _nothing(silent),
    ]
    return replace(table, footnotes=tuple(note for note in notes if note))


def _months(landmarks_years: Sequence[float]) -> list[float]:
    for years in landmarks_years:
        if isinstance(years, str | bool) or not (math.isfinite(years) and years > 0):
            raise InvalidInputError(f"landmarks_years must be positive numbers of years; got {years!r}.")
    return [12.0 * years for years in landmarks_years]


# -- columns: key -> Column ------------------------------------------------------------------------------


def _columns(review: Review, months: Sequence[float] | None) -> dict[str, Column]:
    columns = {}
    for endpoint in _reported(review):
        name = _short_name(endpoint)
        if months is None:
            columns[endpoint.code] = Column(name)
        else:
            for time in months:
                columns[_point_key(endpoint, time)] = Column(f"{name}, {_landmark(time)}", "decimal")
            for statistic in ("median", "mean"):
                columns[_time_key(endpoint, statistic)] = Column(f"{name}, {statistic}", "decimal")
    over_time = {column.header for column in columns.values()}
    for record in review.proportions:
        name = _sentence_case(record.outcome)
        header = f"{name} (proportion)" if name in over_time else name
        columns[_proportion_key(record.outcome)] = Column(header)
    return columns


def _reported(review: Review) -> list[Endpoint]:
    found = {record.endpoint for record in review.survival} | {time.endpoint for time in review.times}
    return [endpoint for endpoint in review.endpoints if endpoint in found]


def _short_name(endpoint: Endpoint) -> str:
    """The code where it is an abbreviation, else the name."""
    return endpoint.code if endpoint.code.isupper() else _sentence_case(endpoint.name or endpoint.code)


def _sentence_case(name: str) -> str:
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _point_key(endpoint: Endpoint, months: float) -> str:
    return f"{endpoint.code} at {months:.6g}"


def _time_key(endpoint: Endpoint, statistic: str) -> str:
    return f"{statistic} {endpoint.code}"


def _proportion_key(outcome: str) -> str:
    return f"proportion {outcome}"


def _landmark(months: float) -> str:
    years = months / 12
    return f"{years:g} y" if math.isclose(years, round(years, 1), rel_tol=1e-9) else f"{months:g} mo"


# -- figures ---------------------------------------------------------------------------------------------


def _figures(review: Review, study: Study, months: Sequence[float] | None) -> Iterator[_Figure]:
    """Everything that a study reports, in the order in which a cell shows it."""
    for reported in review.survival:
        if reported.study == study.id:
            for point in reported.points:
                yield _point(reported, point, months)
    for time in review.times:
        if time.study == study.id:
            code, text, note = time.endpoint.code, _time_text(time), "" if time.value.unit else _NO_UNIT
            if months is None:
                yield _Figure(code, code, time.group, f"{time.statistic} {text}", note)
            else:
                yield _Figure(code, _time_key(time.endpoint, time.statistic), time.group, text, note)
    proportions = [record for record in review.proportions if record.study == study.id]
    definitions = Counter((record.outcome, record.group) for record in proportions)
    for record in proportions:
        key = _proportion_key(record.outcome)
        text = _proportion_text(record, named=definitions[record.outcome, record.group] > 1)
        computed = record.basis == "computed" and not record.has_counts
        yield _Figure(key, key, record.group, text, _COMPUTED if computed else "")


def _point(record: ReportedSurvival, point: SurvivalPoint, months: Sequence[float] | None) -> _Figure:
    code, share = record.endpoint.code, f"{point.share}{_beside(ci=point.ci)}"
    note = _NO_TIME if point.time is None else ""
    if months is None:
        text = share if point.time is None else f"{_landmark(point.months)} {share}"
        return _Figure(code, code, record.group, text, note)
    time = next((time for time in months if same_months(time, point.months)), None)
    column = "" if time is None else _point_key(record.endpoint, time)
    return _Figure(code, column, record.group, share, note, point.months)


def _time_text(time: ReportedTime) -> str:
    value = str(time.value) if time.value.text else "NR"
    return f"{value}{_beside(ci=time.ci, range_=time.range, iqr=time.iqr)}"


def _beside(
    *,
    ci: ReportedInterval | None = None,
    range_: ReportedInterval | None = None,
    iqr: ReportedInterval | None = None,
) -> str:
    named = ((f"{(ci.level if ci else None) or 0.95:.0%} CI", ci), ("range", range_), ("IQR", iqr))
    shown = [f"{name}, {pair}" for name, pair in named if pair is not None]
    return f" ({'; '.join(shown)})" if shown else ""


def _proportion_text(record: ReportedProportion, *, named: bool) -> str:
    share = "" if record.share is None else str(record.share)
    if record.has_counts:
        counts = f"{record.n_events}/{record.n_total}"
        share = f"{counts} ({share})" if share else counts
    elif record.n_total is not None:
        share = f"{share} (n = {record.n_total})"
    return f"{record.definition} {share}" if named and record.definition else share


def _shown_groups(figures: Iterable[_Figure], sets: Sequence[str] | None) -> Iterator[_Figure]:
    """Figures of the whole cohort and of arms; of subgroups where an outcome has no others."""
    asked = [
        figure
        for figure in figures
        if figure.group.role != "comparator" and (sets is None or figure.group.evidence_set in sets)
    ]
    whole = {figure.outcome for figure in asked if figure.group.role in WHOLE}
    for figure in asked:
        if figure.group.role in WHOLE or figure.outcome not in whole:
            yield figure


# -- cells -----------------------------------------------------------------------------------------------


def _cell(figures: Sequence[_Figure], marks: Marks) -> str:
    """Figures of one study and column, by group; a group is named unless it is the only one and no subgroup."""
    groups = list(dict.fromkeys(figure.group for figure in figures))
    parts = []
    for group in groups:
        named = len(groups) > 1 or group.role == "subgroup"
        texts = []
        for figure in figures:
            if figure.group == group:
                notes = [_ARM] if group.role == "arm" and not named else []
                notes += [_DUPLICATE] if group.duplicate else []
                notes += [figure.note] if figure.note else []
                texts.append(figure.text + "".join(map(marks, notes)))
        parts.append(f"{group}: {', '.join(texts)}" if named else ", ".join(texts))
    return "; ".join(parts)


def _evidence_sets(figures: Sequence[_Figure]) -> str:
    return ", ".join(dict.fromkeys(f.group.evidence_set for f in figures if f.group.evidence_set))


def _patients(study: Study, figures: Sequence[_Figure]) -> str:
    """Patients in the largest group whose figures over time are shown, else in the study."""
    sizes = [
        figure.group.n_total
        for figure in figures
        if figure.group.role in WHOLE and figure.group.n_total and not figure.column.startswith("proportion ")
    ]
    return count(max(sizes, default=study.n_patients))


# -- footnotes -------------------------------------------------------------------------------------------


def _abbreviations(review: Review, table: Table) -> str:
    """The abbreviations that the table uses, spelled out."""
    names = {e.code: e.name for e in _reported(review) if e.name and _short_name(e) == e.code}
    names |= {"NR": "not reached", "y": "years", "mo": "months"}
    texts = [column.header for column in table.columns] + [cell for row in table.rows for cell in row]
    used = {word for text in texts for word in re.findall(r"[\w-]+", unmarked(text))}
    shown = [f"{short}, {long}" for short, long in names.items() if short in used]
    return f"{'; '.join(shown)}." if shown else ""


def _not_shown(months: Sequence[float]) -> str:
    if not months:
        return ""
    counts = sorted(Counter(round(time, 6) for time in months).items())
    whens = _format.listing(f"{_landmark(t) if t < math.inf else 'not stated'} ({n})" for t, n in counts)
    return f"Not shown: {_format.plural(len(months), 'percentage')} at other landmarks: {whens}."


def _nothing(studies: Sequence[str]) -> str:
    return f"No figure in these evidence sets: {_format.listing(studies)}." if studies else ""
