"""Rows of the tables about the review: studies, sources, quality, published targets, vocabulary, what was left out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from netsynth import units
from netsynth.data.endpoint import Endpoint, EndpointKind
from netsynth.data.quality import JBI_CASE_SERIES, MINORS, QUIPS, Checklist, QualityAssessment
from netsynth.data.review import PublishedTarget
from netsynth.data.selection import Exclusion
from netsynth.data.source import Source
from netsynth.data.study import FollowupStatistic, Study
from netsynth.io.outcomes import Known, Once, source_id, study_id
from netsynth.io.problems import shown
from netsynth.io.rows import TableRows

#: Checklists that a table of ratings may name without defining them.
CHECKLISTS: Final = (MINORS, QUIPS, JBI_CASE_SERIES)
_FOLLOWUP: Final[Mapping[str, FollowupStatistic]] = {
    "median": "median",
    "mean": "mean",
    "not_stated": "not stated",
}
_ENDPOINT_KINDS: Final[Mapping[str, EndpointKind]] = {"survival": "survival", "incidence": "incidence"}
_WORD: Final = re.compile(r"\w+")


def read_sources(rows: TableRows) -> tuple[list[Source], dict[str, str]]:
    """Sources, and every id that was named, in a good row or a bad one."""
    records: list[Source] = []
    ids: dict[str, str] = {}
    for _ in rows:
        name = _new_id(rows, "source_id", ids)
        if rows.bad:
            continue
        pmid, doi, url, kind = (rows.name(column) for column in ("pmid", "doi", "url", "kind"))
        record = rows.make(Source, name, rows.text("citation"), pmid, doi, url, kind, rows.extra)
        if record is not None:
            records.append(record)
    return records, ids


def read_studies(rows: TableRows, sources: Mapping[str, str] | None) -> tuple[list[Study], dict[str, str]]:
    """Studies, and every id that was named, in a good row or a bad one."""
    ids: dict[str, str] = {}
    kept: list[tuple[int, dict[str, Any]]] = []
    for number in rows:
        fields = _study_fields(rows, ids)
        for source in fields["sources"]:
            if sources and source not in sources:
                rows.complain("source_ids", shown(source), "a source_id of the table sources")
        if not rows.bad:
            kept.append((number, fields))
    naming = _ids_by_first_word(ids)
    records = []
    for number, fields in kept:
        rows.number = number
        if fields["overlap"] is None:
            others = _ids_named(fields["overlap_note"], naming)
            fields["overlap"] = tuple(other for other in others if other != fields["id"])
        record = rows.make(lambda given: Study(**given), fields)
        if record is not None:
            records.append(record)
    return records, ids


def _study_fields(rows: TableRows, ids: dict[str, str]) -> dict[str, Any]:
    followup = rows.printed("followup_months", "month")
    if rows.name("followup"):
        if followup is not None:
            rows.complain("followup_months", shown(rows.name("followup_months")), "one column for follow-up")
        followup = rows.time("followup", "followup_unit")
    return {
        "id": _new_id(rows, "study_id", ids),
        "first_author": rows.name("first_author"),
        "year": rows.count("year"),
        "country": rows.name("country"),
        "design": rows.name("design"),
        "centres": rows.name("centres"),
        "population": rows.name("population"),
        "enrolment_start": rows.count("enrol_start"),
        "enrolment_end": rows.count("enrol_end"),
        "n_patients": rows.count("n_patients", minimum=1),
        "n_treated": rows.count("n_treated", minimum=1),
        "followup": followup,
        "followup_statistic": rows.word("followup_statistic", _FOLLOWUP, "not stated"),
        "overlap": rows.listed("overlap_ids") if rows.has("overlap_ids") else None,
        "overlap_note": rows.text("overlap"),
        "sources": rows.listed("source_ids"),
        "notes": rows.text("notes"),
        "extra": rows.extra,
    }


def _new_id(rows: TableRows, column: str, ids: dict[str, str]) -> str:
    name = rows.needed(column, "an id, the short name that other rows use")
    if name in ids:
        rows.complain(column, f"{shown(name)} again", "one row for an id")
    ids.setdefault(name, name)
    return name


def _ids_by_first_word(ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids by the word they begin with, the longest first, so that text can be searched in one pass."""
    naming: dict[str, list[str]] = defaultdict(list)
    for name in sorted(ids, key=len, reverse=True):
        if word := _WORD.match(name):
            naming[word[0]].append(name)
    return naming


