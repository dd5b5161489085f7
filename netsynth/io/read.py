"""`read_review`: a folder of CSV files, a workbook, JSON or data frames to a checked review."""

from __future__ import annotations

import contextlib
import gc
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

from netsynth.data.endpoint import ENDPOINTS, Endpoint
from netsynth.data.review import Review
from netsynth.errors import (
    AssumedRoleWarning,
    Caution,
    InconsistentReportWarning,
    InvalidInputError,
    Problem,
    ReadError,
    UnusableDataWarning,
    caution,
)
from netsynth.io import about, excel, outcomes
from netsynth.io.csvfile import SEPARATORS, csv_table, encoding_of
from netsynth.io.frames import frame_tables
from netsynth.io.layout import TABLES, Synonyms, find_table, synonyms_by_table
from netsynth.io.outcomes import Known
from netsynth.io.problems import Problems
from netsynth.io.rows import RawTable, Settings, TableRows
from netsynth.units import share_unit
from netsynth.units import time_unit as find_time_unit

Source: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
T = TypeVar("T")

_CSV: Final = (".csv", ".tsv")
_EXCEL: Final = (".xlsx", ".xlsm")
#: Labels that a message lists before it counts the rest.
_LISTED: Final = 12


def read_review(
    source: Source,
    *,
    endpoints: Iterable[Endpoint] | None = None,
    title: str = "",
    columns: Mapping[str, Mapping[str, str]] | None = None,
    decimal: Literal[".", ","] = ".",
    percent_unit: str | None = None,
    time_unit: str | None = None,
    encoding: str = "utf-8",
    separator: Literal[",", ";", "\t"] | None = None,
) -> Review:
    """Read a review from files or data frames and check it as a whole.

    Parameters
    ----------
    source : path or mapping
        A folder of CSV files named as the tables (``studies.csv``, ``survival.csv``, ...); an Excel workbook
        with sheets of those names (needs ``netsynth[excel]``); a JSON file written by `write_review`; or a
        mapping of table name to data frame (pandas, polars, pyarrow, ...) or list of dicts.
    endpoints : iterable of Endpoint, optional
        The vocabulary of endpoints. Without it the table ``endpoints`` of the source is used, or `ENDPOINTS`.
    title : str
        Title of the review; replaces the one that the source may give.
    columns : mapping, optional
        What your columns are called here, ``{"survival": {"surv": "value"}}``. Many other names are known.
    decimal : {".", ","}
        Decimal mark of numbers that are text; the other mark may group thousands.
    percent_unit : {"percent", "probability"}, optional
        Unit of survival figures whose row states none. Never guessed.
    time_unit : {"month", "year", "week", "day"}, optional
        Unit of times whose row states none. Without it a landmark or follow-up needs a unit, while a median
        or mean is kept without one.
    encoding : str
        Encoding of CSV files; a byte order mark is taken off.
    separator : {",", ";", tab}, optional
        Separator of CSV files; without it the first of the three is used with which the header has the
        columns that its table needs.

    Returns
    -------
    Review
        Figures of one study, endpoint and group at several times become one record. What is doubtful is in
        `Review.warnings`.

    Raises
    ------
    ReadError
        If anything cannot be read: every complaint at once in `problems`, each with file, row (the header is
        row 1), column, what was found and what is allowed. The first 1000 are kept, all are counted.
    InvalidInputError
        If there is no such source, or an argument is impossible.

    Warns
    -----
    AssumedRoleWarning
        If a table states neither role nor set of groups, and labels other than "overall" were taken as arms
        under review.
    UnusableDataWarning
        If a folder or workbook holds files or sheets whose name is no table.
    InconsistentReportWarning
        If reported figures cannot all be right, as in `Review`, or rows name sources that the table of
        sources does not have.

    Examples
    --------
    >>> review = read_review(
    ...     {
    ...         "studies": [{"study": "Que 1995", "year": 1995, "n": 74}],
    ...         "survival": [
    ...             {"study": "Que 1995", "endpoint": "OS", "statistic": "percent", "time": 4, "time unit": "years",
    ...              "value": 73, "unit": "%"},
    ...         ],
    ...     }
    ... )
    >>> print(review.survival[0])
    Que 1995, OS, overall: 73% at 4 years
    """
    if decimal not in (".", ","):
        raise InvalidInputError(f"decimal must be '.' or ','; got {decimal!r}.")
    if separator is not None and separator not in SEPARATORS:
        raise InvalidInputError(f"separator must be ',', ';' or a tab; got {separator!r}.")
    encoding = encoding_of(encoding)
    settings = Settings(
        None if endpoints is None else tuple(endpoints),
        synonyms_by_table(columns),
        decimal,
        share_unit(percent_unit, where="percent_unit") if percent_unit else "",
        find_time_unit(time_unit, where="time_unit") if time_unit else "",
    )
    labels, strange, unread = set[str](), set[str](), list[str]()
    if _is_json(source):
        if endpoints is not None or columns is not None:
            raise InvalidInputError("A JSON file holds a whole review: endpoints= and columns= do not apply.")
        review = _from_json(Path(cast(str, source)), encoding, title)
    else:
        problems = Problems()
        opened = _open(source, encoding, separator, settings.synonyms, problems)
        with opened as (tables, unread), _without_collection():
            parts, labels, strange = read_tables(tables, settings, problems)
        problems.raise_if_any()
        review = Review(**parts | {"title": title or parts.get("title", "")})
    cautions: list[Caution] = []
    if labels:
        message = (
            f"neither role nor set is stated; taken as arms under review: {_some(sorted(labels))}. Add a column "
            "role (overall, arm, subgroup, comparator) where that is wrong"
        )
        cautions.append(caution(AssumedRoleWarning, message))
    if strange:
        message = f"rows name sources that the table sources does not have: {_some(sorted(strange))}"
        cautions.append(caution(InconsistentReportWarning, message))
    if unread:
        message = f"not read, since the name is no table: {_some(unread)}. The tables are {', '.join(TABLES)}"
        cautions.append(caution(UnusableDataWarning, message))
    # what reading noticed belongs to the review, which cannot know it when it checks itself
    object.__setattr__(review, "warnings", (*review.warnings, *cautions))
    return review


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """No search for reference cycles: records make none, and to look through a million takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _some(names: list[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(repr(name) for name in names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _is_json(source: Source) -> bool:
    path = Path(source) if isinstance(source, str | os.PathLike) else Path()
    return path.suffix.lower() == ".json" and path.is_file()


def _from_json(path: Path, encoding: str, title: str) -> Review:
    try:
        data = json.loads(path.read_bytes().decode(encoding))
        return Review.from_dict(data | {"title": title} if title and isinstance(data, dict) else data)
    except (InvalidInputError, json.JSONDecodeError, UnicodeError, RecursionError) as error:
        found = str(error).rstrip(".")
        raise ReadError([Problem(path.name, None, "", found, "a review as write_review writes it")]) from None


@contextlib.contextmanager
def _open(
    source: Source, encoding: str, separator: str | None, synonyms: Synonyms, problems: Problems
) -> Iterator[tuple[list[RawTable], list[str]]]:
    """Tables of the source, to be read inside the context, and the names of what is no table."""
    if isinstance(source, Mapping):
        yield frame_tables(source, problems), []
        return
    if not isinstance(source, str | os.PathLike):
        raise InvalidInputError(
            "source must be a path or a mapping of table name to data frame, such as {'studies': frame}; "
            f"got {type(source).__name__}."
        )
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _CSV and file.is_file())
        named = [(file, find_table(file.stem)) for file in files]
        _refuse_twins([(file.name, table) for file, table in named], path.name, problems)
        if not any(table for _, table in named):
            found = "no CSV file of a table"
            problems.add(path.name, None, "", found, f"{', '.join(TABLES)}, each with .csv")
            problems.raise_if_any()
        tables = [
            csv_table(
                _opener(file),
                table,
                file.name,
                encoding=encoding,
                separator=separator,
                synonyms=synonyms,
                problems=problems,
            )
            for file, table in named
            if table
        ]
        yield [table for table in tables if table], [file.name for file, table in named if not table]
    elif path.is_file() and path.suffix.lower() in _EXCEL:
        with excel.workbook(path, path.name, problems) as sheets:
            yield sheet_tables(sheets, path.name, problems)
    else:
        what = "is none of these" if path.exists() else "does not exist"
        raise InvalidInputError(
            f"{path} {what}; give a folder of CSV files, an .xlsx workbook, a .json file or a mapping of data frames."
        )


def _opener(file: Path) -> Callable[[], Any]:
    return lambda: file.open("rb")


def sheet_tables(
    sheets: Mapping[str, excel.Rows], file: str, problems: Problems
) -> tuple[list[RawTable], list[str]]:
    """Tables of the sheets of a workbook, and the names of sheets that are none."""
    named = [(name, find_table(name)) for name in sheets]
    _refuse_twins(named, file, problems)
    tables = [
        excel.raw_table(table, f"{file}, sheet {name}", sheets[name], problems)
        for name, table in named
        if table
    ]
    return [table for table in tables if table], [name for name, table in named if not table]


def _refuse_twins(named: Iterable[tuple[str, str | None]], file: str, problems: Problems) -> None:
    first: dict[str, str] = {}
    for name, table in named:
        if table in first:
            problems.add(
                file, None, "", f"{first[table]!r} and {name!r}, both the table {table}", "one of them"
            )
        elif table:
            first[table] = name


def read_tables(
    tables: Iterable[RawTable], settings: Settings, problems: Problems
) -> tuple[dict[str, Any], set[str], set[str]]:
    """The fields of a review, the labels of groups whose role had to be assumed, and sources that are in no table."""
    raw = {table.name: table for table in tables}
    read: list[TableRows] = []

    def rows(name: str, settings: Settings = settings) -> TableRows:
        absent = RawTable(name, name, [column.name for column in TABLES[name].columns], iter(()))
        found = TableRows(raw.get(name, absent), settings, problems)
        read.append(found)
        return found

    vocabulary = tuple(about.read_endpoints(rows("endpoints")))
    if settings.endpoints is None:
        settings = replace(settings, endpoints=vocabulary or ENDPOINTS)
    checklists = about.read_checklists(rows("checklists"))
    sources, source_ids = about.read_sources(rows("sources"))
    before = problems.total
    studies, study_ids = about.read_studies(rows("studies"), source_ids)
    if not studies and problems.total == before:
        file = raw["studies"].file if "studies" in raw else "studies"
        problems.add(file, None, "", "no study", "a table studies with one row a study")
    known = Known(study_ids or None, source_ids, set())
    survival, times = outcomes.read_survival(rows("survival", settings), known)
    parts: dict[str, Any] = {
        "studies": studies,
        "survival": survival,
        "times": times,
        "proportions": outcomes.read_proportions(rows("proportions", settings), known),
        "characteristics": outcomes.read_characteristics(rows("characteristics", settings), known),
        "factors": outcomes.read_factors(rows("prognostic", settings), known),
        "assessments": about.read_quality(rows("quality", settings), known, checklists),
        "sources": sources,
        "targets": about.read_targets(rows("review_targets", settings), known),
        "excluded": about.read_excluded(rows("excluded", settings)),
        "endpoints": settings.endpoints,
    }
    about_review = about.read_review_row(rows("review"))
    labels = set().union(*(table.assumed_roles for table in read))
    fields = {name: tuple(records) for name, records in parts.items()} | about_review
    return fields, labels, known.strange_sources
