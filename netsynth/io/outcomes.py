"""Rows of the tables that hold results to records: survival, proportions, characteristics, prognostic factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final, Literal

from netsynth import units
from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.endpoint import Endpoint
from netsynth.data.factor import (
    ANALYSES,
    DIRECTIONS,
    SIGNIFICANCES,
    Analysis,
    Direction,
    ReportedFactor,
    Significance,
    zero_problem,
)
from netsynth.data.proportion import ReportedProportion
from netsynth.data.study import Group
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.errors import InvalidInputError
from netsynth.io.layout import fold
from netsynth.io.problems import shown
from netsynth.io.rows import SHARE_UNITS, TIME_UNITS, TableRows

#: Studies that are another review's pooled results, not studies of this one.
POOLED_PREFIX: Final = "META_"
ONE_ROW: Final = "one row; merge the two or tell them apart"
_STATISTICS: Final[Mapping[str, Literal["percent", "median", "mean"]]] = {
    "percent": "percent",
    "median": "median",
    "mean": "mean",
}
_BASES: Final[Mapping[str, Literal["reported", "computed"]]] = {
    "reported": "reported",
    "computed": "computed",
}
_ANALYSES: Final[Mapping[str, Analysis]] = {
    **{fold(word): word for word in ANALYSES},
    "univariate": "univariable",
    "multivariate": "multivariable",
}
_SIGNIFICANCES: Final[Mapping[str, Significance]] = {fold(word): word for word in SIGNIFICANCES}
_DIRECTIONS: Final[Mapping[str, Direction]] = {fold(word): word for word in DIRECTIONS}
_NOT_STATED: Final = ("not stated", "not_stated")


@dataclass(frozen=True, slots=True)
class Known:
    """Ids that rows may refer to, and the sources they name beyond those.

    `studies` is None when its table could not be read, so that nothing is said twice.
    """

    studies: Mapping[str, str] | None
    sources: Mapping[str, str]
    strange_sources: set[str]


class Once:
    """Rows by what makes them unique; the second of a kind is a complaint."""

    def __init__(self, rows: TableRows) -> None:
        self.rows = rows
        self.first: dict[object, int] = {}

    def check(self, key: object, what: str) -> None:
        """Complain when the key was there before."""
        first = self.first.setdefault(key, self.rows.number)
        if first != self.rows.number:
            self.rows.complain("", f"{what} again, as in row {first}", ONE_ROW)


def study_id(rows: TableRows, known: Known, *, pooled: bool = False) -> str:
    """The study of the row, which the review must know unless the row is a pooled result."""
    text = rows.needed("study_id", "the id of a study")
    if known.studies is None or pooled or not text:
        return text
    found = known.studies.get(text)
    if found is None:
        some = f"{', '.join(islice(known.studies, 8))}{', ...' if len(known.studies) > 8 else ''}"
        rows.complain("study_id", shown(text), f"a study_id of the table studies: {some}")
        return text
    return found  # the one string that all rows of the study share


def source_id(rows: TableRows, known: Known) -> str:
    """The source of the row; one that the table of sources does not have is noted."""
    text = rows.name("source_id")
    if not text or not known.sources or text in known.sources:
        return known.sources.get(text, text)
    known.strange_sources.update(
        name for part in text.split(";") if (name := part.strip()) not in known.sources
    )
    return text


def read_survival(rows: TableRows, known: Known) -> tuple[list[ReportedSurvival], list[ReportedTime]]:
    """Percentages, those of one study, endpoint and group together, and medians and means."""
    points: dict[tuple[str, str, Group], tuple[Endpoint, list[tuple[SurvivalPoint, int]]]] = {}
    events: dict[
        tuple[str, str, Group], dict[int, int]
    ] = {}  # of each curve, with the first row that says so
    times: list[ReportedTime] = []
    once = Once(rows)
    for number in rows:
        study = study_id(rows, known)
        endpoint = rows.endpoint()
        group = rows.group("n_group")
        statistic = rows.word("statistic", _STATISTICS, None)
        if statistic is None:
            if not rows.name("statistic"):
                rows.complain("statistic", "an empty cell", f"one of {', '.join(_STATISTICS)}")
        elif statistic == "percent":
            point, n_events = _point(rows, known), rows.count("n_events")
            if point is not None and endpoint is not None:
                curve = study, endpoint.code, group
                points.setdefault(curve, (endpoint, []))[1].append((point, number))
                if n_events is not None:
                    events.setdefault(curve, {}).setdefault(n_events, number)
        else:
            time = _time(rows, known, study, endpoint, statistic, group)
            if time is not None:
                once.check((study, time.endpoint.code, statistic, group), f"the {statistic} {time.endpoint}")
                times.append(time)
    survival = [
        record
        for (study, code, group), (endpoint, found) in points.items()
        if (record := _survival(rows, study, endpoint, found, group, events.get((study, code, group), {})))
        is not None
    ]
    return survival, times


def _place(rows: TableRows) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """What every record keeps of its row: the row id, the notes and the further columns."""
    return rows.name("row_id"), rows.text("notes"), rows.extra


def _point(rows: TableRows, known: Known) -> SurvivalPoint | None:
    unit = rows.unit("value_unit", units.share_unit, SHARE_UNITS) or rows.settings.percent_unit
    share = rows.qualified("value", "qualifier", unit)
    if share is None:
        if not rows.name("value"):
            rows.complain("value", "an empty cell", "a percentage")
    elif not share.unit and not rows.name("value_unit"):
        allowed = f"{SHARE_UNITS}, here or for all rows with percent_unit="
        rows.complain("value_unit", f"no unit for {share}", allowed)
    time = rows.time("time_value", "time_unit")
    if not rows.name("time_value"):
        rows.refuse(("time_unit",), "there is no time_value")
    rows.refuse(("range_low", "range_high", "iqr_low", "iqr_high", "sd"), "a percentage has none")
    ci = rows.interval(share.unit if share is not None else unit)
    n_at_risk = rows.count("n_at_risk")
    source = source_id(rows, known)
    if rows.bad or share is None:
        return None
    return rows.make(SurvivalPoint, time, share, ci, n_at_risk, source, *_place(rows))


def _time(
    rows: TableRows,
    known: Known,
    study: str,
    endpoint: Endpoint | None,
    statistic: Literal["median", "mean"],
    group: Group,
) -> ReportedTime | None:
    unit = rows.unit("value_unit", units.time_unit, TIME_UNITS) or rows.settings.time_unit
    value = rows.qualified("value", "qualifier", unit)
    if value is None and not rows.name("value"):
        rows.complain("value", "an empty cell", "a time, or 'not reached' as its qualifier")
    unit = value.unit if value is not None else unit
    rows.refuse(("time_value", "time_unit"), f"a {statistic} has no landmark; its unit stands in value_unit")
    rows.refuse(("n_at_risk", "n_events"), f"a {statistic} has none")
    ci = rows.interval(unit)
    spread, iqr = rows.limits("range", unit), rows.limits("iqr", unit)
    sd = rows.printed("sd", unit)
    source = source_id(rows, known)
    if rows.bad or value is None or endpoint is None:
        return None
    return rows.make(
        ReportedTime, study, endpoint, statistic, value, group, ci, spread, iqr, sd, source, *_place(rows)
    )


def _survival(
    rows: TableRows,
    study: str,
    endpoint: Endpoint,
    found: list[tuple[SurvivalPoint, int]],
    group: Group,
    events: Mapping[int, int],
) -> ReportedSurvival | None:
    """The record of the points, or None after a complaint for each pair that cannot stand together."""
    stated = list(events)
    n_events = stated[0] if stated else None
    for other in stated[1:]:
        allowed = f"one number of events in all rows of a curve; row {events[stated[0]]} has {stated[0]}"
        rows.complain("n_events", shown(str(other)), allowed, row=events[other])
    if stated[1:]:
        return None
    untimed: dict[str, int] = {}
    for point, row in found:
        if point.time is None and (first := untimed.setdefault(str(point.share), row)) != row:
            again = f"{point.share} of {endpoint} at a time not stated, as in row {first}"
            rows.complain("", again, ONE_ROW, row=row)
    try:
        return ReportedSurvival(study, endpoint, tuple([point for point, _ in found]), group, n_events)
    except InvalidInputError as error:
        before = rows.problems.total
        ordered = sorted(found, key=lambda pair: pair[0].months)
        for (first_point, row), (second_point, next_row) in pairwise(ordered):
            try:
                ReportedSurvival(study, endpoint, (first_point, second_point), group)
            except InvalidInputError as pair_error:
                early, late = sorted((row, next_row))
                allowed = f"rows that agree: this one and row {early} are one curve"
                rows.complain("", str(pair_error).rstrip("."), allowed, row=late)
        if rows.problems.total == before:  # what no pair shows
            rows.complain("", str(error).rstrip("."), "rows that agree", row=found[-1][1])
        return None


def read_proportions(rows: TableRows, known: Known) -> list[ReportedProportion]:
    """Proportions of patients."""
    records = []
    once = Once(rows)
    for _ in rows:
        study = study_id(rows, known)
        outcome = rows.needed("outcome", "the name of an outcome")
        group = rows.group("n_group")
        n_events, n_total = rows.count("n_events"), rows.count("n_total", minimum=1)
        share = rows.printed("percent", "percent")
        if rows.name("probability"):
            rows.refuse(("percent",), "the column probability says it already")
            share = rows.printed("probability", "probability")
        basis = rows.word("basis", _BASES, "reported")
        definition, source = rows.name("definition"), source_id(rows, known)
        if rows.bad:
            continue
        record = rows.make(
            ReportedProportion,
            study,
            outcome,
            n_events,
            n_total,
            share,
            group,
            definition,
            basis,
            source,
            *_place(rows),
        )
        if record is not None:
            once.check((study, outcome, definition, group), f"{outcome} of {study}, {group}")
            records.append(record)
    return records


def read_characteristics(rows: TableRows, known: Known) -> list[ReportedCharacteristic]:
    """Continuous characteristics of patients."""
    records = []
    once = Once(rows)
    for _ in rows:
        study = study_id(rows, known)
        name = rows.needed("characteristic", "the name of a characteristic")
        group = rows.group("n_group")
        unit = units.canonical(rows.name("unit"))
        median, mean, sd = (rows.printed(column, unit) for column in ("median", "mean", "sd"))
        spread, iqr = rows.limits("range", unit), rows.limits("iqr", unit)
        source = source_id(rows, known)
        if rows.bad:
            continue
        record = rows.make(
            ReportedCharacteristic,
            study,
            name,
            median,
            mean,
            sd,
            spread,
            iqr,
            group,
            source,
            *_place(rows),
        )
        if record is not None:
            once.check((study, name, group), f"{name} of {study}, {group}")
            records.append(record)
    return records


def read_factors(rows: TableRows, known: Known) -> list[ReportedFactor]:
    """Results of prognostic factors."""
    records = []
    once = Once(rows)
    for _ in rows:
        text = rows.name("study_id")
        unsaid: Analysis = "pooled" if text.startswith(POOLED_PREFIX) else "not stated"
        analysis = rows.word("analysis", _ANALYSES, unsaid)
        study = study_id(rows, known, pooled=analysis == "pooled")
        factor = rows.needed("factor", "the name of a factor")
        endpoint = rows.endpoint()
        adverse, reference = _stated(rows, "adverse_level"), _stated(rows, "reference_level")
        ratio = rows.printed("hr", "ratio")
        ci = rows.interval("ratio")
        pvalue = rows.qualified("p_value", "p_operator", "pvalue")
        for column, printed in (("hr", ratio), ("p_value", pvalue)):
            if printed is not None and (problem := zero_problem(printed)):
                rows.complain(column, f"{text}, {factor}: {problem}", "a number above 0")
        significance = rows.word("significant", _SIGNIFICANCES, "not stated")
        direction = rows.word("direction", _DIRECTIONS, "not stated")
        group = rows.group("n_analysed")
        ratio_for, source = _stated(rows, "hr_for_level"), source_id(rows, known)
        n_events, events, patients = rows.count("n_events"), _by_level(rows, "events"), _by_level(rows, "n")
        if rows.bad or endpoint is None:
            continue
        record = rows.make(
            ReportedFactor,
            study,
            factor,
            endpoint,
            adverse,
            reference,
            analysis,
            ratio,
            ci,
            ratio_for,
            pvalue,
            direction,
            significance,
            rows.listed("adjusted_for"),
            group,
            source,
            *_place(rows),
            n_events,
            events,
            patients,
        )
        if record is not None:
            key = (study, factor, endpoint.code, adverse, reference, analysis, group)
            once.check(key, f"{factor}, {endpoint}, {analysis}")
            records.append(record)
    return records


def _by_level(rows: TableRows, what: str) -> tuple[int, int] | None:
    """Counts of the adverse and of the reference level; both or neither."""
    names = (f"{what}_adverse", f"{what}_reference")
    adverse, reference = (rows.count(name) for name in names)
    if adverse is not None and reference is not None:
        return adverse, reference
    if not rows.bad and (adverse is None) != (reference is None):
        empty = names[0] if adverse is None else names[1]
        rows.complain(empty, "an empty cell", "a whole number, since the other level has one")
    return None


def _stated(rows: TableRows, column: str) -> str:
    """A level, empty when the cell says that the source states none."""
    text = rows.name(column)
    return "" if text.lower() in _NOT_STATED else text