def _ids_named(text: str, naming: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Ids that stand in the text as words of their own, in order and once each."""
    found: dict[str, None] = {}
    end = 0
    for word in _WORD.finditer(text):
        for name in naming.get(word[0], ()) if word.start() >= end else ():
            stop = word.start() + len(name)
            if text.startswith(name, word.start()) and not _WORD.match(text, stop):
                found[name] = None
                end = stop
                break
    return tuple(found)


def read_checklists(rows: TableRows) -> dict[str, Checklist]:
    """Checklists by name, those that need no definition included."""
    checklists = {checklist.name: checklist for checklist in CHECKLISTS}
    once = Once(rows)
    for _ in rows:
        name = rows.needed("checklist", "the name of a checklist")
        once.check(name, f"the checklist {name}")
        scores = []
        for text in rows.listed("scores"):
            try:
                scores.append(int(text))
            except ValueError:
                rows.complain("scores", shown(text), "whole numbers, one a rating")
        if rows.bad:
            continue
        checklist = rows.make(
            Checklist,
            name,
            rows.listed("items"),
            rows.listed("ratings"),
            tuple(scores),
            rows.listed("comparative_items"),
            rows.name("reference"),
        )
        if checklist is not None:
            checklists[name] = checklist
    return checklists


def read_quality(
    rows: TableRows, known: Known, checklists: Mapping[str, Checklist]
) -> list[QualityAssessment]:
    """Ratings, those of one study, checklist and assessor together; notes stand on every row or on one."""
    before = rows.problems.total
    spelt = {name.casefold(): name for name in checklists} | {name: name for name in checklists}
    found: dict[tuple[str, str, str], tuple[int, dict[str, object], set[str]]] = {}
    for number in rows:
        study = study_id(rows, known)
        word = rows.name("checklist")
        checklist = checklists.get(spelt.get(word) or spelt.get(word.casefold(), ""))
        if checklist is None:
            allowed = f"a checklist: {', '.join(checklists)}, or one defined in the table checklists"
            rows.complain("checklist", shown(word), allowed)
            continue
        item, rating = rows.name("item"), rows.name("rating")
        if item not in checklist.items:
            rows.complain("item", shown(item), f"an item of {checklist.name}: {'; '.join(checklist.items)}")
        elif rating and rating not in checklist.ratings:
            rows.complain("rating", shown(rating), f"a rating: {', '.join(checklist.ratings)}")
        key = (study, checklist.name, rows.name("assessor"))
        _, ratings, notes = found.setdefault(key, (number, {}, set()))
        if item in ratings:
            rows.complain(
                "item", f"{shown(item)} of {checklist.name} again for {study}", "one rating an item"
            )
        ratings[item] = rating
        notes.add(rows.text("notes"))
        if len(notes - {""}) > 1:
            rows.complain("notes", shown(rows.text("notes")), "the same notes on all rows of an assessment")
    if rows.problems.total > before:
        return []
    assessments = []
    for (study, name, assessor), (number, ratings, notes) in found.items():
        rows.number = number
        note = next(iter(notes - {""}), "")
        record = rows.make(
            QualityAssessment.of, study, checklists[name], ratings, assessor=assessor, notes=note
        )
        if record is not None:
            assessments.append(record)
    return assessments


def read_targets(rows: TableRows, known: Known) -> list[PublishedTarget]:
    """What a published review concluded."""
    records = []
    for _ in rows:
        outcome = rows.needed("outcome", "an endpoint or the name of a proportion")
        time = rows.time("time_value", "time_unit")
        if rows.name("time_years_or_statistic").lower() not in ("", "median"):
            time = rows.printed("time_years_or_statistic", "year")
        unit = units.canonical(rows.name("unit"))
        if time is not None and not unit:
            unit = rows.settings.percent_unit
            if not unit:
                rows.complain("unit", "no unit for a figure at a landmark", "% or probability")
        median = rows.printed("median", unit)
        if median is None and not rows.name("median"):
            rows.complain("median", "an empty cell", "a number")
        spread = rows.limits("range", unit)
        source = source_id(rows, known)
        if rows.bad or median is None:
            continue
        record = rows.make(PublishedTarget, outcome, median, spread, time, source, rows.extra)
        if record is not None:
            records.append(record)
    return records


def read_endpoints(rows: TableRows) -> list[Endpoint]:
    """A vocabulary of endpoints."""
    records = []
    once = Once(rows)
    for _ in rows:
        code = rows.needed("code", "the short name of an endpoint")
        once.check(code, f"the endpoint {code}")
        kind = rows.word("kind", _ENDPOINT_KINDS, "survival")
        if not rows.bad:
            records.append(Endpoint(code, rows.name("name"), kind, rows.listed("synonyms")))
    return records


def read_excluded(rows: TableRows) -> list[Exclusion]:
    """Studies that were left out, with the reason."""
    columns = ("study_id", "kind", "reason", "row_id", "shown")
    return [Exclusion(*(rows.name(column) for column in columns)) for _ in rows]


def read_review_row(rows: TableRows) -> dict[str, str]:
    """Title and notes of the review itself, from the first row; a second one is refused."""
    found: dict[str, str] = {}
    for _ in rows:
        if found:
            rows.complain("", "a second row", "one row about the review")
        found = {"title": rows.text("title"), "notes": rows.text("notes")}
    return found
