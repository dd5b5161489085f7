"""The layout of a review in tables: which tables there are, their columns, and what else a column may be called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from netsynth import _format
from netsynth.errors import InvalidInputError
from netsynth.io.problems import Problems

__all__ = ["TABLES", "Column", "Header", "Synonyms", "Table", "find_table", "fold", "match_columns"]

#: A name is stripped of outer spaces, a text is kept as it is, a list is parted by semicolons, a word is from a
#: vocabulary, a number keeps its printed digits, a count is a whole number.
Kind = Literal["name", "text", "list", "word", "number", "count"]
#: For each table, what the caller's columns are called in it: {folded name: our name}.
Synonyms = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, what its cells hold, other names for it, and whether a table needs it."""

    name: str
    kind: Kind = "name"
    synonyms: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns in the order in which they are written."""

    name: str
    columns: tuple[Column, ...]
    synonyms: tuple[str, ...] = ()
    keeps_extra: bool = True

    @property
    def names(self) -> dict[str, str]:
        """Our name of a column for everything it may be called, folded."""
        own = {word: column.name for column in self.columns for word in column.synonyms}
        return {fold(word): name for word, name in (own | {c.name: c.name for c in self.columns}).items()}


class Header(NamedTuple):
    """Where the columns of a table stand in a file, and how the file calls them."""

    positions: dict[str, int]
    given: dict[str, str]
    extra: tuple[tuple[str, int], ...]
    unnamed: tuple[int, ...]


_ROW_ID: Final = Column("row_id", synonyms=("row",))
_STUDY: Final = Column("study_id", synonyms=("study",), required=True)
_ENDPOINT: Final = Column("endpoint", synonyms=("outcome",), required=True)
_SOURCE: Final = Column("source_id", synonyms=("source",))
_NOTES: Final = Column("notes", "text", ("note", "comment", "comments"))


def _pair(name: str, *more: tuple[str, str]) -> tuple[Column, Column]:
    """Columns of two limits; `more` are further pairs of names."""
    low, high = zip((f"{name}_lower", f"{name}_upper"), *more, strict=True)
    return Column(f"{name}_low", "number", low), Column(f"{name}_high", "number", high)


_CI: Final = (
    *_pair("ci", ("lower", "upper"), ("lower_ci", "upper_ci"), ("lcl", "ucl")),
    Column("ci_level", synonyms=("level_of_ci", "confidence_level")),
)
_SPREAD: Final = (
    *_pair("range", ("min", "max"), ("minimum", "maximum")),
    *_pair("iqr", ("q1", "q3")),
    Column("sd", "number", ("standard_deviation",)),
)


def _group(n_group: str, *synonyms: str) -> tuple[Column, ...]:
    """Columns that say which patients a row speaks of; `n_group` names the one with their number."""
    return (
        Column("group", synonyms=("group_label",)),
        Column(n_group, "count", synonyms),
        Column("role", "word", ("group_role",)),
        Column("set", synonyms=("evidence_set",)),
        Column("duplicate", "word", ("is_duplicate",)),
    )


_ALL: Final = (
    Table(
        "studies",
        (
            Column("study_id", synonyms=("study", "id"), required=True),
            Column("first_author", synonyms=("author", "authors")),
            Column("year", "count", ("publication_year", "year_of_publication", "published")),
            Column("country"),
            Column("design", synonyms=("study_design",)),
            Column("centres", synonyms=("centers", "centre", "center")),
            Column("population"),
            Column("enrol_start", "count", ("enrolment_start", "enrollment_start", "start_year")),
            Column("enrol_end", "count", ("enrolment_end", "enrollment_end", "end_year")),
            Column("n_patients", "count", ("n", "n_total", "patients")),
            Column("n_treated", "count", ("n_resected",)),
            Column("followup", "number", ("follow_up",)),
            Column("followup_unit", "word", ("follow_up_unit",)),
            Column("followup_months", "number", ("follow_up_months",)),
            Column("followup_statistic", "word", ("follow_up_statistic",)),
            Column("overlap", "text", ("overlap_note",)),
            Column("overlap_ids", "list"),
            Column("source_ids", "list", ("source_id", "sources", "source")),
            _NOTES,
        ),
        ("study",),
    ),
    Table(
        "survival",
        (
            _ROW_ID,
            _STUDY,
            _ENDPOINT,
            Column("statistic", "word", required=True),
            Column("time_value", "number", ("time", "landmark")),
            Column("time_unit", "word"),
            Column("qualifier", "word", ("operator",)),
            Column("value", "number", ("estimate",), required=True),
            Column("value_unit", "word", ("unit",)),
            *_CI,
            *_SPREAD,
            Column("n_at_risk", "count", ("at_risk",)),
            Column("n_events", "count", ("events", "total_events")),
            *_group("n_group", "n", "n_total", "n_patients"),
            _SOURCE,
            _NOTES,
        ),
    ),
    Table(
        "proportions",
        (
            _ROW_ID,
            _STUDY,
            Column("outcome", synonyms=("endpoint",), required=True),
            Column("definition"),
            Column("n_events", "count", ("events",)),
            Column("n_total", "count", ("n", "total")),
            Column("percent", "number", ("percentage", "pct")),
            Column("probability", "number", ("fraction", "proportion")),
            Column("basis", "word", ("percent_basis",)),
            *_group("n_group"),
            _SOURCE,
            _NOTES,
        ),
        ("proportion",),
    ),
    Table(
        "characteristics",
        (
            _ROW_ID,
            _STUDY,
            Column("characteristic", synonyms=("name", "variable"), required=True),
            Column("unit", "word"),
            Column("median", "number"),
            Column("mean", "number"),
            *_SPREAD,
            *_group("n_group", "n", "n_total"),
            _SOURCE,
            _NOTES,
        ),
        ("characteristic",),
    ),
    Table(
        "prognostic",
        (
            _ROW_ID,
            _STUDY,
            _ENDPOINT,
            Column("factor", synonyms=("prognostic_factor", "variable"), required=True),
            Column("adverse_level"),
            Column("reference_level", synonyms=("reference",)),
            Column("analysis", "word"),
            Column("hr", "number", ("hazard_ratio",)),
            *_CI,
            Column("hr_for_level", synonyms=("hazard_ratio_for",)),
            Column("p_operator", "word", ("p_qualifier",)),
            Column("p_value", "number", ("p", "pvalue")),
            Column("significant", "word", ("significance",)),
            Column("direction", "word"),
            Column("adjusted_for", "list", ("covariates",)),
            *_group("n_analysed", "n_analyzed", "n", "n_total", "n_group"),
            Column("n_events", "count", ("events", "total_events")),
            *(
                Column(f"{what}_{level}", "count")
                for level in ("adverse", "reference")
                for what in ("events", "n")
            ),
            _SOURCE,
            _NOTES,
        ),
        ("factors", "prognostic_factors"),
    ),
    Table(
        "quality",
        (
            _STUDY,
            Column("checklist", synonyms=("tool", "instrument"), required=True),
            Column("item", required=True),
            Column("rating", synonyms=("score",), required=True),
            Column("assessor", synonyms=("rater",)),
            _NOTES,
        ),
        ("assessments",),
        keeps_extra=False,
    ),
    Table(
        "sources",
        (
            Column("source_id", synonyms=("source", "id"), required=True),
            Column("citation", "text", ("title", "reference")),
            Column("pmid", synonyms=("pubmed", "pubmed_id")),
            Column("doi"),
            Column("url", synonyms=("link",)),
            Column("kind", synonyms=("source_type",)),
        ),
        ("source",),
    ),
    Table(
        "review_targets",
        (
            Column("outcome", synonyms=("endpoint",), required=True),
            Column("time_value", "number", ("time", "landmark")),
            Column("time_unit", "word"),
            Column("time_years_or_statistic"),
            Column("median", "number", required=True),
            *_pair("range", ("min", "max"), ("minimum", "maximum")),
            Column("unit", "word"),
            _SOURCE,
        ),
        ("targets",),
    ),
    Table(
        "checklists",
        (
            Column("checklist", synonyms=("name",), required=True),
            Column("items", "list", required=True),
            Column("ratings", "list", required=True),
            Column("scores", "list"),
            Column("comparative_items", "list"),
            Column("reference"),
        ),
        keeps_extra=False,
    ),
    Table(
        "endpoints",
        (
            Column("code", synonyms=("endpoint",), required=True),
            Column("name"),
            Column("kind", "word"),
            Column("synonyms", "list"),
        ),
        keeps_extra=False,
    ),
    Table(
        "excluded",
        (
            Column("study_id", synonyms=("study",), required=True),
            Column("kind", required=True),
            Column("reason", required=True),
            Column("row_id"),
            Column("shown"),
        ),
        keeps_extra=False,
    ),
    Table("review", (Column("title", "text"), Column("notes", "text")), keeps_extra=False),
)
#: Every table by its name, the eight of `Review.to_frame` first.
TABLES: Final[Mapping[str, Table]] = MappingProxyType({table.name: table for table in _ALL})
_TABLE_NAMES: Final = {word: table.name for table in _ALL for word in (table.name, *table.synonyms)}

_GAPS: Final = re.compile(r"[\W_]+")


def fold(name: str) -> str:
    """A name without regard to case, spaces, underscores, hyphens and points.

    Examples
    --------
    >>> fold(" Follow-up (months)"), fold("95% CI lower")
    ('follow_up_months', '95_percent_ci_lower')
    """
    return _GAPS.sub("_", name.replace("%", " percent ").casefold()).strip("_")


def find_table(name: str) -> str | None:
    """Our name of the table that a file, sheet or key of this name holds; None when it is no table."""
    return _TABLE_NAMES.get(fold(name))


def synonyms_by_table(columns: Mapping[str, Mapping[str, str]] | None) -> Synonyms:
    """The caller's names of columns, folded and checked against the layout.

    Raises
    ------
    InvalidInputError
        If a table or one of our columns is unknown.
    """
    checked = {}
    for table_name, renamed in (columns or {}).items():
        table = find_table(table_name)
        if table is None:
            raise InvalidInputError(f"columns: no table {table_name!r}; the tables are {', '.join(TABLES)}.")
        known = [column.name for column in TABLES[table].columns]
        for theirs, ours in renamed.items():
            if ours not in known:
                raise InvalidInputError(
                    f"columns: {theirs!r} cannot stand for {ours!r}, which is no column of {table}; its columns "
                    f"are {', '.join(known)}."
                )
        checked[table] = {fold(theirs): ours for theirs, ours in renamed.items()}
    return checked


def match_columns(table: Table, names: Sequence[str], synonyms: Synonyms) -> Header:
    """Where each column of the table stands among `names`; of two that mean the same the first."""
    known = table.names | dict(synonyms.get(table.name, {}))
    positions: dict[str, int] = {}
    given: dict[str, str] = {}
    extra: list[tuple[str, int]] = []
    unnamed = []
    for i, name in enumerate(names):
        ours = known.get(fold(name))
        if not name.strip():
            unnamed.append(i)
        elif ours is None:
            extra.append((name.strip(), i))
        elif ours not in positions:
            positions[ours], given[ours] = i, name
    return Header(positions, given, tuple(extra), tuple(unnamed))


def missing_columns(table: Table, header: Header) -> list[Column]:
    """Columns that the table needs and the file does not have."""
    return [column for column in table.columns if column.required and column.name not in header.positions]


def check_header(
    table: Table, names: Sequence[str], header: Header, synonyms: Synonyms, file: str, problems: Problems
) -> bool:
    """Whether the rows can be read; complains of columns that are missing, claimed twice or not kept."""
    before = problems.total
    for column in missing_columns(table, header):
        also = f" (or {', '.join(column.synonyms)})" if column.synonyms else ""
        shown = _format.listing(repr(name) for name in names[:30])
        problems.add(file, 1, column.name, f"the columns {shown}", f"a column {column.name!r}{also}")
    known = table.names | dict(synonyms.get(table.name, {}))
    seen: dict[str, str] = {}
    for name in names:
        meaning = known.get(fold(name), name.strip())
        if name.strip() and meaning in seen:
            found = f"columns {seen[meaning]!r} and {name!r}, which both mean {meaning}"
            problems.add(file, 1, name, found, "one column for one meaning; rename or remove the other")
        seen.setdefault(meaning, name)
    if not table.keeps_extra:
        for name, _ in header.extra:
            allowed = f"the columns {', '.join(column.name for column in table.columns)}"
            problems.add(file, 1, name, f"a column {name!r}", allowed)
    return problems.total == before
