"""The records of a review as the rows of its tables: the inverse of reading."""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Final, TypeAlias

from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group
from netsynth.io.about import CHECKLISTS
from netsynth.io.cells import limits, printed
from netsynth.io.layout import TABLES

Cells: TypeAlias = Mapping[str, object]
Extra: TypeAlias = tuple[tuple[str, str], ...]


def table_rows(review: Review, table: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one table: the columns of the layout, then the further columns."""
    found = list(_ROWS[table](review))
    names = [column.name for column in TABLES[table].columns if column.name not in _READ_ONLY]
    further = _in_order(extra for _, extra in found)
    rows = [
        [_text(cells.get(name)) for name in names] + [dict(extra).get(name, "") for name in further]
        for cells, extra in found
    ]
    return names + further, rows


#: Columns that are read but not written, since others say the same in any unit.
_READ_ONLY: Final = ("followup_months", "time_years_or_statistic")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, ReportedNumber):
        return printed(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return str(value)


def _in_order(extras: Iterable[Extra]) -> list[str]:
    """Names of further columns in an order that agrees with every record, where there is one."""
    followed: dict[str, dict[str, None]] = {}
    for extra in dict.fromkeys(tuple(name for name, _ in extra) for extra in extras):
        for name in extra:
            followed.setdefault(name, {})
        for before, after in pairwise(extra):
            followed[after][before] = None
    try:
        return list(graphlib.TopologicalSorter(followed).static_order())
    except graphlib.CycleError:
        return list(followed)


def _unit(value: ReportedNumber | None) -> str:
    return "" if value is None else "%" if value.unit == "percent" else value.unit


def _ends(name: str, pair: ReportedInterval | None) -> dict[str, object]:
    low, high = limits(pair)
    return {f"{name}_low": low, f"{name}_high": high}


def _ci(pair: ReportedInterval | None) -> dict[str, object]:
    level = "" if pair is None else "not stated" if pair.level is None else repr(pair.level)
    return {**_ends("ci", pair), "ci_level": level}


def _group(group: Group, n_group: str) -> dict[str, object]:
    return {
        "group": group.label,
        n_group: group.n_total,
        "role": group.role,
        "set": group.evidence_set,
        "duplicate": group.duplicate,
    }


def _studies(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for s in review.studies:
        yield (
            {
                "study_id": s.id,
                "first_author": s.first_author,
                "year": s.year,
                "country": s.country,
                "design": s.design,
                "centres": s.centres,
                "population": s.population,
                "enrol_start": s.enrolment_start,
                "enrol_end": s.enrolment_end,
                "n_patients": s.n_patients,
                "n_treated": s.n_treated,
                "followup": s.followup,
                "followup_unit": _unit(s.followup),
                "followup_statistic": s.followup_statistic,
                "overlap": s.overlap_note,
                "overlap_ids": s.overlap,
                "source_ids": s.sources,
                "notes": s.notes,
            },
            s.extra,
        )


def _survival(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for record in review.survival:
        for point in record.points:
            yield (
                {
                    "row_id": point.row_id,
                    "study_id": record.study,
                    "endpoint": record.endpoint.code,
                    "statistic": "percent",
                    "time_value": point.time,
                    "time_unit": _unit(point.time),
                    "qualifier": point.share.qualifier,
                    "value": point.share.text,
                    "value_unit": _unit(point.share),
                    **_ci(point.ci),
                    "n_at_risk": point.n_at_risk,
                    "n_events": record.n_events,
                    **_group(record.group, "n_group"),
                    "source_id": point.source,
                    "notes": point.notes,
                },
                point.extra,
            )
    for time in review.times:
        yield (
            {
                "row_id": time.row_id,
                "study_id": time.study,
                "endpoint": time.endpoint.code,
                "statistic": time.statistic,
                "qualifier": time.value.qualifier,
                "value": time.value.text,
                "value_unit": time.value.unit,
                **_ci(time.ci),
                **_ends("range", time.range),
                **_ends("iqr", time.iqr),
                "sd": time.sd,
                **_group(time.group, "n_group"),
                "source_id": time.source,
                "notes": time.notes,
            },
            time.extra,
        )


def _proportions(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for p in review.proportions:
        share = {} if p.share is None else {p.share.unit: p.share}
        yield (
            {
                "row_id": p.row_id,
                "study_id": p.study,
                "outcome": p.outcome,
                "definition": p.definition,
                "n_events": p.n_events,
                "n_total": p.n_total,
                **share,
                "basis": p.basis,
                **_group(p.group, "n_group"),
                "source_id": p.source,
                "notes": p.notes,
            },
            p.extra,
        )


def _characteristics(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for c in review.characteristics:
        yield (
            {
                "row_id": c.row_id,
                "study_id": c.study,
                "characteristic": c.name,
                "unit": "%" if c.unit == "percent" else c.unit,
                "median": c.median,
                "mean": c.mean,
                "sd": c.sd,
                **_ends("range", c.range),
                **_ends("iqr", c.iqr),
                **_group(c.group, "n_group"),
                "source_id": c.source,
                "notes": c.notes,
            },
            c.extra,
        )


def _factors(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for f in review.factors:
        yield (
            {
                "row_id": f.row_id,
                "study_id": f.study,
                "endpoint": f.endpoint.code,
                "factor": f.factor,
                "adverse_level": f.adverse_level,
                "reference_level": f.reference_level,
                "analysis": f.analysis,
                "hr": f.hazard_ratio,
                **_ci(f.ci),
                "hr_for_level": f.hazard_ratio_for,
                "p_operator": "" if f.pvalue is None else f.pvalue.qualifier,
                "p_value": "" if f.pvalue is None else f.pvalue.text,
                "significant": f.significance,
                "direction": f.direction,
                "adjusted_for": f.adjusted_for,
                **_group(f.group, "n_analysed"),
                "n_events": f.n_events,
                **_by_level("events", f.events_by_level),
                **_by_level("n", f.n_by_level),
                "source_id": f.source,
                "notes": f.notes,
            },
            f.extra,
        )


def _by_level(what: str, pair: tuple[int, int] | None) -> Cells:
    adverse, reference = (None, None) if pair is None else pair
    return {f"{what}_adverse": adverse, f"{what}_reference": reference}


def _quality(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for a in review.assessments:
        for item, rating in zip(a.checklist.items, a.ratings, strict=True):
            yield (
                {
                    "study_id": a.study,
                    "checklist": a.checklist.name,
                    "item": item,
                    "rating": rating,
                    "assessor": a.assessor,
                    "notes": a.notes,
                },
                (),
            )


def _checklists(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for checklist in dict.fromkeys(a.checklist for a in review.assessments):
        if checklist not in CHECKLISTS:
            yield (
                {
                    "checklist": checklist.name,
                    "items": checklist.items,
                    "ratings": checklist.ratings,
                    "scores": checklist.scores,
                    "comparative_items": checklist.comparative_items,
                    "reference": checklist.reference,
                },
                (),
            )


def _sources(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for s in review.sources:
        yield (
            {
                "source_id": s.id,
                "citation": s.citation,
                "pmid": s.pmid,
                "doi": s.doi,
                "url": s.url,
                "kind": s.kind,
            },
            s.extra,
        )


def _targets(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for t in review.targets:
        yield (
            {
                "outcome": t.outcome,
                "time_value": t.time,
                "time_unit": _unit(t.time),
                "median": t.median,
                **_ends("range", t.range),
                "unit": _unit(t.median),
                "source_id": t.source,
            },
            t.extra,
        )


def _endpoints(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for e in review.endpoints:
        yield {"code": e.code, "name": e.name, "kind": e.kind, "synonyms": e.synonyms}, ()


def _excluded(review: Review) -> Iterator[tuple[Cells, Extra]]:
    for e in review.excluded:
        yield (
            {
                "study_id": e.study,
                "kind": e.kind,
                "reason": e.reason,
                "row_id": e.row_id,
                "shown": e.shown,
            },
            (),
        )


def _review(review: Review) -> Iterator[tuple[Cells, Extra]]:
    yield {"title": review.title, "notes": review.notes}, ()


_ROWS: Final[Mapping[str, Callable[[Review], Iterator[tuple[Cells, Extra]]]]] = MappingProxyType(
    {
        "studies": _studies,
        "survival": _survival,
        "proportions": _proportions,
        "characteristics": _characteristics,
        "prognostic": _factors,
        "quality": _quality,
        "sources": _sources,
        "review_targets": _targets,
        "checklists": _checklists,
        "endpoints": _endpoints,
        "excluded": _excluded,
        "review": _review,
    }
)
